//! The contract. `conformance` is the same contract as a test.

use bytes::Bytes;
use holdfast_base::Index;

use crate::changes::Changes;
use crate::error::StateError;
use crate::key::Owner;

/// A key, without its owner, and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// A sorted map with an applied index per replica.
///
/// **Atomic**: a write's changes and its applied index are seen together, and survive or vanish
/// together. **Ordered**: over all replicas, what survives a crash is the first so many writes: if
/// one is there, so are all before it. **Visible at once**: reads see every finished write.
/// **Durable only by flush**: what was written before a flush began survives any crash after it
/// returned `Ok`; what came later may or may not.
///
/// An operation refused for its arguments has done nothing. After any other error only what the
/// last good flush covered is certain, and the store is to be closed ([`crate::Action`]).
pub trait StateStore {
    /// Writes changes of one replica, which now reflects its log up to `applied`.
    ///
    /// # Errors
    /// When `applied` is below the replica's, or a key is empty or too long, or the store failed.
    fn write(&mut self, owner: Owner, changes: &Changes, applied: Index) -> Result<(), StateError>;

    /// Puts `rows` in the place of everything the replica had, in one piece: a state that comes
    /// whole. The index may be lower than before.
    ///
    /// # Errors
    /// When a key is empty or too long, or the store failed.
    fn replace(&mut self, owner: Owner, rows: &Changes, applied: Index) -> Result<(), StateError>;

    /// The index the replica's state reflects; 0 if it has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn applied(&self, owner: Owner) -> Result<Index, StateError>;

    /// The index that survives any crash from now on; at most [`Self::applied`]. The log may be
    /// trimmed up to here.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn checkpointed(&self, owner: Owner) -> Result<Index, StateError>;

    /// The value of a key.
    ///
    /// # Errors
    /// When the key is empty or too long, or the store cannot be read.
    fn get(&self, owner: Owner, key: &[u8]) -> Result<Option<Bytes>, StateError>;

    /// The first `limit_rows` rows of this replica, ascending, whose key begins with `prefix` (may
    /// be empty) and is greater than `after`, if given.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(
        &self,
        owner: Owner,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit_rows: usize,
    ) -> Result<Vec<Row>, StateError>;

    /// Makes every finished write durable and moves `checkpointed` of every replica to its
    /// `applied`. May take long: never on a lane's thread.
    ///
    /// # Errors
    /// When the device failed: `checkpointed` has not moved, and the flush must not be retried.
    fn flush(&mut self) -> Result<(), StateError>;

    /// Forgets a replica, rows and index. A write like any other: until the next flush a crash may
    /// bring it back, which is harmless because its id is never used again.
    ///
    /// # Errors
    /// When the store failed.
    fn remove(&mut self, owner: Owner) -> Result<(), StateError>;

    /// Every replica that has state here, ascending.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn owners(&self) -> Result<Vec<Owner>, StateError>;
}
