//! `holdfast topic delete`: asks first, unless told not to.

use clap::Args;
use kafka_protocol::messages::DeleteTopicsRequest;
use serde_json::{Value, json};

use crate::args::{Context, Shown, confirm};
use crate::client::topic_name;
use crate::errors::{CliError, Result};
use crate::offsets;
use crate::output::{Answer, Table};

/// Options of `topic delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Topics to delete.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Show what would be lost, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &DeleteArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    if args.dry_run {
        let mut table = Table::new(&["TOPIC", ">PARTITIONS", ">RECORDS", "RESULT"]);
        let mut values = Vec::new();
        for topic in &args.topics {
            let leaders = cluster.leaders(topic)?;
            let starts = offsets::at(&mut cluster, topic, &leaders, offsets::START)?;
            let ends = offsets::at(&mut cluster, topic, &leaders, offsets::END)?;
            let records = ends.values().sum::<i64>() - starts.values().sum::<i64>();
            let said = "would be deleted";
            let counts = [leaders.len().to_string(), records.to_string()];
            let [partitions, count] = counts;
            table.row([topic.clone(), partitions, count, said.to_owned()]);
            values.push(json!({
                "topic": topic, "partitions": leaders.len(), "records": records, "result": said,
            }));
        }
        let names = args.topics.iter().cloned();
        return Answer::new(Value::Array(values))
            .table(table)
            .names(names)
            .print(args.shown.format);
    }
    confirm(&format!("Deleting {} with all records", args.topics.join(", ")), args.yes)?;
    let request = DeleteTopicsRequest::default()
        .with_topic_names(args.topics.iter().map(|topic| topic_name(topic)).collect())
        .with_timeout_ms(cluster.timeout_ms());
    let answer = cluster.any().call(&request, 1..=5)?;
    let mut table = Table::new(&["TOPIC", "RESULT"]);
    let mut values = Vec::new();
    let mut names = Vec::new();
    let mut refusal = None;
    for row in &answer.responses {
        let name = row.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        let what = format!("topic {name} cannot be deleted");
        let result = CliError::check(what, row.error_code, row.error_message.as_deref());
        let said = if result.is_ok() { "deleted" } else { "refused" };
        table.row([name.clone(), said.to_owned()]);
        values.push(json!({"topic": name, "result": said, "error_code": row.error_code}));
        match result {
            Ok(()) => names.push(name),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Answer::new(Value::Array(values)).table(table).names(names).print(args.shown.format)?;
    refusal.map_or(Ok(()), Err)
}
