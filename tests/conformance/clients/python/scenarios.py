"""The scenarios of ../README.md, played through a `library`: what is sent, asked and compared.

Each program beside this file adapts one library to these few words and runs `main`:

    name()                              the library and its version
    wants_key_or_value                  it refuses a record that has neither
    create(topic, partitions, configs)  creates and waits until it can be written
    producer(codec, idempotent)         .send(topic, partition, key, value, headers, timestamp_ms, acknowledge)
                                        calls acknowledge(offset) once it is; .finish() waits for all, fails on any
    reader(topic, partitions)           assigned, no group: .beginning(p) .end(p) .seek(p, offset)
                                        .offset_for_time(p, ms) .limits(p) .poll() .close()
    member(options)                     subscribed, in a group: .poll() .assignment() .rebalances .commit() .close()
    admin()                             its administrative calls; those it lacks are not methods of it;
                                        asking_creates: its description of a topic makes the topic
    scenarios                           optional: those that it tells in its own way
    start_member(…)                     optional: a member of another kind than members.Member
    commit_alone(group, topic, offsets) commits without being a member

A record is (partition, offset, key, value, headers, timestamp_ms).
"""

import os
import sys
import time
import traceback
from collections import Counter

from common import BASE_TIME_MS, CODECS, KEEP, PARTITIONS, Digest, answered, arguments, ask, check, record, tell
from members import be_member, play_group

# Nothing that works takes longer, on a machine that is busy.
PATIENCE_S = 60
# Longer than a fetch waits for more (500 ms in all clients here): after it, there is nothing.
IDLE_S = 1


def main(library_of):
    """Plays; the last line of standard error is the reason if it does not hold.

    Ends without the interpreter's own clean-up, whose complaints would be that last line instead.
    """
    try:
        play(library_of)
        status = 0
    except (SystemExit, Exception) as ended:
        status = 1
        # Kept: what its frames hold must not complain of its end after this.
        why = ended
        if not isinstance(why, SystemExit):
            traceback.print_exc()
        elif why.code:
            print(why.code, file=sys.stderr)
        else:
            status = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def play(library_of):
    options = arguments()
    library = library_of(options.bootstrap)
    if options.scenario == "member":
        be_member(library, options)
        return
    scenarios = {"codecs": codecs, "seek": seek, "group": group, "admin": admin, "idempotent": idempotent}
    scenarios.update(getattr(library, "scenarios", {}))
    tell(client=library.name())
    scenarios[options.scenario](library, options)
    tell(passed=True)


def read(reader, count):
    """The next `count` records."""
    records = []
    deadline = time.monotonic() + PATIENCE_S
    while len(records) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(records)} of {count} records came within {PATIENCE_S} s")
        batch = reader.poll()
        if batch:
            deadline = time.monotonic() + PATIENCE_S
        records.extend(batch)
    return records


def rest(reader):
    """What else there is: until polls bring nothing for a while."""
    records, last = [], time.monotonic()
    while time.monotonic() < last + IDLE_S:
        batch = reader.poll()
        if batch:
            last = time.monotonic()
        records.extend(batch)
    return records


def nothing_more(reader):
    """How many records there are beyond those counted: none, or the count was wrong."""
    return len(rest(reader))


def digest_of(records):
    digest = Digest()
    for row in sorted(records, key=lambda row: row[:2]):
        digest.add(*row)
    return digest.hex()


def compare(text, sent, records):
    """Everything sent came back, once, in offset order, byte by byte."""
    check(f"{text}: count", len(sent), len(records))
    last = {}
    for row in records:
        if row[1] != last.get(row[0], -1) + 1:
            raise SystemExit(f"{text}: partition {row[0]}: offset {row[1]} after {last.get(row[0], -1)}")
        last[row[0]] = row[1]
    check(f"{text}: sha256", digest_of(sent), digest_of(records))


