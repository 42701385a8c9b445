//! What a start believes.

use super::*;
use holdfast_base::{Index, Term};
use holdfast_tier::store::{Fault, MemoryStore, Operation};

const CLUSTER: ClusterId = ClusterId([1; 16]);

fn state(applied: u64) -> StateCheckpoint {
    StateCheckpoint {
        cluster: CLUSTER,
        shard: ShardId(3),
        replica: ReplicaId(4),
        applied: Index(applied),
        term: Term(2),
        time_ms: 77,
        state: vec![applied as u8; 1_000],
    }
}

#[test]
fn a_checkpoint_that_is_cut_changed_or_anothers_is_not_believed() {
    let believed = |bytes: &[u8]| believed(bytes, CLUSTER, ShardId(3), ReplicaId(4));
    let good = encode(&state(5)).1;
    assert_eq!(believed(&good), Ok(state(5)));
    for at in (0..good.len()).step_by(37) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        assert!(believed(&bad).is_err(), "byte {at}");
        assert!(believed(&good[..at]).is_err(), "{at} bytes");
    }
    let anothers = super::believed(&good, CLUSTER, ShardId(3), ReplicaId(8));
    assert!(anothers.is_err(), "another replica's");
    let anothers = super::believed(&good, ClusterId([2; 16]), ShardId(3), ReplicaId(4));
    assert!(anothers.is_err(), "another cluster's");
}

#[tokio::test]
async fn the_store_gives_its_newest_good_checkpoint_and_keeps_two() {
    let store = MemoryStore::new();
    let newest = || newest_in_store(&store, CLUSTER, ShardId(3), ReplicaId(4));
    assert_eq!(newest().await, Ok(None));
    for applied in [7, 30, 400] {
        let (key, bytes) = encode(&state(applied));
        store.put(&key, vec![bytes.into()]).await.expect("put");
        delete_older(&store, CLUSTER, ShardId(3)).await.expect("listed");
    }
    assert_eq!(newest().await, Ok(Some(state(400))));
    assert!(store.stored(&state_key(7)).is_none(), "the third is deleted");
    store.put(&state_key(400), vec![b"torn"[..].into()]).await.expect("put");
    assert_eq!(newest().await, Ok(Some(state(30))), "a damaged one is passed over");
}

#[tokio::test]
async fn a_state_that_was_damaged_on_the_way_is_not_passed_over_for_an_older_one() {
    let store = MemoryStore::new();
    for applied in [30, 400] {
        let (key, bytes) = encode(&state(applied));
        store.put(&key, vec![bytes.into()]).await.expect("put");
    }
    store.arm(Operation::Get, Fault::Flipped);
    let newest = newest_in_store(&store, CLUSTER, ShardId(3), ReplicaId(4)).await;
    assert_eq!(store.armed(), 0, "one read was damaged");
    assert_eq!(newest, Ok(Some(state(400))));
}

fn state_key(applied: u64) -> StoreKey {
    StoreKey::of_state(CLUSTER, ShardId(3), Index(applied))
}
