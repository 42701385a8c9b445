//! `holdfast wal residue`: whether records of a topic are left in any file of the log.
//!
//! ```text
//! segment files, in use and spare ─▶ every byte ─▶ batches by file; exit code 3 if there is one
//! ```
//!
//! Nothing is recovered and nothing locked, so a running node can be asked too: what it deletes after
//! the look, the next one shows.

use std::fs;

use bytes::Bytes;
use clap::Args;
use holdfast_base::{TopicId, parse_uuid};
use holdfast_wal::{Residue, residue_in};
use serde_json::json;

use super::directory::DataDirectory;
use crate::args::Shown;
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table, counted, size};

/// Options of `wal residue`.
#[derive(Args, Debug)]
pub(crate) struct ResidueArgs {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data_dir: std::path::PathBuf,
    /// The topic's id, as `holdfast topic describe` prints it.
    #[arg(value_name = "TOPIC-ID", value_parser = topic_id)]
    topic: TopicId,
    #[command(flatten)]
    shown: Shown,
}

/// The id of a topic. A name is refused: a topic made later may have it too.
pub(in crate::commands) fn topic_id(text: &str) -> std::result::Result<TopicId, String> {
    parse_uuid(text).map(TopicId).ok_or_else(|| {
        "a topic's id has 22 characters, as `holdfast topic describe` prints it; a name is no id, \
         since a topic made later may have it too"
            .to_owned()
    })
}

pub(crate) fn run(args: &ResidueArgs) -> Result<()> {
    let directory = DataDirectory::open(&args.data_dir, true)?;
    let failed = |error: std::io::Error| {
        let what = format!("{} cannot be read", directory.lane.display());
        CliError::failed(what, error.to_string())
    };
    let config = directory.wal_config(0);
    let mut found: Vec<(String, Residue)> = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(&directory.lane).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.contains(".segment-") {
            continue;
        }
        files += 1;
        let bytes = Bytes::from(fs::read(entry.path()).map_err(failed)?);
        let residue = residue_in(&bytes, &config, args.topic);
        if !residue.is_none() {
            found.push((name, residue));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let mut table = Table::new(&["FILE", ">BATCHES", ">SIZE", ">TORN"]);
    for (name, residue) in &found {
        let bytes = size(residue.batch_bytes as f64);
        table.row([name.clone(), residue.batches.to_string(), bytes, residue.torn.to_string()]);
    }
    let file = |(name, residue): &(String, Residue)| {
        json!({
            "file": name, "batches": residue.batches, "batch_bytes": residue.batch_bytes,
            "torn": residue.torn,
        })
    };
    let value = json!({
        "topic_id": args.topic.to_string(), "files_read": files,
        "files": found.iter().map(file).collect::<Vec<_>>(),
    });
    let holding = found.len();
    let (topic, read) = (args.topic, counted(files, "file"));
    let summary = format!("{holding} of {read} hold records of {topic}");
    let names = found.iter().map(|(name, _)| name.clone());
    Answer::new(value).table(table).line(summary).names(names).print(args.shown.format)?;
    if holding == 0 {
        return Ok(());
    }
    let what = format!("records of topic {topic} are in {}", counted(holding as u64, "file"));
    Err(CliError::new(Kind::Unhealthy, what)
        .why("the topic lives, or was deleted less than deletion.max.delay ago")
        .try_next(
            "look again after the delay; what waits for the object store is not erased before",
        ))
}
