"""Kafka's own command line tools of one release, by their main classes, with exact arguments.

    tools.py --class-path CLASSES:LIBS/* --release 4.3.1 --bootstrap … --scenario tools …
    tools.py … --scenario compatibility …      Kafka's own ClientCompatibilityTest of that release

All run in one JVM (Tools.java): starting one for each would take longer than what they do. Output is
compared by value; of the tools' own wording only what scripts of operators read is asserted. What a
release lacks (GetOffsetShell by the latest timestamp before 3.0, kafka-metadata-quorum before 3.3) is
left out for that release. The contract with the runner stands in ../README.md.
"""

import argparse
import json
import re
import struct
import subprocess
import sys

TOOLS = "org.apache.kafka.tools."
# Main class of each tool, newest first: a release has the first of its row that is in its jars.
CLASSES = {
    "topics": [TOOLS + "TopicCommand", "kafka.admin.TopicCommand"],
    "configs": ["kafka.admin.ConfigCommand"],
    "groups": [TOOLS + "consumer.group.ConsumerGroupCommand", "kafka.admin.ConsumerGroupCommand"],
    "offsets": [TOOLS + "GetOffsetShell", "kafka.tools.GetOffsetShell"],
    "delete-records": [TOOLS + "DeleteRecordsCommand", "kafka.admin.DeleteRecordsCommand"],
    "log-dirs": [TOOLS + "LogDirsCommand", "kafka.admin.LogDirsCommand"],
    "console-consumer": [TOOLS + "consumer.ConsoleConsumer", "kafka.tools.ConsoleConsumer"],
    "console-producer": [TOOLS + "ConsoleProducer", "kafka.tools.ConsoleProducer"],
    "producer-perf": [TOOLS + "ProducerPerformance"],
    "consumer-perf": [TOOLS + "ConsumerPerformance", "kafka.tools.ConsumerPerformance"],
    "verifiable-producer": [TOOLS + "VerifiableProducer"],
    "verifiable-consumer": [TOOLS + "VerifiableConsumer"],
    "quorum": [TOOLS + "MetadataQuorumCommand"],
    "api-versions": [TOOLS + "BrokerApiVersionsCommand", "kafka.admin.BrokerApiVersionsCommand"],
    "cluster": [TOOLS + "ClusterTool", "kafka.tools.ClusterTool"],
    "compatibility": [TOOLS + "ClientCompatibilityTest"],
}
# Tools that were rewritten in Java, by the release that did so; before, the row's second class.
REWRITTEN = {
    "topics": (3, 7), "groups": (3, 8), "offsets": (3, 5), "delete-records": (3, 6),
    "log-dirs": (3, 6), "console-consumer": (3, 8), "console-producer": (4, 0),
    "consumer-perf": (3, 7), "api-versions": (4, 0), "cluster": (4, 0),
}
PERFORMANCE_RECORDS = 1_000


def tell(**line):
    print(json.dumps(line), flush=True)


def check(text, expected, found):
    if expected != found:
        sys.exit(f"{text}: expected {expected!r}, found {found!r}")
    tell(check=text, expected=str(expected), found=str(found))


def says(text, word, told):
    """The words stand in what a tool said; if not, the end of that is shown."""
    if word not in told:
        sys.exit(f"{text}: expected {word!r} in {' / '.join(told.splitlines()[-3:])!r}")
    tell(check=text, expected=word, found=word)


def matches(text, pattern, told):
    found = re.search(pattern, told, re.M)
    says(text, found.group() if found else pattern, told)


