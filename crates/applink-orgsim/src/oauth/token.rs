//! Steps 5 and 6: `POST /services/oauth2/token` trades codes, refresh tokens, assertions and client
//! credentials for access tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clients::{self, Client};
use super::faults::{self, TokenFault};
use super::grants::{self, Grant, Redeemed};
use super::token_error::{self, TokenError};
use super::{jwt_bearer, scopes};
use crate::db::{DbError, Tx};
use crate::secrets;
use crate::sessions::{self, Kind, NewSession};
use crate::state::OrgState;
use crate::users::{self, User};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The form of a token request, all grants together.
#[derive(Deserialize, Default)]
pub(super) struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    code: Option<SecretString>,
    redirect_uri: Option<String>,
    code_verifier: Option<SecretString>,
    refresh_token: Option<SecretString>,
    pub(super) assertion: Option<SecretString>,
    scope: Option<String>,
}

/// What a successful grant gives.
pub(super) struct Issue<'a> {
    pub(super) client: &'a Client,
    pub(super) user: &'a User,
    pub(super) scopes: &'a str,
    pub(super) grant_id: &'a str,
    pub(super) refresh_token: Option<SecretString>,
    /// The secret the client showed, which signs the answer.
    pub(super) secret: Option<&'a SecretString>,
    pub(super) nonce: Option<&'a str>,
}

pub(super) async fn post(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TokenError> {
    let mut form: TokenForm = serde_urlencoded::from_bytes(&body).map_err(|_| {
        token_error::invalid_request("the body is not a form (application/x-www-form-urlencoded)")
    })?;
    take_basic_credentials(&headers, &mut form);
    let form = Arc::new(form);
    let Some(fault) = fault(&state, &form) else { return handle(&state, form).await };
    let handled = move || -> BoxFuture<'static, Response> {
        let (state, form) = (state.clone(), Arc::clone(&form));
        Box::pin(async move { handle(&state, form).await.into_response() })
    };
    Ok(faults::suffer(fault, handled).await)
}

/// Only what a control plane does by itself suffers: signing in stays as it is.
fn fault(state: &OrgState, form: &TokenForm) -> Option<TokenFault> {
    match form.grant_type.as_deref() {
        Some("refresh_token" | JWT_BEARER) => state.token_desk().next(),
        _ => None,
    }
}

async fn handle(state: &OrgState, form: Arc<TokenForm>) -> Result<Response, TokenError> {
    let answer = state.call(move |state| answer(state, &form)).await?;
    let mut response = Json(answer).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    Ok(response)
}

fn answer(state: &OrgState, form: &TokenForm) -> Result<Value, TokenError> {
    match form.grant_type.as_deref() {
        None => Err(token_error::missing("grant_type")),
        Some("authorization_code") => authorization_code(state, form),
        Some("refresh_token") => refresh(state, form),
        Some("client_credentials") => client_credentials(state, form),
        Some(JWT_BEARER) => {
            state.token_desk().count(|counts| counts.assertions += 1);
            jwt_bearer::grant(state, form)
        }
        Some(_) => Err(token_error::unsupported_grant()),
    }
}

/// Client id and secret may come as HTTP Basic; what the form says wins.
fn take_basic_credentials(headers: &HeaderMap, form: &mut TokenForm) {
    if let Some((id, secret)) = basic_credentials(headers) {
        form.client_id.get_or_insert(id);
        form.client_secret.get_or_insert(secret);
    }
}

/// The credentials of an `Authorization: Basic` header (RFC 6749 §2.3.1).
pub(super) fn basic_credentials(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(id), plain(secret).into()))
}

/// Step 5, in one transaction: whoever replays the code finds the grant to be revoked, however soon they come.
fn authorization_code(state: &OrgState, form: &TokenForm) -> Result<Value, TokenError> {
    let code = form.code.as_ref().ok_or_else(|| token_error::missing("code"))?;
    let redirect_uri = form.redirect_uri.as_deref().ok_or_else(|| token_error::missing("redirect_uri"))?;
    let client = authenticated_client(state, form, |client| client.secret_required)?;
    state.db().write(|tx| match redeem(state, tx, form, &client, code, redirect_uri) {
        // A refusal is kept as well: the code stays used, a replayed code's grant stays revoked.
        Err(refusal @ TokenError::Refused { .. }) => Ok(Err(refusal)),
        Err(failed) => Err(failed),
        Ok(answer) => Ok(Ok(answer)),
    })?
}

