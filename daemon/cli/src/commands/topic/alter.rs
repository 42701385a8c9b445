//! `holdfast topic alter`: more partitions, other settings; `--dry-run` shows the difference and
//! has the node check it.

use clap::Args;
use kafka_protocol::messages::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use serde_json::json;

use crate::args::{Context, Shown, parse_pair};
use crate::client::topic_name;
use crate::configs::{self, Change, Resource, Wanted};
use crate::errors::{CliError, Result};
use crate::output::Answer;

/// Options of `topic alter`.
#[derive(Args, Debug)]
pub(crate) struct AlterArgs {
    /// The topic.
    topic: String,
    /// Raise the number of partitions to this. Keys will go to other partitions than before.
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..), value_name = "COUNT")]
    partitions: Option<i32>,
    /// A setting, as often as needed.
    #[arg(short, long, value_parser = parse_pair, value_name = "KEY=VALUE")]
    config: Vec<(String, String)>,
    /// Give a setting back to its default, as often as needed.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Show the difference, have the node check it, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &AlterArgs, context: &Context) -> Result<()> {
    let mut wanted: Wanted = args.unset.iter().map(|key| (key.clone(), None)).collect();
    for (key, value) in &args.config {
        if args.unset.contains(key) {
            let try_next = "name a setting under -c or under --unset, not both";
            return Err(CliError::usage(format!("{key} is to be set and unset"), try_next));
        }
        wanted.insert(key.clone(), Some(value.clone()));
    }
    if wanted.is_empty() && args.partitions.is_none() {
        return Err(CliError::usage("nothing is to be changed", "give -p, -c or --unset"));
    }
    let mut cluster = context.cluster()?;
    let resource = Resource::Topic(args.topic.clone());
    let have = cluster.leaders(&args.topic)?.len();
    let mut changes = Vec::new();
    let more = args.partitions.filter(|count| usize::try_from(*count) != Ok(have));
    if let Some(count) = more {
        let (before, after) = (have.to_string(), count.to_string());
        changes.push(Change { name: "partitions".to_owned(), before, after });
    }
    if !wanted.is_empty() {
        changes
            .extend(configs::compare(&configs::describe(&mut cluster, &resource, None)?, &wanted));
    }

    // Everything is checked before anything is changed.
    for validate_only in if args.dry_run { &[true][..] } else { &[true, false][..] } {
        if !wanted.is_empty() {
            configs::alter(&mut cluster, &resource, &wanted, *validate_only)?;
        }
        if let Some(count) = more {
            let asked = CreatePartitionsTopic::default()
                .with_name(topic_name(&args.topic))
                .with_count(count);
            let asked = asked.with_assignments(None);
            let request = CreatePartitionsRequest::default()
                .with_topics(vec![asked])
                .with_timeout_ms(cluster.timeout_ms())
                .with_validate_only(*validate_only);
            let answer = cluster.any().call(&request, 0..=3)?;
            let what = format!("partitions of {} cannot be added", args.topic);
            for row in &answer.results {
                CliError::check(&what, row.error_code, row.error_message.as_deref())?;
            }
        }
    }
    let said = match (changes.is_empty(), args.dry_run) {
        (true, _) => "unchanged",
        (false, true) => "would be changed",
        (false, false) => "changed",
    };
    let value = json!({
        "topic": args.topic, "result": said, "changes": configs::change_json(&changes),
    });
    let mut answer = Answer::new(value).line(format!("topic {}: {said}", args.topic));
    if !changes.is_empty() {
        answer = answer.table(configs::change_table(&changes));
    }
    answer.names([args.topic.clone()]).print(args.shown.format)
}
