//! `cargo xtask fuzz [SECONDS]`: the fuzz targets, for longer than the tests run them, optimised.

use std::process::Command;

use anyhow::{Context as _, Result};

/// For each target, unless told otherwise.
const SECONDS: u64 = 60;

/// Runs every target and says whether all held.
pub(crate) fn run(seconds: Option<&str>) -> Result<bool> {
    let seconds =
        seconds.map_or(Ok(SECONDS), str::parse).context("`cargo xtask fuzz` takes a number of seconds")?;
    let seed = std::process::id();
    println!("decide: {seconds} s from seed {seed} …");
    let status = Command::new(env!("CARGO"))
        .args(["test", "--release", "--package", "applink-mesh", "--test", "fuzz", "--", "--nocapture"])
        .env("APPLINK_FUZZ_SECONDS", seconds.to_string())
        .env("APPLINK_FUZZ_SEED", seed.to_string())
        .status()
        .context("running the target")?;
    Ok(status.success())
}
