//! From arguments to a running node and back to an exit status, as named steps.
//!
//! | step | file | what can be told there |
//! | --- | --- | --- |
//! | 1 arguments and settings | `arguments`, `settings` | HF-1001, HF-1009, HF-1013 to HF-1016 |
//! | 2 data directory | `directory` | HF-1002, HF-1003 |
//! | 3 address bound, not yet listening; health told | `listener`, `admin` | HF-1007, HF-1008, HF-1016 |
//! | 4 store opened, states read; device probed and locked | `lane`, `crate::store`, `crate::state` | HF-1002, HF-1004, HF-1011, HF-1017, HF-1018 |
//! | 5 log made or recovered, shards served | `lane` | HF-1003, HF-1005, HF-1006 |
//! | 6 listening, READY | here | HF-1007 |
//! | 7 serving until a signal or the device's end | `serve` | HF-1010 |
//!
//! Nothing is stored before step 5 and nobody is let in before step 6.

pub mod arguments;
pub mod directory;
pub(crate) mod facts;
mod lane;
mod listener;
mod wal_report;

use crate::admin;
use crate::clock::KernelClock;
use crate::cold_reader::{OldestSlot, SegmentColdReader};
use crate::lane_pulse::pulse;
use crate::lane_thread::{LaneDoor, LaneEnd};
use crate::limits::raise_descriptors;
use crate::logging;
use crate::node::{Identity, Node, Phase};
use crate::reload::Reload;
use crate::report::{Code, Report};
use crate::serve::{Service, serve_until_stopped};
use crate::service_manager;
use crate::settings::{self, Loaded, Options};
use crate::state::{self, Keeper, Opened, StateDesk};
use crate::store::{
    self, Log, OwnThreads, StoreDesk, StoreReader, Turns, Worker, Workers, newest_in_store,
};
use crate::wal_scrub::WalScrub;
use arguments::Arguments;
use holdfast_base::{LaneId, ShardId, SplitMix64};
use holdfast_broker::{Broker, BrokerParts, Context, Endpoint, NoObjects, ObjectReader, Settings};
use holdfast_io::{BufferPool, SegmentReader};
use holdfast_lane::{KeptStates, LaneConfig, LocalState, StateCheckpoint};
use holdfast_metadata::{BrokerSettings, Image, Listener, NodeFacts};
use holdfast_protocol::MAX_REQUEST_BYTES;
use holdfast_state::{Owner, RocksState};
use holdfast_tier::store::{Patience, Store};
use holdfast_wal::{Identity as Identified, WalConfig};
use lane::{Begin, Progress};
use listener::BoundListener;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The only listener a node has until listeners have names.
pub(crate) const LISTENER_NAME: &str = "PLAINTEXT";
/// Memory kept for reads from the device.
const COLD_POOL_BYTES: usize = 4 << 20;
/// For all states that must come from the store, so that one that swallows requests delays a start
/// once, not once a shard.
const STORE_AT_START_LIMIT: Duration = Duration::from_secs(60);
/// systemd is asked for more time this often while the log is read.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// Runs a node until a signal stops it.
///
/// # Errors
/// With the one message the operator gets.
pub fn run(arguments: Arguments) -> Result<(), Report> {
    run_with(arguments, |_| {})
}

