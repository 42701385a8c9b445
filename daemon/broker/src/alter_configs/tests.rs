//! AlterConfigs, both kinds: each resource by itself, in the client's order.

use super::*;
use crate::double::bench;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};

fn row(kind: i8, name: &'static str, operation: i8) -> AlterConfigsResource {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_config_operation(operation)
        .with_value(Some(StrBytes::from_static_str("1000")));
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_static_str(name))
        .with_configs(vec![config])
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_the_rest_is_done() {
    let bench = bench();
    let refusal =
        AdminRefusal { reason: AdminReason::InvalidConfig, message: "not that".to_owned() };
    bench.lane.answer(Answer::AlterConfigs(vec![Ok(()), Err(refusal), Ok(())]));
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![
        row(TOPIC, "orders", 0),
        row(8, "1", 0),       // loggers
        row(BROKER, "", 0),   // every node
        row(BROKER, "99", 0), // nobody
        row(TOPIC, "twice", 0),
        row(TOPIC, "twice", 1),
        row(TOPIC, "compacted", 7), // no such operation
        row(BROKER, "1", 3),        // this node
    ]);
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = change(broker, context, "me".to_owned(), request).await;
    let codes: Vec<i16> = answer.responses.iter().map(|row| row.error_code).collect();
    assert_eq!(codes, [0, 42, 40, 42, 42, 42, 42, 0]);
    let seen = bench.lane.take_seen();
    let [Request::AlterConfigs(asked, _)] = &seen[..] else { panic!("{seen:?}") };
    let meant: Vec<&AlteredResource> = asked.iter().map(|asked| &asked.resource).collect();
    assert_eq!(
        meant,
        [
            &AlteredResource::Topic("orders".to_owned()),
            &AlteredResource::Other(ConfigResource::EveryBroker),
            &AlteredResource::Other(ConfigResource::Broker(holdfast_base::NodeId(1))),
        ]
    );
    assert_eq!(asked[2].changes[0].operation, ConfigOperation::Subtract);
    assert!(asked.iter().all(|asked| !asked.replace_all && !asked.validate_only));
}

#[tokio::test]
async fn the_older_call_replaces_everything() {
    use kafka_protocol::messages::alter_configs_request as older;
    let bench = bench();
    bench.lane.answer(Answer::AlterConfigs(vec![Ok(())]));
    let config = older::AlterableConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str("1")));
    let resource = older::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_static_str("orders"))
        .with_configs(vec![config]);
    let request =
        AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true);
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let answer = replace(broker, context, String::new(), request).await;
    assert_eq!(answer.responses[0].error_code, 0);
    let seen = bench.lane.take_seen();
    let [Request::AlterConfigs(asked, _)] = &seen[..] else { panic!("{seen:?}") };
    assert!(asked[0].replace_all && asked[0].validate_only);
}
