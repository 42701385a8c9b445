//! Messages from and to peers; feeding a follower that lags behind the cache.

use bytes::Bytes;
use holdfast_base::{Index, Now, ReplicaId, ShardId, Term};
use holdfast_io::Disk;
use holdfast_wal::{Chunk, Wal};
use raft::eraftpb::Message;

use super::{Driver, MESSAGE_BYTES_MAX};
use crate::event::LoggedEntry;
use crate::head::Head;
use crate::log_store::raft_entry;
use crate::machine::Machine;
use crate::message::{PeerMessage, SentPayload};
use crate::replica::{Replica, Stamp};

/// Entries read back from the WAL at a time for a follower that lags behind the cache.
const FETCHED_RUNS_MAX: usize = 64;

impl<D: Disk, M: Machine> Driver<D, M> {
    /// An entry as raft-rs would take it from anyone, which no caller may do.
    #[cfg(test)]
    pub(crate) fn propose_raw_for_tests(&mut self, shard: ShardId, data: Vec<u8>) {
        let replica = self.replicas.get_mut(&shard).expect("the test has this shard");
        let taken = replica.with_raft(|raw| raw.propose(Vec::new(), data));
        assert!(matches!(taken, Some(Ok(()))));
    }

    /// A peer's message. Anything stale, foreign or forbidden is dropped.
    pub fn step(&mut self, message: PeerMessage, now: Now) {
        let Some(replica) = self.replicas.get_mut(&message.shard) else { return };
        let known = replica.id == message.to && replica.voters.contains(&message.from);
        if !known || !message.is_allowed() {
            return;
        }
        if !replica.hear(message.from, message.boot, message.free_bytes) {
            self.probes.old_boots_dropped += 1;
            return;
        }
        replica.compare_hash(message.hashed_index, message.state_hash);
        for sent in message.payloads {
            let chunk = Chunk::Body { bytes: sent.bytes, crc32c: None };
            replica.staged.insert((sent.index, sent.term), vec![chunk]);
        }
        let stamp = Stamp { sent_ns: message.sent_ns, echo_ns: message.echo_ns };
        if !replica.step(message.raft, stamp, now) {
            self.probes.votes_held_back += 1;
        }
    }

    /// Puts payloads beside the entries of a raft message and queues it.
    pub(super) fn send(&mut self, shard: ShardId, message: Message) {
        let Some(replica) = self.replicas.get(&shard) else { return };
        let mut payloads = Vec::new();
        for entry in &message.entries {
            let Ok((head, commands)) = Head::decode(&entry.data) else { continue };
            if head.payload_len_bytes == 0 {
                continue;
            }
            let (index, term) = (Index(entry.index), Term(entry.term));
            let bytes = replica.fetched.get(&(index, term)).cloned().or_else(|| {
                let extent = replica.payload_extent(index)?;
                // Evicted from the tail cache: read it back.
                self.tail.find(extent).or_else(|| {
                    let bytes = self.wal.read_payload(extent).ok()?;
                    replica.machine.is_whole(commands, &bytes).then_some(bytes)
                })
            });
            // Without its payload the entry may not travel; raft-rs sends it again.
            let Some(bytes) = bytes else { return };
            payloads.push(SentPayload { index, term, bytes });
        }
        let (hashed_index, state_hash) = replica.newest_hash();
        self.outbox.push(PeerMessage {
            shard,
            from: replica.id,
            to: ReplicaId(message.to),
            boot: self.boot,
            free_bytes: self.wal.free_bytes(),
            hashed_index,
            state_hash,
            sent_ns: self.now.boottime_ns,
            echo_ns: replica.echo_ns(Term(message.term)),
            raft: message,
            payloads,
        });
    }

