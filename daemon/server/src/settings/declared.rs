//! The node's own settings, each declared once.
//!
//! ```text
//! "key": Kind, default [or default under dev], applies, since, "title", "what it does";
//! ```
//!
//! A title is a noun phrase; the sentence after it says what an operator has to know to choose a
//! value. Defaults are written as an operator would write them; a test parses every one.

use super::size::{GIB, MIB};
use holdfast_lane::StoreConfig;

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes with a unit, at least so many.
    Size {
        /// Smallest.
        min_bytes: u64,
    },
    /// A time with a unit, within bounds.
    Duration {
        /// Shortest.
        min_ms: u64,
        /// Longest.
        max_ms: u64,
    },
    /// A whole number within bounds.
    Whole {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// Address and port of this machine.
    Address,
    /// Host and port as others see them; may be empty.
    Endpoint,
    /// A directory.
    Directory,
    /// One of these.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A filter of log lines.
    Filter,
    /// Address and port, or `off`.
    AddressOrOff,
    /// Where objects go; may be empty.
    StoreUrl,
    /// A server of HTTP; may be empty.
    HttpUrl,
    /// A file; may be empty.
    File,
    /// A file, or a credential of systemd's.
    Secret,
    /// As it stands; may be empty.
    Text,
}

impl Kind {
    /// The unit, for the reference page.
    #[must_use]
    pub fn unit(self) -> String {
        match self {
            Kind::Size { min_bytes } => {
                format!(
                    "size with unit (KiB, MiB, GiB), at least {}",
                    super::size::shown(min_bytes)
                )
            }
            Kind::Duration { min_ms, max_ms } => format!(
                "time with unit (ms, s, min, h), {} to {}",
                super::size::shown_ms(min_ms),
                super::size::shown_ms(max_ms)
            ),
            Kind::Whole { min, max } => format!("whole number, {min} to {max}"),
            Kind::Address => "address:port".to_owned(),
            Kind::Endpoint => "host:port, or empty".to_owned(),
            Kind::Directory => "directory".to_owned(),
            Kind::Word(words) => format!("one of {}", words.join(", ")),
            Kind::Flag => "true or false".to_owned(),
            Kind::Filter => "error, warn, info, debug or trace, or a list such as \
                             info,holdfast_lane=debug"
                .to_owned(),
            Kind::AddressOrOff => "address:port, or off".to_owned(),
            Kind::StoreUrl => "s3://bucket/prefix, file:///absolute/directory, or empty".to_owned(),
            Kind::HttpUrl => "https://host:port, http://host:port, or empty".to_owned(),
            Kind::File => "absolute path of a file, or empty".to_owned(),
            Kind::Secret => {
                "absolute path of a file, or the name of a systemd credential".to_owned()
            }
            Kind::Text => "text, or empty".to_owned(),
        }
    }
}

/// When a changed value takes hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applies {
    /// At the next start.
    Start,
    /// At the next SIGHUP.
    Reload,
}

impl Applies {
    /// For pages and messages.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Applies::Start => "restart",
            Applies::Reload => "reload (SIGHUP)",
        }
    }
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Dotted path in the file.
    pub key: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// What holds when nobody sets it.
    pub default: &'static str,
    /// The same when `dev` is on, where that differs.
    pub dev_default: Option<&'static str>,
    /// When a change takes hold.
    pub applies: Applies,
    /// The first version that knew it.
    pub since: &'static str,
    /// What an operator has to know to choose a value.
    pub text: &'static str,
}

impl Declared {
    /// Its name in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("HOLDFAST_{}", self.key.to_ascii_uppercase().replace('.', "_"))
    }
}

macro_rules! declared {
    ($($key:literal: $kind:expr, $default:literal $(or $dev:literal under dev)?, $applies:ident,
        since $since:literal, $title:literal, $text:literal;)*) => {
        /// All of them, by table in the order of the sample file.
        pub const DECLARED: &[Declared] = &[$(Declared {
            key: $key,
            title: $title,
            kind: $kind,
            default: $default,
            dev_default: declared!(@dev $($dev)?),
            applies: Applies::$applies,
            since: $since,
            text: $text,
        }),*];
    };
    (@dev) => { None };
    (@dev $dev:literal) => { Some($dev) };
}

