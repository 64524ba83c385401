//! `applink dev`: the whole stack in one process with embedded defaults, and the tour through it.
//!
//! 1. The state folder is opened ([`state_dir`]) and the orgs, the control plane, the mesh and the app are started
//!    ([`stack`]).
//! 2. Addresses and keys are written to `.applink/dev.env` and, with `--json`, printed as one line ([`facts`]).
//! 3. The tour walks the whole story once ([`tour`]), with a browser done by program ([`visitor`]).
//! 4. Without `--once` everything stays up until Ctrl-C or until the app ends. A second signal does not wait.

mod facts;
mod platform;
mod ports;
mod stack;
mod state_dir;
pub(crate) mod tls;
pub(crate) mod tour;
mod visitor;

use std::path::PathBuf;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::signals::StopSignals;

pub(crate) use ports::AskedPorts;
use stack::{Stack, StackError};
use state_dir::{StateDir, StateError};
use tour::Step;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct DevSettings {
    /// Run the tour and exit.
    pub(crate) once: bool,
    /// Print the one line.
    pub(crate) json: bool,
    /// Discard earlier state.
    pub(crate) fresh: bool,
    /// The step to break; it runs in a folder of its own that is thrown away.
    pub(crate) broken: Option<Step>,
    /// Where state is kept.
    pub(crate) state_dir: PathBuf,
    /// Where to listen; 0 is any free port.
    pub(crate) ports: AskedPorts,
    /// The way in for the stock Heroku CLI.
    pub(crate) tls: Option<tls::Way>,
    /// Origins that webhooks may be sent to besides public ones.
    pub(crate) webhook_origins: Vec<url::Url>,
    /// The sample and the tour are those of Data Cloud.
    pub(crate) data_cloud: bool,
    /// The person's own app, instead of the sample.
    pub(crate) command: Vec<String>,
    /// Where the person is: the own app's folder.
    pub(crate) directory: PathBuf,
}

/// Runs `applink dev`.
pub(crate) async fn run(settings: DevSettings, printer: Printer) -> Result<ExitStatus, CliError> {
    // First of all: the app is a process group of its own, so whatever stops us must go through here to stop it.
    let mut signals = StopSignals::listen()?;
    let scratch = settings.broken.is_some().then(tempfile::tempdir).transpose();
    let scratch = scratch
        .map_err(|source| CliError::broken("no folder for a broken tour can be made").because(source))?;
    let path = scratch.as_ref().map_or(settings.state_dir.as_path(), tempfile::TempDir::path);
    let state_dir = StateDir::open(path, settings.fresh && scratch.is_none())?;
    let stack = tokio::select! {
        stack = Stack::start(&settings, &state_dir) => stack?,
        signal = signals.next() => {
            return Err(CliError::interrupted(format!("stopped by {signal} before everything was up")));
        }
    };
    let status = stay_up(&stack, &settings, &state_dir, &mut signals, printer).await;
    tokio::select! {
        () = stack.stop() => status,
        signal = signals.next() => Err(CliError::interrupted(format!("stopped at once by a second {signal}"))),
    }
}

async fn stay_up(
    stack: &Stack,
    settings: &DevSettings,
    state_dir: &StateDir,
    signals: &mut StopSignals,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    state_dir.write("dev.env", stack.facts.env_file().as_bytes())?;
    match stack.facts.heroku_env_file() {
        Some(text) => state_dir.write(facts::HEROKU_ENV, text.as_bytes())?,
        None => state_dir.remove(facts::HEROKU_ENV)?,
    }
    announce(stack, settings.json, printer)?;
    let passed = tokio::select! {
        passed = take_tour(stack, settings, printer) => passed?,
        _signal = signals.next() => return Ok(ExitStatus::Interrupted),
    };
    if settings.once {
        return Ok(if passed { ExitStatus::Success } else { ExitStatus::No });
    }
    printer.note("\nEverything stays up until Ctrl-C.");
    tokio::select! {
        _signal = signals.next() => Ok(ExitStatus::Success),
        status = stack.app_ended() => {
            if let ExitStatus::Child(code) = status {
                printer.note(&format!("The app ended with status {code}, so everything is stopped."));
            }
            Ok(status)
        }
    }
}

fn announce(stack: &Stack, json: bool, printer: Printer) -> Result<(), CliError> {
    if json { printer.json_line(&stack.facts.summary()) } else { printer.data(&stack.facts.in_words()) }
}

async fn take_tour(stack: &Stack, settings: &DevSettings, printer: Printer) -> Result<bool, CliError> {
    let own_app = !settings.command.is_empty();
    let steps: &[Step] = if own_app { &Step::FOR_OWN_APP } else { Step::of_sample(settings.data_cloud) };
    // With --json standard output is for the one line.
    let mut failure = None;
    let passed = tour::run(stack, steps, settings.broken, |report| {
        if settings.json {
            printer.note(&report.to_string());
        } else if let Err(error) = printer.data(&format!("{report}\n")) {
            failure.get_or_insert(error);
        }
    })
    .await;
    if own_app {
        printer.note(
            "\nPublish your app's OpenAPI document with `applink publish api-spec.yaml --client-name MyApp --connection-name acme`.",
        );
    }
    failure.map_or(Ok(passed), Err)
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        Self::broken(error.to_string()).hint(error.hint()).because(error)
    }
}

impl From<StackError> for CliError {
    fn from(error: StackError) -> Self {
        let hint = error.hint();
        let told = Self::broken(error.to_string()).because(error);
        match hint {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}
