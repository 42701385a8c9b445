//! Cold reads, what they do to the tail, and what it costs to bring records to the store.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::broker::{self, Kind, Running};
use crate::client::{Client, Failed, Result};
use crate::drain;
use crate::history::gateway::Gateway;
use crate::history::{
    CONNECTIONS, Metrics, PARTITIONS, Size, WAL_BYTES, drop_caches, fill, fill_as_uploads_allow,
    open_loop, plain, wait_uploaded,
};
use crate::process;
use crate::sample::Figures;

const COLD: &str = "cold";
const TAIL: &str = "tail";
/// Records per second of the open loop.
pub const TAIL_RATE: u64 = 4_000;
/// The default of a node that is not for development.
const STORE_CACHE: &str = "store.cache=64MiB";
/// Less of the topic from the store than this was no cold read.
const FROM_STORE_MIN: f64 = 0.9;
/// The most of the store that the plain client reads.
const PLAIN_BYTES_MAX: u64 = 3_000_000_000;

/// A node with its store, and where its metrics are.
struct Node {
    gateway: Gateway,
    admin: SocketAddr,
}

/// All of it for one broker below `directory`, which is emptied before and after. `program`: the
/// gateway in front of the store's directory.
pub fn run(
    kind: &Kind,
    directory: &Path,
    program: Option<&Path>,
    size: Size,
    figures: &mut Figures,
) -> Result<()> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    let mut kind = kind.clone();
    let mut node = None;
    if let Kind::Holdfast { arguments, .. } = &mut kind {
        let (gateway, admin) = with_store(arguments, &directory.join("store"), program)?;
        node = Some(Node { gateway, admin });
    }
    let port = broker::free_port()?;
    broker::prepare(&kind, directory, port)?;
    let running = broker::start(&kind, directory, port)?;
    upload(&running, node.as_ref(), size, figures)?;
    let read_bytes = read(&running, node.as_ref(), figures)?;
    if let Some(node) = &node {
        by_itself(&node.gateway, read_bytes, figures)?;
    }
    tail(&running, size, figures)?;
    if let Some((_, most)) = process::resident_bytes(running.pid()) {
        figures.insert("cold_rss_max_mib", most as f64 / f64::from(1 << 20));
    }
    if let Some(node) = &node {
        let metrics = Metrics::read(node.admin)?;
        let limit = metrics.value("holdfast_tail_cache_max_bytes")?
            + metrics.value("holdfast_store_cache_max_bytes")?
            + 2.0 * metrics.value("holdfast_requests_in_flight_max_bytes")?;
        figures.insert("cold_memory_settings_mib", limit / f64::from(1 << 20));
    }
    running.stop()?;
    drop(node);
    fs::remove_dir_all(directory)?;
    Ok(())
}

/// Replaces a node's arguments by those of one with a store below `directory`.
pub(super) fn with_store(
    arguments: &mut Vec<String>,
    directory: &Path,
    program: Option<&Path>,
) -> Result<(Gateway, SocketAddr)> {
    let gateway = Gateway::start(directory, program)?;
    let admin = SocketAddr::from(([127, 0, 0, 1], broker::free_port()?));
    *arguments = gateway.arguments();
    arguments.extend(["--wal-size".to_owned(), WAL_BYTES.to_string()]);
    for setting in [STORE_CACHE.to_owned(), format!("admin.address={admin}")] {
        arguments.extend(["--set".to_owned(), setting]);
    }
    Ok((gateway, admin))
}

fn cpu_s(running: &Running) -> f64 {
    process::cpu_seconds(running.pid()).unwrap_or(f64::NAN)
}

/// Fills the cold topic, then what drives it out of the log.
fn upload(running: &Running, node: Option<&Node>, size: Size, figures: &mut Figures) -> Result<()> {
    let cpu_before = cpu_s(running);
    let Some(node) = node else {
        let filled = fill(running.address, COLD, size.cold_bytes)?;
        figures.insert("cold_fill_mb_s", filled.payload_bytes as f64 / 1e6 / filled.seconds);
        return Ok(());
    };
    let write = |topic, bytes| fill_as_uploads_allow(running.address, node.admin, topic, bytes);
    let (mb_s, filled) = write(COLD, size.cold_bytes)?;
    figures.insert("cold_fill_mb_s", mb_s);
    let (_, fillers) = write("filler", size.filler_bytes)?;
    wait_uploaded(node.admin)?;
    let gb = (filled.payload_bytes + fillers.payload_bytes) as f64 / 1e9;
    let metrics = Metrics::read(node.admin)?;
    figures.insert("upload_cpu_s_per_gb", (cpu_s(running) - cpu_before) / gb);
    for (figure, metric) in [
        ("upload_objects_per_gb", "holdfast_store_uploads_total"),
        ("upload_merges_per_gb", "holdfast_store_merges_total"),
        ("upload_deletions_per_gb", "holdfast_store_deletions_total"),
        ("upload_reads_per_gb", "holdfast_store_reads_total"),
    ] {
        figures.insert(figure, metrics.value(metric)? / gb);
    }
    let stored = metrics.value("holdfast_store_uploaded_bytes_total")?
        + metrics.value("holdfast_store_merged_bytes_total")?;
    figures.insert("upload_bytes_per_byte", stored / 1e9 / gb);
    for (kind, count) in node.gateway.requests()? {
        let figure = match kind {
            "PUT" => "upload_put_per_gb",
            "POST" => "upload_post_per_gb",
            "DELETE" => "upload_delete_per_gb",
            "HEAD" => "upload_head_per_gb",
            "LIST" => "upload_list_per_gb",
            _ => "upload_get_per_gb",
        };
        figures.insert(figure, count as f64 / gb);
    }
    Ok(())
}

