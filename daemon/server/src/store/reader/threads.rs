//! Threads of their own for reads of history, so that nobody who produces waits behind them.
//!
//! ```text
//! connections, few threads:  produce ─▶ lane       fetch ─▶ ask ┐      ┌─▶ answer
//! history, threads of its own:                                  └▶ GET, check, keep
//! ```
//!
//! A fetch of eight partitions checks and copies megabytes at a time; on the threads of connections
//! every produce request that arrives meanwhile would wait for it.
//!
//! Invariant: a read that nobody waits for any more ends.

use super::turns::AT_ONCE_MAX;
use holdfast_broker::{ColdError, ObjectAnswer, ObjectRead, ObjectReader};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// Files are read by these.
const BLOCKING_THREADS_MAX: usize = AT_ONCE_MAX;

/// Reads by `inner`, elsewhere.
pub struct OwnThreads {
    inner: Arc<dyn ObjectReader>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl OwnThreads {
    /// Starts the threads: half as many as there are cores.
    ///
    /// # Errors
    /// When the system has none for it.
    pub fn start(inner: Arc<dyn ObjectReader>) -> std::io::Result<OwnThreads> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads((cores / 2).max(1))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("history")
            .enable_all()
            .build()?;
        Ok(OwnThreads { inner, runtime: Some(runtime) })
    }
}

/// Ends a read that nobody waits for.
struct Wanted(AbortHandle);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ObjectReader for OwnThreads {
    fn read(&self, read: ObjectRead) -> ObjectAnswer {
        let Some(runtime) = &self.runtime else {
            return Box::pin(std::future::ready(Err(stopping())));
        };
        let task = runtime.spawn(self.inner.read(read));
        let wanted = Wanted(task.abort_handle());
        Box::pin(async move {
            let read = task.await.unwrap_or_else(|_| Err(stopping()));
            drop(wanted);
            read
        })
    }
}

fn stopping() -> ColdError {
    ColdError("the node is stopping".to_owned())
}

impl Drop for OwnThreads {
    fn drop(&mut self) {
        // A runtime must not be waited for on a thread of another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_broker::ObjectWant;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Tells which thread reads, or waits for ever and tells when it is given up.
    struct Told {
        thread: std::sync::Mutex<Option<oneshot::Sender<Option<String>>>>,
        given_up: std::sync::Mutex<Option<oneshot::Sender<()>>>,
    }

    impl ObjectReader for Told {
        fn read(&self, _read: ObjectRead) -> ObjectAnswer {
            let thread = self.thread.lock().expect("whole").take();
            let given_up = self.given_up.lock().expect("whole").take();
            Box::pin(async move {
                let name = std::thread::current().name().map(str::to_owned);
                if let Some(thread) = thread {
                    drop(thread.send(name));
                }
                if let Some(given_up) = given_up {
                    // Dropped with this future, which is how the test knows.
                    let _given_up = given_up;
                    std::future::pending::<()>().await;
                }
                Ok(Vec::new())
            })
        }
    }

    fn read() -> ObjectRead {
        let place = holdfast_lane::ObjectPlace {
            identity: crate::store::testing::identity(1),
            object_bytes: 1,
            tail_bytes: 1,
        };
        let want = ObjectWant::From { offset: 0, max_bytes: 1, next: None };
        let partition = crate::store::testing::partition(0);
        ObjectRead { object: place, partition, want }
    }

    #[tokio::test]
    async fn history_is_read_on_threads_of_its_own_and_not_for_nobody() {
        let (thread, named) = oneshot::channel();
        let (given_up, gone) = oneshot::channel::<()>();
        let told = Told { thread: Some(thread).into(), given_up: Some(given_up).into() };
        let reader = OwnThreads::start(Arc::new(told)).expect("threads");
        let answer = reader.read(read());
        assert_eq!(named.await.expect("it began").as_deref(), Some("history"));
        drop(answer);
        let ended = tokio::time::timeout(Duration::from_secs(10), gone).await;
        assert!(ended.expect("it ended").is_err(), "nobody waits for it");
        assert_eq!(reader.read(read()).await, Ok(Vec::new()), "others are read");
    }
}
