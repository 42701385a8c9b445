//! Shard 0: entries that are applied to it, and the state it starts from.
//!
//! ```text
//! metadata     the commands of one entry, applied to a founded cluster with topics
//! catalogue    the state as bytes, its hash made true again, mostly
//! ```

use std::collections::BTreeMap;

use holdfast_base::{ClusterId, NodeId, Rng, SplitMix64, Term, TopicId};
use holdfast_metadata::{
    AlterPlan, AuditOrigin, CommandBuilder, ConfigOperation, Decider, EntryFacts, Genesis,
    GrowTopic, Listener, Metadata, NewTopic, Node, ResourceRef, TopicRef,
    propose_allocate_producer_ids, propose_alter_configs, propose_create_partitions,
    propose_create_topic, propose_delete_topic, propose_genesis, propose_register_node,
};
use sha2::{Digest, Sha256};

use super::{Bound, Target, Verdict};

const TERM: Term = Term(3);
const HASH_BYTES: usize = 32;

pub(crate) struct Entries {
    metadata: Metadata,
}
pub(crate) struct Catalogue;

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries { metadata: history().pop().expect("a cluster with a past").1 }
    }
}

impl Target for Entries {
    fn name(&self) -> &'static str {
        "metadata"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        history().into_iter().map(|(commands, _)| commands).collect()
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let mut metadata = self.metadata.clone();
        let facts = next(&metadata);
        if let Err(error) = metadata.apply(facts, input) {
            return match error.detail.contains("cannot be decoded") {
                true => Verdict::Refused,
                false => Verdict::Wrong(format!("a command stops the replica: {error}")),
            };
        }
        // An entry without commands says nothing, and would soon be all of the corpus.
        if input.is_empty() {
            return Verdict::Refused;
        }
        let kept = metadata.snapshot();
        match Metadata::restore(&kept) {
            Ok(again) if again.snapshot() == kept && again.hash() == metadata.hash() => {
                Verdict::Accepted
            }
            Ok(_) => Verdict::Wrong("the state after it is another one when restored".to_owned()),
            Err(error) => Verdict::Wrong(format!("no start can have the state after it: {error}")),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        bound(input_bytes)
    }
}

impl Target for Catalogue {
    fn name(&self) -> &'static str {
        "catalogue"
    }

    fn corpus(&self) -> Vec<Vec<u8>> {
        history().into_iter().map(|(_, metadata)| metadata.snapshot()).collect()
    }

    fn repair(&self, input: &mut [u8], rng: &mut SplitMix64) {
        if input.len() < HASH_BYTES || rng.chance(1, 16) {
            return;
        }
        let (body, hash) = input.split_at_mut(input.len() - HASH_BYTES);
        hash.copy_from_slice(&Sha256::digest(body));
    }

    fn run(&self, input: &[u8]) -> Verdict {
        let Ok(metadata) = Metadata::restore(input) else { return Verdict::Refused };
        let kept = metadata.snapshot();
        // Lists out of order are put in order: what is kept then must stay as it is.
        match Metadata::restore(&kept) {
            Ok(again) if again.snapshot() == kept => {}
            _ => return Verdict::Wrong("kept again it is another state, or none".to_owned()),
        }
        // No log is that long, and a checkpoint's head says so before its state is looked at.
        if metadata.applied().0 == u64::MAX {
            return Verdict::Refused;
        }
        let facts = EntryFacts { term: Term(u64::MAX), ..next(&metadata) };
        let mut metadata = metadata;
        match metadata.apply(facts, &[]) {
            Ok(_) => Verdict::Accepted,
            Err(error) => Verdict::Wrong(format!("nothing can follow it: {error}")),
        }
    }

    fn bound(&self, input_bytes: usize) -> Bound {
        bound(input_bytes)
    }
}

