//! A cluster of three nodes, its clients and everything that can go wrong, in one thread, from one
//! seed.
//!
//! ```text
//! seed ─▶ World { 3 × Node { SimDevice, Lane }, Network, queue } ─▶ trace hash
//!           ▲ clients: produce, fetch, administer    │
//!           └ nemesis: kill, cut power, partition …  └▶ history ─▶ checker ─▶ anomalies
//! ```
//!
//! The nodes run the same `Lane` as the daemon: consensus, log, metadata and WAL are the real
//! ones; only disk, clocks and network are simulated. A seed runs twice and must do the same.

mod admin;
mod client;
mod clock;
mod command;
mod evidence;
mod group;
mod hunt;
mod media;
mod nemesis;
mod network;
mod node;
mod planted;
mod power;
mod producer;
mod reader;
mod report;
mod seed;
mod states;
mod trace;
mod world;

pub use command::main;
