//! Opening the store, and the thread that works for the lane.
//!
//! ```text
//! open:   settings, credentials ─▶ Store, once for readers and once for writers
//! start:  lane ── StoreDesk ─┬▶ objects     ─▶ Worker ┐
//!                            ├▶ merges      ─▶ Worker ├ one thread, beside those of connections
//!                            ├▶ checkpoints ─▶ Worker ┤
//!                            └▶ checks      ─▶ Worker ┘
//! ```
//!
//! Four workers, so that a state is kept while a large object is on its way, no merge holds the log
//! up, and a check may take its time.

use super::worker::Worker;
use crate::report::{Code, Report};
use crate::settings::Options;
use holdfast_lane::StoreWork;
use holdfast_tier::ObjectKind;
use holdfast_tier::store::{Patience, S3Options, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Where a lane leaves its work. What it leaves is bounded by the lane: two uploads, one merge or
/// repair, one checkpoint and one check of each shard.
#[derive(Clone, Debug)]
pub struct StoreDesk {
    objects: UnboundedSender<StoreWork>,
    merges: UnboundedSender<StoreWork>,
    states: UnboundedSender<StoreWork>,
    checks: UnboundedSender<StoreWork>,
}

impl StoreDesk {
    /// Leaves one thing to do.
    pub fn leave(&self, work: StoreWork) {
        let worker = match &work {
            StoreWork::Upload(_) | StoreWork::Delete { kind: ObjectKind::Cut, .. } => &self.objects,
            StoreWork::Merge(_)
            | StoreWork::Repair(_)
            | StoreWork::Delete { kind: ObjectKind::Merged, .. } => &self.merges,
            StoreWork::Check(_) => &self.checks,
            StoreWork::Checkpoint(_) => &self.states,
        };
        // A worker that is gone has met the end of the lane.
        drop(worker.send(work));
    }
}

/// Opens the store of the settings, for readers or for writers. A bucket that is away opens: whoever
/// uses it finds out, and tries again.
///
/// # Errors
/// When it cannot be used as it is described.
pub fn open(options: &Options, patience: Patience) -> Result<Option<Arc<dyn Store>>, Report> {
    let Some((url, described)) = described(options)? else { return Ok(None) };
    let opened = holdfast_tier::store::open(&url, &described, patience);
    opened.map(Some).map_err(|error| {
        let try_next = match url.starts_with("s3://") {
            true => NAME_A_KEY,
            false => "mount or make the directory; it must belong to the daemon's user",
        };
        unusable(&url, error.to_string(), try_next)
    })
}

fn unusable(url: &str, why: String, try_next: &str) -> Report {
    let what = format!("the object store {url} cannot be opened");
    Report::new(Code::StoreUnusable, what, why, try_next)
}

/// The store of the settings, its key's file found; `None` without one.
///
/// # Errors
/// When that file cannot be found.
pub fn described(options: &Options) -> Result<Option<(String, S3Options)>, Report> {
    let Some(url) = &options.store_url else { return Ok(None) };
    let mut described = options.store.clone();
    if url.starts_with("s3://") {
        let handed_over = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let path = credentials(options.store.credentials.clone(), handed_over);
        described.credentials = Some(path.map_err(|why| unusable(url, why, NAME_A_KEY))?);
    }
    Ok(Some((url.clone(), described)))
}

/// What an operator may have to do about a bucket.
const NAME_A_KEY: &str = "set store.credentials to a file with the access key that only the \
    daemon's user reads, and look at the other store.* settings; `holdfast store probe` tries them";

/// The file that `named` means; a plain name lies where systemd hands credentials over.
fn credentials(named: Option<PathBuf>, handed_over: Option<PathBuf>) -> Result<PathBuf, String> {
    let named = named.unwrap_or_default();
    if named.is_absolute() {
        return Ok(named);
    }
    match handed_over {
        Some(directory) => Ok(directory.join(named)),
        None => Err(format!(
            "systemd handed no credentials over ($CREDENTIALS_DIRECTORY is not set), and {:?} is \
             looked for there",
            named.display().to_string()
        )),
    }
}

/// The workers of a lane.
pub struct Workers {
    /// Objects of the log.
    pub objects: Worker,
    /// Objects of others.
    pub merges: Worker,
    /// Checkpoints.
    pub states: Worker,
    /// Objects that are looked through.
    pub checks: Worker,
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
    let (checks_in, checks_out) = unbounded_channel();
    let work = move || {
        runtime.block_on(async {
            tokio::join!(
                workers.objects.run(objects_out),
                workers.merges.run(merges_out),
                workers.states.run(states_out),
                workers.checks.run(checks_out)
            );
        });
    };
    Builder::new().name("store".to_owned()).spawn(work).map_err(refused)?;
    Ok(StoreDesk { objects: objects_in, merges: merges_in, states: states_in, checks: checks_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_looked_for_where_systemd_hands_over() {
        let name = || Some(PathBuf::from("store-credentials"));
        let handed_over = Some(PathBuf::from("/run/credentials/holdfastd.service"));
        let found = credentials(name(), handed_over.clone()).expect("handed over");
        assert_eq!(found, PathBuf::from("/run/credentials/holdfastd.service/store-credentials"));
        assert!(credentials(name(), None).expect_err("nothing was").contains("store-credentials"));
        let absolute = PathBuf::from("/etc/holdfast/key");
        assert_eq!(credentials(Some(absolute.clone()), handed_over), Ok(absolute));
    }
}
