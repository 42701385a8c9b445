//! SIGHUP: everything is read and checked again. Wrong: one error in the log, and nothing changes.
//! Right: what can change does, and what needs a restart is named.
//!
//! ```text
//! RELOADING=1 ─▶ settings::load ─┬─ Err(report) ─▶ logged with its code, old settings stay
//!                                └─ Ok ─▶ log, drain limit, Kafka's settings ─▶ READY=1
//! ```
//!
//! What was refused once is compared with what *holds*, not with what the file said before: a
//! change that waits for a restart is named at every reload until then.

use crate::boot::arguments::Arguments;
use crate::boot::facts::facts;
use crate::lane_thread::LaneDoor;
use crate::logging;
use crate::node::Node;
use crate::service_manager;
use crate::settings::{self, Effective, Loaded, Options};
use holdfast_broker::Broker;
use std::sync::Arc;
use std::time::Duration;

/// What is needed to read the configuration again.
pub struct Reload {
    arguments: Arguments,
    /// What the node started with; settings that need a restart are compared with it.
    started: Effective,
    started_options: Options,
    /// What holds now.
    held: Effective,
    options: Options,
    node: Arc<Node>,
    broker: Arc<Broker>,
    lane: LaneDoor,
}

impl Reload {
    /// Of a node that runs with `loaded`.
    #[must_use]
    pub fn new(
        arguments: Arguments,
        loaded: Loaded,
        node: Arc<Node>,
        broker: Arc<Broker>,
        lane: LaneDoor,
    ) -> Reload {
        let Loaded { effective, options, .. } = loaded;
        let (started, started_options) = (effective.clone(), options.clone());
        let held = effective;
        Reload { arguments, started, started_options, held, options, node, broker, lane }
    }

    /// How long a stop waits for connections, as it holds now.
    #[must_use]
    pub fn drain_limit(&self) -> Duration {
        self.options.drain_limit
    }

    /// Reads, checks and applies.
    pub fn run(&mut self) {
        service_manager::reloading();
        match settings::load(&self.arguments) {
            Err(report) => {
                self.node.metrics.reloads_refused.add(1);
                tracing::error!(
                    code = report.code.text(),
                    why = %report.why,
                    try_next = %report.try_next,
                    "the configuration is wrong, nothing was changed: {}",
                    report.what
                );
            }
            Ok(loaded) => {
                self.node.metrics.reloads.add(1);
                self.apply(loaded);
            }
        }
        service_manager::reloaded();
    }

    fn apply(&mut self, loaded: Loaded) {
        let Loaded { effective, options, warnings, .. } = loaded;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let now: Vec<String> = effective
            .changes(&self.held)
            .into_iter()
            .filter(|key| settings::is_reloaded(key))
            .collect();
        let mut later = effective.changes(&self.started);
        later.retain(|key| !settings::is_reloaded(key));
        logging::apply(options.log_format, &options.log_filter);
        if let Some(identity) = self.node.identity.get() {
            let holding = self.holding(&options);
            let facts = facts(&holding, identity.node, self.node.address.get().copied());
            self.broker.set_facts(facts.clone());
            self.lane.set_facts(facts.clone());
            self.node.set_facts(facts);
        }
        if now.is_empty() && later.is_empty() {
            tracing::info!("the configuration was read again; nothing has changed");
        } else if !now.is_empty() {
            tracing::info!("the configuration was read again; applied: {}", now.join(", "));
        }
        if !later.is_empty() {
            tracing::warn!("changed, and waiting for a restart: {}", later.join(", "));
        }
        self.held = effective;
        self.options = options;
    }

    /// What clients are shown: what the node started with, and what has taken hold since.
    fn holding(&self, newest: &Options) -> Options {
        let mut holding = self.started_options.clone();
        holding.kafka.retain(|name, _| !is_reloaded(name));
        let taken = newest.kafka.iter().filter(|(name, _)| is_reloaded(name));
        holding.kafka.extend(taken.map(|(name, value)| (name.clone(), value.clone())));
        holding
    }
}

fn is_reloaded(kafka_name: &str) -> bool {
    settings::is_reloaded(&format!("kafka.{kafka_name}"))
}
