//! The audit record: an administrative command *is* its audit record, so neither exists without
//! the other. What is kept here is the readable form of the last ones, chained by hash.
//!
//! ```text
//! record   number | index, term, time, place in the entry | origin | operation | resource
//!          | detail | SHA-256 of the command's bytes | outcome | hash
//! hash     SHA-256( previous hash | all fields above )
//! anchor = hash before the oldest kept record;  head = hash of the newest
//! ```
//!
//! A chain shows an edit, a gap and a reordering of what is kept. It does not show that the end
//! was cut off unless `head` is known from elsewhere (another replica, an export).
//!
//! Refusals decided before an entry exists leave no record; refusals at apply do.

use std::collections::VecDeque;
use std::fmt;

use holdfast_base::{Index, NodeId, Term};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::codec::{Reader, Undecodable, Writer, cut};
use crate::refusal::{Reason, Refusal};

/// How many records stay in memory and in snapshots: about 5 MB at 500 bytes each. Older ones
/// stay in the log (and in objects, once there are any).
pub const AUDIT_RECORDS_MAX: usize = 10_000;

/// A principal, host or client id is kept up to this many bytes: clients choose theirs.
const ORIGIN_TEXT_BYTES_MAX: usize = 256;

/// Resource, detail and message are cut here; the digest covers the whole command.
const TEXT_BYTES_MAX: usize = 1024;

/// Who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditOrigin {
    /// `User:ANONYMOUS` until listeners authenticate; `Node:n` for a node itself.
    pub principal: String,
    /// Remote address as text; empty for a node itself.
    pub host: String,
    /// Kafka's client id as sent; empty for a node itself.
    pub client_id: String,
}

impl AuditOrigin {
    /// What a node does on its own account.
    #[must_use]
    pub fn node(node: NodeId) -> Self {
        AuditOrigin {
            principal: format!("Node:{node}"),
            host: String::new(),
            client_id: String::new(),
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        for text in [&self.principal, &self.host, &self.client_id] {
            to.string(cut(text, ORIGIN_TEXT_BYTES_MAX));
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Undecodable> {
        let mut text = || Ok(cut(&from.string()?, ORIGIN_TEXT_BYTES_MAX).to_owned());
        Ok(AuditOrigin { principal: text()?, host: text()?, client_id: text()? })
    }
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Operation {
    /// The cluster was founded.
    FoundCluster = 1,
    /// A node joined or changed its listeners.
    RegisterNode = 2,
    /// A topic was made.
    CreateTopic = 3,
    /// A topic was deleted.
    DeleteTopic = 4,
    /// A topic got more partitions.
    CreatePartitions = 5,
    /// Settings of a topic, of nodes or of a group were changed.
    AlterConfigs = 6,
}

impl Operation {
    fn from_code(code: u8) -> Option<Operation> {
        use Operation::*;
        [FoundCluster, RegisterNode, CreateTopic, DeleteTopic, CreatePartitions, AlterConfigs]
            .into_iter()
            .find(|operation| *operation as u8 == code)
    }
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuditOutcome {
    /// It is so.
    Done,
    /// It changed nothing.
    Refused(Refusal),
}

/// One administrative command and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// 1, 2, 3 … over the life of the cluster.
    pub number: u64,
    /// The entry.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// Its time, ms since 1970.
    pub time_ms: i64,
    /// Which command of the entry.
    pub place: u32,
    /// Who asked.
    pub origin: AuditOrigin,
    /// What.
    pub operation: Operation,
    /// On what, as `Kind:name`.
    pub resource: String,
    /// The parameters, readable, cut to 1 KiB.
    pub detail: String,
    /// SHA-256 of the command's bytes.
    pub command_digest: [u8; 32],
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Covers the record before and all fields of this one.
    pub hash: [u8; 32],
}

impl AuditRecord {
    fn write_fields(&self, to: &mut Writer) {
        to.u64(self.number);
        to.u64(self.index.0);
        to.u64(self.term.0);
        to.i64(self.time_ms);
        to.u32(self.place);
        self.origin.write(to);
        to.u8(self.operation as u8);
        to.string(&self.resource);
        to.string(&self.detail);
        to.raw(&self.command_digest);
        match &self.outcome {
            AuditOutcome::Done => to.u8(0),
            AuditOutcome::Refused(refusal) => {
                to.u8(refusal.reason as u8);
                to.string(&refusal.message);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Undecodable> {
        Ok(AuditRecord {
            number: from.u64()?,
            index: Index(from.u64()?),
            term: Term(from.u64()?),
            time_ms: from.i64()?,
            place: from.u32()?,
            origin: AuditOrigin::read(from)?,
            operation: match Operation::from_code(from.u8()?) {
                Some(operation) => operation,
                None => return from.wrong("unknown audit operation"),
            },
            resource: from.string()?,
            detail: from.string()?,
            command_digest: from.array()?,
            outcome: match from.u8()? {
                0 => AuditOutcome::Done,
                code => match Reason::from_code(code) {
                    Some(reason) => {
                        AuditOutcome::Refused(Refusal { reason, message: from.string()? })
                    }
                    None => return from.wrong("unknown refusal reason"),
                },
            },
            hash: from.array()?,
        })
    }

    /// What `hash` must be behind a record with hash `previous`.
    #[must_use]
    pub fn expected_hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut fields = Writer::default();
        self.write_fields(&mut fields);
        Sha256::new().chain_update(previous).chain_update(&fields.bytes).finalize().into()
    }
}

impl fmt::Display for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "#{} entry {} term {} time_ms {}: {} from '{}' ({}) {:?} {} [{}]: ",
            self.number,
            self.index,
            self.term,
            self.time_ms,
            self.origin.principal,
            self.origin.host,
            self.origin.client_id,
            self.operation,
            self.resource,
            self.detail,
        )?;
        match &self.outcome {
            AuditOutcome::Done => f.write_str("done"),
            AuditOutcome::Refused(refusal) => write!(f, "refused, {refusal}"),
        }
    }
}

/// Where a chain of audit records does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "the audit chain breaks at record {number}: {what}; it was edited or damaged here, compare \
     with another replica"
)]
pub struct AuditBreak {
    /// The first record that does not fit.
    pub number: u64,
    /// How.
    pub what: &'static str,
}

/// Checks records against the hash before the first and the hash of the last.
///
/// # Errors
/// The first record that does not follow from the one before.
pub fn verify_audit<'a>(
    anchor: [u8; 32],
    records: impl Iterator<Item = &'a AuditRecord>,
    head: [u8; 32],
) -> Result<(), AuditBreak> {
    let mut previous = anchor;
    let mut last: Option<u64> = None;
    for record in records {
        if last.is_some_and(|last| last.checked_add(1) != Some(record.number)) {
            return Err(AuditBreak { number: record.number, what: "its number does not follow" });
        }
        if record.hash != record.expected_hash(&previous) {
            return Err(AuditBreak { number: record.number, what: "its hash does not fit" });
        }
        previous = record.hash;
        last = Some(record.number);
    }
    if previous == head {
        Ok(())
    } else {
        let number = last.map_or(0, |last| last.saturating_add(1));
        Err(AuditBreak { number, what: "records are missing before the head" })
    }
}

