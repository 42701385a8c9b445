//! Answers that refuse some of what was asked for, and the codes in them.

use holdfast_protocol::messages::alter_configs_response as alter;
use holdfast_protocol::messages::alter_partition_reassignments_response as reassign;
use holdfast_protocol::messages::alter_replica_log_dirs_response as log_dirs;
use holdfast_protocol::messages::create_acls_response::AclCreationResult;
use holdfast_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use holdfast_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use holdfast_protocol::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl,
};
use holdfast_protocol::messages::delete_groups_response::DeletableGroupResult;
use holdfast_protocol::messages::delete_topics_response::DeletableTopicResult;
use holdfast_protocol::messages::describe_configs_response as describe;
use holdfast_protocol::messages::elect_leaders_response as elect;
use holdfast_protocol::messages::incremental_alter_configs_response as incremental;
use holdfast_protocol::messages::offset_delete_response as offsets;
use holdfast_protocol::messages::{
    AlterConfigsResponse, AlterPartitionReassignmentsResponse, AlterReplicaLogDirsResponse,
    CreateAclsResponse, CreatePartitionsResponse, CreateTopicsResponse, DeleteAclsResponse,
    DeleteGroupsResponse, DeleteTopicsResponse, DescribeConfigsResponse, ElectLeadersResponse,
    GroupId, IncrementalAlterConfigsResponse, OffsetDeleteResponse, TopicName,
};
use holdfast_protocol::{Api, Response, StrBytes, Uuid};

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn words() -> Option<StrBytes> {
    Some(text("refused, and why"))
}

fn name() -> TopicName {
    TopicName(text("orders"))
}

/// With 1 in its second part, 3 in its third, and whatever can lie around them.
pub(in crate::metrics::part_errors) fn refused(api: Api, version: i16) -> Response {
    let codes = || [0, 1, 3, 0].into_iter();
    match api {
        Api::CreateTopics => {
            let config = CreatableTopicConfigs::default()
                .with_name(text("retention.ms"))
                .with_value(Some(text("7")));
            let topics = codes().map(|code| {
                let mut topic =
                    CreatableTopicResult::default().with_name(name()).with_error_code(code);
                topic.error_message = words();
                if version >= 5 {
                    topic.configs = Some(vec![config.clone(), config.clone()]);
                    // A tag, which stands behind the configs.
                    topic.topic_config_error_code = 29;
                }
                if version >= 7 {
                    topic.topic_id = Uuid::from_u128(7);
                }
                topic
            });
            Response::CreateTopics(CreateTopicsResponse::default().with_topics(topics.collect()))
        }
        Api::DeleteTopics => {
            let topics = codes().map(|code| {
                let mut topic = DeletableTopicResult::default().with_error_code(code);
                topic.name = Some(name());
                topic.error_message = words().filter(|_| version >= 5);
                if version >= 6 {
                    topic.topic_id = Uuid::from_u128(7);
                }
                topic
            });
            let answer = DeleteTopicsResponse::default().with_responses(topics.collect());
            Response::DeleteTopics(answer)
        }
        Api::CreatePartitions => {
            let topics = codes().map(|code| {
                let topic = CreatePartitionsTopicResult::default().with_name(name());
                topic.with_error_code(code).with_error_message(words())
            });
            let answer = CreatePartitionsResponse::default().with_results(topics.collect());
            Response::CreatePartitions(answer)
        }
        Api::DescribeConfigs => Response::DescribeConfigs(configs(version)),
        Api::AlterConfigs => {
            let responses = codes().map(|code| {
                let resource = alter::AlterConfigsResourceResponse::default();
                let resource = resource.with_error_code(code).with_error_message(words());
                resource.with_resource_type(2).with_resource_name(text("orders"))
            });
            let answer = AlterConfigsResponse::default().with_responses(responses.collect());
            Response::AlterConfigs(answer)
        }
        Api::IncrementalAlterConfigs => {
            let responses = codes().map(|code| {
                let resource = incremental::AlterConfigsResourceResponse::default();
                let resource = resource.with_error_code(code).with_error_message(words());
                resource.with_resource_type(2).with_resource_name(text("orders"))
            });
            let answer = IncrementalAlterConfigsResponse::default();
            Response::IncrementalAlterConfigs(answer.with_responses(responses.collect()))
        }
        Api::DeleteGroups => {
            let groups = codes().map(|code| {
                let group = DeletableGroupResult::default().with_group_id(GroupId(text("billing")));
                group.with_error_code(code)
            });
            Response::DeleteGroups(DeleteGroupsResponse::default().with_results(groups.collect()))
        }
        Api::CreateAcls => {
            let results = codes().map(|code| {
                AclCreationResult::default().with_error_code(code).with_error_message(words())
            });
            Response::CreateAcls(CreateAclsResponse::default().with_results(results.collect()))
        }
        Api::DeleteAcls => {
            let found = DeleteAclsMatchingAcl::default()
                .with_error_message(words())
                .with_resource_name(text("orders"))
                .with_principal(text("User:a"))
                .with_host(text("*"));
            let results = codes().map(|code| {
                DeleteAclsFilterResult::default()
                    .with_error_code(code)
                    .with_error_message(None)
                    .with_matching_acls(vec![found.clone(), found.clone()])
            });
            let answer = DeleteAclsResponse::default().with_filter_results(results.collect());
            Response::DeleteAcls(answer)
        }
        other => by_partition(other, version),
    }
}

