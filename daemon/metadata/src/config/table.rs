//! What the declaration of a setting says.
//!
//! ```text
//! "name": Type = default, valid values, update mode, effect, [from [synonyms],] "sentence";
//! ```

/// Kafka's types, by their numbers in DescribeConfigs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Words, comma-separated.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

/// Which values a setting takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ValidValues {
    /// Any text.
    Any,
    /// Any text but none at all.
    NonEmpty,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// Some of these words, comma-separated, each once.
    SomeOf(&'static [&'static str]),
    /// A whole number, bounds included.
    Integer(i64, i64),
    /// A whole number, bounds included, or -1 for the codec's own default.
    IntegerOrMinusOne(i64, i64),
    /// A number between 0 and 1.
    Fraction,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Empty, `*`, or `partition:node` pairs, comma-separated.
    ThrottledReplicas,
    /// `earliest`, `latest` or `by_duration:` and an ISO 8601 duration.
    OffsetReset,
}

/// Whether a setting can be changed while nodes run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateMode {
    /// A topic's or a group's own: always.
    Own,
    /// Only in the node's static configuration.
    ReadOnly,
    /// For one node.
    PerBroker,
    /// For all nodes, or for one.
    ClusterWide,
}

/// What setting it does here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Meant to be used when a batch is decided, by whoever leads the partition.
    AtProduce,
    /// The default of topics that do not set theirs; has the effect it has there.
    TopicDefault,
    /// Read through [`crate::BrokerSettings`] by the part it steers.
    Used,
    /// Shows what the node runs with; changed in the node's own configuration.
    Shown,
    /// Stored and shown; will have Kafka's meaning once the part it steers exists.
    Later,
    /// Stored and shown; the design makes it meaningless, for this reason.
    Never(&'static str),
}

/// The declaration of a setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Setting {
    /// Kafka's name.
    pub name: &'static str,
    /// Kafka's type.
    pub kind: ConfigType,
    /// What holds when it is not set; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// What it may be set to.
    pub valid: ValidValues,
    /// Whether it can be changed while nodes run.
    pub update: UpdateMode,
    /// What that does.
    pub effect: Effect,
    /// Settings of nodes that give the default, the first that is set wins. A node's own setting
    /// names itself first, where it has others beside it.
    pub synonyms: &'static [&'static str],
    /// One sentence on what it means in Kafka.
    pub documentation: &'static str,
}

impl Setting {
    /// Whether its value is never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }

    pub(super) fn full_documentation(&self, effect: Effect) -> String {
        let sentence = self.documentation;
        match effect {
            Effect::AtProduce | Effect::Used | Effect::TopicDefault => sentence.to_owned(),
            Effect::Shown => format!("{sentence} Set in the node's own configuration."),
            Effect::Later => {
                format!(
                    "{sentence} Without effect here as yet, because that part is still to come."
                )
            }
            Effect::Never(reason) => {
                format!("{sentence} Without effect here, because {reason}.")
            }
        }
    }
}

macro_rules! settings {
    (
        $(#[$meta:meta])* $visibility:vis $table:ident;
        $($name:literal: $kind:ident = $default:expr, $valid:expr, $update:ident, $effect:expr,
            $(from $synonyms:expr,)? $documentation:literal;)*
    ) => {
        $(#[$meta])*
        $visibility const $table: &[$crate::config::table::Setting] =
            &[$($crate::config::table::Setting {
                name: $name,
                kind: $crate::config::table::ConfigType::$kind,
                default: $default,
                valid: $valid,
                update: $crate::config::table::UpdateMode::$update,
                effect: $effect,
                synonyms: settings!(@synonyms $($synonyms)?),
                documentation: $documentation,
            }),*];
    };
    (@synonyms) => { &[] };
    (@synonyms $synonyms:expr) => { &$synonyms };
}

pub(super) const I16: i64 = i16::MAX as i64;
pub(super) const I32: i64 = i32::MAX as i64;
pub(super) const I64: i64 = i64::MAX;
pub(super) const I64_TEXT: Option<&str> = Some("9223372036854775807");

/// Whole numbers without further bounds.
pub(super) const ANY_SHORT: ValidValues = ValidValues::Integer(i16::MIN as i64, I16);
pub(super) const ANY_INT: ValidValues = ValidValues::Integer(i32::MIN as i64, I32);
pub(super) const ANY_LONG: ValidValues = ValidValues::Integer(i64::MIN, I64);

pub(super) const CODECS: &[&str] = &["gzip", "lz4", "producer", "snappy", "uncompressed", "zstd"];
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];

/// Reasons given in several files.
pub(super) const FLUSHED: Effect = Effect::Never("every acknowledged record is flushed already");
pub(super) const NO_INDEX_FILES: Effect = Effect::Never("there are no segment and index files");
pub(super) const NO_THROTTLE: Effect = Effect::Never("replication is not throttled by partition");
pub(super) const ALWAYS_UPLOADED: Effect =
    Effect::Never("history is always kept in the object store");
pub(super) const FORCED_RECOVERY: Effect =
    Effect::Never("a shard is recovered by force only by `holdfast cluster recover`");
pub(super) const NO_INTERNAL_TOPICS: Effect =
    Effect::Never("coordinators keep their state in shards, not in internal topics");
pub(super) const NO_JAVA: Effect = Effect::Never("no Java code runs in a node");
pub(super) const NO_REPLICA_FETCHERS: Effect =
    Effect::Never("replicas follow by the log of their shard and fetch nothing");
pub(super) const NO_CONTROLLER: Effect =
    Effect::Never("the metadata shard takes the place of a controller quorum");
pub(super) const NO_PURGATORY: Effect =
    Effect::Never("waiting requests are dropped the moment they are answered");
pub(super) const OWN_THREADS: Effect =
    Effect::Never("the number of threads follows from the cores");
