//! How many GETs are made at a time, so that history steps back while records are produced.
//!
//! ```text
//! a directory   nobody produces: 4 at a time      somebody does: 1
//! a bucket      as many as readers ask for
//! ```
//!
//! A directory may lie on the device of the log. A device serves reads before writes (the deadline
//! scheduler of Linux does, by design), so a log's write waits behind all reads that are under way:
//! with four of a megabyte and the kernel's read-ahead behind each, 60 ms where it takes 0.3 ms alone.
//! One at a time keeps the device two thirds as busy, and the wait below a millisecond.
//!
//! Caveat: what counts as produced is requests of clients; a log that is read by its own uploads and
//! merges is not looked at.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Where nobody produces: as many as keep a device busy.
pub(super) const AT_ONCE_MAX: usize = 4;
const BESIDE_PRODUCERS_MAX: usize = 1;
/// A client that produced within this will again.
const PRODUCING_FOR: Duration = Duration::from_secs(1);

/// Requests of producers so far.
type Produced = Box<dyn Fn() -> u64 + Send + Sync>;

/// See the module. The default makes no one wait.
#[derive(Default)]
pub struct Turns(Option<Inner>);

struct Inner {
    produced: Produced,
    seen: Mutex<Seen>,
    all: Semaphore,
    beside_producers: Semaphore,
}

/// What was produced when it was looked last, and since when it is so.
#[derive(Clone, Copy)]
struct Seen {
    produced: u64,
    changed: Option<Instant>,
}

/// One GET; others may go when it is dropped.
#[must_use]
pub struct Turn<'a> {
    _all: Option<SemaphorePermit<'a>>,
    _beside_producers: Option<SemaphorePermit<'a>>,
}

impl Turns {
    /// For a store whose device others use; `produced`: requests of producers so far.
    #[must_use]
    pub fn beside_producers(produced: impl Fn() -> u64 + Send + Sync + 'static) -> Turns {
        let seen = Mutex::new(Seen { produced: produced(), changed: None });
        Turns(Some(Inner {
            produced: Box::new(produced),
            seen,
            all: Semaphore::new(AT_ONCE_MAX),
            beside_producers: Semaphore::new(BESIDE_PRODUCERS_MAX),
        }))
    }

    /// Waits for one.
    pub async fn take(&self) -> Turn<'_> {
        let Some(inner) = &self.0 else { return Turn { _all: None, _beside_producers: None } };
        // Neither is ever closed. The narrow gate first: who waits there holds nothing.
        let beside_producers = match inner.somebody_produces() {
            true => inner.beside_producers.acquire().await.ok(),
            false => None,
        };
        let all = inner.all.acquire().await.ok();
        Turn { _all: all, _beside_producers: beside_producers }
    }
}

impl Inner {
    fn somebody_produces(&self) -> bool {
        let produced = (self.produced)();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.produced != produced {
            *seen = Seen { produced, changed: Some(Instant::now()) };
        }
        seen.changed.is_some_and(|changed| changed.elapsed() < PRODUCING_FOR)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "beside producers" } else { "any" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::time::{sleep, timeout};

    async fn is_free(turns: &Turns) -> bool {
        timeout(Duration::from_millis(10), turns.take()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn history_reads_one_at_a_time_while_somebody_produces_and_more_afterwards() {
        let produced = Arc::new(AtomicU64::new(7));
        let counted = Arc::clone(&produced);
        let turns = Turns::beside_producers(move || counted.load(Ordering::Relaxed));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE_MAX {
            held.push(turns.take().await);
        }
        assert!(!is_free(&turns).await, "all turns are taken");
        held.clear();

        produced.fetch_add(1, Ordering::Relaxed);
        held.push(turns.take().await);
        assert!(!is_free(&turns).await, "one at a time");
        sleep(PRODUCING_FOR).await;
        assert!(is_free(&turns).await, "nobody has produced for a while");
        produced.fetch_add(1, Ordering::Relaxed);
        assert!(!is_free(&turns).await, "and now somebody has");
        held.clear();
        assert!(is_free(&turns).await);
    }

    #[tokio::test]
    async fn where_nothing_is_shared_nobody_waits() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(turns.take().await);
        }
        assert_eq!(held.len(), 100);
    }
}
