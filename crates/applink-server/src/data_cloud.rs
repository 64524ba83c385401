//! Tokens of Data Cloud tenants.
//!
//! 1. What is stored for a Data Cloud org is a grant of the org, kept alive like any other ([`crate::tokens`]).
//! 2. Its access token is traded for one of the org's tenant, which is what apps get, with the tenant's URL.
//! 3. That token is kept sealed beside the grant ([`store`]). After three quarters of its life another is fetched behind
//!    the hand-outs, which go on with the kept one; past nine tenths a hand-out waits a moment for the other. While none
//!    is to be had, for whatever reason but the grant's end, the kept one is handed out as long as it lives.
//! 4. When the org says that the access token is no good, another of those is fetched first.
//!
//! The same access token may be traded any number of times, so this needs no lease: in one process one task trades for a
//! grant at a time ([`exchanges`]), and two processes do no harm.

pub mod exchanges;
pub mod store;

use std::time::Duration;

use applink_api::secret::fingerprint;
use applink_api::time::Timestamp;
use applink_salesforce::oauth::{TenantToken, TokenFailure};
use tokio::time::Instant;

use crate::app::App;
use crate::credentials::Credential;
use crate::tokens::{self, FreshToken, TokenError};
use crate::vault::Place;

/// Until an org that gave no token is asked again, and until somebody who got none should ask again.
const PAUSE: Duration = Duration::from_secs(5);
/// A token younger than this is not replaced on a client's word: another would be refused too.
const YOUNG: Duration = Duration::from_secs(5);
/// How long somebody waits for a trade when there is nothing else to hand out.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long hand-outs wait for a trade, from its beginning, while the kept token lives still.
const LATE_PATIENCE: Duration = Duration::from_secs(2);

/// A token that is kept.
struct Kept {
    token: FreshToken,
    issued_at: Timestamp,
}

/// How far a token is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Good.
    Fresh,
    /// Good; another is fetched behind.
    Old,
    /// It ends soon: another is waited for, if that takes no time.
    Late,
    /// It is over.
    Dead,
}

impl Kept {
    fn age(&self, now: Timestamp) -> Age {
        age(self.issued_at, self.token.expires_at, now)
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.token.access_token).to_string()
    }
}

