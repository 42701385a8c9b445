//! Start-up by what is kept in the store, after a clean stop and after `kill -9`, and what state costs.
//!
//! One node, filled step by step; the store is a directory. *Served* is when every partition answers
//! with its end offset. A start that finds less than was acknowledged is a failure of the run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::broker::{self, Kind, Running};
use crate::client::{Client, Failed, Result};
use crate::clock::{Stopwatch, nap};
use crate::history::cold::with_store;
use crate::history::{BATCH_RECORDS, PARTITIONS, Size, fill_as_uploads_allow, wait_uploaded};
use crate::process;
use crate::sample::Figures;

const KEPT: &str = "kept";
const SERVED_WAIT_S: f64 = 120.0;
/// A checkpoint of the state is due by then.
const SETTLE: Duration = Duration::from_secs(3);

/// Figures of one size: clean first answer, clean served, killed first answer, killed served.
const NAMES: [[&str; 4]; 3] = [
    ["small_clean_first_s", "small_clean_s", "small_killed_first_s", "small_killed_s"],
    ["middle_clean_first_s", "middle_clean_s", "middle_killed_first_s", "middle_killed_s"],
    ["large_clean_first_s", "large_clean_s", "large_killed_first_s", "large_killed_s"],
];

/// All of it below `directory`, which is emptied before and after.
pub fn run(kind: &Kind, directory: &Path, size: Size, figures: &mut Figures) -> Result<()> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    let mut kind = kind.clone();
    let Kind::Holdfast { arguments, .. } = &mut kind else { return Ok(()) };
    let store = directory.join("store");
    let (_gateway, admin) = with_store(arguments, &store, None)?;
    let port = broker::free_port()?;
    broker::prepare(&kind, directory, port)?;
    let mut running = broker::start(&kind, directory, port)?;
    let (mut kept_bytes, mut records) = (0, 0);
    for (bytes, [clean_first, clean, killed_first, killed]) in
        size.kept_bytes.into_iter().zip(NAMES)
    {
        let left = bytes.saturating_sub(kept_bytes);
        let (_, filled) = fill_as_uploads_allow(running.address, admin, KEPT, left)?;
        records += filled.records;
        kept_bytes += filled.payload_bytes;
        wait_uploaded(admin)?;
        nap(SETTLE);
        running.stop()?;
        running = start(&kind, directory, port, records, clean_first, clean, figures)?;
        running.kill()?;
        running = start(&kind, directory, port, records, killed_first, killed, figures)?;
    }
    running.stop()?;
    state(directory, &store, records, figures);
    fs::remove_dir_all(directory)?;
    Ok(())
}

fn start(
    kind: &Kind,
    directory: &Path,
    port: u16,
    records: u64,
    first: &'static str,
    served: &'static str,
    figures: &mut Figures,
) -> Result<Running> {
    let clock = Stopwatch::start();
    let running = broker::start(kind, directory, port)?;
    figures.insert(first, running.start_seconds);
    let mut client = Client::connect(running.address)?;
    let found = loop {
        match client.end_offsets(KEPT, PARTITIONS) {
            Ok(ends) => break ends.iter().sum::<i64>(),
            Err(Failed::Code { .. }) if clock.seconds() < SERVED_WAIT_S => {
                nap(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    };
    figures.insert(served, clock.seconds());
    if found == records as i64 {
        return Ok(running);
    }
    Err(Failed::Wrong(format!("{records} records were acknowledged and {found} are there")))
}

/// Bytes of the store of states and of checkpoints by what they are about.
fn state(directory: &Path, store: &Path, records: u64, figures: &mut Figures) {
    let objects: Vec<_> = process::files_under(store);
    let is_object = |path: &&std::path::PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.len() > STATE_FILE_BYTES_MAX)
    };
    let count = objects.iter().filter(is_object).count().max(1) as f64;
    let beside: u64 = objects
        .iter()
        .filter(|path| !is_object(path))
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .sum();
    let kept = bytes_under(&directory.join("data/state")) as f64;
    let batches = records as f64 / BATCH_RECORDS as f64;
    figures.insert("state_bytes_per_object", kept / count);
    figures.insert("state_bytes_per_batch", kept / batches);
    figures.insert("state_mib", kept / f64::from(1 << 20));
    figures.insert("state_in_store_mib", beside as f64 / f64::from(1 << 20));
    figures.insert("state_objects", count);
}

/// Checkpoints are far smaller than objects, which are cut at 64 MiB and merged.
const STATE_FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all files below `directory`.
pub(super) fn bytes_under(directory: &Path) -> u64 {
    let files = process::files_under(directory);
    files.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum()
}
