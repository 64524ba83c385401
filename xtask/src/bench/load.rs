//! One measurement: a target, started anew, under wrk.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::peers::{APP, Peers};
use super::process::{ask, machine_cpu};
use super::{Cell, Workshop};

/// How long one measurement takes.
pub(crate) const SECONDS: u32 = 1;
/// Connections where bodies are large.
const WIDE: usize = 16;
const MEBIBYTE: usize = 1024 * 1024;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Load {
    /// GET, answered with a small JSON.
    Small {
        /// On this many connections.
        connections: usize,
    },
    /// GET, answered with 1 MiB.
    Download,
    /// POST of 1 MiB.
    Upload,
}

impl Load {
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Small { connections } => connections,
            Self::Download | Self::Upload => WIDE,
        }
    }

    fn request(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::Small { .. } => ("GET", "/small", 0),
            Self::Download => ("GET", "/big", 0),
            Self::Upload => ("POST", "/upload", MEBIBYTE),
        }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// Processor time of the target for each request.
    pub(crate) cpu_micros: f64,
    pub(crate) resident: f64,
    /// New connections to the app for each 1,000 requests.
    pub(crate) new_connections: f64,
    pub(crate) errors: f64,
    /// Processor time of the machine that neither target, app nor generator used, in % of one processor.
    pub(crate) foreign: f64,
}

pub(crate) fn run(workshop: &Workshop, peers: &Peers, cell: Cell) -> Result<Measured> {
    let running = cell.target.start(workshop)?;
    let cpu = || running.as_ref().map_or(0.0, super::process::Running::cpu);
    let connections = app_connections()?;
    let before = (cpu(), machine_cpu(), peers.cpu());
    let begin = Instant::now();
    let (result, generator_cpu) = wrk(workshop, cell)?;
    // Longer than it made load: it reads its requests first.
    let elapsed = begin.elapsed().as_secs_f64();
    let after = (cpu(), machine_cpu(), peers.cpu());
    let number = |name: &str| result[name].as_f64().unwrap_or_default();
    let (requests, seconds) = (number("requests").max(1.0), number("micros") / 1e6);
    let used = after.0 - before.0;
    let ours = used + (after.2 - before.2) + generator_cpu;
    Ok(Measured {
        per_second: requests / seconds,
        p50_micros: number("p50"),
        p99_micros: number("p99"),
        cpu_micros: used * 1e6 / requests,
        resident: running.as_ref().map_or(0.0, |running| running.resident().0),
        new_connections: more_connections(app_connections()? - connections - 1.0, cell) * 1e3 / requests,
        errors: number("errors"),
        foreign: ((after.1 - before.1 - ours) / elapsed * 100.0).max(0.0),
    })
}

/// The first for each connection of the generator is how a pool begins.
fn more_connections(new: f64, cell: Cell) -> f64 {
    let first = u32::try_from(cell.load.connections()).map_or(0.0, f64::from);
    (new - first).max(0.0)
}

/// Connections the app has accepted so far, this one included.
fn app_connections() -> Result<f64> {
    let answer = ask(APP, "/connections")?;
    let count = answer.rsplit("\r\n").next().unwrap_or_default();
    count.trim().parse().context("reading the app's count")
}

fn wrk(workshop: &Workshop, cell: Cell) -> Result<(Value, f64)> {
    let (method, path, body) = cell.load.request();
    let script = workshop.file("calls.lua");
    std::fs::write(&script, include_str!("calls.lua")).context("writing the generator's script")?;
    let generator = Command::new("wrk")
        .args(["-t1", "-c", &cell.load.connections().to_string(), "-d", &format!("{SECONDS}s"), "-s"])
        .arg(&script)
        .arg(format!("http://127.0.0.1:{}/", cell.target.port()))
        .arg("--")
        .arg(workshop.file("requests"))
        .args([method, path, &body.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .context("starting wrk")?;
    let (output, cpu) = finish(generator)?;
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT "));
    let Some(line) = line else { bail!("wrk gave no result:\n{output}") };
    Ok((serde_json::from_str(line).context("reading wrk's result")?, cpu))
}

/// Its output, and the processor time it used (its start, which reads the requests, included).
fn finish(generator: Child) -> Result<(String, f64)> {
    let children = || {
        let times = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
        let seconds = |time: nix::sys::time::TimeVal| {
            let whole = i32::try_from(time.tv_sec()).unwrap_or(i32::MAX);
            let micros = i32::try_from(time.tv_usec()).unwrap_or_default();
            f64::from(whole) + f64::from(micros) / 1e6
        };
        anyhow::Ok(seconds(times.user_time()) + seconds(times.system_time()))
    };
    let before = children()?;
    let output = generator.wait_with_output().context("waiting for wrk")?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), children()? - before))
}
