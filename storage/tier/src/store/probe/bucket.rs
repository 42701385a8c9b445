//! What only a bucket is asked, with requests that no client of ours sends.
//!
//! | asked | honoured | else |
//! | --- | --- | --- |
//! | PUT with If-None-Match: * on what is there | 412 | note: never asked for by Holdfast |
//! | PUT with the checksum of other bytes | 400 | note: store.checksum has no effect |
//! | PUT with the signed SHA-256 of other bytes | 400 | note: bytes that change on the way are kept |
//! | LIST two keys at a time | in the order of bytes, each once | missing: start and deletion rely on it |
//! | GET ?uploads after an upload was given up | none of ours | note: a lifecycle rule must clean up |
//! | GET ?versioning | off | note: deleted objects go on to cost room |
//! | GET ?object-lock | off | note: deletions are refused for a time |

use object_store::CredentialProvider;
use object_store::ObjectStoreExt;
use object_store::PutPayload;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, ReqwestConnector};
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::{Report, Standing};
use crate::store::s3::{Answers, CredentialsFile, client, client_options};
use crate::store::{Bucket, Patience, REGION_DEFAULT, S3Options, StoreError, StoreErrorKind};

pub(super) const CONDITIONAL: &str = "conditional";
pub(super) const CHECKED: &str = "checked";
/// There are fewer keys of ours than pages of two.
const PAGES_MAX: u32 = 8;
/// CRC-32C of "123456789", which is none of ours, in base 64.
const WRONG_CRC32C: &str = "4waSgw==";
/// Amazon turns requests away whose time is further off.
const SKEW_MAX_S: i64 = 15 * 60;
/// More than two machines of a site with NTP are ever apart.
const SKEW_NOTED_S: i64 = 5;

/// What is asked, and where.
pub(super) struct Asked<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) options: &'a S3Options,
    /// From the bucket's root.
    pub(super) directory: &'a str,
}

struct Sent {
    status: u16,
    body: String,
}

