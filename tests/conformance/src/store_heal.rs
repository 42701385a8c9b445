//! Objects that change in the store under a running node: made again from the log while it has their
//! records, named with them when it has not, and never handed on.
//!
//! ```text
//! 20 MB, all in objects ─▶ restart (history is read from objects) ─▶ a byte of an object changes
//!   ─▶ found by the scrub or a reader, made again ─▶ every record equal, no object wrong
//! more than the log holds ─▶ a byte of the oldest object changes ─▶ named in /status with its offsets;
//!   these are refused, all others read equal
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdfast_bench::batch;
use holdfast_bench::broker::free_port;
use holdfast_bench::client::{Client, Failed, FetchFrom, FetchLimits, fetch_answer, fetch_frame};
use holdfast_bench::clock::{Stopwatch, nap};
use serde_json::Value;

use crate::admin_page::{metric, status};
use crate::history::{PARTITIONS, Sent, TOPIC, read_all};
use crate::node::{self, Place};
use crate::{Outcome, Result};

/// So that half of it holds the first part.
const WAL: &str = "64MiB";
const FIRST_BYTES: u64 = 20 << 20;
const SECOND_BYTES: u64 = 110 << 20;
/// Twice the scrub's interval and its first pause, on a busy machine.
const FOUND_WITHIN_S: f64 = 60.0;

#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    node: node::Options,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    fs::create_dir_all(&options.node.work).map_err(text)?;
    let directory = options.node.work.canonicalize().map_err(text)?.join("store-heal");
    let _ = fs::remove_dir_all(&directory);
    let store = directory.join("store");
    fs::create_dir_all(&store).map_err(text)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port().map_err(text)?));
    let kind = options.node.kind(&[
        "--wal-size",
        WAL,
        "--set",
        &format!("admin.address={admin}"),
        "--set",
        &format!("store.url=file://{}", store.display()),
        "--set",
        "store.scrub.interval=4s",
        "--set",
        "store.object_age=1s",
    ])?;
    let site = Site { store, admin, place: Place::fresh(kind, directory.join("node"))? };
    let outcome = site.run();
    if outcome.is_ok() {
        let _ = fs::remove_dir_all(&directory);
    }
    outcome
}

struct Site {
    store: PathBuf,
    admin: SocketAddr,
    place: Place,
}

impl Site {
    fn run(&self) -> Result<Outcome> {
        let mut sent = Sent::new();
        let running = self.place.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        client.create_topic_and_wait(TOPIC, PARTITIONS as i32).map_err(text)?;
        sent.produce(&mut client, FIRST_BYTES)?;
        self.wait("all is in objects", || self.is_uploaded(FIRST_BYTES))?;
        running.stop().map_err(text)?;

        let running = self.place.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        let before = self.objects()?;
        let largest =
            before.iter().max_by_key(|(_, bytes)| *bytes).ok_or("there are no objects")?;
        flip_a_byte(&self.store.join(&largest.0))?;
        println!("a byte of {} changed, its records are in the log", largest.0.display());
        sent.compare("while an object is wrong", |partition| read_all(running.address, partition))?;
        self.wait("it is made again", || Ok(self.metric("holdfast_store_repairs_total")? >= 1.0))?;
        self.wait(
            "no object is wrong",
            || Ok(self.metric("holdfast_store_wrong_objects")? == 0.0),
        )?;
        sent.compare("made again", |partition| read_all(running.address, partition))?;
        // The one that changed waits to be deleted: nobody reads it.
        let others = self.objects()?.into_iter().filter(|(name, _)| *name != largest.0);
        let removed = others.max_by_key(|(_, bytes)| *bytes);
        let (removed, _) = removed.ok_or("there are no objects")?;
        fs::remove_file(self.store.join(&removed)).map_err(text)?;
        println!("{} is gone, its records are in the log", removed.display());
        self.wait("it is made again", || Ok(self.metric("holdfast_store_repairs_total")? >= 2.0))?;
        sent.compare("made again", |partition| read_all(running.address, partition))?;

        let early = self.objects()?;
        sent.produce(&mut client, SECOND_BYTES)?;
        self.wait("all is in objects, and the first have left the log", || {
            let live = self.metric("holdfast_wal_live_bytes")?;
            Ok(self.is_uploaded(SECOND_BYTES)? && live <= f64::from(40 << 20))
        })?;
        let now: BTreeSet<PathBuf> = self.objects()?.into_iter().map(|(name, _)| name).collect();
        let is_read = |name: &PathBuf| now.contains(name) && *name != largest.0;
        let oldest = early.iter().filter(|(name, _)| is_read(name));
        let oldest = oldest.max_by_key(|(_, bytes)| *bytes);
        let (oldest, _) = oldest.ok_or("no object of the first part is left")?;
        flip_a_byte(&self.store.join(oldest))?;
        println!("a byte of {} changed, its records have left the log", oldest.display());
        self.wait("it is named", || Ok(self.metric("holdfast_store_wrong_objects")? >= 1.0))?;
        self.wait("it is known to be lost", || {
            let found = &self.status()?["store"]["wrong_objects"][0];
            Ok(found["not_repaired_because"].is_string())
        })?;
        let status = self.status()?;
        let found = &status["store"]["wrong_objects"];
        let lost = lost_offsets(found)?;
        println!("named: {found}");
        self.everything_else_is_read(running.address, &sent, &lost)?;
        running.stop().map_err(text)?;
        Ok(Outcome::Passed)
    }

