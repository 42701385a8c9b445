//! Metrics and health over HTTP/1.1, on a listener of its own that answers this machine alone.
//!
//! ```text
//! GET /metrics ─▶ metrics::render      GET /healthz ─▶ Node::not_healthy
//! GET /status  ─▶ status::json         GET /readyz  ─▶ Node::not_ready
//! ```
//!
//! It starts before the write-ahead log is read: a node that takes its time says so here. hyper
//! speaks HTTP; this file bounds it: connections at once, time for a request, size of its head. No
//! request has a body that is read.

mod status;

use crate::metrics;
use crate::node::Node;
use crate::report::{Code, Report};
use crate::settings::Admin;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// A scraper, a proxy and a few people; the node's descriptors are for its clients.
const CONNECTIONS_MAX: usize = 32;
/// A request's head arrives in one packet.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Scrapers keep their connection for a minute between two requests.
const CONNECTION_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Bytes of a request's head: ours have a line and a few headers.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// After accept fails for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Binds the address. `None` when it is taken, nobody asked for it, and `dev` is on: two nodes of
/// one developer are no mistake.
///
/// # Errors
/// When it cannot be used.
pub fn bind(admin: Admin, dev: bool) -> Result<Option<TcpListener>, Report> {
    let bound = std::net::TcpListener::bind(admin.address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    match bound {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if dev && admin.is_default => {
            tracing::warn!(
                %error,
                "metrics are not served: {} cannot be used; --set admin.address=127.0.0.1:0 takes \
                 any port",
                admin.address
            );
            Ok(None)
        }
        Err(error) => Err(Report::new(
            Code::AdminRefused,
            format!("metrics cannot be served on {}", admin.address),
            error.to_string(),
            "set admin.address to a free port of this machine, or to off",
        )),
    }
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, node: Arc<Node>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, peer, node).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "an admin connection could not be taken");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, node: Arc<Node>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let node = Arc::clone(&node);
        async move { Ok::<_, Infallible>(answer(&node, request.method(), request.uri().path()).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_LIMIT, serving).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "an admin connection ended"),
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(node: &Node, method: &Method, path: &str) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET only\n".to_owned());
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match path {
        "/metrics" => {
            let lane = node.fresh_lane().await;
            let page = metrics::render(node, lane.as_deref());
            text(StatusCode::OK, metrics::CONTENT_TYPE, page)
        }
        "/healthz" => {
            let lane = node.fresh_lane().await;
            verdict(node.not_healthy(lane.as_deref()))
        }
        "/readyz" => {
            let lane = node.fresh_lane().await;
            verdict(node.not_ready(lane.as_deref()))
        }
        "/status" => {
            let lane = node.fresh_lane().await;
            text(StatusCode::OK, JSON, format!("{:#}\n", status::json(node, lane.as_deref())))
        }
        "/" => {
            text(StatusCode::OK, PLAIN, "Holdfast. /metrics /healthz /readyz /status\n".to_owned())
        }
        _ => text(
            StatusCode::NOT_FOUND,
            PLAIN,
            "not here; there are /metrics, /healthz, /readyz and /status\n".to_owned(),
        ),
    }
}

fn verdict(why_not: Option<String>) -> Answer {
    match why_not {
        None => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
