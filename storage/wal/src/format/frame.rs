//! A frame: one write to the device.
//!
//! ```text
//! header 160 | directory 56 * n | directory of the frame before 56 * m | commands | payload | zeros
//! '-------------- header checksum --------------------------------'   '- own -'  '- own -'  none
//! ```
//!
//! Three checksums, so that replay of a sealed segment verifies commands without reading
//! payload, and so that a damaged body still names the shards it hurt. The directory of the frame
//! before does the same for a frame whose header is gone.

use bytes::Bytes;
use holdfast_base::{BootCount, Index, PartitionKey, ReplicaId, ShardId, Term, TopicId};

use super::{
    FORMAT_VERSION, NUMBER_MAX, NotOurs, STAMP_BYTES, Stamp, checksum, get_u16, get_u32, get_u64,
    padded, set_u32, set_u64, stamp_at,
};
use crate::config::WalConfig;
use crate::item::{EntryKind, FrameNumber, HardState, Identity, Locator, NewEntry, SegmentNumber};

pub(crate) const MAGIC: [u8; 8] = *b"HFWALFRM";
/// Flag: every entry in the frame is a copy carried forward from an older segment, with its own
/// index and term; recovery does not truncate for it.
pub(crate) const FLAG_CARRIED: u16 = 1;

/// Offsets behind the stamp.
pub(crate) mod at {
    pub(crate) const OFFSET: usize = super::STAMP_BYTES;
    pub(crate) const NUMBER: usize = OFFSET + 8;
    pub(crate) const POSITION: usize = NUMBER + 8;
    pub(crate) const DURABLE: usize = POSITION + 8;
    pub(crate) const CHAIN: usize = DURABLE + 8;
    pub(crate) const ROWS: usize = CHAIN + 4;
    pub(crate) const PREVIOUS_ROWS: usize = ROWS + 4;
    pub(crate) const COMMANDS_BYTES: usize = PREVIOUS_ROWS + 4;
    pub(crate) const PAYLOAD_BYTES: usize = COMMANDS_BYTES + 4;
    pub(crate) const COMMANDS_CRC: usize = PAYLOAD_BYTES + 4;
    pub(crate) const PAYLOAD_CRC: usize = COMMANDS_CRC + 4;
    pub(crate) const RESERVED: usize = PAYLOAD_CRC + 4;
    pub(crate) const KEY_ID: usize = RESERVED + 4;
    pub(crate) const RESERVED_2: usize = KEY_ID + 16;
    pub(crate) const END: usize = RESERVED_2 + 16;
}

/// Bytes before the directory.
pub(crate) const FIXED_BYTES: usize = at::END;
const _: () = assert!(FIXED_BYTES == 160);
/// Rows of one directory; a frame with more is split, so that both directories stay readable.
pub(crate) const ROWS_MAX: usize = 4096;
const _: () = assert!(
    FIXED_BYTES + 2 * ROWS_MAX * ROW_BYTES + 4096 <= super::FRAME_OVERHEAD_BYTES_MAX as usize
);

/// Offsets in a row of the directory.
pub(crate) mod row_at {
    pub(crate) const SHARD: usize = 0;
    pub(crate) const KIND: usize = SHARD + 4;
    pub(crate) const REPLICA: usize = KIND + 4;
    pub(crate) const FIRST: usize = REPLICA + 8;
    pub(crate) const LAST: usize = FIRST + 8;
    pub(crate) const LAST_TERM: usize = LAST + 8;
    pub(crate) const COMMANDS_START: usize = LAST_TERM + 8;
    pub(crate) const COMMANDS_BYTES: usize = COMMANDS_START + 4;
    pub(crate) const PAYLOAD_START: usize = COMMANDS_BYTES + 4;
    pub(crate) const PAYLOAD_BYTES: usize = PAYLOAD_START + 4;
    pub(crate) const END: usize = PAYLOAD_BYTES + 4;
}

/// Bytes of a row.
pub(crate) const ROW_BYTES: usize = row_at::END;
const _: () = assert!(ROW_BYTES == 56);

