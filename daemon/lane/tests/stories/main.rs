//! What a lane does, told as stories on a simulated disk.

#![expect(clippy::unwrap_used, reason = "a story fails where it cannot go on")]

mod admin;
mod erasure;
mod groups;
mod history;
mod node;
mod one_voter;
mod repairs;
mod shelf;
mod three_voters;
