//! Records in objects, for Fetch and ListOffsets.
//!
//! ```text
//! read ─▶ footer (cache, or GET) ─▶ blocks wanted ─▶ cached │ one GET for the rest ─▶ checked ─▶ cache
//!                                                └─▶ whole batches ─▶ answer
//!                                                └─▶ goes on where it ended? ─▶ next blocks, beside the answer
//! ```
//!
//! What is read ahead waits in a stock of its reader's own (`stock`), then goes where every block goes. A
//! reader is known by where it goes on: (partition, next offset). So no session is needed, and two
//! consumers at the same place share what is read ahead. What is forgotten costs a GET, never a record.
//!
//! Invariants: nothing leaves that was not checked by [`holdfast_tier`]. Damaged bytes are asked for
//! once more, since they may have been damaged on the way. A read ends within [`READ_LIMIT`]; who asked
//! gets an error that clients try again.
//!
//! Where an object ends the reader goes on in the next one, which the lane names with every read: its
//! footer is fetched when the window reaches it, and its blocks with those at hand.

mod stock;
mod threads;
mod turns;

use super::counters::StoreCounters;
use crate::report::records_between;
use bytes::Bytes;
use holdfast_base::{Clock, PartitionKey};
use holdfast_batch::Limits;
use holdfast_broker::{ColdError, LaneClient, ObjectAnswer, ObjectRead, ObjectReader, ObjectWant};
use holdfast_lane::{ObjectPlace, Request, Stored};
use holdfast_tier::store::{Action, Store, StoreErrorKind};
use holdfast_tier::{Block, BlockCache, Footer, ObjectError, ObjectId, Part, StoreKey, Tail};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
pub use threads::OwnThreads;
pub use turns::Turns;

use stock::{Past, Under, kib, take_room};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// Well below the 30 s in which clients give a request up.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// A GET is made so often before a read fails.
const TRIES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// Readers that are remembered.
const READERS_MAX: usize = 1024;
/// A consumer asks again long before; what waits for one that does not is given to others.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// One GET ahead takes at most this part of the room there is for all.
const AHEAD_SHARE: u64 = 2;

/// Reads objects of a store.
#[derive(Clone)]
pub struct StoreReader(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    cache: BlockCache,
    readers: Mutex<Readers>,
    counters: Arc<StoreCounters>,
    clock: Arc<dyn Clock + Send + Sync>,
    /// Who is to know of an object that cannot be read.
    lane: Option<Arc<dyn LaneClient>>,
    /// How many GETs there are at a time.
    turns: Turns,
    /// KiB for what is read ahead.
    ahead: Arc<Semaphore>,
    /// All of it.
    ahead_bytes: u64,
}

/// What a fetch wants: see [`ObjectWant::From`].
struct From {
    offset: i64,
    max_bytes: u64,
    next: Option<ObjectPlace>,
}

/// A reader by the place where it goes on.
type Reader = (PartitionKey, i64);

#[derive(Default)]
struct Readers {
    known: BTreeMap<Reader, Past>,
    /// Oldest first; a name may stand here longer than in `known`.
    order: VecDeque<Reader>,
    /// Footers that are fetched ahead.
    footers_under_way: BTreeSet<ObjectId>,
}

impl Readers {
    fn take(&mut self, reader: Reader) -> Past {
        self.known.remove(&reader).unwrap_or_default()
    }

    /// Readers for whom something waits or is under way.
    fn waited_for(&self) -> usize {
        self.known.values().filter(|past| past.has_room()).count()
    }

    /// As [`Readers::give_up_one`], if that one has not come back for [`IDLE_AFTER`].
    fn give_up_idle(&mut self) -> bool {
        self.order.retain(|reader| self.known.contains_key(reader));
        let oldest = self.order.front().and_then(|reader| self.known.get(reader));
        oldest.is_some_and(|past| past.since.elapsed() >= IDLE_AFTER) && self.give_up_one()
    }

    /// Whoever has waited longest gives up what waits for it; `false` when nobody has anything.
    fn give_up_one(&mut self) -> bool {
        while let Some(oldest) = self.order.pop_front() {
            if let Some(mut past) = self.known.remove(&oldest) {
                past.give_up();
                return true;
            }
        }
        false
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
            self.give_up_one();
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
        // One budget, half for what is read again and half for what will be read.
        let ahead_bytes = cache_bytes / 2;
        StoreReader(Arc::new(Shared {
            store,
            cache: BlockCache::new(cache_bytes - ahead_bytes),
            readers: Mutex::default(),
            counters,
            clock,
            lane: None,
            turns: Turns::default(),
            ahead: Arc::new(Semaphore::new(kib(ahead_bytes))),
            ahead_bytes,
        }))
    }

    /// Objects that cannot be read are told to `lane`, which has them looked through.
    ///
    /// # Panics
    /// When the reader is in use already.
    #[must_use]
    pub fn telling(mut self, lane: Arc<dyn LaneClient>) -> StoreReader {
        let shared = Arc::get_mut(&mut self.0).expect("a reader that nobody uses yet");
        shared.lane = Some(lane);
        self
    }

