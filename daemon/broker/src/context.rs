//! Who asks, and through which door.

use holdfast_lane::Origin;
use std::sync::Arc;

/// An address clients are told to connect to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Never empty, never a wildcard: checked when the daemon starts.
    pub host: String,
    /// As reachable by clients, which need not be the port we listen on.
    pub port: u16,
}

/// One connection as the broker sees it.
#[derive(Clone, Debug)]
pub struct Context {
    /// Name of the listener it came in through; Metadata answers with that listener's addresses.
    pub listener: Arc<str>,
    /// This node's address on that listener.
    pub advertised: Arc<Endpoint>,
    /// The client's address as text, for the audit record.
    pub peer_host: Arc<str>,
}

impl Context {
    /// Everybody is anonymous until listeners authenticate.
    pub(crate) fn origin(&self, client_id: &str) -> Origin {
        Origin {
            principal: "User:ANONYMOUS".to_owned(),
            host: self.peer_host.to_string(),
            client_id: client_id.to_owned(),
        }
    }
}
