//! JWT bearer (RFC 7523): no browser. The key is read, an assertion signed, and the org's answer treated as in steps
//! 6 and 7. Nothing is written unless the org accepts: a refused JWT leaves no row.

use applink_api::connection::ConnectionMethod;
use applink_api::ids::AddonId;
use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::{Assertion, KeyError, Outcome, SigningKey, Tokens};
use http::StatusCode;
use secrecy::SecretString;

use super::complete::{drop_tokens, live_entry};
use super::identify::{ConnectError, ensure_same_org, identify};
use super::store;
use crate::addons;
use crate::app::App;
use crate::credentials::begin::Asked;
use crate::credentials::{self, Credential, OrgUser, State, flow};
use crate::db::{RowId, Tx};
use crate::error::ApiError;
use crate::tokens;
use crate::tokens::store::NewGrant;
use crate::vault::{Place, SealedToken};
use crate::web::auth::RequireManager;

/// What a JWT request brings besides name and login URL.
#[derive(Clone, Debug)]
pub struct JwtCredentials {
    /// Consumer key of the org's external client app.
    pub client_id: String,
    /// The user to act as.
    pub username: String,
    /// PEM.
    pub private_key: SecretString,
}

/// Connects or authorizes with a JWT.
///
/// # Errors
/// 409 when the name is alive; 422 when the key is not one, or the org refuses, with the sentence that names the
/// fix; 502 when the login host can't be reached.
pub async fn connect(
    app: &App,
    manager: RequireManager,
    asked: Asked,
    given: JwtCredentials,
) -> Result<Credential, ApiError> {
    // The org is not troubled for a name that can't be had.
    asked.existing(app.store.reader(), &manager).await?;
    let task = app.clone();
    let work = async move {
        let (tokens, org) = tokens_and_user(&task, &asked.login, &given).await.map_err(refusal)?;
        settle(&task, &manager, &asked, given, tokens, org).await
    };
    app.finish(work).await.unwrap_or_else(|| Err(ApiError::internal("the log-in's task ended early")))
}

pub(super) async fn tokens_and_user(
    app: &App,
    login: &OrgOrigin,
    given: &JwtCredentials,
) -> Result<(Tokens, OrgUser), ConnectError> {
    let request = AssertionRequest {
        client_id: given.client_id.clone(),
        username: given.username.clone(),
        login: login.clone(),
    };
    let assertion = assert(app, request, given.private_key.clone()).await.map_err(ConnectError::Key)?;
    let tokens = app.oauth.jwt_bearer(&assertion).await.map_err(ConnectError::Tokens)?;
    match identify(app, login, &tokens).await {
        Ok(org) => Ok((tokens, org)),
        Err(error) => {
            drop_tokens(app, &tokens).await;
            Err(error)
        }
    }
}

/// 422 rather than 401: the official CLI takes a 401 for a bad Heroku API key.
pub(super) fn refusal(error: ConnectError) -> ApiError {
    if let ConnectError::Key(_) = &error {
        return ApiError::invalid_field("$.jwt_private_key", error.sentence()).caused_by(error);
    }
    let unreachable = match &error {
        ConnectError::Tokens(failure) => {
            failure.outcome() == Outcome::NotSent || failure.outcome() == Outcome::Unknown
        }
        ConnectError::Org(error) => matches!(error, applink_salesforce::OrgError::Send(_)),
        _ => false,
    };
    let sentence = error.sentence();
    if unreachable {
        return ApiError::org_unreachable(sentence).caused_by(error);
    }
    let id = applink_api::error::error_id::AUTHENTICATION_FAILED;
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, id, sentence).caused_by(error)
}

/// Tokens that do not become a grant are revoked.
async fn settle(
    app: &App,
    manager: &RequireManager,
    asked: &Asked,
    given: JwtCredentials,
    tokens: Tokens,
    org: OrgUser,
) -> Result<Credential, ApiError> {
    match write(app, manager, asked, &given, &tokens, org).await {
        Ok((tx, credential)) => {
            tx.commit().await?;
            app.nudges.nudge();
            Ok(credential)
        }
        Err(error) => {
            drop_tokens(app, &tokens).await;
            Err(error)
        }
    }
}

