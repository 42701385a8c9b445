//! The recovery of a log whose files have changed under it: superblock, segment headers, frames,
//! directories, entries and seals, all through [`Wal::recover`].
//!
//! ```text
//! input   which log 1 | change | change | ...
//! change  file 1 | block 2 | place in it 2 | what 1 | bytes 4          numbers are little-endian
//! what    0 overwrite | 1 flip | 2 zeros for the block | 3 another block's bytes   +128: sign it again
//! ```
//!
//! A log is a few MiB, so an input says what changes in one of three real ones. A signed change has a
//! true checksum again: what stands behind it is a lie that only the rest of the log can tell.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_base::{ClusterId, Index, LaneId, NodeId, Now, PartitionKey, ReplicaId, ShardId};
use holdfast_base::{Term, TopicId};
use holdfast_io::{
    BLOCK_BYTES, Completion, Disk, DiskError, DiskErrorKind, FileId, SimDevice, SimDisk, SimFaults,
    Token,
};
use holdfast_wal::{
    Chunk, EntryKind, HardState, Identity, Item, Locator, NewEntry, Recovered, Verdict, Wal,
    WalConfig,
};

use super::{Bound, Target, Verdict as Judged};

const CHANGE_BYTES: usize = 10;
const SIGNED: u8 = 128;
/// Recovery reads a file in pieces of at most a MiB, and holds the runs of a few frames.
const BOUND: Bound = Bound { largest_bytes: 4 << 20, peak_bytes: 24 << 20 };
const BLOCK: u64 = BLOCK_BYTES as u64;
/// Where every structure has its length and its checksum.
const LENGTH_AT: usize = 56;
const CRC_AT: usize = 60;

/// (shard, index) → term, command.
type Written = BTreeMap<(u32, u64), (u64, Bytes)>;

/// A log as it lies on a device, and what was acknowledged of it.
struct Log {
    files: BTreeMap<String, Vec<u8>>,
    written: Written,
}

pub(crate) struct Recovery {
    logs: Vec<Arc<Log>>,
}

impl Recovery {
    pub(crate) fn new() -> Recovery {
        Recovery { logs: [(3, 1), (30, 2), (6, 3)].map(|(n, boots)| written(n, boots)).into() }
    }
}

impl Target for Recovery {
    fn name(&self) -> &'static str {
        "wal"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let mut corpus = Vec::new();
        for (number, log) in (0_u8..).zip(&self.logs) {
            corpus.push(vec![number]);
            for (file, bytes) in (0_u8..).zip(log.files.values()) {
                for (block, content) in bytes.chunks_exact(BLOCK_BYTES).enumerate() {
                    if !content.starts_with(b"HFWAL") {
                        continue;
                    }
                    let block = u16::try_from(block).expect("files of half a MiB");
                    for (at, what) in [(8_u16, 1), (64, SIGNED), (88, SIGNED | 1), (112, 0), (0, 2)]
                    {
                        let mut input = vec![number, file];
                        input.extend_from_slice(&block.to_le_bytes());
                        input.extend_from_slice(&at.to_le_bytes());
                        input.extend_from_slice(&[what, 1, 0, 0, 0]);
                        corpus.push(input);
                    }
                }
            }
        }
        corpus
    }

    fn run(&self, input: &[u8]) -> Judged {
        let Some((number, changes)) = input.split_first() else { return Judged::Refused };
        let log = &self.logs[usize::from(*number) % self.logs.len()];
        let changes: Vec<&[u8]> = changes.chunks_exact(CHANGE_BYTES).collect();
        let mut disk = ChangedDisk::new(Arc::clone(log));
        let mut signed = false;
        for change in &changes {
            signed |= disk.change(change);
        }
        let Ok((wal, recovered)) = Wal::recover(disk, config()) else { return Judged::Refused };
        let (read, all_readable) = read_all(&wal, &recovered);
        if signed {
            return Judged::Accepted;
        }
        for (place, found) in &read {
            if log.written.get(place) != Some(found) {
                return Judged::Wrong(format!("{place:?}: {found:?} was never written"));
            }
        }
        // A sealed segment is read when its entries are wanted: damage is told then.
        let fine = all_readable && is_whole(&recovered);
        if changes.len() < 2 && fine && read != log.written {
            let lost = log.written.keys().find(|place| !read.contains_key(*place));
            return Judged::Wrong(format!("{lost:?} is lost and nobody says so"));
        }
        Judged::Accepted
    }

    fn bound(&self, _input_bytes: usize) -> Bound {
        BOUND
    }
}

