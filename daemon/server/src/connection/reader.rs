//! Requests out of a socket, without believing what they claim.
//!
//! ```text
//! frame:   length 4 (big-endian, of what follows) │ request …
//! buffer:  ├── frame ──┤├── frame ──┤├─ part of a frame ─┤      small frames share a buffer
//!          ├── frame, exactly ─────────────────────────┤        large ones get their own
//! ```
//!
//! Growth follows `holdfast_protocol::next_capacity`: a buffer holds at most twice what has arrived
//! of the present frame, or the size that earlier frames of this connection really had, so that
//! steady 1 MB requests are read into one buffer each without a copy, while a liar who claims
//! 100 MiB gets 64 KiB. Reads of a large frame stop at its end: the next one starts in a buffer of its own,
//! and the records inside are handed on as slices of it.
//!
//! Everything the buffer holds is reserved in the node's [`Budget`] before it is allocated.
//! Between requests a connection holds no buffer at all.
//!
//! [`FrameReader::next`] may be dropped at any await and called again: all progress is in `self`.

use super::budget::{Budget, Reservation};
use bytes::{BufMut, Bytes, BytesMut};
use holdfast_protocol::frame::{FrameRefusal, LENGTH_BYTES, Step, next_capacity, next_step};
use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;

/// A first read: holds every request but Produce of most clients.
const SMALL_BYTES: usize = 16 * 1024;
/// From here on a frame gets its own buffer, and reads stop at its end.
const LARGE_BYTES: usize = 64 * 1024;
/// The typical size forgets a large frame over about this many small ones.
const DECAY: usize = 64;

/// A request, and the bytes of the budget it holds until it is answered.
#[derive(Debug)]
pub struct Frame {
    /// The request without its length.
    pub bytes: Bytes,
    /// Dropped with the answer.
    pub reservation: Reservation,
}

/// Why no further request will come.
#[derive(Debug)]
pub enum ReadEnd {
    /// The client closed between two requests.
    Closed,
    /// The client closed inside a request.
    ClosedInside,
    /// The socket failed.
    Failed(io::Error),
    /// Not a request: another protocol, or a length no request can have.
    Refused(FrameRefusal),
    /// The node's budget for requests in flight was used up for too long.
    Crowded,
}

type Waiting = Pin<Box<dyn Future<Output = Option<Reservation>> + Send>>;

/// Cuts requests out of one connection.
pub struct FrameReader {
    budget: Budget,
    limit_bytes: usize,
    buffer: BytesMut,
    /// Covers what `buffer` holds: `held.bytes() ≥ buffer.len()` at all times. Its capacity may be
    /// larger, when it got back the room of frames that are answered: reads stop at what is held.
    held: Reservation,
    /// Decaying maximum of frame sizes seen, with their length field.
    typical_bytes: usize,
    /// A growth of the buffer that waits for the budget.
    waiting: Option<Waiting>,
}

impl FrameReader {
    /// A reader for a new connection that accepts requests up to `limit_bytes`.
    #[must_use]
    pub fn new(budget: Budget, limit_bytes: usize) -> FrameReader {
        let held = budget.reservation();
        FrameReader {
            budget,
            limit_bytes,
            buffer: BytesMut::new(),
            held,
            typical_bytes: SMALL_BYTES,
            waiting: None,
        }
    }

