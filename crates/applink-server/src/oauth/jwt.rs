//! JWT bearer (RFC 7523): no browser. The key is read, an assertion signed, and the org's answer treated as in steps
//! 6 and 7. Nothing is written unless the org accepts: a refused JWT leaves no row.

use std::time::Duration;

use applink_api::connection::ConnectionMethod;
use applink_api::ids::AddonId;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::{
    Assertion, KeyError, Outcome, RefusalClass, SigningKey, TokenFailure, Tokens,
};
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
use crate::removals;
use crate::tokens;
use crate::tokens::age::{self, NewToken};
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
        let login_url = asked.login_url.clone();
        let answered = tokens_and_user(&task, asked.org_type, (&login_url, &asked.login), &given).await;
        let (tokens, org, login) = answered.map_err(refusal)?;
        let asked = Asked { login, ..asked };
        settle(&task, &manager, &asked, given, tokens, org).await
    };
    app.finish(work).await.unwrap_or_else(|| Err(ApiError::internal("the log-in's task ended early")))
}

/// Tokens and whose they are, with the login host that gave them: the one of the `login_url`, or the general one of its
/// kind of org.
pub(super) async fn tokens_and_user(
    app: &App,
    org_type: OrgType,
    (login_url, login): (&str, &OrgOrigin),
    given: &JwtCredentials,
) -> Result<(Tokens, OrgUser, OrgOrigin), ConnectError> {
    let (tokens, login) = match tokens_at(app, login, given).await {
        // An org may want the login host of its kind as audience, and not its own My Domain.
        Err(ConnectError::Tokens(failure)) if is_wrong_audience(&failure) => {
            let general = app.hosts.general_login(login_url).filter(|general| general != login);
            let general = general.ok_or(ConnectError::Tokens(failure))?;
            (tokens_at(app, &general, given).await?, general)
        }
        tokens => (tokens?, login.clone()),
    };
    match identify(app, org_type, &login, &tokens).await {
        Ok(org) => Ok((tokens, org, login)),
        Err(error) => {
            drop_session(app, &given.client_id, &tokens).await;
            Err(error)
        }
    }
}

/// Tokens nobody will use are revoked, but not a session that may be in use: an org may answer an assertion with the one
/// the user has already through this client. What is left ends by itself.
pub(crate) async fn drop_session(app: &App, client_id: &str, tokens: &Tokens) {
    if tokens.refresh_token.is_some() || !may_be_in_use(app, client_id, tokens).await {
        drop_tokens(app, tokens).await;
    }
}

async fn may_be_in_use(app: &App, client_id: &str, tokens: &Tokens) -> bool {
    let Ok(identity) = tokens.identity(&app.hosts) else { return false };
    let (org, user) = (identity.org_id.to_string(), identity.user_id.to_string());
    let found = tokens::store::is_asserted(app.store.reader(), client_id, (&org, &user), None).await;
    found.unwrap_or(true)
}

/// An assertion goes to the host it names as audience, and nowhere else.
async fn tokens_at(app: &App, login: &OrgOrigin, given: &JwtCredentials) -> Result<Tokens, ConnectError> {
    let request = AssertionRequest {
        client_id: given.client_id.clone(),
        username: given.username.clone(),
        login: login.clone(),
    };
    let signed = Signed::new(app, request, given.private_key.clone()).await.map_err(ConnectError::Key)?;
    signed.send(app).await.map_err(ConnectError::Tokens)
}

fn is_wrong_audience(failure: &TokenFailure) -> bool {
    failure.outcome() == Outcome::Answered(RefusalClass::WrongAudience)
}

