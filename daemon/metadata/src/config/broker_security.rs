//! Settings of nodes. TLS, SASL and tokens between clients and nodes.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

settings! {
    /// Sorted by name.
    pub(super) SECURITY;
}
