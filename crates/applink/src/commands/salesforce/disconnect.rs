//! `salesforce:disconnect` and `datacloud:disconnect`.

use applink_api::client::Client;
use applink_api::org::OrgType;
use applink_api::publication::Publication;

use super::connect::interrupted_change;
use super::{product, status_title};
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::connections::unknown;
use crate::commands::datacloud::data_action_target::explain;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, printable};
use crate::prompt;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection
    connection_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    /// The connection's name, to answer the confirmation beforehand
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(
    org_type: OrgType,
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let name = &args.connection_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let mut warning =
        format!("this disconnects {name} from add-on {} on app {}", addon.label(), addon.app_label());
    if org_type == OrgType::DataCloudOrg {
        let targets = client.data_action_targets(name).list().await;
        let targets = targets.map_err(|error| explain(error, name, &addon))?;
        let labels: Vec<String> = targets.iter().map(|target| printable(&target.label)).collect();
        if !labels.is_empty() {
            warning = format!("{warning} and removes its data action targets: {}", labels.join(", "));
        }
    }
    prompt::confirm(name, args.confirm.as_deref(), &warning, printer)?;

    let staying = match org_type {
        OrgType::SalesforceOrg => published(&client, &addon, name).await,
        OrgType::DataCloudOrg => Vec::new(),
    };
    let progress = printer.start(format!(
        "Disconnecting {} connection {name} from {}...",
        product(org_type),
        addon.app_label()
    ));
    match poll::interruptible(client.connections().disconnect(name)).await {
        Waited::Done(Ok(connection)) => {
            progress.finish(&status_title("disconnected"));
            tell_what_stays(&staying, printer);
            if let (true, Some(connection)) = (args.output.json, connection) {
                printer.json(&connection)?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) if error.is_not_found() => Err(match org_type {
            OrgType::SalesforceOrg => unknown(name, &addon),
            OrgType::DataCloudOrg => explain(error, name, &addon),
        }),
        Waited::Done(Err(error)) => Err(addon.explain(error)),
        Waited::Interrupted => {
            Err(interrupted_change(&addon, "disconnect the org", &format!("applink connections:info {name}")))
        }
    }
}

/// What this app has published through the connection, as far as it can be told: a disconnect leaves it in the org.
async fn published(client: &Client, addon: &Addon, connection: &str) -> Vec<Publication> {
    let Ok(app) = addon.app_id() else { return Vec::new() };
    let mut listed = client.publications().list(connection, app).await.unwrap_or_default();
    listed.retain(|publication| publication.removed_at.is_none());
    listed
}

fn tell_what_stays(staying: &[Publication], printer: Printer) {
    for publication in staying {
        let (name, org) = (printable(&publication.esr_name), printable(&publication.org_id));
        printer.warning(&format!("{name} stays in org {org}, and nothing can be published there any more:"));
        for component in &publication.components {
            printer.note(&format!("  {} {}", printable(&component.kind), printable(&component.name)));
        }
    }
    if !staying.is_empty() {
        printer.note(
            "connect the org again to publish or `applink unpublish` them, or delete them in its Setup",
        );
    }
}
