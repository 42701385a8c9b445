//! Batches to a partition's leader and back.
//!
//! Versions end at the last that names topics (Produce 12, Fetch 12), so that no topic id has to
//! be known. A batch is built by `holdfast-batch`, the same code that the node checks it with.

use bytes::Bytes;
use holdfast_batch::Codec;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{FetchRequest, ProduceRequest};

use crate::client::{Connection, topic_name};
use crate::errors::{CliError, Result};

/// All replicas: also what Holdfast makes of acks=1.
const ACKS_ALL: i16 = -1;

/// Appends one batch; says the offset of its first record.
pub(crate) fn produce(
    leader: &mut Connection,
    topic: &str,
    partition: i32,
    batch: Bytes,
    timeout_ms: i32,
) -> Result<i64> {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let data =
        TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(ACKS_ALL)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(vec![data]);
    let answer = leader.call(&request, 3..=12)?;
    let what = || format!("records for {topic} partition {partition} were not stored");
    let row = answer.responses.iter().flat_map(|topic| &topic.partition_responses).next();
    let row = row.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?;
    CliError::check(what(), row.error_code, row.error_message.as_deref())?;
    Ok(row.base_offset)
}

/// One partition's part of a Fetch answer.
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) code: i16,
    pub(crate) records: Bytes,
}

/// Asks for records from these offsets on, waiting up to `wait_ms` for the first.
pub(crate) fn fetch(
    leader: &mut Connection,
    topic: &str,
    from: &[(i32, i64)],
    wait_ms: i32,
    bytes_max: i32,
) -> Result<Vec<Fetched>> {
    let row = |(partition, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*partition)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(bytes_max)
    };
    let asked = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(from.iter().map(row).collect());
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_session_epoch(-1)
        .with_topics(vec![asked]);
    let answer = leader.call(&request, 4..=12)?;
    CliError::check(format!("{topic} cannot be read"), answer.error_code, None)?;
    let rows = answer.responses.into_iter().flat_map(|topic| topic.partitions);
    Ok(rows
        .map(|row| Fetched {
            partition: row.partition_index,
            code: row.error_code,
            records: row.records.unwrap_or_default(),
        })
        .collect())
}

/// A codec, as producers name it.
pub(crate) fn parse_codec(text: &str) -> std::result::Result<Codec, String> {
    match text {
        "none" => Ok(Codec::None),
        "gzip" => Ok(Codec::Gzip),
        "snappy" => Ok(Codec::Snappy),
        "lz4" => Ok(Codec::Lz4),
        "zstd" => Ok(Codec::Zstd),
        _ => Err(format!("{text:?} is none of none, gzip, snappy, lz4, zstd")),
    }
}

/// The partition Java's clients choose for a key: MurmurHash2 with their seed, made positive.
pub(crate) fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Keys are far below 4 GiB; a longer one would only hash differently from Java.
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_javas_clients_send_them() {
        // Kafka's own test vectors of Utils.murmur2.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert!(partition_of(b"", 3) < 3);
    }
}
