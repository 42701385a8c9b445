//! Changing configuration of topics, nodes and groups.
//!
//! ```text
//! shard 0 commits the change and its audit record ─▶ answered ─▶ image ─▶ reconcile: SetConfig
//!                                                                entries in the data shards
//! ```
//!
//! A batch decided before its shard has applied the SetConfig entry still follows the old rules,
//! as on a Kafka broker that has not heard of the change yet.

use holdfast_base::Now;
use holdfast_io::Disk;
use holdfast_metadata::{
    AlterPlan, CommandBuilder, ResourceRef, propose_alter_configs, validate_alter_configs,
};

use super::Lane;
use super::admin::audit;
use crate::calls::Slot;
use crate::request::{
    AdminRefusal, AlterResource, AlteredResource, ConfigOperation, Origin, Ticket,
};

impl<D: Disk> Lane<D> {
    pub(super) fn alter_configs(
        &mut self,
        ticket: Ticket,
        resources: Vec<AlterResource>,
        origin: &Origin,
        now: Now,
    ) {
        self.calls.open_alter_configs(ticket, resources.len());
        let mut builder = CommandBuilder::new();
        let mut slots = Vec::new();
        for (part, resource) in resources.into_iter().enumerate() {
            match self.decide_alteration(resource, origin, &mut builder) {
                Ok(Some(place)) => slots.push((place, Slot::AlterConfigs { ticket, part })),
                Ok(None) => self.calls.fill_alter_configs(ticket, part, Ok(())),
                Err(refusal) => self.calls.fill_alter_configs(ticket, part, Err(refusal)),
            }
        }
        if !builder.is_empty() {
            self.propose_metadata(builder.finish(), slots, now);
        }
    }

    /// Which command of the entry it is; `None` when it was only validated.
    fn decide_alteration(
        &mut self,
        resource: AlterResource,
        origin: &Origin,
        builder: &mut CommandBuilder,
    ) -> Result<Option<usize>, AdminRefusal> {
        let (decider, metadata) = self.deciding_metadata()?;
        let changes = resource.changes.into_iter();
        let plan = AlterPlan {
            resource: match resource.resource {
                AlteredResource::Topic(name) => ResourceRef::Topic(name),
                AlteredResource::Other(other) => ResourceRef::Other(other),
            },
            changes: changes
                .map(|change| (change.name, operation(change.operation), change.value))
                .collect(),
            replace_all: resource.replace_all,
        };
        let decision = if resource.validate_only {
            validate_alter_configs(decider, metadata, &plan)
        } else {
            propose_alter_configs(decider, metadata, &plan, audit(origin), builder)
        };
        decision.map(|decision| decision.place).map_err(|refusal| (&refusal).into())
    }
}

fn operation(asked: ConfigOperation) -> holdfast_metadata::ConfigOperation {
    use holdfast_metadata::ConfigOperation as Decided;
    match asked {
        ConfigOperation::Set => Decided::Set,
        ConfigOperation::Delete => Decided::Delete,
        ConfigOperation::Append => Decided::Append,
        ConfigOperation::Subtract => Decided::Subtract,
    }
}
