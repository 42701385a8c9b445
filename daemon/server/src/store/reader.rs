//! Records in objects, for Fetch and ListOffsets.
//!
//! ```text
//! read ─▶ footer (cache, or GET) ─▶ blocks wanted ─▶ cached │ one GET for the rest ─▶ checked ─▶ cache
//!                                                └─▶ whole batches ─▶ answer
//!                                                └─▶ goes on where it ended? ─▶ next blocks, beside the answer
//! ```
//!
//! A reader is known by where it goes on: (partition, next offset). So no session is needed, and two
//! consumers at the same place share what is read ahead. What is forgotten costs a GET, never a record.
//!
//! Invariants: nothing leaves that was not checked by [`holdfast_tier`]. Damaged bytes are asked for
//! once more, since they may have been damaged on the way. A read ends within [`READ_LIMIT`]; who asked
//! gets an error that clients try again.
//!
//! Caveat: nothing is read ahead beyond an object, as only the lane knows the next one.

use super::counters::StoreCounters;
use bytes::Bytes;
use holdfast_base::{Clock, PartitionKey};
use holdfast_batch::Limits;
use holdfast_broker::{ColdError, ObjectAnswer, ObjectRead, ObjectReader, ObjectWant};
use holdfast_lane::ObjectPlace;
use holdfast_tier::store::{Action, Store};
use holdfast_tier::{
    Block, BlockCache, Footer, ObjectError, PartitionRow, ReadAhead, StoreKey, Tail,
};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Well below the 30 s in which clients give a request up.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// A GET is made so often before a read fails.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// Readers that are remembered.
const READERS_MAX: usize = 1024;
/// GETs ahead at a time: consumers that wait come first.
const AHEAD_AT_ONCE: usize = 4;
/// What is read ahead takes at most this part of the cache at a time.
const CACHE_SHARE: u64 = 4;

/// Reads objects of a store.
#[derive(Clone)]
pub struct StoreReader(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    cache: BlockCache,
    readers: Mutex<Readers>,
    counters: Arc<StoreCounters>,
    clock: Arc<dyn Clock + Send + Sync>,
    ahead: Arc<Semaphore>,
}

/// A reader by the place where it goes on.
type Reader = (PartitionKey, i64);

#[derive(Default)]
struct Readers {
    known: BTreeMap<Reader, Past>,
    /// Oldest first; a name may stand here longer than in `known`.
    order: VecDeque<Reader>,
}

#[derive(Default)]
struct Past {
    read_ahead: ReadAhead,
    /// A GET under way for it.
    under_way: Option<JoinHandle<()>>,
}

impl Readers {
    fn take(&mut self, reader: Reader) -> Past {
        self.known.remove(&reader).unwrap_or_default()
    }

    fn put(&mut self, reader: Reader, past: Past) {
        // Another consumer may be there already, and further along with its window.
        if let Some(other) = self.known.get(&reader)
            && other.read_ahead.window_bytes() > past.read_ahead.window_bytes()
        {
            return;
        }
        self.known.insert(reader, past);
        self.order.push_back(reader);
        while self.order.len() > READERS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl StoreReader {
    /// A reader with a cache of `cache_bytes`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        cache_bytes: u64,
        counters: Arc<StoreCounters>,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> StoreReader {
        StoreReader(Arc::new(Shared {
            store,
            cache: BlockCache::new(cache_bytes),
            readers: Mutex::default(),
            counters,
            clock,
            ahead: Arc::new(Semaphore::new(AHEAD_AT_ONCE)),
        }))
    }
}

impl ObjectReader for StoreReader {
    fn read(&self, read: ObjectRead) -> ObjectAnswer {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let found = match read.want {
                ObjectWant::From { offset, max_bytes } => {
                    timeout(READ_LIMIT, Shared::from(&shared, &read, offset, max_bytes.into()))
                        .await
                }
                ObjectWant::AtTime { from_offset, timestamp_ms } => {
                    timeout(READ_LIMIT, shared.at_time(&read, from_offset, timestamp_ms)).await
                }
            };
            found.unwrap_or_else(|_| {
                let limit_s = READ_LIMIT.as_secs();
                shared.counters.read_failures.add(1);
                Err(ColdError(format!("the object store has not answered for {limit_s} s")))
            })
        })
    }
}

