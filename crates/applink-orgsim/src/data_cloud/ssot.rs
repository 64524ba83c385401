//! The org's own view of Data Cloud (Connect REST): streams, lake objects, model objects, and the same queries as on the
//! tenant, with a session of the org.

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::caller::{OrgRefusal, json_body, of_org};
use super::streams::{self, Stream};
use super::{problem::TenantError, query as queries};
use crate::state::OrgState;

/// How one stream is shown.
type Shown = fn(&Stream, i64) -> Value;

const STREAM: Shown = Stream::to_json;
const LAKE: Shown = |stream, _| stream.lake_object_json();
const MODEL: Shown = |stream, _| stream.model_object_json();

pub(super) async fn list_streams(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    list(state, headers, "dataStreams", STREAM).await
}

pub(super) async fn list_lake_objects(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    list(state, headers, "dataLakeObjects", LAKE).await
}

pub(super) async fn list_model_objects(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    list(state, headers, "dataModelObjects", MODEL).await
}

async fn list(
    state: OrgState,
    headers: HeaderMap,
    key: &'static str,
    shown: Shown,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let all = state.db().read(streams::all)?;
            let each: Vec<Value> = all.iter().map(|(stream, created)| shown(stream, *created)).collect();
            Ok(Json(json!({"totalSize": each.len(), key: each})))
        })
        .await
}

pub(super) async fn show_stream(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    show(state, headers, name, STREAM).await
}

pub(super) async fn show_lake_object(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    show(state, headers, name, LAKE).await
}

pub(super) async fn show_model_object(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    show(state, headers, name, MODEL).await
}

async fn show(
    state: OrgState,
    headers: HeaderMap,
    name: String,
    shown: Shown,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let all = state.db().read(streams::all)?;
            let views = all.iter().map(|(stream, created)| shown(stream, *created));
            let found = views
                .into_iter()
                .find(|view| view["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(&name)));
            found.map(Json).ok_or_else(|| OrgRefusal::not_found("The requested resource does not exist"))
        })
        .await
}

/// `POST …/ssot/data-streams`: a stream with its objects. The body is the simulator's own.
pub(super) async fn create_stream(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let stream: Stream = json_body(&body)?;
            let made = state.db().write(|tx| streams::create(tx, stream))?;
            Ok((StatusCode::CREATED, Json(made.to_json(state.clock().now_micros()))))
        })
        .await
}

/// `POST …/ssot/queryv2`.
pub(super) async fn query(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            let session = of_org(state, &headers)?;
            Ok(Json(in_rows(queries::run(state, &session.user_id, &queries::sql_of(&body)?)?)))
        })
        .await
}

/// `GET …/ssot/queryv2/{batch}`.
pub(super) async fn next_batch(
    State(state): State<OrgState>,
    Path((_, batch)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            let session = of_org(state, &headers)?;
            Ok::<_, OrgRefusal>(Json(in_rows(queries::kept(state, &session.user_id, &batch)?)))
        })
        .await
}

/// Connect REST wraps each row.
fn in_rows(mut body: Value) -> Value {
    if let Some(rows) = body.get_mut("data").and_then(Value::as_array_mut) {
        for row in rows {
            *row = json!({"rowData": row.take()});
        }
    }
    body
}

/// Makes a stream for `/_sim`.
pub(super) fn create(state: &OrgState, stream: Stream) -> Result<Value, TenantError> {
    let made = state.db().write(|tx| streams::create(tx, stream))?;
    Ok(made.to_json(state.clock().now_micros()))
}
