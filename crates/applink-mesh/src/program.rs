//! The mesh as a program: configuration, app, port, and then the exit code of the app. `applink-mesh` (also installed
//! as `heroku-applink-service-mesh`) is nothing else, and `applink mesh` is the same.

use std::ffi::OsString;
use std::io::Write as _;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;

use crate::check::Finding;
use crate::child::ChildSignal;
use crate::config::{Arguments, MeshConfig, RELOAD_SIGNAL, Sources, USAGE, YAML_NAMES};
use crate::mesh::{Mesh, MeshStartError, RunningMesh};
use crate::record::chain;
use crate::respond::BoxError;
use log::Log;

mod log;

/// The command line makes no sense, as with most programs.
const EXIT_USAGE: u8 = 2;

/// Runs the program with `arguments` (its own name left out) and answers its exit code. It makes its own runtime and
/// reads the process's environment, so it is called once, at the start.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    match Arguments::parse(arguments) {
        Ok(Arguments::Help) => say(USAGE),
        Ok(Arguments::Version) => say(concat!("applink-mesh v", env!("CARGO_PKG_VERSION"))),
        Ok(Arguments::Check) => check(),
        Ok(Arguments::Run { port, command }) => start(port, command),
        Err(error) => fail(&error, EXIT_USAGE),
    }
}

