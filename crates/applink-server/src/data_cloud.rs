//! Tokens of Data Cloud tenants.
//!
//! 1. What is stored for a Data Cloud org is a grant of the org, kept alive like any other ([`crate::tokens`]).
//! 2. Its access token is traded for one of the org's tenant, which is what apps get, with the tenant's URL.
//! 3. That token is kept sealed beside the grant ([`store`]) until three quarters of its life are over, then another is
//!    fetched; while none is to be had, the old one is handed out as long as it lives, also when the org's own is dead.
//! 4. When the org says that the access token is no good, another of those is fetched first.
//!
//! The same access token may be traded any number of times, so this needs no lease: in one process one task trades for a
//! grant at a time ([`Exchanges`]), and two processes do no harm.

pub mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use applink_api::secret::fingerprint;
use applink_api::time::Timestamp;
use applink_salesforce::oauth::{TenantToken, TokenFailure};

use crate::app::App;
use crate::credentials::Credential;
use crate::db::RowId;
use crate::tokens::{self, FreshToken, TokenError};
use crate::vault::Place;

/// Until somebody who got no token should ask again.
const PAUSE: Duration = Duration::from_secs(5);
/// A token younger than this is not replaced on a client's word: another would be refused too.
const YOUNG: Duration = Duration::from_secs(5);

/// The trades under way in this process.
#[derive(Debug, Default)]
pub struct Exchanges {
    turns: Mutex<HashMap<RowId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Exchanges {
    fn turn(&self, grant: RowId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those nobody holds are not needed any more.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(grant).or_default())
    }
}

/// A token that is kept.
struct Kept {
    token: FreshToken,
    issued_at: Timestamp,
}

impl Kept {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let life = self.token.expires_at.since(self.issued_at);
        now < self.issued_at.plus(life * 3 / 4)
    }
}

/// The tenant's token for what the org gave: a live access token, or for a while none.
///
/// # Errors
/// [`TokenError`].
pub(crate) async fn token_of(
    app: &App,
    credential: &Credential,
    core: Result<FreshToken, TokenError>,
) -> Result<FreshToken, TokenError> {
    let core = match core {
        Err(error) if error.is_passing() => {
            return kept_without_core(app, credential).await?.ok_or(error);
        }
        core => core?,
    };
    match kept(app, credential, &core).await? {
        Some(kept) if kept.is_fresh(app.clock.now()) => Ok(kept.token),
        _ => trade(app, credential, core, None).await,
    }
}

/// A token other than the one a client reports as refused, by its [`fingerprint`]; without one, the kept token counts as
/// refused. A very young one is handed out again.
///
/// # Errors
/// [`TokenError`].
pub(crate) async fn replace_reported(
    app: &App,
    credential: &Credential,
    reported: Option<&str>,
) -> Result<FreshToken, TokenError> {
    let core = tokens::fresh_access_token(app, credential).await?;
    let Some(kept) = kept(app, credential, &core).await? else {
        return trade(app, credential, core, None).await;
    };
    let its = fingerprint(&kept.token.access_token).to_string();
    let is_old = app.clock.now().since(kept.issued_at) >= YOUNG;
    match reported {
        Some(reported) if reported != its && kept.is_fresh(app.clock.now()) => Ok(kept.token),
        _ if is_old => trade(app, credential, core, Some(its)).await,
        _ => Ok(kept.token),
    }
}

/// Trades, one at a time; whoever waited takes what the other brought, unless that is the one `refused`.
async fn trade(
    app: &App,
    credential: &Credential,
    core: FreshToken,
    refused: Option<String>,
) -> Result<FreshToken, TokenError> {
    let turn = app.exchanges.turn(core.grant);
    let _one_at_a_time = turn.lock().await;
    let kept = kept(app, credential, &core).await?;
    let kept = kept.filter(|kept| Some(fingerprint(&kept.token.access_token).to_string()) != refused);
    let now = app.clock.now();
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(now)) {
        return Ok(kept.token.clone());
    }
    let (core, exchanged) = exchange(app, credential, core).await?;
    match exchanged {
        Ok(tenant) => keep(app, credential, core, tenant).await,
        Err(failure) => {
            tracing::warn!(credential = %credential.id, error = %crate::error::chain(&failure), "the org gives no Data Cloud token");
            match kept.filter(|kept| now < kept.token.expires_at) {
                Some(kept) => Ok(kept.token),
                None => Err(told(&failure)),
            }
        }
    }
}

