//! Client connections, from the first byte to the last.
//!
//! 1. An open connection is a socket and a small task that waits ([`GuardedStream::speaks`]); its first bytes say which
//!    HTTP it is.
//! 2. When it speaks, hyper gets it, with buffers of 16 KiB and more.
//! 3. When it has been silent for a moment between two requests of HTTP/1, hyper gives it back: on to 1. Browsers, proxies
//!    and orgs keep connections open that they seldom use, and there may be thousands of them.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Sleep, Timer};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Work;
use crate::config::{Limits, MeshConfig};
use crate::connection::{ConnectionState, GuardedStream, Peer, Protocol};
use crate::forward::Forwarder;
use crate::pipeline::Pipeline;
use crate::respond::Body;

/// All headers of a request together, and each read of a body. Two context headers of 16 KiB, cookies, and room.
const BUFFER: usize = 64 * 1_024;
/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// Serves the connections of one thread.
pub(super) struct Server {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    pipeline: Arc<Pipeline>,
    forwarder: Forwarder,
    limits: Limits,
}

/// Tells connections that no more requests are wanted.
#[derive(Clone)]
struct Drain(watch::Receiver<bool>);

impl Drain {
    /// Also when nobody is left who could say so.
    async fn begun(&mut self) {
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The guarded stream has the limits; this only makes hyper look at its stream again when a request is done.
    builder.timer(Never).header_read_timeout(limits.idle).max_buf_size(BUFFER);
    builder
}

/// A timer that never goes off, and so costs nothing.
#[derive(Clone, Copy, Debug)]
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Self)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Self)
    }
}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX));
    builder
}

impl Server {
    pub(super) fn new(pipeline: Arc<Pipeline>, config: &MeshConfig) -> Self {
        let forwarder = Forwarder::new(config, pipeline.readiness.clone());
        let limits = config.limits.clone();
        Self { http1: http1(&limits), http2: http2(), pipeline, forwarder, limits }
    }

    /// Until it is told to drain, or nobody is there to tell it anything.
    pub(super) async fn work(self, mut queue: mpsc::UnboundedReceiver<Work>) {
        let server = Arc::new(self);
        let (begin, drain) = watch::channel(false);
        let mut connections = JoinSet::new();
        let time = loop {
            tokio::select! {
                work = queue.recv() => match work {
                    Some(Work::Connection(stream, address)) => {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            let served = Arc::clone(&server).connection(stream, Peer { address }, Drain(drain.clone()));
                            connections.spawn(served);
                        }
                    }
                    Some(Work::Drain(time)) => break time,
                    None => return,
                },
                Some(_) = connections.join_next() => {}
            }
        };
        begin.send_replace(true);
        // Connections that are not done by then end with this function.
        let all_ended = async {
            while connections.join_next().await.is_some() {}
            // Tunnels, and uploads that the app still reads, have left the connection they came on.
            server.pipeline.readiness.left().await;
        };
        let _ = tokio::time::timeout(time, all_ended).await;
    }

    async fn connection(self: Arc<Self>, tcp: TcpStream, peer: Peer, mut drain: Drain) {
        let _ = tcp.set_nodelay(true);
        let _open = self.pipeline.connections.open();
        let state = ConnectionState::new(peer);
        let stream = GuardedStream::new(tcp, Arc::clone(&state), &self.limits);
        if let Err(error) = self.converse(stream, &state, &mut drain).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn converse(
        self: &Arc<Self>,
        mut stream: GuardedStream,
        state: &Arc<ConnectionState>,
        drain: &mut Drain,
    ) -> io::Result<()> {
        loop {
            let protocol = tokio::select! {
                biased;
                protocol = stream.speaks() => protocol?,
                () = drain.begun() => return Ok(()),
            };
            // In boxes: a connection that waits must not keep room for them.
            let back = match protocol {
                Some(Protocol::Http1) => Box::pin(self.http1(stream, state, drain)).await,
                Some(Protocol::Http2) => Box::pin(self.http2(stream, state, drain)).await,
                None => None,
            };
            match back {
                Some(rested) => stream = rested,
                None => return Ok(()),
            }
        }
    }

    /// Gives the stream back when the connection has nothing to do for the moment.
    async fn http1(
        self: &Arc<Self>,
        stream: GuardedStream,
        state: &Arc<ConnectionState>,
        drain: &mut Drain,
    ) -> Option<GuardedStream> {
        let service = self.service(state);
        let mut connection = self.http1.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let (mut begun, mut draining, mut resting) = (pin!(drain.begun()), false, false);
        let ended = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                    return Poll::Ready(ended);
                }
                // hyper would have ended at once if it were between two requests: it is not, so its end is the end.
                if std::mem::take(&mut resting) {
                    state.set_resting(false);
                }
                if !draining && begun.as_mut().poll(cx).is_ready() {
                    draining = true;
                } else if state.wants_rest() {
                    resting = true;
                    state.set_resting(true);
                } else {
                    return Poll::Pending;
                }
                Pin::new(&mut connection).graceful_shutdown();
            }
        });
        log_early(ended.await);
        if !resting {
            return None;
        }
        let parts = connection.into_parts()?;
        Some(parts.io.into_inner().rested(parts.read_buf))
    }

    /// To its end: nothing comes back. Streams and flow control are more than bytes on a wire.
    async fn http2(
        self: &Arc<Self>,
        stream: GuardedStream,
        state: &Arc<ConnectionState>,
        drain: &mut Drain,
    ) -> Option<GuardedStream> {
        let service = self.service(state);
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => log_early(ended),
            () = drain.begun() => {
                connection.as_mut().graceful_shutdown();
                log_early(connection.await);
            }
        }
        None
    }

    fn service(
        self: &Arc<Self>,
        state: &Arc<ConnectionState>,
    ) -> impl HttpService<
        Incoming,
        ResBody = Body,
        Error = std::convert::Infallible,
        Future: Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send + Unpin + 'static,
    > + Send
    + Unpin
    + use<> {
        let (server, state) = (Arc::clone(self), Arc::clone(state));
        service_fn(move |request: Request<Incoming>| {
            let (server, state) = (Arc::clone(&server), Arc::clone(&state));
            // hyper keeps room for this future as long as it has the connection; a box is there only for a request.
            Box::pin(async move { Ok(server.pipeline.handle(&server.forwarder, request, state).await) })
        })
    }
}

fn log_early(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
