//! The generator against a broker of a few lines that can stall, refuse and answer out of order.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::clock::nap;
use crate::wire::Request;

/// How the broker of these tests treats its requests.
#[derive(Clone, Copy)]
struct Manners {
    stall_first: Duration,
    error_code: i16,
    wrong_correlation: bool,
}

const GOOD: Manners =
    Manners { stall_first: Duration::ZERO, error_code: 0, wrong_correlation: false };

/// Serves connections until the test ends.
fn broker(manners: Manners) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || serve(socket, manners));
        }
    });
    address
}

fn serve(mut socket: TcpStream, manners: Manners) -> Option<()> {
    let mut first = true;
    loop {
        let mut size = [0; 4];
        socket.read_exact(&mut size).ok()?;
        let mut request = vec![0; i32::from_be_bytes(size) as usize];
        socket.read_exact(&mut request).ok()?;
        if std::mem::take(&mut first) {
            nap(manners.stall_first);
        }
        // The partition stands before the batch, whose length the request's own gives away.
        let head = produce_head("t", 0, -1, 1).len() - 5 - 4;
        let partition = request[head..head + 4].to_vec();
        let mut answer = Request::new(0, 0, true, "").finish(0)[..4].to_vec();
        answer.extend_from_slice(&request[4..8]);
        if manners.wrong_correlation {
            answer[7] ^= 1;
        }
        answer.push(0);
        answer.extend_from_slice(&[2, 2, b't', 2]);
        answer.extend_from_slice(&partition);
        answer.extend_from_slice(&manners.error_code.to_be_bytes());
        answer.extend_from_slice(&[0; 32]);
        let size = (answer.len() - 4) as i32;
        answer[..4].copy_from_slice(&size.to_be_bytes());
        socket.write_all(&answer).ok()?;
    }
}

fn plan(records: u64, batch_records_max: usize, pace: Pace) -> Plan {
    Plan {
        topic: "t".into(),
        partitions: 4,
        connections: 2,
        in_flight: 1,
        batch_records_max,
        value_bytes: 10,
        records,
        pace,
    }
}

#[test]
fn every_record_is_acknowledged_once_and_counted() {
    let outcome = run(broker(GOOD), &plan(1_000, 10, Pace::Saturate)).unwrap();
    assert_eq!((outcome.records, outcome.requests), (1_000, 100));
    assert_eq!(outcome.latency_ns.len(), 100);
    let paced = plan(500, 10, Pace::Open { interval_ns: 10_000 });
    let outcome = run(broker(GOOD), &paced).unwrap();
    assert_eq!((outcome.records, outcome.latency_ns.len()), (500, 500));
}

#[test]
fn a_stall_is_charged_to_every_record_that_was_due_in_it() {
    let stall = Duration::from_millis(200);
    let address = broker(Manners { stall_first: stall, ..GOOD });
    // 200 records in 200 ms: all of them are due while the broker stalls.
    let outcome = run(address, &plan(200, 10, Pace::Open { interval_ns: 1_000_000 })).unwrap();
    let median_ms = outcome.latency_ns.value_at_quantile(0.5) as f64 / 1e6;
    assert!(median_ms >= 90.0, "a closed loop would have hidden the stall: {median_ms} ms");
}

#[test]
fn an_error_code_ends_the_run() {
    let address = broker(Manners { error_code: 19, ..GOOD });
    let end = run(address, &plan(10, 1, Pace::Saturate));
    assert!(matches!(end, Err(Failed::Code { code: 19, .. })), "{end:?}");
}

#[test]
fn an_answer_to_another_request_ends_the_run() {
    let address = broker(Manners { wrong_correlation: true, ..GOOD });
    assert!(run(address, &plan(10, 1, Pace::Saturate)).is_err());
}
