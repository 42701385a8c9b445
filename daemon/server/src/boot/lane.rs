//! Steps 3 to 5: the device is probed, the log made or recovered, and the lane begins to turn, all
//! on the lane's own thread (an io_uring belongs to the thread that first uses it).
//!
//! ```text
//! boot thread                       lane thread
//! start ───────────────────────────▶ probe, open the directory
//!       ◀── Opened(waker, facts) ───
//! door, broker ────────────────────▶ make the log, or recover it
//!       ◀── Recovered ──────────────
//!       ◀── Ready: every shard served ─ turns until it ends
//! ```

use super::directory::{DataDirectory, random};
use super::facts::facts;
use super::wal_report::{of_disk, of_recovery, of_wal};
use crate::clock::KernelClock;
use crate::cold_reader::OldestSlot;
use crate::lane_pulse::Pulse;
use crate::lane_thread::{LaneDoor, LaneEnd, run};
use crate::node::Node;
use crate::report::{Code, Report};
use crate::settings::Options;
use crate::state::StateDesk;
use crate::store::StoreDesk;
use holdfast_base::{Clock, LaneId};
use holdfast_broker::Broker;
use holdfast_consensus::DriverError;
use holdfast_io::{AnyDisk, DiskOptions, DiskStatus, WaitableDisk, Waker, probe};
use holdfast_lane::{Founding, KeptStates, Lane, LaneConfig, PlantedBugs, Published, StoreConfig};
use holdfast_metadata::Listener;
use holdfast_wal::WalConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// Data shards of a new cluster; `design.md` gives a pool of 16 per replication factor.
const DATA_SHARDS: u32 = 16;

/// What the lane thread tells the boot thread, in this order, then nothing.
pub(crate) enum Progress {
    /// The directory is open and locked.
    Opened(Waker, Box<DiskStatus>),
    /// The log is whole and replayed.
    Recovered,
    /// Every shard is served: clients may come.
    Ready,
    /// No node.
    Failed(Box<Report>),
}

/// A lane thread that has opened its disk.
pub(crate) struct StartedLane {
    /// Tells how the lane ended.
    pub(crate) thread: JoinHandle<LaneEnd>,
    /// What is still to come.
    pub(crate) progress: Receiver<Progress>,
    /// To end its sleep.
    pub(crate) waker: Waker,
    /// How the log is written.
    pub(crate) disk: Box<DiskStatus>,
    /// Hands the lane what it waits for.
    pub(crate) begin: Sender<Begin>,
}

/// What the lane's thread needs before it can turn.
pub(crate) struct Begin {
    /// Where calls come in.
    pub(crate) door: LaneDoor,
    /// Sees every new picture.
    pub(crate) broker: Arc<Broker>,
    /// So does this.
    pub(crate) node: Arc<Node>,
    /// Tells who asks how the lane goes.
    pub(crate) pulse: Pulse,
    /// To be told which segments the log has.
    pub(crate) oldest: OldestSlot,
    /// Where work for the store is left; `None` without one.
    pub(crate) desk: Option<StoreDesk>,
    /// Where states to be kept are left; `None` when none are.
    pub(crate) state_desk: Option<StateDesk>,
}

/// The lane's configuration of a node alone.
pub(crate) fn lane_config(
    options: &Options,
    directory: &DataDirectory,
    listen: SocketAddr,
    listeners: Vec<Listener>,
) -> Result<LaneConfig, Report> {
    let mut seed = [0; 8];
    random(&mut seed)?;
    let identity = directory.identity;
    let mut wal = WalConfig::new(identity.cluster, identity.node, LaneId(0), options.wal_bytes);
    if wal.segment_bytes != identity.segment_bytes {
        wal.segment_bytes = identity.segment_bytes;
        wal.reserve_bytes =
            WalConfig::default_reserve_bytes(options.wal_bytes, identity.segment_bytes);
        let quarter = u32::try_from(identity.segment_bytes / 4).unwrap_or(u32::MAX);
        wal.frame_bytes_max = wal.frame_bytes_max.min(quarter);
    }
    Ok(LaneConfig {
        node: identity.node,
        wal,
        founding: Founding {
            cluster: identity.cluster,
            nodes: vec![identity.node],
            data_shards: DATA_SHARDS,
        },
        listeners,
        tail_cache_bytes: options.tail_cache_bytes,
        facts: facts(options, identity.node, Some(listen)),
        store: options.store_url.as_ref().map(|_| {
            let every_ns = u64::try_from(options.scrub_every.as_nanos()).unwrap_or(u64::MAX);
            StoreConfig { scrub_every_ns: every_ns, ..options.history }
        }),
        seed: u64::from_le_bytes(seed),
        planted: PlantedBugs::default(),
    })
}