/// The code is used up even when the verifier turns out wrong: an attacker gets one guess.
fn redeem(
    state: &OrgState,
    tx: &Tx<'_>,
    form: &TokenForm,
    client: &Client,
    code: &SecretString,
    redirect_uri: &str,
) -> Result<Value, TokenError> {
    let grant_id = secrets::handle(tx.entropy());
    let (request, user_id) = match grants::redeem_code(tx, code.expose_secret(), &grant_id)? {
        Redeemed::Fresh { request, user_id } if request.consumer_key == client.consumer_key => {
            (request, user_id)
        }
        Redeemed::Reused | Redeemed::Expired => {
            return Err(token_error::invalid_grant("expired authorization code"));
        }
        Redeemed::Fresh { .. } | Redeemed::Unknown => {
            return Err(token_error::invalid_grant("invalid authorization code"));
        }
    };
    // The client may have lost the callback since the person was sent here.
    if request.redirect_uri != redirect_uri || !client.accepts_callback(redirect_uri) {
        return Err(token_error::redirect_mismatch());
    }
    check_verifier(request.code_challenge.as_deref(), form.code_verifier.as_ref())?;
    let user = active_user(tx, &user_id)?;
    let grant = new_grant(tx, &grant_id, client, &user, &request.scopes);
    let refresh_token = grants::create(tx, &grant, scopes::is_lasting(&request.scopes))?;
    issue(
        state,
        tx,
        Issue {
            client,
            user: &user,
            scopes: &request.scopes,
            grant_id: &grant_id,
            refresh_token,
            secret: form.client_secret.as_ref(),
            nonce: request.nonce.as_deref(),
        },
    )
}

/// A challenge without a verifier is `invalid_grant`, a wrong verifier `invalid_request`.
fn check_verifier(challenge: Option<&str>, verifier: Option<&SecretString>) -> Result<(), TokenError> {
    match (challenge, verifier) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(token_error::invalid_grant("missing code verifier")),
        (Some(challenge), Some(verifier))
            if secrets::code_challenge(verifier.expose_secret()) == challenge =>
        {
            Ok(())
        }
        (Some(_), Some(_)) => Err(token_error::invalid_request("invalid code verifier")),
    }
}

/// Step 6.
fn refresh(state: &OrgState, form: &TokenForm) -> Result<Value, TokenError> {
    let token = form.refresh_token.as_ref().ok_or_else(|| token_error::missing("refresh_token"))?;
    let client = authenticated_client(state, form, |client| client.secret_required_for_refresh)?;
    let dead = || token_error::invalid_grant("expired access/refresh token");
    state.token_desk().count(|counts| counts.refreshes += 1);
    if punish_replay(state, &client, token)? {
        return Err(dead());
    }
    state.db().write(|tx| {
        let grant = grants::of_refresh_token(tx, token.expose_secret())?
            .filter(|grant| grant.consumer_key == client.consumer_key)
            .filter(|grant| client.refresh_token_lasts(grant.created_micros, tx.now_micros()))
            .ok_or_else(dead)?;
        let user = active_user(tx, &grant.user_id)?;
        if clients::is_admin_approved(tx, &client, &user.id)? == Some(false) {
            return Err(token_error::not_admin_approved());
        }
        let refresh_token = match client.rotates_refresh_tokens {
            true => Some(grants::rotate(tx, &grant.id)?),
            false => None,
        };
        issue(
            state,
            tx,
            Issue {
                client: &client,
                user: &user,
                scopes: &grant.scopes,
                grant_id: &grant.id,
                refresh_token,
                secret: form.client_secret.as_ref(),
                nonce: None,
            },
        )
    })
}

/// A refresh token that was used and replaced before was stolen by one of the two: its grant ends. Whether it was one.
fn punish_replay(state: &OrgState, client: &Client, token: &SecretString) -> Result<bool, TokenError> {
    let replayed = state.db().write(|tx| {
        let Some(grant) = grants::of_spent_token(tx, token.expose_secret())? else { return Ok(None) };
        let ends = !client.keeps_grant_on_replay && grants::exists(tx, &grant)?;
        if ends {
            grants::revoke(tx, &grant)?;
        }
        Ok::<_, DbError>(Some(ends))
    })?;
    let Some(ended) = replayed else { return Ok(false) };
    state.token_desk().count(|counts| {
        counts.replays += 1;
        counts.families_revoked += u64::from(ended);
    });
    Ok(true)
}

fn client_credentials(state: &OrgState, form: &TokenForm) -> Result<Value, TokenError> {
    let client = authenticated_client(state, form, |_| true)?;
    let granted = scopes::grantable(form.scope.as_deref().unwrap_or_default(), &client.scopes)
        .ok_or_else(token_error::invalid_scope)?;
    state.db().write(|tx| {
        let username = client.client_credentials_user.as_deref();
        let user = username.map(|username| users::by_username(tx, username)).transpose()?.flatten();
        let user = user.ok_or_else(|| token_error::invalid_grant("no client credentials user enabled"))?;
        let user = active_user(tx, &user.id)?;
        issue_without_refresh(state, tx, &client, &user, &granted.join(" "), form.client_secret.as_ref())
    })
}

