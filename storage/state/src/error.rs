//! What can go wrong, by what to do about it.
//!
//! | error | nothing of it happened | do |
//! | --- | --- | --- |
//! | `Backwards`, `WrongKey` | yes | mend the caller |
//! | `Full` | but for what an earlier flush covers, all is uncertain | close; open again later and write everything anew |
//! | `Damaged` | nothing in it counts | close, move it aside, begin an empty one and write everything anew |
//! | `Device`, `Unusable` | as `Full` | close and tell a person |

use holdfast_base::Index;
use thiserror::Error;

use crate::key::{KEY_MAX_BYTES, Owner};

/// Why the store did not do it.
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
    /// No room, or no descriptor: may be otherwise later. What was not flushed may be gone.
    #[error("the state store has no room: {what}; free some, it goes on by itself")]
    Full {
        /// What the system said.
        what: String,
    },
    /// The device failed. What was not flushed may be gone; a flush is never retried on it.
    #[error("the state store's device failed: {what}; replace it, the log has everything")]
    Device {
        /// What it said.
        what: String,
    },
    /// The place is not one for a store: no directory, or not ours to write.
    #[error("the state store cannot be used: {what}; give it a directory of its own")]
    Unusable {
        /// What the system said.
        what: String,
    },
}

/// What to do about a [`StateError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The caller is wrong; the store is as before.
    MendCaller,
    /// Close, open again later, write everything anew.
    Retry,
    /// Close, move aside, begin anew.
    Rebuild,
    /// Close and tell a person.
    Stop,
}

impl StateError {
    /// See the module.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            StateError::Backwards { .. } | StateError::WrongKey { .. } => Action::MendCaller,
            StateError::Full { .. } => Action::Retry,
            StateError::Damaged { .. } => Action::Rebuild,
            StateError::Device { .. } | StateError::Unusable { .. } => Action::Stop,
        }
    }
}