/// A state is maps of small rows: what holds one costs a multiple of its bytes. A topic's partitions
/// are counted, not listed, where a command creates them.
fn bound(input_bytes: usize) -> Bound {
    let largest_bytes = 64 * input_bytes as u64 + (1 << 20);
    Bound { largest_bytes, peak_bytes: 4 * largest_bytes }
}

/// The facts of whatever entry comes next.
fn next(metadata: &Metadata) -> EntryFacts {
    let index = metadata.applied().next();
    let image = metadata.image();
    EntryFacts { index, term: TERM, time_ms: image.as_of_ms.saturating_add(1) }
}

/// Every kind of entry, and the state behind each.
fn history() -> Vec<(Vec<u8>, Metadata)> {
    let origin = || AuditOrigin {
        principal: "User:ANONYMOUS".to_owned(),
        host: "192.0.2.7".to_owned(),
        client_id: "adminclient-1".to_owned(),
    };
    let listener =
        |port| Listener { name: "PLAINTEXT".to_owned(), host: "node.example".to_owned(), port };
    let nodes: BTreeMap<NodeId, Node> =
        (1..=3).map(|id| (NodeId(id), Node { listeners: vec![listener(9092)] })).collect();
    let genesis = Genesis::spread(ClusterId([7; 16]), nodes, &[1, 3]);
    let (mut metadata, mut decider, mut past) = (Metadata::new(), Decider::new(), Vec::new());
    let mut entry = |metadata: &mut Metadata, decider: &mut Decider, commands: Vec<u8>| {
        let applied = metadata.apply(next(metadata), &commands).expect("our own entry is sound");
        applied.outcomes.iter().for_each(|outcome| decider.settle(outcome));
        past.push((commands, metadata.clone()));
    };
    let image = metadata.image();
    let founded = propose_genesis(&image, genesis, origin()).expect("sound");
    entry(&mut metadata, &mut decider, founded);
    for step in 0..6_u8 {
        let mut builder = CommandBuilder::new();
        let to = &mut builder;
        match step {
            0 => drop(propose_register_node(
                &metadata.image(),
                NodeId(2),
                &[listener(9094)],
                origin(),
                to,
            )),
            1 | 2 => {
                let topic = NewTopic {
                    name: format!("topic-{step}"),
                    partitions: 3,
                    replication_factor: -1,
                    configs: vec![("retention.ms".to_owned(), Some("1000".to_owned()))],
                    ..NewTopic::default()
                };
                let id = TopicId([step; 16]);
                propose_create_topic(&mut decider, &metadata, &topic, id, origin(), to)
                    .expect("sound");
            }
            3 => {
                let grow =
                    GrowTopic { name: "topic-1".to_owned(), total: 5, assignment: Vec::new() };
                propose_create_partitions(&mut decider, &metadata, &grow, origin(), to)
                    .expect("sound");
            }
            4 => {
                let plan = AlterPlan {
                    resource: ResourceRef::Topic("topic-1".to_owned()),
                    changes: vec![(
                        "retention.ms".to_owned(),
                        ConfigOperation::Set,
                        Some("7".to_owned()),
                    )],
                    replace_all: false,
                };
                propose_alter_configs(&mut decider, &metadata, &plan, origin(), to).expect("sound");
                propose_allocate_producer_ids(&mut decider, &metadata, NodeId(1), to)
                    .expect("sound");
            }
            _ => {
                let topic = TopicRef::Name("topic-2".to_owned());
                propose_delete_topic(&mut decider, &metadata, &topic, origin(), to).expect("sound");
            }
        }
        entry(&mut metadata, &mut decider, builder.finish());
    }
    past
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_real_encoding_is_accepted() {
        for input in Catalogue.corpus() {
            assert!(matches!(Catalogue.run(&input), Verdict::Accepted));
        }
        let entries = Entries::new();
        assert!(entries.corpus().iter().all(|commands| !commands.is_empty()));
        for input in entries.corpus() {
            assert!(matches!(entries.run(&input), Verdict::Accepted));
        }
    }
}
