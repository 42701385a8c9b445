//! Answers and the memory they share.

use super::*;
use crate::answer_room::Held;
use std::future::Future;
use std::pin::pin;

const ROOM_BYTES: usize = 256 << 20;

/// Takes all but `left_bytes` of the room.
async fn crowd(bench: &Bench, left_bytes: usize) -> Held {
    let room = bench.broker.answer_room();
    let bytes = ROOM_BYTES - left_bytes;
    room.take(bytes, bytes).await.expect("the node does not stop")
}

async fn two_slices(bench: &Bench) -> (Vec<Bytes>, Option<Held>) {
    let slices = [(5, 2), (7, 1)].map(|(offset, count)| batch_at(offset, count));
    let slices = slices.map(|bytes| RecordSlice::Cached(Bytes::from(bytes)));
    bench.lane.answer(found(slices.to_vec()));
    let (broker, context) = (Arc::clone(&bench.broker), Arc::clone(&bench.context));
    let (mut parts, held) = handle(broker, context, request("orders", 0), 12).await;
    (parts.topics.remove(0).partitions.remove(0).records.expect("some"), held)
}

#[tokio::test]
async fn an_answer_holds_room_for_all_its_records() {
    let bench = bench();
    let (records, held) = two_slices(&bench).await;
    assert_eq!(held.map(|held| held.bytes()), Some(records.concat().len()));
}

#[tokio::test]
async fn what_the_room_does_not_hold_is_left_out_from_the_end() {
    let bench = bench();
    let first = batch_at(5, 2);
    let _others = crowd(&bench, first.len() + 1).await;
    let (records, held) = two_slices(&bench).await;
    assert_eq!(records.concat(), first);
    assert_eq!(held.map(|held| held.bytes()), Some(first.len()));
}

#[tokio::test]
async fn nothing_is_read_for_a_client_before_there_is_room_for_it() {
    let bench = bench();
    let others = crowd(&bench, 10).await;
    let mut answer = pin!(two_slices(&bench));
    let waits = std::future::poll_fn(|context| {
        std::task::Poll::Ready(answer.as_mut().poll(context).is_pending())
    });
    assert!(waits.await && bench.broker.answer_room().is_wanted());
    drop(others);
    assert_eq!(answer.await.0.concat().len(), batch_at(5, 2).len());
}
