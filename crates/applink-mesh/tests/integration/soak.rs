//! Promises 34 and 35: what connections cost; memory stays where it is under steady traffic, and comes back after a burst.
//!
//! The tests run it for two minutes, which shows a leak of some sixty bytes a request; `cargo xtask figures mesh` runs it
//! optimised for longer (`APPLINK_SOAK_SECONDS`, `APPLINK_SOAK_RATE`) and holds it to the promise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use applink_api::clock::Clock;
use http_body_util::BodyExt as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::integration::app::{App, text};
use crate::integration::control_plane::{Bundle, ControlPlane, Says};
use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::Wire;
use crate::integration::signer::{ORG_KEY, bundle, claims, header};
use crate::integration::stack::{APP_UUID, Call, TOKEN};

const CLIENTS: usize = 20;
/// A client hangs up after so many requests and comes back.
const PER_CONNECTION: usize = 50;
const SHORT: (u32, u32) = (120, 200);
/// From here on it is held to the promise; before that, what a process needs to get going would count as a leak.
const LONG_SECONDS: u32 = 900;
/// MiB an hour: the promise, and what a short run can tell from the noise.
const PROMISED: f64 = 1.0;
const TELLING: f64 = 40.0;

#[expect(clippy::disallowed_methods, reason = "how long it runs is told from outside")]
pub(super) fn setting(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Slope by least squares, and half the width of its 95 % interval. Samples that follow each other closely are alike,
/// so each counts for the mean of a twelfth of the time.
fn slope(samples: &[(f64, f64)]) -> (f64, f64) {
    const GROUPS: usize = 12;
    /// Student's t, 97.5 %, ten degrees of freedom.
    const T: f64 = 2.228;
    let groups: Vec<(f64, f64)> = samples
        .chunks(samples.len().div_ceil(GROUPS).max(1))
        .map(|group| {
            let count = f64::from(u32::try_from(group.len()).unwrap());
            let sum = group.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x, sum.1 + y));
            (sum.0 / count, sum.1 / count)
        })
        .collect();
    let count = f64::from(u32::try_from(groups.len()).unwrap());
    let mean = groups.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / count, sum.1 + y / count));
    let xx: f64 = groups.iter().map(|(x, _)| (x - mean.0).powi(2)).sum();
    let xy: f64 = groups.iter().map(|(x, y)| (x - mean.0) * (y - mean.1)).sum();
    let slope = xy / xx;
    let rest: f64 = groups.iter().map(|(x, y)| (y - mean.1 - slope * (x - mean.0)).powi(2)).sum();
    (slope, T * (rest / (count - 2.0) / xx).sqrt())
}

#[test]
fn a_slope_is_found_with_its_interval() {
    let samples: Vec<(f64, f64)> =
        (0..240).map(|at| (f64::from(at), 5.0 + 2.0 * f64::from(at) + f64::from(at % 2))).collect();
    let (found, half) = slope(&samples);
    assert!((found - 2.0).abs() < 0.01 && half < 0.01, "{found} ± {half}");
}

/// A call whose token is of now and counts once.
fn verified() -> String {
    static TOKENS: AtomicUsize = AtomicUsize::new(0);
    let now = Clock::system().now().as_micros() / 1_000_000;
    let mut claims = claims(&format!("soak-{}", TOKENS.fetch_add(1, Ordering::Relaxed)));
    for (name, value) in [("iat", now), ("nbf", now - 15), ("exp", now + 120)] {
        claims[name] = json!(value);
    }
    let mut call = Call::new("r-1");
    call.request_context["auth"] = json!(ORG_KEY.sign(&header(), &claims));
    format!("GET /api HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", call.lines().join("\r\n"))
}