/// The last records and the ends of their chain.
///
/// Invariant: `verify_audit(anchor, records, head)` holds; at most [`AUDIT_RECORDS_MAX`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLog {
    records: VecDeque<AuditRecord>,
    anchor: [u8; 32],
    head: [u8; 32],
    next_number: u64,
    records_max: usize,
}

/// A record before it has a number and a hash.
pub(crate) struct Unchained<'a> {
    pub(crate) index: Index,
    pub(crate) term: Term,
    pub(crate) time_ms: i64,
    pub(crate) place: u32,
    pub(crate) origin: &'a AuditOrigin,
    pub(crate) operation: Operation,
    pub(crate) resource: String,
    pub(crate) detail: String,
    pub(crate) command: &'a [u8],
    pub(crate) outcome: AuditOutcome,
}

impl AuditLog {
    pub(crate) fn new(records_max: usize) -> Self {
        AuditLog {
            records: VecDeque::new(),
            anchor: [0; 32],
            head: [0; 32],
            next_number: 1,
            records_max,
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &AuditRecord> + ExactSizeIterator {
        self.records.iter()
    }

    /// The hash before the oldest record kept; zeros before the first of all.
    #[must_use]
    pub fn anchor(&self) -> [u8; 32] {
        self.anchor
    }

    /// The hash of the newest record. Compare it among replicas, keep it elsewhere.
    #[must_use]
    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    /// Records ever written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.next_number - 1
    }

    /// Checks the chain of what is kept.
    ///
    /// # Errors
    /// The first record that does not fit.
    pub fn verify(&self) -> Result<(), AuditBreak> {
        verify_audit(self.anchor, self.iter(), self.head)
    }

    pub(crate) fn append(&mut self, new: Unchained<'_>) {
        let mut record = AuditRecord {
            number: self.next_number,
            index: new.index,
            term: new.term,
            time_ms: new.time_ms,
            place: new.place,
            origin: new.origin.clone(),
            operation: new.operation,
            resource: cut(&new.resource, TEXT_BYTES_MAX).to_owned(),
            detail: cut(&new.detail, TEXT_BYTES_MAX).to_owned(),
            command_digest: Sha256::digest(new.command).into(),
            outcome: match new.outcome {
                AuditOutcome::Refused(Refusal { reason, message }) => AuditOutcome::Refused(
                    Refusal::new(reason, cut(&message, TEXT_BYTES_MAX).to_owned()),
                ),
                AuditOutcome::Done => AuditOutcome::Done,
            },
            hash: [0; 32],
        };
        record.hash = record.expected_hash(&self.head);
        self.head = record.hash;
        self.next_number += 1;
        self.records.push_back(record);
        while self.records.len() > self.records_max {
            if let Some(oldest) = self.records.pop_front() {
                self.anchor = oldest.hash;
            }
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.raw(&self.anchor);
        to.raw(&self.head);
        to.u64(self.next_number);
        to.u32(self.records.len() as u32);
        for record in &self.records {
            record.write_fields(to);
            to.raw(&record.hash);
        }
    }

    /// Reads what [`AuditLog::write`] wrote and verifies the chain.
    pub(crate) fn read(from: &mut Reader<'_>, records_max: usize) -> Result<Self, Undecodable> {
        let anchor = from.array()?;
        let head = from.array()?;
        let next_number = from.u64()?;
        // 37 fixed bytes, five strings' lengths, operation, digest, outcome and hash.
        let records = VecDeque::from(from.list(112, AuditRecord::read)?);
        let log = AuditLog { records, anchor, head, next_number, records_max };
        let follows = log.records.back().map_or(0, |last| last.number);
        if next_number == 0
            || log.verify().is_err()
            || (follows != 0 && follows.checked_add(1) != Some(next_number))
        {
            return from.wrong("the audit chain does not hold");
        }
        Ok(log)
    }
}
