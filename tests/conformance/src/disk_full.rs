//! Two ways of having no room, and what must hold in both: a refused produce says so with a
//! retriable code and soon, what was acknowledged is served and survives kill -9, and the node lives.
//!
//! - **The device is full**: a small ext4 file system on a loop device, filled up by somebody else
//!   while the node runs. When the room comes back, so does the node, by itself. Needs root.
//! - **The log is full**: a small `--wal-size` and nobody to trim it.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use holdfast_bench::batch;
use holdfast_bench::client::{Client, Failed};
use holdfast_bench::clock::{Stopwatch, nap, unix_ms};
use holdfast_bench::drain;
use holdfast_bench::load::value_of;

use crate::cgroup::is_root;
use crate::device::Device;
use crate::node::{Options, Place};
use crate::{Outcome, Result};

const DEVICE_BYTES: u64 = 512 << 20;
const WAL_BYTES_SMALL: u64 = 256 << 20;
/// More than either of the two can hold.
const PRODUCED_BYTES_MAX: u64 = 2 * DEVICE_BYTES;
const BATCH_RECORDS: usize = 119;
const PARTITIONS: i32 = 4;
/// A refusal comes within this, however the node was surprised.
const REFUSAL_WAIT_S: f64 = 35.0;
/// Room that came back is found again within this.
const HEAL_WAIT_S: f64 = 60.0;
/// NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT: what a stock
/// producer tries again.
const RETRIABLE: [i16; 4] = [19, 56, 6, 7];

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    println!("the log is full");
    log_full(options)?;
    println!("the device is full");
    if !is_root() {
        let why = "a full device needs root to mount one; a full log was checked";
        return Ok(Outcome::Skipped(why.into()));
    }
    device_full(options)?;
    Ok(Outcome::Passed)
}

fn log_full(options: &Options) -> Result<()> {
    let size = WAL_BYTES_SMALL.to_string();
    let place = Place::fresh(options.kind(&["--wal-size", &size])?, options.work.join("log"))?;
    let running = place.start()?;
    let acknowledged = fill(running.address)?;
    served(running.address, acknowledged)?;
    running.kill().map_err(|error| error.to_string())?;
    let running = place.start()?;
    served(running.address, acknowledged)?;
    refused(running.address)?;
    running.stop().map_err(|error| error.to_string())
}

fn device_full(options: &Options) -> Result<()> {
    let device = Device::mount(&options.work, DEVICE_BYTES)?;
    let place = Place::fresh(options.kind(&[])?, device.mounted.join("node"))?;
    let running = place.start()?;
    make_topic(running.address)?;
    let filler = device.mounted.join("filler");
    fill_device(&filler);
    let acknowledged = fill(running.address)?;
    served(running.address, acknowledged)?;
    fs::remove_file(&filler).map_err(|error| error.to_string())?;
    let clock = Stopwatch::start();
    while produce_one(running.address)?.is_err() {
        if clock.seconds() > HEAL_WAIT_S {
            return Err(format!("room came back and produce is still refused ({HEAL_WAIT_S} s)"));
        }
        nap(Duration::from_millis(100));
    }
    println!("healed {:.1} s after the room came back", clock.seconds());
    let acknowledged = acknowledged + BATCH_RECORDS as u64;
    fill_device(&filler);
    running.kill().map_err(|error| error.to_string())?;
    let running = place.start().map_err(|why| format!("no start on a full device: {why}"))?;
    served(running.address, acknowledged)?;
    running.stop().map_err(|error| error.to_string())
}

fn batch() -> Vec<u8> {
    let value = value_of(1_024, 3);
    batch::build(std::iter::repeat_n(value.as_slice(), BATCH_RECORDS), unix_ms())
}

fn make_topic(address: SocketAddr) -> Result<()> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    if client.partitions("full").is_ok() {
        return Ok(());
    }
    client.create_topic_and_wait("full", PARTITIONS).map_err(|error| error.to_string())
}

/// Produces until refused; how many records were acknowledged.
fn fill(address: SocketAddr) -> Result<u64> {
    make_topic(address)?;
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    let batch = batch();
    let mut batches = 0u64;
    while batches * batch.len() as u64 <= PRODUCED_BYTES_MAX {
        let clock = Stopwatch::start();
        let partition = (batches % PARTITIONS as u64) as i32;
        match client.produce("full", partition, &batch) {
            Ok(_) => batches += 1,
            Err(Failed::Code { code, .. }) if RETRIABLE.contains(&code) => {
                if clock.seconds() > REFUSAL_WAIT_S {
                    return Err(format!("the refusal took {:.1} s", clock.seconds()));
                }
                let mb = batches as f64 * batch.len() as f64 / 1e6;
                println!("refused with code {code} after {mb:.0} MB");
                return Ok(batches * BATCH_RECORDS as u64);
            }
            Err(error) => return Err(format!("no room must be a retriable code: {error}")),
        }
    }
    Err(format!("{PRODUCED_BYTES_MAX} bytes went into a place that holds less"))
}

fn produce_one(address: SocketAddr) -> Result<std::result::Result<(), i16>> {
    let mut client = Client::connect(address).map_err(|error| error.to_string())?;
    match client.produce("full", 0, &batch()) {
        Ok(_) => Ok(Ok(())),
        Err(Failed::Code { code, .. }) if RETRIABLE.contains(&code) => Ok(Err(code)),
        Err(error) => Err(format!("no room must be a retriable code: {error}")),
    }
}

fn refused(address: SocketAddr) -> Result<()> {
    match produce_one(address)? {
        Err(_) => Ok(()),
        Ok(()) => Err("a full log took a batch after a restart".into()),
    }
}

fn served(address: SocketAddr, acknowledged: u64) -> Result<()> {
    let outcome = drain::run(address, "full", PARTITIONS, 1, true)
        .map_err(|error| format!("what was acknowledged cannot be read: {error}"))?;
    println!("{acknowledged} records acknowledged, {} served", outcome.records);
    if outcome.records == acknowledged {
        return Ok(());
    }
    Err(format!("{acknowledged} records acknowledged, {} served", outcome.records))
}

/// Writes until nothing more goes in.
fn fill_device(path: &Path) {
    let Ok(mut file) = File::options().create(true).append(true).open(path) else { return };
    let mut size = 1 << 20;
    while size >= 4096 {
        if file.write_all(&vec![0x55; size]).is_err() || file.sync_data().is_err() {
            size /= 2;
        }
    }
}
