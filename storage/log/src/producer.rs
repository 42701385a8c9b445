//! What a partition remembers of an idempotent producer, and how it judges the next batch.
//!
//! ```text
//! known?  epoch       sequence                                      verdict
//! no      any         any                                           accept
//! yes     older       any                                           StaleProducerEpoch
//! yes     newer       0                                             accept
//! yes     newer       else                                          OutOfOrderSequence
//! yes     same        first and last of a remembered batch          duplicate of that batch
//! yes     same        the one after the last (2^31-1 wraps to 0)    accept
//! yes     same        else                                          OutOfOrderSequence
//! ```
//!
//! The rules are Kafka's (`ProducerAppendInfo`, `semantics.md` 9), the order of the rows too. A
//! duplicate older than the remembered batches is out of order, as there.
//!
//! Invariant: at most [`REMEMBERED_BATCHES`] batches, oldest first, all of one epoch.

use crate::planted::PlantedBugs;
use crate::refusal::Refused;

/// As many as Kafka's clients keep in flight at most.
pub const REMEMBERED_BATCHES: usize = 5;

/// Producer id, epoch and sequence of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// -1 without idempotence; then the rest means nothing.
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) last_offset_delta: i32,
}

impl Stamp {
    /// Whether the numbers belong together; what is wrong if not.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        if self.producer_id < -1 {
            return Err(Refused::InvalidRecord { what: "producer id below -1" });
        }
        if self.producer_id >= 0 && (self.epoch < 0 || self.base_sequence < 0) {
            return Err(Refused::InvalidRecord {
                what: "a producer id without producer epoch and sequence",
            });
        }
        Ok(())
    }

    fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// `steps` after `sequence`: 2^31-1 is followed by 0.
fn sequence_after(sequence: i32, steps: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(steps);
    i32::try_from(sum.rem_euclid(1 << 31)).expect("a remainder of 2^31 fits i32")
}

/// A batch that may come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RememberedBatch {
    /// Sequence of its first record.
    pub base_sequence: i32,
    /// Records less one.
    pub last_offset_delta: i32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// What its producer was told: -1 unless LogAppendTime.
    pub log_append_time_ms: i64,
}

impl RememberedBatch {
    /// Offset of its last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Sequence of its last record.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// One producer id in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Producer {
    epoch: i16,
    /// ≤ `REMEMBERED_BATCHES`, ≥ 1.
    len: u8,
    batches: [RememberedBatch; REMEMBERED_BATCHES],
    last_seen_ms: i64,
}

impl Producer {
    /// A producer seen for the first time, or with a new epoch.
    pub(crate) fn begin(epoch: i16, batch: RememberedBatch, now_ms: i64) -> Self {
        let mut batches = [RememberedBatch::default(); REMEMBERED_BATCHES];
        batches[0] = batch;
        Producer { epoch, len: 1, batches, last_seen_ms: now_ms }
    }

    /// Rebuilds from a snapshot; `None` when the number of batches is wrong.
    pub(crate) fn from_parts(
        epoch: i16,
        remembered: impl ExactSizeIterator<Item = RememberedBatch>,
        last_seen_ms: i64,
    ) -> Option<Self> {
        let count = remembered.len();
        if count == 0 || count > REMEMBERED_BATCHES {
            return None;
        }
        let mut batches = [RememberedBatch::default(); REMEMBERED_BATCHES];
        for (slot, batch) in batches.iter_mut().zip(remembered) {
            *slot = batch;
        }
        let len = u8::try_from(count).expect("at most five");
        Some(Producer { epoch, len, batches, last_seen_ms })
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> i16 {
        self.epoch
    }

    /// Entry time of its last batch.
    #[must_use]
    pub fn last_seen_ms(&self) -> i64 {
        self.last_seen_ms
    }

    /// What may come again, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[RememberedBatch] {
        &self.batches[..usize::from(self.len)]
    }

    /// The newest batch.
    #[must_use]
    pub fn last(&self) -> &RememberedBatch {
        self.batches().last().expect("a producer is known by at least one batch")
    }

    /// Notes an accepted batch.
    pub(crate) fn note(&mut self, epoch: i16, batch: RememberedBatch, now_ms: i64) {
        if epoch != self.epoch {
            *self = Producer::begin(epoch, batch, now_ms);
            return;
        }
        if usize::from(self.len) == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
        } else {
            self.len += 1;
        }
        self.batches[usize::from(self.len) - 1] = batch;
        self.last_seen_ms = now_ms;
    }
}

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accept,
    Duplicate(RememberedBatch),
}

/// The table above.
pub(crate) fn judge(
    known: Option<&Producer>,
    stamp: &Stamp,
    bugs: PlantedBugs,
) -> Result<Verdict, Refused> {
    let Some(known) = known else {
        return Ok(Verdict::Accept);
    };
    if stamp.epoch < known.epoch {
        if bugs.epoch_compared_wrong {
            return Ok(Verdict::Accept);
        }
        return Err(Refused::StaleProducerEpoch { have: known.epoch, named: stamp.epoch });
    }
    if stamp.epoch > known.epoch {
        if stamp.base_sequence == 0 {
            return Ok(Verdict::Accept);
        }
        return Err(Refused::OutOfOrderSequence { expected: 0, got: stamp.base_sequence });
    }
    let duplicate = known.batches().iter().find(|batch| {
        batch.base_sequence == stamp.base_sequence && batch.last_sequence() == stamp.last_sequence()
    });
    if let Some(batch) = duplicate {
        if bugs.duplicate_appended {
            return Ok(Verdict::Accept);
        }
        return Ok(Verdict::Duplicate(*batch));
    }
    let expected = sequence_after(known.last().last_sequence(), 1);
    if stamp.base_sequence == expected {
        return Ok(Verdict::Accept);
    }
    Err(Refused::OutOfOrderSequence { expected, got: stamp.base_sequence })
}
