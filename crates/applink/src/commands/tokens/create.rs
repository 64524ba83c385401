//! `applink:tokens:create`: an API key of one's own. It goes to standard output, alone.

use applink_api::client::ClientError;
use applink_api::operator::CreateOwnApiKey;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Days until the key ends by itself, up to 365 [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=365))]
    expires_in_days: Option<u16>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon_of_person(&args.addon).await?;
    let request = CreateOwnApiKey { expires_in_days: args.expires_in_days };
    let made = addon.client(printer)?.keys().create(request).await.map_err(|error| refused(error, &addon))?;
    if args.output.json {
        printer.json(&made)?;
    } else {
        printer.data(made.key.expose_secret())?;
        printer.note("The key is shown only now; set it as APPLINK_API_KEY.");
    }
    Ok(ExitStatus::Success)
}

/// Neither a key nor the add-on's token makes keys: who does, and how.
fn refused(error: ClientError, addon: &Addon) -> CliError {
    let key = addon.key();
    let is_nobody = match error.status() {
        Some(403) => key.is_some(),
        Some(401) => key.is_none(),
        _ => false,
    };
    let told = addon.explain(error);
    if !is_nobody || addon.is_at_heroku() {
        return told;
    }
    let has = key.unwrap_or_else(|| "the add-on's token".to_owned());
    let server = Url::parse(addon.api_url()).map(|url| url.origin().ascii_serialization());
    let id = addon.id().map_or_else(|| "UUID".to_owned(), |id| id.to_string());
    told.note(format!("this was asked with {has}, which is no person"))
        .note(format!(
            "at Heroku, Heroku says who you are: `export HEROKU_API_KEY=$(heroku auth:token)`, then `applink tokens:create --app {}`",
            addon.app_label()
        ))
        .note(format!(
            "with an OpenID provider: sign in at {}/sso/openid, then Settings, Tokens",
            server.unwrap_or_default()
        ))
        .hint(format!(
            "elsewhere whoever runs the server makes you one: `applink admin keys create --owner YOUR-E-MAIL --addon {id}`"
        ))
}
