//! What an operator may set about the broker, by the names Kafka users know.

use holdfast_base::NodeId;
use holdfast_batch::Depth;
use holdfast_metadata::NodeFacts;

/// Settings of a node's broker. One declaration each.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `auto.create.topics.enable`: Metadata for an unknown topic makes it, as Kafka's default.
    pub auto_create_topics: bool,
    /// `num.partitions`: for topics made without a number.
    pub default_partitions: i32,
    /// `holdfast.produce.validation`: whether compressed batches are inflated at produce.
    pub validation_depth: Depth,
    /// `fetch.max.bytes`: no answer is larger, but for one whole first batch. Kafka's default.
    pub fetch_max_bytes: u32,
    /// What the node's own configuration says, under Kafka's names: shown by DescribeConfigs, and
    /// what holds where nothing was set while nodes run.
    pub facts: NodeFacts,
    /// Reads from the device at once, over all fetches: as many as keep an NVMe device busy
    /// without starving its writes.
    pub cold_reads_at_once: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            auto_create_topics: true,
            default_partitions: 1,
            validation_depth: Depth::Records,
            fetch_max_bytes: 55 * 1024 * 1024,
            facts: NodeFacts { node: NodeId(1), ..NodeFacts::default() },
            cold_reads_at_once: 8,
        }
    }
}
