//! What a lane is told, and what a start then finds.

use super::*;
use crate::state::start;
use holdfast_base::{ClusterId, Index, ReplicaId, ShardId, Term};
use holdfast_broker::PendingAnswer;
use holdfast_lane::{KeptChanges, RowChange};
use holdfast_state::Owner;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::oneshot;

const CLUSTER: ClusterId = ClusterId([1; 16]);
const OWNER: Owner = Owner { shard: ShardId(2), replica: ReplicaId(3) };
/// Longer than the first pause of a keeper.
const PATIENCE: Duration = Duration::from_secs(20);

struct FakeLane(Mutex<Sender<StateKept>>);

impl LaneClient for FakeLane {
    fn call(&self, request: Request) -> PendingAnswer {
        let (_, pending) = oneshot::channel();
        let Request::Kept(kept) = request else { panic!("{request:?}") };
        self.0.lock().unwrap().send(kept).unwrap();
        PendingAnswer(pending)
    }
}

struct Site {
    place: PathBuf,
    desk: StateDesk,
    told: Receiver<StateKept>,
    counters: Arc<StateCounters>,
}

fn place() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let place =
        std::env::temp_dir().join(format!("holdfast-keeper-{}-{number}", std::process::id()));
    fs::create_dir(&place).unwrap();
    place
}

fn keep_in(place: PathBuf, store: Option<RocksState>) -> Site {
    let (tell, told) = channel();
    let counters = Arc::<StateCounters>::default();
    let keeper = Keeper {
        directory: place.join("db"),
        store,
        lane: Arc::new(FakeLane(Mutex::new(tell))),
        counters: Arc::clone(&counters),
        rng: SplitMix64::new(1),
    };
    Site { place, desk: start_keeper(keeper).unwrap(), told, counters }
}

