//! The bytes of requests the node holds at any moment, over all connections.
//!
//! ```text
//! connection A ──grow(64 KiB)──▶ ┌────────────────┐
//! connection B ──grow(1 MiB)───▶ │ free bytes     │──▶ Reservation, released when the request
//! connection C ──waits 10 s────▶ └────────────────┘    is answered or the connection ends
//! ```
//!
//! A reservation follows what was *received* (it grows with the buffer), never what a frame
//! claims: 1,500 half-open frames that claim 100 MiB each hold what they sent and no more.
//!
//! Partial frames can use the whole budget up and then wait for each other. Waiting is therefore
//! bounded: who waits longer than [`GIVE_WAY_AFTER`] closes its connection, which frees what it
//! held. Clients reconnect and retry; nothing of a half-read request has happened.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longer than a burst of large requests takes to be written to the device, shorter than any
/// client's request timeout (30 s).
pub const GIVE_WAY_AFTER: Duration = Duration::from_secs(10);

/// The budget of a node.
#[derive(Clone, Debug)]
pub struct Budget {
    free_bytes: Arc<Semaphore>,
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug)]
pub struct Reservation {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `total_bytes`.
    #[must_use]
    pub fn new(total_bytes: usize) -> Budget {
        Budget { free_bytes: Arc::new(Semaphore::new(total_bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// An empty reservation, which may grow.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        let permit = Arc::clone(&self.free_bytes)
            .try_acquire_many_owned(0)
            .expect("nothing is always there: the semaphore is never closed");
        Reservation { permit }
    }

    /// Takes bytes if they are free right now.
    #[must_use]
    pub fn try_take(&self, bytes: u32) -> Option<Reservation> {
        let permit = Arc::clone(&self.free_bytes).try_acquire_many_owned(bytes).ok()?;
        Some(Reservation { permit })
    }

    /// Takes bytes, in order of asking; `None` after [`GIVE_WAY_AFTER`].
    pub async fn take(self, bytes: u32) -> Option<Reservation> {
        let free_bytes = Arc::clone(&self.free_bytes);
        let acquired = tokio::time::timeout(GIVE_WAY_AFTER, free_bytes.acquire_many_owned(bytes));
        let permit = acquired.await.ok()?.ok()?;
        Some(Reservation { permit })
    }

    /// Bytes nobody holds.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.free_bytes.available_permits()
    }
}

impl Reservation {
    /// Adds another reservation of the same budget.
    pub fn merge(&mut self, other: Reservation) {
        self.permit.merge(other.permit);
    }

    /// Takes `bytes` off into a reservation of their own.
    ///
    /// # Panics
    /// When less is held: the caller counts its own bytes.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Reservation {
        let permit = self.permit.split(bytes).expect("a part is never more than what is held");
        Reservation { permit }
    }

    /// How much is held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.num_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_returns_its_bytes_when_dropped() {
        let budget = Budget::new(100);
        let mut held = budget.try_take(70).expect("70 of 100");
        assert!(budget.try_take(31).is_none());
        held.merge(budget.try_take(30).expect("the rest"));
        let part = held.split(60);
        assert_eq!((held.bytes(), part.bytes(), budget.free_bytes()), (40, 60, 0));
        drop(held);
        assert_eq!(budget.free_bytes(), 40);
        drop(part);
        assert_eq!(budget.free_bytes(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_gives_way() {
        let budget = Budget::new(10);
        let held = budget.try_take(10).expect("all");
        assert!(budget.clone().take(1).await.is_none(), "paused time runs to the limit");
        drop(held);
        assert!(budget.clone().take(1).await.is_some());
    }
}
