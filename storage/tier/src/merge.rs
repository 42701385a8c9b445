//! An object made of parts of others.
//!
//! ```text
//! sources   1: | A | B |     D |      footers first, then blocks in the order of the object that is
//!           2: | A |     C | D |      written: every source is read once, from front to back
//!           3: | A | B |       |
//!                ▼
//! merged       | A A A | B B | C | D D |     batches as they are; blocks are closed anew
//! ```
//!
//! Idea: partitions ascend in every object, so a merge is one pass over all of them with a window on
//! each, as in any merge sort. Batches are copied byte for byte; small blocks become full ones, and
//! the index of many objects that of one.
//!
//! Invariants: a block is opened, its checksum checked, before a batch of it is written. A row is
//! written whole, from the first batch that can be read to the row's last; a merge that would
//! outgrow an object ends before the row that would make it. What is returned was read back.
//!
//! Caveat: the index of a block in a merged object is that of its first batch's block, at or before
//! the entry of its first batch.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use holdfast_base::PartitionKey;
use holdfast_log::{Manifest, MergePart, MergeSource};
use thiserror::Error;

use crate::body::ObjectBody;
use crate::error::ObjectError;
use crate::footer::{Footer, Tail};
use crate::format::{ObjectHead, ObjectId};
use crate::key::StoreKey;
use crate::limits::{OBJECT_BATCHES_MAX, OBJECT_PAYLOAD_BYTES_CUT};
use crate::plan::BatchRow;
use crate::put::Put;
use crate::read::Block;
use crate::store::{Action, Store, StoreError};
use crate::upload::{ReadBack, UploadError};

/// One GET of a source: what a merge holds for each of them.
const WINDOW_BYTES: u64 = 1 << 20;
/// Blocks that lie at most so far apart come with one GET.
const GAP_BYTES_MAX: u64 = 64 << 10;

/// Why there is no merged object.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum MergeError {
    /// The merged object cannot be put.
    #[error(transparent)]
    Put(#[from] UploadError),
    /// A source cannot be had from the store.
    #[error("object {object} cannot be read for a merge: {error}")]
    Source {
        /// Which.
        object: ObjectId,
        /// What the store said.
        error: StoreError,
    },
    /// A source is not what it was: it stays as it is.
    #[error("object {object} is damaged and is not merged: {error}")]
    Damaged {
        /// Which.
        object: ObjectId,
        /// What is wrong.
        error: ObjectError,
    },
}

impl MergeError {
    /// What to do now: after [`Action::Refuse`] the same again would change nothing.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            MergeError::Put(error) => error.action(),
            MergeError::Source { error, .. } => error.action(),
            MergeError::Damaged { .. } => Action::Refuse,
        }
    }

    /// The source that is at fault.
    #[must_use]
    pub fn culprit(&self) -> Option<ObjectId> {
        match self {
            MergeError::Put(_) => None,
            MergeError::Source { object, .. } | MergeError::Damaged { object, .. } => Some(*object),
        }
    }
}

/// Writes the object that `head` names of these parts, puts it and reads it back.
///
/// # Errors
/// With what stood in the way; [`MergeError::action`] says what now.
pub async fn merge(
    store: &dyn Store,
    head: ObjectHead,
    sources: &[MergeSource],
    how: ReadBack,
) -> Result<Manifest, MergeError> {
    let mut windows = Vec::with_capacity(sources.len());
    for source in sources {
        windows.push(Window::open(store, source).await?);
    }
    let mut put = Put::new(store, &head.identity);
    let mut parts = Vec::new();
    let mut body = ObjectBody::new(head, &mut parts);
    let mut written_bytes = 0;
    for (at, part) in in_order(sources) {
        let (bytes, batches) = windows[at].size_of(&part)?;
        let fits = written_bytes + bytes <= OBJECT_PAYLOAD_BYTES_CUT
            && body.batches() as usize + batches as usize <= OBJECT_BATCHES_MAX;
        if body.batches() > 0 && !fits {
            break;
        }
        written_bytes += bytes;
        while let Some(block) = windows[at].next_block(store, &part.partition).await? {
            for batch in block.batches() {
                // Nobody can read it any more.
                if batch.header.last_offset() < part.from_offset {
                    continue;
                }
                let row = BatchRow {
                    partition: part.partition,
                    base_offset: batch.header.base_offset,
                    last_offset: batch.header.last_offset(),
                    leader_epoch: batch.header.partition_leader_epoch,
                    max_timestamp_ms: batch.header.max_timestamp_ms,
                    len_bytes: batch.bytes.len() as u32,
                };
                // A batch must not hold the window it came in for longer than its block is open.
                let bytes = Bytes::copy_from_slice(&batch.bytes);
                body.push(&row, block.row().index, bytes, &mut parts);
            }
            put.push(&mut parts).await?;
        }
    }
    let finished = body.finish(&mut parts);
    put.push(&mut parts).await?;
    Ok(put.finish(finished, how).await?)
}

