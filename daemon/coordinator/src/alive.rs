//! Signs of life: Heartbeat and OffsetCommit. Nothing is written for them.

use crate::call::{GroupError, GroupState, Heartbeat};
use crate::group::Group;
use crate::turn::Turn;

impl Group {
    pub(crate) fn heartbeat(
        &mut self,
        beat: &Heartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        self.validate(&beat.member_id, beat.instance_id.as_deref())?;
        if beat.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.refresh_session(&beat.member_id, turn);
        if self.state == GroupState::PreparingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// May these offsets be committed? A group without members takes them from anyone without a
    /// generation; a group with members only from a member of the present one, and not while its
    /// leader assigns.
    pub(crate) fn commit(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        turn: &mut Turn<'_>,
    ) -> Result<(), GroupError> {
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(GroupError::UnknownMember);
        }
        self.validate(member_id, instance_id)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if self.state == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        self.refresh_session(member_id, turn);
        Ok(())
    }
}
