//! What an operator may set about the broker, by the names Kafka users know.

use holdfast_base::NodeId;
use holdfast_batch::Depth;
use holdfast_metadata::NodeFacts;

/// What a node's broker is started with. What Kafka's own settings say comes from the image and
/// [`Settings::facts`] (`holdfast_metadata::BrokerSettings`) and may change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `holdfast.produce.validation`: whether compressed batches are inflated at produce.
    pub validation_depth: Depth,
    /// What the node's own configuration says, under Kafka's names: shown by DescribeConfigs, and
    /// what holds where nothing was set while nodes run.
    pub facts: NodeFacts,
    /// Reads from the device at once, over all fetches: as many as keep an NVMe device busy
    /// without starving its writes.
    pub cold_reads_at_once: usize,
    /// Bytes of records in answers that clients have not taken yet, over all connections.
    pub answer_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            validation_depth: Depth::Records,
            facts: NodeFacts { node: NodeId(1), ..NodeFacts::default() },
            cold_reads_at_once: 8,
            answer_bytes_max: 256 << 20,
        }
    }
}
