#!/usr/bin/env python3
"""Lists, checks and prints Holdfast objects, knowing nothing but storage/FORMAT.md ("Objects" and
"State checkpoints").

    read_objects.py [--batches] [--extract TOPIC-PARTITION] FILE_OR_DIRECTORY...

A directory is searched for objects and state checkpoints. Every byte is checked: checksums, counts,
order, hash; what a state means is not looked at. Exit status 0: all good; 1: something is wrong,
named on standard error; 2: nothing to read.
--batches prints every record batch. --extract writes the batches of one partition to standard
output, as a Kafka consumer gets them (topic as 32 hexadecimal digits), and nothing else.
Standard library only. The checksum is slow in Python: about 5 MB a second.
"""
import hashlib
import os
import struct
import sys

HEAD = struct.Struct("<8sHHI16s16sqIIQQQQQ16s8s")  # 128 bytes; the trailer begins the same way
REST = struct.Struct("<QIIIIII32s")  # the 64 bytes of the trailer behind that
PARTITION = struct.Struct("<16siIqqqIIII")
BLOCK = struct.Struct("<16siIQqqqQII")
STATE = struct.Struct("<8sHHI16sQQqIIQQ16s")
BLOCK_HEAD = struct.Struct("<4sI16siqqqIII")
BATCH = struct.Struct(">qiibIhiqqqhii")  # Kafka's record batch v2, big-endian
assert (HEAD.size, REST.size, PARTITION.size, BLOCK.size) == (128, 64, 64, 72)
assert (BLOCK_HEAD.size, BATCH.size, STATE.size) == (64, 61, 96)

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def checksum(structure):
    """Over all of it but the four bytes at 60 that hold it."""
    return crc32c(structure[64:], crc32c(structure[:60]))


class Wrong(Exception):
    pass


def need(holds, what):
    if not holds:
        raise Wrong(what)


def head_of(data, magic, length, name):
    need(len(data) >= length, f"{name}: the file is too short")
    need(data[:8] == magic, f"{name}: no magic {magic.decode()}")
    fields = HEAD.unpack(data[:128])
    need(checksum(data[:length]) == fields[8], f"{name}: checksum")
    need(fields[1] == 1, f"{name}: version {fields[1]} is unknown")
    need(fields[2] == 0 and fields[7] == length, f"{name}: flags or length")
    need(not any(fields[14]) and not any(fields[15]), f"{name}: encrypted, or reserved bytes")
    keys = "shard cluster object created term sequence first last last_term".split()
    return dict(zip(keys, fields[3:7] + fields[9:14]))


def batches_of(data, row):
    """Checks the block of a footer row; yields offsets, epoch, timestamp and bytes of batches."""
    topic, partition, _, _, base, last, newest, position, length, crc = row
    block = data[position : position + length]
    name = f"block at {position}"
    need(len(block) == length and checksum(block) == crc, f"{name}: checksum")
    magic, count, *same = BLOCK_HEAD.unpack(block[:64])
    need(magic == b"HFBK", f"{name}: no magic HFBK")
    need(same == [topic, partition, base, last, newest, length, 0, crc], f"{name}: head")
    at, due, found, largest = 64, base, 0, None
    while at < length:
        need(length - at >= 61, f"{name}: a batch is cut short")
        fields = BATCH.unpack(block[at : at + 61])
        batch = block[at : at + fields[1] + 12]
        need(fields[3] == 2 and len(batch) == fields[1] + 12 >= 61, f"{name}: not a batch")
        need(crc32c(batch[21:]) == fields[4], f"{name}: checksum of the batch at {fields[0]}")
        need(fields[0] >= due and (found or fields[0] == base), f"{name}: offsets")
        due, found, at = fields[0] + fields[6] + 1, found + 1, at + len(batch)
        largest = fields[8] if largest is None else max(largest, fields[8])
        yield fields[0], due - 1, fields[2], fields[8], batch
    need((found, due - 1, largest) == (count, last, newest), f"{name}: not the sum of its batches")


