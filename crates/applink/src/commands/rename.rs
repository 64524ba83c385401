//! `rename`: a connection or an authorization, whichever has the name.

use super::{authorizations, connections};
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the connection or authorization
    name: String,
    /// Its name from now on: 3 to 30 letters, digits and single `_` or `-`, a letter first
    new_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let Args { name, new_name, addon: named, output } = args;
    let addon = settings.addon(&named).await?;
    let client = addon.client(printer)?;
    let connections = client.connections().list().await.map_err(|error| addon.explain(error))?;
    let authorizations = client.authorizations().list().await.map_err(|error| addon.explain(error))?;
    let has_name = |other: Option<&String>| other.is_some_and(|other| is_same(other, &name));
    let is_connection = connections.iter().any(|row| has_name(row.org.connection_name.as_ref()));
    let is_authorization = authorizations.iter().any(|row| has_name(row.org.developer_name.as_ref()));
    match (is_connection, is_authorization) {
        (true, false) => {
            let args = connections::rename::Args { connection_name: name, new_name, addon: named, output };
            connections::rename::run(args, settings, printer).await
        }
        (false, true) => {
            let args = authorizations::rename::Args {
                developer_name: name,
                new_name,
                alias: None,
                addon: named,
                output,
            };
            authorizations::rename::run(args, settings, printer).await
        }
        (true, true) => Err(CliError::refused(format!("a connection and an authorization are called {name}"))
            .hint(format!(
                "say which: `applink connections:rename {name} {new_name}` or `applink authorizations:rename {name} {new_name}`"
            ))),
        (false, false) => {
            Err(CliError::refused(format!("nothing is called {name} on {}", addon.app_label()))
                .hint("`applink connections` and `applink authorizations` list the names"))
        }
    }
}

/// `-` and `_` are equal in names.
fn is_same(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
}
