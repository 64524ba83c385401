//! Step 2: the one-time link.

use applink_api::org::OrgType;
use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::{AuthorizeRequest, PkceVerifier, authorize_url};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cookie::{Cookie, SameSite};
use http::header::{HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use super::pages::Trouble;
use super::{DATA_CLOUD_SCOPES, SCOPES, store};
use crate::app::App;
use crate::credentials;
use crate::error::ApiError;
use crate::web::ApiPath;
use crate::web::auth::{hash_of, same};
use crate::web::page::HEADERS;

/// Characters of the state's hash in the cookie's name, so that flows in several tabs don't disturb each other.
const NAME_DIGITS: usize = 16;

/// The one-time link a person opens.
#[utoipa::path(
    get,
    path = "/oauth/start/{link}",
    tag = "browser",
    responses((status = 303, description = "On to the org"), (status = 410, description = "Used, expired or unknown", body = String, content_type = "text/html")),
    security(())
)]
pub async fn start(State(app): State<App>, ApiPath(link): ApiPath<String>) -> Response {
    match to_the_org(&app, &SecretString::from(link)).await {
        Ok(Some(response)) => response,
        Ok(None) => Trouble::link_used().into_response(),
        Err(error) => Trouble::of(error).into_response(),
    }
}

async fn to_the_org(app: &App, link: &SecretString) -> Result<Option<Response>, ApiError> {
    let state = app.entropy.url_token();
    let cookie = app.entropy.url_token();
    let (state_hash, cookie_hash) = (hash_text(&state), hash_text(&cookie));
    let tx = app.store.begin().await?;
    let started =
        store::start(&*tx, &hash_of(link), state_hash.clone(), cookie_hash, app.clock.now()).await?;
    let Some(flow) = started else { return Ok(None) };
    tx.commit().await?;
    let verifier =
        PkceVerifier::restore(app.vault.open_sealed(flow.place("verifier"), &flow.verifier).await?);
    let login =
        app.hosts.instance(&flow.login_origin).map_err(|error| ApiError::validation(error.to_string()))?;
    let found =
        credentials::store::find_by_id(app.store.reader(), flow.addon(), flow.credential_id.0).await?;
    let scopes = scopes_for(found.map_or(OrgType::SalesforceOrg, |credential| credential.org_type));
    let location = authorize_at(app, &flow, &login, &state, &verifier, &scopes);
    let cookie = cookie_for(app, &state_hash, cookie);
    Ok(Some(redirect(&location, &cookie)))
}

/// An org refuses scopes its external client app does not have, so those of Data Cloud are asked for where they are needed.
fn scopes_for(org_type: OrgType) -> Vec<&'static str> {
    match org_type {
        OrgType::SalesforceOrg => SCOPES.to_vec(),
        OrgType::DataCloudOrg => SCOPES.into_iter().chain(DATA_CLOUD_SCOPES).collect(),
    }
}

fn authorize_at(
    app: &App,
    flow: &store::Model,
    login: &OrgOrigin,
    state: &str,
    verifier: &PkceVerifier,
    scopes: &[&str],
) -> String {
    let request = AuthorizeRequest {
        consumer_key: &flow.client_id,
        redirect_uri: &app.urls.oauth_callback(),
        scopes,
        state,
        challenge: &verifier.challenge(),
        prompt: None,
    };
    authorize_url(login, &request).into()
}

fn redirect(location: &str, cookie: &Cookie<'_>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, HEADERS).into_response();
    if let (Ok(location), Ok(cookie)) =
        (HeaderValue::from_str(location), HeaderValue::from_str(&cookie.to_string()))
    {
        response.headers_mut().insert(LOCATION, location);
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// `__Host-` pins the cookie to this very host over TLS; plain http is for loopback only, where browsers refuse that
/// prefix.
fn cookie_for(app: &App, state_hash: &str, value: String) -> Cookie<'static> {
    let timeout = i64::try_from(app.config.oauth.timeout.0.as_secs()).unwrap_or(600);
    Cookie::build((cookie_name(app, state_hash), value))
        .path("/")
        .http_only(true)
        .secure(app.urls.is_https())
        // The way back from the org is a top-level navigation from another site.
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(timeout))
        .build()
}

fn cookie_name(app: &App, state_hash: &str) -> String {
    let prefix = if app.urls.is_https() { "__Host-" } else { "" };
    format!("{prefix}applink-oauth-{}", state_hash.get(..NAME_DIGITS).unwrap_or_default())
}

/// Whether this browser is the one the flow was started in.
pub(super) fn is_same_browser(app: &App, flow: &store::Model, headers: &HeaderMap) -> bool {
    let (Some(state_hash), Some(cookie_hash)) = (&flow.state_hash, &flow.cookie_hash) else { return false };
    let name = cookie_name(app, state_hash);
    let sent = headers.get_all(http::header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = sent.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.any(|cookie| cookie.name() == name && same(&hash_text(cookie.value()), cookie_hash))
}

pub(super) fn hash_text(text: &str) -> String {
    hash_of(&SecretString::from(text))
}
