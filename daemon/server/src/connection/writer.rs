//! Answers into a socket: pieces gathered by `writev`, several answers in one call when several
//! are ready. Record bytes go out from the frame buffer they were received into.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;

/// Slices per system call: the kernel's own limit is 1,024, and longer arrays gain nothing.
const SLICES_PER_WRITE: usize = 64;
/// Bytes per system call, after which the other connections of the thread have a turn: a call that
/// copies what a socket takes, four megabytes, holds up a producer for more than its record takes.
const BYTES_PER_WRITE: usize = 256 << 10;

/// Writes all of `pieces`, in order. Dropped before its end, it leaves in `pieces` exactly what has
/// not been written.
///
/// # Errors
/// What the socket said; how much was written is then unknown, so the connection must end.
pub async fn write_pieces(
    stream: &mut WriteHalf<'_>,
    pieces: &mut VecDeque<Bytes>,
) -> io::Result<()> {
    pieces.retain(|piece| !piece.is_empty());
    while !pieces.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let (mut count, mut left) = (0, BYTES_PER_WRITE);
        for (slice, piece) in slices.iter_mut().zip(&*pieces) {
            let taken = piece.len().min(left);
            *slice = IoSlice::new(&piece[..taken]);
            count += 1;
            left -= taken;
            if left == 0 {
                break;
            }
        }
        let mut written = stream.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let front = pieces.front_mut().expect("bytes were written, so a piece was there");
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            pieces.pop_front();
        }
        if !pieces.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_large_answer_lets_the_other_connections_of_its_thread_have_their_turns() {
        const BYTES: usize = 8 << 20;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        // Reads on a thread of its own, as a client does: the socket is rarely full.
        let client = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("accepts");
            io::copy(&mut client, &mut io::sink()).expect("read")
        });
        let mut server = TcpStream::connect(address).await.expect("connects");
        let turns = std::rc::Rc::new(std::cell::Cell::new(0_usize));
        let local = tokio::task::LocalSet::new();
        let others = std::rc::Rc::clone(&turns);
        local.spawn_local(async move {
            loop {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let writing = async {
            let mut pieces = VecDeque::from([Bytes::from(vec![7; BYTES])]);
            let (_read, mut write) = server.split();
            write_pieces(&mut write, &mut pieces).await.expect("written");
        };
        local.run_until(writing).await;
        drop(server);
        assert_eq!(client.join().expect("no panic"), BYTES as u64);
        let turns = turns.get();
        assert!(turns >= BYTES / BYTES_PER_WRITE - 1, "{turns} turns for others");
    }

    #[tokio::test]
    async fn many_pieces_of_any_size_arrive_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let mut client = TcpStream::connect(address).await.expect("connects");
        let (mut server, _) = listener.accept().await.expect("accepts");
        let mut pieces: VecDeque<Bytes> = (0..300_usize)
            .map(|i| Bytes::from(vec![(i % 251) as u8; if i % 7 == 0 { 90_000 } else { i % 5 }]))
            .collect();
        let expected: Vec<u8> = pieces.iter().flatten().copied().collect();
        let writing = tokio::spawn(async move {
            let (_read, mut write) = server.split();
            write_pieces(&mut write, &mut pieces).await.expect("written");
        });
        let mut received = vec![0; expected.len()];
        client.read_exact(&mut received).await.expect("all of it");
        writing.await.expect("no panic");
        assert!(received == expected);
    }
}
