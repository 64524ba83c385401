//! Promise 32: the app is exchanged, and the mesh itself stops, under load and without a lost request.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::{Wire, parse, send};
use crate::integration::trust::eventually;

/// Answers with its process id after a moment, on connections that stay open; SIGTERM ends it at once.
const APP: &str = r#"
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.005)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["APP_PORT"])), Handler).serve_forever()
"#;

struct Running {
    process: Child,
    log: mpsc::UnboundedReceiver<String>,
    address: SocketAddr,
    _folder: tempfile::TempDir,
    _ports: Ports,
}

impl Running {
    async fn start(variables: &[(&'static str, &str)]) -> Self {
        let ports = Ports::reserve();
        let folder = tempfile::tempdir().unwrap();
        let open = "mesh:\n  authentication:\n    bypassRoutes: [\"/*\"]\n";
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), open).unwrap();
        let own = [
            ("PORT", ports.public.to_string()),
            ("APP_PORT", ports.app.to_string()),
            ("APPLINK_MESH_METRICS", "off".to_owned()),
        ];
        let mut command = mesh(folder.path(), &borrowed(&own), &["python3", "-c", APP]);
        command.envs(variables.iter().copied());
        let mut process = command.spawn().unwrap();
        let mut log = log_of(&mut process);
        read_until(&mut log, "listening").await;
        let address = ([127, 0, 0, 1], ports.public).into();
        while send(address, "GET /healthcheck", &[], b"").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { process, log, address, _folder: folder, _ports: ports }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap()), signal).unwrap();
    }

    async fn wait_for(&mut self, text: &str) {
        read_until(&mut self.log, text).await;
    }
}

/// Read all the time, so that a full pipe never stops the mesh.
fn log_of(process: &mut Child) -> mpsc::UnboundedReceiver<String> {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let (sender, log) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = sender.send(line);
        }
    });
    log
}

async fn read_until(log: &mut mpsc::UnboundedReceiver<String>, text: &str) {
    let wait = async { while !log.recv().await.expect("it goes on").contains(text) {} };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

/// Process ids of the apps that answered.
type Apps = Arc<Mutex<BTreeSet<String>>>;

/// One client after another request on one connection, until it is told to stop.
async fn client(address: SocketAddr, stop: Arc<AtomicBool>, apps: Apps) -> usize {
    let mut answered = 0;
    let mut wire = Wire::open(address).await;
    while !stop.load(Ordering::Relaxed) {
        wire.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = wire.read_until("\r\n\r\n").await;
        let raw = parse(head.as_bytes());
        assert_eq!(raw.status, 200, "{head}");
        let length: usize = raw.header("content-length").unwrap().parse().unwrap();
        let app = wire.read_exactly(length).await;
        apps.lock().unwrap().insert(app);
        answered += 1;
    }
    answered
}

#[tokio::test]
async fn promise_32_the_app_is_exchanged_under_load_without_a_failed_request() {
    let mut running = Running::start(&[("APPLINK_MESH_RELOAD_SIGNAL", "HUP")]).await;
    let (stop, apps) = (Arc::new(AtomicBool::new(false)), Apps::default());
    let clients: Vec<_> =
        (0..8).map(|_| tokio::spawn(client(running.address, Arc::clone(&stop), Arc::clone(&apps)))).collect();
    for seen in 1..=3 {
        eventually(|| apps.lock().unwrap().len() == seen).await;
        if seen < 3 {
            running.signal(Signal::SIGHUP);
            running.wait_for("the app has been exchanged").await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered >= 24, "{answered}");
    running.signal(Signal::SIGTERM);
    running.process.wait().await.unwrap();
}

#[tokio::test]
async fn promise_32_a_stop_says_no_to_health_at_once_and_serves_for_the_grace() {
    let mut running = Running::start(&[("APPLINK_MESH_GRACE_SECONDS", "1")]).await;
    running.signal(Signal::SIGTERM);
    running.wait_for("stopping").await;
    let health = send(running.address, "GET /healthcheck", &[], b"").await;
    assert_eq!((health.status, health.text().as_str()), (503, "Stopping\n"));
    assert_eq!(send(running.address, "GET /x", &[], b"").await.status, 200, "still served");
    assert_eq!(running.process.wait().await.unwrap().code(), Some(143), "the app's end by SIGTERM");
}

#[tokio::test]
async fn an_app_that_does_not_come_back_ends_the_mesh_with_its_code() {
    let ports = Ports::reserve();
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "if [ -e started ]; then exit 7; fi; touch started; exec python3 -c '{}'",
        APP.replace('\'', "\"")
    );
    let variables = [
        ("PORT", ports.public.to_string()),
        ("APP_PORT", ports.app.to_string()),
        ("APPLINK_MESH_METRICS", "off".to_owned()),
        ("APPLINK_MESH_RELOAD_SIGNAL", "usr2".to_owned()),
    ];
    let mut process = mesh(folder.path(), &borrowed(&variables), &["sh", "-c", &script]).spawn().unwrap();
    let address = ([127, 0, 0, 1], ports.public).into();
    let mut log = log_of(&mut process);
    read_until(&mut log, "listening").await;
    while send(address, "GET /healthcheck", &[], b"").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGUSR2).unwrap();
    assert_eq!(process.wait().await.unwrap().code(), Some(7));
}
