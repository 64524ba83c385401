//! The test suites: what each runs and what it needs. Each prints one line; a failed one prints its output.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::artifacts::{Artifacts, TestProgram};
use crate::conformance::{self, Client};
use crate::openbao;
use crate::postgres::Postgres;
use crate::tools::Tool;

/// What every suite builds: all at once and with every optional feature that tests are about, so that nothing, above all no
/// dependency, is compiled twice. What is shipped, without them, is what `cargo clippy --workspace` sees.
pub(crate) const BUILD: [&str; 3] =
    ["--workspace", "--features", "applink-server/vault,applink-server/oidc,applink-mesh/otel"];

/// One suite of `cargo xtask test`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    /// How it is chosen on the command line.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// What must be installed.
    pub(crate) tools: &'static [Tool],
    runs: Runs,
}

/// What a suite is made of.
#[derive(Clone, Copy, Debug)]
enum Runs {
    /// Every test there is.
    Workspace,
    /// Programs among those.
    Programs(Programs),
    /// An official client against a stack of our own.
    Client(Client),
}

/// Test programs of one package that run once more.
#[derive(Clone, Copy, Debug)]
struct Programs {
    package: &'static str,
    /// One of them; all when there is none.
    target: Option<&'static str>,
    /// Only tests with this in their name.
    filter: Option<&'static str>,
    beside: Beside,
}

/// What runs beside test programs.
#[derive(Clone, Copy, Debug)]
enum Beside {
    /// A PostgreSQL server, in `APPLINK_TEST_POSTGRES`.
    Postgres,
    /// OpenBao, where it can be had, in `APPLINK_TEST_OPENBAO`.
    OpenBao,
    /// Nothing but what tests start themselves.
    Nothing,
}

impl Suite {
    /// The official clients it is about.
    pub(crate) fn clients(&self) -> &'static [Client] {
        match self.runs {
            Runs::Client(Client::Node) => &[Client::Node],
            Runs::Client(Client::Python) => &[Client::Python],
            Runs::Client(Client::Heroku) => &[Client::Heroku],
            Runs::Client(Client::Sf) => &[Client::Sf],
            Runs::Client(Client::PluginRequests | Client::Plugin) => {
                &[Client::PluginRequests, Client::Plugin]
            }
            Runs::Workspace | Runs::Programs(_) => &[],
        }
    }
}