    /// True while a request has arrived in part.
    #[must_use]
    pub fn inside_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next request.
    ///
    /// # Errors
    /// When none will come any more; the connection is to be closed.
    pub async fn next(&mut self, stream: &mut ReadHalf<'_>) -> Result<Frame, ReadEnd> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(frame);
            }
            if self.buffer.is_empty() && self.waiting.is_none() {
                // Idle: no buffer until there is something to put into it.
                self.buffer = BytesMut::new();
                self.held = self.budget.reservation();
                stream.readable().await.map_err(ReadEnd::Failed)?;
            }
            self.make_room().await?;
            self.read_some(stream).await?;
        }
    }

    /// Length of the frame at the front, with its length field; `None` while that is not there.
    fn front_bytes(&self) -> Result<Option<usize>, ReadEnd> {
        match next_step(&self.buffer, self.limit_bytes).map_err(ReadEnd::Refused)? {
            Step::NeedLength => Ok(None),
            Step::NeedBytes { frame_bytes } | Step::Complete { frame_bytes } => {
                Ok(Some(frame_bytes))
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Frame>, ReadEnd> {
        let Some(whole_bytes) = self.front_bytes()? else { return Ok(None) };
        if self.buffer.len() < whole_bytes {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(whole_bytes).freeze();
        let bytes = frame.split_off(LENGTH_BYTES);
        // The last frame of a buffer takes what was reserved for it; others take their share.
        let share = if self.buffer.is_empty() { self.held.bytes() } else { whole_bytes };
        let reservation = self.held.split(share);
        self.typical_bytes = whole_bytes.max(self.typical_bytes - self.typical_bytes / DECAY);
        Ok(Some(Frame { bytes, reservation }))
    }

    /// How many bytes the buffer should be able to take now, beyond what is in it.
    fn room_wanted(&self) -> Result<usize, ReadEnd> {
        let have = self.buffer.len();
        let capacity_bytes = match self.front_bytes()? {
            // What the connection has proved to send, so that such a frame is read in one piece.
            None => next_capacity(have, usize::MAX, self.typical_bytes).min(self.first_bytes()),
            Some(whole_bytes) if whole_bytes >= LARGE_BYTES => {
                next_capacity(have, whole_bytes, self.typical_bytes)
            }
            Some(whole_bytes) => whole_bytes.max(SMALL_BYTES),
        };
        Ok(capacity_bytes.saturating_sub(have).max(LENGTH_BYTES))
    }

    /// Size of a fresh buffer: small until the connection has shown more.
    fn first_bytes(&self) -> usize {
        if self.typical_bytes < LARGE_BYTES { SMALL_BYTES } else { self.typical_bytes }
    }

    /// Reserves and allocates what [`Self::room_wanted`] says, if the buffer is full or not paid for.
    async fn make_room(&mut self) -> Result<(), ReadEnd> {
        if self.buffer.capacity().min(self.held.bytes()) > self.buffer.len() {
            return Ok(());
        }
        let room = self.room_wanted()?;
        let needed = (self.buffer.len() + room).saturating_sub(self.held.bytes());
        let needed = u32::try_from(needed).map_err(|_| ReadEnd::Crowded)?;
        let taken = match self.budget.try_take(needed) {
            Some(taken) if self.waiting.is_none() => taken,
            _ => {
                let budget = &self.budget;
                let waiting =
                    self.waiting.get_or_insert_with(|| Box::pin(budget.clone().take(needed)));
                // Borrowed, not moved: a dropped call keeps its place in the queue.
                let taken = waiting.as_mut().await;
                self.waiting = None;
                taken.ok_or(ReadEnd::Crowded)?
            }
        };
        self.held.merge(taken);
        self.buffer.reserve(room);
        Ok(())
    }

    async fn read_some(&mut self, stream: &mut ReadHalf<'_>) -> Result<(), ReadEnd> {
        let at_most = match self.front_bytes()? {
            Some(whole_bytes) if whole_bytes >= LARGE_BYTES => whole_bytes - self.buffer.len(),
            _ => usize::MAX,
        };
        let paid = self.held.bytes() - self.buffer.len();
        let at_most = at_most.min(paid);
        let mut target = (&mut self.buffer).limit(at_most);
        match stream.read_buf(&mut target).await {
            Ok(0) if self.buffer.is_empty() => Err(ReadEnd::Closed),
            Ok(0) => Err(ReadEnd::ClosedInside),
            Ok(_) => Ok(()),
            Err(error) => Err(ReadEnd::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests;