/// Step 7, all but the commit.
async fn write(
    app: &App,
    manager: &RequireManager,
    asked: &Asked,
    given: &JwtCredentials,
    tokens: &Tokens,
    org: OrgUser,
) -> Result<(Tx, Credential), ApiError> {
    // Before the transaction: sealing reads the data key, for which the pool may have no second connection.
    let sealed = Sealed::new(app, manager.addon.id, given, tokens).await?;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    let existing = asked.existing(&*tx, manager).await?;
    ensure_same_org(existing.as_ref().and_then(flow::remembered).as_ref(), &org).map_err(refusal)?;
    let is_new = existing.is_none();
    let state = State::Live(org.clone());
    let credential = asked.credential(app, manager, existing, ConnectionMethod::Jwt, state);
    if is_new {
        credentials::store::insert(&*tx, &credential).await?;
    } else {
        store::forget(&*tx, credential.id).await?;
        tokens::store::start_revoking(&*tx, credential.id).await?;
        credentials::store::save(&*tx, &credential).await?;
    }
    tokens::store::insert(&*tx, sealed.grant(app, &credential, &asked.login, given, org)).await?;
    tx.audit(live_entry(&manager.actor, &credential));
    Ok((tx, credential))
}

/// The secrets of a grant to be.
pub(super) struct Sealed {
    id: RowId,
    access_token: SealedToken,
    private_key: SealedToken,
}

impl Sealed {
    pub(super) async fn new(
        app: &App,
        addon: AddonId,
        given: &JwtCredentials,
        tokens: &Tokens,
    ) -> Result<Self, ApiError> {
        let id = RowId(app.entropy.uuid());
        let place = |column| Place { addon, table: tokens::store::TABLE, row: id.0, column };
        Ok(Self {
            id,
            access_token: app.vault.seal(place("access_token"), &tokens.access_token).await?,
            private_key: app.vault.seal(place("private_key"), &given.private_key).await?,
        })
    }

    pub(super) fn grant(
        self,
        app: &App,
        credential: &Credential,
        login: &OrgOrigin,
        given: &JwtCredentials,
        org: OrgUser,
    ) -> NewGrant {
        let now = app.clock.now();
        NewGrant {
            id: self.id,
            addon: credential.addon,
            credential: RowId(credential.id),
            method: ConnectionMethod::Jwt,
            login_origin: login.as_str().to_owned(),
            client_id: given.client_id.clone(),
            org,
            access_token: self.access_token,
            refresh_token: None,
            private_key: Some(self.private_key),
            issued_at: now,
            expires_at: now.plus(app.config.token_lifetime),
        }
    }
}

/// Whom to assert, where.
#[derive(Clone, Debug)]
pub struct AssertionRequest {
    /// Consumer key of the org's external client app.
    pub client_id: String,
    /// The user to act as.
    pub username: String,
    /// The login host: audience, and the only host it is sent to.
    pub login: OrgOrigin,
}

/// Reads the key and signs, off the threads that serve requests: a 4096-bit key takes 7 ms.
///
/// # Errors
/// [`KeyError`] when the text is not a private key we can sign with.
pub async fn assert(
    app: &App,
    request: AssertionRequest,
    private_key: SecretString,
) -> Result<Assertion, KeyError> {
    let now =
        jiff::Timestamp::from_microsecond(app.clock.now().as_micros()).map_err(|_| KeyError::Damaged)?;
    let jti = app.entropy.uuid().to_string();
    let sign = move || {
        let AssertionRequest { client_id, username, login } = request;
        SigningKey::from_pem(&private_key)?.assert(&client_id, &username, &login, now, &jti)
    };
    tokio::task::spawn_blocking(sign).await.unwrap_or(Err(KeyError::Damaged))
}