/// What a row of the directory stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum RowKind {
    /// Consecutive entries `first..=last`.
    Entries = 0,
    /// A hard state, whole in the row: `first` is commit, `last` the vote, `last_term` the term.
    HardState = 1,
    /// An identity; the row's commands are its voters and learners, `first` how many are voters.
    Identity = 2,
    /// A tombstone.
    Tombstone = 3,
}

/// One thing the frame holds of one replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) kind: RowKind,
    pub(crate) shard: ShardId,
    pub(crate) replica: ReplicaId,
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) last_term: Term,
    /// From the start of the commands section.
    pub(crate) commands_start: u32,
    pub(crate) commands_bytes: u32,
    /// From the start of the payload section.
    pub(crate) payload_start: u32,
    pub(crate) payload_bytes: u32,
}

impl Row {
    pub(crate) fn hard_state(&self) -> HardState {
        HardState { term: self.last_term, vote: ReplicaId(self.last.0), commit: self.first }
    }

    pub(crate) fn put(&self, to: &mut [u8]) {
        set_u32(to, row_at::SHARD, self.shard.0);
        set_u32(to, row_at::KIND, self.kind as u32);
        set_u64(to, row_at::REPLICA, self.replica.0);
        set_u64(to, row_at::FIRST, self.first.0);
        set_u64(to, row_at::LAST, self.last.0);
        set_u64(to, row_at::LAST_TERM, self.last_term.0);
        set_u32(to, row_at::COMMANDS_START, self.commands_start);
        set_u32(to, row_at::COMMANDS_BYTES, self.commands_bytes);
        set_u32(to, row_at::PAYLOAD_START, self.payload_start);
        set_u32(to, row_at::PAYLOAD_BYTES, self.payload_bytes);
    }

    pub(crate) fn get(from: &[u8]) -> Option<Row> {
        let row = Row {
            kind: match get_u32(from, row_at::KIND) {
                0 => RowKind::Entries,
                1 => RowKind::HardState,
                2 => RowKind::Identity,
                3 => RowKind::Tombstone,
                _ => return None,
            },
            shard: ShardId(get_u32(from, row_at::SHARD)),
            replica: ReplicaId(get_u64(from, row_at::REPLICA)),
            first: Index(get_u64(from, row_at::FIRST)),
            last: Index(get_u64(from, row_at::LAST)),
            last_term: Term(get_u64(from, row_at::LAST_TERM)),
            commands_start: get_u32(from, row_at::COMMANDS_START),
            commands_bytes: get_u32(from, row_at::COMMANDS_BYTES),
            payload_start: get_u32(from, row_at::PAYLOAD_START),
            payload_bytes: get_u32(from, row_at::PAYLOAD_BYTES),
        };
        let lies = row.first.0 >= NUMBER_MAX
            || row.kind == RowKind::Entries
                && (row.first.0 == 0 || row.first > row.last || row.last.0 >= NUMBER_MAX);
        (!lies).then_some(row)
    }
}

/// A frame's header and both directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) boot: BootCount,
    pub(crate) slot: u32,
    pub(crate) segment: SegmentNumber,
    pub(crate) carried: bool,
    /// Bytes of the frame with padding.
    pub(crate) frame_bytes: u32,
    /// Where it was meant to lie in its file.
    pub(crate) offset: u64,
    pub(crate) number: FrameNumber,
    /// Bytes of all frames before it, over all segments.
    pub(crate) position: u64,
    /// `< number`.
    pub(crate) durable: FrameNumber,
    /// The checksum of the header before.
    pub(crate) chain: u32,
    pub(crate) commands_bytes: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) commands_crc: u32,
    pub(crate) payload_crc: u32,
    pub(crate) rows: Vec<Row>,
    pub(crate) previous_rows: Vec<Row>,
    /// Its own checksum: the next frame's `chain`.
    pub(crate) crc: u32,
}

impl FrameHeader {
    /// Bytes of header and directories.
    pub(crate) const fn head_bytes(rows: usize, previous_rows: usize) -> usize {
        FIXED_BYTES + ROW_BYTES * (rows + previous_rows)
    }

    pub(crate) fn commands_start(&self) -> usize {
        FrameHeader::head_bytes(self.rows.len(), self.previous_rows.len())
    }

