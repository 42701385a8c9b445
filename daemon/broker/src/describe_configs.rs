//! DescribeConfigs (key 32): every setting of a topic, a node or a group, where its value comes from
//! and what it means. Answered from the image: no call on the lane.
//!
//! Tools (Connect, Streams, kafka-ui, Terraform) read whole lists and take a missing name for an old
//! broker, so all of Kafka's settings are there; one without effect here says so in its words.

use crate::alter_configs::resource;
use crate::broker::Broker;
use holdfast_lane::AlteredResource;
use holdfast_metadata::{ConfigSynonym, Described, Reason, Refusal, ResourceRef, describe};
use holdfast_protocol::errors::{AlterConfigsError, DescribeConfigsError, ErrorCode};
use kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use kafka_protocol::protocol::StrBytes;

/// From here the answer has types and, if asked, documentation.
const FIRST_VERSION_WITH_TYPES: i16 = 3;

pub(crate) fn handle(
    broker: &Broker,
    request: &DescribeConfigsRequest,
    version: i16,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|asked| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match describe_one(broker, asked) {
            Ok(rows) => result
                .with_error_message(None)
                .with_configs(rows.into_iter().map(|row| write(row, request, version)).collect()),
            Err((error, message)) => result
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from(message))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(
    broker: &Broker,
    asked: &DescribeConfigsResource,
) -> Result<Vec<Described>, (DescribeConfigsError, String)> {
    let view = broker.view();
    let meant = resource(&view.image, broker, asked.resource_type, &asked.resource_name);
    let meant = match meant.map_err(as_described)? {
        AlteredResource::Topic(name) => ResourceRef::Topic(name),
        AlteredResource::Other(other) => ResourceRef::Other(other),
    };
    let names: Option<Vec<String>> = asked
        .configuration_keys
        .as_ref()
        .map(|names| names.iter().map(ToString::to_string).collect());
    describe(&view.image, &view.facts, &meant, names.as_deref()).map_err(refused)
}

/// The same refusals as for a change; nothing else can go wrong with a name.
fn as_described((_, message): (AlterConfigsError, String)) -> (DescribeConfigsError, String) {
    (DescribeConfigsError::InvalidRequest, message)
}

fn refused(refusal: Refusal) -> (DescribeConfigsError, String) {
    let error = match refusal.reason {
        Reason::UnknownTopic | Reason::UnknownTopicId => {
            DescribeConfigsError::UnknownTopicOrPartition
        }
        Reason::InvalidTopicName => DescribeConfigsError::InvalidTopicException,
        _ => DescribeConfigsError::InvalidRequest,
    };
    (error, refusal.message)
}

fn write(
    row: Described,
    request: &DescribeConfigsRequest,
    version: i16,
) -> DescribeConfigsResourceResult {
    let text = |value: Option<String>| value.map(StrBytes::from);
    let synonym = |synonym: ConfigSynonym| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from(synonym.name))
            .with_value(text(synonym.value))
            .with_source(synonym.source as i8)
    };
    let mut result = DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from(row.name))
        .with_value(text(row.value))
        .with_read_only(row.read_only)
        .with_config_source(row.source as i8)
        .with_is_sensitive(row.sensitive);
    if request.include_synonyms {
        result = result.with_synonyms(row.synonyms.into_iter().map(synonym).collect());
    }
    if version >= FIRST_VERSION_WITH_TYPES {
        let documentation =
            request.include_documentation.then(|| StrBytes::from_static_str(row.documentation));
        result = result.with_config_type(row.config_type as i8).with_documentation(documentation);
    }
    result
}

#[cfg(test)]
mod tests;
