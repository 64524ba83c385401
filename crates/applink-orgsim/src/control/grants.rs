//! What an admin does in Setup: taking from apps what a user has granted them.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::oauth::grants;
use crate::state::OrgState;
use crate::users;

/// `{"username": "sales@acme.example", "newest": true}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeForm {
    username: String,
    /// Only the last one.
    #[serde(default)]
    newest: bool,
}

/// Their refresh tokens and sessions are dead at once.
pub(super) async fn revoke(
    State(state): State<OrgState>,
    Body(form): Body<RevokeForm>,
) -> Result<Json<Value>, Problem> {
    let revoked = state.db().write(|tx| {
        let user = users::by_username(tx, &form.username)?;
        let user = user.ok_or_else(|| Problem::unknown("user", &form.username, "/_sim/users"))?;
        let most = if form.newest { 1 } else { usize::MAX };
        Ok::<_, Problem>(grants::revoke_newest_of_user(tx, &user.id, most)?)
    })?;
    Ok(Json(json!({"revoked": revoked})))
}
