//! `cargo xtask bench publish`: how long a document takes from bytes to package, and how much memory. Writes its part
//! of `docs/performance.md`.
//!
//! What is promised "on one core" is held against the processor's time, since other programs run too; by the clock it is
//! printed beside, with the machine's load.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::part::{Part, load};

/// A document of 3 MB with 1,000 operations is read, checked and packaged within this.
const SECONDS: f64 = 1.0;
/// And with no more memory than this.
const MEBIBYTES: f64 = 300.0;
/// Time per operation may differ by this much between 100 and 3,000 operations and still be called linear.
const LINEAR: f64 = 2.0;
/// Runs per size; the fastest counts, since everything else on the machine only adds.
const RUNS: usize = 3;

const PART: Part = Part {
    page: "docs/performance.md",
    begin: "<!-- written by `cargo xtask bench publish` -->",
    end: "<!-- end of what `cargo xtask bench publish` writes -->",
};

/// Measures, prints, writes, and says whether every promise is kept.
pub(crate) fn publish() -> Result<bool> {
    let build = ["build", "--release", "--package", "applink-publish", "--example", "publish_figures"];
    let built = Command::new(env!("CARGO")).args(build).status();
    if !built.context("building the release")?.success() {
        bail!("the release build failed");
    }
    let before = load()?;
    let mut sizes = Vec::new();
    for operations in [10, 100, 1_000, 3_000] {
        sizes.push(fastest("ours", operations, 2)?);
    }
    let large = fastest("ours", 1_000, 12)?;
    let peer = fastest("openapiv3", 1_000, 12)?;
    let report = Report { sizes, large, peer, load: format!("{before} before, {} after", load()?) };
    let part = report.part()?;
    print!("{part}");
    PART.write(&part)?;
    Ok(report.promises().iter().all(Promise::kept))
}

struct Report {
    sizes: Vec<Measured>,
    /// 3 MB.
    large: Measured,
    /// `openapiv3` reading the same.
    peer: Measured,
    load: String,
}

struct Promise {
    what: &'static str,
    value: f64,
    unit: &'static str,
    limit: f64,
}

impl Promise {
    fn kept(&self) -> bool {
        self.value <= self.limit
    }
}

impl Report {
    fn promises(&self) -> [Promise; 3] {
        let grown: Vec<f64> =
            self.sizes.iter().filter(|one| one.operations >= 100).map(Measured::per_operation).collect();
        let least = grown.iter().copied().fold(f64::INFINITY, f64::min);
        let most = grown.iter().copied().fold(0.0, f64::max);
        [
            Promise {
                what: "3 MB of YAML, 1,000 operations: read, checked, packaged",
                value: self.large.milliseconds / 1000.0,
                unit: "s",
                limit: SECONDS,
            },
            Promise { what: "memory for that", value: self.large.mebibytes, unit: "MiB", limit: MEBIBYTES },
            Promise {
                what: "time of an operation, slowest size over fastest, 100 to 3,000 operations",
                value: most / least,
                unit: "×",
                limit: LINEAR,
            },
        ]
    }

    /// The part of the page.
    fn part(&self) -> Result<String> {
        let mut page = String::new();
        writeln!(page, "\n## Publishing\n")?;
        writeln!(
            page,
            "`cargo xtask bench publish` measures this anew: a process for each size, the fastest of {RUNS}, optimised. \
             Milliseconds are the processor's; the machine's load was {} (1, 5, 15 minutes).\n",
            self.load
        )?;
        writeln!(page, "| promise | measured | promised | |\n|---|---:|---:|---|")?;
        for promise in self.promises() {
            let verdict = if promise.kept() { "kept" } else { "**missed**" };
            let Promise { what, value, unit, limit } = promise;
            writeln!(page, "| {what} | {value:.2} {unit} | ≤ {limit} {unit} | {verdict} |")?;
        }
        writeln!(
            page,
            "\n| operations | bytes | read and check, ms | package, ms | an operation, µs | by the clock, ms | memory, MiB |\n\
             |---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for one in self.sizes.iter().chain([&self.large]) {
            writeln!(page, "{}", one.row())?;
        }
        writeln!(
            page,
            "\n`openapiv3` takes {:.0} ms and {:.0} MiB to deserialise the file of the last row; reading it with every \
             check takes us {:.2} times as long.",
            self.peer.milliseconds,
            self.peer.mebibytes,
            self.large.read_ms / self.peer.milliseconds
        )?;
        Ok(page)
    }
}

struct Measured {
    operations: u32,
    bytes: u64,
    read_ms: f64,
    milliseconds: f64,
    /// By the clock.
    wall_ms: f64,
    mebibytes: f64,
}

impl Measured {
    /// Microseconds.
    fn per_operation(&self) -> f64 {
        self.milliseconds * 1000.0 / f64::from(self.operations)
    }

    fn row(&self) -> String {
        format!(
            "| {} | {} | {:.1} | {:.1} | {:.1} | {:.0} | {:.1} |",
            self.operations,
            self.bytes,
            self.read_ms,
            self.milliseconds - self.read_ms,
            self.per_operation(),
            self.wall_ms,
            self.mebibytes
        )
    }
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
        wall_ms: answer["wall_ms"].as_f64().unwrap_or_default(),
        mebibytes: answer["peak_kib"].as_f64().unwrap_or_default() / 1024.0,
    })
}
