//! `cargo xtask bench cli`: our CLI beside the official one, against the same local server, in one run: time and memory of
//! a list as JSON, the time to start, the size of the program.
//!
//! The official AppLink plugin is not in every registry, so the official CLI is measured at the closest thing its core
//! does: `heroku addons --json`, one request to the same server. The plugin's own list makes six.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::conformance;

/// How many times less time and memory a list takes than the official CLI's.
const LESS_TIME: f64 = 100.0;
const LESS_MEMORY: f64 = 10.0;
/// `applink --version`, in milliseconds.
const START_MILLIS: f64 = 5.0;
/// Ours is quick, so many runs; theirs is not.
const OUR_RUNS: usize = 30;
const THEIR_RUNS: usize = 5;

/// One run of a program.
#[derive(Clone, Copy, Debug)]
struct Run {
    millis: f64,
    mebibytes: f64,
}

/// Measures, prints, and says whether every promise is kept.
pub(crate) fn cli() -> Result<bool> {
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--package", "applink"]).status();
    if !built.context("building the release")?.success() {
        bail!("the release build failed");
    }
    let applink = std::fs::canonicalize("target/release/applink").context("finding the program")?;
    let official = conformance::heroku_cli()?;
    let folder = std::env::temp_dir().join(format!("applink-bench-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let stack = Stack::start(&applink, &folder)?;
    let measured = compare(&applink, &official, &stack, &folder);
    drop(stack);
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn compare(applink: &Path, official: &[PathBuf; 2], stack: &Stack, folder: &Path) -> Result<bool> {
    let [node, heroku] = official;
    let ours = |arguments: &[&str]| {
        let mut command = measuring(applink, folder)?;
        command.args(arguments).envs(stack.addon()?);
        Ok::<_, anyhow::Error>(command)
    };
    let version = middle(OUR_RUNS, || ours(&["--version"]))?;
    let list = middle(OUR_RUNS, || ours(&["connections", "--json"]))?;
    let through_heroku = middle(OUR_RUNS, || {
        let mut command = measuring(applink, folder)?;
        command.args(["connections", "--json", "--app", stack.text("app_name")?]).envs(stack.platform()?);
        Ok(command)
    })?;
    let theirs = middle(THEIR_RUNS, || {
        let mut command = measuring(node, folder)?;
        command.arg(heroku).args(["addons", "--json", "--app", stack.text("app_name")?]);
        command.envs(stack.platform()?);
        Ok(command)
    })?;
    let size = std::fs::metadata(applink).context("the program's size")?.len() as f64 / (1024.0 * 1024.0);
    println!("release build, medians of {OUR_RUNS} and {THEIR_RUNS} runs, one local server");
    row("applink --version", version);
    row("applink connections --json", list);
    row("the same with the add-on looked up at the Platform API (6 requests)", through_heroku);
    row("heroku addons --json (its plugin is not in every registry)", theirs);
    println!("the program has {size:.1} MiB");
    let kept = [
        figure("time, times less", theirs.millis / list.millis, LESS_TIME, true),
        figure("memory, times less", theirs.mebibytes / list.mebibytes, LESS_MEMORY, true),
        figure("start, ms", version.millis, START_MILLIS, false),
    ];
    Ok(kept.into_iter().all(|kept| kept))
}

fn row(what: &str, run: Run) {
    println!("{what:<70} {:>9.1} ms {:>8.1} MiB", run.millis, run.mebibytes);
}

fn figure(name: &str, value: f64, limit: f64, at_least: bool) -> bool {
    let kept = if at_least { value >= limit } else { value <= limit };
    let sign = if at_least { '≥' } else { '≤' };
    println!("{name:<26} {value:>8.1}   promised {sign} {limit}  {}", if kept { "ok" } else { "MISSED" });
    kept
}

/// The run in the middle, by time.
fn middle(runs: usize, command: impl Fn() -> Result<Command>) -> Result<Run> {
    let mut all = Vec::new();
    for _ in 0..runs {
        all.push(once(command()?)?);
    }
    all.sort_by(|a, b| a.millis.total_cmp(&b.millis));
    all.get(runs / 2).copied().context("no run")
}

/// A program that runs another one and prints what that took: the memory of a process is known to its parent alone,
/// and only as the most of all its children.
fn measuring(program: &Path, folder: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("measure").arg(program).current_dir(folder).env_clear().env("HOME", folder);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ok(command)
}

fn once(mut command: Command) -> Result<Run> {
    let output = command.output().context("running a program")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let last = told.lines().last().unwrap_or_default();
    let mut numbers = last.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    match (output.status.success(), numbers.next(), numbers.next()) {
        (true, Some(millis), Some(mebibytes)) => Ok(Run { millis, mebibytes }),
        _ => bail!("a program failed:\n{told}"),
    }
}

/// The other side of [`measuring`]: runs `command` and prints milliseconds and MiB to standard error.
pub(crate) fn measure(command: &[&str]) -> Result<bool> {
    let (program, arguments) = command.split_first().context("no program")?;
    let begin = Instant::now();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let millis = begin.elapsed().as_secs_f64() * 1000.0;
    let success = status.with_context(|| format!("starting {program}"))?.success();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what it used")?;
    let mebibytes = usage.max_rss() as f64 / 1024.0;
    std::io::Write::write_all(&mut std::io::stderr(), format!("\n{millis} {mebibytes}\n").as_bytes())
        .context("printing")?;
    Ok(success)
}

/// A running `applink dev`.
struct Stack {
    process: Child,
    facts: Value,
}

impl Stack {
    fn start(applink: &Path, folder: &Path) -> Result<Self> {
        let ports = ["--port", "--org-port", "--sandbox-port", "--mesh-port", "--app-port"];
        let mut process = Command::new(applink)
            .args(["dev", "--json", "--state-dir", "state"])
            .args(ports.iter().flat_map(|port| [port, "0"]))
            .current_dir(folder)
            .env_clear()
            .env("HOME", folder)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting applink dev")?;
        let (output, log) = (process.stdout.take(), process.stderr.take());
        let mut stack = Self { process, facts: Value::Null };
        let mut line = String::new();
        BufReader::new(output.context("its output")?).read_line(&mut line).context("reading the line")?;
        stack.facts = serde_json::from_str(&line).context("applink dev did not start")?;
        // The tour is over when everything stays up; then nothing else happens here.
        let mut log = BufReader::new(log.context("its log")?).lines().map_while(std::result::Result::ok);
        log.find(|line| line.contains("stays up")).context("the tour did not end")?;
        std::thread::spawn(move || log.for_each(drop));
        Ok(stack)
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.facts[name].as_str().with_context(|| format!("applink dev tells no {name}"))
    }

    /// What an app has.
    fn addon(&self) -> Result<[(&'static str, &str); 4]> {
        Ok([
            ("HEROKU_APPLINK_API_URL", self.text("applink_api_url")?),
            ("HEROKU_APPLINK_TOKEN", self.text("applink_token")?),
            ("HEROKU_APP_ID", self.text("app_id")?),
            ("HEROKU_APP_NAME", self.text("app_name")?),
        ])
    }

    /// What a person has who is logged in at Heroku, and what keeps the official CLI from calling home.
    fn platform(&self) -> Result<[(&'static str, &str); 5]> {
        Ok([
            ("HEROKU_HOST", self.text("platform_api_url")?),
            ("HEROKU_API_KEY", self.text("platform_api_key")?),
            ("DISABLE_TELEMETRY", "true"),
            ("HEROKU_SKIP_NEW_VERSION_CHECK", "true"),
            ("HEROKU_DISABLE_AUTOUPDATE", "true"),
        ])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
