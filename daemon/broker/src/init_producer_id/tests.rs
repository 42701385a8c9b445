//! InitProducerId: blocks are fetched once, ids given once.

use super::*;
use crate::double::bench;
use holdfast_lane::{Outcome, Reason, Refusal};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::protocol::StrBytes;

async fn ask(broker: &Arc<Broker>) -> (i16, i64, i16) {
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let answer = handle(Arc::clone(broker), request).await;
    (answer.error_code, answer.producer_id.0, answer.producer_epoch)
}

#[tokio::test]
async fn ids_come_from_one_block_until_it_is_used_up() {
    let bench = bench();
    bench.lane.answer(Answer::AllocateProducerIds(Ok((5_000, 2))));
    bench.lane.answer(Answer::AllocateProducerIds(Ok((9_000, 2))));
    assert_eq!(ask(&bench.broker).await, (0, 5_000, 0));
    assert_eq!(ask(&bench.broker).await, (0, 5_001, 0));
    assert_eq!(bench.lane.take_seen().len(), 1);
    assert_eq!(ask(&bench.broker).await, (0, 9_000, 0));
}

#[tokio::test]
async fn a_transactional_id_is_refused_at_once() {
    let bench = bench();
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from("tx"))));
    assert_eq!(handle(Arc::clone(&bench.broker), request).await.error_code, 35);
    assert!(bench.lane.take_seen().is_empty());
}

#[tokio::test]
async fn a_refused_block_may_be_asked_for_again() {
    let bench = bench();
    let refusal = Refusal { reason: Reason::NoSpace, outcome: Outcome::DidNot, leader: None };
    bench.lane.answer(Answer::AllocateProducerIds(Err(refusal)));
    assert_eq!(ask(&bench.broker).await, (14, -1, -1));
    bench.lane.answer(Answer::AllocateProducerIds(Ok((1_000, 1_000))));
    assert_eq!(ask(&bench.broker).await, (0, 1_000, 0));
}
