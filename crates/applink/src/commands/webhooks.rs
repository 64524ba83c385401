//! `applink:webhooks…`: who is told what happens to connections, authorizations and publications.

use applink_api::client::ClientError;
use applink_api::webhook::{
    CreateWebhook, RotateSecret, UpdateWebhook, Webhook, WebhookDelivery, WebhookWithSecret,
};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::salesforce::status_title;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table, fields, printable};
use crate::prompt;
use crate::settings::{Addon, Settings};

/// The commands.
#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// List who is told what happens
    #[command(name = "applink:webhooks", visible_alias = "webhooks", aliases = ["applink:webhooks:list", "webhooks:list"])]
    List(ListArgs),
    /// Have events sent to a URL, signed
    #[command(name = "applink:webhooks:create", visible_alias = "webhooks:create")]
    Create(CreateArgs),
    /// Show one webhook
    #[command(name = "applink:webhooks:show", visible_alias = "webhooks:show", aliases = ["applink:webhooks:info", "webhooks:info"])]
    Show(OneArgs),
    /// Change where events go, or which, or whether
    #[command(name = "applink:webhooks:update", visible_alias = "webhooks:update")]
    Update(UpdateArgs),
    /// Remove a webhook
    #[command(name = "applink:webhooks:remove", visible_alias = "webhooks:remove")]
    Remove(RemoveArgs),
    /// Give a webhook a new secret
    #[command(name = "applink:webhooks:rotate-secret", visible_alias = "webhooks:rotate-secret")]
    RotateSecret(RotateArgs),
    /// Send a webhook a test
    #[command(name = "applink:webhooks:test", visible_alias = "webhooks:test")]
    Test(OneArgs),
    /// List what was delivered to a webhook, and how often it was tried
    #[command(name = "applink:webhooks:deliveries", visible_alias = "webhooks:deliveries")]
    Deliveries(OneArgs),
}

/// Runs one of them.
pub(crate) async fn dispatch(
    command: Command,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    match command {
        Command::List(args) => list(args, settings, printer).await,
        Command::Create(args) => create(args, settings, printer).await,
        Command::Show(args) => show(args, settings, printer).await,
        Command::Update(args) => update(args, settings, printer).await,
        Command::Remove(args) => remove(args, settings, printer).await,
        Command::RotateSecret(args) => rotate(args, settings, printer).await,
        Command::Test(args) => test(args, settings, printer).await,
        Command::Deliveries(args) => deliveries(args, settings, printer).await,
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

// Which one, for the commands that need no more.
#[derive(Debug, clap::Args)]
pub(crate) struct OneArgs {
    /// ID of the webhook
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Where events go: a public https URL
    url: String,
    /// Event types such as `connection.failed` or `connection.*`, separated by commas [default: all]
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {
    /// ID of the webhook
    #[arg(value_name = "ID")]
    id: Uuid,
    /// Where events go from now on
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Event types from now on, separated by commas; `all` for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// What it is for; empty removes it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Switch it on
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Switch it off; what is still to be delivered is given up
    #[arg(long)]
    disable: bool,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    one: OneArgs,
    /// The webhook's ID, to answer the confirmation beforehand
    #[arg(short, long, value_name = "ID")]
    confirm: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// How long the former secret signs too, in hours, up to 168 [default: 24]
    #[arg(long, value_name = "HOURS")]
    overlap: Option<u32>,
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let webhooks = addon.client(printer)?.webhooks().list().await.map_err(|error| addon.explain(error))?;
    if args.output.json {
        printer.json(&webhooks)?;
        return Ok(ExitStatus::Success);
    }
    if webhooks.is_empty() {
        printer.data(&format!("There are no webhooks for add-on {}.", addon.label()))?;
        return Ok(ExitStatus::Success);
    }
    let mut table = Table::new(&["ID", "URL", "Events", "status"]);
    for webhook in &webhooks {
        table.row([webhook.id.to_string(), webhook.url.clone(), events(webhook), state(webhook).to_owned()]);
    }
    printer.data(&format!("=== Webhooks of add-on {}\n\n{table}", addon.label()))?;
    Ok(ExitStatus::Success)
}

pub(crate) async fn create(
    args: CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let request = CreateWebhook { url: args.url, event_types: args.events, description: args.description };
    let made =
        addon.client(printer)?.webhooks().create(&request).await.map_err(|error| addon.explain(error))?;
    with_secret(&made, &args.output, printer)
}

pub(crate) async fn show(
    args: OneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let found = addon.client(printer)?.webhooks().get(args.id).await;
    one(&found.map_err(|error| explain(error, args.id, &addon))?, &args.output, printer)
}

pub(crate) async fn update(
    args: UpdateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let request = UpdateWebhook {
        url: args.url,
        event_types: args.events.map(|mut events| {
            events.retain(|event| event != "all");
            events
        }),
        description: args.description,
        enabled: (args.enable || args.disable).then_some(args.enable),
    };
    let changed = addon.client(printer)?.webhooks().update(args.id, &request).await;
    one(&changed.map_err(|error| explain(error, args.id, &addon))?, &args.output, printer)
}

pub(crate) async fn remove(
    args: RemoveArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.one.addon).await?;
    let client = addon.client(printer)?;
    let id = args.one.id;
    let warning = format!("this removes the webhook {id} and what is still to be delivered to it");
    prompt::confirm(&id.to_string(), args.confirm.as_deref(), &warning, printer)?;
    let progress = printer.start(format!("Removing webhook {id}..."));
    let removed = client.webhooks().remove(id).await.map_err(|error| explain(error, id, &addon))?;
    progress.finish("done");
    if args.one.output.json {
        printer.json(&removed)?;
    }
    Ok(ExitStatus::Success)
}

pub(crate) async fn rotate(
    args: RotateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.one.addon).await?;
    let id = args.one.id;
    let request = RotateSecret { overlap_hours: args.overlap };
    let rotated = addon.client(printer)?.webhooks().rotate_secret(id, request).await;
    with_secret(&rotated.map_err(|error| explain(error, id, &addon))?, &args.one.output, printer)
}

pub(crate) async fn test(
    args: OneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let sent = addon.client(printer)?.webhooks().test(args.id).await;
    let delivery = sent.map_err(|error| explain(error, args.id, &addon))?;
    if args.output.json {
        printer.json(&delivery)?;
    } else {
        printer.data(&format!("A test is on its way as {}.", delivery.event_id))?;
        printer.note(&format!("`applink webhooks:deliveries {}` tells what came of it.", args.id));
    }
    Ok(ExitStatus::Success)
}

pub(crate) async fn deliveries(
    args: OneArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let found = addon.client(printer)?.webhooks().deliveries(args.id).await;
    let deliveries = found.map_err(|error| explain(error, args.id, &addon))?;
    if args.output.json {
        printer.json(&deliveries)?;
        return Ok(ExitStatus::Success);
    }
    if deliveries.is_empty() {
        printer.data("Nothing was to be delivered yet.")?;
        return Ok(ExitStatus::Success);
    }
    let mut table = Table::new(&["Event", "Type", "Date", "status", "Attempts", "Last outcome"]);
    for delivery in &deliveries {
        table.row(row(delivery));
    }
    printer.data(&table.to_string())?;
    Ok(ExitStatus::Success)
}

fn row(delivery: &WebhookDelivery) -> [String; 6] {
    let last = delivery.attempts.last().map(|attempt| attempt.outcome.clone());
    [
        delivery.event_id.clone(),
        delivery.event_type.clone(),
        delivery.created_at.to_string(),
        status_title(delivery.status.as_str()),
        delivery.attempts.len().to_string(),
        last.unwrap_or_default(),
    ]
}

fn events(webhook: &Webhook) -> String {
    if webhook.event_types.is_empty() { "all".to_owned() } else { webhook.event_types.join(", ") }
}

fn state(webhook: &Webhook) -> &'static str {
    match (webhook.enabled, &webhook.failing_since) {
        (false, _) => "Off",
        (true, Some(_)) => "Failing",
        (true, None) => "On",
    }
}

