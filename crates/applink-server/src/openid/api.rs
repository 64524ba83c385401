//! The browser's side: `/sso/openid`, and where the provider sends it back.

use std::fmt;

use applink_api::ids::AddonId;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use cookie::Cookie;
use http::header::{COOKIE, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::flow::{self, Begun, LIFETIME, Person};
use super::provider::OpenIdError;
use crate::addons::{self, Addon};
use crate::app::App;
use crate::dashboard::Trouble;
use crate::dashboard::links::{self, Visitor};
use crate::dashboard::login::{self, Once};
use crate::dashboard::session::{Basis, cookie};
use crate::dashboard::shell::set_cookie;
use crate::error::ApiError;
use crate::web::auth::hash_of;
use crate::web::page::{HEADERS, Page};

/// Add-ons that are offered at once.
const OFFERED: usize = 100;
/// How long a person may look at the offer.
const OFFER_LIFETIME: std::time::Duration = std::time::Duration::from_secs(300);

/// The add-on that is wanted, when there may be several.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    addon: String,
}

/// Sends the browser to the provider.
pub async fn start(State(app): State<App>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let Some(provider) = &app.openid else { return Refusal::NotConfigured.page() };
    let wanted = wanted.map(|Query(wanted)| wanted.addon).unwrap_or_default();
    // What stands in a cookie: names and uuids of add-ons consist of these.
    let is_name =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && text.len() <= 100;
    let addon = Some(wanted.as_str()).filter(|text| !text.is_empty());
    if addon.is_some_and(|name| !is_name(name)) {
        return Refusal::Unread.page();
    }
    let begun = Begun::new(&app.entropy.url_token(), app.clock.now(), addon);
    match provider.authorize_url(&app, &begun).await {
        Ok(url) => {
            let mut response = (StatusCode::SEE_OTHER, HEADERS).into_response();
            let Ok(location) = HeaderValue::from_str(url.as_str()) else { return Refusal::Unread.page() };
            response.headers_mut().insert(LOCATION, location);
            set_cookie(&mut response, &cookie(&app, cookie_name(&app), begun.cookie().to_owned(), LIFETIME));
            response
        }
        Err(error) => Refusal::Provider(error).page(),
    }
}

/// What the provider sends back in the address.
#[derive(Deserialize)]
pub struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("error", &self.error).finish_non_exhaustive()
    }
}

