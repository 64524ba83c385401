//! `admin:apps` and `admin:apps:create`.

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
    if args.output.json {
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
