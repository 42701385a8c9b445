//! Readers that ask for 50 MiB and take a few bytes a second, or nothing.
//!
//! Together they ask for 10 GB. What bounds the node: `memory.tail_cache` for the newest records,
//! `memory.in_flight` for requests and as much again for answers; chunks of old records are few.

use std::time::Duration;

use holdfast_bench::client::Client;
use holdfast_bench::clock::nap;

use super::crowd::{Readers, descriptors};
use super::{all_served, comes_down, make_topic, mib, produce, resident_bytes, unharmed};
use crate::Result;
use crate::hostile::honest::Honest;
use crate::node::{Options, Place};

const SLOW: usize = 100;
const DEAF: usize = 100;
const PRODUCED_BYTES: u64 = 600 << 20;
const TAIL_CACHE_BYTES: u64 = 64 << 20;
const IN_FLIGHT_BYTES: u64 = 128 << 20;
/// Chunks of old records, kept and being read, and what allocators round up.
const SLACK_BYTES: u64 = 64 << 20;
/// Above what the node held before any reader came, its tail cache full: answers, requests, slack.
const RISE_BYTES_MAX: u64 = 2 * IN_FLIGHT_BYTES + SLACK_BYTES;
/// Who holds answers while others wait is closed after a second or two.
const HONEST_WAIT_S: f64 = 4.0;
/// How long they stay, and how often memory is looked at.
const LOOKS: usize = 80;
const LOOK_EVERY: Duration = Duration::from_millis(100);
const KEPT_BYTES_MAX: u64 = 48 << 20;
const KEPT_DESCRIPTORS_MAX: u64 = 8;

pub(super) fn run(options: &Options) -> Result<String> {
    let tail_cache = format!("memory.tail_cache={}MiB", mib(TAIL_CACHE_BYTES));
    let in_flight = format!("memory.in_flight={}MiB", mib(IN_FLIGHT_BYTES));
    let settings = ["--set", &tail_cache, "--set", &in_flight, "--wal-size", "1GiB"];
    let place = Place::fresh(options.kind(&settings)?, options.work.join("readers"))?;
    let running = place.start()?;
    make_topic(running.address, "large")?;
    let produced = produce(running.address, "large", 2, PRODUCED_BYTES)?;
    let honest = Honest::start(running.address)?;
    honest.wait_for(50);
    let before = resident_bytes(&running)?;
    let open_before = descriptors(running.pid())?;

    let offsets = (produced.records / super::PARTITIONS as u64) as i64;
    let readers = Readers::start(running.address, "large", SLOW, DEAF, offsets)?;
    let mut most = before;
    for _ in 0..LOOKS {
        nap(LOOK_EVERY);
        most = most.max(resident_bytes(&running)?);
    }
    let mut late = Client::connect(running.address).map_err(|error| error.to_string())?;
    late.api_versions().map_err(|error| format!("a client that came later: {error}"))?;
    let taken = readers.end()?;
    let bound = open_before + KEPT_DESCRIPTORS_MAX;
    comes_down("descriptors after all left", bound, || descriptors(running.pid()))?;
    let bound = before + KEPT_BYTES_MAX;
    let returned = comes_down("resident bytes after all left", bound, || resident_bytes(&running));
    let longest_ms = unharmed(honest, HONEST_WAIT_S)?;
    let rise = most.saturating_sub(before);
    let figures = format!(
        "{SLOW} slow and {DEAF} deaf readers ask for 50 MiB each: resident memory rises by {} MiB \
         (bound {}); {} were closed, {} bytes were taken; honest client's slowest {longest_ms:.0} ms",
        mib(rise),
        mib(RISE_BYTES_MAX),
        taken.closed,
        taken.bytes,
    );
    if rise > RISE_BYTES_MAX {
        return Err(figures);
    }
    let (after, seconds) = returned?;
    all_served(running.address, "large", produced.records)?;
    running.stop().map_err(|error| error.to_string())?;
    let (before, after) = (mib(before), mib(after));
    Ok(format!("{figures}; {before} MiB before, {after} MiB {seconds:.1} s after they left"))
}
