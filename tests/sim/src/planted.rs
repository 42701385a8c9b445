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
    ($($name:literal: $($($path:ident).+)&+, $reach:expr;)*) => {
        /// Everything that can be planted.
        pub(crate) const BUGS: &[Bug] = &[
            $(Bug {
                name: $name,
                plant: |planted| { $(planted.$($path).+ = true;)+ },
                reach: $reach,
            },)*
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
    "offset-gap-reused": lane.log.offset_gap_reused, here(113);
    "duplicate-appended": lane.log.duplicate_appended, here(1);
    "log-start-past-high-watermark": lane.log.log_start_past_high_watermark, here(5);
    "epoch-compared-wrong": lane.log.epoch_compared_wrong, here(1);
    "commit-goes-back": lane.log.commit_goes_back, here(1);
    "answer-before-commit": lane.answer_before_commit, here(1);
    "pending-by-index-only": lane.pending_by_index_only, here(31);
    "crc-failure-is-end-of-log": wal.crc_failure_is_end_of_log, here(3);
    "device-offset-not-verified": wal.device_offset_not_verified, here(93);
    "header-not-in-checksum": wal.header_not_in_checksum, here(82);
    "torn-batch-half-visible": wal.torn_batch_half_visible, here(3);
    "replay-recycled-segment": wal.replay_recycled_segment, here(3);
    "durable-before-completion": wal.durable_before_completion, here(4);
    "reserve-ignored": wal.reserve_ignored, here(255);
    "failed-write-retried-and-acked": wal.failed_write_retried_and_acked, here(9);
    "vote-not-restored": wal.vote_not_restored, here(204);
    "erased-before-header": wal.erased_before_header, here(8);
    "device-acks-before-flush": device_acks_before_flush, here(5);
    "trimmed-not-uploaded": lane.history.trimmed_not_uploaded, here(18);
    "trimmed-not-kept": lane.history.trimmed_not_kept, here(10);
    "kept-when-asked": lane.history.kept_when_asked, here(45);
    "start-state-trusted": lane.history.start_state_trusted, here(78);
    "state-beyond-log-believed": lane.consensus.state_beyond_log_believed, here(15);
    "entries-before-state-forgotten": lane.consensus.entries_before_state_forgotten, here(6);
    "nothing-recalled": lane.history.nothing_recalled, here(8);
    "places-outlive-segments": lane.history.places_outlive_segments, here(5);
    "edge-in-next-object": lane.history.edge_in_next_object, here(5);
    "announced-not-forgotten": lane.history.announced_not_forgotten, here(5);
    "given-up-alone": lane.history.given_up_alone & lane.log.given_up_alone, here(120);
    "deleted-not-kept": lane.history.deleted_not_kept, here(38);
    "deleted-while-read": lane.history.deleted_while_read, here(5);
    "deleted-once": lane.history.deleted_once, here(10);
    "manifest-of-any-intent": lane.log.manifest_of_any_intent, Reach::Elsewhere {
        why: "a second fence; a leader proposes manifests of its own open intents only",
        test: "a_manifest_without_an_open_intent_makes_partitions_believe_a_deleted_object \
               (storage/log)",
    };
}

/// The bug of that name.
pub(crate) fn find(name: &str) -> Option<&'static Bug> {
    BUGS.iter().find(|bug| bug.name == name)
}
