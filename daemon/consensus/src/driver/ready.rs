//! A Ready's way: items into a frame, reported persisted in order, committed entries applied.

use bytes::Bytes;
use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{EntryKind, Extent, FrameNumber, HardState, Item, NewEntry, Written};
use raft::eraftpb::{Entry, EntryType};
use raft::{RawNode, Ready};

use super::Driver;
use crate::event::{Event, PlantedBugs};
use crate::head::Head;
use crate::log_store::CachedEntry;
use crate::machine::{Committed, Machine, Quarantine};
use crate::replica::{HASH_EVERY, Replica, Role, Waiting};

impl<D: Disk, M: Machine> Driver<D, M> {
    pub(super) fn report_persisted(&mut self) {
        let durable = self.wal.durable();
        self.tail.set_durable(durable);
        let mut ready_messages = Vec::new();
        for replica in self.replicas.values_mut() {
            let mut persisted = None;
            while let Some(waiting) = replica.waiting.pop_front_if(|first| first.frame <= durable) {
                persisted = Some(waiting.ready_number);
                ready_messages.extend(waiting.messages.into_iter().map(|m| (replica.shard, m)));
            }
            if let Some(number) = persisted {
                replica.with_raft(|raw| raw.on_persist_ready(number));
            }
        }
        for (shard, message) in ready_messages {
            self.send(shard, message);
        }
    }

    /// One pass over all replicas; true if any had something.
    pub(super) fn write_ready(&mut self, now: Now) -> bool {
        let mut readies: Vec<(ShardId, Ready)> = Vec::new();
        let mut items = Vec::new();
        for replica in self.replicas.values_mut() {
            if replica.with_raft(|raw| raw.has_ready()) != Some(true) {
                continue;
            }
            let Some(ready) = replica.with_raft(RawNode::ready) else { continue };
            collect_items(replica, &ready, &mut items);
            readies.push((replica.shard, ready));
        }
        let wanted = self.fetch_wanted();
        if readies.is_empty() {
            return wanted;
        }
        let last_frame = if items.is_empty() {
            None
        } else {
            self.promised_bytes = 0;
            match self.wal.append(items, now) {
                Ok(written) => Some(self.locate(written)),
                Err(error) => {
                    self.fail(error);
                    return false;
                }
            }
        };
        for (shard, ready) in readies {
            self.finish_ready(shard, ready, last_frame);
        }
        true
    }

    /// Notes where the frame's entries lie and puts their payloads into the tail cache.
    fn locate(&mut self, written: Written) -> FrameNumber {
        for entry in written.entries {
            let Some(replica) = self.replicas.get_mut(&entry.shard) else { continue };
            let store = replica.raw.mut_store();
            store.located(entry.index, entry.term, entry.frame);
            store.set_payload(entry.index, entry.term, entry.payload_extent);
            self.tail.insert(entry.payload_extent, entry.payload, written.last_frame);
        }
        written.last_frame
    }

    fn finish_ready(&mut self, shard: ShardId, mut ready: Ready, frame: Option<FrameNumber>) {
        let messages = ready.take_messages();
        let held = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let number = ready.number();
        let writes = !ready.entries().is_empty() || ready.must_sync();
        let Some(replica) = self.replicas.get_mut(&shard) else { return };
        replica.with_raft(|raw| raw.advance_append_async(ready));
        let changed = replica.refresh_role();
        if self.config.planted.serves_before_own_entry && replica.role == Role::Leading {
            replica.role = Role::Serving;
        }
        if changed {
            self.events.push(Event::Role {
                shard,
                role: replica.role,
                term: replica.term,
                leader: replica.leader,
            });
        }
        let early = self.config.planted.acknowledge_before_flush;
        let (now_messages, held) = if early { (held, Vec::new()) } else { (Vec::new(), held) };
        let behind = replica.waiting.back().map(|waiting| waiting.frame);
        let frame = if writes { frame.or(behind) } else { behind };
        replica.waiting.push_back(Waiting {
            ready_number: number,
            frame: frame.unwrap_or_default(),
            messages: held,
        });
        for message in messages.into_iter().chain(now_messages) {
            self.send(shard, message);
        }
        self.apply(shard, committed);
    }

    fn apply(&mut self, shard: ShardId, committed: Vec<Entry>) {
        let Some(replica) = self.replicas.get_mut(&shard) else { return };
        for entry in committed {
            match apply_entry(replica, &entry, self.config.planted) {
                Ok(event) => self.events.push(event),
                Err(quarantine) => {
                    replica.quarantine = Some(quarantine);
                    return;
                }
            }
            if entry.data.is_empty()
                && replica.role == Role::Leading
                && entry.term == replica.term.0
            {
                replica.role = Role::Serving;
                self.events.push(Event::Role {
                    shard,
                    role: replica.role,
                    term: replica.term,
                    leader: replica.leader,
                });
            }
        }
        let applied = replica.applied;
        replica.with_raft(|raw| raw.advance_apply_to(applied.0));
        replica.raw.mut_store().evict(applied);
    }
}

