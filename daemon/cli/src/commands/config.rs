//! `holdfast config`: settings of topics, nodes and groups.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::args::{Context, Shown, parse_pair};
use crate::configs::{self, Resource, Setting, Wanted, parse_resource};
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table};

/// `holdfast config ...`
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Values of some settings
    Get(GetArgs),
    /// Change settings
    Set(SetArgs),
    /// Give settings back to their defaults
    Unset(UnsetArgs),
    /// All settings, with where each value comes from
    List(ListArgs),
}

/// Options of `config get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// topic/NAME, broker/ID, broker/default or group/NAME.
    #[arg(value_parser = parse_resource)]
    resource: Resource,
    /// Settings.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Options of `config list`.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// topic/NAME, broker/ID, broker/default or group/NAME.
    #[arg(value_parser = parse_resource)]
    resource: Resource,
    /// Only those that somebody set.
    #[arg(long)]
    changed: bool,
    /// With each setting's documentation.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    shown: Shown,
}

/// Options of `config set`.
#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// topic/NAME, broker/ID, broker/default or group/NAME.
    #[arg(value_parser = parse_resource)]
    resource: Resource,
    /// Settings.
    #[arg(required = true, value_parser = parse_pair, value_name = "KEY=VALUE")]
    settings: Vec<(String, String)>,
    /// Show the difference, have the node check it, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

/// Options of `config unset`.
#[derive(Args, Debug)]
pub(crate) struct UnsetArgs {
    /// topic/NAME, broker/ID, broker/default or group/NAME.
    #[arg(value_parser = parse_resource)]
    resource: Resource,
    /// Settings.
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Show the difference, have the node check it, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(command: ConfigCommand, context: &Context) -> Result<()> {
    match command {
        ConfigCommand::Get(args) => get(&args, context),
        ConfigCommand::List(args) => list(&args, context),
        ConfigCommand::Set(args) => {
            let wanted = args.settings.into_iter().map(|(key, value)| (key, Some(value))).collect();
            change(&args.resource, &wanted, args.dry_run, args.shown, context)
        }
        ConfigCommand::Unset(args) => {
            let wanted = args.keys.into_iter().map(|key| (key, None)).collect();
            change(&args.resource, &wanted, args.dry_run, args.shown, context)
        }
    }
}

fn get(args: &GetArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let settings = configs::describe(&mut cluster, &args.resource, Some(&args.keys))?;
    if let Some(missing) = args.keys.iter().find(|key| !settings.iter().any(|s| s.name == **key)) {
        let what = format!("{} has no setting {missing}", args.resource);
        let try_next = format!("see `holdfast config list {}`", args.resource);
        return Err(CliError::new(Kind::Refused, what).try_next(try_next));
    }
    print(&args.resource, &settings, false, args.shown)
}

fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let mut settings = configs::describe(&mut cluster, &args.resource, None)?;
    settings.retain(|setting| !args.changed || !setting.is_default());
    print(&args.resource, &settings, args.explain, args.shown)
}

fn print(resource: &Resource, settings: &[Setting], explain: bool, shown: Shown) -> Result<()> {
    let told = |setting: &Setting| {
        let read_only = if setting.read_only { ", read only" } else { "" };
        format!("{}{read_only}", setting.source)
    };
    let mut table = if explain {
        Table::new(&["SETTING", "VALUE", "SET AT", "DOCUMENTATION"])
    } else {
        Table::new(&["SETTING", "VALUE", "SET AT"])
    };
    for setting in settings {
        let cells = [setting.name.clone(), setting.shown(), told(setting)];
        if explain {
            let [name, value, told] = cells;
            table.row([name, value, told, setting.documentation.clone().unwrap_or_default()]);
        } else {
            table.row(cells);
        }
    }
    let value = json!({
        "resource": resource.to_string(),
        "settings": settings.iter().map(Setting::json).collect::<Value>(),
    });
    let names = settings.iter().map(|setting| setting.name.clone());
    Answer::new(value).table(table).names(names).print(shown.format)
}

fn change(
    resource: &Resource,
    wanted: &Wanted,
    dry_run: bool,
    shown: Shown,
    context: &Context,
) -> Result<()> {
    let mut cluster = context.cluster()?;
    let now = configs::describe(&mut cluster, resource, None)?;
    let changes = configs::compare(&now, wanted);
    configs::alter(&mut cluster, resource, wanted, dry_run)?;
    let said = match (changes.is_empty(), dry_run) {
        (true, _) => "unchanged",
        (false, true) => "would be changed",
        (false, false) => "changed",
    };
    let value = json!({
        "resource": resource.to_string(), "result": said,
        "changes": configs::change_json(&changes),
    });
    let mut answer = Answer::new(value).line(format!("{resource}: {said}"));
    if !changes.is_empty() {
        answer = answer.table(configs::change_table(&changes));
    }
    answer.names(changes.into_iter().map(|change| change.name)).print(shown.format)
}
