"""confluent-kafka: librdkafka, the library under most clients that are not Java."""

import time

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TIMESTAMP_CREATE_TIME, Consumer, KafkaException, Producer
from confluent_kafka import ConsumerGroupTopicPartitions, TopicCollection, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic, ResourceType)

from scenarios import PATIENCE_S, Refused, main

# librdkafka shortens this one.
NAMES = {"UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION"}


def result(futures):
    """The one result of an administrative call, or its refusal by name."""
    future = next(iter(futures.values())) if isinstance(futures, dict) else futures
    try:
        return future.result(timeout=PATIENCE_S)
    except KafkaException as error:
        name = error.args[0].name()
        raise Refused(NAMES.get(name, name)) from error


class Library:
    wants_key_or_value = False

    def __init__(self, bootstrap):
        self.settings = {"bootstrap.servers": bootstrap}

    def name(self):
        return f"confluent-kafka {confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})"

    def create(self, topic, partitions, configs):
        Admin(self.settings).create(topic, partitions, configs)

    def producer(self, codec, idempotent):
        return Sender(self.settings, codec, idempotent)

    def reader(self, topic, partitions):
        return Reader(self.settings, topic, partitions)

    def member(self, *options):
        return Member(self.settings, *options)

    def admin(self):
        return Admin(self.settings)

    def commit_alone(self, group, topic, offsets):
        consumer = Consumer({**self.settings, "group.id": group, "enable.auto.commit": False})
        places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()


class Sender:
    def __init__(self, settings, codec, idempotent):
        self.producer = Producer({
            **settings, "compression.type": codec, "linger.ms": 5, "acks": "all", "enable.idempotence": idempotent,
            "message.timeout.ms": 120_000, "queue.buffering.max.kbytes": 256 * 1024,
        })
        self.failures = []

    def send(self, topic, partition, key, value, headers, timestamp_ms, acknowledge):
        def delivered(error, message):
            if error:
                self.failures.append(f"partition {partition}: {error}")
            else:
                acknowledge(message.offset())

        while True:
            try:
                self.producer.produce(topic, value=value, key=key, partition=partition, headers=headers,
                                      timestamp=timestamp_ms, on_delivery=delivered)
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(0.1)

    def finish(self):
        left = self.producer.flush(150)
        if left or self.failures:
            raise SystemExit(f"{left} records not sent, {len(self.failures)} failed: {self.failures[:3]}")


def rows(messages):
    found = []
    for message in messages:
        if message.error():
            raise SystemExit(f"consumer: {message.error()}")
        kind, timestamp_ms = message.timestamp()
        if kind != TIMESTAMP_CREATE_TIME:
            raise SystemExit(f"timestamp of kind {kind}")
        found.append((message.partition(), message.offset(), message.key(), message.value(),
                      message.headers() or [], timestamp_ms))
    return found


class Reader:
    def __init__(self, settings, topic, partitions):
        self.topic = topic
        self.consumer = Consumer({**settings, "group.id": "reads-by-assignment", "enable.auto.commit": False,
                                  "check.crcs": True, "auto.offset.reset": "error"})
        self.consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])

    def seek(self, partition, offset):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.consumer.seek(TopicPartition(self.topic, partition, offset))
            except KafkaException as error:
                # An assignment takes effect a moment after `assign` returns.
                if error.args[0].name() != "_STATE" or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def beginning(self, partition):
        self.seek(partition, OFFSET_BEGINNING)

    def end(self, partition):
        self.seek(partition, OFFSET_END)

    def offset_for_time(self, partition, timestamp_ms):
        found = self.consumer.offsets_for_times([TopicPartition(self.topic, partition, timestamp_ms)], timeout=30)[0]
        if found.error:
            raise SystemExit(f"offsets_for_times: {found.error}")
        return None if found.offset == OFFSET_END else found.offset

    def limits(self, partition):
        return self.consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=30)

    def poll(self):
        return rows(self.consumer.consume(500, timeout=0.1))

    def close(self):
        self.consumer.close()


class Member:
    def __init__(self, settings, group, topic, instance, session_ms):
        static = {"group.instance.id": instance} if instance else {}
        self.consumer = Consumer({
            **settings, **static, "group.id": group, "session.timeout.ms": session_ms, "heartbeat.interval.ms": 1_000,
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
        })
        self.rebalances = 0
        self.consumer.subscribe([topic], on_assign=self.assigned)

    def assigned(self, _consumer, _partitions):
        self.rebalances += 1

    def assignment(self):
        return [place.partition for place in self.consumer.assignment()]

    def poll(self):
        return rows(self.consumer.consume(500, timeout=0.1))

    def commit(self):
        self.consumer.commit(asynchronous=False)

    def close(self):
        self.consumer.close()


class Admin:
    def __init__(self, settings):
        self.client = AdminClient(settings)

    def create(self, topic, partitions, configs):
        result(self.client.create_topics([NewTopic(topic, partitions, 1, config=configs)]))

    def delete(self, topic):
        result(self.client.delete_topics([topic]))

    def topics(self):
        return list(self.client.list_topics(timeout=30).topics)

    def partitions(self, topic):
        return len(result(self.client.describe_topics(TopicCollection([topic]))).partitions)

    def configs(self, topic):
        entries = result(self.client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
        return {name: entry.value for name, entry in entries.items()}

    def alter_configs(self, topic, configs):
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                   for name, value in configs.items()]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        result(self.client.incremental_alter_configs([resource]))

    def create_partitions(self, topic, count):
        result(self.client.create_partitions([NewPartitions(topic, count)]))

    def delete_records(self, topic, partition, before):
        result(self.client.delete_records([TopicPartition(topic, partition, before)]))

    def groups(self):
        listed = result(self.client.list_consumer_groups())
        if listed.errors:
            raise SystemExit(f"list_consumer_groups: {listed.errors}")
        return [group.group_id for group in listed.valid]

    def group_state(self, group):
        return result(self.client.describe_consumer_groups([group])).state.name

    def group_offsets(self, group, _topic):
        found = result(self.client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        return {place.partition: place.offset for place in found.topic_partitions}

    def alter_group_offsets(self, group, topic, offsets):
        places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        result(self.client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]))

    def delete_group(self, group):
        result(self.client.delete_consumer_groups([group]))


if __name__ == "__main__":
    main(Library)
