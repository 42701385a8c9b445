//! The node as an operator sees it: who it is, how far it has come, what it runs with. Shared by
//! the admin pages, the status line and connections; filled as the node starts.
//!
//! ```text
//! Starting("reading the write-ahead log") ─▶ Serving ─▶ Stopping
//! ```
//!
//! Ready means that clients are served: the phase is Serving, and the lane turns.

use crate::clock::KernelClock;
use crate::connection::budget::Budget;
use crate::lane_pulse::{LaneSnapshot, LaneWatch, SILENT_AFTER};
use crate::limits::{Limits, Seats};
use crate::metrics::Metrics;
use crate::settings::Options;
use crate::state::StateCounters;
use crate::store::{LookedAt, StoreCounters};
use crate::wal_pace::WalPace;
use crate::wal_scrub::WalScrubbed;
use holdfast_base::{Clock, ClusterId, NodeId, Now};
use holdfast_io::DiskStatus;
use holdfast_lane::Published;
use holdfast_metadata::{BrokerSettings, Image, NodeFacts};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;

/// A write to the log that takes so long is felt by producers: of a sound device it takes a few
/// milliseconds at most.
const SLOW_WRITE: Duration = Duration::from_millis(100);

/// How far a node has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Not yet; doing this.
    Starting(&'static str),
    /// Clients are served.
    Serving,
    /// Clients are told to go elsewhere.
    Stopping,
}

/// Who a node is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its number.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
}

/// How large the cluster is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ClusterSize {
    /// Topics.
    pub topics: usize,
    /// Their partitions.
    pub partitions: usize,
    /// Nodes, alive or not.
    pub nodes: usize,
}

/// See the file's head.
pub struct Node {
    /// When it started.
    pub started_at: Now,
    /// What the daemon counts.
    pub metrics: Metrics,
    /// Limits on connections.
    pub limits: Limits,
    /// Who is connected.
    pub seats: Arc<Seats>,
    /// Bytes of requests in flight.
    pub budget: Budget,
    /// Their limit.
    pub in_flight_bytes: usize,
    /// `memory.tail_cache`.
    pub tail_cache_bytes: u64,
    /// `wal.size`.
    pub wal_bytes: u64,
    /// `store.url`; `None` without an object store.
    pub store_url: Option<String>,
    /// `store.cache`.
    pub store_cache_bytes: u64,
    /// What went to the object store and came from it.
    pub store: Arc<StoreCounters>,
    /// How fast the log is written, where there is a store to be away.
    pub wal_pace: WalPace,
    /// What the object store was found to do.
    pub store_looked: LookedAt,
    /// What came of looking through the log.
    pub wal_scrubbed: WalScrubbed,
    /// What was kept of states beside the log.
    pub state: Arc<StateCounters>,
    /// Known once the data directory is open.
    pub identity: OnceLock<Identity>,
    /// Known once the log's device is open.
    pub disk: OnceLock<DiskStatus>,
    /// Known once there is a lane.
    pub lane: OnceLock<LaneWatch>,
    /// Known once clients may come.
    pub address: OnceLock<SocketAddr>,
    /// Woken when there is a newer picture.
    pub changed: Notify,
    phase: RwLock<Phase>,
    facts: RwLock<Arc<NodeFacts>>,
    picture: RwLock<Option<Published>>,
}

