//! The real binary as a parent: start, exit codes, signals, errors.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use applink_mesh::child::{ChildConfig, ChildLine, ChildOutput};
use applink_mesh::{Mesh, MeshStartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::{Child, Command};

use crate::integration::control_plane::{ControlPlane, Says};
use crate::integration::raw::{Wire, send};
use crate::integration::stack::{config, verdict};

const MESH: &str = env!("CARGO_BIN_EXE_applink-mesh");

/// The binary with nothing but what it needs in its environment, in a folder of its own.
pub(crate) fn mesh(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(MESH);
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
        .env("HEROKU_APPLINK_API_URL", "http://127.0.0.1:9/addons/a1")
        .env("HEROKU_APPLINK_TOKEN", "canary-token");
    command.envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let output = mesh(folder, variables, arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Two ports that nobody else gets while this lives: bound, but not listened on, so that those under test still can.
pub(crate) struct Ports {
    pub(crate) public: u16,
    pub(crate) app: u16,
    _reserved: [TcpSocket; 2],
}

impl Ports {
    pub(crate) fn reserve() -> Self {
        let reserved = [(); 2].map(|()| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket
        });
        let [public, app] = reserved.each_ref().map(|socket| socket.local_addr().unwrap().port());
        Self { public, app, _reserved: reserved }
    }

    fn variables(&self) -> [(&'static str, String); 2] {
        [("PORT", self.public.to_string()), ("APP_PORT", self.app.to_string())]
    }
}

/// The shape commands take.
pub(crate) fn borrowed<'v, const N: usize>(
    variables: &'v [(&'static str, String); N],
) -> [(&'static str, &'v str); N] {
    variables.each_ref().map(|(name, value)| (*name, value.as_str()))
}

/// A small app: listens on APP_PORT, answers every request with its environment, and on SIGTERM waits for the
/// request in progress, says so and exits with 9.
const APP: &str = r#"
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthcheck" or self.path == "/slow":
            print("got it", flush=True)
            release.wait() if self.path == "/slow" else None
        body = (os.environ["APP_PORT"] + " " + os.environ.get("APPLINK_MESH_SECRET", "none")
            + " " + str(self.headers.get("x-applink-mesh-secret")) + " " + os.environ.get("PORT", "none")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
release = threading.Event()
def stop(number, frame):
    print("stopping by", number, flush=True)
    os._exit(9)
def go(number, frame):
    print("released", flush=True)
    release.set()
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGHUP, stop)
signal.signal(signal.SIGUSR1, go)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), Handler).serve_forever()
"#;

const OPEN: &str = "mesh:\n  authentication:\n    bypassRoutes: [\"/*\"]\n";

struct Running {
    process: Child,
    out: Lines<BufReader<tokio::process::ChildStdout>>,
    err: Lines<BufReader<tokio::process::ChildStderr>>,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
    _ports: Ports,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        Self::logging("info", arguments).await
    }

    async fn logging(log_level: &str, arguments: &[&str]) -> Self {
        let ports = Ports::reserve();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), OPEN).unwrap();
        let [public, app] = ports.variables();
        let variables = [public, app, ("GO_LOG", log_level.to_owned())];
        let mut process = mesh(folder.path(), &borrowed(&variables), arguments).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap()).lines();
        let err = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = ([127, 0, 0, 1], ports.public).into();
        let mut running = Self { process, out, err, address, _folder: folder, _ports: ports };
        next_with(&mut running.err, "listening").await;
        running.wait_for_app().await;
        running
    }

    async fn wait_for_app(&mut self) {
        let mut answer = send(self.address, "GET /healthcheck", &[], b"").await;
        while answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer = send(self.address, "GET /healthcheck", &[], b"").await;
        }
        assert_eq!(answer.status, 200);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap()), signal).unwrap();
    }

    async fn code(mut self) -> Option<i32> {
        self.process.wait().await.unwrap().code()
    }
}

async fn next_with<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, text: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("ended before {text:?}"));
        if line.contains(text) {
            return line;
        }
    }
}