/// Issues an access token whose grant can't be refreshed.
pub(super) fn issue_without_refresh(
    state: &OrgState,
    tx: &Tx<'_>,
    client: &Client,
    user: &User,
    scopes: &str,
    secret: Option<&SecretString>,
) -> Result<Value, TokenError> {
    let grant_id = secrets::handle(tx.entropy());
    grants::create(tx, &new_grant(tx, &grant_id, client, user, scopes), false)?;
    issue(
        state,
        tx,
        Issue { client, user, scopes, grant_id: &grant_id, refresh_token: None, secret, nonce: None },
    )
}

fn new_grant(tx: &Tx<'_>, id: &str, client: &Client, user: &User, scopes: &str) -> Grant {
    Grant {
        id: id.to_owned(),
        consumer_key: client.consumer_key.clone(),
        user_id: user.id.clone(),
        scopes: scopes.to_owned(),
        created_micros: tx.now_micros(),
    }
}

/// The client of a request, its secret checked when it shows one or when it must.
fn authenticated_client(
    state: &OrgState,
    form: &TokenForm,
    secret_needed: impl Fn(&Client) -> bool,
) -> Result<Client, TokenError> {
    let consumer_key = form.client_id.as_deref().ok_or_else(|| token_error::missing("client_id"))?;
    let client =
        state.db().read(|tx| clients::find(tx, consumer_key))?.ok_or_else(token_error::unknown_client)?;
    let known = match &form.client_secret {
        Some(secret) => client.knows_secret(secret.expose_secret()),
        None => !secret_needed(&client),
    };
    match known {
        true if client.ip_restricted => Err(token_error::ip_restricted()),
        true if client.enabled => Ok(client),
        true => Err(token_error::blocked_client()),
        false => Err(token_error::bad_client_credentials()),
    }
}

pub(super) fn active_user(tx: &Tx<'_>, user_id: &str) -> Result<User, TokenError> {
    let user =
        users::by_id(tx, user_id)?.ok_or_else(|| token_error::invalid_grant("authentication failure"))?;
    if user.is_active { Ok(user) } else { Err(token_error::inactive_user()) }
}

/// Opens the session and words the answer. A core org gives no `expires_in`.
pub(super) fn issue(state: &OrgState, tx: &Tx<'_>, issue: Issue<'_>) -> Result<Value, TokenError> {
    let (_, access_token) = sessions::open(
        tx,
        &NewSession {
            kind: Kind::Client,
            org_id: state.org_id(),
            user_id: &issue.user.id,
            consumer_key: Some(&issue.client.consumer_key),
            scopes: issue.scopes,
            grant_id: Some(issue.grant_id),
            timeout_seconds: state.session_timeout(issue.client.session_timeout_minutes),
        },
    )?;
    let identity = state.identity_url(&issue.user.id);
    let issued_at = state.clock().now_millis().to_string();
    let mut answer = Map::new();
    answer.insert("access_token".into(), access_token.expose_secret().into());
    if let Some(token) = &issue.refresh_token {
        answer.insert("refresh_token".into(), token.expose_secret().into());
    }
    if let Some(secret) = issue.secret {
        answer.insert(
            "signature".into(),
            secrets::token_signature(secret.expose_secret(), &identity, &issued_at).into(),
        );
    }
    answer.insert("scope".into(), issue.scopes.into());
    if issue.scopes.split(' ').any(|scope| scope == "openid") {
        answer.insert("id_token".into(), id_token(state, &issue)?.into());
    }
    answer.insert("instance_url".into(), state.base().into());
    answer.insert("id".into(), identity.into());
    answer.insert("token_type".into(), "Bearer".into());
    answer.insert("issued_at".into(), issued_at.into());
    Ok(Value::Object(answer))
}

fn id_token(state: &OrgState, issue: &Issue<'_>) -> Result<String, TokenError> {
    let now = state.clock().now_seconds();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": state.signing_key().kid()});
    let mut claims = json!({
        "iss": state.base(),
        "sub": state.identity_url(&issue.user.id),
        "aud": issue.client.consumer_key,
        "iat": now,
        "exp": now + 120,
        "preferred_username": issue.user.username,
    });
    if let Some(nonce) = issue.nonce {
        claims["nonce"] = nonce.into();
    }
    Ok(state.signing_key().sign(&header, &claims)?)
}