/// As [`run`]; `listening` is told the address once clients can connect.
///
/// # Errors
/// As [`run`].
pub fn run_with(arguments: Arguments, listening: impl FnOnce(SocketAddr)) -> Result<(), Report> {
    let loaded = settings::load(&arguments)?;
    logging::apply(loaded.options.log_format, &loaded.options.log_filter);
    report_settings(&loaded);
    raise_descriptors();
    let options = loaded.options.clone();
    let node = Arc::new(Node::new(&options));
    let runtime = runtime()?;
    let segment_bytes = segment_bytes(&options);
    let directory = directory::open(&options.data_dir, segment_bytes)?;
    let bound = {
        let _entered = runtime.enter();
        start_admin(&options, &node)?;
        BoundListener::bind(options.listen)?
    };
    let address = bound.address();
    let advertised = Arc::new(advertised(&options, address));
    let listeners = vec![Listener {
        name: LISTENER_NAME.to_owned(),
        host: advertised.host.clone(),
        port: advertised.port,
    }];
    let identity = directory.identity;
    let known = Identity { node: identity.node, cluster: identity.cluster };
    node.identity.set(known).expect("only this function names the node");
    node.limits.keep_for_log(options.wal_bytes / identity.segment_bytes);
    let facts = facts::facts(&options, identity.node, Some(address));
    node.set_facts(facts.clone());
    let static_settings = BrokerSettings::of(&Image::default(), &facts);
    let lane_path = directory.lane_path();
    // Two, since connections live on the threads of those who use them: readers do not wait for an
    // object that is being hashed.
    let store = store::open(&options, Patience::WRITING)?;
    let store_of_readers = store::open(&options, Patience::READING)?;
    let config = lane::lane_config(&options, &directory, address, listeners)?;
    let wal_config = config.wal.clone();
    let keeps = store.is_some();
    let opened = open_states(&options, &config, keeps, &node)?;
    let local = opened.states;
    let checkpoints = runtime.block_on(checkpoints(&config, &local, store_of_readers.as_deref()));
    let kept = KeptStates { local, checkpoints, keeps };
    let started = lane::start(&options, directory, config, kept)?;
    tracing::info!(
        backend = started.disk.backend,
        direct_io = started.disk.direct_io,
        filesystem = %started.disk.device.filesystem,
        "the write-ahead log is open"
    );
    for note in &started.disk.notes {
        tracing::warn!("{note}");
    }
    node.disk.set(*started.disk).expect("only this function knows the disk");
    let reader = SegmentReader::new(&lane_path, BufferPool::new(COLD_POOL_BYTES))
        .map_err(|error| wal_report::of_disk(&lane_path, options.wal_backend, &error))?;
    let door = LaneDoor::new(started.waker.clone());
    let (pulse, watch) = pulse(door.clone());
    drop(node.lane.set(watch));
    let oldest = OldestSlot::default();
    let objects: Arc<dyn ObjectReader> = match store_of_readers {
        Some(store) => {
            let reader = StoreReader::new(
                store,
                options.store_cache_bytes,
                Arc::clone(&node.store),
                Arc::new(KernelClock),
            );
            let reader = reader.telling(Arc::new(door.clone())).taking(turns(&options, &node));
            Arc::new(OwnThreads::start(Arc::new(reader)).map_err(no_threads)?)
        }
        None => Arc::new(NoObjects),
    };
    let broker = Arc::new(Broker::new(BrokerParts {
        node: identity.node,
        lane: Arc::new(door.clone()),
        cold: Arc::new(SegmentColdReader::new(
            reader.clone(),
            identity.segment_bytes,
            Arc::clone(&oldest),
        )),
        objects,
        clock: Arc::new(KernelClock),
        settings: broker_settings(&options, facts),
    }));
    let wal_scrub = WalScrub {
        reader: reader.clone(),
        oldest: Arc::clone(&oldest),
        config: wal_config,
        node: Arc::clone(&node),
        clock: Arc::new(KernelClock),
        every: options.scrub_every,
    };
    let log = Log { reader, oldest: Arc::clone(&oldest) };
    let desk = match store {
        Some(store) => Some(desk(&store, &log, &door, &node)?),
        None => None,
    };
    let state_desk = match keeps {
        true => Some(state_desk(&options, opened.store, &door, &node)?),
        false => None,
    };
    let begin = Begin {
        door: door.clone(),
        broker: Arc::clone(&broker),
        node: Arc::clone(&node),
        pulse,
        oldest,
        desk,
        state_desk,
    };
    if started.begin.send(begin).is_err() {
        return Err(lane::ended_early());
    }
    wait_until_ready(&node, &started.progress)?;

    let _entered = runtime.enter();
    tokio::spawn(wal_scrub.run());
    look_at_store(&options, &node)?;
    let socket = bound.listen(backlog(&options))?;
    let status = format!("serving on {address} as {}:{}", advertised.host, advertised.port);
    node.address.set(address).expect("only this function listens");
    node.set_phase(Phase::Serving);
    service_manager::ready(&status);
    tracing::info!(cluster = %identity.cluster, node = identity.node.0, "{status}");
    listening(address);

    let request_bytes_max = usize::try_from(static_settings.request_bytes_max);
    let service = Service {
        socket,
        broker: Arc::clone(&broker),
        node: Arc::clone(&node),
        request_bytes_max: request_bytes_max
            .map_or(MAX_REQUEST_BYTES, |b| b.min(MAX_REQUEST_BYTES)),
        listener: Arc::from(LISTENER_NAME),
        advertised,
        reload: Reload::new(arguments, loaded, node, broker, door.clone()),
    };
    let end = runtime.block_on(serve_until_stopped(service, door, started.thread));
    match end {
        LaneEnd::Stopped => {
            tracing::info!("stopped");
            Ok(())
        }
        LaneEnd::DeviceFailed(why) => Err(Report::new(
            Code::DeviceFailed,
            format!("the device under {} failed; the node has stopped", lane_path.display()),
            why,
            "look for device errors in `dmesg`; every acknowledged record is on the device as far \
             as it can still be read",
        )),
    }
}

