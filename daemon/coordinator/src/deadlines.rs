//! When something must happen if nothing else does: one ordered set for all groups.
//!
//! ```text
//! (at_ns, number) ─▶ (group, what)      what: the join or sync phase ends, a member's silence is too long
//! ```
//!
//! Idea: a heartbeat only moves the number on the member ([`Session::deadline_ns`]); its timer here
//! stays where it is and, when it rings early, is set again for the rest. So 10,000 heartbeats cost
//! no reordering, and each session rings once per session timeout.
//!
//! Invariant: a timer's number is never reused, so one that was disarmed while its ring was already
//! being handled is told apart by the holder's own [`Timer`].

use std::collections::BTreeMap;
use std::sync::Arc;

const NS_PER_MS: u64 = 1_000_000;

/// `now_ns` and so many milliseconds; a negative number is none.
pub(crate) fn after_ms(now_ns: u64, ms: i32) -> u64 {
    now_ns.saturating_add(u64::from(ms.max(0).unsigned_abs()) * NS_PER_MS)
}

/// One armed deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Timer {
    pub(crate) at_ns: u64,
    number: u64,
}

/// What is due.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    /// The join phase ends with whoever has joined.
    Join,
    /// Members that did not fetch their assignment are out.
    Sync,
    /// A member, or one that was only given its id, has been silent.
    Session(Arc<str>),
}

/// Every armed deadline of a coordinator.
#[derive(Default, Debug)]
pub(crate) struct Deadlines {
    armed: BTreeMap<Timer, (Arc<str>, Due)>,
    next: u64,
}

impl Deadlines {
    pub(crate) fn arm(&mut self, at_ns: u64, group: &Arc<str>, due: Due) -> Timer {
        let timer = Timer { at_ns, number: self.next };
        self.next += 1;
        self.armed.insert(timer, (Arc::clone(group), due));
        timer
    }

    pub(crate) fn disarm(&mut self, timer: Timer) {
        self.armed.remove(&timer);
    }

    /// Everything due at `now_ns`, in order of time, taken out.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Vec<(Timer, Arc<str>, Due)> {
        let mut due = Vec::new();
        while let Some(first) = self.armed.first_entry() {
            if first.key().at_ns > now_ns {
                break;
            }
            let (timer, (group, what)) = first.remove_entry();
            due.push((timer, group, what));
        }
        due
    }

    pub(crate) fn next_ns(&self) -> u64 {
        self.armed.first_key_value().map_or(u64::MAX, |(timer, _)| timer.at_ns)
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Timer, &(Arc<str>, Due))> {
        self.armed.iter()
    }
}

/// A member's silence, as it is measured.
#[derive(Default, Debug)]
pub(crate) struct Session {
    /// The member is out after this. At least the time of `timer`, when there is one.
    pub(crate) deadline_ns: u64,
    /// Rings at or before `deadline_ns`. `None` before the first heartbeat is due and while the
    /// deadline passed unseen because the member waits for an answer of ours.
    pub(crate) timer: Option<Timer>,
}
