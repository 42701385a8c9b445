//! `holdfastd`: a node as a process.
//!
//! ```text
//! boot ──▶ lane thread (owns shards and the log's ring)
//!   │          ▲ calls │ answers
//!   └────▶ serve ──▶ connections (tokio workers: sockets, checks, encoding)
//! ```
//!
//! Read in this order: [`boot`] for the steps of a start, [`lane_thread`] for the loop that makes
//! records durable, [`connection`] for what a client meets, [`settings`] and [`admin`] for what an
//! operator meets.
//!
//! The library exists for the integration tests; the daemon is `main.rs`. Nobody depends on it.

pub mod admin;
pub mod boot;
pub mod clock;
pub mod cold_reader;
pub mod connection;
pub mod lane_pulse;
pub mod lane_thread;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod reload;
pub mod report;
pub mod serve;
pub mod service_manager;
pub mod settings;
pub mod state;
pub mod status_line;
pub mod store;
pub mod wal_pace;
pub mod wal_scrub;
