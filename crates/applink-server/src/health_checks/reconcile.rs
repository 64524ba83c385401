//! Looks that are due.

use std::time::Duration;

use applink_salesforce::oauth::TokenFailure;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::flow::{self, Look};
use super::store::{self, Model};
use crate::app::App;
use crate::credentials::{self, Credential};
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::tokens::{self, TokenError};

/// Looks run side by side, each with at most a question and a renewal.
const LEASE: Duration = Duration::from_secs(300);
/// Looks per run: with one run a minute, 11,000 grants are looked at four times a day.
const BATCH: u32 = 32;
/// Looks under way at a time.
const SIDE_BY_SIDE: usize = 8;

/// Enlists what is new and looks at what is due.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn check_due(app: &App) -> Result<Status, StepError> {
    enlist(app).await?;
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let rows = app.store.database().claim_due::<Model>(store::DUE, claim).await?;
    let looks = stream::iter(rows).map(|row| check(app, row)).buffer_unordered(SIDE_BY_SIDE);
    let looks: Vec<Result<(), StoreError>> = looks.collect().await;
    let done = u64::try_from(looks.len()).unwrap_or_default();
    looks.into_iter().collect::<Result<Vec<()>, StoreError>>()?;
    Ok(Status { done })
}

async fn enlist(app: &App) -> Result<(), StoreError> {
    let missing = store::missing(app.store.reader()).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let (now, period) = (app.clock.now(), app.config.health_check_period);
    let tx = app.store.begin().await?;
    for one in missing {
        store::enlist(&*tx, one, flow::first(now, period, |bound| app.entropy.below(bound))).await?;
    }
    tx.commit().await
}

async fn check(app: &App, row: Model) -> Result<(), StoreError> {
    let (reader, addon) = (app.store.reader(), row.addon_id.into());
    let grant = tokens::store::live(reader, addon, row.id.0).await?;
    let credential = credentials::store::find_by_id(reader, addon, row.id.0).await?;
    let credential = credential.filter(|credential| credential.live().is_some());
    let outcome = match credential.zip(grant) {
        Some((credential, grant)) => look(app, &credential, &grant).await?,
        None => Outcome::Gone,
    };
    let tx = app.store.begin().await?;
    match outcome {
        Outcome::Gone => store::drop_from_list(&*tx, &row).await?,
        outcome => {
            let now = app.clock.now();
            let next = flow::next(now, app.config.health_check_period, |bound| app.entropy.below(bound));
            store::settle(&*tx, &row, outcome.as_str(), (now, next)).await?;
        }
    }
    tx.commit().await
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It works.
    Alive,
    /// Somebody is at it, or it is paused.
    Left,
    /// The org can't or won't say.
    Unknown,
    /// The org refuses for a reason somebody can mend.
    Refused,
    /// There is nothing to look at any more.
    Gone,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Left => "left",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

async fn look(
    app: &App,
    credential: &Credential,
    grant: &tokens::store::Model,
) -> Result<Outcome, StoreError> {
    let now = app.clock.now();
    let lease = grant.lease()?;
    Ok(match flow::look(&lease, grant.refresh_token.is_some(), now) {
        Look::Leave => Outcome::Left,
        Look::Alive => Outcome::Alive,
        Look::Renew => found(tokens::fresh_access_token(app, credential).await.map(drop)),
        Look::Ask => match is_good(app, grant).await {
            Ok(true) => Outcome::Alive,
            Ok(false) => {
                let renewed = tokens::replace_rejected(app, credential, grant.token_version).await;
                found(renewed.map(drop))
            }
            Err(error) => {
                tracing::debug!(grant = %grant.id, error = %chain(&error), "an org would not say whether a refresh token is good");
                if now < lease.expires_at {
                    Outcome::Unknown
                } else {
                    found(tokens::fresh_access_token(app, credential).await.map(drop))
                }
            }
        },
    })
}

/// What a renewal, or its refusal, says. What it found is written in the rows already.
fn found(renewed: Result<(), TokenError>) -> Outcome {
    match renewed {
        Ok(()) => Outcome::Alive,
        Err(TokenError::ReauthRequired(_) | TokenError::NotLive) => Outcome::Gone,
        Err(TokenError::Refused { .. }) => Outcome::Refused,
        Err(TokenError::Renewal(error)) => match error.as_ref() {
            TokenError::ReauthRequired(_) | TokenError::NotLive => Outcome::Gone,
            TokenError::Refused { .. } => Outcome::Refused,
            _ => Outcome::Unknown,
        },
        Err(_) => Outcome::Unknown,
    }
}

/// Asks the org. Nothing is used up by it.
async fn is_good(app: &App, grant: &tokens::store::Model) -> Result<bool, AskError> {
    let sealed = grant.refresh_token.as_ref().ok_or(AskError::Nothing)?;
    let token = app.vault.open_sealed(grant.place("refresh_token"), sealed).await.map_err(AskError::Vault)?;
    let instance = app.hosts.instance(&grant.instance_url).map_err(AskError::Host)?;
    let client = app.config.oauth.client_secrets(&grant.client_id).first;
    let said = app.oauth.introspect_refresh_token(&instance, &client, &token).await;
    Ok(said.map_err(AskError::Org)?.active)
}

/// The org was not asked, or did not say.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("there is no refresh token")]
    Nothing,
    #[error("the refresh token can't be opened")]
    Vault(#[source] crate::vault::VaultError),
    #[error("the org's URL may not be called")]
    Host(#[source] applink_salesforce::hosts::HostRefused),
    #[error("the org did not say")]
    Org(#[source] TokenFailure),
}
