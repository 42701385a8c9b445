//! The table of client programs: one row each, in the order of the matrix.
//!
//! In `start` and `environment`, `{HERE}` is the directory `clients/`, and any other `{NAME}` the
//! environment variable of that name. `cargo xtask conformance` and `cargo xtask test` set those
//! variables to what they fetched (`packaging/xtask/src/clients.rs`); one that is not set keeps the
//! program's cells from running, which fails the run and says so.

/// One program that plays the scenarios of `clients/README.md`.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name in the matrix, in FINDINGS.md and after `--program`.
    pub(crate) name: &'static str,
    /// The command, without the arguments of the contract.
    pub(crate) start: &'static [&'static str],
    /// Environment for it.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

impl Program {
    /// Kafka's own tools have a scenario of their own and no other.
    pub(crate) fn plays(&self, scenario: &str) -> bool {
        self.name.starts_with("kafka-tools-") == (scenario == "tools")
    }

    /// Left to `--full`, unless it is asked for by name.
    pub(crate) fn only_full(&self) -> bool {
        ["kafka-tools-3.9.1", "kafka-tools-2.8.2"].contains(&self.name)
    }
}

const PYTHON: &[(&str, &str)] =
    &[("PYTHONPATH", "{HOLDFAST_CLIENTS_PYTHON}"), ("PYTHONDONTWRITEBYTECODE", "1")];

/// All of them.
pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "kcat",
        start: &["python3", "{HERE}/kcat/run.py"],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1")],
    },
    Program {
        name: "confluent-kafka",
        start: &["python3", "{HERE}/python/confluent.py"],
        environment: PYTHON,
    },
    Program {
        name: "kafka-python",
        start: &["python3", "{HERE}/python/kafka_python.py"],
        environment: PYTHON,
    },
    Program { name: "aiokafka", start: &["python3", "{HERE}/python/aio.py"], environment: PYTHON },
    Program { name: "franz-go", start: &["{HOLDFAST_CLIENTS_GO}/franz"], environment: &[] },
    Program { name: "sarama", start: &["{HOLDFAST_CLIENTS_GO}/sarama"], environment: &[] },
    Program {
        name: "kafkajs",
        start: &["node", "{HERE}/node/run.js"],
        environment: &[("NODE_PATH", "{HOLDFAST_CLIENTS_NODE}")],
    },
    Program { name: "rdkafka", start: &["{HOLDFAST_CLIENTS_RUST}"], environment: &[] },
    Program {
        name: "kafka-clients-4.3.1",
        start: &[
            "java",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            "{HOLDFAST_CLIENTS_JAVA_4_3_1}",
            "Conformance",
        ],
        environment: &[],
    },
    Program {
        name: "kafka-clients-3.9.1",
        start: &[
            "java",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            "{HOLDFAST_CLIENTS_JAVA_3_9_1}",
            "Conformance",
        ],
        environment: &[],
    },
    Program {
        name: "kafka-clients-2.8.2",
        start: &[
            "java",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            "{HOLDFAST_CLIENTS_JAVA_2_8_2}",
            "Conformance",
        ],
        environment: &[],
    },
    Program {
        name: "kafka-tools-4.3.1",
        start: &[
            "python3",
            "{HERE}/java/tools.py",
            "--release",
            "4.3.1",
            "--class-path",
            "{HOLDFAST_CLIENTS_JAVA_4_3_1}",
        ],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1")],
    },
    Program {
        name: "kafka-tools-3.9.1",
        start: &[
            "python3",
            "{HERE}/java/tools.py",
            "--release",
            "3.9.1",
            "--class-path",
            "{HOLDFAST_CLIENTS_JAVA_3_9_1}",
        ],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1")],
    },
    Program {
        name: "kafka-tools-2.8.2",
        start: &[
            "python3",
            "{HERE}/java/tools.py",
            "--release",
            "2.8.2",
            "--class-path",
            "{HOLDFAST_CLIENTS_JAVA_2_8_2}",
        ],
        environment: &[("PYTHONDONTWRITEBYTECODE", "1")],
    },
];
