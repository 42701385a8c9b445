//! Stories of the coordinator, by subject, and one that makes its own.
//!
//! [`harness`] plays lane, log and clock; [`invariants`] looks inside after every step.

mod harness;
mod invariants;

mod commits;
mod failures;
mod joining;
mod leaving;
mod random;
mod static_members;
mod syncing;
mod timing;
