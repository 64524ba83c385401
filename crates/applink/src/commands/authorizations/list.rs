//! `applink:authorizations`: the stored users.

use applink_api::authorization::Authorization;

use super::without_credential;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let authorizations =
        addon.client(printer)?.authorizations().list().await.map_err(|error| addon.explain(error))?;
    let authorizations: Vec<_> = authorizations.into_iter().map(without_credential).collect();
    let (app, label) = (addon.app_label(), addon.label());
    if args.output.json {
        printer.json(&authorizations)?;
    } else if authorizations.is_empty() {
        printer
            .data(&format!("There are no Heroku AppLink authorizations for add-on {label} on app {app}."))?;
    } else {
        let title = format!("=== Heroku AppLink authorizations for app {app}");
        printer.data(&format!("{title}\n\n{}", table(&authorizations, &addon)))?;
    }
    Ok(ExitStatus::Success)
}

fn table(authorizations: &[Authorization], addon: &Addon) -> Table {
    let mut table = Table::new(&["Add-On", "Developer Name", "status", "type"]);
    for authorization in authorizations {
        table.row([
            addon.label().to_owned(),
            authorization.org.developer_name.clone().unwrap_or_default(),
            status_title(authorization.status.as_str()),
            authorization.org.kind.title().to_owned(),
        ]);
    }
    table
}
