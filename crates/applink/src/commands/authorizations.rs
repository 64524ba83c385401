//! `applink:authorizations…`: one file per command, and what they share.

pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod reconnect;
pub(crate) mod refresh;
pub(crate) mod rename;
pub(crate) mod rotate_key;
pub(crate) mod test;

use applink_api::authorization::{Authorization, UpdateAuthorization};
use applink_api::client::ClientError;

use super::salesforce::connect::interrupted_change;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::{Addon, Settings};

/// Changes the authorization that is called `name`.
async fn update(
    name: &str,
    addon: &AddonArgs,
    output: &OutputArgs,
    doing: String,
    change: UpdateAuthorization,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(addon).await?;
    let client = addon.client(printer)?;
    let progress = printer.start(doing);
    match poll::interruptible(client.authorizations().update(name, &change)).await {
        Waited::Done(Ok(authorization)) => {
            progress.finish("done");
            if output.json {
                printer.json(&without_credential(authorization))?;
            }
            Ok(ExitStatus::Success)
        }
        Waited::Done(Err(error)) => Err(failed(error, name, &addon)),
        Waited::Interrupted => {
            let look = format!("applink authorizations:info {name}");
            Err(interrupted_change(&addon, "change the authorization", &look))
        }
    }
}

fn failed(error: ClientError, name: &str, addon: &Addon) -> CliError {
    if error.is_not_found() { unknown(name, addon) } else { addon.explain(error) }
}

/// Reading one by name answers a live token as well, which is for apps: it never reaches the output. The user's
/// name, which the hand-out carries beside the token, is kept.
pub(crate) fn without_credential(mut authorization: Authorization) -> Authorization {
    if let Some(credential) = authorization.org.user_auth.take() {
        authorization.org.username.get_or_insert(credential.username);
        authorization.org.user_id.get_or_insert(credential.user_id);
    }
    authorization
}

/// There is no authorization of that name.
pub(crate) fn unknown(name: &str, addon: &Addon) -> CliError {
    CliError::refused(format!("developer name {name} doesn't exist on app {}", addon.app_label()))
        .hint("`applink authorizations` lists the stored users")
}
