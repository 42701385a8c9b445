//! A reader against a real loopback socket.

use super::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1024 * 1024;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("bound");
    let client = TcpStream::connect(address).await.expect("connects");
    let (server, _) = listener.accept().await.expect("accepts");
    (client, server)
}

fn frame_of(len: usize, fill: u8) -> Vec<u8> {
    let mut frame = u32::try_from(len).expect("small").to_be_bytes().to_vec();
    frame.resize(len + LENGTH_BYTES, fill);
    frame
}

#[tokio::test]
async fn frames_come_out_whole_in_order_and_the_budget_comes_back() {
    let (mut client, mut server) = pair().await;
    let budget = Budget::new(8 * MIB);
    let mut reader = FrameReader::new(budget.clone(), 100 * MIB);
    let sizes = [8, 100, 70_000, 9, MIB, MIB, 20, MIB, 64 * 1024];
    let writer = tokio::spawn(async move {
        for (fill, len) in (0_u8..).zip(sizes) {
            client.write_all(&frame_of(len, fill)).await.expect("written");
        }
    });
    let (mut half, _write) = server.split();
    for (fill, len) in (0_u8..).zip(sizes) {
        let frame = reader.next(&mut half).await.expect("a frame");
        assert_eq!(frame.bytes.len(), len);
        assert!(frame.bytes.iter().all(|byte| *byte == fill));
        assert!(frame.reservation.bytes() >= len, "what is held is paid for");
    }
    writer.await.expect("no panic");
    assert!(matches!(reader.next(&mut half).await, Err(ReadEnd::Closed)));
    drop(reader);
    assert_eq!(budget.free_bytes(), 8 * MIB);
}

#[tokio::test]
async fn a_claim_allocates_nothing_that_was_not_sent() {
    let (mut client, mut server) = pair().await;
    let budget = Budget::new(200 * MIB);
    let mut reader = FrameReader::new(budget.clone(), 100 * MIB);
    client.write_all(&(99 * 1024 * 1024_i32).to_be_bytes()).await.expect("written");
    client.write_all(&[0; 1_000]).await.expect("written");
    drop(client);
    let (mut half, _write) = server.split();
    assert!(matches!(reader.next(&mut half).await, Err(ReadEnd::ClosedInside)));
    assert!(reader.held.bytes() <= LARGE_BYTES, "{}", reader.held.bytes());
    assert!(reader.buffer.capacity() <= LARGE_BYTES);
}

#[tokio::test]
async fn a_steady_large_frame_is_read_without_growing() {
    let (mut client, mut server) = pair().await;
    let mut reader = FrameReader::new(Budget::new(32 * MIB), 100 * MIB);
    let writer = tokio::spawn(async move {
        for _ in 0..4 {
            client.write_all(&frame_of(MIB, 7)).await.expect("written");
        }
    });
    let (mut half, _write) = server.split();
    reader.next(&mut half).await.expect("the first grows");
    let frame = reader.next(&mut half).await.expect("the second does not");
    assert!(frame.reservation.bytes() <= MIB + MIB / 4, "{}", frame.reservation.bytes());
    writer.abort();
}

#[tokio::test]
async fn a_buffer_that_got_its_room_back_is_filled_only_as_far_as_it_is_paid_for() {
    let (mut client, mut server) = pair().await;
    let mut reader = FrameReader::new(Budget::new(32 * MIB), 100 * MIB);
    // A large frame makes the next buffer large; small ones behind it are answered at once, so
    // that their room comes back while the last of them is still there in part.
    const SMALL: usize = 3_000;
    let writer = tokio::spawn(async move {
        client.write_all(&frame_of(MIB, 1)).await.expect("written");
        for _ in 0..3_000 {
            client.write_all(&frame_of(SMALL, 2)).await.expect("written");
        }
    });
    let (mut half, _write) = server.split();
    reader.next(&mut half).await.expect("the large one");
    for _ in 0..3_000 {
        let frame = reader.next(&mut half).await.expect("a small one");
        assert_eq!(frame.bytes.len(), SMALL);
        assert!(reader.held.bytes() >= reader.buffer.len());
    }
    writer.await.expect("no panic");
}

#[tokio::test]
async fn lengths_no_request_can_have_end_the_connection() {
    for claimed in [-1, 0, 7, i32::MIN, i32::MAX, 101 * 1024 * 1024] {
        let (mut client, mut server) = pair().await;
        let mut reader = FrameReader::new(Budget::new(MIB), 100 * MIB);
        client.write_all(&i32::to_be_bytes(claimed)).await.expect("written");
        let (mut half, _write) = server.split();
        let end = reader.next(&mut half).await;
        assert!(
            matches!(
                end,
                Err(ReadEnd::Refused(
                    FrameRefusal::ImpossibleLength { length } | FrameRefusal::TooLarge { length, .. }
                )) if length == claimed
            ),
            "{claimed}: {end:?}"
        );
    }
}

#[tokio::test]
async fn tls_on_the_plain_port_is_named() {
    let (mut client, mut server) = pair().await;
    let mut reader = FrameReader::new(Budget::new(MIB), 100 * MIB);
    client.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.expect("written");
    let (mut half, _write) = server.split();
    let end = reader.next(&mut half).await;
    assert!(matches!(end, Err(ReadEnd::Refused(FrameRefusal::Tls))), "{end:?}");
}

#[tokio::test]
async fn a_dropped_call_loses_no_byte() {
    let (mut client, mut server) = pair().await;
    let mut reader = FrameReader::new(Budget::new(MIB), 100 * MIB);
    let whole = frame_of(1_000, 3);
    let (mut half, _write) = server.split();
    for part in whole.chunks(97) {
        client.write_all(part).await.expect("written");
        half.readable().await.expect("readable");
        let mut next = std::pin::pin!(reader.next(&mut half));
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context)))
                .await;
        if let std::task::Poll::Ready(frame) = polled {
            assert_eq!(frame.expect("a frame").bytes.len(), 1_000);
            return;
        }
    }
    assert_eq!(reader.next(&mut half).await.expect("a frame").bytes.len(), 1_000);
}
