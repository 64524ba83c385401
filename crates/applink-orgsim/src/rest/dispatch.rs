//! The list of resources below `/services/data/vXX.0`, for calls of their own and inside a composite.

use ::http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::{
    ApiVersion, DAILY_API_REQUESTS, RestError, collections, composite, describe, query, sobjects, tree,
};
use crate::db::Tx;
use crate::records::Records;
use crate::soql::DEFAULT_BATCH;

/// One call, without its headers.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Decoded path segments below the version.
    pub(super) segments: Vec<String>,
    /// Decoded query parameters, in order.
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    /// Records per batch of a query.
    pub(super) batch_size: usize,
}

/// What a call is answered with.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) location: Option<String>,
}

/// Who calls, on which data, with which version.
pub(super) struct Session<'t> {
    pub(super) tx: &'t Tx<'t>,
    pub(super) records: Records<'t>,
    pub(super) version: ApiVersion,
    pub(super) newest: ApiVersion,
    pub(super) identity_url: String,
    pub(super) api_calls: u64,
}

impl Call {
    /// A call of a path below the version, with a raw query string.
    pub(super) fn new(method: Method, path: &str, query: &str) -> Self {
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let query: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let mut call = Self { method, segments, query, body: None, batch_size: DEFAULT_BATCH };
        call.override_method();
        call
    }

    /// `POST …?_HttpMethod=PATCH`, for clients that can't send PATCH.
    fn override_method(&mut self) {
        let wanted = self.parameter("_HttpMethod").and_then(|name| name.to_ascii_uppercase().parse().ok());
        if let Some(method) = wanted.filter(|_| self.method == Method::POST) {
            self.method = method;
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<&Map<String, Value>, RestError> {
        match &self.body {
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(RestError::bad_json("The HTTP entity body has to be a JSON object")),
            None => Err(RestError::bad_json(
                "The HTTP entity body is required, but this request has no entity body.",
            )),
        }
    }

    fn not_allowed(&self, allowed: &str) -> RestError {
        RestError::method_not_allowed(self.method.as_str(), allowed)
    }
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body), location: None }
    }

    pub(super) fn no_content() -> Self {
        Self { status: 204, body: None, location: None }
    }

    pub(super) fn is_success(&self) -> bool {
        self.status < 300
    }
}

impl Session<'_> {
    pub(super) fn base_url(&self) -> String {
        self.version.base_url()
    }
}

/// Answers a call.
pub(super) fn dispatch(session: &Session<'_>, call: &Call) -> Result<Reply, RestError> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["tooling", rest @ ..] => tooling(session, call, rest),
        ["composite", rest @ ..] => composite_family(session, call, rest),
        segments => resource(session, call, segments),
    }
}

fn resource(session: &Session<'_>, call: &Call, segments: &[&str]) -> Result<Reply, RestError> {
    match segments {
        [] => reads(call, || Ok(resources(session))),
        ["limits"] => reads(call, || Ok(limits(session))),
        ["recent"] => reads(call, || Ok(json!([]))),
        ["query"] => reads(call, || query::run(session, call, false)),
        ["queryAll"] => reads(call, || query::run(session, call, true)),
        ["query" | "queryAll", locator] => reads(call, || query::more(session, call, locator)),
        ["sobjects"] => reads(call, || Ok(describe::global(session))),
        ["sobjects", name, "describe"] => reads(call, || describe::describe(session, name)),
        ["sobjects", name] => match call.method {
            Method::GET | Method::HEAD => describe::basic(session, name).map(Reply::ok),
            Method::POST => sobjects::create(session, name, call),
            _ => Err(call.not_allowed("GET,HEAD,POST")),
        },
        ["sobjects", name, id] => match call.method {
            Method::GET | Method::HEAD => sobjects::read(session, name, id, call),
            Method::PATCH => sobjects::update(session, name, id, call),
            Method::DELETE => sobjects::delete(session, name, id),
            _ => Err(call.not_allowed("DELETE,GET,HEAD,PATCH")),
        },
        ["sobjects", name, field, value] => match call.method {
            Method::GET | Method::HEAD => sobjects::read_by(session, name, field, value, call),
            Method::PATCH => sobjects::upsert(session, name, field, value, call),
            Method::DELETE => sobjects::delete_by(session, name, field, value),
            _ => Err(call.not_allowed("DELETE,GET,HEAD,PATCH")),
        },
        _ => Err(RestError::not_found()),
    }
}

