//! Metadata (key 3): which nodes, topics and leaders there are, as seen through the listener the
//! client came in by.
//!
//! Asking for a topic that is not there makes it, if both the client and the operator allow that;
//! the answer then waits until the topic can be written to, so that no client sees a topic
//! half made. Reserved names (`__consumer_offsets` and its like) are never made and never there.

use crate::broker::{Broker, View};
use crate::context::{Context, Endpoint};
use crate::leadership::{Whereabouts, whereabouts, wire_node};
use holdfast_base::TopicId;
use holdfast_lane::{AdminReason, Answer, CreateTopic, Request};
use holdfast_metadata::{Image, RESERVED_TOPIC_NAMES, Topic, is_topic_name};
use holdfast_protocol::errors::{ErrorCode, MetadataError};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Up to here an empty list of topics means all, and auto-creation cannot be declined.
const LAST_VERSION_WITHOUT_NULL_TOPICS: i16 = 0;
const FIRST_VERSION_WITH_AUTO_CREATION_FLAG: i16 = 4;
/// In these versions clients ask what they may do; the cluster's in the last ones only up to 10.
const FIRST_VERSION_WITH_OPERATIONS: i16 = 8;
const LAST_VERSION_WITH_CLUSTER_OPERATIONS: i16 = 10;
/// Kafka's operations as bits. Nobody is refused anything until there are ACLs, so all there are: of
/// a topic read 3, write 4, create 5, delete 6, alter 7, describe 8, and its configuration 10, 11;
/// of the cluster create 5, alter 7, describe 8, cluster action 9, configuration 10, 11, and
/// idempotent writing 12.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
pub(crate) const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// From here an unknown id is answered without a name.
const FIRST_VERSION_WITH_NULL_NAMES: i16 = 12;

/// Where clients of `context`'s listener find a node. Our own address is the one configured; the
/// image may be older than the present start's arguments.
pub(crate) fn endpoint_of(
    broker: &Broker,
    context: &Context,
    image: &Image,
    node_id: i32,
) -> Option<Endpoint> {
    if node_id == wire_node(broker.node) {
        return Some((*context.advertised).clone());
    }
    let (_, node) = image.nodes.iter().find(|(id, _)| wire_node(**id) == node_id)?;
    let listener = node.listeners.iter().find(|known| *known.name == *context.listener)?;
    Some(Endpoint { host: listener.host.clone(), port: listener.port })
}

/// Answers with all topics, or with those asked for.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    context: Arc<Context>,
    client_id: String,
    request: MetadataRequest,
    version: i16,
) -> MetadataResponse {
    let wanted = wanted_of(&request, version);
    let mut refused = BTreeMap::new();
    if let Some(wanted) = &wanted {
        let allowed = broker.view().settings.auto_create_topics
            && (version < FIRST_VERSION_WITH_AUTO_CREATION_FLAG
                || request.allow_auto_topic_creation);
        if allowed {
            refused = create_missing(&broker, &context, &client_id, wanted).await;
        }
    }
    // After the creations: the lane publishes a new topic before it answers.
    let view = broker.view();
    let topics = match wanted {
        None => view.image.topics_by_name.values().map(|topic| write_topic(&view, topic)).collect(),
        Some(wanted) => {
            wanted.iter().map(|topic| answer_topic(&view, topic, &refused, version)).collect()
        }
    };
    let mut topics: Vec<MetadataResponseTopic> = topics;
    let asked = version >= FIRST_VERSION_WITH_OPERATIONS;
    if asked && request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.error_code == 0) {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let mut response = MetadataResponse::default();
    if asked
        && version <= LAST_VERSION_WITH_CLUSTER_OPERATIONS
        && request.include_cluster_authorized_operations
    {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
        .with_brokers(brokers(&broker, &context, &view.image))
        .with_cluster_id(Some(StrBytes::from(view.image.cluster.to_string())))
        // Every node forwards administration, so any live one will do, and we are live.
        .with_controller_id(wire_node(broker.node).into())
        .with_topics(topics)
}

/// How a client names a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Wanted {
    Name(String),
    Id(TopicId),
}

/// `None` is all.
fn wanted_of(request: &MetadataRequest, version: i16) -> Option<Vec<Wanted>> {
    let topics = request.topics.as_ref()?;
    if version <= LAST_VERSION_WITHOUT_NULL_TOPICS && topics.is_empty() {
        return None;
    }
    let wanted = topics.iter().map(|topic| match &topic.name {
        Some(name) => Wanted::Name(name.to_string()),
        None => Wanted::Id(TopicId(*topic.topic_id.as_bytes())),
    });
    Some(wanted.collect())
}

