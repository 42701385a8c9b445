//! From items to frames: `plan` cuts items into frames and refuses what breaks a rule before
//! anything changes; `fill` lays one frame out in its aligned buffer, copying every payload byte
//! once.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_base::{Index, ReplicaId, ShardId, Term};
use holdfast_io::{AlignedBuf, BLOCK_BYTES};

use crate::combine::combine;
use crate::config::WalConfig;
use crate::error::WalError;
use crate::format::frame::{
    FrameHeader, LOCATOR_BYTES, ROWS_MAX, Row, RowKind, entry_commands_bytes, entry_head,
    put_locator,
};
use crate::format::seal::SealIndex;
use crate::format::segment::{ReplicaRow, identity_ids_bytes};
use crate::format::{DATA_START, padded};
use crate::item::{Chunk, Item, NewEntry};

/// Below this, reading bytes just copied costs less than combining two checksums.
const COMBINE_BYTES_MIN: usize = 4 << 10;

/// One frame to be, and the items that go into it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Items `start..end` of the append.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) batches: usize,
    pub(crate) commands_bytes: u64,
    pub(crate) payload_bytes: u64,
}

impl Draft {
    /// Bytes of the frame with padding, behind a frame of `previous_rows`.
    pub(crate) fn frame_bytes(&self, previous_rows: usize) -> u64 {
        let head = FrameHeader::head_bytes(self.rows.len(), previous_rows) as u64;
        padded(head + self.commands_bytes + self.payload_bytes)
    }

    /// Adds `item` and returns whether it took a new row.
    fn add(&mut self, item: &Item) {
        self.end += 1;
        let commands_start = self.commands_bytes as u32;
        let payload_start = self.payload_bytes as u32;
        let mut row = Row {
            kind: RowKind::Tombstone,
            shard: ShardId(0),
            replica: ReplicaId(0),
            first: Index(0),
            last: Index(0),
            last_term: Term(0),
            commands_start,
            commands_bytes: 0,
            payload_start,
            payload_bytes: 0,
        };
        match item {
            Item::Tombstone(shard, replica) => {
                (row.shard, row.replica) = (*shard, *replica);
            }
            Item::HardState(shard, replica, hard) => {
                row.kind = RowKind::HardState;
                (row.shard, row.replica) = (*shard, *replica);
                (row.first, row.last, row.last_term) = (hard.commit, Index(hard.vote.0), hard.term);
            }
            Item::Identity(identity) => {
                row.kind = RowKind::Identity;
                (row.shard, row.replica) = (identity.shard, identity.replica);
                row.first = Index(identity.voters.len() as u64);
                row.last = Index(identity.learners.len() as u64);
                row.commands_bytes = identity_ids_bytes(identity) as u32;
                self.commands_bytes += u64::from(row.commands_bytes);
            }
            Item::Entry(entry) => {
                let commands = entry_commands_bytes(entry) as u64;
                let payload = payload_bytes(entry);
                self.commands_bytes += commands;
                self.payload_bytes += payload;
                self.batches += entry.locators.len();
                let same_run = self.rows.last_mut().filter(|last| {
                    last.kind == RowKind::Entries
                        && last.shard == entry.shard
                        && last.replica == entry.replica
                        && last.last.next() == entry.index
                });
                if let Some(last) = same_run {
                    (last.last, last.last_term) = (entry.index, entry.term);
                    last.commands_bytes += commands as u32;
                    last.payload_bytes += payload as u32;
                    return;
                }
                row.kind = RowKind::Entries;
                (row.shard, row.replica) = (entry.shard, entry.replica);
                (row.first, row.last, row.last_term) = (entry.index, entry.index, entry.term);
                (row.commands_bytes, row.payload_bytes) = (commands as u32, payload as u32);
            }
        }
        self.rows.push(row);
    }
}

/// Bytes of an entry's payload.
pub(crate) fn payload_bytes(entry: &NewEntry) -> u64 {
    entry.payload.iter().map(|chunk| chunk.len_bytes() as u64).sum()
}

/// Cuts `items` into frames of at most `frame_bytes_max`, one larger entry a frame of its own.
///
/// # Errors
/// [`WalError::Refused`] or [`WalError::EntryTooLarge`]; nothing has changed then.
pub(crate) fn plan(
    items: &[Item],
    config: &WalConfig,
    previous_rows: usize,
    replicas: &BTreeMap<ShardId, ReplicaRow>,
) -> Result<Vec<Draft>, WalError> {
    check_rules(items, config, replicas)?;
    let mut drafts = Vec::new();
    let mut draft = Draft::default();
    let mut behind = previous_rows;
    for item in items {
        let (rows, bytes) = match item {
            Item::Entry(entry) => (1, entry_commands_bytes(entry) as u64 + payload_bytes(entry)),
            Item::Identity(identity) => (1, identity_ids_bytes(identity) as u64),
            Item::HardState(..) | Item::Tombstone(..) => (1, 0),
        };
        let head = FrameHeader::head_bytes(draft.rows.len() + rows, behind) as u64;
        let grown = padded(head + draft.commands_bytes + draft.payload_bytes + bytes);
        let full = grown > u64::from(config.frame_bytes_max) || draft.rows.len() + rows > ROWS_MAX;
        if full && draft.end > draft.start {
            behind = draft.rows.len();
            let start = draft.end;
            drafts.push(std::mem::replace(
                &mut draft,
                Draft { start, end: start, ..Draft::default() },
            ));
        }
        draft.add(item);
    }
    if draft.end > draft.start {
        drafts.push(draft);
    }
    let mut behind = previous_rows;
    for draft in &drafts {
        // What a frame may be at most: alone in its segment with its seal, and within W.
        let bytes = draft.frame_bytes(behind);
        let seal = SealIndex::seal_bytes(draft.rows.len(), draft.batches);
        let room = (config.segment_bytes - DATA_START).saturating_sub(seal);
        let max = room.min(config.in_flight_bytes_max);
        if bytes > max {
            return Err(WalError::EntryTooLarge { bytes, max });
        }
        behind = draft.rows.len();
    }
    Ok(drafts)
}

