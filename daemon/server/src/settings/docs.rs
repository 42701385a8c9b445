//! The pages that come from the tables: the sample file, the reference of our settings, and of
//! Kafka's.
//!
//! A test compares them with what is committed, so that a page never says what the code does not.

use super::declared::{Applies, DECLARED, Declared, Kind};
use super::environment::kafka_variable;
use super::{DEFAULT_FILE, kafka};
use holdfast_metadata::{BROKER_CONFIGS, Effect, GROUP_CONFIGS, Setting, TOPIC_CONFIGS};
use std::fmt::Write;

/// A page: its name for `--print-docs`, its file in `packaging/docs`, its text.
type Page = (&'static str, &'static str, fn() -> String);

/// Every generated page.
pub const PAGES: &[Page] = &[
    ("sample", "holdfast.toml", sample),
    ("settings", "settings.md", settings),
    ("metrics", "metrics.md", crate::metrics::docs::page),
    ("kafka-settings", "kafka-settings.md", kafka_settings),
];

/// The first line of pages for people who want to correct them.
const GENERATED: &str =
    "<!-- Generated from the declarations by `holdfastd --print-docs`; do not edit. -->";

/// The note under a page's title.
#[must_use]
pub fn generated_note() -> &'static str {
    GENERATED
}

fn is_text(kind: Kind) -> bool {
    !matches!(kind, Kind::Flag | Kind::Whole { .. })
}

fn literal(declared: &Declared, text: &str) -> String {
    if is_text(declared.kind) { format!("{text:?}") } else { text.to_owned() }
}

/// Breaks `text` into lines that begin with `# `.
fn comment(out: &mut String, text: &str) {
    const WIDTH: usize = 96;
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// A configuration file with every setting at its default, commented out.
fn sample() -> String {
    let mut out = String::new();
    comment(
        &mut out,
        "Holdfast's configuration. Every setting stands here at its default, commented out; \
         settings.md explains them. Generated: after an upgrade compare, do not copy.",
    );
    out.push_str("#\n");
    comment(
        &mut out,
        "Read in this order, a later one wins: this file, conf.d/*.toml beside it by name, \
         HOLDFAST_… in the environment, flags. Check with `holdfastd --check-config`; apply with \
         `systemctl reload holdfastd`, which names what needs a restart.",
    );
    let mut table = "";
    for declared in DECLARED {
        let (own_table, name) = declared.key.rsplit_once('.').unwrap_or(("", declared.key));
        if own_table != table {
            let _ = write!(out, "\n[{own_table}]");
            table = own_table;
        }
        out.push('\n');
        comment(&mut out, &format!("{}. {}", declared.title, declared.text));
        if let Some(dev) = declared.dev_default {
            comment(&mut out, &format!("Under dev: {dev}."));
        }
        let _ = writeln!(out, "#{name} = {}", literal(declared, declared.default));
    }
    out.push_str("\n[kafka]\n");
    comment(&mut out, "Kafka's broker settings by their names, as in server.properties, e.g.");
    out.push_str("#\"num.partitions\" = 3\n#\"auto.create.topics.enable\" = false\n");
    out
}

fn settings() -> String {
    let mut out = format!(
        "# Settings\n\n{GENERATED}\n\nSources, a later one wins: the default; `{DEFAULT_FILE}` (or \
         `--config FILE`); `conf.d/*.toml` beside it, by name; variables of the environment; flags \
         (`--set KEY=VALUE` for any key). `--dev` as a flag reads no file but a named one.\n\n\
         `holdfastd --check-config` prints what holds and where it comes from, and exits with 2 if \
         anything is wrong: a key nobody knows is refused ([HF-1014](errors/HF-1014.md)), and so is \
         a wrong value ([HF-1015](errors/HF-1015.md)). SIGHUP (`systemctl reload holdfastd`) reads \
         everything again; a change that needs a restart is named in the log and waits for it.\n\n\
         A size is a whole number with KiB, MiB, GiB, TiB (or KB, MB, GB, TB, powers of ten); a \
         time one with ms, s, min, h or d.\n"
    );
    let mut table = None;
    for declared in DECLARED {
        let own_table = declared.key.rsplit_once('.').map_or("", |(table, _)| table);
        if table != Some(own_table) {
            let title = if own_table.is_empty() { "top" } else { own_table };
            let _ = writeln!(out, "\n## {title}");
            table = Some(own_table);
        }
        let _ = writeln!(out, "\n### `{}`\n{}. {}\n", declared.key, declared.title, declared.text);
        let default = if declared.default.is_empty() { "empty" } else { declared.default };
        let dev = declared.dev_default.map(|dev| format!(" (`{dev}` under dev)"));
        let _ = writeln!(
            out,
            "| value | default | change takes hold at | environment | since |\n\
             | --- | --- | --- | --- | --- |\n| {} | `{default}`{} | {} | `{}` | {} |",
            declared.kind.unit(),
            dev.unwrap_or_default(),
            declared.applies.text(),
            declared.variable(),
            declared.since,
        );
    }
    let reloaded: Vec<String> = BROKER_CONFIGS
        .iter()
        .filter(|setting| kafka::is_reloaded(setting.name))
        .map(|setting| format!("`{}`", setting.name))
        .collect();
    let _ = write!(
        out,
        "\n## kafka\n\nKafka's broker settings under Kafka's names, quoted; \
         [kafka-settings.md](kafka-settings.md) names them all. In the environment: `{}`. They are \
         the node's static values: what is set while nodes run (`kafka-configs.sh`) is stronger. A \
         change takes hold at {}, but for {}, which take hold at {}.\n",
        kafka_variable("num.partitions"),
        Applies::Start.text(),
        reloaded.join(", "),
        Applies::Reload.text(),
    );
    out
}

fn kafka_settings() -> String {
    let count = BROKER_CONFIGS.len() + TOPIC_CONFIGS.len() + GROUP_CONFIGS.len();
    let mut out = format!(
        "# Kafka's settings\n\n{GENERATED}\n\nAll {count} settings of Kafka 4.3 are known, checked, \
         stored and shown by DescribeConfigs. The column *effect* says what setting one does here: \
         `yes`; `shown` (set in the node's own file, shown to clients); `later` (the part it \
         steers is still to come); or why it can have none.\n"
    );
    table(&mut out, "Topics", "", TOPIC_CONFIGS);
    let note = "In `[kafka]` of the node's file, or while nodes run where *change* says so.\n\n";
    table(&mut out, "Brokers", note, &BROKER_CONFIGS);
    table(&mut out, "Groups", "", GROUP_CONFIGS);
    out
}

fn table(out: &mut String, title: &str, note: &str, settings: &[Setting]) {
    let _ = write!(
        out,
        "\n## {title}: {}\n\n{note}| name | type | default | values | change | effect | meaning |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        settings.len()
    );
    for setting in settings {
        let default = match setting.default {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some(default) => format!("`{}`", cell(default)),
        };
        let effect = match setting.effect {
            Effect::AtProduce | Effect::TopicDefault | Effect::Used => "yes".to_owned(),
            Effect::Shown => "shown".to_owned(),
            Effect::Later => "later".to_owned(),
            Effect::Never(reason) => format!("none: {reason}"),
        };
        let change = if kafka::is_read_only(setting) { "restart" } else { "any time" };
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} | {change} | {} | {} |",
            setting.name,
            format!("{:?}", setting.kind).to_lowercase(),
            cell(&setting.valid.describe()),
            cell(&effect),
            cell(setting.documentation),
        );
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
