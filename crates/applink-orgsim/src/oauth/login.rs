//! Step 2: a person signs in with username and password.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;

use super::clients;
use super::grants::{self, AuthorizationRequest};
use crate::failure::Failure;
use crate::pages::{self, LoginPage};
use crate::state::OrgState;
use crate::users::{self, User};
use crate::{browser, guard, logins};

#[derive(Deserialize, Default)]
pub(super) struct LoginQuery {
    request: Option<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct LoginForm {
    request: Option<String>,
    next: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
}

pub(super) async fn page(
    State(state): State<OrgState>,
    Query(query): Query<LoginQuery>,
) -> Result<Response, Failure> {
    show(&state, query.request.as_deref(), known(query.next.as_deref()), None, None)
}

pub(super) async fn submit(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    if !guard::origin_is_ours(&headers, state.base_url()) {
        return pages::error(
            &state,
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "The form was sent from another site's page.",
        );
    }
    let Ok(form) = serde_urlencoded::from_bytes::<LoginForm>(&body) else {
        return pages::error(
            &state,
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The login form could not be read.",
        );
    };
    let username = form.username.unwrap_or_default();
    let handle = form.request.filter(|handle| !handle.is_empty());
    let Some(user) = authenticate(&state, &username, form.password.unwrap_or_default()).await? else {
        state.db().write(|tx| logins::refused(tx, username.trim()))?;
        return show(
            &state,
            handle.as_deref(),
            known(form.next.as_deref()),
            Some(&username),
            Some("Please check your username and password."),
        );
    };
    let cookie = browser::sign_in(&state, &user.id)?;
    let next = match handle {
        Some(handle) => {
            state.db().write(|tx| grants::mark_signed_in(tx, &handle))?;
            format!(
                "/consent?request={}",
                percent_encoding::utf8_percent_encode(&handle, percent_encoding::NON_ALPHANUMERIC)
            )
        }
        None => known(form.next.as_deref()).unwrap_or("/").to_owned(),
    };
    Ok(([cookie], Redirect::to(&next)).into_response())
}

/// Where a log-in leads back to: one of the org's own pages.
fn known(next: Option<&str>) -> Option<&'static str> {
    next.and_then(pages::known_page)
}

/// `POST /logout`.
pub(super) async fn sign_out(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    if !guard::origin_is_ours(&headers, state.base_url()) {
        return pages::error(
            &state,
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "The form was sent from another site's page.",
        );
    }
    Ok(([browser::sign_out(&state, &headers)?], Redirect::to("/login")).into_response())
}

/// The active user whose password this is. Unknown, inactive and wrong all look alike.
async fn authenticate(
    state: &OrgState,
    username: &str,
    password: SecretString,
) -> Result<Option<User>, Failure> {
    let (user, hash) = state.db().read(|tx| {
        let user = users::by_username(tx, username.trim())?;
        let hash = user.as_ref().map(|user| users::password_hash(tx, &user.id)).transpose()?.flatten();
        Ok::<_, Failure>((user, hash))
    })?;
    let fits = tokio::task::spawn_blocking(move || users::password_fits(&password, hash.as_deref())).await?;
    Ok(user.filter(|user| fits && user.is_active))
}

fn show(
    state: &OrgState,
    handle: Option<&str>,
    next: Option<&'static str>,
    username: Option<&str>,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let request =
        handle.map(|handle| state.db().read(|tx| grants::find_request(tx, handle))).transpose()?.flatten();
    if handle.is_some() && request.is_none() {
        return pages::error(
            state,
            StatusCode::BAD_REQUEST,
            "expired_request",
            "This sign-in was finished or took too long. Start again from the app.",
        );
    }
    let client = request.as_ref().map(|request| client_label(state, request)).transpose()?.flatten();
    let hint = request.as_ref().and_then(|request| request.login_hint.as_deref());
    let page = LoginPage {
        org: state.identity().name.clone(),
        kind: state.identity().kind.label(),
        client,
        request: handle.unwrap_or_default().to_owned(),
        next: next.unwrap_or_default(),
        username: username.or(hint).unwrap_or_default().to_owned(),
        problem: problem.map(str::to_owned),
    };
    let status = if problem.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    pages::respond(status, &page, request.as_ref().map(|request| request.redirect_uri.as_str()))
}

fn client_label(state: &OrgState, request: &AuthorizationRequest) -> Result<Option<String>, Failure> {
    Ok(state.db().read(|tx| clients::find(tx, &request.consumer_key))?.map(|client| client.label))
}
