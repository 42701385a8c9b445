//! Which APIs we speak, in which versions: one table, and what happens outside it.
//!
//! | asked | answer |
//! | --- | --- |
//! | a row's accepted range | decoded |
//! | ApiVersions in a version we do not know | a v0 body with error 35 and our range (KIP-511) |
//! | any other key or version | the connection is closed, as Kafka does |
//!
//! An API stands here only when the broker implements it: clients choose by this table what they
//! try.
//!
//! SaslHandshake is answered and not told: a listener without authentication has nothing to offer but
//! the error that says so, and a client that looks for it first should not find it.
//!
//! Where kafka-protocol ends before Kafka 4.4 does, we do too: OffsetCommit and OffsetFetch at 9
//! (10 goes by topic id), DescribeLogDirs at 4, DeleteGroups at 2. ListOffsets 11 has the bytes of 10 and
//! one more question to ask: it is read and written as 10. Produce is advertised from 0 because librdkafka takes a higher minimum as "no compression"
//! (KAFKA-18659), and accepted from 3, where record batches v2 begin.

use kafka_protocol::messages::api_versions_response::ApiVersion;

/// The APIs of the table, by Kafka's names and keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(i16)]
#[expect(missing_docs, reason = "Kafka's own names")]
pub enum Api {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    LeaveGroup = 13,
    SyncGroup = 14,
    DescribeGroups = 15,
    ListGroups = 16,
    SaslHandshake = 17,
    ApiVersions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    OffsetForLeaderEpoch = 23,
    DescribeAcls = 29,
    CreateAcls = 30,
    DeleteAcls = 31,
    DescribeConfigs = 32,
    AlterConfigs = 33,
    AlterReplicaLogDirs = 34,
    DescribeLogDirs = 35,
    CreatePartitions = 37,
    DeleteGroups = 42,
    ElectLeaders = 43,
    IncrementalAlterConfigs = 44,
    AlterPartitionReassignments = 45,
    ListPartitionReassignments = 46,
    OffsetDelete = 47,
    DescribeQuorum = 55,
    DescribeCluster = 60,
    ListConfigResources = 74,
    DescribeTopicPartitions = 75,
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supported {
    /// The API.
    pub api: Api,
    /// Whether ApiVersions names it.
    pub is_told: bool,
    /// Lowest version told to clients.
    pub advertised_min: i16,
    /// Lowest version decoded; `>= advertised_min`.
    pub accepted_min: i16,
    /// Highest version, told and decoded.
    pub max: i16,
}

/// Sorted by key.
pub const SUPPORTED: [Supported; 38] = [
    Supported { api: Api::Produce, advertised_min: 0, ..row(Api::Produce, 3, 13) },
    row(Api::Fetch, 4, 18),
    row(Api::ListOffsets, 1, 11),
    row(Api::Metadata, 0, 13),
    row(Api::OffsetCommit, 2, 9),
    row(Api::OffsetFetch, 1, 9),
    row(Api::FindCoordinator, 0, 6),
    row(Api::JoinGroup, 0, 9),
    row(Api::Heartbeat, 0, 4),
    row(Api::LeaveGroup, 0, 5),
    row(Api::SyncGroup, 0, 5),
    row(Api::DescribeGroups, 0, 6),
    row(Api::ListGroups, 0, 5),
    Supported { is_told: false, ..row(Api::SaslHandshake, 0, 1) },
    row(Api::ApiVersions, 0, 4),
    row(Api::CreateTopics, 2, 7),
    row(Api::DeleteTopics, 1, 6),
    row(Api::DeleteRecords, 0, 2),
    row(Api::InitProducerId, 0, 5),
    row(Api::OffsetForLeaderEpoch, 2, 4),
    row(Api::DescribeAcls, 1, 3),
    row(Api::CreateAcls, 1, 3),
    row(Api::DeleteAcls, 1, 3),
    row(Api::DescribeConfigs, 1, 4),
    row(Api::AlterConfigs, 0, 2),
    row(Api::AlterReplicaLogDirs, 1, 2),
    row(Api::DescribeLogDirs, 1, 4),
    row(Api::CreatePartitions, 0, 3),
    row(Api::DeleteGroups, 0, 2),
    row(Api::ElectLeaders, 0, 2),
    row(Api::IncrementalAlterConfigs, 0, 1),
    row(Api::AlterPartitionReassignments, 0, 1),
    row(Api::ListPartitionReassignments, 0, 0),
    row(Api::OffsetDelete, 0, 0),
    row(Api::DescribeQuorum, 0, 2),
    row(Api::DescribeCluster, 0, 2),
    row(Api::ListConfigResources, 0, 1),
    row(Api::DescribeTopicPartitions, 0, 0),
];

const fn row(api: Api, min: i16, max: i16) -> Supported {
    Supported { api, is_told: true, advertised_min: min, accepted_min: min, max }
}

/// The newest ListOffsets that kafka-protocol knows. Version 11 (KIP-1023) has the same bytes.
const LIST_OFFSETS_BYTES_MAX: i16 = 10;

impl Api {
    /// The version by which kafka-protocol knows the bytes of this one.
    #[must_use]
    pub fn bytes_of(self, version: i16) -> i16 {
        if self == Api::ListOffsets { version.min(LIST_OFFSETS_BYTES_MAX) } else { version }
    }

