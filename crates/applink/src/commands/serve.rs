//! `serve`: runs the control plane until it is stopped.

use std::path::PathBuf;

use applink_server::config::{Config, ConfigError};
use applink_server::{Server, ServerError, env_vars};
use serde_json::json;

use crate::error::{CliError, ExitStatus};
use crate::logging;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::signals::StopSignals;

#[derive(Debug, clap::Args)]
#[command(after_long_help = variables())]
pub(crate) struct Args {
    /// TOML file with settings; variables win over it [default: APPLINK_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write one line of JSON when requests are answered
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    logging::start(settings, "info")?;
    let mut signals = StopSignals::listen()?;
    let config = config(args.config, settings)?;
    let mut server = Server::start(config).await.map_err(failure)?;
    if args.json {
        printer.json_line(&json!({"url": server.url(), "address": server.addr().to_string()}))?;
    }
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping"),
        () = server.wait() => return Err(CliError::broken("the server stopped listening by itself").hint("the log says why")),
    }
    tokio::select! {
        () = server.stop() => Ok(ExitStatus::Success),
        signal = signals.next() => Err(CliError::interrupted(format!("stopped at once by a second {signal}"))),
    }
}

/// Every variable, for `--help`.
fn variables() -> String {
    let mut text = "Environment variables:".to_owned();
    for variable in env_vars::ALL {
        text.push_str(&format!(
            "\n  {}\n      {} [default: {}]",
            variable.name, variable.about, variable.default
        ));
    }
    text
}

/// Reads the settings of a control plane, from the file `--config` or `APPLINK_CONFIG` names and the environment.
pub(super) fn config(file: Option<PathBuf>, settings: &Settings) -> Result<Config, CliError> {
    let variable = |name: &str| settings.environment().get(name).map(str::to_owned);
    let path = file.or_else(|| variable(env_vars::CONFIG).map(PathBuf::from));
    let text = path.map(|path| {
        std::fs::read_to_string(&path)
            .map_err(|error| CliError::broken(format!("can't read {}", path.display())).because(error))
    });
    Config::load(&variable, text.transpose()?.as_deref()).map_err(wrong_settings)
}

fn wrong_settings(error: ConfigError) -> CliError {
    let problems = error.0.into_iter().map(|problem| (problem.setting, problem.message));
    CliError::broken("the settings can't be used").at(problems)
}

fn failure(error: ServerError) -> CliError {
    CliError::broken(error.to_string()).because(error)
}