    pub(crate) fn payload_start(&self) -> usize {
        self.commands_start() + self.commands_bytes as usize
    }

    /// Writes header and directories at the start of a frame and returns the checksum.
    pub(crate) fn put(&self, config: &WalConfig, to: &mut [u8]) -> u32 {
        let mut stamp = Stamp::of(config, self.slot, self.segment, self.boot);
        stamp.length = self.frame_bytes;
        stamp.flags = if self.carried { FLAG_CARRIED } else { 0 };
        stamp.put(&MAGIC, to);
        set_u64(to, at::OFFSET, self.offset);
        set_u64(to, at::NUMBER, self.number.0);
        set_u64(to, at::POSITION, self.position);
        set_u64(to, at::DURABLE, self.durable.0);
        set_u32(to, at::CHAIN, self.chain);
        set_u32(to, at::ROWS, self.rows.len() as u32);
        set_u32(to, at::PREVIOUS_ROWS, self.previous_rows.len() as u32);
        set_u32(to, at::COMMANDS_BYTES, self.commands_bytes);
        set_u32(to, at::PAYLOAD_BYTES, self.payload_bytes);
        set_u32(to, at::COMMANDS_CRC, self.commands_crc);
        set_u32(to, at::PAYLOAD_CRC, self.payload_crc);
        let head = self.commands_start();
        let places = to[FIXED_BYTES..head].chunks_exact_mut(ROW_BYTES);
        for (place, row) in places.zip(self.rows.iter().chain(&self.previous_rows)) {
            row.put(place);
        }
        let crc = checksum(&to[..head]);
        set_u32(to, stamp_at::CRC, crc);
        crc
    }

    /// How many bytes header and directories take, from the first [`FIXED_BYTES`]; `None` if
    /// these cannot be the start of a frame.
    pub(crate) fn peek_head_bytes(from: &[u8]) -> Option<usize> {
        if from.len() < FIXED_BYTES
            || from[..8] != MAGIC
            || get_u16(from, stamp_at::VERSION) != FORMAT_VERSION
        {
            return None;
        }
        let rows = get_u32(from, at::ROWS) as usize;
        let previous = get_u32(from, at::PREVIOUS_ROWS) as usize;
        (rows <= ROWS_MAX && previous <= ROWS_MAX).then(|| FrameHeader::head_bytes(rows, previous))
    }

    /// Reads and checks header and directories; `from` holds at least them.
    pub(crate) fn decode(from: &[u8], config: &WalConfig) -> Result<FrameHeader, NotOurs> {
        let stamp = Stamp::get(&MAGIC, from)?;
        let head = FrameHeader::peek_head_bytes(from).ok_or(NotOurs::Shape)?;
        if from.len() < head {
            return Err(NotOurs::Shape);
        }
        let crc = get_u32(from, stamp_at::CRC);
        if checksum(&from[..head]) != crc && !config.planted.header_not_in_checksum {
            return Err(NotOurs::Checksum);
        }
        if !stamp.is_of(config) {
            return Err(NotOurs::Foreign(stamp.owner()));
        }
        let mut all = from[FIXED_BYTES..head].chunks_exact(ROW_BYTES).map(Row::get);
        let row_count = get_u32(from, at::ROWS) as usize;
        let rows: Option<Vec<Row>> = all.by_ref().take(row_count).collect();
        let previous_rows: Option<Vec<Row>> = all.collect();
        let header = FrameHeader {
            boot: stamp.boot,
            slot: stamp.slot,
            segment: stamp.segment,
            carried: stamp.flags & FLAG_CARRIED != 0,
            frame_bytes: stamp.length,
            offset: get_u64(from, at::OFFSET),
            number: FrameNumber(get_u64(from, at::NUMBER)),
            position: get_u64(from, at::POSITION),
            durable: FrameNumber(get_u64(from, at::DURABLE)),
            chain: get_u32(from, at::CHAIN),
            commands_bytes: get_u32(from, at::COMMANDS_BYTES),
            payload_bytes: get_u32(from, at::PAYLOAD_BYTES),
            commands_crc: get_u32(from, at::COMMANDS_CRC),
            payload_crc: get_u32(from, at::PAYLOAD_CRC),
            rows: rows.ok_or(NotOurs::Shape)?,
            previous_rows: previous_rows.ok_or(NotOurs::Shape)?,
            crc,
        };
        let body = u64::from(header.commands_bytes) + u64::from(header.payload_bytes);
        let sections_fit = header.rows.iter().all(|row| {
            u64::from(row.commands_start) + u64::from(row.commands_bytes)
                <= u64::from(header.commands_bytes)
                && u64::from(row.payload_start) + u64::from(row.payload_bytes)
                    <= u64::from(header.payload_bytes)
        });
        if padded(head as u64 + body) != u64::from(header.frame_bytes)
            || !sections_fit
            || header.durable >= header.number
            || header.number.0 >= u64::MAX - 2
            || header.position >= NUMBER_MAX
            || header.offset >= NUMBER_MAX
        {
            return Err(NotOurs::Shape);
        }
        Ok(header)
    }
}

