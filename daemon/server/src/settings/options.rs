//! Settings as values: parsed, and checked together.

use super::declared::{DECLARED, Kind};
use super::effective::{Effective, Held};
use super::size::{DURATION_EXAMPLE, SIZE_EXAMPLE, parse_duration_ms, parse_size, shown, shown_ms};
use super::{Source, kafka};
use crate::report::{Code, Report};
use holdfast_batch::Depth;
use holdfast_broker::Endpoint;
use holdfast_io::WalBackend;
use holdfast_lane::StoreConfig;
use holdfast_metadata::broker_config;
use holdfast_tier::store::{Bucket, Checksum, Encryption, Endpoint as StoreEndpoint, S3Options};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// To the journal when systemd started us, else as text.
    Auto,
    /// One line of text to stderr.
    Text,
    /// One JSON object a line to stderr.
    Json,
    /// To the journal, with fields.
    Journal,
}

/// The listener for metrics and health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admin {
    /// Loopback, unless the operator allowed another.
    pub address: SocketAddr,
    /// Nobody asked for this very address: under `dev` a taken port is no reason not to start.
    pub is_default: bool,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// A node of its own for development.
    pub dev: bool,
    /// Where the node keeps everything.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What clients are told. Its port is 0 if it follows the port the kernel gives us.
    pub advertised: Endpoint,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// How it is written.
    pub wal_backend: WalBackend,
    /// The object store; `None` without one.
    pub store_url: Option<String>,
    /// When things go there, and when what was deleted goes.
    pub history: StoreConfig,
    /// How it is spoken to; its credentials as they were named.
    pub store: S3Options,
    /// Bytes of its blocks kept in memory.
    pub store_cache_bytes: u64,
    /// `store.scrub.interval`.
    pub scrub_every: Duration,
    /// Payload bytes kept in memory.
    pub tail_cache_bytes: u64,
    /// Bytes of requests in flight.
    pub in_flight_bytes: usize,
    /// Reads from the device at once.
    pub cold_reads_at_once: usize,
    /// How deep compressed batches are checked.
    pub validation_depth: Depth,
    /// Metrics and health; `None` when switched off.
    pub admin: Option<Admin>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which are.
    pub log_filter: String,
    /// How long a stop waits for connections.
    pub drain_limit: Duration,
    /// Kafka's settings, as set in the node's own configuration.
    pub kafka: BTreeMap<String, String>,
}

impl Options {
    /// Parses and checks everything.
    ///
    /// # Errors
    /// One report for the first thing that is wrong.
    pub fn of(effective: &Effective, warnings: &mut Vec<String>) -> Result<Options, Report> {
        let read = Reader { effective };
        let dev = read.flag("dev")?;
        if dev && effective.own("data.directory").source == Source::Default {
            return Err(Report::new(
                Code::Usage,
                "a development node needs a directory of its own",
                "dev is on and nobody named one; the default is the service's",
                "pass --data-dir DIRECTORY",
            ));
        }
        let listen = read.address("listener.address")?;
        let advertised = read.advertised(listen)?;
        let kafka = effective.kafka();
        let kafka = kafka.map(|(name, held)| (name.to_owned(), held.text.clone())).collect();
        for (name, held) in effective.kafka() {
            if let Some(remark) = broker_config(name).and_then(kafka::remark) {
                warnings.push(format!("{remark} ({})", held.source));
            }
        }
        Ok(Options {
            dev,
            data_dir: PathBuf::from(&read.held("data.directory").text),
            listen,
            advertised,
            wal_bytes: read.size("wal.size")?,
            wal_backend: read.backend()?,
            store_url: read.store_url("store.url")?,
            history: read.history(dev)?,
            store: read.store()?,
            store_cache_bytes: read.size("store.cache")?,
            scrub_every: Duration::from_millis(read.duration_ms("store.scrub.interval")?),
            tail_cache_bytes: read.size("memory.tail_cache")?,
            in_flight_bytes: usize::try_from(read.size("memory.in_flight")?).unwrap_or(usize::MAX),
            cold_reads_at_once: usize::try_from(read.whole("read.at_once")?).unwrap_or(usize::MAX),
            validation_depth: match read.word("produce.validation")? {
                "header" => Depth::Header,
                _ => Depth::Records,
            },
            admin: read.admin()?,
            log_format: match read.word("log.format")? {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                "journal" => LogFormat::Journal,
                _ => LogFormat::Auto,
            },
            log_filter: read.filter("log.level")?,
            drain_limit: Duration::from_millis(read.duration_ms("stop.drain")?),
            kafka,
        })
    }
}