/// 422 rather than 401: the official CLI takes a 401 for a bad Heroku API key.
pub(super) fn refusal(error: ConnectError) -> ApiError {
    if let ConnectError::Key(_) = &error {
        return ApiError::invalid_field("$.jwt_private_key", error.sentence()).caused_by(error);
    }
    let unreachable = match &error {
        ConnectError::Tokens(failure) | ConnectError::NoTenant(failure) => {
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
        Ok((tx, credential, grant)) => {
            app.commit_change(tx, credential.id).await?;
            age::learn(app, NewToken::of(app, grant, 1, &given.client_id, &tokens));
            Ok(credential)
        }
        Err(error) => {
            drop_session(app, &given.client_id, &tokens).await;
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
) -> Result<(Tx, Credential, RowId), ApiError> {
    // Before the transaction: sealing reads the data key, for which the pool may have no second connection.
    let sealed = Sealed::new(app, manager.addon.id, given, tokens).await?;
    let grant = sealed.id;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    removals::refuse_if_begun(&tx, manager.addon.id).await?;
    let existing = asked.existing(&*tx, manager).await?;
    ensure_same_org(existing.as_ref().and_then(flow::remembered).as_ref(), &org).map_err(refusal)?;
    let is_new = existing.is_none();
    let state = State::Live(org.clone());
    let credential = asked.credential(app, manager, existing, ConnectionMethod::Jwt, state);
    if is_new {
        credentials::write::insert(&tx, &credential).await?;
    } else {
        store::forget(&*tx, credential.id).await?;
        tokens::store::start_revoking(&*tx, credential.id).await?;
        credentials::write::save(&tx, &credential).await?;
    }
    tokens::store::insert(&*tx, sealed.grant(app, &credential, &asked.login, given, org)).await?;
    tx.audit(live_entry(&manager.actor, &credential));
    Ok((tx, credential, grant))
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

/// An org whose clock is further off than this is not believed about the time.
const MOST_SKEW: Duration = Duration::from_secs(15 * 60);
/// A clock that is off by less is not why an assertion is refused.
const LEAST_SKEW: Duration = Duration::from_secs(30);

/// An assertion, and what makes another one should the org's clock be another than ours.
#[derive(Debug)]
pub struct Signed {
    assertion: Assertion,
    request: AssertionRequest,
    private_key: SecretString,
}

impl Signed {
    /// Reads the key and signs, off the threads that serve requests: a 4096-bit key takes 7 ms.
    ///
    /// # Errors
    /// [`KeyError`] when the text is not a private key we can sign with.
    pub async fn new(
        app: &App,
        request: AssertionRequest,
        private_key: SecretString,
    ) -> Result<Self, KeyError> {
        let assertion = assert(app, &request, &private_key, app.clock.now()).await?;
        Ok(Self { assertion, request, private_key })
    }

    /// Sends it. An org that refuses it and whose clock is minutes from ours gets one by its own clock.
    ///
    /// # Errors
    /// [`TokenFailure`] of the last attempt.
    pub async fn send(self, app: &App) -> Result<Tokens, TokenFailure> {
        let refused = match app.oauth.jwt_bearer(&self.assertion).await {
            Ok(tokens) => return Ok(tokens),
            Err(failure) => failure,
        };
        let Some(time) = other_time(&refused, app.clock.now()) else { return Err(refused) };
        tracing::warn!(org = %self.request.login, "the org's clock and ours are minutes apart: set this machine's");
        match assert(app, &self.request, &self.private_key, time).await {
            Ok(again) => app.oauth.jwt_bearer(&again).await,
            Err(_) => Err(refused),
        }
    }
}

/// The org's time, when that may be why it refused.
fn other_time(failure: &TokenFailure, ours: Timestamp) -> Option<Timestamp> {
    let refusal = failure.refusal().filter(|refusal| refusal.class == RefusalClass::BadAssertion)?;
    let theirs = Timestamp::from_micros(refusal.org_time?.as_microsecond());
    let apart = theirs.since(ours).max(ours.since(theirs));
    (LEAST_SKEW..=MOST_SKEW).contains(&apart).then_some(theirs)
}

async fn assert(
    app: &App,
    request: &AssertionRequest,
    private_key: &SecretString,
    now: Timestamp,
) -> Result<Assertion, KeyError> {
    let now = jiff::Timestamp::from_microsecond(now.as_micros()).map_err(|_| KeyError::Damaged)?;
    let jti = app.entropy.uuid().to_string();
    let (request, private_key) = (request.clone(), private_key.clone());
    let sign = move || {
        let AssertionRequest { client_id, username, login } = request;
        SigningKey::from_pem(&private_key)?.assert(&client_id, &username, &login, now, &jti)
    };
    tokio::task::spawn_blocking(sign).await.unwrap_or(Err(KeyError::Damaged))
}
