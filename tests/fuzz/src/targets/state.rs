//! A shard's state from where it is kept, and entries that are applied to it.
//!
//! ```text
//! checkpoint   the file beside the log and in the store            signed again, mostly
//! rows         key length 2 | key | value length 4 | value | ...    as RocksDB hands them back
//! commands     the commands of one entry, applied to a shard with topics, groups and objects
//! ```

use bytes::Bytes;
use holdfast_base::{
    ClusterId, CoordinatorSlot, Index, PartitionKey, ReplicaId, Rng, ShardId, SplitMix64, Term,
    TopicId,
};
use holdfast_batch::BatchHeader;
use holdfast_log::{
    Command, CreatePartition, Decider, EntryBuilder, EntryFacts, GroupMember, GroupRecord, Intent,
    Manifest, ManifestRow, NewOffset, ObjectId, ObjectStep, PartitionConfig, ProduceFacts,
    RemovePartition, Shard, Step, decode_commands,
};
use holdfast_tier::Checkpoint;
use sha2::{Digest, Sha256};

use super::{Bound, Target, Verdict};

const TERM: Term = Term(3);
const TIME_MS: i64 = 1_700_000_000_000;
const CHECKPOINT_HEAD_BYTES: usize = 96;
const HASH_BYTES: usize = 32;

pub(crate) struct Checkpoints;
pub(crate) struct Rows;
pub(crate) struct Commands {
    shard: Shard,
}

impl Commands {
    pub(crate) fn new() -> Commands {
        Commands { shard: history().pop().expect("a shard with a past").1 }
    }
}

/// A state is maps and lists of small rows: what holds one costs a multiple of its bytes.
fn bound(input_bytes: usize) -> Bound {
    let largest_bytes = 64 * input_bytes as u64 + (1 << 20);
    Bound { largest_bytes, peak_bytes: 4 * largest_bytes }
}

impl Target for Checkpoints {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        let states = history().into_iter().map(|(_, shard)| (ShardId(1), shard.snapshot()));
        let metadata = (ShardId::METADATA, holdfast_metadata::Metadata::new().snapshot());
        let file = |(shard, state): (ShardId, Vec<u8>)| {
            let checkpoint = Checkpoint {
                cluster: ClusterId([7; 16]),
                shard,
                replica: ReplicaId(9),
                applied: Index(40),
                term: TERM,
                time_ms: TIME_MS,
                state: state.into(),
            };
            checkpoint.encode()
        };
        states.chain([metadata]).map(file).collect()
    }

    fn repair(&self, input: &mut [u8], rng: &mut SplitMix64) {
        if input.len() < CHECKPOINT_HEAD_BYTES + HASH_BYTES || rng.chance(1, 8) {
            return;
        }
        let state_bytes = (input.len() - CHECKPOINT_HEAD_BYTES - HASH_BYTES) as u64;
        input[72..80].copy_from_slice(&state_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&input[..60]);
        let crc = crc32c::crc32c_append(crc, &input[64..CHECKPOINT_HEAD_BYTES]);
        input[60..64].copy_from_slice(&crc.to_le_bytes());
        let (hashed, hash) = input.split_at_mut(input.len() - HASH_BYTES);
        hash.copy_from_slice(&Sha256::digest(hashed));
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let Ok(checkpoint) = Checkpoint::decode(input) else { return Verdict::Refused };
        if checkpoint.encode() != input {
            return Verdict::Wrong("it is another file when written again".to_owned());
        }
        let again = if checkpoint.shard == ShardId::METADATA {
            holdfast_metadata::Metadata::restore(&checkpoint.state).ok().map(|it| it.snapshot())
        } else {
            Shard::restore(&checkpoint.state).ok().map(|shard| shard.snapshot())
        };
        match again {
            None => Verdict::Refused,
            Some(again) if again == checkpoint.state => Verdict::Accepted,
            Some(_) => Verdict::Wrong("it is another state when kept again".to_owned()),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        bound(input_bytes)
    }
}

impl Target for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        history().iter().map(|(_, shard)| put_rows(shard)).collect()
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let Some(rows) = take_rows(input) else { return Verdict::Refused };
        let Ok(shard) = Shard::from_rows(rows) else { return Verdict::Refused };
        if put_rows(&shard) != input {
            let now = take_rows(&put_rows(&shard)).unwrap_or_default();
            let before = take_rows(input).unwrap_or_default();
            let other = before.iter().find(|row| !now.contains(row));
            return Verdict::Wrong(format!("the state has another row than {other:02x?}"));
        }
        match Shard::restore(&shard.snapshot()) {
            Ok(again) if again == shard => Verdict::Accepted,
            _ => Verdict::Wrong("the state cannot be kept and had again".to_owned()),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        bound(input_bytes)
    }
}

