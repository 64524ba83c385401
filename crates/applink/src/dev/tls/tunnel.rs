//! Connections that are accepted and led on, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// How many at a time; others wait in the system's queue.
const MOST: usize = 256;
/// How long a client may take to say what it wants.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Before trying again when the system gives no connection, as when files are used up.
const PAUSE: Duration = Duration::from_millis(100);

/// A port that is listened on; dropping it closes it and cuts its connections.
#[derive(Debug)]
pub(super) struct Listening {
    /// Where.
    pub(super) addr: SocketAddr,
    task: AbortHandle,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Lets `serve` have every connection.
pub(super) fn listen<F, Served>(listener: TcpListener, serve: F) -> Listening
where
    F: Fn(TcpStream) -> Served + Send + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let addr = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let task = tokio::spawn(accept(listener, serve)).abort_handle();
    Listening { addr, task }
}

async fn accept<F, Served>(listener: TcpListener, serve: F)
where
    F: Fn(TcpStream) -> Served,
    Served: Future<Output = ()> + Send + 'static,
{
    // Aborting this task drops the set, which aborts those in it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Leads `client` to `target` until both have said everything. A connection that breaks is only that.
pub(super) async fn lead(mut client: impl AsyncRead + AsyncWrite + Unpin, mut target: TcpStream) {
    let _ = copy_bidirectional(&mut client, &mut target).await;
}
