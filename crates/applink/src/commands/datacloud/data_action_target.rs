//! `datacloud:data-action-target:…`: webhooks of a Data Cloud org that point at an app.

use applink_api::client::{Client, ClientError};
use applink_api::data_action_target::{CreateDataActionTarget, DataActionTarget, DataActionTargetStatus};

use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::status_title;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, Table, fields, printable};
use crate::prompt;
use crate::settings::{Addon, Settings};

/// The only kind of target there is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum TargetType {
    /// A signed HTTP request
    Webhook,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Label of the data action target
    label: String,
    /// Connection to the Data Cloud org
    #[arg(short = 'o', long, value_name = "NAME")]
    connection_name: String,
    /// Path of the app that Data Cloud calls, such as /handleDataCloudDataChangeEvent
    #[arg(short = 'p', long, value_name = "PATH")]
    target_api_path: String,
    /// API name of the data action target [default: the label, with `_` for spaces]
    #[arg(short = 'n', long, value_name = "NAME")]
    api_name: Option<String>,
    /// Type of the data action target
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "webhook")]
    kind: TargetType,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Connection to the Data Cloud org
    #[arg(short = 'o', long, value_name = "NAME")]
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

// Which one, for the commands that need no more.
#[derive(Debug, clap::Args)]
pub(crate) struct OneArgs {
    /// API name of the data action target
    api_name: String,
    /// Connection to the Data Cloud org
    #[arg(short = 'o', long, value_name = "NAME")]
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The API name, to answer the confirmation beforehand
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

pub(crate) async fn create(
    args: CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let TargetType::Webhook = args.kind;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let request = CreateDataActionTarget {
        api_name: Some(args.api_name.unwrap_or_else(|| args.label.replace(' ', "_"))),
        label: args.label.clone(),
        target_endpoint: args.target_api_path,
        kind: Some("webhook".to_owned()),
    };
    let made = client.data_action_targets(&args.connection_name).create(&request).await;
    let made = made.map_err(|error| explain(error, &args.connection_name, &addon))?;
    let progress = printer.start(format!(
        "Creating {} as '{}' data action target webhook to {}...",
        addon.app_label(),
        args.label,
        args.connection_name
    ));
    let target = settled(&client, &args.connection_name, made, &addon).await?;
    progress.finish(&status_title(target.status.as_str()));
    conclude(&target, &args.output, printer)
}

/// Looks until nothing more happens by itself.
async fn settled(
    client: &Client,
    connection: &str,
    target: DataActionTarget,
    addon: &Addon,
) -> Result<DataActionTarget, CliError> {
    let look = async || client.data_action_targets(connection).get(&target.api_name).await;
    match poll::until(look, |seen| seen.status.is_settled()).await {
        Ok(Waited::Done(target)) => Ok(target),
        Ok(Waited::Interrupted) => Err(interrupted(&target, connection)),
        Err(error) => Err(addon.explain(error)),
    }
}

fn interrupted(target: &DataActionTarget, connection: &str) -> CliError {
    let (name, status) = (&target.api_name, target.status.as_str());
    CliError::interrupted(format!("stopped waiting; {name} is still {status}")).hint(format!(
        "look with `applink datacloud:data-action-target:info {name} --connection-name {connection}`"
    ))
}

/// Prints the target, and fails unless it is there.
fn conclude(
    target: &DataActionTarget,
    output: &OutputArgs,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    if output.json {
        printer.json(target)?;
    }
    if target.status == DataActionTargetStatus::Created {
        return Ok(ExitStatus::Success);
    }
    let reason = target.error.as_ref().map(|error| error.message.clone());
    Err(CliError::refused(
        reason.unwrap_or_else(|| format!("the data action target is {}", target.status.as_str())),
    ))
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let targets = client.data_action_targets(&args.connection_name).list().await;
    let targets = targets.map_err(|error| explain(error, &args.connection_name, &addon))?;
    if targets.is_empty() {
        // The list of a connection that is nobody's is empty too: the official CLI wants that.
        let connection = client.connections().get(&args.connection_name).await;
        connection.map_err(|error| explain(error, &args.connection_name, &addon))?;
    }
    if args.output.json {
        printer.json(&targets)?;
        return Ok(ExitStatus::Success);
    }
    if targets.is_empty() {
        printer.data(&format!("There are no data action targets in {}.", args.connection_name))?;
        return Ok(ExitStatus::Success);
    }
    let mut table = Table::new(&["API Name", "Label", "Path", "App", "status"]);
    for target in &targets {
        table.row([
            target.api_name.clone(),
            target.label.clone(),
            target.target_endpoint.clone(),
            target.heroku_app.name.clone(),
            status_title(target.status.as_str()),
        ]);
    }
    printer.data(&format!("=== Data action targets in {}\n\n{table}", args.connection_name))?;
    Ok(ExitStatus::Success)
}

pub(crate) async fn info(
    args: OneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let found = client.data_action_targets(&args.connection_name).get(&args.api_name).await;
    let target = found.map_err(|error| of_one(error, &args, &addon))?;
    if args.output.json {
        printer.json(&target)?;
    } else {
        printer.data(&format!("=== {}\n\n{}", printable(&target.api_name), details(&target)))?;
    }
    if let Some(error) = &target.error {
        printer.warning(&printable(&error.message));
    }
    Ok(ExitStatus::Success)
}

fn details(target: &DataActionTarget) -> String {
    fields(&[
        ("App", Some(target.heroku_app.name.clone())),
        ("Created By", Some(target.created_by.clone())),
        ("Created Date", Some(target.created_at.to_string())),
        ("Endpoint", target.endpoint_url.clone()),
        ("ID", Some(target.id.to_string())),
        ("Label", Some(target.label.clone())),
        ("Last Modified", Some(target.last_modified_at.to_string())),
        ("Org ID", Some(target.org.id.clone()).filter(|id| !id.is_empty())),
        ("Path", Some(target.target_endpoint.clone())),
        ("Signing Key Created", target.signing_key_created_at.map(|time| time.to_string())),
        ("Status", Some(status_title(target.status.as_str()))),
        ("Type", Some(target.kind.clone())),
    ])
}

pub(crate) async fn rotate(
    args: OneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let asked = client.data_action_targets(&args.connection_name).rotate_signing_key(&args.api_name).await;
    let asked = asked.map_err(|error| of_one(error, &args, &addon))?;
    let before = asked.signing_key_created_at;
    let progress = printer.start(format!("Rotating the signing key of {}...", asked.api_name));
    let target = settled(&client, &args.connection_name, asked, &addon).await?;
    if target.signing_key_created_at == before {
        progress.finish("Failed");
        return Err(match &target.error {
            // Nobody knows which key the org signs with.
            Some(error) => CliError::refused(error.message.clone()),
            None => CliError::refused("the org made no new signing key; the present one still counts")
                .hint("try again in a while"),
        });
    }
    progress.finish("done");
    conclude(&target, &args.output, printer)
}

pub(crate) async fn remove(
    args: RemoveArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let one = &args.one;
    let addon = settings.addon(&one.addon).await?;
    let client = addon.client(printer)?;
    let warning = format!(
        "this removes the data action target {} from {}; what it delivers no longer arrives",
        one.api_name, one.connection_name
    );
    prompt::confirm(&one.api_name, args.confirm.as_deref(), &warning, printer)?;
    let progress = printer.start(format!("Removing {} from {}...", one.api_name, one.connection_name));
    let targets = client.data_action_targets(&one.connection_name);
    let asked = targets.remove(&one.api_name).await.map_err(|error| of_one(error, one, &addon))?;
    let look = async || match targets.get(&asked.api_name).await {
        Err(error) if error.is_not_found() => Ok(None),
        found => found.map(Some),
    };
    let is_over = |seen: &Option<DataActionTarget>| {
        seen.as_ref().is_none_or(|seen| seen.status != DataActionTargetStatus::Deleting)
    };
    match poll::until(look, is_over).await {
        Ok(Waited::Done(None)) => {
            progress.finish("done");
            if one.output.json {
                printer.json(&asked)?;
            }
            Ok(ExitStatus::Success)
        }
        Ok(Waited::Done(Some(kept))) => {
            progress.finish("Failed");
            Err(CliError::refused(kept.error.map_or_else(
                || format!("the data action target is {} again", kept.status.as_str()),
                |error| error.message,
            )))
        }
        Ok(Waited::Interrupted) => Err(interrupted(&asked, &one.connection_name)),
        Err(error) => Err(addon.explain(error)),
    }
}

/// A failed call about a connection.
pub(crate) fn explain(error: ClientError, connection: &str, addon: &Addon) -> CliError {
    if error.is_not_found() {
        return unknown_connection(connection, addon);
    }
    addon.explain(error)
}

fn of_one(error: ClientError, args: &OneArgs, addon: &Addon) -> CliError {
    if error.is_not_found() {
        let (name, connection) = (&args.api_name, &args.connection_name);
        return CliError::refused(format!("there is no data action target {name} in {connection}")).hint(
            format!("`applink datacloud:data-action-target:list --connection-name {connection}` lists them"),
        );
    }
    addon.explain(error)
}

fn unknown_connection(name: &str, addon: &Addon) -> CliError {
    CliError::refused(format!("Data Cloud connection {name} doesn't exist on app {}", addon.app_label()))
        .hint("`applink connections` lists the connections")
}
