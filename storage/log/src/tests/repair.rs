//! What of an object the log still tells, and when it is not believed.

use super::support::{Leader, batch, create, key};
use crate::{
    Intent, Manifest, ManifestRow, NotRepairable, ObjectId, PartitionConfig, RepairBatch,
    RepairGather, plan_repair,
};
use holdfast_base::{Index, Term};

const OBJECT: ObjectId = ObjectId([9; 16]);

/// Two partitions with an object of entries 3 to 6, and the commands of every entry.
fn uploaded() -> Leader {
    let mut leader = Leader::with_partition(PartitionConfig::default());
    leader.create(&create(1, PartitionConfig::default()));
    for count in [3, 2, 5] {
        leader.append(&batch(count));
    }
    let (last, high_watermark) = (leader.index, leader.high_watermark());
    let intent = Intent {
        object: OBJECT,
        term: Term(leader.term),
        sequence: 1,
        first_index: Index(3),
        last_index: Index(last),
    };
    leader.admin(|decider, shard, entry, _| decider.propose_intent(shard, entry, &intent));
    let manifest = Manifest {
        object: OBJECT,
        object_bytes: 128 + 1_000 + 400,
        tail_bytes: 400,
        sha256: [1; 32],
        created_ms: 1,
        last_term: Term(leader.term),
        rows: vec![ManifestRow {
            partition: key(0),
            len_bytes: 1_000,
            base_offset: 0,
            last_offset: high_watermark - 1,
            max_timestamp_ms: 1,
        }],
    };
    leader.admin(|decider, shard, entry, _| decider.propose_manifest(shard, entry, &manifest));
    assert_eq!(leader.shard.object(OBJECT).map(|row| row.live_rows), Some(1));
    leader
}

/// The offsets found in these entries, from what is kept of the log.
fn repair(leader: &Leader, keeps: impl Fn(u64) -> bool) -> Result<Vec<(i64, i64)>, NotRepairable> {
    let plan = plan_repair(&leader.shard, OBJECT).expect("it is live");
    let mut gather = RepairGather::new(&plan)?;
    let mut found = Vec::new();
    for (facts, commands) in &leader.committed {
        let is_in = plan.first_index <= facts.index && facts.index <= plan.last_index;
        if is_in && keeps(facts.index.0) {
            found.extend(gather.take(commands)?);
        }
    }
    gather.finish()?;
    Ok(found.iter().map(|batch: &RepairBatch| (batch.base_offset, batch.last_offset)).collect())
}

#[test]
fn every_record_of_an_object_is_found_in_a_log_that_is_whole() {
    let leader = uploaded();
    assert_eq!(repair(&leader, |_| true), Ok(vec![(0, 2), (3, 4), (5, 9)]));
}

#[test]
fn an_entry_that_is_gone_is_a_hole_and_no_repair() {
    let leader = uploaded();
    for (gone, offset) in [(3, 0), (4, 3), (5, 5)] {
        let expected = NotRepairable::Missing { partition: key(0), offset };
        assert_eq!(repair(&leader, |index| index != gone), Err(expected), "entry {gone}");
    }
}

#[test]
fn two_batches_for_one_offset_are_no_repair_whichever_was_refused() {
    let mut leader = uploaded();
    let copy = leader.committed[3].clone();
    leader.committed.insert(4, copy);
    let expected = NotRepairable::Ambiguous { partition: key(0), offset: 3 };
    assert_eq!(repair(&leader, |_| true), Err(expected));
}

#[test]
fn deleted_records_are_left_out_but_for_those_that_share_a_batch_with_living_ones() {
    let mut leader = uploaded();
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 4));
    assert_eq!(repair(&leader, |_| true), Ok(vec![(3, 4), (5, 9)]));
    // What only deleted records were in may be gone.
    assert_eq!(repair(&leader, |index| index != 3), Ok(vec![(3, 4), (5, 9)]));
}

#[test]
fn an_object_that_nobody_reads_needs_no_repair() {
    let mut leader = uploaded();
    leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), -1));
    assert_eq!(plan_repair(&leader.shard, OBJECT), None);
    assert_eq!(plan_repair(&leader.shard, ObjectId([8; 16])), None);
}