#[tokio::test]
async fn the_app_gets_its_port_the_secret_and_the_rest_of_the_environment() {
    for arguments in [vec!["python3", "-c", APP], vec!["--", "python3", "-c", APP]] {
        let running = Running::start(&arguments).await;
        let text = send(running.address, "GET /x", &[], b"").await.text();
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words[3], running.address.port().to_string(), "PORT is the mesh's, as ever");
        assert_eq!(words[1], words[2], "the secret in the environment is the one in the header");
        assert_eq!(words[1].len(), 43);
        running.signal(Signal::SIGTERM);
        assert_eq!(running.code().await, Some(9));
    }
}

#[tokio::test]
async fn stop_signals_reach_the_app_and_its_code_comes_back() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut running = Running::start(&["python3", "-c", APP]).await;
        running.signal(signal);
        next_with(&mut running.out, &format!("stopping by {}", signal as i32)).await;
        assert_eq!(running.code().await, Some(9), "{signal}");
    }
}

#[tokio::test]
async fn signals_reach_what_a_shell_has_started() {
    let mut running = Running::start(&["sh", "-c", "python3 -c \"$0\"; exit $?", APP]).await;
    running.signal(Signal::SIGTERM);
    next_with(&mut running.out, "stopping by 15").await;
    running.code().await;
}

#[tokio::test]
async fn a_request_in_progress_is_finished_before_the_app_is_told() {
    let mut running = Running::start(&["python3", "-c", APP]).await;
    let mut wire = Wire::open(running.address).await;
    wire.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    next_with(&mut running.out, "got it").await;
    running.signal(Signal::SIGTERM);
    next_with(&mut running.err, "stopping").await;
    // A stopping mesh passes nothing on any more, so the app is asked directly.
    let app = child_of(running.process.id().unwrap());
    kill(app, Signal::SIGUSR1).unwrap();
    next_with(&mut running.out, "released").await;
    assert!(wire.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    next_with(&mut running.out, "stopping by 15").await;
    assert_eq!(running.code().await, Some(9));
}

/// A running app with a request in progress, told to stop by SIGTERM.
async fn stopping_with_a_request() -> (Running, Wire) {
    let mut running = Running::start(&["python3", "-c", APP]).await;
    let mut wire = Wire::open(running.address).await;
    wire.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    next_with(&mut running.out, "got it").await;
    running.signal(Signal::SIGTERM);
    next_with(&mut running.err, "stopping").await;
    (running, wire)
}

#[tokio::test]
async fn a_person_who_insists_does_not_wait_for_requests() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGQUIT, 131)] {
        let (mut running, wire) = stopping_with_a_request().await;
        running.signal(signal);
        // The app holds the other end of this pipe, so its end is the app's; it was killed and could say nothing.
        while let Some(line) = running.out.next_line().await.unwrap() {
            assert!(!line.contains("stopping by"), "{line}");
        }
        assert_eq!(running.code().await, Some(code));
        // Cut off, or told that the app is gone when that was noticed first.
        let rest = wire.read_rest().await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 502 "), "{}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_supervisor_that_repeats_itself_wants_one_orderly_stop() {
    let (mut running, mut wire) = stopping_with_a_request().await;
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR2] {
        running.signal(signal);
        next_with(&mut running.err, "already stopping").await;
    }
    kill(child_of(running.process.id().unwrap()), Signal::SIGUSR1).unwrap();
    assert!(wire.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(running.code().await, Some(9));
}

fn child_of(parent: u32) -> Pid {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let direct = children.split_whitespace().next().map(str::to_owned);
    // The runtime may have started it from another thread.
    let id = direct.unwrap_or_else(|| {
        let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
        let lists = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).next().unwrap()
    });
    Pid::from_raw(id.parse().unwrap())
}

