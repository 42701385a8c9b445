//! What is asked of a coordinator and what it answers, in words free of Kafka's wire versions.

use bytes::Bytes;

/// Who waits for an answer: the lane's ticket, opaque here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Caller(pub u64);

/// A call that concerns one group's membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupCall {
    /// JoinGroup.
    Join(Join),
    /// SyncGroup.
    Sync(Sync),
    /// Heartbeat.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(Leave),
    /// DescribeGroups, one group.
    Describe {
        /// Which.
        group: String,
    },
    /// DeleteGroups, one group: only an empty one.
    Delete {
        /// Which.
        group: String,
    },
}

impl GroupCall {
    /// The group it concerns.
    #[must_use]
    pub fn group(&self) -> &str {
        match self {
            GroupCall::Join(Join { group, .. })
            | GroupCall::Sync(Sync { group, .. })
            | GroupCall::Heartbeat(Heartbeat { group, .. })
            | GroupCall::Leave(Leave { group, .. })
            | GroupCall::Describe { group }
            | GroupCall::Delete { group } => group,
        }
    }
}

/// The answer to a [`GroupCall`], same variant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupAnswer {
    /// To Join.
    Join(Result<Joined, GroupError>),
    /// To Sync.
    Sync(Result<Synced, GroupError>),
    /// To Heartbeat.
    Heartbeat(Result<(), GroupError>),
    /// To Leave: for the call, or per member in its order.
    Leave(Result<Vec<Result<(), GroupError>>, GroupError>),
    /// To Describe. A group nobody knows is [`GroupError::GroupIdNotFound`].
    Describe(Result<Description, GroupError>),
    /// To Delete.
    Delete(Result<(), GroupError>),
}

/// A member wants in, or back in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Join {
    /// Which group.
    pub group: String,
    /// Empty at first.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `consumer`, `connect`.
    pub protocol_type: String,
    /// Name and metadata, in order of preference.
    pub protocols: Vec<(String, Bytes)>,
    /// Silence after which it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance may wait for it; equals the session timeout in version 0.
    pub rebalance_timeout_ms: i32,
    /// From version 4: a new dynamic member is told its id first (KIP-394).
    pub requires_known_member: bool,
    /// From version 9: a static leader that comes back may skip assigning (KIP-814).
    pub can_skip_assignment: bool,
    /// As the client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
}

/// In, with a generation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Joined {
    /// Of this rebalance.
    pub generation: i32,
    /// Of the group.
    pub protocol_type: String,
    /// Chosen by votes.
    pub protocol: Option<String>,
    /// Member id of the one that assigns.
    pub leader: String,
    /// The leader need not assign: it keeps what is.
    pub skip_assignment: bool,
    /// Its own.
    pub member_id: String,
    /// For the leader: everyone and their metadata. Empty for the others.
    pub members: Vec<JoinedMember>,
}

/// A member as the assigning one sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// Under the protocol chosen.
    pub metadata: Bytes,
}

/// A member asks for its assignment; the leader brings all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sync {
    /// Which group.
    pub group: String,
    /// Its own.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// As joined.
    pub generation: i32,
    /// From version 5: must equal the group's.
    pub protocol_type: Option<String>,
    /// From version 5: must equal the chosen one.
    pub protocol: Option<String>,
    /// From the leader: member id and assignment.
    pub assignments: Vec<(String, Bytes)>,
}

/// What to consume.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Synced {
    /// Of the group.
    pub protocol_type: String,
    /// Of the group.
    pub protocol: Option<String>,
    /// Opaque.
    pub assignment: Bytes,
}

/// A sign of life.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heartbeat {
    /// Which group.
    pub group: String,
    /// Its own.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// As joined.
    pub generation: i32,
}

/// Members go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leave {
    /// Which group.
    pub group: String,
    /// Who; an administrator may name static members by instance id alone.
    pub members: Vec<LeavingMember>,
}

/// One that goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeavingMember {
    /// May be empty when the instance id is given.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
}

/// Kafka's states of a classic group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum GroupState {
    /// No members; offsets may be there.
    Empty,
    /// Members are being collected.
    PreparingRebalance,
    /// The leader assigns.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
    /// Gone, or never there.
    Dead,
}

impl GroupState {
    /// As Kafka writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
            GroupState::Dead => "Dead",
        }
    }
}

/// A group as DescribeGroups shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description {
    /// Now.
    pub state: GroupState,
    /// `consumer`, `connect`; empty when nobody ever said.
    pub protocol_type: String,
    /// While stable; else empty.
    pub protocol: String,
    /// Ascending by member id.
    pub members: Vec<MemberDescription>,
}

/// A member as DescribeGroups shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// As it calls itself.
    pub client_id: String,
    /// Where from, `/` and address as Kafka writes it.
    pub client_host: String,
    /// Under the protocol chosen.
    pub metadata: Bytes,
    /// What it has.
    pub assignment: Bytes,
}

/// A group as ListGroups shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its id.
    pub group: String,
    /// `consumer`, `connect`; empty when it only has offsets.
    pub protocol_type: String,
    /// Now.
    pub state: GroupState,
}

/// Why a call on a group was not done. Each is one thing a client may do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupError {
    /// This node does not lead the group's slot: find the coordinator again.
    NotCoordinator,
    /// It leads it and has not applied its first entry yet: retry here.
    LoadInProgress,
    /// The entry could not be stored, or its fate is unknown: retry; joining again is harmless.
    CoordinatorNotAvailable,
    /// Join again with an empty id.
    UnknownMember,
    /// The generation is over: join again.
    IllegalGeneration,
    /// Join again: members are being collected.
    RebalanceInProgress,
    /// No assignor that everyone knows, or another protocol type.
    InconsistentProtocol,
    /// Outside `group.min.session.timeout.ms..=group.max.session.timeout.ms`.
    InvalidSessionTimeout,
    /// Join again with this id (KIP-394).
    MemberIdRequired(String),
    /// A newer member has taken this instance id.
    FencedInstance,
    /// `group.max.size` is reached, or the group's record would not fit into an entry. To Sync, where
    /// the assignments are too large, Kafka says UNKNOWN_SERVER_ERROR.
    GroupFull,
    /// Empty where one is needed.
    InvalidGroup,
    /// It has members.
    NonEmptyGroup,
    /// Nobody knows it.
    GroupIdNotFound,
    /// DeleteOffsets: a member consumes that topic.
    SubscribedToTopic,
    /// Longer than `offset.metadata.max.bytes`.
    MetadataTooLarge,
    /// No such topic or partition.
    UnknownTopicOrPartition,
}
