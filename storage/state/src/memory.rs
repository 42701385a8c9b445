//! The contract in memory, with a crash as cruel as the contract allows.
//!
//! ```text
//! durable (at the last flush) ──▶ unflushed: write, write, remove ──▶ current
//!                                 └── a crash keeps the first n of these, any n
//! ```
//!
//! The simulation and tests run on it, and a node for as long as it replays its whole log at start.
//!
//! Caveat: it survives [`MemoryState::crash`], not the end of its process. Whoever uses it in a
//! daemon must keep `trimmed` at 0, whatever `checkpointed` says.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use holdfast_base::Index;

use crate::changes::Changes;
use crate::error::StateError;
use crate::key::{OWNER_BYTES, Owner};
use crate::store::{Row, StateStore};

type Map = BTreeMap<Vec<u8>, Bytes>;
/// Physical keys with their values; `None` deletes.
type Physical = Vec<(Vec<u8>, Option<Bytes>)>;

/// A finished operation that no flush covers yet.
#[derive(Clone, Debug)]
enum Step {
    Write(Physical),
    /// The same, after everything of that replica went.
    Replace(Owner, Physical),
    Remove(Owner),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    /// Always `durable` plus `unflushed`.
    current: Map,
    durable: Map,
    unflushed: Vec<Step>,
    flushes_fail: bool,
}

impl MemoryState {
    /// Nothing in it.
    #[must_use]
    pub fn new() -> Self {
        MemoryState::default()
    }

    /// Power is lost: everything that was not flushed is gone.
    pub fn crash(&mut self) {
        self.crash_keeping(0);
    }

    /// Power is lost, but the first `steps` unflushed writes and removals had reached the device
    /// on their own, as they may.
    pub fn crash_keeping(&mut self, steps: usize) {
        for step in self.unflushed.drain(..).take(steps) {
            apply_step(&mut self.durable, step);
        }
        self.current = self.durable.clone();
        self.flushes_fail = false;
    }

    /// How many writes and removals no flush covers.
    #[must_use]
    pub fn unflushed_steps(&self) -> usize {
        self.unflushed.len()
    }

    /// From now until a crash every flush fails and makes nothing durable.
    pub fn fail_flushes(&mut self) {
        self.flushes_fail = true;
    }

    fn step(&mut self, step: Step) {
        apply_step(&mut self.current, step.clone());
        self.unflushed.push(step);
    }
}

fn apply_step(map: &mut Map, step: Step) {
    match step {
        Step::Write(changes) => write_to(map, changes),
        Step::Replace(owner, changes) => {
            remove_from(map, owner);
            write_to(map, changes);
        }
        Step::Remove(owner) => remove_from(map, owner),
    }
}

fn write_to(map: &mut Map, changes: Physical) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

fn remove_from(map: &mut Map, owner: Owner) {
    let keys: Vec<Vec<u8>> = rows_of(map, owner).map(|(key, _)| key.clone()).collect();
    for key in keys {
        map.remove(&key);
    }
}

/// What a write puts, the applied index last.
fn physical(owner: Owner, changes: &Changes, applied: Index) -> Result<Physical, StateError> {
    let mut physical = Vec::with_capacity(changes.iter().len() + 1);
    for change in changes.iter() {
        physical.push((owner.physical(&change.key)?, change.value.clone()));
    }
    let index = Bytes::copy_from_slice(&applied.0.to_le_bytes());
    physical.push((owner.prefix().to_vec(), Some(index)));
    Ok(physical)
}

/// All physical rows of a replica, its applied index first.
fn rows_of(map: &Map, owner: Owner) -> impl Iterator<Item = (&Vec<u8>, &Bytes)> {
    let prefix = owner.prefix();
    map.range::<[u8], _>((Bound::Included(prefix.as_slice()), Bound::Unbounded))
        .take_while(move |(key, _)| key.starts_with(&prefix))
}

fn index_in(map: &Map, owner: Owner) -> Result<Index, StateError> {
    let Some(value) = map.get(owner.prefix().as_slice()) else { return Ok(Index(0)) };
    let bytes = <[u8; 8]>::try_from(value.as_ref()).map_err(|_| StateError::Damaged {
        what: format!("the applied index of {owner} has {} bytes", value.len()),
    })?;
    Ok(Index(u64::from_le_bytes(bytes)))
}

impl StateStore for MemoryState {
    fn write(&mut self, owner: Owner, changes: &Changes, applied: Index) -> Result<(), StateError> {
        let before = self.applied(owner)?;
        if applied < before {
            return Err(StateError::Backwards { owner, applied: before, offered: applied });
        }
        self.step(Step::Write(physical(owner, changes, applied)?));
        Ok(())
    }

    fn replace(&mut self, owner: Owner, rows: &Changes, applied: Index) -> Result<(), StateError> {
        self.step(Step::Replace(owner, physical(owner, rows, applied)?));
        Ok(())
    }

    fn applied(&self, owner: Owner) -> Result<Index, StateError> {
        index_in(&self.current, owner)
    }

    fn checkpointed(&self, owner: Owner) -> Result<Index, StateError> {
        // A crash may leave what any unflushed step left.
        let mut lowest = index_in(&self.durable, owner)?;
        for step in &self.unflushed {
            match step {
                Step::Remove(whose) if *whose == owner => lowest = Index(0),
                Step::Replace(whose, rows) if *whose == owner => {
                    let map = rows.iter().cloned().filter_map(|(key, value)| Some((key, value?)));
                    lowest = lowest.min(index_in(&map.collect(), owner)?);
                }
                _ => {}
            }
        }
        Ok(lowest)
    }

    fn get(&self, owner: Owner, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.current.get(&owner.physical(key)?).cloned())
    }

    fn scan(
        &self,
        owner: Owner,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit_rows: usize,
    ) -> Result<Vec<Row>, StateError> {
        let mut wanted = owner.prefix().to_vec();
        wanted.extend_from_slice(prefix);
        let mut beyond = owner.prefix().to_vec();
        // Greater than the applied index, whose key is the bare prefix.
        beyond.extend_from_slice(after.unwrap_or(&[]));
        let start = if wanted > beyond {
            Bound::Included(wanted.as_slice())
        } else {
            Bound::Excluded(beyond.as_slice())
        };
        Ok(self
            .current
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&wanted))
            .take(limit_rows)
            .map(|(key, value)| Row {
                key: Bytes::copy_from_slice(&key[OWNER_BYTES..]),
                value: value.clone(),
            })
            .collect())
    }

    fn flush(&mut self) -> Result<(), StateError> {
        if self.flushes_fail {
            return Err(StateError::Device { what: "flush failed (injected)".into() });
        }
        for step in self.unflushed.drain(..) {
            apply_step(&mut self.durable, step);
        }
        Ok(())
    }

    fn remove(&mut self, owner: Owner) -> Result<(), StateError> {
        self.step(Step::Remove(owner));
        Ok(())
    }

    fn owners(&self) -> Result<Vec<Owner>, StateError> {
        let indexes = self.current.keys().filter_map(|key| match Owner::split(key) {
            Some((owner, [])) => Some(owner),
            _ => None,
        });
        Ok(indexes.collect())
    }
}

#[cfg(test)]
mod tests;
