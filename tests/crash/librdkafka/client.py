"""A stock librdkafka client that tells what it does, one line per event, on standard output.

    produce  ready (then waits for a line on standard input), and then, for each record,
             invoke VALUE PARTITION | ok VALUE PARTITION OFFSET | info VALUE PARTITION WHY | done;
             it is done with all its records, or with those it has sent when it is told `end`
    read     start PARTITION LOG_START HIGH_WATERMARK | record PARTITION OFFSET VALUE | done;
             before that, with group=, the group's last member (then=close) or a look (then=look)
    watch, consume  see member.py

An invoke line is written before the record is handed to the library, in the thread that also
writes what became of it, so the order of lines is the order of events. A record's bytes are its
value as 20 digits, repeated to its size: a reader sees whether they are whole. Kafka's own
VerifiableProducer writes PREFIX.NUMBER instead.

Arguments are name=value; the program that starts this one knows them.
"""

import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

VALUE_DIGITS = 20
# As in plan.rs.
VALUES_PER_PRODUCER = 10_000_000
DELIVERY_TIMEOUT_MS = 120_000
READ_TIMEOUT_S = 120
# A read that stops short ends the program; the checker then says what is missing.
QUIET_POLLS_MAX = 60


def say(line):
    sys.stdout.write(line + "\n")


def common(options):
    return {
        "bootstrap.servers": options["bootstrap"],
        "broker.address.family": "v4",
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 200,
        "log_level": 4,
    }


def make_topic(options):
    admin = AdminClient(common(options))
    topic = NewTopic(options["topic"], int(options["partitions"]), 1)
    for made in admin.create_topics([topic], operation_timeout=30).values():
        made.result(60)


def produce(options):
    partitions = int(options["partitions"])
    records = int(options["records"])
    window = int(options["window"])
    size = int(options["size"])
    rate = int(options["rate"])
    topic = options["topic"]
    idempotent = options["idempotent"] == "true"
    producer = Producer(
        common(options)
        | {
            "acks": options["acks"],
            "enable.idempotence": idempotent,
            # Without idempotence more than one request in flight may be reordered by a retry.
            "max.in.flight": 5 if idempotent else 1,
            "linger.ms": options["linger_ms"],
            "retry.backoff.ms": 50,
            "message.send.max.retries": 1_000_000,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "socket.timeout.ms": 30_000,
            "topic.metadata.refresh.interval.ms": 5_000,
        }
    )
    acked = 0
    open_records = 0

    def told(value, partition):
        def tell(error, message):
            nonlocal acked, open_records
            open_records -= 1
            if error is None:
                acked += 1
                say(f"ok {value} {partition} {message.offset()}")
            else:
                say(f"info {value} {partition} {error.name()}: {error.str()}")
                sys.stderr.write(f"{value} has an unknown fate: {error}\n")

        return tell

    producer.list_topics(topic, 60)
    say("ready")
    sys.stdout.flush()
    sys.stdin.readline()
    ends = threading.Event()
    threading.Thread(target=wait_for_end, args=(ends,), daemon=True).start()
    first = value = int(options["first"])
    last = value + 2 * records
    begun = time.monotonic()
    while acked < records and value < last and not (ends.is_set() and open_records == 0):
        due = min(last, first + 1 + int((time.monotonic() - begun) * rate))
        if ends.is_set():
            due = value
        while open_records < window and acked + open_records < records and value < due:
            partition = value % partitions
            digits = f"{value:0{VALUE_DIGITS}d}".encode()
            payload = (digits * (size // VALUE_DIGITS + 1))[:size]
            say(f"invoke {value} {partition}")
            producer.produce(topic, payload, partition=partition, on_delivery=told(value, partition))
            open_records += 1
            value += 1
            if value % 50 == 0:
                break
        may_send = open_records < window and acked + open_records < records and value < due
        producer.poll(0.0 if may_send else 0.002)
        sys.stdout.flush()
    producer.flush(DELIVERY_TIMEOUT_MS / 1000)
    say("done")


def wait_for_end(ends):
    for line in sys.stdin:
        if line.strip() == "end":
            ends.set()


def read(options):
    if "group" in options:
        then = {"close": member.close_group, "look": member.look_once}[options["then"]]
        then(options)
    topic = options["topic"]
    consumer = Consumer(
        common(options)
        | {
            "group.id": "crash-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "check.crcs": True,
            "isolation.level": "read_uncommitted",
        }
    )
    ends = {}
    starts = []
    for partition in range(int(options["partitions"])):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)
        say(f"start {partition} {low} {high}")
        starts.append(TopicPartition(topic, partition, low))
        if high > low:
            ends[partition] = high
    consumer.assign(starts)
    deadline = time.monotonic() + READ_TIMEOUT_S
    quiet = 0
    while ends and quiet < QUIET_POLLS_MAX and time.monotonic() < deadline:
        messages = consumer.consume(2000, 0.5)
        quiet = 0 if messages else quiet + 1
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            say(f"record {partition} {offset} {value_of(message.value())}")
            if offset + 1 >= ends.get(partition, offset + 2):
                del ends[partition]
        sys.stdout.flush()
    consumer.close()
    say("done")


def value_of(payload):
    if len(payload) < VALUE_DIGITS:
        prefix, _, number = payload.partition(b".")
        if prefix.isdigit() and number.isdigit():
            return int(prefix) * VALUES_PER_PRODUCER + int(number)
        return "damaged"
    digits = payload[:VALUE_DIGITS]
    whole = (digits * (len(payload) // VALUE_DIGITS + 1))[: len(payload)]
    if len(digits) == VALUE_DIGITS and digits.isdigit() and whole == payload:
        return int(digits)
    return "damaged"


def main():
    options = dict(argument.split("=", 1) for argument in sys.argv[2:])
    commands = {
        "produce": produce,
        "read": read,
        "watch": member.watch,
        "consume": member.consume,
    }
    commands[sys.argv[1]](options)
    sys.stdout.flush()


if __name__ == "__main__":
    # member.py imports this file; it must find the same module, not a second one.
    sys.modules["client"] = sys.modules["__main__"]
    import member

    main()
