//! What an admin does in Setup: deleting an external service behind the back of whoever published it.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::metadata::component::ComponentType;
use crate::metadata::{self, Removal};
use crate::rights::{self, Caller};
use crate::state::OrgState;

/// `{"service": "ProvisioningService"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveForm {
    service: String,
}

/// The registration goes; credential and permission sets stay, as when it is deleted in Setup.
pub(super) async fn remove(
    State(state): State<OrgState>,
    Body(form): Body<RemoveForm>,
) -> Result<Json<Value>, Problem> {
    let permissions = state.db().read(|tx| rights::user_permissions(tx, &Caller::System))?;
    let kind = ComponentType::ExternalServiceRegistration;
    match metadata::remove_component(&state, permissions, kind, &form.service)? {
        Removal::Removed => Ok(Json(json!({"removed": form.service}))),
        Removal::Unknown => Err(Problem::unknown("service", &form.service, "/_sim/services")),
        Removal::Refused(why) => {
            let detail = "Take away first what still needs it";
            Err(Problem::new(StatusCode::CONFLICT, "not_removed", why, detail))
        }
    }
}
