//! Log lines of the servers, to standard error.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::CliError;
use crate::settings::Settings;

/// What to log: `warn`, `info`, `debug`, or per crate such as `info,applink_server=debug`.
const LEVEL: &str = "APPLINK_LOG";
/// `json` writes a JSON object per line.
const FORMAT: &str = "APPLINK_LOG_FORMAT";
/// What the targets of our own lines start with.
const OURS: [&str; 2] = ["applink", "provisioning_service"];

/// Starts logging, at `default` unless `APPLINK_LOG` says otherwise.
///
/// # Errors
/// When `APPLINK_LOG` can't be read.
pub(crate) fn start(settings: &Settings, default: &str) -> Result<(), CliError> {
    let environment = settings.environment();
    let filter = environment.get(LEVEL).unwrap_or(default).parse::<Targets>().map_err(|error| {
        CliError::broken(format!("{LEVEL} can't be read"))
            .because(error)
            .hint("it is a level such as info, or a list such as info,applink_server=debug")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let json = environment.get(FORMAT) == Some("json");
    let lines = if json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    // Only a second subscriber in the same process could fail here.
    let _ = tracing_subscriber::registry().with(lines.with_filter(only_ours(&filter))).try_init();
    Ok(())
}

/// What libraries say at lower levels was not written with our secrets in mind, so they stay silent.
fn only_ours(wanted: &Targets) -> Targets {
    let named = wanted.iter().filter(|(target, _)| OURS.iter().any(|ours| target.starts_with(ours)));
    let named = named.map(|(target, level)| (target.to_owned(), level));
    let general =
        wanted.default_level().into_iter().flat_map(|level| OURS.map(|ours| (ours.to_owned(), level)));
    Targets::new().with_targets(general.chain(named))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_stay_silent_whatever_is_asked_for() {
        let filter = only_ours(&"trace,hyper=trace,applink_mesh=warn".parse().unwrap());
        assert!(filter.would_enable("applink_server::tokens", &Level::TRACE));
        assert!(filter.would_enable("applink_mesh", &Level::WARN));
        assert!(!filter.would_enable("applink_mesh", &Level::INFO));
        assert!(!filter.would_enable("hyper::proto", &Level::ERROR));
    }
}
