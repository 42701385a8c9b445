//! `HOLDFAST_WAL_SIZE` for `wal.size`, `HOLDFAST_KAFKA_NUM_PARTITIONS` for Kafka's
//! `num.partitions`.
//!
//! A variable that resembles one of ours is refused, as a misspelt key in a file is. One that
//! resembles none is somebody else's (a script of the site, a test) and only mentioned.

use super::declared::DECLARED;
use super::nearest::nearest;
use super::{Given, Source};
use crate::report::{Code, Report};
use holdfast_metadata::BROKER_CONFIGS;

const PREFIX: &str = "HOLDFAST_";
const KAFKA_PREFIX: &str = "HOLDFAST_KAFKA_";
/// The log's filter under its older name; see `logging`.
pub(crate) const LOG_VARIABLE: &str = "HOLDFAST_LOG";

pub(crate) fn read(
    environment: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<Vec<Given>, Report> {
    let mut ours: Vec<&(String, String)> =
        environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let mut given = Vec::new();
    for (name, value) in ours {
        let key = match key_of(name) {
            Some(key) => key,
            None => {
                if let Some(meant) = near(name) {
                    return Err(Report::new(
                        Code::SettingUnknown,
                        format!("the environment variable {name} is no setting"),
                        format!("did you mean {meant}?"),
                        "correct or remove it (Environment= and EnvironmentFile= of the unit)",
                    ));
                }
                warnings.push(format!("the environment variable {name} is no setting; ignored"));
                continue;
            }
        };
        let source = Source::Environment(name.clone());
        given.push(Given { key, text: value.clone(), source });
    }
    Ok(given)
}

fn key_of(name: &str) -> Option<String> {
    if name == LOG_VARIABLE {
        return Some("log.level".to_owned());
    }
    if let Some(declared) = DECLARED.iter().find(|declared| declared.variable() == name) {
        return Some(declared.key.to_owned());
    }
    let setting = BROKER_CONFIGS.iter().find(|setting| kafka_variable(setting.name) == name)?;
    Some(format!("kafka.{}", setting.name))
}

fn near(name: &str) -> Option<String> {
    let variables = DECLARED.iter().map(super::Declared::variable);
    let kafka = BROKER_CONFIGS.iter().map(|setting| kafka_variable(setting.name));
    let all: Vec<String> = variables.chain(kafka).collect();
    // Without the prefix, which all have: it must not make strangers alike.
    let bare = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let names: Vec<String> = all.iter().map(|name| bare(name)).collect();
    nearest(&bare(name), names.iter().map(String::as_str)).map(|name| format!("{PREFIX}{name}"))
}

/// Kafka's name in the environment.
pub(crate) fn kafka_variable(name: &str) -> String {
    format!("{KAFKA_PREFIX}{}", name.to_ascii_uppercase().replace(['.', '-'], "_"))
}
