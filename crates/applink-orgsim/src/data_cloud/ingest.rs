//! Rows a few at a time. They are checked, queued, and 202 is answered; what becomes of them shows later.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{json_body, of_tenant};
use super::problem::TenantError;
use super::rows::{self, Operation};
use super::streams;
use crate::db::Tx;
use crate::state::OrgState;

/// A request may have this many bytes: the documented limit of streaming ingestion.
pub(super) const LARGEST_BODY: usize = 200 * 1024;
/// The scope it takes.
pub(super) const SCOPE: &str = "cdp_ingest_api";

#[derive(Deserialize)]
struct Rows {
    data: Vec<Value>,
}

#[derive(Deserialize)]
struct Keys {
    ids: Vec<Value>,
}

type Source = Path<(String, String)>;

/// `POST /api/v1/ingest/sources/{connector}/{object}`.
pub(super) async fn upsert(
    State(state): State<OrgState>,
    Path((connector, object)): Source,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            ensure_small(&body)?;
            state.db().write(|tx| {
                let stream = streams::of_source(tx, &connector, &object)?;
                let rows = rows::checked(&stream, json_body::<Rows>(&body)?.data)?;
                queue(tx, &stream.object, Operation::Upsert, &serde_json::to_string(&rows)?)
            })?;
            Ok(accepted(state))
        })
        .await
}

/// `DELETE` of the same path, with `{"ids": […]}` or `?ids=a,b`.
pub(super) async fn delete(
    State(state): State<OrgState>,
    Path((connector, object)): Source,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            ensure_small(&body)?;
            let keys = match keys_in_query(query.as_deref().unwrap_or_default()) {
                Some(keys) => keys,
                None => json_body::<Keys>(&body)?.ids,
            };
            if let Some(index) = keys.iter().position(|key| !(key.is_string() || key.is_number())) {
                return Err(TenantError::bad_request(format!("ids[{index}]: expected a text or a number")));
            }
            state.db().write(|tx| {
                let stream = streams::of_source(tx, &connector, &object)?;
                queue(tx, &stream.object, Operation::Delete, &serde_json::to_string(&keys)?)
            })?;
            Ok(accepted(state))
        })
        .await
}

/// `POST …/actions/test`: the same check, and nothing is queued.
pub(super) async fn test(
    State(state): State<OrgState>,
    Path((connector, object)): Source,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, TenantError> {
    state
        .call(move |state| {
            of_tenant(state, &headers, SCOPE)?;
            ensure_small(&body)?;
            state.db().read(|tx| {
                let stream = streams::of_source(tx, &connector, &object)?;
                rows::checked(&stream, json_body::<Rows>(&body)?.data)
            })?;
            Ok(Json(json!({"accepted": true})).into_response())
        })
        .await
}

fn ensure_small(body: &Bytes) -> Result<(), TenantError> {
    if body.len() <= LARGEST_BODY {
        return Ok(());
    }
    Err(TenantError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "A request may have 200 KB at most; send fewer rows at once, or use a bulk job",
    ))
}

fn keys_in_query(query: &str) -> Option<Vec<Value>> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let ids = pairs.into_iter().find(|(name, _)| name == "ids")?.1;
    Some(ids.split(',').map(|id| id.trim().into()).collect())
}

fn queue(tx: &Tx<'_>, object: &str, operation: Operation, rows: &str) -> Result<(), TenantError> {
    tx.execute(
        "INSERT INTO _dc_batch (object, operation, rows, created_micros) VALUES (?1, ?2, ?3, ?4)",
        (object, operation.name(), rows, tx.now_micros()),
    )?;
    Ok(())
}

fn accepted(state: &OrgState) -> Response {
    state.data_cloud().due.notify_one();
    (StatusCode::ACCEPTED, Json(json!({"accepted": true}))).into_response()
}
