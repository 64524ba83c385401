//! `salesforce:publications`.

use applink_api::client::Client;
use applink_api::connection::{Connection, ConnectionStatus};
use applink_api::org::OrgType;
use applink_api::publication::Publication;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::connections::unknown;
use crate::error::{CliError, ExitStatus};
use crate::printer::{Printer, Table, printable};
use crate::settings::{Addon, Settings};

/// The official ones, and the name that `unpublish` and `publications:history` take.
const COLUMNS: [&str; 7] = [
    "Connection Name",
    "Created By",
    "Created Date",
    "Last Modified",
    "Last Modified By",
    "Org ID",
    "Client Name",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the publications of this connection
    #[arg(long, alias = "connection_name", value_name = "NAME")]
    connection_name: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let connections = candidates(&args, &addon, &client).await?;
    let publications = publications(&connections, &addon, &client).await?;
    if args.output.json {
        printer.json(&publications)?;
    } else if publications.is_empty() {
        printer.data(&format!("You haven't published {} to a Salesforce org yet.", addon.app_label()))?;
    } else {
        printer.data(&format!(
            "=== Salesforce publications for app {}\n\n{}",
            addon.app_label(),
            table(&publications)
        ))?;
        for publication in publications.iter().filter(|publication| publication.removed_at.is_some()) {
            printer.warning(&format!(
                "somebody deleted {} in the org of {}; publish it again, or take it off the list with \
                 `applink unpublish`",
                printable(&publication.esr_name),
                printable(&publication.connection_name)
            ));
        }
    }
    Ok(ExitStatus::Success)
}

/// Connected Salesforce orgs: only those can have publications.
async fn candidates(args: &Args, addon: &Addon, client: &Client) -> Result<Vec<Connection>, CliError> {
    let mut connections = match &args.connection_name {
        Some(name) => vec![match client.connections().get(name).await {
            Err(error) if error.is_not_found() => return Err(unknown(name, addon)),
            other => other.map_err(|error| addon.explain(error))?,
        }],
        None => client.connections().list().await.map_err(|error| addon.explain(error))?,
    };
    let connect = "connect an org with `applink salesforce:connect`";
    if connections.is_empty() {
        return Err(CliError::refused(format!("there are no AppLink connections for {}", addon.app_label()))
            .hint(connect));
    }
    connections.retain(|connection| {
        connection.org.kind == OrgType::SalesforceOrg && connection.status == ConnectionStatus::Connected
    });
    if connections.is_empty() {
        return Err(CliError::refused(format!(
            "there are no active AppLink connections for {}",
            addon.app_label()
        ))
        .hint(connect));
    }
    Ok(connections)
}

async fn publications(
    connections: &[Connection],
    addon: &Addon,
    client: &Client,
) -> Result<Vec<Publication>, CliError> {
    let app = addon.app_id()?;
    let mut publications = Vec::new();
    for name in connections.iter().filter_map(|connection| connection.org.connection_name.as_deref()) {
        publications
            .extend(client.publications().list(name, app).await.map_err(|error| addon.explain(error))?);
    }
    Ok(publications)
}

fn table(publications: &[Publication]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for publication in publications {
        table.row([
            publication.connection_name.clone(),
            publication.created_by.clone(),
            publication.created_at.to_string(),
            publication.last_modified_at.to_string(),
            publication.last_modified_by.clone(),
            publication.org_id.clone(),
            publication.esr_name.clone(),
        ]);
    }
    table
}
