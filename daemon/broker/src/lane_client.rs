//! The door to the lane.

use holdfast_lane::{Answer, Request};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Hands calls to a lane.
///
/// Contract: `call` does not block and does not wait; calls made one after the other reach the
/// lane in that order, from whichever thread. Each gets exactly one answer, or its lane is gone.
pub trait LaneClient: Send + Sync {
    /// Submits `request` now.
    fn call(&self, request: Request) -> PendingAnswer;
}

/// An answer on its way. `None` when the lane has ended: whether the call took effect is unknown.
#[derive(Debug)]
pub struct PendingAnswer(pub oneshot::Receiver<Answer>);

impl Future for PendingAnswer {
    type Output = Option<Answer>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}