impl Shared {
    async fn from(
        this: &Arc<Shared>,
        read: &ObjectRead,
        offset: i64,
        max_bytes: u64,
    ) -> Result<Vec<Bytes>, ColdError> {
        let past = this.lock().take((read.partition, offset));
        if let Some(under_way) = past.under_way {
            // What is wanted is most likely in it. If not, it is asked for below.
            drop(under_way.await);
        }
        let footer = this.footer(&read.object).await?;
        let row = footer.partition(&read.partition).ok_or_else(|| nothing_there(read, offset))?;
        let plan = footer
            .plan_read(&read.partition, offset, max_bytes)
            .ok_or_else(|| nothing_there(read, offset))?;
        let blocks = this.blocks(&footer, plan.blocks).await?;
        let (pieces, end) = cut(&blocks, offset, max_bytes);
        if pieces.is_empty() {
            return Err(nothing_there(read, offset));
        }
        Shared::go_on(this, past.read_ahead, (read.partition, offset..end), &footer, &row);
        Ok(pieces)
    }

    /// Remembers the reader, and reads on for it.
    fn go_on(
        this: &Arc<Shared>,
        past: ReadAhead,
        (partition, read): (PartitionKey, Range<i64>),
        footer: &Footer,
        row: &PartitionRow,
    ) {
        let end = read.end;
        let (read_ahead, ahead) = past.after(read, footer, row);
        let mut under_way = None;
        let share = this.cache.budget_bytes() / CACHE_SHARE;
        if !ahead.blocks.is_empty() && bytes_of(footer, &ahead.blocks) <= share {
            let permit = Arc::clone(&this.ahead).try_acquire_owned().ok();
            under_way = permit.map(|permit| {
                let (this, footer) = (Arc::clone(this), footer.clone());
                tokio::spawn(async move {
                    let read = timeout(READ_LIMIT, this.blocks(&footer, ahead.blocks)).await;
                    if let Ok(Err(error)) = read {
                        tracing::debug!(%error, "nothing was read ahead");
                    }
                    drop(permit);
                })
            });
        }
        this.lock().put((partition, end), Past { read_ahead, under_way });
    }

    async fn at_time(
        &self,
        read: &ObjectRead,
        from_offset: i64,
        timestamp_ms: i64,
    ) -> Result<Vec<Bytes>, ColdError> {
        let footer = self.footer(&read.object).await?;
        let mut from = from_offset;
        // What was accepted once is readable, whatever a topic's limits are now.
        let limits = Limits { batch_bytes_max: usize::MAX, ..Limits::default() };
        loop {
            let plan = footer.plan_by_timestamp(&read.partition, from, timestamp_ms);
            let Some(plan) = plan else { return Ok(Vec::new()) };
            for block in self.blocks(&footer, plan.blocks).await? {
                let found = block
                    .find_by_timestamp(from, timestamp_ms, &limits)
                    .map_err(|error| ColdError(format!("a batch cannot be opened: {error}")))?;
                if let Some(found) = found {
                    let mut batches = block.batches();
                    let holds = batches.find(|batch| batch.header.last_offset() >= found.offset);
                    return Ok(holds.map(|batch| batch.bytes).into_iter().collect());
                }
                // Its header claimed more than its records have.
                from = block.row().last_offset.saturating_add(1);
            }
        }
    }

    async fn footer(&self, place: &ObjectPlace) -> Result<Footer, ColdError> {
        let identity = place.identity;
        if let Some(footer) = self.cache.footer(identity.object)
            && footer.head().identity == identity
        {
            return Ok(footer);
        }
        let key = StoreKey::of(&identity);
        let mut start = place.object_bytes.saturating_sub(u64::from(place.tail_bytes));
        loop {
            let range = start..place.object_bytes;
            let open = |tail: &Bytes| Footer::from_tail(&identity, place.object_bytes, tail);
            match self.get_checked(&key, range, open).await? {
                Tail::Footer(footer) => {
                    self.cache.put_footer(&footer);
                    return Ok(footer);
                }
                Tail::ReadFrom(earlier) if earlier < start => start = earlier,
                Tail::ReadFrom(_) => {
                    return Err(ColdError(format!("{key}: its footer begins behind itself")));
                }
            }
        }
    }

