//! Memory for records on their way to clients, over all connections.
//!
//! ```text
//! lane found slices ─▶ take(least, wanted) ─▶ read from the device ─▶ socket ─▶ Held shrinks
//!                      waits while not even                                     with what is sent
//!                      the first slice fits
//! ```
//!
//! Without it, a client that asks and does not read holds an answer of 50 MiB, and every other one
//! as much again. So room is taken before bytes are: an answer gets an eighth of what is free, or
//! its first slice if that is more; a client that gets less than it asked for asks again.
//!
//! Invariant: bytes held ≤ bytes of the room, a first slice larger than the whole room excepted,
//! which has the room to itself.
//!
//! Who waits is served in order. That somebody leaves is the connections' part: while
//! [`AnswerRoom::is_wanted`], they close clients that hardly read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One answer takes at most this part of what is free: a few large ones leave room for the next.
const PART_OF_FREE: usize = 8;

/// See the file's head.
pub struct AnswerRoom {
    free_bytes: Arc<Semaphore>,
    total_bytes: usize,
    waiting: AtomicUsize,
}

/// Bytes taken from an [`AnswerRoom`], given back on drop.
#[derive(Debug)]
pub struct Held {
    permit: OwnedSemaphorePermit,
}

/// Counts who waits, also when it stops waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AnswerRoom {
    /// A room of `total_bytes`.
    #[must_use]
    pub fn new(total_bytes: usize) -> AnswerRoom {
        let total_bytes = total_bytes.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let free_bytes = Arc::new(Semaphore::new(total_bytes));
        AnswerRoom { free_bytes, total_bytes, waiting: AtomicUsize::new(0) }
    }

    /// Takes up to `wanted` bytes, at least `least` (or all there are, if that is less); waits until
    /// those are free. `None` when the node stops.
    pub(crate) async fn take(&self, least: usize, wanted: usize) -> Option<Held> {
        let least = least.min(self.total_bytes);
        let part = self.free_bytes.available_permits() / PART_OF_FREE;
        let now = wanted.min(part.max(least));
        let free_bytes = || Arc::clone(&self.free_bytes);
        if let Ok(permit) = free_bytes().try_acquire_many_owned(permits(now)) {
            return Some(Held { permit });
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let permit = free_bytes().acquire_many_owned(permits(least)).await.ok()?;
        Some(Held { permit })
    }

    /// Somebody waits for room.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Held {
    /// How much is held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.num_permits()
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(sent) = self.bytes().checked_sub(bytes) {
            drop(self.permit.split(sent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn readers_that_never_read_cannot_hold_more_than_the_room() {
        let room = AnswerRoom::new(1_000);
        let mut held = Vec::new();
        while let Some(answer) = now(room.take(10, 500)) {
            held.push(answer.expect("the node does not stop"));
            assert!(held.len() <= 1_000, "there is no end");
        }
        let all: usize = held.iter().map(Held::bytes).sum();
        assert!(all <= 1_000 && all + 10 > 1_000, "{all}: all of the room and no more");
        assert_eq!(held[0].bytes(), 125, "an eighth, not all that was asked for");
    }

    #[test]
    fn what_was_sent_makes_room_for_who_waits() {
        let room = AnswerRoom::new(100);
        let mut first = now(room.take(100, 100)).flatten().expect("it is empty");
        assert!(!room.is_wanted());
        let mut second = pin!(room.take(40, 50));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(room.is_wanted());
        first.shrink_to(70);
        assert!(second.as_mut().poll(&mut context).is_pending(), "30 are not 40");
        first.shrink_to(60);
        let Poll::Ready(Some(second)) = second.as_mut().poll(&mut context) else {
            panic!("40 are free")
        };
        assert_eq!((first.bytes(), second.bytes()), (60, 40));
        assert!(!room.is_wanted());
    }

    #[test]
    fn who_stops_waiting_is_not_counted_as_waiting() {
        let room = AnswerRoom::new(100);
        let _all = now(room.take(100, 100));
        assert!(now(room.take(1, 1)).is_none());
        assert!(!room.is_wanted());
    }

    #[test]
    fn a_slice_larger_than_the_room_is_served_alone() {
        let room = AnswerRoom::new(100);
        let large = now(room.take(5_000, 9_000)).flatten().expect("it is empty");
        assert_eq!(large.bytes(), 100);
        assert!(now(room.take(1, 1)).is_none());
    }
}
