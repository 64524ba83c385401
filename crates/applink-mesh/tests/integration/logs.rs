//! What the log of the real binary says, and never says, at its most talkative level; and what it does when nobody reads it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use applink_mesh::{AccessLog, AccessSink};
use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::timeout;

use crate::integration::app::{App, text};
use crate::integration::control_plane::{ControlPlane, Says};
use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::{Wire, send};
use crate::integration::stack::{Call, ORG, ORG_JWT, SESSION, Stack, TOKEN, USER, encode, verdict};

/// Far longer than anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn calls_leave_one_line_each_and_no_secret() {
    let app = App::start().await;
    let control_plane = ControlPlane::start(Says::Yes(verdict())).await;
    let ports = Ports::reserve();
    let variables = [
        ("PORT", ports.public.to_string()),
        ("APP_PORT", app.address.port().to_string()),
        ("HEROKU_APPLINK_API_URL", control_plane.url()),
        ("HEROKU_APPLINK_TOKEN", TOKEN.to_owned()),
        ("APPLINK_MESH_SECRET", "mesh-secret-canary".to_owned()),
        ("GO_LOG", "trace".to_owned()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut process = mesh(folder.path(), &borrowed(&variables), &[]).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut first = String::new();
    while !first.contains("listening") {
        assert!(log.read_line(&mut first).await.unwrap() > 0, "{first}");
    }
    let address = ([127, 0, 0, 1], ports.public).into();
    let answers = [
        (Says::Yes(verdict()), 200),
        (Says::Status(403, "control-plane-canary"), 403),
        (Says::Status(500, "control-plane-canary"), 503),
        (Says::Nothing, 503),
    ];
    for (number, (says, status)) in answers.into_iter().enumerate() {
        control_plane.say(says);
        let call = Call::new(&format!("r-{number}"));
        let answer = send(address, "POST /api/act?key=query-canary", &call.lines(), b"body-canary").await;
        assert_eq!(answer.status, status);
    }
    let signed = ["x-signature: signature-canary".to_owned(), "x-request-id: r-4".to_owned()];
    send(address, "POST /hooks", &signed, b"body-canary").await;
    kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).await.unwrap();
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
    let context = encode(&Call::new("r-0").request_context);
    for secret in ["canary", ORG_JWT, SESSION, TOKEN, &context] {
        assert!(!rest.contains(secret) && !first.contains(secret), "{secret} in {rest}");
    }
    let access: Vec<&str> = rest.lines().filter(|line| line.contains("applink_mesh::access")).collect();
    assert_eq!(access.len(), 5, "{rest}");
    for part in ["path=\"/api/act\"", "verdict=\"verified\"", "request_id=\"r-0\"", ORG, USER, "app_us="] {
        assert!(access[0].contains(part), "{part} not in {}", access[0]);
    }
}

/// A mesh whose log nobody reads, after more requests than there is room for their lines.
struct Unread {
    process: Child,
    address: SocketAddr,
    _around: (App, Ports, tempfile::TempDir),
}

impl Unread {
    /// Lines of 700 bytes: three mebibytes of them. One waits, another may be in the writer's hands.
    const CLIENTS: usize = 12;
    const REQUESTS: usize = 400;

    async fn start() -> Self {
        let app = App::answering(|_| async { text("ok") }).await;
        let (ports, folder) = (Ports::reserve(), tempfile::tempdir().unwrap());
        let open = "mesh:\n  authentication:\n    bypassRoutes: [\"/*\"]\n";
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), open).unwrap();
        let variables = [
            ("PORT", ports.public.to_string()),
            ("APP_PORT", app.address.port().to_string()),
            ("APPLINK_MESH_METRICS", "off".to_owned()),
        ];
        let process = mesh(folder.path(), &borrowed(&variables), &[]).spawn().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], ports.public));
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let asked = join_all((0..Self::CLIENTS).map(|_| Self::ask(address)));
        timeout(PATIENCE, asked).await.expect("requests don't wait for whoever reads the log");
        Self { process, address, _around: (app, ports, folder) }
    }

    async fn ask(address: SocketAddr) {
        let mut wire = Wire::open(address).await;
        for _ in 0..Self::REQUESTS {
            wire.write(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(600))).await;
            assert!(wire.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
            wire.read_exactly(2).await;
        }
    }

    async fn stop(&mut self) {
        let id = i32::try_from(self.process.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        // Far less than it waits for requests.
        let end = timeout(Duration::from_secs(8), self.process.wait()).await;
        assert_eq!(end.expect("it ends in time").unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_requests_nor_the_end() {
    Unread::start().await.stop().await;
}

#[tokio::test]
async fn lines_that_were_dropped_are_counted_in_the_log() {
    let mut unread = Unread::start().await;
    let mut log = BufReader::new(unread.process.stderr.take().unwrap()).lines();
    let mut lines = 0;
    let told = loop {
        let line = timeout(PATIENCE, log.next_line()).await.unwrap().unwrap().expect("it goes on");
        if line.contains("lines of this log were dropped") {
            break line;
        }
        lines += usize::from(line.contains("applink_mesh::access"));
    };
    let dropped: usize = told.rsplit_once("dropped=").unwrap().1.trim().parse().unwrap();
    assert!(told.contains("ERROR applink_mesh") && lines > 1_000, "{told} after {lines}");
    assert_eq!(lines + dropped, Unread::CLIENTS * Unread::REQUESTS);
    // It is read again, and so it is written again.
    Unread::ask(unread.address).await;
    tokio::join!(unread.stop(), async {
        let mut more = 0;
        while let Some(line) = log.next_line().await.unwrap() {
            more += usize::from(line.contains("applink_mesh::access"));
        }
        assert_eq!(more, Unread::REQUESTS);
    });
}

/// Any word may come as a method.
#[tokio::test]
async fn a_long_method_is_cut() {
    let kept = Arc::<Mutex<Vec<u8>>>::default();
    let lines = Arc::clone(&kept);
    let sink: AccessSink = Arc::new(move |line: &[u8]| lines.lock().unwrap().extend_from_slice(line));
    let stack = Stack::with(|config| config.access_log = AccessLog::Text(sink)).await;
    let method = "M".repeat(1_000);
    assert_eq!(stack.send(&format!("{method} /x"), &[], b"").await.status, 405);
    let line = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
    assert!(line.contains(&format!("method=\"{}\" path=\"/x\"", &method[..32])), "{line}");
}
