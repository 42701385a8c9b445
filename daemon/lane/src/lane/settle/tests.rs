//! What the log says of a batch that was refused at apply.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use holdfast_base::TopicId;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// Fields of the events of one thread.
#[derive(Clone, Default)]
struct Fields(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.lock().unwrap().insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Fields {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn an_operator_finds_the_events_of_a_partition_by_its_topic_and_its_number() {
    let id = TopicId([5; 16]);
    let topic = Arc::new(holdfast_metadata::Topic {
        id,
        name: "orders".to_owned(),
        replication_factor: 1,
        configs: BTreeMap::new(),
        partitions: Vec::new(),
        created_at_ms: 0,
    });
    let mut image = Image::default();
    for (known, name) in [(false, id.to_string()), (true, "orders".to_owned())] {
        if known {
            image.topics_by_id = Arc::new(BTreeMap::from([(id, Arc::clone(&topic))]));
        }
        let fields = Fields::default();
        let key = PartitionKey { topic: id, partition: 3 };
        tracing::subscriber::with_default(fields.clone(), || {
            tell_refused_at_apply(&image, &key, None);
        });
        let fields = fields.0.lock().unwrap();
        assert_eq!(fields.get("topic"), Some(&name));
        assert_eq!(fields.get("partition").map(String::as_str), Some("3"));
    }
}
