//! Extractors and answers whose every rejection is an [`ErrorBody`](applink_api::error::ErrorBody), and the layers
//! around the router. (Not named `http`, to avoid the crate.)

mod access_log;
pub(crate) mod arrival;
pub mod auth;
pub mod limits;
pub mod page;
mod request_id;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;

use applink_api::error::{Problem, error_id};

use crate::error::ApiError;

/// Largest JSON body: a JWT request with a 4096-bit key in PEM has 4 KiB.
pub const JSON_LIMIT: usize = 256 * 1024;

/// A JSON answer, always as `application/json`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// A JSON body. What is wrong with it is named with its JSON path or its line and column.
#[derive(Clone, Copy, Debug)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        ensure_json(request.headers())?;
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        parse_json(&body).map(Self)
    }
}

/// A JSON body that may be left out, whatever it says its type is: clients that POST nothing still send a type.
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        if body.is_empty() { Ok(Self(T::default())) } else { parse_json(&body).map(Self) }
    }
}

fn ensure_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        error_id::UNSUPPORTED_MEDIA_TYPE,
        "Send the body as JSON, with the header `content-type: application/json`.",
    )
    .at("content-type"))
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error_id::PAYLOAD_TOO_LARGE,
            format!("The body is larger than this path takes; most take {} KiB.", JSON_LIMIT / 1024),
        )
        .at("body");
    }
    ApiError::bad_request("The body could not be read to its end.").at("body").caused_by(rejection)
}

pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    ensure_text(body)?;
    ensure_storable_object(body)?;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // A number in place of a word is an error of syntax to serde, though the body is JSON.
        json_error(&path, &error.into_inner(), is_json(body))
    })?;
    deserializer.end().map_err(|error| json_error(".", &error, false))?;
    Ok(parsed)
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// serde skips the text of what it ignores, so it is looked at first.
fn ensure_text(body: &[u8]) -> Result<(), ApiError> {
    let Err(error) = std::str::from_utf8(body) else { return Ok(()) };
    let before = body.get(..error.valid_up_to()).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let message = format!("The body is not UTF-8: line {line}, column {column}.");
    let (line, column) = (u32::try_from(line).ok(), u32::try_from(column).ok());
    let problem = Problem { place: "$".to_owned(), message: message.clone(), line, column };
    Err(ApiError::bad_request(message).with_problems(vec![problem]))
}

/// serde would read a list as an object's fields in their order; and PostgreSQL has no place for U+0000.
fn ensure_storable_object(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<serde::de::IgnoredAny>(body)
            .map_err(|error| json_error(".", &error, false))?;
        return Err(ApiError::invalid_field("$", "The body is a list; send an object."));
    }
    if holds_nul(body) {
        return Err(ApiError::invalid_field("$", "The character U+0000 can't be stored; leave it out."));
    }
    Ok(())
}

/// Whether a text has the escape of U+0000: an odd number of backslashes, and `u0000`.
fn holds_nul(body: &[u8]) -> bool {
    const NUL: &[u8] = b"u0000";
    body.windows(NUL.len()).enumerate().filter(|(_, window)| *window == NUL).any(|(at, _)| {
        let before = body.get(..at).unwrap_or_default();
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
    })
}

/// serde_json's own text may quote a value, and a value may be a private key: only what kind of mistake it is, and
/// where, is repeated.
fn json_error(path: &str, error: &serde_json::Error, is_json: bool) -> ApiError {
    // What the error has no name for is a `?` at the end.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let place = if path.is_empty() { "$".to_owned() } else { format!("$.{path}") };
    let (line, column) = (u32::try_from(error.line()).ok(), u32::try_from(error.column()).ok());
    let problem = |message: String| Problem { place: place.clone(), message, line, column };
    if error.is_data() || is_json {
        let message = format!("The value at {place} is missing or of the wrong type{}.", expectation(error));
        return ApiError::validation(message.clone()).with_problems(vec![problem(message)]);
    }
    let message = format!("The body is not JSON: line {}, column {}.", error.line(), error.column());
    ApiError::bad_request(message.clone()).with_problems(vec![problem(message)])
}

