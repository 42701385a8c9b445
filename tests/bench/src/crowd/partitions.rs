//! A topic of many partitions in which nothing happens: how long it takes to make, what it weighs,
//! what it costs to be there.

use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Client, Failed, Result};
use crate::clock::{Stopwatch, nap};

/// Partitions that are not served by then will not be.
const SERVED_WAIT_S: f64 = 60.0;
/// Between two looks: one look at 2,000 partitions costs a broker about a millisecond.
const LOOK: Duration = Duration::from_millis(20);

/// Kafka's controller refuses a request that makes more than 10,000 records, one of them the topic's.
const AT_ONCE_MAX: i32 = 5_000;

/// Seconds from CreateTopics until every partition answers as its leader.
pub fn create(address: SocketAddr, topic: &str, partitions: i32) -> Result<f64> {
    let mut client = Client::connect(address)?;
    let clock = Stopwatch::start();
    let mut made = partitions.min(AT_ONCE_MAX);
    client.create_topic(topic, made)?;
    while made < partitions {
        made = (made + AT_ONCE_MAX).min(partitions);
        client.grow_topic(topic, made)?;
    }
    loop {
        match client.end_offsets(topic, partitions) {
            Ok(_) => return Ok(clock.seconds()),
            Err(Failed::Code { .. }) if clock.seconds() < SERVED_WAIT_S => nap(LOOK),
            Err(error) => return Err(error),
        }
    }
}

/// One Metadata call for the topic each second, on one connection, for `seconds`; returns how many.
pub fn metadata_each_second(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    seconds: u64,
) -> Result<u64> {
    let mut client = Client::connect(address)?;
    let clock = Stopwatch::start();
    for call in 1..=seconds {
        let found = client.partitions(topic)?;
        if found != partitions as usize {
            return Err(Failed::Wrong(format!(
                "Metadata shows {found} of {partitions} partitions"
            )));
        }
        let left_s = call as f64 - clock.seconds();
        nap(Duration::from_secs_f64(left_s.max(0.0)));
    }
    Ok(seconds)
}
