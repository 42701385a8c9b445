//! What is merged, and that rows stay few.

use std::collections::BTreeSet;

use holdfast_base::{ClusterId, PartitionKey, Rng, ShardId, SplitMix64, Term};

use super::objects::{delete_before, id, intent, manifest, object, remove, step, tell};
use super::support::{Leader, batch, create, key};
use crate::{
    Command, CommandOutcome, Intent, MERGE_SOURCES_MAX, MERGED_ROWS_MIN, ManifestRow, MergePlan,
    MergeRule, ObjectState, PartitionConfig, ROW_FULL_BYTES, Step, plan_merge,
};

const CLUSTER: (ClusterId, ShardId) = (ClusterId([7; 16]), ShardId(1));
const BY_SIZE: MergeRule = MergeRule { object_bytes: 64 << 20, by_size: true };
const BY_TIME: MergeRule = MergeRule { by_size: false, ..BY_SIZE };
const NEVER: i64 = i64::MIN;
const NOW: i64 = i64::MAX;

/// A log whose every entry has a record of each partition, in an object of its own.
struct Story {
    leader: Leader,
    name: u8,
}

impl Story {
    fn new(partitions: i32) -> Story {
        let mut leader = Leader::with_partition(PartitionConfig::default());
        for partition in 1..partitions {
            leader.create(&create(partition, PartitionConfig::default()));
        }
        Story { leader, name: 0 }
    }

    fn next_name(&mut self) -> u8 {
        // Names of what is gone are used again: there are few.
        loop {
            self.name = self.name.wrapping_add(1);
            if self.leader.shard.object(id(self.name)).is_none() {
                return self.name;
            }
        }
    }

    /// An object with a record of each of these, of that many bytes.
    fn object(&mut self, rows: &[(i32, u32)]) -> u8 {
        let mut entry = crate::EntryBuilder::new();
        let mut manifest_rows = Vec::new();
        for (partition, len_bytes) in rows {
            let base = self.leader.shard.partition(&key(*partition)).unwrap().high_watermark();
            self.leader.decide(&mut entry, *partition, &batch(1)).unwrap();
            manifest_rows.push(ManifestRow {
                partition: key(*partition),
                len_bytes: *len_bytes,
                base_offset: base,
                last_offset: base,
                max_timestamp_ms: 5,
            });
        }
        self.leader.send(entry);
        self.leader.commit_all();
        let (name, at) = (self.next_name(), self.leader.index);
        assert_eq!(
            tell(&mut self.leader, &intent(name, 1, at, at)),
            CommandOutcome::ObjectIntended
        );
        let command = manifest(name, 1, &manifest_rows);
        assert_eq!(tell(&mut self.leader, &command), CommandOutcome::ObjectLive);
        name
    }

    fn plan(&self, rule: &MergeRule) -> Option<MergePlan> {
        self.plan_dead(rule, NEVER)
    }

    fn plan_dead(&self, rule: &MergeRule, before_ms: i64) -> Option<MergePlan> {
        plan_merge(&self.leader.shard, CLUSTER, rule, &BTreeSet::new(), |row| {
            row.dead_since_ms.unwrap() <= before_ms
        })
    }

    /// Carries a plan out; the name of the object.
    fn merge(&mut self, plan: &MergePlan) -> u8 {
        let name = self.next_name();
        let merge = Command::MergeIntent(Intent {
            object: id(name),
            term: Term(1),
            sequence: self.leader.index,
            first_index: plan.first_index,
            last_index: plan.last_index,
        });
        assert_eq!(tell(&mut self.leader, &merge), CommandOutcome::ObjectIntended);
        let command = manifest(name, 1, &rows_of(plan));
        assert_eq!(tell(&mut self.leader, &command), CommandOutcome::ObjectLive, "{plan:?}");
        self.tidy();
        name
    }

