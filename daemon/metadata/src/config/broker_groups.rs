//! Settings of nodes. Coordinators of groups and the offsets they keep.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::Used;
use super::table::ValidValues::Integer;
use super::table::{ANY_INT, I32, I64};

settings! {
    /// Sorted by name.
    pub(super) GROUPS;
    "group.initial.rebalance.delay.ms": Int = Some("3000"), ANY_INT, ReadOnly, Used,
        "How long a new classic group waits for more members before its first rebalance.";
    "group.max.session.timeout.ms": Int = Some("1800000"), ANY_INT, ReadOnly, Used,
        "The longest session timeout that a member of a classic group may ask for.";
    "group.max.size": Int = Some("2147483647"), Integer(1, I32), ReadOnly, Used,
        "How many members a classic group has at most.";
    "group.min.session.timeout.ms": Int = Some("6000"), ANY_INT, ReadOnly, Used,
        "The shortest session timeout that a member of a classic group may ask for.";
    "offset.metadata.max.bytes": Int = Some("4096"), ANY_INT, ReadOnly, Used,
        "How many bytes of its own a client may add to a committed offset.";
    "offsets.retention.check.interval.ms": Long = Some("600000"), Integer(1, I64), ReadOnly, Used,
        "How often groups are looked over for committed offsets to forget.";
    "offsets.retention.minutes": Int = Some("10080"), Integer(1, I32), ReadOnly, Used,
        "For how many minutes committed offsets are kept once their group has no members.";
}
