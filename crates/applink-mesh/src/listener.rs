//! The public port: bound, served, drained.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};

use self::server::Server;
use crate::config::{Listen, MeshConfig};
use crate::pipeline::Pipeline;

mod server;

/// Connections the system holds until they are accepted.
const BACKLOG: u32 = 1_024;
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

/// Serves until `stop`, then finishes what is in progress for at most the drain time.
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
        // Closes the tunnels that are left, before anybody is told that this is the end.
        runtime.shutdown_background();
        drop(ended);
    };
    std::thread::Builder::new().name(format!("mesh-{number}")).spawn(serve).ok()?;
    Some(Worker { work })
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
