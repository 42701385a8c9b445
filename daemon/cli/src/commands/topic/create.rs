//! `holdfast topic create`.

use std::collections::BTreeMap;

use clap::Args;
use kafka_protocol::messages::CreateTopicsRequest;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use serde_json::{Value, json};

use crate::args::{Context, Shown, parse_pair};
use crate::client::{text, topic_name};
use crate::errors::{CliError, Result};
use crate::output::{Answer, Table};

/// Options of `topic create`.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Topics to create, all alike.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of each; the cluster's default without.
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..), value_name = "COUNT")]
    partitions: Option<i32>,
    /// Copies of each partition; the cluster's default without.
    #[arg(short, long, value_parser = clap::value_parser!(i16).range(1..), value_name = "COUNT")]
    replicas: Option<i16>,
    /// A setting, as often as needed.
    #[arg(short, long, value_parser = parse_pair, value_name = "KEY=VALUE")]
    config: Vec<(String, String)>,
    /// Ask the node whether it would, and leave it at that.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &CreateArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    // The last one of a key counts, as in a file.
    let configs: BTreeMap<&String, &String> = args.config.iter().map(|(k, v)| (k, v)).collect();
    let config = |(name, value): (&&String, &&String)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let topic = |name: &String| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(args.partitions.unwrap_or(-1))
            .with_replication_factor(args.replicas.unwrap_or(-1))
            .with_configs(configs.iter().map(config).collect())
    };
    let request = CreateTopicsRequest::default()
        .with_topics(args.topics.iter().map(topic).collect())
        .with_timeout_ms(cluster.timeout_ms())
        .with_validate_only(args.dry_run);
    let answer = cluster.any().call(&request, 4..=7)?;

    let mut table = Table::new(&["TOPIC", ">PARTITIONS", ">REPLICAS", "RESULT"]);
    let mut values = Vec::new();
    let mut names = Vec::new();
    let mut refusal = None;
    for row in &answer.topics {
        let what = format!("topic {} cannot be created", row.name.0);
        let result = CliError::check(what, row.error_code, row.error_message.as_deref());
        let said = match (&result, args.dry_run) {
            (Err(_), _) => "refused",
            (Ok(()), true) => "would be created",
            (Ok(()), false) => "created",
        };
        let count = |count: i64| if count < 0 { "-".to_owned() } else { count.to_string() };
        table.row([
            row.name.to_string(),
            count(row.num_partitions.into()),
            count(row.replication_factor.into()),
            said.to_owned(),
        ]);
        values.push(json!({
            "topic": row.name.to_string(), "result": said, "partitions": row.num_partitions,
            "replicas": row.replication_factor, "error_code": row.error_code,
        }));
        match result {
            Ok(()) => names.push(row.name.to_string()),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Answer::new(Value::Array(values)).table(table).names(names).print(args.shown.format)?;
    refusal.map_or(Ok(()), Err)
}
