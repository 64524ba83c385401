//! `cargo xtask figures credentials`: each promise about credentials with its measured figure.
//!
//! A figure is measured by a test, the same one that `cargo xtask test` runs in its short form: here it runs in the
//! tier `figures`, in a release build, and prints a line (`applink_testkit::figures::Figure`) that is read here.
//! `--short` runs the short form, `--rows 2,38` only those promises: for trying something out.
//!
//! **To add a row**: let the test print a `Figure` and add the test to [`ROWS`]. A test without a line of its own is
//! shown as passed or failed.

mod rows;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use self::rows::{PRINTED_WITH, ROWS, Row};
use super::{Build, Options};
use crate::artifacts::{Artifacts, TestProgram};
use crate::postgres::Postgres;

/// The tests that are compiled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Binary {
    /// `crates/applink-server/tests/integration.rs`
    Server,
    /// `crates/applink-server/tests/store.rs`
    Store,
    /// Unit tests of `applink-server`.
    ServerUnits,
    /// Unit tests of `applink-salesforce`.
    SalesforceUnits,
    /// `crates/applink-salesforce/tests/integration.rs`
    Salesforce,
    /// `crates/applink-sdk/tests/integration.rs`
    Sdk,
    /// `crates/applink/tests/cli.rs`
    Cli,
}

impl Binary {
    const ALL: [Self; 7] = [
        Self::Server,
        Self::Store,
        Self::ServerUnits,
        Self::SalesforceUnits,
        Self::Salesforce,
        Self::Sdk,
        Self::Cli,
    ];

    fn package(self) -> &'static str {
        match self {
            Self::Server | Self::Store | Self::ServerUnits => "applink-server",
            Self::SalesforceUnits | Self::Salesforce => "applink-salesforce",
            Self::Sdk => "applink-sdk",
            Self::Cli => "applink",
        }
    }

    /// The name of its target; none for unit tests, whose target is the library.
    fn target(self) -> Option<&'static str> {
        match self {
            Self::ServerUnits | Self::SalesforceUnits => None,
            Self::Server | Self::Salesforce | Self::Sdk => Some("integration"),
            Self::Store => Some("store"),
            Self::Cli => Some("cli"),
        }
    }

    /// It, among the programs of its package.
    fn among(self, programs: Vec<TestProgram>) -> Option<TestProgram> {
        let is_it = |one: &TestProgram| {
            one.kind == self.kind() && self.target().is_none_or(|target| one.target == target)
        };
        programs.into_iter().find(is_it)
    }

    /// As cargo calls its target.
    fn kind(self) -> &'static str {
        match self {
            Self::ServerUnits | Self::SalesforceUnits => "lib",
            Self::Server | Self::Store | Self::Salesforce | Self::Sdk | Self::Cli => "test",
        }
    }
}

/// A database that measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// SQLite, or no database at all.
    Sqlite,
    /// A PostgreSQL server of our own.
    Postgres,
}

/// On which databases a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

impl Databases {
    fn engines(self) -> &'static [Engine] {
        match self {
            Self::Sqlite => &[Engine::Sqlite],
            Self::Postgres => &[Engine::Postgres],
            Self::Both => &[Engine::Sqlite, Engine::Postgres],
        }
    }
}

/// Measures every row, or those asked for, and prints the table.
pub(super) fn measure(options: &Options) -> Result<bool> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| is_wanted(options, row.promise)).collect();
    let reads = is_wanted(options, FRESH_TOKEN_READ);
    if rows.is_empty() && !reads {
        bail!("no such figure: name promises by number (2,38), or {FRESH_TOKEN_READ}");
    }
    let programs = compile(options.build)?;
    let postgres = Postgres::start()?;
    println!("credentials, {} build, commit {}, {}", options.build, commit(), host());
    println!(
        "{:<5} {:<10} {:<8} {:<6} {:>6} {:>7}  what was measured",
        "no.", "database", "tier", "", "seed", "took"
    );
    let started = Instant::now();
    let (mut lines, mut missed) = (0, 0);
    let mut tell = |outcome: &Outcome, figures: Vec<Figure>| {
        for figure in figures {
            lines += 1;
            missed += usize::from(!figure.kept);
            println!("{figure}");
        }
        if !outcome.passed {
            println!("{}", outcome.output);
        }
    };
    for row in rows {
        let binary =
            programs.tests.get(&row.binary).with_context(|| format!("{:?} was not built", row.binary))?;
        for engine in row.databases.engines() {
            let outcome = run(row, *engine, binary, &postgres, options)?;
            tell(&outcome, outcome.figures(row.promise, *engine, row.test));
        }
    }
    drop(postgres);
    if reads {
        let outcome = fresh_token_read(&programs, options)?;
        tell(&outcome, outcome.figures("", Engine::Sqlite, FRESH_TOKEN_READ));
    }
    println!(
        "{lines} figures in {:.0} min: {}",
        started.elapsed().as_secs_f32() / 60.0,
        if missed == 0 { "every promise is kept".to_owned() } else { format!("{missed} MISSED") }
    );
    Ok(missed == 0)
}

