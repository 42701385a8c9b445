//! `holdfast topic`: which there are, what they hold, and changing them.

mod alter;
mod create;
mod delete;
mod describe;
mod trim;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::{Context, Shown};
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};

/// `holdfast topic ...`
#[derive(Subcommand, Debug)]
pub(crate) enum TopicCommand {
    /// All topics
    List(ListArgs),
    /// Partitions, leaders, offsets and changed settings
    Describe(describe::DescribeArgs),
    /// Create topics
    Create(create::CreateArgs),
    /// Delete topics with all their records
    Delete(delete::DeleteArgs),
    /// Add partitions, change settings
    Alter(alter::AlterArgs),
    /// Delete a topic's oldest records
    Trim(trim::TrimArgs),
}

pub(crate) fn run(command: TopicCommand, context: &Context) -> Result<()> {
    match command {
        TopicCommand::List(args) => list(&args, context),
        TopicCommand::Describe(args) => describe::run(&args, context),
        TopicCommand::Create(args) => create::run(&args, context),
        TopicCommand::Delete(args) => delete::run(&args, context),
        TopicCommand::Alter(args) => alter::run(&args, context),
        TopicCommand::Trim(args) => trim::run(&args, context),
    }
}

/// Options of `topic list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    shown: Shown,
}

fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let answer = cluster.metadata(None)?;
    CliError::check("topics cannot be listed", answer.error_code, None)?;
    let mut rows = Vec::new();
    for topic in &answer.topics {
        let Some(name) = &topic.name else { continue };
        CliError::check(format!("topic {} cannot be listed", name.0), topic.error_code, None)?;
        let replicas = topic.partitions.first().map_or(0, |part| part.replica_nodes.len());
        let leaderless = topic.partitions.iter().filter(|part| part.leader_id.0 < 0).count();
        rows.push((name.to_string(), topic.partitions.len(), replicas, leaderless, topic.topic_id));
    }
    rows.sort();
    let mut table = Table::new(&["TOPIC", ">PARTITIONS", ">REPLICAS", ">LEADERLESS"]);
    for (name, partitions, replicas, leaderless, _) in &rows {
        let cells = [partitions, replicas, leaderless].map(ToString::to_string);
        let [partitions, replicas, leaderless] = cells;
        table.row([name.clone(), partitions, replicas, leaderless]);
    }
    let value = rows
        .iter()
        .map(|(name, partitions, replicas, leaderless, id)| {
            json!({
                "topic": name, "topic_id": id.to_string(), "partitions": partitions,
                "replicas": replicas, "leaderless_partitions": leaderless,
            })
        })
        .collect();
    let names = rows.into_iter().map(|(name, ..)| name);
    Answer::new(value).table(table).names(names).print(args.shown.format)
}
