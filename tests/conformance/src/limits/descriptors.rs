//! Descriptors run out while the node is under load.
//!
//! - **Few are left**: connections stop short of what the log needs, which goes on to grow.
//! - **None are left**: the limit falls below what connections are promised; accept itself fails.
//!
//! In both, who is connected is served, and who waits is served when the crowd has left.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use holdfast_bench::client::Client;
use holdfast_bench::clock::{Stopwatch, nap};

use super::crowd::{self, descriptors};
use super::{all_served, comes_down, make_topic, produce, unharmed};
use crate::Result;
use crate::hostile::honest::Honest;
use crate::node::{Options, Place};

/// The node keeps 64 and one for each of the log's 16 files; this leaves 60 for connections.
const LIMIT_FEW: u64 = 140;
const CROWD: usize = 400;
const PRODUCED_BYTES: u64 = 400 << 20;
/// 16 files of 48 MiB.
const WAL_SIZE: &str = "768MiB";
const HONEST_WAIT_S: f64 = 2.0;
/// How long the crowd may take to be served as far as it is.
const CROWD_WAIT: Duration = Duration::from_millis(300);
/// Who waited at the door is served this soon after the crowd has left.
const LATE_WAIT: Duration = Duration::from_secs(5);
const KEPT_DESCRIPTORS_MAX: u64 = 32;

pub(super) fn run(options: &Options) -> Result<String> {
    let kind = options.kind(&["--wal-size", WAL_SIZE])?;
    let place = Place::fresh(kind, options.work.join("descriptors"))?;
    let mut running = place.start()?;
    let (address, pid) = (running.address, running.pid());
    make_topic(address, "grows")?;
    let honest = Honest::start(address)?;
    honest.wait_for(20);
    let before = descriptors(pid)?;
    // Connected before the limit falls.
    let load = std::thread::spawn(move || produce(address, "grows", 4, PRODUCED_BYTES));
    let records = honest.records();
    honest.wait_for(records + 5);
    let files_before = log_files(pid)?;
    let few = crowded(address, pid, LIMIT_FEW, || {
        let records = honest.records();
        honest.wait_for(records + 50);
        load.join().unwrap_or_else(|_| Err("the load panicked".into()))
    })?;
    let load = few.outcome;
    let mut opened = log_files(pid)?;
    opened.retain(|file| !files_before.contains(file));
    let bound = before + KEPT_DESCRIPTORS_MAX;
    comes_down("descriptors after all left", bound, || descriptors(pid))?;

    let none = crowded(address, pid, descriptors(pid)? + 5, || {
        let records = honest.records();
        honest.wait_for(records + 50);
        Ok(())
    })?;
    comes_down("descriptors after all left", bound, || descriptors(pid))?;
    let longest_ms = unharmed(honest, HONEST_WAIT_S)?;
    all_served(address, "grows", load.records)?;
    if let Some(status) = running.ended() {
        return Err(format!("the node ended: {status}"));
    }
    running.stop().map_err(|error| error.to_string())?;
    if opened.is_empty() {
        return Err("the log opened no file meanwhile, so nothing was tried".into());
    }
    Ok(format!(
        "{CROWD} come: with {LIMIT_FEW} descriptors {} are served and {} records go into {} more \
         files of the log, with 5 to spare {} are served; who waited is served {:.2} s and {:.2} s \
         after the crowd has left; honest client's slowest {longest_ms:.0} ms",
        few.served,
        load.records,
        opened.len(),
        none.served,
        few.late_s,
        none.late_s,
    ))
}

/// What a crowd met.
struct Crowded<T> {
    /// Served while nobody left.
    served: usize,
    /// From the crowd's end until the last in the queue was served.
    late_s: f64,
    outcome: T,
}

/// Lets a crowd come while the node may have `limit` descriptors, and `meanwhile` happen.
fn crowded<T>(
    address: SocketAddr,
    pid: u32,
    limit: u64,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<Crowded<T>> {
    limit_descriptors(pid, limit)?;
    let mut crowd = Vec::new();
    for index in 0..CROWD {
        let mut stream = crowd::connect(address, crowd::loopback(2), None)
            .map_err(|why| format!("connection {index}: {why}"))?;
        crowd::greet(&mut stream)?;
        crowd.push(stream);
    }
    nap(CROWD_WAIT);
    let outcome = meanwhile()?;
    let mut served = 0;
    for stream in &crowd {
        served += usize::from(is_answered(stream)?);
    }
    let mut late = crowd.pop().ok_or("nobody is in the crowd")?;
    if is_answered(&late)? {
        return Err(format!(
            "{served} were served at once and nobody waited, so nothing was tried"
        ));
    }
    drop(crowd);
    let clock = Stopwatch::start();
    late.set_nonblocking(false).map_err(|error| error.to_string())?;
    late.set_read_timeout(Some(LATE_WAIT)).map_err(|error| error.to_string())?;
    crowd::greeted(&mut late).map_err(|why| format!("who waited is not served: {why}"))?;
    let late_s = clock.seconds();
    let mut new = Client::connect(address).map_err(|error| error.to_string())?;
    new.api_versions().map_err(|error| format!("a client that came later: {error}"))?;
    Ok(Crowded { served, late_s, outcome })
}

/// Has an answer arrived?
fn is_answered(stream: &TcpStream) -> Result<bool> {
    stream.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0))
}

/// Files of the write-ahead log that a process has open.
fn log_files(pid: u32) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| error.to_string())?;
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let is_log = |path: &PathBuf| path.to_str().is_some_and(|path| path.contains(".segment-"));
    Ok(links.filter(is_log).collect())
}

fn limit_descriptors(pid: u32, limit: u64) -> Result<()> {
    let status = Command::new("prlimit")
        .args([&format!("--pid={pid}"), &format!("--nofile={limit}:{limit}")])
        .status()
        .map_err(|error| format!("prlimit (util-linux): {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("prlimit ended: {status}")) }
}
