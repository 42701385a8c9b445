//! A device that is slow is no device that failed: producers wait for it, nothing is lost, the node
//! serves and says what it waits for, and when it passes it passes by itself.
//!
//! ```text
//! produce ─▶ a few writes a second are let through ─▶ produce: each waits, status: slow, all readable
//!         ─▶ limit lifted ─▶ produce as before, status: not slow
//!         ─▶ limit ─▶ kill -9 with a batch on its way ─▶ start ─▶ all is there
//! ```
//!
//! The device is a file system of our own on a loop device; a control group limits what the node may
//! write to it. Needs root.

mod throttle;

use std::net::SocketAddr;

use holdfast_bench::broker::{Running, free_port};
use holdfast_bench::client::Client;
use holdfast_bench::clock::Stopwatch;
use serde_json::Value;

use crate::admin_page::{metric, page, status};
use crate::device::Device;
use crate::history::{PARTITIONS, Sent, TOPIC, read_all};
use crate::node::{Options, Place};
use crate::{Outcome, Result};
use throttle::Throttle;

const DEVICE_BYTES: u64 = 512 << 20;
const WAL_SIZE: &str = "128MiB";
/// A write takes 100 ms then, and a batch some of them, where the loop device takes a millisecond.
const WRITES_PER_SECOND: u32 = 10;
const BATCHES: usize = 60;
const BATCHES_SLOW: usize = 24;
/// Half of what a limited write takes: a batch cannot be acknowledged in less, but may share a write.
const SLOW_MS_MIN: f64 = 50.0;
/// A producer that waits for a slow device waits for a few writes, not for ever.
const SLOW_MS_MAX: f64 = 10_000.0;
/// Producing is as fast again as before, by this factor at the median: other programs run beside.
const RECOVERED: f64 = 5.0;
const RECOVERED_MS: f64 = 50.0;

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let kind = match throttle::IO.kind() {
        Ok(kind) => kind,
        Err(why) => return Ok(Outcome::Skipped(format!("no device was made slow: {why}"))),
    };
    let work = options.work.canonicalize().map_err(text)?;
    let device = Device::mount(&work, DEVICE_BYTES)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port().map_err(text)?));
    let address = format!("admin.address={admin}");
    let node = options.kind(&["--wal-size", WAL_SIZE, "--set", &address])?;
    let place = Place::fresh(node, device.mounted.join("node"))?;
    let throttle = Throttle::make(kind, &device.mounted)?;
    let running = place.start()?;
    throttle.hold(running.pid())?;
    let mut client = Client::connect(running.address).map_err(text)?;
    client.create_topic_and_wait(TOPIC, PARTITIONS as i32).map_err(text)?;
    let mut sent = Sent::new();

    let before_ms = produce(&mut sent, &mut client, BATCHES)?;
    println!("a sound device: {before_ms:.1} ms a batch at the median");
    is_told(admin, false)?;

    throttle.limit(WRITES_PER_SECOND)?;
    let slow_ms = produce(&mut sent, &mut client, BATCHES_SLOW)?;
    println!("{WRITES_PER_SECOND} writes a second: {slow_ms:.1} ms a batch at the median");
    if slow_ms < SLOW_MS_MIN {
        return Err(format!(
            "a batch was acknowledged in {slow_ms:.1} ms: without waiting for the device?"
        ));
    }
    is_told(admin, true)?;
    all_is_there(&sent, &running, "while it is slow")?;

    throttle.lift()?;
    // The first ones queue behind what the limit held back.
    produce(&mut sent, &mut client, BATCHES_SLOW)?;
    let after_ms = produce(&mut sent, &mut client, BATCHES)?;
    println!("sound again: {after_ms:.1} ms a batch at the median");
    if after_ms > RECOVERED_MS.max(RECOVERED * before_ms) {
        return Err(format!(
            "{before_ms:.1} ms a batch before, {after_ms:.1} ms after it was slow"
        ));
    }
    is_told(admin, false)?;

    throttle.limit(WRITES_PER_SECOND)?;
    produce(&mut sent, &mut client, BATCHES_SLOW / 3)?;
    sent.send_only(&mut client)?;
    running.kill().map_err(text)?;
    let running = place.start()?;
    let mut client = Client::connect(running.address).map_err(text)?;
    sent.resolve(&mut client)?;
    all_is_there(&sent, &running, "killed while it was slow")?;
    running.stop().map_err(text)?;
    Ok(Outcome::Passed)
}

/// Sends batches one after the other; milliseconds of the median.
fn produce(sent: &mut Sent, client: &mut Client, batches: usize) -> Result<f64> {
    let mut took_ms = Vec::with_capacity(batches);
    for _ in 0..batches {
        let clock = Stopwatch::start();
        sent.produce(client, 1)?;
        took_ms.push(clock.seconds() * 1e3);
    }
    took_ms.sort_by(f64::total_cmp);
    let longest_ms = took_ms.last().copied().unwrap_or_default();
    if longest_ms > SLOW_MS_MAX {
        return Err(format!("a batch took {longest_ms:.0} ms"));
    }
    Ok(took_ms[took_ms.len() / 2])
}

/// Whether status and metrics call the device slow; the node serves in any case.
fn is_told(admin: SocketAddr, slow: bool) -> Result<()> {
    // The lane's numbers may be a second old.
    holdfast_bench::clock::nap(std::time::Duration::from_millis(1_100));
    let status = status(admin)?;
    let line = status["status"].as_str().unwrap_or_default().to_owned();
    let is_shown = line.contains("LOG DEVICE SLOW");
    if status["wal"]["slow"] != Value::Bool(slow) || is_shown != slow {
        return Err(format!("slow: {slow}, but the status is {line:?}, {}", status["wal"]));
    }
    let ready = page(admin, "/readyz")?;
    if !ready.starts_with("HTTP/1.1 200") {
        return Err(format!("a node whose device is slow is still to serve: {ready}"));
    }
    let frames = metric(admin, "holdfast_wal_frames_total")?;
    let mean_ms = metric(admin, "holdfast_wal_write_seconds_total")? * 1e3 / frames;
    println!("{line}; {mean_ms:.1} ms a write since the start");
    Ok(())
}

fn all_is_there(sent: &Sent, running: &Running, when: &str) -> Result<()> {
    sent.compare(when, |partition| read_all(running.address, partition))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
