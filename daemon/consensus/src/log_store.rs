//! The log of one replica as raft-rs sees it: command sections near the end in memory, terms as
//! runs, everything older by its place in the WAL.
//!
//! ```text
//!  trimmed │ trimmed + 1 ... cache_first - 1 │ cache_first ............. last
//!  term    │ runs: frame extents             │ cached entries (never less than everything > applied)
//! ```
//!
//! Invariants: indexes are contiguous from `trimmed + 1`; `trimmed < cache_first ≤ applied + 1`;
//! `terms` holds one row per change of term. `trimmed` is what this store has let go of: the WAL
//! may hold more. Entries are readable here before raft-rs is told so
//! (`advance_append_async`), durable or not.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;
use holdfast_base::{Index, ShardId, Term};
use holdfast_wal::{EntryKind, EntryRun, Extent, HardState, Identity};
use raft::eraftpb::{ConfState, Entry, EntryType, HardState as RaftHardState, Snapshot};
use raft::{GetEntriesContext, RaftState, StorageError};

/// Command bytes kept in memory per replica for followers that are a little behind. A follower
/// further behind is fed from the WAL. 17 replicas × 4 MiB stay well below the memory goal.
const CACHE_BYTES_MAX: usize = 4 << 20;
/// What an entry costs in memory beside its command bytes.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// An entry whose command section is in memory.
#[derive(Clone, Debug)]
pub(crate) struct CachedEntry {
    pub(crate) term: Term,
    pub(crate) kind: EntryKind,
    pub(crate) command: Bytes,
    /// Where the payload lies; empty length when there is none.
    pub(crate) payload: Extent,
}

/// A read raft-rs wanted for a follower that lags behind the cache.
pub(crate) struct WantedRead {
    pub(crate) low: Index,
    pub(crate) context: GetEntriesContext,
}

/// See the module.
pub(crate) struct LogStore {
    shard: ShardId,
    conf_state: ConfState,
    hard_state: RaftHardState,
    /// Nothing up to here can be had.
    trimmed: Index,
    /// Of the entry at `trimmed`; 0 when there is none.
    trimmed_term: Term,
    cache: VecDeque<CachedEntry>,
    cache_first: Index,
    cache_bytes: usize,
    /// (first index of the term, term), ascending in both.
    terms: Vec<(Index, Term)>,
    /// Ascending; covers `trimmed + 1..=last`, the first may begin before.
    runs: Vec<EntryRun>,
    /// Old entries read back for a lagging follower, contiguous from `fetched_first`.
    fetched: Vec<Entry>,
    fetched_first: Index,
    wanted: RefCell<Vec<WantedRead>>,
    /// Entries taken back by another leader's, since the start.
    pub(crate) truncated: u64,
}

impl LogStore {
    /// An empty log behind the entry at `trimmed`.
    pub(crate) fn new(
        identity: &Identity,
        hard_state: HardState,
        (trimmed, trimmed_term): (Index, Term),
    ) -> Self {
        let ids = |replicas: &[holdfast_base::ReplicaId]| replicas.iter().map(|id| id.0).collect();
        LogStore {
            shard: identity.shard,
            conf_state: ConfState {
                voters: ids(&identity.voters),
                learners: ids(&identity.learners),
                ..ConfState::default()
            },
            hard_state: RaftHardState {
                term: hard_state.term.0,
                vote: hard_state.vote.0,
                commit: hard_state.commit.0,
            },
            trimmed,
            trimmed_term,
            cache: VecDeque::new(),
            cache_first: trimmed.next(),
            cache_bytes: 0,
            terms: Vec::new(),
            runs: Vec::new(),
            fetched: Vec::new(),
            fetched_first: Index(0),
            wanted: RefCell::new(Vec::new()),
            truncated: 0,
        }
    }

    pub(crate) fn last(&self) -> Index {
        Index(self.cache_first.0 + self.cache.len() as u64 - 1)
    }

    pub(crate) fn trimmed(&self) -> Index {
        self.trimmed
    }

