//! Answers on their way out, and clients that do not take them.
//!
//! ```text
//! replies ─▶ pieces ─▶ writer, a moment first, then a second at a time
//!                       └─ not all taken: give back what was; copy what was not;
//!                          close the client if others wait for its room and it hardly reads
//! ```
//!
//! Why copies: a piece of 1 KiB keeps the whole frame buffer alive it lies in (4 MiB, or 2 MiB of old
//! records), and the room counts 1 KiB. Who takes its answer in a moment costs no copy.

use super::writer::write_pieces;
use super::{End, Shared};
use bytes::Bytes;
use holdfast_broker::{Held, Reply};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::tcp::WriteHalf;
use tokio::time::{Instant, timeout};

/// A client that has not taken its answers for so long is gone.
const SEND_LIMIT: Duration = Duration::from_secs(10 * 60);
/// For so long an answer may keep more memory alive than it holds room for.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// How often a client that does not take its answer at once is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Who takes less between two looks hardly reads: 2 Mbit/s.
const TAKEN_BYTES_MIN: usize = 256 << 10;

/// Sends replies up to the first that ends the connection.
pub(super) async fn send(
    write_half: &mut WriteHalf<'_>,
    replies: Vec<Reply>,
    shared: &Shared,
) -> Option<End> {
    let mut pieces: VecDeque<Bytes> = VecDeque::new();
    let mut held = Vec::new();
    let mut end = None;
    for reply in replies {
        match reply {
            Reply::Send(answer) => pieces.extend(answer),
            Reply::SendHeld(answer, room) => {
                pieces.extend(answer);
                held.push(room);
            }
            Reply::Silence => {}
            Reply::Close(why) => {
                end = Some(End::Said(why));
                break;
            }
        }
    }
    let started = Instant::now();
    let mut looks = 0u32;
    loop {
        let left = bytes_of(&pieces);
        let pause = if looks == 0 { FIRST_LOOK } else { LOOK_EVERY };
        let written = timeout(pause, write_pieces(write_half, &mut pieces)).await;
        let taken = left - bytes_of(&pieces);
        shared.node.metrics.sent_bytes.add(taken as u64);
        match written {
            Ok(Ok(())) => return end,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an answer could not be sent");
                return Some(End::Quiet);
            }
            Err(_) if started.elapsed() >= SEND_LIMIT => {
                let why = "the client has not read its answers for 10 minutes";
                return Some(End::Cut(why.to_owned()));
            }
            Err(_) => {}
        }
        let in_the_way = !held.is_empty() && shared.broker.answer_room().is_wanted();
        if looks > 0 && in_the_way && taken < TAKEN_BYTES_MIN {
            let why = "the client hardly reads its answer, and others wait for the memory it holds";
            return Some(End::Cut(why.to_owned()));
        }
        give_back(&mut held, left - taken);
        if looks == 0 {
            for piece in &mut pieces {
                *piece = Bytes::copy_from_slice(piece);
            }
        }
        looks = looks.saturating_add(1);
    }
}

fn bytes_of(pieces: &VecDeque<Bytes>) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Only one answer with records is sent at a time: Fetch waits for what is before it, and all else
/// waits for Fetch.
fn give_back(held: &mut [Held], left_bytes: usize) {
    for room in held {
        room.shrink_to(left_bytes);
    }
}
