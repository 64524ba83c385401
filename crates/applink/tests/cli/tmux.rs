//! Whole sessions at a real terminal emulator, tmux; `terminal.rs` asks the same of a bare pseudo-terminal.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::json;
use tempfile::TempDir;

use crate::applink::{API_KEY, Applink, applink};
use crate::fake::{ADDON, CONNECTION, Fake, connection, error};
use crate::publish::SPEC;

/// A window of tmux, and everything it has shown.
struct Window {
    socket: PathBuf,
    output: File,
    shown: String,
    _folder: TempDir,
}

impl Window {
    /// Runs the prepared command in a window of a server of its own; its exit status is shown at the end.
    fn open(applink: Applink) -> Self {
        let (command, folder) = applink.into_command();
        let at = |name: &str| folder.path().join(name);
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let text = |os: &std::ffi::OsStr| os.to_str().unwrap().to_owned();
        let mut script = "#!/bin/sh\ntrap : INT\nread -r go < go\n".to_owned();
        for (name, value) in command.get_envs() {
            script.push_str(&format!("export {}={}\n", text(name), quoted(&text(value.unwrap_or_default()))));
        }
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| quoted(&text(word))).collect();
        script.push_str(&format!("{}\necho \"exit $?.\"\nread -r stay < go\n", words.join(" ")));
        std::fs::write(at("script"), script).unwrap();
        for pipe in ["go", "output"] {
            nix::unistd::mkfifo(&at(pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let socket = at("tmux");
        let session = ["new-session", "-d", "-x", "100", "-y", "30", "sh script"];
        tmux(&socket, folder.path(), &session);
        tmux(&socket, folder.path(), &["pipe-pane", "-o", "cat > output"]);
        let output = File::open(at("output")).unwrap();
        // Only now does the command start, so that nothing it shows is missed.
        std::fs::write(at("go"), "go\n").unwrap();
        Self { socket, output, shown: String::new(), _folder: folder }
    }

    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 1024];
        while !self.shown.contains(text) {
            let count = self.output.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "`{text}` never appeared in: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn type_in(&self, keys: &[&str]) {
        let mut words = vec!["send-keys"];
        words.extend(keys);
        tmux(&self.socket, Path::new("/"), &words);
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> bool {
        let place = tmux(&self.socket, Path::new("/"), &["display-message", "-p", "#{pane_tty}"]);
        let terminal = File::open(place.trim()).unwrap();
        tcgetattr(&terminal).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    /// The screen as a person sees it.
    fn screen(&self) -> String {
        let screen = tmux(&self.socket, Path::new("/"), &["capture-pane", "-p", "-J"]);
        screen.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

fn tmux(socket: &Path, folder: &Path, words: &[&str]) -> String {
    let output = Command::new("tmux")
        .arg("-S")
        .arg(socket)
        .args(["-f", "/dev/null"])
        .args(words)
        .current_dir(folder)
        .env_remove("TMUX")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn connect_and_disconnect() {
    let mut started = connection("new_org", "connecting", "SalesforceOrg");
    started["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    let fake = Fake::start()
        .on("POST /connections/salesforce", 202, started)
        .on(
            &format!("GET /connections/{CONNECTION}"),
            200,
            connection("new_org", "connected", "SalesforceOrg"),
        )
        .on("DELETE /connections/new_org", 200, json!({}));
    let mut window = Window::open(applink("salesforce:connect new_org").with(&fake).env("BROWSER", "true"));
    window.expect("or q to exit");
    window.type_in(&["Enter"]);
    window.expect("exit 0.");
    insta::assert_snapshot!(window.screen(), @"
    Opening browser to http://127.0.0.1:7700/oauth/start/one-time
    Press any key to open up the browser to connect my-app to new_org, or q to exit
    Connecting Salesforce org to my-app as new_org... Connected
    exit 0.
    ");

    let mut window = Window::open(applink("salesforce:disconnect new_org").with(&fake));
    window.expect("--confirm new_org: ");
    window.type_in(&["new_org", "Enter"]);
    window.expect("exit 0.");
    insta::assert_snapshot!(window.screen(), @"
    warning: this disconnects new_org from add-on applink-regular-78506 on app my-app
    To proceed, type new_org or re-run this command with --confirm new_org: new_org
    Disconnecting Salesforce connection new_org from my-app... Disconnected
    exit 0.
    ");
}

#[test]
fn ctrl_c_says_what_state_things_are_in() {
    let mut started = connection("new_org", "connecting", "SalesforceOrg");
    started["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    let fake = Fake::start().on("POST /connections/salesforce", 202, started.clone()).on(
        &format!("GET /connections/{CONNECTION}"),
        200,
        started,
    );
    let mut window = Window::open(applink("salesforce:connect new_org").with(&fake).env("BROWSER", "true"));
    window.expect("or q to exit");
    window.type_in(&["Enter"]);
    fake.wait_for(&format!("GET /addons/{ADDON}/connections/{CONNECTION}"));
    window.type_in(&["C-c"]);
    window.expect("exit 130.");
    let screen = window.screen();
    assert!(screen.contains("stopped waiting; new_org is still connecting"), "{screen}");
    assert!(screen.contains("hint: run the same command again to go on"), "{screen}");
}

#[test]
fn a_key_is_typed_unseen() {
    let fake = Fake::start().on("GET /connections", 200, json!([]));
    let line = format!("login {}", fake.url(&format!("/addons/{ADDON}")));
    let mut window = Window::open(applink(&line));
    // Typed at the very moment the question is there: nothing is shown, and nothing is lost.
    window.expect("API key or add-on token: ");
    window.type_in(&["-l", API_KEY]);
    window.type_in(&["Enter"]);
    window.expect("exit 0.");
    assert!(!window.shown.contains(API_KEY), "{}", window.shown);
    assert_eq!(fake.only().header("authorization"), format!("Bearer {API_KEY}"));
}

#[test]
fn ctrl_c_at_a_question_for_a_key_leaves_the_terminal_as_it_was() {
    let fake = Fake::start().on("GET /connections", 200, json!([]));
    let line = format!("login {}", fake.url(&format!("/addons/{ADDON}")));
    let mut window = Window::open(applink(&line));
    window.expect("API key or add-on token: ");
    window.type_in(&["-l", "alk_half"]);
    window.type_in(&["C-c"]);
    window.expect("exit 130.");
    assert!(!window.shown.contains("alk_half"), "{}", window.shown);
    assert!(window.echoes(), "what is typed next is shown");
    assert_eq!(fake.seen().len(), 0);
}

#[test]
fn ctrl_c_at_the_question_for_a_key_press_says_what_state_things_are_in() {
    let mut started = connection("new_org", "connecting", "SalesforceOrg");
    started["redirect_uri"] = json!("http://127.0.0.1:7700/oauth/start/one-time");
    let fake = Fake::start().on("POST /connections/salesforce", 202, started);
    let mut window = Window::open(applink("salesforce:connect new_org").with(&fake).env("BROWSER", "true"));
    window.expect("or q to exit");
    window.type_in(&["C-c"]);
    window.expect("exit 130.");
    insta::assert_snapshot!(window.screen(), @"
    Opening browser to http://127.0.0.1:7700/oauth/start/one-time
    Press any key to open up the browser to connect my-app to new_org, or q to exit
    error: stopped before anything was opened
      new_org is still connecting
    hint: run the same command again to go on
    exit 130.
    ");
    assert!(window.echoes());
}

#[test]
fn ctrl_c_at_a_confirmation_changes_nothing() {
    let fake = Fake::start();
    let mut window = Window::open(applink("salesforce:disconnect new_org").with(&fake));
    window.expect("--confirm new_org: ");
    window.type_in(&["new", "C-c"]);
    window.expect("exit 130.");
    insta::assert_snapshot!(window.screen(), @"
    warning: this disconnects new_org from add-on applink-regular-78506 on app my-app
    To proceed, type new_org or re-run this command with --confirm new_org: new^C
    error: stopped before anything was done
    exit 130.
    ");
    assert!(window.echoes());
    assert_eq!(fake.seen().len(), 0);
}

/// The question comes after a request, when Ctrl-C is listened for elsewhere too.
#[test]
fn ctrl_c_at_a_question_that_a_request_has_led_to() {
    let breaks = error("breaking_change", "Flows and Apex that call Quotes will break.");
    let fake = Fake::start().on("POST /connections/salesforce/new_org/apps", 409, breaks);
    let line = "publish api.yaml --client-name Quotes --connection-name new_org";
    let mut window = Window::open(applink(line).with(&fake).file("api.yaml", SPEC));
    window.expect("--confirm publish: ");
    window.type_in(&["C-c"]);
    window.expect("exit 130.");
    insta::assert_snapshot!(window.screen(), @"
    Publishing my-app to new_org as Quotes... stopped
    warning: Flows and Apex that call Quotes will break.
    warning: Flows and Apex that use it will break
    To proceed, type publish or re-run this command with --confirm publish: ^C
    error: stopped before anything was done
    exit 130.
    ");
    assert_eq!(fake.seen().len(), 1, "it is not published again");
}

#[test]
fn a_key_that_is_typed_on_standard_input_can_be_stopped() {
    let fake = Fake::start();
    let line = "salesforce:connect:jwt new_org --client-id 3MVG9 --jwt-key-file - --username a@acme.example";
    let mut window = Window::open(applink(line).with(&fake));
    window.expect("end it with Ctrl-D.\r\n");
    window.type_in(&["C-c"]);
    window.expect("exit 130.");
    insta::assert_snapshot!(window.screen(), @"
    Reading the private key from standard input; end it with Ctrl-D.
    ^C
    error: stopped before anything was done
    exit 130.
    ");
    assert_eq!(fake.seen().len(), 0);
}
