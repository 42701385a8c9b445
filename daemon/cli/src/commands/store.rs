//! `holdfast store probe URL`: what a store does, ignores and refuses, before records depend on it.
//!
//! The asking is done by the same room that the node uses (`holdfast_tier::store`), with the same
//! settings under the same names; here are the arguments and the table. Exit code 0: usable, with notes
//! or without; 3: something that is needed is missing; 1: the store could not be asked.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use holdfast_tier::store::probe::{Report, Standing, probe};
use holdfast_tier::store::{Checksum, Encryption, Endpoint, REGION_DEFAULT, S3Options};
use serde_json::{Value, json};

use crate::args::Shown;
use crate::clock::now_ms;
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table};

/// `holdfast store ...`
#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// What a store does, ignores and refuses; exit code 0 usable, 3 not. What is put is deleted
    Probe(ProbeArgs),
}

/// Options of `store probe`, named as the node's settings are.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    /// s3://bucket/prefix or file:///absolute/directory, as in store.url.
    #[arg(value_name = "URL")]
    url: String,
    /// Where it listens, e.g. https://s3.example.net:9000 [store.endpoint].
    #[arg(long, value_name = "URL", value_parser = Endpoint::parse, help_heading = "Bucket")]
    endpoint: Option<Endpoint>,
    /// Signed for [store.region].
    #[arg(long, default_value = REGION_DEFAULT, help_heading = "Bucket")]
    region: String,
    /// Where the bucket stands in a request [store.addressing].
    #[arg(long, value_enum, default_value_t = Addressing::Path, help_heading = "Bucket")]
    addressing: Addressing,
    /// Certificates that are trusted instead of the system's, in PEM [store.ca].
    #[arg(long, value_name = "FILE", help_heading = "Bucket")]
    ca: Option<PathBuf>,
    /// File with aws_access_key_id and aws_secret_access_key, not readable by others
    /// [store.credentials].
    #[arg(long, value_name = "FILE", help_heading = "Bucket")]
    credentials: Option<PathBuf>,
    /// How objects are encrypted [store.encryption].
    #[arg(long, value_enum, default_value_t = Encrypted::Bucket, help_heading = "Bucket")]
    encryption: Encrypted,
    /// The key's id, with sse-kms [store.kms_key].
    #[arg(
        long,
        value_name = "ID",
        required_if_eq("encryption", "sse-kms"),
        help_heading = "Bucket"
    )]
    kms_key: Option<String>,
    /// Sent along with objects [store.checksum].
    #[arg(long, value_enum, default_value_t = Checked::None, help_heading = "Bucket")]
    checksum: Checked,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Addressing {
    Path,
    Virtual,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Encrypted {
    Bucket,
    SseS3,
    SseKms,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Checked {
    None,
    Sha256,
    Crc64nvme,
}

pub(crate) fn run(command: StoreCommand) -> Result<()> {
    match command {
        StoreCommand::Probe(args) => run_probe(&args),
    }
}

impl ProbeArgs {
    fn options(&self) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            virtual_hosted: self.addressing == Addressing::Virtual,
            ca: self.ca.clone(),
            credentials: self.credentials.clone(),
            encryption: match self.encryption {
                Encrypted::Bucket => Encryption::BucketDefault,
                Encrypted::SseS3 => Encryption::SseS3,
                Encrypted::SseKms => {
                    Encryption::SseKms { key: self.kms_key.clone().unwrap_or_default() }
                }
            },
            checksum: match self.checksum {
                Checked::None => Checksum::None,
                Checked::Sha256 => Checksum::Sha256,
                Checked::Crc64nvme => Checksum::Crc64Nvme,
            },
        }
    }
}

fn run_probe(args: &ProbeArgs) -> Result<()> {
    let not_asked = |why: String| {
        CliError::failed(format!("the store {} cannot be asked", args.url), why)
            .try_next("check the URL, --endpoint, --credentials and --ca")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| not_asked(error.to_string()))?;
    // A directory that no other probe has.
    let id = RandomState::new().build_hasher().finish();
    let options = args.options();
    let asked = probe(&args.url, &options, id, || now_ms() / 1_000);
    let report = runtime.block_on(asked).map_err(|error| not_asked(error.to_string()))?;
    answer(&args.url, &report).print(args.shown.format)?;
    if report.is_usable() {
        return Ok(());
    }
    Err(CliError::new(Kind::Unhealthy, format!("the store {} is {}", args.url, report.verdict()))
        .why("Holdfast needs what is marked missing above")
        .try_next("change the store or its settings, then probe again"))
}

fn answer(url: &str, report: &Report) -> Answer {
    let mut table = Table::new(&["CHECK", "VERDICT", "FOUND"]);
    let mut findings = Vec::new();
    for finding in &report.findings {
        let verdict = finding.standing.text();
        table.row([finding.name.to_owned(), verdict.to_owned(), finding.found.clone()]);
        findings.push(json!({"check": finding.name, "verdict": verdict, "found": finding.found}));
    }
    let value: Value = json!({
        "store": url, "server": report.server, "usable": report.is_usable(),
        "verdict": report.verdict(), "checks": findings,
    });
    let bad = report.findings.iter().filter(|finding| finding.standing != Standing::Good);
    let names = bad.map(|finding| finding.name.to_owned()).collect::<Vec<_>>();
    let server = report.server.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Answer::new(value)
        .line(format!("{url}{server}: {}", report.verdict()))
        .table(table)
        .names(names)
}
