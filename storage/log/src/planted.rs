//! Bugs on purpose, switched at run time, to test the testers: the simulation and its checker must
//! find each of them. All off is the product; nothing outside tests turns one on.

/// Which bugs are on. The same value belongs into [`crate::Shard`] and [`crate::Decider`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlantedBugs {
    /// A change of term forgets every producer: a retry after failover is written twice.
    pub sequence_not_restored: bool,
    /// A leader keeps what it had decided when it loses the role, and apply believes its offsets:
    /// offsets are given twice or skipped.
    pub offset_gap_reused: bool,
    /// A duplicate of a remembered batch is appended again.
    pub duplicate_appended: bool,
    /// DeleteRecords may move the log start beyond the high watermark.
    pub log_start_past_high_watermark: bool,
    /// A fenced producer (older epoch) may still write.
    pub epoch_compared_wrong: bool,
    /// A change of term moves every committed offset back by one: a group that fetches its offset
    /// after failover is told one that it never committed last.
    pub commit_goes_back: bool,
    /// A manifest is taken whether its intent is open or not: a deposed leader's object, abandoned
    /// and deleted, is believed to hold records.
    pub manifest_of_any_intent: bool,
    /// An intent is abandoned without those behind it: `uploaded` may pass a range in no object.
    pub given_up_alone: bool,
}
