//! Step 3: the person allows or denies what the client asks for. Step 4: back to the client.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::authorize::back_to_client;
use super::clients::{self, Client};
use super::grants::{self, AuthorizationRequest};
use super::scopes;
use super::token_error::BLOCKED;
use crate::db::Tx;
use crate::failure::Failure;
use crate::pages::{self, ConsentPage};
use crate::sessions::Session;
use crate::state::OrgState;
use crate::users::User;
use crate::{browser, guard};

#[derive(Deserialize)]
pub(super) struct ConsentQuery {
    request: Option<String>,
}

#[derive(Deserialize)]
struct ConsentForm {
    request: String,
    confirmation: String,
    decision: String,
}

pub(super) async fn page(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<ConsentQuery>,
) -> Result<Response, Failure> {
    let handle = query.request.unwrap_or_default();
    let Some(request) = state.db().read(|tx| grants::find_request(tx, &handle))? else {
        return expired(&state);
    };
    let signed_in = browser::current(&state, &headers)?.filter(|_| !request.must_sign_in);
    let Some((session, user)) = signed_in else {
        return Ok(Redirect::to(&format!("/login?request={handle}")).into_response());
    };
    let Some(client) = state.db().read(|tx| clients::find(tx, &request.consumer_key))? else {
        return expired(&state);
    };
    if !client.enabled {
        state.db().write(|tx| grants::take_request(tx, &handle))?;
        return Ok(refuse(&request, BLOCKED.0, BLOCKED.1));
    }
    match state.db().read(|tx| clients::is_admin_approved(tx, &client, &user.id))? {
        Some(true) => allow_approved(&state, &handle, &request, &user),
        Some(false) => {
            state.db().write(|tx| grants::take_request(tx, &handle))?;
            Ok(refuse(&request, "OAUTH_APP_ACCESS_DENIED", "user is not admin approved to access this app"))
        }
        None => ask(&state, &handle, &request, &client, &session, &user),
    }
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
    let Ok(form) = serde_urlencoded::from_bytes::<ConsentForm>(&body) else {
        return pages::error(
            &state,
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The form could not be read.",
        );
    };
    let Some((session, user)) = browser::current(&state, &headers)? else { return expired(&state) };
    let taken =
        state.db().write(|tx| grants::take_confirmed(tx, &form.request, &form.confirmation, &session.id))?;
    let Some(request) = taken else { return expired(&state) };
    if form.decision != "allow" {
        return Ok(refuse(&request, "access_denied", "end-user denied authorization"));
    }
    let code = state.db().write(|tx| {
        grants::approve(tx, &request.consumer_key, &user.id, &request.scopes)?;
        grants::new_code(tx, &request, &user.id)
    })?;
    Ok(back_to_client(&request.redirect_uri, request.state.as_deref(), &[("code", code.expose_secret())]))
}

fn ask(
    state: &OrgState,
    handle: &str,
    request: &AuthorizationRequest,
    client: &Client,
    session: &Session,
    user: &User,
) -> Result<Response, Failure> {
    let confirmation = state.db().write(|tx: &Tx<'_>| grants::new_confirmation(tx, handle, &session.id))?;
    let page = ConsentPage {
        org: state.identity().name.clone(),
        kind: state.identity().kind.label(),
        client: client.label.clone(),
        initial: client.label.chars().next().unwrap_or('?'),
        username: user.username.clone(),
        user_name: user.name.clone(),
        scopes: request
            .scopes
            .split(' ')
            .filter_map(scopes::by_name)
            .map(|scope| (scope.name, scope.words))
            .collect(),
        request: handle.to_owned(),
        confirmation,
        callback_host: callback_host(&request.redirect_uri),
    };
    pages::respond(StatusCode::OK, &page, Some(&request.redirect_uri))
}

fn callback_host(redirect_uri: &str) -> String {
    let url = url::Url::parse(redirect_uri).ok();
    url.as_ref().map(|url| url.authority().to_owned()).unwrap_or_default()
}

/// A client its admin has approved asks nobody.
fn allow_approved(
    state: &OrgState,
    handle: &str,
    request: &AuthorizationRequest,
    user: &User,
) -> Result<Response, Failure> {
    let code = state.db().write(|tx| {
        grants::take_request(tx, handle)?;
        grants::new_code(tx, request, &user.id)
    })?;
    Ok(back_to_client(&request.redirect_uri, request.state.as_deref(), &[("code", code.expose_secret())]))
}

fn refuse(request: &AuthorizationRequest, error: &str, description: &str) -> Response {
    let parameters = [("error", error), ("error_description", description)];
    back_to_client(&request.redirect_uri, request.state.as_deref(), &parameters)
}

fn expired(state: &OrgState) -> Result<Response, Failure> {
    let text = "This sign-in was finished or took too long. Start again from the app.";
    pages::error(state, StatusCode::BAD_REQUEST, "expired_request", text)
}
