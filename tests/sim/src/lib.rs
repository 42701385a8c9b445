//! A cluster of three nodes or one, its clients and everything that can go wrong, in one thread, from one
//! seed.
//!
//! ```text
//! seed ─▶ World { Node { SimDevice, Lane, Desk }, Network, Bucket, queue } ─▶ trace hash
//!           ▲ clients: produce, fetch, administer    │
//!           └ nemesis: kill, cut power, partition …  └▶ history ─▶ checker ─▶ anomalies
//! ```
//!
//! The nodes run the same `Lane` as the daemon: consensus, log, metadata and WAL are the real
//! ones, objects and their states are made and read by the real tier; only disk, clocks, network and
//! the object store are simulated. A seed runs twice and must do the same.

mod admin;
mod client;
mod clock;
mod command;
mod evidence;
mod group;
mod hunt;
mod kind;
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
mod store;
mod trace;
mod world;

pub use command::main;
