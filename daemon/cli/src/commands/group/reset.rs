//! `holdfast group reset-offsets`: shows what would change; `--execute` commits it.
//!
//! A group with members is refused: they would go on from where they are and commit over it.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use serde_json::{Value, json};

use super::lag::{self, Place};
use super::plan::{Known, Planned, plan};
use crate::args::{Context, Shown};
use crate::client::{Cluster, group_id, topic_name};
use crate::errors::{CliError, Kind, Result};
use crate::offsets::{self, Target, parse_target};
use crate::output::{Answer, Table, counted};

/// Options of `group reset-offsets`.
#[derive(Args, Debug)]
pub(crate) struct ResetArgs {
    /// The group. One that does not exist is made by its first offsets, if --topic is given.
    group: String,
    /// Where to: earliest, latest, an offset, @TIME, or +N and -N from where the group is.
    #[arg(long, value_parser = parse_target, allow_hyphen_values = true, value_name = "PLACE")]
    to: Target,
    /// Only this topic, or these partitions of it; as often as needed. All topics with committed
    /// offsets without.
    #[arg(long, value_parser = parse_topic, value_name = "TOPIC[:P,P]")]
    topic: Vec<(String, Vec<i32>)>,
    /// Commit the offsets. Without it they are only shown.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    shown: Shown,
}

/// `topic` or `topic:0,1`.
fn parse_topic(text: &str) -> std::result::Result<(String, Vec<i32>), String> {
    let Some((topic, partitions)) = text.split_once(':') else {
        return Ok((text.to_owned(), Vec::new()));
    };
    let number = |part: &str| part.parse().map_err(|_| format!("{part:?} is no partition"));
    let partitions = partitions.split(',').map(number).collect::<std::result::Result<_, _>>()?;
    Ok((topic.to_owned(), partitions))
}

pub(crate) fn run(args: &ResetArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    refuse_members(&mut cluster, args)?;
    let committed = lag::committed(&mut cluster, &args.group)?;
    let places = places(&mut cluster, args, &committed)?;
    if places.is_empty() {
        return Err(CliError::usage(
            format!("group {} has no committed offsets", args.group),
            "name what it shall read with --topic",
        ));
    }
    let known = known(&mut cluster, args.to, &places, &committed)?;
    let planned = plan(args.to, &known);
    if args.execute {
        commit(&mut cluster, &args.group, &planned)?;
    }
    print(args, &planned)
}

fn refuse_members(cluster: &mut Cluster, args: &ResetArgs) -> Result<()> {
    const GROUP_ID_NOT_FOUND: i16 = 69;
    let described = match lag::members(cluster, &args.group) {
        Err(error) if error.code == Some(GROUP_ID_NOT_FOUND) && !args.topic.is_empty() => {
            return Ok(());
        }
        described => described?.0,
    };
    if described.members.is_empty() {
        return Ok(());
    }
    let what = format!("offsets of group {} cannot be reset", args.group);
    let why = format!(
        "it has {}, which would commit over it (state {})",
        counted(described.members.len() as u64, "member"),
        &*described.group_state
    );
    let try_next = format!("stop them first; `holdfast group describe {}` names them", args.group);
    Err(CliError::new(Kind::Refused, what).why(why).try_next(try_next).explain("NON_EMPTY_GROUP"))
}

/// The partitions meant.
fn places(
    cluster: &mut Cluster,
    args: &ResetArgs,
    committed: &BTreeMap<Place, i64>,
) -> Result<BTreeSet<Place>> {
    let mut places = BTreeSet::new();
    for (topic, partitions) in &args.topic {
        let leaders = cluster.leaders(topic)?;
        if let Some(missing) = partitions.iter().find(|asked| !leaders.contains_key(asked)) {
            let last = leaders.len().saturating_sub(1);
            return Err(CliError::usage(
                format!("topic {topic} has no partition {missing}"),
                format!("it has 0 to {last}"),
            ));
        }
        let meant = leaders.keys().filter(|at| partitions.is_empty() || partitions.contains(at));
        places.extend(meant.map(|partition| (topic.clone(), *partition)));
    }
    if args.topic.is_empty() {
        places.extend(committed.keys().cloned());
    }
    Ok(places)
}

