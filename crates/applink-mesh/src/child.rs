//! The app as a child process: started, told to stop, and its exit code passed on.
//!
//! 1. It gets the whole environment of the mesh, plus [`SECRET`](crate::config) and, when it is not set, `APP_PORT`.
//! 2. It leads a process group of its own, so that a signal reaches what it started too (`npm`, shells), and a
//!    Ctrl-C reaches it once: through the mesh, after the requests in progress.
//! 3. Its exit code becomes the mesh's; an end by signal N becomes 128 + N, as shells say it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A longer line is handed on in pieces.
const LONGEST_LINE: usize = 64 * 1024;
/// After the app's end, how long its last output may take; something it started may hold the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// The app's command.
#[derive(Clone)]
pub struct ChildConfig {
    /// A path, or a name to look for in `PATH`.
    pub program: OsString,
    /// What follows it.
    pub arguments: Vec<OsString>,
    /// Variables set on top of the mesh's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; the mesh's own directory when `None`.
    pub directory: Option<PathBuf>,
    /// Where its output goes.
    pub output: ChildOutput,
}

impl fmt::Debug for ChildConfig {
    /// Values of variables may be secrets; their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&OsString> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("ChildConfig")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &variables)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Where the app's standard output and error go.
#[derive(Clone, Default)]
pub enum ChildOutput {
    /// To the mesh's own.
    #[default]
    Inherit,
    /// Line by line to a function, which may prefix or keep them.
    Lines(Arc<dyn Fn(ChildLine<'_>) + Send + Sync>),
}

impl fmt::Debug for ChildOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Lines(_) => "Lines",
        })
    }
}

/// One line of output, without its newline.
#[derive(Clone, Copy, Debug)]
pub struct ChildLine<'l> {
    /// Which of the two.
    pub stream: ChildStream,
    /// The line; bytes that are not UTF-8 are replaced.
    pub text: &'l str,
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How the app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildExit(ExitStatus);

impl ChildExit {
    /// The app's exit code, or 128 + N when signal N ended it.
    pub fn code(self) -> u8 {
        let code = self.0.code().or_else(|| self.0.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The signals that are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGHUP.
    HangUp,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

impl ChildSignal {
    /// 128 + N, the exit code of a program that signal N ended.
    pub(crate) fn exit_code(self) -> u8 {
        u8::try_from(128 + self.as_signal() as i32).unwrap_or(u8::MAX)
    }

    fn as_signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::SIGTERM,
            Self::Interrupt => Signal::SIGINT,
            Self::HangUp => Signal::SIGHUP,
            Self::Quit => Signal::SIGQUIT,
            Self::User1 => Signal::SIGUSR1,
            Self::User2 => Signal::SIGUSR2,
        }
    }
}

/// The app can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ChildStartError {
    /// There is no such program.
    #[error("the app's command `{program}` was not found; check its spelling and PATH")]
    NotFound {
        /// As given.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// It is there but can't be run.
    #[error("the app's command `{program}` can't be run; is it executable?")]
    NotRunnable {
        /// As given.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
}

impl ChildStartError {
    /// The exit code shells use for this.
    pub fn code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotRunnable { .. } => 126,
        }
    }
}

/// A started app. Dropping it kills it with everything in its process group.
#[derive(Debug)]
pub(crate) struct Child {
    group: Pid,
    exit: watch::Receiver<Option<ChildExit>>,
}

