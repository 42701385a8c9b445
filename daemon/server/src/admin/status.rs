//! The node as JSON, for `holdfast status` and scripts. Fields are added, never renamed.

use crate::lane_pulse::LaneSnapshot;
use crate::metrics::role_text;
use crate::node::Node;
use crate::report::Code;
use crate::status_line;
use holdfast_tier::store::probe::Standing;
use serde_json::{Value, json};

/// Everything about the node.
pub(crate) fn json(node: &Node, lane: Option<&LaneSnapshot>) -> Value {
    let identity = node.identity.get();
    let size = node.cluster_size();
    let not_ready = node.not_ready(lane);
    let image = node.image();
    json!({
        "node": identity.map(|identity| identity.node.0),
        "cluster": identity.map(|identity| identity.cluster.to_string()),
        "version": env!("CARGO_PKG_VERSION"),
        "started_at_ms": node.started_at.wall_ms,
        "now_ms": node.now().wall_ms,
        "ready": not_ready.is_none(),
        "not_ready_because": not_ready,
        "healthy": node.not_healthy(lane).is_none(),
        "status": status_line::line(node, lane),
        "address": node.address.get().map(ToString::to_string),
        "boots": lane.map(|lane| lane.status.wal.boot.0),
        "connections": {
            "open": node.open_connections(),
            "max": node.limits.connections_max(),
            "per_ip_max": node.limits.per_ip_max(),
        },
        "topics": size.topics,
        "partitions": size.partitions,
        "nodes": size.nodes,
        "shards": lane.map(|lane| shards(&image, lane)),
        "wal": wal(node, lane),
        "store": store(node, lane),
        "state": state(node),
        "lane": lane.map(|lane| json!({
            "age_ms": u64::try_from(lane.age(node.now()).as_millis()).unwrap_or(u64::MAX),
            "turns": lane.turns,
            "open_calls": lane.status.open_calls,
            "parked_fetches": lane.status.parked_fetches,
            "tail_cache_bytes": lane.status.tail_cache_bytes,
            "indexed_batches": lane.status.indexed_batches,
        })),
    })
}

fn shards(image: &holdfast_metadata::Image, lane: &LaneSnapshot) -> Vec<Value> {
    let row = |replica: &holdfast_consensus::ReplicaStatus| {
        let placement = image.shards.get(&replica.shard);
        let leader = replica.leader.and_then(|leader| {
            let mut replicas = placement?.replicas.iter();
            replicas.find(|(id, _)| *id == leader).map(|(_, node)| node.0)
        });
        json!({
            "shard": replica.shard.0,
            "replica": replica.replica.0,
            "role": role_text(replica),
            "term": replica.term.0,
            "leader_node": leader,
            "applied": replica.applied.0,
            "committed": replica.committed.0,
            "last": replica.last.0,
            "persisted": replica.persisted.0,
            "quarantine": replica.quarantine.as_ref().map(|why| why.0.clone()),
        })
    };
    lane.status.replicas.iter().map(row).collect()
}

/// `null` without one.
fn store(node: &Node, lane: Option<&LaneSnapshot>) -> Value {
    let Some(url) = &node.store_url else { return Value::Null };
    let store = &node.store;
    json!({
        "url": url,
        "waiting_bytes": lane.map(|lane| lane.status.store_waiting_bytes),
        "last_success_age_ms": store.since_success(node.now()).map(|age| age.as_millis() as u64),
        "failing_because": store.failing(),
        "log_lasts_s": node.log_lasts(lane).map(|lasts| lasts.as_secs()),
        "wrong_object": store.wrong_object(),
        "wrong_objects": lane.map(|lane| lane.status.findings.iter().map(finding).collect::<Vec<_>>()),
        "scrub": lane.map(|lane| {
            let scrub = lane.status.scrub;
            json!({
                "objects": scrub.objects,
                "bytes": scrub.bytes,
                "wrong": scrub.wrong,
                "repaired": scrub.repaired,
                "passes": scrub.passes,
                "last_pass_ms": (scrub.passes > 0).then_some(scrub.last_pass_ms),
            })
        }),
        "probe": node.store_looked.newest().map(|look| probe(&look)),
        "uploads": store.uploads.get(),
        "uploaded_bytes": store.uploaded_bytes.get(),
        "upload_failures": store.upload_failures.get(),
        "deletions": store.deletions.get(),
        "checkpoints": store.checkpoints.get(),
        "reads": store.reads.get(),
        "read_bytes": store.read_bytes.get(),
        "read_failures": store.read_failures.get(),
        "wrong_reads": store.wrong_reads.get(),
    })
}

