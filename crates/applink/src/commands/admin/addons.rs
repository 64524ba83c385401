//! `admin:addons…`. Of a new add-on or attachment the app's config vars go to standard output as assignments, so that
//! they can be appended to a file; the token is shown this one time.

use applink_api::operator::{
    AddonInfo, AttachmentInfo, CreateAddon, CreateAttachment, ProvisionedAddon, Removal,
};
use secrecy::ExposeSecret as _;

use super::{ServerArgs, removals};
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, Table};
use crate::prompt;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DetachArgs {
    /// Name or uuid of the add-on
    addon: String,
    /// App to detach it from, by name or uuid
    #[arg(short, long, value_name = "APP")]
    app: String,
    /// Prefix of the app's config vars, when it is attached there more than once
    #[arg(long = "as", value_name = "PREFIX")]
    attachment: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DestroyArgs {
    /// Name or uuid of the add-on
    addon: String,
    /// The add-on's name, to answer the confirmation beforehand
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
    /// Wait until its grants are revoked and everything is erased
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// App to attach it to, by name or uuid
    #[arg(short, long, value_name = "APP")]
    app: String,
    /// Prefix of the app's config vars [default: HEROKU_APPLINK]
    #[arg(long = "as", value_name = "PREFIX")]
    attachment: Option<String>,
    /// Name of the add-on; one is made up when there is none
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AttachArgs {
    /// Name or uuid of the add-on
    addon: String,
    /// App to attach it to, by name or uuid
    #[arg(short, long, value_name = "APP")]
    app: String,
    /// Prefix of the app's config vars [default: HEROKU_APPLINK]
    #[arg(long = "as", value_name = "PREFIX")]
    attachment: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn create(
    args: CreateArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let request = CreateAddon { app: args.app, attachment: args.attachment, name: args.name };
    let progress = printer.start(format!("Creating an AppLink add-on on {}...", request.app));
    let created = control_plane.client().operator().create_addon(&request).await;
    let addon = created.map_err(|error| control_plane.explain(error))?;
    progress.finish(&format!("{} created", addon.name));
    show(&addon, args.output.json, printer)
}

pub(crate) async fn attach(
    args: AttachArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let request = CreateAttachment { app: args.app, name: args.attachment };
    let progress = printer.start(format!("Attaching {} to {}...", args.addon, request.app));
    let attached = control_plane.client().operator().attach_addon(&args.addon, &request).await;
    let addon = attached.map_err(|error| control_plane.explain(error))?;
    progress.finish("done");
    show(&addon, args.output.json, printer)
}

fn show(addon: &ProvisionedAddon, json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    if json {
        printer.json(addon)?;
        return Ok(ExitStatus::Success);
    }
    printer.data(&format!("{}_API_URL={}", addon.attachment, addon.api_url))?;
    printer.data(&format!("{}_TOKEN={}", addon.attachment, addon.token.expose_secret()))?;
    printer.data(&format!("HEROKU_APP_ID={}", addon.app.id))?;
    printer.note("The token is shown only now.");
    Ok(ExitStatus::Success)
}

pub(crate) async fn list(
    args: ListArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let found = control_plane.client().operator().list_addons().await;
    let addons = found.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&addons)?;
    } else if addons.is_empty() {
        printer.data("There are no add-ons yet.")?;
    } else {
        printer.data(&table(addons).to_string())?;
    }
    Ok(ExitStatus::Success)
}

fn table(addons: Vec<AddonInfo>) -> Table {
    let mut table = Table::new(&["Add-on", "ID", "Attached to"]);
    for addon in addons {
        let places: Vec<String> = addon
            .attachments
            .iter()
            .map(|attachment| format!("{} as {}", attachment.app.name, attachment.name))
            .collect();
        table.row([addon.name, addon.id.to_string(), places.join(", ")]);
    }
    table
}

pub(crate) async fn detach(
    args: DetachArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let operator = control_plane.client().operator();
    let found = operator.addon(&args.addon).await;
    let addon = found.map_err(|error| {
        if error.is_not_found() { unknown(&args.addon) } else { control_plane.explain(error) }
    })?;
    let attachment = meant(&addon, &args)?;
    let progress = printer.start(format!("Detaching {} from {}...", addon.name, attachment.app.name));
    let gone = operator.detach_addon(&addon.id.to_string(), attachment.id).await;
    gone.map_err(|error| control_plane.explain(error))?;
    progress.finish("done");
    printer.note(&format!("Its token is void: remove {0}_API_URL and {0}_TOKEN.", attachment.name));
    if args.output.json {
        printer.json(attachment)?;
    }
    Ok(ExitStatus::Success)
}

fn unknown(addon: &str) -> CliError {
    CliError::refused(format!("there is no add-on {addon}")).hint("`applink admin addons` lists them")
}

/// The one attachment on the app, or the one with the prefix.
fn meant<'a>(addon: &'a AddonInfo, args: &DetachArgs) -> Result<&'a AttachmentInfo, CliError> {
    let on_app = |found: &&AttachmentInfo| found.app.name == args.app || found.app.id.to_string() == args.app;
    let named = |found: &&AttachmentInfo| args.attachment.as_ref().is_none_or(|name| *name == found.name);
    let mut all = addon.attachments.iter().filter(on_app).filter(named);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            Err(CliError::refused(format!("{} isn't attached to {} like that", addon.name, args.app))
                .hint("`applink admin addons` lists where it is"))
        }
        (Some(first), Some(second)) => {
            let message = format!("{} is attached to {} more than once", addon.name, args.app);
            Err(CliError::refused(message)
                .hint(format!("say which: --as {} or --as {}", first.name, second.name)))
        }
    }
}

pub(crate) async fn destroy(
    args: DestroyArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let operator = control_plane.client().operator();
    let found = operator.addon(&args.addon).await;
    let addon = found.map_err(|error| {
        if error.is_not_found() { unknown(&args.addon) } else { control_plane.explain(error) }
    })?;
    let warning =
        format!("this destroys {} with all its connections, authorizations and publications", addon.name);
    prompt::confirm(&addon.name, args.confirm.as_deref(), &warning, printer)?;
    let progress = printer.start(format!("Destroying {}...", addon.name));
    let begun = operator.destroy_addon(&addon.id.to_string()).await;
    let mut removal = begun.map_err(|error| control_plane.explain(error))?;
    if args.wait {
        let look = async || operator.removal(addon.id).await;
        let is_over = |removal: &Removal| removal.finished_at.is_some();
        match poll::until(look, is_over).await.map_err(|error| control_plane.explain(error))? {
            Waited::Done(done) => removal = done,
            Waited::Interrupted => {
                return Err(CliError::interrupted("stopped waiting; the removal goes on")
                    .hint("`applink admin removals` tells how it goes"));
            }
        }
    }
    progress.finish(if removal.finished_at.is_some() { "gone" } else { "out of use" });
    removals::show(&removal, args.output.json, printer)
}
