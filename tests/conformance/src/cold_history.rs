//! Many times more records than the log can hold go in, and every one comes back from offset 0.
//!
//! ```text
//! produce a third ─▶ SIGTERM, start ─▶ a third ─▶ kill -9 with a batch on its way, start ─▶ a third
//!   ─▶ read all, by our client and by kcat ─▶ kill -9, start ─▶ read all again
//! ```
//!
//! One log of 64 MiB (512 MiB with `--full`), a store that is a directory or a real one (`--store`). Values are written down as a
//! running checksum for each partition, in the order of their acknowledgements; offsets must have no hole.
//! That history really came from objects is asked of the node's own counters. A store that is away while
//! records go in must cost room in the log and nothing else: it is taken away once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use holdfast_bench::broker::{Running, free_port};
use holdfast_bench::client::Client;
use holdfast_bench::clock::{Stopwatch, nap};

use crate::admin_page::metric;
use crate::history::{PARTITIONS, Records, Sent, TOPIC, read_all};
use crate::node::{self, Place};
use crate::stores::{Programs, StoreKind, TestStore};
use crate::{Outcome, Result};

/// The store is away until nothing was taken for so long.
const AWAY_S: f64 = 4.0;
/// Committed records are in objects within this: their age and a checkpoint.
const UPLOAD_WAIT_S: f64 = 60.0;

#[derive(Args, Debug, Clone)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    node: node::Options,
    /// 5 GB through a log of 512 MiB, instead of 300 MB through one of 64 MiB.
    #[arg(long)]
    full: bool,
    /// Where history goes.
    #[arg(long, value_enum, default_value_t = StoreKind::Directory)]
    store: StoreKind,
    #[command(flatten)]
    programs: Programs,
}

/// How much goes through how little.
struct Size {
    wal_bytes: u64,
    produced_bytes: u64,
}

pub(crate) fn run(options: &Options) -> Result<Outcome> {
    let size = match options.full {
        true => Size { wal_bytes: 512 << 20, produced_bytes: 5_000_000_000 },
        false => Size { wal_bytes: 64 << 20, produced_bytes: 300_000_000 },
    };
    let mut site = Site::fresh(options, &size)?;
    let outcome = site.run(&size);
    if outcome.is_ok() {
        // Gigabytes nobody wants; what failed stays to be looked at.
        let _ = fs::remove_dir_all(&site.directory);
    }
    outcome
}

struct Site {
    directory: PathBuf,
    store: TestStore,
    admin: SocketAddr,
    place: Place,
}

impl Site {
    fn fresh(options: &Options, size: &Size) -> Result<Site> {
        fs::create_dir_all(&options.node.work).map_err(|error| error.to_string())?;
        let work = options.node.work.canonicalize().map_err(|error| error.to_string())?;
        let directory = work.join("cold-history");
        let _ = fs::remove_dir_all(&directory);
        let store = TestStore::fresh(options.store, &options.programs, directory.join("store"))?;
        let port = free_port().map_err(|error| error.to_string())?;
        let wal = size.wal_bytes.to_string();
        let admin = format!("admin.address=127.0.0.1:{port}");
        let of_store = store.arguments(store.address());
        let mut arguments = vec!["--wal-size", &wal, "--set", &admin];
        arguments.extend(of_store.iter().map(String::as_str));
        let kind = options.node.kind(&arguments)?;
        let place = Place::fresh(kind, directory.join("node"))?;
        Ok(Site { directory, store, admin: SocketAddr::from(([127, 0, 0, 1], port)), place })
    }

    fn run(&mut self, size: &Size) -> Result<Outcome> {
        let mut sent = Sent::new();
        let third = size.produced_bytes / 3;
        let running = self.place.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        client.create_topic_and_wait(TOPIC, PARTITIONS as i32).map_err(text)?;
        sent.produce(&mut client, third)?;
        running.stop().map_err(text)?;
        println!("{:.0} MB acknowledged, stopped", sent.bytes as f64 / 1e6);

        let running = self.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        sent.produce(&mut client, third / 2)?;
        self.without_store(&mut client, &mut sent, size)?;
        sent.produce(&mut client, third / 2)?;
        sent.send_only(&mut client)?;
        running.kill().map_err(text)?;
        println!("{:.0} MB acknowledged, kill -9 with a batch on its way", sent.bytes as f64 / 1e6);

        let running = self.start()?;
        let mut client = Client::connect(running.address).map_err(text)?;
        sent.resolve(&mut client)?;
        sent.produce(&mut client, size.produced_bytes.saturating_sub(sent.bytes))?;
        self.is_uploaded(size, &sent)?;
        let before = self.metric("holdfast_store_read_bytes_total")?;
        sent.compare("own client", |partition| read_all(running.address, partition))?;
        self.came_from_objects(before, size, &sent)?;
        let with_kcat = Command::new("kcat").arg("-V").stdout(Stdio::null()).status().is_ok();
        if with_kcat {
            sent.compare("kcat", |partition| kcat_all(running.address, partition))?;
        }
        running.kill().map_err(text)?;
        println!("kill -9");

        let running = self.start()?;
        sent.compare("after kill -9", |partition| read_all(running.address, partition))?;
        running.stop().map_err(text)?;
        if with_kcat {
            return Ok(Outcome::Passed);
        }
        Ok(Outcome::Skipped("kcat is not installed; our own client read everything".into()))
    }

