//! Which error codes an API may answer: a type per answer, so that a code its clients do not know
//! cannot be written.
//!
//! Why: the Java consumer knows 13 codes in a Fetch partition; any other throws
//! IllegalStateException and ends the application. Two brokers have shipped that. The lists are
//! those of Kafka's clients (`FetchCollector`, `OffsetFetcherUtils`, `OffsetsForLeaderEpochUtils`,
//! `AbstractCoordinator`, `ConsumerCoordinator`, `Sender`, `ProducerBatch`, `KafkaAdminClient` and
//! its handlers, in 2.8.2 and 4.4.0); "no error" is every type's first variant and default.
//! `UnknownServerError` is for our own mistakes: no client has a case for it and all give up.

/// An answer's error code as Kafka numbers it.
pub trait ErrorCode: Copy {
    /// The number on the wire.
    fn code(self) -> i16;
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[expect(missing_docs, reason = "variants are Kafka's own names")]
        pub enum $name {
            #[default]
            None,
            $($variant,)*
        }
        impl $name {
            /// Every variant but `None`.
            pub const ERRORS: &[$name] = &[$($name::$variant,)*];
        }
        impl ErrorCode for $name {
            fn code(self) -> i16 {
                match self {
                    $name::None => 0,
                    $($name::$variant => $code,)*
                }
            }
        }
        impl From<$name> for i16 {
            fn from(error: $name) -> i16 {
                error.code()
            }
        }
    )*};
}

