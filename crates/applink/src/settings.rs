//! Where a command finds its add-on, its org and its control plane, and where each value came from.
//!
//! Flags come first, then the environment, then the nearest `.applink/dev.env` (written by `applink dev`), so that
//! a second shell in the same directory just works, then what `applink login` remembers; last comes Heroku, for the app
//! that is named. One *layer* (the environment, or the file) has to give all of
//! an address and its credentials: a token is never sent to an address that somebody else wrote down.

mod addon;
mod env_file;
mod git_remote;
mod heroku;
pub(crate) mod login;
mod netrc;
mod org;
mod variables;

pub(crate) use addon::Addon;
pub(crate) use login::Kept;
pub(crate) use org::LocalOrg;
pub(crate) use variables::Variables;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::error::CliError;

/// Relative to the directory a stack was started in.
pub(crate) const DEV_ENV: &str = ".applink/dev.env";

/// The process's environment and directory, read once.
#[derive(Debug)]
pub(crate) struct Settings {
    environment: Variables,
    directory: PathBuf,
}

/// Variables of one origin.
#[derive(Debug)]
pub(crate) struct Layer {
    origin: Origin,
    variables: Variables,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    File(PathBuf),
    /// What `applink login` remembers.
    Login(PathBuf),
    /// The app's config vars, as this Platform API answered them.
    Heroku(String),
}

impl Settings {
    /// Those of this process.
    ///
    /// # Errors
    /// When there is no current directory.
    pub(crate) fn of_this_process() -> Result<Self, CliError> {
        let directory = std::env::current_dir()
            .map_err(|error| CliError::broken("there is no current directory any more").because(error))?;
        Ok(Self { environment: Variables::of_this_process(), directory })
    }

    /// The environment's own variables.
    pub(crate) fn environment(&self) -> &Variables {
        &self.environment
    }

    /// The current directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The layers, strongest first.
    ///
    /// # Errors
    /// When there is a `dev.env` that can't be read.
    fn layers(&self) -> Result<Vec<Layer>, CliError> {
        let mut layers = vec![Layer { origin: Origin::Environment, variables: self.environment.clone() }];
        layers.extend(self.dev_env()?);
        layers.extend(login::read(&self.environment)?);
        Ok(layers)
    }

    fn dev_env(&self) -> Result<Option<Layer>, CliError> {
        for directory in self.directory.ancestors() {
            let path = directory.join(DEV_ENV);
            let unreadable =
                |error: io::Error| CliError::broken(format!("can't read {}", path.display())).because(error);
            match std::fs::read_to_string(&path) {
                Ok(text) => return self.parsed(&path, &text).map(Some),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        Ok(None)
    }

    fn parsed(&self, path: &Path, text: &str) -> Result<Layer, CliError> {
        let shown = path.strip_prefix(&self.directory).unwrap_or(path).to_owned();
        let variables = env_file::parse(text).map_err(|error| {
            CliError::broken(format!("{}:{}: {}", shown.display(), error.line, error.reason))
        })?;
        Ok(Layer { origin: Origin::File(shown), variables })
    }
}

impl Layer {
    /// Whoever wrote a directory wrote its `dev.env`: it must not lead a private key to their machine.
    fn ensure_trusted(&self, name: &str, url: &str) -> Result<(), CliError> {
        let Origin::File(path) = &self.origin else { return Ok(()) };
        if Url::parse(url).is_ok_and(|url| is_this_machine(&url)) {
            return Ok(());
        }
        Err(CliError::refused(format!("{name} in {} leads to another machine", path.display()))
            .note("this file comes with a directory, so it is only trusted for addresses of this machine")
            .hint(format!("set {name} and its key in the environment if that is meant")))
    }
}

/// An address of this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_loopback(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_loopback(IpAddr::V6(address)),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => path.display().fmt(f),
            Self::Login(_) => f.write_str("the last `applink login`"),
            Self::Heroku(host) => write!(f, "the app's config vars at {host}"),
        }
    }
}