/// Where the provider sends the browser back.
pub async fn callback(
    State(app): State<App>,
    headers: HeaderMap,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Response {
    let mut response = match answer {
        Ok(Query(answer)) => match entered(&app, &headers, answer).await {
            Ok(response) => response,
            Err(refusal) => refusal.page(),
        },
        Err(_) => Refusal::Unread.page(),
    };
    // Whatever came of it: what was begun is over.
    set_cookie(&mut response, &cookie(&app, cookie_name(&app), String::new(), std::time::Duration::ZERO));
    response
}

async fn entered(app: &App, headers: &HeaderMap, answer: Answer) -> Result<Response, Refusal> {
    let provider = app.openid.as_ref().ok_or(Refusal::NotConfigured)?;
    let begun = begun(app, headers, &answer)?;
    if answer.iss.as_deref().is_some_and(|named| !provider.is_issuer(named)) {
        return Err(Refusal::OtherIssuer);
    }
    let code = match (answer.code, answer.error) {
        (Some(code), None) => code,
        (_, Some(error)) => return Err(Refusal::Declined(error)),
        (None, None) => return Err(Refusal::Unread),
    };
    let person = provider.identify(app, &begun, code).await.map_err(Refusal::Provider)?;
    let all = candidates(app, &begun).await.map_err(Refusal::Failed)?;
    let open = flow::entries(&person, &provider.config().access, all);
    let name = person.name(provider.name());
    match open.as_slice() {
        [] => Err(Refusal::NothingOpen { person, provider: provider.name().to_owned() }),
        [(addon, may_change)] => {
            let visitor = visitor(addon.id, &name, *may_change);
            let once = Once::SignOn(hash_of(&SecretString::from(begun.state())), begun.expires_at());
            Ok(login::enter(app, headers, visitor, once).await)
        }
        several => offer(app, &name, several).await.map_err(Refusal::Failed),
    }
}

/// The sign-in this browser began, when the answer belongs to it.
fn begun(app: &App, headers: &HeaderMap, answer: &Answer) -> Result<Begun, Refusal> {
    let name = cookie_name(app);
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let found = cookies.find(|cookie| cookie.name() == name);
    let begun = found.and_then(|cookie| Begun::read(cookie.value(), app.clock.now()));
    let begun = begun.ok_or(Refusal::NotBegun)?;
    let state = answer.state.as_deref().unwrap_or_default();
    if begun.is_answered_by(state) { Ok(begun) } else { Err(Refusal::NotBegun) }
}

/// The add-on that was asked for, or every one.
async fn candidates(app: &App, begun: &Begun) -> Result<Vec<Addon>, ApiError> {
    let reader = app.store.reader();
    match &begun.addon {
        Some(named) => Ok(addons::store::find_addon_named(reader, named).await?.into_iter().collect()),
        None => Ok(addons::store::list_addons(reader).await?),
    }
}

fn visitor(addon: AddonId, person: &str, may_change: bool) -> Visitor {
    Visitor { addon, person: person.to_owned(), basis: Basis::OpenId, may_change }
}

/// An add-on to choose.
struct Choice {
    addon: String,
    may_change: bool,
    ticket: String,
}

#[derive(Template)]
#[template(path = "dashboard/choose.html")]
struct ChoosePage {
    person: String,
    choices: Vec<Choice>,
    more: usize,
}

/// A link to each, which the page has as buttons.
async fn offer(app: &App, person: &str, open: &[(Addon, bool)]) -> Result<Response, ApiError> {
    let tx = app.store.begin().await?;
    let mut choices = Vec::new();
    for (addon, may_change) in open.iter().take(OFFERED) {
        let made = links::make(app, &tx, &visitor(addon.id, person, *may_change), OFFER_LIFETIME).await?;
        let ticket = made.ticket.expose_secret().to_owned();
        choices.push(Choice { addon: addon.name.clone(), may_change: *may_change, ticket });
    }
    tx.commit().await?;
    let more = open.len().saturating_sub(OFFERED);
    let page = ChoosePage { person: person.to_owned(), choices, more };
    Ok(Page::new(StatusCode::OK, &page).into_response())
}

/// Why a sign-in ended without one.
enum Refusal {
    NotConfigured,
    Unread,
    NotBegun,
    OtherIssuer,
    Declined(String),
    Provider(OpenIdError),
    NothingOpen { person: Person, provider: String },
    Failed(ApiError),
}

impl Refusal {
    fn page(self) -> Response {
        let (status, title, message, cause) = match self {
            Self::NotConfigured => {
                let message =
                    "This server has no OpenID provider. Open the add-on with `applink open`.".to_owned();
                (StatusCode::NOT_FOUND, "Not found", message, None)
            }
            Self::Unread => {
                let message =
                    "The address is not one that this server or its OpenID provider made.".to_owned();
                (StatusCode::BAD_REQUEST, "This sign-in can't be read", message, None)
            }
            Self::NotBegun => {
                let message =
                    "It was begun in another browser, more than ten minutes ago, or is over already."
                        .to_owned();
                (
                    StatusCode::FORBIDDEN,
                    "This sign-in doesn't count",
                    message,
                    Some("no cookie, or another state".to_owned()),
                )
            }
            Self::OtherIssuer => {
                let message = "The answer names another OpenID provider than this server's.".to_owned();
                (
                    StatusCode::FORBIDDEN,
                    "This sign-in doesn't count",
                    message,
                    Some("another issuer".to_owned()),
                )
            }
            Self::Declined(error) => {
                (StatusCode::FORBIDDEN, "You were not signed in", declined(&error), Some(shown(&error)))
            }
            Self::Provider(error) => {
                (status_of(&error), "You were not signed in", said(&error), Some(error.to_string()))
            }
            Self::NothingOpen { person, provider } => {
                (StatusCode::FORBIDDEN, "No add-on is open to you", nothing_open(&person, &provider), None)
            }
            Self::Failed(error) => return Trouble::of(&error).into_response(),
        };
        Trouble::new(status, title, message).caused_by(cause).or_sign_in_again().into_response()
    }
}

/// An error code of the protocol is letters and `_`; anything else is not shown.
fn shown(error: &str) -> String {
    let is_code = error.len() <= 60 && error.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if is_code { error.to_owned() } else { "an error of its own".to_owned() }
}

fn declined(error: &str) -> String {
    match error {
        "access_denied" => "The OpenID provider did not let you in, or you declined.".to_owned(),
        other => format!("The OpenID provider answers: {}.", shown(other)),
    }
}

fn status_of(error: &OpenIdError) -> StatusCode {
    match error {
        OpenIdError::Unreachable(_) => StatusCode::BAD_GATEWAY,
        OpenIdError::Refused(_) | OpenIdError::Token(_) => StatusCode::FORBIDDEN,
    }
}

fn said(error: &OpenIdError) -> String {
    match error {
        OpenIdError::Unreachable(_) => {
            "The OpenID provider can't be asked at the moment. Whoever runs this server finds the reason in its log."
        }
        OpenIdError::Refused(_) => {
            "The OpenID provider does not take the sign-in: it is too old or was used, or this server is not known there."
        }
        OpenIdError::Token(_) => {
            "What the OpenID provider says of you does not count. Whoever runs this server finds the reason in its log."
        }
    }
    .to_owned()
}

/// What somebody who may list them has to know.
fn nothing_open(person: &Person, provider: &str) -> String {
    let groups = match person.groups.as_slice() {
        [] => "no group".to_owned(),
        groups => format!("the groups {}", groups.iter().take(20).cloned().collect::<Vec<_>>().join(", ")),
    };
    format!(
        "You are {}, and {provider} names {groups}. Whoever runs this server says in APPLINK_OIDC_ACCESS who may enter.",
        person.name(provider)
    )
}

/// Browsers take the `__Host-` prefix over TLS only.
fn cookie_name(app: &App) -> &'static str {
    if app.urls.is_https() { "__Host-applink-openid" } else { "applink-openid" }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let choice = |may_change| Choice { addon: evil(), may_change, ticket: evil() };
        let page = |choices, more| {
            Sample::new("dashboard/choose.html", ChoosePage { person: evil(), choices, more })
        };
        vec![page(vec![choice(true), choice(false)], 3), page(Vec::new(), 0)]
    }
}
