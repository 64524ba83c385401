//! The run-time hand-out: the record with a live access token, for app code.
//!
//! The official SDKs read the token from any 2xx and look at nothing else, so what is not live is an error with a
//! sentence for them. The same path serves the CLI's polls; those ask by uuid, or bring `x-addon-sso` or an API key,
//! and get the record as it is.

use std::sync::Arc;

use applink_api::authorization::Authorization;
use applink_api::error::error_id;
use applink_api::ids::AddonId;
use applink_api::org::{OrgType, UserAuth};
use http::StatusCode;
use uuid::Uuid;

use super::{store, to_wire};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{Credential, State};
use crate::data_cloud;
use crate::db::StoreError;
use crate::error::ApiError;
use crate::tokens::{self, FreshToken, TokenError};

/// What app code gets.
pub(super) enum Answer {
    /// A live token.
    Token(Arc<Credential>, FreshToken),
    /// A poll by uuid of what is not live.
    Record(Arc<Credential>),
}

/// A live token of what `named` names. While the database is away, the one that was handed out before.
pub(super) async fn hand_out(app: &App, addon: AddonId, named: &str) -> Result<Answer, ApiError> {
    if app.handed_out.leaves_database_alone(app)
        && let Some(answer) = from_memory(app, addon, named)
    {
        return Ok(answer);
    }
    let generation = app.handed_out.generation();
    match read(app, addon, named).await {
        Err(TokenOrStore::Token(error)) if error.is_unavailable() => {
            from_memory(app, addon, named).ok_or_else(|| error.into())
        }
        Err(TokenOrStore::Store(error)) if error.is_unavailable() => {
            app.spool.failed(&error);
            app.handed_out.read_failed();
            from_memory(app, addon, named).ok_or_else(|| error.into())
        }
        Err(TokenOrStore::Token(error)) => {
            if error.means_gone() {
                app.handed_out.forget_name(addon, named);
            }
            Err(error.into())
        }
        Err(TokenOrStore::Store(error)) => Err(error.into()),
        Err(TokenOrStore::Refused(error)) => {
            app.handed_out.forget_name(addon, named);
            Err(error)
        }
        Ok(answer) => {
            match &answer {
                Answer::Token(credential, token) => {
                    app.handed_out.remember(named, credential, token, generation)
                }
                Answer::Record(credential) => app.handed_out.forget(credential.id),
            }
            Ok(answer)
        }
    }
}

fn from_memory(app: &App, addon: AddonId, named: &str) -> Option<Answer> {
    let found = app.handed_out.find(addon, named, app.clock.now())?;
    Some(Answer::Token(Arc::clone(&found.credential), found.token.clone()))
}

enum TokenOrStore {
    Token(TokenError),
    Store(StoreError),
    Refused(ApiError),
}

async fn read(app: &App, addon: AddonId, named: &str) -> Result<Answer, TokenOrStore> {
    let entry_comes = app.recorder.announce();
    let found = store::find_with_grant(app, addon, named).await.map_err(TokenOrStore::Store)?;
    drop(entry_comes);
    let Some((credential, grant)) = found.as_ref() else {
        return Err(TokenOrStore::Refused(ApiError::not_found()));
    };
    let credential = Arc::clone(credential);
    if credential.live().is_none() {
        let by_uuid = Uuid::parse_str(named).is_ok();
        return if by_uuid {
            Ok(Answer::Record(credential))
        } else {
            Err(TokenOrStore::Refused(not_live(&credential)))
        };
    }
    let token = match (credential.org_type, grant.as_ref()) {
        (OrgType::SalesforceOrg, grant) => tokens::fresh_access_token_of(app, &credential, grant).await,
        (OrgType::DataCloudOrg, Some(grant)) => data_cloud::token_of(app, &credential, grant).await,
        (OrgType::DataCloudOrg, None) => match tokens::live_grant(app, &credential).await {
            Ok(grant) => data_cloud::token_of(app, &credential, &grant).await,
            Err(error) => Err(error),
        },
    };
    Ok(Answer::Token(credential, token.map_err(TokenOrStore::Token)?))
}

/// Puts a live token into the record, once the audit log knows about it.
pub(super) async fn with_token(
    app: &App,
    actor: &Actor,
    credential: &Credential,
    token: FreshToken,
) -> Result<Authorization, ApiError> {
    let entry = Entry::new(actor, "authorization.handed_out", credential.addon, credential.id)
        .with_detail(&credential.name);
    app.recorder.record_read(entry, app.clock.now()).await.map_err(|error| {
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
                "The authorization `{name}` is disconnected: run `applink {}` to authorize again.",
                credential.command()
            ),
        ),
    }
}