/// Reads the cold topic from its beginning; the mean size of the GETs it took.
fn read(running: &Running, node: Option<&Node>, figures: &mut Figures) -> Result<u64> {
    drop_caches()?;
    let metric = |name: &str| node.map_or(Ok(0.0), |node| Metrics::read(node.admin)?.value(name));
    let reads_before = metric("holdfast_store_reads_total")?;
    let bytes_before = metric("holdfast_store_read_bytes_total")?;
    let cpu_before = cpu_s(running);
    let outcome = drain::run(running.address, COLD, PARTITIONS, CONNECTIONS, false)?;
    let gb = outcome.bytes as f64 / 1e9;
    figures.insert("cold_mb_s", gb * 1e3 / outcome.seconds);
    figures.insert("cold_cpu_s_per_gb", (cpu_s(running) - cpu_before) / gb);
    figures.insert("cold_generator_cpu_s_per_gb", outcome.own_cpu_seconds / gb);
    if node.is_none() {
        return Ok(0);
    }
    let gets = (metric("holdfast_store_reads_total")? - reads_before).max(1.0);
    let bytes = metric("holdfast_store_read_bytes_total")? - bytes_before;
    let share = bytes / outcome.bytes as f64;
    if share < FROM_STORE_MIN {
        return Err(Failed::Wrong(format!("only {share:.2} of the topic came from the store")));
    }
    figures.insert("cold_get_mib", bytes / gets / f64::from(1 << 20));
    figures.insert("cold_get_bytes_per_byte", share);
    Ok((bytes / gets) as u64)
}

/// The same objects by the store's plain client: as many GETs at once as there are partitions, as
/// large as the node's were.
fn by_itself(gateway: &Gateway, get_bytes: u64, figures: &mut Figures) -> Result<()> {
    drop_caches()?;
    let outcome = plain::read(gateway, PLAIN_BYTES_MAX, get_bytes, PARTITIONS as usize)?;
    let gb = outcome.bytes as f64 / 1e9;
    let mb_s = gb * 1e3 / outcome.seconds;
    figures.insert("plain_get_mb_s", mb_s);
    figures.insert("plain_get_cpu_s_per_gb", outcome.cpu_s / gb);
    if let Some(cold) = figures.get("cold_mb_s") {
        figures.insert("cold_share_of_plain", cold / mb_s);
    }
    Ok(())
}

/// The tail alone, then while another client reads the cold topic over and over.
fn tail(running: &Running, size: Size, figures: &mut Figures) -> Result<()> {
    Client::connect(running.address)?.create_topic_and_wait(TAIL, PARTITIONS)?;
    let seconds = size.tail_seconds;
    let produce = || open_loop(running.address, TAIL, PARTITIONS, seconds, TAIL_RATE);
    open_loop(running.address, TAIL, PARTITIONS, 2, TAIL_RATE)?;
    let alone = p99_ms(&produce()?);
    figures.insert("tail_alone_p99_ms", alone);
    drop_caches()?;
    let ended = AtomicBool::new(false);
    let (beside, read_bytes) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut bytes = 0;
            while !ended.load(Ordering::Relaxed) {
                bytes += drain::until(running.address, COLD, PARTITIONS, CONNECTIONS, &ended)?;
            }
            Ok::<_, Failed>(bytes)
        });
        let beside = produce();
        ended.store(true, Ordering::Relaxed);
        let died = || Err(Failed::Wrong("the cold reader died".into()));
        (beside, reader.join().unwrap_or_else(|_| died()))
    });
    let beside = beside?;
    figures.insert("tail_beside_read_mb_s", read_bytes? as f64 / 1e6 / beside.seconds);
    figures.insert("tail_beside_p99_ms", p99_ms(&beside));
    figures.insert("tail_beside_times", p99_ms(&beside) / alone);
    Ok(())
}

fn p99_ms(outcome: &crate::load::Outcome) -> f64 {
    outcome.latency_ns.value_at_quantile(0.99) as f64 / 1e6
}