#[tokio::test]
async fn the_exit_code_of_the_app_is_the_meshs() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::reserve();
    let variables = ports.variables();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        let ended = run(folder.path(), &borrowed(&variables), &["sh", "-c", script]).await;
        assert_eq!(ended.code, Some(code), "{script}: {}", ended.err);
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_an_error_127() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::reserve();
    let variables = ports.variables();
    let variables = borrowed(&variables);
    let ended = run(folder.path(), &variables, &["--", "no-such-command", "x"]).await;
    assert_eq!(ended.code, Some(127));
    assert!(ended.err.contains("the app's command `no-such-command` was not found"), "{}", ended.err);
    assert!(!ended.err.contains("listening"));
    let ended = run(folder.path(), &variables, &["/etc/hostname"]).await;
    assert_eq!(ended.code, Some(126), "{}", ended.err);
}

#[tokio::test]
async fn a_taken_port_names_the_flag_and_starts_no_app() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(folder.path(), &[("APP_PORT", "1")], &["--port", &port, "--", "touch", "started"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains(&format!("port {port} is taken")) && ended.err.contains("`--port`"),
        "{}",
        ended.err
    );
    assert!(!folder.path().join("started").exists());
}

#[tokio::test]
async fn an_app_port_in_use_is_an_error_before_the_app_starts() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ports = Ports::reserve();
    let variables = [("PORT", ports.public.to_string()), ("APP_PORT", port)];
    let ended = run(folder.path(), &borrowed(&variables), &["touch", "started"]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("already listens on 127.0.0.1:") && ended.err.contains("APP_PORT"),
        "{}",
        ended.err
    );
    assert!(!folder.path().join("started").exists());
}

#[tokio::test]
async fn bad_configuration_is_named_and_nothing_is_started() {
    /// YAML, variables, arguments, exit code, and what the error says.
    type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], &'c [&'c str], i32, &'c str);
    let cases: [Case<'_>; 6] = [
        ("mesh:\n  bypass: []\n", &[], &["touch", "started"], 1, "line 2, column 3: unknown key `bypass`"),
        ("app: [", &[], &["touch", "started"], 1, "heroku-applink-service-mesh.yaml, line "),
        ("", &[("HEROKU_APPLINK_TOKEN", "")], &["touch", "started"], 1, "HEROKU_APPLINK_TOKEN is not"),
        (
            "",
            &[("HEROKU_APPLINK_TOKEN", ""), ("HEROKU_APPLINK_API_URL", "")],
            &["touch", "started"],
            1,
            "config vars not set",
        ),
        ("", &[("PORT", "many")], &["touch", "started"], 1, "PORT is `many`"),
        ("", &[], &["--prot", "1", "touch", "started"], 2, "unknown option `--prot`"),
    ];
    for (yaml, variables, arguments, code, text) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), yaml).unwrap();
        let ended = run(folder.path(), variables, arguments).await;
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(ended.err.contains(text), "{text} not in {}", ended.err);
        assert!(!ended.err.contains("canary") && !folder.path().join("started").exists());
    }
}

#[tokio::test]
async fn version_and_help() {
    let folder = tempfile::tempdir().unwrap();
    let version = run(folder.path(), &[], &["--version"]).await;
    assert_eq!(
        (version.code, version.out),
        (Some(0), format!("applink-mesh v{}\n", env!("CARGO_PKG_VERSION")))
    );
    let help = run(folder.path(), &[], &["-h"]).await;
    assert!(help.code == Some(0) && help.out.contains("--port PORT"));
}

#[tokio::test]
async fn it_answers_under_its_official_name_too() {
    let folder = tempfile::tempdir().unwrap();
    let alias = folder.path().join("heroku-applink-service-mesh");
    std::os::unix::fs::symlink(MESH, &alias).unwrap();
    let output = Command::new(alias).arg("--version").output().await.unwrap();
    assert!(output.status.success());
}

#[tokio::test]
async fn signals_that_do_not_stop_are_the_apps() {
    let mut running = Running::start(&["python3", "-c", APP]).await;
    running.signal(Signal::SIGUSR1);
    next_with(&mut running.out, "released").await;
    assert_eq!(send(running.address, "GET /slow", &[], b"").await.status, 200);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.code().await, Some(9));
}

