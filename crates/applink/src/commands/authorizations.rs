//! `applink:authorizations…`: the list, one of them, and what is done to one.

pub(crate) mod again;
pub(crate) mod test;

use applink_api::authorization::Authorization;

use super::salesforce::status_title;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table, fields, printable};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

pub(crate) async fn info(
    args: InfoArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
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

/// Reading one by name answers a live token as well, which is for apps: it never reaches the output. The user's
/// name, which the hand-out carries beside the token, is kept.
pub(crate) fn without_credential(mut authorization: Authorization) -> Authorization {
    if let Some(credential) = authorization.org.user_auth.take() {
        authorization.org.username.get_or_insert(credential.username);
        authorization.org.user_id.get_or_insert(credential.user_id);
    }
    authorization
}

/// There is no authorization of that name.
pub(crate) fn unknown(name: &str, addon: &Addon) -> CliError {
    CliError::refused(format!("developer name {name} doesn't exist on app {}", addon.app_label()))
        .hint("`applink authorizations` lists the stored users")
}
