//! What came out, as lines, as a page with plots, and as promises kept or not.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::load::{Load, Measured};
use super::memory::Memory;
use super::peers::Target;
use super::{CONNECTIONS, Cell, chart};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench mesh` -->";
const END: &str = "<!-- end of what `cargo xtask bench mesh` writes -->";

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) measured: Vec<(Cell, Vec<Measured>)>,
    pub(crate) memory: Memory,
    pub(crate) rounds: usize,
    /// What the machine did when it began: `/proc/loadavg`.
    pub(crate) load: String,
}

/// One promise.
struct Promise {
    what: &'static str,
    value: f64,
    unit: &'static str,
    limit: f64,
    /// At least, not at most.
    floor: bool,
}

impl Promise {
    fn at_most(what: &'static str, value: f64, limit: f64, unit: &'static str) -> Self {
        Self { what, value, unit, limit, floor: false }
    }

    fn at_least(what: &'static str, value: f64, limit: f64, unit: &'static str) -> Self {
        Self { what, value, unit, limit, floor: true }
    }

    fn kept(&self) -> bool {
        if self.floor { self.value >= self.limit } else { self.value <= self.limit }
    }

    fn bound(&self) -> String {
        format!("{} {} {}", if self.floor { "≥" } else { "≤" }, self.limit, self.unit)
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn line(cell: Cell, one: &Measured) -> String {
    format!(
        "{:<20} {:<14} {:>8.0}/s  p50 {:>7.0} µs  p99 {:>7.0} µs  cpu {:>6.1} µs  {:>5.1} MiB  {:>6.2} conn/1k  {} errors  {:>3.0} % foreign",
        cell.target.name(),
        load_name(cell.load),
        one.per_second,
        one.p50_micros,
        one.p99_micros,
        one.cpu_micros,
        one.resident,
        one.new_connections,
        one.errors,
        one.foreign
    )
}

fn load_name(load: Load) -> String {
    match load {
        Load::Small { connections } => format!("small, c{connections}"),
        Load::Download => "GET 1 MiB, c16".to_owned(),
        Load::Upload => "POST 1 MiB, c16".to_owned(),
    }
}

impl Report {
    fn median_of(&self, target: Target, load: Load, value: impl Fn(&Measured) -> f64) -> f64 {
        let found = self.measured.iter().find(|(cell, _)| *cell == Cell { target, load });
        let values: Vec<f64> = found.map(|(_, all)| all.iter().map(value).collect()).unwrap_or_default();
        median(&values)
    }

    /// Of what the app does directly, in %.
    fn share(&self, target: Target) -> f64 {
        let load = Load::Small { connections: 64 };
        let rate = |target| self.median_of(target, load, |one| one.per_second);
        100.0 * rate(target) / rate(Target::Direct).max(1.0)
    }

    fn promises(&self) -> Vec<Promise> {
        let wide = Load::Small { connections: 64 };
        let single = Load::Small { connections: 1 };
        let cpu = |target| self.median_of(target, wide, |one| one.cpu_micros);
        let new = |target| self.median_of(target, wide, |one| one.new_connections);
        let p50 = |target| self.median_of(target, single, |one| one.p50_micros);
        let memory = self.memory;
        vec![
            Promise::at_least(
                "verifying, of direct at 64 connections",
                self.share(Target::Verifying),
                20.0,
                "%",
            ),
            Promise::at_most("verifying, CPU of a request", cpu(Target::Verifying), 90.0, "µs"),
            Promise::at_least(
                "bypassing, of direct at 64 connections",
                self.share(Target::Bypass),
                36.0,
                "%",
            ),
            Promise::at_most("bypassing, CPU of a request", cpu(Target::Bypass), 42.0, "µs"),
            Promise::at_most(
                "new connections to the app for 1,000 requests",
                new(Target::Verifying).max(new(Target::Bypass)),
                2.0,
                "",
            ),
            Promise::at_most(
                "verifying, p50 over direct at one connection",
                p50(Target::Verifying) - p50(Target::Direct),
                150.0,
                "µs",
            ),
            Promise::at_most("resident, idle", memory.idle, 8.0, "MiB"),
            Promise::at_most("resident, 1,000 open connections", memory.thousand, 16.0, "MiB"),
            Promise::at_most("resident, 10,000 open connections", memory.ten_thousand, 200.0, "MiB"),
            Promise::at_most("the same, silent from the start", memory.ten_thousand_silent, 200.0, "MiB"),
            Promise::at_most("start until it listens", memory.start_millis, 10.0, "ms"),
            Promise::at_most("growth, 1 GB down", memory.download, 8.0, "MiB"),
            Promise::at_most("growth, 1 GB up", memory.upload, 8.0, "MiB"),
            Promise::at_most("growth, 200 MiB of a stranger", memory.stranger, 2.0, "MiB"),
        ]
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.promises().iter().all(Promise::kept)
    }

    pub(crate) fn print(&self) {
        println!();
        for promise in self.promises() {
            let verdict = if promise.kept() { "ok" } else { "MISSED" };
            println!(
                "{:<48} {:>8.2} {:<3} promised {:<10} {verdict}",
                promise.what,
                promise.value,
                promise.unit,
                promise.bound()
            );
        }
    }

    /// Puts the page's part about the mesh in place of the last one.
    pub(crate) fn write(&self) -> Result<()> {
        let folder = Path::new("docs/performance");
        std::fs::create_dir_all(folder).context("making docs/performance")?;
        for (name, plot) in self.plots() {
            std::fs::write(folder.join(name), plot).context("writing a plot")?;
        }
        let old =
            std::fs::read_to_string(PAGE).unwrap_or_else(|_| format!("# Performance\n\n{BEGIN}\n{END}\n"));
        let part = format!("{BEGIN}\n{}{END}", self.part()?);
        let page = match (old.find(BEGIN), old.find(END)) {
            (Some(begin), Some(end)) => {
                let (before, after) = (old.get(..begin), old.get(end + END.len()..));
                format!("{}{part}{}", before.unwrap_or_default(), after.unwrap_or_default())
            }
            _ => format!("{old}\n{part}\n"),
        };
        std::fs::write(PAGE, page).context("writing docs/performance.md")
    }

    fn part(&self) -> Result<String> {
        let mut page = String::new();
        writeln!(page, "\n## The service mesh\n")?;
        writeln!(
            page,
            "`cargo xtask bench mesh` measures all of this anew: medians of {}, {} s each, on one machine that also runs \
             the load generator (wrk, one thread), the app and the control plane. Every row sends the same requests \
             from the same script: an org's headers of about 2.5 kB with a token of its own each. The mesh is as it is \
             shipped, access log on.\n",
            self.rounds,
            super::load::SECONDS
        )?;
        writeln!(page, "{} Load average when it began: {}.\n", machine(), self.load)?;
        writeln!(page, "| promise | measured | promised | |\n|---|---:|---:|---|")?;
        for promise in self.promises() {
            let verdict = if promise.kept() { "kept" } else { "**missed**" };
            let (what, value, unit) = (promise.what, promise.value, promise.unit);
            writeln!(page, "| {what} | {value:.1} {unit} | {} | {verdict} |", promise.bound())?;
        }
        writeln!(page, "\n![requests in a second](performance/mesh-throughput.svg)\n")?;
        writeln!(page, "![processor time of a request](performance/mesh-cpu.svg)\n")?;
        writeln!(
            page,
            "*Foreign* is what else the machine's processors did meanwhile, in % of one: figures with much of it are \
             lower than they should be, but all rows of a round met the same.\n"
        )?;
        let loads = CONNECTIONS.map(|connections| Load::Small { connections });
        for load in loads.into_iter().chain([Load::Download, Load::Upload]) {
            self.table(&mut page, load)?;
        }
        Ok(page)
    }

    fn table(&self, page: &mut String, load: Load) -> Result<()> {
        writeln!(page, "### {}\n", heading(load))?;
        writeln!(
            page,
            "| | requests/s | of direct | p50 µs | p99 µs | CPU µs/request | resident MiB | new conn./1,000 | errors | foreign % |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        let direct = self.median_of(Target::Direct, load, |one| one.per_second).max(1.0);
        for target in Target::ALL {
            let of = |value: fn(&Measured) -> f64| self.median_of(target, load, value);
            let rate = of(|one| one.per_second);
            writeln!(
                page,
                "| {} | {rate:.0} | {:.0} % | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} |",
                target.name(),
                100.0 * rate / direct,
                of(|one| one.p50_micros),
                of(|one| one.p99_micros),
                of(|one| one.cpu_micros),
                of(|one| one.resident),
                of(|one| one.new_connections),
                of(|one| one.errors),
                of(|one| one.foreign),
            )?;
        }
        writeln!(page)?;
        Ok(())
    }

    fn plots(&self) -> [(&'static str, String); 2] {
        let series = |value: fn(&Measured) -> f64, targets: &[Target]| {
            let of = |target: &Target| {
                let values = CONNECTIONS
                    .map(|connections| self.median_of(*target, Load::Small { connections }, value));
                (target.name(), values.to_vec())
            };
            targets.iter().map(of).collect::<Vec<_>>()
        };
        let groups = CONNECTIONS.map(|connections| format!("{connections} conn."));
        let through = [Target::Nginx, Target::NginxAuth, Target::Bypass, Target::Verifying];
        [
            (
                "mesh-throughput.svg",
                chart::bars(
                    "Requests in a second, small JSON",
                    &groups,
                    &series(|one| one.per_second, &Target::ALL),
                ),
            ),
            (
                "mesh-cpu.svg",
                chart::bars(
                    "Processor time of a request, µs (small JSON)",
                    &groups,
                    &series(|one| one.cpu_micros, &through),
                ),
            ),
        ]
    }
}

fn heading(load: Load) -> String {
    match load {
        Load::Small { connections: 1 } => "Small JSON, one connection".to_owned(),
        Load::Small { connections } => format!("Small JSON, {connections} connections"),
        Load::Download => "1 MiB from the app, 16 connections".to_owned(),
        Load::Upload => "1 MiB to the app, 16 connections".to_owned(),
    }
}

/// Commit, processor, and how many of them.
fn machine() -> String {
    let commit = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("Commit {}, {cpus} × {model}.", commit.unwrap_or_default())
}