/// ": missing field `x`", which quotes a name of ours, or ", expected a string", which quotes a type.
fn expectation(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("missing field ") {
        return format!(": missing field {}", field.split(" at line").next().unwrap_or_default());
    }
    match text.rsplit_once("expected ") {
        Some((_, expected)) => {
            format!(": expected {}", expected.split(" at line").next().unwrap_or_default())
        }
        None => String::new(),
    }
}

/// The parameters of the path.
#[derive(Clone, Copy, Debug)]
pub struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Nothing of ours has such a name, and PostgreSQL does not even look for one.
        if parts.uri.path().contains("%00") {
            return Err(ApiError::not_found());
        }
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            // A segment that is not UTF-8 names nothing of ours.
            Err(rejection) => Err(ApiError::not_found().caused_by(rejection)),
        }
    }
}

/// Whether requests are served.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operator",
    responses((status = 200, description = "They are", body = serde_json::Value)),
    security(())
)]
pub async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok"}))
}

/// 404 for paths that are none of ours.
pub async fn no_such_path() -> ApiError {
    ApiError::not_found()
}

/// 405 for methods a path does not have.
pub async fn no_such_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        error_id::METHOD_NOT_ALLOWED,
        "This path has no such method; the Allow header lists those it has.",
    )
}

/// The official Node SDK writes `//authorizations/…` when its base URL ends in a slash.
pub fn collapse_slashes<B>(mut request: http::Request<B>) -> http::Request<B> {
    let path = request.uri().path();
    if !path.contains("//") {
        return request;
    }
    let mut collapsed = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !collapsed.ends_with('/') {
            collapsed.push(character);
        }
    }
    if let Some(query) = request.uri().query() {
        collapsed.push('?');
        collapsed.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = collapsed.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// The answer when a handler panicked; the panic itself was logged by the panic hook.
pub fn after_panic(_panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    ApiError::internal("a handler panicked").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Body {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(serde::Deserialize, Debug)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Inner {
        count: u8,
    }

    fn refused(body: &str) -> String {
        let error = parse_json::<Body>(body.as_bytes()).unwrap_err();
        format!("{} {}", error.status().as_u16(), error.message())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(refused("{"), "400 The body is not JSON: line 1, column 1.");
        assert_eq!(
            refused(r#"{"name":"a","inner":{"count":"x"}}"#),
            "422 The value at $.inner.count is missing or of the wrong type: expected u8."
        );
        assert_eq!(
            refused("{}"),
            "422 The value at $ is missing or of the wrong type: missing field `name`."
        );
        assert_eq!(refused(r#"{"name":"a"} x"#), "400 The body is not JSON: line 1, column 14.");
        assert_eq!(refused(r#" ["a"]"#), "422 The body is a list; send an object.");
        assert!(refused("[").starts_with("400 "));
        assert!(refused(r#"{"name":"a\u0000b"}"#).starts_with("422 "));
        assert!(
            parse_json::<Body>(br#"{"name":"a\\u0000b"}"#).is_ok(),
            "those are a backslash and five letters"
        );
    }

    #[test]
    fn a_value_is_never_repeated() {
        assert!(!refused(r#"{"name":{"pem":"canary"}}"#).contains("canary"));
        assert!(!refused(r#"{"name":"a","inner":{"count":"canary"}}"#).contains("canary"));
        assert!(!refused(r#"{"name":"a","inner":"canary"}"#).contains("canary"));
    }

    #[test]
    fn double_slashes_are_one() {
        let collapse = |uri: &str| {
            collapse_slashes(http::Request::builder().uri(uri).body(()).unwrap()).uri().to_string()
        };
        assert_eq!(collapse("/addons/x//authorizations/org1?a=//"), "/addons/x/authorizations/org1?a=//");
        assert_eq!(collapse("/a/b"), "/a/b");
        assert_eq!(collapse("///"), "/");
    }
}
