//! Who calls. A handler that takes one of these extractors can't run without the right, and gets what was loaded on
//! the way.
//!
//! | extractor | credentials | for |
//! |---|---|---|
//! | [`RequireApp`] | add-on token | run-time routes: hand-out, refresh, invocations |
//! | [`RequireReader`] | add-on token, or API key `manage` | lists and records |
//! | [`RequireManager`] | API key `manage`, or add-on token and fresh `x-addon-sso` | everything that changes |
//! | [`RequireOperator`] | API key `operate`, or the configured operator key | `/operator` |
//!
//! The add-on token sits in every dyno, so by itself it changes nothing. Credentials that are missing, wrong or
//! void get the same 401; right ones towards another add-on get the same 404 as an add-on that does not exist.

mod callers;
pub(crate) mod sso;

use std::sync::Arc;
use std::time::Duration;

use applink_api::headers::{ADDON_SSO, APP_UUID};
use applink_api::ids::{AddonId, AppUuid};
use applink_api::operator::{API_KEY_PREFIX, Scope};
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::addons::{self, Addon, AttachedApp, Attachment};
use crate::api_keys::{self, ApiKey};
use crate::app::App;
use crate::audit::{Actor, ActorKind};
use crate::db::StoreError;
use crate::error::ApiError;
use crate::limits::Who;
use crate::platform;
use crate::provider;
use crate::vault::hex;
use crate::web::limits;
pub use callers::Callers;
use callers::Known;
use sso::SignedOn;

/// An app with its add-on token.
#[derive(Clone, Debug)]
pub struct RequireApp {
    /// The attachment the token belongs to.
    pub attachment: Arc<Attachment>,
    /// Who it is, for the audit log.
    pub actor: Actor,
    /// It also sent `x-addon-sso`: a management client at work, not an app.
    pub for_management: bool,
}

/// Anybody who may see the add-on's records.
#[derive(Clone, Debug)]
pub struct RequireReader {
    /// The add-on.
    pub addon: Addon,
    /// The app, when a token names it.
    pub attachment: Option<Arc<Attachment>>,
    /// The API key, when it is one.
    pub key: Option<Uuid>,
    /// Who it is.
    pub actor: Actor,
    /// Not an app at run time: no tokens in the answers.
    pub for_management: bool,
}

/// Somebody who may change the add-on's records.
#[derive(Clone, Debug)]
pub struct RequireManager {
    /// The add-on.
    pub addon: Addon,
    /// The app the change is made through, when one is named or there is only one.
    pub app: Option<AttachedApp>,
    /// Who it is; an e-mail where there is one.
    pub actor: Actor,
    /// The person of our own Platform API whose rights were looked at.
    pub person: Option<Uuid>,
}

/// An operator.
#[derive(Clone, Debug)]
pub struct RequireOperator {
    /// Who it is.
    pub actor: Actor,
}

/// SHA-256 in hexadecimal: how tokens and keys are stored. They are 256 random bits, so a plain hash will do.
pub fn hash_of(secret: &SecretString) -> String {
    hex(digest(&SHA256, secret.expose_secret().as_bytes()).as_ref())
}

/// How often a caller with a wrong app can make us ask Heroku.
const LOOKED_LATELY: Duration = Duration::from_secs(10);

enum Caller {
    Token(Arc<Attachment>),
    Key(Arc<ApiKey>),
}

impl From<Known> for Caller {
    fn from(known: Known) -> Self {
        match known {
            Known::Token(attachment) => Self::Token(attachment),
            Known::Key(key) => Self::Key(key),
        }
    }
}

const WHO: &str =
    "Send `Authorization: Bearer` with the add-on's token (its config var ends in _TOKEN) or an API key.";

async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refused = || ApiError::unauthorized(WHO);
    let secret = bearer(headers).ok_or_else(refused)?;
    let hash = hash_of(&secret);
    let generation = app.callers.check(app).await?;
    if let Some(known) = app.callers.find(&hash, app.clock.now()) {
        return Ok(known.into());
    }
    let found = look_up(app, &secret, &hash).await?.ok_or_else(refused)?;
    app.callers.remember(hash, found.clone(), generation);
    Ok(found.into())
}

