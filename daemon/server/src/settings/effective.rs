//! One value and one source for every setting: the strongest source that names it.

use super::declared::DECLARED;
use super::nearest::nearest;
use super::{Given, Source, kafka};
use crate::report::{Code, Report};
use holdfast_metadata::Setting;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where Kafka's names stand.
const KAFKA: &str = "kafka.";

/// A value and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// As written.
    pub text: String,
    /// By whom.
    pub source: Source,
}

/// Every setting of ours, and Kafka's that somebody set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    own: BTreeMap<&'static str, Held>,
    /// By Kafka's name.
    kafka: BTreeMap<&'static str, Held>,
}

impl Effective {
    /// From all that was given, the strongest last. Names are judged here, values of ours later.
    ///
    /// # Errors
    /// A name nobody knows, or a value Kafka's registry refuses; also where a stronger source
    /// overrides it: it would turn wrong the day that source is removed.
    pub fn of(given: Vec<Given>) -> Result<Effective, Report> {
        let mut own = BTreeMap::new();
        let mut others = BTreeMap::new();
        for given in given {
            if let Some(name) = given.key.strip_prefix(KAFKA) {
                let (setting, text) = kafka::check(name, &given)?;
                others.insert(setting.name, Held { text, source: given.source });
            } else if let Some(declared) = DECLARED.iter().find(|one| one.key == given.key) {
                own.insert(declared.key, Held { text: given.text, source: given.source });
            } else {
                return Err(unknown(&given));
            }
        }
        let dev = own.get("dev").is_some_and(|held: &Held| held.text == "true");
        for declared in DECLARED {
            own.entry(declared.key).or_insert_with(|| match declared.dev_default {
                Some(default) if dev => {
                    Held { text: default.to_owned(), source: Source::DevDefault }
                }
                _ => Held { text: declared.default.to_owned(), source: Source::Default },
            });
        }
        Ok(Effective { own, kafka: others })
    }

    /// A setting of ours.
    ///
    /// # Panics
    /// For a key that is not declared: keys are literals of this crate.
    #[must_use]
    pub fn own(&self, key: &str) -> &Held {
        self.own.get(key).expect("every declared key has a value, and keys are literals")
    }

    /// Kafka's settings that somebody set.
    pub fn kafka(&self) -> impl Iterator<Item = (&'static str, &Held)> {
        self.kafka.iter().map(|(name, held)| (*name, held))
    }

    /// What differs from `other`, by key.
    #[must_use]
    pub fn changes(&self, other: &Effective) -> Vec<String> {
        let own = DECLARED
            .iter()
            .filter(|declared| self.own(declared.key).text != other.own(declared.key).text)
            .map(|declared| declared.key.to_owned());
        let names = self.kafka.keys().chain(other.kafka.keys());
        let mut names: Vec<&str> = names.copied().collect();
        names.sort_unstable();
        names.dedup();
        let text = |side: &Effective, name: &str| side.kafka.get(name).map(|h| h.text.clone());
        let kafka = names
            .into_iter()
            .filter(|name| text(self, name) != text(other, name))
            .map(|name| format!("{KAFKA}{name}"));
        own.chain(kafka).collect()
    }

    /// As a configuration file that says the same, each value with its source.
    #[must_use]
    pub fn shown(&self) -> String {
        let own = DECLARED.iter().map(|declared| {
            let held = self.own(declared.key);
            (declared.key.to_owned(), held.text.clone(), &held.source)
        });
        let kafka = self.kafka.iter().map(|(name, held)| {
            let sensitive =
                holdfast_metadata::broker_config(name).is_some_and(Setting::is_sensitive);
            let text = if sensitive { "(hidden)".to_owned() } else { held.text.clone() };
            (format!("{KAFKA}{name:?}"), text, &held.source)
        });
        let lines: Vec<(String, &Source)> = own
            .chain(kafka)
            .map(|(key, text, source)| (format!("{key} = {text:?}"), source))
            .collect();
        let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0).min(60);
        lines.iter().fold(String::new(), |mut all, (line, source)| {
            let _ = writeln!(all, "{line:width$}  # {source}");
            all
        })
    }
}

/// When a change of `key` takes hold: at SIGHUP, or at the next start.
pub(crate) fn is_reloaded(key: &str) -> bool {
    match key.strip_prefix(KAFKA) {
        Some(name) => kafka::is_reloaded(name),
        None => DECLARED
            .iter()
            .any(|declared| declared.key == key && declared.applies == super::Applies::Reload),
    }
}

fn unknown(given: &Given) -> Report {
    let key = given.key.as_str();
    let own = || nearest(key, DECLARED.iter().map(|declared| declared.key));
    let why = if holdfast_metadata::broker_config(key).is_some() {
        format!("it is one of Kafka's broker settings: did you mean \"{key}\" in [kafka]?")
    } else if let Some(meant) = own() {
        format!("did you mean {meant}?")
    } else if let Some(same) = same_last_word(key) {
        format!("did you mean {same}?")
    } else {
        "no setting has that name or one near it".to_owned()
    };
    Report::new(
        Code::SettingUnknown,
        format!("{key} at {} is no setting", given.source),
        why,
        "correct or remove it; packaging/docs/settings.md names them all",
    )
}

/// `size` at the wrong place, e.g. in a table of another name.
fn same_last_word(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let wanted = last(key);
    let mut found = DECLARED.iter().filter(|declared| last(declared.key) == wanted);
    let first = found.next()?;
    found.next().is_none().then_some(first.key)
}
