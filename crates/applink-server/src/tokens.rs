//! Handing out access tokens that live, refreshing each of them exactly once.
//!
//! 1. Look at the live grant: is its access token good, old, or dead? ([`lease`], step `Wanted`.)
//! 2. Good: open it and hand it out. Old: hand it out and renew it in the background. Nearly dead: wait a moment for the
//!    renewal, and hand it out all the same when none comes. Dead: wait for the renewal.
//! 3. In one process only one task renews a grant; everyone else waits for it ([`flights`]). The task outlives the
//!    request that started it.
//! 4. Among processes the row's lease decides: claim it, write the intent, commit ([`renew`], step `Claimed`).
//! 5. Send, unless too little of the lease is left.
//! 6. Commit the new tokens, conditional on fence and version, *before* anybody gets them; then go to 1. The org is asked
//!    once, behind, how long they live ([`age`]).
//! 7. The org ended the grant: the credential is dead, its ciphertext erased, and the next hand-out says which
//!    command helps. What an org refuses for a reason somebody can mend is only paused, and hand-outs say that reason.
//!
//! Grants that nobody uses are refreshed before the org would end them ([`keep_alive`]). Grants whose credential was
//! disconnected or replaced are revoked at the org and erased ([`reconcile`]).

pub(crate) mod adopt;
pub(crate) mod age;
pub mod flights;
pub mod keep_alive;
pub mod lease;
pub mod points;
pub mod reconcile;
pub mod renew;
pub mod store;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use applink_api::error::ResourceError;
use applink_api::secret::fingerprint;
use applink_api::time::Timestamp;
use applink_salesforce::OrgOrigin;
use applink_salesforce::hosts::HostRefused;
use secrecy::SecretString;
use tokio::time::Instant;

use self::lease::{Effect, Event, LeaseState, Rotation, step};
use crate::app::App;
use crate::config::RotationSetting;
use crate::credentials::{self, Credential};
use crate::db::{self, RowId, StoreError};
use crate::error::ApiError;
use crate::vault::VaultError;

/// How long a hand-out waits for a renewal that another process is at.
const PATIENCE: Duration = Duration::from_secs(25);
/// The same while the token it has lives: that one will do when the renewal takes longer.
const PATIENCE_WHILE_ALIVE: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// A live access token and where it is good.
#[derive(Clone, Debug)]
pub struct FreshToken {
    /// The token.
    pub access_token: SecretString,
    /// The one origin it may be sent to.
    pub instance: OrgOrigin,
    /// The org, 18 characters.
    pub org_id: String,
    /// The grant it belongs to.
    pub grant: RowId,
    /// Its version: report it when the org refuses it.
    pub version: i64,
    /// When it ends, as far as known.
    pub expires_at: Timestamp,
}

/// No token can be handed out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is nothing live under this name.
    #[error("there is no live grant")]
    NotLive,
    /// The org ended the grant.
    #[error("{}", .0.message)]
    ReauthRequired(ResourceError),
    /// The org can't be asked now.
    #[error("the org gives no new token at the moment")]
    RetryAfter(Duration),
    /// A client reports again and again that the org refuses its token.
    #[error("the token is reported as refused too often")]
    TooSoon(Duration),
    /// The org refuses for a reason that somebody can mend.
    #[error("{sentence}")]
    Refused {
        /// What the org said, and what mends it.
        sentence: String,
        /// When it is tried again.
        wait: Duration,
    },
    /// The stored instance URL is not one we may call any more.
    #[error("the org's URL may not be called")]
    Host(#[source] HostRefused),
    /// The database failed.
    #[error("the grant can't be read or written")]
    Store(#[source] StoreError),
    /// The vault failed.
    #[error("the token can't be opened or sealed")]
    Vault(#[source] VaultError),
    /// A renewal failed for one of the reasons above.
    #[error("the renewal failed")]
    Renewal(#[source] Arc<TokenError>),
}

impl TokenError {
    /// The org gave a token, and the database refuses it.
    pub(crate) fn not_stored() -> Self {
        let sentence = "The org's last answer can't be stored, and is tried again: see the server's log.";
        Self::Refused { sentence: sentence.to_owned(), wait: Duration::from_secs(60) }
    }

    /// Whether there is no live grant any more.
    pub(crate) fn means_gone(&self) -> bool {
        match self {
            Self::NotLive | Self::ReauthRequired(_) => true,
            Self::Renewal(error) => error.means_gone(),
            _ => false,
        }
    }

    /// Whether the org may give a token later, without a person.
    fn is_passing(&self) -> bool {
        match self {
            Self::RetryAfter(_) | Self::TooSoon(_) | Self::Refused { .. } => true,
            Self::Renewal(error) => error.is_passing(),
            _ => false,
        }
    }

    /// Whether a token that lives is handed out all the same.
    fn leaves_living_token(&self) -> bool {
        self.is_passing() || self.is_unavailable()
    }

    /// Whether the database is away.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Store(error) | Self::Vault(VaultError::Store(error)) => error.is_unavailable(),
            Self::Renewal(error) => error.is_unavailable(),
            _ => false,
        }
    }
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<VaultError> for TokenError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotLive => {
                Self::unavailable("The row is changing; try again.", Duration::from_secs(1))
            }
            TokenError::ReauthRequired(error) => reauth(error.message),
            TokenError::RetryAfter(wait) => retry_after(wait),
            TokenError::TooSoon(wait) => too_soon(wait),
            TokenError::Refused { sentence, wait } => Self::unavailable(sentence, wait),
            TokenError::Store(error) => error.into(),
            TokenError::Vault(error) => error.into(),
            TokenError::Renewal(error) => of_renewal(&error),
            error @ TokenError::Host(_) => Self::org_unreachable(
                "The org's URL is neither a Salesforce host nor listed by the operator.",
            )
            .caused_by(error),
        }
    }
}

