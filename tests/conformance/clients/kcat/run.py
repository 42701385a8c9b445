"""kcat: librdkafka as the distribution packages it, driven by its command line.

It sends a line per record, stamps records itself, and has one partition and one set of headers per
run; so `codecs` and `seek` are told anew here, `group` and `idempotent` are the common ones. Topics
of several partitions are made by a CreateTopics of our own; the topic of `seek` makes itself.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))

from common import CODECS, LARGE_BYTES, PARTITIONS, check, tell, unsupported
from scenarios import PATIENCE_S, main

KEEP_FOR_EVER = ("retention.ms", "-1")
HEADERS = ("number", "1"), ("same", "2")


def finished(process, what, text=None):
    """The standard output of a kcat that must end well."""
    out, told = process.communicate(text, timeout=PATIENCE_S * 3)
    if process.returncode or b"ERROR" in told:
        raise SystemExit(f"{what}: status {process.returncode}: {told.decode().strip()}")
    return out


def parsed(out):
    """Records of the format below, whose lengths make keys and values safe."""
    records, at = [], 0
    while at < len(out):
        bar = out.index(b"|", at)
        partition, offset, timestamp_ms, key_bytes, value_bytes = map(int, out[at:bar].split())
        parts, at = [], bar + 1
        for length in (key_bytes, value_bytes):
            parts.append(None if length < 0 else out[at:at + length])
            at += max(length, 0)
        end = out.index(b"\n", at)
        records.append((partition, offset, *parts, out[at:end].decode(), timestamp_ms))
        at = end + 1
    return records


FORMAT = "%p %o %T %K %S|%k%s%h\\n"


class Library:
    wants_key_or_value = False

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.scenarios = {"codecs": self.codecs, "seek": self.seek, "admin": self.admin}

    def name(self):
        told = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
        return f"kcat {re.search(r'Version ([0-9.]+)', told)[1]} (librdkafka {re.search(r'librdkafka ([0-9.]+)', told)[1]})"

    def kcat(self, *arguments):
        return subprocess.Popen(["kcat", "-b", self.bootstrap, *arguments], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def consume(self, topic, *arguments):
        what = ["-C", "-t", topic, "-q", "-X", "check.crcs=true", "-f", FORMAT, *arguments]
        return parsed(finished(self.kcat(*what), f"kcat {' '.join(what)}"))

    def produce(self, topic, partition, lines, *arguments):
        what = ["-P", "-t", topic, "-p", str(partition), "-X", "acks=all", "-X", "linger.ms=5", *arguments]
        finished(self.kcat(*what), f"kcat {' '.join(what)}", b"".join(line + b"\n" for line in lines))

    def create(self, topic, partitions, _configs):
        """CreateTopics v2, as kcat has no such call."""

        def text(value):
            return struct.pack(">h", len(value)) + value.encode()

        config = struct.pack(">i", 1) + text(KEEP_FOR_EVER[0]) + text(KEEP_FOR_EVER[1])
        body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihi", partitions, 1, 0) + config
        frame = struct.pack(">hhi", 19, 2, 1) + text("conformance") + body + struct.pack(">ib", 30_000, 0)
        host, port = self.bootstrap.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            answer = connection.makefile("rb")
            answer = answer.read(struct.unpack(">i", answer.read(4))[0])
        # Correlation id, throttle time, one topic: its name, then the error.
        code, = struct.unpack_from(">h", answer, 12 + 2 + len(topic))
        if code:
            raise SystemExit(f"CreateTopics {topic}: error {code}")

    def producer(self, codec, idempotent):
        return Sender(self, codec, idempotent)

    def reader(self, topic, _partitions):
        return Reader(self, topic)

    def start_member(self, *options):
        return Member(self, *options)

    def codecs(self, _library, options):
        tell(lacks="timestamps of the sender's choice")
        for codec in CODECS:
            topic = f"{options.prefix}-{codec}"
            self.create(topic, PARTITIONS, None)
            before_ms = int(time.time() * 1000)
            sent = []
            for partition in range(PARTITIONS):
                # One partition has headers, one nulls where it can, one empty values and a large one.
                nulls, headers = partition == 1, HEADERS if partition == 0 else ()
                pairs = [self.pair(index, partition) for index in range(options.records // PARTITIONS)]
                more = [argument for header in headers for argument in ("-H", "=".join(header))]
                more += ["-Z"] if nulls else []
                self.produce(topic, partition, [key + b"\t" + value for key, value in pairs], "-z", codec,
                             "-K", "\t", *more)
                shown = ",".join("=".join(header) for header in headers)
                empty = None if nulls else b""
                sent += [(partition, offset, key or empty, value or empty, shown)
                         for offset, (key, value) in enumerate(pairs)]
            found = self.consume(topic, "-o", "beginning", "-e")
            check(f"{codec}: count", len(sent), len(found))
            found.sort(key=lambda row: row[:2])
            different = [(want[:2], got[:2]) for want, got in zip(sent, found) if want != got[:5]]
            check(f"{codec}: records that differ", [], different[:3])
            late = [row[:2] for row in found if not before_ms <= row[5] <= time.time() * 1000]
            check(f"{codec}: timestamps outside the time of the run", [], late[:3])

    def pair(self, index, partition):
        key = b"" if index % 7 == 0 else f"key-{index % 101}".encode()
        if partition == 2 and index == 17:
            return key, b"large " * (LARGE_BYTES // 6)
        return key, b"" if index % 11 == 0 else f"value-{index}-{'x' * (index % 200)}".encode()

    def seek(self, _library, options):
        topic, count = f"{options.prefix}-times", options.records
        self.produce(topic, 0, [f"number-{index}".encode() for index in range(count)])
        found = self.consume(topic, "-o", "beginning", "-e")
        check("offsets", list(range(count)), [row[1] for row in found])
        times = [row[5] for row in found]

        def next_is(offset, *where):
            row = self.consume(topic, "-p", "0", "-c", "1", *where)[0]
            check(f"first after kcat {' '.join(where)}", (offset, f"number-{offset}".encode()), (row[1], row[3]))

        for offset in (count // 3, count - 1, 0):
            next_is(offset, "-o", str(offset))
        next_is(count - 5, "-o", "-5")
        next_is(0, "-o", "beginning")
        for index in (count // 2, count - 1, 0):
            # The first record of that millisecond or a later one.
            first = next(at for at, stamp in enumerate(times) if stamp >= times[index])
            next_is(first, "-o", f"s@{times[index]}")
            told = finished(self.kcat("-Q", "-t", f"{topic}:0:{times[index]}"), "kcat -Q").decode()
            check(f"kcat -Q for the time of record {index}", f"{topic} [0] offset {first}", told.strip())
        check("records at the end", [], self.consume(topic, "-p", "0", "-o", "end", "-e"))

    def admin(self, _library, _options):
        unsupported("kcat has no administrative calls")


class Sender:
    """A kcat for each partition, fed line by line."""

    def __init__(self, library, codec, idempotent):
        self.library, self.running, self.acknowledge = library, {}, []
        self.settings = ["-z", codec, "-X", "acks=all", "-X", "linger.ms=5", "-X", f"enable.idempotence={idempotent}",
                         "-X", "message.timeout.ms=120000", "-K", "\t", "-Z", "-E"]

    def send(self, topic, partition, key, value, _headers, _timestamp_ms, acknowledge):
        if partition not in self.running:
            self.running[partition] = self.library.kcat("-P", "-t", topic, "-p", str(partition), *self.settings)
        self.running[partition].stdin.write((key or b"") + b"\t" + value + b"\n")
        self.running[partition].stdin.flush()
        self.acknowledge.append(acknowledge)

    def finish(self):
        for partition, process in self.running.items():
            _, told = process.communicate(timeout=150)
            # -E goes on after a lost connection, which it tells as an error; what is not delivered is told so.
            if process.returncode or b"Delivery failed" in told:
                raise SystemExit(f"partition {partition}: status {process.returncode}: {told.decode().strip()}")
        # kcat ends well only when all is acknowledged, and does not tell at which offset.
        for acknowledge in self.acknowledge:
            acknowledge(-1)
        self.running, self.acknowledge = {}, []


class Reader:
    """Everything in the topic, at the first poll."""

    def __init__(self, library, topic):
        self.library, self.topic, self.read = library, topic, False

    def beginning(self, _partition):
        self.read = False

    def poll(self):
        if self.read:
            return []
        self.read = True
        return self.library.consume(self.topic, "-o", "beginning", "-e")

    def close(self):
        pass


class Member:
    """`kcat -G`: what it consumed and was assigned, as members.Member tells it."""

    def __init__(self, library, hash_of, topic, group, session_ms, instance=None):
        static = ["-X", f"group.instance.id={instance}"] if instance else []
        self.hash_of = hash_of
        self.process = library.kcat(
            "-G", group, topic, "-u", "-X", "auto.offset.reset=earliest", "-X", f"session.timeout.ms={session_ms}",
            "-X", "heartbeat.interval.ms=1000", "-f", "%p %o %k %s\\n", *static)
        self.assigned, self.rebalances, self.records, self.words = [], 0, [], set()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.listen, self.follow)]
        for thread in self.threads:
            thread.start()

    def listen(self):
        for line in self.process.stdout:
            partition, offset, key, value = line.rstrip(b"\n").split(b" ", 3)
            self.records.append((int(partition), int(offset), self.hash_of(key, value)))

    def follow(self):
        for line in self.process.stderr:
            line = line.decode()
            if "rebalanced" in line and "assigned:" in line:
                self.rebalances += 1
                self.assigned = sorted(int(number) for number in re.findall(r"\[(\d+)\]", line))
            elif "revoked:" in line:
                self.assigned = []

    def say(self, what):
        # It commits when it closes, and closes on SIGTERM.
        if what == "close":
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)
            self.words.add("closed")
        else:
            self.words.add("committed")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()


if __name__ == "__main__":
    main(Library)
