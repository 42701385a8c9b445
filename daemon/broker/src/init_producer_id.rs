//! InitProducerId (key 22), idempotent producers only.
//!
//! Ids come from shard 0 in blocks, each committed before its first id is given out; what is left
//! of a block is lost at a restart, so that no id is ever given twice.
//!
//! A transactional id is refused at once with UNSUPPORTED_VERSION: COORDINATOR_NOT_AVAILABLE would
//! make Java ask for `max.block.ms`.

use crate::broker::Broker;
use holdfast_lane::{Answer, Request};
use holdfast_protocol::errors::InitProducerIdError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What is left of the present block.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    /// Held while a block is fetched, so that many producers starting at once fetch one.
    left: Mutex<std::ops::Range<i64>>,
}

/// Gives out a fresh id with epoch 0.
pub(crate) async fn handle(
    broker: Arc<Broker>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default();
    let given = if request.transactional_id.is_some() {
        Err(InitProducerIdError::UnsupportedVersion)
    } else {
        next_id(&broker).await
    };
    match given {
        Ok(id) => response.with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => response
            .with_error_code(error.into())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

async fn next_id(broker: &Broker) -> Result<i64, InitProducerIdError> {
    let mut left = broker.producer_ids.left.lock().await;
    if left.is_empty() {
        *left = match broker.lane.call(Request::AllocateProducerIds).await {
            Some(Answer::AllocateProducerIds(Ok((first, count)))) => {
                first..first.saturating_add(i64::from(count))
            }
            // Retriable in every client.
            _ => return Err(InitProducerIdError::CoordinatorLoadInProgress),
        };
    }
    left.next().ok_or(InitProducerIdError::CoordinatorLoadInProgress)
}

#[cfg(test)]
mod tests;
