//! `cargo xtask bench publish`: how long a document takes from bytes to package, and how much memory.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A document of 3 MB with 1,000 operations is read, checked and packaged within this.
const SECONDS: f64 = 1.0;
/// And with no more memory than this.
const MEBIBYTES: f64 = 300.0;
/// Time per operation may differ by this much between 100 and 3,000 operations and still be called linear.
const LINEAR: f64 = 2.0;
/// Runs per size; the fastest counts, since everything else on the machine only adds.
const RUNS: usize = 3;

/// Measures, prints, and says whether every promise is kept.
pub(crate) fn publish() -> Result<bool> {
    let build = ["build", "--release", "--package", "applink-publish", "--example", "publish_figures"];
    let built = Command::new(env!("CARGO")).args(build).status();
    if !built.context("building the release")?.success() {
        bail!("the release build failed");
    }
    println!("publish, one process per size, fastest of {RUNS}, release build");
    println!(
        "{:>10} {:>10} {:>14} {:>12} {:>12} {:>10}",
        "operations", "bytes", "read+check ms", "package ms", "µs/operation", "peak MiB"
    );
    let mut per_operation = Vec::new();
    for operations in [10, 100, 1_000, 3_000] {
        let measured = fastest("ours", operations, 2)?;
        print(&measured);
        if operations >= 100 {
            per_operation.push(measured.milliseconds / f64::from(operations));
        }
    }
    let large = fastest("ours", 1_000, 12)?;
    print(&large);
    let peer = fastest("openapiv3", 1_000, 12)?;
    println!(
        "openapiv3 deserialising the last file: {:.0} ms, {:.0} MiB; we take {:.2} times as long with every check",
        peer.milliseconds,
        peer.mebibytes,
        large.read_ms / peer.milliseconds
    );
    let least = per_operation.iter().copied().fold(f64::INFINITY, f64::min);
    let most = per_operation.iter().copied().fold(0.0, f64::max);
    let kept = [
        figure("3 MB, 1,000 operations", large.milliseconds / 1000.0, "s", SECONDS),
        figure("its memory", large.mebibytes, "MiB", MEBIBYTES),
        figure("growth per operation, 100 to 3,000", most / least, "×", LINEAR),
    ];
    Ok(kept.into_iter().all(|kept| kept))
}

struct Measured {
    operations: u32,
    bytes: u64,
    read_ms: f64,
    milliseconds: f64,
    mebibytes: f64,
}

fn fastest(who: &str, operations: u32, properties: u32) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..RUNS {
        let measured = one(who, operations, properties)?;
        if best.as_ref().is_none_or(|best| measured.milliseconds < best.milliseconds) {
            best = Some(measured);
        }
    }
    best.context("no run")
}

fn one(who: &str, operations: u32, properties: u32) -> Result<Measured> {
    let ran = Command::new("target/release/examples/publish_figures")
        .args([who, &operations.to_string(), &properties.to_string()])
        .output()
        .context("running publish_figures")?;
    if !ran.status.success() {
        bail!("publish_figures failed: {}", String::from_utf8_lossy(&ran.stderr));
    }
    let answer: Value = serde_json::from_slice(&ran.stdout).context("its answer")?;
    let steps = answer["steps"].as_object().context("its steps")?;
    let step = |name: &str| steps.get(name).and_then(Value::as_f64).unwrap_or_default();
    Ok(Measured {
        operations,
        bytes: answer["bytes"].as_u64().unwrap_or_default(),
        read_ms: step("read_and_check_ms") + step("read_ms"),
        milliseconds: steps.values().filter_map(Value::as_f64).sum(),
        mebibytes: answer["peak_kib"].as_f64().unwrap_or_default() / 1024.0,
    })
}

fn print(measured: &Measured) {
    println!(
        "{:>10} {:>10} {:>14.1} {:>12.1} {:>12.1} {:>10.1}",
        measured.operations,
        measured.bytes,
        measured.read_ms,
        measured.milliseconds - measured.read_ms,
        measured.milliseconds * 1000.0 / f64::from(measured.operations),
        measured.mebibytes
    );
}

fn figure(name: &str, value: f64, unit: &str, limit: f64) -> bool {
    let kept = value <= limit;
    println!(
        "{name:<36} {value:>8.2} {unit:<4} promised ≤ {limit} {unit}  {}",
        if kept { "ok" } else { "MISSED" }
    );
    kept
}
