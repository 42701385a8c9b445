//! An open-loop Kafka load generator that costs little, and what it needs to know of a broker's
//! process: CPU, memory, disk.
//!
//! ```text
//! wire, batch ─▶ client ─▶ load (produce, paced) · drain · e2e ─▶ sample ─▶ compare ─▶ page
//!                     └──▶ crowd (groups, consumers, partitions) ─▶
//!                     └──▶ history (cold, start-up, wide) ──────▶
//!                                    process, disk, fio ──────────▶
//! ```
//! Ideas: batches are encoded once and sent again; one thread and `ppoll` drive all sockets; a
//! latency counts from the moment a record was *meant* to leave (Tene, "coordinated omission").
//! Caveat: generator and broker share the machine's cores, so the generator's CPU is published.

pub mod batch;
pub mod broker;
pub mod client;
pub mod clock;
pub mod compare;
pub mod crowd;
pub mod drain;
pub mod end_to_end;
pub mod fio;
pub mod history;
pub mod load;
pub mod page;
pub mod process;
pub mod report;
pub mod round_trip;
pub mod sample;
pub mod wire;
