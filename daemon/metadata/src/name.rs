//! Topic names: Kafka's rules, and the names Kafka uses for itself, which are reserved here
//! because that state lives in shards and not in topics.

use crate::refusal::{Reason, Refusal};

/// Kafka's limit; file names of its segments once had to fit.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Never created, never listed: what each holds in Kafka is an entry of a shard here.
pub const RESERVED_TOPIC_NAMES: [&str; 4] =
    ["__cluster_metadata", "__consumer_offsets", "__share_group_state", "__transaction_state"];

/// Whether a topic could ever have had this name in Kafka; the reserved ones could.
#[must_use]
pub fn is_topic_name(name: &str) -> bool {
    check_shape(name).is_ok()
}

/// Checks a name by itself, without other topics.
pub(crate) fn check_topic_name(name: &str) -> Result<(), Refusal> {
    check_shape(name)?;
    if RESERVED_TOPIC_NAMES.contains(&name) {
        return Err(Refusal::new(
            Reason::InvalidTopicName,
            format!(
                "the topic name '{name}' is reserved: Holdfast keeps that state in its shards and \
                 has no such topic; use the Admin API (groups, transactions) or choose another name"
            ),
        ));
    }
    Ok(())
}

fn check_shape(name: &str) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::new(Reason::InvalidTopicName, why));
    if name.is_empty() {
        return refuse("the topic name is empty; give it 1 to 249 characters".to_owned());
    }
    if name == "." || name == ".." {
        return refuse(format!("the topic name '{name}' would be a directory; choose another"));
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return refuse(format!(
            "the topic name has {} bytes and may have {TOPIC_NAME_BYTES_MAX}; shorten it",
            name.len()
        ));
    }
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = name.chars().find(|c| !is_allowed(c)) {
        return refuse(format!(
            "the topic name '{}' holds the character {bad:?}; use ASCII letters, digits, '.', '_' \
             and '-'",
            name.escape_debug()
        ));
    }
    Ok(())
}

/// Kafka's metric names turn '.' into '_', so two topics must not differ in that alone. Topics
/// are unique by this key, which implies unique by name.
pub(crate) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

/// The refusal when `wanted` meets `existing`, which has the same collision key.
pub(crate) fn taken(wanted: &str, existing: &str) -> Refusal {
    if wanted == existing {
        Refusal::new(
            Reason::TopicAlreadyExists,
            // Scripts test for Kafka's words, "already exists".
            format!("Topic '{wanted}' already exists; use it, or delete it first"),
        )
    } else {
        Refusal::new(
            Reason::InvalidTopicName,
            format!(
                "the topic name '{wanted}' collides with '{existing}': '.' and '_' are the same in \
                 metric names; choose a name that differs in more"
            ),
        )
    }
}
