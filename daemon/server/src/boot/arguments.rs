//! Step 1: what the command line says, checked as a whole before anything is touched.

use crate::report::{Code, Report};
use clap::Parser;
use holdfast_broker::Endpoint;
use holdfast_io::WalBackend;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

const GIB: u64 = 1 << 30;
/// Write-ahead log of a server, and of a node started with `--dev`.
const WAL_BYTES_DEFAULT: u64 = 8 * GIB;
const WAL_BYTES_DEV: u64 = 2 * GIB;
/// Sixteen segments of 1 MiB: below this the smallest segments no longer fit four times.
const WAL_BYTES_MIN: u64 = 16 << 20;

/// A Kafka-compatible streaming node.
#[derive(Parser, Clone, Debug)]
#[command(name = "holdfastd", version, about)]
pub struct Arguments {
    /// A node of its own for development: smaller log and cache.
    #[arg(long)]
    pub dev: bool,
    /// Where the node keeps everything; created if it is not there.
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: PathBuf,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9092")]
    pub listen: String,
    /// Address and port that clients are told; the listening address unless that is a wildcard.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Size of the write-ahead log, e.g. 512MiB, 8GiB [default: 8GiB, with --dev 2GiB].
    #[arg(long, value_name = "SIZE")]
    pub wal_size: Option<String>,
    /// How the write-ahead log is written: auto, io_uring or pwritev2.
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    pub wal_backend: String,
}

/// Checked arguments.
#[derive(Clone, Debug)]
pub struct Options {
    /// See [`Arguments::dev`].
    pub dev: bool,
    /// See [`Arguments::data_dir`].
    pub data_dir: PathBuf,
    /// Every address to listen on.
    pub listen: SocketAddr,
    /// What clients are told. Its port is 0 if it follows the port the kernel gives us.
    pub advertised: Endpoint,
    /// See [`Arguments::wal_size`].
    pub wal_bytes: u64,
    /// See [`Arguments::wal_backend`].
    pub wal_backend: WalBackend,
}

/// Checks `arguments`.
///
/// # Errors
/// One report for the first thing that is wrong.
pub fn check(arguments: Arguments) -> Result<Options, Report> {
    let listen = resolve(&arguments.listen)?;
    let advertised = match &arguments.advertise {
        Some(text) => parse_advertised(text, listen)?,
        None => Endpoint { host: listen.ip().to_string(), port: listen.port() },
    };
    refuse_unreachable(&advertised, arguments.advertise.is_some())?;
    let wal_bytes = match &arguments.wal_size {
        Some(text) => parse_size(text)?,
        None if arguments.dev => WAL_BYTES_DEV,
        None => WAL_BYTES_DEFAULT,
    };
    if wal_bytes < WAL_BYTES_MIN {
        return Err(usage(
            format!("--wal-size {wal_bytes} bytes is too small"),
            "the log is made of segments of at least 1 MiB, and needs 16 of them".to_owned(),
            "pass --wal-size 16MiB or more",
        ));
    }
    let wal_backend = arguments.wal_backend.parse().map_err(|why: String| {
        usage(
            format!("--wal-backend {} is not known", arguments.wal_backend),
            why,
            "pass auto, io_uring or pwritev2",
        )
    })?;
    let Arguments { dev, data_dir, .. } = arguments;
    Ok(Options { dev, data_dir, listen, advertised, wal_bytes, wal_backend })
}

fn usage(what: String, why: String, try_next: &str) -> Report {
    Report::new(Code::Usage, what, why, try_next)
}

fn resolve(text: &str) -> Result<SocketAddr, Report> {
    let resolved = text.to_socket_addrs().map(|mut addresses| {
        // `localhost` may give ::1 first, where few clients look: take IPv4 if there is one.
        let first = addresses.next();
        addresses.find(SocketAddr::is_ipv4).filter(|_| first.is_some_and(|a| a.is_ipv6())).or(first)
    });
    let try_next = "pass --listen ADDRESS:PORT, such as 127.0.0.1:9092 or 0.0.0.0:9092";
    match resolved {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(usage(
            format!("--listen {text} has no address"),
            "the name resolves to nothing".to_owned(),
            try_next,
        )),
        Err(error) => Err(usage(
            format!("--listen {text} is not an address and port"),
            error.to_string(),
            try_next,
        )),
    }
}

