//! Runs a query exactly as one session would see it: what a user may read, and what only while elevated.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::db::Tx;
use crate::rest::RestError;
use crate::rights::{Caller, Rights};
use crate::sessions;
use crate::soql::{self, QueryOptions};
use crate::state::OrgState;
use crate::users;

/// Either a user (in a session of their own, with nothing activated) or a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbeForm {
    username: Option<String>,
    session_id: Option<String>,
    soql: String,
}

/// Answers what the REST API would: `{"status": 200, "body": {…}}`, or its error status and array.
pub(super) async fn probe(
    State(state): State<OrgState>,
    Body(form): Body<ProbeForm>,
) -> Result<Json<Value>, Problem> {
    state.db().read(|tx| {
        let Some(caller) = caller(tx, &form)? else {
            return Ok(refused(&RestError::session_expired()));
        };
        let base_url = format!("/services/data/v{}", state.api_version());
        let options = QueryOptions { base_url: &base_url, batch_size: soql::DEFAULT_BATCH, all_rows: false };
        let rights = Rights::load(tx, &caller)?;
        Ok(match soql::run(tx, &rights, &form.soql, options) {
            Ok(body) => Json(json!({"status": 200, "body": body})),
            Err(error) => refused(&error),
        })
    })
}

fn refused(error: &RestError) -> Json<Value> {
    Json(json!({"status": error.status, "body": [error.body()]}))
}

/// `None` when the session has ended.
fn caller(tx: &Tx<'_>, form: &ProbeForm) -> Result<Option<Caller>, Problem> {
    match (&form.username, &form.session_id) {
        (Some(username), None) => {
            let user = users::by_username(tx, username)?;
            let user = user.ok_or_else(|| Problem::unknown("user", username, "/_sim/users"))?;
            Ok(Some(Caller::user(user.id, String::new())))
        }
        (None, Some(session_id)) => {
            let session = sessions::find_by_id(tx, session_id)?;
            Ok(session.map(|session| Caller::user(session.user_id, session.id)))
        }
        _ => {
            let detail = "Pass username for a fresh session, or session_id for one that is open";
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                "Pass exactly one of username and session_id",
                detail,
            ))
        }
    }
}