struct Reader<'a> {
    effective: &'a Effective,
}

impl<'a> Reader<'a> {
    fn held(&self, key: &str) -> &'a Held {
        self.effective.own(key)
    }

    fn wrong(&self, key: &str, why: impl Into<String>, try_next: impl Into<String>) -> Report {
        let held = self.held(key);
        // A flag is wrong usage of a command, a file is a wrong configuration.
        let code = match held.source {
            Source::Flag(_) => Code::Usage,
            _ => Code::SettingInvalid,
        };
        let what = format!("{key} cannot be {:?} ({})", held.text, held.source);
        Report::new(code, what, why, try_next)
    }

    fn flag(&self, key: &str) -> Result<bool, Report> {
        match self.held(key).text.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong(key, "it is a flag", "give true or false")),
        }
    }

    fn word(&self, key: &str) -> Result<&'a str, Report> {
        let text = self.held(key).text.as_str();
        let Kind::Word(words) = kind(key) else { unreachable!("{key} is declared as words") };
        if words.contains(&text) {
            return Ok(text);
        }
        let why = match super::nearest::nearest(text, words.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "nothing has that name".to_owned(),
        };
        Err(self.wrong(key, why, format!("give one of {}", words.join(", "))))
    }

    fn size(&self, key: &str) -> Result<u64, Report> {
        let Kind::Size { min_bytes } = kind(key) else { unreachable!("{key} is a size") };
        match parse_size(&self.held(key).text) {
            None => Err(self.wrong(
                key,
                "a size is a whole number and a unit",
                format!("give for example {SIZE_EXAMPLE}"),
            )),
            Some(bytes) if bytes < min_bytes => Err(self.wrong(
                key,
                "it is too small to work",
                format!("give {} or more", shown(min_bytes)),
            )),
            Some(bytes) => Ok(bytes),
        }
    }

    fn whole(&self, key: &str) -> Result<u64, Report> {
        let Kind::Whole { min, max } = kind(key) else { unreachable!("{key} is a whole number") };
        match self.held(key).text.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.wrong(
                key,
                "it is a whole number within bounds",
                format!("give a number from {min} to {max}"),
            )),
        }
    }

    fn duration_ms(&self, key: &str) -> Result<u64, Report> {
        let Kind::Duration { min_ms, max_ms } = kind(key) else { unreachable!("{key} is a time") };
        match parse_duration_ms(&self.held(key).text) {
            Some(ms) if (min_ms..=max_ms).contains(&ms) => Ok(ms),
            Some(_) => Err(self.wrong(
                key,
                "it is out of bounds",
                format!("give {} to {}", shown_ms(min_ms), shown_ms(max_ms)),
            )),
            None => Err(self.wrong(
                key,
                "a time is a whole number and a unit",
                format!("give for example {DURATION_EXAMPLE}"),
            )),
        }
    }

    fn filter(&self, key: &str) -> Result<String, Report> {
        let text = &self.held(key).text;
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Ok(text.clone()),
            Err(error) => Err(self.wrong(
                key,
                error.to_string(),
                "give error, warn, info, debug or trace, or a list such as \
                 info,holdfast_lane=debug",
            )),
        }
    }

    fn history(&self, dev: bool) -> Result<StoreConfig, Report> {
        let usual = if dev { StoreConfig::DEV } else { StoreConfig::SOLE_VOTER };
        let object_age_ms = self.duration_ms("store.object_age")?;
        let deletion_delay_ms = self.duration_ms("deletion.max.delay")?;
        let history = StoreConfig {
            object_age_ns: object_age_ms * 1_000_000,
            deletion_delay_ms: i64::try_from(deletion_delay_ms).unwrap_or(i64::MAX),
            ..usual
        };
        // What is to be erased from the log has to be in objects first.
        let min_ms = history.deletion_delay_ms_min().unsigned_abs().max(4 * object_age_ms);
        if deletion_delay_ms < min_ms {
            let why =
                "records have to reach their objects, and readers to leave them, in a part of it";
            let try_next = format!("give {} or more", shown_ms(min_ms));
            return Err(self.wrong("deletion.max.delay", why, try_next));
        }
        Ok(history)
    }

    fn store_url(&self, key: &str) -> Result<Option<String>, Report> {
        let url = &self.held(key).text;
        if url.is_empty() || url.starts_with("file:///") {
            return Ok((!url.is_empty()).then(|| url.clone()));
        }
        let why = match Bucket::parse(url) {
            Ok(_) => return Ok(Some(url.clone())),
            Err(why) if url.starts_with("s3://") => why,
            Err(_) => "a store is a bucket or a directory".to_owned(),
        };
        Err(self.wrong(
            key,
            why,
            "give s3://bucket/prefix, or file:///absolute/directory such as \
             file:///srv/holdfast/objects",
        ))
    }

    fn store(&self) -> Result<S3Options, Report> {
        let endpoint = match self.held("store.endpoint").text.as_str() {
            "" => None,
            text => Some(StoreEndpoint::parse(text).map_err(|why| {
                self.wrong("store.endpoint", why, "give for example https://s3.example.net:9000")
            })?),
        };
        let key = self.held("store.kms_key").text.clone();
        let encryption = match (self.word("store.encryption")?, key.is_empty()) {
            ("sse-kms", false) => Encryption::SseKms { key },
            ("sse-kms", true) => {
                let why = "sse-kms needs the id of a key";
                return Err(self.wrong("store.encryption", why, "set store.kms_key as well"));
            }
            (word, false) => {
                let why = format!("store.encryption is {word}, which has no use for a key");
                let try_next = "set store.encryption = \"sse-kms\", or leave store.kms_key out";
                return Err(self.wrong("store.kms_key", why, try_next));
            }
            ("sse-s3", true) => Encryption::SseS3,
            (_, true) => Encryption::BucketDefault,
        };
        let ca = PathBuf::from(&self.held("store.ca").text);
        if !ca.as_os_str().is_empty() && !ca.is_absolute() {
            let try_next = "give the absolute path of a file in PEM";
            return Err(self.wrong("store.ca", "it is no absolute path", try_next));
        }
        let credentials = PathBuf::from(&self.held("store.credentials").text);
        if !credentials.is_absolute() && credentials.components().count() != 1 {
            return Err(self.wrong(
                "store.credentials",
                "it is neither an absolute path nor a plain name",
                "give the absolute path of a file, or the name of a systemd credential",
            ));
        }
        Ok(S3Options {
            endpoint,
            region: self.held("store.region").text.clone(),
            virtual_hosted: self.word("store.addressing")? == "virtual",
            ca: (!ca.as_os_str().is_empty()).then_some(ca),
            credentials: Some(credentials),
            encryption,
            checksum: match self.word("store.checksum")? {
                "sha256" => Checksum::Sha256,
                "crc64nvme" => Checksum::Crc64Nvme,
                _ => Checksum::None,
            },
        })
    }

    fn backend(&self) -> Result<WalBackend, Report> {
        self.word("wal.backend")?.parse().map_err(|why: String| {
            self.wrong("wal.backend", why, "give auto, io_uring or pwritev2")
        })
    }

    fn address(&self, key: &str) -> Result<SocketAddr, Report> {
        let text = &self.held(key).text;
        let resolved = text.to_socket_addrs().map(|mut addresses| {
            // `localhost` may give ::1 first, where few clients look: take IPv4 if there is one.
            let first = addresses.next();
            let other = addresses.find(SocketAddr::is_ipv4);
            other.filter(|_| first.is_some_and(|address| address.is_ipv6())).or(first)
        });
        let try_next = "give ADDRESS:PORT, such as 127.0.0.1:9092 or 0.0.0.0:9092";
        match resolved {
            Ok(Some(address)) => Ok(address),
            Ok(None) => Err(self.wrong(key, "the name resolves to nothing", try_next)),
            Err(error) => Err(self.wrong(key, error.to_string(), try_next)),
        }
    }

    fn advertised(&self, listen: SocketAddr) -> Result<Endpoint, Report> {
        let text = self.held("listener.advertise").text.as_str();
        let advertised = match text {
            "" => Endpoint { host: listen.ip().to_string(), port: listen.port() },
            _ => {
                let (host, port) = match text.rsplit_once(':') {
                    Some((host, port)) => (host, port.parse().ok()),
                    None => (text, Some(listen.port())),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let port = port.ok_or_else(|| {
                    self.cannot_advertise(
                        "what follows the last colon is no port number",
                        "give HOST:PORT, as clients reach this node",
                    )
                })?;
                // Clients may try ::1 first, where nobody listens.
                let is_v4_only = host.eq_ignore_ascii_case("localhost") && listen.is_ipv4();
                let host = if is_v4_only { "127.0.0.1".to_owned() } else { host };
                Endpoint { host, port }
            }
        };
        self.refuse_unreachable(&advertised, text.is_empty())?;
        Ok(advertised)
    }

    fn cannot_advertise(&self, why: impl Into<String>, try_next: &str) -> Report {
        let held = self.held("listener.advertise");
        let held = if held.text.is_empty() { self.held("listener.address") } else { held };
        let what = format!("cannot advertise {:?} to clients ({})", held.text, held.source);
        Report::new(Code::CannotAdvertise, what, why, try_next)
    }

    /// Clients connect to what Metadata tells them; a wildcard leads them to themselves.
    fn refuse_unreachable(&self, advertised: &Endpoint, implied: bool) -> Result<(), Report> {
        let host = advertised.host.as_str();
        if host.is_empty() || matches!(host, "0.0.0.0" | "::" | "*") {
            let why = if implied {
                "the listening address is a wildcard, and clients cannot connect to a wildcard"
            } else {
                "clients connect to the advertised address, and this one means \"every address\""
            };
            return Err(self.cannot_advertise(
                why,
                "pass --advertise HOST:PORT (listener.advertise) with a name or address that \
                 clients reach",
            ));
        }
        if host.parse::<IpAddr>().is_err()
            && let Err(error) = (host, advertised.port.max(1)).to_socket_addrs()
        {
            return Err(self.cannot_advertise(
                format!("the name does not resolve on this machine: {error}"),
                "fix the name in DNS or /etc/hosts, or advertise an address",
            ));
        }
        Ok(())
    }

    fn admin(&self) -> Result<Option<Admin>, Report> {
        let key = "admin.address";
        let held = self.held(key);
        if held.text == "off" {
            return Ok(None);
        }
        let address = self.address(key)?;
        let allowed = self.flag("admin.allow_remote")?;
        if !address.ip().is_loopback() && !allowed {
            return Err(Report::new(
                Code::AdminRefused,
                format!("{key} cannot be {:?} ({})", held.text, held.source),
                "metrics and health are served without authentication, and that address is not \
                 this machine's own",
                "give a loopback address such as 127.0.0.1:9644, or set admin.allow_remote = true \
                 where a firewall or a proxy stands before the port",
            ));
        }
        Ok(Some(Admin { address, is_default: held.source == Source::Default }))
    }
}

fn kind(key: &str) -> Kind {
    let declared = DECLARED.iter().find(|declared| declared.key == key);
    declared.expect("keys are literals of the table").kind
}
