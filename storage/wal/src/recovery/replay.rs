//! From frames to replicas: each item in the order of the log, newest wins.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use holdfast_base::{BootCount, Index, ReplicaId, ShardId, Term};

use super::{Cut, VerdictRow};
use crate::format::frame::{FrameHeader, Row, RowKind, parse_identity};
use crate::format::segment::{ReplicaRow, SegmentHeader};
use crate::item::{EntryRun, Extent, HardState, Identity};

/// Everything `Wal::recover` found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The boot count of this start.
    pub boot: BootCount,
    /// Every replica on this node.
    pub replicas: BTreeMap<ShardId, RecoveredReplica>,
    /// Replicas that are gone for good.
    pub tombstones: Vec<(ShardId, ReplicaId)>,
    /// Where the log was cut, if it was.
    pub cut: Option<Cut>,
    /// Every bad place found, in the order of the log.
    pub verdicts: Vec<VerdictRow>,
}

/// One replica as the log tells it.
#[derive(Clone, Debug)]
pub struct RecoveredReplica {
    /// Who it is.
    pub identity: Identity,
    /// Its newest hard state.
    pub hard_state: HardState,
    /// Its log is trimmed up to here; 0 while nothing is.
    pub trimmed: Index,
    /// Term of the entry at `trimmed`.
    pub trimmed_term: Term,
    /// Ascending, without a hole, from `trimmed + 1`.
    pub runs: Vec<EntryRun>,
    /// Where its log stops being readable. A damaged replica must not vote or append.
    pub damage: Option<Damage>,
}

impl RecoveredReplica {
    /// The last index that can be read; `trimmed` if there is none.
    #[must_use]
    pub fn last(&self) -> Index {
        self.runs.last().map_or(self.trimmed, |run| run.last)
    }
}

/// Durable bytes of a replica that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The first index that is lost; everything below is readable.
    pub from: Index,
    /// What is damaged.
    pub reason: DamageReason,
    /// The frame, where one is known.
    pub frame: Option<Extent>,
}

/// See [`Damage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DamageReason {
    /// The record bytes; commands are whole.
    Payload,
    /// The commands, and with them the payload's meaning.
    Commands,
    /// The header of a frame that the next frame's copy of its directory names.
    Header,
    /// A frame nothing names: it may have held anything of any replica, a vote included.
    LostFrames,
}

/// A replica while frames are read.
#[derive(Clone, Debug)]
pub(crate) struct Replaying {
    pub(crate) row: ReplicaRow,
    /// Runs, and whether `last_term` was cut off with the run's end and must be read again.
    pub(crate) runs: Vec<(EntryRun, bool)>,
    pub(crate) damage: Option<Damage>,
}

impl Replaying {
    fn new(row: ReplicaRow) -> Replaying {
        Replaying { row, runs: Vec::new(), damage: None }
    }

    fn last(&self) -> Index {
        self.runs.last().map_or(self.row.trimmed, |(run, _)| run.last)
    }

    /// Forgets everything ≥ `from`.
    fn truncate(&mut self, from: Index) {
        while let Some((run, cut)) = self.runs.last_mut() {
            if run.last < from {
                break;
            }
            if run.first < from {
                run.last = Index(from.0 - 1);
                *cut = true;
                break;
            }
            self.runs.pop();
        }
    }

    /// Commands from `from` on turned out unreadable.
    pub(crate) fn lose(&mut self, from: Index, frame: Extent) {
        self.damaged(Damage { from, reason: DamageReason::Commands, frame: Some(frame) });
    }

    fn damaged(&mut self, damage: Damage) {
        let earlier = self.damage.is_some_and(|known| known.from <= damage.from);
        if !earlier {
            self.truncate(damage.from);
            self.damage = Some(damage);
        }
    }
}

/// The state of all replicas at a place of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    pub(crate) replicas: BTreeMap<ShardId, Replaying>,
    pub(crate) tombstones: BTreeSet<(ShardId, ReplicaId)>,
    /// How far the newest table says that each replica is trimmed: segments that older tables still
    /// count on may be gone.
    trimmed: BTreeMap<(ShardId, ReplicaId), (Index, Term)>,
}

impl Replay {
    /// Before anything is read, for a log whose newest segment has `newest`.
    pub(crate) fn trimmed_as(newest: &SegmentHeader) -> Replay {
        let trimmed = |row: &ReplicaRow| {
            ((row.identity.shard, row.identity.replica), (row.trimmed, row.trimmed_term))
        };
        Replay { trimmed: newest.replicas.iter().map(trimmed).collect(), ..Replay::default() }
    }

