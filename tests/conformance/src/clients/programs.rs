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
];
