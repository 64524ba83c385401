//! `doctor`: looks for what is wrong between the app, its add-on and its orgs, and says how to mend it.

use std::path::PathBuf;

use applink_api::clock::Clock;
use serde_json::json;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::doctor::{self, Report};
use crate::document::Document;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    /// OpenAPI document of the app [default: api-spec.yaml or api-spec.json here]
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Where orgs call the app [default: what Heroku knows]
    #[arg(long, value_name = "URL")]
    app_url: Option<String>,
    /// Salesforce user who should be able to call the app
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// Private key to try at the org, with --client-id and --username; `-` reads standard input
    #[arg(long, value_name = "FILE", requires = "client_id", requires = "username")]
    jwt_key_file: Option<String>,
    /// Take a key file that other users of this machine can read
    #[arg(long)]
    allow_open_key_file: bool,
    /// Consumer key of the org's external client app, for the key
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
    /// Salesforce user to sign in as, for the key
    #[arg(long, value_name = "USERNAME")]
    username: Option<String>,
    /// Salesforce login URL, for the key
    #[arg(short, long, value_name = "URL")]
    login_url: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let clock = Clock::system();
    let mut report = Report::default();
    doctor::files::procfile(settings.directory(), &mut report);
    let document = doctor::files::spec(args.spec.as_deref(), settings.directory(), &mut report);
    addon(&args, settings, document.as_ref(), &clock, printer, &mut report).await;
    app(&args, settings, &mut report).await;
    jwt(&args, &clock, printer, &mut report).await;
    show(&report, args.output.json, printer)
}

async fn addon(
    args: &Args,
    settings: &Settings,
    document: Option<&Document>,
    clock: &Clock,
    printer: Printer,
    report: &mut Report,
) {
    let addon = match settings.addon(&args.addon).await {
        Ok(addon) => addon,
        Err(error) => {
            report.checked("service");
            report.error("no-addon", "the add-on's variables", &error);
            return;
        }
    };
    doctor::service::clock(&addon, clock, report).await;
    if let Some(rows) = doctor::service::rows(&addon, printer, report).await {
        doctor::rows::look(&rows, report);
        doctor::published::look(&addon, &rows, document, args.user.as_deref(), printer, report).await;
    }
}

async fn app(args: &Args, settings: &Settings, report: &mut Report) {
    let known = match &args.app_url {
        Some(url) => Some(url.clone()),
        None => settings
            .addon_at_heroku(&args.addon)
            .await
            .ok()
            .and_then(|addon| addon.app_url().map(str::to_owned)),
    };
    match known {
        Some(url) => doctor::app::look(&url, report).await,
        None => report.skipped("app", "the app's address is not known; give --app-url"),
    }
}

async fn jwt(args: &Args, clock: &Clock, printer: Printer, report: &mut Report) {
    let (Some(key_file), Some(client_id), Some(username)) =
        (&args.jwt_key_file, &args.client_id, &args.username)
    else {
        return;
    };
    let asked = doctor::jwt::Asked {
        key_file,
        allow_open: args.allow_open_key_file,
        client_id,
        username,
        login_url: args.login_url.as_deref(),
    };
    doctor::jwt::look(&asked, clock, printer, report).await;
}

fn show(report: &Report, json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    let is_well = report.faults.is_empty();
    if json {
        printer.json(&json!({
            "ok": is_well, "faults": report.faults, "checked": report.checked, "skipped": report.skipped,
        }))?;
    } else {
        for fault in &report.faults {
            printer.data(&format!(
                "✗ {} [{}]\n    cause: {}\n    fix:   {}",
                fault.about, fault.id, fault.cause, fault.fix
            ))?;
        }
        printer.note(&format!("looked at: {}", report.checked.join(", ")));
        for skipped in &report.skipped {
            printer.note(&format!("not looked at: {} ({})", skipped.part, skipped.why));
        }
    }
    if is_well {
        if !json {
            printer.note("nothing wrong was found");
        }
        return Ok(ExitStatus::Success);
    }
    let count = report.faults.len();
    printer.note(&format!("{count} fault{} found", if count == 1 { "" } else { "s" }));
    Ok(ExitStatus::No)
}
