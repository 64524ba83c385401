//! `cargo xtask fuzz [SECONDS]`: the fuzz targets, for longer than the tests run them, optimised.

use std::process::Command;

use anyhow::{Context as _, Result};

/// Their tests called `fuzz` are the targets.
const PACKAGES: [&str; 3] = ["applink-mesh", "applink-publish", "applink-sdk"];
/// For each target, unless told otherwise.
const SECONDS: u64 = 60;

/// Runs every target and says whether all held.
pub(crate) fn run(seconds: Option<&str>) -> Result<bool> {
    let seconds =
        seconds.map_or(Ok(SECONDS), str::parse).context("`cargo xtask fuzz` takes a number of seconds")?;
    let seed = std::process::id();
    let mut all_held = true;
    for package in PACKAGES {
        println!("{package}: {seconds} s for each target from seed {seed} …");
        let status = Command::new(env!("CARGO"))
            .args(["test", "--release", "--package", package, "--test", "fuzz", "--", "--nocapture"])
            .env("APPLINK_FUZZ_SECONDS", seconds.to_string())
            .env("APPLINK_FUZZ_SEED", seed.to_string())
            .status()
            .context("running the targets")?;
        all_held &= status.success();
    }
    Ok(all_held)
}