/// Sixteen segments of 1 MiB: below this the smallest segments no longer fit four times.
const WAL_BYTES_MIN: u64 = 16 * MIB;
/// A request of the largest size must fit whole, or it could never be taken.
const IN_FLIGHT_BYTES_MIN: u64 = 128 * MIB;
/// One entry's payload has to fit several times.
const TAIL_CACHE_BYTES_MIN: u64 = 16 * MIB;
/// Two blocks of ordinary size, and a footer.
const STORE_CACHE_BYTES_MIN: u64 = MIB;
/// Below this objects are hardly larger than requests.
const OBJECT_AGE_MS_MIN: u64 = 1_000;
/// A log is trimmed behind what is in objects: it would fill up first.
const OBJECT_AGE_MS_MAX: u64 = 60 * 60 * 1_000;
/// Under `dev`; a node in service needs time for readers to leave.
const DELETION_DELAY_MS_MIN: u64 = StoreConfig::DEV.deletion_delay_ms_min() as u64;
/// A month: longer is no deletion.
const DELETION_DELAY_MS_MAX: u64 = 31 * 24 * 60 * 60 * 1_000;
/// Shorter, a store would be read all the time.
const SCRUB_MS_MIN: u64 = 1_000;
/// What turns over in a year is found too late.
const SCRUB_MS_MAX: u64 = 365 * 24 * 3_600 * 1_000;
/// Longer than any service manager waits.
const DRAIN_MS_MAX: u64 = 10 * 60 * 1_000;

const _: () = assert!(IN_FLIGHT_BYTES_MIN > holdfast_protocol::MAX_REQUEST_BYTES as u64);
const _: () = assert!(WAL_BYTES_MIN < GIB);

