//! The broker of a node: what all requests share.

use crate::answer_room::AnswerRoom;
use crate::cold::{ColdReader, ObjectReader};
use crate::fetch_session::{self, Ending, FetchSessions, Fetching, Outcome};
use crate::init_producer_id::ProducerIds;
use crate::lane_client::LaneClient;
use crate::leadership::merge;
use crate::settings::Settings;
use holdfast_base::{Clock, NodeId, SplitMix64};
use holdfast_lane::{Leaders, Published};
use holdfast_metadata::{BrokerSettings, Image, NodeFacts};
use holdfast_protocol::errors::FetchSessionError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// What a broker is made of.
pub struct BrokerParts {
    /// This node.
    pub node: NodeId,
    /// The lane that holds every shard of this node.
    pub lane: Arc<dyn LaneClient>,
    /// Reads record bytes that have left memory.
    pub cold: Arc<dyn ColdReader>,
    /// Reads objects; [`crate::NoObjects`] without a store.
    pub objects: Arc<dyn ObjectReader>,
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
    pub(crate) objects: Arc<dyn ObjectReader>,
    pub(crate) clock: Arc<dyn Clock + Send + Sync>,
    pub(crate) settings: Settings,
    /// Bounds reads from the device, see [`Settings::cold_reads_at_once`].
    pub(crate) cold_permits: Arc<Semaphore>,
    pub(crate) answer_room: AnswerRoom,
    pub(crate) producer_ids: ProducerIds,
    /// Held for a moment before and after a fetch, never while one waits.
    fetch_sessions: Mutex<FetchSessions>,
    /// Draws ids of sessions.
    session_rng: Mutex<SplitMix64>,
    /// Replaced whole; readers take a reference and let go of the lock at once.
    view: RwLock<View>,
}

/// What a request sees of the cluster: one consistent picture.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) image: Arc<Image>,
    pub(crate) leaders: Arc<Leaders>,
    /// What this node's own configuration says.
    pub(crate) facts: Arc<NodeFacts>,
    /// What holds for this node by `image` and `facts`.
    pub(crate) settings: BrokerSettings,
}

impl View {
    fn empty(facts: NodeFacts) -> View {
        let image = Arc::<Image>::default();
        let settings = BrokerSettings::of(&image, &facts);
        View { image, leaders: Arc::default(), facts: Arc::new(facts), settings }
    }
}

impl Broker {
    /// A broker with an empty picture; see [`Broker::publish`].
    #[must_use]
    pub fn new(parts: BrokerParts) -> Broker {
        let now = parts.clock.now();
        let seed = now.boottime_ns ^ now.wall_ms.cast_unsigned().rotate_left(32);
        Broker {
            node: parts.node,
            lane: parts.lane,
            cold: parts.cold,
            objects: parts.objects,
            clock: parts.clock,
            cold_permits: Arc::new(Semaphore::new(parts.settings.cold_reads_at_once)),
            answer_room: AnswerRoom::new(parts.settings.answer_bytes_max),
            view: RwLock::new(View::empty(parts.settings.facts.clone())),
            settings: parts.settings,
            producer_ids: ProducerIds::default(),
            fetch_sessions: Mutex::new(FetchSessions::new(fetch_session::SLOTS_DEFAULT)),
            session_rng: Mutex::new(SplitMix64::new(seed)),
        }
    }

    /// A newer picture. The lane publishes before it answers, so that who creates a topic sees it.
    pub fn publish(&self, published: &Published) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        merge(Arc::make_mut(&mut view.leaders), &published.leaders);
        let changed = !Arc::ptr_eq(&view.image.configs, &published.image.configs)
            || view.image.nodes.len() != published.image.nodes.len();
        view.image = Arc::clone(&published.image);
        if changed {
            view.settings = BrokerSettings::of(&view.image, &view.facts);
        }
    }

    /// The node's own configuration was read again.
    pub fn set_facts(&self, facts: NodeFacts) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.settings = BrokerSettings::of(&view.image, &facts);
        view.facts = Arc::new(facts);
    }

    /// Memory for records on their way to clients.
    #[must_use]
    pub fn answer_room(&self) -> &AnswerRoom {
        &self.answer_room
    }

    /// The present picture.
    pub(crate) fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For what is measured in minutes and must not jump.
    pub(crate) fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.now().boottime_ns / 1_000_000).unwrap_or(i64::MAX)
    }

    pub(crate) fn fetch_sessions(&self) -> MutexGuard<'_, FetchSessions> {
        self.fetch_sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`FetchSessions::end`].
    pub(crate) fn end_fetch(
        &self,
        fetching: &Fetching,
        outcomes: &[Outcome],
    ) -> Result<Ending, FetchSessionError> {
        let mut rng = self.session_rng.lock().unwrap_or_else(PoisonError::into_inner);
        self.fetch_sessions().end(self.now_ms(), &mut *rng, fetching, outcomes)
    }
}
