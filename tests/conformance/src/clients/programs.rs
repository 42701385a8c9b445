//! The table of client programs: one row each, in the order of the matrix.
//!
//! In `start` and `environment`, `{HERE}` is the directory `clients/`, and any other `{NAME}` the
//! environment variable of that name. `cargo xtask conformance` and `cargo xtask test` set those
//! variables to what they fetched (`packaging/xtask/src/clients.rs`); one that is not set keeps the
//! program's cells from running, which fails the run and says so.

/// One program that plays scenarios of `clients/README.md`.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name in the matrix, in FINDINGS.md and after `--program`.
    pub(crate) name: &'static str,
    /// The scenarios it plays, in their order.
    pub(crate) scenarios: &'static [&'static str],
    /// Left to `--full`, unless it is asked for by name.
    pub(crate) only_full: bool,
    /// The command, without the arguments of the contract.
    pub(crate) start: &'static [&'static str],
    /// Environment for it.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Kafka's broker settings that it counts on.
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

/// What a library is asked to do.
const LIBRARY: &[&str] = &["codecs", "seek", "group", "admin", "idempotent"];
/// Kafka's own tools.
const TOOLS: &[&str] = &["tools", "compatibility"];
/// A library's own tests.
const SUITE: &[&str] = &["suite"];

const PLAIN_PYTHON: &[(&str, &str)] = &[("PYTHONDONTWRITEBYTECODE", "1")];
const PYTHON: &[(&str, &str)] =
    &[("PYTHONPATH", "{HOLDFAST_CLIENTS_PYTHON}"), ("PYTHONDONTWRITEBYTECODE", "1")];

const fn library(
    name: &'static str,
    start: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
) -> Program {
    Program { name, scenarios: LIBRARY, only_full: false, start, environment, settings: &[] }
}

const fn tools(name: &'static str, only_full: bool, start: &'static [&'static str]) -> Program {
    Program { name, scenarios: TOOLS, only_full, start, environment: PLAIN_PYTHON, settings: &[] }
}

/// Words before and after a class path.
macro_rules! java {
    ($class_path:literal) => {
        &[
            "java",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            $class_path,
            "Conformance",
        ]
    };
}

macro_rules! tools_py {
    ($release:literal, $class_path:literal) => {
        &["python3", "{HERE}/java/tools.py", "--release", $release, "--class-path", $class_path]
    };
}

/// All of them.
pub(crate) const PROGRAMS: &[Program] = &[
    library("kcat", &["python3", "{HERE}/kcat/run.py"], PLAIN_PYTHON),
    library("confluent-kafka", &["python3", "{HERE}/python/confluent.py"], PYTHON),
    library("kafka-python", &["python3", "{HERE}/python/kafka_python.py"], PYTHON),
    library("aiokafka", &["python3", "{HERE}/python/aio.py"], PYTHON),
    library("franz-go", &["{HOLDFAST_CLIENTS_GO}/franz"], &[]),
    library("sarama", &["{HOLDFAST_CLIENTS_GO}/sarama"], &[]),
    library(
        "kafkajs",
        &["node", "{HERE}/node/run.js"],
        &[("NODE_PATH", "{HOLDFAST_CLIENTS_NODE}")],
    ),
    library("rdkafka", &["{HOLDFAST_CLIENTS_RUST}"], &[]),
    library("kafka-clients-4.3.1", java!("{HOLDFAST_CLIENTS_JAVA_4_3_1}"), &[]),
    library("kafka-clients-3.9.1", java!("{HOLDFAST_CLIENTS_JAVA_3_9_1}"), &[]),
    library("kafka-clients-2.8.2", java!("{HOLDFAST_CLIENTS_JAVA_2_8_2}"), &[]),
    tools("kafka-tools-4.3.1", false, tools_py!("4.3.1", "{HOLDFAST_CLIENTS_JAVA_4_3_1}")),
    tools("kafka-tools-3.9.1", true, tools_py!("3.9.1", "{HOLDFAST_CLIENTS_JAVA_3_9_1}")),
    tools("kafka-tools-2.8.2", true, tools_py!("2.8.2", "{HOLDFAST_CLIENTS_JAVA_2_8_2}")),
    Program {
        name: "franz-go-tests",
        scenarios: SUITE,
        only_full: true,
        start: &[
            "python3",
            "{HERE}/suites/franz_go.py",
            "--tests",
            "{HOLDFAST_CLIENTS_GO}/kgo.test",
        ],
        environment: PLAIN_PYTHON,
        settings: &[],
    },
    Program {
        name: "kafka-python-tests",
        scenarios: SUITE,
        only_full: true,
        start: &[
            "python3",
            "{HERE}/suites/kafka_python.py",
            "--tests",
            "{HOLDFAST_CLIENTS_KAFKA_PYTHON_TESTS}",
        ],
        environment: &[
            ("PYTHONPATH", "{HOLDFAST_CLIENTS_PYTHON}:{HOLDFAST_CLIENTS_KAFKA_PYTHON_TESTS}/site"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ],
        // Its group test has sessions of 3 s.
        settings: &[("group.min.session.timeout.ms", "3000")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::SCENARIOS;

    #[test]
    fn every_program_plays_scenarios_that_have_a_column() {
        for program in PROGRAMS {
            assert!(!program.scenarios.is_empty(), "{}", program.name);
            for scenario in program.scenarios {
                assert!(SCENARIOS.contains(scenario), "{} {scenario}", program.name);
            }
        }
    }
}
