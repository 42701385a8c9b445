//! Checked blocks and footers in memory, with a budget in bytes.
//!
//! Idea: a consumer that catches up reads everything once and never again; with plain LRU it
//! would drive out what others read all the time. CLOCK-Pro with a memory of what was evicted
//! (Jiang, Chen, Zhang 2005; here by `quick_cache`, which calls it close to S3-FIFO) keeps what is
//! read twice. A scan passes through the cold end.
//!
//! Invariants: only what was checked goes in. The sum of what is held stays within the budget;
//! what alone exceeds it is not kept. Entries own their bytes: a slice would pin the whole answer
//! of the store it was cut from, and the budget would be a lie, so putting in copies (once, off
//! the way of records).
//!
//! Caveat: batches handed out keep an evicted block alive; those bytes are the answers', which
//! have a budget of their own.

use std::hash::{BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::footer::Footer;
use crate::format::ObjectId;
use crate::read::Block;

/// What an entry costs beside its bytes: key, value, and the cache's own bookkeeping.
const ENTRY_OVERHEAD_BYTES: u64 = 256;
/// Blocks are rarely smaller than this; sets the size of tables, not a limit.
const TYPICAL_ENTRY_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Key {
    Footer(ObjectId),
    Block(ObjectId, u32),
}

#[derive(Clone)]
enum Value {
    Footer(Footer),
    Block(Block),
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Value> for ByBytes {
    fn weight(&self, _: &Key, value: &Value) -> u64 {
        ENTRY_OVERHEAD_BYTES
            + match value {
                Value::Footer(footer) => footer.held_bytes() as u64,
                Value::Block(block) => block.bytes().len() as u64,
            }
    }
}

// The same hash in every run: what is evicted must not differ between two runs of one seed. Keys
// are drawn by our own leaders, so nobody can choose them to collide.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// The cache. Shared by all readers of a node.
pub struct BlockCache {
    cache: Cache<Key, Value, ByBytes, Hasher>,
}

impl BlockCache {
    /// A cache of at most so many bytes.
    #[must_use]
    pub fn new(budget_bytes: u64) -> BlockCache {
        let options = OptionsBuilder::new()
            // One budget, not one for each of several parts: a block may be a good part of it.
            .shards(1)
            .weight_capacity(budget_bytes)
            .estimated_items_capacity((budget_bytes / TYPICAL_ENTRY_BYTES) as usize + 16)
            .build()
            .expect("every option is set");
        BlockCache {
            cache: Cache::with_options(
                options,
                ByBytes,
                Hasher::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    /// A block, if it is held.
    #[must_use]
    pub fn block(&self, object: ObjectId, number: u32) -> Option<Block> {
        match self.cache.get(&Key::Block(object, number)) {
            Some(Value::Block(block)) => Some(block),
            _ => None,
        }
    }

    /// A footer, if it is held.
    #[must_use]
    pub fn footer(&self, object: ObjectId) -> Option<Footer> {
        match self.cache.get(&Key::Footer(object)) {
            Some(Value::Footer(footer)) => Some(footer),
            _ => None,
        }
    }

    /// Keeps a block.
    pub fn put_block(&self, object: ObjectId, number: u32, block: &Block) {
        self.cache.insert(Key::Block(object, number), Value::Block(block.compact()));
    }

    /// Keeps a footer.
    pub fn put_footer(&self, footer: &Footer) {
        let object = footer.head().identity.object;
        self.cache.insert(Key::Footer(object), Value::Footer(footer.compact()));
    }

    /// Forgets an object that is gone: `blocks` is how many it had.
    pub fn forget(&self, object: ObjectId, blocks: u32) {
        self.cache.remove(&Key::Footer(object));
        for number in 0..blocks {
            self.cache.remove(&Key::Block(object, number));
        }
    }

    /// Bytes held, with what each entry costs beside its own.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// The budget.
    #[must_use]
    pub fn budget_bytes(&self) -> u64 {
        self.cache.capacity()
    }
}

impl Block {
    /// The same block in bytes of its own.
    #[must_use]
    pub fn compact(&self) -> Block {
        self.with_bytes(Bytes::copy_from_slice(self.bytes()))
    }
}