fn report_settings(loaded: &Loaded) {
    let files: Vec<String> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    if !files.is_empty() {
        tracing::info!("configured by {}", files.join(", "));
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// Metrics and health are served from here on, before the log is read.
fn start_admin(options: &Options, node: &Arc<Node>) -> Result<(), Report> {
    let Some(admin) = options.admin else { return Ok(()) };
    if let Some(listener) = admin::bind(admin, options.dev)? {
        let address = listener.local_addr().unwrap_or(admin.address);
        tracing::info!("metrics and health on http://{address}/");
        tokio::spawn(admin::serve(listener, Arc::clone(node)));
    }
    Ok(())
}

/// What the broker holds from the node's own configuration.
fn broker_settings(options: &Options, facts: NodeFacts) -> Settings {
    Settings {
        validation_depth: options.validation_depth,
        facts,
        cold_reads_at_once: options.cold_reads_at_once,
        answer_bytes_max: options.in_flight_bytes,
    }
}

/// `socket.listen.backlog.size`, where somebody set it.
fn backlog(options: &Options) -> u32 {
    let set = options.kafka.get("socket.listen.backlog.size");
    set.and_then(|text| text.parse().ok()).unwrap_or(listener::BACKLOG)
}

/// One worker for every core the lane leaves free, as the lane is never idle under load.
fn runtime() -> Result<tokio::runtime::Runtime, Report> {
    const LANES: usize = 1;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(LANES).max(1))
        .thread_name("worker")
        .enable_all()
        .build()
        .map_err(no_threads)
}

fn no_threads(error: std::io::Error) -> Report {
    Report::new(
        Code::SystemRefused,
        "the threads that carry connections, or those that read history, cannot be started",
        error.to_string(),
        "raise the limits on tasks and open files (TasksMax=, LimitNOFILE=)",
    )
}

/// A directory may share the log's device.
fn turns(options: &Options, node: &Arc<Node>) -> Turns {
    let is_directory = options.store_url.as_ref().is_some_and(|url| url.starts_with("file://"));
    let node = Arc::clone(node);
    match is_directory {
        true => Turns::beside_producers(move || node.metrics.produced()),
        false => Turns::default(),
    }
}

/// Where states of shards lie.
fn state_directory(options: &Options) -> PathBuf {
    options.data_dir.join("state/db")
}

/// The states that lie beside the log. Without an object store none are kept, but those of a time
/// with one are begun with: the log may have been trimmed up to them.
fn open_states(
    options: &Options,
    config: &LaneConfig,
    keeps: bool,
    node: &Node,
) -> Result<Opened, Report> {
    let directory = state_directory(options);
    if !keeps && !directory.exists() {
        return Ok(Opened::default());
    }
    let identities = config.founding.identities_on(config.node);
    let owner = |one: &Identified| Owner { shard: one.shard, replica: one.replica };
    let owners: Vec<Owner> = identities.iter().map(owner).collect();
    state::open(&directory, config.founding.cluster, &owners, &node.state)
}

/// The states of the object store, for replicas that have none beside the log. A replica without any
/// begins with its log, if that is whole.
async fn checkpoints(
    config: &LaneConfig,
    local: &BTreeMap<ShardId, LocalState>,
    store: Option<&dyn Store>,
) -> BTreeMap<ShardId, StateCheckpoint> {
    let cluster = config.founding.cluster;
    let deadline = tokio::time::Instant::now() + STORE_AT_START_LIMIT;
    let mut found = BTreeMap::new();
    for identity in config.founding.identities_on(config.node) {
        let (shard, replica) = (identity.shard, identity.replica);
        if local.contains_key(&shard) {
            continue;
        }
        let Some(store) = store else { continue };
        let asked = newest_in_store(store, cluster, shard, replica);
        match tokio::time::timeout_at(deadline, asked).await {
            Ok(Ok(Some(state))) => {
                let applied = state.applied.0;
                tracing::warn!(shard = shard.0, applied, "this state comes from the object store");
                found.insert(shard, state);
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(shard = shard.0, %error, "no state from the store"),
            Err(_) => {
                tracing::warn!(shard = shard.0, "the object store does not answer: no state of it");
            }
        }
    }
    found
}

/// Starts those who do the lane's work with the store.
fn desk(
    store: &Arc<dyn Store>,
    log: &Log,
    door: &LaneDoor,
    node: &Node,
) -> Result<StoreDesk, Report> {
    let worker = || {
        let mut seed = [0; 8];
        directory::random(&mut seed)?;
        Ok(Worker {
            store: Arc::clone(store),
            log: log.clone(),
            lane: Arc::new(door.clone()),
            counters: Arc::clone(&node.store),
            clock: Arc::new(KernelClock),
            rng: SplitMix64::new(u64::from_le_bytes(seed)),
        })
    };
    store::start_workers(Workers {
        objects: worker()?,
        merges: worker()?,
        states: worker()?,
        checks: worker()?,
    })
}

/// Behind the start, and never in its way.
fn look_at_store(options: &Options, node: &Arc<Node>) -> Result<(), Report> {
    let mut seed = [0; 8];
    directory::random(&mut seed)?;
    let (options, node) = (options.clone(), Arc::clone(node));
    tokio::spawn(async move {
        let rng = SplitMix64::new(u64::from_le_bytes(seed));
        store::look(&options, &node.store_looked, Arc::new(KernelClock), rng).await;
    });
    Ok(())
}

/// Starts the one who keeps states beside the log.
fn state_desk(
    options: &Options,
    store: Option<RocksState>,
    door: &LaneDoor,
    node: &Node,
) -> Result<StateDesk, Report> {
    let mut seed = [0; 8];
    directory::random(&mut seed)?;
    state::start_keeper(Keeper {
        directory: state_directory(options),
        store,
        lane: Arc::new(door.clone()),
        counters: Arc::clone(&node.state),
        rng: SplitMix64::new(u64::from_le_bytes(seed)),
    })
}

/// What a new log of this size would have.
fn segment_bytes(options: &Options) -> u64 {
    let none = holdfast_base::ClusterId::default();
    let node = holdfast_base::NodeId(1);
    WalConfig::new(none, node, LaneId(0), options.wal_bytes).segment_bytes
}

/// Port 0 means "whatever the kernel gave us".
fn advertised(options: &Options, bound: SocketAddr) -> Endpoint {
    let mut advertised = options.advertised.clone();
    if advertised.port == 0 {
        advertised.port = bound.port();
    }
    advertised
}

fn wait_until_ready(
    node: &Node,
    progress: &std::sync::mpsc::Receiver<Progress>,
) -> Result<(), Report> {
    let mut phase = "reading the write-ahead log";
    loop {
        node.set_phase(Phase::Starting(phase));
        service_manager::still_starting(phase);
        match progress.recv_timeout(PROGRESS_INTERVAL) {
            Ok(Progress::Recovered) => {
                tracing::info!("the write-ahead log is recovered");
                phase = "waiting for every shard to be served";
            }
            Ok(Progress::Ready) => return Ok(()),
            Ok(Progress::Failed(report)) => return Err(*report),
            Ok(Progress::Opened(..)) => {}
            Err(RecvTimeoutError::Timeout) => tracing::info!("still {phase}"),
            Err(RecvTimeoutError::Disconnected) => return Err(lane::ended_early()),
        }
    }
}

/// What a connection through the only listener knows of itself.
pub(crate) fn context(service: &Service, peer: SocketAddr) -> Context {
    Context {
        listener: Arc::clone(&service.listener),
        advertised: Arc::clone(&service.advertised),
        peer_host: Arc::from(peer.ip().to_string()),
    }
}
