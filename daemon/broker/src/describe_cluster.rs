//! DescribeCluster (key 60): the nodes, as seen through the listener the client came in by.

use crate::broker::Broker;
use crate::context::Context;
use crate::leadership::wire_node;
use crate::metadata::{CLUSTER_OPERATIONS, nodes_with_endpoints};
use holdfast_protocol::errors::{DescribeClusterError, ErrorCode};
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use kafka_protocol::protocol::StrBytes;

/// Kafka's `EndpointType`: brokers; 2 would be controllers, which have no listener of their own.
const BROKERS: i8 = 1;

pub(crate) fn handle(
    broker: &Broker,
    context: &Context,
    request: &DescribeClusterRequest,
    version: i16,
) -> DescribeClusterResponse {
    let view = broker.view();
    let response = DescribeClusterResponse::default()
        .with_cluster_id(StrBytes::from(view.image.cluster.to_string()))
        // Every node forwards administration, so any live one will do, and we are live.
        .with_controller_id(wire_node(broker.node).into());
    let response = if version >= 1 { response.with_endpoint_type(BROKERS) } else { response };
    if version >= 1 && request.endpoint_type != BROKERS {
        return response
            .with_error_code(DescribeClusterError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "controllers have no listener of their own here; ask for brokers, or use \
                 --bootstrap-server instead of --bootstrap-controller",
            )));
    }
    let response = if request.include_cluster_authorized_operations {
        response.with_cluster_authorized_operations(CLUSTER_OPERATIONS)
    } else {
        response
    };
    let brokers = nodes_with_endpoints(broker, context, &view.image).into_iter();
    let write = |(node, endpoint): (i32, crate::context::Endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(node.into())
            .with_host(StrBytes::from(endpoint.host))
            .with_port(i32::from(endpoint.port))
    };
    response.with_error_message(None).with_brokers(brokers.map(write).collect())
}

#[cfg(test)]
mod tests;
