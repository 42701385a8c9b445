//! rust-rdkafka in the few words that the scenarios need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{Offset, Timestamp, TopicPartitionList};

use crate::contract::{OrFail as _, PATIENCE, fail};
use crate::record::Record;

/// How much one poll brings at most.
const BATCH: usize = 500;

/// The library's version as this program was built with it, and librdkafka's as it tells it.
pub fn name() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = lock
        .split_once("name = \"rdkafka\"\nversion = \"")
        .and_then(|(_, rest)| rest.split('"').next());
    let librdkafka = rdkafka::util::get_rdkafka_version().1;
    format!("rust-rdkafka {} (librdkafka {librdkafka})", version.unwrap_or("unknown"))
}

pub fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Hears what became of each record: its number and its offset.
#[derive(Default)]
struct Deliveries {
    acknowledged: Mutex<Vec<(usize, i64)>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Box<usize>) {
        match result {
            Ok(message) => {
                let mut acknowledged =
                    self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                acknowledged.push((*index, message.offset()));
            }
            Err((error, message)) => {
                fail(&format!("produce to partition {}: {error}", message.partition()))
            }
        }
    }
}

pub struct Producer {
    client: ThreadedProducer<Deliveries>,
    topic: String,
    sent: usize,
}

impl Producer {
    pub fn new(bootstrap: &str, topic: &str, codec: &str, idempotent: bool) -> Self {
        let mut config = config(bootstrap);
        config.set("compression.type", codec).set("acks", "all").set("linger.ms", "5");
        config
            .set("enable.idempotence", idempotent.to_string())
            .set("message.timeout.ms", "120000");
        let client = config.create_with_context(Deliveries::default()).or_fail("a producer");
        Self { client, topic: topic.to_owned(), sent: 0 }
    }

    pub fn send(&mut self, record: &Record) {
        let mut out = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.topic, Box::new(self.sent));
        out = out.partition(record.partition).timestamp(record.timestamp_ms);
        out.key = record.key.as_deref();
        out.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let add = |all: OwnedHeaders, (key, value): &(String, Vec<u8>)| {
                all.insert(Header { key, value: Some(value) })
            };
            out.headers = Some(record.headers.iter().fold(OwnedHeaders::new(), add));
        }
        while let Err((error, again)) = self.client.send(out) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                fail(&format!("produce: {error}"));
            }
            out = again;
            sleep(Duration::from_millis(10));
        }
        self.sent += 1;
    }

    /// Waits for everything sent; the number and the offset of each record so far.
    pub fn finish(&self) -> Vec<(usize, i64)> {
        self.client.flush(Duration::from_secs(150)).or_fail("flush");
        // The last deliveries may still be with the thread that tells them.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self
                .client
                .context()
                .acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if told.len() >= self.sent {
                return told;
            }
            if Instant::now() > deadline {
                fail(&format!("{} of {} records acknowledged", told.len(), self.sent));
            }
            sleep(Duration::from_millis(5));
        }
    }
}

/// Counts the rebalances that gave partitions.
#[derive(Default)]
pub struct Watch {
    pub rebalances: AtomicUsize,
}

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.rebalances.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let Timestamp::CreateTime(timestamp_ms) = message.timestamp() else {
        fail(&format!(
            "offset {}: {:?} is not when it was made",
            message.offset(),
            message.timestamp()
        ));
    };
    let headers = message.headers().map(|headers| {
        let one = |header: Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
        };
        headers.iter().map(one).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}

/// What comes within `wait`.
pub fn poll(consumer: &BaseConsumer<Watch>, wait: Duration) -> Vec<Record> {
    let mut records = Vec::new();
    let mut wait = wait;
    while records.len() < BATCH {
        match consumer.poll(wait) {
            Some(Ok(message)) => records.push(record_of(&message)),
            // The node is away or comes back: told, and tried again by the library itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            ))) => {}
            Some(Err(error)) => fail(&format!("consumer: {error:?}")),
            None => break,
        }
        wait = Duration::ZERO;
    }
    records
}

/// Reads partitions assigned to it, from the beginning unless told otherwise.
pub struct Reader {
    consumer: BaseConsumer<Watch>,
    topic: String,
}

impl Reader {
    pub fn new(bootstrap: &str, topic: &str, partitions: i32) -> Self {
        let mut config = config(bootstrap);
        config.set("group.id", "reads-by-assignment").set("enable.auto.commit", "false");
        config.set("check.crcs", "true").set("auto.offset.reset", "error");
        let consumer: BaseConsumer<Watch> =
            config.create_with_context(Watch::default()).or_fail("a consumer");
        let mut places = TopicPartitionList::new();
        for partition in 0..partitions {
            places.add_partition_offset(topic, partition, Offset::Beginning).or_fail("a place");
        }
        consumer.assign(&places).or_fail("assign");
        Self { consumer, topic: topic.to_owned() }
    }

    pub fn seek(&self, offset: Offset) {
        let deadline = Instant::now() + PATIENCE;
        // An assignment takes effect a moment after `assign` returns.
        while let Err(error) = self.consumer.seek(&self.topic, 0, offset, PATIENCE) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::State)
                || Instant::now() > deadline
            {
                fail(&format!("seek: {error}"));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// The first offset of that time or later.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Option<i64> {
        let mut places = TopicPartitionList::new();
        let at = Offset::Offset(timestamp_ms);
        places.add_partition_offset(&self.topic, 0, at).or_fail("a place");
        let found = self.consumer.offsets_for_times(places, PATIENCE).or_fail("offsets for times");
        match found.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            Offset::End => None,
            other => fail(&format!("offsets for times: {other:?}")),
        }
    }

    pub fn limits(&self) -> (i64, i64) {
        self.consumer.fetch_watermarks(&self.topic, 0, PATIENCE).or_fail("limits")
    }

    /// The next `count` records.
    pub fn read(&self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        let mut deadline = Instant::now() + PATIENCE;
        while records.len() < count {
            if Instant::now() > deadline {
                fail(&format!("{} of {count} records came within {PATIENCE:?}", records.len()));
            }
            let batch = poll(&self.consumer, Duration::from_millis(500));
            if !batch.is_empty() {
                deadline = Instant::now() + PATIENCE;
            }
            records.extend(batch);
        }
        records
    }

    /// What a few polls bring: nothing, or the count before was wrong.
    pub fn more(&self) -> usize {
        (0..3).map(|_| poll(&self.consumer, Duration::from_millis(500)).len()).sum()
    }
}

/// Commits without being a member.
pub fn commit_alone(bootstrap: &str, group: &str, topic: &str, offsets: &[(i32, i64)]) {
    let consumer: BaseConsumer =
        config(bootstrap).set("group.id", group).create().or_fail("a consumer");
    let mut places = TopicPartitionList::new();
    for &(partition, offset) in offsets {
        places.add_partition_offset(topic, partition, Offset::Offset(offset)).or_fail("a place");
    }
    consumer.commit(&places, CommitMode::Sync).or_fail("commit");
}
