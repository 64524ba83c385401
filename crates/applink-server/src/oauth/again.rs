//! A PATCH: the row that exists is renamed, logs in again in place, or both in one commit.

use std::mem::discriminant;

use applink_api::connection::ConnectionMethod;
use applink_salesforce::oauth::Tokens;
use secrecy::{ExposeSecret as _, SecretString};

use super::begin::{Link, client_id};
use super::complete::live_entry;
use super::identify::ensure_same_org;
use super::jwt::{JwtCredentials, Sealed, drop_session, refusal, tokens_and_user};
use super::store;
use crate::addons;
use crate::app::App;
use crate::audit::Entry;
use crate::credentials::change::{Change, JwtWishes, LogIn, Login};
use crate::credentials::{self, Credential, Kind, OrgUser, State, flow};
use crate::db::{RowId, Tx};
use crate::error::ApiError;
use crate::removals;
use crate::tokens;
use crate::tokens::age::{self, NewToken};
use crate::web::auth::RequireManager;

/// Does what was asked for. The link is there when a person has to open it.
///
/// # Errors
/// 404 when there is no such row; 409 when a name is another's; 422 when the org refuses an assertion, and nothing
/// has changed then.
pub async fn change(
    app: &App,
    manager: RequireManager,
    kind: Kind,
    named: &str,
    change: Change,
) -> Result<(Credential, Option<String>), ApiError> {
    let found = credentials::store::find(app.store.reader(), manager.addon.id, kind, named).await?;
    let row = found.ok_or_else(ApiError::not_found)?;
    match change.log_in(&row) {
        LogIn::No => Ok((rename(app, &manager, &row, &change).await?, None)),
        LogIn::Browser => {
            let (row, link) = browser(app, &manager, &row, &change).await?;
            Ok((row, Some(link)))
        }
        LogIn::Jwt(wishes) => {
            let task = app.clone();
            // The org may have a new session by now: what comes of it is recorded even when the caller goes away.
            let work = async move { assert(&task, &manager, &row, &change, wishes).await };
            let done = app.finish(work).await;
            let row = done.unwrap_or_else(|| Err(ApiError::internal("the log-in's task ended early")))?;
            Ok((row, None))
        }
    }
}

/// The row under its add-on's lock, with its new names.
async fn renamed(
    tx: &mut Tx,
    manager: &RequireManager,
    row: &Credential,
    change: &Change,
) -> Result<Credential, ApiError> {
    addons::store::lock(&**tx, manager.addon.id).await?;
    removals::refuse_if_begun(tx, manager.addon.id).await?;
    let found = credentials::store::find_by_id(&**tx, manager.addon.id, row.id).await?;
    let mut current = found.ok_or_else(ApiError::not_found)?;
    if let Some(detail) = change.rename(&**tx, &mut current).await? {
        let action = match current.kind {
            Kind::Connection => "connection.renamed",
            Kind::Authorization => "authorization.renamed",
        };
        tx.audit(Entry::new(&manager.actor, action, current.addon, current.id).with_detail(detail));
    }
    Ok(current)
}

async fn rename(
    app: &App,
    manager: &RequireManager,
    row: &Credential,
    change: &Change,
) -> Result<Credential, ApiError> {
    let mut tx = app.store.begin().await?;
    let mut current = renamed(&mut tx, manager, row, change).await?;
    Change::touch(&mut current, &manager.actor.name, app.clock.now());
    credentials::write::save(&tx, &current).await?;
    app.commit_change(tx, current.id).await?;
    Ok(current)
}

/// A flow for the row as it is. What is live stays so; anything else waits for the person, as after a POST.
async fn browser(
    app: &App,
    manager: &RequireManager,
    row: &Credential,
    change: &Change,
) -> Result<(Credential, String), ApiError> {
    let login = change.login(app, row)?;
    let client_id = client_id(app, &login.origin)?;
    // Before the transaction: sealing reads the data key, for which the pool may have no second connection.
    let link = Link::new(app, manager).await?;
    let start = app.urls.oauth_start(&link.text);
    let mut tx = app.store.begin().await?;
    let mut current = renamed(&mut tx, manager, row, change).await?;
    store::forget(&*tx, current.id).await?;
    if current.live().is_none() {
        tokens::store::start_revoking(&*tx, current.id).await?;
        let until = app.clock.now().plus(app.config.oauth.timeout.0);
        current.state = State::Pending { until, was: flow::remembered(&current) };
        current.method = ConnectionMethod::OAuth;
        current.login_url.clone_from(&login.url);
        Change::touch(&mut current, &manager.actor.name, app.clock.now());
    }
    credentials::write::save(&tx, &current).await?;
    let offer = link.offer(app, manager, &login.origin, &current, client_id);
    store::insert(&*tx, store::Model { force: change.is_forced(), ..offer }).await?;
    let action = match current.kind {
        Kind::Connection => "connection.reconnect_requested",
        Kind::Authorization => "authorization.reconnect_requested",
    };
    tx.audit(Entry::new(&manager.actor, action, current.addon, current.id).with_detail(&current.name));
    tx.commit().await?;
    app.handed_out.forget(current.id);
    Ok((current, start))
}