/// The rules of `append`: a replica is named before it is used, indexes leave no hole.
fn check_rules(
    items: &[Item],
    config: &WalConfig,
    replicas: &BTreeMap<ShardId, ReplicaRow>,
) -> Result<(), WalError> {
    let refuse = |why: String| Err(WalError::Refused { why });
    let mut touched: BTreeMap<ShardId, Option<(ReplicaId, Index)>> = BTreeMap::new();
    let known = |touched: &BTreeMap<ShardId, Option<(ReplicaId, Index)>>, shard: ShardId| {
        touched
            .get(&shard)
            .copied()
            .unwrap_or_else(|| replicas.get(&shard).map(|row| (row.identity.replica, row.last)))
    };
    for item in items {
        match item {
            Item::Identity(identity) => {
                if identity.replica.0 == 0 {
                    return refuse(format!("shard {}: replica id 0", identity.shard));
                }
                let last = match known(&touched, identity.shard) {
                    Some((replica, last)) if replica == identity.replica => last,
                    Some((replica, _)) => {
                        return refuse(format!(
                            "shard {}: replica {} while {replica} lives; write its tombstone first",
                            identity.shard, identity.replica
                        ));
                    }
                    None => Index(0),
                };
                touched.insert(identity.shard, Some((identity.replica, last)));
            }
            Item::HardState(shard, replica, _) => match known(&touched, *shard) {
                Some((known, _)) if known == *replica => {}
                _ => return refuse(format!("hard state of unknown replica {replica} of {shard}")),
            },
            Item::Tombstone(shard, replica) => {
                if known(&touched, *shard).is_some_and(|(known, _)| known == *replica) {
                    touched.insert(*shard, None);
                }
            }
            Item::Entry(entry) => {
                let Some((replica, last)) = known(&touched, entry.shard) else {
                    return refuse(format!("entry of unknown shard {}", entry.shard));
                };
                if replica != entry.replica {
                    return refuse(format!(
                        "entry of replica {} of shard {}, which is {replica} here",
                        entry.replica, entry.shard
                    ));
                }
                let trimmed = replicas.get(&entry.shard).map_or(Index(0), |row| row.trimmed);
                if entry.index > last.next() || entry.index <= trimmed {
                    return refuse(format!(
                        "shard {}: index {} after {last}, trimmed to {trimmed}",
                        entry.shard, entry.index
                    ));
                }
                let bytes = entry_commands_bytes(entry) as u64 + payload_bytes(entry);
                if bytes > config.entry_bytes_max() {
                    return Err(WalError::EntryTooLarge { bytes, max: config.entry_bytes_max() });
                }
                touched.insert(entry.shard, Some((replica, entry.index)));
            }
        }
    }
    Ok(())
}

/// A frame laid out.
pub(crate) struct Filled {
    pub(crate) bytes: Bytes,
    /// Its header's checksum.
    pub(crate) crc: u32,
}

/// Lays the frame out. `header` comes with everything but body checksums.
pub(crate) fn fill(
    mut buffer: AlignedBuf,
    mut header: FrameHeader,
    items: &[Item],
    config: &WalConfig,
) -> Filled {
    let commands_start = header.commands_start();
    let payload_start = header.payload_start();
    buffer.reserve_zeroed(commands_start);
    for item in items {
        match item {
            Item::Identity(identity) => {
                for id in identity.voters.iter().chain(&identity.learners) {
                    buffer.extend_from_slice(&id.0.to_le_bytes());
                }
            }
            Item::Entry(entry) => {
                buffer.extend_from_slice(&entry_head(entry, payload_bytes(entry) as u32));
                buffer.extend_from_slice(&entry.command);
                for locator in &entry.locators {
                    const { assert!(LOCATOR_BYTES == 52) };
                    buffer.extend_from_slice(&put_locator(locator));
                }
            }
            Item::HardState(..) | Item::Tombstone(..) => {}
        }
    }
    assert_eq!(buffer.filled_bytes(), payload_start, "the plan counted every command byte");
    header.commands_crc = crc32c::crc32c(&buffer.as_slice()[commands_start..]);
    let mut payload_crc = 0;
    for item in items {
        let Item::Entry(entry) = item else { continue };
        for chunk in &entry.payload {
            match chunk {
                Chunk::Head(head) => {
                    buffer.extend_from_slice(head);
                    payload_crc = crc32c::crc32c_append(payload_crc, head);
                }
                Chunk::Body { bytes, crc32c } => {
                    buffer.extend_from_slice(bytes);
                    payload_crc = match crc32c {
                        Some(crc) if bytes.len() >= COMBINE_BYTES_MIN => {
                            debug_assert_eq!(*crc, crc32c::crc32c(bytes), "the caller's checksum");
                            combine(payload_crc, *crc, bytes.len())
                        }
                        _ => crc32c::crc32c_append(payload_crc, bytes),
                    };
                }
            }
        }
    }
    assert_eq!(
        buffer.filled_bytes(),
        payload_start + header.payload_bytes as usize,
        "the plan counted every payload byte"
    );
    header.payload_crc = payload_crc;
    let crc = header.put(config, buffer.as_mut_slice());
    let bytes = buffer.freeze();
    assert_eq!(bytes.len(), header.frame_bytes as usize, "padded to {BLOCK_BYTES}");
    Filled { bytes, crc }
}
