//! Opening the store, and the thread that works for the lane.
//!
//! ```text
//! open:   URL ─▶ Store
//! start:  lane ── StoreDesk ─┬▶ objects     ─▶ Worker ┐
//!                            ├▶ merges      ─▶ Worker ├ one thread, beside those of connections
//!                            └▶ checkpoints ─▶ Worker ┘
//! ```
//!
//! Three workers, so that a state is kept while a large object is on its way, and no merge holds
//! the log up.

use super::worker::Worker;
use crate::report::{Code, Report};
use holdfast_lane::StoreWork;
use holdfast_tier::ObjectKind;
use holdfast_tier::store::{Store, StoreErrorKind};
use std::sync::Arc;
use std::thread::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Where a lane leaves its work. What it leaves is bounded by the lane: two uploads, one merge and one
/// checkpoint of each shard.
#[derive(Clone, Debug)]
pub struct StoreDesk {
    objects: UnboundedSender<StoreWork>,
    merges: UnboundedSender<StoreWork>,
    states: UnboundedSender<StoreWork>,
}

impl StoreDesk {
    /// Leaves one thing to do.
    pub fn leave(&self, work: StoreWork) {
        let worker = match &work {
            StoreWork::Upload(_) | StoreWork::Delete { kind: ObjectKind::Cut, .. } => &self.objects,
            StoreWork::Merge(_) | StoreWork::Delete { kind: ObjectKind::Merged, .. } => {
                &self.merges
            }
            StoreWork::Checkpoint(_) => &self.states,
        };
        // A worker that is gone has met the end of the lane.
        drop(worker.send(work));
    }
}

/// Opens the store of a URL.
///
/// # Errors
/// When it is not there, or this build does not know it.
pub fn open(url: &str) -> Result<Arc<dyn Store>, Report> {
    holdfast_tier::store::open(url).map_err(|error| {
        let try_next = match error.kind() {
            StoreErrorKind::Unsupported => "give store.url as file:///absolute/directory",
            _ => "mount or make the directory; it must belong to the daemon's user",
        };
        let what = format!("the object store {url} cannot be opened");
        Report::new(Code::StoreUnusable, what, error.to_string(), try_next)
    })
}

/// The workers of a lane.
pub struct Workers {
    /// Objects of the log.
    pub objects: Worker,
    /// Objects of others.
    pub merges: Worker,
    /// Checkpoints.
    pub states: Worker,
}

/// Starts the thread of all workers.
///
/// # Errors
/// When the system has no thread for it.
pub fn start_workers(workers: Workers) -> Result<StoreDesk, Report> {
    let refused = |error: std::io::Error| {
        Report::new(
            Code::SystemRefused,
            "the store's thread cannot be started",
            error.to_string(),
            "raise the limit on tasks (TasksMax= in the unit)",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .thread_name("store-io")
        .enable_all()
        .build()
        .map_err(refused)?;
    let (objects_in, objects_out) = unbounded_channel();
    let (merges_in, merges_out) = unbounded_channel();
    let (states_in, states_out) = unbounded_channel();
    let work = move || {
        runtime.block_on(async {
            tokio::join!(
                workers.objects.run(objects_out),
                workers.merges.run(merges_out),
                workers.states.run(states_out)
            );
        });
    };
    Builder::new().name("store".to_owned()).spawn(work).map_err(refused)?;
    Ok(StoreDesk { objects: objects_in, merges: merges_in, states: states_in })
}
