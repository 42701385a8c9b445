//! What an operator may set about groups, under Kafka's names and with Kafka's defaults.

/// How groups behave. One declaration of each number; the daemon's settings fill it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for
    /// more members after each that joins. 0 under `--dev`, where nobody wants to wait.
    pub initial_rebalance_delay_ms: u32,
    /// `group.min.session.timeout.ms`: a shorter session is refused; it would cost heartbeats.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`: a longer session is refused; the dead would keep partitions.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`: members of one group.
    pub max_size: u32,
}

impl Default for GroupSettings {
    fn default() -> Self {
        GroupSettings {
            initial_rebalance_delay_ms: 3_000,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX.unsigned_abs(),
        }
    }
}

/// A new member whose JoinGroup is parked has no heartbeat yet, and a client that gave up cannot be
/// seen to be gone. So it is dropped after Kafka's five minutes; one that still lives asks again.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 300_000;

/// When a join deadline passes and nobody joined, the group looks again after its rebalance timeout
/// but not sooner than this: a member may have asked for a timeout of 0, and that must not spin.
pub(crate) const REBALANCE_RETRY_MIN_MS: i32 = 100;

/// A group's record is one entry of the log, and the log takes no larger one (`storage/log`).
pub const GROUP_RECORD_MAX_BYTES: usize = 768 * 1024;

/// Of a client id or instance id, so much goes into the member id made from it. Kafka's strings end
/// at 32,767 bytes; a member id of a longest client id would not fit into its own answer.
pub(crate) const MEMBER_ID_PREFIX_MAX_BYTES: usize = 1_024;

const _: () = assert!(MEMBER_ID_PREFIX_MAX_BYTES + 37 <= i16::MAX as usize);
