//! The checker's tables. Line 0 means "never": lines count from 1.

use std::collections::BTreeMap;

use crate::event::Producer;

/// How a record's send ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Perhaps there: never completed, info, or acks=0.
    Unknown,
    /// Promised to be there.
    Acked,
    /// Promised not to be there.
    Failed,
}

/// One record, by its unique value.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) partition: usize,
    pub(super) idempotent: bool,
    pub(super) fate: Fate,
    pub(super) sent_line: u64,
    pub(super) done_line: u64,
    pub(super) acked_at_ns: u64,
    /// -1: not acknowledged, or without an offset.
    pub(super) acked_offset: i64,
    /// Where it was read first; -1: nowhere.
    pub(super) read_offset: i64,
    pub(super) read_line: u64,
    /// Different offsets at which it was read.
    pub(super) copies: u32,
}

/// One offset.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Slot {
    pub(super) read: u64,
    pub(super) read_line: u64,
    pub(super) final_line: u64,
    pub(super) acked: u64,
    pub(super) acked_line: u64,
}

/// A position that should only grow, and when it had grown how far.
#[derive(Default, Debug)]
pub(super) struct Steps {
    /// Both grow.
    steps: Vec<Step>,
}

/// By `line` the position was `at`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) line: u64,
    pub(super) at: i64,
    /// Which value brought it there, where that matters.
    pub(super) value: u64,
}

impl Steps {
    pub(super) fn reach(&mut self, step: Step) {
        if self.steps.last().is_none_or(|last| step.at > last.at) {
            self.steps.push(step);
        }
    }

    /// The furthest it was known to be before that line.
    pub(super) fn before(&self, line: u64) -> Option<Step> {
        let count = self.steps.partition_point(|step| step.line < line);
        self.steps[..count].last().copied()
    }
}

/// A partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: String,
    pub(super) slots: BTreeMap<i64, Slot>,
    /// High watermarks answered and ends of acknowledged batches.
    pub(super) high_watermark: Steps,
    /// By node and leader epoch.
    pub(super) high_watermark_of: BTreeMap<(u32, i32), Steps>,
    /// By node and boot count: epochs shown.
    pub(super) epochs: BTreeMap<(u32, u64), Steps>,
    /// By epoch: the leader and the line that names it.
    pub(super) leaders: BTreeMap<i32, (u32, u64)>,
    pub(super) delete_requested: i64,
    /// Highest ever shown.
    pub(super) log_start: i64,
    pub(super) acked: bool,
    /// By end offset: place, hash, line.
    pub(super) hashes: BTreeMap<i64, (String, String, u64)>,
    /// Answers that went past offsets: judged when all offsets are known.
    pub(super) jumps: Vec<Jump>,
}

/// A reader was given `to` where `from` was next.
#[derive(Debug)]
pub(super) struct Jump {
    pub(super) process: u32,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) internal: bool,
    pub(super) line: u64,
}

impl Partition {
    pub(super) fn new(name: &str) -> Self {
        Partition {
            name: name.to_owned(),
            slots: BTreeMap::new(),
            high_watermark: Steps::default(),
            high_watermark_of: BTreeMap::new(),
            epochs: BTreeMap::new(),
            leaders: BTreeMap::new(),
            delete_requested: 0,
            log_start: 0,
            acked: false,
            hashes: BTreeMap::new(),
            jumps: Vec::new(),
        }
    }
}

/// Whose records must lie in the order they were sent: one producer's to one partition.
pub(super) type StreamKey = (u32, usize, i64, i16);

pub(super) fn stream_key(process: u32, partition: usize, producer: Option<Producer>) -> StreamKey {
    let (id, epoch) = producer.map_or((-1, -1), |producer| (producer.id, producer.epoch));
    (process, partition, id, epoch)
}

/// Records in the order of their sends.
#[derive(Default, Debug)]
pub(super) struct Stream {
    pub(super) values: Vec<u64>,
    /// Where acknowledged batches end.
    pub(super) acked: Steps,
}

/// A reader of a partition.
#[derive(Default, Debug)]
pub(super) struct Reader {
    /// The offset behind the last record.
    pub(super) next: Option<i64>,
    pub(super) line: u64,
    pub(super) final_read: Option<FinalRead>,
}

/// How far a final read came.
#[derive(Default, Debug)]
pub(super) struct FinalRead {
    pub(super) next: i64,
    pub(super) high_watermark: Option<i64>,
    /// The last answer was empty.
    pub(super) ended: bool,
    pub(super) line: u64,
}

impl FinalRead {
    /// Whether it came to what its own answers called the end.
    pub(super) fn is_complete(&self) -> bool {
        self.high_watermark.map_or(self.ended, |end| self.next >= end)
    }
}

/// A call that is not completed.
#[derive(Debug)]
pub(super) enum OpenCall {
    Send(OpenSend),
    Poll(OpenPoll),
    Other { line: u64 },
}

#[derive(Debug)]
pub(super) struct OpenSend {
    pub(super) line: u64,
    pub(super) partition: usize,
    pub(super) stream: StreamKey,
    pub(super) values: Vec<u64>,
    pub(super) acks: i16,
    pub(super) idempotent: bool,
}

#[derive(Debug)]
pub(super) struct OpenPoll {
    pub(super) line: u64,
    pub(super) position: Option<i64>,
}
