//! What changed of each shard's state goes to a store beside the log, so that a start need not read
//! what was applied before.
//!
//! ```text
//! applied ─▶ every second ─▶ Keep: rows that changed ─▶ Written ─┐ one under way per shard
//!            every 30 s, or when trimming waits ─▶ Flush ────────┴─▶ Flushed: checkpointed moves
//! Lost ─▶ every shard whole again
//! ```
//!
//! Invariants: `checkpointed` is the entry that the last changes handed out before a finished flush
//! reflect, never more. While the store fails nothing is handed out but what was: the changes gather
//! as marks in the state, which are no more than the state has rows.
//!
//! Caveat: without an object store nothing is ever trimmed, so nothing is kept either.

use std::collections::BTreeMap;

use holdfast_base::{Index, Now, ShardId};
use holdfast_io::Disk;

use super::Lane;
use crate::request::{Answer, Ticket};
use crate::state_work::{KeptChanges, LocalState, StateKept, StateWork};

/// Changes are handed out this often.
const KEEP_NS: u64 = 1_000_000_000;
/// Or when so many rows have changed: about 4 MiB.
const KEEP_ROWS: usize = 32_768;
/// A flush that the log waits for is not made more often than this.
const PRESSED_FLUSH_NS: u64 = 1_000_000_000;
/// Or when so many entries were applied: what a start has to apply again. At a hundred bytes of
/// commands an entry about 64 MiB.
const FLUSH_ENTRIES: u64 = 600_000;

#[derive(Debug, Default)]
pub(super) struct Keeping {
    on: bool,
    life: u64,
    shards: BTreeMap<ShardId, Local>,
    work: Vec<StateWork>,
    flush_under_way: bool,
    last_flush_ns: u64,
}

/// The state of one shard in the store.
#[derive(Debug)]
struct Local {
    /// Nothing of it is there yet.
    whole: bool,
    under_way: bool,
    /// What was handed out last reflects this.
    handed: Index,
    /// As it was when the flush under way was asked for.
    flushing: Index,
    /// Survives any crash.
    checkpointed: Index,
    last_ns: u64,
}

const NOTHING: Index = Index(0);

impl Keeping {
    pub(super) fn begin<'a>(
        on: bool,
        shards: impl Iterator<Item = &'a ShardId>,
        local: &BTreeMap<ShardId, LocalState>,
        now: Now,
    ) -> Keeping {
        let entry = |shard: &ShardId| {
            let state = local.get(shard);
            let there = state.map_or(NOTHING, |state| state.applied);
            let last_ns = now.boottime_ns;
            let whole = state.is_none();
            let (handed, flushing, checkpointed) = (there, there, there);
            (*shard, Local { whole, under_way: false, handed, flushing, checkpointed, last_ns })
        };
        Keeping {
            on,
            shards: shards.map(entry).collect(),
            last_flush_ns: now.boottime_ns,
            ..Keeping::default()
        }
    }

    /// How far the log may go, by what is kept here.
    pub(super) fn checkpointed(&self, shard: ShardId) -> Index {
        if !self.on {
            return Index(u64::MAX);
        }
        self.shards.get(&shard).map_or(NOTHING, |local| local.checkpointed)
    }
}

impl<D: Disk> Lane<D> {
    /// Work for the store of states since last asked, in order.
    pub fn take_state_work(&mut self, work: &mut Vec<StateWork>) {
        work.append(&mut self.keeping.work);
    }

    /// Hands out what is due. `wanted`: the log waits to be trimmed.
    pub(super) fn tend_keeping(&mut self, flush_every_ns: u64, wanted: bool, now: Now) {
        if !self.keeping.on {
            return;
        }
        let shards: Vec<ShardId> = self.driver.status().map(|row| row.shard).collect();
        for shard in shards {
            self.keep_if_due(shard, now);
        }
        let keeping = &mut self.keeping;
        let behind = keeping.shards.values().map(|local| local.handed.0 - local.checkpointed.0);
        let behind: u64 = behind.fold(0, u64::saturating_add);
        let after_ns = if wanted { PRESSED_FLUSH_NS } else { flush_every_ns };
        let is_due = now.boottime_ns >= keeping.last_flush_ns.saturating_add(after_ns)
            || behind >= FLUSH_ENTRIES;
        if behind > 0 && is_due && !keeping.flush_under_way {
            keeping.flush_under_way = true;
            keeping.last_flush_ns = now.boottime_ns;
            keeping.shards.values_mut().for_each(|local| local.flushing = local.handed);
            keeping.work.push(StateWork::Flush { life: keeping.life });
        }
    }

    fn keep_if_due(&mut self, shard: ShardId, now: Now) {
        let Some(reflects) = self.driver.reflects(shard) else { return };
        let Some(local) = self.keeping.shards.get_mut(&shard) else { return };
        let Some(machine) = self.driver.machine_mut(shard) else { return };
        let is_due = now.boottime_ns >= local.last_ns.saturating_add(KEEP_NS)
            || machine.dirty_rows() >= KEEP_ROWS;
        let has_moved = reflects.applied > local.handed;
        if local.under_way || !is_due || !has_moved {
            return;
        }
        let whole = std::mem::take(&mut local.whole);
        let rows = if whole { machine.begin_rows() } else { machine.take_dirty() };
        local.under_way = true;
        local.last_ns = now.boottime_ns;
        local.handed = reflects.applied;
        self.keeping.work.push(StateWork::Keep(KeptChanges {
            life: self.keeping.life,
            cluster: self.config.founding.cluster,
            shard,
            replica: reflects.replica,
            applied: reflects.applied,
            term: reflects.term,
            time_ms: reflects.time_ms,
            whole,
            rows,
        }));
    }

    /// What became of work handed out. Answered at once.
    pub(super) fn kept(&mut self, ticket: Ticket, kept: &StateKept) {
        self.calls.answer(ticket, Answer::Stored);
        let keeping = &mut self.keeping;
        match *kept {
            StateKept::Written { life, shard } if life == keeping.life => {
                if let Some(local) = keeping.shards.get_mut(&shard) {
                    local.under_way = false;
                }
            }
            StateKept::Flushed { life } if life == keeping.life => {
                keeping.flush_under_way = false;
                for local in keeping.shards.values_mut() {
                    assert!(local.checkpointed <= local.flushing, "checkpointed only grows");
                    local.checkpointed = local.flushing;
                }
            }
            StateKept::Lost { life } if life > keeping.life => {
                keeping.life = life;
                keeping.flush_under_way = false;
                keeping.work.clear();
                for local in keeping.shards.values_mut() {
                    // The log is not trimmed on the word of a store that is gone.
                    *local = Local {
                        whole: true,
                        under_way: false,
                        handed: NOTHING,
                        flushing: NOTHING,
                        checkpointed: NOTHING,
                        last_ns: local.last_ns,
                    };
                }
            }
            StateKept::Written { .. } | StateKept::Flushed { .. } | StateKept::Lost { .. } => {}
        }
    }
}