fn reauth(message: String) -> ApiError {
    ApiError::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        applink_api::error::error_id::REAUTH_REQUIRED,
        message,
    )
}

fn retry_after(wait: Duration) -> ApiError {
    ApiError::unavailable("The org gives no new access token at the moment; try again later.", wait)
}

fn too_soon(wait: Duration) -> ApiError {
    ApiError::rate_limited(
        "This token was renewed on your word a moment ago, and again before that: the org refuses the calls for another reason than the token's age. See the error the org answers, and the user's permissions there.",
        wait,
    )
}

/// A shared error can't be taken apart: its kind decides, its text goes to the log.
fn of_renewal(error: &Arc<TokenError>) -> ApiError {
    let cause = TokenError::Renewal(Arc::clone(error));
    match error.as_ref() {
        TokenError::ReauthRequired(error) => reauth(error.message.clone()),
        TokenError::RetryAfter(wait) => retry_after(*wait),
        TokenError::Refused { sentence, wait } => ApiError::unavailable(sentence.clone(), *wait),
        TokenError::Renewal(error) => of_renewal(error),
        error if error.is_unavailable() => ApiError::unavailable(
            "The database can't be reached; try again in a moment.",
            Duration::from_secs(5),
        )
        .caused_by(cause),
        _ => ApiError::internal(cause),
    }
}

/// A live access token of a connection or authorization.
///
/// # Errors
/// [`TokenError`].
pub async fn fresh_access_token(app: &App, credential: &Credential) -> Result<FreshToken, TokenError> {
    hand_out(app, credential, None, None).await
}

/// The same for somebody who has just read the live grant.
///
/// # Errors
/// [`TokenError`].
pub(crate) async fn fresh_access_token_of(
    app: &App,
    credential: &Credential,
    grant: Option<&store::Model>,
) -> Result<FreshToken, TokenError> {
    hand_out(app, credential, None, grant.map(Cow::Borrowed)).await
}

/// The live grant of a connection or authorization.
///
/// # Errors
/// [`TokenError`] with the credential's own word for why there is none.
pub(crate) async fn live_grant(app: &App, credential: &Credential) -> Result<store::Model, TokenError> {
    match live(app, credential).await? {
        Some(grant) => Ok(grant),
        None => Err(not_live(app, credential).await),
    }
}

/// Begins the renewal that a hand-out of this grant would begin, and waits for nothing.
///
/// # Errors
/// [`StoreError`] when the row is none.
pub(crate) fn look_after(app: &App, grant: &store::Model) -> Result<(), StoreError> {
    let wanted = Event::Wanted { now: app.clock.now(), rejected: None };
    if let Effect::HandOutAndRenew | Effect::Renew = step(&state_of(app, grant)?, wanted).1 {
        app.flights.start(app, grant, None);
    }
    Ok(())
}

/// A token newer than the version `rejected`, which the org refused.
///
/// # Errors
/// [`TokenError`].
pub async fn replace_rejected(
    app: &App,
    credential: &Credential,
    rejected: i64,
) -> Result<FreshToken, TokenError> {
    hand_out(app, credential, Some(rejected), None).await
}

/// A token other than the one a client reports as refused by the org, by its
/// [`fingerprint`]. When another is in use already, that one; without a
/// fingerprint, the one in use counts as refused. A very young one is handed out again.
///
/// # Errors
/// [`TokenError`].
pub async fn replace_reported(
    app: &App,
    credential: &Credential,
    reported: Option<&str>,
) -> Result<FreshToken, TokenError> {
    let grant = live_grant(app, credential).await?;
    let rejected = match reported {
        None => true,
        Some(reported) => fingerprint(&open(app, &grant).await?.access_token).to_string() == reported,
    };
    hand_out(app, credential, rejected.then_some(grant.token_version), None).await
}

