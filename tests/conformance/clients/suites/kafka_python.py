"""kafka-python's own integration tests, as its source distribution brings them.

`--tests` is a directory with `test/` of that and `site/`, pytest as the suite wants it. The
distribution lacks `test/service.py`, which starts Kafka; against a node that runs already only two
names of it are asked for, and they stand below. Left out: transactions, SASL and TLS, which the node
does not offer, and test_kafka_consumer_offsets_for_time_old, for brokers before 0.10.1.
"""

import os
import sys
import types

import kafka
import pytest

from suite import Suite, arguments

# The release that the library takes the node for; one of its tests asserts that.
KAFKA_VERSION = "4.1"
TESTS = {
    "test_admin_integration.py": """
        test_alter_partition_reassignments test_alter_replica_log_dirs test_create_delete_topics
        test_create_describe_delete_acls test_create_partitions test_delete_groups
        test_delete_groups_with_errors test_delete_records test_delete_records_with_errors
        test_describe_configs_broker_resource_returns_configs
        test_describe_configs_invalid_broker_id_raises
        test_describe_configs_mixed_resources_returns_configs
        test_describe_configs_topic_resource_returns_configs test_describe_group_exists
        test_describe_log_dirs test_describe_metadata_quorum test_describe_topic_partitions
        test_describe_topic_partitions_pagination test_elect_leaders test_list_config_resources
        test_list_partition_offsets test_list_partition_reassignments""",
    "test_consumer_integration.py": """
        test_consumer test_consumer_topics test_group test_heartbeat_thread test_kafka_consumer
        test_kafka_consumer__blocking test_kafka_consumer__offset_commit_resume
        test_kafka_consumer_max_bytes_one_msg test_kafka_consumer_max_bytes_simple
        test_kafka_consumer_offsets_for_time test_kafka_consumer_offsets_for_times_errors
        test_kafka_consumer_offsets_search_many_partitions
        test_kafka_consumer_position_after_seek_to_end test_kafka_consumer_unsupported_encoding
        test_kafka_version_infer test_paused""",
    "test_producer_integration.py": """
        test_end_to_end[None] test_end_to_end[gzip] test_end_to_end[lz4] test_end_to_end[snappy]
        test_end_to_end[zstd] test_idempotent_producer test_idempotent_producer_high_throughput
        test_idempotent_producer_max_in_flight[1] test_idempotent_producer_max_in_flight[2]
        test_idempotent_producer_max_in_flight[5] test_kafka_producer_proper_record_metadata[None]
        test_kafka_producer_proper_record_metadata[gzip]
        test_kafka_producer_proper_record_metadata[lz4]
        test_kafka_producer_proper_record_metadata[snappy]
        test_kafka_producer_proper_record_metadata[zstd]""",
}


class ExternalService:
    """A node that somebody else runs."""

    def __init__(self, host, port):
        self.host, self.port = host, port


def offer_service(tests):
    """`test.service`, and `test` itself, which the interpreter's own package of that name hides."""
    package, service = types.ModuleType("test"), types.ModuleType("test.service")
    package.__path__ = [os.path.join(tests, "test")]
    service.ExternalService, service.SpawnedService = ExternalService, None
    sys.modules.update({"test": package, "test.service": service})


class Reporter:
    """A line for each test, when it is over."""

    def __init__(self, suite):
        self.suite, self.failed = suite, {}

    def pytest_runtest_logreport(self, report):
        name = os.path.basename(report.nodeid)
        if report.skipped:
            self.failed[name] = f"skipped: {report.longrepr[-1]}"
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = str(crash.message if crash else report.longrepr).strip().splitlines()
            self.failed.setdefault(name, f"{report.when}: {why[0][:300]}")
        if report.when == "teardown":
            self.suite.part(name, self.failed.get(name))


def main():
    options = arguments()
    wanted = [f"{file}::{name}" for file, names in TESTS.items() for name in names.split()]
    suite = Suite(f"kafka-python {kafka.__version__}'s own integration tests", wanted)
    offer_service(options.tests)
    os.environ.update(KAFKA_URI=f"kafka://{options.bootstrap}", KAFKA_VERSION=KAFKA_VERSION,
                      # A Kafka of its own is not started, but must be a directory.
                      KAFKA_ROOT=options.tests)
    home = os.path.join(options.tests, "test/integration")
    status = pytest.main(
        ["-p", "no:cacheprovider", "-o", "addopts=", "-o", "log_level=WARNING", "--tb=short", "-v",
         "--rootdir", options.tests, "--timeout=120", "--timeout-method=thread",
         *(os.path.join(home, name) for name in wanted)],
        plugins=[Reporter(suite)])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"pytest ended with {status!r}")
    suite.finish()


if __name__ == "__main__":
    main()
