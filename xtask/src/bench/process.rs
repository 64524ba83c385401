//! Processes, as `/proc` shows them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Clock ticks of `/proc` in a second: a constant of Linux on every machine it runs on.
const TICKS: f64 = 100.0;

/// A process that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command, what: &str) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {what}"))?;
        Ok(Self(child))
    }

    /// It and the processes it started.
    pub(crate) fn all(&self) -> Vec<u32> {
        let mut all = vec![self.0.id()];
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
            if field(&status, "PPid:") == Some(u64::from(self.0.id()))
                && let Some(pid) = field(&status, "Pid:").and_then(|pid| u32::try_from(pid).ok())
            {
                all.push(pid);
            }
        }
        all
    }

    /// Seconds of processor time used so far.
    pub(crate) fn cpu(&self) -> f64 {
        self.all().iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// MiB resident now, and at most so far.
    pub(crate) fn resident(&self) -> (f64, f64) {
        let (mut now, mut peak) = (0.0, 0.0);
        for pid in self.all() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            now += mebibytes(field(&status, "VmRSS:"));
            peak += mebibytes(field(&status, "VmHWM:"));
        }
        (now, peak)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let begin = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if begin.elapsed() > Duration::from_secs(3) {
                let _ = self.0.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn mebibytes(kibibytes: Option<u64>) -> f64 {
    f64::from(u32::try_from(kibibytes.unwrap_or_default()).unwrap_or(u32::MAX)) / 1024.0
}

/// User and system time; the name in parentheses may hold anything, so fields count from its end.
fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / TICKS
}

/// Seconds of processor time the whole machine has used so far, all processors together.
pub(crate) fn machine_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|at| numbers.get(*at)).sum::<f64>() / TICKS
}

/// Until something listens there.
pub(crate) fn wait_for_port(port: u16) -> Result<()> {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if begin.elapsed() > Duration::from_secs(10) {
            bail!("nothing listens on port {port}");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// One request on a connection of its own; the whole answer.
pub(crate) fn ask(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connecting")?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading the answer")?;
    Ok(answer)
}
