//! `applink:authorizations:info`: one stored user.

use applink_api::authorization::Authorization;

use super::{unknown, without_credential};
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, fields, printable};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let name = &args.developer_name;
    let authorization = match addon.client(printer)?.authorizations().get(name).await {
        Err(error) if error.is_not_found() => return Err(unknown(name, &addon)),
        other => without_credential(other.map_err(|error| addon.explain(error))?),
    };
    if args.output.json {
        printer.json(&authorization)?;
    } else {
        let title = authorization.org.developer_name.as_deref().unwrap_or(name);
        let details = details(&authorization, &addon);
        printer.data(&format!("=== {} on app {}\n\n{details}", printable(title), addon.app_label()))?;
    }
    if let Some(error) = &authorization.error {
        printer.warning(&printable(&error.message));
    }
    Ok(ExitStatus::Success)
}

fn details(authorization: &Authorization, addon: &Addon) -> String {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let app = authorization.app_name.clone().or_else(|| authorization.created_via_app.clone());
    fields(&[
        ("Add-on", Some(addon.label().to_owned())),
        ("App", app.or_else(|| Some(addon.app_label().to_owned()))),
        ("Created By", filled(&authorization.created_by)),
        ("Created Date", Some(authorization.created_at.to_string())),
        ("ID", Some(authorization.id.to_string())),
        ("Instance URL", filled(&authorization.org.instance_url)),
        ("Last Modified", Some(authorization.last_modified_at.to_string())),
        ("Last Modified By", authorization.last_modified_by.clone()),
        ("Org ID", filled(&authorization.org.id)),
        ("Status", Some(status_title(authorization.status.as_str()))),
        ("Type", Some(authorization.org.kind.title().to_owned())),
        ("Username", authorization.org.username.clone()),
    ])
}
