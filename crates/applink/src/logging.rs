//! Log lines of the servers, to standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::error::CliError;
use crate::settings::Settings;

/// What to log: `warn`, `info`, `debug`, or per module such as `info,applink_server=debug`.
const LEVEL: &str = "APPLINK_LOG";
/// `json` writes a JSON object per line.
const FORMAT: &str = "APPLINK_LOG_FORMAT";

/// Starts logging, at `default` unless `APPLINK_LOG` says otherwise.
///
/// # Errors
/// When `APPLINK_LOG` can't be read.
pub(crate) fn start(settings: &Settings, default: &str) -> Result<(), CliError> {
    let environment = settings.environment();
    let filter = EnvFilter::try_new(environment.get(LEVEL).unwrap_or(default)).map_err(|error| {
        CliError::broken(format!("{LEVEL} can't be read"))
            .because(error)
            .hint("it is a level such as info, or a list such as info,applink_server=debug")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // Only a second subscriber in the same process could fail here.
    let _ = match environment.get(FORMAT) {
        Some("json") => lines.json().flatten_event(true).try_init(),
        _ => lines.try_init(),
    };
    Ok(())
}
