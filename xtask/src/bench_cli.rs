//! `cargo xtask bench cli`: our CLI beside the official one, against the same local server, in one run: time and memory of
//! a list, the time to start, the size of the program. Writes its part of `docs/performance.md`.
//!
//! The official AppLink plugin is not in every registry. With it (`APPLINK_PLUGIN` names its folder, or npm has it) its
//! `applink:connections` is measured; without it the closest thing the CLI's core does, `heroku addons --json`: one request to
//! the same server, where the plugin's list makes six. The page says which of the two it was.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::conformance;
use crate::part::{Part, load};

/// How many times less time and memory a list takes than the official CLI's.
const LESS_TIME: f64 = 100.0;
const LESS_MEMORY: f64 = 10.0;
/// `applink --version`, in milliseconds.
const START_MILLIS: f64 = 5.0;
/// Ours is quick, so many runs; theirs is not.
const OUR_RUNS: usize = 30;
const THEIR_RUNS: usize = 5;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// One run of a program.
#[derive(Clone, Copy, Debug)]
struct Run {
    millis: f64,
    mebibytes: f64,
}

const PART: Part = Part {
    page: "docs/performance.md",
    begin: "<!-- written by `cargo xtask bench cli` -->",
    end: "<!-- end of what `cargo xtask bench cli` writes -->",
};

/// Measures, prints, writes, and says whether every promise is kept.
pub(crate) fn cli() -> Result<bool> {
    let built = Command::new(env!("CARGO")).args(["build", "--release", "--package", "applink"]).status();
    if !built.context("building the release")?.success() {
        bail!("the release build failed");
    }
    let applink = std::fs::canonicalize("target/release/applink").context("finding the program")?;
    let official = Official::install()?;
    let folder = std::env::temp_dir().join(format!("applink-bench-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let measured = Stack::start(&applink, &folder).and_then(|stack| {
        Report::measure(&Bench { applink: &applink, official: &official, stack: &stack, folder: &folder })
    });
    let _ = std::fs::remove_dir_all(&folder);
    let report = measured?;
    let part = report.part();
    println!("{part}");
    PART.write(&part)?;
    Ok(report.promises().iter().all(|promise| promise.is_kept()))
}

/// The official CLI: its Node, the script that Node runs, and its AppLink plugin where that can be had.
struct Official {
    node: PathBuf,
    script: PathBuf,
    plugin: Option<PathBuf>,
}

impl Official {
    fn install() -> Result<Self> {
        let [node, script] = conformance::heroku_cli()?;
        Ok(Self { node, script, plugin: conformance::heroku_plugin()? })
    }

    /// What does most nearly what `applink connections --json` does.
    fn list(&self) -> &'static [&'static str] {
        if self.plugin.is_some() { &["applink:connections"] } else { &["addons", "--json"] }
    }

    fn about(&self) -> &'static str {
        if self.plugin.is_some() {
            "`heroku applink:connections`, the official plugin"
        } else {
            "`heroku addons --json`, the official CLI's core, since its AppLink plugin could not be had"
        }
    }
}

/// What is measured, and where.
struct Bench<'a> {
    applink: &'a Path,
    official: &'a Official,
    stack: &'a Stack,
    folder: &'a Path,
}

