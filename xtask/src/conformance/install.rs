//! Installing a client as its users do, but from a lock file with the hash of every package.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Client, target};

/// An installed client.
#[derive(Debug)]
pub(super) struct Installed {
    interpreter: PathBuf,
    sources: PathBuf,
}

impl Installed {
    /// The command that runs one of the client's files: interpreter and script.
    pub(super) fn command(&self, file: &str) -> [String; 2] {
        [self.interpreter.display().to_string(), self.sources.join(file).display().to_string()]
    }
}

/// Installs it, unless what is there came from this very lock file.
pub(super) fn install(client: Client) -> Result<Installed> {
    let sources = client.sources();
    let interpreter = match client {
        Client::Node => node(&sources)?,
        Client::Python => python(&sources)?,
    };
    Ok(Installed { interpreter, sources })
}

/// `npm ci`. The SDK needs a newer Node than distributions have, so one is among the packages.
fn node(sources: &Path) -> Result<PathBuf> {
    let modules = sources.join("node_modules");
    let lock = Lock::of(&sources.join("package-lock.json"), &modules)?;
    if lock.is_new() {
        run(Command::new("npm").args(["ci", "--loglevel", "error"]).current_dir(sources))?;
        lock.installed()?;
    }
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    Ok(modules.join(format!("node-linux-{architecture}")).join("bin").join("node"))
}

/// A virtual environment, filled by `pip install --require-hashes`.
fn python(sources: &Path) -> Result<PathBuf> {
    let environment = target().join("conformance").join("python");
    let requirements = sources.join("requirements.txt");
    let lock = Lock::of(&requirements, &environment)?;
    let interpreter = environment.join("bin").join("python");
    if lock.is_new() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--requirement"];
        run(Command::new(&interpreter).args(install).arg(&requirements))?;
        lock.installed()?;
    }
    Ok(interpreter)
}

/// Remembers in `folder` which lock file it was installed from.
struct Lock {
    wanted: Vec<u8>,
    copy: PathBuf,
}

impl Lock {
    fn of(file: &Path, folder: &Path) -> Result<Self> {
        let wanted = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Self { wanted, copy: folder.join(".installed-from") })
    }

    fn is_new(&self) -> bool {
        std::fs::read(&self.copy).map_or(true, |installed| installed != self.wanted)
    }

    fn installed(&self) -> Result<()> {
        std::fs::write(&self.copy, &self.wanted).with_context(|| format!("writing {}", self.copy.display()))
    }
}

/// Runs a command to its end.
///
/// # Errors
/// What it said, when it failed.
pub(super) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("running {program}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{program} failed:\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}
