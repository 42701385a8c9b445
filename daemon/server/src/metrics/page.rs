//! The metrics page: everything in the table, from whoever knows it, at this moment.

use super::exposition::Exposition;
use super::table::*;
use super::{exposition, process};
use crate::lane_pulse::LaneSnapshot;
use crate::node::Node;
use holdfast_consensus::Role;

/// What the page is called in HTTP.
pub const CONTENT_TYPE: &str = exposition::CONTENT_TYPE;

/// Writes the page. `lane` is `None` until there is one; its metrics are then 0.
#[must_use]
pub fn render(node: &Node, lane: Option<&LaneSnapshot>) -> String {
    let mut page = Exposition::default();
    identity(&mut page, node, lane);
    requests(&mut page, node);
    connections(&mut page, node);
    lane_and_wal(&mut page, node, lane);
    store(&mut page, node, lane);
    state(&mut page, node);
    cluster(&mut page, node, lane);
    let metrics = &node.metrics;
    page.many(
        &RELOADS,
        [
            (["applied"], metrics.reloads.get() as f64),
            (["refused"], metrics.reloads_refused.get() as f64),
        ],
    );
    let process = process::read();
    page.one(&PROCESS_CPU, process.cpu_seconds);
    page.one(&PROCESS_RSS, process.resident_bytes as f64);
    page.one(&PROCESS_FDS, process.open_fds as f64);
    page.one(&PROCESS_FDS_MAX, process.max_fds as f64);
    page.one(&PROCESS_START, node.started_at.wall_ms as f64 / 1e3);
    page.finish()
}

fn identity(page: &mut Exposition, node: &Node, lane: Option<&LaneSnapshot>) {
    page.many(&BUILD, [([env!("CARGO_PKG_VERSION")], 1.0)]);
    let (number, cluster) = node.names();
    page.many(&NODE, [([number, cluster], 1.0)]);
    page.one(&READY, f64::from(u8::from(node.not_ready(lane).is_none())));
    page.one(&BOOTS, lane.map_or(0.0, |lane| lane.status.wal.boot.0 as f64));
}

fn requests(page: &mut Exposition, node: &Node) {
    let apis = || node.metrics.apis();
    let count = |api: &super::ApiMetrics| api.latency.count() as f64;
    page.many(&REQUESTS, apis().map(|(name, api)| ([name], count(api))));
    // An API nobody has called has no shape yet: 18 lines each would be noise.
    let called = apis().filter(|(_, api)| count(api) > 0.0);
    page.histograms(&DURATION, called.map(|(name, api)| (name, &api.latency)));
    page.many(
        &ERRORS,
        apis().flat_map(|(name, api)| {
            let row =
                move |(code, count): (i16, u64)| ([name.clone(), code.to_string()], count as f64);
            api.errors().into_iter().map(row).collect::<Vec<_>>()
        }),
    );
    page.many(&CLOSING, apis().map(|(name, api)| ([name], api.closed.get() as f64)));
    page.one(&RECEIVED, node.metrics.received_bytes.get() as f64);
    page.one(&SENT, node.metrics.sent_bytes.get() as f64);
}

fn connections(page: &mut Exposition, node: &Node) {
    let metrics = &node.metrics;
    page.one(&CONNECTIONS, node.open_connections() as f64);
    page.one(&CONNECTIONS_MAX, f64::from(node.limits.connections_max()));
    page.one(&OPENED, metrics.connections_opened.get() as f64);
    page.one(&REFUSED_PER_IP, metrics.refused_per_ip.get() as f64);
    page.one(&CONNECTION_WAITS, metrics.waits_for_connections.get() as f64);
    page.one(&ACCEPT_FAILURES, metrics.accept_failures.get() as f64);
    let free = node.budget.free_bytes();
    page.one(&IN_FLIGHT, node.in_flight_bytes.saturating_sub(free) as f64);
    page.one(&IN_FLIGHT_MAX, node.in_flight_bytes as f64);
}

fn lane_and_wal(page: &mut Exposition, node: &Node, lane: Option<&LaneSnapshot>) {
    let of = |read: fn(&LaneSnapshot) -> f64| lane.map_or(0.0, read);
    page.one(&LANE_AGE, lane.map_or(0.0, |lane| lane.age(node.now()).as_secs_f64()));
    page.one(&LANE_TURNS, of(|lane| lane.turns as f64));
    page.one(&OPEN_CALLS, of(|lane| lane.status.open_calls as f64));
    page.one(&PARKED, of(|lane| lane.status.parked_fetches as f64));
    page.one(&TAIL_CACHE, of(|lane| lane.status.tail_cache_bytes as f64));
    page.one(&TAIL_CACHE_MAX, node.tail_cache_bytes as f64);
    page.one(&INDEXED, of(|lane| lane.status.indexed_batches as f64));
    page.one(&WAL_CAPACITY, node.wal_bytes as f64);
    page.one(&WAL_LIVE, of(|lane| lane.status.wal.live_bytes as f64));
    page.one(&WAL_FREE, of(|lane| lane.status.wal.free_bytes as f64));
    page.one(&WAL_SEGMENTS, of(|lane| lane.status.wal.segments as f64));
    page.one(&WAL_SPARES, of(|lane| lane.status.wal.spares as f64));
    page.one(&WAL_ERASED, of(|lane| lane.status.wal.files_erased as f64));
    page.one(&WAL_DEVICE_FULL, of(|lane| f64::from(u8::from(lane.status.wal.device_full))));
    page.one(&WAL_IN_FLIGHT, of(|lane| lane.status.wal.in_flight as f64));
    page.one(&WAL_FLUSHES, of(|lane| lane.status.wal.flushes as f64));
    page.one(&WAL_FRAMES, of(|lane| lane.status.wal.frames as f64));
    page.one(&WAL_WRITTEN, of(|lane| lane.status.wal.bytes_written as f64));
    page.one(&WAL_WRITE, of(|lane| lane.status.wal.write_ns as f64 / 1e9));
    page.one(&WAL_OLDEST_WRITE, of(|lane| lane.status.wal.oldest_write_ns as f64 / 1e9));
    page.one(&WAL_SCRUBBED, node.wal_scrubbed.bytes() as f64);
    page.one(&WAL_DAMAGED, node.wal_scrubbed.findings_total() as f64);
}

