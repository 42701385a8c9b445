//! What can go wrong, by what to do about it.

use holdfast_base::Index;
use thiserror::Error;

use crate::key::{KEY_MAX_BYTES, Owner};

/// Why the store did not do it. Nothing of the operation happened.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StateError {
    /// The caller's arithmetic is wrong.
    #[error("state of {owner} is at index {applied}; a write at {offered} would go backwards")]
    Backwards {
        /// Whose.
        owner: Owner,
        /// Where it is.
        applied: Index,
        /// What came.
        offered: Index,
    },
    /// The caller's key is empty or too long.
    #[error("a key has {bytes} bytes; it must have 1 to {KEY_MAX_BYTES}")]
    WrongKey {
        /// Its length.
        bytes: usize,
    },
    /// Throw the store away and rebuild: from another replica, or from the log.
    #[error("the state store is damaged: {what}; it is rebuilt from the log or another replica")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// The device failed. What was not flushed may be gone; a flush is never retried on it.
    #[error("the state store's device failed: {what}; replace it, the log has everything")]
    Device {
        /// What it said.
        what: String,
    },
}
