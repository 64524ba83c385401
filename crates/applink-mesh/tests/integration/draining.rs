//! A stop waits for what has left the connection it came on: tunnels, and uploads that the app has answered and not yet read.

use std::net::SocketAddr;
use std::time::Duration;

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::AppAddress;
use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::Wire;
use crate::integration::stack::Stack;
use crate::integration::upgrades::{UPGRADE, upgrading_app};

/// Far longer than anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

async fn tunnel(address: SocketAddr) -> Wire {
    let mut wire = Wire::open(address).await;
    wire.write(format!("GET /ws HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")).await;
    assert!(wire.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
    echo(&mut wire, "open").await;
    wire
}

async fn echo(wire: &mut Wire, word: &str) {
    wire.write(word).await;
    wire.read_until(&word.to_ascii_uppercase()).await;
}

/// From then on, what is in progress is only waited for.
async fn is_closed(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn promise_32_a_websocket_in_progress_at_sigterm_is_finished() {
    let app = upgrading_app().await;
    let (ports, folder) = (Ports::reserve(), tempfile::tempdir().unwrap());
    let open = "mesh:\n  authentication:\n    bypassRoutes: [\"/*\"]\n";
    std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), open).unwrap();
    let variables = [
        ("PORT", ports.public.to_string()),
        ("APP_PORT", app.address.port().to_string()),
        ("APPLINK_MESH_METRICS", "off".to_owned()),
    ];
    let mut process = mesh(folder.path(), &borrowed(&variables), &[]).spawn().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], ports.public));
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut wire = tunnel(address).await;
    kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    is_closed(address).await;
    for word in ["still", "there"] {
        echo(&mut wire, word).await;
    }
    assert!(process.try_wait().unwrap().is_none(), "it waits");
    drop(wire);
    assert_eq!(timeout(PATIENCE, process.wait()).await.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn promise_32_a_tunnel_that_goes_on_is_closed_when_the_time_is_over() {
    for threads in [0, 1, 2] {
        let drain = Duration::from_millis(400);
        let app = upgrading_app().await;
        let stack = Stack::before(app, |config| {
            config.bypass.all = true;
            config.threads = threads;
            config.limits.drain = drain;
        })
        .await;
        let wire = tunnel(stack.address()).await;
        let begin = Instant::now();
        timeout(PATIENCE, stack.mesh.stop()).await.unwrap();
        assert!(begin.elapsed() >= drain, "{:?} with {threads} threads", begin.elapsed());
        let rest = timeout(PATIENCE, wire.read_rest()).await.expect("closed");
        assert!(rest.is_empty(), "{rest:?}");
    }
}

/// The app answers, and reads the upload only while the mesh stops.
async fn upload_read_during_a_stop(length: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stack = Stack::with(|config| {
        config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
        config.app = AppAddress::loopback(port);
        config.threads = 1;
        config.limits.drain = PATIENCE;
    })
    .await;
    let address = stack.address();
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let sending = tokio::spawn(async move {
        let head = format!("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&vec![b'a'; length]).await.unwrap();
        // Without it the caller would be taken to have gone.
        writer
    });
    let (mut app, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(app.read_u8().await.unwrap());
    }
    app.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        answer.push(reader.read_u8().await.unwrap());
    }
    let stop = tokio::spawn(stack.mesh.stop());
    is_closed(address).await;
    let (mut came, mut piece) = (0, vec![0; 64 * 1024]);
    while came < length {
        let read = timeout(PATIENCE, app.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "{came} of {length} bytes came");
        came += read;
    }
    timeout(PATIENCE, stop).await.unwrap().unwrap();
    sending.await.unwrap();
}

/// Of sizes that the sockets take at once, to such that the mesh still holds some of when the caller is through.
#[tokio::test]
async fn promise_32_an_upload_that_was_answered_early_reaches_the_app_before_the_end() {
    join_all([1, 4, 16, 24, 28, 32, 40, 64].map(|size| upload_read_during_a_stop(size * 128 * 1024))).await;
}