async fn look_up(app: &App, secret: &SecretString, hash: &str) -> Result<Option<Known>, StoreError> {
    if secret.expose_secret().starts_with(API_KEY_PREFIX) {
        let key = api_keys::presented(app, hash).await?;
        return Ok(key.map(|key| Known::Key(Arc::new(key))));
    }
    let attachment = addons::store::attachment_by_token(app.store.reader(), hash).await?;
    Ok(attachment.map(|attachment| Known::Token(Arc::new(attachment))))
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| SecretString::from(token))
}

async fn addon_in_path(parts: &mut Parts, app: &App) -> Option<AddonId> {
    let params = RawPathParams::from_request_parts(parts, app).await.ok()?;
    params.iter().find(|(name, _)| *name == "addon").and_then(|(_, value)| value.parse().ok())
}

/// The route on which apps get their tokens.
const HAND_OUT: &str = "/addons/{addon}/authorizations/{authorization}";

fn is_hand_out(parts: &Parts) -> bool {
    parts.extensions.get::<MatchedPath>().is_some_and(|path| path.as_str() == HAND_OUT)
}

/// The attachment's app must be the one the caller says it is. Heroku copies one token to every attachment of an add-on:
/// there the app that is named chooses among them.
async fn of_app(
    app: &App,
    headers: &HeaderMap,
    attachment: Arc<Attachment>,
) -> Result<Arc<Attachment>, ApiError> {
    let named = match app_uuid(headers)? {
        Some(named) if named != attachment.app.id => named,
        _ => return Ok(attachment),
    };
    if provider::store::find(app.store.reader(), attachment.addon.id).await?.is_some() {
        return of_herokus_app(app, attachment.addon.id, named).await.map(Arc::new);
    }
    Err(ApiError::forbidden(format!(
        "This token belongs to the app `{}`, but x-app-uuid names another: set HEROKU_APP_ID to {}.",
        attachment.app.name, attachment.app.id
    )))
}

async fn of_herokus_app(app: &App, addon: AddonId, named: AppUuid) -> Result<Attachment, ApiError> {
    let all = addons::store::attachments_of(app.store.reader(), addon).await?;
    if let Some(found) = all.into_iter().find(|attachment| attachment.app.id == named) {
        return Ok(found);
    }
    // It may have been attached a moment ago: Heroku is asked, so that the next try succeeds.
    let tx = app.store.begin().await?;
    provider::store::look_now(&*tx, addon, app.clock.now().minus(LOOKED_LATELY)).await?;
    tx.commit().await?;
    app.nudges.provider.notify_one();
    Err(ApiError::forbidden(
        "The app that x-app-uuid names is not attached to this add-on. Was it attached just now? Then try again in a moment.",
    ))
}

fn app_uuid(headers: &HeaderMap) -> Result<Option<AppUuid>, ApiError> {
    let Some(value) = headers.get(APP_UUID) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    parsed.map(Some).ok_or_else(|| {
        ApiError::bad_request("The header x-app-uuid is not a uuid: set HEROKU_APP_ID to the app's id.")
    })
}

fn app_actor(attachment: &Attachment) -> Actor {
    Actor::new(ActorKind::App, format!("{} ({})", attachment.app.name, attachment.prefix))
}

fn key_actor(key: &ApiKey) -> Actor {
    Actor::new(ActorKind::ApiKey, key.owner.clone())
}

impl FromRequestParts<App> for RequireApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let addon = addon_in_path(parts, app).await;
        let attachment = match caller(app, &parts.headers).await? {
            Caller::Token(attachment) => attachment,
            Caller::Key(_) => {
                return Err(ApiError::unauthorized("Only the add-on's token works here, not an API key."));
            }
        };
        if addon != Some(attachment.addon.id) {
            return Err(ApiError::not_found());
        }
        limits::count(app, &parts.extensions, Who::RunTime(attachment.addon.id))?;
        let attachment = of_app(app, &parts.headers, attachment).await?;
        ensure_may_look(app, &parts.headers, &attachment).await?;
        let actor = app_actor(&attachment);
        Ok(Self { attachment, actor, for_management: parts.headers.contains_key(ADDON_SSO) })
    }
}