    fn tidy(&mut self) {
        for (state, next) in [(ObjectState::Live, Step::Retire), (ObjectState::Retired, Step::Gone)]
        {
            let due: Vec<_> = self
                .leader
                .shard
                .unsettled_objects()
                .filter(|row| row.state == state)
                .map(|row| row.object.0[0])
                .collect();
            for name in due {
                assert_eq!(
                    tell(&mut self.leader, &step(name, next)),
                    CommandOutcome::ObjectStepped
                );
            }
        }
    }

    fn sizes(&self, partition: i32) -> Vec<u32> {
        let rows = self.leader.shard.partition(&key(partition)).unwrap().objects();
        rows.iter().map(|row| row.len_bytes).collect()
    }
}

fn rows_of(plan: &MergePlan) -> Vec<ManifestRow> {
    let mut rows: std::collections::BTreeMap<PartitionKey, ManifestRow> = Default::default();
    let mut parts: Vec<_> = plan.sources.iter().flat_map(|source| &source.parts).collect();
    parts.sort_by_key(|part| (part.partition, part.from_offset));
    for part in parts {
        let row = rows.entry(part.partition).or_insert(ManifestRow {
            partition: part.partition,
            len_bytes: 0,
            base_offset: part.from_offset,
            last_offset: part.last_offset,
            max_timestamp_ms: 5,
        });
        row.len_bytes += part.len_bytes;
        row.last_offset = part.last_offset;
    }
    rows.into_values().collect()
}

#[test]
fn seven_rows_of_a_class_stay_and_eight_become_one() {
    let mut story = Story::new(2);
    for _ in 0..MERGED_ROWS_MIN - 1 {
        story.object(&[(0, 1000), (1, 900)]);
    }
    assert_eq!(story.plan(&BY_SIZE), None);
    story.object(&[(0, 1000), (1, 900)]);
    let plan = story.plan(&BY_SIZE).unwrap();
    assert_eq!((plan.sources.len(), plan.len_bytes), (8, 8 * 1900));
    let first = story.leader.shard.objects().next().unwrap().first_index;
    let last = story.leader.shard.objects().last().unwrap().last_index;
    assert_eq!((plan.first_index, plan.last_index), (first, last));
    story.merge(&plan);
    assert_eq!((story.sizes(0), story.sizes(1)), (vec![8000], vec![7200]));
    assert_eq!(story.leader.shard.objects().len(), 1, "the eight are gone");
}

#[test]
fn larger_rows_are_not_written_again_for_the_sake_of_small_ones() {
    let mut story = Story::new(1);
    story.object(&[(0, 600_000)]);
    for _ in 0..MERGED_ROWS_MIN - 1 {
        story.object(&[(0, 10)]);
    }
    assert_eq!(story.plan(&BY_SIZE), None, "seven small ones");
    story.object(&[(0, 10)]);
    let plan = story.plan(&BY_SIZE).unwrap();
    assert_eq!(plan.len_bytes, 80);
}

#[test]
fn full_rows_and_objects_to_avoid_are_left_alone() {
    let mut story = Story::new(1);
    for _ in 0..MERGED_ROWS_MIN {
        story.object(&[(0, ROW_FULL_BYTES)]);
    }
    assert_eq!(story.plan(&BY_SIZE), None);
    let mut story = Story::new(1);
    for _ in 0..MERGED_ROWS_MIN {
        story.object(&[(0, 1000)]);
    }
    let avoid = BTreeSet::from([4]);
    assert_eq!(plan_merge(&story.leader.shard, CLUSTER, &BY_SIZE, &avoid, |_| true), None);
    assert_eq!(story.plan(&BY_TIME), None);
}

#[test]
fn a_merge_has_no_more_bytes_than_an_object_and_no_more_sources_than_buffers() {
    let mut story = Story::new(3);
    for _ in 0..MERGED_ROWS_MIN {
        story.object(&[(0, 1000), (1, 1000), (2, 1000)]);
    }
    // A single row of the third partition would become the same row again, and so for ever.
    for (room, taken) in [(16_000, 16_000), (17_000, 16_000), (18_000, 18_000)] {
        let small = MergeRule { object_bytes: room, ..BY_SIZE };
        assert_eq!(story.plan(&small).unwrap().len_bytes, taken, "room for {room}");
    }
    // Each partition in other objects: sources run out before bytes do.
    let mut story = Story::new(6);
    for partition in 0..6 {
        for _ in 0..MERGED_ROWS_MIN {
            story.object(&[(partition, 1000)]);
        }
    }
    let plan = story.plan(&BY_SIZE).unwrap();
    assert_eq!(plan.sources.len(), MERGE_SOURCES_MAX);
}

