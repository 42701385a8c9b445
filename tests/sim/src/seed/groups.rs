//! Groups of a seed: who is in them, and what must hold of them when all faults have ended.
//!
//! | after healing | within |
//! | --- | --- |
//! | every member has its part in one generation, the group is stable, its offsets are shown | 30 s |
//! | then, for a while, heartbeats only: no entry of the group is written | – |

use holdfast_base::{CoordinatorSlot, Index, Rng};

use super::Sim;
use crate::client::Client;
use crate::group::{Examined, Member, MemberPlan};
use crate::producer::Target;

const STABLE_WITHIN_NS: u64 = 30_000_000_000;
/// Some heartbeats of every member.
const QUIET_NS: u64 = 1_500_000_000;

impl Sim {
    pub(super) fn add_groups(&mut self, targets: &[Target]) {
        let nodes = self.world.nodes.len();
        let groups = 1 + u32::from(self.rng.chance(1, 3));
        for ordinal in 0..groups {
            let group = format!("group-{ordinal}-{}", self.rng.below(1000));
            let members = 2 + self.rng.below(2);
            let has_static = self.rng.chance(1, 2);
            for member in 0..members {
                let instance_id = (has_static && member == 0).then(|| format!("{group}-static"));
                let (group, targets) = (group.clone(), targets.to_vec());
                let rng = self.rng.split();
                self.add(|id| {
                    let plan = MemberPlan { id, nodes, group, instance_id, targets, rng };
                    Client::Member(Box::new(Member::new(plan)))
                });
            }
        }
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.clients.iter().filter_map(Client::as_member)
    }

    fn first_of_each_group(&self) -> Vec<usize> {
        let mut seen = Vec::new();
        let mut first = Vec::new();
        for (id, client) in self.clients.iter().enumerate() {
            if let Client::Member(member) = client
                && !seen.contains(&member.group())
            {
                seen.push(member.group());
                first.push(id);
            }
        }
        first
    }

    /// Every member has its part, and all of a group in one generation.
    fn groups_are_settled(&self) -> bool {
        self.members().all(|member| {
            let same = |other: &Member| {
                other.group() != member.group() || other.generation() == member.generation()
            };
            member.is_settled() && self.members().all(same)
        })
    }

    /// What the groups are in the end.
    pub(super) fn settle_groups(&mut self) {
        let deadline_ns = self.world.now_ns + STABLE_WITHIN_NS;
        let firsts = self.first_of_each_group();
        self.until(STABLE_WITHIN_NS, |sim| sim.groups_are_settled().then_some(()));
        for id in &firsts {
            if let Client::Member(member) = &mut self.clients[*id] {
                member.examine();
            }
        }
        let left_ns = deadline_ns.saturating_sub(self.world.now_ns);
        let done = self.until(left_ns, |sim| {
            let examined = |id: &usize| {
                let member = sim.clients[*id].as_member();
                member.is_some_and(|member| member.examined == Examined::Done)
            };
            (firsts.iter().all(examined) && sim.groups_are_settled()).then_some(())
        });
        if done.is_none() {
            let lines: Vec<String> = self.members().map(Member::line).collect();
            self.world.broken.push(format!(
                "group-not-stable: {} s after all faults ended: {}",
                STABLE_WITHIN_NS / 1_000_000_000,
                lines.join("; ")
            ));
            return;
        }
        self.stay_idle();
    }

    /// Heartbeats write nothing.
    fn stay_idle(&mut self) {
        for client in &mut self.clients {
            if let Client::Member(member) = client {
                member.be_quiet();
            }
        }
        // What is on its way still lands.
        self.until(200_000_000, |_| None::<()>);
        let before = self.group_changes();
        self.until(QUIET_NS, |_| None::<()>);
        let after = self.group_changes();
        for (group, index) in &before {
            if let Some((_, now)) = after.iter().find(|(other, now)| other == group && now != index)
            {
                self.world.broken.push(format!(
                    "idle-group-writes: {group} was written at {now}, last before at {index}, \
                     though its members only sent heartbeats"
                ));
            }
        }
        let silent: Vec<String> =
            self.members().filter(|member| member.beats_ok == 0).map(Member::line).collect();
        for line in silent {
            self.world.broken.push(format!("heartbeat-unanswered: {line}"));
        }
    }

    /// By group: the newest entry that wrote it, as the furthest replica has it.
    fn group_changes(&self) -> Vec<(String, Index)> {
        let firsts = self.first_of_each_group();
        let groups = firsts.iter().filter_map(|id| self.clients[*id].as_member());
        let change = |group: &str| {
            let slot = CoordinatorSlot::of(group);
            let nodes = self.world.nodes.iter();
            let changed = nodes.filter_map(|node| {
                let image = &node.published.as_ref()?.image;
                let (shard, _) = image.shard_of_slot(slot)?;
                Some(node.lane.as_ref()?.shard(shard)?.group(slot, group)?.changed_at())
            });
            changed.max().unwrap_or_default()
        };
        groups.map(|member| (member.group().to_owned(), change(member.group()))).collect()
    }
}
