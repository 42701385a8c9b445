//! What can be wrong with a history. Each variant says what was promised and broken.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value and where it was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Payload {
    /// Offset in the partition.
    pub offset: i64,
    /// The record's value.
    pub value: u64,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "anomaly", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Anomaly {
    /// Acknowledged, and the final read passed its place without it.
    LostWrite {
        /// Where it was sent.
        partition: String,
        /// What and where it was acknowledged.
        acked: Payload,
    },
    /// Seen by a reader, and the final read passed its place without it.
    LostRead {
        /// Where.
        partition: String,
        /// What was seen.
        seen: Payload,
    },
    /// Two values at one offset.
    InconsistentOffsets {
        /// Where.
        partition: String,
        /// The offset.
        offset: i64,
        /// The value told first.
        first: u64,
        /// The value told later.
        second: u64,
        /// Whether the two were told by readers; else an acknowledgement takes part.
        among_readers: bool,
    },
    /// Acknowledged at one offset, found only at another.
    AckedOffsetDiffers {
        /// Where.
        partition: String,
        /// As acknowledged.
        acked: Payload,
        /// As read.
        read_offset: i64,
    },
    /// An idempotent producer's record is there more than once.
    Duplicate {
        /// Where.
        partition: String,
        /// The value.
        value: u64,
        /// First place.
        first: i64,
        /// Another place.
        second: i64,
    },
    /// A value nobody sent to this partition.
    Phantom {
        /// Where.
        partition: String,
        /// What.
        read: Payload,
    },
    /// A value whose send certainly failed.
    FailedWriteRead {
        /// Where.
        partition: String,
        /// What.
        read: Payload,
    },
    /// An assigned reader was given an offset at or below one it had.
    NonmonotonicPoll {
        /// Where.
        partition: String,
        /// Who.
        process: u32,
        /// The offset expected at least.
        expected: i64,
        /// The offset given.
        got: i64,
        /// Within one answer.
        internal: bool,
    },
    /// An assigned reader was not given records that are there.
    PollSkip {
        /// Where.
        partition: String,
        /// Who.
        process: u32,
        /// First record that was left out.
        skipped: Payload,
        /// The offset it was given instead.
        got: i64,
        /// Within one answer.
        internal: bool,
    },
    /// A producer's records lie in another order than it sent them.
    NonmonotonicSend {
        /// Where.
        partition: String,
        /// Who.
        process: u32,
        /// Sent first, yet lies at or behind the other.
        earlier: Payload,
        /// Sent later.
        later: Payload,
        /// Within one batch.
        internal: bool,
    },
    /// No record at these offsets, and records behind.
    OffsetGap {
        /// Where.
        partition: String,
        /// First offset that is missing.
        from: i64,
        /// First offset that is there again.
        to: i64,
    },
    /// The high watermark went back.
    HighWatermarkRegress {
        /// Where.
        partition: String,
        /// What had been answered before.
        before: i64,
        /// What was answered then.
        after: i64,
        /// Same node and leader epoch; else among all answers.
        same_leader: bool,
    },
    /// A record at or above the high watermark of the same answer.
    ReadAboveHighWatermark {
        /// Where.
        partition: String,
        /// What.
        read: Payload,
        /// The answer's high watermark.
        high_watermark: i64,
    },
    /// A node showed an older leader epoch than before.
    LeaderEpochRegress {
        /// Where.
        partition: String,
        /// Who showed it.
        node: u32,
        /// Shown before.
        before: i32,
        /// Shown then.
        after: i32,
    },
    /// One leader epoch, two leaders.
    TwoLeaders {
        /// Where.
        partition: String,
        /// The epoch.
        leader_epoch: i32,
        /// One.
        first: u32,
        /// Another.
        second: u32,
    },
    /// After healing a final reader did not reach acknowledged records.
    Unseen {
        /// Where.
        partition: String,
        /// Who.
        process: u32,
        /// Where its reading ended.
        read_to: i64,
        /// Where the acknowledged records or the high watermark end.
        end: i64,
    },
    /// Records were acknowledged and nobody read the partition to its end.
    NoFinalRead {
        /// Where.
        partition: String,
    },
    /// The log start passed what DeleteRecords ever asked for.
    UnrequestedDelete {
        /// Where.
        partition: String,
        /// Asked for.
        requested: i64,
        /// Shown.
        log_start: i64,
    },
    /// Two copies of a partition differ.
    ReplicasDiffer {
        /// Where.
        partition: String,
        /// Up to this offset.
        end_offset: i64,
        /// One place.
        first: String,
        /// Another.
        second: String,
    },
    /// An administrative call that was done has no audit record.
    ActionWithoutAudit {
        /// Its key.
        key: String,
    },
    /// An audit record nobody's call explains.
    AuditWithoutAction {
        /// Its key.
        key: String,
    },
    /// One call, several audit records.
    AuditTwice {
        /// Its key.
        key: String,
    },
    /// The audit record tells another outcome than the caller was told.
    AuditOutcomeDiffers {
        /// Its key.
        key: String,
    },
    /// A commit was acknowledged, and later another one before it is shown, or none.
    LostCommit {
        /// Of which group.
        group: String,
        /// Where.
        partition: String,
        /// The offset committed.
        committed: i64,
        /// The offset shown; -1 when there is none.
        shown: i64,
    },
    /// A committed offset is shown that nobody sent.
    InventedCommit {
        /// Of which group.
        group: String,
        /// Where.
        partition: String,
        /// What is shown.
        offset: i64,
        /// The commit it claims to come from.
        value: u64,
    },
    /// A committed offset is shown whose commit certainly failed.
    FailedCommitShown {
        /// Of which group.
        group: String,
        /// Where.
        partition: String,
        /// What is shown.
        offset: i64,
    },
    /// After an assignment a group went on from an offset that was not the committed one.
    ResumedElsewhere {
        /// Of which group.
        group: String,
        /// Where.
        partition: String,
        /// The newest offset known to be committed; -1 when there is none.
        committed: i64,
        /// Offset of the first record it was given.
        got: i64,
    },
    /// An acknowledged record that a group was never given.
    NotConsumed {
        /// Which group.
        group: String,
        /// Where.
        partition: String,
        /// What.
        acked: Payload,
    },
    /// A commit of an older generation was acknowledged.
    ZombieCommit {
        /// Which group.
        group: String,
        /// Who.
        member: String,
        /// Of the commit.
        generation: i32,
        /// Known before it was sent.
        newer: i32,
    },
    /// A member was let into an older generation than one that is known.
    GenerationRegress {
        /// Which group.
        group: String,
        /// Who.
        member: String,
        /// Known before it asked.
        before: i32,
        /// Told then.
        after: i32,
    },
    /// A member got a part that no leader of that generation sent for it.
    InventedAssignment {
        /// Which group.
        group: String,
        /// Who.
        member: String,
        /// Of the assignment.
        generation: i32,
    },
    /// Members of one generation got parts of two plans.
    TwoAssignments {
        /// Which group.
        group: String,
        /// Which generation.
        generation: i32,
    },
    /// The history contradicts itself: a fault of the test, not of the system.
    BadHistory {
        /// How.
        why: String,
    },
}

