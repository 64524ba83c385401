//! `audit:verify`: walks the ledger and reports every edit, gap and truncation.

use std::path::PathBuf;
use std::str::FromStr;

use applink_server::audit::verify::{KeptAnchor, Report, verify};
use applink_server::db::{Database, DatabaseUrl};
use applink_server::vault;
use serde_json::json;

use crate::arguments::OutputArgs;
use crate::commands::serve;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number and MAC of an anchor that was kept outside the database (a log line); shows whether the end was cut off
    #[arg(long, value_name = "NUMBER:MAC")]
    anchor: Option<Anchor>,
    /// TOML file with settings; variables win over it [default: APPLINK_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Debug)]
struct Anchor(KeptAnchor);

impl FromStr for Anchor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write the number and the MAC as the log has them, joined by a colon";
        let (number, mac) = text.split_once(':').ok_or(FORM)?;
        let number = number.parse().map_err(|_| FORM)?;
        Ok(Self(KeptAnchor { number, mac: mac.to_owned() }))
    }
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let config = serve::config(args.config, settings)?;
    ensure_there(&config.database_url)?;
    let database = Database::open(&config.database_url, config.clock.clone())
        .await
        .map_err(|error| CliError::broken(error.to_string()).because(error))?;
    let keys = vault::chain_keys(&config, &database).await;
    let keys = keys.map_err(|error| CliError::broken(error.to_string()).because(error))?;
    let kept = args.anchor.map(|anchor| anchor.0);
    let walked = verify(database.reader(), &keys, kept.as_ref()).await;
    database.close().await;
    let report = walked.map_err(|error| CliError::broken("the ledger can't be read").because(error))?;
    show(&report, kept.is_some(), args.output.json, printer)?;
    if report.findings.is_empty() {
        return Ok(ExitStatus::Success);
    }
    Err(CliError::refused("the ledger is not as it was written"))
}

/// Opening a file that is not there makes one, and an empty ledger is whole.
fn ensure_there(url: &DatabaseUrl) -> Result<(), CliError> {
    match url.sqlite_path() {
        Some(path) if !path.is_file() => {
            let message = format!("there is no database {}", path.display());
            Err(CliError::broken(message).hint("set DATABASE_URL and the master key as for `applink serve`"))
        }
        _ => Ok(()),
    }
}

fn show(report: &Report, is_anchored: bool, json: bool, printer: Printer) -> Result<(), CliError> {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let Report { rows, segments, anchors, .. } = report;
    if json {
        return printer
            .json(&json!({"rows": rows, "segments": segments, "anchors": anchors, "findings": findings}));
    }
    for finding in &findings {
        printer.data(finding)?;
    }
    printer.note(&format!("walked {rows} rows in {segments} segments, and {anchors} anchors"));
    if !is_anchored {
        printer
            .note("whether the end was cut off shows with an anchor out of the log: `--anchor NUMBER:MAC`");
    }
    Ok(())
}
