//! Which values are right, and what a client is told of wrong ones: what is valid, and for a
//! name nobody knows the one that was probably meant.

use std::collections::BTreeMap;

use super::effective::inherited_default;
use super::table::{Setting, ValidValues};
use super::{Table, broker_config, group_config, topic_config};
use crate::codec::cut;
use crate::image::Image;
use crate::refusal::{Reason, Refusal};

/// A value longer than this is refused: the longest sensible ones are lists of throttled replicas
/// and chains of certificates.
pub(crate) const VALUE_BYTES_MAX: usize = 8192;

/// What a client sent is repeated to it up to this many bytes, a topic name's length.
const SHOWN_BYTES_MAX: usize = 249;

/// Names further apart than this many edits are not near misses.
const EDITS_MAX: usize = 4;

impl ValidValues {
    /// Whether `value`, without the space around it, is one of them.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        let integer = |value: &str, min: i64, max: i64| {
            value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number))
        };
        match *self {
            ValidValues::Any => true,
            ValidValues::NonEmpty => !value.is_empty(),
            ValidValues::OneOf(words) => words.contains(&value),
            ValidValues::OneOfAnyCase(words) => {
                words.iter().any(|word| word.eq_ignore_ascii_case(value))
            }
            ValidValues::SomeOf(words) => {
                let chosen: Vec<&str> = value.split(',').map(str::trim).collect();
                value.is_empty()
                    || chosen.iter().enumerate().all(|(place, word)| {
                        words.contains(word) && !chosen[..place].contains(word)
                    })
            }
            ValidValues::Integer(min, max) => integer(value, min, max),
            ValidValues::IntegerOrMinusOne(min, max) => value == "-1" || integer(value, min, max),
            ValidValues::Fraction => {
                value.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number))
            }
            ValidValues::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            ValidValues::Boolean => {
                ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value))
            }
            ValidValues::ThrottledReplicas => {
                let is_number = |text: &str| text.parse::<u32>().is_ok();
                let is_pair = |pair: &str| {
                    pair.trim().split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b))
                };
                value.is_empty() || value == "*" || value.split(',').all(is_pair)
            }
            ValidValues::OffsetReset => {
                ["earliest", "latest"].contains(&value)
                    || value.strip_prefix("by_duration:").is_some_and(is_duration)
            }
        }
    }

    /// In words, as they end "give …".
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            ValidValues::Any => "any text".to_owned(),
            ValidValues::NonEmpty => "any text but none".to_owned(),
            ValidValues::OneOf(words) => format!("one of {}", words.join(", ")),
            ValidValues::OneOfAnyCase(words) => {
                format!("one of {}, in any case", words.join(", "))
            }
            ValidValues::SomeOf(words) => {
                format!("a comma-separated list of {}, each once", words.join(", "))
            }
            ValidValues::Integer(i64::MIN, i64::MAX) => "a whole number".to_owned(),
            ValidValues::Integer(min, i64::MAX) => format!("a whole number, at least {min}"),
            ValidValues::Integer(min, max) => format!("a whole number from {min} to {max}"),
            ValidValues::IntegerOrMinusOne(min, max) => {
                format!("-1 or a whole number from {min} to {max}")
            }
            ValidValues::Fraction => "a number from 0 to 1".to_owned(),
            ValidValues::Number => "a number".to_owned(),
            ValidValues::Boolean => "true or false".to_owned(),
            ValidValues::ThrottledReplicas => {
                "empty, *, or partition:node pairs, comma-separated".to_owned()
            }
            ValidValues::OffsetReset => {
                "earliest, latest, or by_duration: and a duration such as P7D or PT1H".to_owned()
            }
        }
    }
}

/// `PnDTnHnMn.nS`, not negative, with at least one part.
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let parts = |text: &str, units: &str| -> bool {
        let mut units = units.chars();
        let mut number = String::new();
        for character in text.chars() {
            if character.is_ascii_digit() || character == '.' {
                number.push(character);
            } else {
                let fraction_fits = !number.contains('.') || character == 'S';
                let number = std::mem::take(&mut number);
                if !fraction_fits
                    || number.parse::<f64>().is_err()
                    || !units.by_ref().any(|unit| unit == character)
                {
                    return false;
                }
            }
        }
        number.is_empty()
    };
    let has_time = time.is_some_and(|time| !time.is_empty() && parts(time, "HMS"));
    parts(days, "D") && (has_time || (time.is_none() && !days.is_empty()))
}

/// What is stored for a value, which is without the space around it.
pub(crate) fn check_value(setting: &Setting, value: &str) -> Result<String, Refusal> {
    let value = value.trim();
    if value.len() <= VALUE_BYTES_MAX && setting.valid.accepts(value) {
        return Ok(value.to_owned());
    }
    let shown = if setting.is_sensitive() { "what it was set to" } else { value };
    Err(Refusal::new(
        Reason::InvalidConfig,
        format!(
            "Invalid value '{}' for configuration {}; give {}, at most {VALUE_BYTES_MAX} bytes",
            cut(shown, SHOWN_BYTES_MAX).escape_debug(),
            setting.name,
            setting.valid.describe()
        ),
    ))
}

