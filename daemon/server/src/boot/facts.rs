//! What clients are shown of the node's own configuration, under Kafka's names: what was set in
//! `[kafka]`, and what the node really does where Kafka has a setting for it.

use crate::boot::LISTENER_NAME;
use crate::boot::listener::BACKLOG;
use crate::settings::Options;
use holdfast_base::NodeId;
use holdfast_metadata::NodeFacts;
use std::net::SocketAddr;

/// `bound` is the address with the port the kernel gave, once known.
pub(crate) fn facts(options: &Options, node: NodeId, bound: Option<SocketAddr>) -> NodeFacts {
    let mut values = options.kafka.clone();
    if options.dev {
        // Who develops alone does not wait for more consumers.
        let name = "group.initial.rebalance.delay.ms".to_owned();
        values.entry(name).or_insert_with(|| "0".to_owned());
    }
    let listen = bound.unwrap_or(options.listen);
    let advertised = &options.advertised;
    let port = if advertised.port == 0 { listen.port() } else { advertised.port };
    let host = match advertised.host.contains(':') {
        true => format!("[{}]", advertised.host),
        false => advertised.host.clone(),
    };
    let directory = options.data_dir.display().to_string();
    for (name, value) in [
        ("advertised.listeners", format!("{LISTENER_NAME}://{host}:{port}")),
        ("broker.id", node.0.to_string()),
        ("listeners", format!("{LISTENER_NAME}://{listen}")),
        ("log.dir", directory.clone()),
        ("log.dirs", directory),
        ("node.id", node.0.to_string()),
        ("process.roles", "broker,controller".to_owned()),
    ] {
        values.insert(name.to_owned(), value);
    }
    let backlog = "socket.listen.backlog.size".to_owned();
    values.entry(backlog).or_insert_with(|| BACKLOG.to_string());
    NodeFacts { node, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::arguments::Arguments;
    use clap::Parser;

    #[test]
    fn clients_see_what_the_node_does_under_kafkas_names() {
        let flags = ["holdfastd", "--dev", "--data-dir", "/d", "--listen", "127.0.0.1:0"];
        let arguments =
            Arguments::try_parse_from(flags.iter().chain(&["--set", "kafka.num.partitions=6"]));
        let loaded = crate::settings::load_from(&arguments.expect("parses"), &[]).expect("good");
        let bound = "127.0.0.1:1234".parse().ok();
        let facts = facts(&loaded.options, NodeId(3), bound);
        for (name, value) in [
            ("node.id", "3"),
            ("listeners", "PLAINTEXT://127.0.0.1:1234"),
            ("advertised.listeners", "PLAINTEXT://127.0.0.1:1234"),
            ("log.dirs", "/d"),
            ("num.partitions", "6"),
            ("group.initial.rebalance.delay.ms", "0"),
        ] {
            assert_eq!(facts.values[name], value, "{name}");
        }
        for name in facts.values.keys() {
            assert!(holdfast_metadata::broker_config(name).is_some(), "{name} is Kafka's");
        }
    }
}
