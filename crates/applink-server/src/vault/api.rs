//! What operators call: `/operator/vault`.

use applink_api::error::ErrorBody;
use applink_api::operator::{MasterKeyUse, Rotation, RotationKind, StartRotation, VaultProcess, VaultStatus};
use applink_api::time::Timestamp;
use axum::extract::State;
use http::StatusCode;

use super::rotation::{self, CanNotRotate};
use super::status;
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, Json};

/// Which keys are in use, and how far rotations are.
#[utoipa::path(
    get,
    path = "/operator/vault",
    tag = "operator",
    responses((status = 200, description = "The keys by id, never the keys", body = VaultStatus)),
    security(("operator_key" = []))
)]
pub async fn show_vault(
    State(app): State<App>,
    _operator: RequireOperator,
) -> Result<Json<VaultStatus>, ApiError> {
    Ok(Json(to_wire(status::read(&app).await?)))
}

/// Begins to seal everything under new keys, while serving.
#[utoipa::path(
    post,
    path = "/operator/vault/rotations",
    tag = "operator",
    request_body = StartRotation,
    responses((status = 202, description = "Begun; `GET /operator/vault` tells how far it is", body = VaultStatus), (status = 409, description = "One is under way, or there is no new master key", body = ErrorBody)),
    security(("operator_key" = []))
)]
pub async fn start_rotation(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(request): ApiJson<StartRotation>,
) -> Result<(StatusCode, Json<VaultStatus>), ApiError> {
    let begun = match request.kind {
        RotationKind::Master => rotation::begin_master(&app.store, &app.vault, &operator.actor).await,
        RotationKind::Data => rotation::begin_data(&app.store, &app.vault, &operator.actor).await,
    };
    begun.map_err(refused)?;
    app.nudges.vault.notify_one();
    Ok((StatusCode::ACCEPTED, Json(to_wire(status::read(&app).await?))))
}

fn refused(error: CanNotRotate) -> ApiError {
    match error {
        CanNotRotate::UnderWay | CanNotRotate::NoNewMaster => {
            let text = error.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
            ApiError::conflict(format!("{first}{}.", letters.as_str()))
        }
        CanNotRotate::Store(error) => error.into(),
        CanNotRotate::Vault(error) => error.into(),
    }
}

fn to_wire(read: status::Read) -> VaultStatus {
    let rotation = |row: super::rotations::Model| Rotation {
        id: row.id.0,
        kind: if row.kind == rotation::MASTER { RotationKind::Master } else { RotationKind::Data },
        phase: row.phase,
        master_key_id: row.master_key_id,
        done: row.done.unsigned_abs(),
        damaged: row.damaged.unsigned_abs(),
        requested_by: row.requested_by,
        requested_at: Timestamp::from_micros(row.requested_at),
        finished_at: row.finished_at.map(Timestamp::from_micros),
    };
    VaultStatus {
        master_key_id: read.master_key_id,
        master_keys: read.master_keys.into_iter().map(|(id, seals)| MasterKeyUse { id, seals }).collect(),
        data_keys: read.data_keys.0,
        former_data_keys: read.data_keys.1,
        processes: read
            .processes
            .into_iter()
            .map(|process| VaultProcess {
                name: process.name,
                master_key_ids: process.master_key_ids.split(' ').map(str::to_owned).collect(),
            })
            .collect(),
        rotations: read.rotations.into_iter().map(rotation).collect(),
    }
}