impl Target for Commands {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        history().into_iter().map(|(commands, _)| commands).collect()
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let commands: Result<Vec<Command>, _> = decode_commands(input).collect();
        let mut shard = self.shard.clone();
        let (index, time_ms) = (shard.applied().next(), shard.time_ms());
        let applied = shard.apply(EntryFacts { index, term: TERM, time_ms }, input);
        let commands = match (commands, applied) {
            (Err(_), Err(_)) => return Verdict::Refused,
            (Err(error), Ok(_)) => {
                return Verdict::Wrong(format!("applied, and yet it is undecodable: {error}"));
            }
            // Every decodable command has a defined result.
            (Ok(commands), Err(error)) => {
                return Verdict::Wrong(format!("{commands:?} stops the replica: {error}"));
            }
            (Ok(commands), Ok(applied)) => {
                // An entry without commands says nothing, and would soon be all of the corpus.
                if commands.is_empty() {
                    return Verdict::Refused;
                }
                if applied.outcomes.len() != commands.len() {
                    return Verdict::Wrong("a command has no outcome".to_owned());
                }
                commands
            }
        };
        let mut again = Vec::new();
        commands.iter().for_each(|command| command.encode(&mut again));
        if again != input {
            return Verdict::Wrong("its commands are other bytes when written again".to_owned());
        }
        match Shard::restore(&shard.snapshot()) {
            Ok(restored) if restored == shard => Verdict::Accepted,
            Ok(_) => Verdict::Wrong("the state after it is another one when restored".to_owned()),
            Err(error) => Verdict::Wrong(format!("no start can have the state after it: {error}")),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        let Bound { largest_bytes, peak_bytes } = bound(input_bytes);
        Bound { largest_bytes, peak_bytes: peak_bytes + (1 << 20) }
    }
}

fn put_rows(shard: &Shard) -> Vec<u8> {
    let mut to = Vec::new();
    for row in shard.rows() {
        let value = row.value.expect("the rows of a state are there");
        to.extend_from_slice(&u16::try_from(row.key.len()).expect("a short key").to_le_bytes());
        to.extend_from_slice(&row.key);
        to.extend_from_slice(&u32::try_from(value.len()).expect("a short row").to_le_bytes());
        to.extend_from_slice(&value);
    }
    to
}

fn take_rows(mut from: &[u8]) -> Option<Vec<(Bytes, Bytes)>> {
    let mut rows = Vec::new();
    while !from.is_empty() {
        let (len, rest) = from.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        from = rest;
    }
    Some(rows)
}

/// Every kind of entry, and the shard behind each.
fn history() -> Vec<(Vec<u8>, Shard)> {
    let mut past = Past { shard: Shard::new(), decider: Decider::new(), entries: Vec::new() };
    for partition in 0..3 {
        let config = PartitionConfig::default();
        let (partition, generation, epoch_base) = (key(partition), 1, 0);
        let create = CreatePartition { partition, generation, epoch_base, config };
        past.entry(|past, entry| {
            past.decider.propose_create_partition(&past.shard, entry, &create).expect("sound");
        });
    }
    for number in 0..6 {
        past.entry(|past, entry| {
            for partition in 0..2 {
                let header = batch(number);
                let partition = key(partition);
                let facts =
                    ProduceFacts { partition, header: &header, term: TERM, time_ms: TIME_MS };
                past.decider.propose_produce(&past.shard, entry, facts).expect("sound");
            }
        });
    }
    let slot = CoordinatorSlot::of("group");
    past.entry(|past, entry| {
        past.decider.propose_put_group(entry, slot, "group", &record()).expect("sound");
        let offset =
            NewOffset { partition: key(0), offset: 4, leader_epoch: 1, metadata: "by hand".into() };
        past.decider.propose_commit_offsets(entry, slot, "group", &[offset]).expect("sound");
    });
    let first = past.intend(1, 1..=6);
    past.intend(2, 7..=8);
    past.entry(|past, entry| {
        past.decider.propose_manifest(&past.shard, entry, &manifest(first, 0..=5)).expect("sound");
    });
    past.entry(|past, entry| {
        let step = ObjectStep { object: ObjectId([2; 16]), step: Step::Abandon };
        past.decider.propose_object_step(&past.shard, entry, &step).expect("sound");
    });
    let third = past.intend(3, 7..=8);
    past.entry(|past, entry| {
        past.decider.propose_manifest(&past.shard, entry, &manifest(third, 6..=9)).expect("sound");
    });
    let merge = Intent {
        object: ObjectId([4; 16]),
        term: TERM,
        sequence: past.shard.applied().0,
        first_index: Index(1),
        last_index: Index(8),
    };
    past.entry(|past, entry| {
        past.decider.propose_merge_intent(&past.shard, entry, &merge).expect("sound");
    });
    past.entry(|past, entry| {
        past.decider.propose_delete_records(&past.shard, entry, key(0), 3).expect("sound");
        past.decider.propose_remove_offsets(entry, slot, "group", &[key(0)]).expect("sound");
    });
    past.entry(|past, entry| {
        let remove = RemovePartition { partition: key(2), generation: 1 };
        past.decider.propose_remove_partition(&past.shard, entry, &remove).expect("sound");
        past.decider.propose_expire_producers(&past.shard, entry, TIME_MS, -1).expect("sound");
    });
    past.entries
}

