//! The official clients, as their registries have them, against a stack of our own:
//!
//! 1. the client and its runtime are installed from committed lock files ([`install`]);
//! 2. `applink dev` starts on free ports, in a folder of its own: for an SDK with a small app on it behind the mesh, for
//!    the CLI with `--tls` ([`stack`]);
//! 3. the client's driver goes through every method or command and prints one JSON line per step ([`steps`]);
//! 4. the tables in the documentation have to say what the run said ([`table`]).
//!
//! Salesforce's own CLI is among them: it deploys what we write, into the org of the stack.
//!
//! The CLI's AppLink plugin is not in every registry. Its requests are always replayed, from cases of our own; it runs
//! itself where npm can install it or `APPLINK_PLUGIN` names the folder of an installed one.

pub(crate) mod data_cloud;

mod install;
mod stack;
mod steps;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::suites::BUILD;
use install::Installed;
pub(crate) use install::openid_provider;
use stack::Stack;
pub(crate) use steps::Steps;

/// One official client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Client {
    /// `@heroku/applink`, on the Node it needs.
    Node,
    /// `heroku_applink`.
    Python,
    /// The stock `heroku` CLI.
    Heroku,
    /// What its AppLink plugin sends, without the plugin.
    PluginRequests,
    /// The plugin itself, in the CLI.
    Plugin,
    /// Salesforce's own `sf`, which deploys a package that `applink publish --output-dir` wrote.
    Sf,
}

impl Client {
    /// Every official client.
    pub(crate) const ALL: [Self; 6] =
        [Self::Node, Self::Python, Self::Heroku, Self::PluginRequests, Self::Plugin, Self::Sf];

    /// Its folder below `conformance/`.
    fn folder(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Heroku | Self::PluginRequests | Self::Plugin => "heroku",
            Self::Sf => "sf",
        }
    }

    fn driver(self) -> &'static str {
        match self {
            Self::Node => "driver.js",
            Self::Python => "driver.py",
            Self::Heroku => "core.js",
            Self::PluginRequests => "replay.js",
            Self::Plugin => "plugin.js",
            Self::Sf => "deploy.js",
        }
    }

    /// The app behind the mesh, for a client that is a part of an app.
    fn app(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("app/app.js"),
            Self::Python => Some("app.py"),
            Self::Heroku | Self::PluginRequests | Self::Plugin | Self::Sf => None,
        }
    }

    /// What it is, and in which form it ran.
    fn kind(self) -> &'static str {
        match self {
            Self::Node => "Node SDK",
            Self::Python => "Python SDK",
            Self::Heroku => "Heroku CLI",
            Self::PluginRequests => "Heroku CLI plugin, its requests",
            Self::Plugin => "Heroku CLI plugin",
            Self::Sf => "Salesforce CLI",
        }
    }

    /// What its steps are counted in.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Node | Self::Python => "methods run for real",
            Self::Heroku | Self::Plugin | Self::Sf => "commands run for real",
            Self::PluginRequests => "commands replayed",
        }
    }

    /// What a step that passed shows.
    fn result(self) -> &'static str {
        if self == Self::PluginRequests { "replayed" } else { "run for real" }
    }

    fn sources(self) -> PathBuf {
        root().join("conformance").join(self.folder())
    }
}

/// Installs what the browser tests hold pages against.
pub(crate) fn install_axe() -> Result<()> {
    install::npm_ci(&root().join("crates").join("applink-testkit").join("axe"))
        .context("installing axe-core")?;
    Ok(())
}

/// The stock `heroku` CLI, installed: its Node, and the script that Node runs.
pub(crate) fn heroku_cli() -> Result<[PathBuf; 2]> {
    let installed = install::install(Client::Heroku)?.context("the heroku CLI can't be had")?;
    Ok(installed.command("node_modules/heroku/bin/run.js").map(PathBuf::from))
}

/// The CLI's AppLink plugin: that of `APPLINK_PLUGIN`, else npm's. None when it can't be had.
pub(crate) fn heroku_plugin() -> Result<Option<PathBuf>> {
    install::installed_plugin()
}

/// Goes through one client, and compares the documentation with what came out. None when it can't be had, which only
/// the plugin may be.
pub(crate) fn test(client: Client) -> Result<Option<Steps>> {
    let Some(steps) = run(client)? else { return Ok(None) };
    if steps.all_passed() {
        table::check(client, &steps)?;
    }
    Ok(Some(steps))
}

/// Goes through these clients and writes the tables. What is there of the others, and of one that can't be had, stays.
///
/// # Errors
/// Names the first failed step: the tables only ever say what works.
pub(crate) fn write_tables(clients: &[Client]) -> Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    for client in Client::ALL {
        let steps = if clients.contains(&client) { run(client)? } else { None };
        if let Some(steps) = steps.as_ref().filter(|steps| !steps.all_passed()) {
            bail!("the tables are not written, since steps failed:\n{}", steps.failures());
        }
        runs.push((client, steps));
    }
    table::write(&runs)
}

fn run(client: Client) -> Result<Option<Steps>> {
    let Some(installed) = install::install(client)? else { return Ok(None) };
    let applink = build_applink()?;
    let stack = match client.app() {
        Some(app) => {
            let stack = Stack::start(&applink, &[], &installed.command(app))?;
            stack.authorize().with_context(|| stack.log())?;
            stack
        }
        None => {
            let sample = [applink.display().to_string(), "sample".to_owned()];
            let flags: &[&str] = if client == Client::Sf { &[] } else { &["--tls"] };
            let stack = Stack::start(&applink, flags, &sample)?;
            stack.wait_until_connected().with_context(|| stack.log())?;
            stack
        }
    };
    drive(client, &installed, &stack).map(Some)
}

fn drive(client: Client, installed: &Installed, stack: &Stack) -> Result<Steps> {
    let [program, script] = installed.command(client.driver());
    let output = stack.run(Path::new(&program), &[&script], installed.variables())?;
    let steps = Steps::read(&output.stdout)?;
    if output.success && steps.all_passed() {
        return Ok(steps);
    }
    Ok(steps.explained(format!("{}\n{}", output.stderr, stack.log())))
}

/// With the features that the suites of Rust tests have, so that nothing is compiled twice: a package alone would have
/// others, and a test among the targets counts what only tests depend on.
fn build_applink() -> Result<PathBuf> {
    let mut build = std::process::Command::new(env!("CARGO"));
    let targets = ["--bin", "applink", "--test", "dev"];
    build.args(["build", "--quiet"]).args(BUILD).args(targets).current_dir(root());
    install::run(&mut build)?;
    Ok(target().join("debug").join("applink"))
}

/// The root of the project.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where cargo, and we, put what can be made again.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
