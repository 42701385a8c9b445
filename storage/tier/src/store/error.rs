//! What can go wrong at the store, by what to do about it.
//!
//! | kind | action | did it happen? (a write) |
//! | --- | --- | --- |
//! | NotFound, OutOfRange, Unsupported | refuse: this request never succeeds | no |
//! | Busy (503, 429, a full disk) | retry later | no |
//! | Unreachable (refused, no route, no name, no connection in time) | retry later | no |
//! | Interrupted (reset, cut short, 500) | retry later | unknown |
//! | Denied, Untrusted, NoSuchStore | stop: an operator must act | no |
//! | Failed (device, anything not understood) | stop | unknown |

use std::fmt;

/// What to do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The same request may succeed later: back off, with jitter, for ever.
    Retry,
    /// The same request will never succeed; others may.
    Refuse,
    /// No request will succeed until somebody changes something: show it, keep what is here.
    Stop,
}

/// Whether a write took place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It did not.
    DidNot,
    /// It may have, or may still: look, or do it again.
    Unknown,
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreErrorKind {
    /// No such object.
    NotFound,
    /// The object ends before the range does.
    OutOfRange,
    /// The store, or this build, cannot do that.
    Unsupported,
    /// The store turned it away for now.
    Busy,
    /// There was no connection.
    Unreachable,
    /// The connection or the answer broke off.
    Interrupted,
    /// Credentials or permissions.
    Denied,
    /// Its certificate is not one that is trusted here, or it does not speak TLS.
    Untrusted,
    /// The bucket or directory is not there.
    NoSuchStore,
    /// The device failed, or nobody knows.
    Failed,
}

/// Why the store did not do it. The outcome is known to be success only by `Ok`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    attempted: String,
    detail: String,
}

impl StoreError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: StoreErrorKind, attempted: String, detail: String) -> StoreError {
        StoreError { kind, attempted, detail }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What to do now.
    #[must_use]
    pub fn action(&self) -> Action {
        match self.kind {
            StoreErrorKind::NotFound | StoreErrorKind::OutOfRange | StoreErrorKind::Unsupported => {
                Action::Refuse
            }
            StoreErrorKind::Busy | StoreErrorKind::Unreachable | StoreErrorKind::Interrupted => {
                Action::Retry
            }
            StoreErrorKind::Denied
            | StoreErrorKind::Untrusted
            | StoreErrorKind::NoSuchStore
            | StoreErrorKind::Failed => Action::Stop,
        }
    }

    /// Whether a write took place. For reads it does not matter.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            StoreErrorKind::Interrupted | StoreErrorKind::Failed => Outcome::Unknown,
            StoreErrorKind::NotFound
            | StoreErrorKind::OutOfRange
            | StoreErrorKind::Unsupported
            | StoreErrorKind::Busy
            | StoreErrorKind::Unreachable
            | StoreErrorKind::Denied
            | StoreErrorKind::Untrusted
            | StoreErrorKind::NoSuchStore => Outcome::DidNot,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what_now = match self.kind {
            StoreErrorKind::NotFound => "no such object",
            StoreErrorKind::OutOfRange => "the object is shorter than that",
            StoreErrorKind::Unsupported => "it cannot be done there",
            StoreErrorKind::Busy => "the store is busy; it is tried again",
            StoreErrorKind::Unreachable => "there is no connection to the store; it is tried again",
            StoreErrorKind::Interrupted => "it broke off; it is tried again",
            StoreErrorKind::Denied => "the store denies it; check credentials and permissions",
            StoreErrorKind::Untrusted => {
                "there is no TLS with the store that is trusted here: name the authority that signed \
                 its certificate (store.ca), and look at its names and dates"
            }
            StoreErrorKind::NoSuchStore => "the bucket or directory is not there; create it",
            StoreErrorKind::Failed => "the store failed; check it before going on",
        };
        write!(f, "{}: {what_now} ({})", self.attempted, self.detail)
    }
}

impl std::error::Error for StoreError {}
