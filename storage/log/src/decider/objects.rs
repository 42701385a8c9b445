//! What a leader proposes of objects: the steps of their lives.
//!
//! Nothing is layered here: what apply would refuse by the applied state is refused before it is
//! written. The one who uploads looks again when it has moved.

use super::Decider;
use super::administration::{Proposal, push};
use crate::command::Command;
use crate::entry::EntryBuilder;
use crate::object::{Intent, Manifest, ObjectStep};
use crate::refusal::Refused;
use crate::shard::Shard;

impl Decider {
    /// Announces an object of entries that are applied.
    ///
    /// # Errors
    /// When apply would refuse it, or the entry is full.
    pub fn propose_intent(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        intent: &Intent,
    ) -> Result<Proposal, Refused> {
        shard.check_intent(intent, intent.term)?;
        push(entry, &Command::Intent(*intent))
    }

    /// Announces an object that will be made of others.
    ///
    /// # Errors
    /// As [`Self::propose_intent`].
    pub fn propose_merge_intent(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        intent: &Intent,
    ) -> Result<Proposal, Refused> {
        shard.check_merge_intent(intent, intent.term)?;
        push(entry, &Command::MergeIntent(*intent))
    }

    /// Commits an object that was read back.
    ///
    /// # Errors
    /// As [`Self::propose_intent`].
    pub fn propose_manifest(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        manifest: &Manifest,
    ) -> Result<Proposal, Refused> {
        // A command that apply could not decode would stop every replica.
        manifest.check().map_err(|what| Refused::InvalidObject { what })?;
        shard.check_manifest(manifest)?;
        push(entry, &Command::Manifest(manifest.clone()))
    }

    /// A later step of an object's life.
    ///
    /// # Errors
    /// As [`Self::propose_intent`].
    pub fn propose_object_step(
        &mut self,
        shard: &Shard,
        entry: &mut EntryBuilder,
        step: &ObjectStep,
    ) -> Result<Proposal, Refused> {
        shard.check_object_step(step)?;
        push(entry, &Command::ObjectStep(*step))
    }
}