/// Whether these figures were asked for, by their own promise or by one they tell of too.
fn is_wanted(options: &Options, promise: &str) -> bool {
    let asked = |wanted: &str| options.promises.iter().any(|one| one == wanted);
    options.promises.is_empty()
        || asked(promise)
        || PRINTED_WITH.iter().any(|(other, with)| *with == promise && asked(other))
}

/// A control plane pinned to one core, a load on the other, and a bare handler beside it.
fn fresh_token_read(programs: &Programs, options: &Options) -> Result<Outcome> {
    let program = programs.fresh_token_read.as_ref().context("the example fresh_token_read was not built")?;
    let mut command = Command::new(program);
    command.args(options.short.then_some("1")).env("APPLINK_TIER", options.tier()).stdin(Stdio::null());
    let started = Instant::now();
    let output = command.output().context("running the example fresh_token_read")?;
    Ok(Outcome::of(&output, output.status.success(), started.elapsed()))
}

/// Where everything is that measures.
struct Programs {
    tests: HashMap<Binary, TestProgram>,
    fresh_token_read: Option<PathBuf>,
}

/// Builds everything for the same packages, so that dependencies are built once.
fn compile(build: Build) -> Result<Programs> {
    let targets = ["--lib", "--test", "integration", "--test", "store", "--test", "cli"];
    let tests = cargo(build, &[&["test", "--no-run"], &targets[..]].concat())?;
    let examples = cargo(build, &["build", "--example", FRESH_TOKEN_READ])?;
    let found = |binary: Binary| Some((binary, binary.among(tests.tests_of(binary.package()))?));
    Ok(Programs {
        tests: Binary::ALL.into_iter().filter_map(found).collect(),
        fresh_token_read: examples.example(FRESH_TOKEN_READ),
    })
}

fn cargo(build: Build, arguments: &[&str]) -> Result<Artifacts> {
    let packages = Binary::ALL.iter().flat_map(|binary| ["--package", binary.package()]);
    let all: Vec<&str> =
        arguments.iter().copied().chain(build.arguments().iter().copied()).chain(packages).collect();
    Artifacts::of(&all, true).context("what measures could not be built")
}

/// The example of `applink-server` that measures how fast a fresh token is read.
const FRESH_TOKEN_READ: &str = "fresh_token_read";

/// What a test printed, and whether it passed.
struct Outcome {
    passed: bool,
    output: String,
    took: Duration,
}

fn run(
    row: &Row,
    engine: Engine,
    binary: &TestProgram,
    postgres: &Postgres,
    options: &Options,
) -> Result<Outcome> {
    let mut command = binary.command();
    command
        .args(["--exact", row.test, "--nocapture", "--test-threads", "1"])
        .env("APPLINK_TIER", options.tier())
        .env_remove("APPLINK_TEST_POSTGRES");
    if engine == Engine::Postgres {
        command.env("APPLINK_TEST_POSTGRES", postgres.url());
    }
    let started = Instant::now();
    let output = command.output().with_context(|| format!("running {}", row.test))?;
    // A name that fits no test passes nothing, and that must not look like success.
    let one_passed = String::from_utf8_lossy(&output.stdout).contains("test result: ok. 1 passed");
    Ok(Outcome::of(&output, output.status.success() && one_passed, started.elapsed()))
}

impl Outcome {
    fn of(output: &Output, passed: bool, took: Duration) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { passed, output: format!("{}\n{}", text(&output.stdout), text(&output.stderr)), took }
    }

    /// The figures in the output; the test itself when there is none.
    fn figures(&self, promise: &str, engine: Engine, test: &str) -> Vec<Figure> {
        let lines = self.output.lines().filter_map(|line| line.split_once("figure: "));
        let mut figures: Vec<Figure> = lines.filter_map(|(_, json)| Figure::read(json, engine)).collect();
        if figures.is_empty() {
            figures.push(Figure::of_test(promise, engine, test));
        }
        for figure in &mut figures {
            figure.kept &= self.passed;
        }
        figures[0].took = Some(self.took);
        figures
    }
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Figure {
    promise: String,
    engine: Engine,
    tier: String,
    seed: Option<u64>,
    kept: bool,
    /// How long the test took, on the first of its lines.
    took: Option<Duration>,
    text: String,
}

