//! The errors of single partitions and groups in an answer, read from its bytes without decoding
//! it: this is on the way of every record.
//!
//! ```text
//! head │ topics [ name or id │ partitions [ … error … │ tags ] │ tags ]      one table an API
//!        record bytes are stepped over, whichever pieces they lie in
//! ```
//!
//! Caveat: what does not read as an answer ends the walk; we wrote it ourselves, so a test that
//! walks every version stands in for distrust. Of answers that describe groups, topics or logs, what
//! was refused of their parts is not counted, nor are members that leave.

mod admin;

use bytes::Bytes;
use holdfast_protocol::Api;
use holdfast_protocol::messages::ApiKey;

/// What follows in an answer.
enum Field {
    /// So many bytes.
    Skip(usize),
    /// What is looked for.
    Error,
    /// With its length before it.
    Text,
    /// As text, with a length of four bytes.
    Records,
    /// So many structs.
    Each(&'static [Row]),
}

/// A field, in versions from the first number to the second.
type Row = (i16, i16, Field);

use Field::{Each, Error, Records, Skip, Text};

/// No last version.
const ON: i16 = i16::MAX;

const PRODUCE: &[Row] = &[(
    0,
    ON,
    Each(&[
        (0, 12, Text),
        (13, ON, Skip(16)),
        (
            0,
            ON,
            Each(&[
                (0, ON, Skip(4)),
                (0, ON, Error),
                (0, ON, Skip(16)),
                (5, ON, Skip(8)),
                (8, ON, Each(&[(8, ON, Skip(4)), (8, ON, Text)])),
                (8, ON, Text),
            ]),
        ),
    ]),
)];

/// The error of the whole answer is counted elsewhere.
const FETCH: &[Row] = &[
    (1, ON, Skip(4)),
    (7, ON, Skip(6)),
    (
        0,
        ON,
        Each(&[
            (0, 12, Text),
            (13, ON, Skip(16)),
            (
                0,
                ON,
                Each(&[
                    (0, ON, Skip(4)),
                    (0, ON, Error),
                    (0, ON, Skip(16)),
                    (5, ON, Skip(8)),
                    (0, ON, Each(&[(0, ON, Skip(16))])),
                    (11, ON, Skip(4)),
                    (0, ON, Records),
                ]),
            ),
        ]),
    ),
];

const LIST_OFFSETS: &[Row] = &[
    (2, ON, Skip(4)),
    (
        0,
        ON,
        Each(&[
            (0, ON, Text),
            (0, ON, Each(&[(0, ON, Skip(4)), (0, ON, Error), (1, ON, Skip(16)), (4, ON, Skip(4))])),
        ]),
    ),
];

const OFFSET_COMMIT: &[Row] = &[
    (3, ON, Skip(4)),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(&[(0, ON, Skip(4)), (0, ON, Error)]))])),
];

const COMMITTED: Field = Each(&[
    (0, ON, Text),
    (0, ON, Each(&[(0, ON, Skip(12)), (5, ON, Skip(4)), (0, ON, Text), (0, ON, Error)])),
]);

const OFFSET_FETCH: &[Row] = &[
    (3, ON, Skip(4)),
    (0, 7, COMMITTED),
    (2, 7, Error),
    (8, ON, Each(&[(8, ON, Text), (8, ON, COMMITTED), (8, ON, Error)])),
];

const DELETE_RECORDS: &[Row] = &[
    (0, ON, Skip(4)),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(&[(0, ON, Skip(12)), (0, ON, Error)]))])),
];

