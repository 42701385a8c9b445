//! The contract on RocksDB: what a node keeps of its shards' states between starts.
//!
//! ```text
//! write ─▶ WriteBatch { changes, applied index } ─▶ memtable ──flush──▶ SST, fsync ─▶ MANIFEST
//!                          no log of its own          │ lost in a crash     │ survives any
//!                                                     └ applied             └ checkpointed
//! ```
//!
//! Idea: RocksDB's log is off, since ours has everything; a flush is then the only thing that makes
//! state durable. One column family, so memtables become durable in the order they were filled, and a
//! batch never lies in two of them: a crash keeps a prefix of the writes, each whole.
//!
//! Invariants: `checkpointed` moves only when a flush has returned. Blocks are read under their
//! checksums. Memory is bounded by the constants below, whatever the state's size.
//!
//! Caveats: RocksDB tells of a full disk only in words; `read_words` is the one place that reads
//! them. After an error other than a refusal the store must be dropped ([`crate::Action`]): RocksDB
//! itself refuses further writes until it is opened again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use bytes::Bytes;
use holdfast_base::Index;
use rocksdb::{
    BlockBasedOptions, Cache, ChecksumType, DB, DBCompressionType, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use crate::changes::Changes;
use crate::error::StateError;
use crate::key::{KEY_MAX_BYTES, OWNER_BYTES, Owner};
use crate::store::{Row, StateStore};

/// What is written between two flushes rarely passes this; then RocksDB flushes by itself.
const MEMTABLE_BYTES: usize = 8 << 20;
/// Two: one fills while the other goes to disk. A writer waits for the third.
const MEMTABLES_MAX: i32 = 2;
/// State is read whole at a start and then only written: a cache of it serves compactions' indexes.
const BLOCK_CACHE_BYTES: usize = 4 << 20;
/// An SST for every 16 MiB of state.
const TABLE_BYTES: u64 = 16 << 20;
/// Open files of the store: the node keeps its descriptors for connections and the log.
const OPEN_FILES_MAX: i32 = 64;
/// RocksDB's own words, warnings and worse: this file and one before it.
const WORDS_BYTES_MAX: usize = 1 << 20;
const WORDS_FILES_MAX: usize = 2;
/// The list of tables is begun anew when it is longer.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// A flush and a compaction.
const BACKGROUND_JOBS: i32 = 2;
/// As private as the records.
const DIRECTORY_MODE: u32 = 0o700;

/// See the module.
#[derive(Debug)]
pub struct RocksState {
    db: DB,
    /// What survives any crash, of each replica: the last finished flush's index, or what a removal
    /// or a replacement since may leave.
    flushed: BTreeMap<Owner, Index>,
}

impl RocksState {
    /// Opens the store in `directory`, or begins an empty one where there is none.
    ///
    /// # Errors
    /// By what to do about it; nothing was changed that counts.
    pub fn open(directory: &Path) -> Result<RocksState, StateError> {
        make_directory(directory)?;
        let db = DB::open(&options(), directory).map_err(what_now)?;
        let mut store = RocksState { db, flushed: BTreeMap::new() };
        // Without a log of its own, all that is there was flushed.
        store.flushed = store.indexes()?;
        Ok(store)
    }

    fn index_of(&self, owner: Owner) -> Result<Index, StateError> {
        match self.db.get_pinned(owner.prefix()).map_err(what_now)? {
            Some(value) => index_from(owner, &value),
            None => Ok(Index(0)),
        }
    }

    /// The applied index of every replica.
    fn indexes(&self) -> Result<BTreeMap<Owner, Index>, StateError> {
        let mut indexes = BTreeMap::new();
        let mut rows = self.db.raw_iterator_opt(reading());
        rows.seek_to_first();
        while let Some(key) = rows.key() {
            let Some((owner, rest)) = Owner::split(key) else {
                return Err(damaged(format!("a key has only {} bytes", key.len())));
            };
            if rest.is_empty() {
                indexes.insert(owner, index_from(owner, rows.value().unwrap_or_default())?);
            } else {
                return Err(damaged(format!("{owner} has rows and no applied index")));
            }
            let Some(end) = owner.end() else { break };
            rows.seek(end);
        }
        rows.status().map_err(what_now)?;
        Ok(indexes)
    }

    fn write_batch(&self, batch: WriteBatch) -> Result<(), StateError> {
        let mut how = WriteOptions::default();
        how.disable_wal(true);
        self.db.write_opt(batch, &how).map_err(what_now)
    }
}

/// Moves a store that is not to be used out of the way, as evidence: one is kept, the newest.
///
/// # Errors
/// As the file system says.
pub fn set_aside(directory: &Path) -> io::Result<()> {
    let aside = directory.with_extension("damaged");
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(directory, &aside)?;
    sync_parent(directory)
}

fn sync_parent(directory: &Path) -> io::Result<()> {
    match directory.parent() {
        Some(above) if !above.as_os_str().is_empty() => File::open(above)?.sync_all(),
        _ => Ok(()),
    }
}

/// A directory that is ours: new, empty, or with a store in it.
fn make_directory(directory: &Path) -> Result<(), StateError> {
    let said = |error: io::Error| {
        let what = format!("{}: {error}", directory.display());
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StateError::Full { what },
            _ => StateError::Unusable { what },
        }
    };
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => return sync_parent(directory).map_err(said),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(said(error)),
        Err(_) => {}
    }
    let mut tables = 0;
    for entry in fs::read_dir(directory).map_err(said)? {
        let name = entry.map_err(said)?.file_name();
        let name = name.to_string_lossy();
        if name == "CURRENT" {
            return Ok(());
        }
        tables += usize::from(name.ends_with(".sst"));
    }
    if tables > 0 {
        // RocksDB would begin an empty store and delete them.
        return Err(damaged(format!("there are {tables} tables and no CURRENT")));
    }
    Ok(())
}