fn configs(version: i16) -> DescribeConfigsResponse {
    let mut config = describe::DescribeConfigsResourceResult::default();
    config.name = text("retention.ms");
    config.value = Some(text("7"));
    let synonym = describe::DescribeConfigsSynonym::default().with_name(text("log.retention.ms"));
    config.synonyms = vec![synonym.clone().with_value(Some(text("8"))), synonym.with_value(None)];
    if version >= 3 {
        config.config_type = 5;
        config.documentation = Some(text("how long"));
    }
    let results = [0, 1, 3, 0].into_iter().map(|code| {
        describe::DescribeConfigsResult::default()
            .with_error_code(code)
            .with_error_message(words())
            .with_resource_type(2)
            .with_resource_name(text("orders"))
            .with_configs(vec![config.clone(), config.clone()])
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn by_partition(api: Api, version: i16) -> Response {
    let codes = || [0, 1, 3, 0].into_iter();
    match api {
        Api::OffsetDelete => {
            let partitions = codes().map(|code| {
                offsets::OffsetDeleteResponsePartition::default().with_error_code(code)
            });
            let topic = offsets::OffsetDeleteResponseTopic::default().with_name(name());
            let topics = vec![topic.with_partitions(partitions.collect())];
            Response::OffsetDelete(OffsetDeleteResponse::default().with_topics(topics))
        }
        Api::AlterReplicaLogDirs => {
            let partitions = codes().map(|code| {
                log_dirs::AlterReplicaLogDirPartitionResult::default().with_error_code(code)
            });
            let topic = log_dirs::AlterReplicaLogDirTopicResult::default().with_topic_name(name());
            let results = vec![topic.with_partitions(partitions.collect())];
            let answer = AlterReplicaLogDirsResponse::default().with_results(results);
            Response::AlterReplicaLogDirs(answer)
        }
        Api::ElectLeaders => {
            let partitions = codes().map(|code| {
                let partition = elect::PartitionResult::default().with_partition_id(9);
                partition.with_error_code(code).with_error_message(words())
            });
            let topic = elect::ReplicaElectionResult::default().with_topic(name());
            let results = vec![topic.with_partition_result(partitions.collect())];
            let mut answer = ElectLeadersResponse::default().with_replica_election_results(results);
            if version >= 1 {
                // Counted with the answer as a whole.
                answer.error_code = 41;
            }
            Response::ElectLeaders(answer)
        }
        Api::AlterPartitionReassignments => {
            let partitions = codes().map(|code| {
                let partition = reassign::ReassignablePartitionResponse::default();
                let partition = partition.with_partition_index(9).with_error_code(code);
                partition.with_error_message(words())
            });
            let topic = reassign::ReassignableTopicResponse::default().with_name(name());
            let responses = vec![topic.with_partitions(partitions.collect())];
            let answer = AlterPartitionReassignmentsResponse::default().with_error_code(41);
            let answer = answer.with_error_message(words()).with_responses(responses);
            Response::AlterPartitionReassignments(answer)
        }
        other => panic!("{other:?} has a table and no sample"),
    }
}
