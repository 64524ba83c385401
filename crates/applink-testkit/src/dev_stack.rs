//! The real `applink dev`, one per test: free ports, a folder of its own, its log kept to be searched.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;

/// How long a slow machine may take to start the stack. Not a claim about speed: `cargo xtask figures` measures that.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the log is kept.
const LOG: &str = "stack.log";
/// How many steps the tour of the sample has.
pub const STEPS: usize = 8;
/// How many of them are for any app.
pub const STEPS_FOR_OWN_APP: usize = 2;

/// A running stack.
#[derive(Debug)]
pub struct DevStack {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: watch::Receiver<String>,
    folder: tempfile::TempDir,
    /// The `--json` line.
    pub summary: Value,
}

impl DevStack {
    /// Starts `binary dev --json` with `arguments` on free ports, at trace level, and reads its one line.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(binary: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the stack");
        let mut child = command(binary, folder.path())
            .arg("--json")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("applink starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let log = keep_log(child.stderr.take().expect("its log"), folder.path().join(LOG));
        let line = tokio::time::timeout(PATIENCE, output.next_line()).await;
        let line = line.expect("applink dev is ready in time").expect("its output can be read");
        let Some(line) = line else {
            panic!("applink dev stopped before it was ready:\n{}", *log.borrow());
        };
        let summary = serde_json::from_str(&line).expect("the line is JSON");
        Self { child, output, log, folder, summary }
    }

    /// A text field of the summary.
    ///
    /// # Panics
    /// When there is no such text.
    pub fn text(&self, field: &str) -> &str {
        self.summary[field].as_str().unwrap_or_else(|| panic!("the summary has no text `{field}`"))
    }

    /// The folder the stack keeps its state in.
    pub fn state_dir(&self) -> PathBuf {
        state_dir(self.folder.path())
    }

    /// Everything the stack wrote to standard error.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// The password of the sample user with this role.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn user(&self, role: &str) -> (String, String) {
        let users = self.summary["users"].as_array().expect("users");
        let user = users.iter().find(|user| user["role"] == role).expect("a user of that role");
        let text = |field: &str| user[field].as_str().expect("a text").to_owned();
        (text("username"), text("password"))
    }

    /// The process id of the app, as the mesh started it.
    ///
    /// # Panics
    /// When there is no such app.
    pub fn app_process(&self) -> u32 {
        let own = self.child.id().expect("the stack runs");
        std::fs::read_dir("/proc")
            .expect("processes can be listed")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .find(|pid| parent_of(*pid) == Some(own))
            .expect("the stack has started an app")
    }

    /// An environment variable of the app.
    ///
    /// # Panics
    /// When there is no such app or variable.
    pub fn app_variable(&self, name: &str) -> String {
        let app = self.app_process();
        let environment = std::fs::read(format!("/proc/{app}/environ")).expect("its environment can be read");
        let prefix = format!("{name}=");
        environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| std::str::from_utf8(variable).ok())
            .find_map(|variable| variable.strip_prefix(&prefix))
            .expect("the variable is set")
            .to_owned()
    }

    /// Waits until the tour has ended: each of its `steps` has its line.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn tour_ended(&self, steps: usize) {
        let mut log = self.log.clone();
        let all_steps =
            move |log: &String| log.lines().filter(|line| line.starts_with(['✓', '✗'])).count() >= steps;
        let ended = tokio::time::timeout(PATIENCE, log.wait_for(all_steps)).await;
        assert!(matches!(ended, Ok(Ok(_))), "the tour did not end:\n{}", *self.log.borrow());
    }

    /// Waits until the stack ends by itself (`--once`): its exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn wait(&mut self) -> Option<i32> {
        while let Ok(Ok(Some(_))) = tokio::time::timeout(PATIENCE, self.output.next_line()).await {}
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.expect("applink dev ends in time").expect("its exit status").code()
    }

    /// Stops the stack as Ctrl-C would and waits: its exit code.
    ///
    /// # Panics
    /// When it does not stop in time.
    pub async fn stop(&mut self) -> Option<i32> {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        self.wait().await
    }
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Keeps every line the stack writes to standard error in a file, and makes the whole known as it grows.
fn keep_log(stderr: ChildStderr, path: PathBuf) -> watch::Receiver<String> {
    let mut file = std::fs::File::create(path).expect("a log file");
    let (sender, receiver) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = writeln!(file, "{line}");
            sender.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    receiver
}

/// `binary dev` on free ports with its state below `folder`, a clean environment and every log line on.
pub fn command(binary: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .arg("dev")
        .args([
            "--port",
            "0",
            "--org-port",
            "0",
            "--sandbox-port",
            "0",
            "--mesh-port",
            "0",
            "--app-port",
            "0",
        ])
        .arg("--state-dir")
        .arg(state_dir(folder))
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("APPLINK_LOG", "trace")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn state_dir(folder: &Path) -> PathBuf {
    folder.join("state")
}
