//! One line that says what is being done and, in the end, how it went.

use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// `Connecting Salesforce org to my-app as new_org... Connected`. With a spinner on a terminal.
///
/// Dropped unfinished, it ends the line with `!`.
#[derive(Debug)]
pub(crate) struct Progress {
    doing: String,
    spinner: Option<ProgressBar>,
    finished: bool,
}

impl Progress {
    pub(super) fn start(doing: String, animated: bool) -> Self {
        let spinner = animated.then(|| spinner(&doing));
        if spinner.is_none() {
            write_stderr(&doing);
        }
        Self { doing, spinner, finished: false }
    }

    /// Ends the line with `outcome`.
    pub(crate) fn finish(mut self, outcome: &str) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: &str) {
        self.finished = true;
        match self.spinner.take() {
            Some(spinner) => {
                spinner.finish_and_clear();
                write_stderr(&format!("{} {outcome}\n", self.doing));
            }
            None => write_stderr(&format!(" {outcome}\n")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.finished {
            self.end("!");
        }
    }
}

fn spinner(doing: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} {spinner}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(doing.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

fn write_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
