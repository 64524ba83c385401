//! `cargo xtask figures mesh`: what of the service mesh needs time. The tests do the same for shorter, and say what is
//! asked: memory under half an hour's traffic and after a burst (promise 35), a rolling restart under load (32), and a million
//! hostile requests (22). How fast it is, `cargo xtask bench mesh` measures.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Build, Options};

/// Half an hour at a thousand requests a second, unless told otherwise.
const SOAK: [(&str, &str); 2] = [("APPLINK_SOAK_SECONDS", "1800"), ("APPLINK_SOAK_RATE", "1000")];
/// The load under which the meshes are restarted: nearly all of what the clients mean to send.
const RESTART: [(&str, &str); 1] = [("APPLINK_RESTART_RATE", "900")];
/// A million cases take ten to twenty seconds.
const FUZZ: [(&str, &str); 1] = [("APPLINK_FUZZ_SECONDS", "60")];

/// Runs them and says whether every promise is kept.
pub(super) fn measure(options: &Options) -> Result<bool> {
    let build = options.build;
    let restart = tests(build, "integration", "promise_32_all_meshes", &RESTART)?;
    let decide = tests(build, "fuzz", "promise_22", &FUZZ)?;
    let soak = tests(build, "integration", "promise_35", &SOAK)?;
    Ok(restart && decide && soak)
}

fn tests(build: Build, target: &str, filter: &str, settings: &[(&str, &str)]) -> Result<bool> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--quiet", "--package", "applink-mesh", "--features", "jemalloc", "--test", target])
        .args(build.arguments())
        .args([filter, "--", "--nocapture", "--test-threads", "1"]);
    for (name, value) in settings {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    Ok(command.status().with_context(|| format!("running the tests of {filter}"))?.success())
}
