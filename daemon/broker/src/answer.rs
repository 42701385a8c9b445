//! What a connection does when a request is finished.

use crate::answer_room::Held;
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;

/// The end of a request.
#[derive(Debug)]
pub enum Reply {
    /// Bytes to send, length field included; pieces so that records are not copied.
    Send(Vec<Bytes>),
    /// As `Send`; the memory is given back as the records leave.
    SendHeld(Vec<Bytes>, Held),
    /// Nothing is sent, not even an empty answer (Produce with acks=0).
    Silence,
    /// The connection ends, for this reason: the client's only signal when no answer can be given.
    Close(String),
}

/// Waits for the end of a request that has been started. Dropping it does not undo the request.
pub type ReplyFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

impl Reply {
    /// A future that has already ended.
    #[must_use]
    pub fn now(self) -> ReplyFuture {
        Box::pin(std::future::ready(self))
    }
}
