//! What was read ahead for one reader and is not used yet.
//!
//! It does not wait in the cache: a cache that keeps what is read twice drops first what was never read,
//! and with a small one half of what was read ahead was gone when its reader came. The room for all stocks
//! of a node is a [`Semaphore`] of KiB; blocks give theirs back as they are used.

use holdfast_tier::{Block, ObjectId, ReadAhead};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A GET ahead of a reader.
pub(super) struct Under {
    pub(super) blocks: JoinHandle<Vec<(u32, Block)>>,
    pub(super) object: ObjectId,
    pub(super) numbers: Range<u32>,
    pub(super) room: OwnedSemaphorePermit,
}

/// One reader's past, and what waits for it.
pub(super) struct Past {
    /// When it came last.
    pub(super) since: Instant,
    pub(super) read_ahead: ReadAhead,
    under_way: VecDeque<Under>,
    blocks: BTreeMap<(ObjectId, u32), Block>,
    room: Option<OwnedSemaphorePermit>,
}

impl Default for Past {
    fn default() -> Past {
        Past {
            since: Instant::now(),
            read_ahead: ReadAhead::default(),
            under_way: VecDeque::new(),
            blocks: BTreeMap::new(),
            room: None,
        }
    }
}

impl Past {
    /// Adds what has come, and waits for what has not until nothing of `wanted` is under way any more.
    pub(super) async fn gather(&mut self, object: ObjectId, wanted: Range<u32>) {
        loop {
            let brings = |under: &Under| {
                let (from, end) = (under.numbers.start, under.numbers.end);
                under.object == object && from < wanted.end && wanted.start < end
            };
            let has_come = self.under_way.front().is_some_and(|first| first.blocks.is_finished());
            if !has_come && !self.under_way.iter().any(brings) {
                return;
            }
            let Some(first) = self.under_way.front_mut() else { return };
            // Awaited in place: a read that is dropped here loses nothing.
            let come = (&mut first.blocks).await.unwrap_or_default();
            let Some(Under { object, room, .. }) = self.under_way.pop_front() else { return };
            self.blocks.extend(come.into_iter().map(|(number, block)| ((object, number), block)));
            match &mut self.room {
                Some(all) => all.merge(room),
                None => self.room = Some(room),
            }
        }
    }

    pub(super) fn block(&self, object: ObjectId, number: u32) -> Option<Block> {
        self.blocks.get(&(object, number)).cloned()
    }

    /// Blocks before `number`, and those of other objects but the next, were used or never will be.
    pub(super) fn used(&mut self, object: ObjectId, number: u32, next: Option<ObjectId>) {
        let is_ahead = |of, at| (of == object && at >= number) || Some(of) == next;
        self.blocks.retain(|(of, at), _| is_ahead(*of, *at));
        let kept: usize = self.blocks.values().map(|block| kib(block.bytes().len() as u64)).sum();
        if let Some(room) = &mut self.room {
            let spare = room.num_permits().saturating_sub(kept);
            drop(room.split(spare));
        }
    }

    /// Whether it takes room.
    pub(super) fn has_room(&self) -> bool {
        let held = self.room.as_ref().is_some_and(|room| room.num_permits() > 0);
        held || !self.under_way.is_empty()
    }

    pub(super) fn expects(&mut self, under: Option<Under>) {
        self.under_way.extend(under);
    }

    /// Gives up what waits, for others.
    pub(super) fn give_up(&mut self) {
        for under in self.under_way.drain(..) {
            under.blocks.abort();
        }
        self.blocks.clear();
        self.room = None;
    }
}

/// Room for so many bytes, if there is any now.
pub(super) fn take_room(all: &Arc<Semaphore>, bytes: u64) -> Option<OwnedSemaphorePermit> {
    Arc::clone(all).try_acquire_many_owned(u32::try_from(kib(bytes)).ok()?).ok()
}

/// At least 1.
pub(super) fn kib(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX)
}
