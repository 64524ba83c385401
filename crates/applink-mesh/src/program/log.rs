//! The log on standard error, written by a thread of its own: a request never waits for whoever reads it, unless a
//! whole mebibyte waits already.

use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::record::access::AccessLog;

/// How long the first of several lines waits for the others.
const GATHER: Duration = Duration::from_millis(10);
/// What may wait; above it whoever logs waits too.
const MOST: usize = 1024 * 1024;

/// Lines on their way. Dropping it writes what still waits.
pub(super) struct Log {
    lines: Arc<Lines>,
    level: LevelFilter,
    json: bool,
    writer: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    over: bool,
}

impl Log {
    /// Logs everything of ours at `level`, as text or as JSON lines.
    pub(super) fn start(level: Option<LevelFilter>, json: bool) -> Self {
        let lines = Arc::new(Lines::default());
        // Nothing but our own lines: what libraries say at lower levels was not written with our secrets in mind.
        let level = level.unwrap_or(LevelFilter::INFO);
        let ours = Targets::new().with_target("applink_mesh", level);
        let layer = tracing_subscriber::fmt::layer().with_writer(Writer(Arc::clone(&lines))).with_ansi(false);
        let layer = if json { layer.json().flatten_event(true).boxed() } else { layer.boxed() };
        // Only a second subscriber in the same process could fail here.
        let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
        let written = Arc::clone(&lines);
        let writer = std::thread::Builder::new().name("mesh-log".to_owned()).spawn(move || written.write());
        Self { lines, level, json, writer: writer.ok() }
    }

    /// For the lines of requests, which are of the level INFO.
    pub(super) fn access(&self) -> AccessLog {
        let lines = Arc::clone(&self.lines);
        let to = Arc::new(move |line: &[u8]| lines.add(line));
        match (self.level >= LevelFilter::INFO, self.json) {
            (true, false) => AccessLog::Text(to),
            (true, true) => AccessLog::Json(to),
            (false, _) => AccessLog::Off,
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.lock().over = true;
        self.lines.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        while state.waiting.len() > MOST && !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if first {
            self.changed.notify_all();
        }
    }

    /// Until it is over and nothing waits.
    fn write(&self) {
        let mut taken = Vec::new();
        loop {
            {
                let state = self.lock();
                let waiting = |state: &mut State| state.waiting.is_empty() && !state.over;
                let state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
                if state.waiting.is_empty() {
                    return;
                }
                if !state.over {
                    drop(state);
                    std::thread::sleep(GATHER);
                }
            }
            std::mem::swap(&mut taken, &mut self.lock().waiting);
            self.changed.notify_all();
            // Nobody is left to be told that nobody reads it.
            let _ = io::stderr().write_all(&taken);
            taken.clear();
            taken.shrink_to(64 * 1024);
        }
    }
}

/// Makes one line at a time.
struct Writer(Arc<Lines>);

impl<'w> MakeWriter<'w> for Writer {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line(&self.0)
    }
}

/// The formatter writes a whole line at once.
struct Line<'w>(&'w Lines);

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_at_the_end_is_written_and_the_writer_ends() {
        let lines = Arc::new(Lines::default());
        let log = Log { lines: Arc::clone(&lines), level: LevelFilter::INFO, json: false, writer: None };
        drop(log);
        lines.write();
        assert!(lines.lock().waiting.is_empty());
    }

    #[test]
    fn who_logs_too_much_waits_until_there_is_room() {
        let lines = Arc::new(Lines::default());
        lines.lock().waiting = vec![b' '; MOST + 1];
        let adding = Arc::clone(&lines);
        let added = std::thread::spawn(move || adding.add(b"x"));
        lines.lock().waiting.clear();
        lines.changed.notify_all();
        added.join().unwrap();
        assert_eq!(lines.lock().waiting, b"x");
    }
}
