//! Bugs put in on purpose, to see the harness find them.
//!
//! Each is switched at run time in the crate that it breaks; here they have the names of the
//! command line. A bug that no seed finds is a fault of the harness, or is told with the reason
//! and the test that does find it.

/// Which bugs are on in a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Planted {
    pub(crate) lane: holdfast_lane::PlantedBugs,
    pub(crate) wal: holdfast_wal::PlantedBugs,
    pub(crate) device_acks_before_flush: bool,
}

/// Where a bug is found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// By seeds; `first` was the lowest when last looked.
    Here { first: u64 },
    /// By a test of the crate it breaks.
    Elsewhere { why: &'static str, test: &'static str },
}

/// One bug.
pub(crate) struct Bug {
    pub(crate) name: &'static str,
    plant: fn(&mut Planted),
    pub(crate) reach: Reach,
}

impl Bug {
    pub(crate) fn planted(&self) -> Planted {
        let mut planted = Planted::default();
        (self.plant)(&mut planted);
        planted
    }
}

macro_rules! bugs {
    ($($name:literal: $($path:ident).+, $reach:expr;)*) => {
        /// Everything that can be planted.
        pub(crate) const BUGS: &[Bug] = &[
            $(Bug { name: $name, plant: |planted| planted.$($path).+ = true, reach: $reach },)*
        ];
    };
}

const fn here(first: u64) -> Reach {
    Reach::Here { first }
}

bugs! {
    "acknowledge-before-flush": lane.consensus.acknowledge_before_flush, here(62);
    "deciding-term-ignored": lane.consensus.deciding_term_ignored, Reach::Elsewhere {
        why: "a second fence; nobody forwards a proposal, and a deposed leader proposes nothing",
        test: "an_entry_decided_in_another_term_is_a_no_op (daemon/consensus)",
    };
    "serves-before-own-entry": lane.consensus.serves_before_own_entry, here(17);
    "lease-ignored": lane.consensus.lease_ignored, here(23);
    "sequence-not-restored": lane.log.sequence_not_restored, here(3);
    "offset-gap-reused": lane.log.offset_gap_reused, here(25);
    "duplicate-appended": lane.log.duplicate_appended, here(1);
    "log-start-past-high-watermark": lane.log.log_start_past_high_watermark, here(30);
    "epoch-compared-wrong": lane.log.epoch_compared_wrong, here(1);
    "commit-goes-back": lane.log.commit_goes_back, here(1);
    "answer-before-commit": lane.answer_before_commit, here(1);
    "pending-by-index-only": lane.pending_by_index_only, here(26);
    "crc-failure-is-end-of-log": wal.crc_failure_is_end_of_log, here(3);
    "device-offset-not-verified": wal.device_offset_not_verified, here(93);
    "header-not-in-checksum": wal.header_not_in_checksum, here(82);
    "torn-batch-half-visible": wal.torn_batch_half_visible, here(3);
    "replay-recycled-segment": wal.replay_recycled_segment, here(3);
    "durable-before-completion": wal.durable_before_completion, here(4);
    "reserve-ignored": wal.reserve_ignored, here(255);
    "failed-write-retried-and-acked": wal.failed_write_retried_and_acked, here(9);
    "vote-not-restored": wal.vote_not_restored, here(175);
    "device-acks-before-flush": device_acks_before_flush, here(5);
}

/// The bug of that name.
pub(crate) fn find(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}
