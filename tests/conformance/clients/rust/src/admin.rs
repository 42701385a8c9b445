//! `admin`: topics, settings, groups. rust-rdkafka has no description of topics of its own (metadata
//! of all topics is asked instead), alters settings only as a whole, and lists groups the old way.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::contract::{Options, OrFail as _, PATIENCE, check, fail, lacks};
use crate::library::{Producer, Reader, commit_alone, config};
use crate::record::Record;

type Client = AdminClient<DefaultClientContext>;

fn client(options: &Options) -> Client {
    config(&options.bootstrap).create().or_fail("an AdminClient")
}

/// A topic for records that lie years back.
pub fn create(options: &Options, topic: &str, partitions: i32) {
    let made = create_with(&client(options), topic, partitions, &[("retention.ms", "-1")]);
    made.or_fail(&format!("create {topic}"));
}

/// The one result of a call.
fn one<T, N>(
    results: KafkaResult<Vec<Result<T, (N, RDKafkaErrorCode)>>>,
) -> Result<T, RDKafkaErrorCode> {
    let mut results = results.or_fail("an administrative call");
    results
        .pop()
        .unwrap_or_else(|| fail("no result of an administrative call"))
        .map_err(|(_, code)| code)
}

fn create_with(
    client: &Client,
    topic: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<String, RDKafkaErrorCode> {
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for (name, value) in configs {
        new = new.set(name, value);
    }
    one(block_on(client.create_topics([&new], &AdminOptions::new())))
}

fn delete(client: &Client, topic: &str) -> Result<String, RDKafkaErrorCode> {
    one(block_on(client.delete_topics(&[topic], &AdminOptions::new())))
}

/// Topics and how many partitions each has.
fn topics(consumer: &BaseConsumer) -> BTreeMap<String, usize> {
    let metadata = consumer.fetch_metadata(None, PATIENCE).or_fail("metadata");
    let each =
        metadata.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().len()));
    each.collect()
}

fn configs(client: &Client, topic: &str) -> Result<BTreeMap<String, String>, RDKafkaErrorCode> {
    let resource = ResourceSpecifier::Topic(topic);
    let mut answer = block_on(client.describe_configs([&resource], &AdminOptions::new()))
        .or_fail("describe configs");
    let entries = answer.pop().unwrap_or_else(|| fail("no description"))?.entries;
    Ok(entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default())).collect())
}

fn alter(client: &Client, topic: &str, configs: &[(&str, &str)]) {
    let mut resource = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in configs {
        resource = resource.set(name, value);
    }
    one(block_on(client.alter_configs([&resource], &AdminOptions::new()))).or_fail("alter configs");
}

/// Five of them.
fn more_partitions(client: &Client, topic: &str) -> Result<String, RDKafkaErrorCode> {
    let more = NewPartitions::new(topic, 5);
    one(block_on(client.create_partitions([&more], &AdminOptions::new())))
}

/// The state of every group.
fn groups(consumer: &BaseConsumer) -> BTreeMap<String, String> {
    let list = consumer.fetch_group_list(None, PATIENCE).or_fail("groups");
    list.groups()
        .iter()
        .map(|group| (group.name().to_owned(), group.state().to_lowercase()))
        .collect()
}

/// The partitions' committed offsets; -1 where there is none.
fn committed(options: &Options, group: &str, topic: &str) -> Vec<i64> {
    let consumer: BaseConsumer =
        config(&options.bootstrap).set("group.id", group).create().or_fail("a consumer");
    let mut places = TopicPartitionList::new();
    places.add_partition_range(topic, 0, 2);
    let found = consumer.committed_offsets(places, PATIENCE).or_fail("committed offsets");
    let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { -1 };
    found.elements().iter().map(|place| offset(place.offset())).collect()
}

pub fn play(options: &Options) {
    let client = client(options);
    let consumer: BaseConsumer = config(&options.bootstrap).create().or_fail("a consumer");
    let (topic, group) =
        (&format!("{}-topic", options.prefix), &format!("{}-group", options.prefix));
    let made = [("retention.ms", "7200000"), ("cleanup.policy", "delete")];
    create_with(&client, topic, 2, &made).or_fail("create");
    let second = create_with(&client, topic, 2, &[]).err();
    check("error of a second create", Some(RDKafkaErrorCode::TopicAlreadyExists), second);
    check("partitions", Some(&2), topics(&consumer).get(topic));
    lacks("describe topics");
    let unknown = format!("{topic}-unknown");
    let unknown = more_partitions(&client, &unknown).err();
    check("error of an unknown topic", Some(RDKafkaErrorCode::UnknownTopicOrPartition), unknown);
    let described = configs(&client, topic).or_fail("describe configs");
    check("retention.ms as created", "7200000", described["retention.ms"].as_str());
    check("delete.retention.ms by default", "86400000", described["delete.retention.ms"].as_str());
    lacks("incremental alter configs");
    alter(&client, topic, &[("retention.ms", "3600000"), ("max.message.bytes", "2000000")]);
    let described = configs(&client, topic).or_fail("describe configs");
    check("retention.ms as altered", "3600000", described["retention.ms"].as_str());
    check("max.message.bytes as altered", "2000000", described["max.message.bytes"].as_str());
    alter(&client, topic, &[("retention.ms", "3600000")]);
    let described = configs(&client, topic).or_fail("describe configs");
    check("max.message.bytes no longer named", "1048588", described["max.message.bytes"].as_str());
    more_partitions(&client, topic).or_fail("create partitions");
    check("partitions after more were created", Some(&5), topics(&consumer).get(topic));

    let mut producer = Producer::new(&options.bootstrap, topic, "none", false);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).or_fail("the clock");
    for index in 0..100 {
        let value = Some(format!("{index}").into_bytes());
        producer.send(&Record { value, timestamp_ms: now.as_millis() as i64, ..Record::default() });
    }
    producer.finish();
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, 0, Offset::Offset(40)).or_fail("a place");
    let deleted =
        block_on(client.delete_records(&places, &AdminOptions::new())).or_fail("delete records");
    deleted.elements()[0].error().or_fail("delete records");
    let limits = Reader::new(&options.bootstrap, topic, 1).limits();
    check("limits after records were deleted", (40, 100), limits);

    commit_alone(&options.bootstrap, group, topic, &[(0, 41), (1, 0)]);
    check(
        "group listed, without members",
        Some("empty"),
        groups(&consumer).get(group).map(String::as_str),
    );
    check("committed offsets", vec![41, 0, -1], committed(options, group, topic));
    commit_alone(&options.bootstrap, group, topic, &[(0, 50)]);
    check("committed offset after it was set", vec![50, 0, -1], committed(options, group, topic));
    lacks("delete group offsets");
    let delete_group = || one(block_on(client.delete_groups(&[group], &AdminOptions::new())));
    delete_group().or_fail("delete the group");
    check("group listed after deletion", false, groups(&consumer).contains_key(group));
    let again = delete_group().err();
    check("error of deleting the group again", Some(RDKafkaErrorCode::GroupIdNotFound), again);

    delete(&client, topic).or_fail("delete");
    let deadline = Instant::now() + PATIENCE;
    while topics(&consumer).contains_key(topic) && Instant::now() < deadline {
        sleep(Duration::from_millis(100));
    }
    check("listed after deletion", false, topics(&consumer).contains_key(topic));
    let again = delete(&client, topic).err();
    check("error of deleting it again", Some(RDKafkaErrorCode::UnknownTopicOrPartition), again);
}