error_codes! {
    /// Produce, per partition. Back-pressure is `NotEnoughReplicas`: retriable everywhere,
    /// certainly not written, and it does not start a storm of Metadata requests.
    ProduceError {
        UnknownServerError = -1,
        CorruptMessage = 2,
        UnknownTopicOrPartition = 3,
        NotLeaderOrFollower = 6,
        RequestTimedOut = 7,
        MessageTooLarge = 10,
        InvalidTopicException = 17,
        NotEnoughReplicas = 19,
        NotEnoughReplicasAfterAppend = 20,
        InvalidRequiredAcks = 21,
        TopicAuthorizationFailed = 29,
        InvalidTimestamp = 32,
        UnsupportedForMessageFormat = 43,
        OutOfOrderSequenceNumber = 45,
        DuplicateSequenceNumber = 46,
        InvalidProducerEpoch = 47,
        TransactionalIdAuthorizationFailed = 53,
        KafkaStorageError = 56,
        UnknownProducerId = 59,
        UnsupportedCompressionType = 76,
        InvalidRecord = 87,
        UnknownTopicId = 100,
    }

    /// Fetch, per partition: what Java's `FetchCollector` knows, and nothing else.
    /// `CorruptMessage` throws to the application: never for a read that can be repaired.
    /// `UnsupportedCompressionType` is for versions below 10 alone: see [`FetchError::in_version`].
    FetchError {
        UnknownServerError = -1,
        OffsetOutOfRange = 1,
        CorruptMessage = 2,
        UnknownTopicOrPartition = 3,
        NotLeaderOrFollower = 6,
        ReplicaNotAvailable = 9,
        TopicAuthorizationFailed = 29,
        KafkaStorageError = 56,
        FencedLeaderEpoch = 74,
        UnknownLeaderEpoch = 75,
        UnsupportedCompressionType = 76,
        OffsetNotAvailable = 78,
        UnknownTopicId = 100,
        InconsistentTopicId = 103,
    }

    /// Fetch, for the whole answer: the session's errors.
    FetchSessionError {
        UnknownServerError = -1,
        FetchSessionIdNotFound = 70,
        InvalidFetchSessionEpoch = 71,
        InconsistentTopicId = 103,
        FetchSessionTopicIdError = 106,
    }

    /// ListOffsets, per partition.
    ListOffsetsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        LeaderNotAvailable = 5,
        NotLeaderOrFollower = 6,
        ReplicaNotAvailable = 9,
        TopicAuthorizationFailed = 29,
        UnsupportedVersion = 35,
        UnsupportedForMessageFormat = 43,
        KafkaStorageError = 56,
        FencedLeaderEpoch = 74,
        UnknownLeaderEpoch = 75,
        OffsetNotAvailable = 78,
    }

    /// Metadata, per topic; `LeaderNotAvailable` and `ReplicaNotAvailable` per partition too.
    MetadataError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        LeaderNotAvailable = 5,
        ReplicaNotAvailable = 9,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        UnknownTopicId = 100,
    }

    /// CreateTopics, per topic.
    CreateTopicsError {
        UnknownServerError = -1,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        ClusterAuthorizationFailed = 31,
        TopicAlreadyExists = 36,
        InvalidPartitions = 37,
        InvalidReplicationFactor = 38,
        InvalidReplicaAssignment = 39,
        InvalidConfig = 40,
        NotController = 41,
        InvalidRequest = 42,
        PolicyViolation = 44,
        ThrottlingQuotaExceeded = 89,
    }

    /// DeleteTopics, per topic.
    DeleteTopicsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        NotController = 41,
        InvalidRequest = 42,
        TopicDeletionDisabled = 73,
        ThrottlingQuotaExceeded = 89,
        UnknownTopicId = 100,
    }

    /// DeleteRecords, per partition.
    DeleteRecordsError {
        UnknownServerError = -1,
        OffsetOutOfRange = 1,
        UnknownTopicOrPartition = 3,
        NotLeaderOrFollower = 6,
        RequestTimedOut = 7,
        TopicAuthorizationFailed = 29,
        PolicyViolation = 44,
        KafkaStorageError = 56,
    }

    /// InitProducerId. Without transactions a transactional id is answered `UnsupportedVersion`
    /// at once: `CoordinatorNotAvailable` would make Java spin for `max.block.ms`.
    InitProducerIdError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        ClusterAuthorizationFailed = 31,
        UnsupportedVersion = 35,
        InvalidRequest = 42,
        InvalidProducerEpoch = 47,
        InvalidTransactionTimeout = 50,
        ConcurrentTransactions = 51,
        TransactionalIdAuthorizationFailed = 53,
        ProducerFenced = 90,
    }

    /// OffsetForLeaderEpoch, per partition.
    OffsetForLeaderEpochError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        LeaderNotAvailable = 5,
        NotLeaderOrFollower = 6,
        ReplicaNotAvailable = 9,
        TopicAuthorizationFailed = 29,
        KafkaStorageError = 56,
        FencedLeaderEpoch = 74,
        UnknownLeaderEpoch = 75,
        OffsetNotAvailable = 78,
    }

    /// FindCoordinator, for the answer up to v3 and per key from v4 on. Java tries again on
    /// `CoordinatorNotAvailable` and gives up on the rest.
    FindCoordinatorError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        InvalidGroupId = 24,
        GroupAuthorizationFailed = 30,
        UnsupportedVersion = 35,
        InvalidRequest = 42,
        TransactionalIdAuthorizationFailed = 53,
    }

    /// JoinGroup. `MemberIdRequired` from v4 on, `FencedInstanceId` from v5 on.
    JoinGroupError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        InconsistentGroupProtocol = 23,
        InvalidGroupId = 24,
        UnknownMemberId = 25,
        InvalidSessionTimeout = 26,
        RebalanceInProgress = 27,
        GroupAuthorizationFailed = 30,
        UnsupportedVersion = 35,
        MemberIdRequired = 79,
        GroupMaxSizeReached = 81,
        FencedInstanceId = 82,
    }

    /// SyncGroup. Java has no case for a coordinator that loads: `RebalanceInProgress` stands for
    /// it, and the member joins again, as a rebalance that was under way is lost then.
    SyncGroupError {
        UnknownServerError = -1,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        IllegalGeneration = 22,
        InconsistentGroupProtocol = 23,
        UnknownMemberId = 25,
        RebalanceInProgress = 27,
        GroupAuthorizationFailed = 30,
        FencedInstanceId = 82,
    }

    /// Heartbeat. Java has no case for a coordinator that loads: `None` stands for it, as no
    /// session ends before the coordinator knows of it.
    HeartbeatError {
        UnknownServerError = -1,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        IllegalGeneration = 22,
        UnknownMemberId = 25,
        RebalanceInProgress = 27,
        GroupAuthorizationFailed = 30,
        FencedInstanceId = 82,
    }

    /// LeaveGroup, for the answer.
    LeaveGroupError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        InvalidGroupId = 24,
        UnknownMemberId = 25,
        GroupAuthorizationFailed = 30,
        FencedInstanceId = 82,
    }

    /// LeaveGroup, per member from v3 on. In v0 to v2 the one member's error is the answer's.
    LeaveGroupMemberError {
        UnknownServerError = -1,
        UnknownMemberId = 25,
        FencedInstanceId = 82,
    }

    /// OffsetCommit, per partition. A generation of a group that does not exist is
    /// `IllegalGeneration`: consumers do not know `GROUP_ID_NOT_FOUND` here.
    OffsetCommitError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        OffsetMetadataTooLarge = 12,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        IllegalGeneration = 22,
        InvalidGroupId = 24,
        UnknownMemberId = 25,
        RebalanceInProgress = 27,
        InvalidCommitOffsetSize = 28,
        TopicAuthorizationFailed = 29,
        GroupAuthorizationFailed = 30,
        FencedInstanceId = 82,
    }

    /// OffsetFetch, for the answer in v2 to v7 and per group from v8 on; in v1, which has no place
    /// of its own for it, its code goes to every partition. Java 2.8 ends the consumer on
    /// `COORDINATOR_NOT_AVAILABLE` here: `NotCoordinator` makes every client look again.
    OffsetFetchGroupError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        NotCoordinator = 16,
        GroupAuthorizationFailed = 30,
    }

    /// OffsetFetch, per partition. Anything else ends a consumer, `UNKNOWN_TOPIC_OR_PARTITION`
    /// too: what was never committed, topic or group unknown, is offset -1 without an error.
    OffsetFetchPartitionError {
        TopicAuthorizationFailed = 29,
        UnstableOffsetCommit = 88,
    }

    /// OffsetDelete, for the answer.
    OffsetDeleteError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        InvalidGroupId = 24,
        GroupAuthorizationFailed = 30,
        NonEmptyGroup = 68,
        GroupIdNotFound = 69,
    }

    /// OffsetDelete, per partition.
    OffsetDeletePartitionError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        TopicAuthorizationFailed = 29,
        GroupSubscribedToTopic = 86,
    }

    /// DescribeGroups, per group. `GroupIdNotFound` from v6 on; before, an unknown group is in
    /// state "Dead" without an error.
    DescribeGroupsError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        InvalidGroupId = 24,
        GroupAuthorizationFailed = 30,
        GroupIdNotFound = 69,
    }

    /// ListGroups.
    ListGroupsError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
    }

    /// DeleteGroups, per group.
    DeleteGroupsError {
        UnknownServerError = -1,
        CoordinatorLoadInProgress = 14,
        CoordinatorNotAvailable = 15,
        NotCoordinator = 16,
        InvalidGroupId = 24,
        GroupAuthorizationFailed = 30,
        NonEmptyGroup = 68,
        GroupIdNotFound = 69,
    }

    /// CreatePartitions, per topic.
    CreatePartitionsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        InvalidPartitions = 37,
        InvalidReplicationFactor = 38,
        InvalidReplicaAssignment = 39,
        NotController = 41,
        InvalidRequest = 42,
        PolicyViolation = 44,
        ReassignmentInProgress = 60,
        ThrottlingQuotaExceeded = 89,
    }

    /// DescribeConfigs, per resource.
    DescribeConfigsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        GroupAuthorizationFailed = 30,
        ClusterAuthorizationFailed = 31,
        InvalidRequest = 42,
    }

    /// AlterConfigs and IncrementalAlterConfigs, per resource.
    AlterConfigsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
        GroupAuthorizationFailed = 30,
        ClusterAuthorizationFailed = 31,
        InvalidConfig = 40,
        NotController = 41,
        InvalidRequest = 42,
        PolicyViolation = 44,
    }

    /// DescribeLogDirs, for the answer from v3 on, and per directory.
    DescribeLogDirsError {
        UnknownServerError = -1,
        ClusterAuthorizationFailed = 31,
        KafkaStorageError = 56,
        LogDirNotFound = 57,
    }

    /// DescribeAcls for the answer, CreateAcls per creation, DeleteAcls per filter and match.
    AclError {
        UnknownServerError = -1,
        ClusterAuthorizationFailed = 31,
        NotController = 41,
        InvalidRequest = 42,
        SecurityDisabled = 54,
    }

    /// SaslHandshake.
    SaslHandshakeError {
        UnsupportedSaslMechanism = 33,
        IllegalSaslState = 34,
    }

    /// AlterReplicaLogDirs, per partition.
    AlterReplicaLogDirsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        ReplicaNotAvailable = 9,
        ClusterAuthorizationFailed = 31,
        KafkaStorageError = 56,
        LogDirNotFound = 57,
    }

    /// ElectLeaders, for the answer from v1 on, and per partition.
    ElectLeadersError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        ClusterAuthorizationFailed = 31,
        NotController = 41,
        InvalidRequest = 42,
        PreferredLeaderNotAvailable = 80,
        EligibleLeadersNotAvailable = 83,
        ElectionNotNeeded = 84,
    }

    /// AlterPartitionReassignments, for the answer and per partition.
    AlterPartitionReassignmentsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        RequestTimedOut = 7,
        InvalidTopicException = 17,
        ClusterAuthorizationFailed = 31,
        InvalidReplicaAssignment = 39,
        NotController = 41,
        InvalidRequest = 42,
        NoReassignmentInProgress = 85,
    }

    /// ListPartitionReassignments.
    ListPartitionReassignmentsError {
        UnknownServerError = -1,
        RequestTimedOut = 7,
        ClusterAuthorizationFailed = 31,
        NotController = 41,
    }

    /// ListConfigResources.
    ListConfigResourcesError {
        UnknownServerError = -1,
        ClusterAuthorizationFailed = 31,
        UnsupportedVersion = 35,
    }

    /// DescribeQuorum, for the answer.
    DescribeQuorumError {
        UnknownServerError = -1,
        NotLeaderOrFollower = 6,
        RequestTimedOut = 7,
        ClusterAuthorizationFailed = 31,
        NotController = 41,
        InvalidRequest = 42,
    }

    /// DescribeQuorum, per partition.
    DescribeQuorumPartitionError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        NotLeaderOrFollower = 6,
    }

    /// DescribeCluster.
    DescribeClusterError {
        UnknownServerError = -1,
        ClusterAuthorizationFailed = 31,
        UnsupportedVersion = 35,
        InvalidRequest = 42,
        MismatchedEndpointType = 114,
        UnsupportedEndpointType = 115,
    }

    /// DescribeTopicPartitions, per topic; `LeaderNotAvailable` per partition too.
    DescribeTopicPartitionsError {
        UnknownServerError = -1,
        UnknownTopicOrPartition = 3,
        LeaderNotAvailable = 5,
        ReplicaNotAvailable = 9,
        InvalidTopicException = 17,
        TopicAuthorizationFailed = 29,
    }

    /// ApiVersions.
    ApiVersionsError {
        UnsupportedVersion = 35,
        InvalidRequest = 42,
    }
}

