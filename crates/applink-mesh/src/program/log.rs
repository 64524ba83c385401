//! The log on standard error, written by a thread of its own: neither a request nor the end of the program waits for
//! whoever reads it. What nobody reads is dropped, and counted.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver};
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
/// What may wait; lines that come while more does are dropped.
const MOST: usize = 1024 * 1024;
/// At the end of the program, how long whoever reads may take for what waits; then the end comes without it. Nobody may be
/// there, and a supervisor waits for the exit code.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Lines on their way. Dropping it writes what still waits, as far as somebody reads it.
pub(super) struct Log {
    lines: Arc<Lines>,
    level: LevelFilter,
    json: bool,
    writer: Writing,
}

/// A thread that writes; it hangs up when it is through.
struct Writing(Receiver<()>);

impl Writing {
    fn start(write: impl FnOnce() + Send + 'static) -> Self {
        let (through, waits) = mpsc::channel();
        let write = move || {
            write();
            drop(through);
        };
        // A thread that can't be started hangs up too.
        let _ = std::thread::Builder::new().name("mesh-log".to_owned()).spawn(write);
        Self(waits)
    }

    /// Waits for its end, but not for ever: the program's end takes the thread along.
    fn end(&self) {
        let _ = self.0.recv_timeout(LAST_LINES);
    }
}

/// Writes the last line of a program that failed, however standard error is read.
pub(super) fn last_line(text: String) {
    Writing::start(move || drop(writeln!(io::stderr(), "{text}"))).end();
}

#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room.
    dropped: u64,
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
        let writer = Writing::start(move || written.write());
        Self { lines, level, json, writer }
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
        self.writer.end();
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits: this is called in the middle of requests.
    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() > MOST {
            state.dropped += 1;
            return;
        }
        let first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if first {
            self.changed.notify_all();
        }
    }

    /// What waits, and how many lines did not find room behind it.
    fn take(&self, into: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        std::mem::swap(into, &mut state.waiting);
        std::mem::take(&mut state.dropped)
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
            let dropped = self.take(&mut taken);
            if dropped > 0 {
                // Comes right behind those that found room, where the others would have been.
                tracing::error!(dropped, "lines of this log were dropped, because nobody read them");
            }
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

    fn log(lines: &Arc<Lines>, writer: Writing) -> Log {
        Log { lines: Arc::clone(lines), level: LevelFilter::INFO, json: false, writer }
    }

    #[test]
    fn what_waits_at_the_end_is_written_and_the_writer_ends() {
        let lines = Arc::new(Lines::default());
        let written = Arc::clone(&lines);
        drop(log(&lines, Writing::start(move || written.write())));
        lines.write();
        assert!(lines.lock().waiting.is_empty());
    }

    #[test]
    fn the_end_comes_although_the_writer_does_not() {
        let (never, stuck) = mpsc::channel::<()>();
        drop(log(&Arc::default(), Writing::start(move || assert!(stuck.recv().is_err()))));
        drop(never);
    }

    #[test]
    fn who_logs_too_much_is_not_held_up_but_counted() {
        let lines = Lines::default();
        lines.lock().waiting = vec![b' '; MOST + 1];
        lines.add(b"x");
        lines.add(b"y");
        let mut taken = Vec::new();
        assert_eq!(lines.take(&mut taken), 2);
        assert_eq!(taken.len(), MOST + 1);
        taken.clear();
        lines.add(b"z");
        assert_eq!((lines.take(&mut taken), taken.as_slice()), (0, b"z".as_slice()), "told once");
    }
}
