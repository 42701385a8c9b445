//! ListConfigResources (key 74): what has a configuration of its own.
//!
//! Version 0 was made for client metrics alone, of which there are none. Loggers of nodes cannot be
//! configured by clients: none are listed.

use crate::broker::Broker;
use crate::leadership::wire_node;
use holdfast_metadata::ConfigResource as Configured;
use holdfast_protocol::errors::{ErrorCode, ListConfigResourcesError};
use kafka_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use kafka_protocol::messages::list_config_resources_response::{
    ConfigResource, ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
const FIRST_VERSION_WITH_TYPES: i16 = 1;

pub(crate) fn handle(
    broker: &Broker,
    request: &ListConfigResourcesRequest,
    version: i16,
) -> ListConfigResourcesResponse {
    let response = ListConfigResourcesResponse::default();
    if version < FIRST_VERSION_WITH_TYPES {
        return response;
    }
    if request.resource_types.iter().any(|kind| !ALL.contains(kind)) {
        return response.with_error_code(ListConfigResourcesError::UnsupportedVersion.code());
    }
    let wanted = |kind| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    let view = broker.view();
    let mut resources = Vec::new();
    let mut list = |kind, name: String| {
        resources.push(
            ConfigResource::default()
                .with_resource_type(kind)
                .with_resource_name(StrBytes::from(name)),
        );
    };
    if wanted(TOPIC) {
        view.image.topics_by_name.keys().for_each(|name| list(TOPIC, name.clone()));
    }
    if wanted(BROKER) {
        view.image.nodes.keys().for_each(|node| list(BROKER, wire_node(*node).to_string()));
    }
    if wanted(GROUP) {
        for resource in view.image.configs.keys() {
            if let Configured::Group(name) = resource {
                list(GROUP, name.clone());
            }
        }
    }
    response.with_config_resources(resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double::bench;

    fn ask(types: &[i8], version: i16) -> (i16, Vec<(i8, String)>) {
        let bench = bench();
        let request = ListConfigResourcesRequest::default().with_resource_types(types.to_vec());
        let answer = handle(&bench.broker, &request, version);
        let rows = answer.config_resources.iter();
        let rows = rows.map(|row| (row.resource_type, row.resource_name.to_string())).collect();
        (answer.error_code, rows)
    }

    #[test]
    fn topics_and_nodes_are_listed_by_kind() {
        let (error, topics) = ask(&[TOPIC], 1);
        assert_eq!(error, 0);
        assert!(topics.contains(&(TOPIC, "orders".to_owned())), "{topics:?}");
        assert!(topics.iter().all(|(kind, _)| *kind == TOPIC));
        assert_eq!(ask(&[BROKER], 1), (0, vec![(BROKER, "1".to_owned())]));
        let (_, all) = ask(&[], 1);
        assert_eq!(all.len(), topics.len() + 1, "no kind is every kind");
    }

    #[test]
    fn a_kind_nobody_knows_is_refused_and_version_0_knows_client_metrics_only() {
        assert_eq!(ask(&[3], 1), (35, Vec::new()));
        assert_eq!(ask(&[], 0), (0, Vec::new()));
    }
}
