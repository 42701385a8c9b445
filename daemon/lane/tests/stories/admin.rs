//! More partitions and changed configuration on one node.

use holdfast_base::PartitionKey;
use holdfast_lane::{
    AdminReason, AdminRefusal, AlterResource, AlteredResource, Answer, ConfigChange,
    ConfigOperation, ConfigResource, GrowTopic, Reason, Request,
};

use crate::node::{Node, origin};

impl Node {
    fn grow(&mut self, name: &str, total: i32, validate_only: bool) -> Result<(), AdminRefusal> {
        let name = name.to_owned();
        let topic = GrowTopic { name, total, assignment: Vec::new(), validate_only };
        match self.ask(Request::CreatePartitions(vec![topic], origin())) {
            Answer::CreatePartitions(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn alter(
        &mut self,
        resource: AlteredResource,
        operation: ConfigOperation,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), AdminRefusal> {
        let change =
            ConfigChange { name: name.to_owned(), operation, value: value.map(str::to_owned) };
        let changes = vec![change];
        let alter = AlterResource { resource, changes, replace_all: false, validate_only: false };
        match self.ask(Request::AlterConfigs(vec![alter], origin())) {
            Answer::AlterConfigs(mut results) => results.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

fn topic(name: &str) -> AlteredResource {
    AlteredResource::Topic(name.to_owned())
}

#[test]
fn new_partitions_take_records_as_soon_as_they_are_answered() {
    let mut node = Node::found(64 << 20);
    let first = node.create("orders", 1, &[]);
    node.produce(first, "before").unwrap();
    assert_eq!(node.grow("orders", 5, true), Ok(()));
    let fifth = PartitionKey { partition: 4, ..first };
    assert_eq!(node.produce(fifth, "x").unwrap_err().reason, Reason::UnknownPartition);
    assert_eq!(node.grow("orders", 5, false), Ok(()));
    for partition in 1..5 {
        assert_eq!(node.produce(PartitionKey { partition, ..first }, "at once"), Ok(0));
    }
    assert_eq!(node.grow("orders", 5, false).unwrap_err().reason, AdminReason::InvalidPartitions);
    assert_eq!(node.grow("nothing", 5, false).unwrap_err().reason, AdminReason::UnknownTopic);
    node.power_cut();
    node.start();
    assert_eq!(node.produce(first, "after"), Ok(1));
    assert_eq!(node.produce(fifth, "after"), Ok(1));
}

#[test]
fn a_topic_s_changed_configuration_reaches_its_partitions_and_stays() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 2, &[]);
    let long = "x".repeat(2_000);
    node.produce(partition, &long).unwrap();
    let set = ConfigOperation::Set;
    assert_eq!(node.alter(topic("orders"), set, "max.message.bytes", Some("1000")), Ok(()));
    node.run_ms(100);
    assert_eq!(node.produce(partition, &long).unwrap_err().reason, Reason::TooLarge);
    node.power_cut();
    node.start();
    assert_eq!(node.produce(partition, &long).unwrap_err().reason, Reason::TooLarge);
    let delete = ConfigOperation::Delete;
    assert_eq!(node.alter(topic("orders"), delete, "max.message.bytes", None), Ok(()));
    node.run_ms(100);
    assert_eq!(node.produce(partition, &long), Ok(1));
    let wrong = node.alter(topic("orders"), set, "max.message.bytes", Some("many"));
    assert_eq!(wrong.unwrap_err().reason, AdminReason::InvalidConfig);
}

#[test]
fn changes_that_cross_each_other_leave_the_last_one_in_force() {
    let mut node = Node::found(64 << 20);
    let partition = node.create("orders", 1, &[]);
    for bytes in ["1000", "1048588", "1000", "1048588", "1000"] {
        let change = ConfigChange {
            name: "max.message.bytes".to_owned(),
            operation: ConfigOperation::Set,
            value: Some(bytes.to_owned()),
        };
        let alter = AlterResource {
            resource: topic("orders"),
            changes: vec![change],
            replace_all: false,
            validate_only: false,
        };
        node.submit(Request::AlterConfigs(vec![alter], origin()));
        node.step();
    }
    node.run_ms(200);
    let refusal = node.produce(partition, &"x".repeat(2_000)).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooLarge);
}

#[test]
fn what_is_set_for_every_node_is_what_topics_inherit() {
    let mut node = Node::found(64 << 20);
    let inherits = node.create("orders", 1, &[]);
    let own = node.create("refunds", 1, &[("max.message.bytes", "9000")]);
    let every = AlteredResource::Other(ConfigResource::EveryBroker);
    let set = ConfigOperation::Set;
    assert_eq!(node.alter(every, set, "message.max.bytes", Some("1000")), Ok(()));
    node.run_ms(100);
    let long = "x".repeat(2_000);
    assert_eq!(node.produce(inherits, &long).unwrap_err().reason, Reason::TooLarge);
    assert_eq!(node.produce(own, &long), Ok(0));
}