    pub(crate) fn term_of(&self, index: Index) -> Option<Term> {
        if index == self.trimmed {
            return Some(self.trimmed_term);
        }
        if index < self.trimmed || index > self.last() {
            return None;
        }
        let after = self.terms.partition_point(|(first, _)| *first <= index);
        after.checked_sub(1).map(|row| self.terms[row].1)
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: &RaftHardState) {
        self.hard_state = hard_state.clone();
    }

    /// Appends, truncating everything at or behind `index` first.
    pub(crate) fn append(&mut self, index: Index, entry: CachedEntry) {
        assert!(index.0 >= 1 && index.0 <= self.last().0 + 1, "a log has no hole before {index}");
        if index <= self.last() {
            self.truncate_from(index);
        }
        match self.terms.last() {
            Some((_, term)) if *term == entry.term => {}
            newest => {
                assert!(newest.is_none_or(|(_, term)| *term < entry.term), "terms only grow");
                self.terms.push((index, entry.term));
            }
        }
        self.cache_bytes += entry.command.len() + ENTRY_OVERHEAD_BYTES;
        self.cache.push_back(entry);
    }

    /// Records where the entries just appended lie; called in index order after each frame.
    pub(crate) fn located(&mut self, index: Index, term: Term, frame: Extent) {
        while let Some(run) = self.runs.last_mut().filter(|run| run.last >= index) {
            if run.first >= index {
                self.runs.pop();
            } else {
                run.last = Index(index.0 - 1);
                // Conservative for a truncated run: its last term is looked up again.
                run.last_term = Term(0);
            }
        }
        match self.runs.last_mut() {
            Some(run) if run.frame == frame && run.last.next() == index => {
                run.last = index;
                run.last_term = term;
            }
            _ => self.runs.push(EntryRun {
                shard: self.shard,
                first: index,
                last: index,
                last_term: term,
                frame,
            }),
        }
    }

    /// The payload's place, known only after the frame is built.
    pub(crate) fn set_payload(&mut self, index: Index, term: Term, payload: Extent) {
        if let Some(entry) = self.cached_mut(index).filter(|entry| entry.term == term) {
            entry.payload = payload;
        }
    }

    pub(crate) fn payload_of(&self, index: Index) -> Option<Extent> {
        self.cached(index).map(|entry| entry.payload)
    }

    /// Recovery: the log's old part lies in these runs and is not cached; the first index cached
    /// later is `next`. `terms` as found.
    ///
    /// Runs may begin before `trimmed`; nobody asks for what lies there.
    pub(crate) fn adopt_runs(
        &mut self,
        runs: Vec<EntryRun>,
        terms: Vec<(Index, Term)>,
        next: Index,
    ) {
        assert!(self.cache.is_empty(), "runs are adopted before anything is cached");
        self.runs = runs;
        self.terms = terms;
        self.cache_first = next;
    }

    /// Lets go of old commands that are applied, oldest first, until the cache fits.
    pub(crate) fn evict(&mut self, applied: Index) {
        while self.cache_bytes > CACHE_BYTES_MAX && self.cache_first <= applied {
            let Some(entry) = self.cache.pop_front() else { break };
            self.cache_bytes -= entry.command.len() + ENTRY_OVERHEAD_BYTES;
            self.cache_first = self.cache_first.next();
        }
    }

    /// Lets go of everything up to `index`, which is applied, and has `term`.
    pub(crate) fn trim(&mut self, index: Index, term: Term) {
        assert!(self.trimmed < index && index <= self.last(), "{index} is in this log");
        while self.cache_first <= index {
            let Some(entry) = self.cache.pop_front() else { break };
            self.cache_bytes -= entry.command.len() + ENTRY_OVERHEAD_BYTES;
            self.cache_first = self.cache_first.next();
        }
        self.runs.drain(..self.runs.partition_point(|run| run.last <= index));
        let older = self.terms.partition_point(|(first, _)| *first <= index);
        let covering = self.terms.drain(..older).next_back();
        let reaches_on =
            self.terms.first().map_or(self.last() > index, |(first, _)| *first > index.next());
        if let Some((_, of_next)) = covering.filter(|_| reaches_on) {
            self.terms.insert(0, (index.next(), of_next));
        }
        (self.trimmed, self.trimmed_term) = (index, term);
    }