impl Anomaly {
    /// Its name, as in the JSON form.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Anomaly::LostWrite { .. } => "lost-write",
            Anomaly::LostRead { .. } => "lost-read",
            Anomaly::InconsistentOffsets { .. } => "inconsistent-offsets",
            Anomaly::AckedOffsetDiffers { .. } => "acked-offset-differs",
            Anomaly::Duplicate { .. } => "duplicate",
            Anomaly::Phantom { .. } => "phantom",
            Anomaly::FailedWriteRead { .. } => "failed-write-read",
            Anomaly::NonmonotonicPoll { .. } => "nonmonotonic-poll",
            Anomaly::PollSkip { .. } => "poll-skip",
            Anomaly::NonmonotonicSend { .. } => "nonmonotonic-send",
            Anomaly::OffsetGap { .. } => "offset-gap",
            Anomaly::HighWatermarkRegress { .. } => "high-watermark-regress",
            Anomaly::ReadAboveHighWatermark { .. } => "read-above-high-watermark",
            Anomaly::LeaderEpochRegress { .. } => "leader-epoch-regress",
            Anomaly::TwoLeaders { .. } => "two-leaders",
            Anomaly::Unseen { .. } => "unseen",
            Anomaly::NoFinalRead { .. } => "no-final-read",
            Anomaly::UnrequestedDelete { .. } => "unrequested-delete",
            Anomaly::ReplicasDiffer { .. } => "replicas-differ",
            Anomaly::ActionWithoutAudit { .. } => "action-without-audit",
            Anomaly::AuditWithoutAction { .. } => "audit-without-action",
            Anomaly::AuditTwice { .. } => "audit-twice",
            Anomaly::AuditOutcomeDiffers { .. } => "audit-outcome-differs",
            Anomaly::LostCommit { .. } => "lost-commit",
            Anomaly::InventedCommit { .. } => "invented-commit",
            Anomaly::FailedCommitShown { .. } => "failed-commit-shown",
            Anomaly::ResumedElsewhere { .. } => "resumed-elsewhere",
            Anomaly::NotConsumed { .. } => "not-consumed",
            Anomaly::ZombieCommit { .. } => "zombie-commit",
            Anomaly::GenerationRegress { .. } => "generation-regress",
            Anomaly::InventedAssignment { .. } => "invented-assignment",
            Anomaly::TwoAssignments { .. } => "two-assignments",
            Anomaly::BadHistory { .. } => "bad-history",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = |internal: bool| if internal { " within one call" } else { "" };
        match self {
            Anomaly::LostWrite { partition, acked: Payload { offset, value } } => write!(
                f,
                "{partition}: value {value} was acknowledged at {offset} and is not in the final \
                 read"
            ),
            Anomaly::LostRead { partition, seen: Payload { offset, value } } => write!(
                f,
                "{partition}: value {value} was read at {offset} and is not in the final read"
            ),
            Anomaly::InconsistentOffsets { partition, offset, first, second, among_readers } => {
                let who = if *among_readers { "two readers" } else { "acknowledged and read" };
                write!(f, "{partition}: offset {offset} is {first} and {second} ({who})")
            }
            Anomaly::AckedOffsetDiffers { partition, acked, read_offset } => write!(
                f,
                "{partition}: value {} was acknowledged at {} and lies at {read_offset}",
                acked.value, acked.offset
            ),
            Anomaly::Duplicate { partition, value, first, second } => write!(
                f,
                "{partition}: value {value} of an idempotent producer lies at {first} and {second}"
            ),
            Anomaly::Phantom { partition, read } => write!(
                f,
                "{partition}: value {} at {} was never sent there",
                read.value, read.offset
            ),
            Anomaly::FailedWriteRead { partition, read } => write!(
                f,
                "{partition}: value {} at {} belongs to a send that failed for certain",
                read.value, read.offset
            ),
            Anomaly::NonmonotonicPoll { partition, process, expected, got, internal } => write!(
                f,
                "{partition}: process {process} was at {expected} and was given {got}{}",
                inside(*internal)
            ),
            Anomaly::PollSkip { partition, process, skipped, got, internal } => write!(
                f,
                "{partition}: process {process} was given {got} and not value {} at {}{}",
                skipped.value,
                skipped.offset,
                inside(*internal)
            ),
            Anomaly::NonmonotonicSend { partition, process, earlier, later, internal } => write!(
                f,
                "{partition}: process {process} sent value {} before {}, which lie at {} and {}{}",
                earlier.value,
                later.value,
                earlier.offset,
                later.offset,
                inside(*internal)
            ),
            Anomaly::OffsetGap { partition, from, to } => {
                write!(f, "{partition}: offsets {from} to {} are missing", to - 1)
            }
            Anomaly::HighWatermarkRegress { partition, before, after, same_leader } => write!(
                f,
                "{partition}: the high watermark went from {before} to {after}{}",
                if *same_leader { " in one leader epoch of one node" } else { "" }
            ),
            Anomaly::ReadAboveHighWatermark { partition, read, high_watermark } => write!(
                f,
                "{partition}: offset {} was read while the high watermark was {high_watermark}",
                read.offset
            ),
            Anomaly::LeaderEpochRegress { partition, node, before, after } => {
                write!(f, "{partition}: node {node} showed leader epoch {after} after {before}")
            }
            Anomaly::TwoLeaders { partition, leader_epoch, first, second } => write!(
                f,
                "{partition}: leader epoch {leader_epoch} has the leaders {first} and {second}"
            ),
            Anomaly::Unseen { partition, process, read_to, end } => {
                write!(f, "{partition}: after healing process {process} read to {read_to} of {end}")
            }
            Anomaly::NoFinalRead { partition } => {
                write!(f, "{partition}: nobody read it to its end, so nothing can be concluded")
            }
            Anomaly::UnrequestedDelete { partition, requested, log_start } => write!(
                f,
                "{partition}: the log starts at {log_start} and deletion was asked to {requested}"
            ),
            Anomaly::ReplicasDiffer { partition, end_offset, first, second } => {
                write!(f, "{partition}: {first} and {second} differ below offset {end_offset}")
            }
            Anomaly::ActionWithoutAudit { key } => write!(f, "'{key}' was done and not audited"),
            Anomaly::AuditWithoutAction { key } => write!(f, "'{key}' was audited and not asked"),
            Anomaly::AuditTwice { key } => write!(f, "'{key}' was audited more than once"),
            Anomaly::AuditOutcomeDiffers { key } => {
                write!(f, "'{key}' was audited with another outcome than its caller was told")
            }
            Anomaly::LostCommit { group, partition, committed, shown } => write!(
                f,
                "{group}: {committed} was committed for {partition}, and later {shown} is shown"
            ),
            Anomaly::InventedCommit { group, partition, offset, value } => write!(
                f,
                "{group}: {offset} of commit {value} is shown for {partition}, and nobody sent it"
            ),
            Anomaly::FailedCommitShown { group, partition, offset } => write!(
                f,
                "{group}: {offset} is shown for {partition} and its commit failed for certain"
            ),
            Anomaly::ResumedElsewhere { group, partition, committed, got } => write!(
                f,
                "{group}: {committed} was committed for {partition}, and it went on from {got}"
            ),
            Anomaly::NotConsumed { group, partition, acked: Payload { offset, value } } => write!(
                f,
                "{group}: was never given value {value}, acknowledged for {partition} at {offset}"
            ),
            Anomaly::ZombieCommit { group, member, generation, newer } => write!(
                f,
                "{group}: {member} committed in generation {generation} after {newer} was known"
            ),
            Anomaly::GenerationRegress { group, member, before, after } => {
                write!(f, "{group}: {member} was let into generation {after} after {before}")
            }
            Anomaly::InventedAssignment { group, member, generation } => write!(
                f,
                "{group}: {member} got a part in generation {generation} that no leader sent for it"
            ),
            Anomaly::TwoAssignments { group, generation } => {
                write!(f, "{group}: generation {generation} got parts of two plans")
            }
            Anomaly::BadHistory { why } => write!(f, "the history contradicts itself: {why}"),
        }
    }
}

/// An anomaly and the lines that prove it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    #[serde(flatten)]
    pub anomaly: Anomaly,
    /// Lines of the history, from 1, as they were told.
    pub evidence: Vec<u64>,
}
