//! What a node's admin pages say: one number of the metrics, or the status.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::Result;

/// A metric by its name, labels included.
pub(crate) fn metric(admin: SocketAddr, name: &str) -> Result<f64> {
    let page = page(admin, "/metrics")?;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|value| value.trim().parse().ok());
    value.ok_or_else(|| format!("the metrics page has no {name}"))
}

/// The status, as JSON.
pub(crate) fn status(admin: SocketAddr) -> Result<Value> {
    let page = page(admin, "/status")?;
    let (_, body) = page.split_once("\r\n\r\n").ok_or("the status page has no body")?;
    serde_json::from_str(body).map_err(|error| format!("the status page: {error}"))
}

/// Head and body of a page.
pub(crate) fn page(admin: SocketAddr, path: &str) -> Result<String> {
    let mut page = String::new();
    let asked = TcpStream::connect(admin).and_then(|mut stream| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        stream.read_to_string(&mut page)
    });
    asked.map(|_| page).map_err(|error| format!("the page {path}: {error}"))
}