/// Offsets in the head of an entry in the commands section; command and locators follow.
pub(crate) mod entry_at {
    pub(crate) const INDEX: usize = 0;
    pub(crate) const TERM: usize = INDEX + 8;
    pub(crate) const KIND: usize = TERM + 8;
    pub(crate) const COMMAND_BYTES: usize = KIND + 4;
    pub(crate) const PAYLOAD_BYTES: usize = COMMAND_BYTES + 4;
    pub(crate) const LOCATORS: usize = PAYLOAD_BYTES + 4;
    pub(crate) const END: usize = LOCATORS + 4;
}

/// Offsets in a locator.
pub(crate) mod locator_at {
    pub(crate) const TOPIC: usize = 0;
    pub(crate) const PARTITION: usize = TOPIC + 16;
    pub(crate) const BASE_OFFSET: usize = PARTITION + 4;
    pub(crate) const LAST_OFFSET: usize = BASE_OFFSET + 8;
    pub(crate) const MAX_TIMESTAMP: usize = LAST_OFFSET + 8;
    pub(crate) const START: usize = MAX_TIMESTAMP + 8;
    pub(crate) const BYTES: usize = START + 4;
    pub(crate) const END: usize = BYTES + 4;
}

/// Bytes of an entry's head.
pub(crate) const ENTRY_HEAD_BYTES: usize = entry_at::END;
/// Bytes of a locator.
pub(crate) const LOCATOR_BYTES: usize = locator_at::END;

/// Bytes `entry` takes in the commands section.
pub(crate) fn entry_commands_bytes(entry: &NewEntry) -> usize {
    ENTRY_HEAD_BYTES + entry.command.len() + LOCATOR_BYTES * entry.locators.len()
}

/// The head of an entry.
pub(crate) fn entry_head(entry: &NewEntry, payload_bytes: u32) -> [u8; ENTRY_HEAD_BYTES] {
    let mut head = [0; ENTRY_HEAD_BYTES];
    set_u64(&mut head, entry_at::INDEX, entry.index.0);
    set_u64(&mut head, entry_at::TERM, entry.term.0);
    set_u32(&mut head, entry_at::KIND, entry.kind as u32);
    set_u32(&mut head, entry_at::COMMAND_BYTES, entry.command.len() as u32);
    set_u32(&mut head, entry_at::PAYLOAD_BYTES, payload_bytes);
    set_u32(&mut head, entry_at::LOCATORS, entry.locators.len() as u32);
    head
}

pub(crate) fn put_locator(locator: &Locator) -> [u8; LOCATOR_BYTES] {
    let mut to = [0; LOCATOR_BYTES];
    to[locator_at::TOPIC..locator_at::PARTITION].copy_from_slice(&locator.partition.topic.0);
    set_u32(&mut to, locator_at::PARTITION, locator.partition.partition.cast_unsigned());
    set_u64(&mut to, locator_at::BASE_OFFSET, locator.base_offset.cast_unsigned());
    set_u64(&mut to, locator_at::LAST_OFFSET, locator.last_offset.cast_unsigned());
    set_u64(&mut to, locator_at::MAX_TIMESTAMP, locator.max_timestamp_ms.cast_unsigned());
    set_u32(&mut to, locator_at::START, locator.start);
    set_u32(&mut to, locator_at::BYTES, locator.len_bytes);
    to
}