class Jvm:
    """The tools' JVM. A tool that hangs ends it."""

    def __init__(self, options):
        self.release = tuple(int(part) for part in options.release.split(".")[:2])
        self.java = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self.java += ["-cp", options.class_path]
        self.process = subprocess.Popen(
            [*self.java, "Tools"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.bootstrap = ["--bootstrap-server", options.bootstrap]

    def main_class(self, tool):
        classes = CLASSES[tool]
        return classes[0 if self.release >= REWRITTEN.get(tool, (0, 0)) else -1]

    def run(self, tool, *arguments, typed="", status=0, bootstrap=True):
        """One call; all that it says. `status=None` takes any."""
        given = (self.bootstrap if bootstrap else []) + [str(word) for word in arguments]
        words = [self.main_class(tool), typed, *given]
        call = struct.pack(">i", len(words))
        for word in words:
            content = word.encode()
            call += struct.pack(">i", len(content)) + content
        self.process.stdin.write(call)
        self.process.stdin.flush()
        told = f"{tool} {' '.join(given)}"
        head = self.process.stdout.read(8)
        if len(head) < 8:
            sys.exit(f"{told}: the JVM ended, status {self.process.wait()}")
        found, length = struct.unpack(">ii", head)
        output = self.process.stdout.read(length).decode(errors="replace")
        # What a tool that catches everything says of the way Tools.java ends it.
        output = re.sub(r"^(Tools\$Left: )?the tool has ended\n", "", output, flags=re.M)
        return self.judged(told, found, output, status)

    def alone(self, tool, *arguments):
        """One that needs the end of its JVM: it closes its client in a hook of the JVM itself."""
        words = [self.main_class(tool), *self.bootstrap, *(str(word) for word in arguments)]
        done = subprocess.run([*self.java, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=90, check=False, text=True)
        return self.judged(" ".join(words), done.returncode, done.stdout, 0)

    @staticmethod
    def judged(told, found, output, status):
        sys.stderr.write(f"--- {told}\n--- status {found}\n{output}\n")
        if status is not None and found != status:
            last = [line for line in output.splitlines() if line.strip()][-3:]
            sys.exit(f"{told}: status {found}, not {status}: {' / '.join(last)}")
        return output


def tools(options):
    jvm = Jvm(options)
    topic = f"{options.prefix}-lines"
    cluster(jvm)
    topics(jvm, topic)
    console(jvm, topic, options.records)
    offsets(jvm, topic, options.records)
    group(jvm, topic, options.records)
    configs(jvm, topic)
    records(jvm, topic)
    performance(jvm, f"{options.prefix}-perf")
    verifiable(jvm, f"{options.prefix}-verify", options.records)
    jvm.run("topics", "--delete", "--topic", topic)
    check("list after delete", False, eventually_gone(jvm, topic))


def eventually_gone(jvm, topic):
    """Kafka's node may answer before its own view has followed: five looks."""
    for _ in range(5):
        if topic not in jvm.run("topics", "--list").split():
            return False
    return True


def usable(jvm):
    """The calls that this release and the node both know."""
    told = jvm.run("api-versions")
    return set(re.findall(r"^\t(\w+)\(\d+\): .*\[usable: \d+\]", told, re.M))


def cluster(jvm):
    told = jvm.run("cluster", "cluster-id", *jvm.bootstrap, bootstrap=False)
    matches("cluster id", r"Cluster ID: [\w-]{22}\b", told)
    needed = {"Produce", "Fetch", "ListOffsets", "Metadata", "ApiVersions", "InitProducerId"}
    check("calls that are usable", set(), needed - usable(jvm))
    if jvm.release >= (3, 3):
        told = jvm.run("quorum", "describe", "--status")
        matches("leader of the quorum", r"^LeaderId:\s+\d+$", told)
        says("voters", "CurrentVoters:", told)
        told = jvm.run("quorum", "describe", "--replication")
        check("replicas of the quorum", 1, len(re.findall(r"\bLeader\b", told)))


def topics(jvm, topic):
    told = jvm.run("topics", "--create", "--topic", topic, "--partitions", 3,
                   "--replication-factor", 1, "--config", "retention.ms=-1")
    says("create says so", f"Created topic {topic}.", told)
    told = jvm.run("topics", "--create", "--topic", topic, status=1)
    says("a second create", "already exists", told)
    jvm.run("topics", "--create", "--topic", topic, "--if-not-exists")
    check("list", True, topic in jvm.run("topics", "--list").split())
    check("list of one name", [topic], words_of(jvm.run("topics", "--list", "--topic", topic)))
    told = jvm.run("topics", "--describe", "--topic", topic)
    check("partitions in describe", 3, len(re.findall(r"Partition: \d+\s+Leader: \d+", told)))
    check("count in describe", ["3"], re.findall(r"PartitionCount: ?(\d+)", told))
    says("configs in describe", "retention.ms=-1", told)
    told = jvm.run("topics", "--describe", "--under-replicated-partitions")
    check("under-replicated partitions", 0, told.count("Partition:"))
    told = jvm.run("topics", "--describe", "--unavailable-partitions")
    check("unavailable partitions", 0, told.count("Partition:"))
    jvm.run("topics", "--alter", "--topic", topic, "--partitions", 4)
    told = ""
    for _ in range(5):
        told = jvm.run("topics", "--describe", "--topic", topic)
        if "PartitionCount: 4" in told:
            break
    check("count after alter", ["4"], re.findall(r"PartitionCount: ?(\d+)", told))
    told = jvm.run("topics", "--describe", "--topic", topic + "-none", status=1)
    says("describe of an unknown topic", "does not exist", told)


def words_of(told):
    return [word for word in told.split() if not word.startswith(("log4j", "SLF4J"))]


def lines(count):
    return [f"key-{number % 97}\tvalue {number} {'.' * (number % 50)}" for number in range(count)]


def console(jvm, topic, count):
    # The options' names changed in 4.2 (KIP-1147), the former ones are still known.
    newer = jvm.release >= (4, 2)
    reader = "--reader-property" if newer else "--property"
    settings = "--command-property" if newer else "--producer-property"
    formatter = "--formatter-property" if newer else "--property"
    jvm.run("console-producer", "--topic", topic, reader, "parse.key=true", settings, "acks=all",
            "--compression-codec=lz4", typed="\n".join(lines(count)) + "\n")
    if newer:
        jvm.run("console-producer", "--topic", topic, "--property", "parse.key=true", typed="")
    told = jvm.run("console-consumer", "--topic", topic, "--from-beginning", "--max-messages", count,
                   formatter, "print.key=true", "--group", topic + "-console",
                   "--timeout-ms", 30000)
    found = [line for line in told.splitlines() if line.startswith("key-")]
    check("lines consumed", len(lines(count)), len(found))
    check("their content", True, sorted(lines(count)) == sorted(found))
    says("count told", f"Processed a total of {count} messages", told)
    # Before it was rewritten it counted its messages per JVM.
    once = jvm.run if jvm.release >= REWRITTEN["console-consumer"] else jvm.alone
    told = once("console-consumer", "--topic", topic, "--partition", 0, "--offset", 2,
                "--max-messages", 1, formatter, "print.offset=true",
                formatter, "print.partition=true", "--timeout-ms", 30000)
    check("one by offset", True, "Partition:0" in told and "Offset:2" in told)
    says("count of one by offset", "Processed a total of 1 messages", told)


def rows(told, topic):
    """partition → offset of GetOffsetShell."""
    found = re.findall(rf"^{re.escape(topic)}:(\d+):(\d*)$", told, re.M)
    return {int(partition): int(offset) for partition, offset in found if offset}


def get_offsets(jvm, topic, time):
    if jvm.release < (3, 0):
        return rows(jvm.run("offsets", "--broker-list", jvm.bootstrap[1], "--topic", topic, "--time",
                            time, bootstrap=False), topic)
    return rows(jvm.run("offsets", "--topic", topic, "--time", time), topic)


def offsets(jvm, topic, count):
    ends = get_offsets(jvm, topic, -1)
    check("partitions with an end", 4, len(ends))
    check("sum of the ends", count, sum(ends.values()))
    check("first offsets", {number: 0 for number in range(4)}, get_offsets(jvm, topic, -2))
    check("offsets since 1970", {number: 0 for number in ends if ends[number]},
          {number: offset for number, offset in get_offsets(jvm, topic, 1).items() if ends[number]})
    if jvm.release >= (3, 0):
        latest = get_offsets(jvm, topic, -3)
        check("partitions with a latest timestamp", {n for n in ends if ends[n]},
              {number for number, offset in latest.items() if 0 <= offset < ends[number]})
    told = jvm.run("log-dirs", "--describe", "--topic-list", topic)
    directories = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    found = [row for node in directories["brokers"] for at in node["logDirs"] for row in at["partitions"]]
    check("partitions in the log directories", [f"{topic}-{number}" for number in range(4)],
          sorted(row["partition"] for row in found))
    check("bytes in them", True, sum(row["size"] for row in found) > 0)
    check("lag in them", 0, sum(row["offsetLag"] for row in found))


def group(jvm, topic, count):
    name = topic + "-console"
    check("list of groups", True, name in jvm.run("groups", "--list").split())
    told = jvm.run("groups", "--list", "--state")
    matches("its state", rf"{name}\s.*Empty", told)
    check("lag when all is read", 0, lag(jvm, name, topic))
    told = jvm.run("groups", "--describe", "--group", name, "--state")
    matches("state described", rf"{name}\s.*\bEmpty\b", told)
    jvm.run("groups", "--describe", "--group", name, "--members")
    reset = ["groups", "--reset-offsets", "--group", name, "--topic", topic]
    jvm.run(*reset, "--to-earliest", "--dry-run")
    check("lag after a preview", 0, lag(jvm, name, topic))
    jvm.run(*reset, "--to-earliest", "--execute")
    check("lag after reset to earliest", count, lag(jvm, name, topic))
    jvm.run(*reset, "--to-latest", "--execute")
    check("lag after reset to latest", 0, lag(jvm, name, topic))
    jvm.run(*reset, "--shift-by", -1, "--execute")
    ends = get_offsets(jvm, topic, -1)
    check("lag after a shift by -1", sum(1 for end in ends.values() if end), lag(jvm, name, topic))
    jvm.run(*reset, "--to-datetime", "2020-01-01T00:00:00.000", "--execute")
    check("lag after reset to a time", count, lag(jvm, name, topic))
    told = jvm.run(*reset, "--to-current", "--export", "--dry-run")
    check("rows of an export", True, f'"{topic}",0,0' in told or f"{topic},0,0" in told)
    jvm.run("groups", "--delete-offsets", "--group", name, "--topic", f"{topic}:0")
    check("rows after offsets are deleted", ends[0], count - lag(jvm, name, topic))
    told = jvm.run("groups", "--delete", "--group", name)
    says("delete says so", "was successful", told)
    check("list after delete", False, name in jvm.run("groups", "--list").split())
    told = jvm.run("groups", "--delete", "--group", name, status=None)
    says("a second delete", "GroupIdNotFoundException", told)


def lag(jvm, name, topic):
    """Sum over the rows of the topic; the row is GROUP TOPIC PARTITION CURRENT END LAG …"""
    told = jvm.run("groups", "--describe", "--group", name)
    pattern = rf"^{re.escape(name)}\s+{re.escape(topic)}\s+\d+\s+\d+\s+\d+\s+(\d+)\b"
    return sum(int(found) for found in re.findall(pattern, told, re.M))


def configs(jvm, topic):
    entity = ["--entity-type", "topics", "--entity-name", topic]
    told = jvm.run("configs", "--describe", *entity)
    says("what was given", "retention.ms=-1", told)
    told = jvm.run("configs", "--describe", "--all", *entity)
    check("at least 25 settings of a topic", True, len(re.findall(r"^\s+[\w.]+=", told, re.M)) >= 25)
    says("synonyms", "DEFAULT_CONFIG:log.cleanup.policy=delete", told)
    jvm.run("configs", "--alter", *entity, "--add-config",
            "cleanup.policy=[compact,delete],max.message.bytes=150000")
    told = jvm.run("configs", "--describe", *entity)
    check("added", True, "cleanup.policy=compact,delete" in told and "max.message.bytes=150000" in told)
    jvm.run("configs", "--alter", *entity, "--delete-config", "cleanup.policy,max.message.bytes")
    told = jvm.run("configs", "--describe", *entity)
    check("deleted", False, "max.message.bytes" in told)
    told = jvm.run("configs", "--alter", *entity, "--add-config", "retention.ms=soon", status=1)
    says("a wrong value", "InvalidConfigurationException", told)
    told = jvm.run("configs", "--describe", "--all", "--entity-type", "brokers", "--entity-name", 1)
    check("at least 200 settings of a broker", True, len(re.findall(r"^\s+[\w.]+=", told, re.M)) >= 200)
    every = ["--entity-type", "brokers", "--entity-default"]
    jvm.run("configs", "--alter", *every, "--add-config", "log.cleaner.threads=2")
    told = jvm.run("configs", "--describe", *every)
    says("a default of all brokers", "log.cleaner.threads=2", told)
    jvm.run("configs", "--alter", *every, "--delete-config", "log.cleaner.threads")
    if jvm.release >= (4, 0):
        entity = ["--entity-type", "groups", "--entity-name", topic + "-set"]
        jvm.run("configs", "--alter", *entity, "--add-config", "consumer.session.timeout.ms=46000")
        told = jvm.run("configs", "--describe", *entity)
        says("a group's setting", "consumer.session.timeout.ms=46000", told)
        jvm.run("configs", "--alter", *entity, "--delete-config", "consumer.session.timeout.ms")


def records(jvm, topic):
    path = f"/tmp/{topic}.json"
    before = get_offsets(jvm, topic, -1)
    low = before[0] // 2
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": low}]}, file)
    told = jvm.run("delete-records", "--offset-json-file", path)
    matches("low watermark", rf"partition: {topic}-0\s+low_watermark: {low}\b", told)
    check("first offset", low, get_offsets(jvm, topic, -2)[0])
    check("ends stay", before, get_offsets(jvm, topic, -1))


def performance(jvm, topic):
    jvm.run("topics", "--create", "--topic", topic, "--partitions", 1)
    told = jvm.run("producer-perf", "--topic", topic, "--num-records", PERFORMANCE_RECORDS,
                   "--record-size", 500, "--throughput", -1, "--producer-props",
                   f"bootstrap.servers={jvm.bootstrap[1]}", "acks=all", bootstrap=False)
    says("records sent", f"{PERFORMANCE_RECORDS} records sent", told)
    number = "--num-records" if jvm.release >= (4, 2) else "--messages"
    told = jvm.run("consumer-perf", "--topic", topic, number, PERFORMANCE_RECORDS,
                   "--timeout", 30000)
    last = [line for line in told.splitlines() if line.count(", ") >= 9 and line[0].isdigit()][-1]
    check("records read", str(PERFORMANCE_RECORDS), last.split(", ")[4])


def verifiable(jvm, topic, count):
    jvm.run("topics", "--create", "--topic", topic, "--partitions", 2)
    told = jvm.alone("verifiable-producer", "--topic", topic, "--max-messages", count)
    sent = {}
    for row in map(json.loads, re.findall(r"^{.*}$", told, re.M)):
        if row["name"] == "producer_send_success":
            sent[(row["partition"], row["offset"])] = row["value"]
        if row["name"] == "tool_data":
            check("acknowledged", count, row["acked"])
    check("values acknowledged", True, sorted(map(int, sent.values())) == list(range(count)))
    told = jvm.alone("verifiable-consumer", "--topic", topic, "--group-id", topic, "--max-messages", count,
                   "--verbose")
    found, committed = {}, {}
    for row in map(json.loads, re.findall(r"^{.*}$", told, re.M)):
        if row["name"] == "record_data":
            found[(row["partition"], row["offset"])] = row["value"]
        if row["name"] == "offsets_committed":
            check("a commit", True, row["success"])
            committed.update({part["partition"]: part["offset"] for part in row["offsets"]})
    check("what was sent is read at its offsets", True, sent == found)
    check("committed", count, sum(committed.values()))


def compatibility(options):
    """Kafka's own test of a client against another release's broker: it is told what to expect."""
    jvm = Jvm(options)
    topic = f"{options.prefix}-topic"
    jvm.run("topics", "--create", "--topic", topic, "--partitions", 1)
    acls = "DescribeAcls" in usable(jvm)
    expect = {
        "offsets-for-times-supported": True, "cluster-id-supported": True,
        "expect-record-too-large-exception": False, "num-cluster-nodes": 1,
        "create-topics-supported": True, "describe-acls-supported": acls,
        "describe-configs-supported": True,
    }
    if jvm.release >= (3, 0):
        expect["idempotent-producer-supported"] = True
    told = compatible(jvm, topic, expect, 0)
    check("ClientCompatibilityTest", ["SUCCESS."], re.findall(r"^SUCCESS\.$", told, re.M))
    # That it can fail at all.
    told = compatible(jvm, topic, {**expect, "cluster-id-supported": False}, 1)
    says("ClientCompatibilityTest, told of a cluster without an id", "FAILED", told)
    if not acls:
        tell(lacks="DescribeAcls (the node does not offer it)")


def compatible(jvm, topic, expect, status):
    # The name of the topic that it creates, of its own choice.
    jvm.run("topics", "--delete", "--topic", "newtopic", "--if-exists")
    for _ in range(5):
        if "newtopic" not in jvm.run("topics", "--list").split():
            break
    options = [word for name, value in expect.items() for word in (f"--{name}", str(value).lower())]
    return jvm.run("compatibility", "--topic", topic, *options, status=status)


SCENARIOS = {"tools": tools, "compatibility": compatibility}


def main():
    parser = argparse.ArgumentParser()
    for name in ["--class-path", "--release", "--bootstrap", "--scenario", "--prefix"]:
        parser.add_argument(name, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--kills", type=int, default=1)
    options = parser.parse_args()
    tell(client=f"Kafka's tools {options.release}")
    if options.scenario not in SCENARIOS:
        sys.exit(f"no scenario {options.scenario}; there are {', '.join(SCENARIOS)}")
    SCENARIOS[options.scenario](options)
    tell(passed=True)


if __name__ == "__main__":
    main()
