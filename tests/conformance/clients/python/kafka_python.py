"""kafka-python: the protocol in Python, generated from Kafka's own descriptions of its messages."""

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from kafka.errors import BrokerResponseError, for_code
from kafka.structs import OffsetAndMetadata

from scenarios import Refused, main

CREATE_TIME = 0


def refusing(call):
    """The call's result, or the broker's refusal by name."""
    try:
        return call()
    except BrokerResponseError as error:
        raise Refused(error.message) from error


class Library:
    wants_key_or_value = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def name(self):
        return f"kafka-python {kafka.__version__}"

    def create(self, topic, partitions, configs):
        admin = Admin(self.bootstrap)
        admin.create(topic, partitions, configs)
        admin.client.close()

    def producer(self, codec, idempotent):
        return Sender(self.bootstrap, codec, idempotent)

    def reader(self, topic, partitions):
        return Reader(self.bootstrap, topic, partitions)

    def member(self, *options):
        return Member(self.bootstrap, *options)

    def admin(self):
        return Admin(self.bootstrap)

    def commit_alone(self, group, topic, offsets):
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
        consumer.assign([TopicPartition(topic, partition) for partition in offsets])
        consumer.commit({TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
                         for partition, offset in offsets.items()})
        consumer.close()


class Sender:
    def __init__(self, bootstrap, codec, idempotent):
        self.producer = KafkaProducer(
            bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, linger_ms=5,
            batch_size=128 * 1024, acks="all", enable_idempotence=idempotent, delivery_timeout_ms=120_000)
        self.failures = []

    def send(self, topic, partition, key, value, headers, timestamp_ms, acknowledge):
        future = self.producer.send(topic, value=value, key=key, partition=partition, headers=headers,
                                    timestamp_ms=timestamp_ms)
        future.add_callback(lambda metadata: acknowledge(metadata.offset))
        future.add_errback(lambda error: self.failures.append(f"partition {partition}: {error!r}"))

    def finish(self):
        self.producer.flush(timeout=150)
        if self.failures:
            raise SystemExit(f"{len(self.failures)} records failed: {self.failures[:3]}")


def rows(polled):
    found = []
    for records in polled.values():
        for record in records:
            if record.timestamp_type != CREATE_TIME:
                raise SystemExit(f"timestamp of kind {record.timestamp_type}")
            found.append((record.partition, record.offset, record.key, record.value, record.headers,
                          record.timestamp))
    return found


class Reader:
    def __init__(self, bootstrap, topic, partitions):
        self.topic = topic
        self.consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False,
                                      auto_offset_reset="none", check_crcs=True)
        self.consumer.assign([TopicPartition(topic, partition) for partition in partitions])

    def seek(self, partition, offset):
        self.consumer.seek(TopicPartition(self.topic, partition), offset)

    def beginning(self, partition):
        self.consumer.seek_to_beginning(TopicPartition(self.topic, partition))

    def end(self, partition):
        self.consumer.seek_to_end(TopicPartition(self.topic, partition))

    def offset_for_time(self, partition, timestamp_ms):
        place = TopicPartition(self.topic, partition)
        found = self.consumer.offsets_for_times({place: timestamp_ms})[place]
        return found.offset if found else None

    def limits(self, partition):
        place = TopicPartition(self.topic, partition)
        return self.consumer.beginning_offsets([place])[place], self.consumer.end_offsets([place])[place]

    def poll(self):
        return rows(self.consumer.poll(timeout_ms=500))

    def close(self):
        self.consumer.close()


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap, group, topic, instance, session_ms):
        # As the listener was told: the consumer's own assignment() is ahead of that, for it is set by
        # another thread, and would be seen with the former count.
        self.assigned, self.rebalances = [], 0
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, group_instance_id=instance, session_timeout_ms=session_ms,
            heartbeat_interval_ms=1_000, auto_offset_reset="earliest", enable_auto_commit=False)
        self.consumer.subscribe([topic], listener=self)

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        self.rebalances += 1
        self.assigned = [place.partition for place in assigned]

    def assignment(self):
        return self.assigned

    def poll(self):
        # Long: a poll that gives up between JoinGroup and the answer to SyncGroup leaves the member of
        # this version without heartbeats for ever (need_rejoin() is false by the next one).
        return rows(self.consumer.poll(timeout_ms=5_000))

    def commit(self):
        self.consumer.commit()

    def close(self):
        self.consumer.close()


class Admin:
    def __init__(self, bootstrap):
        self.client = KafkaAdminClient(bootstrap_servers=bootstrap)

    def create(self, topic, partitions, configs):
        what = {topic: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}}
        refusing(lambda: self.client.create_topics(what, wait_for_metadata=True))

    def delete(self, topic):
        refusing(lambda: self.client.delete_topics([topic]))

    def topics(self):
        return self.client.list_topics()

    def partitions(self, topic):
        found = self.client.describe_topics([topic])[0]
        if found["error_code"]:
            raise Refused(for_code(found["error_code"]).message)
        return len(found["partitions"])

    def configs(self, topic):
        found = self.client.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
        return {name: config["value"] for name, config in found["topic"][topic].items()}

    def alter_configs(self, topic, configs):
        told = self.client.alter_configs([ConfigResource("TOPIC", topic, configs)], incremental=True)
        if told["topic"][topic] != "OK":
            raise Refused(told["topic"][topic])

    def create_partitions(self, topic, count):
        refusing(lambda: self.client.create_partitions({topic: count}))

    def delete_records(self, topic, partition, before):
        refusing(lambda: self.client.delete_records({TopicPartition(topic, partition): before}))

    def groups(self):
        return [group["group_id"] for group in self.client.list_groups()]

    def group_state(self, group):
        return self.client.describe_groups([group])[group]["group_state"]

    def group_offsets(self, group, _topic):
        found = refusing(lambda: self.client.list_group_offsets(group))[group]
        return {place.partition: place_offset.offset for place, place_offset in found.items()}

    def alter_group_offsets(self, group, topic, offsets):
        wanted = {TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
                  for partition, offset in offsets.items()}
        self.each(refusing(lambda: self.client.alter_group_offsets(group, wanted)))

    def delete_group_offsets(self, group, topic, partitions):
        places = [TopicPartition(topic, partition) for partition in partitions]
        self.each(refusing(lambda: self.client.delete_group_offsets(group, places)))

    def each(self, told):
        for place, error in told.items():
            if error.errno:
                raise Refused(f"{place}: {error.message}")

    def delete_group(self, group):
        told = self.client.delete_groups([group])[group]
        if told != "OK":
            raise Refused(getattr(kafka.errors, told).message)


if __name__ == "__main__":
    main(Library)
