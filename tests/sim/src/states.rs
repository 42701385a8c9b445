//! States a run must reach to be worth anything: *sometimes* assertions.
//!
//! An assertion that always holds shows nothing when its situation never comes about. So each
//! interesting situation has a name here, counts how often it was seen, and over the seeds of the
//! test run each must have been seen at least once.

use std::collections::BTreeMap;

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// A situation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum State {
            $($(#[$doc])* $name,)*
        }

        impl State {
            /// All of them.
            pub(crate) const ALL: &[State] = &[$(State::$name,)*];

            /// In words.
            pub(crate) fn text(self) -> &'static str {
                match self {
                    $(State::$name => $text,)*
                }
            }
        }
    };
}

/// Situations that cannot come about as the code stands; each is a second fence behind a first.
pub(crate) const OUT_OF_REACH: &[&str] = &[
    "an entry was a no-op because another term decided it: nobody forwards a proposal, and a \
     leader that was deposed since its last turn proposes nothing",
    "a pending answer failed because another term took its index: losing the role has failed it \
     before",
];

states! {
    RequestTimedOut => "a request timed out at its client",
    RetryAcknowledged => "a batch was acknowledged at a later try",
    FetchFromMemory => "a fetch was served from the tail cache",
    FetchFromDisk => "a fetch was served from the WAL device",
    DamagedBytesNotServed => "damaged bytes on the device were noticed when read, not served",
    OffsetOutOfRange => "a fetch was refused: offset out of range",
    RecordsDeleted => "DeleteRecords moved a log start",
    TopicDeleted => "a topic was deleted",
    RefusedNotLeader => "a call was refused: not the leader",
    RefusedNoSpace => "a call was refused: WAL full",
    SpaceCameBack => "a write was taken after the WAL had been full",
    RefusedOutOfOrder => "a batch was refused: out of order",
    FateUnknown => "a produce ended with its fate unknown",
    DeviceFailed => "a device failed (EIO) and its node stopped",
    DeviceHung => "a device hung and came back",
    QuarantineAtStart => "a replica was quarantined at start",
    DamagedNodeReplaced => "a damaged node was taken out so that whole ones serve",
    CameBackWithLess => "a damaged node came back with less than it had promised",
    DurableFrameMissed => "a damaged durable frame was missed at start and its replica quarantined",
    StaleFrameIgnored => "a stale frame at the end of the log was not taken for the next one",
    RolledBackOlderBoot => "a rolled-back node came with a boot count below one its peers had seen",
    RolledBackWithLess => "a rolled-back node came with less than it had promised",
    NodeKilled => "a node was killed",
    PowerCutOne => "one node lost power",
    PowerCutAll => "all nodes lost power at once",
    CutTornWrite => "a power cut tore a write",
    CutDroppedWrite => "a power cut dropped a write",
    LeaderIsolated => "a leader was cut off from its followers",
    OneWayCut => "a link was cut in one direction",
    MessageLost => "a peer message was lost",
    MessageRepeated => "a peer message came twice",
    NodePaused => "a node was stopped for longer than the election timeout",
    WallClockJumped => "a wall clock jumped",
    WriteLost => "a write was reported durable and never landed",
    WriteMisdirected => "a write landed in another place",
    BitRotted => "a bit flipped under a running node",
    BitFlipped => "a bit flipped on a stopped node",
    SegmentSealed => "a segment was sealed",
    TornTailCut => "recovery cut a torn tail",
    CrashInRoll => "a node went down while a segment waited for its seal",
    LeaderChanged => "leadership of a shard changed",
    LeaseExpired => "a leader refused a read because its lease had run out",
    EntryTruncated => "a follower's entries were truncated by another term",
    FedFromWal => "a follower behind the cache was fed from the WAL",
    DuplicateInFlight => "a duplicate waited for its first copy",
    DuplicateCommitted => "a duplicate was answered with the first copy's offset",
    ParkedFetchWoken => "a parked fetch was woken by records",
    PendingFailed => "pending answers failed when leadership was lost",
    VoteHeldBack => "a replica that had just started held its vote back",
    ZombieFenced => "a producer of an older epoch was fenced",
    MemberLeft => "a member left its group",
    MemberDied => "a group rebalanced after a member had died",
    StaticMemberReplaced => "a static member came back without a rebalance",
    CoordinatorMoved => "a coordinator failed over and its members stayed",
    CoordinatorLoading => "a call was refused: the coordinator is loading",
    CommitRefusedByGeneration => "a commit was refused: its generation is over",
    CommitFateUnknown => "a commit ended with its fate unknown",
    OffsetFromNewLeader => "a committed offset was shown by another node than had acknowledged it",
    FetchFromObject => "a fetch was served from an object",
    ColdReadFailed => "an object could not be read just then, and was asked for again",
    SegmentGoneUnderRead => "a segment was given back while it was being read",
    ObjectCommitted => "an object was committed",
    LogTrimmed => "a segment of the log was given back",
    RestoredAtStart => "a replica started from a state",
    StartedFromStore => "a replica started from a state of the store",
    NewerThanLog => "a state newer than the log was refused",
    IntentAbandoned => "an intent was abandoned",
    UploadTriedAgain => "an upload was tried again",
    StoreTriedAgain => "something was tried again at the store",
    LyingPutFoundOut => "an object was put and read back wrong",
    LatePut => "a PUT landed that its caller had given up",
    LogNotReadable => "an upload was given up: the log could not be read",
    ObjectsMerged => "objects were merged",
    MergeGivenUp => "a merge was given up: a source was gone or could not be read",
    ObjectDeleted => "an object was deleted",
    NothingLeft => "nothing was left of deleted topics",
    DownBehindPut => "a node went down between a PUT and its manifest",
    DownBehindManifest => "a node went down right behind a manifest",
    DownBehindTrim => "a node went down right behind a trim",
    DownBehindStateFile => "a node went down between a state's file and the store",
    DownBehindStatePut => "a node went down right behind a state's PUT",
    DownBehindDelete => "a node went down between a DELETE and its entry",
    OldBootDropped => "a message of an older boot was dropped",
}

/// How often each was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    seen: BTreeMap<State, u64>,
}

impl States {
    pub(crate) fn reach(&mut self, state: State) {
        *self.seen.entry(state).or_default() += 1;
    }

    pub(crate) fn reach_times(&mut self, state: State, times: u64) {
        if times > 0 {
            *self.seen.entry(state).or_default() += times;
        }
    }

    pub(crate) fn count(&self, state: State) -> u64 {
        self.seen.get(&state).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &States) {
        for (state, count) in &other.seen {
            *self.seen.entry(*state).or_default() += count;
        }
    }
}
