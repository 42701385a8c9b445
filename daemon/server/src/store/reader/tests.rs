//! Any read brings what the log had, in few GETs; whatever the store does, nothing else.

use super::*;
use crate::clock::KernelClock;
use crate::store::testing::{Written, header, partition};
use holdfast_base::{Rng, SplitMix64};
use holdfast_tier::ObjectId;
use holdfast_tier::store::{Fault, FileStore, MemoryStore, Operation};
use tokio::time::Instant;

/// Batches of an ordinary block, and one that did not fit.
const BLOCK: usize = 2 * holdfast_tier::limits::BLOCK_PAYLOAD_BYTES_CUT as usize;

struct Site {
    store: MemoryStore,
    reader: StoreReader,
    place: ObjectPlace,
    counters: Arc<StoreCounters>,
}

async fn site(written: &Written) -> Site {
    site_with(written, 64 << 20).await
}

async fn site_with(written: &Written, cache_bytes: u64) -> Site {
    let store = MemoryStore::new();
    let place = written.put(&store).await;
    let counters = Arc::<StoreCounters>::default();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let clock = Arc::new(KernelClock);
    let reader = StoreReader::new(shared, cache_bytes, Arc::clone(&counters), clock);
    Site { store, reader, place, counters }
}

impl Site {
    async fn from(
        &self,
        partition: PartitionKey,
        offset: i64,
        max_bytes: u32,
    ) -> Result<Vec<Bytes>, ColdError> {
        let want = ObjectWant::From { offset, max_bytes, next: None };
        self.reader.read(ObjectRead { object: self.place, partition, want }).await
    }

    async fn at_time(
        &self,
        partition: PartitionKey,
        from_offset: i64,
        timestamp_ms: i64,
    ) -> Result<Vec<Bytes>, ColdError> {
        let want = ObjectWant::AtTime { from_offset, timestamp_ms };
        self.reader.read(ObjectRead { object: self.place, partition, want }).await
    }
}

/// The first batch, then as many as fit.
fn expected(written: &Written, partition: PartitionKey, offset: i64, max_bytes: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for batch in written.from(partition, offset) {
        if !bytes.is_empty() && (bytes.len() + batch.len()) as u64 > max_bytes {
            break;
        }
        bytes.extend_from_slice(&batch);
    }
    bytes
}

#[tokio::test]
async fn a_read_brings_whole_batches_from_any_offset_up_to_its_limit() {
    let written = Written::drawn(1, 120, 60_000);
    let site = site(&written).await;
    let mut rng = SplitMix64::new(9);
    for key in written.batches.keys() {
        let end = header(written.batches[key].last().expect("some")).next_offset();
        for _ in 0..60 {
            let offset = rng.below(end as u64) as i64;
            let max_bytes = [1, 5_000, 300_000, 4_000_000][rng.below(4) as usize];
            let found = site.from(*key, offset, max_bytes).await.expect("it is there").concat();
            let full = expected(&written, *key, offset, max_bytes.into());
            let what = (offset, max_bytes, found.len(), full.len());
            // A read that begins inside a block may bring up to a block less than it could.
            assert!(full.starts_with(&found) && !found.is_empty(), "{what:?}");
            assert!(found.len() + BLOCK >= full.len(), "{what:?}");
            let mut rest = &found[..];
            while !rest.is_empty() {
                let batch = holdfast_batch::BatchHeader::parse(rest).expect("whole batches");
                rest = &rest[batch.total_len_bytes()..];
            }
        }
        assert!(site.from(*key, end, 1_000).await.is_err(), "nothing is behind the end");
    }
    assert!(site.from(partition(9), 0, 1_000).await.is_err(), "no such partition");
}

#[tokio::test]
async fn what_was_read_once_is_read_from_memory() {
    let written = Written::drawn(2, 40, 30_000);
    let site = site(&written).await;
    let before = site.store.calls();
    let first = site.from(partition(1), 3, 200_000).await.expect("it is there");
    assert_eq!(site.store.calls() - before, 2, "the footer, then all blocks in one GET");
    let again = site.from(partition(1), 3, 200_000).await.expect("it is there");
    assert!(first.concat() == again.concat());
    assert_eq!(site.store.calls() - before, 2);
    assert!(site.counters.cache_hits.get() > 0 && site.counters.cache_misses.get() > 0);
}

/// Twenty megabytes of each partition.
fn long(partitions: i32) -> Written {
    let mut written = Written::default();
    for _ in 0..200 {
        for at in 0..partitions {
            written.entry().batch(partition(at), &[1], 100_000, 0);
        }
    }
    written
}