/// Starts the lane's thread and waits until it has opened its disk.
pub(crate) fn start(
    options: &Options,
    directory: DataDirectory,
    config: LaneConfig,
    kept: KeptStates,
) -> Result<StartedLane, Report> {
    let (progress_out, progress) = channel();
    let (begin, begin_in) = channel();
    let options = options.clone();
    let thread = Builder::new()
        .name("lane-0".to_owned())
        .spawn(move || body(&options, directory, config, kept, &progress_out, &begin_in))
        .map_err(|error| {
            Report::new(
                Code::SystemRefused,
                "the lane's thread cannot be started",
                error.to_string(),
                "raise the limit on tasks (TasksMax= in the unit)",
            )
        })?;
    match progress.recv() {
        Ok(Progress::Opened(waker, disk)) => {
            Ok(StartedLane { thread, progress, waker, disk, begin })
        }
        Ok(Progress::Failed(report)) => Err(*report),
        _ => Err(ended_early()),
    }
}

/// A panic on the lane's thread has been printed; there is nothing to add to it.
pub(crate) fn ended_early() -> Report {
    Report::new(
        Code::SystemRefused,
        "the lane ended before the node was ready",
        "its thread panicked; the message stands above",
        "report it with that message; the data is as it was",
    )
}

fn body(
    options: &Options,
    directory: DataDirectory,
    config: LaneConfig,
    kept: KeptStates,
    progress: &Sender<Progress>,
    begin: &Receiver<Begin>,
) -> LaneEnd {
    // A boot thread that is gone needs no progress.
    let tell = |step: Progress| drop(progress.send(step));
    let path = directory.lane_path();
    let opened = probe(&path).and_then(|found| {
        tracing::info!(
            direct_io = found.direct_io,
            filesystem = %found.device.filesystem,
            device = found.device.device.as_deref().unwrap_or("unknown"),
            io_uring = ?found.io_uring,
            "the log's device was probed"
        );
        AnyDisk::open(&path, options.wal_backend, DiskOptions::default())
    });
    let disk = match opened {
        Ok(disk) => disk,
        Err(error) => {
            let report = of_disk(&path, options.wal_backend, &error);
            tell(Progress::Failed(Box::new(report)));
            return LaneEnd::Stopped;
        }
    };
    tell(Progress::Opened(disk.waker(), Box::new(disk.status())));
    let Ok(Begin { door, broker, node, pulse, oldest, desk, state_desk }) = begin.recv() else {
        return LaneEnd::Stopped;
    };
    let lane = match make_or_recover(options, directory, config, kept, disk) {
        Ok(lane) => lane,
        Err(report) => {
            tell(Progress::Failed(Box::new(report)));
            return LaneEnd::Stopped;
        }
    };
    tell(Progress::Recovered);
    let publish = |published: Published| {
        broker.publish(&published);
        node.publish(published);
    };
    drop(oldest.set(lane.oldest_segment()));
    let store_work = |work| {
        if let Some(desk) = &desk {
            desk.leave(work);
        }
    };
    let state_work = |work| {
        if let Some(desk) = &state_desk {
            desk.leave(work);
        }
    };
    run(lane, &door, pulse, publish, store_work, state_work, || tell(Progress::Ready))
}

fn make_or_recover(
    options: &Options,
    mut directory: DataDirectory,
    config: LaneConfig,
    kept: KeptStates,
    mut disk: AnyDisk,
) -> Result<Lane<AnyDisk>, Report> {
    let path = directory.lane_path();
    if !directory.identity.log_made {
        tracing::info!(path = %path.display(), "making the write-ahead log of a new cluster");
        Lane::format(&mut disk, &config)
            .map_err(|error| of_wal(&path, options.wal_backend, &error))?;
        directory.mark_log_made()?;
    }
    Lane::open_kept(disk, config, kept, KernelClock.now()).map_err(|error| match error {
        DriverError::Wal(error) => of_wal(&path, options.wal_backend, &error),
        other => of_recovery(&path, &other),
    })
}