fn parse_advertised(text: &str, listen: SocketAddr) -> Result<Endpoint, Report> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(listen.port())),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match port {
        Some(port) => Ok(Endpoint { host, port }),
        None => Err(Report::new(
            Code::CannotAdvertise,
            format!("--advertise {text} is not a host and port"),
            "what follows the last colon is no port number",
            "pass --advertise HOST:PORT, as clients reach this node",
        )),
    }
}

/// Clients connect to what Metadata tells them; a wildcard leads them to themselves.
fn refuse_unreachable(advertised: &Endpoint, explicit: bool) -> Result<(), Report> {
    let host = advertised.host.as_str();
    if host.is_empty() || matches!(host, "0.0.0.0" | "::" | "*") {
        let why = if explicit {
            "clients connect to the advertised address, and this one means \"every address\""
        } else {
            "the listening address is a wildcard, and clients cannot connect to a wildcard"
        };
        return Err(Report::new(
            Code::CannotAdvertise,
            format!("cannot advertise \"{host}\" to clients"),
            why,
            "pass --advertise HOST:PORT with a name or address that clients reach",
        ));
    }
    if host.parse::<std::net::IpAddr>().is_err() {
        let port = advertised.port.max(1);
        if let Err(error) = (host, port).to_socket_addrs() {
            return Err(Report::new(
                Code::CannotAdvertise,
                format!("cannot advertise {host} to clients"),
                format!("the name does not resolve on this machine: {error}"),
                "fix the name in DNS or /etc/hosts, or advertise an address",
            ));
        }
    }
    Ok(())
}

fn parse_size(text: &str) -> Result<u64, Report> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let bytes =
        number.parse::<u64>().ok().zip(factor).and_then(|(n, factor)| n.checked_mul(factor));
    bytes.ok_or_else(|| {
        usage(
            format!("--wal-size {text} is not a size"),
            "a size is a whole number and a unit".to_owned(),
            "pass for example 512MiB or 8GiB (MB and GB are powers of ten)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(more: &[&str]) -> Arguments {
        let fixed = ["holdfastd", "--data-dir", "/tmp/x"];
        Arguments::try_parse_from(fixed.iter().chain(more)).expect("parses")
    }

    fn code(more: &[&str]) -> Option<Code> {
        check(arguments(more)).err().map(|report| report.code)
    }

    #[test]
    fn a_wildcard_is_never_advertised() {
        assert_eq!(code(&["--listen", "0.0.0.0:9092"]), Some(Code::CannotAdvertise));
        assert_eq!(code(&["--listen", "[::]:9092"]), Some(Code::CannotAdvertise));
        let both = ["--listen", "0.0.0.0:9092", "--advertise", "192.0.2.7:19092"];
        let options = check(arguments(&both)).expect("reachable");
        assert_eq!(options.advertised, Endpoint { host: "192.0.2.7".to_owned(), port: 19092 });
        assert_eq!(
            code(&["--listen", "0.0.0.0:9092", "--advertise", ":9092"]),
            Some(Code::CannotAdvertise)
        );
        assert_eq!(code(&["--advertise", "0.0.0.0:9092"]), Some(Code::CannotAdvertise));
    }

    #[test]
    fn sizes_have_units() {
        let wal = |size: &str| check(arguments(&["--wal-size", size])).map(|o| o.wal_bytes).ok();
        assert_eq!(wal("512MiB"), Some(512 << 20));
        assert_eq!(wal("1g"), Some(1 << 30));
        assert_eq!(wal("20MB"), Some(20_000_000));
        assert_eq!(wal("16777216"), Some(16 << 20));
        for bad in ["", "x", "1.5GiB", "-1", "99999999999999999999", "12QiB", "1MiB"] {
            assert_eq!(code(&[&format!("--wal-size={bad}")]), Some(Code::Usage), "{bad}");
        }
    }

    #[test]
    fn dev_makes_a_smaller_log() {
        assert_eq!(check(arguments(&[])).expect("fine").wal_bytes, 8 * GIB);
        assert_eq!(check(arguments(&["--dev"])).expect("fine").wal_bytes, 2 * GIB);
    }

    #[test]
    fn an_unknown_backend_is_refused_with_the_known_ones() {
        let report = check(arguments(&["--wal-backend", "aio"])).expect_err("unknown");
        assert_eq!(report.code, Code::Usage);
        assert!(report.try_next.contains("pwritev2"));
    }
}