impl Bench<'_> {
    /// Ours, as an app has its add-on in the environment.
    fn ours(&self, words: &[&str]) -> Result<Run> {
        middle(OUR_RUNS, || {
            let mut command = measuring(self.applink, self.folder)?;
            command.args(words).envs(self.stack.addon()?);
            Ok(command)
        })
    }

    /// Ours, as somebody has it who is logged in at Heroku.
    fn ours_through_heroku(&self, words: &[&str]) -> Result<Run> {
        middle(OUR_RUNS, || {
            let mut command = measuring(self.applink, self.folder)?;
            command.args(words).args(["--app", self.stack.text("app_name")?]).envs(self.stack.platform()?);
            Ok(command)
        })
    }

    fn theirs(&self, words: &[&str]) -> Result<Run> {
        middle(THEIR_RUNS, || self.official(words))
    }

    fn official(&self, words: &[&str]) -> Result<Command> {
        let mut command = measuring(&self.official.node, self.folder)?;
        command.arg(&self.official.script).args(words).args(["--app", self.stack.text("app_name")?]);
        command.envs(self.stack.platform()?);
        Ok(command)
    }

    /// Tells the official CLI, whose home is the folder, of the plugin.
    fn link(&self) -> Result<()> {
        let Some(plugin) = &self.official.plugin else { return Ok(()) };
        let mut command = measuring(&self.official.node, self.folder)?;
        command.arg(&self.official.script).args(["plugins:link", "--no-install"]).arg(plugin);
        command.envs(self.stack.platform()?);
        once(command).map(|_run| ()).context("the plugin can't be linked")
    }
}

/// All that was measured.
struct Report {
    version: Run,
    list: Run,
    through_heroku: Run,
    theirs: Run,
    their_list: &'static str,
    size: f64,
    load: String,
}

impl Report {
    fn measure(bench: &Bench<'_>) -> Result<Self> {
        bench.link()?;
        let before = load()?;
        let size = std::fs::metadata(bench.applink).context("the program's size")?.len();
        Ok(Self {
            version: bench.ours(&["--version"])?,
            list: bench.ours(&["connections", "--json"])?,
            through_heroku: bench.ours_through_heroku(&["connections", "--json"])?,
            theirs: bench.theirs(bench.official.list())?,
            their_list: bench.official.about(),
            size: size as f64 / MEBIBYTE,
            load: format!("{before} before, {} after", load()?),
        })
    }

    fn promises(&self) -> [Promise; 3] {
        let (theirs, list) = (self.theirs, self.list);
        [
            Promise {
                what: "time of the list, times less",
                value: theirs.millis / list.millis,
                limit: LESS_TIME,
                at_least: true,
            },
            Promise {
                what: "its memory, times less",
                value: theirs.mebibytes / list.mebibytes,
                limit: LESS_MEMORY,
                at_least: true,
            },
            Promise {
                what: "`applink --version`, ms",
                value: self.version.millis,
                limit: START_MILLIS,
                at_least: false,
            },
        ]
    }

    fn part(&self) -> String {
        let rows = [
            ("`applink --version`", self.version),
            ("`applink connections --json`", self.list),
            ("the same, the add-on looked up at the Platform API (6 requests)", self.through_heroku),
            (self.their_list, self.theirs),
        ];
        let rows = rows.map(|(what, run)| format!("| {what} | {:.1} | {:.1} |", run.millis, run.mebibytes));
        let promises = self.promises().map(|promise| promise.row());
        format!(
            "## The command line\n\n`cargo xtask bench cli` measures this anew: release build, medians of {OUR_RUNS} runs of ours and \
             {THEIR_RUNS} of theirs, all against one local server over plain HTTP. The program has {:.0} MiB: server, org simulator and mesh \
             are in it. The machine's load was {} (1, 5, 15 minutes).\n\n\
             | | milliseconds | peak memory, MiB |\n|---|---:|---:|\n{}\n\n\
             | promised | measured | limit | |\n|---|---:|---:|---|\n{}",
            self.size,
            self.load,
            rows.join("\n"),
            promises.join("\n")
        )
    }
}

struct Promise {
    what: &'static str,
    value: f64,
    limit: f64,
    at_least: bool,
}

impl Promise {
    fn is_kept(&self) -> bool {
        if self.at_least { self.value >= self.limit } else { self.value <= self.limit }
    }

    fn row(&self) -> String {
        let sign = if self.at_least { '≥' } else { '≤' };
        let verdict = if self.is_kept() { "kept" } else { "MISSED" };
        format!("| {} | {:.1} | {sign} {} | {verdict} |", self.what, self.value, self.limit)
    }
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