    /// Offsets that are named are refused or, where the log has them, right; all others are read.
    fn everything_else_is_read(
        &self,
        address: SocketAddr,
        sent: &Sent,
        lost: &[(usize, u64, u64)],
    ) -> Result<()> {
        let mut client = Client::connect(address).map_err(text)?;
        let mut refused = 0;
        for (partition, records) in sent.partitions.iter().enumerate() {
            let mut next = 0;
            while next < records.count {
                match first_offset(&mut client, partition, next)? {
                    Some((first, behind)) if first <= next && next < behind => next = behind,
                    Some(other) => return Err(format!("{next} was asked for, {other:?} came")),
                    None => {
                        let range = lost.iter().find(|(of, first, last)| {
                            *of == partition && *first <= next && next <= *last
                        });
                        let (_, _, last) = range.ok_or_else(|| {
                            format!("partition {partition}, offset {next} is refused and not named")
                        })?;
                        refused += 1;
                        next = last + 1;
                    }
                }
            }
        }
        if refused == 0 {
            return Err("an object is wrong, and none of its records is refused".into());
        }
        println!("{refused} ranges are refused, all others were read");
        Ok(())
    }

    /// Objects, without states: path below the store, and length.
    fn objects(&self) -> Result<Vec<(PathBuf, u64)>> {
        let mut found = Vec::new();
        let mut waiting = vec![self.store.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).map_err(text)? {
                let entry = entry.map_err(text)?;
                let path = entry.path();
                let metadata = entry.metadata().map_err(text)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // A term, a sequence and an id.
                let is_object = name.split('-').count() == 3 && !name.starts_with('.');
                if metadata.is_dir() {
                    waiting.push(path);
                } else if is_object {
                    let below = path.strip_prefix(&self.store).map_err(text)?.to_owned();
                    found.push((below, metadata.len()));
                }
            }
        }
        Ok(found)
    }

    /// Whether so much went to the store since the start, and nothing waits.
    fn is_uploaded(&self, bytes: u64) -> Result<bool> {
        let uploaded = self.metric("holdfast_store_uploaded_bytes_total")? as u64 >= bytes;
        Ok(uploaded && self.metric("holdfast_store_waiting_bytes")? == 0.0)
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let clock = Stopwatch::start();
        while !is_so()? {
            if clock.seconds() > FOUND_WITHIN_S {
                let store = self.status()?["store"].to_string();
                return Err(format!("not after {FOUND_WITHIN_S} s: {what}; {store}"));
            }
            nap(Duration::from_millis(200));
        }
        println!("{what}: after {:.1} s", clock.seconds());
        Ok(())
    }

    fn metric(&self, name: &str) -> Result<f64> {
        metric(self.admin, name)
    }

    fn status(&self) -> Result<Value> {
        status(self.admin)
    }
}

/// Changes a byte in the middle of a file, in place.
fn flip_a_byte(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The ranges that are named: partition, first and last offset.
fn lost_offsets(found: &Value) -> Result<Vec<(usize, u64, u64)>> {
    let rows = found.as_array().into_iter().flatten().flat_map(|object| {
        object["records"].as_array().into_iter().flatten().map(|row| {
            let number = |name: &str| row[name].as_u64();
            Some((number("partition")? as usize, number("first_offset")?, number("last_offset")?))
        })
    });
    let rows: Option<Vec<_>> = rows.collect();
    rows.filter(|rows| !rows.is_empty()).ok_or_else(|| format!("no records are named: {found}"))
}

/// What one Fetch at an offset brings, checked: its first offset and the one behind its last; `None`
/// when it is refused.
fn first_offset(client: &mut Client, partition: usize, offset: u64) -> Result<Option<(u64, u64)>> {
    let limits = FetchLimits { wait_ms: 500, min_bytes: 1, partition_bytes: 1 << 20 };
    let from = FetchFrom { partition: partition as i32, offset: offset as i64 };
    for _ in 0..3 {
        let mut frame = fetch_frame(TOPIC, &[from], limits);
        client.send(&mut frame, &[]).map_err(text)?;
        let mut range = None;
        let answered = fetch_answer(client.receive().map_err(text)?, |part| {
            batch::walk(part.records, true).map_err(Failed::Wrong)?;
            for (offset, value) in batch::values(part.records).map_err(Failed::Wrong)? {
                let offset = offset as u64;
                // Every value says where it belongs.
                if !value.starts_with(format!("{partition}-{offset}-").as_bytes()) {
                    return Err(Failed::Wrong(format!("another value is at offset {offset}")));
                }
                let (first, _) = range.unwrap_or((offset, offset));
                range = Some((first, offset + 1));
            }
            Ok(())
        });
        match answered {
            Ok(()) if range.is_some() => return Ok(range),
            Ok(()) => return Err(format!("nothing came at offset {offset}")),
            Err(Failed::Code { .. }) => nap(Duration::from_millis(50)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(None)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ranges_are_read_and_none_is_an_error() {
        let found = serde_json::json!([
            {"records": [{"partition": 1, "first_offset": 3, "last_offset": 9}]}
        ]);
        assert_eq!(lost_offsets(&found), Ok(vec![(1, 3, 9)]));
        assert!(lost_offsets(&serde_json::json!([])).is_err());
        assert!(lost_offsets(&serde_json::json!([{"records": [{"partition": 1}]}])).is_err());
    }
}