declared! {
    "dev": Kind::Flag, "false", Start, since "0.1",
        "A node of one's own for development",
        "Smaller log and cache, consumers do not wait for more consumers, and a taken admin port is \
         a warning. As a flag it also keeps /etc/holdfast/holdfast.toml from being read.";
    "data.directory": Kind::Directory, "/var/lib/holdfast", Start, since "0.1",
        "Where the node keeps everything",
        "Made if it is not there. Put it on a local NVMe file system (xfs or ext4) of its own.";
    "listener.address": Kind::Address, "127.0.0.1:9092", Start, since "0.1",
        "Where clients connect",
        "0.0.0.0:9092 listens on every address; then listener.advertise must be set.";
    "listener.advertise": Kind::Endpoint, "", Start, since "0.1",
        "What clients are told to connect to",
        "Empty is the listening address. Must be a name or address that clients reach; a wildcard \
         is refused.";
    "wal.size": Kind::Size { min_bytes: WAL_BYTES_MIN }, "8GiB" or "2GiB" under dev, Start,
        since "0.1",
        "Size of the write-ahead log",
        "Filled with zeros when it is made. A log can grow, its segments keep their size.";
    "wal.backend": Kind::Word(&["auto", "io_uring", "pwritev2"]), "auto", Start, since "0.1",
        "How the write-ahead log is written",
        "auto takes io_uring where the kernel lets it, else pwritev2.";
    "store.url": Kind::StoreUrl, "", Start, since "0.1",
        "Where history is kept",
        "The site's object store. With it the write-ahead log holds only what is not there yet, and \
         topics may be far larger than wal.size; without it the log is all there is. A cluster stays \
         with its store: without it, records that have left the log cannot be read. Look at a store \
         with `holdfast store probe` first.";
    "store.endpoint": Kind::HttpUrl, "", Start, since "0.1",
        "Where the store listens",
        "For s3:// URLs. Empty is Amazon's for the region. Behind http:// everything can be read and \
         changed on the way; objects carry checksums, so a change is found, not prevented.";
    "store.region": Kind::Text, "us-east-1", Start, since "0.1",
        "The region that requests are signed for",
        "Most stores of one's own take any.";
    "store.addressing": Kind::Word(&["path", "virtual"]), "path", Start, since "0.1",
        "Where the bucket stands in a request",
        "path puts it behind the host, as stores of one's own expect; virtual puts it before the \
         host's name, which must then resolve.";
    "store.ca": Kind::File, "", Start, since "0.1",
        "Certificates of the authority that signed the store's own, in PEM",
        "They are trusted instead of the system's. Empty is the system's.";
    "store.credentials": Kind::Secret, "store-credentials", Start, since "0.1",
        "The file with the store's access key",
        "Two lines, aws_access_key_id = … and aws_secret_access_key = …, as Amazon's tools write them; \
         not readable by others. A plain name is a credential that systemd hands over \
         (LoadCredential=store-credentials:/etc/holdfast/store-credentials in a drop-in). Read again \
         when it changes. Keys are taken from nowhere else.";
    "store.encryption": Kind::Word(&["bucket", "sse-s3", "sse-kms"]), "bucket", Start, since "0.1",
        "How the store encrypts objects at rest",
        "bucket asks for nothing, so the bucket's own default holds; sse-s3 asks for keys of the \
         store's; sse-kms for the key store.kms_key.";
    "store.kms_key": Kind::Text, "", Start, since "0.1",
        "The id of the key that objects are encrypted with",
        "Only with sse-kms, and then needed.";
    "store.checksum": Kind::Word(&["none", "sha256", "crc64nvme"]), "none", Start, since "0.1",
        "The checksum that is sent along with objects",
        "Every request is signed with the SHA-256 of its body already. This one is also kept with the \
         object by stores that know it; others refuse or ignore it, as `holdfast store probe` shows.";
    "store.cache": Kind::Size { min_bytes: STORE_CACHE_BYTES_MIN }, "64MiB" or "16MiB" under dev,
        Start, since "0.1",
        "Memory for blocks of the object store",
        "Consumers that read history one after the other are served from here. What is read once \
         does not drive out what is read often.";
    "store.object_age": Kind::Duration { min_ms: OBJECT_AGE_MS_MIN, max_ms: OBJECT_AGE_MS_MAX },
        "1min" or "5s" under dev, Start, since "0.1",
        "How long a record waits at most for its object",
        "Until then it is in the write-ahead logs alone. Objects of 64 MiB are cut sooner; longer makes \
         fewer and larger objects of a quiet cluster.";
    "deletion.max.delay": Kind::Duration { min_ms: DELETION_DELAY_MS_MIN, max_ms: DELETION_DELAY_MS_MAX },
        "1h" or "1min" under dev, Start, since "0.1",
        "When what was deleted is gone",
        "From topics, DeleteRecords and retention: by then its bytes are in no object and no file of \
         the write-ahead log, if the store can be reached. Objects that hold other records too are \
         written again, and the log is overwritten with zeros. A node that was down counts from its \
         start. Without a store what is deleted stays until the log's files are needed again. \
         `holdfast object inspect --residue` and `holdfast wal residue` show it.";
    "store.scrub.interval": Kind::Duration { min_ms: SCRUB_MS_MIN, max_ms: SCRUB_MS_MAX },
        "168h", Start, since "0.1",
        "How often every object, and every sealed segment of the log, is read whole",
        "What is wrong is found while the log may still have its records: such an object is made again \
         from there, any other is named with its records in /status. Read at 16 MiB/s at most.";
    "memory.tail_cache": Kind::Size { min_bytes: TAIL_CACHE_BYTES_MIN },
        "256MiB" or "64MiB" under dev, Start, since "0.1",
        "Memory for the newest records",
        "Consumers that keep up are served from here without a read from the device.";
    "memory.in_flight": Kind::Size { min_bytes: IN_FLIGHT_BYTES_MIN }, "256MiB", Start, since "0.1",
        "Memory for requests in flight, over all connections, and as much again for answers to Fetch",
        "A request that finds it used up waits, and its connection is closed after 10 s. A Fetch \
         that does so waits until clients that hardly read their answers are closed. Clients retry.";
    "read.at_once": Kind::Whole { min: 1, max: 256 }, "8", Start, since "0.1",
        "Reads from the device at once",
        "As many as keep an NVMe device busy without starving its writes.";
    "produce.validation": Kind::Word(&["records", "header"]), "records", Start, since "0.1",
        "How deep compressed batches are checked at produce",
        "records inflates them under limits, as Kafka does; header believes what they say below \
         the header and saves that processor time.";
    "admin.address": Kind::AddressOrOff, "127.0.0.1:9644", Start, since "0.1",
        "Where metrics and health are read",
        "Plain HTTP without authentication: /metrics, /healthz, /readyz, /status. An address that \
         is not loopback is refused unless admin.allow_remote says otherwise.";
    "admin.allow_remote": Kind::Flag, "false", Start, since "0.1",
        "Whether others than this machine may read metrics",
        "What is read there names topics and addresses; set it only where a firewall or a proxy \
         stands before the port.";
    "log.level": Kind::Filter, "info", Reload, since "0.1",
        "Which log lines are written",
        "HOLDFAST_LOG holds such a filter too.";
    "log.format": Kind::Word(&["auto", "text", "json", "journal"]), "auto", Reload, since "0.1",
        "How log lines are written",
        "auto sends them to the journal with their fields (TOPIC=, PARTITION=, SHARD=, CODE=) when \
         systemd started the node, and writes text to stderr otherwise.";
    "stop.drain": Kind::Duration { min_ms: 0, max_ms: DRAIN_MS_MAX }, "10s", Reload, since "0.1",
        "How long a stop waits for connections",
        "After SIGTERM what clients have sent is answered; long polls are cut after this time. Keep \
         TimeoutStopSec= of the unit well above it.";
}
