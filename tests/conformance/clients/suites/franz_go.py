"""franz-go's own tests of pkg/kgo, those that talk to a broker.

The test binary is built from the module as the proxy serves it, at the version of ../go/go.mod. Left
out: transactions, share groups, KIP-848 groups and SCRAM, which the node does not offer, the tests
that need no broker, and TestIssueProduceBrokerTooOldFailsRecords, which passes over brokers that take
produce before version 3.
"""

import os
import re
import subprocess
import sys

from suite import Suite, arguments

TESTS = [
    "TestAddRemovePartitions", "TestClient_Produce", "TestClient_ProduceLargeMessages",
    "TestConsumeMaxDecompressBatchBytes", "TestConsumeRegex", "TestConsumeTopicRetrieval",
    "TestConsumeTopicRetrieval_Many", "TestDirectPartitionPurge", "TestGroupETL", "TestGroupSimple",
    "TestHookPollStart", "TestIssue1034", "TestIssue325", "TestIssue337", "TestIssue434",
    "TestIssue523", "TestIssue648", "TestIssue769", "TestIssue810", "TestIssue831", "TestIssue865",
    "TestIssueFetchLargerThanBrokerMaxReadBytes",
    "TestIssueProduceSyncManualPartitionNegativeDoesNotPanic", "TestPauseIssue489",
    "TestPauseIssueOct2023", "TestPing", "TestPooling", "TestUnknownGroupOffsetFetchPinned",
]
# Past it the binary ends itself and tells where each test hangs.
LIMIT_S = 800


def version():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../go/go.mod"), encoding="utf-8") as file:
        return re.search(r"twmb/franz-go v([\d.]+)", file.read())[1]


def main():
    options = arguments()
    suite = Suite(f"franz-go {version()}'s own tests (pkg/kgo)", TESTS)
    environment = {**os.environ, "KGO_SEEDS": options.bootstrap, "KGO_TEST_RF": "1",
                   "KGO_TEST_RECORDS": str(options.records), "KGO_LOG_LEVEL": "none"}
    process = subprocess.Popen(
        [options.tests, "-test.v", "-test.parallel", "4", "-test.timeout", f"{LIMIT_S}s",
         "-test.run", f"^({'|'.join(TESTS)})$"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    said, current, ended = {}, None, False
    for line in process.stdout:
        sys.stderr.write(line)
        if found := re.match(r"=== \w+ +(Test\w+)", line):
            current = found[1]
        elif found := re.match(r"--- (PASS|FAIL|SKIP): (\w+)", line):
            result, name = found.groups()
            # All that it said, which for a test that fails begins with why.
            why = " / ".join(said.get(name, ["failed without a word"])[:2])
            suite.part(name, None if result == "PASS" else f"{result.lower()}: {why}")
        elif found := re.match(r"\s+\w+_test\.go:\d+: (.*)", line):
            said.setdefault(current, []).append(found[1])
        ended = ended or line.rstrip() in ("PASS", "FAIL")
    status = process.wait()
    # 0 all passed, 1 some failed; a panic ends with 2 and leaves the tests after it out.
    if status not in (0, 1) or not ended:
        sys.exit(f"kgo.test ended with status {status} before its end")
    suite.finish()


if __name__ == "__main__":
    main()
