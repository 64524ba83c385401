//! Installing a client as its users do, but from a lock file with the hash of every package.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Client, root, target};

/// The plugin, in the version its requests are replayed of.
const PLUGIN: (&str, &str) = ("@heroku-cli/plugin-applink", "2.0.3");

/// An installed client.
#[derive(Debug)]
pub(super) struct Installed {
    interpreter: PathBuf,
    sources: PathBuf,
    /// The folder of the CLI's plugin.
    plugin: Option<PathBuf>,
}

impl Installed {
    /// The command that runs one of the client's files: interpreter and script.
    pub(super) fn command(&self, file: &str) -> [String; 2] {
        [self.interpreter.display().to_string(), self.sources.join(file).display().to_string()]
    }

    /// What its driver has to know beside the stack.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.plugin.iter().map(|folder| ("APPLINK_PLUGIN", folder.as_path()))
    }
}

/// Installs it, unless what is there came from this very lock file. None when it can't be had.
pub(super) fn install(client: Client) -> Result<Option<Installed>> {
    let sources = client.sources();
    let mut plugin = None;
    let interpreter = match client {
        Client::Node | Client::PluginRequests => node()?,
        Client::Python => python(&sources)?,
        Client::Heroku | Client::Sf => with_node(&sources)?,
        Client::Plugin => {
            plugin = installed_plugin()?;
            if plugin.is_none() {
                return Ok(None);
            }
            with_node(&sources)?
        }
    };
    Ok(Some(Installed { interpreter, sources, plugin }))
}

/// The SDK and the CLI's plugin need a newer Node than distributions have, so one is among the SDK's packages.
fn node() -> Result<PathBuf> {
    let modules = npm_ci(&Client::Node.sources())?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    Ok(modules.join(format!("node-linux-{architecture}")).join("bin").join("node"))
}

/// A client's own packages, and the Node it runs on.
fn with_node(sources: &Path) -> Result<PathBuf> {
    npm_ci(sources)?;
    node()
}

/// The OpenID provider of the control plane's tests, and the Node it runs on.
pub(crate) fn openid_provider() -> Result<PathBuf> {
    with_node(&root().join("conformance").join("openid"))
}

/// What a folder's lock file names, in its `node_modules`.
pub(super) fn npm_ci(sources: &Path) -> Result<PathBuf> {
    let modules = sources.join("node_modules");
    let lock = Lock::of(&sources.join("package-lock.json"), &modules)?;
    if lock.is_new() {
        run(Command::new("npm").args(["ci", "--loglevel", "error"]).current_dir(sources))?;
        lock.installed()?;
    }
    Ok(modules)
}

/// The plugin that `APPLINK_PLUGIN` names, else npm's. Not every registry has it, and then there is none.
pub(super) fn installed_plugin() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("APPLINK_PLUGIN") {
        let folder = PathBuf::from(named);
        if !folder.join("package.json").is_file() {
            bail!("APPLINK_PLUGIN names {}, where no plugin is installed", folder.display());
        }
        return Ok(Some(folder));
    }
    let (name, version) = PLUGIN;
    let home = target().join("conformance").join("plugin");
    let folder = home.join("node_modules").join(name);
    if !folder.join("package.json").is_file() {
        std::fs::create_dir_all(&home).context("making a folder for the plugin")?;
        let install =
            ["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--loglevel", "silent"];
        let mut npm = Command::new("npm");
        npm.args(install).arg("--prefix").arg(&home).arg(format!("{name}@{version}"));
        if !npm.output().context("running npm")?.status.success() {
            return Ok(None);
        }
    }
    Ok(Some(folder))
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
