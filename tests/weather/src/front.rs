//! The proxy's front: a port, its connections, and the requests that come over them.
//!
//! One thread, one task a connection. While the weather is [`Weather::Refused`] the port is closed and so
//! is every connection; afterwards it is the same port again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use holdfast_tier::store::Store;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fate::Fate;
use crate::{Sky, Weather};

/// A proxy before a store.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    sky: Arc<Sky>,
    /// Whether the port is open; `None` ends the proxy.
    open: watch::Sender<Option<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Stands before `upstream`, with clear weather. `objects` makes our own client of the same bucket,
    /// from its root, for bytes of other objects; it is called on the proxy's thread.
    ///
    /// # Errors
    /// When there is no port or no thread.
    pub fn raise(upstream: SocketAddr, objects: Arc<dyn Store>, seed: u64) -> io::Result<Front> {
        let sky = Arc::new(Sky::new(seed));
        let (open, opened) = watch::channel(Some(true));
        let (said, says) = mpsc::channel();
        let fate = Arc::new(Fate::new(Arc::clone(&sky), upstream, objects));
        let of_thread = Arc::clone(&sky);
        let thread = Builder::new().name("weather".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let bound = runtime.and_then(|runtime| {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let listener = runtime.block_on(TcpListener::bind(any))?;
                Ok((runtime, listener.local_addr()?, listener))
            });
            match bound {
                Ok((runtime, address, listener)) => {
                    let _ = said.send(Ok(address));
                    runtime.block_on(serve(address, listener, opened, fate, of_thread));
                }
                Err(error) => drop(said.send(Err(error))),
            }
        })?;
        let address = says.recv().map_err(io::Error::other)??;
        Ok(Front { address, sky, open, thread: Some(thread) })
    }

    /// Where the node finds its store.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on so many of a hundred requests meet this weather.
    pub fn set(&self, weather: Weather, per_hundred: u64) {
        self.sky.set(weather, per_hundred);
        let _ = self.open.send(Some(weather != Weather::Refused));
    }

    /// How often it struck.
    #[must_use]
    pub fn struck(&self, weather: Weather) -> u64 {
        self.sky.struck(weather)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.open.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens and closes the port until the end.
async fn serve(
    address: SocketAddr,
    listener: TcpListener,
    mut opened: watch::Receiver<Option<bool>>,
    fate: Arc<Fate>,
    sky: Arc<Sky>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let state = *opened.borrow_and_update();
        match state {
            None => return,
            Some(false) if listener.is_some() => {
                listener = None;
                connections.abort_all();
                sky.strike(Weather::Refused);
            }
            Some(true) if listener.is_none() => listener = TcpListener::bind(address).await.ok(),
            Some(_) => {}
        }
        let Some(open) = &listener else {
            if opened.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = opened.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let fate = Arc::clone(&fate);
                connections.spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&fate).answer(request));
                    // How a connection ends is the weather's business.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