fn store(page: &mut Exposition, node: &Node, lane: Option<&LaneSnapshot>) {
    let store = &node.store;
    let count = |counter: &super::Counter| counter.get() as f64;
    page.one(&STORE_WAITING, lane.map_or(0.0, |lane| lane.status.store_waiting_bytes as f64));
    page.one(&STORE_AGE, node.store_age().map_or(0.0, |age| age.as_secs_f64()));
    page.one(&STORE_FAILING, f64::from(u8::from(store.failing().is_some())));
    let lasts = node.log_lasts(lane).unwrap_or(crate::wal_pace::LONGEST);
    page.one(&STORE_LOG_LASTS, lasts.as_secs_f64());
    page.many(
        &STORE_FAILURES,
        [
            (["upload"], count(&store.upload_failures)),
            (["merge"], count(&store.merge_failures)),
            (["delete"], count(&store.deletion_failures)),
            (["checkpoint"], count(&store.checkpoint_failures)),
            (["check"], count(&store.check_failures)),
            (["repair"], count(&store.repair_failures)),
            (["read"], count(&store.read_failures)),
        ],
    );
    page.one(&STORE_UPLOADS, count(&store.uploads));
    page.one(&STORE_UPLOADED, count(&store.uploaded_bytes));
    page.one(&STORE_GIVEN_UP, count(&store.uploads_given_up));
    page.one(&STORE_MERGES, count(&store.merges));
    page.one(&STORE_MERGED, count(&store.merged_bytes));
    page.one(&STORE_MERGES_GIVEN_UP, count(&store.merges_given_up));
    page.one(&STORE_CHECKS, count(&store.checks));
    page.one(&STORE_CHECKED, count(&store.checked_bytes));
    page.one(&STORE_REPAIRS, count(&store.repairs));
    page.one(&STORE_WRONG_OBJECTS, lane.map_or(0, |lane| lane.status.findings.len()) as f64);
    page.one(&STORE_DELETIONS, count(&store.deletions));
    page.one(&STORE_CHECKPOINTS, count(&store.checkpoints));
    page.one(&STORE_READS, count(&store.reads));
    page.one(&STORE_READ, count(&store.read_bytes));
    page.one(&STORE_WRONG, count(&store.wrong_reads));
    page.many(
        &STORE_BLOCKS,
        [(["cache"], count(&store.cache_hits)), (["store"], count(&store.cache_misses))],
    );
    page.one(&STORE_CACHE, store.cached_bytes() as f64);
    page.one(
        &STORE_CACHE_MAX,
        node.store_url.as_ref().map_or(0.0, |_| node.store_cache_bytes as f64),
    );
}

fn state(page: &mut Exposition, node: &Node) {
    let state = &node.state;
    page.one(&STATE_FAILING, f64::from(u8::from(state.failing().is_some())));
    page.one(&STATE_FAILURES, state.failures.get() as f64);
    page.one(&STATE_REBUILDS, state.rebuilds.get() as f64);
    page.one(&STATE_WRITES, state.writes.get() as f64);
    page.one(&STATE_WRITTEN, state.written_bytes.get() as f64);
    page.one(&STATE_FLUSHES, state.flushes.get() as f64);
}

fn cluster(page: &mut Exposition, node: &Node, lane: Option<&LaneSnapshot>) {
    let size = node.cluster_size();
    page.one(&TOPICS, size.topics as f64);
    page.one(&PARTITIONS, size.partitions as f64);
    page.one(&NODES, size.nodes as f64);
    let replicas = lane.map_or(&[][..], |lane| &lane.status.replicas);
    let count = |role: &str| {
        let of_role = replicas.iter().filter(|replica| role_text(replica) == role);
        of_role.count() as f64
    };
    let roles = ["follower", "leading", "serving", "quarantined"];
    page.many(&SHARDS, roles.map(|role| ([role], count(role))));
    let by_shard = |read: fn(&holdfast_consensus::ReplicaStatus) -> u64| {
        replicas.iter().map(move |one| ([one.shard.0.to_string()], read(one) as f64))
    };
    page.many(&SHARD_TERM, by_shard(|replica| replica.term.0));
    page.many(&SHARD_APPLIED, by_shard(|replica| replica.applied.0));
    page.many(&SHARD_COMMITTED, by_shard(|replica| replica.committed.0));
}

/// A replica's role in one word; one that is out of order has no other.
pub(crate) fn role_text(replica: &holdfast_consensus::ReplicaStatus) -> &'static str {
    match replica.role {
        _ if replica.quarantine.is_some() => "quarantined",
        Role::Follower => "follower",
        Role::Leading => "leading",
        Role::Serving => "serving",
    }
}