    /// GETs are made when `turns` says so.
    ///
    /// # Panics
    /// When the reader is in use already.
    #[must_use]
    pub fn taking(mut self, turns: Turns) -> StoreReader {
        Arc::get_mut(&mut self.0).expect("a reader that nobody uses yet").turns = turns;
        self
    }
}

impl ObjectReader for StoreReader {
    fn read(&self, read: ObjectRead) -> ObjectAnswer {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let found = match read.want {
                ObjectWant::From { offset, max_bytes, next } => {
                    let place = From { offset, max_bytes: max_bytes.into(), next };
                    timeout(READ_LIMIT, Shared::from(&shared, &read, place)).await
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
        From { offset, max_bytes, next }: From,
    ) -> Result<Vec<Bytes>, ColdError> {
        let mut past = this.lock().take((read.partition, offset));
        let footer = this.footer(&read.object).await?;
        let row = footer.partition(&read.partition).ok_or_else(|| nothing_there(read, offset))?;
        let plan = footer
            .plan_read(&read.partition, offset, max_bytes)
            .ok_or_else(|| nothing_there(read, offset))?;
        let object = read.object.identity.object;
        past.gather(object, plan.blocks.clone()).await;
        let blocks = this.blocks(&footer, plan.blocks.clone(), Some(&past)).await?;
        let (pieces, end) = cut(&blocks, offset, max_bytes);
        if pieces.is_empty() {
            return Err(nothing_there(read, offset));
        }
        // The last one may have more for the next read.
        past.used(object, plan.blocks.end - 1, next.map(|next| next.identity.object));
        let here = Part { footer: &footer, row: &row };
        Shared::go_on(this, past, (read.partition, offset..end), here, next);
        Ok(pieces)
    }

    /// Remembers the reader, and reads on for it.
    fn go_on(
        this: &Arc<Shared>,
        mut past: Past,
        (partition, read): (PartitionKey, Range<i64>),
        here: Part<'_>,
        next: Option<ObjectPlace>,
    ) {
        let end = read.end;
        let next_footer = next.and_then(|next| this.footer_at_hand(&next));
        let next_row = next_footer.as_ref().and_then(|footer| footer.partition(&partition));
        let over = next_footer.as_ref().zip(next_row.as_ref());
        let over = over.map(|(footer, row)| Part { footer, row });
        let share_bytes = this.ahead_bytes / (this.lock().waited_for() as u64 + 1);
        let (read_ahead, ahead) = past.read_ahead.after(read, here, over, share_bytes);
        past.read_ahead = read_ahead;
        past.since = Instant::now();
        let both = [(Some(here), ahead.blocks), (over, ahead.next_blocks)];
        for (part, blocks) in both.into_iter().filter(|(_, blocks)| !blocks.is_empty()) {
            let Some(Part { footer, .. }) = part else { break };
            let under = this.read_on(footer, blocks.clone());
            let until = under.as_ref().map_or(blocks.start, |under| under.numbers.end);
            past.expects(under);
            if until < blocks.end {
                // No room for the rest: it is asked for again when the reader is nearer.
                past.read_ahead = past.read_ahead.only_until(footer.block(until).base_offset);
                break;
            }
        }
        if ahead.next_object && next_footer.is_none() {
            this.fetch_footer(next);
        }
        this.lock().put((partition, end), past);
    }

    /// The footer of an object, if it is in memory.
    fn footer_at_hand(&self, place: &ObjectPlace) -> Option<Footer> {
        let footer = self.cache.footer(place.identity.object)?;
        (footer.head().identity == place.identity).then_some(footer)
    }

    /// GETs a footer that will most likely be wanted. All partitions of an object ask at about the
    /// same time, and one GET is enough.
    fn fetch_footer(self: &Arc<Shared>, place: Option<ObjectPlace>) {
        let Some(place) = place else { return };
        let object = place.identity.object;
        if !self.lock().footers_under_way.insert(object) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(Err(error)) = timeout(READ_LIMIT, this.footer(&place)).await {
                tracing::debug!(%error, "a footer was not read ahead");
            }
            this.lock().footers_under_way.remove(&object);
        });
    }

