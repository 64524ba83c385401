//! The three headers of a call to a published app.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{ACCEPT, HeaderName, HeaderValue, USER_AGENT};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::state::OrgState;
use crate::users::User;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_CONTEXT: HeaderName = HeaderName::from_static("x-request-context");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-client-context");

/// What the headers say.
pub(super) struct Built<'a> {
    pub(super) request_id: &'a str,
    /// The org's signed token.
    pub(super) auth: &'a str,
    /// The access token of the invocation's own session.
    pub(super) session_token: &'a SecretString,
    pub(super) user: &'a User,
    pub(super) app_uuid: &'a str,
    pub(super) addon_uuid: &'a str,
    /// `<Service>.<operation>`.
    pub(super) resource: &'a str,
    pub(super) callbacks_expected: bool,
}

/// `<org id>-<uuid>-<time>`, the time with microseconds.
pub(super) fn request_id(state: &OrgState, uuid: &Uuid) -> String {
    let now = Timestamp::from_microsecond(state.clock().now_micros()).unwrap_or_default();
    format!("{}-{uuid}-{}", state.org_id(), now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"))
}

pub(super) fn build(state: &OrgState, built: &Built<'_>) -> HeaderMap {
    let request_context = json!({
        "id": built.request_id,
        "auth": built.auth,
        "loginUrl": state.base(),
        "orgDomainUrl": state.base(),
        "orgId": state.org_id(),
        "resource": built.resource,
        "type": if built.callbacks_expected { "asynchronous" } else { "synchronous" },
        "appUuid": built.app_uuid,
        "addonUuid": built.addon_uuid,
    });
    let client_context = json!({
        "requestId": built.request_id,
        "accessToken": built.session_token.expose_secret(),
        "apiVersion": state.api_version(),
        "namespace": "",
        "orgId": state.org_id(),
        "orgDomainUrl": state.base(),
        "userContext": {"userId": built.user.id, "username": built.user.username},
    });
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, header(&format!("SFDC-Callout/{}", state.api_version())));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*"));
    headers.insert(REQUEST_ID, header(built.request_id));
    headers.insert(REQUEST_CONTEXT, secret_header(&request_context));
    headers.insert(CLIENT_CONTEXT, secret_header(&client_context));
    headers
}

/// Standard base64 of JSON, marked so that no log prints it.
fn secret_header(json: &Value) -> HeaderValue {
    let mut value = header(&STANDARD.encode(json.to_string()));
    value.set_sensitive(true);
    value
}

/// All of these are ASCII by construction.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
