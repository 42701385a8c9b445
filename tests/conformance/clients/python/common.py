"""What the Python programs share: arguments, the runner's protocol, records and their hash."""

import argparse
import hashlib
import json
import struct
import sys

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3
LARGE_BYTES = 900_000
# November 2023: old enough that a broker which takes its own clock for the record's is found.
BASE_TIME_MS = 1_700_000_000_000
# Those old records must outlive the broker's retention.
KEEP = {"retention.ms": "-1"}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--scenario", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--records", type=int, default=0)
    parser.add_argument("--kills", type=int, default=1)
    # A member of a group is this program again, in a process of its own (members.py).
    parser.add_argument("--topic")
    parser.add_argument("--group")
    parser.add_argument("--instance")
    parser.add_argument("--session-ms", type=int)
    return parser.parse_args()


def tell(**line):
    print(json.dumps(line), flush=True)


def ask(what):
    """Asks the runner for something; `answered` waits for it."""
    tell(need=what)


def answered(what):
    answer = sys.stdin.readline()
    if answer.strip() != "done":
        sys.exit(f"the runner answered {answer!r} to need {what}")


def need(what):
    """Asks the runner for something and waits until it is done."""
    ask(what)
    answered(what)


def check(text, expected, found):
    if expected != found:
        sys.exit(f"{text}: expected {expected!r}, found {found!r}")
    tell(check=text, expected=str(expected), found=str(found))


def unsupported(why):
    tell(unsupported=why)
    sys.exit(0)


def record(index):
    """Key, value and headers of the record of that number: nulls, empties and one large among them."""
    key = None if index % 7 == 0 else f"key-{index % 101}".encode()
    if index % 11 == 0:
        value = None
    elif index % 13 == 0:
        value = b""
    elif index == 17:
        value = bytes((index * 31 + at * 7) % 251 for at in range(1000)) * (LARGE_BYTES // 1000)
    else:
        value = (f"value-{index}-" + "x" * (index % 200)).encode()
    headers = [("number", str(index).encode()), ("same", b"1"), ("same", b"2")] if index % 5 == 0 else []
    return key, value, headers


class Digest:
    """sha256 over records in offset order, one per partition."""

    def __init__(self):
        self.partitions = {}
        self.count = 0

    def add(self, partition, offset, key, value, headers, timestamp_ms):
        digest = self.partitions.setdefault(partition, hashlib.sha256())
        self.count += 1
        digest.update(struct.pack(">iqq", partition, offset, timestamp_ms))
        for part in (key, value):
            digest.update(struct.pack(">i", -1 if part is None else len(part)))
            digest.update(part or b"")
        for name, content in headers or []:
            digest.update(name.encode() + b"\0" + (content or b"") + b"\0")

    def hex(self):
        rows = sorted((partition, digest.hexdigest()) for partition, digest in self.partitions.items())
        return hashlib.sha256(repr(rows).encode()).hexdigest()
