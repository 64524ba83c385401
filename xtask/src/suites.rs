//! The test suites: what each runs and what it needs. Each prints one line; a failed one prints its output.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::postgres::Postgres;
use crate::tools::Tool;

/// One suite of `cargo xtask test`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    /// How it is chosen on the command line.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// What must be installed.
    pub(crate) tools: &'static [Tool],
    /// The arguments of `cargo`.
    cargo: &'static [&'static str],
    /// Whether it gets a PostgreSQL server in `APPLINK_TEST_POSTGRES`.
    postgres: bool,
}

/// Every suite, in the order they run.
pub(crate) fn all() -> Vec<Suite> {
    vec![
        Suite {
            name: "sqlite",
            about: "every Rust test, the stores on SQLite",
            tools: &[Tool::Chromium, Tool::ChromeDriver, Tool::Python, Tool::Curl],
            cargo: &["test", "--workspace", "--no-fail-fast"],
            postgres: false,
        },
        Suite {
            name: "postgres",
            about: "the control plane's tests again, on PostgreSQL",
            tools: &[Tool::PostgreSql],
            cargo: &["test", "--package", "applink-server", "--no-fail-fast", "--tests"],
            postgres: true,
        },
    ]
}

/// The named suites, or all.
pub(crate) fn choose(names: &[&str]) -> Result<Vec<Suite>> {
    let suites = all();
    if let Some(unknown) = names.iter().find(|name| !suites.iter().any(|suite| suite.name == **name)) {
        bail!("no such suite: {unknown}; `cargo xtask suites` lists them");
    }
    Ok(suites.into_iter().filter(|suite| names.is_empty() || names.contains(&suite.name)).collect())
}

/// Runs them all, one line each, and says whether every one passed.
pub(crate) fn run(suites: &[Suite]) -> Result<bool> {
    let mut total = Counts::default();
    let mut all_passed = true;
    for suite in suites {
        let (passed, counts) = run_one(suite)?;
        all_passed &= passed;
        total.passed += counts.passed;
        total.failed += counts.failed;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(all_passed)
}

fn run_one(suite: &Suite) -> Result<(bool, Counts)> {
    let started = Instant::now();
    let server = if suite.postgres { Some(Postgres::start()?) } else { None };
    let mut command = Command::new(env!("CARGO"));
    command.args(suite.cargo).stdin(Stdio::null()).env_remove("APPLINK_TEST_POSTGRES");
    if let Some(server) = &server {
        command.env("APPLINK_TEST_POSTGRES", server.url());
    }
    let output = command.output().with_context(|| format!("running the suite {}", suite.name))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let counts = Counts::read(&text);
    let passed = output.status.success() && counts.failed == 0 && counts.passed > 0;
    let verdict = if passed { "ok" } else { "FAILED" };
    let seconds = started.elapsed().as_secs_f32();
    println!(
        "{:<10} {verdict:<6} {:>4} passed {:>3} failed {:>7.1} s   {}",
        suite.name, counts.passed, counts.failed, seconds, suite.about
    );
    if !passed {
        println!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((passed, counts))
}

/// How many tests ran, read from the lines cargo prints.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

impl Counts {
    fn read(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            counts.passed += number_before(line, " passed");
            counts.failed += number_before(line, " failed");
        }
        counts
    }
}

fn number_before(line: &str, word: &str) -> usize {
    line.split(word)
        .next()
        .and_then(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_over_binaries() {
        let text = "test result: ok. 23 passed; 0 failed; 0 ignored\nnoise\n\
                    test result: FAILED. 4 passed; 2 failed; 0 ignored\n";
        assert_eq!(Counts::read(text), Counts { passed: 27, failed: 2 });
    }

    #[test]
    fn unknown_suites_are_named() {
        assert!(choose(&["nonsense"]).unwrap_err().to_string().contains("nonsense"));
        assert_eq!(choose(&[]).unwrap().len(), all().len());
    }
}