impl Node {
    /// A node that starts.
    #[must_use]
    pub fn new(options: &Options) -> Node {
        let facts = NodeFacts { node: NodeId(0), values: options.kafka.clone() };
        Node {
            started_at: KernelClock.now(),
            metrics: Metrics::default(),
            limits: Limits::new(&BrokerSettings::of(&Image::default(), &facts)),
            seats: Arc::default(),
            budget: Budget::new(options.in_flight_bytes),
            in_flight_bytes: options.in_flight_bytes,
            tail_cache_bytes: options.tail_cache_bytes,
            wal_bytes: options.wal_bytes,
            store_url: options.store_url.clone(),
            store_cache_bytes: options.store_cache_bytes,
            store: Arc::default(),
            store_looked: LookedAt::default(),
            wal_scrubbed: WalScrubbed::default(),
            wal_pace: WalPace::default(),
            state: Arc::default(),
            identity: OnceLock::new(),
            disk: OnceLock::new(),
            lane: OnceLock::new(),
            address: OnceLock::new(),
            changed: Notify::new(),
            phase: RwLock::new(Phase::Starting("starting")),
            facts: RwLock::new(Arc::new(facts)),
            picture: RwLock::new(None),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Now {
        KernelClock.now()
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A further step.
    pub fn set_phase(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// What the node's own configuration says, as it holds now.
    pub fn set_facts(&self, facts: NodeFacts) {
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts);
        self.renew_limits();
    }

    /// A newer picture of the cluster.
    pub fn publish(&self, published: Published) {
        *self.picture.write().unwrap_or_else(PoisonError::into_inner) = Some(published);
        self.renew_limits();
        self.changed.notify_one();
    }

    fn renew_limits(&self) {
        let facts = Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner));
        let image = self.image();
        self.limits.set(&BrokerSettings::of(&image, &facts));
    }

    /// What shard 0 says.
    #[must_use]
    pub fn image(&self) -> Arc<Image> {
        let picture = self.picture.read().unwrap_or_else(PoisonError::into_inner);
        picture.as_ref().map_or_else(Arc::default, |picture| Arc::clone(&picture.image))
    }

    /// How large the cluster is.
    #[must_use]
    pub fn cluster_size(&self) -> ClusterSize {
        let image = self.image();
        ClusterSize {
            topics: image.topics_by_id.len(),
            partitions: image.topics_by_id.values().map(|topic| topic.partitions.len()).sum(),
            nodes: image.nodes.len(),
        }
    }

    /// Node and cluster as text; empty until known.
    #[must_use]
    pub fn names(&self) -> (String, String) {
        self.identity.get().map_or_else(Default::default, |identity| {
            (identity.node.0.to_string(), identity.cluster.to_string())
        })
    }

    /// Kafka connections open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.seats.open()
    }

    /// How long ago the object store last did what it was asked, or the node started; `None` without one.
    #[must_use]
    pub fn store_age(&self) -> Option<Duration> {
        self.store_url.as_ref()?;
        let now = self.now();
        let started_ns = now.boottime_ns.saturating_sub(self.started_at.boottime_ns);
        Some(self.store.since_success(now).unwrap_or(Duration::from_nanos(started_ns)))
    }

    /// How long the log lasts at its present pace, were nothing to leave it; `None` where nobody writes, or
    /// there is no store.
    #[must_use]
    pub fn log_lasts(&self, lane: Option<&LaneSnapshot>) -> Option<Duration> {
        self.wal_pace.lasts(lane?.status.wal.free_bytes)
    }

    /// How long a write to the log takes at present, where that is so long that producers feel it.
    #[must_use]
    pub fn slow_log(&self, lane: Option<&LaneSnapshot>) -> Option<Duration> {
        let wal = &lane?.status.wal;
        let takes = Duration::from_nanos(wal.recent_write_ns.max(wal.oldest_write_ns));
        (takes >= SLOW_WRITE).then_some(takes)
    }

    /// The lane's numbers, not older than a second if it turns; `None` until there is a lane.
    pub async fn fresh_lane(&self) -> Option<Arc<LaneSnapshot>> {
        self.lane.get()?.fresh(self.now()).await
    }

    /// Why the node must be looked after; `None` when it lives, or still starts.
    #[must_use]
    pub fn not_healthy(&self, lane: Option<&LaneSnapshot>) -> Option<String> {
        if matches!(self.phase(), Phase::Starting(_)) {
            return None;
        }
        let Some(lane) = lane else { return Some("the lane has said nothing yet".to_owned()) };
        if let Some(error) = &lane.status.failed {
            return Some(format!("the write-ahead log's device failed: {error}"));
        }
        let age = lane.age(self.now());
        (age > SILENT_AFTER)
            .then(|| format!("the lane has not turned for {} s", age.as_secs_f32().round()))
    }

    /// Why clients are not served; `None` when they are.
    #[must_use]
    pub fn not_ready(&self, lane: Option<&LaneSnapshot>) -> Option<String> {
        match self.phase() {
            Phase::Starting(what) => Some(format!("starting: {what}")),
            Phase::Stopping => Some("stopping".to_owned()),
            Phase::Serving => self.not_healthy(lane),
        }
    }
}