struct Past {
    shard: Shard,
    decider: Decider,
    entries: Vec<(Vec<u8>, Shard)>,
}

impl Past {
    fn entry(&mut self, decide: impl FnOnce(&mut Past, &mut EntryBuilder)) {
        let mut entry = EntryBuilder::new();
        decide(self, &mut entry);
        let commands = entry.finish();
        let index = self.shard.applied().next();
        let facts = EntryFacts { index, term: TERM, time_ms: TIME_MS };
        let applied = self.shard.apply(facts, &commands).expect("our own entry is sound");
        self.decider.applied(&self.shard, &applied);
        self.entries.push((commands, self.shard.clone()));
    }

    fn intend(&mut self, name: u8, range: std::ops::RangeInclusive<u64>) -> Intent {
        let intent = Intent {
            object: ObjectId([name; 16]),
            term: TERM,
            sequence: u64::from(name),
            first_index: Index(*range.start()),
            last_index: Index(*range.end()),
        };
        self.entry(|past, entry| {
            past.decider.propose_intent(&past.shard, entry, &intent).expect("sound");
        });
        intent
    }
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic: TopicId([7; 16]), partition }
}

fn batch(number: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 249,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0xfeed_beef,
        attributes: 0,
        last_offset_delta: 1,
        base_timestamp_ms: TIME_MS,
        max_timestamp_ms: TIME_MS,
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 2 * number,
        records_count: 2,
    }
}

/// Both partitions with records have these offsets in it.
fn manifest(intent: Intent, offsets: std::ops::RangeInclusive<i64>) -> Manifest {
    let row = |partition: i32| ManifestRow {
        partition: key(partition),
        len_bytes: 400,
        base_offset: *offsets.start(),
        last_offset: *offsets.end(),
        max_timestamp_ms: TIME_MS,
    };
    let tail_bytes = 2 * 64 + 2 * 72 + 192;
    Manifest {
        object: intent.object,
        object_bytes: 128 + 800 + u64::from(tail_bytes),
        tail_bytes,
        sha256: [intent.object.0[0]; 32],
        created_ms: TIME_MS,
        last_term: TERM,
        rows: vec![row(0), row(1)],
    }
}

fn record() -> GroupRecord {
    let member = |id: &str| GroupMember {
        member_id: id.to_owned(),
        instance_id: Some("a".to_owned()),
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        subscription: Bytes::from_static(b"topics"),
        assignment: Bytes::from_static(b"partitions"),
    };
    GroupRecord {
        protocol_type: "consumer".to_owned(),
        generation: 4,
        protocol: Some("range".to_owned()),
        leader: Some("one".to_owned()),
        members: vec![member("one"), member("two")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_real_encoding_is_accepted() {
        for target in [&Checkpoints as &dyn Target, &Rows] {
            for input in target.corpus() {
                assert!(matches!(target.run(&input), Verdict::Accepted), "{}", target.name());
            }
        }
    }

    #[test]
    fn the_past_has_live_and_open_objects_groups_and_a_moved_log_start() {
        let shard = history().pop().expect("a past").1;
        let live = shard.objects().filter(|row| row.live_rows > 0).count();
        assert!(live >= 1 && shard.objects().count() >= 3, "{live} live");
        assert_eq!(shard.partition(&key(0)).map(holdfast_log::Partition::log_start), Some(3));
        assert_eq!(shard.groups().count(), 1);
    }
}
