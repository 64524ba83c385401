//! `cargo xtask figures dev`: how soon `applink dev` is ready, and how much memory it takes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::{Build, Options};

/// From process start to the `--json` line, on an empty state folder.
const READY_SECONDS: f64 = 2.0;
/// All processes of the stack together.
const RESIDENT_MIB: f64 = 150.0;
/// Starts measured; each figure is the worst of them.
const STARTS: usize = 5;

/// Measures `applink dev` and says whether every promise is kept.
pub(super) fn measure(options: &Options) -> Result<bool> {
    let build = options.build;
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "applink"])
        .args(build.arguments())
        .status()
        .context("building applink")?;
    if !built.success() {
        bail!("the {build} build failed");
    }
    let (mut ready, mut resident) = (0.0_f64, 0.0_f64);
    for _ in 0..STARTS {
        let (seconds, mebibytes) = one_start(build)?;
        ready = ready.max(seconds);
        resident = resident.max(mebibytes);
    }
    println!("applink dev, worst of {STARTS} starts on an empty folder, {build} build");
    let ready_kept = figure("ready after", ready, "s", READY_SECONDS);
    let resident_kept = figure("resident after the tour", resident, "MiB", RESIDENT_MIB);
    Ok(ready_kept && resident_kept)
}

fn figure(name: &str, value: f64, unit: &str, limit: f64) -> bool {
    let kept = value <= limit;
    println!(
        "{name:<26} {value:>8.2} {unit:<4} promised ≤ {limit} {unit}  {}",
        if kept { "ok" } else { "MISSED" }
    );
    kept
}

fn one_start(build: Build) -> Result<(f64, f64)> {
    let folder = std::env::temp_dir().join(format!("applink-figures-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let started = Instant::now();
    let mut stack = Command::new(format!("target/{build}/applink"))
        .args(["dev", "--json", "--port", "0", "--org-port", "0", "--sandbox-port", "0", "--mesh-port", "0"])
        .args(["--app-port", "0", "--state-dir"])
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting applink dev")?;
    let measured = measure_one(&mut stack, started);
    let _ = Command::new("kill").args(["-INT", &stack.id().to_string()]).status();
    let _ = stack.wait();
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure_one(stack: &mut Child, started: Instant) -> Result<(f64, f64)> {
    let output = stack.stdout.take().context("its output")?;
    let log = stack.stderr.take().context("its log")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("reading the line")?;
    let seconds = started.elapsed().as_secs_f64();
    if !line.starts_with('{') {
        bail!("applink dev ended before it was ready");
    }
    // The tour is over when everything stays up: by then every part has worked once.
    BufReader::new(log)
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("stays up"))
        .context("the tour")?;
    Ok((seconds, resident_mebibytes(stack.id())?))
}

/// The process and its children, from `/proc`.
fn resident_mebibytes(pid: u32) -> Result<f64> {
    let mut kibibytes = 0.0;
    for entry in std::fs::read_dir("/proc").context("listing processes")?.flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u32>().ok()
        };
        if field("Pid:") == Some(pid) || field("PPid:") == Some(pid) {
            kibibytes += f64::from(field("VmRSS:").unwrap_or_default());
        }
    }
    Ok(kibibytes / 1024.0)
}