    /// The number on the wire.
    #[must_use]
    pub fn key(self) -> i16 {
        self as i16
    }

    /// The API with this number, if we have it.
    #[must_use]
    pub fn from_key(key: i16) -> Option<Api> {
        SUPPORTED.iter().map(|row| row.api).find(|api| api.key() == key)
    }

    /// Its row.
    #[must_use]
    pub fn supported(self) -> &'static Supported {
        SUPPORTED.iter().find(|row| row.api == self).expect("every API has a row")
    }

    /// Whether requests of this version are decoded.
    #[must_use]
    pub fn accepts(self, version: i16) -> bool {
        let row = self.supported();
        row.accepted_min <= version && version <= row.max
    }
}

/// The table as ApiVersions tells it.
#[must_use]
pub fn advertised() -> Vec<ApiVersion> {
    SUPPORTED.iter().filter(|row| row.is_told).map(advertise).collect()
}

pub(crate) fn advertise(row: &Supported) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(row.api.key())
        .with_min_version(row.advertised_min)
        .with_max_version(row.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard;

    #[test]
    fn the_table_is_sorted_and_every_accepted_version_has_a_schema() {
        assert!(SUPPORTED.is_sorted_by_key(|row| row.api.key()));
        for row in SUPPORTED {
            assert_eq!(Api::from_key(row.api.key()), Some(row.api));
            assert!(row.advertised_min <= row.accepted_min && row.accepted_min <= row.max);
            for version in row.accepted_min..=row.max {
                assert!(guard::is_flexible(row.api.key(), version).is_some(), "{row:?}");
            }
        }
    }

    #[test]
    fn what_is_told_is_what_is_served() {
        let told: Vec<i16> = advertised().iter().map(|told| told.api_key).collect();
        for row in SUPPORTED {
            assert_eq!(told.contains(&row.api.key()), row.is_told, "{row:?}");
        }
        let untold = SUPPORTED.iter().filter(|row| !row.is_told).map(|row| row.api);
        assert_eq!(untold.collect::<Vec<_>>(), [Api::SaslHandshake]);
    }

    #[test]
    fn the_oldest_versions_that_clients_in_the_field_send_are_served() {
        // kafka-python 2.0.2, sarama 1.30, librdkafka 1.x, kafkajs 2.
        for (api, version) in [
            (Api::Metadata, 0),
            (Api::FindCoordinator, 0),
            (Api::Heartbeat, 0),
            (Api::JoinGroup, 0),
            (Api::SyncGroup, 0),
            (Api::LeaveGroup, 0),
            (Api::OffsetFetch, 1),
            (Api::OffsetCommit, 2),
            (Api::ListOffsets, 1),
            (Api::Fetch, 4),
            (Api::Produce, 3),
            (Api::ApiVersions, 0),
        ] {
            assert!(api.accepts(version), "{api:?} version {version}");
        }
        // And the newest: Java 4.3.
        for (api, version) in [
            (Api::Fetch, 18),
            (Api::Metadata, 13),
            (Api::JoinGroup, 9),
            (Api::SyncGroup, 5),
            (Api::Heartbeat, 4),
            (Api::LeaveGroup, 5),
            (Api::ListOffsets, 10),
        ] {
            assert!(api.accepts(version), "{api:?} version {version}");
        }
    }

    #[test]
    fn produce_is_advertised_from_zero_and_accepted_from_three() {
        let told = advertised();
        assert_eq!((told[0].api_key, told[0].min_version, told[0].max_version), (0, 0, 13));
        assert!(!Api::Produce.accepts(2) && Api::Produce.accepts(3));
    }
}