impl Site {
    fn told(&self) -> StateKept {
        self.told.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Ends the keeper: its store is closed when it can be opened again.
    fn end(self) -> (PathBuf, RocksState) {
        let Site { place, desk, told, .. } = self;
        drop(desk);
        while told.recv_timeout(PATIENCE).is_ok() {}
        let store = RocksState::open(&place.join("db")).unwrap();
        (place, store)
    }
}

fn row(key: u8, value: Option<u8>) -> RowChange {
    RowChange { key: vec![key], value: value.map(|value| vec![value]) }
}

fn changes(life: u64, applied: u64, whole: bool, rows: Vec<RowChange>) -> StateWork {
    StateWork::Keep(KeptChanges {
        life,
        cluster: CLUSTER,
        shard: OWNER.shard,
        replica: OWNER.replica,
        applied: Index(applied),
        term: Term(4),
        time_ms: 77,
        whole,
        rows,
    })
}

fn kept(store: &RocksState) -> Vec<(u8, u8)> {
    let rows = store.scan(OWNER, b"", None, usize::MAX).unwrap();
    rows.iter().filter(|row| row.key != "\0").map(|row| (row.key[0], row.value[0])).collect()
}

#[test]
fn changes_are_written_in_order_and_durable_once_flushed() {
    let place = place();
    let store = RocksState::open(&place.join("db")).unwrap();
    let site = keep_in(place, Some(store));
    site.desk.leave(changes(0, 5, true, vec![row(1, Some(1)), row(2, Some(2))]));
    site.desk.leave(changes(0, 9, false, vec![row(1, None), row(3, Some(3))]));
    site.desk.leave(StateWork::Flush { life: 0 });
    let written = StateKept::Written { life: 0, shard: OWNER.shard };
    assert_eq!([site.told(), site.told()], [written, written]);
    assert_eq!(site.told(), StateKept::Flushed { life: 0 });
    assert_eq!((site.counters.writes.get(), site.counters.flushes.get()), (2, 1));
    let (place, store) = site.end();
    assert_eq!(kept(&store), [(2, 2), (3, 3)]);
    assert_eq!(store.applied(OWNER).unwrap(), Index(9));
    drop(fs::remove_dir_all(place));
}

#[test]
fn a_store_that_cannot_be_opened_is_tried_again_and_the_lane_begins_anew() {
    let place = place();
    // As a store that is closed for want of room: none is handed over.
    let site = keep_in(place, None);
    site.desk.leave(changes(0, 5, true, vec![row(1, Some(1))]));
    assert_eq!(site.told(), StateKept::Lost { life: 1 });
    site.desk.leave(changes(0, 6, false, vec![row(7, Some(7))]));
    site.desk.leave(changes(1, 6, true, vec![row(2, Some(2))]));
    assert_eq!(site.told(), StateKept::Written { life: 1, shard: OWNER.shard });
    let (place, store) = site.end();
    assert_eq!(kept(&store), [(2, 2)], "work of the life before is passed over");
    drop(fs::remove_dir_all(place));
}

#[test]
fn a_write_that_goes_backwards_makes_the_lane_send_everything_again() {
    let place = place();
    let store = RocksState::open(&place.join("db")).unwrap();
    let site = keep_in(place, Some(store));
    site.desk.leave(changes(0, 5, true, vec![row(1, Some(1))]));
    site.desk.leave(changes(0, 4, false, vec![row(2, Some(2))]));
    assert_eq!(site.told(), StateKept::Written { life: 0, shard: OWNER.shard });
    assert_eq!(site.told(), StateKept::Lost { life: 1 });
    assert!(site.counters.failing().is_some(), "until something is durable again");
    site.desk.leave(changes(1, 4, true, vec![row(3, Some(3))]));
    site.desk.leave(StateWork::Flush { life: 1 });
    assert_eq!(site.told(), StateKept::Written { life: 1, shard: OWNER.shard });
    assert_eq!(site.told(), StateKept::Flushed { life: 1 });
    assert_eq!(site.counters.failing(), None);
    let (place, store) = site.end();
    assert_eq!(kept(&store), [(3, 3)]);
    drop(fs::remove_dir_all(place));
}

fn write(place: &Path, work: &StateWork) {
    let StateWork::Keep(changes) = work else { panic!("{work:?}") };
    let mut store = RocksState::open(&place.join("db")).unwrap();
    store.replace(OWNER, &rows::encode(changes), changes.applied).unwrap();
    store.flush().unwrap();
}

#[test]
fn a_start_moves_aside_what_is_no_state_of_this_cluster() {
    let lies: [(&str, StateWork, ClusterId); 2] = [
        ("rows that make no state", changes(0, 5, true, vec![row(9, Some(9))]), CLUSTER),
        ("another cluster's", changes(0, 5, true, vec![]), ClusterId([2; 16])),
    ];
    for (what, work, cluster) in lies {
        let place = place();
        let counters = StateCounters::default();
        write(&place, &work);
        let opened = start::open(&place.join("db"), cluster, &[OWNER], &counters).unwrap();
        assert!(opened.states.is_empty(), "{what}");
        assert_eq!(opened.store.unwrap().owners().unwrap(), [], "{what}: begun anew");
        assert!(place.join("db.damaged").is_dir(), "{what}: kept as evidence");
        assert_eq!(counters.failing().map(|(code, _)| code), Some(Code::StateDamaged));
        assert_eq!(counters.rebuilds.get(), 1);
        drop(fs::remove_dir_all(place));
    }
}

#[test]
fn a_start_without_a_store_begins_one_and_a_file_in_its_place_is_for_a_person() {
    let place = place();
    let counters = StateCounters::default();
    let directory = place.join("state/db");
    let opened = start::open(&directory, CLUSTER, &[OWNER], &counters).unwrap();
    assert!(opened.store.is_some() && opened.states.is_empty());
    assert_eq!(counters.failing(), None, "nothing is wrong with a new node");
    drop(opened);
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, b"a file").unwrap();
    let report = start::open(&directory, CLUSTER, &[OWNER], &counters).unwrap_err();
    assert_eq!(report.code, Code::StateUnusable);
    drop(fs::remove_dir_all(place));
}