/// Every suite, in the order they run.
pub(crate) fn all() -> Vec<Suite> {
    vec![
        Suite {
            name: "sqlite",
            about: "every Rust test, the stores on SQLite, optional features on",
            tools: &[
                Tool::Chromium,
                Tool::ChromeDriver,
                Tool::Python,
                Tool::Curl,
                Tool::NodeJs,
                Tool::Npm,
                Tool::Tmux,
            ],
            runs: Runs::Workspace,
        },
        Suite {
            name: "postgres",
            about: "the control plane's tests again, on PostgreSQL",
            tools: &[Tool::PostgreSql, Tool::NodeJs, Tool::Npm],
            runs: Runs::Programs(Programs {
                package: "applink-server",
                target: None,
                filter: None,
                beside: Beside::Postgres,
            }),
        },
        Suite {
            name: "key-service",
            about: "the master key wrapped by a key service, by its documented API alone",
            tools: &[Tool::Python, Tool::PythonVenv, Tool::NodeJs, Tool::Npm],
            runs: Runs::Programs(Programs {
                package: "applink-server",
                target: Some("integration"),
                filter: Some("transit"),
                beside: Beside::OpenBao,
            }),
        },
        Suite {
            name: "openid",
            about: "signing in to the dashboard with a real OpenID provider",
            tools: &[Tool::NodeJs, Tool::Npm],
            runs: Runs::Programs(Programs {
                package: "applink-server",
                target: Some("integration"),
                filter: Some("openid"),
                beside: Beside::Nothing,
            }),
        },
        Suite {
            name: "node-sdk",
            about: "the official Node SDK against a stack of our own",
            tools: &[Tool::NodeJs, Tool::Npm, Tool::OpenSsl, Tool::Curl],
            runs: Runs::Client(Client::Node),
        },
        Suite {
            name: "python-sdk",
            about: "the official Python SDK against a stack of our own",
            tools: &[Tool::Python, Tool::PythonVenv, Tool::OpenSsl, Tool::Curl],
            runs: Runs::Client(Client::Python),
        },
        Suite {
            name: "heroku-cli",
            about: "the stock Heroku CLI against a stack of our own, plain and over TLS",
            tools: &[Tool::NodeJs, Tool::Npm],
            runs: Runs::Client(Client::Heroku),
        },
        Suite {
            name: "applink-plugin",
            about: "the CLI's AppLink plugin: its requests, and itself where it can be had",
            tools: &[Tool::NodeJs, Tool::Npm, Tool::Chromium, Tool::ChromeDriver],
            runs: Runs::Client(Client::Plugin),
        },
        Suite {
            name: "sf-cli",
            about: "Salesforce's own CLI deploys a package of ours into the local org",
            tools: &[Tool::NodeJs, Tool::Npm],
            runs: Runs::Client(Client::Sf),
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
    let outcome = match suite.runs {
        Runs::Workspace => workspace(),
        Runs::Programs(programs) => programs.run(),
        Runs::Client(Client::Plugin) => Ok(plugin()),
        Runs::Client(client) => Ok(official_client(client)),
    };
    let outcome = outcome.with_context(|| format!("running the suite {}", suite.name))?;
    let Counts { passed, failed } = outcome.counts;
    let verdict = if outcome.passed { outcome.verdict } else { "FAILED" };
    let seconds = started.elapsed().as_secs_f32();
    let about = outcome.about.as_deref().unwrap_or(suite.about);
    println!(
        "{:<14} {verdict:<8} {passed:>4} passed {failed:>3} failed {seconds:>7.1} s   {about}",
        suite.name
    );
    if !outcome.passed {
        println!("{}", outcome.output);
    }
    Ok((outcome.passed, outcome.counts))
}

/// How a suite went.
#[derive(Default)]
struct Outcome {
    passed: bool,
    /// What passing means.
    verdict: &'static str,
    counts: Counts,
    /// What it turned out to be about.
    about: Option<String>,
    /// What to read when it failed.
    output: String,
}

/// Where a test finds what runs beside it.
const VARIABLES: [&str; 2] = ["APPLINK_TEST_POSTGRES", "APPLINK_TEST_OPENBAO"];
/// The Node that tests start the OpenID provider with.
const NODE: &str = "APPLINK_TEST_NODE";

fn workspace() -> Result<Outcome> {
    conformance::install_axe()?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--no-fail-fast"]).args(BUILD).stdin(Stdio::null());
    command.env(NODE, conformance::openid_provider().context("installing the OpenID provider")?);
    Outcome::of(command)
}

impl Programs {
    /// What is not installed is told apart from what failed by [`Suite::tools`], before.
    fn run(self) -> Result<Outcome> {
        let node = conformance::openid_provider().context("installing the OpenID provider")?;
        let node = (NODE, node.as_os_str());
        let programs = self.build()?;
        match self.beside {
            Beside::Nothing => self.run_with(&programs, &[node]),
            Beside::Postgres => {
                let server = Postgres::start()?;
                self.run_with(&programs, &[("APPLINK_TEST_POSTGRES", server.url().as_ref()), node])
            }
            Beside::OpenBao => {
                let Some(program) = openbao::program()? else { return self.run_with(&programs, &[node]) };
                let variables = [("APPLINK_TEST_OPENBAO", program.as_os_str()), node];
                let mut outcome = self.run_with(&programs, &variables)?;
                let about = "the master key wrapped by OpenBao itself, and by the documented API";
                outcome.about = Some(about.to_owned());
                Ok(outcome)
            }
        }
    }

    fn build(self) -> Result<Vec<TestProgram>> {
        let built = Artifacts::of(&[&["test", "--no-run"], &BUILD[..]].concat(), false)?;
        let mut programs = built.tests_of(self.package);
        programs.retain(|one| self.target.is_none_or(|target| one.target == target));
        if programs.is_empty() {
            bail!("{} has no such test program", self.package);
        }
        Ok(programs)
    }

    fn run_with(self, programs: &[TestProgram], variables: &[(&str, &OsStr)]) -> Result<Outcome> {
        let mut all = Outcome { passed: true, verdict: "ok", ..Outcome::default() };
        for program in programs {
            let mut command = program.command();
            command.args(self.filter);
            let one = Outcome::with(command, variables)?;
            all.passed &= one.passed;
            all.counts.passed += one.counts.passed;
            all.counts.failed += one.counts.failed;
            all.output.push_str(&one.output);
        }
        all.passed &= all.counts.passed > 0;
        Ok(all)
    }
}

impl Outcome {
    fn of(command: Command) -> Result<Self> {
        let mut outcome = Self::with(command, &[])?;
        outcome.passed &= outcome.counts.passed > 0;
        Ok(outcome)
    }

    fn with(mut command: Command, variables: &[(&str, &OsStr)]) -> Result<Self> {
        for unset in VARIABLES {
            command.env_remove(unset);
        }
        command.envs(variables.iter().copied());
        let output = command.output().context("running the tests")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let counts = Counts::read(&text);
        let passed = output.status.success() && counts.failed == 0;
        let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { passed, verdict: "ok", counts, about: None, output: what_failed(&all) })
    }
}

/// The output without what says that something went well.
fn what_failed(text: &str) -> String {
    let went_well = |line: &str| {
        let line = line.trim_start();
        let progress = ["Compiling ", "Running ", "Finished ", "running "];
        (line.starts_with("test ") && line.ends_with(" ... ok"))
            || progress.iter().any(|word| line.starts_with(word))
    };
    text.lines().filter(|line| !went_well(line)).collect::<Vec<_>>().join("\n")
}

/// A client that can't be tried has failed: nothing is skipped.
fn official_client(client: Client) -> Outcome {
    match conformance::test(client) {
        Ok(Some(steps)) => Outcome {
            passed: steps.all_passed(),
            verdict: if client == Client::PluginRequests { "replayed" } else { "ok" },
            counts: Counts { passed: steps.passed(), failed: steps.failed() },
            about: Some(steps.summary(client.words())),
            output: steps.failures(),
        },
        Ok(None) => not_tried("it can't be had".to_owned()),
        Err(error) => not_tried(format!("{error:#}")),
    }
}

fn not_tried(why: String) -> Outcome {
    let counts = Counts { passed: 0, failed: 1 };
    Outcome { passed: false, verdict: "", counts, about: None, output: why }
}

/// The one client that is not in every registry: its requests always, itself where it can be had.
fn plugin() -> Outcome {
    let replayed = official_client(Client::PluginRequests);
    if !replayed.passed {
        return replayed;
    }
    let itself = match conformance::test(Client::Plugin) {
        Ok(None) => return replayed,
        Ok(Some(steps)) => steps,
        Err(error) => return not_tried(format!("{error:#}")),
    };
    let about = [Some(itself.summary(Client::Plugin.words())), replayed.about].into_iter().flatten();
    Outcome {
        passed: itself.all_passed(),
        verdict: "ok",
        counts: Counts { passed: replayed.counts.passed + itself.passed(), failed: itself.failed() },
        about: Some(about.collect::<Vec<_>>().join("; ")),
        output: itself.failures(),
    }
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
    fn a_failure_is_not_buried_under_what_went_well() {
        let text = "   Compiling x v1\nrunning 2 tests\ntest a ... ok\ntest b ... FAILED\nwhy\ntest result: FAILED. 1";
        assert_eq!(what_failed(text), "test b ... FAILED\nwhy\ntest result: FAILED. 1");
    }

    #[test]
    fn unknown_suites_are_named() {
        assert!(choose(&["nonsense"]).unwrap_err().to_string().contains("nonsense"));
        assert_eq!(choose(&[]).unwrap().len(), all().len());
    }
}
