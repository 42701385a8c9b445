//! Threads that make blocking calls for a disk, and the queue their results come back on.
//!
//! Requests start in the order they were queued; several threads of one set let that many run
//! at once. Dropping the set forgets what has not started and waits for what has: nothing of a
//! dropped disk touches its files later.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use crate::directory::{Directory, OpenFile, assert_new_file};
use crate::{Completion, DiskError, DiskErrorKind, Token, Waker};

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct JobQueue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

impl JobQueue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if jobs.closed {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            jobs = self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A few threads with one queue of work.
pub(crate) struct HelperThreads {
    queue: Arc<JobQueue>,
    threads: Vec<JoinHandle<()>>,
}

impl HelperThreads {
    pub(crate) fn start(name: &str, count: usize) -> Result<HelperThreads, DiskError> {
        let queue = Arc::new(JobQueue::default());
        let mut helpers = HelperThreads { queue, threads: Vec::with_capacity(count) };
        for number in 0..count {
            let queue = Arc::clone(&helpers.queue);
            let run = move || {
                while let Some(job) = queue.next() {
                    job();
                }
            };
            let thread = thread::Builder::new().name(format!("{name}-{number}")).spawn(run);
            helpers.threads.push(thread.map_err(|error| thread_error(name, &error))?);
        }
        Ok(helpers)
    }

    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) {
        self.queue.lock().waiting.push_back(Box::new(job));
        self.queue.changed.notify_one();
    }
}

impl Drop for HelperThreads {
    fn drop(&mut self) {
        {
            let mut jobs = self.queue.lock();
            jobs.closed = true;
            jobs.waiting.clear();
        }
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was printed when it happened; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

fn thread_error(name: &str, error: &io::Error) -> DiskError {
    DiskError {
        kind: DiskErrorKind::Failed,
        attempted: format!("starting the helper thread {name}"),
        detail: format!("{error}; is the limit on tasks (TasksMax=) reached?"),
    }
}

/// What a helper thread has finished. A created file gets its id from the lane, at `poll`.
pub(crate) enum Ended {
    Write { token: Token, result: Result<(), DiskError> },
    Read { token: Token, result: Result<Bytes, DiskError> },
    Create { token: Token, result: Result<OpenFile, DiskError> },
}

/// Results of helper threads, in the order they ended.
#[derive(Clone)]
pub(crate) struct EndedQueue {
    ended: Arc<Mutex<VecDeque<Ended>>>,
    waker: Waker,
}

impl EndedQueue {
    pub(crate) fn new(waker: Waker) -> EndedQueue {
        EndedQueue { ended: Arc::default(), waker }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, ended: Ended) {
        self.lock().push_back(ended);
        self.waker.wake();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Gives created files their ids and writes their last judgement.
    pub(crate) fn drain_into(
        &self,
        directory: &mut Directory,
        failure: &DeviceFailure,
        completions: &mut Vec<Completion>,
    ) {
        let ended = std::mem::take(&mut *self.lock());
        completions.extend(ended.into_iter().map(|ended| match ended {
            Ended::Write { token, result } => {
                Completion::Write { token, result: failure.judge(result) }
            }
            Ended::Read { token, result } => Completion::Read { token, result },
            Ended::Create { token, result } => Completion::Create {
                token,
                result: failure.judge(result).map(|file| directory.add(file)),
            },
        }));
    }
}

/// Makes a file on a helper thread; ends in [`Ended::Create`].
pub(crate) fn create_on_helper(
    creator: &HelperThreads,
    directory: &Directory,
    ended: &EndedQueue,
    name: &str,
    len_bytes: u64,
    token: Token,
) {
    assert_new_file(name, len_bytes);
    let (place, ended, name) = (Arc::clone(directory.place()), ended.clone(), name.to_owned());
    creator.submit(move || {
        let result = place.create_file(&name, len_bytes);
        ended.push(Ended::Create { token, result });
    });
}

/// The device's first failed write. Set once: a device does not heal.
#[derive(Clone, Default)]
pub(crate) struct DeviceFailure {
    first: Arc<OnceLock<DiskError>>,
}

impl DeviceFailure {
    /// Passes `result` on, remembering a failure; after one, nothing is `Ok` any more, not even
    /// a write that ended well: its flush may have reported on pages already dropped.
    pub(crate) fn judge<T>(&self, result: Result<T, DiskError>) -> Result<T, DiskError> {
        match result {
            Ok(value) => self.check().map(|()| value),
            Err(error) => {
                if error.kind == DiskErrorKind::Failed {
                    let _ = self.first.set(error.clone());
                }
                Err(error)
            }
        }
    }

    /// An error once the device has failed.
    pub(crate) fn check(&self) -> Result<(), DiskError> {
        match self.first.get() {
            None => Ok(()),
            Some(first) => Err(DiskError {
                kind: DiskErrorKind::Failed,
                attempted: "writing after the device failed".to_owned(),
                detail: format!("the first failure was: {first}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: DiskErrorKind) -> DiskError {
        DiskError { kind, attempted: "writing".to_owned(), detail: "EIO".to_owned() }
    }

    #[test]
    fn after_one_failure_nothing_is_ok_any_more() {
        let failure = DeviceFailure::default();
        assert_eq!(failure.judge(Ok(1)), Ok(1));
        assert!(failure.judge::<()>(Err(error(DiskErrorKind::Failed))).is_err());
        let later = failure.judge(Ok(1)).unwrap_err();
        assert_eq!(later.kind, DiskErrorKind::Failed);
        assert!(later.detail.contains("EIO"), "the first failure is named");
    }

    #[test]
    fn a_full_device_has_not_failed() {
        let failure = DeviceFailure::default();
        assert!(failure.judge::<()>(Err(error(DiskErrorKind::Full))).is_err());
        assert_eq!(failure.check(), Ok(()));
    }
}
