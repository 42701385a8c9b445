//! FindCoordinator: who leads the slot, in every shape of the answer, and what is refused at once.

use super::*;
use crate::double::{Bench, bench, published, topic};
use holdfast_base::{NodeId, ShardId, Term};
use holdfast_lane::{Leader, Published};
use holdfast_metadata::{Listener, Node};
use std::collections::BTreeMap;
use std::sync::Arc;

fn request(key_type: i8, keys: &[&str]) -> FindCoordinatorRequest {
    let text = |key: &&str| StrBytes::from((*key).to_owned());
    FindCoordinatorRequest::default()
        .with_key_type(key_type)
        .with_key(keys.first().map(text).unwrap_or_default())
        .with_coordinator_keys(keys.iter().map(text).collect())
}

fn ask(bench: &Bench, request: &FindCoordinatorRequest, version: i16) -> FindCoordinatorResponse {
    handle(&bench.broker, &bench.context, request, version)
}

/// Node 3 has taken over shard 1, and is reached by another listener of the same name.
fn led_by_another(listener: &str) -> Published {
    let mut published = published(&[topic("orders", crate::double::ORDERS, 1)]);
    let listeners =
        vec![Listener { name: listener.to_owned(), host: "three.example".to_owned(), port: 9_093 }];
    let image = Arc::make_mut(&mut published.image);
    image.nodes = Arc::new(BTreeMap::from([(NodeId(3), Node { listeners })]));
    let leader = Leader { node: NodeId(3), term: Term(9) };
    published.leaders = Arc::new(BTreeMap::from([(ShardId(1), leader)]));
    published
}

#[test]
fn a_group_is_at_the_leader_of_its_slot_in_every_version() {
    let bench = bench();
    for version in 0..=6 {
        let answer = ask(&bench, &request(0, &["readers", "writers"]), version);
        let found: Vec<_> = if version < 4 {
            assert!(answer.coordinators.is_empty());
            vec![(answer.error_code, answer.node_id.0, answer.host.to_string(), answer.port)]
        } else {
            let keys: Vec<_> = answer.coordinators.iter().map(|one| one.key.to_string()).collect();
            assert_eq!(keys, ["readers", "writers"]);
            let row =
                |one: &Coordinator| (one.error_code, one.node_id.0, one.host.to_string(), one.port);
            answer.coordinators.iter().map(row).collect()
        };
        assert_eq!(found.len(), if version < 4 { 1 } else { 2 });
        for found in found {
            assert_eq!(found, (0, 1, "kafka.example".to_owned(), 9092), "version {version}");
        }
    }
}

#[test]
fn another_nodes_address_is_that_of_the_clients_listener() {
    let bench = bench();
    bench.broker.publish(&led_by_another("PLAINTEXT"));
    let answer = ask(&bench, &request(0, &["readers"]), 3);
    assert_eq!((answer.node_id.0, &*answer.host, answer.port), (3, "three.example", 9_093));
    let bench = crate::double::bench();
    bench.broker.publish(&led_by_another("INTERNAL"));
    let answer = ask(&bench, &request(0, &["readers"]), 3);
    assert_eq!((answer.error_code, answer.node_id.0), (15, -1), "no such listener there");
}

#[test]
fn transactions_and_share_groups_are_refused_at_once_key_by_key() {
    let bench = bench();
    for (key_type, code) in [(1, 35), (2, 35), (3, 42), (-1, 42)] {
        let answer = ask(&bench, &request(key_type, &["a", "b"]), 6);
        for one in &answer.coordinators {
            assert_eq!((one.error_code, one.node_id.0, one.port), (code, -1, -1), "{key_type}");
            assert!(one.error_message.is_some());
        }
        assert_eq!(answer.coordinators.len(), 2);
        let answer = ask(&bench, &request(key_type, &["a"]), 1);
        assert_eq!((answer.error_code, answer.node_id.0, answer.port), (code, -1, -1));
    }
}

#[test]
fn before_the_cluster_is_founded_the_client_asks_again() {
    let bench = bench();
    let mut published = published(&[]);
    Arc::make_mut(&mut published.image).coordinator_slots = Arc::default();
    bench.broker.publish(&published);
    assert_eq!(ask(&bench, &request(0, &["readers"]), 0).error_code, 15);
    assert_eq!(ask(&bench, &request(0, &["readers"]), 4).coordinators[0].error_code, 15);
}
