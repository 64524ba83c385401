//! Step 1: `/services/oauth2/authorize` checks client and callback and keeps the request.
//!
//! Nothing goes to a callback before it is known to be the client's own: until then a person sees an error
//! page. From then on errors go back to the client.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use url::Url;

use super::clients::{self, Client};
use super::grants::{self, AuthorizationRequest};
use super::scopes;
use super::token_error::BLOCKED;
use crate::browser;
use crate::failure::Failure;
use crate::pages;
use crate::state::OrgState;

#[derive(Deserialize)]
pub(super) struct AuthorizeQuery {
    response_type: Option<String>,
    client_id: Option<String>,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    nonce: Option<String>,
    login_hint: Option<String>,
}

pub(super) async fn get(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Failure> {
    state.call(move |state| authorize(state, &headers, query)).await
}

pub(super) async fn post(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    match serde_urlencoded::from_bytes(&body) {
        Ok(query) => state.call(move |state| authorize(state, &headers, query)).await,
        Err(_) => error_page(&state, "invalid_request", "the body is not a form"),
    }
}

fn authorize(state: &OrgState, headers: &HeaderMap, query: AuthorizeQuery) -> Result<Response, Failure> {
    let consumer_key = query.client_id.clone().unwrap_or_default();
    let Some(client) = state.db().read(|tx| clients::find(tx, &consumer_key))? else {
        return error_page(state, "invalid_client_id", "client identifier invalid");
    };
    let redirect_uri = query.redirect_uri.clone().unwrap_or_default();
    if !client.accepts_callback(&redirect_uri) {
        return error_page(state, "redirect_uri_mismatch", "redirect_uri must match configuration");
    }
    let client_state = query.state.clone();
    let request = match checked_request(&client, query, redirect_uri.clone()) {
        Ok(request) => request,
        Err((error, description)) => {
            return Ok(back_to_client(
                &redirect_uri,
                client_state.as_deref(),
                &[("error", error), ("error_description", description)],
            ));
        }
    };
    let must_sign_in = request.must_sign_in || browser::current(state, headers)?.is_none();
    let handle = state.db().write(|tx| grants::save_request(tx, &request))?;
    let next = if must_sign_in { "login" } else { "consent" };
    Ok(Redirect::to(&format!("/{next}?request={handle}")).into_response())
}

fn checked_request(
    client: &Client,
    query: AuthorizeQuery,
    redirect_uri: String,
) -> Result<AuthorizationRequest, (&'static str, &'static str)> {
    if !client.enabled {
        return Err(BLOCKED);
    }
    if query.response_type.as_deref() != Some("code") {
        return Err(("unsupported_response_type", "response type not supported"));
    }
    // A challenge means S256, whether or not the method is named.
    if query.code_challenge_method.as_deref().is_some_and(|method| method != "S256") {
        return Err(("invalid_request", "code_challenge_method must be S256"));
    }
    match &query.code_challenge {
        None if client.pkce_required => return Err(("invalid_request", "missing required code challenge")),
        Some(challenge) if !is_challenge(challenge) => {
            return Err(("invalid_request", "invalid code challenge"));
        }
        _ => {}
    }
    let granted = scopes::grantable(query.scope.as_deref().unwrap_or_default(), &client.scopes)
        .ok_or(("invalid_scope", "the requested scope is not allowed"))?;
    let prompts = query.prompt.unwrap_or_default();
    Ok(AuthorizationRequest {
        consumer_key: client.consumer_key.clone(),
        redirect_uri,
        scopes: client.granted(granted).join(" "),
        state: query.state,
        code_challenge: query.code_challenge,
        nonce: query.nonce,
        login_hint: query.login_hint,
        must_sign_in: prompts.split_whitespace().any(|prompt| matches!(prompt, "login" | "select_account")),
    })
}

/// 43 to 128 URL-safe characters (RFC 7636 §4.2).
fn is_challenge(challenge: &str) -> bool {
    (43..=128).contains(&challenge.len())
        && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

fn error_page(state: &OrgState, error: &str, description: &str) -> Result<Response, Failure> {
    pages::error(state, StatusCode::BAD_REQUEST, error, description)
}

/// Sends the browser back to a client's callback.
pub(super) fn back_to_client(
    redirect_uri: &str,
    state: Option<&str>,
    parameters: &[(&str, &str)],
) -> Response {
    let Ok(mut url) = Url::parse(redirect_uri) else {
        return (StatusCode::BAD_REQUEST, "The callback is not a URL.\n").into_response();
    };
    url.query_pairs_mut().extend_pairs(parameters).extend_pairs(state.map(|state| ("state", state)));
    // 302, as an org answers; a browser follows a posted form's redirect with GET.
    (StatusCode::FOUND, [(http::header::LOCATION, url.as_str())]).into_response()
}
