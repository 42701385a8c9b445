"""aiokafka: the protocol in asyncio. Its loop runs in a thread; the scenarios call into it."""

import asyncio
import threading

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError, for_code

from scenarios import Refused, main

CREATE_TIME = 0
# Records handed to the loop at once: a hand-over per record would be most of the work.
HANDED_OVER = 200

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def run(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


async def made(kind, *arguments, **settings):
    """Constructed and started inside the loop."""
    client = kind(*arguments, **settings)
    await client.start()
    return client


def refuse(code):
    if code:
        raise Refused(for_code(code).message)


def refusing(coroutine):
    """The call's result, or the broker's refusal by name."""
    try:
        return run(coroutine)
    except BrokerResponseError as error:
        raise Refused(error.message) from error


class Library:
    wants_key_or_value = True

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap

    def name(self):
        return f"aiokafka {aiokafka.__version__}"

    def create(self, topic, partitions, configs):
        admin = Admin(self.bootstrap)
        admin.create(topic, partitions, configs)
        run(admin.client.close())

    def producer(self, codec, idempotent):
        return Sender(self.bootstrap, codec, idempotent)

    def reader(self, topic, partitions):
        return Reader(self.bootstrap, topic, partitions)

    def member(self, *options):
        return Member(self.bootstrap, *options)

    def admin(self):
        return Admin(self.bootstrap)

    def commit_alone(self, group, topic, offsets):
        async def commit():
            consumer = await made(AIOKafkaConsumer, bootstrap_servers=self.bootstrap, group_id=group,
                                  enable_auto_commit=False)
            consumer.assign([TopicPartition(topic, partition) for partition in offsets])
            await consumer.commit({TopicPartition(topic, partition): offset
                                   for partition, offset in offsets.items()})
            await consumer.stop()

        run(commit())


class Sender:
    def __init__(self, bootstrap, codec, idempotent):
        self.producer = run(made(
            AIOKafkaProducer, bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec,
            linger_ms=5, max_batch_size=128 * 1024, acks="all", enable_idempotence=idempotent))
        self.handed_over, self.futures = [], []

    def send(self, *record):
        self.handed_over.append(record)
        if len(self.handed_over) == HANDED_OVER:
            self.hand_over()

    def hand_over(self):
        records, self.handed_over = self.handed_over, []
        run(self.send_all(records))

    async def send_all(self, records):
        for topic, partition, key, value, headers, timestamp_ms, acknowledge in records:
            future = await self.producer.send(topic, value=value, key=key, partition=partition, headers=headers,
                                              timestamp_ms=timestamp_ms)
            self.futures.append((future, acknowledge))

    def finish(self):
        self.hand_over()

        async def wait():
            for future, acknowledge in self.futures:
                acknowledge((await future).offset)

        run(asyncio.wait_for(wait(), 150))
        self.futures = []


def rows(polled):
    found = []
    for records in polled.values():
        for record in records:
            if record.timestamp_type != CREATE_TIME:
                raise SystemExit(f"timestamp of kind {record.timestamp_type}")
            found.append((record.partition, record.offset, record.key, record.value, list(record.headers),
                          record.timestamp))
    return found


class Reader:
    def __init__(self, bootstrap, topic, partitions):
        self.topic = topic

        async def start():
            consumer = await made(AIOKafkaConsumer, bootstrap_servers=bootstrap, enable_auto_commit=False,
                                  auto_offset_reset="none", check_crcs=True)
            consumer.assign([TopicPartition(topic, partition) for partition in partitions])
            return consumer

        self.consumer = run(start())

    def place(self, partition):
        return TopicPartition(self.topic, partition)

    def seek(self, partition, offset):
        async def seek():
            self.consumer.seek(self.place(partition), offset)

        run(seek())

    def beginning(self, partition):
        run(self.consumer.seek_to_beginning(self.place(partition)))

    def end(self, partition):
        run(self.consumer.seek_to_end(self.place(partition)))

    def offset_for_time(self, partition, timestamp_ms):
        found = run(self.consumer.offsets_for_times({self.place(partition): timestamp_ms}))[self.place(partition)]
        return found.offset if found else None

    def limits(self, partition):
        place = self.place(partition)
        first, end = run(self.consumer.beginning_offsets([place])), run(self.consumer.end_offsets([place]))
        return first[place], end[place]

    def poll(self):
        return rows(run(self.consumer.getmany(timeout_ms=500, max_records=500)))

    def close(self):
        run(self.consumer.stop())


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap, group, topic, instance, session_ms):
        self.rebalances = 0

        async def start():
            consumer = AIOKafkaConsumer(
                bootstrap_servers=bootstrap, group_id=group, group_instance_id=instance,
                session_timeout_ms=session_ms, heartbeat_interval_ms=1_000, auto_offset_reset="earliest",
                enable_auto_commit=False)
            consumer.subscribe([topic], listener=self)
            await consumer.start()
            return consumer

        self.consumer = run(start())

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        self.rebalances += 1

    def assignment(self):
        return [place.partition for place in self.consumer.assignment()]

    def poll(self):
        return rows(run(self.consumer.getmany(timeout_ms=100, max_records=500)))

    def commit(self):
        run(self.consumer.commit())

    def close(self):
        run(self.consumer.stop())


class Admin:
    # Its Metadata always allows auto-creation; Kafka starts it and answers "unknown" meanwhile.
    asking_creates = True

    def __init__(self, bootstrap):
        self.client = run(made(AIOKafkaAdminClient, bootstrap_servers=bootstrap))

    def create(self, topic, partitions, configs):
        told = run(self.client.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)]))
        refuse(told.topic_errors[0][1])

    def delete(self, topic):
        told = run(self.client.delete_topics([topic]))
        refuse(told.topic_error_codes[0][1])

    def topics(self):
        return run(self.client.list_topics())

    def partitions(self, topic):
        found = run(self.client.describe_topics([topic]))[0]
        refuse(found["error_code"])
        return len(found["partitions"])

    def configs(self, topic):
        told = run(self.client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))[0]
        resource = told.resources[0]
        refuse(resource[0])
        return {config[0]: config[1] for config in resource[4]}

    def alter_configs(self, topic, configs):
        # AlterConfigs, which replaces all settings: the library has no incremental call.
        told = run(self.client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)]))[0]
        refuse(told.resources[0][0])

    def create_partitions(self, topic, count):
        refusing(self.client.create_partitions({topic: NewPartitions(count)}))

    def delete_records(self, topic, partition, before):
        refusing(self.client.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)}))

    def groups(self):
        return [group[0] for group in refusing(self.client.list_consumer_groups())]

    def group_state(self, group):
        told = run(self.client.describe_consumer_groups([group]))[0].groups[0]
        refuse(told[0])
        return told[2]

    def group_offsets(self, group, _topic):
        found = refusing(self.client.list_consumer_group_offsets(group))
        return {place.partition: offset.offset for place, offset in found.items()}


if __name__ == "__main__":
    main(Library)
