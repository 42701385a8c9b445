//! Each planted bug does the harm it is named for, so that a tester that misses it is at fault.

use super::objects::{intent, manifest, row, step, tell};
use super::support::{
    Leader, appended_offsets, batch, commit, commit_offsets, create, idempotent, key, slot,
};
use crate::{CommandOutcome, Decision, PartitionConfig, PlantedBugs, Step};

fn planted(bugs: PlantedBugs) -> Leader {
    let mut leader = Leader::with_bugs(bugs);
    leader.create(&create(0, PartitionConfig::default()));
    leader
}

#[test]
fn without_restored_sequences_a_retry_after_failover_is_written_twice() {
    let bugs = PlantedBugs { sequence_not_restored: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&idempotent(1, 0, 0, 2));
    leader.lose_and_lead_again();
    // The new term's first entry, of whatever kind, makes the replica forget.
    leader.append(&batch(1));
    assert_eq!(leader.append(&idempotent(1, 0, 0, 2)), 3);
}

#[test]
fn a_leader_that_keeps_what_it_lost_skips_and_reuses_offsets() {
    let bugs = PlantedBugs { offset_gap_reused: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&batch(2));
    leader.produce(&batch(5)).unwrap();
    leader.lose_and_lead_again();
    assert_eq!(leader.append(&batch(1)), 7, "a gap");

    let mut leader = planted(bugs);
    leader.append(&batch(2));
    leader.produce(&batch(1)).unwrap();
    let kept = leader.decider.clone();
    leader.lose_and_lead_again();
    leader.decider = crate::Decider::new();
    leader.decider.plant(bugs);
    leader.append(&batch(9));
    leader.decider = kept;
    leader.produce(&batch(1)).unwrap();
    assert_eq!(appended_offsets(&leader.commit_all()), [3], "offset 3 is acknowledged twice");
}

#[test]
fn an_appended_duplicate_is_there_twice() {
    let bugs = PlantedBugs { duplicate_appended: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&idempotent(1, 0, 0, 2));
    assert_eq!(leader.append(&idempotent(1, 0, 0, 2)), 2);
}

#[test]
fn a_log_start_past_the_high_watermark_stays_there() {
    let bugs = PlantedBugs { log_start_past_high_watermark: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&batch(2));
    let outcome = leader
        .admin(|decider, shard, entry, _| decider.propose_delete_records(shard, entry, key(0), 10));
    assert_eq!(outcome, CommandOutcome::LogStart(10));
    assert_eq!(leader.high_watermark(), 2);
}

#[test]
fn a_fenced_producer_writes_when_epochs_are_compared_wrongly() {
    let bugs = PlantedBugs { epoch_compared_wrong: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&idempotent(1, 5, 0, 2));
    assert!(matches!(leader.produce(&idempotent(1, 4, 0, 2)), Ok(Decision::Append { .. })));
}

#[test]
fn a_commit_goes_back_when_another_term_begins() {
    let bugs = PlantedBugs { commit_goes_back: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    commit_offsets(&mut leader, "readers", &[commit(0, 5)]);
    let offset = |leader: &Leader| {
        leader.shard.group(slot("readers"), "readers").unwrap().offset(&key(0)).unwrap().offset
    };
    leader.append(&batch(1));
    assert_eq!(offset(&leader), 5, "within its term it stays");
    leader.lose_and_lead_again();
    leader.append(&batch(1));
    assert_eq!(offset(&leader), 4);
}

#[test]
fn a_manifest_without_an_open_intent_makes_partitions_believe_a_deleted_object() {
    let bugs = PlantedBugs { manifest_of_any_intent: true, ..PlantedBugs::default() };
    let mut leader = planted(bugs);
    leader.append(&batch(2));
    tell(&mut leader, &intent(1, 1, 2, 2));
    tell(&mut leader, &step(1, Step::Abandon));
    let late = manifest(1, 1, &[row(key(0), 0, 1)]);
    assert_eq!(tell(&mut leader, &late), CommandOutcome::ObjectLive);
    assert_eq!(leader.shard.uploaded(), holdfast_base::Index(2), "the log may let go of them");
}
