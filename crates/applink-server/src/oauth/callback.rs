//! Steps 3 and 4: the browser comes back from the org.

use applink_salesforce::oauth::Refusal;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use secrecy::SecretString;

use super::complete::{self, Flow};
use super::pages::{ConfirmPage, Trouble};
use super::start::{hash_text, is_same_browser};
use super::store::{self, STARTED};
use crate::addons;
use crate::app::App;
use crate::config::Confirm;
use crate::credentials;
use crate::dashboard::back;
use crate::error::ApiError;
use crate::web::auth::hash_of;

/// Longest query that is read.
const LONGEST_QUERY: usize = 8 * 1024;

/// What the org says in the query.
struct Returned {
    state: String,
    answer: Result<SecretString, Refusal>,
}

/// Where the org sends the browser back to.
#[utoipa::path(
    get,
    path = "/oauth/callback",
    tag = "browser",
    responses((status = 200, description = "Connected, or what is about to be connected", body = String, content_type = "text/html"), (status = 400, description = "Not a log-in of this browser", body = String, content_type = "text/html")),
    security(())
)]
pub async fn callback(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(returned) = query.as_deref().and_then(read) else {
        return Trouble::not_from_an_org().into_response();
    };
    match go_on(&app, returned, &headers).await {
        Ok(response) => response,
        Err(error) => Trouble::of(error).into_response(),
    }
}

fn read(query: &str) -> Option<Returned> {
    if query.len() > LONGEST_QUERY {
        return None;
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let state = value("state")?.to_owned();
    let answer = match (value("error"), value("code")) {
        (Some(error), _) => Err(Refusal::at_authorize(error, value("error_description"))),
        (None, Some(code)) => Ok(SecretString::from(code)),
        (None, None) => return None,
    };
    Some(Returned { state, answer })
}

/// State and cookie are both demanded before anything else happens; a wrong browser learns nothing and uses nothing
/// up.
async fn go_on(app: &App, returned: Returned, headers: &HeaderMap) -> Result<Response, ApiError> {
    let flow = store::by_state(app.store.reader(), &hash_text(&returned.state)).await?;
    let Some(flow) = flow.filter(|flow| is_same_browser(app, flow, headers)) else {
        return Ok(Trouble::unknown_state().into_response());
    };
    match (returned.answer, app.config.oauth.confirm) {
        (Ok(code), Confirm::Always) => ask_to_confirm(app, flow, code).await,
        (Ok(code), Confirm::Never) => match take(app, &flow).await? {
            Some(flow) => {
                let id = flow.credential_id.0;
                Ok(back::or(app, headers, id, complete::run(app, Flow { row: flow, code }).await))
            }
            None => Ok(Trouble::unknown_state().into_response()),
        },
        (Err(refusal), _) => match take(app, &flow).await? {
            Some(flow) => {
                let id = flow.credential_id.0;
                Ok(back::or(app, headers, id, complete::refused(app, flow, refusal).await))
            }
            None => Ok(Trouble::unknown_state().into_response()),
        },
    }
}

async fn take(app: &App, flow: &store::Model) -> Result<Option<store::Model>, ApiError> {
    let tx = app.store.begin().await?;
    let taken = store::take(&*tx, flow.id, STARTED, app.clock.now()).await?;
    tx.commit().await?;
    Ok(taken)
}

/// Step 5, first half: the code is kept sealed, and the person is shown what is about to happen.
async fn ask_to_confirm(app: &App, flow: store::Model, code: SecretString) -> Result<Response, ApiError> {
    let ticket = app.entropy.url_token();
    let sealed = app.vault.seal(flow.place("code"), &code).await?;
    let confirm_hash = hash_of(&SecretString::from(ticket.as_str()));
    let tx = app.store.begin().await?;
    let held = store::hold(&*tx, flow.id, sealed, confirm_hash).await?;
    let credential = credentials::store::find_by_id(&*tx, flow.addon(), flow.credential_id.0).await?;
    let addon = addons::store::find_addon(&*tx, flow.addon()).await?;
    let (true, Some(credential), Some(addon)) = (held, credential, addon) else {
        return Ok(Trouble::unknown_state().into_response());
    };
    tx.commit().await?;
    Ok(ConfirmPage::new(&addon.name, &credential, &flow, ticket).into_response())
}
