//! `holdfast group describe`: who reads what, and how far behind.

use clap::Args;
use serde_json::{Value, json};

use super::lag::{GroupView, view};
use crate::args::{Context, Shown};
use crate::errors::Result;
use crate::output::{Answer, Table, counted};

/// Options of `group describe`.
#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// Groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &DescribeArgs, context: &Context) -> Result<()> {
    let mut cluster = context.cluster()?;
    let mut answer = Answer::new(Value::Null);
    let mut values = Vec::new();
    for group in &args.groups {
        let found = view(&mut cluster, group)?;
        answer = shown(answer, group, &found);
        values.push(value(group, &found));
    }
    answer.value = Value::Array(values);
    answer.names(args.groups.iter().cloned()).print(args.shown.format)
}

fn total_lag(view: &GroupView) -> i64 {
    view.rows.iter().filter_map(|row| row.lag()).sum()
}

/// What cannot be said is not counted as nothing.
fn total(view: &GroupView) -> String {
    let known = view.rows.iter().filter(|row| row.lag().is_some()).count();
    let text = format!("total lag {} over {}", total_lag(view), counted(known as u64, "partition"));
    match view.rows.len() - known {
        0 => text,
        unknown => {
            format!("{text}; unknown for {unknown} (nothing committed, or the topic is gone)")
        }
    }
}

fn shown(answer: Answer, group: &str, view: &GroupView) -> Answer {
    let number =
        |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut table = Table::new(&[
        "GROUP",
        "TOPIC",
        ">PARTITION",
        ">COMMITTED",
        ">END",
        ">LAG",
        "MEMBER",
        "HOST",
    ]);
    for row in &view.rows {
        let member = row.member.and_then(|at| view.members.get(at));
        table.row([
            group.to_owned(),
            row.place.0.clone(),
            row.place.1.to_string(),
            number(row.committed),
            number(row.end),
            number(row.lag()),
            member.map_or_else(
                || "-".to_owned(),
                |member| member.instance.clone().unwrap_or_else(|| member.id.clone()),
            ),
            member.map_or_else(|| "-".to_owned(), |member| member.host.clone()),
        ]);
    }
    let idle = view.members.iter().filter(|member| member.assigned.is_empty()).count();
    let members = match (view.members.len(), idle) {
        (count, 0) => counted(count as u64, "member"),
        (count, idle) => {
            format!("{}, {idle} without a partition", counted(count as u64, "member"))
        }
    };
    let protocol = if view.protocol.is_empty() { "-" } else { &view.protocol };
    answer
        .line(format!(
            "group {group}: {}, {members}, strategy {protocol}, coordinator {}",
            view.state, view.coordinator
        ))
        .table(table)
        .line(total(view))
}

fn value(group: &str, view: &GroupView) -> Value {
    let partitions: Value = view
        .rows
        .iter()
        .map(|row| {
            let member = row.member.and_then(|at| view.members.get(at));
            json!({
                "topic": row.place.0, "partition": row.place.1, "committed_offset": row.committed,
                "start_offset": row.start, "end_offset": row.end, "lag": row.lag(),
                "member_id": member.map(|member| &member.id),
            })
        })
        .collect();
    let members: Value = view
        .members
        .iter()
        .map(|member| {
            let assigned: Value = member
                .assigned
                .iter()
                .map(|(topic, partition)| json!({"topic": topic, "partition": partition}))
                .collect();
            json!({
                "member_id": member.id, "instance_id": member.instance, "client_id": member.client,
                "host": member.host, "assigned": assigned,
            })
        })
        .collect();
    json!({
        "group": group, "state": view.state, "strategy": view.protocol,
        "coordinator": view.coordinator, "members": members, "partitions": partitions,
        "total_lag": total_lag(view),
        "partitions_of_unknown_lag": view.rows.iter().filter(|row| row.lag().is_none()).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::lag::{Member, Row};
    use super::*;

    #[test]
    fn a_group_is_shown_with_lag_members_and_totals() {
        let place = |partition| ("orders".to_owned(), partition);
        let row = |partition, committed, member| Row {
            place: place(partition),
            committed,
            start: Some(0),
            end: Some(100),
            member,
        };
        let member = Member {
            id: "c1-uuid".to_owned(),
            instance: None,
            client: "c1".to_owned(),
            host: "10.0.0.1".to_owned(),
            assigned: vec![place(1)],
        };
        let view = GroupView {
            state: "Stable".to_owned(),
            protocol: "range".to_owned(),
            coordinator: "n1:9092".to_owned(),
            members: vec![member],
            rows: vec![row(1, Some(40), Some(0)), row(0, None, None)],
        };
        let text = shown(Answer::new(Value::Null), "g", &view).render(None, true);
        assert_eq!(
            text,
            "group g: Stable, 1 member, strategy range, coordinator n1:9092\n\n\
             GROUP  TOPIC   PARTITION  COMMITTED  END  LAG  MEMBER   HOST\n\
             g      orders          1         40  100   60  c1-uuid  10.0.0.1\n\
             g      orders          0          -  100    -  -        -\n\n\
             total lag 60 over 1 partition; unknown for 1 (nothing committed, or the topic is gone)\n"
        );
        assert_eq!(value("g", &view)["partitions"][1]["lag"], Value::Null);
        assert_eq!(value("g", &view)["total_lag"], 60);
    }
}
