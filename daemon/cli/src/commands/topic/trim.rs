//! `holdfast topic trim`: the oldest records are deleted for good (Kafka's DeleteRecords).

use std::collections::BTreeMap;

use clap::Args;
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use serde_json::{Value, json};

use crate::args::{Context, Shown, confirm};
use crate::client::topic_name;
use crate::errors::{CliError, Result};
use crate::offsets::{self, Target, parse_target};
use crate::output::{Answer, Table};

/// Options of `topic trim`.
#[derive(Args, Debug)]
pub(crate) struct TrimArgs {
    /// The topic.
    topic: String,
    /// Records before this go: an offset, `end`, or `@TIME`.
    #[arg(long, value_parser = parse_target, allow_hyphen_values = true, value_name = "PLACE")]
    before: Target,
    /// Only these partitions.
    #[arg(short, long, value_delimiter = ',', value_name = "PARTITION")]
    partition: Vec<i32>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Show what would be lost, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

/// A partition's first offset now and afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cut {
    start: i64,
    new_start: i64,
    end: i64,
}

/// Where a partition would begin. `at_time`: the first offset at the time asked for, if any.
fn cut(target: Target, start: i64, end: i64, at_time: Option<i64>) -> Cut {
    let wanted = match target {
        Target::Start => start,
        Target::End => end,
        Target::Offset(offset) => offset,
        Target::Time(_) => at_time.filter(|offset| *offset >= 0).unwrap_or(end),
        Target::Shift(by) if by < 0 => end.saturating_add(by),
        Target::Shift(by) => start.saturating_add(by),
    };
    Cut { start, new_start: wanted.clamp(start, end.max(start)), end }
}

pub(crate) fn run(args: &TrimArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let mut leaders = cluster.leaders(&args.topic)?;
    if let Some(missing) = args.partition.iter().find(|asked| !leaders.contains_key(asked)) {
        return Err(CliError::usage(
            format!("topic {} has no partition {missing}", args.topic),
            format!("it has 0 to {}", leaders.len().saturating_sub(1)),
        ));
    }
    leaders.retain(|partition, _| args.partition.is_empty() || args.partition.contains(partition));
    let starts = offsets::at(&mut cluster, &args.topic, &leaders, offsets::START)?;
    let ends = offsets::at(&mut cluster, &args.topic, &leaders, offsets::END)?;
    let times = match args.before {
        Target::Time(time_ms) => offsets::at(&mut cluster, &args.topic, &leaders, time_ms)?,
        _ => BTreeMap::new(),
    };
    let mut cuts = BTreeMap::new();
    for partition in leaders.keys() {
        if let (Some(start), Some(end)) = (starts.get(partition), ends.get(partition)) {
            cuts.insert(*partition, cut(args.before, *start, *end, times.get(partition).copied()));
        }
    }
    let gone: i64 = cuts.values().map(|cut| cut.new_start - cut.start).sum();
    if !args.dry_run && gone > 0 {
        confirm(&format!("Deleting the {gone} oldest records of {}", args.topic), args.yes)?;
        for (partition, leader) in &leaders {
            let Some(cut) = cuts.get_mut(partition).filter(|cut| cut.new_start > cut.start) else {
                continue;
            };
            let asked = DeleteRecordsPartition::default()
                .with_partition_index(*partition)
                .with_offset(cut.new_start);
            let asked = DeleteRecordsTopic::default()
                .with_name(topic_name(&args.topic))
                .with_partitions(vec![asked]);
            let request = DeleteRecordsRequest::default()
                .with_topics(vec![asked])
                .with_timeout_ms(cluster.timeout_ms());
            let answer = cluster.node(*leader)?.call(&request, 0..=2)?;
            for row in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                let what = format!("{} partition {partition} cannot be trimmed", args.topic);
                CliError::check(what, row.error_code, None)?;
                cut.new_start = row.low_watermark;
            }
        }
    }
    let said = if args.dry_run { "would be trimmed" } else { "trimmed" };
    let mut table = Table::new(&[">PARTITION", ">START", ">NEW START", ">END", ">RECORDS GONE"]);
    let mut values = Vec::new();
    for (partition, cut) in &cuts {
        let gone = cut.new_start - cut.start;
        let cells = [i64::from(*partition), cut.start, cut.new_start, cut.end, gone];
        table.row(cells.map(|cell| cell.to_string()));
        values.push(json!({
            "partition": partition, "start_offset": cut.start, "new_start_offset": cut.new_start,
            "end_offset": cut.end, "records_gone": gone,
        }));
    }
    let value = json!({"topic": args.topic, "result": said, "partitions": Value::Array(values)});
    Answer::new(value)
        .line(format!("topic {}: {said}", args.topic))
        .table(table)
        .names([args.topic.clone()])
        .print(args.shown.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_stays_between_start_and_end() {
        let new_start = |target, at_time| cut(target, 10, 20, at_time).new_start;
        assert_eq!(new_start(Target::Offset(15), None), 15);
        assert_eq!(new_start(Target::Offset(5), None), 10);
        assert_eq!(new_start(Target::Offset(25), None), 20);
        assert_eq!(new_start(Target::End, None), 20);
        assert_eq!(new_start(Target::Time(0), Some(12)), 12);
        assert_eq!(new_start(Target::Time(0), Some(-1)), 20);
        assert_eq!(new_start(Target::Shift(-3), None), 17);
        assert_eq!(new_start(Target::Shift(3), None), 13);
    }
}
