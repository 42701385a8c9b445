//! `holdfast group delete`: a group with members is refused by the node.

use clap::Args;
use kafka_protocol::messages::DeleteGroupsRequest;
use serde_json::{Value, json};

use super::lag;
use crate::args::{Context, Shown, confirm};
use crate::client::group_id;
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};

/// Options of `group delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
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
    if !args.dry_run {
        confirm(&format!("Deleting {} with all offsets", args.groups.join(", ")), args.yes)?;
    }
    let mut table = Table::new(&["GROUP", ">OFFSETS", "RESULT"]);
    let mut values = Vec::new();
    let mut names = Vec::new();
    let mut refusal = None;
    for group in &args.groups {
        let (found, _) = lag::members(&mut cluster, group)?;
        let offsets = lag::committed(&mut cluster, group)?.len();
        let code = if args.dry_run {
            const NON_EMPTY_GROUP: i16 = 68;
            if found.members.is_empty() { 0 } else { NON_EMPTY_GROUP }
        } else {
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
            let answer = cluster.coordinator(group)?.call(&request, 0..=2)?;
            let row = answer.results.first();
            let what = || format!("group {group} cannot be deleted");
            row.ok_or_else(|| CliError::failed(what(), "the answer is empty"))?.error_code
        };
        let result = CliError::check(format!("group {group} cannot be deleted"), code, None);
        let said = match (&result, args.dry_run) {
            (Err(_), _) => "refused",
            (Ok(()), true) => "would be deleted",
            (Ok(()), false) => "deleted",
        };
        table.row([group.clone(), offsets.to_string(), said.to_owned()]);
        values.push(json!({
            "group": group, "committed_partitions": offsets, "result": said, "error_code": code,
        }));
        match result {
            Ok(()) => names.push(group.clone()),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Answer::new(Value::Array(values)).table(table).names(names).print(args.shown.format)?;
    refusal.map_or(Ok(()), Err)
}
