//! Answers into a socket: pieces gathered by `writev`, several answers in one call when several
//! are ready. Record bytes go out from the frame buffer they were received into.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;

/// Slices per system call: the kernel's own limit is 1,024, and longer arrays gain nothing.
const SLICES_PER_WRITE: usize = 64;

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
        let count = pieces.len().min(SLICES_PER_WRITE);
        for (slice, piece) in slices.iter_mut().zip(&*pieces) {
            *slice = IoSlice::new(piece);
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
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

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
