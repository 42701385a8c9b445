//! That work is done once the store lets it, answered once, and that nothing is answered too early.

use super::*;
use crate::clock::KernelClock;
use crate::store::testing::{SEGMENT, Scratch, Written, identity};
use holdfast_base::{ClusterId, Index, ReplicaId, ShardId, Term};
use holdfast_broker::PendingAnswer;
use holdfast_lane::Answer;
use holdfast_tier::ObjectKind;
use holdfast_tier::store::{Fault, MemoryStore, Operation};
use holdfast_wal::SegmentNumber;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// Says what it is told.
struct FakeLane(Mutex<UnboundedSender<Stored>>);

impl LaneClient for FakeLane {
    fn call(&self, request: Request) -> PendingAnswer {
        let (answer, pending) = oneshot::channel();
        let Request::Stored(stored) = request else { panic!("{request:?}") };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).send(stored).expect("heard");
        answer.send(Answer::Stored).expect("waited for");
        PendingAnswer(pending)
    }
}

struct Site {
    store: MemoryStore,
    counters: Arc<StoreCounters>,
    asked: UnboundedSender<StoreWork>,
    told: UnboundedReceiver<Stored>,
    _directory: Scratch,
}

fn site(written: &Written, oldest: SegmentNumber) -> Site {
    let directory = Scratch::new();
    let store = MemoryStore::new();
    let counters = Arc::<StoreCounters>::default();
    let (tell, told) = unbounded_channel();
    let (asked, asked_out) = unbounded_channel();
    let worker = Worker {
        store: Arc::new(store.clone()),
        log: written.log(&directory, oldest),
        lane: Arc::new(FakeLane(Mutex::new(tell))),
        counters: Arc::clone(&counters),
        clock: Arc::new(KernelClock),
        rng: SplitMix64::new(1),
    };
    tokio::spawn(worker.run(asked_out));
    Site { store, counters, asked, told, _directory: directory }
}

impl Site {
    fn ask(&self, work: StoreWork) {
        self.asked.send(work).expect("the worker works");
    }

    async fn told(&mut self) -> Stored {
        self.told.recv().await.expect("the worker works")
    }

    async fn is_never_uploaded(&mut self, failures: u64) {
        sleep(Duration::from_secs(600)).await;
        assert!(self.told.try_recv().is_err(), "there is nothing more to say");
        assert_eq!(self.counters.upload_failures.get(), failures);
        assert!(self.store.stored(&StoreKey::of(&identity(1))).is_none());
    }
}

fn deletion(object: u8) -> StoreWork {
    StoreWork::Delete { shard: ShardId(2), object: identity(object), kind: ObjectKind::Cut }
}

fn state() -> StateCheckpoint {
    StateCheckpoint {
        cluster: ClusterId([1; 16]),
        shard: ShardId(2),
        replica: ReplicaId(3),
        applied: Index(50),
        term: Term(1),
        time_ms: 9,
        state: vec![6; 500],
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_tried_until_the_store_takes_it() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SEGMENT);
    for fault in [Fault::Busy, Fault::Lost, Fault::Applied, Fault::Stall] {
        site.store.arm(Operation::Put, fault);
    }
    site.ask(StoreWork::Upload(written.job()));
    let Stored::Uploaded { shard, manifest } = site.told().await else { panic!("uploaded") };
    assert_eq!((shard, manifest.object), (ShardId(2), identity(1).object));
    assert!(site.store.stored(&StoreKey::of(&identity(1))).is_some());
    assert_eq!(site.counters.upload_failures.get(), 4);
    assert_eq!((site.counters.uploads.get(), site.counters.failing()), (1, None));
    assert_eq!(site.counters.uploaded_bytes.get(), manifest.object_bytes);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_another_object_than_it_was_given_is_not_believed() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SEGMENT);
    site.store.arm(Operation::Get, Fault::Flipped);
    site.ask(StoreWork::Upload(written.job()));
    assert!(matches!(site.told().await, Stored::Uploaded { .. }));
    assert_eq!(site.counters.upload_failures.get(), 1, "it was put again");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_an_upload() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SegmentNumber(SEGMENT.0 + 1));
    site.ask(StoreWork::Upload(written.job()));
    let Stored::NotUploaded { object, why, .. } = site.told().await else { panic!("given up") };
    assert_eq!(object, identity(1).object);
    assert!(why.contains("not in the log"), "{why}");
    assert_eq!(site.counters.uploads_given_up.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_takes_a_waiting_upload_of_its_object_along() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SEGMENT);
    site.store.draw(1, 1_000, &[Fault::Busy]);
    site.ask(StoreWork::Upload(written.job()));
    sleep(Duration::from_secs(5)).await;
    assert!(site.counters.upload_failures.get() > 1, "it is under way");
    let failures = site.counters.upload_failures.get();
    site.store.draw(1, 0, &[]);
    site.ask(deletion(1));
    assert!(matches!(site.told().await, Stored::Deleted { .. }));
    site.is_never_uploaded(failures).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_takes_an_upload_of_its_object_along_that_is_under_way() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SEGMENT);
    site.store.arm(Operation::Put, Fault::Stall);
    site.ask(StoreWork::Upload(written.job()));
    sleep(Duration::from_secs(5)).await;
    site.ask(deletion(1));
    assert!(matches!(site.told().await, Stored::Deleted { .. }));
    site.is_never_uploaded(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_denied_holds_no_upload_up() {
    let written = Written::drawn(1, 10, 1_000);
    let mut site = site(&written, SEGMENT);
    for _ in 0..50 {
        site.store.arm(Operation::Delete, Fault::Busy);
    }
    site.ask(deletion(7));
    site.ask(StoreWork::Upload(written.job()));
    assert!(matches!(site.told().await, Stored::Uploaded { .. }), "before the deletion");
    assert_eq!(site.counters.deletions.get(), 0);
    assert!(matches!(site.told().await, Stored::Deleted { .. }));
    assert_eq!(site.counters.deletion_failures.get(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_reported_only_when_the_store_has_it() {
    let written = Written::drawn(1, 2, 100);
    let mut site = site(&written, SEGMENT);
    site.store.draw(1, 1_000, &[Fault::Busy]);
    site.ask(StoreWork::Checkpoint(state()));
    sleep(Duration::from_secs(300)).await;
    assert!(site.told.try_recv().is_err(), "the store does not have it");
    site.store.draw(1, 0, &[]);
    let Stored::Checkpointed { applied, .. } = site.told().await else { panic!("kept") };
    assert_eq!(applied, Index(50));
    let key = StoreKey::of_state(ClusterId([1; 16]), ShardId(2), Index(50));
    assert!(site.store.stored(&key).is_some());
    assert!(site.counters.checkpoint_failures.get() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_another_state_than_it_was_given_lets_nothing_of_the_log_go() {
    let written = Written::drawn(1, 2, 100);
    let mut site = site(&written, SEGMENT);
    let lies = [Fault::ErrorBody, Fault::Truncated, Fault::Flipped];
    for lie in lies {
        site.store.arm(Operation::Put, lie);
    }
    site.ask(StoreWork::Checkpoint(state()));
    assert!(matches!(site.told().await, Stored::Checkpointed { .. }));
    assert_eq!(site.counters.checkpoint_failures.get(), lies.len() as u64, "it was put again");
    let key = StoreKey::of_state(ClusterId([1; 16]), ShardId(2), Index(50));
    let (_, bytes) = checkpoints::encode(&state());
    assert_eq!(site.store.stored(&key).expect("there"), bytes);
}