def read(data, visit):
    """Checks an object whole; calls visit(partition, batch) for each; its head and rows."""
    head = head_of(data, b"HFOBJECT", 128, "head")
    trailer = data[-192:]
    need(head_of(trailer, b"HFOBJEND", 192, "trailer") == head, "trailer: not of this head")
    start, length, crc, partitions, blocks, batches, zero, sha = REST.unpack(trailer[128:])
    footer = data[start : start + length]
    fits = len(footer) == length == 64 * partitions + 72 * blocks
    need(fits and start + length + 192 == len(data) and zero == 0, "trailer: counts")
    need(crc32c(footer) == crc, "footer: checksum")
    need(hashlib.sha256(data[:-192]).digest() == sha, "SHA-256")
    rows = list(PARTITION.iter_unpack(footer[: 64 * partitions]))
    index = list(BLOCK.iter_unpack(footer[64 * partitions :]))
    position, block, total = 128, 0, 0
    keys = [row[:2] for row in rows]
    need(keys == sorted(set(keys)), "footer: partitions do not ascend")
    for row in rows:
        topic, partition, first, base, last, newest, count, holds, size, zero = row
        own = index[first : first + count]
        need(first == block and len(own) == count > 0 and zero == 0, "footer: blocks")
        begin, due, found = position, base, 0
        for part in own:
            need(part[:3] == (topic, partition, head["shard"]), "footer: a block's partition")
            need(head["first"] <= part[3] <= head["last"], "footer: a block's entry")
            need(part[7] == position and part[4] >= due, "footer: a block's place")
            for batch in batches_of(data, part):
                visit(f"{topic.hex()}-{partition}", batch)
                found += 1
            position, due = position + part[8], part[5] + 1
        sums = own[0][4], own[-1][5], max(part[6] for part in own), found, position - begin
        need((base, last, newest, holds, size) == sums, "footer: a partition's row")
        block, total = block + count, total + found
    need((block, position, total) == (blocks, start, batches), "footer: sums")
    return head, rows


def read_state(data):
    """Checks a state checkpoint whole; its shard, cluster, replica, applied, time, term and bytes."""
    need(len(data) >= 96 + 32, "head: the file is too short")
    fields = STATE.unpack(data[:96])
    need(checksum(data[:96]) == fields[9], "head: checksum")
    need(fields[1] == 1, f"head: version {fields[1]} is unknown")
    need(fields[2] == 0 and fields[8] == 96 and not any(fields[12]), "head: flags, length or key id")
    need(len(data) == 96 + fields[11] + 32, "head: another length than the file's")
    need(fields[6] > 0, "head: it reflects no entry")
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], "SHA-256")
    return fields[3:8] + fields[10:12]


def files(paths):
    for path in paths:
        if not os.path.isdir(path):
            yield path
        for folder, _, names in sorted(os.walk(path)):
            # Names with '#' are puts that did not end.
            yield from (os.path.join(folder, name) for name in sorted(names) if "#" not in name)


def show(path, arguments):
    def visit(partition, batch):
        if arguments["extract"] == partition:
            sys.stdout.buffer.write(batch[4])
        elif arguments["batches"]:
            base, last, epoch, timestamp, raw = batch
            print(f"batch {partition} {base}..{last} epoch {epoch} timestamp {timestamp}"
                  f" bytes {len(raw)} sha256 {hashlib.sha256(raw).hexdigest()}")

    with open(path, "rb") as file:
        data = file.read()
    if data[:8] == b"HFCHECKP":
        shard, cluster, replica, applied, time, term, size = read_state(data)
        if not arguments["extract"]:
            print(f"state cluster {cluster.hex()} shard {shard} replica {replica} applied {applied}"
                  f" term {term} time {time} bytes {size} good")
        return
    head, rows = read(data, visit)
    if arguments["extract"]:
        return
    for row in rows:
        print(f"partition {row[0].hex()}-{row[1]} {row[3]}..{row[4]} batches {row[7]}"
              f" blocks {row[6]} bytes {row[8]} timestamp {row[5]}")
    print(f"object {head['object'].hex()} cluster {head['cluster'].hex()} shard {head['shard']}"
          f" term {head['term']} sequence {head['sequence']} entries {head['first']}..{head['last']}"
          f" last term {head['last_term']} created {head['created']} bytes {len(data)}"
          f" sha256 {hashlib.sha256(data).hexdigest()} good")


def main(words):
    arguments = {"batches": False, "extract": None}
    while words and words[0].startswith("--"):
        word = words.pop(0)
        if word == "--batches":
            arguments["batches"] = True
        elif word == "--extract" and words:
            arguments["extract"] = words.pop(0)
        else:
            words = []
    bad = seen = 0
    for path in files(words):
        seen += 1
        try:
            show(path, arguments)
        except (Wrong, OSError) as wrong:
            bad += 1
            print(f"{path}: {wrong}", file=sys.stderr)
    if not seen:
        print(__doc__, file=sys.stderr)
    return 2 if not seen else 1 if bad else 0


sys.exit(main(sys.argv[1:]))