    /// Reads back what raft-rs wants for followers behind the cache; true if anything was found.
    ///
    /// Bytes that cannot be read now are not asked for again in this turn, or a leader with a
    /// damaged payload would never leave it: the follower's next heartbeat answer asks again.
    pub(super) fn fetch_wanted(&mut self) -> bool {
        let mut any = false;
        for replica in self.replicas.values_mut() {
            for wanted in replica.raw.store().take_wanted() {
                if !fetch(replica, &self.wal, wanted.low) {
                    self.probes.feeds_refused += 1;
                    continue;
                }
                any = true;
                self.probes.fed_from_wal += 1;
                replica.with_raft(|raw| raw.on_entries_fetched(wanted.context));
            }
        }
        any
    }
}

impl<D: Disk, M: Machine> Driver<D, M> {
    /// Entries of `shard` from `from` on, at most to `to`, as its log has them on this node: as many as
    /// lie in the next `log_bytes` of frames, at least one. Blocks, for some of a read of those.
    ///
    /// # Errors
    /// When the log has not the first one any more, or cannot be read, in words.
    pub fn read_back(
        &self,
        shard: ShardId,
        from: Index,
        to: Index,
        log_bytes: u64,
    ) -> Result<Vec<LoggedEntry>, String> {
        let replica = self.replicas.get(&shard).ok_or("its shard is not on this node")?;
        let (mut runs, mut next, mut bytes) = (Vec::new(), from, 0);
        while next <= to && bytes < log_bytes {
            let Some(run) = replica.raw.store().run_of(next) else { break };
            bytes += u64::from(run.frame.len_bytes);
            runs.push(*run);
            next = run.last.next();
        }
        let mut entries = Vec::new();
        for (_, stored) in self.wal.read_in_order(&runs) {
            for entry in stored.map_err(|error| error.to_string())? {
                let due = Index(from.0 + entries.len() as u64);
                if entry.index < from || entry.index > to {
                    continue;
                }
                if entry.index != due {
                    return Err(format!("entry {due} is not where the log says"));
                }
                let commands = match Head::decode(&entry.command) {
                    Ok((head, commands)) if head.deciding_term == entry.term => {
                        entry.command.slice_ref(commands)
                    }
                    // Empty, of a membership change, or of another term.
                    _ => Bytes::new(),
                };
                let (index, term, payload) = (entry.index, entry.term, entry.payload);
                entries.push(LoggedEntry { index, term, commands, payload });
            }
        }
        if entries.is_empty() {
            return Err(format!("entry {from} is not in the log of this node any more"));
        }
        Ok(entries)
    }
}

/// Reads old entries and their payloads from the WAL, starting at `low`; false if not even that one
/// can be read.
fn fetch<D: Disk, M: Machine>(replica: &mut Replica<M>, wal: &Wal<D>, low: Index) -> bool {
    let mut entries = Vec::new();
    let mut bytes_left = MESSAGE_BYTES_MAX;
    let mut next = low;
    replica.fetched.clear();
    for _ in 0..FETCHED_RUNS_MAX {
        let Some(run) = replica.raw.store().run_of(next).copied() else { break };
        let Ok(stored) = wal.read_run(&run) else { break };
        for entry in stored.into_iter().skip_while(|entry| entry.index < low) {
            let size = entry.command.len() as u64 + u64::from(entry.payload.len_bytes);
            if !entries.is_empty() && size > bytes_left {
                bytes_left = 0;
                break;
            }
            if entry.payload.len_bytes > 0 {
                let whole = wal.read_payload(entry.payload).ok().filter(|bytes| {
                    Head::decode(&entry.command)
                        .is_ok_and(|(_, commands)| replica.machine.is_whole(commands, bytes))
                });
                let Some(bytes) = whole else {
                    bytes_left = 0;
                    break;
                };
                replica.fetched.insert((entry.index, entry.term), bytes);
            }
            bytes_left = bytes_left.saturating_sub(size);
            next = entry.index.next();
            entries.push(raft_entry(entry.index, entry.term, entry.kind, &entry.command));
        }
        if bytes_left == 0 {
            break;
        }
    }
    let found = !entries.is_empty();
    replica.raw.mut_store().set_fetched(low, entries);
    found
}
