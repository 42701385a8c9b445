//! Which topics a consumer says it reads: the start of its opaque metadata.
//!
//! ```text
//! version i16 ≥ 0 │ count i32 │ count × (length i16, UTF-8) │ user data: length i32 (-1 none), bytes │ newer fields
//! ```
//!
//! Idea: Kafka's ConsumerProtocolSubscription; every version begins with version 0, so that is all
//! that is read. Needed for OffsetDelete and for the expiry of offsets nobody reads any more.
//!
//! Caveat: the bytes come from clients. Nothing is allocated for a count that the bytes cannot hold.

use std::collections::BTreeSet;

/// Adds the topics of one member's `metadata`; `None` when it is not a subscription.
pub(crate) fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (version, rest) = metadata.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk()?;
    let count = usize::try_from(i32::from_be_bytes(*count)).ok()?;
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        let name = std::str::from_utf8(name).ok()?;
        if !topics.contains(name) {
            topics.insert(name.to_owned());
        }
        rest = after;
    }
    let (length, rest) = rest.split_first_chunk()?;
    match i32::from_be_bytes(*length) {
        -1 => Some(()),
        length => (rest.len() >= usize::try_from(length).ok()?).then_some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(topics: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0, 3];
        bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
        for topic in topics {
            bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
        }
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn topics_are_read_and_newer_fields_are_left_alone() {
        let mut topics = BTreeSet::new();
        let mut bytes = subscription(&["orders", "bills"]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(add_topics(&bytes, &mut topics), Some(()));
        assert_eq!(topics, BTreeSet::from(["orders".to_owned(), "bills".to_owned()]));
    }

    #[test]
    fn every_truncation_and_every_lie_about_a_length_is_refused() {
        let whole = subscription(&["orders"]);
        for end in 0..whole.len() {
            assert_eq!(add_topics(&whole[..end], &mut BTreeSet::new()), None, "cut at {end}");
        }
        for at in 2..6 {
            let mut lie = whole.clone();
            lie[at] = 0x7f;
            assert_eq!(add_topics(&lie, &mut BTreeSet::new()), None, "count byte {at}");
        }
        let mut negative = whole;
        negative[0] = 0x80;
        assert_eq!(add_topics(&negative, &mut BTreeSet::new()), None);
    }
}
