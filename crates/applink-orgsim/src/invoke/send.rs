//! Step 5: one HTTP request to the app. Redirects are not followed: the headers carry a user's token.

use std::error::Error as _;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::arguments::Outgoing;
use super::refusal::{self, Refusal};
use crate::services::{FORM, Operation};
use crate::state::OrgState;

/// An app's answer may have this many bytes: the heap limit of Apex is not far above.
const MAX_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// What the app answered.
#[derive(Debug)]
pub(super) struct AppAnswer {
    pub(super) status: u16,
    pub(super) headers: Map<String, Value>,
    pub(super) body: Value,
}

pub(super) async fn send(
    state: &OrgState,
    endpoint: &str,
    operation: &Operation,
    outgoing: &Outgoing,
    mut headers: HeaderMap,
) -> Result<AppAnswer, Refusal> {
    let target = format!("{endpoint}{}", outgoing.path);
    let mut url =
        Url::parse(&target).map_err(|error| refusal::unreachable_app(&target, &error.to_string()))?;
    if !outgoing.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&outgoing.query);
    }
    for (name, value) in &outgoing.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) else {
            return Err(refusal::invalid_arguments(format!(
                "parameters.{name}: the value can't stand in a header"
            )));
        };
        // The org's own headers win over parameters of the same name.
        headers.entry(name).or_insert(value);
    }
    let mut request = state.http().request(operation.method.clone(), url).headers(headers);
    if let (Some(body), Some(declared)) = (&outgoing.body, &operation.body) {
        request =
            request.header(CONTENT_TYPE, &declared.media_type).body(written(body, &declared.media_type));
    }
    let response =
        request.send().await.map_err(|error| refusal::unreachable_app(endpoint, &reason(&error)))?;
    read(endpoint, response).await
}

/// The body in its media type: a form of the outermost properties, a text as it is, else JSON.
fn written(body: &Value, media_type: &str) -> String {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (media_type, body) {
        (FORM, Value::Object(fields)) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(fields.iter().map(|(name, value)| (name, plain(value))));
            form.finish()
        }
        ("text/plain", body) => plain(body),
        (_, body) => body.to_string(),
    }
}

/// The innermost cause, without the URL (it may carry a callback's handle).
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause = error.source();
    let mut text = "the request failed".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

async fn read(endpoint: &str, mut response: reqwest::Response) -> Result<AppAnswer, Refusal> {
    let status = response.status().as_u16();
    let headers = readable(response.headers());
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("json"));
    let mut content = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| refusal::unreachable_app(endpoint, &reason(&error)))?
    {
        if content.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(refusal::unreachable_app(endpoint, "its answer is larger than 10 MB"));
        }
        content.extend_from_slice(&chunk);
    }
    let text = || Value::String(String::from_utf8_lossy(&content).into_owned());
    let body = match (content.is_empty(), is_json) {
        (true, _) => Value::Null,
        (false, true) => serde_json::from_slice(&content).unwrap_or_else(|_| text()),
        (false, false) => text(),
    };
    Ok(AppAnswer { status, headers, body })
}

/// Headers by name; several of one name are joined. Cookies stay between app and org.
fn readable(headers: &HeaderMap) -> Map<String, Value> {
    let mut readable = Map::new();
    for name in headers.keys().filter(|name| *name != http::header::SET_COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        readable.insert(name.to_string(), Value::String(values.join(", ")));
    }
    readable
}