fn one(webhook: &Webhook, output: &OutputArgs, printer: Printer) -> Result<ExitStatus, CliError> {
    if output.json {
        printer.json(webhook)?
    } else {
        printer.data(&details(webhook))?
    }
    if let Some(reason) = &webhook.disabled_reason {
        printer.warning(&format!("it was switched off: {}", printable(reason)));
        printer.note(&format!("`applink webhooks:update {} --enable` switches it on again.", webhook.id));
    }
    Ok(ExitStatus::Success)
}

/// The secret goes to standard output, this one time.
fn with_secret(
    made: &WebhookWithSecret,
    output: &OutputArgs,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    if output.json {
        printer.json(made)?;
        return Ok(ExitStatus::Success);
    }
    let secret = made.secret.expose_secret();
    printer.data(&format!(
        "{}\n{}",
        details(&made.webhook),
        fields(&[("Secret", Some(secret.to_owned()))])
    ))?;
    printer.note("The secret is shown only now; the receiver verifies signatures with it.");
    Ok(ExitStatus::Success)
}

fn details(webhook: &Webhook) -> String {
    fields(&[
        ("ID", Some(webhook.id.to_string())),
        ("URL", Some(webhook.url.clone())),
        ("Events", Some(events(webhook))),
        ("Description", webhook.description.clone()),
        ("Status", Some(state(webhook).to_owned())),
        ("Failing Since", webhook.failing_since.map(|time| time.to_string())),
        ("Former Secret Until", webhook.former_secret_until.map(|time| time.to_string())),
        ("Created By", Some(webhook.created_by.clone())),
        ("Created Date", Some(webhook.created_at.to_string())),
    ])
}

fn explain(error: ClientError, id: Uuid, addon: &Addon) -> CliError {
    if error.is_not_found() {
        return CliError::refused(format!("there is no webhook {id} for add-on {}", addon.label()))
            .hint("`applink webhooks` lists them");
    }
    addon.explain(error)
}