/// All parts with their sources, by partition, then offset.
fn in_order(sources: &[MergeSource]) -> Vec<(usize, MergePart)> {
    let mut all: Vec<(usize, MergePart)> = sources
        .iter()
        .enumerate()
        .flat_map(|(at, source)| source.parts.iter().map(move |part| (at, *part)))
        .collect();
    all.sort_by_key(|(_, part)| (part.partition, part.from_offset));
    all
}

/// A source, read from front to back.
struct Window {
    object: ObjectId,
    key: StoreKey,
    footer: Footer,
    /// Numbers of the blocks that are still wanted, ascending.
    wanted: VecDeque<u32>,
    /// Blocks that came.
    ready: VecDeque<Block>,
}

impl Window {
    async fn open(store: &dyn Store, source: &MergeSource) -> Result<Window, MergeError> {
        let (object, key) = (source.identity.object, StoreKey::of(&source.identity));
        let damaged = |error| MergeError::Damaged { object, error };
        let range = source.object_bytes - u64::from(source.tail_bytes)..source.object_bytes;
        let tail =
            store.get(&key, range).await.map_err(|error| MergeError::Source { object, error })?;
        let tail = Footer::from_tail(&source.identity, source.object_bytes, &tail);
        let Tail::Footer(footer) = tail.map_err(damaged)? else {
            return Err(damaged(ObjectError::Lies {
                part: "footer",
                what: "it is longer than its manifest says",
            }));
        };
        let mut wanted = VecDeque::new();
        for part in &source.parts {
            wanted.extend(blocks_of(&footer, part).map_err(damaged)?);
        }
        Ok(Window { object, key, footer, wanted, ready: VecDeque::new() })
    }

    /// Bytes and batches of a part, those in front of it included.
    fn size_of(&self, part: &MergePart) -> Result<(u64, u32), MergeError> {
        let row = self.footer.partition(&part.partition).ok_or_else(|| self.damaged(MISSING))?;
        Ok((u64::from(row.len_bytes), row.batches))
    }

    /// The next wanted block, if it is of this partition.
    async fn next_block(
        &mut self,
        store: &dyn Store,
        partition: &PartitionKey,
    ) -> Result<Option<Block>, MergeError> {
        if self.ready.is_empty() {
            self.fill(store, partition).await?;
        }
        Ok(self.ready.pop_front_if(|block| block.row().partition == *partition))
    }

    /// GETs the next wanted blocks, if the first is of this partition.
    async fn fill(
        &mut self,
        store: &dyn Store,
        partition: &PartitionKey,
    ) -> Result<(), MergeError> {
        let Some(first) = self.wanted.front().map(|number| self.footer.block(*number)) else {
            return Ok(());
        };
        if first.partition != *partition {
            return Ok(());
        }
        let mut taken = Vec::new();
        let mut end = first.position;
        while let Some(number) = self.wanted.front().copied() {
            let block = self.footer.block(number);
            let near = block.position <= end + GAP_BYTES_MAX
                && block.end() - first.position <= WINDOW_BYTES;
            if !taken.is_empty() && !near {
                break;
            }
            end = block.end();
            taken.push(number);
            self.wanted.pop_front();
        }
        let object = self.object;
        let bytes = store
            .get(&self.key, first.position..end)
            .await
            .map_err(|error| MergeError::Source { object, error })?;
        for number in taken {
            let row = self.footer.block(number);
            let start = (row.position - first.position) as usize;
            let end = start + row.len_bytes as usize;
            let block = bytes.get(start..end).map(|_| bytes.slice(start..end));
            let block = block.ok_or(ObjectError::Truncated {
                part: "run of blocks",
                have: bytes.len() as u64,
                need: end as u64,
            });
            let block = block.and_then(|bytes| Block::open(row, bytes));
            self.ready.push_back(block.map_err(|error| MergeError::Damaged { object, error })?);
        }
        Ok(())
    }

    fn damaged(&self, error: ObjectError) -> MergeError {
        MergeError::Damaged { object: self.object, error }
    }
}

const MISSING: ObjectError =
    ObjectError::Lies { part: "footer", what: "it has not what its manifest says" };

/// The blocks that hold a part.
fn blocks_of(footer: &Footer, part: &MergePart) -> Result<Range<u32>, ObjectError> {
    let row = footer.partition(&part.partition).ok_or(MISSING)?;
    if row.last_offset != part.last_offset {
        return Err(MISSING);
    }
    let first = footer.block_at_offset(&row, part.from_offset).ok_or(MISSING)?;
    Ok(first..row.first_block + row.blocks)
}
