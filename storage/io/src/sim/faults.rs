//! What may go wrong with a simulated device, how likely, and how often it did.

/// The chances of each fault. Everything that breaks acknowledged data is off by default; a
/// power cut always tears, keeps or drops what was not acknowledged, because real ones do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimFaults {
    /// The shortest time a request takes, before its length counts.
    pub latency_min_ns: u64,
    /// The longest time an ordinary request takes, before its length counts.
    pub latency_max_ns: u64,
    /// How many in a million requests take `slow_ns` longer.
    pub slow_per_million: u32,
    /// How much longer.
    pub slow_ns: u64,
    /// A write is reported durable and never lands.
    pub lost_per_million: u32,
    /// A write is reported durable and lands in another place of the device.
    pub misdirected_per_million: u32,
    /// After a write, one bit of what lies on the device turns over.
    pub flipped_per_million: u32,
    /// A write ends in EIO, and the device has failed for good. Its bytes may be down or not.
    pub failed_per_million: u32,
    /// A write's completion never comes, until [`SimDevice::release`](crate::SimDevice::release).
    pub hung_per_million: u32,
    /// At a power cut: how many percent of the writes not yet durable are down whole.
    pub cut_kept_percent: u32,
    /// At a power cut: how many percent are torn between 512-byte sectors. The rest is gone.
    pub cut_torn_percent: u32,
    /// When the process is killed: how many percent of its writes in flight still land.
    pub kill_landed_percent: u32,
    /// A planted bug of the device (a cache that lies): completions come before durability, so
    /// a power cut may take acknowledged writes.
    pub ack_before_flush: bool,
    /// With `ack_before_flush`: how long an acknowledged write stays volatile.
    pub flush_delay_ns: u64,
}

impl Default for SimFaults {
    fn default() -> Self {
        SimFaults {
            latency_min_ns: 20_000,
            latency_max_ns: 200_000,
            slow_per_million: 0,
            slow_ns: 20_000_000,
            lost_per_million: 0,
            misdirected_per_million: 0,
            flipped_per_million: 0,
            failed_per_million: 0,
            hung_per_million: 0,
            cut_kept_percent: 25,
            cut_torn_percent: 40,
            kill_landed_percent: 50,
            ack_before_flush: false,
            flush_delay_ns: 5_000_000,
        }
    }
}

/// What happened so far. A run whose counters stay 0 tested nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "each counts what its name says, as explained in `SimFaults`")]
pub struct SimCounters {
    pub writes: u64,
    pub reads: u64,
    pub creates: u64,
    pub slow: u64,
    pub lost: u64,
    pub misdirected: u64,
    pub flipped: u64,
    pub failed: u64,
    pub hung: u64,
    pub full: u64,
    pub power_cuts: u64,
    pub cut_kept: u64,
    pub cut_torn: u64,
    pub cut_dropped: u64,
    /// Of the writes torn or dropped, those that had been reported durable (`ack_before_flush`).
    pub cut_acknowledged: u64,
    pub kills: u64,
    pub kill_landed: u64,
    pub kill_dropped: u64,
    pub rollbacks: u64,
}

/// A fault ordered for one particular write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteFault {
    /// Reported durable, never lands.
    Lost,
    /// Reported durable, lands elsewhere.
    Misdirected,
    /// EIO; the device has failed for good.
    Failed,
    /// No completion until released.
    Hung,
}
