//! `holdfast group`: consumer groups, their members, their lag, their offsets.

mod assignment;
mod delete;
mod describe;
mod lag;
mod plan;
mod reset;

use clap::{Args, Subcommand};
use kafka_protocol::messages::ListGroupsRequest;
use serde_json::json;

use crate::args::{Context, Shown};
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};

/// `holdfast group ...`
#[derive(Subcommand, Debug)]
pub(crate) enum GroupCommand {
    /// All groups
    List(ListArgs),
    /// Members and lag by partition, the largest lag first
    Describe(describe::DescribeArgs),
    /// Delete groups without members, with their offsets
    Delete(delete::DeleteArgs),
    /// Set a group's offsets; shows what would change unless --execute is given
    ResetOffsets(reset::ResetArgs),
}

pub(crate) fn run(command: GroupCommand, context: &Context) -> Result<()> {
    match command {
        GroupCommand::List(args) => list(&args, context),
        GroupCommand::Describe(args) => describe::run(&args, context),
        GroupCommand::Delete(args) => delete::run(&args, context),
        GroupCommand::ResetOffsets(args) => reset::run(&args, context),
    }
}

/// Options of `group list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    shown: Shown,
}

/// Every node knows the groups it coordinates.
fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let nodes: Vec<i32> =
        cluster.metadata(Some(&[]))?.brokers.iter().map(|node| node.node_id.0).collect();
    let mut rows = Vec::new();
    for node in nodes {
        let answer = cluster.node(node)?.call(&ListGroupsRequest::default(), 0..=5)?;
        CliError::check(
            format!("groups of node {node} cannot be listed"),
            answer.error_code,
            None,
        )?;
        for group in answer.groups {
            let name = group.group_id.to_string();
            rows.push((name, group.group_state.to_string(), group.protocol_type.to_string(), node));
        }
    }
    rows.sort();
    let mut table = Table::new(&["GROUP", "STATE", "PROTOCOL", ">COORDINATOR"]);
    for (name, state, protocol, node) in &rows {
        let protocol = if protocol.is_empty() { "-" } else { protocol };
        table.row([name.clone(), state.clone(), protocol.to_owned(), node.to_string()]);
    }
    let value = rows
        .iter()
        .map(|(name, state, protocol, node)| {
            json!({"group": name, "state": state, "protocol_type": protocol, "coordinator": node})
        })
        .collect();
    let names = rows.into_iter().map(|(name, ..)| name);
    Answer::new(value).table(table).names(names).print(args.shown.format)
}
