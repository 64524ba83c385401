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
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::config::{Limits, Listen, MeshConfig};
use crate::connection::{ConnectionState, GuardedStream, Peer};
use crate::forward::Forwarder;
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

/// One who serves connections: the runtime this is called on, or a thread with a runtime of its own.
struct Worker {
    work: mpsc::UnboundedSender<Work>,
}

enum Work {
    Connection(std::net::TcpStream, SocketAddr),
    /// No more come: those in progress may take this long.
    Drain(Duration),
}

/// Serves until `stop`, then finishes the requests in progress for at most the drain time.
pub(crate) async fn serve(
    listener: TcpListener,
    pipeline: Arc<Pipeline>,
    config: Arc<MeshConfig>,
    stop: oneshot::Receiver<Duration>,
) {
    let (ended, mut all_ended) = mpsc::channel::<()>(1);
    let workers = workers(&pipeline, &config, &ended);
    drop(ended);
    let mut stop = stop;
    let mut turn = workers.iter().cycle();
    let drain = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    if let (Some(worker), Ok(stream)) = (turn.next(), stream.into_std()) {
                        let _ = worker.work.send(Work::Connection(stream, address));
                    }
                }
                Err(error) => pause(&error).await,
            },
            drain = &mut stop => break drain.unwrap_or_default(),
        }
    };
    drop(listener);
    for worker in &workers {
        let _ = worker.work.send(Work::Drain(drain));
    }
    // Each drops its end when it is through.
    let _ = all_ended.recv().await;
}

/// In turn they get the connections, so that all are equally busy whatever the system thinks of the clients' ports.
fn workers(pipeline: &Arc<Pipeline>, config: &Arc<MeshConfig>, ended: &mpsc::Sender<()>) -> Vec<Worker> {
    let threads: Vec<Worker> = (0..config.threads)
        .filter_map(|number| thread(number, Arc::clone(pipeline), Arc::clone(config), ended.clone()))
        .collect();
    if !threads.is_empty() {
        return threads;
    }
    let (work, queue) = mpsc::unbounded_channel();
    let (server, ended) = (Server::new(Arc::clone(pipeline), config), ended.clone());
    tokio::spawn(async move {
        server.work(queue).await;
        drop(ended);
    });
    vec![Worker { work }]
}

/// A thread whose connections, to clients and to the app, never meet another's.
fn thread(
    number: usize,
    pipeline: Arc<Pipeline>,
    config: Arc<MeshConfig>,
    ended: mpsc::Sender<()>,
) -> Option<Worker> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let (work, queue) = mpsc::unbounded_channel();
    let serve = move || {
        runtime.block_on(async move { Server::new(pipeline, &config).work(queue).await });
        drop(ended);
    };
    std::thread::Builder::new().name(format!("mesh-{number}")).spawn(serve).ok()?;
    Some(Worker { work })
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
    forwarder: Arc<Forwarder>,
    limits: Limits,
}

impl Server {
    fn new(pipeline: Arc<Pipeline>, config: &MeshConfig) -> Self {
        let forwarder = Arc::new(Forwarder::new(config, pipeline.readiness.clone()));
        Self { builder: builder(&config.limits), pipeline, forwarder, limits: config.limits.clone() }
    }

    /// Until it is told to drain, or nobody is there to tell it anything.
    async fn work(self, mut queue: mpsc::UnboundedReceiver<Work>) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let drain = loop {
            tokio::select! {
                work = queue.recv() => match work {
                    Some(Work::Connection(stream, address)) => {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            let served = self.clone().connection(stream, Peer { address }, graceful.watcher());
                            connections.spawn(served);
                        }
                    }
                    Some(Work::Drain(drain)) => break drain,
                    None => return,
                },
                Some(_) = connections.join_next() => {}
            }
        };
        // Connections that are not done by then end with this function.
        let _ = tokio::time::timeout(drain, graceful.shutdown()).await;
    }

    async fn connection(self, stream: TcpStream, peer: Peer, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        let counted = Arc::clone(&self.pipeline);
        let _open = counted.connections.open();
        let state = ConnectionState::new(peer);
        let guarded = GuardedStream::new(stream, Arc::clone(&state), &self.limits);
        let service = service_fn(move |request: Request<Incoming>| {
            let (pipeline, forwarder, state) =
                (Arc::clone(&self.pipeline), Arc::clone(&self.forwarder), Arc::clone(&state));
            // hyper keeps room for this future as long as the connection is open; a box is there only for a request.
            Box::pin(async move {
                Ok::<_, std::convert::Infallible>(pipeline.handle(&forwarder, request, state).await)
            })
        });
        let connection =
            self.builder.serve_connection_with_upgrades(TokioIo::new(guarded), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error = error.to_string(), "a connection ended early");
        }
    }
}