/// The tooling API answers queries and describes from the same data; its own sObjects aren't simulated.
fn tooling(session: &Session<'_>, call: &Call, segments: &[&str]) -> Result<Reply, RestError> {
    match segments {
        ["query"] => reads(call, || query::run(session, call, false)),
        ["query", locator] => reads(call, || query::more(session, call, locator)),
        ["sobjects"] => reads(call, || Ok(describe::global(session))),
        ["sobjects", name, "describe"] => reads(call, || describe::describe(session, name)),
        _ => Err(RestError::not_found()),
    }
}

fn composite_family(session: &Session<'_>, call: &Call, segments: &[&str]) -> Result<Reply, RestError> {
    match (&call.method, segments) {
        (&Method::GET, []) => Ok(Reply::ok(composite::resources(session))),
        (&Method::POST, []) => composite::composite(session, call.object()?),
        (&Method::POST, ["graph"]) => composite::graphs(session, call.object()?),
        (&Method::POST, ["batch"]) => composite::batch(session, call.object()?),
        (&Method::POST, ["tree", name]) => tree::create(session, name, call.object()?),
        (&Method::POST, ["sobjects"]) => collections::create(session, call.object()?),
        (&Method::PATCH, ["sobjects"]) => collections::update(session, call.object()?),
        (&Method::DELETE, ["sobjects"]) => collections::delete(session, call),
        (&Method::GET | &Method::POST, ["sobjects", name]) => collections::read(session, name, call),
        (&Method::PATCH, ["sobjects", name, field]) => {
            collections::upsert(session, name, field, call.object()?)
        }
        (_, [] | ["graph" | "batch" | "sobjects"] | ["tree", _]) => Err(call.not_allowed("POST")),
        _ => Err(RestError::not_found()),
    }
}

fn reads(call: &Call, answer: impl FnOnce() -> Result<Value, RestError>) -> Result<Reply, RestError> {
    match call.method {
        Method::GET | Method::HEAD => answer().map(Reply::ok),
        _ => Err(call.not_allowed("GET,HEAD")),
    }
}

fn resources(session: &Session<'_>) -> Value {
    let base = session.base_url();
    let names = [
        "tooling",
        "metadata",
        "query",
        "queryAll",
        "search",
        "parameterizedSearch",
        "sobjects",
        "composite",
        "limits",
        "recent",
        "actions",
        "jobs",
        "process",
        "quickActions",
        "support",
        "theme",
        "tabs",
    ];
    let mut map: Map<String, Value> =
        names.into_iter().map(|name| (name.to_owned(), json!(format!("{base}/{name}")))).collect();
    map.insert("identity".into(), json!(session.identity_url));
    Value::Object(map)
}

fn limits(session: &Session<'_>) -> Value {
    let limit = |max: u64, used: u64| json!({"Max": max, "Remaining": max.saturating_sub(used)});
    json!({
        "ActiveScratchOrgs": limit(3, 0),
        "ConcurrentAsyncGetReportInstances": limit(200, 0),
        "DailyApiRequests": limit(DAILY_API_REQUESTS, session.api_calls),
        "DailyAsyncApexExecutions": limit(250_000, 0),
        "DailyBulkApiBatches": limit(15_000, 0),
        "DailyBulkV2QueryFileStorageMB": limit(976_562, 0),
        "DailyBulkV2QueryJobs": limit(10_000, 0),
        "DataStorageMB": limit(5, 0),
        "FileStorageMB": limit(20, 0),
        "HourlyLongTermIdMapping": limit(100_000, 0),
        "PermissionSets": {"Max": 1_500, "Remaining": 1_490, "CreateCustom": {"Max": 1_000, "Remaining": 990}},
        "SingleEmail": limit(15, 0),
    })
}