/// Hard state and entries of a Ready as WAL items; entries go into the log store at once.
fn collect_items<M: Machine>(replica: &mut Replica<M>, ready: &Ready, items: &mut Vec<Item>) {
    if let Some(hard_state) = ready.hs() {
        replica.raw.mut_store().set_hard_state(hard_state);
    }
    if ready.entries().is_empty() && !ready.must_sync() {
        return;
    }
    let raft = &replica.raw.raft;
    let hard_state = HardState {
        term: Term(raft.term),
        vote: ReplicaId(raft.vote),
        commit: Index(raft.raft_log.committed),
    };
    if hard_state != replica.hard_state_written {
        replica.hard_state_written = hard_state;
        items.push(Item::HardState(replica.shard, replica.id, hard_state));
    }
    for entry in ready.entries() {
        let (index, term) = (Index(entry.index), Term(entry.term));
        let kind = match entry.get_entry_type() {
            EntryType::EntryNormal => EntryKind::Normal,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => EntryKind::ConfChange,
        };
        let command = Bytes::copy_from_slice(&entry.data);
        let payload = replica.staged.remove(&(index, term)).unwrap_or_default();
        let locators = Head::decode(&command)
            .map(|(_, commands)| replica.machine.locators(commands))
            .unwrap_or_default();
        let cached =
            CachedEntry { term, kind, command: command.clone(), payload: Extent::default() };
        replica.raw.mut_store().append(index, cached);
        items.push(Item::Entry(NewEntry {
            shard: replica.shard,
            replica: replica.id,
            index,
            term,
            kind,
            command,
            payload,
            locators,
        }));
    }
    // Staged payloads of entries raft-rs did not take are of no use to anyone.
    if let Some(last) = ready.entries().last() {
        let last = Index(last.index);
        replica.staged.retain(|(index, _), _| *index > last);
    }
}

fn apply_entry<M: Machine>(
    replica: &mut Replica<M>,
    entry: &Entry,
    planted: PlantedBugs,
) -> Result<Event<M::Outcome>, Quarantine> {
    let (index, term) = (Index(entry.index), Term(entry.term));
    let payload = replica.payload_extent(index).unwrap_or_default();
    let kind = entry.get_entry_type();
    apply_bytes(replica, index, term, kind, &entry.data, payload, planted)
}

/// An entry's head and commands; its payload must be as long as it says.
fn decode(index: Index, data: &[u8], payload: Extent) -> Result<(Head, &[u8]), Quarantine> {
    let (head, commands) = Head::decode(data)?;
    if head.payload_len_bytes == payload.len_bytes {
        return Ok((head, commands));
    }
    Err(Quarantine(format!(
        "entry {index} names {} payload bytes and {} are stored",
        head.payload_len_bytes, payload.len_bytes
    )))
}

/// Asks the machine what is left of an entry that its state reflects.
pub(super) fn recall_bytes<M: Machine>(
    replica: &mut Replica<M>,
    index: Index,
    term: Term,
    data: &[u8],
    payload: Extent,
) -> Result<Event<M::Outcome>, Quarantine> {
    let mut outcome = None;
    if !data.is_empty() {
        let (head, commands) = decode(index, data, payload)?;
        if head.deciding_term == term {
            let time_ms = head.time_ms;
            let committed = Committed { index, term, time_ms, commands, payload };
            outcome = Some(replica.machine.recall(committed)?);
        }
    }
    Ok(Event::Recalled { shard: replica.shard, index, term, payload, outcome })
}

/// Applies one committed entry to the machine; used by turns and by boot alike.
pub(super) fn apply_bytes<M: Machine>(
    replica: &mut Replica<M>,
    index: Index,
    term: Term,
    kind: EntryType,
    data: &[u8],
    payload: Extent,
    planted: PlantedBugs,
) -> Result<Event<M::Outcome>, Quarantine> {
    if index != replica.applied.next() {
        return Err(Quarantine(format!("entry {index} follows applied {}", replica.applied)));
    }
    if kind != EntryType::EntryNormal {
        return Err(Quarantine(format!(
            "entry {index} changes membership, which this version does not know"
        )));
    }
    let mut outcome = None;
    if !data.is_empty() {
        let (head, commands) = decode(index, data, payload)?;
        replica.time_ms = replica.time_ms.max(head.time_ms);
        if head.deciding_term == term || planted.deciding_term_ignored {
            let time_ms = head.time_ms;
            let committed = Committed { index, term, time_ms, commands, payload };
            outcome = Some(replica.machine.apply(committed)?);
        } else {
            replica.decided_in_another_term += 1;
        }
    }
    replica.applied = index;
    if index.0.is_multiple_of(HASH_EVERY) {
        replica.take_hash();
    }
    Ok(Event::Applied { shard: replica.shard, index, term, payload, outcome })
}
