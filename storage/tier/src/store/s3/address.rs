//! Where a bucket is: `s3://bucket/prefix` at `https://host:port`.

use std::fmt;

/// A bucket and the directory in it that is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Segments as of a key, without a slash at either end; empty is the whole bucket.
    pub prefix: String,
}

impl Bucket {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(url: &str) -> Result<Bucket, String> {
        let rest = url.strip_prefix("s3://").ok_or("it does not begin with s3://")?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_name = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        };
        if !(3..=63).contains(&name.len()) || !name.bytes().all(is_name) {
            return Err(format!(
                "{name:?} is no bucket's name: 3 to 63 of a-z, 0-9, '-' and '.', and no user or \
                 password before it"
            ));
        }
        if !prefix.is_empty() && crate::key::StoreKey::new(prefix).is_err() {
            return Err(format!(
                "{prefix:?} is no directory: segments of a-z, 0-9, '.', '_', '-', separated by '/'"
            ));
        }
        Ok(Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
    }
}

/// `http://` or `https://`, a host, perhaps a port; nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    scheme: &'static str,
    authority: String,
}

impl Endpoint {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(url: &str) -> Result<Endpoint, String> {
        let (scheme, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => ("https", rest),
            (_, Some(rest)) => ("http", rest),
            _ => return Err("it begins with https:// (or http://, in the clear)".to_owned()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']' | b'_')
        };
        if authority.is_empty() || !authority.bytes().all(is_plain) {
            return Err(format!("{authority:?} is no host with a port"));
        }
        Ok(Endpoint { scheme, authority: authority.to_owned() })
    }

    /// Everything can be read and changed on the way.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        self.scheme == "http"
    }

    /// The same with the bucket before the host.
    pub(crate) fn of_bucket(&self, bucket: &str) -> String {
        format!("{}://{bucket}.{}", self.scheme, self.authority)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_a_directory_in_it() {
        let parse = |url| Bucket::parse(url).map(|bucket| (bucket.name, bucket.prefix));
        let of = |name: &str, prefix: &str| Ok((name.to_owned(), prefix.to_owned()));
        assert_eq!(parse("s3://history"), of("history", ""));
        assert_eq!(parse("s3://history/"), of("history", ""));
        assert_eq!(parse("s3://history/site-a/kafka/"), of("history", "site-a/kafka"));
        for wrong in
            ["s3://", "s3://ab", "s3://a b c", "s3://key:secret@bucket", "s3://bucket//x", "s3:/x"]
        {
            assert!(Bucket::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_a_host_and_nothing_else() {
        let shown = |url| Endpoint::parse(url).map(|endpoint| endpoint.to_string());
        assert_eq!(shown("https://s3.site:9000/"), Ok("https://s3.site:9000".to_owned()));
        assert!(Endpoint::parse("http://[::1]:7070").is_ok_and(|it| it.is_in_the_clear()));
        for wrong in ["s3.site:9000", "ftp://x", "https://", "https://u:p@x", "https://x/bucket"] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
        let endpoint = Endpoint::parse("https://s3.site").expect("good");
        assert_eq!(endpoint.of_bucket("history"), "https://history.s3.site");
    }
}