impl FromRequestParts<App> for RequireReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let addon = addon_in_path(parts, app).await;
        match caller(app, &parts.headers).await? {
            Caller::Token(attachment) if addon == Some(attachment.addon.id) => {
                let for_management = parts.headers.contains_key(ADDON_SSO);
                let id = attachment.addon.id;
                let hands_out = !for_management && is_hand_out(parts);
                let who = if hands_out { Who::RunTime(id) } else { Who::Management(id) };
                limits::count(app, &parts.extensions, who)?;
                let attachment = of_app(app, &parts.headers, attachment).await?;
                ensure_may_look(app, &parts.headers, &attachment).await?;
                Ok(Self {
                    addon: attachment.addon.clone(),
                    actor: app_actor(&attachment),
                    attachment: Some(attachment),
                    key: None,
                    for_management,
                })
            }
            Caller::Key(key) if key.scope == Scope::Manage && key.addon.is_some() && key.addon == addon => {
                let addon = addon_of(app, &key).await?;
                limits::count(app, &parts.extensions, Who::Management(addon.id))?;
                if let Some(person) = key.person {
                    platform::caller::ensure_may_look(app, person, addon.id).await?;
                }
                let actor = key_actor(&key);
                Ok(Self { addon, attachment: None, key: Some(key.id), actor, for_management: true })
            }
            Caller::Token(_) | Caller::Key(_) => Err(ApiError::not_found()),
        }
    }
}

impl FromRequestParts<App> for RequireManager {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let addon = addon_in_path(parts, app).await;
        match caller(app, &parts.headers).await? {
            Caller::Token(attachment) if addon == Some(attachment.addon.id) => {
                let attachment = of_app(app, &parts.headers, attachment).await?;
                let (actor, person) = signed_on(app, &parts.headers, &attachment).await?;
                limits::count(app, &parts.extensions, Who::Management(attachment.addon.id))?;
                let through = Some(attachment.app.clone());
                Ok(Self { addon: attachment.addon.clone(), app: through, actor, person })
            }
            Caller::Key(key) if key.scope == Scope::Manage && key.addon.is_some() && key.addon == addon => {
                let addon = addon_of(app, &key).await?;
                limits::count(app, &parts.extensions, Who::Management(addon.id))?;
                let through = through_app(app, &addon, &key, &parts.headers).await?;
                Ok(Self { addon, app: through, actor: key_actor(&key), person: key.person })
            }
            Caller::Token(_) | Caller::Key(_) => Err(ApiError::not_found()),
        }
    }
}

/// A token alone changes nothing: single sign-on must say, lately, that a person is behind it.
async fn signed_on(
    app: &App,
    headers: &HeaderMap,
    attachment: &Attachment,
) -> Result<(Actor, Option<Uuid>), ApiError> {
    match person(app, headers, attachment.addon.id) {
        Ok(person) => vouched_for(app, person, attachment).await,
        Err(_) if app.config.access.allow_token_management => Ok((app_actor(attachment), None)),
        Err(why) => Err(ApiError::unauthorized(why)),
    }
}

/// Where we are the platform too, a person who may only view an app is shown nothing of its add-on, whatever token
/// they got hold of. A sign-on that proves nobody is ignored here: looking needs none.
async fn ensure_may_look(app: &App, headers: &HeaderMap, attachment: &Attachment) -> Result<(), ApiError> {
    let (Some(_), Some(salt)) = (&app.config.platform, &app.config.access.sso_salt) else { return Ok(()) };
    let Some(header) = headers.get(ADDON_SSO) else { return Ok(()) };
    match sso::proved_whenever(header.as_bytes(), salt, attachment.addon.id) {
        Some(person) => platform::caller::ensure_may_work(app, person, attachment.app.id).await,
        None => Ok(()),
    }
}

