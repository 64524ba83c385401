//! `admin:apps`, `admin:apps:create` and `admin:apps:set-url`.

use applink_api::operator::{App, CreateApp};

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table, fields};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The app's name
    name: String,
    /// Public URL of the app, where orgs call it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetUrlArgs {
    /// The app, by name or uuid
    app: String,
    /// Public URL of the app, where orgs call it from now on
    url: String,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let apps =
        control_plane.client().operator().list_apps().await.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&apps)?;
    } else if apps.is_empty() {
        printer.data("There are no apps yet.")?;
    } else {
        printer.data(&table(apps).to_string())?;
    }
    Ok(ExitStatus::Success)
}

fn table(apps: Vec<App>) -> Table {
    let mut table = Table::new(&["App", "ID", "URL"]);
    for app in apps {
        table.row([app.name, app.id.to_string(), app.url.unwrap_or_default()]);
    }
    table
}

pub(crate) async fn create(
    args: CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let request = CreateApp { name: args.name, url: args.url };
    let app = control_plane
        .client()
        .operator()
        .create_app(&request)
        .await
        .map_err(|error| control_plane.explain(error))?;
    show(app, args.output.json, printer)
}

pub(crate) async fn set_url(
    args: SetUrlArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let changed = control_plane.client().operator().set_app_url(&args.app, &args.url).await;
    let app = changed.map_err(|error| {
        if error.is_not_found() { unknown(&args.app) } else { control_plane.explain(error) }
    })?;
    show(app, args.output.json, printer)
}

fn unknown(app: &str) -> CliError {
    CliError::refused(format!("there is no app {app}")).hint("`applink admin apps` lists them")
}

fn show(app: App, json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    if json {
        printer.json(&app)?;
    } else {
        printer.data(&fields(&[
            ("App", Some(app.name)),
            ("ID", Some(app.id.to_string())),
            ("URL", app.url),
        ]))?;
    }
    Ok(ExitStatus::Success)
}
