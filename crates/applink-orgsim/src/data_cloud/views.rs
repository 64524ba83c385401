//! `/_sim/data-cloud`: what there is, what was sent, and the steps by hand.

use axum::extract::{Path, State};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::caller::{OrgRefusal, json_body};
use super::deliver::{self, Delivery};
use super::jobs::{self, Job};
use super::problem::TenantError;
use super::streams::{self, Stream};
use super::targets::{self, Target};
use super::{actions, rejected, ssot, worker};
use crate::failure::Failure;
use crate::state::OrgState;
use crate::stretch::Stretch;

/// `POST run` goes on for so many steps at most.
const MOST_STEPS: usize = 100_000;

/// Every route, relative to `/_sim/data-cloud`.
pub(crate) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/", get(show))
        .route("/streams", get(list_streams).post(create_stream))
        .route("/jobs", get(list_jobs))
        .route("/targets", get(list_targets))
        .route("/targets/{name}/key", post(replace_key))
        .route("/actions", get(list_actions).post(create_action))
        .route("/actions/{name}", delete(remove_action))
        .route("/deliveries", get(list_deliveries))
        .route("/deliveries/{id}/again", post(again))
        .route("/step", post(step))
        .route("/run", post(run))
        .layer(map_response(async |response: Response| {
            rejected::in_form(response, |status, why| SimRefusal::Refused(status, why).into_response()).await
        }))
}

/// A refusal, in the form of `/_sim`.
pub(super) enum SimRefusal {
    Refused(StatusCode, String),
    Failed(Failure),
}

impl From<TenantError> for SimRefusal {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::Refused { status, message, .. } => Self::Refused(status, message),
            TenantError::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<OrgRefusal> for SimRefusal {
    fn from(error: OrgRefusal) -> Self {
        match error {
            OrgRefusal::Refused { status, message, .. } => Self::Refused(status, message),
            OrgRefusal::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<crate::db::DbError> for SimRefusal {
    fn from(error: crate::db::DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for SimRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(status, message) => {
                (status, Json(json!({"error": "refused", "message": message, "detail": message})))
                    .into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}

type Answer = Result<Json<Value>, SimRefusal>;

/// Everything at a glance.
async fn show(State(state): State<OrgState>) -> Answer {
    state
        .call(|state| {
            state.db().read(|tx| {
                let waiting: i64 = tx
                    .query_row("SELECT COUNT(*) FROM _dc_batch", [], |row| row.get(0))
                    .map_err(crate::db::DbError::from)?;
                Ok(Json(json!({
                    "streams": streams::all(tx)?.len(),
                    "actions": actions::all(tx)?.len(),
                    "targets": targets::all(tx)?.len(),
                    "batches_waiting": waiting,
                    "deliveries": deliver::count(tx, "")?,
                })))
            })
        })
        .await
}

async fn list_streams(State(state): State<OrgState>) -> Answer {
    state
        .call(|state| {
            state.db().read(|tx| {
                let mut shown = Vec::new();
                for (stream, created) in streams::all(tx)? {
                    let mut one = stream.to_json(created);
                    one["rows"] = streams::count(tx, &stream)?.into();
                    shown.push(one);
                }
                Ok(Json(Value::Array(shown)))
            })
        })
        .await
}

async fn create_stream(State(state): State<OrgState>, body: Bytes) -> Answer {
    state
        .call(move |state| {
            let stream: Stream = json_body(&body)?;
            Ok(Json(ssot::create(state, stream)?))
        })
        .await
}

async fn list_jobs(State(state): State<OrgState>) -> Answer {
    let jobs = state.call(|state| state.db().read(jobs::all)).await?;
    Ok(Json(jobs.iter().map(Job::to_json).collect()))
}

/// Whether a target has a key is shown, the key is not.
async fn list_targets(State(state): State<OrgState>) -> Answer {
    let targets = state.call(|state| state.db().read(targets::all)).await?;
    let shown = |target: &Target| {
        let mut one = target.to_json();
        one["hasSigningKey"] = target.signing_key.is_some().into();
        one
    };
    Ok(Json(targets.iter().map(shown).collect()))
}

/// Gives a target another signing key, as an admin in Setup may, and shows it to nobody.
async fn replace_key(State(state): State<OrgState>, Path(name): Path<String>) -> Answer {
    state
        .call(move |state| {
            targets::replace_key(state, &name)?;
            Ok(Json(json!({"replaced": name})))
        })
        .await
}

async fn list_actions(State(state): State<OrgState>) -> Answer {
    let actions = state.call(|state| state.db().read(actions::all)).await?;
    let shown = actions.iter().map(|action| serde_json::to_value(action).unwrap_or_default());
    Ok(Json(shown.collect()))
}

async fn create_action(State(state): State<OrgState>, body: Bytes) -> Answer {
    state
        .call(move |state| {
            let action: actions::Action = json_body(&body)?;
            state.db().write(|tx| actions::save(tx, &action))?;
            Ok(Json(serde_json::to_value(&action).unwrap_or_default()))
        })
        .await
}

async fn remove_action(State(state): State<OrgState>, Path(name): Path<String>) -> Answer {
    state
        .call(move |state| {
            state.db().write(|tx| actions::forget(tx, &name))?;
            Ok(Json(json!({"removed": name})))
        })
        .await
}

/// The newest.
async fn list_deliveries(State(state): State<OrgState>) -> Answer {
    let deliveries =
        state.call(|state| state.db().read(|tx| deliver::newest(tx, Stretch::first(200)))).await?;
    Ok(Json(deliveries.iter().map(Delivery::to_json).collect()))
}

/// Sends a delivery once more, with the same events under the same replay ids.
async fn again(State(state): State<OrgState>, Path(id): Path<i64>) -> Answer {
    let found = state.call(move |state| state.db().write(|tx| deliver::again(tx, id))).await?;
    if !found {
        return Err(SimRefusal::Refused(StatusCode::NOT_FOUND, format!("There is no delivery {id}")));
    }
    state.data_cloud().to_send.notify_one();
    Ok(Json(json!({"again": id})))
}

/// Does the next thing that is due by the org's clock.
async fn step(State(state): State<OrgState>) -> Answer {
    let moved = worker::step(&state).await.map_err(SimRefusal::Failed)?;
    Ok(Json(json!({"moved": moved})))
}

/// Does everything that is due by the org's clock.
async fn run(State(state): State<OrgState>) -> Answer {
    let mut steps = 0;
    while steps < MOST_STEPS && worker::step(&state).await.map_err(SimRefusal::Failed)? {
        steps += 1;
    }
    Ok(Json(json!({"steps": steps})))
}
