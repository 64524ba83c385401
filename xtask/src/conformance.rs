//! The official SDKs, as their registries have them, against a stack of our own:
//!
//! 1. the SDK and its runtime are installed from committed lock files ([`install`]);
//! 2. `applink dev` starts on free ports, in a folder of its own, with a small app on that SDK behind its mesh
//!    ([`stack`]);
//! 3. the client's driver goes through every method of the SDK and prints one JSON line per step ([`steps`]);
//! 4. the table in the documentation has to say what the run said ([`table`]).

mod install;
mod stack;
mod steps;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use install::Installed;
use stack::Stack;
pub(crate) use steps::Steps;

/// One official client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Client {
    /// `@heroku/applink`, on the Node it needs.
    Node,
    /// `heroku_applink`.
    Python,
}

impl Client {
    /// Every official client.
    pub(crate) const ALL: [Self; 2] = [Self::Node, Self::Python];

    /// Its folder below `conformance/`.
    fn folder(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    fn driver(self) -> &'static str {
        match self {
            Self::Node => "driver.js",
            Self::Python => "driver.py",
        }
    }

    /// The app behind the mesh.
    fn app(self) -> &'static str {
        match self {
            Self::Node => "app/app.js",
            Self::Python => "app.py",
        }
    }

    fn sources(self) -> PathBuf {
        root().join("conformance").join(self.folder())
    }
}

/// Goes through one client, and compares the documentation with what came out.
pub(crate) fn test(client: Client) -> Result<Steps> {
    let steps = run(client)?;
    if steps.all_passed() {
        table::check(client, &steps)?;
    }
    Ok(steps)
}

/// Goes through every client and writes the table.
///
/// # Errors
/// Names the first failed step: the table only ever says what works.
pub(crate) fn write_table() -> Result<PathBuf> {
    let mut sections = Vec::new();
    for client in Client::ALL {
        let steps = run(client)?;
        if !steps.all_passed() {
            bail!("the table is not written, since steps failed:\n{}", steps.failures());
        }
        sections.push(table::section(client, &steps));
    }
    table::write(&sections)
}

fn run(client: Client) -> Result<Steps> {
    let applink = build_applink()?;
    let installed = install::install(client)?;
    let stack = Stack::start(&applink, &installed.command(client.app()))?;
    stack.authorize().with_context(|| stack.log())?;
    drive(client, &installed, &stack)
}

fn drive(client: Client, installed: &Installed, stack: &Stack) -> Result<Steps> {
    let [program, script] = installed.command(client.driver());
    let output = stack.run(Path::new(&program), &[&script])?;
    let steps = Steps::read(&output.stdout)?;
    if output.success && steps.all_passed() {
        return Ok(steps);
    }
    Ok(steps.explained(format!("{}\n{}", output.stderr, stack.log())))
}

fn build_applink() -> Result<PathBuf> {
    let mut build = std::process::Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "applink"]).current_dir(root());
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