/// Steps 1 to 3, until there is something to hand out.
async fn hand_out(
    app: &App,
    credential: &Credential,
    rejected: Option<i64>,
    mut first: Option<Cow<'_, store::Model>>,
) -> Result<FreshToken, TokenError> {
    let begun = Instant::now();
    let patience = begun + PATIENCE;
    let mut seen_paused = None;
    loop {
        let read = match first.take() {
            Some(grant) => Some(grant),
            None => live(app, credential).await?.map(Cow::Owned),
        };
        let Some(grant) = read else { return Err(not_live(app, credential).await) };
        let now = app.clock.now();
        match step(&state_of(app, &grant)?, Event::Wanted { now, rejected }).1 {
            Effect::HandOut => return open(app, &grant).await,
            Effect::HandOutAndRenew => {
                app.flights.start(app, &grant, None);
                return open(app, &grant).await;
            }
            Effect::Renew | Effect::AwaitHolder if is_alive(app, &grant, rejected) => {
                let patience = begun + PATIENCE_WHILE_ALIVE;
                match landed(app.flights.start(app, &grant, rejected), patience).await {
                    Ok(()) if Instant::now() < patience => continue,
                    Err(error) if !error.leaves_living_token() => return Err(error),
                    _ if is_alive(app, &grant, rejected) => return open(app, &grant).await,
                    landed => landed?,
                }
            }
            Effect::Renew | Effect::AwaitHolder => {
                landed(app.flights.start(app, &grant, rejected), patience).await?;
            }
            // The row alone says that somebody began and vanished; but here the renewal may be under way, and late only.
            // One that ended between that look at the row and this has changed the row.
            Effect::RetryAfter(wait) => match app.flights.under_way(grant.id.0) {
                Some(flight) => landed(flight, patience).await?,
                None if seen_paused.as_ref() == Some(&grant) => {
                    return Err(paused(grant.refusal.clone(), wait));
                }
                None => seen_paused = Some(grant),
            },
            Effect::TooSoon(wait) => return Err(TokenError::TooSoon(wait)),
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
        if Instant::now() >= patience {
            return Err(TokenError::RetryAfter(Duration::from_secs(5)));
        }
    }
}

async fn live(app: &App, credential: &Credential) -> Result<Option<store::Model>, StoreError> {
    let read = store::live(app.store.reader(), credential.addon, credential.id);
    db::in_time(Instant::now() + db::PATIENCE, read).await
}

/// Whether the token a grant has may be used still, as far as is known.
fn is_alive(app: &App, grant: &store::Model, rejected: Option<i64>) -> bool {
    rejected != Some(grant.token_version) && app.clock.now().as_micros() < grant.expires_at
}

/// Waits for a renewal, and no longer than until then.
async fn landed(flight: flights::Flight, patience: Instant) -> Result<(), TokenError> {
    let landed = tokio::time::timeout_at(patience, flight.wait()).await;
    landed.unwrap_or(Err(TokenError::RetryAfter(Duration::from_secs(5))))
}

/// The row's state, with what this process knows of the database. Where the operator has said whether orgs rotate refresh
/// tokens, that counts until an answer has shown it.
fn state_of(app: &App, grant: &store::Model) -> Result<LeaseState, StoreError> {
    let last_chance_from = Some(app.spool.outage().last_chance_from());
    let state = LeaseState { last_chance_from, ..grant.lease()? };
    Ok(match (state.rotation, app.config.oauth.rotation) {
        (Rotation::Unknown { .. }, RotationSetting::Off) => LeaseState { rotation: Rotation::Off, ..state },
        (Rotation::Unknown { .. }, RotationSetting::On) => LeaseState { rotation: Rotation::On, ..state },
        _ => state,
    })
}

/// Nothing is sent before `wait` is over.
fn paused(refusal: Option<String>, wait: Duration) -> TokenError {
    match refusal {
        Some(sentence) => TokenError::Refused { sentence, wait },
        None => TokenError::RetryAfter(wait),
    }
}

async fn open(app: &App, grant: &store::Model) -> Result<FreshToken, TokenError> {
    let sealed = grant.access_token.as_ref().ok_or(TokenError::NotLive)?;
    let access_token = app.vault.open_sealed(grant.place("access_token"), sealed).await?;
    Ok(FreshToken {
        access_token,
        instance: app.hosts.instance(&grant.instance_url).map_err(TokenError::Host)?,
        org_id: grant.org_id.clone(),
        grant: grant.id,
        version: grant.token_version,
        expires_at: Timestamp::from_micros(grant.expires_at),
    })
}

/// The credential's own word for why nothing is live.
async fn not_live(app: &App, credential: &Credential) -> TokenError {
    match credentials::store::find_by_id(app.store.reader(), credential.addon, credential.id).await {
        Ok(found) => match found.as_ref().and_then(Credential::error) {
            Some(error) => TokenError::ReauthRequired(error.clone()),
            None => TokenError::NotLive,
        },
        Err(error) => error.into(),
    }
}
