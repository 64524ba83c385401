//! `applink:authorizations:rename`: another name for a stored user.

use applink_api::authorization::UpdateAuthorization;
use applink_api::names::Alias;

use super::update;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::salesforce::new_name;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    pub(crate) developer_name: String,
    /// Its name from now on: 3 to 30 letters, digits and single `_` or `-`, a letter first
    pub(crate) new_name: String,
    /// Its second name from now on
    #[arg(long, value_name = "ALIAS")]
    pub(crate) alias: Option<String>,
    #[command(flatten)]
    pub(crate) addon: AddonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let new_name = new_name("developer name", &args.new_name)?.to_string();
    let alias = args.alias.as_deref().map(str::parse::<Alias>).transpose();
    let alias = alias.map_err(|error| CliError::refused(error.to_string()))?;
    let doing = format!("Renaming {} to {new_name}...", args.developer_name);
    let change = UpdateAuthorization {
        developer_name: Some(new_name),
        alias: alias.map(|alias| alias.as_str().to_owned()),
        ..UpdateAuthorization::default()
    };
    update(&args.developer_name, &args.addon, &args.output, doing, change, settings, printer).await
}