/// Asserts what is to be used from now on, and only then puts it in the place of what was.
async fn assert(
    app: &App,
    manager: &RequireManager,
    row: &Credential,
    change: &Change,
    wishes: JwtWishes,
) -> Result<Credential, ApiError> {
    // The org is not troubled for a name that can't be had.
    change.rename(app.store.reader(), &mut row.clone()).await?;
    let login = change.login(app, row)?;
    let stored = Stored::load(app, row).await?;
    let given = stored.completed(wishes)?;
    let answered = tokens_and_user(app, row.org_type, (&login.url, &login.origin), &given).await;
    let (tokens, org, origin) = answered.map_err(refusal)?;
    let (login, client_id) = (Login { origin, ..login }, given.client_id.clone());
    let swapped = swap(app, manager, row, change, Swap { login, stored, given, org, tokens: &tokens }).await;
    match swapped {
        Ok((tx, row, grant)) => {
            app.commit_change(tx, row.id).await?;
            age::learn(app, NewToken::of(app, grant, 1, &client_id, &tokens));
            Ok(row)
        }
        Err(error) => {
            drop_session(app, &client_id, &tokens).await;
            Err(error)
        }
    }
}

/// What is in use now.
struct Stored {
    grant: Option<tokens::store::Model>,
    private_key: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl Stored {
    async fn load(app: &App, row: &Credential) -> Result<Self, ApiError> {
        let grant = tokens::store::live(app.store.reader(), row.addon, row.id).await?;
        let Some(grant) = grant else {
            return Ok(Self { grant: None, private_key: None, access_token: None });
        };
        let private_key = match &grant.private_key {
            Some(sealed) => Some(app.vault.open_sealed(grant.place("private_key"), sealed).await?),
            None => None,
        };
        let access_token = match &grant.access_token {
            Some(sealed) => Some(app.vault.open_sealed(grant.place("access_token"), sealed).await?),
            None => None,
        };
        Ok(Self { private_key, access_token, grant: Some(grant) })
    }

    /// What was asked for, with what is stored where nothing was.
    fn completed(&self, wishes: JwtWishes) -> Result<JwtCredentials, ApiError> {
        let by_jwt = self.private_key.as_ref().and(self.grant.as_ref());
        let missing = |field: &str| {
            let message = format!("`{field}` is needed: nothing of this kind is stored that could be kept.");
            ApiError::invalid_field(&format!("$.{field}"), message)
        };
        let client_id = wishes.client_id.or_else(|| by_jwt.map(|grant| grant.client_id.clone()));
        let username = wishes.username.or_else(|| by_jwt.map(|grant| grant.username.clone()));
        let private_key = wishes.private_key.or_else(|| self.private_key.clone());
        Ok(JwtCredentials {
            client_id: client_id.ok_or_else(|| missing("client_id"))?,
            username: username.ok_or_else(|| missing("username"))?,
            private_key: private_key.ok_or_else(|| missing("jwt_private_key"))?,
        })
    }

    fn grant_id(&self) -> Option<RowId> {
        self.grant.as_ref().map(|grant| grant.id)
    }

    /// An org may answer an assertion with the session it has already: revoking the old grant would end the new one.
    fn is_the_same_session(&self, tokens: &Tokens) -> bool {
        let old = self.access_token.as_ref();
        old.is_some_and(|old| old.expose_secret() == tokens.access_token.expose_secret())
    }
}

/// What takes the place of what.
struct Swap<'a> {
    login: Login,
    stored: Stored,
    given: JwtCredentials,
    org: OrgUser,
    tokens: &'a Tokens,
}

/// All but the commit.
async fn swap(
    app: &App,
    manager: &RequireManager,
    row: &Credential,
    change: &Change,
    with: Swap<'_>,
) -> Result<(Tx, Credential, RowId), ApiError> {
    let sealed = Sealed::new(app, manager.addon.id, &with.given, with.tokens).await?;
    let mut tx = app.store.begin().await?;
    let mut current = renamed(&mut tx, manager, row, change).await?;
    let grant = tokens::store::live(&*tx, current.addon, current.id).await?;
    // What was asserted may rest on what was stored then: it must not undo another log-in.
    if discriminant(&current.state) != discriminant(&row.state)
        || with.stored.grant_id() != grant.as_ref().map(|grant| grant.id)
    {
        let (kind, name) = (current.kind.as_str(), &current.name);
        return Err(ApiError::conflict(format!(
            "The {kind} `{name}` changed at this moment: look at it again."
        )));
    }
    ensure_same_org(flow::bound_to(&current).as_ref(), &with.org).map_err(refusal)?;
    store::forget(&*tx, current.id).await?;
    let erased = match &grant {
        Some(grant) if with.stored.is_the_same_session(with.tokens) => {
            tokens::store::erase(&*tx, grant).await?
        }
        _ => false,
    };
    if !erased {
        tokens::store::start_revoking(&*tx, current.id).await?;
    }
    current.method = ConnectionMethod::Jwt;
    current.login_url.clone_from(&with.login.url);
    flow::complete(&mut current, with.org.clone(), &manager.actor.name, app.clock.now());
    credentials::write::save(&tx, &current).await?;
    credentials::write::tell_renewed(&tx, current.addon, current.id).await?;
    let grant = sealed.grant(app, &current, &with.login.origin, &with.given, with.org);
    let id = grant.id;
    tokens::store::insert(&*tx, grant).await?;
    tx.audit(live_entry(&manager.actor, &current));
    Ok((tx, current, id))
}
