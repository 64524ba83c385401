//! Revoking and introspecting tokens.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clients::{self, Client};
use super::grants::{self, Grant};
use super::token::basic_credentials;
use super::token_error::{self, TokenError};
use crate::clock::MICROS_PER_SECOND;
use crate::db::Tx;
use crate::failure::Failure;
use crate::sessions::{self, Session};
use crate::state::OrgState;
use crate::users;

#[derive(Deserialize)]
pub(super) struct RevokeForm {
    token: Option<SecretString>,
}

#[derive(Deserialize)]
struct IntrospectForm {
    token: Option<SecretString>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

pub(super) async fn revoke_get(State(state): State<OrgState>, Query(form): Query<RevokeForm>) -> Response {
    revoke(&state, form.token.as_ref())
}

pub(super) async fn revoke_post(State(state): State<OrgState>, body: Bytes) -> Response {
    let form = serde_urlencoded::from_bytes::<RevokeForm>(&body).ok();
    revoke(&state, form.and_then(|form| form.token).as_ref())
}

/// A refresh token takes its access tokens with it, an access token dies alone. Errors are form encoded, as
/// existing clients parse them.
fn revoke(state: &OrgState, token: Option<&SecretString>) -> Response {
    let refuse = |error: &str| {
        let headers = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
        (StatusCode::BAD_REQUEST, headers, format!("error={error}&error_description=invalid%20token"))
            .into_response()
    };
    let Some(token) = token else { return refuse("unsupported_token_type") };
    match state.db().write(|tx| revoke_token(tx, token.expose_secret())) {
        Ok(true) => StatusCode::OK.into_response(),
        Ok(false) => refuse("invalid_token"),
        Err(failure) => failure.into_response(),
    }
}

fn revoke_token(tx: &Tx<'_>, token: &str) -> Result<bool, Failure> {
    if let Some(grant) = grants::of_refresh_token(tx, token)? {
        grants::revoke(tx, &grant.id)?;
        return Ok(true);
    }
    let Some(session) = sessions::find(tx, token)? else { return Ok(false) };
    sessions::end(tx, &session.id)?;
    Ok(true)
}

/// RFC 7662. A client sees its own tokens only, unless it may see all.
pub(super) async fn introspect(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, TokenError> {
    let form: IntrospectForm = serde_urlencoded::from_bytes(&body).map_err(|_| {
        token_error::invalid_request("the body is not a form (application/x-www-form-urlencoded)")
    })?;
    let token = form.token.ok_or_else(|| token_error::missing("token"))?;
    let basic = basic_credentials(&headers);
    let (key, secret) = match (form.client_id, form.client_secret) {
        (Some(key), secret) => (key, secret.or_else(|| basic.map(|(_, secret)| secret))),
        (None, _) => {
            basic.map(|(key, secret)| (key, Some(secret))).ok_or_else(|| token_error::missing("client_id"))?
        }
    };
    state.token_desk().count(|counts| counts.introspections += 1);
    state.db().read(|tx| {
        let client = clients::find(tx, &key)?.ok_or_else(token_error::unknown_client)?;
        let known = secret.as_ref().is_some_and(|secret| client.knows_secret(secret.expose_secret()));
        if client.secret_fingerprint.is_some() && !known {
            return Err(token_error::bad_client_credentials());
        }
        let described = describe(&state, tx, &client, token.expose_secret())?;
        Ok(Json(described.unwrap_or_else(|| json!({"active": false}))))
    })
}

fn describe(state: &OrgState, tx: &Tx<'_>, client: &Client, token: &str) -> Result<Option<Value>, Failure> {
    let visible = |consumer_key: Option<&str>| {
        client.introspects_all_tokens || consumer_key == Some(&client.consumer_key)
    };
    if let Some(session) =
        sessions::find(tx, token)?.filter(|session| visible(session.consumer_key.as_deref()))
    {
        return Ok(Some(describe_session(state, tx, &session)?));
    }
    let grant = grants::of_refresh_token(tx, token)?
        .filter(|grant| visible(Some(&grant.consumer_key)))
        .filter(|grant| client.refresh_token_lasts(grant.created_micros, tx.now_micros()));
    grant.map(|grant| describe_grant(state, tx, &grant)).transpose()
}

fn describe_session(state: &OrgState, tx: &Tx<'_>, session: &Session) -> Result<Value, Failure> {
    let issued = session.created_micros / MICROS_PER_SECOND;
    Ok(json!({
        "active": true,
        "scope": session.scopes,
        "client_id": session.consumer_key,
        "username": username(tx, &session.user_id)?,
        "sub": state.identity_url(&session.user_id),
        "token_type": "access_token",
        "exp": session.expires_micros / MICROS_PER_SECOND,
        "iat": issued,
        "nbf": issued,
    }))
}

fn describe_grant(state: &OrgState, tx: &Tx<'_>, grant: &Grant) -> Result<Value, Failure> {
    let issued = grant.created_micros / MICROS_PER_SECOND;
    Ok(json!({
        "active": true,
        "scope": grant.scopes,
        "client_id": grant.consumer_key,
        "username": username(tx, &grant.user_id)?,
        "sub": state.identity_url(&grant.user_id),
        "token_type": "refresh_token",
        "iat": issued,
        "nbf": issued,
    }))
}

fn username(tx: &Tx<'_>, user_id: &str) -> Result<Option<String>, Failure> {
    Ok(users::by_id(tx, user_id)?.map(|user| user.username))
}
