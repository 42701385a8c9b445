//! Deciding more partitions for a topic: `CreatePartitions`.
//!
//! The command says how many partitions there are afterwards, so two calls decided on the same
//! number cannot both apply: `total = before + added.len()` is checked at apply.

use holdfast_base::{ShardId, TopicId};

use crate::audit::AuditOrigin;
use crate::command::{Command, CommandBuilder};
use crate::decide::{Decider, PARTITIONS_PER_TOPIC_MAX, PendingGrowth, push};
use crate::image::Placement;
use crate::placement::{place_assigned, place_partitions};
use crate::refusal::{Reason, Refusal};
use crate::state::{Metadata, not_founded};

/// A topic that shall have more partitions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GrowTopic {
    /// Its name.
    pub name: String,
    /// How many it shall have then.
    pub total: i32,
    /// Nodes of each new partition, where the client names them; else empty.
    pub assignment: Vec<Vec<i32>>,
}

/// More partitions as they were decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrowPlan {
    /// Which command of the entry; finds its outcome. `None` when only validated.
    pub place: Option<usize>,
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// How many it has then.
    pub total: u32,
    /// Where the new ones go.
    pub added: Vec<Placement>,
}

/// Decides more partitions and adds the command.
///
/// # Errors
/// What a client is to be told.
pub fn propose_create_partitions(
    decider: &mut Decider,
    metadata: &Metadata,
    grow: &GrowTopic,
    origin: AuditOrigin,
    builder: &mut CommandBuilder,
) -> Result<GrowPlan, Refusal> {
    let mut plan = validate_create_partitions(decider, metadata, grow)?;
    let command = Command::CreatePartitions {
        id: plan.id,
        name: plan.name.clone(),
        total: plan.total,
        added: plan.added.clone(),
        origin,
    };
    plan.place = Some(push(builder, &command)?);
    let first = plan.total as usize - plan.added.len();
    let growth = decider
        .grown
        .entry(plan.id)
        .or_insert_with(|| PendingGrowth { first, added: Default::default() });
    for placement in &plan.added {
        growth.added.push_back(*placement);
        *decider.load.entry(placement.shard).or_default() += 1;
    }
    Ok(plan)
}

/// Decides more partitions and changes nothing (`validate_only`).
///
/// # Errors
/// What a client is to be told.
pub fn validate_create_partitions(
    decider: &Decider,
    metadata: &Metadata,
    grow: &GrowTopic,
) -> Result<GrowPlan, Refusal> {
    let image = &metadata.image;
    if !image.is_founded() {
        return Err(not_founded());
    }
    let topic = decider.find(metadata, &grow.name)?;
    let more = check_total(&grow.name, topic.partitions, grow.total)?;
    let load =
        |shard: ShardId| metadata.load(shard) + decider.load.get(&shard).copied().unwrap_or(0);
    let added = if grow.assignment.is_empty() {
        place_partitions(image, load, topic.replication_factor, more)?
    } else {
        check_assignment(&grow.assignment, more, topic.replication_factor)?;
        let numbered: Vec<(i32, Vec<i32>)> = (0..).zip(grow.assignment.iter().cloned()).collect();
        place_assigned(image, load, &numbered)?.1
    };
    Ok(GrowPlan {
        place: None,
        id: topic.id,
        name: grow.name.clone(),
        total: grow.total.unsigned_abs(),
        added,
    })
}

/// How many more, in Kafka's words where it is none.
fn check_total(name: &str, current: usize, total: i32) -> Result<u32, Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidPartitions, why));
    let wanted = usize::try_from(total).unwrap_or(0);
    if wanted == current {
        return refuse(format!("Topic already has {current} partition(s)."));
    }
    if wanted < current {
        return refuse(format!(
            "The topic {name} currently has {current} partition(s); {total} would not be an \
             increase."
        ));
    }
    if total > PARTITIONS_PER_TOPIC_MAX {
        return refuse(format!(
            "The topic {name} currently has {current} partition(s); a topic cannot have {total}, \
             ask for at most {PARTITIONS_PER_TOPIC_MAX}."
        ));
    }
    Ok((wanted - current) as u32)
}

fn check_assignment(assignment: &[Vec<i32>], more: u32, factor: u16) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidReplicaAssignment, why));
    if assignment.len() != more as usize {
        return refuse(format!(
            "Attempted to add {more} additional partition(s), but {} assignment(s) were specified.",
            assignment.len()
        ));
    }
    match assignment.iter().find(|nodes| nodes.len() != usize::from(factor)) {
        Some(nodes) => refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {factor} replica(s).",
            nodes.len()
        )),
        None => Ok(()),
    }
}