fn get_locator(from: &[u8]) -> Locator {
    let mut topic = [0; 16];
    topic.copy_from_slice(&from[locator_at::TOPIC..locator_at::PARTITION]);
    Locator {
        partition: PartitionKey {
            topic: TopicId(topic),
            partition: get_u32(from, locator_at::PARTITION).cast_signed(),
        },
        base_offset: get_u64(from, locator_at::BASE_OFFSET).cast_signed(),
        last_offset: get_u64(from, locator_at::LAST_OFFSET).cast_signed(),
        max_timestamp_ms: get_u64(from, locator_at::MAX_TIMESTAMP).cast_signed(),
        start: get_u32(from, locator_at::START),
        len_bytes: get_u32(from, locator_at::BYTES),
    }
}

/// An entry as it stands in a commands section.
#[derive(Clone, Debug)]
pub(crate) struct ParsedEntry {
    pub(crate) index: Index,
    pub(crate) term: Term,
    pub(crate) kind: EntryKind,
    pub(crate) command: Bytes,
    /// From the start of the payload section.
    pub(crate) payload_start: u32,
    pub(crate) payload_bytes: u32,
    /// As stored: read by those who index batches, skipped by replay.
    locators: Bytes,
}

impl ParsedEntry {
    pub(crate) fn locators(&self) -> impl Iterator<Item = Locator> + '_ {
        self.locators.chunks_exact(LOCATOR_BYTES).map(get_locator)
    }
}

/// The entries of `row`, from the frame's whole commands section. `None` when they are not what
/// the directory says, which a checksum does not rule out for bytes somebody else wrote.
pub(crate) fn parse_entries(row: &Row, commands: &Bytes) -> Option<Vec<ParsedEntry>> {
    let start = row.commands_start as usize;
    let end = start.checked_add(row.commands_bytes as usize)?;
    let mut at = start;
    let mut payload_start = row.payload_start;
    let payload_end = row.payload_start.checked_add(row.payload_bytes)?;
    let mut entries = Vec::new();
    let mut expected = row.first;
    while at < end {
        let head = commands.get(at..at.checked_add(ENTRY_HEAD_BYTES)?)?;
        let command_bytes = get_u32(head, entry_at::COMMAND_BYTES) as usize;
        let locator_count = get_u32(head, entry_at::LOCATORS) as usize;
        let payload_bytes = get_u32(head, entry_at::PAYLOAD_BYTES);
        let command_at = at + ENTRY_HEAD_BYTES;
        let locators_at = command_at.checked_add(command_bytes)?;
        let next = locators_at.checked_add(locator_count.checked_mul(LOCATOR_BYTES)?)?;
        if next > end || next > commands.len() {
            return None;
        }
        let entry = ParsedEntry {
            index: Index(get_u64(head, entry_at::INDEX)),
            term: Term(get_u64(head, entry_at::TERM)),
            kind: match get_u32(head, entry_at::KIND) {
                0 => EntryKind::Normal,
                1 => EntryKind::ConfChange,
                _ => return None,
            },
            command: commands.slice(command_at..locators_at),
            payload_start,
            payload_bytes,
            locators: commands.slice(locators_at..next),
        };
        payload_start = payload_start.checked_add(payload_bytes)?;
        if entry.index != expected || payload_start > payload_end {
            return None;
        }
        expected = expected.next();
        entries.push(entry);
        at = next;
    }
    let whole =
        entries.last().is_some_and(|last| last.index == row.last && last.term == row.last_term);
    whole.then_some(entries)
}

/// The identity of `row`, from the frame's commands section.
pub(crate) fn parse_identity(row: &Row, commands: &[u8]) -> Option<Identity> {
    let start = row.commands_start as usize;
    let ids = commands.get(start..start.checked_add(row.commands_bytes as usize)?)?;
    let (voters, learners) = super::segment::get_ids(ids, usize::try_from(row.first.0).ok()?);
    Some(Identity { shard: row.shard, replica: row.replica, voters, learners })
}