    /// These blocks: from the cache, and all that lies between the first and the last that are not
    /// there in one GET.
    async fn blocks(&self, footer: &Footer, wanted: Range<u32>) -> Result<Vec<Block>, ColdError> {
        let object = footer.head().identity.object;
        let mut blocks: Vec<Option<Block>> =
            wanted.clone().map(|number| self.cache.block(object, number)).collect();
        let missing = |block: &Option<Block>| block.is_none();
        self.counters.cache_hits.add(blocks.iter().flatten().count() as u64);
        let first = blocks.iter().position(missing);
        let last = blocks.iter().rposition(missing);
        if let (Some(first), Some(last)) = (first, last) {
            self.counters
                .cache_misses
                .add(blocks.iter().filter(|block| missing(block)).count() as u64);
            let number = |at: usize| wanted.start + u32::try_from(at).unwrap_or(u32::MAX);
            let plan = footer.plan_blocks(number(first)..number(last) + 1);
            let key = StoreKey::of(&footer.head().identity);
            let open = |bytes: &Bytes| footer.open_blocks(&plan, bytes);
            let read = self.get_checked(&key, plan.range.clone(), open).await?;
            for ((number, block), slot) in
                plan.blocks.clone().zip(read).zip(&mut blocks[first..=last])
            {
                self.cache.put_block(object, number, &block);
                *slot = Some(block);
            }
            self.counters.set_cached_bytes(self.cache.held_bytes());
        }
        Ok(blocks.into_iter().flatten().collect())
    }

    /// GETs until `open` believes what came, or it is of no use.
    async fn get_checked<T>(
        &self,
        key: &StoreKey,
        range: Range<u64>,
        open: impl Fn(&Bytes) -> Result<T, ObjectError>,
    ) -> Result<T, ColdError> {
        if range.is_empty() {
            return Err(ColdError(format!("{key}: the log knows of no bytes in it")));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            self.counters.reads.add(1);
            let (why, again) = match self.store.get(key, range.clone()).await {
                Ok(bytes) => match open(&bytes) {
                    Ok(opened) => {
                        self.counters.read_bytes.add(bytes.len() as u64);
                        self.counters.succeeded(self.clock.now());
                        return Ok(opened);
                    }
                    Err(error) => (format!("{key}: {error}"), error.is_worth_reading_again()),
                },
                Err(error) => (error.to_string(), error.action() == Action::Retry),
            };
            self.counters.read_failures.add(1);
            if !again || tries == TRIES_MAX {
                self.counters.failed(why.clone());
                return Err(ColdError(why));
            }
            sleep(PAUSE * tries).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nothing_there(read: &ObjectRead, offset: i64) -> ColdError {
    let key = StoreKey::of(&read.object.identity);
    let partition = read.partition.partition;
    ColdError(format!("{key} has nothing of partition {partition} at or behind offset {offset}"))
}

fn bytes_of(footer: &Footer, blocks: &Range<u32>) -> u64 {
    footer.block(blocks.end - 1).end() - footer.block(blocks.start).position
}

/// The batches of a fetch: those that end at or behind `offset`, the first whatever its size, then as
/// many as fit into `max_bytes`. A piece is what lies side by side in one block. Also the offset
/// behind the last.
fn cut(blocks: &[Block], offset: i64, max_bytes: u64) -> (Vec<Bytes>, i64) {
    let mut pieces = Vec::new();
    let mut taken_bytes = 0;
    let mut end = offset;
    for block in blocks {
        let run = block.run();
        let (mut at, mut from, mut full) = (0, None, false);
        for batch in block.batches() {
            let len = batch.bytes.len();
            if batch.header.last_offset() >= offset {
                full = taken_bytes > 0 && taken_bytes + len as u64 > max_bytes;
                if full {
                    break;
                }
                taken_bytes += len as u64;
                end = batch.header.last_offset() + 1;
                from.get_or_insert(at);
            }
            at += len;
        }
        pieces.extend(from.map(|from| run.slice(from..at)));
        if full {
            break;
        }
    }
    (pieces, end)
}

#[cfg(test)]
mod tests;