    pub(crate) fn take_wanted(&self) -> Vec<WantedRead> {
        std::mem::take(&mut self.wanted.borrow_mut())
    }

    /// The run that holds `index`, if it is behind the cache.
    pub(crate) fn run_of(&self, index: Index) -> Option<&EntryRun> {
        let after = self.runs.partition_point(|run| run.first <= index);
        after.checked_sub(1).map(|row| &self.runs[row]).filter(|run| run.last >= index)
    }

    /// Old entries for a lagging follower, read back by the driver.
    pub(crate) fn set_fetched(&mut self, first: Index, entries: Vec<Entry>) {
        self.fetched_first = first;
        self.fetched = entries;
    }

    fn truncate_from(&mut self, index: Index) {
        assert!(
            index >= self.cache_first,
            "truncating at {index} would cut applied entries (cache starts at {})",
            self.cache_first
        );
        self.truncated += self.last().0 + 1 - index.0;
        while self.last() >= index {
            let Some(entry) = self.cache.pop_back() else { break };
            self.cache_bytes -= entry.command.len() + ENTRY_OVERHEAD_BYTES;
        }
        self.terms.retain(|(first, _)| *first < index);
        self.fetched.clear();
    }

    fn cached(&self, index: Index) -> Option<&CachedEntry> {
        let at = index.0.checked_sub(self.cache_first.0)?;
        self.cache.get(usize::try_from(at).ok()?)
    }

    fn cached_mut(&mut self, index: Index) -> Option<&mut CachedEntry> {
        let at = index.0.checked_sub(self.cache_first.0)?;
        self.cache.get_mut(usize::try_from(at).ok()?)
    }
}

/// One raft-rs entry.
pub(crate) fn raft_entry(index: Index, term: Term, kind: EntryKind, command: &[u8]) -> Entry {
    let mut entry =
        Entry { index: index.0, term: term.0, data: command.to_vec(), ..Entry::default() };
    entry.set_entry_type(match kind {
        EntryKind::Normal => EntryType::EntryNormal,
        EntryKind::ConfChange => EntryType::EntryConfChangeV2,
    });
    entry
}

impl raft::Storage for LogStore {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let mut size_left = max_size.into().unwrap_or(u64::MAX);
        assert!(high <= self.last().0 + 1, "raft asks for entries beyond the log");
        if Index(low) <= self.trimmed {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        if Index(low) < self.cache_first {
            let fetched_end = self.fetched_first.0 + self.fetched.len() as u64;
            if low >= self.fetched_first.0 && low < fetched_end {
                let from = usize::try_from(low - self.fetched_first.0).unwrap_or(usize::MAX);
                let count = usize::try_from(high - low).unwrap_or(usize::MAX);
                return Ok(self.fetched.iter().skip(from).take(count).cloned().collect());
            }
            if context.can_async() {
                self.wanted.borrow_mut().push(WantedRead { low: Index(low), context });
                return Err(raft::Error::Store(StorageError::LogTemporarilyUnavailable));
            }
            return Err(raft::Error::Store(StorageError::Unavailable));
        }
        let mut entries = Vec::new();
        for index in low..high {
            let Some(cached) = self.cached(Index(index)) else { break };
            // raft-rs counts commands only; what goes over the wire is the payload beside them.
            let size = cached.command.len() as u64 + u64::from(cached.payload.len_bytes);
            if !entries.is_empty() && size > size_left {
                break;
            }
            size_left = size_left.saturating_sub(size);
            entries.push(raft_entry(Index(index), cached.term, cached.kind, &cached.command));
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let why = if Index(index) < self.trimmed {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        };
        self.term_of(Index(index)).map(|term| term.0).ok_or(raft::Error::Store(why))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.trimmed.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last().0)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        // Only a shard with one voter trims so far: nobody needs one.
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
