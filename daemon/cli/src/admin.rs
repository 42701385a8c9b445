//! The admin listener of the node on this machine: one HTTP/1.1 GET, one answer, closed.
//!
//! Only what the daemon's own listener sends is understood: a status line, headers, and a body
//! that ends by `Content-Length`, by chunks or by the end of the connection. Bounded in bytes and
//! time.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

use crate::client::Source;
use crate::errors::{CliError, Result};

/// Status of a node with thousands of partitions stays far below.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Status and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The admin listener.
pub(crate) struct Admin<'a> {
    pub(crate) address: &'a str,
    pub(crate) source: &'a Source,
    pub(crate) timeout: Duration,
}

impl Admin<'_> {
    /// GET.
    pub(crate) fn get(&self, path: &str) -> Result<Page> {
        let what =
            format!("no answer from the admin listener {} ({})", self.address, self.source.0);
        let failed = |why: String| {
            CliError::failed(what.clone(), why).try_next(
                "is holdfastd running on this machine, with its admin listener on? Otherwise \
                 give another address with --admin",
            )
        };
        let answer = self.exchange(path).map_err(|error| failed(error.to_string()))?;
        parse(&answer).ok_or_else(|| failed("what answers there is no HTTP".to_owned()))
    }

    /// `/status` as the node tells it.
    pub(crate) fn status(&self) -> Result<Value> {
        let page = self.get("/status")?;
        let what = format!("the admin listener {} does not tell its status", self.address);
        if page.status != 200 {
            return Err(CliError::failed(what, format!("HTTP status {}", page.status)));
        }
        serde_json::from_str(&page.body).map_err(|error| CliError::failed(what, error.to_string()))
    }

    fn exchange(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let mut last = std::io::Error::other("the name has no address");
        for socket in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&socket, self.timeout) {
                Ok(mut stream) => {
                    let timeout = Some(self.timeout.max(Duration::from_millis(1)));
                    stream.set_read_timeout(timeout)?;
                    stream.set_write_timeout(timeout)?;
                    let host = self.address;
                    let request = format!(
                        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, \
                         text/plain\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(request.as_bytes())?;
                    let mut answer = Vec::new();
                    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
                    return Ok(answer);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// `None`: not HTTP, or cut short.
fn parse(answer: &[u8]) -> Option<Page> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..at]).ok()?;
    let body = &answer[at + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let body = if header("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"))
    {
        unchunk(body)?
    } else if let Some(length) = header("content-length") {
        body.get(..length.parse().ok()?)?.to_vec()
    } else {
        body.to_vec()
    };
    Some(Page { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_by_length_by_chunks_or_with_the_connection() {
        let page = |body: &str| Some(Page { status: 200, body: body.to_owned() });
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhixx"), page("hi"));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\nhi"), page("hi"));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(chunks), page("abcd"));
    }

    #[test]
    fn what_is_cut_short_or_no_http_is_not_believed() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"), None);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc"), None);
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"),
            None
        );
        assert_eq!(parse(b"\x00\x00\x00\x10nothing like it\r\n\r\n"), None);
    }
}
