"""The group scenario: members are processes, so that one can be killed without leaving.

    parent ── commit, close ──▶ member          (standard input)
    parent ◀── JSON lines ───── member          (standard output)

      {"assigned": [0, 3], "rebalances": 1}     whenever it changes
      {"records": [[partition, offset, hash]…]} what a poll brought
      {"committed": true}                       after commit
      {"closed": true}                          after close, which leaves the group
"""

import hashlib
import json
import queue
import subprocess
import sys
import threading
import time

from common import BASE_TIME_MS, KEEP, check, need, tell

PARTITIONS = 6
# The least that Kafka allows: how long a killed member keeps its partitions.
SESSION_MS = 6_000
# The static member's: it starts again well inside it, on a slow machine too.
STATIC_SESSION_MS = 45_000
MORE = 60


def hash_of(key, value):
    return hashlib.sha256(repr((key, value)).encode()).hexdigest()[:16]


def be_member(library, options):
    """One member: polls until told otherwise."""
    told = queue.Queue()
    threading.Thread(target=lambda: [told.put(line.strip()) for line in sys.stdin], daemon=True).start()
    member = library.member(options.group, options.topic, options.instance, options.session_ms)
    shown = None
    while True:
        records = member.poll()
        state = (sorted(member.assignment()), member.rebalances)
        if state != shown:
            tell(assigned=state[0], rebalances=state[1])
            shown = state
        if records:
            tell(records=[[row[0], row[1], hash_of(row[2], row[3])] for row in records])
        try:
            what = told.get_nowait()
        except queue.Empty:
            continue
        if what == "commit":
            member.commit()
            tell(committed=True)
        elif what == "close":
            member.close()
            tell(closed=True)
            return


class Member:
    """The parent's end of a member."""

    def __init__(self, bootstrap, topic, group, session_ms, instance=None):
        line = [sys.executable, sys.argv[0], "--scenario", "member", "--bootstrap", bootstrap]
        line += ["--prefix", topic, "--topic", topic, "--group", group, "--session-ms", str(session_ms)]
        line += ["--instance", instance] if instance else []
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assigned, self.rebalances, self.records, self.words = [], 0, [], set()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stdout:
            heard = json.loads(line)
            if "assigned" in heard:
                self.rebalances = heard["rebalances"]
                self.assigned = heard["assigned"]
            elif "records" in heard:
                self.records.extend(tuple(row) for row in heard["records"])
            else:
                self.words.update(heard)

    def say(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def kill(self):
        """SIGKILL: the socket closes, no LeaveGroup is sent."""
        self.process.kill()
        self.process.wait()
        self.thread.join()


def play_group(library, options, patience_s):
    topic, group_id = f"{options.prefix}-work", f"{options.prefix}-group"
    library.create(topic, PARTITIONS, KEEP)
    sent = {}
    # Idempotent for its order: an offset tells which record must be there.
    producer = library.producer("none", True)

    def send(count):
        start = len(sent)
        for index in range(start, start + count):
            partition, key, value = index % PARTITIONS, f"key-{index}".encode(), f"value-{index}".encode()
            sent[(partition, index // PARTITIONS)] = hash_of(key, value)
            producer.send(topic, partition, key, value, [], BASE_TIME_MS + index, lambda offset: None)
        producer.finish()

    def wait(text, holds, members):
        deadline = time.monotonic() + patience_s
        while not holds():
            for member in members:
                if member.process.poll() not in (None, 0):
                    raise SystemExit(f"{text}: a member ended: {member.process.returncode}")
            if time.monotonic() > deadline:
                state = [(member.assigned, len(member.records)) for member in members]
                raise SystemExit(f"{text}: not within {patience_s} s; members have {state}")
            time.sleep(0.02)

    def shared(members):
        """Every partition has exactly one of these members, every member some."""
        parts = [member.assigned for member in members]
        return all(parts) and sorted(sum(parts, [])) == list(range(PARTITIONS))

    def changed(found, wanted):
        return [place for place, row in sorted(wanted.items()) if found.get(place) != row][:3]

    def consumed(members):
        return {(row[0], row[1]): row[2] for member in members for row in member.records}

    def start(*settings):
        if hasattr(library, "start_member"):
            return library.start_member(hash_of, *settings)
        return Member(options.bootstrap, *settings)

    # A multiple of the partitions, so that every partition has as many.
    send(options.records // PARTITIONS * PARTITIONS)
    first = start(topic, group_id, SESSION_MS)
    second = start(topic, group_id, SESSION_MS)
    static = start(topic, group_id, STATIC_SESSION_MS, "static-1")
    members = [first, second, static]
    wait("three members share the partitions", lambda: shared(members), members)
    check("members with two partitions each", [2, 2, 2], [len(member.assigned) for member in members])
    wait("every record consumed", lambda: len(consumed(members)) == len(sent), members)
    check("places consumed that hold another record", [], changed(consumed(members), sent))

    second.kill()
    wait("the killed member's partitions go to the others", lambda: shared([first, static]), [first, static])
    check("partitions of the two that stay", [3, 3], [len(first.assigned), len(static.assigned)])

    kept, rebalances = static.assigned, first.rebalances
    static.kill()
    again = start(topic, group_id, STATIC_SESSION_MS, "static-1")
    wait("the static member is back", lambda: again.assigned, [first, again])
    check("the static member's partitions", kept, again.assigned)
    send(MORE * PARTITIONS)
    everyone = [first, second, static, again]
    wait("new records consumed after that", lambda: len(consumed(everyone)) == len(sent), [first, again])
    check("places consumed that hold another record", [], changed(consumed(everyone), sent))
    check("rebalances seen by the other member meanwhile", rebalances, first.rebalances)
    for partition in kept:
        last = max(row[1] for row in again.records if row[0] == partition)
        check(f"partition {partition} still with the static member", len(sent) // PARTITIONS - 1, last)

    # Both before either goes: the one that stays is assigned anew then, has read nothing since, and
    # librdkafka has no offset to commit.
    for member in (first, again):
        member.say("commit")
        wait("commit", lambda: "committed" in member.words, [member])
    for member in (first, again):
        member.say("close")
        wait("close", lambda: "closed" in member.words, [member])
        member.process.wait()
    committed = len(sent) // PARTITIONS
    send(MORE * PARTITIONS)
    need("restart")
    # A static member does not leave when it closes, so it is its name that comes back.
    resumed = start(topic, group_id, STATIC_SESSION_MS, "static-1")
    fresh = {place: row for place, row in sent.items() if place[1] >= committed}
    wait("resumed after the restart", lambda: len(consumed([resumed])) >= len(fresh), [resumed])
    firsts = {partition: min((row[1] for row in resumed.records if row[0] == partition), default=None)
              for partition in range(PARTITIONS)}
    check("first offset after the restart, by partition", dict.fromkeys(range(PARTITIONS), committed), firsts)
    check("records consumed after the restart", len(fresh), len(consumed([resumed])))
    check("places consumed that hold another record", [], changed(consumed([resumed]), fresh))
    resumed.say("close")
    wait("close", lambda: "closed" in resumed.words, [resumed])
    resumed.process.wait()