/// The APIs that are walked, and from where on their answers are flexible.
const TABLES: &[(Api, i16, &[Row])] = &[
    (Api::Produce, 9, PRODUCE),
    (Api::Fetch, 12, FETCH),
    (Api::ListOffsets, 6, LIST_OFFSETS),
    (Api::OffsetCommit, 8, OFFSET_COMMIT),
    (Api::OffsetFetch, 6, OFFSET_FETCH),
    (Api::DeleteRecords, 2, DELETE_RECORDS),
    (Api::CreateTopics, 5, admin::CREATE_TOPICS),
    (Api::DeleteTopics, 4, admin::DELETE_TOPICS),
    (Api::CreatePartitions, 2, admin::CREATE_PARTITIONS),
    (Api::DescribeConfigs, 4, admin::DESCRIBE_CONFIGS),
    (Api::AlterConfigs, 2, admin::ALTER_CONFIGS),
    (Api::IncrementalAlterConfigs, 1, admin::ALTER_CONFIGS),
    (Api::DeleteGroups, 2, admin::DELETE_GROUPS),
    (Api::OffsetDelete, ON, admin::OFFSET_DELETE),
    (Api::CreateAcls, 2, admin::CREATE_ACLS),
    (Api::DeleteAcls, 2, admin::DELETE_ACLS),
    (Api::AlterReplicaLogDirs, 2, admin::ALTER_REPLICA_LOG_DIRS),
    (Api::ElectLeaders, 2, admin::ELECT_LEADERS),
    (Api::AlterPartitionReassignments, 0, admin::ALTER_PARTITION_REASSIGNMENTS),
];

/// Calls `seen` for every error that is not 0 of the answer's parts; `pieces` begin with its length.
pub fn part_errors(key: i16, version: i16, pieces: &[Bytes], mut seen: impl FnMut(i16)) {
    let Some((_, flexible_from, rows)) = TABLES.iter().find(|(api, ..)| api.key() == key) else {
        return;
    };
    let tagged = ApiKey::try_from(key).is_ok_and(|key| key.response_header_version(version) >= 1);
    let mut walk = Walk { pieces, at: 0, version, flexible: version >= *flexible_from };
    // Nothing to tell a caller: see the caveat above.
    let _ = walk.skip(8 + usize::from(tagged)).and_then(|()| walk.fields(rows, &mut seen));
}

struct Walk<'a> {
    pieces: &'a [Bytes],
    /// In the first of them.
    at: usize,
    version: i16,
    flexible: bool,
}

impl Walk<'_> {
    fn fields(&mut self, rows: &[Row], seen: &mut impl FnMut(i16)) -> Option<()> {
        for (first, last, field) in rows {
            if !(*first..=*last).contains(&self.version) {
                continue;
            }
            match field {
                Skip(bytes) => self.skip(*bytes)?,
                Error => match i16::from_be_bytes([self.byte()?, self.byte()?]) {
                    0 => {}
                    error => seen(error),
                },
                Text => {
                    let bytes = self.length(2)?;
                    self.skip(bytes)?;
                }
                Records => {
                    let bytes = self.length(4)?;
                    self.skip(bytes)?;
                }
                Each(rows) => {
                    for _ in 0..self.length(4)? {
                        self.fields(rows, seen)?;
                        self.tags()?;
                    }
                }
            }
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        loop {
            let (first, rest) = self.pieces.split_first()?;
            if let Some(byte) = first.get(self.at) {
                self.at += 1;
                return Some(*byte);
            }
            (self.pieces, self.at) = (rest, 0);
        }
    }

    fn skip(&mut self, mut bytes: usize) -> Option<()> {
        while bytes > 0 {
            let (first, rest) = self.pieces.split_first()?;
            let here = (first.len() - self.at).min(bytes);
            self.at += here;
            bytes -= here;
            if self.at == first.len() {
                (self.pieces, self.at) = (rest, 0);
            }
        }
        Some(())
    }

    /// A length of `width` bytes, or a varint one more than it; none at all counts as 0.
    fn length(&mut self, width: usize) -> Option<usize> {
        if self.flexible {
            return self.varint().map(|length| length.saturating_sub(1));
        }
        let first = self.byte()?;
        let mut length = usize::from(first);
        for _ in 1..width {
            length = length << 8 | usize::from(self.byte()?);
        }
        Some(if first & 0x80 == 0 { length } else { 0 })
    }

    fn tags(&mut self) -> Option<()> {
        if !self.flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let bytes = self.varint()?;
            self.skip(bytes)?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = usize::from(self.byte()?);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
