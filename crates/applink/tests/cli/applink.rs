//! Running the binary: a home and a directory of its own, and nothing of this process's environment.

use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::fake::{ADDON, APP, Fake};

pub(crate) const TOKEN: &str = "addon-token-canary";
pub(crate) const API_KEY: &str = "alk_key-canary";
pub(crate) const SIM_KEY: &str = "sim-key-canary";
pub(crate) const OPERATOR_KEY: &str = "operator-key-canary-0123456789abcdef";

/// One start of the binary, being prepared.
pub(crate) struct Applink {
    command: Command,
    directory: TempDir,
    stdin: Option<String>,
    hosts: Vec<String>,
}

/// What came of it; displays as exit status, standard output, standard error.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `arguments` are split at spaces.
pub(crate) fn applink(arguments: &str) -> Applink {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_applink"));
    command
        .env_clear()
        .env("HOME", directory.path())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(directory.path());
    command.args(arguments.split_whitespace());
    Applink { command, directory, stdin: None, hosts: Vec::new() }
}

impl Applink {
    /// With the environment of an app whose add-on is `fake`.
    pub(crate) fn with(self, fake: &Fake) -> Self {
        self.with_url(&fake.url(&format!("/addons/{ADDON}"))).hide(&fake.host())
    }

    /// With the environment of an app whose add-on is at `url`.
    pub(crate) fn with_url(self, url: &str) -> Self {
        self.env("HEROKU_APPLINK_API_URL", url)
            .env("HEROKU_APPLINK_TOKEN", TOKEN)
            .env("APPLINK_API_KEY", API_KEY)
            .env("APPLINK_ADDON_NAME", "applink-regular-78506")
            .env("HEROKU_APP_ID", APP)
            .env("HEROKU_APP_NAME", "my-app")
    }

    /// With the environment of a local org that is `fake`.
    pub(crate) fn with_org(self, fake: &Fake) -> Self {
        self.env("APPLINK_ORG_URL", &fake.url("")).env("APPLINK_SIM_KEY", SIM_KEY).hide(&fake.host())
    }

    /// With the environment of an operator of `fake`.
    pub(crate) fn with_control_plane(self, fake: &Fake) -> Self {
        self.env("APPLINK_SERVER_URL", &fake.url(""))
            .env("APPLINK_OPERATOR_KEY", OPERATOR_KEY)
            .hide(&fake.host())
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// One more argument, spaces and all.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// A file in the current directory, readable by its owner only.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.file_with_mode(path, text, 0o600)
    }

    pub(crate) fn file_with_mode(self, path: &str, text: &str, mode: u32) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.directory().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Runs in a directory below.
    pub(crate) fn inside(mut self, path: &str) -> Self {
        let path = self.directory().join(path);
        fs::create_dir_all(&path).unwrap();
        self.command.current_dir(path);
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Shows `host` as `[HOST]`.
    pub(crate) fn hide(mut self, host: &str) -> Self {
        self.hosts.push(host.to_owned());
        self
    }

    /// The prepared command, for tests that lay out its streams themselves, and the directory it needs.
    pub(crate) fn into_command(self) -> (Command, TempDir) {
        (self.command, self.directory)
    }

    pub(crate) fn run(self) -> Ran {
        self.spawn().finish()
    }

    pub(crate) fn spawn(mut self) -> Running {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        if let (Some(text), Some(mut pipe)) = (&self.stdin, child.stdin.take()) {
            let _ = pipe.write_all(text.as_bytes());
        }
        Running { child, applink: self }
    }
}

/// A start that goes on.
pub(crate) struct Running {
    child: Child,
    applink: Applink,
}

impl Running {
    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for the first line of standard output; later ones are left for [`Running::finish`].
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = Vec::new();
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut byte = [0];
        while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Waits for the end, and keeps the directory.
    pub(crate) fn stop(mut self) -> TempDir {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.applink.directory
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Of a process that was ended by a signal.
    pub(crate) fn left_a_core(mut self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().unwrap();
        assert!(status.signal().is_some(), "{status}");
        status.core_dumped()
    }

    pub(crate) fn finish(self) -> Ran {
        self.finish_and_keep().0
    }

    /// Waits for the end, and keeps the directory.
    pub(crate) fn finish_and_keep(self) -> (Ran, TempDir) {
        let Output { status, stdout, stderr } = self.child.wait_with_output().unwrap();
        let shown = |bytes: Vec<u8>| {
            let mut text = String::from_utf8(bytes).unwrap();
            for secret in [TOKEN, API_KEY, SIM_KEY, OPERATOR_KEY] {
                assert!(!text.contains(secret), "a credential was printed: {text}");
            }
            for host in &self.applink.hosts {
                text = text.replace(host, "[HOST]");
            }
            text.replace(&self.applink.directory().display().to_string(), "[DIR]")
        };
        let ran = Ran { code: status.code(), stdout: shown(stdout), stderr: shown(stderr) };
        (ran, self.applink.directory)
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "by signal".to_owned(), |code| code.to_string());
        write!(f, "exit: {code}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