impl Child {
    /// Starts the app, with `extra` on top of its environment unless it is set already.
    pub(crate) fn start(config: &ChildConfig, extra: &[(&str, &OsStr)]) -> Result<Self, ChildStartError> {
        let mut command = Command::new(&config.program);
        command.args(&config.arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
            .envs(extra.iter().copied())
            .envs(config.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &config.directory {
            command.current_dir(directory);
        }
        if matches!(config.output, ChildOutput::Lines(_)) {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut process = command.spawn().map_err(|source| start_error(config, source))?;
        // Without an id the process has ended and been waited for, which only happens further down.
        let group = Pid::from_raw(process.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(i32::MAX));
        let output = read_output(&config.output, &mut process);
        let (sender, exit) = watch::channel(None);
        tokio::spawn(supervise(process, group, output, sender));
        Ok(Self { group, exit })
    }

    /// Sends a signal to the app's process group; an app that has ended gets none.
    pub(crate) fn signal(&self, signal: ChildSignal) {
        self.send(signal.as_signal());
    }

    /// The exit, once there is one.
    pub(crate) fn exited(&self) -> Option<ChildExit> {
        *self.exit.borrow()
    }

    /// Waits for the end. `None` only when the runtime is being torn down.
    pub(crate) async fn wait(&self) -> Option<ChildExit> {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit)
    }

    /// Waits for the end at most `patience`, then kills.
    pub(crate) async fn wait_or_kill(&self, patience: Duration) -> Option<ChildExit> {
        if let Ok(exit) = tokio::time::timeout(patience, self.wait()).await {
            return exit;
        }
        tracing::warn!("the app did not stop within {} s and is killed", patience.as_secs_f32());
        self.send(Signal::SIGKILL);
        self.wait().await
    }

    /// The process id.
    pub(crate) fn id(&self) -> i32 {
        self.group.as_raw()
    }

    fn send(&self, signal: Signal) {
        if self.exited().is_none() {
            let _ = killpg(self.group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.send(Signal::SIGKILL);
    }
}

fn start_error(config: &ChildConfig, source: std::io::Error) -> ChildStartError {
    let program = config.program.to_string_lossy().into_owned();
    if source.kind() == std::io::ErrorKind::NotFound {
        ChildStartError::NotFound { program, source }
    } else {
        ChildStartError::NotRunnable { program, source }
    }
}

async fn supervise(
    mut process: tokio::process::Child,
    group: Pid,
    mut output: JoinSet<()>,
    sender: watch::Sender<Option<ChildExit>>,
) {
    let exit = match process.wait().await {
        Ok(status) => ChildExit(status),
        Err(error) => {
            tracing::error!(%error, "the app can't be waited for");
            ChildExit(ExitStatus::from_raw(1 << 8))
        }
    };
    // What the app left behind belongs to it: a shell that was killed leaves its server running.
    let _ = killpg(group, Signal::SIGTERM);
    let _ = tokio::time::timeout(LAST_OUTPUT, async { while output.join_next().await.is_some() {} }).await;
    sender.send_replace(Some(exit));
}

fn read_output(output: &ChildOutput, process: &mut tokio::process::Child) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    if let ChildOutput::Lines(sink) = output {
        if let Some(out) = process.stdout.take() {
            readers.spawn(read_lines(out, ChildStream::Out, Arc::clone(sink)));
        }
        if let Some(err) = process.stderr.take() {
            readers.spawn(read_lines(err, ChildStream::Err, Arc::clone(sink)));
        }
    }
    readers
}

async fn read_lines<R: AsyncRead + Unpin>(
    mut reader: R,
    stream: ChildStream,
    sink: Arc<dyn Fn(ChildLine<'_>) + Send + Sync>,
) {
    let mut pending = Vec::with_capacity(4096);
    while matches!(reader.read_buf(&mut pending).await, Ok(read) if read > 0) {
        while let Some(line) = next_line(&mut pending) {
            sink(ChildLine { stream, text: &String::from_utf8_lossy(&line) });
        }
    }
    if !pending.is_empty() {
        sink(ChildLine { stream, text: &String::from_utf8_lossy(&pending) });
    }
}

/// Takes a whole line, or a piece of one that is too long, off the front.
fn next_line(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    match pending.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let mut line: Vec<u8> = pending.drain(..=end).collect();
            line.pop();
            line.pop_if(|byte| *byte == b'\r');
            Some(line)
        }
        None if pending.len() >= LONGEST_LINE => Some(std::mem::take(pending)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn shell(script: &str, output: ChildOutput) -> ChildConfig {
        ChildConfig {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("GREETING".into(), "hello".into())],
            directory: None,
            output,
        }
    }

    #[tokio::test]
    async fn exit_codes_and_signals_become_codes() {
        for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
            let child = Child::start(&shell(script, ChildOutput::Inherit), &[]).unwrap();
            assert_eq!(child.wait().await.unwrap().code(), code, "{script}");
        }
    }

    #[tokio::test]
    async fn lines_arrive_whole_and_all_before_the_exit() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink = Arc::new(move |line: ChildLine<'_>| {
            kept.lock().unwrap().push((line.stream, line.text.to_owned()))
        });
        let script = "echo $GREETING $EXTRA; printf 'no newline'; echo oops >&2";
        let child = Child::start(&shell(script, ChildOutput::Lines(sink)), &[("EXTRA", OsStr::new("there"))])
            .unwrap();
        assert_eq!(child.wait().await.unwrap().code(), 0);
        let mut lines = lines.lock().unwrap().clone();
        lines.sort_by_key(|(stream, _)| *stream == ChildStream::Err);
        let texts: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["hello there", "no newline", "oops"]);
    }

    #[tokio::test]
    async fn one_that_ignores_signals_is_killed() {
        let (ready, mut started) = tokio::sync::mpsc::unbounded_channel();
        let sink = Arc::new(move |line: ChildLine<'_>| drop(ready.send(line.text.to_owned())));
        let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
        let child = Child::start(&shell(script, ChildOutput::Lines(sink)), &[]).unwrap();
        started.recv().await.unwrap();
        child.signal(ChildSignal::Terminate);
        assert_eq!(child.wait_or_kill(Duration::from_millis(50)).await.unwrap().code(), 137);
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let config = ChildConfig { program: "no-such-program".into(), ..shell("", ChildOutput::Inherit) };
        let error = Child::start(&config, &[]).unwrap_err();
        assert_eq!(error.code(), 127);
        assert!(error.to_string().contains("`no-such-program` was not found"));
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let mut pending = vec![b'x'; LONGEST_LINE];
        assert_eq!(next_line(&mut pending).unwrap().len(), LONGEST_LINE);
        assert!(next_line(&mut pending).is_none());
        pending.extend(b"a\r\nb");
        assert_eq!(next_line(&mut pending).unwrap(), b"a");
        assert_eq!(pending, b"b");
    }
}