/// Mostly open ones; of twenty, one is verified, one refused, one has a body.
fn request(number: usize) -> (String, &'static str) {
    match number % 20 {
        0 => (verified(), "ok"),
        1 => ("GET /api HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "401 Invalid request\n"),
        2 => {
            let body = "x".repeat(16 * 1024);
            let length = body.len();
            (format!("POST /open/x HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"), "ok")
        }
        _ => ("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "ok"),
    }
}

struct Traffic {
    address: SocketAddr,
    over: AtomicBool,
    sent: AtomicUsize,
}

impl Traffic {
    /// With a pause between its requests, or as fast as it gets its answers.
    fn client(self: &Arc<Self>, pause: Option<Duration>) -> JoinHandle<()> {
        let traffic = Arc::clone(self);
        tokio::spawn(async move {
            let mut pace = pause.map(tokio::time::interval);
            while !traffic.over.load(Ordering::Relaxed) {
                let mut wire = Wire::open(traffic.address).await;
                for _ in 0..PER_CONNECTION {
                    if let Some(pace) = &mut pace {
                        pace.tick().await;
                    }
                    let (request, answer) = request(traffic.sent.fetch_add(1, Ordering::Relaxed));
                    wire.write(request).await;
                    wire.read_until(answer).await;
                    if traffic.over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
        })
    }
}

async fn run(
    address: SocketAddr,
    clients: usize,
    pause: Option<Duration>,
    body: impl Future<Output = ()>,
) -> usize {
    let traffic = Arc::new(Traffic { address, over: AtomicBool::new(false), sent: AtomicUsize::new(0) });
    let clients: Vec<_> = (0..clients).map(|_| traffic.client(pause)).collect();
    body.await;
    traffic.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    traffic.sent.load(Ordering::Relaxed)
}

/// The steady part: samples in hours and MiB, without the first quarter, in which caches fill.
async fn steady(address: SocketAddr, pid: u32, seconds: u32, pause: Duration) -> (Vec<(f64, f64)>, usize) {
    let mut samples = Vec::new();
    let begin = Instant::now();
    let sent = run(address, CLIENTS, Some(pause), async {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for number in 0..seconds {
            second.tick().await;
            if number >= seconds / 4 {
                samples.push((begin.elapsed().as_secs_f64() / 3600.0, resident(pid)));
            }
        }
    });
    let sent = sent.await;
    (samples, sent)
}

/// A mesh as a process of its own, with what is around it.
struct Running {
    process: tokio::process::Child,
    address: SocketAddr,
    pid: u32,
    _around: (App, ControlPlane, Ports, tempfile::TempDir),
}

impl Running {
    async fn start() -> Self {
        // An app that does not read a body closes its connection, and takes others' requests with it.
        let app = App::answering(|request| async {
            let _ = request.into_body().collect().await;
            text("ok")
        });
        let app = app.await;
        let control_plane = ControlPlane::start(Says::Status(204, "")).await;
        control_plane.serve(Bundle::Is(bundle("v1")));
        let (ports, folder) = (Ports::reserve(), tempfile::tempdir().unwrap());
        let open = "mesh:\n  authentication:\n    bypassRoutes: [\"/open/*\"]\n";
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), open).unwrap();
        let variables = [
            ("PORT", ports.public.to_string()),
            ("APP_PORT", app.address.port().to_string()),
            ("HEROKU_APPLINK_API_URL", control_plane.url()),
            ("HEROKU_APPLINK_TOKEN", TOKEN.to_owned()),
            ("HEROKU_APP_ID", APP_UUID.to_owned()),
            ("APPLINK_MESH_METRICS", "off".to_owned()),
        ];
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
        }
        let log = std::fs::File::create("/dev/null").unwrap();
        let process = mesh(folder.path(), &borrowed(&variables), &[]).stderr(log).spawn().unwrap();
        let (pid, address) = (process.id().unwrap(), SocketAddr::from(([127, 0, 0, 1], ports.public)));
        while control_plane.polls().0 == 0 || tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { process, address, pid, _around: (app, control_plane, ports, folder) }
    }
}

#[tokio::test]
async fn promise_34_connections_between_two_requests_hold_no_buffers() {
    let mut running = Running::start().await;
    let mut before = 0.0;
    let mut open = Vec::new();
    for batch in 0..20 {
        for _ in 0..50 {
            let mut wire = Wire::open(running.address).await;
            wire.write("GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").await;
            wire.read_until("ok").await;
            open.push(wire);
        }
        // Longer than a connection keeps its buffers, so that the next batch can have them.
        tokio::time::sleep(Duration::from_millis(200)).await;
        if batch == 3 {
            before = resident(running.pid);
        }
    }
    let each = (resident(running.pid) - before) * 1024.0 / 800.0;
    println!("{each:.1} KiB for each of 800 connections");
    // With its buffers it is 20.
    assert!(each < 8.0, "{each} KiB for each connection");
    running.process.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_35_memory_stays_where_it_is() {
    let seconds = setting("APPLINK_SOAK_SECONDS", SHORT.0);
    let rate = setting("APPLINK_SOAK_RATE", SHORT.1);
    let long = seconds >= LONG_SECONDS;
    let mut running = Running::start().await;
    let pause = Duration::from_secs(1) * u32::try_from(CLIENTS).unwrap() / rate;
    let (samples, sent) = steady(running.address, running.pid, seconds, pause).await;
    let (slope, half) = slope(&samples);
    println!(
        "{sent} requests in {seconds} s: {:.1} MiB at the end, {slope:+.2} MiB an hour (95 %: {:+.2} to {:+.2})",
        samples.last().unwrap().1,
        slope - half,
        slope + half
    );
    burst(running.address, running.pid, if long { 100 } else { 10 }, long).await;
    running.process.kill().await.unwrap();
    if long {
        assert!(slope + half < PROMISED, "{slope} ± {half} MiB an hour");
    } else {
        assert!(slope - half < TELLING, "{slope} ± {half} MiB an hour");
    }
}

/// What a connection may take at most while all are busy, in MiB: its own buffers, the app's, and a body's.
const BUSY: f64 = 0.25;

/// So many times as many clients as before, all as fast as they can; then none. When it is held to the promise, memory
/// comes back to twice what it was within five minutes. That is up to the allocator: the one of the tests' build keeps
/// what it has, so they only see that a burst takes no more than its connections may.
async fn burst(address: SocketAddr, pid: u32, times: usize, long: bool) {
    let before = resident(pid);
    let mut most = before;
    let sent = run(address, CLIENTS * times, None, async {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            most = f64::max(most, resident(pid));
        }
    });
    let sent = sent.await;
    let begin = Instant::now();
    while long && resident(pid) > 2.0 * before && begin.elapsed() < Duration::from_secs(300) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (after, seconds) = (resident(pid), begin.elapsed().as_secs_f64());
    let connections = CLIENTS * times;
    println!(
        "{connections} connections, {sent} requests in 10 s: {before:.1} MiB before, {most:.1} at most, {after:.1} {seconds:.1} s later"
    );
    assert!(
        most < before + BUSY * f64::from(u32::try_from(connections).unwrap()),
        "{before} MiB before, {most} at most"
    );
    assert!(!long || after <= 2.0 * before, "{before} MiB before, {after} five minutes after");
}
