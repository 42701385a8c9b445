//! What is told of a directory with two objects in it, one of them damaged later.

use std::fs;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use clap::Parser;
use holdfast_base::{ClusterId, Index, PartitionKey, ShardId, Term};
use holdfast_batch::{BatchBuilder, BatchHeader, Codec, RecordDraft, patch_in_place};
use holdfast_tier::store::FileStore;
use holdfast_tier::{
    BatchRow, BatchSource, ObjectId, ObjectIdentity, PlanBuilder, PlannedBatch, ReadBack,
    SourceError, Taken, upload,
};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: ObjectCommand,
}

struct One(Bytes);

impl BatchSource for One {
    async fn batch(&mut self, _: &PlannedBatch) -> std::result::Result<Bytes, SourceError> {
        Ok(self.0.clone())
    }
}

const KEPT: TopicId = TopicId([1; 16]);
const DELETED: TopicId = TopicId([2; 16]);
const NEVER: TopicId = TopicId([3; 16]);

struct Site(PathBuf);

impl Drop for Site {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Site {
    /// An object of each topic.
    fn new(name: &str) -> Site {
        let path =
            std::env::temp_dir().join(format!("holdfast-object-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        let store = FileStore::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (sequence, topic) in [(1, KEPT), (2, DELETED)] {
            let (plan, bytes) = object(sequence, topic);
            runtime.block_on(upload(&store, plan, &mut One(bytes), ReadBack::Whole)).unwrap();
        }
        fs::create_dir_all(path.join("c/state")).unwrap();
        fs::write(path.join("c/state/00000000000000000001"), b"no object").unwrap();
        Site(path)
    }

    fn run(&self, words: &[&str]) -> Result<()> {
        let url = format!("file://{}", self.0.display());
        let line = ["holdfast", "inspect", &url].into_iter().chain(words.iter().copied());
        run(Line::try_parse_from(line).unwrap().command)
    }

    fn found(&self) -> (Vec<Found>, u64) {
        let store = FileStore::open(&self.0).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(objects(&store)).unwrap()
    }

    fn key_of(&self, topic: TopicId) -> String {
        let (found, _) = self.found();
        let of = |one: &&Found| one.of_topic(topic) > 0;
        found.iter().find(of).unwrap().key.to_string()
    }

    fn damage(&self, topic: TopicId, from_end: bool) {
        let path = self.0.join(self.key_of(topic));
        let mut bytes = fs::read(&path).unwrap();
        let at = if from_end { bytes.len() - 10 } else { 200 };
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}

fn object(sequence: u64, topic: TopicId) -> (holdfast_tier::ObjectPlan, Bytes) {
    let batch = BatchBuilder::new(Codec::None).record(RecordDraft::value(5, vec![7; 100]));
    let mut bytes = BytesMut::from(&batch.build().unwrap()[..]);
    patch_in_place(&mut bytes, 40, 3).unwrap();
    let header = BatchHeader::parse(&bytes).unwrap();
    let row = BatchRow {
        partition: PartitionKey { topic, partition: 4 },
        base_offset: 40,
        last_offset: header.last_offset(),
        leader_epoch: 3,
        max_timestamp_ms: header.max_timestamp_ms,
        len_bytes: bytes.len() as u32,
    };
    let identity = ObjectIdentity {
        cluster: ClusterId([9; 16]),
        shard: ShardId(1),
        term: Term(1),
        sequence,
        object: ObjectId([sequence as u8; 16]),
    };
    let mut plan = PlanBuilder::new(identity, Index(sequence));
    assert_eq!(plan.push_entry(Index(sequence), Term(1), &[row]), Ok(Taken::Yes));
    (plan.finish(0).unwrap(), bytes.freeze())
}

#[test]
fn every_object_is_told_and_what_is_none_is_counted() {
    let site = Site::new("all");
    let (found, others) = site.found();
    assert_eq!((found.len(), others), (2, 1));
    let value = found[0].value();
    assert_eq!((&value["partitions"], &value["batches"]), (&json!(1), &json!(1)));
    site.run(&[]).unwrap();
    site.run(&[&site.key_of(KEPT), "--verify"]).unwrap();
}

#[test]
fn an_object_that_holds_the_topic_is_residue_and_one_that_does_not_is_none() {
    let site = Site::new("residue");
    let error = site.run(&["--residue", &DELETED.to_string()]).unwrap_err();
    assert_eq!(error.kind, Kind::Unhealthy);
    site.run(&["--residue", &NEVER.to_string()]).unwrap();
    fs::remove_file(site.0.join(site.key_of(DELETED))).unwrap();
    site.run(&["--residue", &DELETED.to_string()]).unwrap();
}

#[test]
fn an_object_that_cannot_be_read_proves_nothing() {
    let site = Site::new("unreadable");
    site.damage(DELETED, true);
    let error = site.run(&["--residue", &NEVER.to_string()]).unwrap_err();
    assert_eq!(error.kind, Kind::Unhealthy);
    assert_eq!(site.run(&[]).unwrap_err().kind, Kind::Unhealthy);
}

#[test]
fn a_flipped_bit_in_a_record_is_found_by_reading_all_of_it() {
    let site = Site::new("verify");
    let key = site.key_of(KEPT);
    site.damage(KEPT, false);
    site.run(&[&key]).unwrap();
    assert_eq!(site.run(&[&key, "--verify"]).unwrap_err().kind, Kind::Failed);
}

#[test]
fn a_key_that_is_not_there_and_a_name_for_an_id_are_refused() {
    let site = Site::new("refused");
    assert_eq!(site.run(&["c/state/1"]).unwrap_err().kind, Kind::Failed);
    assert!(topic_id("orders").is_err());
    assert_eq!(topic_id(&KEPT.to_string()), Ok(KEPT));
}
