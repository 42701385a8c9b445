//! Shard 0's state as bytes, for a replica that is behind what the log keeps.
//!
//! ```text
//! magic "HFMETA" | version u16 | applied u64 | term u64 | as of i64 (ms)
//! cluster [16] | nodes | shards                                         as in `command`
//! topics: list of (id [16] | name | factor u16 | created i64 (ms)
//!                  | configs: list of (key, value) | partitions)        by id
//! next replica u64 | next shard u32 | next producer id i64
//! slots: list of (shard u32, generation u32)
//! settings: list of (resource | list of (key, value))                   by resource
//! rolling hash [32] | audit: anchor [32] | head [32] | next number u64 | list of records
//! SHA-256 of all before [32]
//! ```
//!
//! Same state, same bytes. Version 1 had neither slots nor settings; it is still read, with the
//! slots the cluster's genesis gives and nothing set.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_base::{ClusterId, CoordinatorSlot, Index, ReplicaId, ShardId, Term};
use sha2::{Digest, Sha256};

use crate::audit::{AUDIT_RECORDS_MAX, AuditLog};
use crate::codec::{Reader, Undecodable, Writer};
use crate::command::{
    read_configs, read_nodes, read_partitions, read_resource, read_shards, write_configs,
    write_nodes, write_partitions, write_resource, write_shards,
};
use crate::image::{Image, Placement, Topic};
use crate::placement::place_slots;
use crate::state::Metadata;

const MAGIC: &[u8; 6] = b"HFMETA";
const VERSION: u16 = 2;
const VERSION_WITHOUT_SLOTS: u16 = 1;
const DIGEST_BYTES: usize = 32;
/// Kind and an empty list.
const RESOURCE_BYTES_MIN: usize = 1 + 4;
/// Id, empty name, factor, time and two empty lists.
const TOPIC_BYTES_MIN: usize = 16 + 2 + 2 + 8 + 4 + 4;

impl Metadata {
    /// The whole state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.raw(MAGIC);
        to.u16(VERSION);
        to.u64(self.image.applied.0);
        to.u64(self.term.0);
        to.i64(self.image.as_of_ms);
        to.raw(&self.image.cluster.0);
        write_nodes(&mut to, self.image.nodes.iter());
        write_shards(&mut to, self.image.shards.iter());
        to.u32(self.image.topics_by_id.len() as u32);
        for topic in self.image.topics_by_id.values() {
            write_topic(&mut to, topic);
        }
        to.u64(self.next_replica.0);
        to.u32(self.next_shard.0);
        to.i64(self.next_producer_id);
        write_partitions(&mut to, &self.image.coordinator_slots);
        to.list(&self.image.configs.iter().collect::<Vec<_>>(), |to, (resource, configs)| {
            write_resource(to, resource);
            write_configs(to, configs.iter());
        });
        to.raw(&self.rolling);
        self.audit.write(&mut to);
        let digest = Sha256::digest(&to.bytes);
        to.raw(&digest);
        to.bytes
    }

    /// The state that [`Metadata::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or contradict themselves.
    pub fn restore(bytes: &[u8]) -> Result<Metadata, Undecodable> {
        let body_bytes = bytes.len().saturating_sub(DIGEST_BYTES);
        let (body, digest) = bytes.split_at(body_bytes);
        if Sha256::digest(body).as_slice() != digest {
            return Err(Undecodable { at: body_bytes, what: "snapshot checksum does not match" });
        }
        let mut from = Reader::new(body);
        let (magic, version) = (from.array::<6>()?, from.u16()?);
        if &magic != MAGIC || ![VERSION_WITHOUT_SLOTS, VERSION].contains(&version) {
            return Err(Undecodable { at: 0, what: "no snapshot of shard 0, version 1 or 2" });
        }
        let mut metadata = Metadata::new();
        metadata.image = Image { applied: Index(from.u64()?), ..Image::default() };
        metadata.term = Term(from.u64()?);
        metadata.image.as_of_ms = from.i64()?;
        metadata.image.cluster = ClusterId(from.array()?);
        metadata.image.nodes = Arc::new(read_nodes(&mut from)?.into_iter().collect());
        metadata.image.shards = Arc::new(read_shards(&mut from)?.into_iter().collect());
        for topic in from.list(TOPIC_BYTES_MIN, read_topic)? {
            if metadata.colliding(&topic.name).is_some() {
                return from.wrong("two topics collide");
            }
            for placement in &topic.partitions {
                if !metadata.image.shards.contains_key(&placement.shard) {
                    return from.wrong("a partition's shard is not there");
                }
                *metadata.load.entry(placement.shard).or_default() += 1;
            }
            metadata.insert_topic(Arc::new(topic));
        }
        metadata.next_replica = ReplicaId(from.u64()?);
        metadata.next_shard = ShardId(from.u32()?);
        metadata.next_producer_id = from.i64()?;
        if version == VERSION_WITHOUT_SLOTS {
            metadata.image.coordinator_slots = Arc::new(place_slots(&metadata.image.shards));
        } else {
            metadata.read_slots_and_configs(&mut from)?;
        }
        metadata.rolling = from.array()?;
        metadata.audit = AuditLog::read(&mut from, AUDIT_RECORDS_MAX)?;
        from.finish()?;
        let mut replicas = metadata.image.shards.values().flat_map(|shard| &shard.replicas);
        if replicas.any(|(replica, _)| *replica >= metadata.next_replica)
            || metadata.image.shards.keys().any(|shard| *shard >= metadata.next_shard)
        {
            return from.wrong("an id is in use that was not given out");
        }
        Ok(metadata)
    }

    fn read_slots_and_configs(&mut self, from: &mut Reader<'_>) -> Result<(), Undecodable> {
        let slots = read_partitions(from)?;
        let known = |slot: &Placement| {
            slot.shard != ShardId::METADATA && self.image.shards.contains_key(&slot.shard)
        };
        if !(slots.is_empty() || slots.len() == usize::from(CoordinatorSlot::COUNT))
            || !slots.iter().all(known)
        {
            return from.wrong("coordinator slots are missing or on a shard that is not there");
        }
        self.image.coordinator_slots = Arc::new(slots);
        let rows = from.list(RESOURCE_BYTES_MIN, |from| {
            let resource = read_resource(from)?;
            let configs: BTreeMap<_, _> = read_configs(from)?.into_iter().collect();
            Ok((resource, configs))
        })?;
        if !rows.is_sorted_by(|(a, _), (b, _)| a < b)
            || rows.iter().any(|(_, configs)| configs.is_empty())
        {
            return from.wrong("resources are not sorted, or one has no settings");
        }
        self.image.configs = Arc::new(rows.into_iter().collect());
        Ok(())
    }
}

fn write_topic(to: &mut Writer, topic: &Topic) {
    to.raw(&topic.id.0);
    to.string(&topic.name);
    to.u16(topic.replication_factor);
    to.i64(topic.created_at_ms);
    write_configs(to, topic.configs.iter());
    write_partitions(to, &topic.partitions);
}

fn read_topic(from: &mut Reader<'_>) -> Result<Topic, Undecodable> {
    Ok(Topic {
        id: from.topic_id()?,
        name: from.string()?,
        replication_factor: from.u16()?,
        created_at_ms: from.i64()?,
        configs: read_configs(from)?.into_iter().collect(),
        partitions: read_partitions(from)?,
    })
}
