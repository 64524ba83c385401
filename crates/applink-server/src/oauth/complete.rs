//! Steps 6 and 7: the code becomes tokens, the tokens a grant, the row is live.

use applink_api::connection::ConnectionMethod;
use applink_api::org::OrgType;
use applink_salesforce::oauth::{OAuthClient, PkceVerifier, Refusal, RefusalClass, Tokens};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;

use applink_api::error::{ResourceError, error_id};

use super::identify::{
    ConnectError, ensure_refreshable, ensure_same_org, ensure_same_user, identify, lasting,
};
use super::pages::{Connected, Trouble};
use super::{secrets, store};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, ActorKind, Entry};
use crate::credentials::begin::capitalised;
use crate::credentials::{self, Credential, Kind, OrgUser, State, flow};
use crate::db::{RowId, StoreError, Tx};
use crate::error::{ApiError, chain};
use crate::tokens;
use crate::tokens::age::{self, NewToken};
use crate::tokens::store::NewGrant;
use crate::vault::{Place, VaultError};

/// A flow that was taken, with its code.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) row: store::Model,
    pub(super) code: SecretString,
}

/// Runs to its end even when the browser goes away: the code is spent at the org either way.
pub(super) async fn run(app: &App, flow: Flow) -> Response {
    let task = app.clone();
    match app.finish(async move { connect(&task, flow).await }).await {
        Some(Ok(response)) => response,
        Some(Err(error)) => Trouble::of(error).into_response(),
        None => Trouble::of(ApiError::internal("the log-in's task ended early")).into_response(),
    }
}

async fn connect(app: &App, flow: Flow) -> Result<Response, ApiError> {
    let (tokens, org) = match tokens_and_user(app, &flow).await {
        Ok(answered) => answered,
        Err(stop) => return stopped(app, &flow.row, stop).await,
    };
    let written = match write(app, &flow.row, &tokens, org).await {
        Ok(written) => written,
        Err(stop) => {
            drop_tokens(app, &tokens).await;
            return stopped(app, &flow.row, stop).await;
        }
    };
    let Written { tx, credential, grant, others } = written;
    app.commit_change(tx, credential.id).await?;
    age::learn(app, NewToken::of(app, grant, 1, &flow.row.client_id, &tokens));
    Ok(Connected::new(&credential, is_many(others).then_some(others + 1)).into_response())
}

/// From so many grants of a user for one client on, a person is warned.
const MANY_GRANTS: u64 = 4;
/// Salesforce keeps so many and ends the oldest for a further one, so the last place is taken on purpose only.
const MOST_GRANTS: u64 = 5;

fn is_many(others: u64) -> bool {
    others + 1 >= MANY_GRANTS
}

enum Stop {
    /// The org said no, or what it said won't do: the row becomes `failed`.
    Org(ConnectError),
    /// The row was removed, or another log-in for it begun: it is nothing to us any more.
    Superseded,
    /// A fault of ours: the row stays pending, and expires.
    Ours(ApiError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.into())
    }
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Self {
        Self::Ours(error.into())
    }
}

async fn stopped(app: &App, row: &store::Model, stop: Stop) -> Result<Response, ApiError> {
    match stop {
        Stop::Org(error) => fail(app, row, &error).await,
        Stop::Superseded => Ok(Trouble::removed_meanwhile().into_response()),
        Stop::Ours(error) => Err(error),
    }
}

