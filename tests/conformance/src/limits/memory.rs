//! A node in a cgroup with less memory than what goes through it: the kernel never has to kill it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use holdfast_bench::clock::nap;
use holdfast_bench::drain;

use super::cgroup::Group;
use super::crowd::{self, Readers};
use super::{PARTITIONS, all_served, make_topic, mib, produce, unharmed};
use crate::Result;
use crate::cgroup::Kind;
use crate::hostile::honest::Honest;
use crate::node::{Options, Place};

const LIMIT_BYTES: u64 = 512 << 20;
const PRODUCED_BYTES: u64 = 900 << 20;
const WAL_SIZE: &str = "1536MiB";
const SETTINGS: [&str; 4] =
    ["--set", "memory.tail_cache=32MiB", "--set", "memory.in_flight=128MiB"];
/// Frames that announce 64 MiB and send one, for which the node holds up to two: together a third of
/// `memory.in_flight`. With all of it they would stop every other request, as is documented.
const HALF_OPEN: usize = 20;
const HALF_OPEN_ANNOUNCED: i32 = 64 << 20;
const HALF_OPEN_SENT: usize = 1 << 20;
const SLOW: usize = 60;
const DEAF: usize = 60;
const PRODUCERS: usize = 6;
/// The node shares two processors with all who load it.
const HONEST_WAIT_S: f64 = 10.0;

pub(super) fn run(options: &Options, kind: Kind) -> Result<String> {
    let group = Group::make(kind, LIMIT_BYTES)?;
    let directory = options.work.join("memory");
    fs::create_dir_all(&options.work).map_err(|error| error.to_string())?;
    let entered = entrance(options.binary()?, &group, &options.work)?;
    let inside = Options { holdfastd: Some(entered), ..options.clone() };
    let arguments = [&SETTINGS[..], &["--wal-size", WAL_SIZE]].concat();
    let place = Place::fresh(inside.kind(&arguments)?, directory)?;
    let mut running = place.start()?;
    if !group.holds(running.pid())? {
        return Err("the node is not in its cgroup, so nothing was tried".into());
    }
    let address = running.address;
    make_topic(address, "pressed")?;
    let honest = Honest::start(address)?;
    honest.wait_for(20);
    // The readers want something to read.
    let first = produce(address, "pressed", PRODUCERS, PRODUCED_BYTES / 3)?;
    let stop = Arc::new(AtomicBool::new(false));
    let consumer = consume_on(address, Arc::clone(&stop));
    let half_open = half_open(address)?;
    let offsets = (first.records / PARTITIONS as u64) as i64;
    let readers = Readers::start(address, "pressed", SLOW, DEAF, offsets)?;
    let rest = produce(address, "pressed", PRODUCERS, PRODUCED_BYTES - PRODUCED_BYTES / 3);
    let records = honest.records();
    honest.wait_for(records + 50);
    stop.store(true, Ordering::Relaxed);
    let consumed = consumer.join().unwrap_or_else(|_| Err("the consumer panicked".into()));
    let taken = readers.end();
    drop(half_open);
    let kills = group.kills()?;
    if let Some(status) = running.ended() {
        return Err(format!("the node ended: {status}; the kernel killed {kills} processes"));
    }
    let (rest, consumed, taken) = (rest?, consumed?, taken?);
    let acknowledged = first.records + rest.records;
    let longest_ms = unharmed(honest, HONEST_WAIT_S)?;
    all_served(address, "pressed", acknowledged)?;
    let (used, most) = (group.used_bytes()?, group.most_bytes());
    let kills = group.kills()?;
    if kills > 0 {
        return Err(format!("the kernel killed {kills} processes for want of memory"));
    }
    running.stop().map_err(|error| error.to_string())?;
    Ok(format!(
        "limit {} MiB (cgroup version {}), {} MB produced, {consumed} records consumed meanwhile; \
         {HALF_OPEN} half-open frames; of {} slow and deaf readers {} were closed; most in use {} \
         MiB, {} at the end, 0 kills; honest client's slowest {longest_ms:.0} ms",
        mib(LIMIT_BYTES),
        group.version(),
        (first.payload_bytes + rest.payload_bytes) / 1_000_000,
        SLOW + DEAF,
        taken.closed,
        most.map_or("unknown".into(), |bytes| mib(bytes).to_string()),
        mib(used),
    ))
}

/// A script that enters the group and then becomes the node, so that its first byte is counted.
fn entrance(binary: &Path, group: &Group, work: &Path) -> Result<PathBuf> {
    let path = work.join("enter");
    let binary = fs::canonicalize(binary).map_err(|error| error.to_string())?;
    let text = format!(
        "#!/bin/sh\necho $$ > '{}' || exit 1\nexec '{}' \"$@\"\n",
        group.door().display(),
        binary.display()
    );
    fs::write(&path, text).map_err(|error| error.to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    Ok(path)
}

/// Reads from the beginning to the end, again and again; records read.
fn consume_on(address: SocketAddr, stop: Arc<AtomicBool>) -> thread::JoinHandle<Result<u64>> {
    thread::spawn(move || {
        let mut records = 0;
        while !stop.load(Ordering::Relaxed) {
            let outcome = drain::run(address, "pressed", PARTITIONS, 2, true);
            records += outcome.map_err(|error| format!("a consumer: {error}"))?.records;
            nap(Duration::from_millis(10));
        }
        Ok(records)
    })
}

fn half_open(address: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut bytes = HALF_OPEN_ANNOUNCED.to_be_bytes().to_vec();
    // A Produce header, so that nothing but the missing body is wrong.
    bytes.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b'x', 0]);
    bytes.resize(HALF_OPEN_SENT, 0);
    let mut held = Vec::new();
    for index in 0..HALF_OPEN {
        let mut stream = crowd::connect(address, crowd::loopback(3), None)?;
        stream.write_all(&bytes).map_err(|error| format!("half-open frame {index}: {error}"))?;
        held.push(stream);
    }
    Ok(held)
}
