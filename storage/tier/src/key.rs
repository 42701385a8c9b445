//! Names in the store.
//!
//! ```text
//! <cluster: 32 hex>/<shard: 8 digits>/<term: 20 digits>-<sequence: 20 digits>-<object: 32 hex>
//! <cluster: 32 hex>/<shard: 8 digits>/state/<applied: 20 digits>        checkpoint.rs
//! ```
//!
//! Written once: the object id is random, so no leader, not even one that was deposed and does not
//! know it, can write a name that another one wrote. Fixed widths make the order of names the order
//! of terms; hexadecimal is the same on stores that fold upper and lower case.

use std::fmt;

use holdfast_base::{ClusterId, ShardId, Term};

use crate::format::{ObjectId, ObjectIdentity};

/// Longest key any store takes (S3: 1,024 bytes).
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// A name in a store: segments of `a-z 0-9 . _ -`, separated by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreKey(String);

/// Why a name is not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "\"{name}\" is no key: it must be segments of a-z, 0-9, '.', '_', '-' that do not begin with \
     '.' or '-', separated by '/', at most {KEY_BYTES_MAX} bytes"
)]
pub struct KeyError {
    /// As given.
    pub name: String,
}

impl StoreKey {
    /// Checks a name.
    ///
    /// # Errors
    /// When some store or file system would take it for something else.
    pub fn new(name: &str) -> Result<StoreKey, KeyError> {
        let segment = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with(['.', '-'])
                && segment.bytes().all(|byte| {
                    byte.is_ascii_lowercase()
                        || byte.is_ascii_digit()
                        || matches!(byte, b'.' | b'_' | b'-')
                })
        };
        if name.len() <= KEY_BYTES_MAX && name.split('/').all(segment) {
            return Ok(StoreKey(name.to_owned()));
        }
        Err(KeyError { name: name.to_owned() })
    }

    /// A name this room made: its segments are sound.
    pub(crate) fn joined(name: String) -> StoreKey {
        StoreKey(name)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StoreKey {
    /// The name of an object in the store.
    #[must_use]
    pub fn of(object: &ObjectIdentity) -> StoreKey {
        let directory = shard_directory(object.cluster, object.shard);
        let (term, sequence, name) = (object.term.0, object.sequence, object.object);
        StoreKey(format!("{directory}/{term:020}-{sequence:020}-{name}"))
    }

    /// The object of this name; `None` for a name of another form.
    #[must_use]
    pub fn identity(&self) -> Option<ObjectIdentity> {
        let (cluster, rest) = self.as_str().split_once('/')?;
        let (shard, name) = rest.split_once('/')?;
        let mut parts = name.split('-');
        let identity = ObjectIdentity {
            cluster: ClusterId(from_hex(cluster)?),
            shard: ShardId(shard.parse().ok()?),
            term: Term(parts.next()?.parse().ok()?),
            sequence: parts.next()?.parse().ok()?,
            object: ObjectId(from_hex(parts.next()?)?),
        };
        // One form only, so that a name found in the store leads back to itself.
        (parts.next().is_none() && StoreKey::of(&identity) == *self).then_some(identity)
    }
}

/// Where all objects of a cluster lie.
#[must_use]
pub fn cluster_directory(cluster: ClusterId) -> String {
    ObjectId(cluster.0).to_string()
}

/// Where all objects of a shard lie.
#[must_use]
pub fn shard_directory(cluster: ClusterId, shard: ShardId) -> String {
    format!("{}/{:08}", cluster_directory(cluster), shard.0)
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_key_of_an_object_is_the_one_format_md_shows() {
        let identity = ObjectIdentity {
            cluster: ClusterId([0xab; 16]),
            shard: ShardId(7),
            term: Term(12),
            sequence: 3,
            object: ObjectId([0x0f; 16]),
        };
        let key = "abababababababababababababababab/00000007/\
                   00000000000000000012-00000000000000000003-0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
        assert_eq!(StoreKey::of(&identity).as_str(), key);
        assert!(include_str!("../../FORMAT.md").contains(key), "FORMAT.md shows this key");
    }

    #[test]
    fn a_name_that_a_file_system_would_read_otherwise_is_refused() {
        for name in
            ["", "/", "a/", "/a", "a//b", "a/../b", ".", "-a", "A", "a b", "a\\b", "a#1", "ä"]
        {
            assert!(StoreKey::new(name).is_err(), "{name:?}");
        }
        assert!(StoreKey::new(&"a".repeat(KEY_BYTES_MAX + 1)).is_err());
        for name in ["a", "a/b-1_2.c", "0"] {
            assert_eq!(StoreKey::new(name).map(|key| key.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_name_of_another_form_is_no_object() {
        let identity = ObjectIdentity {
            cluster: ClusterId([1; 16]),
            shard: ShardId(1),
            term: Term(1),
            sequence: 1,
            object: ObjectId([1; 16]),
        };
        let key = StoreKey::of(&identity).to_string();
        for other in [
            key.replacen("00000001/", "1/", 1),
            format!("{key}-1"),
            key.replacen("01", "+1", 1),
            key[..key.len() - 1].to_owned(),
            "checkpoints/1".to_owned(),
        ] {
            let parsed = StoreKey::new(&other).ok().and_then(|key| key.identity());
            assert_eq!(parsed, None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_key_leads_back_to_its_object_and_sorts_by_term_and_sequence(
            cluster: [u8; 16], shard: u32, object: [u8; 16],
            a in (any::<u64>(), any::<u64>()), b in (any::<u64>(), any::<u64>()),
        ) {
            let of = |(term, sequence): (u64, u64)| ObjectIdentity {
                cluster: ClusterId(cluster),
                shard: ShardId(shard),
                term: Term(term),
                sequence,
                object: ObjectId(object),
            };
            prop_assert_eq!(StoreKey::of(&of(a)).identity(), Some(of(a)));
            prop_assert_eq!(StoreKey::new(StoreKey::of(&of(a)).as_str()), Ok(StoreKey::of(&of(a))));
            prop_assert_eq!(StoreKey::of(&of(a)).cmp(&StoreKey::of(&of(b))), a.cmp(&b));
        }
    }
}
