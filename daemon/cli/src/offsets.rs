//! Offsets of a topic's partitions, asked from their leaders.

use std::collections::BTreeMap;

use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use crate::client::{Cluster, topic_name};
use crate::errors::{CliError, Result};

/// Kafka's word for the offset behind the last record.
pub(crate) const END: i64 = -1;
/// Kafka's word for the first offset that is there.
pub(crate) const START: i64 = -2;

/// Partition → offset at `time` ([`START`], [`END`], or the first record at or after so many
/// milliseconds; −1 where there is none).
pub(crate) fn at(
    cluster: &mut Cluster,
    topic: &str,
    leaders: &BTreeMap<i32, i32>,
    time: i64,
) -> Result<BTreeMap<i32, i64>> {
    let mut by_node: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in leaders {
        by_node.entry(*leader).or_default().push(*partition);
    }
    let mut found = BTreeMap::new();
    for (node, partitions) in by_node {
        let row = |partition: &i32| {
            ListOffsetsPartition::default()
                .with_partition_index(*partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(time)
        };
        let asked = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions.iter().map(row).collect());
        let request =
            ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
        let answer = cluster.node(node)?.call(&request, 1..=7)?;
        for row in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let what =
                format!("offsets of {topic} partition {} cannot be told", row.partition_index);
            CliError::check(what, row.error_code, None)?;
            found.insert(row.partition_index, row.offset);
        }
    }
    Ok(found)
}

/// A place in a partition, as typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// The first offset that is there.
    Start,
    /// Behind the last record.
    End,
    /// Exactly this offset.
    Offset(i64),
    /// The first record at or after, milliseconds since 1970.
    Time(i64),
    /// So many further (or back), from where one stands.
    Shift(i64),
}

/// `start|earliest|end|latest|N|@TIME|+N|-N`.
pub(crate) fn parse_target(text: &str) -> std::result::Result<Target, String> {
    let wrong = || {
        format!(
            "{text:?} is no place: write earliest, latest, 42, @2026-11-21T12:00:00Z, +10 or -10"
        )
    };
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<i64>().ok()).flatten().ok_or_else(wrong)
    };
    if let Some(time) = text.strip_prefix('@') {
        return crate::when::parse_time(time, crate::clock::now_ms()).map(Target::Time);
    }
    match text {
        "start" | "earliest" | "beginning" => Ok(Target::Start),
        "end" | "latest" => Ok(Target::End),
        _ if text.starts_with('+') => number(&text[1..]).map(Target::Shift),
        _ if text.starts_with('-') => number(&text[1..]).map(|back| Target::Shift(-back)),
        _ => number(text).map(Target::Offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_understood_as_kafkas_tools_write_them() {
        for (text, target) in [
            ("earliest", Target::Start),
            ("start", Target::Start),
            ("latest", Target::End),
            ("42", Target::Offset(42)),
            ("+3", Target::Shift(3)),
            ("-3", Target::Shift(-3)),
            ("@1000", Target::Time(1000)),
            ("@1970-01-01T00:00:01Z", Target::Time(1000)),
        ] {
            assert_eq!(parse_target(text), Ok(target), "{text}");
        }
        for wrong in ["", "+", "-", "--1", "+-1", "@", "1.5", "9999999999999999999"] {
            assert!(parse_target(wrong).is_err(), "{wrong}");
        }
    }
}