/// Makes what is missing and may be made; returns why a name could not be.
async fn create_missing(
    broker: &Broker,
    context: &Context,
    client_id: &str,
    wanted: &[Wanted],
) -> BTreeMap<String, MetadataError> {
    let view = broker.view();
    let missing: BTreeSet<&String> = wanted
        .iter()
        .filter_map(|topic| match topic {
            Wanted::Name(name) => Some(name),
            Wanted::Id(_) => None,
        })
        .filter(|name| {
            view.image.topic(name).is_none() && !RESERVED_TOPIC_NAMES.contains(&name.as_str())
        })
        .collect();
    if missing.is_empty() {
        return BTreeMap::new();
    }
    let create = missing.iter().map(|name| CreateTopic {
        name: (*name).clone(),
        partitions: view.settings.default_partitions,
        replication_factor: -1,
        assignment: Vec::new(),
        configs: Vec::new(),
        validate_only: false,
    });
    let request = Request::CreateTopics(create.collect(), context.origin(client_id));
    let outcomes = match broker.lane.call(request).await {
        Some(Answer::CreateTopics(outcomes)) => outcomes,
        _ => Vec::new(),
    };
    let mut refused = BTreeMap::new();
    let mut outcomes = outcomes.into_iter();
    for name in missing {
        let error = match outcomes.next() {
            Some(Ok(_)) => continue,
            Some(Err(refusal)) => match refusal.reason {
                // Somebody else was faster.
                AdminReason::TopicAlreadyExists => continue,
                AdminReason::InvalidTopicName => MetadataError::InvalidTopicException,
                // Retriable, as Kafka answers while a topic is being made.
                _ => MetadataError::LeaderNotAvailable,
            },
            None => MetadataError::LeaderNotAvailable,
        };
        refused.insert(name.clone(), error);
    }
    refused
}

fn answer_topic(
    view: &View,
    wanted: &Wanted,
    refused: &BTreeMap<String, MetadataError>,
    version: i16,
) -> MetadataResponseTopic {
    match wanted {
        Wanted::Name(name) => match view.image.topic(name) {
            Some(topic) => write_topic(view, topic),
            None => {
                let error = refused.get(name).copied().unwrap_or(if is_topic_name(name) {
                    MetadataError::UnknownTopicOrPartition
                } else {
                    MetadataError::InvalidTopicException
                });
                MetadataResponseTopic::default()
                    .with_error_code(error.code())
                    .with_name(Some(TopicName(StrBytes::from(name.clone()))))
            }
        },
        Wanted::Id(id) => match view.image.topic_by_id(*id) {
            Some(topic) => write_topic(view, topic),
            None => MetadataResponseTopic::default()
                .with_error_code(MetadataError::UnknownTopicId.code())
                .with_name(if version >= FIRST_VERSION_WITH_NULL_NAMES {
                    None
                } else {
                    Some(TopicName::default())
                })
                .with_topic_id(uuid::Uuid::from_bytes(id.0)),
        },
    }
}

fn write_topic(view: &View, topic: &Topic) -> MetadataResponseTopic {
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let partitions = (0..count).map(|index| write_partition(view, topic, index)).collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from(topic.name.clone()))))
        .with_topic_id(uuid::Uuid::from_bytes(topic.id.0))
        .with_partitions(partitions)
}

fn write_partition(view: &View, topic: &Topic, index: i32) -> MetadataResponsePartition {
    let response = MetadataResponsePartition::default().with_partition_index(index);
    let Some(Whereabouts { leader, replicas }) = whereabouts(view, topic, index) else {
        return response
            .with_error_code(MetadataError::LeaderNotAvailable.code())
            .with_leader_id((-1).into())
            .with_leader_epoch(-1);
    };
    response
        .with_leader_id(wire_node(leader.node).into())
        .with_leader_epoch(leader.epoch)
        .with_isr_nodes(replicas.clone())
        .with_replica_nodes(replicas)
}

/// Every node that has an address on `context`'s listener, ascending, this one included.
pub(crate) fn nodes_with_endpoints(
    broker: &Broker,
    context: &Context,
    image: &Image,
) -> Vec<(i32, Endpoint)> {
    let mut nodes: BTreeSet<i32> = image.nodes.keys().map(|node| wire_node(*node)).collect();
    nodes.insert(wire_node(broker.node));
    let found = |node| Some((node, endpoint_of(broker, context, image, node)?));
    nodes.into_iter().filter_map(found).collect()
}

fn brokers(broker: &Broker, context: &Context, image: &Image) -> Vec<MetadataResponseBroker> {
    let write = |(node, endpoint): (i32, Endpoint)| {
        MetadataResponseBroker::default()
            .with_node_id(node.into())
            .with_host(StrBytes::from(endpoint.host))
            .with_port(i32::from(endpoint.port))
    };
    nodes_with_endpoints(broker, context, image).into_iter().map(write).collect()
}

#[cfg(test)]
mod tests;