/// Recovery says that nothing is missing.
fn is_whole(recovered: &Recovered) -> bool {
    let fine = |verdict| matches!(verdict, Verdict::End | Verdict::NeverOpened | Verdict::Repair);
    recovered.cut.is_none()
        && recovered.replicas.values().all(|replica| replica.damage.is_none())
        && recovered.verdicts.iter().all(|row| fine(row.verdict))
}

/// Every entry there is, and whether all that should be there could be read.
fn read_all<D: Disk>(wal: &Wal<D>, recovered: &Recovered) -> (Written, bool) {
    let (mut read, mut all_readable) = (Written::new(), true);
    for (shard, replica) in &recovered.replicas {
        for run in &replica.runs {
            let entries = wal.read_run(run);
            all_readable &= entries.is_ok();
            for entry in entries.into_iter().flatten() {
                read.insert((shard.0, entry.index.0), (entry.term.0, entry.command));
            }
        }
    }
    (read, all_readable)
}

fn config() -> WalConfig {
    let mut config = WalConfig::new(ClusterId([7; 16]), NodeId(3), LaneId(0), 4 << 20);
    config.segment_bytes = 512 << 10;
    config.frame_bytes_max = 64 << 10;
    config.in_flight_bytes_max = 256 << 10;
    config.reserve_bytes = 512 << 10;
    config
}

/// A log of so many entries, written by so many starts.
fn written(entries: u64, boots: u64) -> Arc<Log> {
    let device = SimDevice::new(entries, 1 << 30, SimFaults::default());
    let replica = |shard: u32| ReplicaId(u64::from(shard) + 100);
    let identity = |shard| Identity {
        shard: ShardId(shard),
        replica: replica(shard),
        voters: vec![replica(shard)],
        learners: vec![],
    };
    let open = || device.open().expect("a device that works");
    Wal::format(&mut open(), &config(), &[identity(1), identity(2)]).expect("room for a log");
    let mut written = Written::new();
    let mut now_ns = 1;
    for boot in 0..boots {
        let (mut wal, _) = Wal::recover(open(), config()).expect("a log of our own");
        let share = entries / boots;
        for number in boot * share + 1..=(boot + 1) * share {
            for shard in [1, 2] {
                let command = Bytes::from(format!("command {shard} {number} of start {boot}"));
                written.insert((shard, number), (boot + 1, command.clone()));
                let items = vec![
                    entry(shard, replica(shard), number, boot + 1, command),
                    Item::HardState(
                        ShardId(shard),
                        replica(shard),
                        HardState {
                            term: Term(boot + 1),
                            vote: replica(shard),
                            commit: Index(number - 1),
                        },
                    ),
                ];
                wal.append(items, Now { boottime_ns: now_ns, wall_ms: 0 }).expect("room");
                settle(&device, &mut wal, &mut now_ns);
            }
        }
        // The last frame's fate becomes durable too.
        now_ns += 1_000_000_000;
        wal.tick(Now { boottime_ns: now_ns, wall_ms: 0 }).expect("a device that works");
        settle(&device, &mut wal, &mut now_ns);
    }
    let names = open().list().expect("a device that works");
    let media = |(name, _): (String, u64)| Some((name.clone(), device.media(&name)?));
    Arc::new(Log { files: names.into_iter().filter_map(media).collect(), written })
}

