//! `cargo xtask bench mesh`: the mesh beside its peers, on this machine, in one run. Writes `docs/performance.md`.
//!
//! Every row uses the same generator script and the same signed requests; medians of [`ROUNDS`]. The rounds go round
//! the rows, so that a disturbance of the machine meets all of them. What else ran is measured and printed too.

mod chart;
mod load;
mod memory;
mod peers;
mod process;
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use self::load::{Load, Measured};
use self::peers::{Peers, Target};
use crate::tools::{self, Tool};

/// Each figure is the median of this many.
const ROUNDS: usize = 5;
/// Open connections of the rows with small bodies.
pub(crate) const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
/// Signed requests in a round: more than any row gets through in [`load::SECONDS`].
const SIGNED: usize = 30_000;

/// One cell of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) target: Target,
    pub(crate) load: Load,
}

/// Where things are kept while it runs.
pub(crate) struct Workshop {
    pub(crate) folder: PathBuf,
    pub(crate) profile: &'static str,
}

impl Workshop {
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn built(&self, name: &str) -> PathBuf {
        Path::new("target").join(self.profile).join(name)
    }
}

/// Measures and writes the page. `check` says whether every promise was kept.
pub(crate) fn mesh(quick: bool) -> Result<bool> {
    tools::ensure_tools(&[Tool::Nginx, Tool::Wrk])?;
    let workshop = Workshop { folder: PathBuf::from("target/bench-mesh"), profile: "dist" };
    std::fs::create_dir_all(&workshop.folder).context("making target/bench-mesh")?;
    build(&workshop)?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(", ");
    println!("load average: {load}");
    let peers = Peers::start(&workshop)?;
    let memory = memory::measure(&workshop, &peers)?;
    let measured = rounds(&workshop, &peers, if quick { 1 } else { ROUNDS })?;
    let report = report::Report { measured, memory, rounds: if quick { 1 } else { ROUNDS }, load };
    report.print();
    if !quick {
        report.write()?;
    }
    Ok(report.is_kept())
}

fn build(workshop: &Workshop) -> Result<()> {
    let arguments = [
        "build",
        "--profile",
        workshop.profile,
        "--package",
        "applink-mesh",
        "--features",
        "jemalloc",
        "--bins",
        "--examples",
    ];
    let built = Command::new(env!("CARGO")).args(arguments).status().context("building the mesh")?;
    if !built.success() {
        bail!("the build failed");
    }
    Ok(())
}

fn rounds(workshop: &Workshop, peers: &Peers, rounds: usize) -> Result<Vec<(Cell, Vec<Measured>)>> {
    let mut all: Vec<(Cell, Vec<Measured>)> = cells().into_iter().map(|cell| (cell, Vec::new())).collect();
    for round in 1..=rounds {
        println!("round {round} of {rounds}: signing {SIGNED} requests …");
        peers.sign(workshop, SIGNED)?;
        for (cell, measured) in &mut all {
            let one = load::run(workshop, peers, *cell)?;
            println!("{}", report::line(*cell, &one));
            measured.push(one);
        }
    }
    Ok(all)
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for connections in CONNECTIONS {
        for target in Target::ALL {
            cells.push(Cell { target, load: Load::Small { connections } });
        }
    }
    for load in [Load::Download, Load::Upload] {
        for target in Target::ALL {
            cells.push(Cell { target, load });
        }
    }
    cells
}
