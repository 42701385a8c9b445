//! The end of a seed that has an object store: everything is in objects, and when all topics are
//! deleted, nothing of them is.
//!
//! Caveat: with several voters nobody looks whether deleted topics are gone. A leader that started
//! from a state of shard 0, and does not lead shard 0, does not learn of deletions that this state
//! reflects: their partitions stay. (Found here, not repaired yet.)

use holdfast_base::{ShardId, TopicId};
use holdfast_lane::{DeleteTopic, Origin, Request};

use super::Sim;
use crate::power::Stop;
use crate::states::State;
use crate::store::LATE_NS_MAX;
use crate::world::DATA_SHARDS;

/// A store that is well again has everything within this time: a log that could not be read pauses
/// uploads for 10 s.
const QUIET_WITHIN_NS: u64 = 40_000_000_000;
/// Retired, part of a kept state, deleted, gone; and what a housekeeping does of groups.
const GONE_WITHIN_NS: u64 = 60_000_000_000;
const STEP_NS: u64 = 250_000_000;
/// A deletion of topics is asked for again after this.
const ASK_AGAIN_NS: u64 = 2_000_000_000;
/// The administrator.
const ADMIN: usize = 0;

impl Sim {
    pub(super) fn settle_store(&mut self) {
        if self.world.bucket.is_none() || !self.nemesis.leaves_quorum(&self.world) {
            return;
        }
        // PUTs that nobody waits for land.
        self.until(LATE_NS_MAX, |_| None::<()>);
        if !self.comes_to_be(QUIET_WITHIN_NS, |sim| sim.world.store_is_quiet()) {
            let unrest = self.world.store_unrest();
            self.world.broken.push(format!(
                "never-uploaded: {} s after the store was well again:{unrest}",
                QUIET_WITHIN_NS / 1_000_000_000
            ));
        }
        // Mixed objects are emptied of deleted topics in time.
        if !self.comes_to_be(QUIET_WITHIN_NS, |sim| sim.world.holds_deleted().is_empty()) {
            let held = self.world.holds_deleted();
            self.world.broken.push(format!(
                "deleted-and-held: {} s after the store was well again:{held}",
                QUIET_WITHIN_NS / 1_000_000_000
            ));
        }
        self.comes_to_be(QUIET_WITHIN_NS, |sim| sim.world.store_is_quiet());
        self.world.audit_store();
        if self.kind.is_trimmed() {
            self.delete_everything();
        }
        self.begin_with_an_older_log();
    }

    /// Looks every so often.
    fn comes_to_be(&mut self, within_ns: u64, is_so: impl Fn(&Sim) -> bool) -> bool {
        let deadline_ns = self.world.now_ns + within_ns;
        while !is_so(self) {
            if self.world.now_ns >= deadline_ns || self.runs_away() {
                return false;
            }
            self.until(STEP_NS, |_| None::<()>);
        }
        true
    }

    fn topics(&self) -> Vec<(TopicId, String)> {
        let known = self.world.nodes.iter().filter_map(|node| node.published.as_ref());
        let newest = known.max_by_key(|published| published.image.applied);
        let image = newest.map(|published| published.image.clone());
        let topics = image.iter().flat_map(|image| image.topics_by_id.iter());
        topics.map(|(id, topic)| (*id, topic.name.clone())).collect()
    }

    fn delete_everything(&mut self) {
        let topics: Vec<TopicId> = self.topics().into_iter().map(|(id, _)| id).collect();
        let deadline_ns = self.world.now_ns + GONE_WITHIN_NS;
        while self.world.now_ns < deadline_ns && !self.runs_away() {
            let left = self.topics();
            if left.is_empty() {
                break;
            }
            let names = left.into_iter().map(|(_, name)| DeleteTopic::Name(name)).collect();
            let to = self.world.leader_of(ShardId::METADATA).unwrap_or(0);
            let origin = Origin {
                principal: "User:ANONYMOUS".to_owned(),
                host: "simulation".to_owned(),
                client_id: "the end".to_owned(),
            };
            self.world.call(ADMIN, to, Request::DeleteTopics(names, origin));
            self.comes_to_be(ASK_AGAIN_NS, |sim| sim.topics().is_empty());
        }
        let is_gone = |sim: &Sim| {
            sim.topics().is_empty()
                && sim.world.store_is_quiet()
                && sim.world.remains_of(&topics).is_empty()
        };
        if self.comes_to_be(GONE_WITHIN_NS, is_gone) {
            self.world.states.reach(State::NothingLeft);
        } else {
            let (remains, unrest) = (self.world.remains_of(&topics), self.world.store_unrest());
            for shard in (1..=DATA_SHARDS).map(ShardId) {
                let (now_ns, line) = (self.world.now_ns, self.shard_line(shard));
                self.world.trace.tell(now_ns, None, || line);
            }
            self.world.broken.push(format!(
                "deleted-and-there: {} s after all topics were deleted:{remains}{unrest}",
                GONE_WITHIN_NS / 1_000_000_000
            ));
        }
    }

    /// One voter's device is put back as it was when the faults ended: states newer than the log
    /// must not be believed to belong to it.
    fn begin_with_an_older_log(&mut self) {
        let Some(image) = self.older_log.take() else { return };
        self.world.stop(0, Stop::Kill);
        let node = &mut self.world.nodes[0];
        node.device.roll_back(&image);
        node.is_damaged = true;
        self.world.start(0);
    }
}
