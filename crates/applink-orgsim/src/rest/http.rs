//! HTTP in and out: who calls, which version, which body, which headers.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::routing::{any, get};
use serde_json::{Value, json};

use super::dispatch::{Call, Reply, Session, dispatch};
use super::query::batch_size;
use super::{ApiVersion, DAILY_API_REQUESTS, OLDEST_VERSION, RestError, RestHost, blobs};
use crate::records::Records;
use crate::rights::Caller;

/// The largest body taken: Salesforce's limit for a request that carries a file.
pub(super) const LARGEST_BODY: usize = 50 * 1024 * 1024;

/// What a call is answered with: JSON, or a file.
enum Answer {
    Reply(Reply),
    File(Vec<u8>),
}

pub(super) fn routes<H: RestHost>() -> Router<H> {
    Router::new()
        .route("/services/data", get(versions::<H>))
        .route("/services/data/", get(versions::<H>))
        .route("/services/data/{version}", any(version_root::<H>))
        .route("/services/data/{version}/", any(version_root::<H>))
        .route("/services/data/{version}/{*resource}", any(resource::<H>))
}

/// The list of versions, which needs no session.
async fn versions<H: RestHost>(State(host): State<H>) -> Response<Body> {
    let versions: Vec<Value> = host
        .api_versions()
        .iter()
        .map(|version| json!({"label": version.label(), "url": version.base_url(), "version": version.to_string()}))
        .collect();
    json_response(StatusCode::OK, &Value::Array(versions))
}

async fn version_root<H: RestHost>(
    State(host): State<H>,
    Path(version): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    serve(host, &version, "", request).await
}

async fn resource<H: RestHost>(
    State(host): State<H>,
    Path((version, _)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    // The raw path, so that each segment is decoded once and an encoded slash stays inside its segment.
    let path = request.uri().path().to_owned();
    let rest = path.split('/').filter(|part| !part.is_empty()).skip(3).collect::<Vec<_>>().join("/");
    serve(host, &version, &rest, request).await
}

async fn serve<H: RestHost>(host: H, version: &str, path: &str, request: Request<Body>) -> Response<Body> {
    let calls = host.database().count_api_call();
    let response = match answer(host, version, path, request).await {
        Ok(Answer::Reply(reply)) => reply_response(&reply),
        Ok(Answer::File(content)) => file_response(content),
        Err(error) => error_response(&error),
    };
    with_usage(response, calls)
}

/// Tells how many API requests of the day are used.
pub(super) fn with_usage(mut response: Response<Body>, calls: u64) -> Response<Body> {
    let usage = format!("api-usage={}/{DAILY_API_REQUESTS}", calls.min(DAILY_API_REQUESTS));
    if let Ok(usage) = HeaderValue::from_str(&usage) {
        response.headers_mut().insert("Sforce-Limit-Info", usage);
    }
    response
}

async fn answer<H: RestHost>(
    host: H,
    version: &str,
    path: &str,
    request: Request<Body>,
) -> Result<Answer, RestError> {
    let version = served_version(&host, version)?;
    let (parts, body) = request.into_parts();
    let caller = {
        let (asked, headers) = (host.clone(), parts.headers.clone());
        host.database().call(move |_| authenticate(&asked, &headers)).await?
    };
    let body = to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| RestError::new(413, "REQUEST_TOO_LARGE", "The request body is too large"))?;
    let query = parts.uri.query().unwrap_or_default();
    let mut call = Call::new(parts.method, path, query);
    call.batch_size = batch_size(&parts.headers);
    call.body = json_body(&call.method, &parts.headers, &body)?;
    let work = move || run(&host, version, caller, &call);
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(RestError::new(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.")))
}

pub(super) fn served_version<H: RestHost>(host: &H, segment: &str) -> Result<ApiVersion, RestError> {
    let newest = host.api_versions().last().map_or(OLDEST_VERSION, |version| version.number());
    ApiVersion::from_segment(segment)
        .filter(|version| (OLDEST_VERSION..=newest).contains(&version.number()))
        .ok_or_else(RestError::not_found)
}

pub(super) fn authenticate<H: RestHost>(host: &H, headers: &HeaderMap) -> Result<Caller, RestError> {
    let Some(header) = headers.get(::http::header::AUTHORIZATION) else {
        return Err(RestError::session_expired());
    };
    let invalid = || RestError::new(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE");
    let (scheme, token) =
        header.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(invalid)?;
    if !["Bearer", "OAuth"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(invalid());
    }
    host.authenticate(token.trim()).ok_or_else(RestError::session_expired)
}

/// The JSON of a body. A GET's body is ignored, since clients send `Content-Type` with none.
fn json_body(method: &Method, headers: &HeaderMap, body: &Bytes) -> Result<Option<Value>, RestError> {
    if body.is_empty() || *method == Method::GET {
        return Ok(None);
    }
    ensure_json(headers)?;
    serde_json::from_slice(body).map(Some).map_err(|error| {
        let message = format!("{error} [line:{}, column:{}]", error.line(), error.column());
        RestError::bad_json(message)
    })
}

/// A body that says it is something else than JSON is refused.
pub(super) fn ensure_json(headers: &HeaderMap) -> Result<(), RestError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("application/json");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = format!("Content type specified does not match any of the supported types: {kind}");
        return Err(RestError::new(415, "UNSUPPORTED_MEDIA_TYPE", message));
    }
    Ok(())
}

/// Every call needs the user permission "API Enabled".
pub(super) fn ensure_api_enabled(records: &Records<'_>) -> Result<(), RestError> {
    if records.rights().permissions().has("ApiEnabled") {
        return Ok(());
    }
    Err(RestError::new(403, "API_CURRENTLY_DISABLED", "API is currently disabled for this user"))
}

fn run<H: RestHost>(host: &H, version: ApiVersion, caller: Caller, call: &Call) -> Result<Answer, RestError> {
    let identity_url = caller.user_id().map(|user| host.identity_url(user)).unwrap_or_default();
    host.database().write(|tx| {
        let records = Records::new(tx, &caller)?;
        ensure_api_enabled(&records)?;
        let api_calls = host.database().api_calls();
        let newest = host.api_versions().last().copied().unwrap_or(version);
        let session = Session { tx, records, version, newest, identity_url, api_calls };
        match blobs::wanted(&session, call) {
            Some(wanted) => blobs::read(&session, &wanted).map(Answer::File),
            None => dispatch(&session, call).map(Answer::Reply),
        }
    })
}

/// The bytes of a file, as the REST API sends them.
fn file_response(content: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octetstream"));
    response
}

fn reply_response(reply: &Reply) -> Response<Body> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &reply.body {
        Some(body) => json_response(status, body),
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response
        }
    };
    if let Some(location) = reply.location.as_ref().and_then(|url| HeaderValue::from_str(url).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

pub(super) fn error_response(error: &RestError) -> Response<Body> {
    if error.status >= 500 {
        tracing::error!(error = %error, source = ?std::error::Error::source(error), "an org call failed");
    }
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, &json!([error.body()]));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Token"));
    }
    response
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache,must-revalidate,max-age=0,no-store,private"),
    );
    response
}
