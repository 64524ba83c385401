//! `salesforce:authorizations:remove`.

use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::authorizations::unknown;
use crate::commands::salesforce::connect::interrupted_change;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::prompt;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    /// The developer name, to answer the confirmation beforehand
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = &args.developer_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let warning = format!("this removes the {name} credentials from app {}", addon.app_label());
    prompt::confirm(name, args.confirm.as_deref(), &warning, printer)?;

    let progress = printer.start(format!("Removing credentials {name} from {}...", addon.app_label()));
    match poll::interruptible(client.authorizations().remove(name)).await {
        Waited::Done(Ok(())) => {
            progress.finish("done");
            if args.output.json {
                printer.json(&serde_json::json!({"developer_name": name, "removed": true}))?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) if error.is_not_found() => Err(unknown(name, &addon)),
        Waited::Done(Err(error)) => Err(addon.explain(error)),
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "remove the user", &format!("applink authorizations:info {name}")))
        }
    }
}
