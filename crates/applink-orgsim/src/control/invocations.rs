//! Invoking, and what came of it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::callbacks;
use crate::failure::Failure;
use crate::invoke::{self, Call, store};
use crate::state::OrgState;
use crate::stretch::Stretch;

/// A listener waits at most this long; it can ask again.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
pub(super) struct CallbackQuery {
    invocation: Option<String>,
    #[serde(default)]
    wait_ms: u64,
    #[serde(default = "one")]
    at_least: usize,
}

fn one() -> usize {
    1
}

/// The invocation runs to its end even when the caller hangs up: its session must not stay open.
pub(super) async fn invoke(
    State(state): State<OrgState>,
    Body(call): Body<Call>,
) -> Result<Response, Problem> {
    let invoked = tokio::spawn(async move { invoke::invoke(&state, call).await });
    Ok(match invoked.await.map_err(Failure::from)? {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    })
}

pub(super) async fn list(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let all = state.db().read(|tx| store::newest(tx, None, Stretch::first(200)))?;
    Ok(Json(all.iter().map(store::Invocation::to_json).collect()))
}

pub(super) async fn show(
    State(state): State<OrgState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = state.db().read(|tx| {
        let Some(invocation) = store::find(tx, &id)? else { return Ok::<_, Failure>(None) };
        let received: Vec<Value> =
            callbacks::list(tx, Some(&id))?.iter().map(callbacks::Received::to_json).collect();
        let mut answer = invocation.to_json();
        answer["callbacks"] = Value::Array(received);
        Ok(Some(answer))
    })?;
    found.map(Json).ok_or_else(|| unknown(&id))
}

/// Ends an invocation that waits for callbacks: its session and elevation are gone when this answers.
pub(super) async fn end(
    State(state): State<OrgState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let ended = state.db().write(|tx| match store::find(tx, &id)? {
        Some(_) => store::end(tx, &id).map(Some),
        None => Ok(None),
    })?;
    let changed = ended.ok_or_else(|| unknown(&id))?;
    Ok(Json(json!({"invocation_id": id, "state": "ended", "changed": changed})))
}

fn unknown(id: &str) -> Problem {
    Problem::unknown("invocation", id, "/_sim/invocations")
}

/// Lists callbacks; with `wait_ms` it waits until there are `at_least` that many or the time is over.
pub(super) async fn callbacks(
    State(state): State<OrgState>,
    Query(query): Query<CallbackQuery>,
) -> Result<Json<Value>, Problem> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(query.wait_ms).min(MAX_WAIT);
    let mut seen = state.callbacks_seen().subscribe();
    loop {
        seen.mark_unchanged();
        let list = state.db().read(|tx| callbacks::list(tx, query.invocation.as_deref()))?;
        let enough = list.len() >= query.at_least;
        if enough || tokio::time::timeout_at(deadline, seen.changed()).await.is_err() {
            return Ok(Json(list.iter().map(callbacks::Received::to_json).collect()));
        }
    }
}