impl Figure {
    fn read(json: &str, engine: Engine) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            promise: field("promise")?,
            engine,
            tier: field("tier")?,
            seed: value["seed"].as_u64(),
            kept: value["kept"].as_bool()?,
            took: None,
            text: format!("{}: {} (promised: {})", field("what")?, field("measured")?, field("promised")?),
        })
    }

    fn of_test(promise: &str, engine: Engine, test: &str) -> Self {
        let text = test.replace("::", ": ").replace('_', " ");
        let (promise, tier) = (promise.to_owned(), "test".to_owned());
        Self { promise, engine, tier, seed: None, kept: true, took: None, text }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engine = match self.engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        let verdict = if self.kept { "ok" } else { "MISSED" };
        let seed = self.seed.map(|seed| seed.to_string()).unwrap_or_default();
        let took = self.took.map(|took| format!("{:.1} s", took.as_secs_f32())).unwrap_or_default();
        let Self { promise, tier, text, .. } = self;
        write!(f, "{promise:<5} {engine:<10} {tier:<8} {verdict:<6} {seed:>6} {took:>7}  {text}")
    }
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn host() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(passed: bool, output: &str) -> Outcome {
        Outcome { passed, output: output.to_owned(), took: Duration::ZERO }
    }

    fn figures(outcome: &Outcome) -> Vec<Figure> {
        outcome.figures("1", Engine::Sqlite, "a::test")
    }

    #[test]
    fn a_line_of_the_test_becomes_a_row() {
        let line = r#"noise figure: {"promise":"3","what":"schedules","measured":"0 lost","promised":"0","kept":true,"seed":7,"tier":"figures"}"#;
        let figures = figures(&outcome(true, line));
        assert_eq!(figures.len(), 1);
        assert_eq!((figures[0].promise.as_str(), figures[0].seed, figures[0].kept), ("3", Some(7), true));
        assert!(figures[0].text.contains("0 lost"), "{}", figures[0].text);
    }

    #[test]
    fn a_test_program_is_found_by_its_kind_and_target() {
        let program = |kind: &str, target: &str| TestProgram {
            kind: kind.to_owned(),
            target: target.to_owned(),
            path: target.into(),
            folder: PathBuf::new(),
        };
        let all = || {
            vec![program("lib", "applink_server"), program("test", "store"), program("test", "integration")]
        };
        let found = |binary: Binary| binary.among(all()).map(|one| one.target);
        assert_eq!(found(Binary::Server).as_deref(), Some("integration"));
        assert_eq!(found(Binary::Store).as_deref(), Some("store"));
        assert_eq!(found(Binary::ServerUnits).as_deref(), Some("applink_server"));
        assert_eq!(found(Binary::Cli), None);
    }

    #[test]
    fn a_figure_of_a_failed_test_is_not_kept() {
        let line =
            r#"figure: {"promise":"3","what":"a","measured":"b","promised":"c","kept":true,"tier":"ci"}"#;
        assert!(!figures(&outcome(false, line))[0].kept);
        assert!(!figures(&outcome(false, ""))[0].kept);
        assert!(figures(&outcome(true, ""))[0].kept);
    }

    #[test]
    fn a_promise_that_another_ones_test_measures_can_be_asked_for() {
        let asked = |promises: &[&str]| {
            let promises = promises.iter().map(|one| (*one).to_owned()).collect();
            Options { build: Build::Debug, short: true, promises }
        };
        assert!(is_wanted(&asked(&["38"]), "39") && is_wanted(&asked(&[]), "39"));
        assert!(is_wanted(&asked(&["40"]), "40") && !is_wanted(&asked(&["39"]), "38"));
        assert!(!is_wanted(&asked(&["2"]), FRESH_TOKEN_READ));
    }

    #[test]
    fn no_row_is_there_twice_and_they_are_in_order() {
        let mut seen = std::collections::HashSet::new();
        for row in ROWS {
            assert!(seen.insert((row.test, row.binary)), "{row:?}");
        }
        let numbers: Vec<u32> = ROWS.iter().map(|row| row.promise.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}