fn settle(device: &SimDevice, wal: &mut Wal<SimDisk>, now_ns: &mut u64) {
    let mut events = Vec::new();
    for _ in 0..100 {
        wal.poll(&mut events);
        while let Some(due_ns) = device.next_due_ns() {
            *now_ns = (*now_ns).max(due_ns);
            device.advance(*now_ns);
            wal.poll(&mut events);
        }
        if wal.in_flight() == 0 {
            return;
        }
        // A frame waits for a file, which a tick asks for.
        *now_ns += 1_000_000;
        wal.tick(Now { boottime_ns: *now_ns, wall_ms: 0 }).expect("a device that works");
    }
    panic!("{} frames are not written", wal.in_flight());
}

fn entry(shard: u32, replica: ReplicaId, index: u64, term: u64, command: Bytes) -> Item {
    let bytes = Bytes::from(vec![index as u8; 500 + (index as usize % 5) * 9_000]);
    let mut head = [0; 21];
    head.copy_from_slice(&bytes[..21]);
    let locator = Locator {
        partition: PartitionKey { topic: TopicId([1; 16]), partition: 0 },
        base_offset: index as i64 * 10,
        last_offset: index as i64 * 10 + 9,
        max_timestamp_ms: 1_700_000_000_000,
        start: 0,
        len_bytes: bytes.len() as u32,
    };
    let payload = vec![Chunk::Head(head), Chunk::Body { bytes: bytes.slice(21..), crc32c: None }];
    Item::Entry(NewEntry {
        shard: ShardId(shard),
        replica,
        index: Index(index),
        term: Term(term),
        kind: EntryKind::Normal,
        command,
        payload,
        locators: vec![locator],
    })
}

/// A log's files with other blocks in some places; what recovery writes lies over them too.
struct ChangedDisk {
    log: Arc<Log>,
    /// Name and length.
    files: Vec<(String, u64)>,
    blocks: RefCell<BTreeMap<(u32, u64), Vec<u8>>>,
}

impl ChangedDisk {
    fn new(log: Arc<Log>) -> ChangedDisk {
        let files =
            log.files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
        ChangedDisk { log, files, blocks: RefCell::default() }
    }

    fn block(&self, file: u32, block: u64) -> Vec<u8> {
        if let Some(bytes) = self.blocks.borrow().get(&(file, block)) {
            return bytes.clone();
        }
        let original = self.files.get(file as usize).and_then(|(name, _)| self.log.files.get(name));
        let from = (block * BLOCK) as usize;
        let bytes = original.and_then(|bytes| bytes.get(from..from + BLOCK_BYTES));
        bytes.map_or_else(|| vec![0; BLOCK_BYTES], <[u8]>::to_vec)
    }

    /// Makes a change; whether it is signed.
    fn change(&mut self, change: &[u8]) -> bool {
        let word = |at: usize| u16::from_le_bytes([change[at], change[at + 1]]);
        let file = usize::from(change[0]) % self.files.len();
        let blocks = self.files[file].1 / BLOCK;
        let (file, block) = (file as u32, u64::from(word(1)) % blocks);
        let at = usize::from(word(3)) % (BLOCK_BYTES - 4);
        let value = &change[6..];
        let mut bytes = match change[5] & 3 {
            3 => self.block(file, u64::from(word(6)) % blocks),
            _ => self.block(file, block),
        };
        match change[5] & 3 {
            0 => bytes[at..at + 4].copy_from_slice(value),
            1 => bytes[at] ^= value[0].max(1),
            2 => bytes.fill(0),
            _ => {}
        }
        let signs = change[5] & SIGNED != 0;
        if signs {
            self.sign(file, block, &mut bytes);
        }
        self.blocks.borrow_mut().insert((file, block), bytes);
        signs
    }

    /// The checksum of the structure that begins with this block.
    fn sign(&self, file: u32, block: u64, bytes: &mut [u8]) {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
        };
        let len = if bytes.starts_with(b"HFWALFRM") {
            160_usize.saturating_add(word(100).saturating_add(word(104)).saturating_mul(56))
        } else {
            word(LENGTH_AT)
        };
        let len = len.clamp(CRC_AT + 4, 16 * BLOCK_BYTES);
        let mut structure = bytes.to_vec();
        for behind in 1..len.div_ceil(BLOCK_BYTES) {
            structure.extend_from_slice(&self.block(file, block + behind as u64));
        }
        let crc = crc32c::crc32c(&structure[..CRC_AT]);
        let crc = crc32c::crc32c_append(crc, &structure[CRC_AT + 4..len]);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    }

    fn failed(attempted: &str) -> DiskError {
        let (attempted, detail) = (attempted.to_owned(), "no such place".to_owned());
        DiskError { kind: DiskErrorKind::Failed, attempted, detail }
    }
}

