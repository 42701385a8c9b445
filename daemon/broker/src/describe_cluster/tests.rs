//! DescribeCluster: this node is always there, under the name its listener advertises.

use super::*;
use crate::double::bench;

#[test]
fn a_node_shows_itself_by_the_advertised_name() {
    let bench = bench();
    for version in 0..=2 {
        let request = DescribeClusterRequest::default().with_endpoint_type(BROKERS);
        let answer = handle(&bench.broker, &bench.context, &request, version);
        assert_eq!(answer.error_code, 0);
        let [node] = &answer.brokers[..] else { panic!("{:?}", answer.brokers) };
        assert_eq!((node.broker_id.0, &*node.host, node.port), (1, "kafka.example", 9092));
        assert_eq!(answer.controller_id.0, 1);
        assert_eq!(answer.cluster_id.len(), 22, "base64url of 16 bytes");
    }
}

#[test]
fn who_asks_for_controllers_is_told_to_ask_for_brokers() {
    let bench = bench();
    let request = DescribeClusterRequest::default().with_endpoint_type(2);
    let answer = handle(&bench.broker, &bench.context, &request, 1);
    assert_eq!(answer.error_code, 114);
    assert!(answer.brokers.is_empty());
}

#[test]
fn what_a_client_may_do_is_told_only_when_it_asks() {
    let bench = bench();
    for (asks, operations) in [(false, i32::MIN), (true, 0x1fa0)] {
        let request = DescribeClusterRequest::default()
            .with_endpoint_type(BROKERS)
            .with_include_cluster_authorized_operations(asks);
        let answer = handle(&bench.broker, &bench.context, &request, 0);
        assert_eq!(answer.cluster_authorized_operations, operations);
    }
}