    /// Takes over the table of a segment's header, which is the state at its opening whatever
    /// was read before.
    pub(crate) fn table(&mut self, header: &SegmentHeader) {
        self.tombstones = header.tombstones.iter().copied().collect();
        let mut before = std::mem::take(&mut self.replicas);
        for row in &header.replicas {
            let mut row = row.clone();
            let shard = row.identity.shard;
            if let Some((trimmed, term)) = self.trimmed.get(&(shard, row.identity.replica)) {
                row.trimmed = *trimmed;
                row.trimmed_term = *term;
            }
            let same = before
                .remove(&shard)
                .filter(|known| known.row.identity.replica == row.identity.replica);
            let mut replaying = same.unwrap_or_else(|| Replaying::new(row.clone()));
            replaying.row = row.clone();
            // The table knows the last index; fewer entries found means some were lost unseen.
            if replaying.last() < row.last && replaying.damage.is_none() {
                let from = replaying.last().next();
                replaying.damaged(Damage { from, reason: DamageReason::LostFrames, frame: None });
            }
            self.replicas.insert(shard, replaying);
        }
    }

    /// Takes in a valid frame.
    pub(crate) fn frame(&mut self, header: &FrameHeader, commands: &Bytes) {
        let frame = Extent {
            segment: header.segment,
            offset: header.offset,
            len_bytes: header.frame_bytes,
        };
        for row in &header.rows {
            self.row(row, frame, header.carried, Some(commands));
        }
    }

    /// Takes in one row of a directory; without commands an identity cannot be read.
    fn row(&mut self, row: &Row, frame: Extent, carried: bool, commands: Option<&Bytes>) {
        match row.kind {
            RowKind::Entries => self.entries(row, frame, carried),
            RowKind::HardState => {
                if let Some(replica) = self.replica(row.shard, row.replica) {
                    replica.row.hard_state = row.hard_state();
                }
            }
            RowKind::Identity => {
                let Some(identity) = commands.and_then(|bytes| parse_identity(row, bytes)) else {
                    return;
                };
                let replaying = self
                    .replicas
                    .entry(row.shard)
                    .or_insert_with(|| Replaying::new(ReplicaRow::new(identity.clone())));
                if replaying.row.identity.replica == identity.replica {
                    replaying.row.identity = identity;
                } else {
                    *replaying = Replaying::new(ReplicaRow::new(identity));
                }
            }
            RowKind::Tombstone => {
                self.tombstones.insert((row.shard, row.replica));
                if self.replica(row.shard, row.replica).is_some() {
                    self.replicas.remove(&row.shard);
                }
            }
        }
    }

    /// Takes in a run of entries: everything ≥ its first index was truncated by this write,
    /// unless it is a copy carried forward.
    pub(crate) fn entries(&mut self, row: &Row, frame: Extent, carried: bool) {
        let Some(replica) = self.replica(row.shard, row.replica) else { return };
        let mut first = row.first.max(replica.row.trimmed.next());
        if carried {
            first = first.max(replica.last().next());
        }
        if first > row.last {
            return;
        }
        // Damage at or above a later write was truncated by it; an unknown loss stays one.
        let overwritten = replica.damage.is_some_and(|damage| {
            damage.reason != DamageReason::LostFrames && row.first <= damage.from
        });
        if overwritten {
            replica.damage = None;
        }
        replica.truncate(first);
        replica.row.last = row.last;
        if replica.damage.is_some() {
            return;
        }
        if first > replica.last().next() {
            let from = replica.last().next();
            replica.damaged(Damage { from, reason: DamageReason::LostFrames, frame: None });
            return;
        }
        let run =
            EntryRun { shard: row.shard, first, last: row.last, last_term: row.last_term, frame };
        replica.runs.push((run, false));
    }

    /// A frame whose directory is known and whose body (or header) is damaged: what the
    /// directory itself holds still counts, entries are lost from their first index on.
    pub(crate) fn damaged_rows(
        &mut self,
        rows: &[Row],
        frame: Option<Extent>,
        reason: DamageReason,
    ) {
        let place = frame.unwrap_or_default();
        for row in rows {
            match row.kind {
                RowKind::HardState | RowKind::Tombstone => self.row(row, place, false, None),
                RowKind::Identity if reason == DamageReason::Payload => {}
                RowKind::Identity => {
                    if let Some(replica) = self.replica(row.shard, row.replica) {
                        let from = replica.last().next();
                        replica.damaged(Damage { from, reason, frame });
                    }
                }
                RowKind::Entries => {
                    if let Some(replica) = self.replica(row.shard, row.replica) {
                        if replica.damage.is_some_and(|known| known.from >= row.first) {
                            replica.damage = None;
                        }
                        replica.truncate(row.first);
                        replica.row.last = row.last;
                        let from = row.first.min(replica.last().next());
                        replica.damaged(Damage { from, reason, frame });
                    }
                }
            }
        }
    }

    /// Frames are gone and nothing names what they held: every replica may have lost a vote or
    /// entries, and may have been truncated down to what it knows committed.
    pub(crate) fn lost_frames(&mut self) {
        for replica in self.replicas.values_mut() {
            let committed = replica.row.hard_state.commit.next();
            let from = committed.min(replica.last().next()).max(replica.row.trimmed.next());
            replica.damaged(Damage { from, reason: DamageReason::LostFrames, frame: None });
        }
    }

    fn replica(&mut self, shard: ShardId, replica: ReplicaId) -> Option<&mut Replaying> {
        self.replicas.get_mut(&shard).filter(|known| known.row.identity.replica == replica)
    }
}