#[test]
fn what_a_deleted_topic_left_in_an_object_goes_when_its_time_has_come() {
    let mut story = Story::new(2);
    let name = story.object(&[(0, 1000), (1, 1000)]);
    story.leader.time_ms += 1_000;
    remove(&mut story.leader, 1);
    let since = object(&story.leader, name).dead_since_ms.unwrap();
    assert_eq!(story.plan_dead(&BY_TIME, since - 1), None);
    let plan = story.plan_dead(&BY_TIME, since).unwrap();
    assert_eq!(rows_of(&plan).iter().map(|row| row.partition).collect::<Vec<_>>(), [key(0)]);
    let merged = story.merge(&plan);
    assert!(story.leader.shard.object(id(name)).is_none(), "the one with the topic is gone");
    assert_eq!(object(&story.leader, merged).dead_since_ms, None);
    assert_eq!(story.plan_dead(&BY_TIME, NOW), None, "and it is done");
}

#[test]
fn deleted_records_in_front_are_left_out_of_what_is_written_again() {
    let mut story = Story::new(2);
    let first = story.object(&[(0, 1000), (1, 1000)]);
    story.object(&[(0, 1000), (1, 1000)]);
    delete_before(&mut story.leader, 0, 1);
    assert_eq!(object(&story.leader, first).live_rows, 1);
    let plan = story.plan_dead(&BY_TIME, NOW).unwrap();
    assert_eq!(plan.sources.len(), 1);
    assert_eq!(plan.sources[0].parts.len(), 1, "only the living row of the dead object");
    story.merge(&plan);
    assert_eq!(story.plan_dead(&BY_TIME, NOW), None);
}

#[test]
fn rows_of_two_dead_objects_that_do_not_touch_go_one_after_the_other() {
    let mut story = Story::new(2);
    for rows in [&[(0, 10), (1, 10)][..], &[(0, 10)], &[(0, 10), (1, 10)]] {
        story.object(rows);
    }
    remove(&mut story.leader, 1);
    for _ in 0..2 {
        let plan = story.plan_dead(&BY_TIME, NOW).unwrap();
        assert_eq!(plan.sources.len(), 1);
        story.merge(&plan);
    }
    assert_eq!(story.plan_dead(&BY_TIME, NOW), None);
    assert_eq!(story.sizes(0), [10, 10, 10]);
}

#[test]
fn rows_stay_few_however_long_the_log_is() {
    let mut rng = SplitMix64::new(7);
    let mut story = Story::new(3);
    let (mut written, mut merged) = (0_u64, 0_u64);
    for _ in 0..3_000 {
        let rows: Vec<(i32, u32)> = (0..3)
            .map(|partition| {
                let bits = 7 + rng.next_u64() % 8;
                (partition, (1_u32 << bits) + (rng.next_u64() % (1 << bits)) as u32)
            })
            .collect();
        written += rows.iter().map(|(_, bytes)| u64::from(*bytes)).sum::<u64>();
        story.object(&rows);
        // What lost rows to a merge is emptied at once here, as it is after a while in life.
        while let Some(plan) = story.plan_dead(&BY_SIZE, NOW) {
            merged += plan.len_bytes;
            story.merge(&plan);
        }
    }
    for partition in 0..3 {
        let sizes = story.sizes(partition);
        let full = sizes.iter().filter(|bytes| **bytes >= ROW_FULL_BYTES).count();
        assert!(sizes.len() - full <= 40, "{} rows, {full} of them full", sizes.len());
    }
    let objects = story.leader.shard.objects().len();
    assert!(objects <= 120, "{objects} objects");
    let times = merged as f64 / written as f64;
    assert!(times < 12.0, "every byte was written {times:.1} times more");
}
