//! The public port: bound, served, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::{Limits, Listen};
use crate::connection::{ConnectionState, GuardedStream, Peer};
use crate::pipeline::Pipeline;

/// Connections the system holds until they are accepted.
const BACKLOG: u32 = 1_024;
/// All headers of a request together, and each read of a body. Two context headers of 16 KiB, cookies, and room.
const BUFFER: usize = 64 * 1_024;
/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// When the system has no file descriptors left, accepting again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds the first address the machine has; nothing is accepted before [`TcpSocket::listen`].
pub(crate) fn bind(listen: Listen) -> Result<TcpSocket, (SocketAddr, io::Error)> {
    let mut last = None;
    for address in listen.candidates() {
        match bind_one(address) {
            Ok(socket) => return Ok(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err((address, error)),
            Err(error) => last = Some((address, error)),
        }
    }
    Err(last.unwrap_or_else(|| (SocketAddr::from(([0, 0, 0, 0], 0)), io::ErrorKind::AddrNotAvailable.into())))
}

fn bind_one(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // So that a restart does not wait for connections of its predecessor to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Starts to accept.
pub(crate) fn listen(socket: TcpSocket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)
}

/// Serves until `stop`, then finishes the requests in progress for at most the drain time.
pub(crate) async fn serve(
    listener: TcpListener,
    pipeline: Arc<Pipeline>,
    limits: Limits,
    stop: oneshot::Receiver<Duration>,
) {
    let server = Server { builder: builder(&limits), pipeline, limits };
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = stop;
    let drain = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    connections.spawn(server.clone().connection(stream, Peer { address }, graceful.watcher()));
                }
                Err(error) => pause(&error).await,
            },
            Some(_) = connections.join_next() => {}
            drain = &mut stop => break drain.unwrap_or_default(),
        }
    };
    drop(listener);
    // Connections that are not done by then end with this function.
    let _ = tokio::time::timeout(drain, graceful.shutdown()).await;
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The guarded stream is stricter; this makes hyper look at its stream again when a request is done.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX));
    builder
}

#[derive(Clone)]
struct Server {
    builder: auto::Builder<TokioExecutor>,
    pipeline: Arc<Pipeline>,
    limits: Limits,
}

impl Server {
    async fn connection(self, stream: TcpStream, peer: Peer, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        let state = ConnectionState::new(peer);
        let guarded = GuardedStream::new(stream, Arc::clone(&state), &self.limits);
        let service = service_fn(move |request: Request<Incoming>| {
            let (pipeline, state) = (Arc::clone(&self.pipeline), Arc::clone(&state));
            async move { Ok::<_, std::convert::Infallible>(pipeline.handle(request, state).await) }
        });
        let connection =
            self.builder.serve_connection_with_upgrades(TokioIo::new(guarded), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error = error.to_string(), "a connection ended early");
        }
    }
}