fn options() -> Options {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_checksum_type(ChecksumType::XXH3);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_paranoid_checks(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_target_file_size_base(TABLE_BYTES);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_max_manifest_file_size(MANIFEST_BYTES_MAX);
    options.set_manifest_preallocation_size(0);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(WORDS_BYTES_MAX);
    options.set_keep_log_file_num(WORDS_FILES_MAX);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn reading() -> ReadOptions {
    let mut how = ReadOptions::default();
    how.set_verify_checksums(true);
    how.fill_cache(false);
    how
}

fn damaged(what: String) -> StateError {
    StateError::Damaged { what }
}

fn index_from(owner: Owner, value: &[u8]) -> Result<Index, StateError> {
    let bytes = <[u8; 8]>::try_from(value)
        .map_err(|_| damaged(format!("the applied index of {owner} has {} bytes", value.len())))?;
    Ok(Index(u64::from_le_bytes(bytes)))
}

/// RocksDB hands its status out as words: "IO error: " and what the system said, or what it found.
fn what_now(error: rocksdb::Error) -> StateError {
    read_words(error.kind(), error.into_string())
}

fn read_words(kind: rocksdb::ErrorKind, what: String) -> StateError {
    /// May be otherwise in a while. A limit on file size (EFBIG) is a kind of full.
    const LATER: [&str; 6] = [
        "No space left on device",
        "Disk quota exceeded",
        "File too large",
        "Too many open files",
        "Cannot allocate memory",
        "Resource temporarily unavailable",
    ];
    const DENIED: [&str; 4] =
        ["Permission denied", "Not a directory", "Read-only file system", "lock hold by"];
    let says = |words: &[&str]| words.iter().any(|word| what.contains(word));
    match kind {
        _ if says(&LATER) => StateError::Full { what },
        _ if says(&DENIED) => StateError::Unusable { what },
        // A file of the store that is not there, or not what it should be.
        rocksdb::ErrorKind::IOError if !says(&["No such file or directory"]) => {
            StateError::Device { what }
        }
        _ => StateError::Damaged { what },
    }
}

fn put_all(
    batch: &mut WriteBatch,
    owner: Owner,
    changes: &Changes,
    applied: Index,
) -> Result<(), StateError> {
    for change in changes.iter() {
        let key = owner.physical(&change.key)?;
        match &change.value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    batch.put(owner.prefix(), applied.0.to_le_bytes());
    Ok(())
}

fn delete_all(batch: &mut WriteBatch, owner: Owner) {
    match owner.end() {
        Some(end) => batch.delete_range(owner.prefix(), end),
        // Behind any key of the last owner there could be.
        None => batch.delete_range(&owner.prefix()[..], &[0xff; OWNER_BYTES + KEY_MAX_BYTES + 1]),
    }
}

impl StateStore for RocksState {
    fn write(&mut self, owner: Owner, changes: &Changes, applied: Index) -> Result<(), StateError> {
        let before = self.applied(owner)?;
        if applied < before {
            return Err(StateError::Backwards { owner, applied: before, offered: applied });
        }
        let mut batch = WriteBatch::default();
        put_all(&mut batch, owner, changes, applied)?;
        self.write_batch(batch)
    }

    fn replace(&mut self, owner: Owner, rows: &Changes, applied: Index) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        delete_all(&mut batch, owner);
        put_all(&mut batch, owner, rows, applied)?;
        self.write_batch(batch)?;
        self.flushed.entry(owner).and_modify(|flushed| *flushed = applied.min(*flushed));
        Ok(())
    }

    fn applied(&self, owner: Owner) -> Result<Index, StateError> {
        self.index_of(owner)
    }

    fn checkpointed(&self, owner: Owner) -> Result<Index, StateError> {
        Ok(self.flushed.get(&owner).copied().unwrap_or(Index(0)))
    }

    fn get(&self, owner: Owner, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        let found = self.db.get_pinned(owner.physical(key)?).map_err(what_now)?;
        Ok(found.map(|value| Bytes::copy_from_slice(&value)))
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
        let mut found = Vec::new();
        let mut rows = self.db.raw_iterator_opt(reading());
        rows.seek(wanted.as_slice().max(&beyond));
        while let (Some(key), Some(value)) = (rows.key(), rows.value()) {
            if found.len() == limit_rows || !key.starts_with(&wanted) {
                break;
            }
            if key > beyond.as_slice() {
                found.push(Row {
                    key: Bytes::copy_from_slice(&key[OWNER_BYTES..]),
                    value: Bytes::copy_from_slice(value),
                });
            }
            rows.next();
        }
        rows.status().map_err(what_now)?;
        Ok(found)
    }

    fn flush(&mut self) -> Result<(), StateError> {
        let indexes = self.indexes()?;
        self.db.flush().map_err(what_now)?;
        self.flushed = indexes;
        Ok(())
    }

    fn remove(&mut self, owner: Owner) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        delete_all(&mut batch, owner);
        self.write_batch(batch)?;
        // A crash may leave the replica gone from here on.
        self.flushed.remove(&owner);
        Ok(())
    }

    fn owners(&self) -> Result<Vec<Owner>, StateError> {
        Ok(self.indexes()?.into_keys().collect())
    }
}

#[cfg(test)]
mod tests;