impl Disk for ChangedDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let mut files = self.files.clone();
        files.sort();
        Ok(files)
    }

    fn open(&mut self, name: &str) -> Result<FileId, DiskError> {
        let at = self.files.iter().position(|(other, _)| other == name);
        at.map(|at| FileId(at as u32)).ok_or_else(|| ChangedDisk::failed("open"))
    }

    fn create(&mut self, name: &str, len_bytes: u64) -> Result<FileId, DiskError> {
        self.files.push((name.to_owned(), len_bytes));
        Ok(FileId(self.files.len() as u32 - 1))
    }

    fn submit_create(&mut self, _name: &str, _len_bytes: u64, _token: Token) {}

    fn read(&self, file: FileId, offset: u64, len_bytes: usize) -> Result<Bytes, DiskError> {
        let blocks = offset / BLOCK..(offset + len_bytes as u64).div_ceil(BLOCK);
        if blocks.end * BLOCK > self.len_bytes(file) {
            return Err(ChangedDisk::failed("read"));
        }
        let mut bytes = Vec::with_capacity(len_bytes);
        for block in blocks {
            bytes.extend_from_slice(&self.block(file.0, block));
        }
        Ok(Bytes::from(bytes))
    }

    fn write(&mut self, file: FileId, offset: u64, data: Bytes) -> Result<(), DiskError> {
        for (block, bytes) in (offset / BLOCK..).zip(data.chunks(BLOCK_BYTES)) {
            self.blocks.borrow_mut().insert((file.0, block), bytes.to_vec());
        }
        Ok(())
    }

    fn submit_write(&mut self, _file: FileId, _offset: u64, _data: Bytes, _token: Token) {}

    fn submit_read(&mut self, _file: FileId, _offset: u64, _len_bytes: usize, _token: Token) {}

    fn poll(&mut self, _completions: &mut Vec<Completion>) {}

    fn len_bytes(&self, file: FileId) -> u64 {
        self.files.get(file.0 as usize).map_or(0, |(_, len)| *len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_as_it_was_written_is_whole_and_a_changed_one_says_so() {
        let target = Recovery::new();
        for number in 0..3 {
            let log = &target.logs[usize::from(number)];
            let (wal, recovered) =
                Wal::recover(ChangedDisk::new(Arc::clone(log)), config()).expect("whole");
            let judged = target.run(&[number]);
            assert!(matches!(judged, Judged::Accepted), "log {number}: {judged:?}");
            assert!(is_whole(&recovered), "{recovered:?}");
            assert_eq!(read_all(&wal, &recovered), (log.written.clone(), true));
        }
        let sealed = target.logs[1]
            .files
            .values()
            .any(|file| file.chunks_exact(BLOCK_BYTES).any(|block| block.starts_with(b"HFWALEND")));
        assert!(sealed, "one of them has a seal");
    }

    #[test]
    fn a_signed_change_has_a_true_checksum() {
        let target = Recovery::new();
        let log = &target.logs[0];
        let mut disk = ChangedDisk::new(Arc::clone(log));
        let at = log.files.values().position(|bytes| bytes.starts_with(b"HFWALSUP"));
        let file = u8::try_from(at.expect("a superblock")).expect("few files");
        // The boot count, signed again: it is believed, and the next start counts on from it.
        assert!(disk.change(&[file, 0, 0, 48, 0, SIGNED, 9, 1, 0, 0]));
        let (_, recovered) = Wal::recover(disk, config()).expect("a superblock that is true");
        assert_eq!(recovered.boot.0, 0x109 + 1);
    }
}