async fn tokens_and_user(app: &App, flow: &Flow) -> Result<(Tokens, OrgUser), Stop> {
    let login =
        app.hosts.instance(&flow.row.login_origin).map_err(|error| Stop::Org(ConnectError::Host(error)))?;
    let sealed = app.vault.open_sealed(flow.row.place("verifier"), &flow.row.verifier).await;
    let verifier = PkceVerifier::restore(sealed.map_err(|error| Stop::Ours(error.into()))?);
    let client = app.config.oauth.client_secrets(&flow.row.client_id);
    let callback = app.urls.oauth_callback();
    let (callback, login, verifier) = (&callback, &login, &verifier);
    let exchange = |client: OAuthClient| async move {
        app.oauth.exchange_code(login, &client, callback, &flow.code, verifier).await
    };
    let tokens = secrets::try_each(&client, || true, exchange).await;
    let tokens = tokens.map_err(|failure| Stop::Org(ConnectError::Tokens(failure)))?;
    let org_type =
        credentials::store::find_by_id(app.store.reader(), flow.row.addon(), flow.row.credential_id.0).await;
    let org_type =
        org_type.map(|found| found.map_or(OrgType::SalesforceOrg, |credential| credential.org_type));
    let org_type = match org_type {
        Ok(org_type) => org_type,
        Err(error) => {
            drop_tokens(app, &tokens).await;
            return Err(error.into());
        }
    };
    let identified = match ensure_refreshable(&tokens) {
        Ok(()) => identify(app, org_type, login, &tokens).await,
        Err(error) => Err(error),
    };
    match identified {
        Ok(org) => {
            // A refresh token that does not last needs no revoking.
            let tokens = lasting(app, &flow.row.client_id, tokens).await.map_err(Stop::Org)?;
            Ok((tokens, org))
        }
        Err(error) => {
            drop_tokens(app, &tokens).await;
            Err(Stop::Org(error))
        }
    }
}

/// Tokens nobody will use are revoked, best effort.
pub(super) async fn drop_tokens(app: &App, tokens: &Tokens) {
    let Ok(instance) = tokens.instance(&app.hosts) else { return };
    let token = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token);
    if let Err(failure) = app.oauth.revoke(&instance, token).await {
        tracing::warn!(error = %chain(&failure), "unused tokens could not be revoked");
    }
}

/// A row that is live with the commit.
struct Written {
    tx: Tx,
    credential: Credential,
    grant: RowId,
    /// How many grants the user has for this client besides.
    others: u64,
}

/// Step 7, all but the commit. Until then the tokens are nobody's: whoever gets an error revokes them.
async fn write(app: &App, row: &store::Model, tokens: &Tokens, org: OrgUser) -> Result<Written, Stop> {
    let grant = seal(app, row, tokens, &org).await?;
    let id = grant.id;
    let mut tx = app.store.begin().await?;
    let mut credential = pending(&tx, row).await?.ok_or(Stop::Superseded)?;
    let was = flow::bound_to(&credential);
    ensure_same_org(was.as_ref(), &org).map_err(Stop::Org)?;
    ensure_same_user(credential.kind, was.as_ref(), &org).map_err(Stop::Org)?;
    let others = others(&tx, row, &org, &credential).await?;
    credential.method = ConnectionMethod::OAuth;
    note_login(app, &mut credential, &row.login_origin);
    flow::complete(&mut credential, org, &row.started_by, app.clock.now());
    tokens::store::start_revoking(&*tx, credential.id).await?;
    tokens::store::insert(&*tx, grant).await?;
    credentials::write::save(&tx, &credential).await?;
    credentials::write::tell_renewed(&tx, credential.addon, credential.id).await?;
    tx.audit(live_entry(&browser(row), &credential));
    Ok(Written { tx, credential, grant: id, others })
}

/// How many other grants the user has for this client already, unless this one would be too many. What replaces a grant
/// in place makes none more.
async fn others(tx: &Tx, row: &store::Model, org: &OrgUser, credential: &Credential) -> Result<u64, Stop> {
    let user = (org.org_id.as_str(), org.user_id.as_str());
    let grants = tokens::store::count_others(&**tx, &row.client_id, user, row.credential_id).await?;
    let is_one_more = credential.live().is_none();
    if grants + 1 >= MOST_GRANTS && is_one_more && !row.force {
        return Err(Stop::Org(ConnectError::TooManyGrants { username: org.username.clone(), grants }));
    }
    if is_many(grants) {
        tracing::warn!(credential = %row.credential_id, grants = grants + 1, "an org keeps five grants of a user for one client and ends the oldest for a sixth");
    }
    Ok(grants)
}

/// A log-in in place may have been asked for elsewhere than the last one.
fn note_login(app: &App, credential: &mut Credential, origin: &str) {
    let same = app.hosts.login(Some(&credential.login_url)).is_ok_and(|login| login.as_str() == origin);
    if !same {
        origin.clone_into(&mut credential.login_url);
    }
}

