//! Step 1: a session of the org is traded for a token of its tenant.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use rusqlite::OptionalExtension;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::oauth::token_error::{self, TokenError};
use crate::secrets;
use crate::sessions::Session;
use crate::state::OrgState;

const GRANT: &str = "urn:salesforce:grant-type:external:cdp";
const SUBJECT: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Of these a session must have one.
const SCOPES: [&str; 4] = ["cdp_query_api", "cdp_ingest_api", "cdp_profile_api", "cdp_api"];

#[derive(Deserialize, Default)]
struct ExchangeForm {
    grant_type: Option<String>,
    subject_token: Option<SecretString>,
    subject_token_type: Option<String>,
    dataspace: Option<String>,
}

/// Whose tenant token it is, and what for.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) user_id: String,
    scopes: String,
}

impl Access {
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.split(' ').any(|held| held == scope || held == "cdp_api")
    }
}

/// `POST /services/a360/token`.
pub(super) async fn exchange(State(state): State<OrgState>, body: Bytes) -> Result<Response, TokenError> {
    let form: ExchangeForm = serde_urlencoded::from_bytes(&body).map_err(|_| {
        token_error::invalid_request("the body is not a form (application/x-www-form-urlencoded)")
    })?;
    state.call(move |state| answer(state, &form)).await
}

fn answer(state: &OrgState, form: &ExchangeForm) -> Result<Response, TokenError> {
    match form.grant_type.as_deref() {
        Some(GRANT) => {}
        Some(_) => return Err(token_error::unsupported_grant()),
        None => return Err(token_error::missing("grant_type")),
    }
    if form.subject_token_type.as_deref() != Some(SUBJECT) {
        return Err(token_error::invalid_request(format!("subject_token_type must be {SUBJECT}")));
    }
    if form.dataspace.as_deref().is_some_and(|name| !name.is_empty() && name != "default") {
        return Err(token_error::invalid_request("there is no such data space; this org has only default"));
    }
    let token = form.subject_token.as_ref().ok_or_else(|| token_error::missing("subject_token"))?;
    let session = state.use_session(token.expose_secret())?;
    let session = session.ok_or_else(|| token_error::invalid_grant("invalid or expired subject token"))?;
    let scopes: Vec<&str> = SCOPES.into_iter().filter(|scope| session.has_scope(scope)).collect();
    if scopes.is_empty() {
        return Err(token_error::no_data_cloud_scope());
    }
    let (token, seconds) = issue(state, &session, &scopes.join(" "))?;
    let mut response = Json(json!({
        "access_token": token.expose_secret(),
        "instance_url": tenant_host(state),
        "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "expires_in": seconds,
    }))
    .into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    Ok(response)
}

/// A real tenant's host comes without its scheme.
fn tenant_host(state: &OrgState) -> String {
    let base = state.base();
    match state.limits().data_cloud.bare_tenant_host {
        true => base.split_once("://").map_or(base, |(_, host)| host).to_owned(),
        false => base.to_owned(),
    }
}

fn issue(state: &OrgState, session: &Session, scopes: &str) -> Result<(SecretString, i64), TokenError> {
    let seconds = state.limits().data_cloud.token_seconds;
    let now = state.clock().now_seconds();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": state.signing_key().kid()});
    let claims = json!({
        "iss": state.base(),
        "aud": "api.c360a.salesforce.com",
        "sub": state.identity_url(&session.user_id),
        "scp": scopes,
        "iat": now,
        "exp": now + seconds,
        "jti": secrets::handle(state.entropy()),
        "orgId": state.org_id(),
    });
    let token = SecretString::from(state.signing_key().sign(&header, &claims)?);
    state.db().write(|tx| {
        tx.execute("DELETE FROM _dc_token WHERE expires_micros <= ?1", [tx.now_micros()])?;
        tx.execute(
            "INSERT INTO _dc_token (token, user_id, scopes, expires_micros) VALUES (?1, ?2, ?3, ?4)",
            (
                secrets::fingerprint(token.expose_secret()),
                &session.user_id,
                scopes,
                tx.now_micros() + seconds * MICROS_PER_SECOND,
            ),
        )?;
        Ok::<_, DbError>(())
    })?;
    Ok((token, seconds))
}

/// Whose live token it is.
pub(super) fn find(tx: &Tx<'_>, token: &str) -> Result<Option<Access>, DbError> {
    let found = tx
        .prepare_cached(
            "SELECT t.user_id, t.scopes FROM _dc_token t JOIN \"User\" u ON u.\"Id\" = t.user_id \
             WHERE t.token = ?1 AND t.expires_micros > ?2 AND u.\"IsActive\"",
        )?
        .query_row((secrets::fingerprint(token), tx.now_micros()), |row| {
            Ok(Access { user_id: row.get(0)?, scopes: row.get(1)? })
        })
        .optional()?;
    Ok(found)
}