fn age(issued_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Age {
    let life = expires_at.since(issued_at);
    if now >= expires_at {
        Age::Dead
    } else if now >= issued_at.plus(life * 9 / 10) {
        Age::Late
    } else if now >= issued_at.plus(life * 3 / 4) {
        Age::Old
    } else {
        Age::Fresh
    }
}

/// The tenant's token for somebody who has just read the live grant.
///
/// # Errors
/// [`TokenError`].
pub(crate) async fn token_of(
    app: &App,
    credential: &Credential,
    grant: &tokens::store::Model,
) -> Result<FreshToken, TokenError> {
    let kept = kept(app, credential, grant).await?;
    let age = kept.as_ref().map_or(Age::Dead, |kept| kept.age(app.clock.now()));
    if age != Age::Dead {
        // The org's own token is kept alive all the same, and nobody waits for that.
        tokens::look_after(app, grant)?;
    }
    match (age, kept) {
        (Age::Fresh, Some(kept)) => Ok(kept.token),
        (Age::Old, Some(kept)) => {
            // Why there is none is in the log.
            let _ = app.exchanges.begin_unless_paused(app, credential, grant.id);
            Ok(kept.token)
        }
        (Age::Late, Some(kept)) => {
            let other = match app.exchanges.begin_unless_paused(app, credential, grant.id) {
                Ok(trade) => {
                    let until = trade.since + LATE_PATIENCE;
                    trade.ended(until).await
                }
                Err(error) => Err(error),
            };
            other_or(app, other, Some(kept))
        }
        _ => {
            let trade = app.exchanges.begin_unless_paused(app, credential, grant.id)?;
            trade.ended(Instant::now() + PATIENCE).await
        }
    }
}

/// A grant that is over gives nothing any more; otherwise the kept token is as good as it was.
fn other_or(
    app: &App,
    other: Result<FreshToken, TokenError>,
    kept: Option<Kept>,
) -> Result<FreshToken, TokenError> {
    match (other, kept) {
        (Err(error), Some(kept)) if !error.means_gone() && kept.age(app.clock.now()) != Age::Dead => {
            Ok(kept.token)
        }
        (other, _) => other,
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
    let grant = tokens::live_grant(app, credential).await?;
    let kept = kept(app, credential, &grant).await?;
    let now = app.clock.now();
    let kept = kept.filter(|kept| kept.age(now) != Age::Dead);
    let refused = match kept {
        Some(kept) if reported.is_some_and(|reported| reported != kept.fingerprint()) => {
            return token_of(app, credential, &grant).await;
        }
        Some(kept) if now.since(kept.issued_at) < YOUNG => return Ok(kept.token),
        kept => kept.map(|kept| kept.fingerprint()),
    };
    let trade = app.exchanges.begin(app, credential, grant.id, refused);
    trade.ended(Instant::now() + PATIENCE).await
}

/// Trades, unless another process was quicker and its token is not the one `refused`.
async fn trade(
    app: &App,
    credential: &Credential,
    refused: Option<String>,
) -> Result<FreshToken, TokenError> {
    let traded = async {
        let core = tokens::fresh_access_token(app, credential).await?;
        let grant = tokens::live_grant(app, credential).await?;
        let kept = kept(app, credential, &grant).await?;
        if let Some(kept) = kept
            && kept.age(app.clock.now()) == Age::Fresh
            && Some(kept.fingerprint()) != refused
        {
            return Ok(kept.token);
        }
        let (core, tenant) = exchange(app, credential, core).await?;
        keep(app, credential, core, tenant).await
    };
    let traded = traded.await;
    if let Err(error) = &traded {
        tracing::warn!(credential = %credential.id, error = %crate::error::chain(error), "there is no new Data Cloud token");
    }
    traded
}

/// Step 4: a refusal may mean that the org ended its own session early.
async fn exchange(
    app: &App,
    credential: &Credential,
    core: FreshToken,
) -> Result<(FreshToken, TenantToken), TokenError> {
    let failure = match app.oauth.exchange_for_tenant(&core.instance, &core.access_token).await {
        Ok(tenant) => return Ok((core, tenant)),
        Err(failure) => failure,
    };
    if failure.refusal().is_none_or(|refusal| refusal.error != "invalid_grant") {
        return Err(told(credential, &failure));
    }
    let core = tokens::replace_rejected(app, credential, core.version).await?;
    match app.oauth.exchange_for_tenant(&core.instance, &core.access_token).await {
        Ok(tenant) => Ok((core, tenant)),
        Err(failure) => Err(told(credential, &failure)),
    }
}

fn told(credential: &Credential, failure: &TokenFailure) -> TokenError {
    tracing::warn!(credential = %credential.id, error = %crate::error::chain(failure), "the org gives no Data Cloud token");
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

async fn kept(
    app: &App,
    credential: &Credential,
    grant: &tokens::store::Model,
) -> Result<Option<Kept>, TokenError> {
    let row = store::find(app.store.reader(), credential.addon, grant.id).await?;
    let Some(row) = row else { return Ok(None) };
    // Where it is good may not be called any more: then it is none.
    let Ok(instance) = app.hosts.instance(&row.tenant_url) else { return Ok(None) };
    let token = FreshToken {
        access_token: app.vault.open_sealed(row.place(), &row.access_token).await?,
        instance,
        org_id: grant.org_id.clone(),
        grant: grant.id,
        version: grant.token_version,
        expires_at: Timestamp::from_micros(row.expires_at),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_behind_then_waited_for_a_moment_then_over() {
        let born = Timestamp::from_seconds(1_000);
        let at = |seconds| {
            age(born, born.plus(Duration::from_secs(7_200)), born.plus(Duration::from_secs(seconds)))
        };
        for (seconds, expected) in [
            (0, Age::Fresh),
            (5_399, Age::Fresh),
            (5_400, Age::Old),
            (6_479, Age::Old),
            (6_480, Age::Late),
            (7_199, Age::Late),
            (7_200, Age::Dead),
        ] {
            assert_eq!(at(seconds), expected, "after {seconds} s");
        }
    }
}