/// The row, when it still waits for this very flow, which is used up then. Under the add-on's lock. A row that is
/// logged in again in place is live, or died in the meantime.
async fn pending(tx: &Tx, row: &store::Model) -> Result<Option<Credential>, StoreError> {
    addons::store::lock(&**tx, row.addon()).await?;
    if !store::settle(&**tx, row.id).await? {
        return Ok(None);
    }
    let found = credentials::store::find_by_id(&**tx, row.addon(), row.credential_id.0).await?;
    Ok(found
        .filter(|found| matches!(found.state, State::Pending { .. } | State::Live(_) | State::Dead { .. })))
}

async fn seal(app: &App, row: &store::Model, tokens: &Tokens, org: &OrgUser) -> Result<NewGrant, VaultError> {
    let id = RowId(app.entropy.uuid());
    let place = |column| Place { addon: row.addon(), table: tokens::store::TABLE, row: id.0, column };
    let refresh_token = match &tokens.refresh_token {
        Some(token) => Some(app.vault.seal(place("refresh_token"), token).await?),
        None => None,
    };
    let now = app.clock.now();
    Ok(NewGrant {
        id,
        addon: row.addon(),
        credential: row.credential_id,
        method: ConnectionMethod::OAuth,
        login_origin: row.login_origin.clone(),
        client_id: row.client_id.clone(),
        org: org.clone(),
        access_token: app.vault.seal(place("access_token"), &tokens.access_token).await?,
        refresh_token,
        private_key: None,
        issued_at: now,
        expires_at: now.plus(app.config.token_lifetime),
    })
}

/// The audit entry of a row that became live.
pub(super) fn live_entry(actor: &Actor, credential: &Credential) -> Entry {
    let action = match credential.kind {
        Kind::Connection => "connection.connected",
        Kind::Authorization => "authorization.authorized",
    };
    let org = credential.live().map(|org| format!(" to org {} as user {}", org.org_id, org.user_id));
    let detail = format!("{}{}", credential.name, org.unwrap_or_default());
    Entry::new(actor, action, credential.addon, credential.id).with_detail(detail)
}

/// The org said no at the authorize page, or the person did.
pub(super) async fn refused(app: &App, row: store::Model, refusal: Refusal) -> Response {
    let error = match refusal.class {
        RefusalClass::Denied => ResourceError {
            id: error_id::AUTHENTICATION_FAILED.into(),
            message: "The log-in was cancelled, or access was denied at the org. Start again to allow it."
                .to_owned(),
        },
        _ => ResourceError {
            id: error_id::AUTHENTICATION_FAILED.into(),
            message: format!("{}. {}", capitalised(&refusal.to_string()), refusal.hint()),
        },
    };
    match fail_row(app, &row, error).await {
        Ok(response) => response,
        Err(error) => Trouble::of(error).into_response(),
    }
}

async fn fail(app: &App, row: &store::Model, error: &ConnectError) -> Result<Response, ApiError> {
    tracing::warn!(credential = %row.credential_id, error = %chain(error), "an org could not be connected");
    fail_row(app, row, error.resource_error()).await
}

async fn fail_row(app: &App, row: &store::Model, error: ResourceError) -> Result<Response, ApiError> {
    let mut tx = app.store.begin().await?;
    let Some(mut credential) = pending(&tx, row).await? else {
        return Ok(Trouble::removed_meanwhile().into_response());
    };
    let detail = format!("{}: {}", credential.name, error.message);
    // What was logged in again in place is as it was.
    let in_place = !matches!(credential.state, State::Pending { .. });
    let action = match (credential.kind, in_place) {
        (Kind::Connection, false) => "connection.failed",
        (Kind::Authorization, false) => "authorization.failed",
        (Kind::Connection, true) => "connection.reconnect_failed",
        (Kind::Authorization, true) => "authorization.reconnect_failed",
    };
    if !in_place {
        flow::fail(&mut credential, error.clone(), &row.started_by, app.clock.now());
        credentials::write::save(&tx, &credential).await?;
    }
    tx.audit(Entry::new(&browser(row), action, row.addon(), credential.id).with_detail(detail));
    tx.commit().await?;
    Ok(Trouble::failed(error.message).into_response())
}

fn browser(row: &store::Model) -> Actor {
    Actor::new(ActorKind::Browser, row.started_by.clone())
}
