//! Frames and batches that lie, while an honest client goes on.
//!
//! ```text
//! honest    one record there and back, again and again, through all of it: no error, no long wait
//! frames    sizes, counts and lengths that lie; cut frames; noise; other protocols; unknown APIs
//! batches   wrong CRC, count, delta, magic, codec; cut records; decompression bombs
//! half open 1,500 connections that announce 1 MiB and send 1 KiB
//! ```
//! Asserted: every lie ends in an error code or a closed connection; no batch that lies is appended;
//! the broker's memory stays below a bound that does not depend on what the lies announce.

mod batches;
mod frames;
pub(crate) mod honest;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use holdfast_bench::broker::Running;
use holdfast_bench::client::Client;
use holdfast_bench::clock::Stopwatch;
use holdfast_bench::process;

use crate::node::{Options, Place};
use crate::{Outcome, Result};

use honest::Honest;

/// How far memory may rise over what an honest client alone needs. The lies announce gigabytes.
const RESIDENT_RISE_MAX: u64 = 192 << 20;
const HALF_OPEN: usize = 1_500;
const HALF_OPEN_ANNOUNCED: i32 = 1 << 20;
const HALF_OPEN_SENT: usize = 1 << 10;
/// Half-open frames hold what was received and little more: 64 KiB for each.
const HALF_OPEN_RISE_MAX: u64 = HALF_OPEN as u64 * (64 << 10);
/// An honest client's record takes no longer than this there and back, whatever others do.
const HONEST_WAIT_S: f64 = 2.0;

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    holdfast_bench::sample::raise_open_files();
    let place = Place::fresh(options.kind(&[])?, options.work.join("hostile"))?;
    let mut running = place.start()?;
    let address = running.address;
    let honest = Honest::start(address)?;
    honest.wait_for(50);
    let (resident, _) = resident(&running)?;
    let mut faults = Vec::new();
    judge("frames", || frames::run(address), &mut faults);
    judge("batches", || batches::run(address), &mut faults);
    judge("half-open frames", || half_open(&running, &honest), &mut faults);
    let records = honest.records();
    honest.wait_for(records + 20);
    match honest.end() {
        Ok(end) if end.longest_s > HONEST_WAIT_S => {
            faults.push(format!("an honest client waited {:.2} s", end.longest_s));
        }
        Ok(end) => println!(
            "honest client: {} records there and back, the slowest in {:.0} ms",
            end.records,
            end.longest_s * 1e3
        ),
        Err(fault) => faults.push(format!("an honest client was harmed: {fault}")),
    }
    if let Some(status) = running.ended() {
        faults.push(format!("the broker ended: {status}; see {}", place.log().display()));
    } else {
        let (_, highest) = self::resident(&running)?;
        let rise = highest.saturating_sub(resident);
        println!("resident memory rose by {} MiB at most", rise >> 20);
        if rise > RESIDENT_RISE_MAX && options.kafka_libs.is_none() {
            faults.push(format!("resident memory rose by {} MiB", rise >> 20));
        }
        if let Err(error) = running.stop() {
            faults.push(error.to_string());
        }
    }
    if faults.is_empty() { Ok(Outcome::Passed) } else { Err(faults.join("\n  ")) }
}

fn judge(what: &str, check: impl FnOnce() -> Result<usize>, faults: &mut Vec<String>) {
    let clock = Stopwatch::start();
    match check() {
        Ok(cases) => println!("{what}: {cases} cases, {:.1} s", clock.seconds()),
        Err(fault) => faults.push(format!("{what}: {fault}")),
    }
}

fn resident(running: &Running) -> Result<(u64, u64)> {
    process::resident_bytes(running.pid()).ok_or_else(|| "the broker's process is gone".into())
}

/// How a broker took some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// It closed the connection.
    Closed,
    /// It answered; the bytes behind the size.
    Answered(Vec<u8>),
    /// Neither, until the wait was over.
    Silent,
}

/// Sends `bytes` on a connection of its own, ends our side where `end`, and looks what happens.
fn provoke(address: SocketAddr, bytes: &[u8], end: bool, wait: Duration) -> Result<Taken> {
    let refused = |error: std::io::Error| format!("no connection: {error}");
    let mut socket =
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(refused)?;
    socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
    // The broker may close while we still write: that is an answer, not a fault.
    let _ = socket.write_all(bytes);
    if end {
        let _ = socket.shutdown(Shutdown::Write);
    }
    let mut size = [0; 4];
    if let Err(error) = socket.read_exact(&mut size) {
        let waiting =
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        return Ok(if waiting { Taken::Silent } else { Taken::Closed });
    }
    let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size < (16 << 20));
    let size = size.ok_or("the answer's own size is absurd")?;
    let mut answer = vec![0; size];
    match socket.read_exact(&mut answer) {
        Ok(()) => Ok(Taken::Answered(answer)),
        Err(error) => Err(format!("the answer is cut: {error}")),
    }
}

fn half_open(running: &Running, honest: &Honest) -> Result<usize> {
    let (before, _) = resident(running)?;
    let mut held = Vec::new();
    let mut bytes = HALF_OPEN_ANNOUNCED.to_be_bytes().to_vec();
    // A Produce header, so that nothing but the missing body is wrong.
    bytes.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 1, b'x', 0]);
    bytes.resize(HALF_OPEN_SENT, 0);
    for index in 0..HALF_OPEN {
        let socket = TcpStream::connect_timeout(&running.address, Duration::from_secs(5));
        let mut socket = socket.map_err(|error| format!("connection {index}: {error}"))?;
        socket.write_all(&bytes).map_err(|error| format!("connection {index}: {error}"))?;
        held.push(socket);
    }
    let records = honest.records();
    honest.wait_for(records + 50);
    let mut late = Client::connect(running.address).map_err(|error| error.to_string())?;
    late.api_versions().map_err(|error| format!("a client that came later: {error}"))?;
    let (now, _) = resident(running)?;
    let rise = now.saturating_sub(before);
    println!("{HALF_OPEN} half-open frames hold {} KiB each", (rise >> 10) / HALF_OPEN as u64);
    if rise > HALF_OPEN_RISE_MAX {
        return Err(format!("{HALF_OPEN} half-open frames hold {} MiB", rise >> 20));
    }
    Ok(held.len())
}