/// Step 4: a refusal may mean that the org ended its own session early.
async fn exchange(
    app: &App,
    credential: &Credential,
    core: FreshToken,
) -> Result<(FreshToken, Result<TenantToken, TokenFailure>), TokenError> {
    let exchanged = app.oauth.exchange_for_tenant(&core.instance, &core.access_token).await;
    let is_session_over =
        |failure: &TokenFailure| failure.refusal().is_some_and(|refusal| refusal.error == "invalid_grant");
    match exchanged {
        Err(failure) if is_session_over(&failure) => {
            let core = tokens::replace_rejected(app, credential, core.version).await?;
            let again = app.oauth.exchange_for_tenant(&core.instance, &core.access_token).await;
            Ok((core, again))
        }
        exchanged => Ok((core, exchanged)),
    }
}

fn told(failure: &TokenFailure) -> TokenError {
    match failure.refusal().filter(|refusal| !refusal.class.is_transient()) {
        Some(refusal) => TokenError::Refused {
            sentence: format!(
                "The org gives no Data Cloud token ({refusal}). Check that the external client app has the cdp_ scopes and that the user has a Data Cloud permission set."
            ),
            wait: PAUSE,
        },
        None => TokenError::RetryAfter(PAUSE),
    }
}

/// The kept token, when it is live though the org's own is not.
async fn kept_without_core(app: &App, credential: &Credential) -> Result<Option<FreshToken>, TokenError> {
    let Some(grant) = tokens::store::live(app.store.reader(), credential.addon, credential.id).await? else {
        return Ok(None);
    };
    let dead = FreshToken {
        access_token: String::new().into(),
        instance: app.hosts.instance(&grant.instance_url).map_err(TokenError::Host)?,
        org_id: grant.org_id,
        grant: grant.id,
        version: grant.token_version,
        expires_at: Timestamp::from_micros(0),
    };
    let kept = kept(app, credential, &dead).await?;
    Ok(kept.map(|kept| kept.token).filter(|token| app.clock.now() < token.expires_at))
}

async fn kept(app: &App, credential: &Credential, core: &FreshToken) -> Result<Option<Kept>, TokenError> {
    let row = store::find(app.store.reader(), credential.addon, core.grant).await?;
    let Some(row) = row else { return Ok(None) };
    let access_token = app.vault.open_sealed(row.place(), &row.access_token).await?;
    let token = FreshToken {
        access_token,
        instance: app.hosts.instance(&row.tenant_url).map_err(TokenError::Host)?,
        expires_at: Timestamp::from_micros(row.expires_at),
        ..core.clone()
    };
    Ok(Some(Kept { token, issued_at: Timestamp::from_micros(row.issued_at) }))
}

async fn keep(
    app: &App,
    credential: &Credential,
    core: FreshToken,
    tenant: TenantToken,
) -> Result<FreshToken, TokenError> {
    let now = app.clock.now();
    let instance = tenant.tenant(&app.hosts, &core.instance).map_err(TokenError::Host)?;
    let expires_at = now.plus(tenant.expires_in);
    let place =
        Place { addon: credential.addon, table: store::TABLE, row: core.grant.0, column: "access_token" };
    let row = store::Model {
        id: core.grant,
        addon_id: credential.addon.into(),
        tenant_url: instance.as_str().to_owned(),
        access_token: app.vault.seal(place, &tenant.access_token).await?,
        issued_at: now.as_micros(),
        expires_at: expires_at.as_micros(),
    };
    let tx = app.store.begin().await?;
    store::put(&*tx, row).await?;
    tx.commit().await?;
    Ok(FreshToken { access_token: tenant.access_token, instance, expires_at, ..core })
}
