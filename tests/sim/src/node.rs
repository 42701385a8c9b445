//! One node: a device, a lane on it, two clocks, and what arrived since its last turn.
//!
//! | state | lane | device | inbox |
//! | --- | --- | --- | --- |
//! | up | turns | open | drained every turn |
//! | paused | kept, does not turn | goes on | grows |
//! | down | none | closed; media kept | refused |
//! | out | none | closed | refused, and never started again in this run |

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use holdfast_base::{BootCount, Index, ShardId, Term};
use holdfast_io::{SimDevice, SimDisk};
use holdfast_lane::{Lane, LaneConfig, Published, Request, Ticket};

use crate::clock::NodeClock;
use crate::store::Desk;

/// Whether a node runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Power {
    Up,
    Paused,
    Down,
    /// Replaced by nobody: a fault took what only a fence could make good.
    Out,
}

/// What arrived and was not yet looked at.
#[derive(Debug)]
pub(crate) enum Input {
    Peer(Bytes),
    Call(Ticket, Request),
}

/// See the module.
pub(crate) struct Node {
    pub(crate) device: SimDevice,
    pub(crate) config: LaneConfig,
    pub(crate) lane: Option<Lane<SimDisk>>,
    pub(crate) power: Power,
    pub(crate) clock: NodeClock,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) published: Option<Published>,
    /// Starts so far; part of the lane's seed, so that no id is drawn twice.
    pub(crate) starts: u64,
    /// The lane's thread is at work until then.
    pub(crate) busy_until_ns: u64,
    /// When it next has something to do.
    pub(crate) turn_at_ns: Option<u64>,
    /// A restart is scheduled; another fault must not schedule a second one.
    pub(crate) restarting: bool,
    /// The lane has said that its device failed.
    pub(crate) has_failed: bool,
    /// Bytes of this node's device were damaged, or its device lied.
    pub(crate) is_damaged: bool,
    /// The damage lies where it cannot be taken for a torn write.
    pub(crate) must_notice: bool,
    /// A durable frame with this shard's entries was damaged.
    pub(crate) must_quarantine: Option<ShardId>,
    /// Its device holds an older image of itself.
    pub(crate) rolled_back: bool,
    /// Boot count when it last went down.
    pub(crate) boot: BootCount,
    /// When it last went down: per shard the term and the newest index on stable media.
    pub(crate) promised: BTreeMap<ShardId, (Term, Index)>,
    /// Its dealings with the object store.
    pub(crate) desk: Desk,
}

impl Node {
    /// When the next turn is due, as far as is known now.
    pub(crate) fn schedule(&mut self, now_ns: u64) {
        self.turn_at_ns = match (&self.lane, self.power) {
            (Some(lane), Power::Up) => {
                let wake = self.clock.sim_time_of(lane.next_wake_ns());
                let mut at = wake.max(now_ns + 1000);
                if let Some(due_ns) = self.device.next_due_ns() {
                    at = at.min(due_ns);
                }
                if !self.inbox.is_empty() {
                    at = at.min(now_ns);
                }
                Some(at.max(self.busy_until_ns).max(now_ns))
            }
            _ => None,
        };
    }

    pub(crate) fn is_up(&self) -> bool {
        self.power == Power::Up && self.lane.is_some() && !self.has_failed
    }
}
