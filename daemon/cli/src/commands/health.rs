//! `holdfast health`: healthy or not, and why not. Exit code 0 or 3.
//!
//! ```text
//! Kafka protocol: partitions without leader, copies behind    any machine
//! admin listener: /healthz, /readyz                           this machine's node
//! ```
//!
//! The admin listener is looked at when it answers, and must answer when it was named: a check
//! run from another machine has no node beside it.

use std::time::Duration;

use clap::Args;
use kafka_protocol::messages::MetadataResponse;
use serde_json::{Value, json};

use crate::args::{Context, Shown};
use crate::clock::{Stopwatch, nap};
use crate::errors::{CliError, Kind, Result};
use crate::output::{Answer, Table};

/// Pause between two looks under `--wait`.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long `--wait` waits without a time of its own.
const WAIT_DEFAULT: &str = "5min";
/// Beyond this many topics of one kind of trouble only the number is told.
const NAMED_MAX: usize = 5;

/// Options of `health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// Look again until healthy, at most so long.
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = WAIT_DEFAULT,
        value_parser = crate::when::parse_duration,
        value_name = "TIME"
    )]
    wait: Option<Duration>,
    #[command(flatten)]
    shown: Shown,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// A stable word for programs.
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

fn reason(code: &'static str, text: impl Into<String>) -> Reason {
    Reason { code, text: text.into() }
}

pub(crate) fn run(args: &HealthArgs, context: &Context) -> Result<()> {
    let watch = Stopwatch::start();
    let limit = args.wait.unwrap_or(Duration::ZERO);
    let reasons = loop {
        let reasons = look(context);
        if reasons.is_empty() || watch.left_of(limit).is_zero() {
            break reasons;
        }
        nap(LOOK_AGAIN.min(watch.left_of(limit)));
    };
    print(&reasons, args.shown)?;
    if reasons.is_empty() {
        return Ok(());
    }
    let count = reasons.len();
    let what = format!("unhealthy, for {count} reason{}", if count == 1 { "" } else { "s" });
    let error = CliError::new(Kind::Unhealthy, what);
    Err(error.try_next("see `holdfast status` and `journalctl -u holdfastd -p warning`"))
}

/// One look at everything.
fn look(context: &Context) -> Vec<Reason> {
    let mut reasons = match context.cluster().and_then(|mut cluster| cluster.metadata(None)) {
        Ok(answer) => judge(&answer),
        Err(error) => vec![reason("unreachable", error.brief())],
    };
    let admin = context.admin();
    for (path, code) in [("/healthz", "node_unhealthy"), ("/readyz", "node_not_ready")] {
        match admin.get(path) {
            Ok(page) if page.status == 200 => {}
            Ok(page) => {
                let body = page.body.trim();
                let text =
                    if body.is_empty() { format!("HTTP {}", page.status) } else { body.to_owned() };
                reasons.push(reason(code, format!("the node on this machine: {text}")));
            }
            Err(error) if context.admin_is_given() => {
                reasons.push(reason("admin_unreachable", error.brief()));
                break;
            }
            Err(_) => break,
        }
    }
    reasons
}

/// What metadata alone tells.
pub(crate) fn judge(answer: &MetadataResponse) -> Vec<Reason> {
    let mut leaderless = Trouble::default();
    let mut behind = Trouble::default();
    let mut broken = Trouble::default();
    for topic in &answer.topics {
        let name = topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
        if topic.error_code != 0 {
            broken.add(&name, 1);
        }
        let count = |test: &dyn Fn(usize) -> bool| {
            (0..topic.partitions.len()).filter(|at| test(*at)).count()
        };
        let parts = &topic.partitions;
        leaderless.add(&name, count(&|at| parts[at].leader_id.0 < 0));
        behind.add(&name, count(&|at| parts[at].isr_nodes.len() < parts[at].replica_nodes.len()));
    }
    let mut reasons = Vec::new();
    if answer.brokers.is_empty() {
        reasons.push(reason("no_nodes", "no node is registered"));
    }
    let known = answer.brokers.iter().any(|node| node.node_id == answer.controller_id);
    if !known {
        reasons.push(reason("no_controller", "nobody leads the cluster's metadata"));
    }
    for (trouble, code, text) in [
        (&leaderless, "leaderless_partitions", "partitions have no leader"),
        (&behind, "partitions_behind", "partitions have copies that are behind or down"),
        (&broken, "topics_unknown", "topics cannot be described"),
    ] {
        if trouble.count > 0 {
            reasons.push(reason(code, format!("{} {text}: {}", trouble.count, trouble.names())));
        }
    }
    reasons
}

#[derive(Default)]
struct Trouble {
    count: usize,
    topics: Vec<String>,
}

impl Trouble {
    fn add(&mut self, topic: &str, count: usize) {
        if count > 0 {
            self.count += count;
            self.topics.push(topic.to_owned());
        }
    }

    fn names(&self) -> String {
        let named = self.topics.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        match self.topics.len().saturating_sub(NAMED_MAX) {
            0 => named,
            more => format!("{named} and {more} more topics"),
        }
    }
}

fn print(reasons: &[Reason], shown: Shown) -> Result<()> {
    let value = json!({
        "healthy": reasons.is_empty(),
        "reasons": reasons
            .iter()
            .map(|reason| json!({"code": reason.code, "text": reason.text}))
            .collect::<Value>(),
    });
    let answer = if reasons.is_empty() {
        Answer::new(value).line("healthy")
    } else {
        let mut table = Table::new(&["UNHEALTHY", "REASON"]);
        for reason in reasons {
            table.row([reason.code.to_owned(), reason.text.clone()]);
        }
        Answer::new(value).table(table)
    };
    answer.names(reasons.iter().map(|reason| reason.code.to_owned())).print(shown.format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::topic_name;
    use kafka_protocol::messages::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };

    fn answer(parts: &[(i32, usize, usize)]) -> MetadataResponse {
        let part = |(leader, replicas, in_sync): &(i32, usize, usize)| {
            MetadataResponsePartition::default()
                .with_leader_id((*leader).into())
                .with_replica_nodes(vec![1.into(); *replicas])
                .with_isr_nodes(vec![1.into(); *in_sync])
        };
        let topic = MetadataResponseTopic::default()
            .with_name(Some(topic_name("orders")))
            .with_partitions(parts.iter().map(part).collect());
        MetadataResponse::default()
            .with_brokers(vec![MetadataResponseBroker::default().with_node_id(1.into())])
            .with_controller_id(1.into())
            .with_topics(vec![topic])
    }

    #[test]
    fn a_cluster_is_healthy_when_every_partition_has_a_leader_and_all_its_copies() {
        assert_eq!(judge(&answer(&[(1, 3, 3), (1, 1, 1)])), []);
    }

    #[test]
    fn every_kind_of_trouble_has_its_reason() {
        let codes = |answer: &MetadataResponse| -> Vec<&str> {
            judge(answer).iter().map(|reason| reason.code).collect()
        };
        assert_eq!(codes(&answer(&[(-1, 1, 1)])), ["leaderless_partitions"]);
        assert_eq!(codes(&answer(&[(1, 3, 2)])), ["partitions_behind"]);
        assert_eq!(codes(&answer(&[]).with_controller_id((-1).into())), ["no_controller"]);
        assert_eq!(codes(&answer(&[]).with_brokers(vec![])), ["no_nodes", "no_controller"]);
        let text = &judge(&answer(&[(-1, 1, 1), (-1, 1, 1)]))[0].text;
        assert_eq!(text, "2 partitions have no leader: orders");
    }
}
