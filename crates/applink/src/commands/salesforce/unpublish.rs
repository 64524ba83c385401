//! `salesforce:unpublish`: takes a published app out of an org.

use applink_api::client::{Client, ClientError};
use applink_api::names::look_up_key;
use applink_api::publication::{Publication, RemovalStatus};

use super::connect::interrupted_change;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::prompt;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the app in the org
    client_name: String,
    /// Connected org to take it out of
    #[arg(long, value_name = "NAME")]
    connection_name: String,
    /// The app's name in the org, to answer the confirmation beforehand
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let (name, connection) = (&args.client_name, &args.connection_name);
    let addon = settings.addon(&args.addon).await?;
    let app = addon.app_id()?;
    let client = addon.client(printer)?;
    let warning = format!("this removes {name} and everything made for it from the org of {connection}");
    prompt::confirm(name, args.confirm.as_deref(), &warning, printer)?;

    let progress = printer.start(format!("Removing {name} from {connection}..."));
    let started = client.publications().remove(connection, app, name).await;
    started.map_err(|error| failed(error, name, &addon))?;
    let look = async || find(&client, connection, app, name).await;
    let settled = |seen: &Option<Publication>| seen.as_ref().is_none_or(|one| !is_going_on(one));
    match poll::until(look, settled).await {
        Ok(Waited::Done(None)) => {
            progress.finish("done");
            if args.output.json {
                printer.json(&serde_json::json!({"client_name": name, "removed": true}))?;
            }
            Ok(ExitStatus::Success)
        }
        Ok(Waited::Done(Some(publication))) => Err(refused(name, &publication)),
        Ok(Waited::Interrupted) => Err(interrupted_change(&addon, "remove the app", "applink publications")),
        Err(error) => Err(addon.explain(error)),
    }
}

fn is_going_on(publication: &Publication) -> bool {
    publication.removal.as_ref().is_some_and(|removal| removal.status == RemovalStatus::Removing)
}

async fn find(
    client: &Client,
    connection: &str,
    app: applink_api::ids::AppUuid,
    name: &str,
) -> Result<Option<Publication>, ClientError> {
    let all = client.publications().list(connection, app).await?;
    Ok(all.into_iter().find(|publication| look_up_key(&publication.esr_name) == look_up_key(name)))
}

fn failed(error: ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() {
        return CliError::refused(format!("{name} isn't published there"))
            .hint("`applink publications` lists what is published");
    }
    addon.explain(error)
}

fn refused(name: &str, publication: &Publication) -> CliError {
    let reason = publication.removal.as_ref().and_then(|removal| removal.error.as_ref());
    let reason = reason.map_or_else(|| "the org gave no reason".to_owned(), |error| error.message.clone());
    CliError::refused(format!("{name} is still published: {reason}"))
}
