//! `holdfast status`: the cluster at a glance, and the insides of the node on this machine.

use clap::Args;
use kafka_protocol::messages::MetadataResponse;
use serde_json::{Value, json};

use super::health;
use crate::args::{Context, Shown};
use crate::client::host_port;
use crate::errors::Result;
use crate::output::{Answer, Table, counted};

/// Options of `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &StatusArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let metadata = cluster.metadata(None)?;
    let admin = match context.admin().status() {
        Ok(status) => Some(status),
        Err(error) if context.admin_is_given() => return Err(error),
        Err(_) => None,
    };
    let names = metadata.brokers.iter().map(|node| node.node_id.0.to_string());
    answer(&metadata, admin.as_ref()).names(names).print(args.shown.format)
}

fn answer(metadata: &MetadataResponse, admin: Option<&Value>) -> Answer {
    let partitions: usize = metadata.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut table = Table::new(&[">NODE", "ADDRESS", "RACK", ">LEADS", "ROLE"]);
    let mut nodes = Vec::new();
    for node in &metadata.brokers {
        let leads = metadata
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .filter(|part| part.leader_id == node.node_id)
            .count();
        let role = if node.node_id == metadata.controller_id { "controller" } else { "-" };
        let address = host_port(&node.host, node.port);
        let rack = node.rack.as_ref().map(|rack| rack.to_string());
        table.row([
            node.node_id.0.to_string(),
            address.clone(),
            rack.clone().unwrap_or_else(|| "-".to_owned()),
            leads.to_string(),
            role.to_owned(),
        ]);
        nodes.push(json!({
            "node": node.node_id.0, "address": address, "rack": rack, "led_partitions": leads,
            "controller": node.node_id == metadata.controller_id,
        }));
    }
    let reasons = health::judge(metadata);
    let health = match reasons.as_slice() {
        [] => "healthy".to_owned(),
        reasons => {
            let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
            format!("unhealthy: {}", texts.join("; "))
        }
    };
    let cluster = metadata.cluster_id.as_ref().map(|id| id.to_string());
    let value = json!({
        "cluster": cluster, "healthy": reasons.is_empty(), "topics": metadata.topics.len(),
        "partitions": partitions, "nodes": nodes, "this_machine": admin,
    });
    let shown = cluster.unwrap_or_else(|| "-".to_owned());
    let answer = Answer::new(value)
        .line(format!("cluster {shown}: {health}"))
        .line(format!(
            "{}, {}",
            counted(metadata.topics.len() as u64, "topic"),
            counted(partitions as u64, "partition")
        ))
        .table(table);
    let Some(admin) = admin else {
        return answer.line("no admin listener answers on this machine: its node is not shown");
    };
    let mut facts = Vec::new();
    flatten("", admin, &mut facts);
    let mut table = Table::new(&["THIS MACHINE", "VALUE"]);
    for (name, fact) in facts {
        table.row([name, fact]);
    }
    answer.table(table)
}

/// Facts as dotted names. Lists of objects (shards) are counted here and told whole in JSON.
fn flatten(prefix: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, item, facts);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            facts.push((prefix.to_owned(), format!("{} (see -o json)", items.len())));
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(scalar).collect();
            let text = if texts.is_empty() { "-".to_owned() } else { texts.join(", ") };
            facts.push((prefix.to_owned(), text));
        }
        other => facts.push((prefix.to_owned(), scalar(other))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_the_node_are_lines_and_lists_of_things_are_counted() {
        let mut facts = Vec::new();
        let status = json!({
            "a": {"b": 1, "c": null}, "shards": [{"id": 1}, {"id": 2}], "notes": ["x", "y"], "none": []
        });
        flatten("", &status, &mut facts);
        let lines: Vec<String> = facts.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(lines, ["a.b=1", "a.c=-", "none=-", "notes=x, y", "shards=2 (see -o json)"]);
    }

    #[test]
    fn without_an_admin_listener_the_cluster_is_told_alone() {
        let text = answer(&MetadataResponse::default(), None).render(None, true);
        assert!(text.starts_with("cluster -: unhealthy: no node is registered"), "{text}");
        assert!(text.contains("its node is not shown"), "{text}");
    }
}
