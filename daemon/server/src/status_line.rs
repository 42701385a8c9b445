//! The line of `systemctl status`: kept current for whoever looks.
//!
//! ```text
//! Status: "serving 12 topics on 127.0.0.1:9092: 3 of 17 shards led, log 14 % full, 5 connections"
//! ```

use crate::lane_pulse::LaneSnapshot;
use crate::node::Node;
use crate::service_manager;
use holdfast_consensus::Role;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Often enough for a person who looks, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_secs(10);
/// And at most this often, when the cluster changes.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Tells systemd whenever the line has changed. Never ends; nothing is asked of the lane when
/// nobody listens.
pub async fn keep_current(node: Arc<Node>) {
    if !service_manager::is_listening() {
        return std::future::pending().await;
    }
    let mut told = String::new();
    loop {
        let lane = node.fresh_lane().await;
        let line = line(&node, lane.as_deref());
        if line != told {
            service_manager::status(&line);
            told = line;
        }
        sleep(AT_MOST_EVERY).await;
        // Changed or not, connections and the log have moved on by then.
        drop(timeout(EVERY, node.changed.notified()).await);
    }
}

/// The line.
#[must_use]
pub fn line(node: &Node, lane: Option<&LaneSnapshot>) -> String {
    if let Some(why) = node.not_ready(lane) {
        return format!("not serving: {why}");
    }
    let topics = node.cluster_size().topics;
    let address = node.address.get().map_or_else(String::new, |address| format!(" on {address}"));
    let mut line = format!("serving {topics} topic{}{address}", plural(topics));
    if let Some(lane) = lane {
        let replicas = &lane.status.replicas;
        let led = replicas.iter().filter(|replica| replica.role == Role::Serving).count();
        let broken = replicas.iter().filter(|replica| replica.quarantine.is_some()).count();
        let full = lane.status.wal.live_bytes.saturating_mul(100) / node.wal_bytes.max(1);
        line.push_str(&format!(": {led} of {} shards led, log {full} % full", replicas.len()));
        if broken > 0 {
            line.push_str(&format!(", {broken} QUARANTINED"));
        }
    }
    if let Some(takes) = node.slow_log(lane) {
        line.push_str(&format!(", LOG DEVICE SLOW ({} ms a write)", takes.as_millis()));
    }
    if node.store.failing().is_some() {
        line.push_str(", OBJECT STORE FAILS");
        if let Some(lasts) = node.log_lasts(lane) {
            line.push_str(&format!(", the log lasts {} min more", lasts.as_secs() / 60));
        }
    }
    if let Some((code, _)) = node.state.failing() {
        line.push_str(&format!(", STATES NOT KEPT ({})", code.text()));
    }
    let open = node.open_connections();
    line.push_str(&format!(", {open} connection{}", plural(open)));
    line
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
