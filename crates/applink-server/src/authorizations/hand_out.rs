//! The run-time hand-out: the record with a live access token, for app code.
//!
//! The official SDKs read the token from any 2xx and look at nothing else, so what is not live is an error with a
//! sentence for them. The same path serves the CLI's polls; those ask by uuid, or bring `x-addon-sso` or an API key,
//! and get the record as it is.

use applink_api::authorization::Authorization;
use applink_api::error::error_id;
use applink_api::org::UserAuth;
use http::StatusCode;

use super::to_wire;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{Credential, State};
use crate::error::ApiError;
use crate::tokens::FreshToken;

/// Puts a live token into the record, once the audit log knows about it.
pub(super) async fn with_token(
    app: &App,
    actor: &Actor,
    credential: &Credential,
    token: FreshToken,
) -> Result<Authorization, ApiError> {
    let entry = Entry::new(actor, "authorization.handed_out", credential.addon, credential.id)
        .with_detail(&credential.name);
    app.recorder.record(entry).await.map_err(|error| {
        let message = "The audit log can't be written, so no token is handed out; try again in a moment.";
        ApiError::unavailable(message, std::time::Duration::from_secs(5)).caused_by(error)
    })?;
    let mut answer = to_wire(credential, None);
    token.instance.as_str().clone_into(&mut answer.org.instance_url);
    answer.org.user_auth = credential.live().map(|org| UserAuth {
        username: org.username.clone(),
        user_id: org.user_id.clone(),
        access_token: token.access_token,
    });
    Ok(answer)
}

/// The sentence for app code that asks for a token of something that is not live.
pub(super) fn not_live(credential: &Credential) -> ApiError {
    let name = &credential.name;
    let refuse = |id, message: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, id, message);
    match &credential.state {
        State::Dead { error, .. } => refuse(error_id::REAUTH_REQUIRED, error.message.clone()),
        State::Failed { error, .. } => refuse(error_id::AUTHENTICATION_FAILED, error.message.clone()),
        State::Pending { .. } => refuse(
            error_id::AUTHENTICATION_FAILED,
            format!("The authorization `{name}` waits for somebody to log in at the org."),
        ),
        State::Disconnecting(_) | State::Disconnected { .. } | State::Live(_) => refuse(
            error_id::REAUTH_REQUIRED,
            format!(
                "The authorization `{name}` is disconnected. Run `applink salesforce:authorizations:add {name}` to authorize again."
            ),
        ),
    }
}
