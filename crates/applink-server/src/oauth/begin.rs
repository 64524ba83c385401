//! Step 1: the pending row, the flow, and our own start link.

use applink_api::connection::ConnectionMethod;
use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::PkceVerifier;
use secrecy::SecretString;

use super::store::{self, OFFERED};
use crate::addons;
use crate::app::App;
use crate::audit::{ActorKind, Entry};
use crate::credentials::begin::Asked;
use crate::credentials::{self, Credential, State, flow};
use crate::db::{RowId, Tx};
use crate::error::ApiError;
use crate::removals;
use crate::tokens;
use crate::vault::{Place, SealedToken};
use crate::web::auth::{RequireManager, hash_of};

/// Makes or takes up the row and answers it with the link a person opens. A repeated POST for a pending row gets
/// the same id and a fresh link; the former link is void.
///
/// # Errors
/// 409 when the name is alive, 422 when no OAuth client is configured for the login host.
pub async fn begin(
    app: &App,
    manager: &RequireManager,
    asked: &Asked,
) -> Result<(Credential, String), ApiError> {
    let client_id = client_id(app, &asked.login)?;
    // Before the transaction: sealing reads the data key, for which the pool may have no second connection.
    let link = Link::new(app, manager).await?;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    removals::refuse_if_begun(&tx, manager.addon.id).await?;
    let existing = asked.existing(&*tx, manager).await?;
    let until = app.clock.now().plus(app.config.oauth.timeout.0);
    let state = State::Pending { until, was: existing.as_ref().and_then(flow::remembered) };
    let is_new = existing.is_none();
    let credential = asked.credential(app, manager, existing, ConnectionMethod::OAuth, state);
    write(&tx, &credential, is_new).await?;
    let start = app.urls.oauth_start(&link.text);
    let offer = link.offer(app, manager, &asked.login, &credential, client_id);
    store::insert(&*tx, store::Model { force: asked.force, ..offer }).await?;
    let action = match credential.kind {
        credentials::Kind::Connection => "connection.requested",
        credentials::Kind::Authorization => "authorization.requested",
    };
    tx.audit(
        Entry::new(&manager.actor, action, credential.addon, credential.id).with_detail(&credential.name),
    );
    tx.commit().await?;
    Ok((credential, start))
}

/// The consumer key of our client for a login host.
pub(super) fn client_id(app: &App, login: &OrgOrigin) -> Result<String, ApiError> {
    let client = app.config.oauth.client_for(login.as_str()).ok_or_else(|| {
        ApiError::validation(format!(
            "No OAuth client is configured for {login}: the operator sets APPLINK_OAUTH_CLIENT_ID and APPLINK_OAUTH_CLIENT_SECRET to those of an external client app, or you connect with JWT."
        ))
    })?;
    Ok(client.client_id.clone())
}

/// Whatever the row stood for before is void.
async fn write(tx: &Tx, credential: &Credential, is_new: bool) -> Result<(), ApiError> {
    if is_new {
        return Ok(credentials::write::insert(tx, credential).await?);
    }
    store::forget(&**tx, credential.id).await?;
    tokens::store::start_revoking(&**tx, credential.id).await?;
    Ok(credentials::write::save(tx, credential).await?)
}

/// A one-time link to be, and the flow behind it.
pub(super) struct Link {
    pub(super) text: String,
    flow: RowId,
    verifier: SealedToken,
    is_verified: bool,
}

impl Link {
    pub(super) async fn new(app: &App, manager: &RequireManager) -> Result<Self, ApiError> {
        let flow = RowId(app.entropy.uuid());
        let verifier = PkceVerifier::from_random(app.entropy.bytes());
        let place = Place { addon: manager.addon.id, table: store::TABLE, row: flow.0, column: "verifier" };
        let verifier = app.vault.seal(place, verifier.secret()).await?;
        let is_verified = manager.actor.kind != ActorKind::Claimed;
        Ok(Self { text: app.entropy.url_token(), flow, verifier, is_verified })
    }

    pub(super) fn offer(
        self,
        app: &App,
        manager: &RequireManager,
        login: &OrgOrigin,
        credential: &Credential,
        client_id: String,
    ) -> store::Model {
        let now = app.clock.now();
        store::Model {
            id: self.flow,
            addon_id: credential.addon.into(),
            credential_id: RowId(credential.id),
            stage: OFFERED.to_owned(),
            start_hash: hash_of(&SecretString::from(self.text)),
            state_hash: None,
            cookie_hash: None,
            confirm_hash: None,
            verifier: self.verifier,
            code: None,
            login_origin: login.as_str().to_owned(),
            client_id,
            started_by: manager.actor.name.clone(),
            started_by_verified: self.is_verified,
            force: false,
            app_name: manager.app.as_ref().map(|app| app.name.clone()),
            created_at: now.as_micros(),
            expires_at: now.plus(app.config.oauth.timeout.0).as_micros(),
        }
    }
}
