//! Which broker a check runs against, and a fresh one of it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use holdfast_bench::broker::{self, Kind, Running};

use crate::Result;

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// The holdfastd binary.
    #[arg(long, env = "HOLDFASTD")]
    pub(crate) holdfastd: Option<PathBuf>,
    /// Directory of Kafka's jars, to try the check itself on Apache Kafka.
    #[arg(long)]
    pub(crate) kafka_libs: Option<PathBuf>,
    /// Passed on to holdfastd, space separated.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub(crate) holdfastd_arguments: String,
    /// Directory for data; emptied.
    #[arg(long)]
    pub(crate) work: PathBuf,
}

impl Options {
    /// The binary, for checks of Holdfast's own command line.
    pub(crate) fn binary(&self) -> Result<&PathBuf> {
        self.holdfastd.as_ref().ok_or_else(|| "give --holdfastd (or set HOLDFASTD)".into())
    }

    /// The broker asked for, with more arguments for holdfastd.
    pub(crate) fn kind(&self, more: &[&str]) -> Result<Kind> {
        if let Some(libs) = &self.kafka_libs {
            return Ok(Kind::Kafka { libs: libs.clone(), flush: false, settings: Vec::new() });
        }
        let given = self.holdfastd_arguments.split_whitespace();
        let arguments = given.chain(more.iter().copied()).map(String::from).collect();
        Ok(Kind::Holdfast { column: "holdfast", binary: self.binary()?.clone(), arguments })
    }
}

/// A broker that can be started again in the same place.
pub(crate) struct Place {
    kind: Kind,
    directory: PathBuf,
    port: u16,
}

impl Place {
    /// A fresh directory for `kind`.
    pub(crate) fn fresh(kind: Kind, directory: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&directory);
        let port = broker::free_port().map_err(|error| error.to_string())?;
        broker::prepare(&kind, &directory, port).map_err(|error| error.to_string())?;
        Ok(Self { kind, directory, port })
    }

    /// Starts, or starts again.
    pub(crate) fn start(&self) -> Result<Running> {
        broker::start(&self.kind, &self.directory, self.port).map_err(|error| error.to_string())
    }

    /// Where the broker's log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("broker.log")
    }
}
