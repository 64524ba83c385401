//! What the tests need beside Rust: Debian packages, installed when we are root or `sudo` asks for no password.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::suites::Suite;

/// A program that comes from a Debian package.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    /// A PostgreSQL server to start for the tests.
    PostgreSql,
    /// A headless browser.
    Chromium,
    /// What drives it.
    ChromeDriver,
    /// Small apps behind the mesh.
    Python,
    /// Virtual environments for Python.
    PythonVenv,
    /// An app that is no Rust program.
    Curl,
    /// What npm runs on.
    NodeJs,
    /// Packages for Node.
    Npm,
    /// Key pairs.
    OpenSsl,
    /// What the mesh is compared with.
    Nginx,
    /// Makes load.
    Wrk,
    /// A terminal to type into.
    Tmux,
}

impl Tool {
    fn package(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::Chromium => "chromium",
            Self::ChromeDriver => "chromium-driver",
            Self::Python => "python3",
            Self::PythonVenv => "python3-venv",
            Self::Curl => "curl",
            Self::NodeJs => "nodejs",
            Self::Npm => "npm",
            Self::OpenSsl => "openssl",
            Self::Nginx => "nginx-light",
            Self::Wrk => "wrk",
            Self::Tmux => "tmux",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::PostgreSql => crate::postgres::binaries().is_some(),
            Self::Chromium => find_program(&["chromium", "chromium-browser", "google-chrome"]).is_some(),
            Self::ChromeDriver => find_program(&["chromedriver"]).is_some(),
            Self::Python => find_program(&["python3"]).is_some(),
            Self::PythonVenv => has_ensurepip(),
            Self::Curl => find_program(&["curl"]).is_some(),
            Self::NodeJs => find_program(&["node", "nodejs"]).is_some(),
            Self::Npm => find_program(&["npm"]).is_some(),
            Self::OpenSsl => find_program(&["openssl"]).is_some(),
            Self::Nginx => find_program(&["nginx"]).is_some() || Path::new("/usr/sbin/nginx").exists(),
            Self::Wrk => find_program(&["wrk"]).is_some(),
            Self::Tmux => find_program(&["tmux"]).is_some(),
        }
    }
}

/// Debian has the module `venv` in Python itself, but what fills an environment in a package of its own.
fn has_ensurepip() -> bool {
    Command::new("python3")
        .args(["-c", "import ensurepip"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Installs what the suites need and is missing.
///
/// # Errors
/// Names the one line a person has to run when we are not root, or what the installer said.
pub(crate) fn ensure(suites: &[Suite]) -> Result<()> {
    let tools: Vec<Tool> = suites.iter().flat_map(|suite| suite.tools).copied().collect();
    ensure_tools(&tools)
}

/// Installs what of these is missing.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_tools(tools: &[Tool]) -> Result<()> {
    let mut missing: Vec<&str> = Vec::new();
    for tool in tools {
        if !tool.is_installed() && !missing.contains(&tool.package()) {
            missing.push(tool.package());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_root() && !sudo_asks_nothing() {
        bail!("the tests need these packages first; run:\n  sudo apt-get install -y {packages}");
    }
    println!("installing {packages} …");
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(missing);
    apt(&install)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root() {
        command.args(["-n", "apt-get"]);
    }
    let output = command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("the tests install Debian packages with apt-get, which is not here")?;
    if !output.status.success() {
        bail!("apt-get {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Whether we may become root without a password, as on most CI runners.
fn sudo_asks_nothing() -> bool {
    Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0"))
}

/// The first of these programs on the `PATH`.
pub(crate) fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_file(file)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file())
}
