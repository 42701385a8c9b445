//! Does what a lane asks of the store, one thing at a time, for as long as it takes.
//!
//! ```text
//! work ─▶ waiting ─▶ the first that is due ─▶ try, under a time limit ─▶ Stored ─▶ lane
//!            ▲                                        │
//!            └──────── later: 1 s, 2 s ... 60 s ◀─────┘ the store failed
//! ```
//!
//! What fails goes behind what is due, so a deletion that the store denies holds no upload up. An upload
//! whose object is to be deleted is dropped: its intent was abandoned. Only a log that cannot be read ends
//! an upload ([`Stored::NotUploaded`]); a store that fails never does.

use super::backoff::Backoff;
use super::checkpoints;
use super::counters::StoreCounters;
use super::log_source::{Log, LogSource};
use crate::report::{Code, records_between};
use holdfast_base::{Clock, SplitMix64};
use holdfast_broker::LaneClient;
use holdfast_lane::{MergeJob, Request, StateCheckpoint, StoreWork, Stored, UploadJob};
use holdfast_tier::store::{Action, Store};
use holdfast_tier::{
    Checked, ExpectedObject, Manifest, ManifestRow, ObjectHead, ObjectIdentity, ReadBack, StoreKey,
    check_object, merge, upload,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// An object of 64 MiB in this time is half a megabyte a second; a slower store is as good as none.
const UPLOAD_LIMIT: Duration = Duration::from_secs(120);
/// An object read at [`CHECK_BYTES_PER_S`], several times over.
const CHECK_LIMIT: Duration = Duration::from_secs(600);
/// Objects are looked through this fast at most: a week's interval is enough for 10 TB, and a store
/// that serves consumers notices little.
const CHECK_BYTES_PER_S: u64 = 16 << 20;
/// What was read wrong is read once more after this: it may have been damaged on the way.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A small request.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// A pause as long as this is told as an error: the store has been away for a while.
const LOUD_FROM: Duration = Duration::from_secs(8);

/// What a worker works with.
pub struct Worker {
    /// The site's store.
    pub store: Arc<dyn Store>,
    /// The lane's log.
    pub log: Log,
    /// Where answers go.
    pub lane: Arc<dyn LaneClient>,
    /// What is shown.
    pub counters: Arc<StoreCounters>,
    /// For what is shown.
    pub clock: Arc<dyn Clock + Send + Sync>,
    /// Spreads pauses.
    pub rng: SplitMix64,
}

struct Waiting {
    work: StoreWork,
    not_before: Instant,
    backoff: Backoff,
}

/// Why something was not done; it is tried again.
type Failed = String;

impl Worker {
    /// Works until nobody can ask for more, or the lane has ended.
    pub async fn run(mut self, mut asked: UnboundedReceiver<StoreWork>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            while let Ok(work) = asked.try_recv() {
                take(&mut waiting, work, Instant::now());
            }
            let now = Instant::now();
            let Some(at) = waiting.iter().position(|one| one.not_before <= now) else {
                let next = waiting.iter().map(|one| one.not_before).min();
                let due = async {
                    match next {
                        Some(next) => sleep_until(next).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    work = asked.recv() => match work {
                        Some(work) => take(&mut waiting, work, Instant::now()),
                        None => return,
                    },
                    () = due => {}
                }
                continue;
            };
            let mut one = waiting.remove(at);
            match self.attempt(&one.work).await {
                Ok(stored) => {
                    self.counters.succeeded(self.clock.now());
                    if self.lane.call(Request::Stored(stored)).await.is_none() {
                        return;
                    }
                }
                Err(why) => {
                    let pause = one.backoff.next(&mut self.rng);
                    self.note_failure(&one.work, &why, pause);
                    one.not_before = Instant::now() + pause;
                    // Work that came meanwhile may have withdrawn it.
                    while let Ok(work) = asked.try_recv() {
                        take(&mut waiting, work, Instant::now());
                    }
                    if !waiting.iter().any(|other| other.work.withdraws(&one.work)) {
                        waiting.push(one);
                    }
                }
            }
        }
    }

    async fn attempt(&self, work: &StoreWork) -> Result<Stored, Failed> {
        match work {
            StoreWork::Upload(job) => {
                let tried = timeout(UPLOAD_LIMIT, self.upload(job)).await;
                tried.unwrap_or_else(|_| Err(late(UPLOAD_LIMIT)))
            }
            StoreWork::Merge(job) => {
                let tried = timeout(UPLOAD_LIMIT, self.merge(job)).await;
                tried.unwrap_or_else(|_| Err(late(UPLOAD_LIMIT)))
            }
            StoreWork::Repair(job) => {
                let tried = timeout(UPLOAD_LIMIT, self.repair(job)).await;
                tried.unwrap_or_else(|_| Err(late(UPLOAD_LIMIT)))
            }
            StoreWork::Check(job) => {
                let tried = timeout(CHECK_LIMIT, self.check(job)).await;
                tried.unwrap_or_else(|_| Err(late(CHECK_LIMIT)))
            }
            StoreWork::Delete { shard, object, .. } => {
                let tried = timeout(REQUEST_LIMIT, self.delete(object)).await;
                tried.unwrap_or_else(|_| Err(late(REQUEST_LIMIT)))?;
                Ok(Stored::Deleted { shard: *shard, object: object.object })
            }
            StoreWork::Checkpoint(state) => {
                let tried = timeout(REQUEST_LIMIT, self.checkpoint(state)).await;
                tried.unwrap_or_else(|_| Err(late(REQUEST_LIMIT)))?;
                Ok(Stored::Checkpointed { shard: state.shard, applied: state.applied })
            }
        }
    }

    async fn upload(&self, job: &UploadJob) -> Result<Stored, Failed> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        match self.write(job, ReadBack::Tail).await? {
            Ok(manifest) => {
                self.counters.uploads.add(1);
                self.counters.uploaded_bytes.add(manifest.object_bytes);
                let bytes = manifest.object_bytes;
                tracing::debug!(shard = shard.0, %object, bytes, "an object is in the store");
                Ok(Stored::Uploaded { shard, manifest })
            }
            Err(why) => {
                self.counters.uploads_given_up.add(1);
                Ok(Stored::NotUploaded { shard, object, why })
            }
        }
    }

    /// As an upload, but all of it is read back: its twin was wrong.
    async fn repair(&self, job: &UploadJob) -> Result<Stored, Failed> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        match self.write(job, ReadBack::Whole).await? {
            Ok(manifest) => {
                self.counters.repairs.add(1);
                Ok(Stored::Repaired { shard, manifest })
            }
            Err(why) => Ok(Stored::NotRepaired { shard, object, why }),
        }
    }

    /// Writes an object of the log; or why it is given up, since the log's bytes are wrong or gone and
    /// the same again would change nothing.
    async fn write(
        &self,
        job: &UploadJob,
        read_back: ReadBack,
    ) -> Result<Result<Manifest, String>, Failed> {
        let (plan, mut source) = match LogSource::plan(job, &self.log) {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match upload(&*self.store, plan, &mut source, read_back).await {
            Ok(manifest) => Ok(Ok(manifest)),
            Err(error) if error.action() == Action::Refuse => Ok(Err(error.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn merge(&self, job: &MergeJob) -> Result<Stored, Failed> {
        let (shard, object) = (job.identity.shard, job.identity.object);
        let head = ObjectHead {
            identity: job.identity,
            first_index: job.first_index,
            last_index: job.last_index,
            last_term: job.last_term,
            created_ms: job.created_ms,
        };
        match merge(&*self.store, head, &job.sources, ReadBack::Tail).await {
            Ok(manifest) => {
                self.counters.merges.add(1);
                self.counters.merged_bytes.add(manifest.object_bytes);
                let sources = job.sources.len();
                tracing::debug!(shard = shard.0, %object, sources, "objects are merged");
                Ok(Stored::Merged { shard, manifest })
            }
            // A source is gone, since its topic was deleted meanwhile, or damaged.
            Err(error) if error.action() == Action::Refuse => {
                self.counters.merges_given_up.add(1);
                let culprit = error.culprit();
                Ok(Stored::NotMerged { shard, object, culprit, why: error.to_string() })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Reads an object whole, and once more if it reads wrong.
    async fn check(&self, job: &ExpectedObject) -> Result<Stored, Failed> {
        let pace = async |bytes: u64| {
            sleep(Duration::from_micros(bytes * 1_000_000 / CHECK_BYTES_PER_S)).await;
        };
        let read = async || check_object(&*self.store, job, pace).await;
        let mut found = read().await.map_err(|error| error.to_string())?;
        if found != Checked::Whole {
            sleep(CHECK_AGAIN_AFTER).await;
            found = read().await.map_err(|error| error.to_string())?;
        }
        let (shard, object, bytes) = (job.identity.shard, job.identity.object, job.object_bytes);
        self.counters.checks.add(1);
        self.counters.checked_bytes.add(bytes);
        let wrong = match found {
            Checked::Whole => None,
            Checked::Wrong(why) => {
                self.counters.wrong_objects.add(1);
                let (key, records) = (StoreKey::of(&job.identity), records_of(job));
                tracing::error!(
                    code = Code::ObjectWrong.text(),
                    shard = shard.0,
                    %key,
                    why,
                    records,
                    "an object is not what was written"
                );
                self.counters.found_wrong(format!("{key}: {why}; {records}"));
                Some(why)
            }
        };
        Ok(Stored::Checked { shard, object, bytes, wrong })
    }

    async fn delete(&self, object: &ObjectIdentity) -> Result<(), Failed> {
        let key = StoreKey::of(object);
        self.store.delete(&key).await.map_err(|error| error.to_string())?;
        self.counters.deletions.add(1);
        Ok(())
    }

    async fn checkpoint(&self, state: &StateCheckpoint) -> Result<(), Failed> {
        let shard = state.shard;
        let (key, bytes) = checkpoints::encode(state);
        checkpoints::put(&*self.store, &key, &bytes.into()).await?;
        self.counters.checkpoints.add(1);
        if let Err(error) = checkpoints::delete_older(&*self.store, state.cluster, shard).await {
            // The next one tries again; too many do no harm.
            tracing::debug!(shard = shard.0, %error, "older checkpoints stay in the store");
        }
        Ok(())
    }

    fn note_failure(&self, work: &StoreWork, why: &str, pause: Duration) {
        let what = match work {
            StoreWork::Upload(_) => {
                self.counters.upload_failures.add(1);
                "an object is not in the store"
            }
            StoreWork::Merge(_) => {
                self.counters.merge_failures.add(1);
                "objects are not merged"
            }
            StoreWork::Repair(_) => {
                self.counters.repair_failures.add(1);
                "an object that is wrong is not made again"
            }
            StoreWork::Check(_) => {
                self.counters.check_failures.add(1);
                "an object is not looked through"
            }
            StoreWork::Delete { .. } => {
                self.counters.deletion_failures.add(1);
                "an object is not deleted"
            }
            StoreWork::Checkpoint(_) => {
                self.counters.checkpoint_failures.add(1);
                "a state is not kept"
            }
        };
        self.counters.failed(why.to_owned());
        let again_s = pause.as_secs_f32();
        if pause < LOUD_FROM {
            tracing::warn!(why, again_s, "{what}; it is tried again");
        } else {
            tracing::error!(why, again_s, "{what}; it is tried again, and the log fills meanwhile");
        }
    }
}

/// Which records an object holds, for people.
fn records_of(job: &ExpectedObject) -> String {
    let row = |row: &ManifestRow| records_between(&row.partition, row.base_offset, row.last_offset);
    job.rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

fn late(limit: Duration) -> Failed {
    format!("the object store has not answered for {} s", limit.as_secs())
}

/// Queues work; a deletion takes the upload of its object along.
fn take(waiting: &mut Vec<Waiting>, work: StoreWork, now: Instant) {
    waiting.retain(|one| !work.withdraws(&one.work));
    waiting.push(Waiting { work, not_before: now, backoff: Backoff::default() });
}

#[cfg(test)]
mod tests;
