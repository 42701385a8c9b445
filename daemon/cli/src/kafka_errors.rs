//! Kafka's error codes, and for each one sentence on what to try.
//!
//! Names and numbers are Kafka's. `passing` marks those that a client is meant to retry: the node
//! did not decide against the request, so a command that ends in one has failed (exit code 1) and
//! was not refused (4).

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KafkaError {
    pub(crate) code: i16,
    pub(crate) name: &'static str,
    /// Goes away by itself or on another node.
    pub(crate) passing: bool,
    pub(crate) try_next: &'static str,
}

/// The row of a code.
pub(crate) fn by_code(code: i16) -> Option<&'static KafkaError> {
    KAFKA_ERRORS.iter().find(|row| row.code == code)
}

/// The row of a name, in any case, with `-` for `_`.
pub(crate) fn by_name(name: &str) -> Option<&'static KafkaError> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    KAFKA_ERRORS.iter().find(|row| row.name == name)
}

const fn ends(code: i16, name: &'static str, try_next: &'static str) -> KafkaError {
    KafkaError { code, name, passing: false, try_next }
}

const fn passes(code: i16, name: &'static str, try_next: &'static str) -> KafkaError {
    KafkaError { code, name, passing: true, try_next }
}

/// Ascending by code; 0 is no error.
pub(crate) const KAFKA_ERRORS: &[KafkaError] = &[
    ends(-1, "UNKNOWN_SERVER_ERROR", "read the node's log: `journalctl -u holdfastd -p warning`"),
    ends(
        1,
        "OFFSET_OUT_OF_RANGE",
        "start from an offset between the partition's start and end: `holdfast topic describe`",
    ),
    ends(
        2,
        "CORRUPT_MESSAGE",
        "the batch's checksum is wrong: look for a broken proxy or memory between client and node, then send again",
    ),
    passes(
        3,
        "UNKNOWN_TOPIC_OR_PARTITION",
        "check the name with `holdfast topic list`, or create it with `holdfast topic create`",
    ),
    ends(4, "INVALID_FETCH_SIZE", "ask for at least one byte"),
    passes(
        5,
        "LEADER_NOT_AVAILABLE",
        "wait a moment and try again; if it stays, see `holdfast health`",
    ),
    passes(
        6,
        "NOT_LEADER_OR_FOLLOWER",
        "refresh metadata and ask the leader; a current client does so by itself",
    ),
    passes(
        7,
        "REQUEST_TIMED_OUT",
        "the request was not committed in time and may still be: check before you repeat it; see `holdfast health`",
    ),
    passes(8, "BROKER_NOT_AVAILABLE", "try another node, or wait until this one has started"),
    passes(9, "REPLICA_NOT_AVAILABLE", "refresh metadata and ask the leader"),
    ends(10, "MESSAGE_TOO_LARGE", "send smaller batches, or raise the topic's `max.message.bytes`"),
    ends(
        11,
        "STALE_CONTROLLER_EPOCH",
        "find the controller anew; a current client does so by itself",
    ),
    ends(
        12,
        "OFFSET_METADATA_TOO_LARGE",
        "commit with less metadata than `offset.metadata.max.bytes`",
    ),
    passes(
        13,
        "NETWORK_EXCEPTION",
        "the node went away: check the address and the network, then try again",
    ),
    passes(
        14,
        "COORDINATOR_LOAD_IN_PROGRESS",
        "the coordinator is starting: wait a moment and try again",
    ),
    passes(
        15,
        "COORDINATOR_NOT_AVAILABLE",
        "wait a moment and try again; if it stays, see `holdfast health`",
    ),
    passes(16, "NOT_COORDINATOR", "find the coordinator anew; a current client does so by itself"),
    ends(
        17,
        "INVALID_TOPIC_EXCEPTION",
        "use letters, digits, `.`, `_` and `-`, at most 249 characters, not `.` or `..`",
    ),
    ends(18, "RECORD_LIST_TOO_LARGE", "send smaller batches"),
    passes(19, "NOT_ENOUGH_REPLICAS", "bring the missing nodes back, see `holdfast health`"),
    passes(
        20,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "the records may have been stored: bring the missing nodes back, then check before repeating",
    ),
    ends(21, "INVALID_REQUIRED_ACKS", "use acks 0, 1 or -1 (all)"),
    ends(22, "ILLEGAL_GENERATION", "the group has moved on: join it again"),
    ends(
        23,
        "INCONSISTENT_GROUP_PROTOCOL",
        "give every member of the group a common assignment strategy",
    ),
    ends(24, "INVALID_GROUP_ID", "give the group a name that is not empty"),
    ends(
        25,
        "UNKNOWN_MEMBER_ID",
        "the member was removed (its session ended, or it never joined): join again",
    ),
    ends(
        26,
        "INVALID_SESSION_TIMEOUT",
        "choose a session timeout between `group.min.session.timeout.ms` and `group.max.session.timeout.ms`",
    ),
    passes(
        27,
        "REBALANCE_IN_PROGRESS",
        "wait until the rebalance has ended; members join again by themselves",
    ),
    ends(28, "INVALID_COMMIT_OFFSET_SIZE", "commit with less metadata"),
    ends(29, "TOPIC_AUTHORIZATION_FAILED", "ask for the right on this topic"),
    ends(30, "GROUP_AUTHORIZATION_FAILED", "ask for the right on this group"),
    ends(31, "CLUSTER_AUTHORIZATION_FAILED", "ask for the right on the cluster"),
    ends(
        32,
        "INVALID_TIMESTAMP",
        "check the producer's clock, or the topic's `message.timestamp.*` limits",
    ),
    ends(33, "UNSUPPORTED_SASL_MECHANISM", "use a mechanism that the listener offers"),
    ends(34, "ILLEGAL_SASL_STATE", "the client spoke out of turn: check its security settings"),
    ends(
        35,
        "UNSUPPORTED_VERSION",
        "the node does not have this version of the API: use a client or a node of another release",
    ),
    ends(
        36,
        "TOPIC_ALREADY_EXISTS",
        "choose another name, or change the existing topic with `holdfast topic alter`",
    ),
    ends(
        37,
        "INVALID_PARTITIONS",
        "choose a larger number of partitions than there are; it can never be lowered",
    ),
    ends(
        38,
        "INVALID_REPLICATION_FACTOR",
        "choose a replication factor not above the number of nodes, or leave it out",
    ),
    ends(
        39,
        "INVALID_REPLICA_ASSIGNMENT",
        "leave the assignment out, or name existing nodes, each once",
    ),
    ends(
        40,
        "INVALID_CONFIG",
        "correct the setting; `holdfast config list` shows names and values",
    ),
    passes(41, "NOT_CONTROLLER", "ask the controller; a current client does so by itself"),
    ends(42, "INVALID_REQUEST", "the request makes no sense as it is: check its arguments"),
    ends(
        43,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "use a client that writes record format v2 (Kafka 0.11 or newer)",
    ),
    ends(44, "POLICY_VIOLATION", "the cluster's policy forbids it: ask its owner"),
    ends(
        45,
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "records of this producer are missing: restart the producer; if it repeats, report it with the node's log",
    ),
    ends(46, "DUPLICATE_SEQUENCE_NUMBER", "the batch is already stored: nothing to do"),
    ends(47, "INVALID_PRODUCER_EPOCH", "another producer took over this id: restart this one"),
    ends(48, "INVALID_TXN_STATE", "end the transaction and begin again"),
    ends(49, "INVALID_PRODUCER_ID_MAPPING", "the producer id was forgotten: restart the producer"),
    ends(50, "INVALID_TRANSACTION_TIMEOUT", "choose a timeout up to `transaction.max.timeout.ms`"),
    passes(51, "CONCURRENT_TRANSACTIONS", "the transaction before is still ending: try again"),
    ends(52, "TRANSACTION_COORDINATOR_FENCED", "find the coordinator anew"),
    ends(
        53,
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        "ask for the right on this transactional id, or use an idempotent producer without one",
    ),
    ends(54, "SECURITY_DISABLED", "the cluster has no authorisation switched on"),
    ends(
        55,
        "OPERATION_NOT_ATTEMPTED",
        "correct the part of the request that failed, then send it again",
    ),
    passes(
        56,
        "KAFKA_STORAGE_ERROR",
        "the node's storage failed: `holdfast status`, `journalctl -u holdfastd -p err`",
    ),
    ends(57, "LOG_DIR_NOT_FOUND", "name a directory that `DescribeLogDirs` shows"),
    ends(58, "SASL_AUTHENTICATION_FAILED", "check user and password"),
    ends(59, "UNKNOWN_PRODUCER_ID", "the producer's records are gone: restart the producer"),
    ends(60, "REASSIGNMENT_IN_PROGRESS", "wait until partitions have moved"),
    ends(61, "DELEGATION_TOKEN_AUTH_DISABLED", "delegation tokens are off on this cluster"),
    ends(62, "DELEGATION_TOKEN_NOT_FOUND", "ask for a new token"),
    ends(63, "DELEGATION_TOKEN_OWNER_MISMATCH", "use the token's owner or renewer"),
    ends(64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "authenticate in another way than by a token"),
    ends(65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "ask for the right on the token"),
    ends(66, "DELEGATION_TOKEN_EXPIRED", "ask for a new token"),
    ends(67, "INVALID_PRINCIPAL_TYPE", "use a principal of type User"),
    ends(
        68,
        "NON_EMPTY_GROUP",
        "stop the group's members first; `holdfast group describe` names them",
    ),
    ends(69, "GROUP_ID_NOT_FOUND", "check the name with `holdfast group list`"),
    passes(
        70,
        "FETCH_SESSION_ID_NOT_FOUND",
        "begin a new fetch session; a current client does so by itself",
    ),
    passes(
        71,
        "INVALID_FETCH_SESSION_EPOCH",
        "begin a new fetch session; a current client does so by itself",
    ),
    passes(
        72,
        "LISTENER_NOT_FOUND",
        "the leader has no listener of this name: check its advertised addresses",
    ),
    ends(73, "TOPIC_DELETION_DISABLED", "deletion is switched off by `delete.topic.enable`"),
    passes(74, "FENCED_LEADER_EPOCH", "refresh metadata; a current client does so by itself"),
    passes(75, "UNKNOWN_LEADER_EPOCH", "the node is behind: wait a moment and try again"),
    ends(76, "UNSUPPORTED_COMPRESSION_TYPE", "use a newer client, or a codec that it has"),
    passes(77, "STALE_BROKER_EPOCH", "the node registered anew: try again"),
    passes(78, "OFFSET_NOT_AVAILABLE", "the new leader is still catching up: try again"),
    ends(
        79,
        "MEMBER_ID_REQUIRED",
        "join again with the member id in the answer; a current client does so by itself",
    ),
    passes(80, "PREFERRED_LEADER_NOT_AVAILABLE", "bring the preferred node back"),
    ends(81, "GROUP_MAX_SIZE_REACHED", "run fewer members, or raise `group.max.size`"),
    ends(
        82,
        "FENCED_INSTANCE_ID",
        "another member uses this `group.instance.id`: give each its own",
    ),
    passes(83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", "bring the missing nodes back"),
    ends(84, "ELECTION_NOT_NEEDED", "nothing to do: the leader is the preferred one"),
    ends(85, "NO_REASSIGNMENT_IN_PROGRESS", "nothing to cancel"),
    ends(86, "GROUP_SUBSCRIBED_TO_TOPIC", "stop the members that read the topic first"),
    ends(
        87,
        "INVALID_RECORD",
        "correct the record: keys are required on compacted topics, lengths must add up",
    ),
    passes(
        88,
        "UNSTABLE_OFFSET_COMMIT",
        "a transaction holds the offset: try again when it has ended",
    ),
    passes(89, "THROTTLING_QUOTA_EXCEEDED", "wait as long as the answer says, or raise the quota"),
    ends(
        90,
        "PRODUCER_FENCED",
        "a newer producer with this transactional id took over: stop this one",
    ),
    ends(91, "RESOURCE_NOT_FOUND", "check the name"),
    ends(92, "DUPLICATE_RESOURCE", "name each resource once"),
    ends(93, "UNACCEPTABLE_CREDENTIAL", "choose other credentials: the node's rules refuse these"),
    ends(94, "INCONSISTENT_VOTER_SET", "check the nodes' configured voters"),
    ends(95, "INVALID_UPDATE_VERSION", "choose a version that the nodes support"),
    ends(96, "FEATURE_UPDATE_FAILED", "see the message in the answer and the controller's log"),
    ends(
        97,
        "PRINCIPAL_DESERIALIZATION_FAILURE",
        "the forwarded principal cannot be read: check that nodes have the same release",
    ),
    passes(98, "SNAPSHOT_NOT_FOUND", "fetch the snapshot that the leader names now"),
    ends(99, "POSITION_OUT_OF_RANGE", "ask for a position inside the snapshot"),
    passes(100, "UNKNOWN_TOPIC_ID", "the topic was deleted or made anew: refresh metadata"),
    ends(101, "DUPLICATE_BROKER_REGISTRATION", "another node has this id: give each its own"),
    passes(102, "BROKER_ID_NOT_REGISTERED", "wait until the node has registered"),
    passes(103, "INCONSISTENT_TOPIC_ID", "the topic was made anew: refresh metadata"),
    ends(104, "INCONSISTENT_CLUSTER_ID", "the address belongs to another cluster: check it"),
    ends(105, "TRANSACTIONAL_ID_NOT_FOUND", "check the transactional id"),
    passes(
        106,
        "FETCH_SESSION_TOPIC_ID_ERROR",
        "begin a new fetch session; a current client does so by itself",
    ),
    ends(107, "INELIGIBLE_REPLICA", "wait until the replica is in step"),
    passes(108, "NEW_LEADER_ELECTED", "refresh metadata"),
    ends(109, "OFFSET_MOVED_TO_TIERED_STORAGE", "read through a client, not as a follower"),
    ends(110, "FENCED_MEMBER_EPOCH", "the member was replaced: join the group again"),
    ends(111, "UNRELEASED_INSTANCE_ID", "wait until the member with this instance id has left"),
    ends(112, "UNSUPPORTED_ASSIGNOR", "choose an assignor that the node has"),
    passes(113, "STALE_MEMBER_EPOCH", "send a heartbeat, then try again"),
    ends(114, "MISMATCHED_ENDPOINT_TYPE", "use the nodes' own address, not the controllers'"),
    ends(115, "UNSUPPORTED_ENDPOINT_TYPE", "use the nodes' own address"),
    ends(116, "UNKNOWN_CONTROLLER_ID", "check the id"),
    ends(117, "UNKNOWN_SUBSCRIPTION_ID", "take a new telemetry subscription"),
    ends(118, "TELEMETRY_TOO_LARGE", "push fewer metrics"),
    ends(119, "INVALID_REGISTRATION", "see the message in the answer"),
    passes(120, "TRANSACTION_ABORTABLE", "abort the transaction and begin again"),
    ends(121, "INVALID_RECORD_STATE", "the record was handed to another consumer"),
    passes(122, "SHARE_SESSION_NOT_FOUND", "begin a new share session"),
    passes(123, "INVALID_SHARE_SESSION_EPOCH", "begin a new share session"),
    passes(124, "FENCED_STATE_EPOCH", "the share state moved on: try again"),
    ends(125, "INVALID_VOTER_KEY", "check the voter's directory id"),
    ends(126, "DUPLICATE_VOTER", "the voter is already there"),
    ends(127, "VOTER_NOT_FOUND", "check the voter's id"),
    ends(128, "INVALID_REGULAR_EXPRESSION", "correct the pattern (RE2 syntax)"),
    passes(129, "REBOOTSTRAP_REQUIRED", "connect anew through the bootstrap addresses"),
    ends(130, "STREAMS_INVALID_TOPOLOGY", "correct the topology"),
    ends(131, "STREAMS_INVALID_TOPOLOGY_EPOCH", "send the current topology"),
    ends(132, "STREAMS_TOPOLOGY_FENCED", "a newer topology is in use: restart the member with it"),
    passes(133, "SHARE_SESSION_LIMIT_REACHED", "close share sessions, or try again later"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::ResponseError;

    #[test]
    fn every_code_of_the_protocol_library_has_a_row_and_codes_ascend() {
        assert!(KAFKA_ERRORS.is_sorted_by_key(|row| row.code));
        for code in -1..200 {
            let known = !matches!(
                ResponseError::try_from_code(code),
                None | Some(ResponseError::Unknown(_))
            );
            assert!(!known || by_code(code).is_some(), "{code} is not explained");
        }
    }

    #[test]
    fn a_name_is_found_in_any_spelling_and_every_row_says_what_to_try() {
        assert_eq!(by_name("not-coordinator").map(|row| row.code), Some(16));
        assert_eq!(by_name("NOT_COORDINATOR"), by_code(16));
        assert_eq!(by_name("SUCCESS"), None);
        for row in KAFKA_ERRORS {
            assert!(row.try_next.len() > 10 && !row.try_next.ends_with('.'), "{}", row.name);
        }
    }
}
