//! 10,000 connections that have said ApiVersions once and then nothing.

use holdfast_bench::clock::Stopwatch;

use super::{comes_down, crowd, make_topic, mib, produce, resident_bytes, unharmed};
use crate::Result;
use crate::hostile::honest::Honest;
use crate::node::{Options, Place};

const CONNECTIONS: usize = 10_000;
/// The goal.
const BYTES_PER_CONNECTION_MAX: u64 = 4 << 10;
const HONEST_WAIT_S: f64 = 2.0;
/// Fills the tail cache first, so that it does not grow while connections are counted.
const WARM_BYTES: u64 = 64 << 20;
/// What the allocator may keep of 10,000 connections, 1 KiB for each.
const KEPT_BYTES_MAX: u64 = 10 << 20;
/// Descriptors beside those of the start: files of the log that were opened meanwhile.
const KEPT_DESCRIPTORS_MAX: u64 = 8;

pub(super) fn run(options: &Options) -> Result<String> {
    let kind = options.kind(&["--set", "memory.tail_cache=16MiB", "--wal-size", "512MiB"])?;
    let place = Place::fresh(kind, options.work.join("idle"))?;
    let running = place.start()?;
    make_topic(running.address, "warm")?;
    produce(running.address, "warm", 2, WARM_BYTES)?;
    let honest = Honest::start(running.address)?;
    honest.wait_for(50);
    let before = resident_bytes(&running)?;
    let open_before = crowd::descriptors(running.pid())?;

    let clock = Stopwatch::start();
    let mut connections = Vec::new();
    for index in 0..CONNECTIONS {
        let source = crowd::loopback(2 + (index % 8) as u8);
        let mut stream = crowd::connect(running.address, source, None)
            .map_err(|why| format!("connection {index}: {why}"))?;
        crowd::greet(&mut stream)?;
        crowd::greeted(&mut stream).map_err(|why| format!("connection {index}: {why}"))?;
        connections.push(stream);
    }
    let connected_s = clock.seconds();
    let records = honest.records();
    honest.wait_for(records + 100);
    let open = crowd::descriptors(running.pid())?;
    if open < open_before + CONNECTIONS as u64 {
        return Err(format!("the node has {open} descriptors with {CONNECTIONS} connections"));
    }
    let each = resident_bytes(&running)?.saturating_sub(before) / CONNECTIONS as u64;
    for (index, stream) in connections.iter_mut().enumerate() {
        let again = crowd::greet(stream).and_then(|()| crowd::greeted(stream));
        again.map_err(|why| format!("connection {index} after it was idle: {why}"))?;
    }
    drop(connections);
    let pid = running.pid();
    let bound = open_before + KEPT_DESCRIPTORS_MAX;
    comes_down("descriptors after all left", bound, || crowd::descriptors(pid))?;
    let bound = before + KEPT_BYTES_MAX;
    let (after, _) =
        comes_down("resident bytes after all left", bound, || resident_bytes(&running))?;
    let longest_ms = unharmed(honest, HONEST_WAIT_S)?;
    running.stop().map_err(|error| error.to_string())?;
    let figures = format!(
        "{CONNECTIONS} connections made in {connected_s:.1} s, {:.1} KiB each (goal {} KiB), all \
         answer again; resident {} MiB before and {} MiB after; honest client's slowest {longest_ms:.0} ms",
        each as f64 / 1024.0,
        BYTES_PER_CONNECTION_MAX >> 10,
        mib(before),
        mib(after),
    );
    if each > BYTES_PER_CONNECTION_MAX { Err(figures) } else { Ok(figures) }
}
