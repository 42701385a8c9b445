//! What a group may touch outside itself while it handles one call, one ring or one stored write.
//!
//! Invariant: a caller is answered once. Each call adds one to `outstanding`, each answer takes one
//! away; an answer too many stops the process, for its ticket may belong to someone else by then.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_base::Now;
use holdfast_log::GroupRecord;

use crate::call::{Caller, GroupAnswer, GroupError};
use crate::coordinator::{Effect, WriteId};
use crate::deadlines::Deadlines;
use crate::group::Group;
use crate::settings::GroupSettings;

pub(crate) struct Turn<'a> {
    pub(crate) settings: &'a GroupSettings,
    pub(crate) deadlines: &'a mut Deadlines,
    pub(crate) writes: &'a mut Writes,
    /// Calls taken and not answered.
    pub(crate) outstanding: &'a mut u64,
    pub(crate) now: Now,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// Records on their way into the log.
#[derive(Default, Debug)]
pub(crate) struct Writes {
    next: u64,
    pub(crate) open: BTreeMap<WriteId, OpenWrite>,
}

/// What happens when a record is stored, or not.
#[derive(Debug)]
pub(crate) struct OpenWrite {
    pub(crate) group: Arc<str>,
    pub(crate) purpose: Purpose,
}

#[derive(Debug)]
pub(crate) enum Purpose {
    /// The leader's assignments. The group's `storing` has them, unless a rebalance began since.
    Assignment,
    /// A static member came back under a new id while the group is stable.
    Replacement(Box<Replacement>),
    /// The last member went. Those whose LeaveGroup did it wait for the write.
    Emptied(Option<(Caller, Vec<Result<(), GroupError>>)>),
    /// The group goes. It comes back if that cannot be stored. No caller when it expired.
    Removal(Option<Caller>, Box<Group>),
}

/// How to answer a static member that came back, and how to undo it.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) caller: Caller,
    pub(crate) generation: i32,
    pub(crate) new_id: Arc<str>,
    pub(crate) can_skip_assignment: bool,
    /// The group's leader before, which may be the id that was replaced.
    pub(crate) old_leader: Option<Arc<str>>,
    pub(crate) old_id: Arc<str>,
    pub(crate) old_protocols: Vec<(String, Bytes)>,
    pub(crate) old_session_timeout_ms: i32,
    pub(crate) old_rebalance_timeout_ms: i32,
}

impl Turn<'_> {
    pub(crate) fn answer(&mut self, caller: Caller, answer: GroupAnswer) {
        let left = self.outstanding.checked_sub(1);
        *self.outstanding = left.expect("an answer belongs to a call that was not answered");
        self.effects.push(Effect::Answer(caller, answer));
    }

    pub(crate) fn store(
        &mut self,
        group: &Arc<str>,
        record: GroupRecord,
        purpose: Purpose,
    ) -> WriteId {
        let write = self.open(group, purpose);
        self.effects.push(Effect::Store { write, group: group.to_string(), record });
        write
    }

    pub(crate) fn remove(&mut self, group: &Arc<str>, purpose: Purpose) {
        let write = self.open(group, purpose);
        self.effects.push(Effect::Remove { write, group: group.to_string() });
    }

    fn open(&mut self, group: &Arc<str>, purpose: Purpose) -> WriteId {
        let write = WriteId(self.writes.next);
        self.writes.next += 1;
        self.writes.open.insert(write, OpenWrite { group: Arc::clone(group), purpose });
        write
    }
}
