//! The errors of single partitions in an answer to Produce, read without decoding it: this is on
//! the way of every record.
//!
//! ```text
//! topics [ name or id │ partitions [ index 4 │ error 2 │ offset 8 │ time 8 │ start 8 (5+)
//!                                  │ record errors [ … ] │ message (8+) │ tags (9+) ] │ tags ]
//! ```
//!
//! Caveat: what does not read as an answer ends the walk; we wrote it ourselves, so a test that
//! walks every version stands in for distrust.

/// Flexible from here on.
const FLEXIBLE: i16 = 9;
/// Topics by id from here on.
const BY_ID: i16 = 13;
/// With record errors and a message from here on.
const EXPLAINED: i16 = 8;
/// With the log's start from here on.
const LOG_START: i16 = 5;

/// Calls `seen` for every partition's error that is not 0; `answer` has its length field.
pub fn produce_errors(version: i16, answer: &[u8], seen: impl FnMut(i16)) {
    let head = if version >= FLEXIBLE { 9 } else { 8 };
    let rest = answer.get(head..).unwrap_or_default();
    // Nothing to tell a caller: see the caveat above.
    let _ = Walk { rest, flexible: version >= FLEXIBLE }.topics(version, seen);
}

struct Walk<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Walk<'a> {
    fn topics(&mut self, version: i16, mut seen: impl FnMut(i16)) -> Option<()> {
        for _ in 0..self.length(4)? {
            if version >= BY_ID {
                self.take(16)?;
            } else {
                self.text()?;
            }
            for _ in 0..self.length(4)? {
                self.take(4)?;
                let error = i16::from_be_bytes(self.take(2)?.try_into().ok()?);
                if error != 0 {
                    seen(error);
                }
                self.take(if version >= LOG_START { 24 } else { 16 })?;
                if version >= EXPLAINED {
                    for _ in 0..self.length(4)? {
                        self.take(4)?;
                        self.text()?;
                        self.tags()?;
                    }
                    self.text()?;
                }
                self.tags()?;
            }
            self.tags()?;
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    /// A length of `width` bytes, or a varint one more than it; none at all counts as 0.
    fn length(&mut self, width: usize) -> Option<usize> {
        if self.flexible {
            return self.varint().map(|length| length.saturating_sub(1));
        }
        let bytes = self.take(width)?;
        let negative = bytes.first()? & 0x80 != 0;
        let length = bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        Some(if negative { 0 } else { length })
    }

    fn text(&mut self) -> Option<()> {
        let length = self.length(2)?;
        self.take(length).map(drop)
    }

    fn tags(&mut self) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length)?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = usize::from(self.take(1)?[0]);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_protocol::messages::produce_response::{
        LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
    };
    use holdfast_protocol::messages::{BrokerId, ProduceResponse, TopicName};
    use holdfast_protocol::{Api, Response, SUPPORTED, StrBytes, Uuid, encode_response};

    fn answer(version: i16) -> Response {
        let partition = |index: i32, error: i16| {
            let mut partition =
                PartitionProduceResponse::default().with_index(index).with_error_code(error);
            if version >= EXPLAINED && error != 0 {
                partition.error_message = Some(StrBytes::from_static_str("refused, and why"));
            }
            if version >= 10 && error == 6 {
                let leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(3));
                partition.current_leader = leader.with_leader_epoch(9);
            }
            partition
        };
        let topic = |name: &'static str, partitions| {
            let topic = TopicProduceResponse::default().with_partition_responses(partitions);
            match version >= BY_ID {
                true => topic.with_topic_id(Uuid::from_u128(7)),
                false => topic.with_name(TopicName(StrBytes::from_static_str(name))),
            }
        };
        let topics = vec![
            topic("orders", vec![partition(0, 0), partition(1, 6), partition(2, 0)]),
            topic("x", vec![partition(0, 19)]),
        ];
        Response::Produce(ProduceResponse::default().with_responses(topics))
    }

    #[test]
    fn every_version_gives_up_its_errors() {
        let row = SUPPORTED.iter().find(|row| row.api == Api::Produce).expect("it is there");
        for version in row.accepted_min..=row.max {
            let bytes = encode_response(7, version, &answer(version)).expect("it can be written");
            let mut errors = Vec::new();
            produce_errors(version, &bytes, |error| errors.push(error));
            assert_eq!(errors, [6, 19], "v{version}");
            for end in 0..bytes.len() {
                produce_errors(version, &bytes[..end], |error| assert!(error == 6 || error == 19));
            }
        }
    }
}