/// Where we are the platform too, we know whom we signed on and what they may do; elsewhere a name is a claim.
async fn vouched_for(
    app: &App,
    person: SignedOn,
    attachment: &Attachment,
) -> Result<(Actor, Option<Uuid>), ApiError> {
    let actor = |kind| Actor::new(kind, person.name.clone());
    match (&app.config.platform, person.proved) {
        (None, None) => Ok((actor(ActorKind::Claimed), None)),
        (None, Some(_)) => Ok((actor(ActorKind::Person), None)),
        (Some(_), Some(id)) => {
            platform::caller::ensure_may_work(app, id, attachment.app.id).await?;
            Ok((actor(ActorKind::Person), Some(id)))
        }
        (Some(_), None) => Err(ApiError::unauthorized(
            "The single sign-on in x-addon-sso does not count: it does not come from this server's Platform API.",
        )),
    }
}

fn person(app: &App, headers: &HeaderMap, addon: AddonId) -> Result<SignedOn, String> {
    const ALONE: &str = "The add-on's token alone changes nothing: send an API key with scope `manage`, or x-addon-sso with it.";
    const NO_SALT: &str = "This server does not take x-addon-sso (the operator sets APPLINK_SSO_SALT): send an API key with scope `manage`.";
    let header = headers.get(ADDON_SSO).ok_or(ALONE)?;
    let salt = app.config.access.sso_salt.as_ref().ok_or(NO_SALT)?;
    sso::verify(header.as_bytes(), salt, addon, app.clock.now())
        .map_err(|error| format!("The single sign-on in x-addon-sso does not count: {error}."))
}

async fn addon_of(app: &App, key: &ApiKey) -> Result<Addon, ApiError> {
    let id = key.addon.ok_or_else(ApiError::not_found)?;
    addons::store::find_addon(app.store.reader(), id).await?.ok_or_else(ApiError::not_found)
}

const NO_MORE: &str = "Who made this key may not change the add-on any more: they need the deploy or the operate permission on an app that it is attached to.";
const NOT_THEIRS: &str = "Who made this key may not work through the app that x-app-uuid names: they need the deploy or the operate permission on it, and it has to be attached to this add-on.";

/// The app a key's holder works through: the one named, else the only one. A key of a person has no other apps than they
/// have at the moment.
async fn through_app(
    app: &App,
    addon: &Addon,
    key: &ApiKey,
    headers: &HeaderMap,
) -> Result<Option<AttachedApp>, ApiError> {
    let mut attached: Vec<AttachedApp> = addons::store::attachments_of(app.store.reader(), addon.id)
        .await?
        .into_iter()
        .map(|found| found.app)
        .collect();
    if let Some(person) = key.person {
        attached = platform::caller::works_through(app.store.reader(), person, attached).await?;
        if attached.is_empty() {
            return Err(ApiError::forbidden(NO_MORE));
        }
    }
    match app_uuid(headers)? {
        Some(named) => match attached.into_iter().find(|attached| attached.id == named) {
            Some(found) => Ok(Some(found)),
            None if key.person.is_some() => Err(ApiError::forbidden(NOT_THEIRS)),
            None => Err(ApiError::forbidden(
                "The app that x-app-uuid names is not attached to this add-on: set HEROKU_APP_ID to the id of one that is.",
            )),
        },
        None => {
            attached.dedup_by_key(|attached| attached.id);
            Ok(if attached.len() == 1 { attached.pop() } else { None })
        }
    }
}

impl FromRequestParts<App> for RequireOperator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let actor = operator(app, &parts.headers).await?;
        limits::count(app, &parts.extensions, Who::Operator(actor.name.clone()))?;
        Ok(Self { actor })
    }
}

async fn operator(app: &App, headers: &HeaderMap) -> Result<Actor, ApiError> {
    let refused = || ApiError::unauthorized("Send `Authorization: Bearer` with an operator key.");
    let secret = bearer(headers).ok_or_else(refused)?;
    if let Some(configured) = &app.config.access.operator_key
        && same(&hash_of(configured), &hash_of(&secret))
    {
        return Ok(Actor::new(ActorKind::Operator, "the configured operator key"));
    }
    let key = api_keys::presented(app, &hash_of(&secret)).await?;
    match key {
        Some(key) if key.scope == Scope::Operate => Ok(Actor::new(ActorKind::Operator, key.owner)),
        _ => Err(refused()),
    }
}

/// In constant time.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}
