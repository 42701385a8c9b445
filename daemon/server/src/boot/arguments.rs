//! Step 1: what the command line says. A flag is a setting like any other, only stronger.

use crate::report::{Code, Report};
use crate::settings::{Given, Source};
use clap::Parser;
use std::path::PathBuf;

/// A Kafka-compatible streaming node.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "holdfastd", version, about)]
pub struct Arguments {
    /// Configuration file [default: /etc/holdfast/holdfast.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A node of its own for development: smaller log and cache, no file is read unless named.
    #[arg(long)]
    pub dev: bool,
    /// Where the node keeps everything; created if it is not there [data.directory].
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// Address and port to listen on [listener.address; default: 127.0.0.1:9092].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Address and port that clients are told; the listening address unless that is a wildcard
    /// [listener.advertise].
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Size of the write-ahead log, e.g. 512MiB, 8GiB [wal.size; default: 8GiB, with --dev 2GiB].
    #[arg(long, value_name = "SIZE")]
    pub wal_size: Option<String>,
    /// Where history is kept, e.g. s3://bucket/prefix or file:///srv/objects; without it the log is all
    /// there is [store.url].
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// How the write-ahead log is written: auto, io_uring or pwritev2 [wal.backend].
    #[arg(long, value_name = "BACKEND")]
    pub wal_backend: Option<String>,
    /// Any setting, e.g. `--set admin.address=off --set kafka.num.partitions=3`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Prints every setting with its source, and exits; 2 if anything is wrong.
    #[arg(long)]
    pub check_config: bool,
    /// Prints a generated page (sample, settings, metrics, kafka-settings), and exits.
    #[arg(long, value_name = "PAGE", hide = true)]
    pub print_docs: Option<String>,
}

impl Arguments {
    /// The flags as values of settings.
    ///
    /// # Errors
    /// When `--set` has no `=`.
    pub fn given(&self) -> Result<Vec<Given>, Report> {
        let one = |key: &str, flag: &str, text: &str| Given {
            key: key.to_owned(),
            text: text.to_owned(),
            source: Source::Flag(flag.to_owned()),
        };
        let mut given = Vec::new();
        if self.dev {
            given.push(one("dev", "--dev", "true"));
        }
        let texts = [
            ("data.directory", "--data-dir", &self.data_dir),
            ("listener.address", "--listen", &self.listen),
            ("listener.advertise", "--advertise", &self.advertise),
            ("wal.size", "--wal-size", &self.wal_size),
            ("wal.backend", "--wal-backend", &self.wal_backend),
            ("store.url", "--store", &self.store),
        ];
        for (key, flag, text) in texts {
            given.extend(text.as_ref().map(|text| one(key, flag, text)));
        }
        for pair in &self.set {
            let Some((key, text)) = pair.split_once('=') else {
                return Err(Report::new(
                    Code::Usage,
                    format!("--set {pair} says no value"),
                    "a setting is a key, an equals sign and a value",
                    "pass for example --set admin.address=off",
                ));
            };
            given.push(one(key.trim(), "--set", text));
        }
        Ok(given)
    }
}