    /// GETs blocks for a reader that will most likely want them, as many as there is room for.
    fn read_on(self: &Arc<Shared>, footer: &Footer, mut blocks: Range<u32>) -> Option<Under> {
        let bytes_max = self.ahead_bytes / AHEAD_SHARE;
        while !blocks.is_empty() && bytes_of(footer, &blocks) > bytes_max {
            blocks.end -= 1;
        }
        if blocks.is_empty() {
            return None;
        }
        let room = loop {
            match take_room(&self.ahead, bytes_of(footer, &blocks)) {
                Some(room) => break room,
                None if self.lock().give_up_idle() => {}
                // What others wait for stays theirs: less, then.
                None if blocks.len() > 1 => blocks.end -= blocks.len() as u32 / 2,
                None => return None,
            }
        };
        let (this, object, footer) =
            (Arc::clone(self), footer.head().identity.object, footer.clone());
        let numbers = blocks.clone();
        let blocks = tokio::spawn(async move {
            let came = blocks.clone();
            match timeout(READ_LIMIT, this.blocks(&footer, blocks, None)).await {
                Ok(Ok(read)) => came.zip(read).collect(),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "nothing was read ahead");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            }
        });
        Some(Under { blocks, object, numbers, room })
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
            for block in self.blocks(&footer, plan.blocks, None).await? {
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
        if let Some(footer) = self.footer_at_hand(place) {
            return Ok(footer);
        }
        let identity = place.identity;
        let key = StoreKey::of(&identity);
        let mut start = place.object_bytes.saturating_sub(u64::from(place.tail_bytes));
        loop {
            let range = start..place.object_bytes;
            let open = |tail: &Bytes| Footer::from_tail(&identity, place.object_bytes, tail);
            let what = || "its footer: all its records".to_owned();
            match self.get_checked(&key, range, what, open).await? {
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

    /// These blocks: from what was read ahead, from the cache, and all that lies between the first and
    /// the last that are in neither in one GET.
    async fn blocks(
        &self,
        footer: &Footer,
        wanted: Range<u32>,
        past: Option<&Past>,
    ) -> Result<Vec<Block>, ColdError> {
        let object = footer.head().identity.object;
        let mut blocks: Vec<Option<Block>> = wanted
            .clone()
            .map(|number| {
                let read_ahead = past.and_then(|past| past.block(object, number));
                read_ahead.or_else(|| self.cache.block(object, number))
            })
            .collect();
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
            let open =
                |bytes: &Bytes| footer.open_blocks_with(&plan, bytes, std::thread::yield_now);
            let what = || records_of(footer, &plan.blocks);
            let read = self.get_checked(&key, plan.range.clone(), what, open).await?;
            for ((number, block), slot) in
                plan.blocks.clone().zip(read).zip(&mut blocks[first..=last])
            {
                std::thread::yield_now();
                self.cache.put_block(object, number, &block);
                *slot = Some(block);
            }
            self.counters.set_cached_bytes(self.cache.held_bytes());
        }
        Ok(blocks.into_iter().flatten().collect())
    }

    /// GETs until `open` believes what came, or it is of no use. `what` names the records in it, for
    /// those who have to look after an object that stays wrong.
    async fn get_checked<T>(
        &self,
        key: &StoreKey,
        range: Range<u64>,
        what: impl Fn() -> String,
        open: impl Fn(&Bytes) -> Result<T, ObjectError>,
    ) -> Result<T, ColdError> {
        if range.is_empty() {
            return Err(ColdError(format!("{key}: the log knows of no bytes in it")));
        }
        let mut tries = 0;
        let mut is_wrong;
        loop {
            tries += 1;
            self.counters.reads.add(1);
            is_wrong = false;
            let mut is_gone = false;
            let turn = self.turns.take().await;
            let got = self.store.get(key, range.clone()).await;
            let got = got.map(|bytes| (bytes.len() as u64, open(&bytes)));
            drop(turn);
            let (why, again) = match got {
                Ok((bytes, opened)) => match opened {
                    Ok(opened) => {
                        self.counters.read_bytes.add(bytes);
                        self.counters.succeeded(self.clock.now());
                        return Ok(opened);
                    }
                    Err(error) => {
                        is_wrong = true;
                        self.counters.wrong_reads.add(1);
                        (format!("{key}: {error}"), error.is_worth_reading_again())
                    }
                },
                Err(error) => {
                    use StoreErrorKind::{NotFound, OutOfRange};
                    is_gone = matches!(error.kind(), NotFound | OutOfRange);
                    (error.to_string(), error.action() == Action::Retry)
                }
            };
            self.counters.read_failures.add(1);
            if !again || tries == TRIES_MAX {
                self.counters.failed(why.clone());
                if is_wrong || is_gone {
                    self.suspect(key);
                }
                if is_wrong {
                    let found = format!("bytes {}..{} of {why}", range.start, range.end);
                    let records = what();
                    tracing::error!(records, "{found}; nothing of it was handed on");
                    self.counters.found_wrong(format!("{found}; {records}"));
                }
                return Err(ColdError(why));
            }
            sleep(PAUSE * tries).await;
        }
    }

    /// Somebody who may wait looks through it and, if it is wrong, makes it again.
    fn suspect(&self, key: &StoreKey) {
        let Some((lane, identity)) = self.lane.as_ref().zip(key.identity()) else { return };
        let (shard, object) = (identity.shard, identity.object);
        // Nobody waits for the answer: it says nothing.
        drop(lane.call(Request::Stored(Stored::Suspected { shard, object })));
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

/// Which records lie in these blocks, for people.
fn records_of(footer: &Footer, blocks: &Range<u32>) -> String {
    let (first, last) = (footer.block(blocks.start), footer.block(blocks.end - 1));
    records_between(&first.partition, first.base_offset, last.last_offset)
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