/// What the store honours, what it does not and is done without, and what it lacks.
fn probe(look: &crate::store::Look) -> Value {
    let of = |standing: Standing| {
        let findings = look.report.findings.iter().filter(|one| one.standing == standing);
        findings.map(|one| format!("{}: {}", one.name, one.found)).collect::<Vec<_>>()
    };
    json!({
        "at_ms": look.at_ms,
        "verdict": look.report.verdict(),
        "server": look.report.server,
        "good": of(Standing::Good),
        "notes": of(Standing::Note),
        "missing": of(Standing::Missing),
    })
}

/// An object that is wrong, with every record in it.
fn finding(found: &holdfast_lane::Finding) -> Value {
    json!({
        "object": holdfast_tier::StoreKey::of(&found.object).to_string(),
        "code": Code::ObjectWrong.text(),
        "why": found.why,
        "not_repaired_because": found.not_repairable,
        "records": found.records.iter().map(record).collect::<Vec<_>>(),
    })
}

fn record((partition, first, last): &(holdfast_base::PartitionKey, i64, i64)) -> Value {
    json!({
        "topic_id": partition.topic.to_string(),
        "partition": partition.partition,
        "first_offset": first,
        "last_offset": last,
    })
}

/// States beside the log.
fn state(node: &Node) -> Value {
    let state = &node.state;
    let failing = state.failing();
    json!({
        "failing_code": failing.as_ref().map(|(code, _)| code.text()),
        "failing_because": failing.as_ref().map(|(_, why)| why.clone()),
        "writes": state.writes.get(),
        "written_bytes": state.written_bytes.get(),
        "flushes": state.flushes.get(),
        "failures": state.failures.get(),
        "rebuilds": state.rebuilds.get(),
    })
}

/// What came of looking through sealed segments.
fn wal_scrub(node: &Node) -> Value {
    let scrubbed = &node.wal_scrubbed;
    let (passes, last_pass_ms) = scrubbed.passes();
    let found = |finding: &holdfast_wal::SegmentFinding| {
        json!({
            "segment": finding.segment.0,
            "offset": finding.offset,
            "code": Code::SegmentDamaged.text(),
            "what": finding.what,
            "records": finding.records.iter().map(record).collect::<Vec<_>>(),
        })
    };
    json!({
        "segments": scrubbed.segments(),
        "bytes": scrubbed.bytes(),
        "passes": passes,
        "last_pass_ms": last_pass_ms,
        "findings": scrubbed.findings().iter().map(found).collect::<Vec<_>>(),
    })
}

fn wal(node: &Node, lane: Option<&LaneSnapshot>) -> Value {
    let disk = node.disk.get();
    let wal = lane.map(|lane| &lane.status.wal);
    json!({
        "capacity_bytes": node.wal_bytes,
        "used_bytes": wal.map(|wal| wal.live_bytes),
        "free_bytes": wal.map(|wal| wal.free_bytes),
        "segments": wal.map(|wal| wal.segments),
        "device_full": wal.map(|wal| wal.device_full),
        "flushes": wal.map(|wal| wal.flushes),
        "write_us": wal.map(|wal| wal.recent_write_ns / 1_000),
        "oldest_write_us": wal.map(|wal| wal.oldest_write_ns / 1_000),
        "slow": node.slow_log(lane).is_some(),
        "backend": disk.map(|disk| disk.backend),
        "direct_io": disk.map(|disk| disk.direct_io),
        "filesystem": disk.map(|disk| disk.device.filesystem.clone()),
        "device": disk.map(|disk| disk.device.device.clone()),
        "write_cache": disk.map(|disk| disk.device.write_cache.clone()),
        "notes": disk.map(|disk| disk.notes.clone()),
        "scrub": wal_scrub(node),
        "failed": lane.and_then(|lane| lane.status.failed.as_ref().map(ToString::to_string)),
    })
}
