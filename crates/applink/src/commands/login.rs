//! `login` and `logout`: an add-on of a control plane without Heroku is remembered, so that later commands need no
//! environment.

use applink_api::client::Client;
use applink_api::ids::AppUuid;
use applink_api::operator::API_KEY_PREFIX;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::prompt;
use crate::settings::{Kept, Settings, login};

/// Far more than any key.
const MOST: u64 = 16 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// Address of the add-on: https://HOST/addons/UUID
    api_url: String,
    /// The app's uuid, which some commands need
    #[arg(long, value_name = "UUID")]
    app_id: Option<AppUuid>,
    /// The app's name, for messages
    #[arg(long, value_name = "NAME")]
    app_name: Option<String>,
    /// Keep the key in a file that only you can read, also where there is a keyring
    #[arg(long)]
    no_keyring: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// The key (an API key, or an add-on's token) is typed unseen, or read from standard input; it must work.
pub(crate) async fn login(
    args: LoginArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let key = read_key(printer).await?;
    let is_api_key = key.expose_secret().starts_with(API_KEY_PREFIX);
    let builder = Client::builder(&args.api_url).user_agent(concat!("applink/", env!("CARGO_PKG_VERSION")));
    let client =
        if is_api_key { builder.api_key(key.clone()) } else { builder.token(key.clone()) }.build()?;
    client
        .connections()
        .list()
        .await
        .map_err(|error| CliError::from(error).note("nothing was remembered"))?;

    let mut variables = vec![("HEROKU_APPLINK_API_URL", SecretString::from(args.api_url))];
    variables.push((if is_api_key { "APPLINK_API_KEY" } else { "HEROKU_APPLINK_TOKEN" }, key));
    variables.extend(args.app_id.map(|id| ("HEROKU_APP_ID", id.to_string().into())));
    variables.extend(args.app_name.map(|name| ("HEROKU_APP_NAME", name.into())));
    let wanted = if args.no_keyring { Kept::File } else { Kept::Keyring };
    let kept = login::write(settings.environment(), &variables, wanted)?;
    let place = if kept == Kept::Keyring { "the keyring" } else { "a file that only you can read" };
    if args.output.json {
        printer.json(&json!({"host": client.host(), "key_in_keyring": kept == Kept::Keyring}))?;
    } else {
        printer.note(&format!("Logged in to {}; the key is in {place}.", client.host()));
    }
    Ok(ExitStatus::Success)
}

pub(crate) fn logout(
    args: &LogoutArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let forgotten = login::forget(settings.environment())?;
    if args.output.json {
        printer.json(&json!({"forgotten": forgotten}))?;
    } else {
        printer.note(if forgotten { "Logged out." } else { "Nobody was logged in." });
    }
    Ok(ExitStatus::Success)
}

async fn read_key(printer: Printer) -> Result<SecretString, CliError> {
    let unreadable = |error| CliError::broken("the key can't be read").because(error);
    let text = if prompt::can_ask() {
        prompt::secret("API key or add-on token: ", printer)?
    } else {
        prompt::standard_input("the key", MOST, printer).await?.map_err(unreadable)?
    };
    let key = text.expose_secret().trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(CliError::refused("standard input holds no key")
            .hint("pipe it in: `printf '%s' \"$KEY\" | applink login URL`"));
    }
    Ok(key.to_owned().into())
}
