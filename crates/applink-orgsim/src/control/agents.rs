//! What agents can do in the org, and one of them doing it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::problem::{Body, Problem};
use crate::agents::{self, Use};
use crate::failure::Failure;
use crate::state::OrgState;

pub(super) async fn list(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let found = state.call(|state| state.db().read(agents::list)).await?;
    Ok(Json(Value::Array(found)))
}

/// Runs to its end even when the caller hangs up, as any invocation does.
pub(super) async fn run(State(state): State<OrgState>, Body(wanted): Body<Use>) -> Result<Response, Problem> {
    let ran = tokio::spawn(async move { agents::run(&state, wanted).await });
    Ok(match ran.await.map_err(Failure::from)? {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refusal.into_response(),
    })
}