/// A name nobody knows, and what may have been meant.
pub(crate) fn unknown_setting(table: Table, name: &str) -> Refusal {
    let shown = cut(name, SHOWN_BYTES_MAX).escape_debug();
    let noun = table.noun();
    let elsewhere = [
        (Table::Topic, topic_config(name)),
        (Table::Broker, broker_config(name)),
        (Table::Group, group_config(name)),
    ];
    let hint = if let Some(meant) = near_miss(table, name) {
        format!("did you mean '{meant}'?")
    } else if let Some((other, _)) = elsewhere.iter().find(|(_, found)| found.is_some()) {
        format!("it is a {}", other.noun())
    } else if table == Table::Broker {
        "describe a broker with all its configurations to see their names".to_owned()
    } else {
        let names: Vec<&str> = table.settings().iter().map(|setting| setting.name).collect();
        format!("the known ones are {}", names.join(", "))
    };
    Refusal::new(Reason::InvalidConfig, format!("unknown {noun} '{shown}'; {hint}"))
}

/// The nearest name, if it is near: few edits, and most of the name is right.
fn near_miss(table: Table, name: &str) -> Option<&'static str> {
    let name = cut(name, SHOWN_BYTES_MAX);
    let lower = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let allowed = EDITS_MAX.min(lower.len() / 3);
    table
        .settings()
        .iter()
        .map(|setting| (edits(lower.as_bytes(), setting.name.as_bytes()), setting.name))
        .min()
        .filter(|(edits, _)| *edits <= allowed)
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements that make one of the other (Levenshtein), row by row.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Checks what a client sent with a new topic and gives what is stored.
pub(crate) fn check_new_topic_configs(
    image: &Image,
    sent: &[(String, Option<String>)],
) -> Result<BTreeMap<String, String>, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidConfig, why));
    let mut configs = BTreeMap::new();
    for (name, value) in sent {
        let Some(setting) = topic_config(name) else {
            return Err(unknown_setting(Table::Topic, name));
        };
        let Some(value) = value else {
            return refuse(format!(
                "the topic configuration '{name}' has no value; leave it out to use the default, \
                 or give {}",
                setting.valid.describe()
            ));
        };
        if configs.insert(name.clone(), check_value(setting, value)?).is_some() {
            return refuse(format!("the topic configuration '{name}' is given twice; give one"));
        }
    }
    check_together(Table::Topic, image, &configs)?;
    Ok(configs)
}

/// What must hold among the settings of one resource.
pub(crate) fn check_together(
    table: Table,
    image: &Image,
    configs: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let number = |name: &str| -> Option<i64> {
        let setting = table.setting(name)?;
        let inherited = inherited_default(image, setting);
        configs.get(name).map(String::as_str).or(inherited)?.parse().ok()
    };
    if table == Table::Group {
        check_group_bounds(configs)?;
    }
    let ordered: &[(&str, &str)] = match table {
        Table::Topic => &[("min.compaction.lag.ms", "max.compaction.lag.ms")],
        Table::Broker => {
            &[("log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms")]
        }
        Table::Group => &[
            ("consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"),
            ("share.heartbeat.interval.ms", "share.session.timeout.ms"),
            ("streams.heartbeat.interval.ms", "streams.session.timeout.ms"),
        ],
    };
    for (low, high) in ordered {
        // What both inherit is not for this resource to judge.
        if !configs.contains_key(*low) && !configs.contains_key(*high) {
            continue;
        }
        if let (Some(min), Some(max)) = (number(low), number(high))
            && min > max
        {
            return Err(Refusal::new(
                Reason::InvalidConfig,
                format!(
                    "{low} ({min}) is greater than {high} ({max}); lower the first or raise the \
                     second"
                ),
            ));
        }
    }
    Ok(())
}

/// Group settings, and the settings of nodes between which they must lie.
const GROUP_BOUNDS: &[(&str, &str, &str)] = &[
    (
        "consumer.assignment.interval.ms",
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        "consumer.heartbeat.interval.ms",
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    (
        "consumer.session.timeout.ms",
        "group.consumer.min.session.timeout.ms",
        "group.consumer.max.session.timeout.ms",
    ),
    (
        "share.assignment.interval.ms",
        "group.share.min.assignment.interval.ms",
        "group.share.max.assignment.interval.ms",
    ),
    (
        "share.delivery.count.limit",
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
    ),
    (
        "share.heartbeat.interval.ms",
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    (
        "share.partition.max.record.locks",
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
    ),
    (
        "share.record.lock.duration.ms",
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    (
        "share.session.timeout.ms",
        "group.share.min.session.timeout.ms",
        "group.share.max.session.timeout.ms",
    ),
    (
        "streams.assignment.interval.ms",
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
    (
        "streams.heartbeat.interval.ms",
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    (
        "streams.session.timeout.ms",
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
];

/// The bounds are read-only settings of nodes; shard 0 knows their defaults alone.
fn check_group_bounds(configs: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let bound = |name: &str| -> Option<i64> { broker_config(name)?.default?.parse().ok() };
    for (name, low, high) in GROUP_BOUNDS {
        let Some(value) = configs.get(*name).and_then(|value| value.parse::<i64>().ok()) else {
            continue;
        };
        if let (Some(min), Some(max)) = (bound(low), bound(high))
            && !(min..=max).contains(&value)
        {
            return Err(Refusal::new(
                Reason::InvalidConfig,
                format!("{name} ({value}) must lie between {low} ({min}) and {high} ({max})"),
            ));
        }
    }
    Ok(())
}
