//! `holdfast wal`: a look into a write-ahead log that nobody is writing.
//!
//! ```text
//! DATA-DIR ─▶ identity ─▶ files, read only ─▶ segments: headers and seals, by storage/FORMAT.md
//!                                          └▶ recovery itself, its writes kept in memory
//!                                               ─▶ replicas, verdicts; `verify` reads every entry
//!          residue: every byte of every file, whether the log still counts on it or not
//! ```
//!
//! Idea: what a start would find is best told by the code that starts. The disk below it is a
//! view: reads come from the files, writes go nowhere. So the answer is the same as at the next
//! start, and nothing changes, not even the boot count.

mod directory;
mod residue;
mod segments;
#[cfg(test)]
mod tests;
mod verify;
mod view;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdfast_wal::{Recovered, Wal};
use serde_json::{Value, json};

use crate::args::Shown;
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table, counted};
use directory::DataDirectory;
pub(in crate::commands) use residue::topic_id;
use view::ReadOnlyDisk;

/// `holdfast wal ...`
#[derive(Subcommand, Debug)]
pub(crate) enum WalCommand {
    /// Segments, replicas and what the next start would decide
    Inspect(WalArgs),
    /// The same, and every entry's checksums; exit code 1 when something durable is damaged
    Verify(WalArgs),
    /// Whether any file of the log holds records of a topic, in use or not; exit code 3 if one does
    Residue(residue::ResidueArgs),
}

/// Options of `wal inspect` and `wal verify`.
#[derive(Args, Debug)]
pub(crate) struct WalArgs {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Read although a process holds the directory. What is being written may look torn.
    #[arg(long)]
    read_locked: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(command: WalCommand) -> Result<()> {
    match command {
        WalCommand::Inspect(args) => inspect(&args, false),
        WalCommand::Verify(args) => inspect(&args, true),
        WalCommand::Residue(args) => residue::run(&args),
    }
}

fn inspect(args: &WalArgs, verify: bool) -> Result<()> {
    let directory = DataDirectory::open(&args.data_dir, args.read_locked)?;
    let segments = segments::survey(&directory.lane, &directory.identity)?;
    let disk = ReadOnlyDisk::open(&directory.lane)?;
    let config = directory.wal_config(segments.len() as u64);
    let (wal, recovered) = Wal::recover(disk, config).map_err(|error| {
        let failed = CliError::failed(
            format!("the log in {} cannot be read", directory.lane.display()),
            error.to_string(),
        );
        failed.explain("HF-1005")
    })?;
    let checked = if verify { Some(verify::check(&wal, &recovered)) } else { None };

    let identity = &directory.identity;
    let damage = recovered.replicas.values().filter(|replica| replica.damage.is_some()).count();
    let findings = checked.as_ref().map_or(0, |checked| checked.findings.len());
    let boot = recovered.boot.0.saturating_sub(1);
    let mut answer = Answer::new(json!({
        "cluster": identity.cluster.to_string(),
        "node": identity.node.0,
        "boots": boot,
        "segment_bytes": identity.segment_bytes,
        "segments": segments.iter().map(segments::Segment::json).collect::<Value>(),
        "replicas": replicas_json(&recovered),
        "verdicts": verdicts_json(&recovered),
        "cut": recovered.cut.map(|cut| json!({"segment": cut.segment.0, "offset": cut.offset})),
        "damaged_replicas": damage,
        "verified": checked.as_ref().map(verify::Checked::json),
    }))
    .line(format!(
        "node {} of cluster {}, {}, {}",
        identity.node.0,
        identity.cluster,
        counted(boot, "start"),
        counted(segments.len() as u64, "segment file")
    ))
    .table(segments::table(&segments))
    .table(replicas_table(&recovered));
    if !recovered.verdicts.is_empty() {
        answer = answer.table(verdicts_table(&recovered));
    }
    if let Some(checked) = &checked {
        answer = answer.line(checked.summary());
        if findings > 0 {
            answer = answer.table(checked.table());
        }
    }
    let names = segments.iter().map(|segment| segment.file.clone());
    answer.names(names).print(args.shown.format)?;
    if damage + findings == 0 {
        return Ok(());
    }
    let what = format!("the log in {} is damaged", directory.lane.display());
    let why = format!("{damage} replicas stop before their end, {findings} entries are unreadable");
    let try_next = "keep the directory as it is; with several nodes, replace this node's replicas";
    Err(CliError::failed(what, why).try_next(try_next).explain("HF-1005"))
}

fn replicas_table(recovered: &Recovered) -> Table {
    let mut table = Table::new(&[
        ">SHARD", ">REPLICA", ">VOTERS", ">TERM", ">COMMIT", ">TRIMMED", ">LAST", "DAMAGE",
    ]);
    for (shard, replica) in &recovered.replicas {
        table.row([
            shard.0.to_string(),
            replica.identity.replica.0.to_string(),
            replica.identity.voters.len().to_string(),
            replica.hard_state.term.0.to_string(),
            replica.hard_state.commit.0.to_string(),
            replica.trimmed.0.to_string(),
            replica.last().0.to_string(),
            replica.damage.map_or_else(
                || "none".to_owned(),
                |damage| format!("{:?} from {}", damage.reason, damage.from.0),
            ),
        ]);
    }
    table
}

fn replicas_json(recovered: &Recovered) -> Value {
    let row = |(shard, replica): (&holdfast_base::ShardId, &holdfast_wal::RecoveredReplica)| {
        json!({
            "shard": shard.0,
            "replica": replica.identity.replica.0,
            "voters": replica.identity.voters.len(),
            "term": replica.hard_state.term.0,
            "vote": replica.hard_state.vote.0,
            "commit": replica.hard_state.commit.0,
            "trimmed": replica.trimmed.0,
            "last": replica.last().0,
            "damaged_from": replica.damage.map(|damage| damage.from.0),
            "damage": replica.damage.map(|damage| format!("{:?}", damage.reason)),
        })
    };
    recovered.replicas.iter().map(row).collect()
}

fn verdicts_table(recovered: &Recovered) -> Table {
    let mut table = Table::new(&["FILE", ">OFFSET", "PLACE", "VERDICT"]);
    for row in &recovered.verdicts {
        table.row([
            row.file.clone(),
            row.offset.to_string(),
            format!("{:?}", row.facts.place),
            format!("{:?}", row.verdict),
        ]);
    }
    table
}

fn verdicts_json(recovered: &Recovered) -> Value {
    let row = |row: &holdfast_wal::VerdictRow| {
        json!({
            "file": row.file, "offset": row.offset, "place": format!("{:?}", row.facts.place),
            "verdict": format!("{:?}", row.verdict),
        })
    };
    recovered.verdicts.iter().map(row).collect()
}
