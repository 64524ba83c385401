//! `admin:addons:create` and `admin:addons:attach`. The app's config vars go to standard output as assignments, so
//! that they can be appended to a file; the token is shown this one time.

use applink_api::operator::{CreateAddon, CreateAttachment, ProvisionedAddon};
use secrecy::ExposeSecret as _;

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

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
