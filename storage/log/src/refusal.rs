//! Two ways not to do something: a refusal, which is a result every replica agrees on, and a
//! broken invariant, after which this replica must not go on.

use thiserror::Error;

/// A command or a request that was not carried out. At `apply` every replica refuses alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// Not in this shard: never created, or removed.
    #[error("the partition does not exist in this shard; refresh metadata")]
    UnknownPartition,
    /// The command names another life of the partition.
    #[error("the partition has generation {have}, the command names {named}; refresh metadata")]
    WrongGeneration {
        /// Of the partition.
        have: u32,
        /// By the command.
        named: u32,
    },
    /// Larger than `max.message.bytes`.
    #[error(
        "the batch has {bytes} bytes, max.message.bytes is {limit_bytes}; send smaller batches"
    )]
    TooLarge {
        /// Of the batch.
        bytes: u64,
        /// Of the topic.
        limit_bytes: u64,
    },
    /// Outside `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`.
    #[error(
        "record timestamp {timestamp_ms} is too far from {now_ms}; check the producer's clock or \
         message.timestamp.before.max.ms and message.timestamp.after.max.ms"
    )]
    InvalidTimestamp {
        /// The offending one.
        timestamp_ms: i64,
        /// What the leader believes.
        now_ms: i64,
    },
    /// A batch this shard cannot hold.
    #[error("the batch cannot be stored: {what}")]
    InvalidRecord {
        /// Why.
        what: &'static str,
    },
    /// A zombie: a newer epoch of this producer id has written.
    #[error("producer epoch {named} is fenced by epoch {have}; initialise the producer again")]
    StaleProducerEpoch {
        /// Known here.
        have: i16,
        /// Sent.
        named: i16,
    },
    /// A gap, a reordering, or a duplicate older than the batches remembered.
    #[error("expected sequence {expected} from this producer, got {got}; retry in order")]
    OutOfOrderSequence {
        /// The one that follows.
        expected: i32,
        /// The one that came.
        got: i32,
    },
    /// At `apply`: the batch is in the log already. The leader finds this when it decides, so at
    /// `apply` it means that the leader was wrong.
    #[error("the batch is in the log already, at offset {base_offset}")]
    AlreadyAppended {
        /// Where.
        base_offset: i64,
    },
    /// At `apply`: the offset decided is not the partition's end.
    #[error("the batch was decided for offset {got}, the log ends at {expected}; retry")]
    OffsetMismatch {
        /// The end.
        expected: i64,
        /// In the command.
        got: i64,
    },
    /// At `apply`: an earlier batch of this partition in the same entry was refused.
    #[error("a batch in front of this one was refused; retry both in order")]
    BehindRefused,
    /// At `apply`: the epoch in the command is not `epoch_base + term`.
    #[error("the batch was decided under leader epoch {got}, not {expected}; retry")]
    WrongLeaderEpoch {
        /// `epoch_base + term`.
        expected: i32,
        /// In the command.
        got: i32,
    },
    /// `epoch_base + term` leaves 31 bits. Never wraps: clients would go backwards.
    #[error("the leader epoch would exceed 2^31-1; re-create the topic")]
    EpochOverflow,
    /// Offsets leave 63 bits.
    #[error("the partition's offsets are used up; re-create the topic")]
    OffsetOverflow,
    /// A log start outside `0..=high_watermark`.
    #[error("offset {asked} lies outside 0..={high_watermark}")]
    OffsetOutOfRange {
        /// As asked.
        asked: i64,
        /// The end of the applied log.
        high_watermark: i64,
    },
    /// A group's record, one of its texts, or its command is larger than any entry takes. Never a
    /// result of apply.
    #[error(
        "the group's data has {bytes} bytes where {limit_bytes} fit; use fewer or smaller \
         members, or commit fewer offsets at once"
    )]
    GroupTooLarge {
        /// Asked for.
        bytes: u64,
        /// The limit that it exceeds.
        limit_bytes: u64,
    },
    /// A group's record that no replica would read. Never a result of apply.
    #[error("the group cannot be stored: {what}")]
    InvalidGroup {
        /// Why.
        what: &'static str,
    },
    /// A command about an object that its state, or its shard's, does not allow: of another reign, or
    /// done already.
    #[error("the object's step cannot be taken: {what}; look at its state again")]
    InvalidObject {
        /// Why.
        what: &'static str,
    },
    /// Nothing was decided: what the leader decided for this partition before is void and not yet
    /// out of the log. Never a result of apply.
    #[error("the partition settles after a refused batch; retry")]
    Unsettled,
    /// Nothing was decided: finish this entry, begin another, ask again. Never a result of apply.
    #[error("the entry is full; begin a new one")]
    EntryFull,
}

impl Refused {
    /// One stable word, for metrics and the state hash.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Refused::UnknownPartition => "unknown_partition",
            Refused::WrongGeneration { .. } => "wrong_generation",
            Refused::TooLarge { .. } => "too_large",
            Refused::InvalidTimestamp { .. } => "invalid_timestamp",
            Refused::InvalidRecord { .. } => "invalid_record",
            Refused::StaleProducerEpoch { .. } => "stale_producer_epoch",
            Refused::OutOfOrderSequence { .. } => "out_of_order_sequence",
            Refused::AlreadyAppended { .. } => "already_appended",
            Refused::OffsetMismatch { .. } => "offset_mismatch",
            Refused::BehindRefused => "behind_refused",
            Refused::WrongLeaderEpoch { .. } => "wrong_leader_epoch",
            Refused::EpochOverflow => "epoch_overflow",
            Refused::OffsetOverflow => "offset_overflow",
            Refused::OffsetOutOfRange { .. } => "offset_out_of_range",
            Refused::GroupTooLarge { .. } => "group_too_large",
            Refused::InvalidGroup { .. } => "invalid_group",
            Refused::InvalidObject { .. } => "invalid_object",
            Refused::Unsettled => "unsettled",
            Refused::EntryFull => "entry_full",
        }
    }
}

/// This replica's own state or log cannot be trusted any more: stop it, keep the evidence.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("broken invariant: {what}; the replica must be quarantined and replaced")]
pub struct BrokenInvariant {
    /// What was found, for a person.
    pub what: String,
}

impl BrokenInvariant {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        BrokenInvariant { what: what.into() }
    }
}
