//! Who a token's user is, and with which keys this org signs.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::ids;
use crate::sessions::Session;
use crate::state::{OrgState, bearer};
use crate::users::{self, User};

#[derive(Deserialize)]
pub(crate) struct IdentityQuery {
    oauth_token: Option<SecretString>,
    version: Option<String>,
}

/// `GET /services/oauth2/userinfo`. A bad token is answered 403, in plain text.
pub(super) async fn userinfo(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    let caller = state.call(move |state| caller(state, bearer(&headers))).await?;
    let Some((session, user)) = caller else { return Ok(bad_token()) };
    if !["id", "openid", "profile", "full", "api"].iter().any(|scope| session.has_scope(scope)) {
        return Ok(bad_token());
    }
    Ok(Json(userinfo_body(&state, &user)).into_response())
}

/// `GET /id/{org}/{user}`: a user sees their own identity; the token comes as header or `oauth_token`.
pub(super) async fn identity(
    State(state): State<OrgState>,
    Path((org_id, user_id)): Path<(String, String)>,
    Query(query): Query<IdentityQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let token = bearer(&headers).map(SecretString::from).or(query.oauth_token);
    let Some(token) = token else {
        return Ok((StatusCode::FORBIDDEN, "Missing_OAuth_Token").into_response());
    };
    let caller = state.call(move |state| caller(state, Some(token.expose_secret()))).await?;
    let Some((_, user)) = caller else { return Ok(bad_token()) };
    if ids::normalize(&org_id).as_deref() != Some(state.org_id()) {
        return Ok((StatusCode::FORBIDDEN, "Wrong_Org").into_response());
    }
    if ids::normalize(&user_id).as_deref() != Some(user.id.as_str()) {
        return Ok((StatusCode::FORBIDDEN, "Wrong_User").into_response());
    }
    let version = match query.version.as_deref() {
        Some("latest") => Some(state.api_version()),
        other => other.map(str::to_owned),
    };
    Ok(Json(identity_body(&state, &user, version.as_deref())).into_response())
}

/// `GET /id/keys`: the org's public keys (RFC 7517).
pub(super) async fn keys(State(state): State<OrgState>) -> Json<Value> {
    Json(json!({"keys": [state.signing_key().jwk()]}))
}

