"""Members of groups, one event per line; `recorder/groups.rs` says what each line means.

    watch    makes a topic, ready; then looks at the committed offsets of all groups at each `look`
    consume  looks, joins, ready; takes records and commits as it goes, until `end`

A member commits up to the last record it has taken, but for that one: whoever comes next has one
record of each partition to go on with, and shows by it where the group went on. Only the last
member of a group commits everything. A line about a commit is written before the commit is handed
to the library. No failed commit is taken for one that did not happen: the library may have sent it.
"""

import sys
import threading
import time

from client import common, make_topic, say, value_of
from confluent_kafka import Consumer, KafkaException, TopicPartition

LOOK_TIMEOUT_S = 30
COMMITTED_TIMEOUT_S = 5
END_TIMEOUT_S = 60


def group_settings(options, group):
    return common(options) | {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "heartbeat.interval.ms": 1_000,
        # Larger answers, fewer of them: the machine is small.
        "fetch.min.bytes": 16_384,
        "fetch.wait.max.ms": 50,
        "check.crcs": True,
    }


def look(consumer, options, group, member):
    """Shows the committed offsets of a group: again and again until there is an answer."""
    partitions = int(options["partitions"])
    places = [TopicPartition(options["topic"], partition) for partition in range(partitions)]
    deadline = time.monotonic() + LOOK_TIMEOUT_S
    say(f"group {group} {member}")
    while True:
        say(f"asking {partitions}")
        sys.stdout.flush()
        try:
            rows = consumer.committed(places, COMMITTED_TIMEOUT_S)
            for row in rows:
                if row.error is not None:
                    raise KafkaException(row.error)
        except KafkaException as error:
            say(f"unasked {on_one_line(error)}")
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        for row in rows:
            if row.offset >= 0:
                say(f"shown {row.partition} {row.offset} {row.metadata or 0}")
        say("asked")
        sys.stdout.flush()
        return


def watch(options):
    make_topic(options)
    groups = options["groups"].split(",")
    watchers = {group: Consumer(group_settings(options, group)) for group in groups}
    say("ready")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "look":
            for group, consumer in watchers.items():
                look(consumer, options, group, "watcher")
    for consumer in watchers.values():
        consumer.close()
    say("done")


class Member:
    """One member, from the first look at its group to the last."""

    def __init__(self, options, keeps_last):
        self.options = options
        self.topic = options["topic"]
        self.group = options["group"]
        self.instance = options.get("instance")
        self.kept = 1 if keeps_last else 0
        self.next_value = int(options["values"])
        self.last = {}
        self.committed = {}
        self.is_ready = False
        settings = group_settings(options, self.group)
        if self.instance is not None:
            settings["group.instance.id"] = self.instance
        self.consumer = Consumer(settings)

    def look(self):
        look(self.consumer, self.options, self.group, self.instance or "dynamic")

    def assigned(self, _, partitions):
        say(" ".join(["assigned"] + [str(one.partition) for one in partitions]))
        sys.stdout.flush()
        self.is_ready = True

    def take(self):
        for message in self.consumer.consume(int(self.options["batch"]), 0.05):
            if message.error() is not None:
                if message.error().fatal():
                    raise KafkaException(message.error())
                continue
            self.last[message.partition()] = message.offset()
            say(f"taken {message.partition()} {message.offset()} {value_of(message.value())}")

    def commit(self):
        """Says whether nothing is left to commit."""
        new = {
            partition: last + 1 - self.kept
            for partition, last in self.last.items()
            if last + 1 - self.kept > self.committed.get(partition, 0)
        }
        if not new:
            return True
        value = self.next_value
        self.next_value += 1
        # The library does not tell the generation.
        places = " ".join(f"{partition} {offset}" for partition, offset in new.items())
        say(f"commit {value} -1 {places}")
        sys.stdout.flush()
        rows = [
            TopicPartition(self.topic, partition, offset, metadata=str(value))
            for partition, offset in new.items()
        ]
        try:
            answer = self.consumer.commit(offsets=rows, asynchronous=False)
            for row in answer:
                if row.error is not None:
                    raise KafkaException(row.error)
        except KafkaException as error:
            say(f"unsure {value} {on_one_line(error)}")
            return False
        say(f"committed {value}")
        sys.stdout.flush()
        self.committed |= new
        return True

    def is_at_end(self):
        for partition in range(int(self.options["partitions"])):
            place = TopicPartition(self.topic, partition)
            _, high = self.consumer.get_watermark_offsets(place, timeout=30)
            if self.last.get(partition, -1) + 1 < high:
                return False
        return True

    def run(self, ends):
        """Until `ends` is set and it has taken and committed everything."""
        self.look()
        self.consumer.subscribe([self.topic], on_assign=self.assigned)
        was_ready = False
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            self.take()
            if self.is_ready and not was_ready:
                was_ready = True
                say("ready")
                sys.stdout.flush()
            is_committed = self.commit()
            if ends.is_set():
                deadline = deadline or time.monotonic() + END_TIMEOUT_S
                if is_committed and was_ready and self.is_at_end():
                    break
        self.look()
        self.consumer.close()


def consume(options):
    ends = threading.Event()

    def wait_for_end():
        for line in sys.stdin:
            if line.strip() == "end":
                break
        ends.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    Member(options, keeps_last=True).run(ends)
    say("done")


def close_group(options):
    """The last member of a group: takes what the others left and commits everything."""
    ends = threading.Event()
    ends.set()
    Member(options, keeps_last=False).run(ends)


def look_once(options):
    """A client that has never been a member looks at the group."""
    consumer = Consumer(group_settings(options, options["group"]))
    look(consumer, options, options["group"], "visitor")
    consumer.close()


def on_one_line(error):
    return " ".join(str(error).split())