impl Asked<'_> {
    /// Asks all of it.
    pub(super) async fn run(&self, report: &mut Report) -> Result<(), StoreError> {
        let url = format!("s3://{}", self.bucket.name);
        let http = ReqwestConnector::default()
            .connect(&client_options(&url, self.options, Patience::WRITING)?)
            .map_err(|error| failed(error.to_string()))?;
        self.pages(&http, report).await?;
        self.conditional_put(&http, report).await?;
        self.wrong_checksum(&http, report).await?;
        self.wrong_body(&http, report).await?;
        self.given_up(&url, &http, report).await?;
        self.settings_of_bucket(&http, report).await
    }

    /// What was put by the checks of every store, two keys a page.
    async fn pages(&self, http: &HttpClient, report: &mut Report) -> Result<(), StoreError> {
        let prefix = format!("{}/", self.directory).replace('/', "%2F");
        let mut found: Vec<String> = Vec::new();
        let mut pages = 0;
        let mut from = String::new();
        while pages < PAGES_MAX {
            pages += 1;
            // In the order of names, as they are signed.
            let query = format!("?{from}list-type=2&max-keys=2&prefix={prefix}");
            let page = self.send(http, "GET", &query, &[], &[], None).await?;
            found.extend(elements(&page.body, "Key"));
            match elements(&page.body, "NextContinuationToken").next() {
                Some(token) => from = format!("continuation-token={}&", escaped(&token)),
                None => break,
            }
        }
        let (standing, said) = match (pages, found.is_sorted_by(|one, next| one < next)) {
            (2.., true) if found.len() > 2 => (Standing::Good, "by name, page by page"),
            (1, _) => (Standing::Note, "pages of two keys were asked for, and one came with all"),
            (_, false) => (Standing::Missing, "not by name, or a key twice"),
            _ => (Standing::Missing, "keys are lost between pages"),
        };
        report.add("list-order", standing, format!("{said} ({} keys)", found.len()));
        Ok(())
    }

    async fn conditional_put(
        &self,
        http: &HttpClient,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let headers = [("if-none-match", "*")];
        let first = self.put(http, CONDITIONAL, &headers, None).await?;
        let second = self.put(http, CONDITIONAL, &headers, None).await?;
        let (standing, found) = match (first.status, second.status) {
            (200..=299, 409 | 412) => (Standing::Good, "honoured".to_owned()),
            (200..=299, 200..=299) => {
                (Standing::Note, "ignored: the object was overwritten (not needed)".to_owned())
            }
            (status, _) => (Standing::Note, format!("refused with {status} (not needed)")),
        };
        report.add("conditional-put", standing, found);
        Ok(())
    }

    async fn wrong_checksum(
        &self,
        http: &HttpClient,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let headers = [("x-amz-checksum-crc32c", WRONG_CRC32C)];
        let sent = self.put(http, CHECKED, &headers, None).await?;
        let (standing, found) = match sent.status {
            400 => (Standing::Good, "a wrong one is refused".to_owned()),
            200..=299 => {
                (Standing::Note, "a wrong one is ignored: leave store.checksum at none".to_owned())
            }
            status => (Standing::Note, format!("the header is answered with {status}")),
        };
        report.add("checksum-header", standing, found);
        Ok(())
    }

    async fn wrong_body(&self, http: &HttpClient, report: &mut Report) -> Result<(), StoreError> {
        let of_other = Sha256::digest(b"other bytes");
        let sent = self.put(http, CHECKED, &[], Some(&of_other)).await?;
        let (standing, found) = match sent.status {
            400 | 403 => (Standing::Good, "bytes that are not those signed for are refused"),
            200..=299 => (
                Standing::Note,
                "bytes that are not those signed for are kept: use https, and store.checksum if \
                 checksum-header is ok",
            ),
            _ => (Standing::Note, "answered in a way of its own"),
        };
        report.add("signed-body", standing, format!("{found} ({})", sent.status));
        Ok(())
    }

    async fn given_up(
        &self,
        url: &str,
        http: &HttpClient,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let store = client(url, self.bucket, self.options, Patience::WRITING, &Answers::default())?;
        let name = format!("{}/given-up", self.directory);
        let given_up = async {
            let mut upload = store.put_multipart(&Path::from(name.as_str())).await?;
            upload.put_part(PutPayload::from_static(b"part")).await?;
            upload.abort().await
        };
        if let Err(error) = given_up.await {
            report.add("abort", Standing::Note, error.to_string());
            return Ok(());
        }
        let query = format!("?uploads=&prefix={}", self.directory.replace('/', "%2F"));
        let listed = self.send(http, "GET", &query, &[], &[], None).await?;
        let (standing, found) = match listed.status {
            200 if listed.body.contains("/given-up<") => {
                (Standing::Note, "parts given up are kept: let a lifecycle rule remove them")
            }
            200 => (Standing::Good, "nothing is left of an upload that was given up"),
            _ => (Standing::Note, "uploads under way cannot be listed, so nobody knows"),
        };
        report.add("abort", standing, format!("{found} ({})", listed.status));
        Ok(())
    }

    async fn settings_of_bucket(
        &self,
        http: &HttpClient,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let versioning = self.send(http, "GET", "?versioning=", &[], &[], None).await?;
        let is_on = versioning.body.contains("<Status>Enabled</Status>");
        match (versioning.status, is_on) {
            (200, true) => report.add(
                "versioning",
                Standing::Note,
                "on: what is deleted goes on to cost room until a lifecycle rule removes versions",
            ),
            (200, false) => report.add("versioning", Standing::Good, "off"),
            (status, _) => {
                report.add("versioning", Standing::Good, format!("not known here ({status})"));
            }
        }
        let lock = self.send(http, "GET", "?object-lock=", &[], &[], None).await?;
        match lock.status {
            200 if lock.body.contains("Enabled") => report.add(
                "object-lock",
                Standing::Note,
                "on: deletions may be refused, or leave versions, for as long as objects are held",
            ),
            200 | 404 => report.add("object-lock", Standing::Good, "off"),
            status => {
                report.add("object-lock", Standing::Good, format!("not known here ({status})"));
            }
        }
        Ok(())
    }

    async fn put(
        &self,
        http: &HttpClient,
        name: &str,
        headers: &[(&str, &str)],
        digest: Option<&[u8]>,
    ) -> Result<Sent, StoreError> {
        let path = format!("/{}/{name}", self.directory);
        self.send(http, "PUT", &path, headers, b"the bytes of a probe", digest).await
    }

    /// Signs and sends; any answer is one.
    async fn send(
        &self,
        http: &HttpClient,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static [u8],
        digest: Option<&[u8]>,
    ) -> Result<Sent, StoreError> {
        let name = &self.bucket.name;
        let region = match self.options.region.as_str() {
            "" => REGION_DEFAULT,
            region => region,
        };
        let root = match (&self.options.endpoint, self.options.virtual_hosted) {
            (Some(endpoint), true) => endpoint.of_bucket(name),
            (Some(endpoint), false) => format!("{endpoint}/{name}"),
            (None, true) => format!("https://{name}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{name}"),
        };
        let mut request = http::Request::builder().method(method).uri(format!("{root}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = bytes::Bytes::from_static(body);
        let mut request: HttpRequest =
            request.body(body.into()).map_err(|error| failed(error.to_string()))?;
        let Some(file) = &self.options.credentials else {
            return Err(failed("no file with an access key is named".to_owned()));
        };
        let credentials = CredentialsFile::open(file).map_err(failed)?;
        let credential = credentials.get_credential().await;
        let credential = credential.map_err(|error| failed(error.to_string()))?;
        AwsAuthorizer::new(&credential, "s3", region)
            .try_authorize(&mut request, digest)
            .map_err(|error| failed(error.to_string()))?;
        let answer = http.execute(request).await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().bytes().await.unwrap_or_default();
        Ok(Sent { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// What stands in elements of this name.
fn elements(text: &str, name: &str) -> impl Iterator<Item = String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = text.split(open.as_str()).skip(1);
    let inside = parts.filter_map(|part| Some(part.split_once(close.as_str())?.0.to_owned()));
    inside.collect::<Vec<_>>().into_iter()
}

/// For a query: everything but what never needs it.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

fn failed(why: String) -> StoreError {
    StoreError::new(StoreErrorKind::Interrupted, "asking the bucket".to_owned(), why)
}

/// The store's `Date` beside ours before and after it.
pub(super) fn clock(date: &str, before_s: i64, after_s: i64) -> (Standing, String) {
    let Some(theirs_s) = unix_seconds(date) else {
        return (Standing::Note, format!("its Date cannot be read: {date:?}"));
    };
    // A Date has no fractions.
    let ahead_s = match theirs_s {
        s if s < before_s - 1 => s - before_s,
        s if s > after_s + 1 => s - after_s,
        _ => 0,
    };
    let shown = match ahead_s {
        0 => "together with ours".to_owned(),
        s if s > 0 => format!("{s} s ahead of ours"),
        s => format!("{} s behind ours", -s),
    };
    match ahead_s.abs() {
        0..=SKEW_NOTED_S => (Standing::Good, shown),
        s if s < SKEW_MAX_S => (Standing::Note, format!("{shown}: 15 min is refused by some")),
        _ => (Standing::Missing, format!("{shown}: set the clocks by NTP")),
    }
}

/// Of a date as HTTP writes it: `Tue, 01 Dec 2026 04:13:16 GMT`.
fn unix_seconds(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = date.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days since 1970 by the calendar that has March first, so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_seconds() {
        assert_eq!(unix_seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(unix_seconds("Tue, 01 Dec 2026 04:13:16 GMT"), Some(1_796_098_396));
        assert_eq!(unix_seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(unix_seconds("yesterday"), None);
    }

    #[test]
    fn elements_and_tokens_are_taken_and_given_as_they_are() {
        let page = "<Contents><Key>a/b</Key></Contents><Contents><Key>c</Key></Contents><Key>open";
        assert_eq!(elements(page, "Key").collect::<Vec<_>>(), ["a/b", "c"]);
        assert_eq!(escaped("a/b+c="), "a%2Fb%2Bc%3D");
    }

    #[test]
    fn a_clock_that_is_far_off_is_told_which_way() {
        let date = "Thu, 01 Jan 1970 01:00:00 GMT";
        assert_eq!(clock(date, 3_599, 3_602).0, Standing::Good);
        let (standing, found) = clock(date, 3_500, 3_501);
        assert_eq!(standing, Standing::Note);
        assert!(found.starts_with("99 s ahead"), "{found}");
        let (standing, found) = clock(date, 7_200, 7_201);
        assert_eq!(standing, Standing::Missing);
        assert!(found.starts_with("3600 s behind"), "{found}");
    }
}
