//! Faults of the token endpoint, and what it was asked.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::oauth::faults::{TokenCounts, TokenFault};
use crate::state::OrgState;

/// More than this many times of one fault are a mistake.
const MOST_TIMES: u32 = 10_000;

/// `{"fault": "lose_answer", "times": 2}`.
#[derive(Deserialize)]
pub(super) struct FaultForm {
    #[serde(flatten)]
    fault: TokenFault,
    times: Option<u32>,
}

pub(super) async fn faults(State(state): State<OrgState>) -> Json<Value> {
    Json(json!(state.token_desk().pending()))
}

pub(super) async fn add_fault(
    State(state): State<OrgState>,
    Body(form): Body<FaultForm>,
) -> Result<Json<Value>, Problem> {
    for _ in 0..form.times.unwrap_or(1).min(MOST_TIMES) {
        state.token_desk().push(form.fault.clone());
    }
    Ok(Json(json!(state.token_desk().pending())))
}

pub(super) async fn clear_faults(State(state): State<OrgState>) -> Json<Value> {
    state.token_desk().clear();
    Json(json!([]))
}

pub(super) async fn counts(State(state): State<OrgState>) -> Json<TokenCounts> {
    Json(state.token_desk().counts())
}
