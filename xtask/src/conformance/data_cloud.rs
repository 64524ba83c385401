//! `cargo xtask bench data-cloud`: rows of Data Cloud streamed through our SDK, and through the Node SDK beside it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::stack::Stack;
use super::{Client, install, target};
use crate::part::{Part, load};

/// As many rows as are promised.
const ROWS: u64 = 100_000;
/// And a tenth of them, to see what memory has to do with the number.
const FEW: u64 = ROWS / 10;
/// A result ten times as long may take this much more memory, in MiB: what the allocator keeps, not rows.
const GROWTH: f64 = 8.0;
/// Runs of each; the fastest counts, since everything else on the machine only adds.
const RUNS: usize = 3;
const PART: Part = Part {
    page: "docs/data-cloud.md",
    begin: "<!-- written by `cargo xtask bench data-cloud` -->",
    end: "<!-- end of what `cargo xtask bench data-cloud` writes -->",
};
/// How long the local org may take to apply what was sent.
const PATIENCE: Duration = Duration::from_secs(300);

struct Measured {
    rows: u64,
    seconds: f64,
    mebibytes: f64,
}

/// Measures, prints, writes, and says whether memory stays the same.
pub(crate) fn bench() -> Result<bool> {
    for build in [
        ["build", "--release", "--package", "applink", "--bin", "applink"],
        ["build", "--release", "--package", "applink-sdk", "--example", "stream_rows"],
    ] {
        install::run(Command::new(env!("CARGO")).args(build).current_dir(super::root()))?;
    }
    let release = target().join("release");
    let ours = release.join("examples").join("stream_rows");
    let node = install::install(Client::Node)?.context("the Node SDK can't be installed")?;
    let [interpreter, script] = node.command("stream_rows.js");
    let [_, app] = node.command("app/app.js");
    let stack = Stack::start(&release.join("applink"), &[], &[interpreter.clone(), app])?;
    stack.authorize().with_context(|| stack.log())?;

    let loaded = measure(&stack, &ours, &["load", &ROWS.to_string()])?;
    println!("{} rows sent in {:.2} s: {:.0} rows/s", loaded.rows, loaded.seconds, per_second(&loaded));
    let before = load()?;
    wait_until_applied(&stack, &ours)?;
    let read = |count: u64| fastest(&stack, &ours, &["read", &count.to_string()]);
    let (few, many) = (read(FEW)?, read(ROWS)?);
    let peer = fastest(&stack, Path::new(&interpreter), &[&script, &ROWS.to_string()])?;
    let table = [
        ("`applink-sdk`, sent", &loaded),
        ("`applink-sdk`, streamed", &few),
        ("`applink-sdk`, streamed", &many),
        ("`@heroku/applink`, batch by batch", &peer),
    ]
    .map(|(who, measured)| row(who, measured));
    let part = format!(
        "Release builds, the fastest of {RUNS}; the machine's load was {before} before, {} after (1, 5, 15 minutes).\n\n\
         | | rows | seconds | rows/s | peak memory |\n|---|---:|---:|---:|---:|\n{}",
        load()?,
        table.join("\n")
    );
    println!("{part}");
    PART.write(&part)?;
    let grown = many.mebibytes - few.mebibytes;
    let is_kept = grown <= GROWTH && many.rows == ROWS && peer.rows == ROWS;
    println!(
        "ten times the rows take {grown:.1} MiB more, promised ≤ {GROWTH} MiB  {}",
        if is_kept { "ok" } else { "MISSED" }
    );
    Ok(is_kept)
}

fn wait_until_applied(stack: &Stack, ours: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while measure(stack, ours, &["read", &ROWS.to_string()])?.rows < ROWS {
        if Instant::now() > deadline {
            bail!("the local org did not apply the rows in time");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn fastest(stack: &Stack, program: &Path, words: &[&str]) -> Result<Measured> {
    let mut best: Option<Measured> = None;
    for _ in 0..RUNS {
        let measured = measure(stack, program, words)?;
        if best.as_ref().is_none_or(|best| measured.seconds < best.seconds) {
            best = Some(measured);
        }
    }
    best.context("no run")
}

fn measure(stack: &Stack, program: &Path, words: &[&str]) -> Result<Measured> {
    let nothing: [(&'static str, &Path); 0] = [];
    let output = stack.run(program, words, nothing)?;
    if !output.success {
        bail!("{} failed:\n{}\n{}", program.display(), output.stderr, stack.log());
    }
    let answer: Value = serde_json::from_str(&output.stdout).context("its answer")?;
    Ok(Measured {
        rows: answer["rows"].as_u64().context("rows")?,
        seconds: answer["seconds"].as_f64().context("seconds")?,
        mebibytes: answer["peak_kib"].as_f64().context("peak_kib")? / 1024.0,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
fn per_second(measured: &Measured) -> f64 {
    measured.rows as f64 / measured.seconds
}

fn row(who: &str, measured: &Measured) -> String {
    let Measured { rows, seconds, mebibytes } = measured;
    format!("| {who} | {rows} | {seconds:.2} | {:.0} | {mebibytes:.1} MiB |", per_second(measured))
}
