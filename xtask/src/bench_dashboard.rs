//! `cargo xtask bench dashboard`: how long the server takes for the dashboard's pages with 10,000 connections, and what they
//! weigh as transferred. Writes its part of `docs/performance.md`.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::part::{Part, load};

/// Milliseconds the server may take for the first page.
const MILLISECONDS: f64 = 50.0;
/// What the first page may weigh, with all it loads.
const KILOBYTES: f64 = 100.0;

const PART: Part = Part {
    page: "docs/performance.md",
    begin: "<!-- written by `cargo xtask bench dashboard` -->",
    end: "<!-- end of what `cargo xtask bench dashboard` writes -->",
};

/// Measures, prints, writes, and says whether every promise is kept.
pub(crate) fn dashboard() -> Result<bool> {
    let build = ["build", "--release", "--package", "applink-server", "--example", "dashboard_figures"];
    if !Command::new(env!("CARGO")).args(build).status().context("building the release")?.success() {
        bail!("the release build failed");
    }
    let before = load()?;
    let ran = Command::new("target/release/examples/dashboard_figures").output();
    let ran = ran.context("running dashboard_figures")?;
    let told = String::from_utf8_lossy(&ran.stdout);
    if !ran.status.success() {
        bail!("dashboard_figures failed: {told}{}", String::from_utf8_lossy(&ran.stderr));
    }
    let measured: Value = serde_json::from_str(&told).context("its answer")?;
    let pages: Vec<Page> = measured["pages"].as_array().into_iter().flatten().map(Page::of).collect();
    let first = pages.first().context("no page was measured")?;
    let part = part(&measured, &pages, first, &format!("{before} before, {} after", load()?))?;
    print!("{part}");
    PART.write(&part)?;
    Ok(first.p95 <= MILLISECONDS && first.weight() <= KILOBYTES)
}

struct Page {
    name: String,
    first: f64,
    median: f64,
    p95: f64,
    /// Without what it loads.
    own: f64,
    assets: f64,
}

impl Page {
    fn of(value: &Value) -> Self {
        let number = |field: &str| value[field].as_f64().unwrap_or(f64::INFINITY);
        Self {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            first: number("first_ms"),
            median: number("median_ms"),
            p95: number("p95_ms"),
            own: number("bytes") / 1000.0,
            assets: number("asset_bytes") / 1000.0,
        }
    }

    /// Kilobytes in all.
    fn weight(&self) -> f64 {
        self.own + self.assets
    }
}

fn part(measured: &Value, pages: &[Page], first: &Page, load: &str) -> Result<String> {
    let mut page = String::new();
    writeln!(page, "\n## The dashboard\n")?;
    writeln!(
        page,
        "`cargo xtask bench dashboard` measures this anew: an optimised server on SQLite, an add-on of {} connections, each to \
         an org of its own, {} authorizations, {} publications, {} events and {} invocations of the last day. Times are from \
         the request to the last byte of the answer, over loopback, 30 times each (a file 3 times); weights are bytes as \
         transferred, heads included. The machine's load was {load} (1, 5, 15 minutes).\n",
        measured["connections"],
        measured["authorizations"],
        measured["publications"],
        measured["events"],
        measured["invocations"]
    )?;
    writeln!(page, "| promise | measured | promised | |\n|---|---:|---:|---|")?;
    let promises = [
        ("the first page, 19 of 20 times", first.p95, "ms", MILLISECONDS),
        ("the first page and all it loads", first.weight(), "kB", KILOBYTES),
    ];
    for (what, value, unit, limit) in promises {
        let verdict = if value <= limit { "kept" } else { "**missed**" };
        writeln!(page, "| {what} | {value:.1} {unit} | ≤ {limit} {unit} | {verdict} |")?;
    }
    writeln!(
        page,
        "\n| page | the very first time, ms | median, ms | p95, ms | page, kB | with all it loads, kB |\n\
         |---|---:|---:|---:|---:|---:|"
    )?;
    for one in pages {
        let Page { name, first, median, p95, own, .. } = one;
        writeln!(page, "| {name} | {first:.1} | {median:.1} | {p95:.1} | {own:.1} | {:.1} |", one.weight())?;
    }
    writeln!(
        page,
        "\nStyle, script and htmx are {:.1} kB compressed, and a browser keeps them for a year.",
        first.assets
    )?;
    Ok(page)
}
