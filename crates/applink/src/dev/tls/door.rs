//! The TLS port: what arrives there is led to the control plane's own port, `Host` and all, so that every guard of the
//! control plane holds here too.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::tunnel::{Listening, PATIENCE, lead, listen};

/// Opens it.
pub(super) fn open(listener: TcpListener, config: Arc<ServerConfig>, target: SocketAddr) -> Listening {
    let acceptor = TlsAcceptor::from(config);
    listen(listener, move |stream| enter(acceptor.clone(), stream, target))
}

async fn enter(acceptor: TlsAcceptor, stream: TcpStream, target: SocketAddr) {
    // A client that does not trust the certificate leaves here; it tells its user.
    let Ok(Ok(client)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await else { return };
    if let Ok(target) = TcpStream::connect(target).await {
        lead(client, target).await;
    }
}