def codecs(library, options):
    if library.wants_key_or_value:
        tell(lacks="records with neither key nor value")
    for codec in CODECS:
        topic = f"{options.prefix}-{codec}"
        library.create(topic, PARTITIONS, KEEP)
        sent = []
        producer = library.producer(codec, False)
        for index in range(options.records):
            key, value, headers = record(index)
            if library.wants_key_or_value and value is None:
                key = key or b"key"
            row = (index % PARTITIONS, key, value, headers, BASE_TIME_MS + index)

            def acknowledge(offset, row=row):
                sent.append((row[0], offset, *row[1:]))

            producer.send(topic, *row, acknowledge)
        producer.finish()
        check(f"{codec}: acknowledged", options.records, len(sent))
        reader = library.reader(topic, list(range(PARTITIONS)))
        for partition in range(PARTITIONS):
            reader.beginning(partition)
        records = read(reader, options.records)
        check(f"{codec}: after the last", 0, nothing_more(reader))
        reader.close()
        compare(codec, sent, records)


def seek(library, options):
    topic, count, step_ms = f"{options.prefix}-times", options.records, 10
    library.create(topic, 1, KEEP)

    def send(producer, index, offsets):
        value = f"number-{index}".encode()
        producer.send(topic, 0, None, value, [], BASE_TIME_MS + index * step_ms, offsets.append)

    # Idempotent for its order: the first batches to a new topic may be sent twice.
    producer = library.producer("none", True)
    offsets = []
    for index in range(count):
        send(producer, index, offsets)
    producer.finish()
    check("acknowledged offsets", list(range(count)), sorted(offsets))
    reader = library.reader(topic, [0])
    check("first and end offset", (0, count), reader.limits(0))

    def next_is(text, index):
        found = read(reader, 1)[0]
        check(text, (index, f"number-{index}".encode()), (found[1], found[3]))

    for index in (count // 3, count - 1, 0, count // 2):
        reader.seek(0, index)
        next_is(f"after seek to offset {index}", index)
    for index in (count // 2, count - 1, 0):
        at = BASE_TIME_MS + index * step_ms
        check(f"offset for the time of record {index}", index, reader.offset_for_time(0, at))
        if index:
            check("offset for a time between records", index, reader.offset_for_time(0, at - step_ms // 2))
        reader.seek(0, index)
        next_is(f"after seek to the time of record {index}", index)
    check("offset for a time after the last", None, reader.offset_for_time(0, BASE_TIME_MS + count * step_ms))
    reader.beginning(0)
    next_is("after seek to the beginning", 0)
    reader.end(0)
    check("records at the end", 0, nothing_more(reader))
    send(producer, count, offsets)
    producer.finish()
    next_is("after seek to the end, the next one sent", count)
    reader.close()


def idempotent(library, options):
    topic = f"{options.prefix}-once"
    library.create(topic, PARTITIONS, KEEP)
    sent = []
    producer = library.producer("none", True)
    thresholds = [options.records * (kill + 1) // (options.kills + 1) for kill in range(options.kills)]
    waiting = False
    for index in range(options.records):
        if index in thresholds:
            if waiting:
                answered("kill9")
            ask("kill9")
            waiting = True
        row = (index % PARTITIONS, None, f"number-{index:09}".encode(), [], BASE_TIME_MS + index)

        def acknowledge(offset, row=row):
            sent.append((row[0], offset, *row[1:]))

        producer.send(topic, *row, acknowledge)
    if waiting:
        answered("kill9")
    producer.finish()
    check("acknowledged", options.records, len(sent))
    reader = library.reader(topic, list(range(PARTITIONS)))
    for partition in range(PARTITIONS):
        reader.beginning(partition)
    records = read(reader, options.records) + rest(reader)
    reader.close()
    times = Counter(row[3] for row in records)
    doubled = sorted(value.decode() for value in times if times[value] > 1)
    check("records stored more than once, and the first of them", (0, []), (len(doubled), doubled[:3]))
    for partition in range(PARTITIONS):
        values = [row[3] for row in records if row[0] == partition]
        expected = [f"number-{index:09}".encode() for index in range(partition, options.records, PARTITIONS)]
        check(f"partition {partition}: each once and in order", True, values == expected)
    # A library may not learn the offset of a batch that was stored but answered only as a duplicate.
    offsets = {row[3]: row[1] for row in records}
    wrong = [row for row in sent if row[1] >= 0 and offsets[row[3]] != row[1]]
    check("acknowledged offsets that are others", [], wrong[:3])


def group(library, options):
    play_group(library, options, PATIENCE_S)


def admin(library, options):
    play = library.admin()
    topic = f"{options.prefix}-topic"
    play.create(topic, 2, {"retention.ms": "7200000", "cleanup.policy": "delete"})
    check("error of a second create", True, "TOPIC_ALREADY_EXISTS" in error_of(lambda: play.create(topic, 2, {})))
    check("listed", True, topic in play.topics())
    check("partitions", 2, play.partitions(topic))
    if getattr(play, "asking_creates", False):
        tell(lacks="describing a topic without creating it")
    else:
        check("error of an unknown topic", True,
              "UNKNOWN_TOPIC_OR_PARTITION" in error_of(lambda: play.partitions(topic + "-unknown")))
    configs = play.configs(topic)
    check("retention.ms as created", "7200000", configs["retention.ms"])
    check("delete.retention.ms by default", "86400000", configs["delete.retention.ms"])

    def has(call):
        if not hasattr(play, call):
            tell(lacks=call.replace("_", " "))
        return hasattr(play, call)

    if has("alter_configs"):
        play.alter_configs(topic, {"retention.ms": "3600000"})
        configs = play.configs(topic)
        check("retention.ms as altered", "3600000", configs["retention.ms"])
        check("cleanup.policy not touched by it", "delete", configs["cleanup.policy"])
    if has("create_partitions"):
        play.create_partitions(topic, 5)
        check("partitions after more were created", 5, play.partitions(topic))
    producer = library.producer("none", False)
    for index in range(100):
        producer.send(topic, 0, None, str(index).encode(), [], int(time.time() * 1000), lambda offset: None)
    producer.finish()
    reader = library.reader(topic, [0])
    if has("delete_records"):
        play.delete_records(topic, 0, 40)
        check("limits after records were deleted", (40, 100), reader.limits(0))
    reader.close()
    group_id = f"{options.prefix}-group"
    library.commit_alone(group_id, topic, {0: 41, 1: 0})
    if has("groups"):
        check("group listed", True, group_id in play.groups())
    if has("group_state"):
        check("group without members", "empty", play.group_state(group_id).lower())
    if has("group_offsets"):
        check("committed offsets", {0: 41, 1: 0}, play.group_offsets(group_id, topic))
    if has("alter_group_offsets"):
        play.alter_group_offsets(group_id, topic, {0: 50})
        check("committed offset after it was set", 50, play.group_offsets(group_id, topic)[0])
    if has("delete_group_offsets"):
        play.delete_group_offsets(group_id, topic, [0])
        check("committed offset after deletion", {1: 0}, play.group_offsets(group_id, topic))
    if has("delete_group"):
        play.delete_group(group_id)
        if has("groups"):
            check("group listed after deletion", False, group_id in play.groups())
        check("error of deleting it again", True, "GROUP_ID_NOT_FOUND" in error_of(lambda: play.delete_group(group_id)))
    play.delete(topic)
    deadline = time.monotonic() + PATIENCE_S
    while topic in play.topics() and time.monotonic() < deadline:
        time.sleep(0.1)
    check("listed after deletion", False, topic in play.topics())
    check("error of deleting it again", True,
          "UNKNOWN_TOPIC_OR_PARTITION" in error_of(lambda: play.delete(topic)))


def error_of(call):
    """The Kafka name of the error that `call` raises; the adapters raise Refused."""
    try:
        call()
    except Refused as refused:
        return str(refused)
    return "no error"


class Refused(Exception):
    """A broker's refusal, by Kafka's name of the code."""