/// `GET /.well-known/openid-configuration`.
pub(super) async fn discovery(State(state): State<OrgState>) -> Json<Value> {
    let base = state.base();
    let oauth = |name: &str| format!("{base}/services/oauth2/{name}");
    Json(json!({
        "issuer": base,
        "authorization_endpoint": oauth("authorize"),
        "token_endpoint": oauth("token"),
        "revocation_endpoint": oauth("revoke"),
        "userinfo_endpoint": oauth("userinfo"),
        "introspection_endpoint": oauth("introspect"),
        "jwks_uri": format!("{base}/id/keys"),
        "scopes_supported": ["id", "profile", "email", "openid", "api", "web", "full", "refresh_token", "offline_access"],
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "authorization_code", "refresh_token", "client_credentials",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "display_values_supported": ["page", "popup", "touch"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "claims_supported": ["iss", "sub", "aud", "iat", "exp", "nonce", "preferred_username"],
    }))
}

fn bad_token() -> Response {
    (StatusCode::FORBIDDEN, "Bad_OAuth_Token").into_response()
}

fn caller(state: &OrgState, token: Option<&str>) -> Result<Option<(Session, User)>, Failure> {
    let Some(token) = token else { return Ok(None) };
    let Some(session) = state.use_session(token)? else { return Ok(None) };
    let user = state.db().read(|tx| users::by_id(tx, &session.user_id))?;
    Ok(user.filter(|user| user.is_active).map(|user| (session, user)))
}

fn userinfo_body(state: &OrgState, user: &User) -> Value {
    let picture = format!("{}/profilephoto/005/F", state.base());
    let thumbnail = format!("{}/profilephoto/005/T", state.base());
    json!({
        "sub": state.identity_url(&user.id),
        "user_id": user.id,
        "organization_id": state.org_id(),
        "preferred_username": user.username,
        "nickname": user.nickname,
        "name": user.name,
        "email": user.email,
        "email_verified": true,
        "given_name": user.first_name,
        "family_name": user.last_name,
        "zoneinfo": user.time_zone,
        "photos": {"picture": picture, "thumbnail": thumbnail},
        "profile": format!("{}/{}", state.base(), user.id),
        "picture": picture,
        "address": {},
        "is_salesforce_integration_user": false,
        "urls": urls(state, user, None),
        "active": user.is_active,
        "user_type": "STANDARD",
        "language": user.language,
        "locale": user.locale,
        "utcOffset": utc_offset_millis(state, user),
        "updated_at": timestamp(user.modified_micros),
        "is_app_installed": true,
    })
}

fn identity_body(state: &OrgState, user: &User, version: Option<&str>) -> Value {
    json!({
        "id": state.identity_url(&user.id),
        "asserted_user": true,
        "user_id": user.id,
        "organization_id": state.org_id(),
        "username": user.username,
        "nick_name": user.nickname,
        "display_name": user.name,
        "email": user.email,
        "email_verified": true,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "timezone": user.time_zone,
        "photos": {
            "picture": format!("{}/profilephoto/005/F", state.base()),
            "thumbnail": format!("{}/profilephoto/005/T", state.base()),
        },
        "addr_street": null,
        "addr_city": null,
        "addr_state": null,
        "addr_country": null,
        "addr_zip": null,
        "mobile_phone": null,
        "mobile_phone_verified": false,
        "is_lightning_login_user": false,
        "status": {"created_date": null, "body": null},
        "urls": urls(state, user, version),
        "active": user.is_active,
        "user_type": "STANDARD",
        "language": user.language,
        "locale": user.locale,
        "utcOffset": utc_offset_millis(state, user),
        "last_modified_date": timestamp(user.modified_micros),
        "is_app_installed": true,
    })
}

/// API addresses; the version stays the literal `{version}` unless one was asked for.
fn urls(state: &OrgState, user: &User, version: Option<&str>) -> Value {
    let version = version.unwrap_or("{version}");
    let base = state.base();
    let short = ids::short(state.org_id());
    let rest = format!("{base}/services/data/v{version}/");
    let entries = [
        ("enterprise", format!("{base}/services/Soap/c/{version}/{short}")),
        ("metadata", format!("{base}/services/Soap/m/{version}/{short}")),
        ("partner", format!("{base}/services/Soap/u/{version}/{short}")),
        ("rest", rest.clone()),
        ("sobjects", format!("{rest}sobjects/")),
        ("search", format!("{rest}search/")),
        ("query", format!("{rest}query/")),
        ("recent", format!("{rest}recent/")),
        ("tooling_soap", format!("{base}/services/Soap/T/{version}/{short}")),
        ("tooling_rest", format!("{rest}tooling/")),
        ("profile", format!("{base}/{}", user.id)),
        ("feeds", format!("{rest}chatter/feeds")),
        ("groups", format!("{rest}chatter/groups")),
        ("users", format!("{rest}chatter/users")),
        ("feed_items", format!("{rest}chatter/feed-items")),
        ("feed_elements", format!("{rest}chatter/feed-elements")),
        ("custom_domain", base.to_owned()),
    ];
    Value::Object(entries.into_iter().map(|(name, url)| (name.to_owned(), url.into())).collect::<Map<_, _>>())
}

/// The user's offset from UTC without daylight saving, as the field has it.
fn utc_offset_millis(state: &OrgState, user: &User) -> i64 {
    let zone = jiff::tz::TimeZone::get(&user.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let winter = Timestamp::from_second(state.clock().now_seconds()).unwrap_or_default();
    i64::from(zone.to_offset(winter).seconds()) * 1000
}

fn timestamp(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
