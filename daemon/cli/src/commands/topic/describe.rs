//! `holdfast topic describe`: partitions with their leaders and offsets, settings that somebody
//! changed.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::args::{Context, Shown};
use crate::client::Cluster;
use crate::configs::{self, Resource};
use crate::errors::{CliError, Result};
use crate::offsets;
use crate::output::{Answer, Table, counted};

/// Options of `topic describe`.
#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// Topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &DescribeArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let mut answer = Answer::new(Value::Null);
    let mut values = Vec::new();
    for topic in &args.topics {
        let (more, value) = describe(&mut cluster, topic, answer)?;
        answer = more;
        values.push(value);
    }
    answer.value = Value::Array(values);
    answer.names(args.topics.iter().cloned()).print(args.shown.format)
}

fn describe(cluster: &mut Cluster, topic: &str, answer: Answer) -> Result<(Answer, Value)> {
    let metadata = cluster.metadata(Some(&[topic]))?;
    let what = || format!("topic {topic} cannot be described");
    let found = metadata.topics.first();
    let found = found.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?;
    CliError::check(what(), found.error_code, None)?;

    // Offsets of partitions without a leader are not to be had; the rest is told nevertheless.
    let led: BTreeMap<i32, i32> = found
        .partitions
        .iter()
        .filter(|part| part.leader_id.0 >= 0)
        .map(|part| (part.partition_index, part.leader_id.0))
        .collect();
    let starts = offsets::at(cluster, topic, &led, offsets::START)?;
    let ends = offsets::at(cluster, topic, &led, offsets::END)?;
    let settings = configs::describe(cluster, &Resource::Topic(topic.to_owned()), None)?;
    let changed: Vec<_> = settings.into_iter().filter(|setting| !setting.is_default()).collect();

    let mut table = Table::new(&[
        ">PARTITION",
        ">LEADER",
        ">EPOCH",
        "REPLICAS",
        "IN-SYNC",
        ">START",
        ">END",
        ">RECORDS",
    ]);
    let mut partitions = Vec::new();
    let mut parts: Vec<_> = found.partitions.iter().collect();
    parts.sort_by_key(|part| part.partition_index);
    for part in parts {
        let index = part.partition_index;
        let (start, end) = (starts.get(&index).copied(), ends.get(&index).copied());
        let records = start.zip(end).map(|(start, end)| end - start);
        let replicas: Vec<i32> = part.replica_nodes.iter().map(|node| node.0).collect();
        let in_sync: Vec<i32> = part.isr_nodes.iter().map(|node| node.0).collect();
        let leader = Some(part.leader_id.0).filter(|leader| *leader >= 0);
        table.row([
            index.to_string(),
            leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            part.leader_epoch.to_string(),
            list(&replicas),
            list(&in_sync),
            number(start),
            number(end),
            number(records),
        ]);
        partitions.push(json!({
            "partition": index, "leader": leader, "leader_epoch": part.leader_epoch,
            "replicas": replicas, "in_sync_replicas": in_sync,
            "start_offset": start, "end_offset": end, "records": records,
        }));
    }
    let id = found.topic_id.to_string();
    let mut answer = answer.line(format!(
        "topic {topic}, {}, id {id}{}",
        counted(found.partitions.len() as u64, "partition"),
        if found.is_internal { ", internal" } else { "" }
    ));
    answer = answer.table(table);
    if !changed.is_empty() {
        let mut table = Table::new(&["SETTING", "VALUE", "SET AT"]);
        for setting in &changed {
            table.row([setting.name.clone(), setting.shown(), setting.source.to_owned()]);
        }
        answer = answer.table(table);
    }
    let value = json!({
        "topic": topic, "topic_id": id, "internal": found.is_internal, "partitions": partitions,
        "changed_settings": changed.iter().map(configs::Setting::json).collect::<Value>(),
    });
    Ok((answer, value))
}

fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn list(nodes: &[i32]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
