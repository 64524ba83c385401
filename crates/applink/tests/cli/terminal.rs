//! What only happens on a terminal: questions, keys, spinners.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::applink::{Applink, applink};
use crate::fake::{CONNECTION, Fake, connection};

/// A person at a terminal: standard input and error are one, standard output is not.
struct Terminal {
    screen: File,
    child: Child,
    shown: String,
    _directory: TempDir,
}

impl Terminal {
    fn start(applink: Applink) -> Self {
        let pty = nix::pty::openpty(None, None).unwrap();
        let (mut command, directory) = applink.env("TERM", "xterm").into_command();
        let stream = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = command
            .stdin(stream(&pty.slave))
            .stderr(stream(&pty.slave))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { screen: File::from(pty.master), child, shown: String::new(), _directory: directory }
    }

    /// Reads until `text` is on the screen.
    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 1024];
        while !self.shown.contains(text) {
            let count = self.screen.read(&mut buffer).unwrap_or(0);
            assert_ne!(count, 0, "`{text}` never appeared in: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn press(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// What was shown, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = Vec::new();
        // Linux answers EIO when the other side is closed; what was read by then is complete.
        let _ = self.screen.read_to_end(&mut rest);
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.shown, self.child.wait().unwrap().code())
    }
}

fn connecting() -> Fake {
    let mut started = connection("new_org", "connecting", "SalesforceOrg");
    started["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    Fake::start().on("POST /connections/salesforce", 202, started).on(
        &format!("GET /connections/{CONNECTION}"),
        200,
        connection("new_org", "connected", "SalesforceOrg"),
    )
}

#[test]
fn connect_opens_the_browser_after_a_key() {
    let fake = connecting();
    let mut terminal =
        Terminal::start(applink("salesforce:connect new_org").with(&fake).env("BROWSER", "true"));
    terminal.expect("Press any key to open up the browser to connect my-app to new_org, or q to exit");
    assert_eq!(fake.seen().len(), 1, "nothing is polled before the key");
    terminal.press(" ");
    terminal.expect("Connecting Salesforce org to my-app as new_org... Connected");
    assert_eq!(terminal.end().1, Some(0));
}

#[test]
fn connect_stops_at_q() {
    let fake = connecting();
    let mut terminal =
        Terminal::start(applink("salesforce:connect new_org").with(&fake).env("BROWSER", "true"));
    terminal.expect("or q to exit");
    terminal.press("q");
    let (shown, code) = terminal.end();
    assert_eq!(code, Some(1));
    assert!(shown.contains("stopped before anything was opened"), "{shown}");
}

#[test]
fn a_destructive_command_asks_for_the_name() {
    for (typed, expected, deletes) in [("production_org\n", Some(0), 1), ("no\n", Some(1), 0)] {
        let fake = Fake::start().on("DELETE /connections/production_org", 200, json!({}));
        let mut terminal = Terminal::start(applink("salesforce:disconnect production_org").with(&fake));
        terminal.expect("re-run this command with --confirm production_org: ");
        terminal.press(typed);
        let (shown, code) = terminal.end();
        let seen = fake.seen().iter().filter(|seen| seen.line.starts_with("DELETE ")).count();
        assert_eq!((code, seen), (expected, deletes), "{shown}");
    }
}

#[test]
fn colour_is_for_terminals_and_can_be_turned_off() {
    let (shown, _) = Terminal::start(applink("connections")).end();
    assert!(shown.contains("\u{1b}["), "{shown:?}");
    let (shown, _) = Terminal::start(applink("connections").env("NO_COLOR", "1")).end();
    assert!(!shown.contains("\u{1b}["), "{shown:?}");
}