/// Reads on from `offset`, and returns where to go on.
async fn read_on(site: &Site, written: &Written, partition: PartitionKey, offset: i64) -> i64 {
    let found = site.from(partition, offset, 510_000).await.expect("it is there").concat();
    assert!(found == expected(written, partition, offset, 510_000));
    offset + 5
}

#[tokio::test]
async fn a_reader_that_goes_on_finds_the_next_blocks_there_however_small_the_cache() {
    for (cache_bytes, gets_max) in [(64 << 20, 12), (16 << 20, 16), (4 << 20, 45)] {
        let written = long(1);
        let site = site_with(&written, cache_bytes).await;
        let mut offset = 0;
        while offset < 200 {
            offset = read_on(&site, &written, partition(0), offset).await;
        }
        // Windows of 1, 2, 4 and 8 MiB, as far as there is room, and the first read of its own.
        let gets = site.counters.reads.get();
        assert!(gets <= gets_max, "{gets} GETs for 40 reads, {cache_bytes}");
        let bytes = site.counters.read_bytes.get();
        assert!(bytes < 22_000_000, "each byte comes once: {bytes}, {cache_bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_does_not_wait_where_an_object_ends() {
    // Ten objects of 2 MB of the partition.
    let store = MemoryStore::new();
    let mut objects = Vec::new();
    for at in 0..10_u8 {
        let mut written = Written::default();
        written.first_offset = i64::from(at) * 20;
        for _ in 0..20 {
            written.entry().batch(partition(0), &[1], 100_000, 0);
        }
        objects.push((written.put_as(&store, at + 1).await, written));
    }
    let mut site = site(&Written::drawn(1, 1, 1)).await;
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let counters = Arc::clone(&site.counters);
    site.reader = StoreReader::new(shared, 64 << 20, counters, Arc::new(KernelClock));
    let mut waited = Vec::new();
    for offset in (0..200).step_by(5) {
        let at = offset as usize / 20;
        let (place, written) = &objects[at];
        let next = objects.get(at + 1).map(|(place, _)| *place);
        let want = ObjectWant::From { offset, max_bytes: 510_000, next };
        let before = site.counters.cache_misses.get();
        let read = ObjectRead { object: *place, partition: partition(0), want };
        let found = site.reader.read(read).await.expect("it is there").concat();
        assert!(found == expected(written, partition(0), offset, 510_000), "at {offset}");
        if site.counters.cache_misses.get() > before {
            waited.push(offset);
        }
        // Long enough for what is read ahead, and the store is asked for nothing twice.
        sleep(PAUSE).await;
    }
    let reads = site.counters.reads.get();
    assert!(reads <= 10 + 21, "footers, and few GETs of blocks: {reads}");
    assert!(site.counters.read_bytes.get() < 21_000_000, "each byte comes once");
    assert_eq!(waited, [0], "only the first read waits for the store");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_readers_is_bounded_and_all_are_served() {
    let written = long(3);
    let site = site_with(&written, 16 << 20).await;
    let room = || site.reader.0.ahead.available_permits();
    let all = room();
    assert_eq!(all, 8 << 10);
    let mut offsets = [0; 3];
    while offsets[2] < 200 {
        for (at, offset) in (0..).zip(&mut offsets) {
            *offset = read_on(&site, &written, partition(at), *offset).await;
        }
    }
    let bytes = site.counters.read_bytes.get();
    assert!(bytes < 70_000_000, "what waited for one was not given to another: {bytes}");

    let mut offset = 0;
    while offset < 50 {
        offset = read_on(&site, &written, partition(0), offset).await;
    }
    assert!(room() < all, "something waits");
    assert!(!site.reader.0.lock().give_up_idle());
    sleep(IDLE_AFTER).await;
    while site.reader.0.lock().give_up_idle() {}
    tokio::task::yield_now().await;
    assert_eq!(room(), all, "of readers that do not come back all is given back");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_were_damaged_on_the_way_are_asked_for_again() {
    for fault in [Fault::Flipped, Fault::Truncated, Fault::Busy, Fault::Lost] {
        let written = Written::drawn(3, 20, 5_000);
        let site = site(&written).await;
        for _ in 0..2 {
            site.store.arm(Operation::Get, fault);
            let found = site.from(partition(0), 0, 100_000).await.expect("read again");
            assert!(found.concat() == expected(&written, partition(0), 0, 100_000), "{fault:?}");
            if site.store.armed() > 0 {
                break; // the second read was from memory
            }
        }
        assert!(site.counters.read_failures.get() > 0, "{fault:?}");
        assert_eq!(site.counters.failing(), None, "it went well in the end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_only_fails_is_an_error_and_says_why() {
    let written = Written::drawn(3, 20, 5_000);
    let site = site(&written).await;
    site.store.draw(1, 1_000, &[Fault::Flipped]);
    let error = site.from(partition(0), 0, 100_000).await.expect_err("every GET is damaged");
    assert!(error.0.contains("damaged") || error.0.contains("no magic"), "{error}");
    assert!(site.counters.failing().is_some());
    site.store.draw(1, 0, &[]);
    assert!(site.from(partition(0), 0, 100_000).await.is_ok(), "nothing of it was kept");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_a_reader_its_time_limit_and_no_more() {
    let written = Written::drawn(3, 20, 5_000);
    let site = site(&written).await;
    site.store.arm(Operation::Get, Fault::Stall);
    let began = Instant::now();
    let error = site.from(partition(0), 0, 100_000).await.expect_err("it stalls");
    assert!(error.0.contains("has not answered"), "{error}");
    assert!(began.elapsed() >= READ_LIMIT && began.elapsed() < READ_LIMIT * 2);
}

#[tokio::test]
async fn another_object_under_the_name_is_not_served() {
    let written = Written::drawn(3, 20, 5_000);
    let mut site = site(&written).await;
    let directory = super::super::testing::Scratch::new();
    let store = FileStore::open(directory.path()).expect("a directory");
    let place = written.put(&store).await;
    site.place.identity.object = ObjectId([9; 16]);
    let name = store.file_of(&StoreKey::of(&site.place.identity));
    std::fs::copy(store.file_of(&StoreKey::of(&place.identity)), name).expect("a copy");
    site.reader = StoreReader::new(
        Arc::new(store),
        64 << 20,
        Arc::clone(&site.counters),
        Arc::new(KernelClock),
    );
    let error = site.from(partition(0), 0, 1_000).await.expect_err("it has another name inside");
    assert!(error.0.contains("asked for object"), "{error}");
    assert_eq!(site.counters.wrong_reads.get(), u64::from(TRIES_MAX));
    let found = site.counters.wrong_object().expect("an operator is told");
    assert!(found.contains("all its records") && found.starts_with("bytes "), "{found}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_stays_wrong_is_told_with_its_records() {
    let written = Written::drawn(3, 20, 5_000);
    let site = site(&written).await;
    // The footer is good and is kept; what is behind it is not.
    let footer = site.reader.0.footer(&site.place).await.expect("good");
    site.store.draw(1, 1_000, &[Fault::Flipped]);
    let row = footer.partition(&partition(1)).expect("it has some");
    site.from(partition(1), 0, 1_000).await.expect_err("never right");
    let found = site.counters.wrong_object().expect("an operator is told");
    assert!(found.contains(&row.partition.to_string()), "{found}");
    assert!(found.contains("offsets 0 to "), "{found}");
}

#[tokio::test]
async fn a_time_leads_to_the_batch_of_the_first_record_that_has_it() {
    let written = Written::drawn(6, 80, 20_000);
    let site = site(&written).await;
    let mut rng = SplitMix64::new(3);
    for key in written.batches.keys() {
        let end = header(written.batches[key].last().expect("some")).next_offset();
        for _ in 0..60 {
            let from_offset = rng.below(end as u64) as i64;
            let timestamp_ms = 900 + rng.below(1_100) as i64;
            let found = site.at_time(*key, from_offset, timestamp_ms).await.expect("readable");
            let batches = written.from(*key, from_offset);
            let holds = |batch: &&Bytes| header(batch).max_timestamp_ms >= timestamp_ms;
            let model: Vec<Bytes> = batches.iter().find(holds).cloned().into_iter().collect();
            assert!(found == model, "from {from_offset}, {timestamp_ms} ms");
        }
    }
}

#[test]
fn readers_beyond_the_limit_are_forgotten_and_the_wider_window_stays() {
    let mut readers = Readers::default();
    for offset in 0..2 * READERS_MAX as i64 {
        readers.put((partition(0), offset), Past::default());
    }
    assert_eq!(readers.known.len(), READERS_MAX);
    assert!(readers.known.contains_key(&(partition(0), 2 * READERS_MAX as i64 - 1)));
    assert!(readers.order.len() <= READERS_MAX);
}
