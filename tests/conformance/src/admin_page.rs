//! One number of a node's metrics page.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Result;

/// A metric by its name, labels included.
pub(crate) fn metric(admin: SocketAddr, name: &str) -> Result<f64> {
    let mut page = String::new();
    let asked = TcpStream::connect(admin).and_then(|mut stream| {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        stream.read_to_string(&mut page)
    });
    asked.map_err(|error| format!("the metrics page: {error}"))?;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|value| value.trim().parse().ok());
    value.ok_or_else(|| format!("the metrics page has no {name}"))
}