fn start(port: Option<u16>, command: Vec<OsString>) -> u8 {
    let log = log();
    match configuration(port, command).and_then(|config| Ok((config, reload_signal()?, runtime()?))) {
        Ok((mut config, reload, runtime)) => {
            config.access_log = log.access();
            let code = runtime.block_on(supervise(config, reload));
            // A name that is still being looked up holds nothing up.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&*error, 1),
    }
}

/// The requests have threads of their own; this one polls, reports, and looks after the app.
fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn configuration(port: Option<u16>, command: Vec<OsString>) -> Result<MeshConfig, BoxError> {
    let yaml = read_yaml()?;
    Ok(MeshConfig::resolve(Sources { port, command, environment: &variable, yaml })?)
}

/// Exit code 1 when a mesh would not work.
fn check() -> u8 {
    let (config, runtime) = match configuration(None, Vec::new()).and_then(|config| Ok((config, runtime()?)))
    {
        Ok(ready) => ready,
        Err(error) => return fail(&*error, 1),
    };
    let findings = runtime.block_on(crate::check::check(&config));
    for finding in &findings {
        say(&finding.to_string());
    }
    u8::from(findings.iter().any(|finding| matches!(finding, Finding::Problem(_))))
}

#[derive(Debug, thiserror::Error)]
#[error("{RELOAD_SIGNAL} is `{0}`; it must be HUP, USR1, USR2 or off")]
struct UnknownSignal(String);

fn reload_signal() -> Result<Option<ChildSignal>, BoxError> {
    let named = variable(RELOAD_SIGNAL).unwrap_or_default().to_ascii_uppercase();
    match named.strip_prefix("SIG").unwrap_or(&named) {
        "" | "OFF" => Ok(None),
        "HUP" => Ok(Some(ChildSignal::HangUp)),
        "USR1" => Ok(Some(ChildSignal::User1)),
        "USR2" => Ok(Some(ChildSignal::User2)),
        _ => Err(UnknownSignal(named).into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Name and text of the YAML file in the working directory, when there is one.
fn read_yaml() -> Result<Option<(String, String)>, YamlReadError> {
    for name in YAML_NAMES {
        match std::fs::read_to_string(name) {
            Ok(text) => return Ok(Some((name.to_owned(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(YamlReadError { name, source }),
        }
    }
    Ok(None)
}

#[derive(Debug, thiserror::Error)]
#[error("{name} can't be read; check that it is a UTF-8 text file this user may read")]
struct YamlReadError {
    name: &'static str,
    source: std::io::Error,
}

/// `GO_LOG` is the public mesh's name of the level; `APPLINK_MESH_LOG=json` writes JSON lines.
fn log() -> Log {
    let level: Option<LevelFilter> =
        variable("GO_LOG").and_then(|level| level.to_ascii_lowercase().parse().ok());
    Log::start(level, variable("APPLINK_MESH_LOG").is_some_and(|format| format == "json"))
}

async fn supervise(config: MeshConfig, reload: Option<ChildSignal>) -> u8 {
    // Before the app is started, so that no signal finds the mesh without a handler and the app alone.
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&error, 1),
    };
    let app = config.app.authority().clone();
    match Mesh::start(config).await {
        Ok(mesh) => {
            let metrics = mesh.metrics_addr().map(tracing::field::display);
            tracing::info!(address = %mesh.addr(), %app, metrics, "listening");
            serve(mesh, &mut signals, reload).await
        }
        Err(error) => {
            let code = if let MeshStartError::Child(child) = &error { child.code() } else { 1 };
            fail(&error, code)
        }
    }
}

/// Until the app ends or a signal says to stop; other signals are the app's, as long as nothing stops.
async fn serve(mut mesh: RunningMesh, signals: &mut Signals, reload: Option<ChildSignal>) -> u8 {
    loop {
        tokio::select! {
            exit = mesh.wait_for_child() => {
                tracing::info!(%exit, "the app has ended");
                if !mesh.app_is_ready() {
                    tracing::warn!("it never listened where it should: on APP_PORT, not on PORT");
                }
                mesh.stop().await;
                return exit.code();
            }
            signal = signals.next() => match signal {
                asked if Some(asked) == reload => {
                    if let Some(stop) = exchange(&mut mesh, signals, reload).await {
                        return stop_in_order(mesh, stop, signals).await;
                    }
                }
                passed @ (ChildSignal::User1 | ChildSignal::User2) => mesh.signal_child(passed),
                stop => return stop_in_order(mesh, stop, signals).await,
            },
        }
    }
}

/// Exchanges the app; gives the signal that came in between and says to stop.
async fn exchange(
    mesh: &mut RunningMesh,
    signals: &mut Signals,
    reload: Option<ChildSignal>,
) -> Option<ChildSignal> {
    tracing::info!("exchanging the app: new requests wait");
    let mut exchanged = std::pin::pin!(mesh.reload());
    loop {
        tokio::select! {
            done = &mut exchanged => {
                match done {
                    Ok(()) => tracing::info!("the app has been exchanged"),
                    Err(error) => tracing::error!("{}", chain(&error)),
                }
                return None;
            }
            signal = signals.next() => match signal {
                again if Some(again) == reload => {}
                ChildSignal::User1 | ChildSignal::User2 => {}
                stop => return Some(stop),
            },
        }
    }
}

/// Requests first, then the app; at once when a person insists. Giving up on the stop drops the mesh, which kills the
/// app with everything it started.
async fn stop_in_order(mesh: RunningMesh, signal: ChildSignal, signals: &mut Signals) -> u8 {
    tracing::info!(?signal, "stopping; Ctrl-C ends the app at once");
    tokio::select! {
        exit = mesh.stop_with(signal) => exit.map_or(0, |exit| exit.code()),
        insisted = signals.insisting() => {
            tracing::warn!(signal = ?insisted, "told again: the app is killed");
            insisted.exit_code()
        }
    }
}

/// The signals the mesh reacts to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    quit: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next that a person sends who does not want to wait any longer. SIGTERM and SIGHUP are not among them:
    /// supervisors and closing terminals repeat these (Heroku: "Dyno Shutdown Behavior"), and mean one orderly stop.
    async fn insisting(&mut self) -> ChildSignal {
        loop {
            match self.next().await {
                insisted @ (ChildSignal::Interrupt | ChildSignal::Quit) => return insisted,
                repeated => tracing::info!(signal = ?repeated, "already stopping"),
            }
        }
    }

    async fn next(&mut self) -> ChildSignal {
        tokio::select! {
            _ = self.terminate.recv() => ChildSignal::Terminate,
            _ = self.interrupt.recv() => ChildSignal::Interrupt,
            _ = self.hang_up.recv() => ChildSignal::HangUp,
            _ = self.quit.recv() => ChildSignal::Quit,
            _ = self.user1.recv() => ChildSignal::User1,
            _ = self.user2.recv() => ChildSignal::User2,
        }
    }
}

fn say(text: &str) -> u8 {
    // A reader that went away (`| head`) is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
    0
}

fn fail(error: &(dyn std::error::Error + 'static), code: u8) -> u8 {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("\n  caused by: {inner}"));
        cause = inner.source();
    }
    log::last_line(text);
    code
}
