//! Facts that no client's call answers: leaders, replicas' hashes, audit records.

use std::collections::BTreeMap;

use crate::anomaly::Anomaly;
use crate::event::Kind;
use crate::report::Report;

use super::Checker;
use super::tables::Step;

/// Administrative calls and audit records, by key.
#[derive(Default, Debug)]
pub(super) struct Facts {
    audit: BTreeMap<String, Audited>,
}

#[derive(Default, Debug)]
struct Audited {
    /// The furthest the call is known to have come, and the line.
    action: Option<(Kind, u64)>,
    /// Refused, and the line.
    records: Vec<(bool, u64)>,
}

impl Facts {
    pub(super) fn audit_action(&mut self, key: &str, kind: Kind, line: u64) {
        self.audit.entry(key.to_owned()).or_default().action = Some((kind, line));
    }

    pub(super) fn audit_record(&mut self, key: &str, refused: bool, line: u64) {
        self.audit.entry(key.to_owned()).or_default().records.push((refused, line));
    }

    /// Every action done has its one record, every record its action, and both tell one outcome.
    /// A refusal that was decided before there was an entry leaves no record.
    pub(super) fn judge_audit(&self, report: &mut Report) {
        for (key, audited) in &self.audit {
            let key = key.clone();
            let mut lines: Vec<u64> = audited.records.iter().map(|(_, line)| *line).collect();
            lines.extend(audited.action.map(|(_, line)| line));
            match (audited.action, &audited.records[..]) {
                (None, _) => report.add(Anomaly::AuditWithoutAction { key }, lines),
                (Some(_), [_, _, ..]) => report.add(Anomaly::AuditTwice { key }, lines),
                (Some((Kind::Ok, _)), []) => {
                    report.add(Anomaly::ActionWithoutAudit { key }, lines);
                }
                (Some((Kind::Ok, _)), [(true, _)]) | (Some((Kind::Fail, _)), [(false, _)]) => {
                    report.add(Anomaly::AuditOutcomeDiffers { key }, lines);
                }
                _ => {}
            }
        }
    }
}

impl Checker {
    pub(super) fn epoch_shown(
        &mut self,
        line: u64,
        invoked: u64,
        place: usize,
        node: (u32, u64),
        leader_epoch: i32,
    ) {
        if leader_epoch < 0 {
            return;
        }
        let partition = &mut self.partitions[place];
        let steps = partition.epochs.entry(node).or_default();
        let at = i64::from(leader_epoch);
        if let Some(before) = steps.before(invoked).filter(|step| step.at > at) {
            let anomaly = Anomaly::LeaderEpochRegress {
                partition: partition.name.clone(),
                node: node.0,
                before: i32::try_from(before.at).unwrap_or(i32::MAX),
                after: leader_epoch,
            };
            self.report.add(anomaly, vec![before.line, line]);
        }
        steps.reach(Step { line, at, value: 0 });
    }

    /// A node answered as leader, or was named as one.
    pub(super) fn leader_named(&mut self, line: u64, place: usize, leader: u32, leader_epoch: i32) {
        if leader_epoch < 0 {
            return;
        }
        let partition = &mut self.partitions[place];
        let (first, first_line) = *partition.leaders.entry(leader_epoch).or_insert((leader, line));
        if first != leader {
            let anomaly = Anomaly::TwoLeaders {
                partition: partition.name.clone(),
                leader_epoch,
                first,
                second: leader,
            };
            self.report.add(anomaly, vec![first_line, line]);
        }
    }

    pub(super) fn replica_hash(
        &mut self,
        line: u64,
        named: usize,
        place: &str,
        end_offset: i64,
        hash: &str,
    ) {
        let partition = &mut self.partitions[named];
        let (first, first_hash, first_line) = partition
            .hashes
            .entry(end_offset)
            .or_insert_with(|| (place.to_owned(), hash.to_owned(), line));
        if first_hash != hash {
            let anomaly = Anomaly::ReplicasDiffer {
                partition: partition.name.clone(),
                end_offset,
                first: first.clone(),
                second: place.to_owned(),
            };
            self.report.add(anomaly, vec![*first_line, line]);
        }
    }
}
