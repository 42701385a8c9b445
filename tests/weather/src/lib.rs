//! Bad weather between a node and its object store: a proxy that does to S3 what networks and stores do.
//!
//! ```text
//! holdfastd ─▶ Front (front.rs) ─▶ Sky: does this request meet it? ─▶ the store, as it was signed
//!                  ▲                     │ yes
//!                  └── fate.rs: turned away, stalled, cut, shortened, changed, swapped, of yesterday,
//!                      a success that is none, done twice
//! ```
//!
//! | weather | meets | what the node sees |
//! | --- | --- | --- |
//! | Busy, Throttled | any request | 503 SlowDown, 429; nothing reached the store |
//! | Refused | connections | the port is closed, open connections are cut |
//! | Stalled | any | ten seconds of silence, then the true answer |
//! | Cut | any | half of the answer, or none, and the connection ends; the store has done it |
//! | Shortened | GET | half of the bytes as if that were all |
//! | Flipped | GET | one bit is another |
//! | Swapped | GET | the bytes of another object, headers as asked for |
//! | Stale | GET, LIST | the store of a while ago: the object is not there yet |
//! | FalseSuccess | any but GET | 200, an ETag, `<Error>` as the body; nothing reached the store |
//! | Emptied | PUT | 200 and an ETag, nothing more; nothing reached the store |
//! | Twice | PUT, DELETE | the truth; a while later the request comes to the store once more |
//!
//! Idea: Holdfast believes a store nothing, so each of these may cost time and nothing else. Who meets the
//! weather is drawn from a seed; how often it struck is counted, because a story in which it did not rain
//! proves nothing.
//!
//! Requests pass as they are: the signature covers the `Host` that the node sees, which is this proxy's,
//! and stores check it against the header.

mod fate;
mod front;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use holdfast_base::{Rng, SplitMix64};

pub use front::Front;

/// What there is; see the table above.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "the table above says it, once")]
pub enum Weather {
    Clear,
    Busy,
    Throttled,
    Refused,
    Stalled,
    Cut,
    Shortened,
    Flipped,
    Swapped,
    Stale,
    FalseSuccess,
    Emptied,
    Twice,
}

impl Weather {
    /// All that is bad.
    pub const BAD: [Weather; 12] = [
        Weather::Busy,
        Weather::Throttled,
        Weather::Refused,
        Weather::Stalled,
        Weather::Cut,
        Weather::Shortened,
        Weather::Flipped,
        Weather::Swapped,
        Weather::Stale,
        Weather::FalseSuccess,
        Weather::Emptied,
        Weather::Twice,
    ];
}

/// Which weather there is now, for how many requests of a hundred, and how often it struck.
#[derive(Debug)]
pub(crate) struct Sky {
    now: Mutex<(Weather, u64)>,
    rng: Mutex<SplitMix64>,
    struck: [AtomicU64; Weather::BAD.len() + 1],
}

impl Sky {
    pub(crate) fn new(seed: u64) -> Sky {
        Sky {
            now: Mutex::new((Weather::Clear, 0)),
            rng: Mutex::new(SplitMix64::new(seed)),
            struck: Default::default(),
        }
    }

    pub(crate) fn set(&self, weather: Weather, per_hundred: u64) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (weather, per_hundred);
    }

    /// What a request meets.
    pub(crate) fn meet(&self) -> Weather {
        let (weather, per_hundred) = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if self.below(100) < per_hundred { weather } else { Weather::Clear }
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).below(bound)
    }

    pub(crate) fn strike(&self, weather: Weather) {
        self.struck[weather as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn struck(&self, weather: Weather) -> u64 {
        self.struck[weather as usize].load(Ordering::Relaxed)
    }
}
