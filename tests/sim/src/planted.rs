//! Bugs put in on purpose, to see the harness find them.
//!
//! Each is switched at run time in the crate that it breaks; here they have the names of the
//! command line. A bug that no seed finds is a fault of the harness, or is told with its reason.

/// Which bugs are on in a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    pub(crate) lane: holdfast_lane::PlantedBugs,
    pub(crate) wal: holdfast_wal::PlantedBugs,
    pub(crate) device_acks_before_flush: bool,
}

/// One bug.
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    plant: fn(&mut Planted),
    /// Why the simulation need not find it; empty where it must.
    pub(crate) excuse: &'static str,
}

impl Bug {
    pub(crate) fn planted(&self) -> Planted {
        let mut planted = Planted::default();
        (self.plant)(&mut planted);
        planted
    }
}

macro_rules! bugs {
    ($($name:literal: $($path:ident).+ $(, $excuse:literal)?;)*) => {
        /// Everything that can be planted.
        pub(crate) const BUGS: &[Bug] = &[
            $(Bug {
                name: $name,
                plant: |planted| planted.$($path).+ = true,
                excuse: concat!($($excuse)?),
            },)*
        ];
    };
}

bugs! {
    "acknowledge-before-flush": lane.consensus.acknowledge_before_flush;
    "deciding-term-ignored": lane.consensus.deciding_term_ignored,
        "no forwarded proposal is sent or accepted, and a deposed leader proposes nothing: the second fence is not reached (found by consensus's own test)";
    "serves-before-own-entry": lane.consensus.serves_before_own_entry;
    "lease-ignored": lane.consensus.lease_ignored;
    "sequence-not-restored": lane.log.sequence_not_restored;
    "offset-gap-reused": lane.log.offset_gap_reused;
    "duplicate-appended": lane.log.duplicate_appended;
    "log-start-past-high-watermark": lane.log.log_start_past_high_watermark;
    "epoch-compared-wrong": lane.log.epoch_compared_wrong;
    "answer-before-commit": lane.answer_before_commit;
    "pending-by-index-only": lane.pending_by_index_only;
    "crc-failure-is-end-of-log": wal.crc_failure_is_end_of_log;
    "device-offset-not-verified": wal.device_offset_not_verified,
        "recovery meets a misplaced frame only where one happens to lie in the way (found by the WAL's own tests)";
    "header-not-in-checksum": wal.header_not_in_checksum,
        "needs a bit flip in the few bytes of one header (found by the WAL's own tests)";
    "torn-batch-half-visible": wal.torn_batch_half_visible,
        "needs a tear in the payload alone of an entry that is committed later (found by the WAL's own tests)";
    "replay-recycled-segment": wal.replay_recycled_segment,
        "nothing is trimmed before objects exist, so no segment is recycled (found by the WAL's own tests)";
    "durable-before-completion": wal.durable_before_completion;
    "reserve-ignored": wal.reserve_ignored,
        "the run gives a full WAL more room before the reserve is missed (found by the WAL's own tests)";
    "failed-write-retried-and-acked": wal.failed_write_retried_and_acked;
    "vote-not-restored": wal.vote_not_restored;
    "device-acks-before-flush": device_acks_before_flush;
}

/// The bug of that name.
pub(crate) fn find(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}
