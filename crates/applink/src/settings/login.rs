//! What `applink login` remembers: one add-on, its address in a file of the person's own, its key in the keyring of the
//! operating system, or where there is none in that file, which others can't read.
//!
//! The keyring is reached through its own program (`secret-tool` on Linux, `security` on macOS). A key goes there through
//! standard input, never through an argument, which every user of the machine could see.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret as _, SecretString};

use super::variables::Variables;
use super::{Layer, Origin, env_file};
use crate::error::CliError;

/// In the file, it says that the key is in the keyring.
const IN_KEYRING: &str = "APPLINK_KEYRING";
/// The variable the key is for: of an API key, or of an add-on's token.
const KEY_VARIABLES: [&str; 2] = ["APPLINK_API_KEY", "HEROKU_APPLINK_TOKEN"];

/// Where the key of a login is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// In the operating system's keyring.
    Keyring,
    /// In the file.
    File,
}

/// The file, below the person's configuration.
fn path(environment: &Variables) -> Option<PathBuf> {
    let home = || environment.get("HOME").map(|home| Path::new(home).join(".config"));
    let folder = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(folder.join("applink").join("login.env"))
}

/// What was remembered, as variables.
///
/// # Errors
/// When the file can be read by others, or not by us, or its key is gone from the keyring.
pub(super) fn read(environment: &Variables) -> Result<Option<Layer>, CliError> {
    let Some(path) = path(environment) else { return Ok(None) };
    let unreadable =
        |error: io::Error| CliError::broken(format!("can't read {}", path.display())).because(error);
    let metadata = match fs::metadata(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(unreadable)?,
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(CliError::refused(format!("others can read {}", path.display()))
            .hint(format!("run `chmod 600 {}`, or `applink login` again", path.display())));
    }
    let text = SecretString::from(fs::read_to_string(&path).map_err(unreadable)?);
    let variables = env_file::parse(text.expose_secret())
        .map_err(|error| CliError::broken(format!("{}:{}: {}", path.display(), error.line, error.reason)))?;
    let variables = match variables.get(IN_KEYRING) {
        Some(name) => with_key(&variables, name, environment)?,
        None => variables,
    };
    Ok(Some(Layer { origin: Origin::Login(path), variables }))
}

fn with_key(variables: &Variables, name: &str, environment: &Variables) -> Result<Variables, CliError> {
    let account = variables.get("HEROKU_APPLINK_API_URL").unwrap_or_default();
    let key = Keyring::of(environment).and_then(|keyring| keyring.find(account));
    let key = key.ok_or_else(|| {
        CliError::refused("the key of the last `applink login` is not in the keyring any more")
            .hint("run `applink login` again")
    })?;
    let kept = variables.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(kept.chain([(name.to_owned(), key.expose_secret().to_owned())]).collect())
}

/// Remembers `variables`, of which one is the key.
///
/// # Errors
/// When there is no home, or the file can't be written.
pub(crate) fn write(
    environment: &Variables,
    variables: &[(&str, SecretString)],
    wanted: Kept,
) -> Result<Kept, CliError> {
    let path =
        path(environment).ok_or_else(|| CliError::broken("HOME isn't set, so nothing can be remembered"))?;
    let url = variables.iter().find(|(name, _)| *name == "HEROKU_APPLINK_API_URL");
    let account = url.map(|(_, url)| url.expose_secret()).unwrap_or_default();
    let key = variables.iter().find(|(name, _)| KEY_VARIABLES.contains(name));
    let mut kept = Kept::File;
    let mut text = "# Written by `applink login`; `applink logout` removes it.\n".to_owned();
    for (name, value) in variables {
        let is_key = key.is_some_and(|(key, _)| key == name);
        let keyring = (is_key && wanted == Kept::Keyring).then(|| Keyring::of(environment)).flatten();
        if keyring.is_some_and(|keyring| keyring.keep(account, value)) {
            kept = Kept::Keyring;
            line(&mut text, IN_KEYRING, name);
        } else {
            line(&mut text, name, value.expose_secret());
        }
    }
    private(&path, &text)
        .map_err(|error| CliError::broken(format!("can't write {}", path.display())).because(error))?;
    Ok(kept)
}

/// Forgets what was remembered: whether there was anything.
///
/// # Errors
/// When the file can't be removed.
pub(crate) fn forget(environment: &Variables) -> Result<bool, CliError> {
    let Some(path) = path(environment) else { return Ok(false) };
    if let Ok(text) = fs::read_to_string(&path)
        && let Ok(variables) = env_file::parse(&text)
        && variables.get(IN_KEYRING).is_some()
        && let (Some(keyring), Some(account)) =
            (Keyring::of(environment), variables.get("HEROKU_APPLINK_API_URL"))
    {
        keyring.forget(account);
    }
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CliError::broken(format!("can't remove {}", path.display())).because(error)),
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!("{name}='{}'\n", value.replace('\'', "")));
}

/// Written whole or not at all, and never readable by others, not even for a moment.
fn private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// The operating system's keyring, by its own program.
struct Keyring {
    program: PathBuf,
    is_macos: bool,
    /// What the program needs to reach it.
    environment: Vec<(String, String)>,
}

impl Keyring {
    fn of(environment: &Variables) -> Option<Self> {
        let is_macos = cfg!(target_os = "macos");
        let name = if is_macos { "security" } else { "secret-tool" };
        let folders = std::env::split_paths(environment.get("PATH")?).collect::<Vec<_>>();
        let program = folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())?;
        let environment = environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Self { program, is_macos, environment: environment.collect() })
    }

    fn keep(&self, account: &str, key: &SecretString) -> bool {
        let key = key.expose_secret();
        if self.is_macos {
            let quoted = |text: &str| format!("\"{}\"", text.replace(['"', '\\', '\n'], ""));
            let line =
                format!("add-generic-password -U -s applink -a {} -w {}\n", quoted(account), quoted(key));
            return self.told(&["-i"], &line).is_some();
        }
        let words = ["store", "--label", "AppLink", "service", "applink", "account", account];
        self.told(&words, key).is_some()
    }

    fn find(&self, account: &str) -> Option<SecretString> {
        let words: &[&str] = if self.is_macos {
            &["find-generic-password", "-s", "applink", "-a", account, "-w"]
        } else {
            &["lookup", "service", "applink", "account", account]
        };
        self.told(words, "")
            .map(|key| key.trim_end().to_owned())
            .filter(|key| !key.is_empty())
            .map(Into::into)
    }

    fn forget(&self, account: &str) {
        let words: &[&str] = if self.is_macos {
            &["delete-generic-password", "-s", "applink", "-a", account]
        } else {
            &["clear", "service", "applink", "account", account]
        };
        let _ = self.told(words, "");
    }

    /// What the program answers to `input`, unless it fails.
    fn told(&self, words: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new(&self.program)
            .args(words)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
    }
}
