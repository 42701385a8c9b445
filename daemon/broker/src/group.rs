//! What the APIs of consumer groups share: the way to a coordinator and back, and texts that leave
//! the request behind.

use crate::broker::Broker;
use bytes::Bytes;
use holdfast_lane::{Answer, GroupAnswer, GroupCall, GroupError, Request};
use kafka_protocol::protocol::StrBytes;

impl Broker {
    /// Asks the coordinator of a group, submitted before this returns. An answer of another kind,
    /// or none because the lane has ended, is a coordinator that is not there.
    pub(crate) fn ask_group<T>(
        &self,
        call: GroupCall,
        unwrap: impl FnOnce(GroupAnswer) -> Option<Result<T, GroupError>> + Send,
    ) -> impl Future<Output = Result<T, GroupError>> + Send {
        let pending = self.lane.call(Request::Group(call));
        async move {
            match pending.await {
                Some(Answer::Group(answer)) => unwrap(answer),
                _ => None,
            }
            .unwrap_or(Err(GroupError::CoordinatorNotAvailable))
        }
    }
}

/// A text on its own: what a client sends is a slice of its whole request, which a coordinator must
/// not keep alive.
pub(crate) fn owned(text: &StrBytes) -> String {
    text.to_string()
}

/// As [`owned`].
pub(crate) fn owned_option(text: &Option<StrBytes>) -> Option<String> {
    text.as_ref().map(owned)
}

/// Bytes on their own, as [`owned`].
pub(crate) fn owned_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
