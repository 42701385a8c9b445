//! DescribeConfigs: what a tool sees, by version and by what it asks for.

use super::*;
use crate::alter_configs::{BROKER, TOPIC};
use crate::double::bench;

fn ask(kind: i8, name: &'static str) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(name))
        .with_configuration_keys(None);
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

fn row<'a>(answer: &'a DescribeConfigsResponse, name: &str) -> &'a DescribeConfigsResourceResult {
    let found = answer.results[0].configs.iter().find(|row| &*row.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_topic_shows_what_was_set_and_every_default() {
    let bench = bench();
    let request = ask(TOPIC, "compacted").with_include_synonyms(true);
    let answer = handle(&bench.broker, &request, 4);
    let policy = row(&answer, "cleanup.policy");
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("compact"), 1));
    assert_eq!(policy.config_type, 7, "a list");
    assert!(policy.synonyms.iter().any(|synonym| &*synonym.name == "log.cleanup.policy"));
    let retention = row(&answer, "retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("604800000"), 5));
    assert!(policy.documentation.is_none(), "nobody asked");
    assert!(answer.results[0].configs.len() > 30);
}

#[test]
fn words_and_types_come_with_their_versions() {
    let bench = bench();
    let request = ask(TOPIC, "orders").with_include_documentation(true);
    assert!(row(&handle(&bench.broker, &request, 3), "retention.ms").documentation.is_some());
    let older = handle(&bench.broker, &request, 2);
    assert_eq!(row(&older, "retention.ms").config_type, 0);
    assert!(row(&older, "retention.ms").synonyms.is_empty());
}

#[test]
fn a_node_shows_itself_and_not_its_neighbour() {
    let bench = bench();
    let answer = handle(&bench.broker, &ask(BROKER, "1"), 4);
    assert_eq!(answer.results[0].error_code, 0);
    assert!(answer.results[0].configs.len() > 200, "all that Kafka's node shows");
    let answer = handle(&bench.broker, &ask(BROKER, "7"), 4);
    assert_eq!(answer.results[0].error_code, 42);
}

#[test]
fn only_the_names_asked_for_are_shown() {
    let bench = bench();
    let mut request = ask(TOPIC, "orders");
    let names = ["retention.ms", "no.such.setting"].map(StrBytes::from_static_str);
    request.resources[0].configuration_keys = Some(names.to_vec());
    let answer = handle(&bench.broker, &request, 4);
    let shown: Vec<&str> = answer.results[0].configs.iter().map(|row| &*row.name).collect();
    assert_eq!(shown, ["retention.ms"]);
}

#[test]
fn an_unknown_topic_and_a_logger_are_refused_each_with_its_code() {
    let bench = bench();
    assert_eq!(handle(&bench.broker, &ask(TOPIC, "none"), 4).results[0].error_code, 3);
    assert_eq!(handle(&bench.broker, &ask(8, "1"), 4).results[0].error_code, 42);
}