fn known(
    cluster: &mut Cluster,
    target: Target,
    places: &BTreeSet<Place>,
    committed: &BTreeMap<Place, i64>,
) -> Result<Vec<Known>> {
    let bounds = lag::bounds(cluster, places.iter().cloned())?;
    let mut at_time: BTreeMap<Place, i64> = BTreeMap::new();
    if let Target::Time(time_ms) = target {
        let topics: BTreeSet<&String> = bounds.keys().map(|(topic, _)| topic).collect();
        for topic in topics {
            let leaders = cluster.leaders(topic)?;
            for (partition, offset) in offsets::at(cluster, topic, &leaders, time_ms)? {
                at_time.insert((topic.clone(), partition), offset);
            }
        }
    }
    let row = |(place, (start, end)): (&Place, &(i64, i64))| Known {
        place: place.clone(),
        committed: committed.get(place).copied(),
        start: *start,
        end: *end,
        at_time: at_time.get(place).copied(),
    };
    Ok(bounds.iter().map(row).collect())
}

fn commit(cluster: &mut Cluster, group: &str, planned: &[Planned]) -> Result<()> {
    let mut by_topic: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for row in planned {
        if let Some(after) = row.after.filter(|after| row.before != Some(*after)) {
            by_topic.entry(&row.place.0).or_default().push(
                OffsetCommitRequestPartition::default()
                    .with_partition_index(row.place.1)
                    .with_committed_offset(after)
                    .with_committed_metadata(None),
            );
        }
    }
    if by_topic.is_empty() {
        return Ok(());
    }
    let topic = |(name, partitions)| {
        OffsetCommitRequestTopic::default().with_name(topic_name(name)).with_partitions(partitions)
    };
    // From outside the group: no generation, no member.
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(by_topic.into_iter().map(topic).collect());
    let answer = cluster.coordinator(group)?.call(&request, 2..=8)?;
    for topic in &answer.topics {
        for row in &topic.partitions {
            let (name, partition) = (topic.name.to_string(), row.partition_index);
            let what = format!("the offset of {name} partition {partition} cannot be committed");
            CliError::check(what, row.error_code, None)?;
        }
    }
    Ok(())
}

fn print(args: &ResetArgs, planned: &[Planned]) -> Result<()> {
    let number =
        |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut table = Table::new(&["TOPIC", ">PARTITION", ">BEFORE", ">AFTER", ">LAG AFTER", "NOTE"]);
    let mut values = Vec::new();
    for row in planned {
        table.row([
            row.place.0.clone(),
            row.place.1.to_string(),
            number(row.before),
            number(row.after),
            number(row.lag_after),
            row.note.to_owned(),
        ]);
        values.push(json!({
            "topic": row.place.0, "partition": row.place.1, "before": row.before,
            "after": row.after, "lag_after": row.lag_after, "note": row.note,
        }));
    }
    let said = if args.execute { "reset" } else { "would be reset" };
    let value = json!({
        "group": args.group, "executed": args.execute, "partitions": Value::Array(values),
    });
    Answer::new(value)
        .table(table)
        .line(format!("group {}: {said}", args.group))
        .names([args.group.clone()])
        .print(args.shown.format)?;
    if !args.execute {
        eprintln!("nothing was changed; pass --execute to do it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_name_its_partitions() {
        assert_eq!(parse_topic("t"), Ok(("t".to_owned(), vec![])));
        assert_eq!(parse_topic("t:0,12"), Ok(("t".to_owned(), vec![0, 12])));
        assert!(parse_topic("t:").is_err() && parse_topic("t:a").is_err());
    }
}