#[tokio::test]
async fn bypass_all_is_said_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::reserve();
    let [public, app] = ports.variables();
    let variables = [public, app, ("HEROKU_APPLINK_SERVICE_MESH_BYPASS_ALL_ROUTES", "true".to_owned())];
    let ended = run(folder.path(), &borrowed(&variables), &["true"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("WARN") && ended.err.contains("every route is open"), "{}", ended.err);
}

#[tokio::test]
async fn the_log_has_one_line_per_request_and_no_secret() {
    let mut running = Running::start(&["python3", "-c", APP]).await;
    let lines =
        ["x-request-id: r-log", "x-client-context: canary", "authorization: Bearer canary", "cookie: canary"];
    send(running.address, "GET /x?token=canary", &lines.map(str::to_owned), b"").await;
    running.signal(Signal::SIGTERM);
    let mut about = Vec::new();
    while let Some(line) = running.err.next_line().await.unwrap() {
        assert!(!line.contains("canary"), "{line}");
        about.extend(line.contains("r-log").then_some(line));
    }
    assert_eq!(about.len(), 1, "{about:?}");
    assert!(about[0].contains("path=\"/x\"") && about[0].contains("status=200"), "{}", about[0]);
}

#[tokio::test]
async fn in_process_the_app_is_supervised_too() {
    let ports = Ports::reserve();
    let (mut config, _clock) = config("http://127.0.0.1:9", ([127, 0, 0, 1], ports.app).into());
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    config.child = Some(ChildConfig {
        program: "python3".into(),
        arguments: vec!["-c".into(), APP.into()],
        environment: Vec::new(),
        directory: None,
        output: ChildOutput::Lines(std::sync::Arc::new(move |line: ChildLine<'_>| {
            let _ = sender.send(line.text.to_owned());
        })),
    });
    let mesh = Mesh::start(config).await.unwrap();
    assert!(mesh.app_ready().await);
    assert!(mesh.child_id().is_some());
    assert_eq!(mesh.stop().await.unwrap().code(), 9);
    assert_eq!(received.recv().await.unwrap(), "stopping by 15");
}

#[tokio::test]
async fn in_process_an_app_that_ends_early_is_told() {
    let ports = Ports::reserve();
    let (mut config, _clock) = config("http://127.0.0.1:9", ([127, 0, 0, 1], ports.app).into());
    let child = ChildConfig {
        program: "false".into(),
        arguments: Vec::new(),
        environment: Vec::new(),
        directory: None,
        output: ChildOutput::Inherit,
    };
    config.child = Some(child.clone());
    let mesh = Mesh::start(config.clone()).await.unwrap();
    assert!(!mesh.app_ready().await);
    assert_eq!(mesh.wait_for_child().await.code(), 1);
    config.child = Some(ChildConfig { program: "no-such-command".into(), ..child });
    assert!(matches!(Mesh::start(config).await, Err(MeshStartError::Child(_))));
}

/// Whoever starts it again waits for that, and not for a control plane that is slow to take the last report.
#[tokio::test]
async fn promise_33_an_app_that_ends_ends_the_mesh_within_a_second() {
    let ports = Ports::reserve();
    let control_plane = ControlPlane::start(Says::Yes(verdict())).await;
    let (mut config, _clock) = config(&control_plane.url(), ([127, 0, 0, 1], ports.app).into());
    config.report_every = Some(Duration::from_secs(3_600));
    config.child = Some(ChildConfig {
        program: "sh".into(),
        arguments: vec!["-c".into(), "exit 7".into()],
        environment: Vec::new(),
        directory: None,
        output: ChildOutput::Inherit,
    });
    let mesh = Mesh::start(config).await.unwrap();
    assert_eq!(send(mesh.addr(), "GET /x", &[], b"").await.status, 401);
    control_plane.hold_answers();
    assert_eq!(mesh.wait_for_child().await.code(), 7);
    let begin = tokio::time::Instant::now();
    assert_eq!(mesh.stop().await.unwrap().code(), 7);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    control_plane.release_answers();
}