/// From here on clients of Fetch read zstd (KIP-110).
const FETCH_ZSTD_FROM: i16 = 10;

impl FetchError {
    /// This error, if clients of `version` may be told it; else `UnknownServerError`.
    ///
    /// Zstd data for a client that speaks at most version 9 is refused with 76, as Kafka does. No
    /// consumer from 2.8.2 to 4.3.1 knows that code either: it throws IllegalStateException
    /// ("Unexpected error code 76"), where on -1 it logs a warning and asks for the same records for
    /// ever. Ending with the cause is better than standing still, and all of them speak version 10,
    /// so none is told.
    #[must_use]
    pub fn in_version(self, version: i16) -> FetchError {
        match self {
            FetchError::UnsupportedCompressionType if version >= FETCH_ZSTD_FROM => {
                FetchError::UnknownServerError
            }
            error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use kafka_protocol::error::ResponseError;

    use super::*;

    fn named_as_kafka_names<E: ErrorCode + Debug>(errors: &[E]) {
        for error in errors {
            let kafka = ResponseError::try_from_code(error.code()).expect("an error");
            assert_eq!(format!("{kafka:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn every_code_carries_kafkas_name_for_it() {
        named_as_kafka_names(ProduceError::ERRORS);
        named_as_kafka_names(FetchError::ERRORS);
        named_as_kafka_names(FetchSessionError::ERRORS);
        named_as_kafka_names(ListOffsetsError::ERRORS);
        named_as_kafka_names(MetadataError::ERRORS);
        named_as_kafka_names(CreateTopicsError::ERRORS);
        named_as_kafka_names(DeleteTopicsError::ERRORS);
        named_as_kafka_names(DeleteRecordsError::ERRORS);
        named_as_kafka_names(InitProducerIdError::ERRORS);
        named_as_kafka_names(OffsetForLeaderEpochError::ERRORS);
        named_as_kafka_names(FindCoordinatorError::ERRORS);
        named_as_kafka_names(JoinGroupError::ERRORS);
        named_as_kafka_names(SyncGroupError::ERRORS);
        named_as_kafka_names(HeartbeatError::ERRORS);
        named_as_kafka_names(LeaveGroupError::ERRORS);
        named_as_kafka_names(LeaveGroupMemberError::ERRORS);
        named_as_kafka_names(OffsetCommitError::ERRORS);
        named_as_kafka_names(OffsetFetchGroupError::ERRORS);
        named_as_kafka_names(OffsetFetchPartitionError::ERRORS);
        named_as_kafka_names(OffsetDeleteError::ERRORS);
        named_as_kafka_names(OffsetDeletePartitionError::ERRORS);
        named_as_kafka_names(DescribeGroupsError::ERRORS);
        named_as_kafka_names(ListGroupsError::ERRORS);
        named_as_kafka_names(DeleteGroupsError::ERRORS);
        named_as_kafka_names(CreatePartitionsError::ERRORS);
        named_as_kafka_names(DescribeConfigsError::ERRORS);
        named_as_kafka_names(AlterConfigsError::ERRORS);
        named_as_kafka_names(DescribeLogDirsError::ERRORS);
        named_as_kafka_names(AclError::ERRORS);
        named_as_kafka_names(SaslHandshakeError::ERRORS);
        named_as_kafka_names(AlterReplicaLogDirsError::ERRORS);
        named_as_kafka_names(ElectLeadersError::ERRORS);
        named_as_kafka_names(AlterPartitionReassignmentsError::ERRORS);
        named_as_kafka_names(ListPartitionReassignmentsError::ERRORS);
        named_as_kafka_names(ListConfigResourcesError::ERRORS);
        named_as_kafka_names(DescribeQuorumError::ERRORS);
        named_as_kafka_names(DescribeQuorumPartitionError::ERRORS);
        named_as_kafka_names(DescribeClusterError::ERRORS);
        named_as_kafka_names(DescribeTopicPartitionsError::ERRORS);
        named_as_kafka_names(ApiVersionsError::ERRORS);
    }

    #[test]
    fn fetch_knows_what_javas_consumer_knows() {
        // From FetchCollector.handleInitializeErrors; 0 is the fourteenth.
        let java = [-1, 1, 2, 3, 6, 9, 29, 56, 74, 75, 78, 100, 103];
        let told = |version: i16| {
            let codes = FetchError::ERRORS.iter().map(|error| error.in_version(version).code());
            codes.collect::<std::collections::BTreeSet<i16>>()
        };
        for version in 10..=18 {
            assert_eq!(told(version), java.into(), "version {version}");
        }
        assert_eq!(FetchError::default().code(), 0);
    }

    #[test]
    fn only_a_client_that_cannot_read_zstd_is_told_so() {
        let zstd = FetchError::UnsupportedCompressionType;
        for version in 4..=18 {
            assert_eq!(zstd.in_version(version).code(), if version < 10 { 76 } else { -1 });
        }
    }

    #[test]
    fn a_groups_calls_know_what_javas_consumer_knows() {
        fn ours<E: ErrorCode>(errors: &[E]) -> Vec<i16> {
            errors.iter().map(|error| error.code()).filter(|code| *code != -1).collect()
        }
        // From the response handlers of AbstractCoordinator and ConsumerCoordinator, the same in
        // 2.8.2 and 4.4.0.
        let join = [14, 15, 16, 23, 24, 25, 26, 27, 30, 35, 79, 81, 82];
        assert_eq!(ours(JoinGroupError::ERRORS), join);
        let sync = [15, 16, 22, 23, 25, 27, 30, 82];
        assert_eq!(ours(SyncGroupError::ERRORS), sync);
        let heartbeat = [15, 16, 22, 25, 27, 30, 82];
        assert_eq!(ours(HeartbeatError::ERRORS), heartbeat);
        // 24 is known to the admin client's handler only; a consumer has a group.
        let commit = [3, 7, 12, 14, 15, 16, 22, 24, 25, 27, 28, 29, 30, 82];
        assert_eq!(ours(OffsetCommitError::ERRORS), commit);
        // 15 is known to 4.4.0 only.
        assert_eq!(ours(OffsetFetchGroupError::ERRORS), [14, 16, 30]);
        assert_eq!(ours(OffsetFetchPartitionError::ERRORS), [29, 88]);
        let epoch = [3, 5, 6, 9, 29, 56, 74, 75, 78];
        assert_eq!(ours(OffsetForLeaderEpochError::ERRORS), epoch);
    }
}
