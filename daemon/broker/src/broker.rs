//! The broker of a node: what all requests share.

use crate::cold::ColdReader;
use crate::init_producer_id::ProducerIds;
use crate::lane_client::LaneClient;
use crate::leadership::merge;
use crate::settings::Settings;
use holdfast_base::{Clock, NodeId};
use holdfast_lane::{Leaders, Published};
use holdfast_metadata::Image;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// What a broker is made of.
pub struct BrokerParts {
    /// This node.
    pub node: NodeId,
    /// The lane that holds every shard of this node.
    pub lane: Arc<dyn LaneClient>,
    /// Reads record bytes that have left memory.
    pub cold: Arc<dyn ColdReader>,
    /// For deadlines.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// What the operator set.
    pub settings: Settings,
}

/// Answers Kafka requests. Shared by all connections.
pub struct Broker {
    pub(crate) node: NodeId,
    pub(crate) lane: Arc<dyn LaneClient>,
    pub(crate) cold: Arc<dyn ColdReader>,
    pub(crate) clock: Arc<dyn Clock + Send + Sync>,
    pub(crate) settings: Settings,
    /// Bounds reads from the device, see [`Settings::cold_reads_at_once`].
    pub(crate) cold_permits: Arc<Semaphore>,
    pub(crate) producer_ids: ProducerIds,
    /// Replaced whole; readers take a reference and let go of the lock at once.
    view: RwLock<View>,
}

/// What a request sees of the cluster: one consistent picture.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(crate) image: Arc<Image>,
    pub(crate) leaders: Arc<Leaders>,
}

impl Broker {
    /// A broker with an empty picture; see [`Broker::publish`].
    #[must_use]
    pub fn new(parts: BrokerParts) -> Broker {
        Broker {
            node: parts.node,
            lane: parts.lane,
            cold: parts.cold,
            clock: parts.clock,
            cold_permits: Arc::new(Semaphore::new(parts.settings.cold_reads_at_once)),
            settings: parts.settings,
            producer_ids: ProducerIds::default(),
            view: RwLock::default(),
        }
    }

    /// A newer picture. The lane publishes before it answers, so that who creates a topic sees it.
    pub fn publish(&self, published: &Published) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        merge(Arc::make_mut(&mut view.leaders), &published.leaders);
        view.image = Arc::clone(&published.image);
    }

    /// The present picture.
    pub(crate) fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
