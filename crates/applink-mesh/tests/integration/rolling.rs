//! Promise 32 with several meshes: all are restarted, one after the other, under load, and the load balancer before them
//! sees no failure. With `APPLINK_RESTART_RATE`, so many requests a second must have been answered too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::integration::app::{App, text};
use crate::integration::process::{Ports, borrowed, mesh};

const REPLICAS: usize = 3;
const CLIENTS: usize = 20;
/// Twenty clients with a request each 20 ms.
const EVERY: Duration = Duration::from_millis(20);
const CHECK_EVERY: Duration = Duration::from_millis(50);

const OPEN: &str = "mesh:\n  authentication:\n    bypassRoutes: [\"/*\"]\n";

struct Replica {
    ports: Ports,
    app: u16,
    folder: tempfile::TempDir,
}

impl Replica {
    fn new(app: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), OPEN).unwrap();
        Self { ports: Ports::reserve(), app: app.port(), folder }
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.public).into()
    }

    fn start(&self) -> Child {
        let variables = [
            ("PORT", self.ports.public.to_string()),
            ("APP_PORT", self.app.to_string()),
            ("APPLINK_MESH_METRICS", "off".to_owned()),
            // Long enough for the balancer to see that it should go elsewhere.
            ("APPLINK_MESH_GRACE_SECONDS", "3".to_owned()),
            ("GO_LOG", "error".to_owned()),
        ];
        mesh(self.folder.path(), &borrowed(&variables), &[]).spawn().unwrap()
    }
}

/// One exchange on a connection; anything but a whole 200 is a failure.
async fn exchange(stream: &mut TcpStream, path: &str) -> std::io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") && !answer.ends_with(b"OK\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") && answer.len() > 12 {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
    }
    Ok(())
}

async fn is_healthy(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(mut stream) => exchange(&mut stream, "/healthcheck").await.is_ok(),
        Err(_) => false,
    }
}

/// What the balancer knows, and what came of it.
struct Balancer {
    addresses: Vec<SocketAddr>,
    healthy: Vec<AtomicBool>,
    answered: AtomicUsize,
    over: AtomicBool,
}

impl Balancer {
    fn check(self: &Arc<Self>, replica: usize) -> JoinHandle<()> {
        let balancer = Arc::clone(self);
        tokio::spawn(async move {
            while !balancer.over.load(Ordering::Relaxed) {
                let healthy = is_healthy(balancer.addresses[replica]).await;
                balancer.healthy[replica].store(healthy, Ordering::Relaxed);
                tokio::time::sleep(CHECK_EVERY).await;
            }
        })
    }

    async fn becomes(&self, replica: usize, healthy: bool) {
        let wait = async {
            while self.healthy[replica].load(Ordering::Relaxed) != healthy {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
    }

    /// Failures are what it saw, not what it tried again.
    fn client(self: &Arc<Self>, mut turn: usize) -> JoinHandle<Vec<String>> {
        let balancer = Arc::clone(self);
        tokio::spawn(async move {
            let mut failures = Vec::new();
            let mut connections: Vec<Option<TcpStream>> = (0..REPLICAS).map(|_| None).collect();
            let mut pace = tokio::time::interval(EVERY);
            while !balancer.over.load(Ordering::Relaxed) {
                pace.tick().await;
                turn += 1;
                let healthy = |replica: &usize| balancer.healthy[*replica].load(Ordering::Relaxed);
                let Some(replica) = (turn..turn + REPLICAS).map(|at| at % REPLICAS).find(healthy) else {
                    failures.push("nobody is healthy".to_owned());
                    continue;
                };
                for (other, connection) in connections.iter_mut().enumerate() {
                    if !healthy(&other) {
                        *connection = None;
                    }
                }
                match balancer.request(&mut connections[replica], replica).await {
                    Ok(()) => drop(balancer.answered.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => failures.push(format!("replica {replica}: {error}")),
                }
            }
            failures
        })
    }

    async fn request(&self, connection: &mut Option<TcpStream>, replica: usize) -> std::io::Result<()> {
        let stream = match connection {
            Some(stream) => stream,
            None => connection.insert(TcpStream::connect(self.addresses[replica]).await?),
        };
        let exchanged = exchange(stream, "/x").await;
        if exchanged.is_err() {
            *connection = None;
        }
        exchanged
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_32_all_meshes_are_restarted_under_load_without_a_failed_request() {
    let app = App::answering(|_| async { text("ok") }).await;
    let replicas: Vec<Replica> = (0..REPLICAS).map(|_| Replica::new(app.address)).collect();
    let mut processes: Vec<Child> = replicas.iter().map(Replica::start).collect();
    let balancer = Arc::new(Balancer {
        addresses: replicas.iter().map(Replica::address).collect(),
        healthy: (0..REPLICAS).map(|_| AtomicBool::new(false)).collect(),
        answered: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    });
    let checks: Vec<_> = (0..REPLICAS).map(|replica| balancer.check(replica)).collect();
    for replica in 0..REPLICAS {
        balancer.becomes(replica, true).await;
    }
    let begin = Instant::now();
    let clients: Vec<_> = (0..CLIENTS).map(|client| balancer.client(client)).collect();
    for (number, (replica, process)) in replicas.iter().zip(&mut processes).enumerate() {
        kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
        balancer.becomes(number, false).await;
        assert_eq!(process.wait().await.unwrap().code(), Some(0));
        *process = replica.start();
        balancer.becomes(number, true).await;
    }
    let seconds = begin.elapsed().as_secs_f64();
    balancer.over.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for client in clients {
        failures.extend(client.await.unwrap());
    }
    for check in checks {
        check.await.unwrap();
    }
    let answered = balancer.answered.load(Ordering::Relaxed);
    let rate = f64::from(u32::try_from(answered).unwrap()) / seconds;
    println!(
        "{REPLICAS} meshes restarted in {seconds:.1} s: {answered} requests answered ({rate:.0} a second), {} failed",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:?}");
    let promised = f64::from(crate::integration::soak::setting("APPLINK_RESTART_RATE", 20));
    assert!(rate >= promised, "{rate} requests a second");
}