    fn start(&self) -> Result<Running> {
        let running = self.place.start()?;
        println!("started again: first answer after {:.3} s", running.start_seconds);
        Ok(running)
    }

    /// The store goes away until the log is full, and comes back.
    fn without_store(&mut self, client: &mut Client, sent: &mut Sent, size: &Size) -> Result<()> {
        self.store.go_away()?;
        let before = sent.bytes;
        let mut refused = Stopwatch::start();
        // A log may be full for a moment at any time; one without a store stays so.
        while refused.seconds() < AWAY_S {
            if !sent.try_one(client)? {
                nap(Duration::from_millis(20));
            } else if sent.bytes - before > 2 * size.wal_bytes {
                return Err("more went in without the store than the log has room for".into());
            } else {
                refused = Stopwatch::start();
            }
        }
        let taken = (sent.bytes - before) as f64 / 1e6;
        let failing = self.metric("holdfast_store_failing")?;
        self.store.come_back()?;
        if failing != 1.0 {
            return Err("the store was away, and holdfast_store_failing was not 1".into());
        }
        let clock = Stopwatch::start();
        sent.produce(client, 1)?;
        println!(
            "without the store {taken:.0} MB more went in, then refused; taken again {:.1} s after it \
             came back",
            clock.seconds()
        );
        Ok(())
    }

    /// Waits until the log holds less than it may, and most is in objects.
    fn is_uploaded(&self, size: &Size, sent: &Sent) -> Result<()> {
        let clock = Stopwatch::start();
        loop {
            let waiting = self.metric("holdfast_store_waiting_bytes")?;
            let live = self.metric("holdfast_wal_live_bytes")?;
            if waiting == 0.0 && live <= size.wal_bytes as f64 {
                let stored = self.store.bytes()?;
                println!(
                    "{:.0} MB acknowledged: {:.0} MB in the store, {:.0} MB of {:.0} MB of the log in \
                     use",
                    sent.bytes as f64 / 1e6,
                    stored as f64 / 1e6,
                    live / 1e6,
                    size.wal_bytes as f64 / 1e6
                );
                if stored < sent.bytes {
                    return Err(
                        "the store has less than was acknowledged, and nothing waits".into()
                    );
                }
                return Ok(());
            }
            if clock.seconds() > UPLOAD_WAIT_S {
                return Err(format!("after {UPLOAD_WAIT_S} s {waiting} bytes wait for the store"));
            }
            nap(Duration::from_millis(200));
        }
    }

    /// What the log cannot have was read from the store.
    fn came_from_objects(&self, before: f64, size: &Size, sent: &Sent) -> Result<()> {
        let read = self.metric("holdfast_store_read_bytes_total")? - before;
        let least = (sent.bytes - size.wal_bytes) as f64;
        println!("{:.0} MB of them came from objects", read / 1e6);
        if read < least {
            return Err(format!(
                "{read} bytes were read from the store, but {least} cannot be in the log"
            ));
        }
        Ok(())
    }

    fn metric(&self, name: &str) -> Result<f64> {
        metric(self.admin, name)
    }
}

/// The same by a stock client, line by line.
fn kcat_all(address: SocketAddr, partition: usize) -> Result<Records> {
    let mut child = Command::new("kcat")
        .args(["-C", "-b", &address.to_string(), "-t", TOPIC, "-p", &partition.to_string()])
        .args(["-o", "beginning", "-e", "-q", "-X", "check.crcs=true", "-f", "%o %s\n"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(text)?;
    let out = child.stdout.take().ok_or("kcat has no output")?;
    let read = lines_of(BufReader::new(out), partition);
    let status = child.wait().map_err(text)?;
    if !status.success() {
        return Err(format!("kcat ended: {status}"));
    }
    read
}

fn lines_of(mut out: impl BufRead, partition: usize) -> Result<Records> {
    let mut records = Records::default();
    let mut line = Vec::new();
    while out.read_until(b'\n', &mut line).map_err(text)? > 0 {
        let whole = line.strip_suffix(b"\n").unwrap_or(&line);
        let offset = records.count.to_string();
        let value = whole.strip_prefix(offset.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        let Some(value) = value else {
            return Err(format!("partition {partition}: offset {offset} did not come in its turn"));
        };
        records.push(value);
        line.clear();
    }
    Ok(records)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_the_offsets_of_a_client_is_found() {
        let read = |lines: &str| lines_of(lines.as_bytes(), 0);
        assert_eq!(read("0 a\n1 b\n").map(|records| records.count), Ok(2));
        assert!(read("0 a\n2 b\n").is_err());
        assert!(read("0 a\n0 a\n").is_err());
    }
}
