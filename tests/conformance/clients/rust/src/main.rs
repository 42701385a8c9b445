//! Plays the scenarios of `../README.md` through rust-rdkafka: `scenarios` (codecs, seek, idempotent),
//! `admin`, `group`; `record` is what is sent and its hash, `library` adapts the library, `contract`
//! is the runner's protocol.
//!
//! What does not hold ends the process at once: nothing after it could be believed.

#![allow(clippy::disallowed_methods, reason = "a program of the tests that waits by the clock")]

mod admin;
mod contract;
mod group;
mod library;
mod record;
mod scenarios;

use contract::{Options, fail, tell};
use serde_json::json;

fn main() {
    let options = Options::of_arguments();
    if options.scenario == "member" {
        return group::be_member(&options);
    }
    tell(json!({"client": library::name()}));
    match options.scenario.as_str() {
        "codecs" => scenarios::codecs(&options),
        "seek" => scenarios::seek(&options),
        "group" => group::play(&options),
        "admin" => admin::play(&options),
        "idempotent" => scenarios::idempotent(&options),
        other => fail(&format!("no scenario is called {other}")),
    }
    tell(json!({"passed": true}));
}
