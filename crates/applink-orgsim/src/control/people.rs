//! What an admin changes about people in Setup: whether a user is active, and what the users of a profile may do.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::{Body, Problem};
use crate::failure::Failure;
use crate::records;
use crate::rest::RestError;
use crate::schema::USER_PERMISSIONS;
use crate::state::OrgState;
use crate::users;

/// `{"username": "sales@acme.example", "active": false}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserForm {
    username: String,
    active: bool,
}

/// `{"name": "Intern", "permissions": {"ApiEnabled": false}}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileForm {
    name: String,
    permissions: BTreeMap<String, bool>,
}

/// Lets a user in, or nobody under that name any more.
pub(super) async fn save_user(
    State(state): State<OrgState>,
    Body(form): Body<UserForm>,
) -> Result<Json<Value>, Problem> {
    state.db().write(|tx| {
        let user = users::by_username(tx, &form.username)?;
        let user = user.ok_or_else(|| Problem::unknown("user", &form.username, "/_sim/users"))?;
        records::change(tx, "User", &user.id, json!({"IsActive": form.active})).map_err(not_changed)
    })?;
    Ok(Json(json!({"username": form.username, "active": form.active})))
}

/// Changes the permissions that are named, in the permission set that the profile owns.
pub(super) async fn save_profile(
    State(state): State<OrgState>,
    Body(form): Body<ProfileForm>,
) -> Result<Json<Value>, Problem> {
    let is_known = |name: &str| USER_PERMISSIONS.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = form.permissions.keys().find(|name| !is_known(name)) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_permission",
            format!("permissions: {unknown:?} is no user permission"),
            "User permissions are such as ApiEnabled or ManageHerokuAppLink",
        ));
    }
    let fields: Map<String, Value> =
        form.permissions.iter().map(|(name, on)| (format!("Permissions{name}"), json!(on))).collect();
    state.db().write(|tx| {
        let profile = records::find(tx, "Profile", "Name", &form.name).map_err(not_changed)?;
        let profile = profile.ok_or_else(|| Problem::unknown("profile", &form.name, "/_sim/users"))?;
        let set = records::find(tx, "PermissionSet", "ProfileId", &profile).map_err(not_changed)?;
        let set = set.ok_or_else(|| Problem::unknown("profile", &form.name, "/_sim/users"))?;
        records::change(tx, "PermissionSet", &set, Value::Object(fields)).map_err(not_changed)
    })?;
    Ok(Json(json!({"name": form.name, "permissions": form.permissions})))
}

fn not_changed(error: RestError) -> Problem {
    Problem::Failed(Failure::Unexpected(Box::new(error)))
}
