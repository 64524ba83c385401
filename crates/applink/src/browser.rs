//! Leading a person's browser to a page.

use std::io;
use std::process::{Command, Stdio};

use url::Url;

use crate::error::CliError;
use crate::printer::Printer;
use crate::prompt;

/// Which browser to use.
#[derive(Debug)]
pub(crate) struct Browser {
    chosen: Option<String>,
    from_environment: Option<String>,
}

impl Browser {
    /// `chosen` is the flag `--browser`, `from_environment` the variable `BROWSER`.
    pub(crate) fn new(chosen: Option<String>, from_environment: Option<String>) -> Self {
        Self { chosen, from_environment }
    }

    /// Opens `url` once the person has pressed a key. Without a terminal, a browser that was named is started at
    /// once; when none was, the person is asked to open the page. `state` says how things are until somebody logs in.
    ///
    /// # Errors
    /// When the person declines, or `url` is no web page.
    pub(crate) fn lead_to(
        &self,
        url: &str,
        purpose: &str,
        state: &str,
        printer: Printer,
    ) -> Result<(), CliError> {
        ensure_web_page(url)?;
        let named = self.chosen.is_some() || self.from_environment.is_some();
        if prompt::can_ask() {
            printer.note(&format!("Opening browser to {url}"));
            let question = format!("Press any key to open up the browser {purpose}, or q to exit");
            prompt::any_key(&question, printer)
                .map_err(|stopped| stopped.note(state).hint("run the same command again to go on"))?;
        } else if named {
            printer.note(&format!("Opening browser to {url}"));
        } else {
            printer.note(&format!("Open this page in a browser {purpose}: {url}"));
            return Ok(());
        }
        if let Err(error) = self.open(url) {
            printer.warning(&format!("the browser did not start ({error}); open the page by hand"));
        }
        Ok(())
    }

    /// Opens `url` without a question. Without a terminal and with no browser named, the person is asked to open it.
    ///
    /// # Errors
    /// When `url` is no web page.
    pub(crate) fn show(&self, url: &str, purpose: &str, printer: Printer) -> Result<(), CliError> {
        ensure_web_page(url)?;
        if !prompt::can_ask() && self.chosen.is_none() && self.from_environment.is_none() {
            printer.note(&format!("Open this page in a browser {purpose}: {url}"));
            return Ok(());
        }
        printer.note(&format!("Opening a browser {purpose}"));
        if let Err(error) = self.open(url) {
            printer.warning(&format!("the browser did not start ({error}); open the page by hand: {url}"));
        }
        Ok(())
    }

    fn open(&self, url: &str) -> io::Result<()> {
        match (&self.chosen, &self.from_environment) {
            (Some(chosen), _) => open::with_detached(url, chosen),
            (None, Some(candidates)) => first_that_starts(candidates, url),
            (None, None) => open::that_detached(url),
        }
    }
}

/// The service chooses this address, and a browser opens files and runs handlers too.
fn ensure_web_page(url: &str) -> Result<(), CliError> {
    let is_web_page =
        Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_web_page {
        return Ok(());
    }
    Err(CliError::broken("the service sent an address to open that is not a web page")
        .hint("does the API URL really lead to an AppLink service?"))
}

/// `BROWSER` is a list of commands, separated by colons; `%s` stands for the address, else it goes last.
fn first_that_starts(candidates: &str, url: &str) -> io::Result<()> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "BROWSER names no command"));
    for candidate in candidates.split(':').filter(|candidate| !candidate.trim().is_empty()) {
        outcome = start(candidate, url);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn start(candidate: &str, url: &str) -> io::Result<()> {
    let mut words = candidate.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words.clone().map(|word| word.replace("%s", url)));
    if !candidate.contains("%s") {
        command.arg(url);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_pages_are_opened() {
        ensure_web_page("http://127.0.0.1:7700/oauth/start/x").unwrap();
        for url in ["file:///etc/passwd", "--help", "javascript:alert(1)", "/oauth/start"] {
            ensure_web_page(url).unwrap_err();
        }
    }

    #[test]
    fn the_next_browser_is_tried_when_one_is_missing() {
        first_that_starts("/no/such/browser:true %s", "http://h/").unwrap();
        assert_eq!(
            first_that_starts("/no/such/browser", "http://h/").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        first_that_starts(" : ", "http://h/").unwrap_err();
    }
}
