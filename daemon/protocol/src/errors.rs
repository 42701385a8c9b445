//! Which error codes an API may answer: a type per answer, so that a code its clients do not know
//! cannot be written.
//!
//! Why: the Java consumer knows 13 codes in a Fetch partition; any other throws
//! IllegalStateException and ends the application. Two brokers have shipped that. The lists are
//! those of Kafka's clients (`FetchCollector`, `OffsetFetcherUtils`, `Sender`,
//! `ProducerBatch`, `KafkaAdminClient`); "no error" is every type's first variant and default.

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
        OffsetNotAvailable = 78,
        UnknownTopicId = 100,
        InconsistentTopicId = 103,
    }

    /// Fetch, for the whole answer: the session's errors.
    FetchSessionError {
        UnknownServerError = -1,
        FetchSessionIdNotFound = 70,
        InvalidFetchSessionEpoch = 71,
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

    /// ApiVersions.
    ApiVersionsError {
        UnsupportedVersion = 35,
        InvalidRequest = 42,
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
        named_as_kafka_names(ApiVersionsError::ERRORS);
    }

    #[test]
    fn fetch_knows_what_javas_consumer_knows() {
        // From FetchCollector.handleInitializeErrors; 0 is the fourteenth.
        let java = [-1, 1, 2, 3, 6, 9, 29, 56, 74, 75, 78, 100, 103];
        let ours: Vec<i16> = FetchError::ERRORS.iter().map(|error| error.code()).collect();
        assert_eq!(ours, java);
        assert_eq!(FetchError::default().code(), 0);
    }
}
