//! What operators set up for the stand-in: `/operator/platform/…`.

use axum::extract::State;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::platform::{people, teams};
use crate::web::auth::RequireOperator;
use crate::web::{ApiJson, ApiPath, Json};

/// Body of `POST /operator/platform/keys`.
#[derive(Debug, Deserialize)]
pub struct CreateKey {
    email: String,
}

/// `POST /operator/platform/keys`: a key for a person, who is made when there is none. The only time it is shown.
pub async fn create_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(body): ApiJson<CreateKey>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let person = people::ensure(&app, &operator.actor, &body.email).await?;
    let made = people::create_key(&app, &operator.actor, &person).await?;
    let answer = json!({
        "id": made.id,
        "key": made.key.expose_secret(),
        "user": {"id": person.id, "email": person.email},
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `DELETE /operator/platform/keys/{key}`
pub async fn revoke_key(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(key): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let id = key.parse().map_err(|_| ApiError::not_found())?;
    people::revoke_key(&app, &operator.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Body of `POST /operator/platform/teams`.
#[derive(Debug, Deserialize)]
pub struct CreateTeam {
    name: String,
    enterprise: Option<String>,
}

/// `POST /operator/platform/teams`
pub async fn create_team(
    State(app): State<App>,
    operator: RequireOperator,
    ApiJson(body): ApiJson<CreateTeam>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let team = teams::create(&app, &operator.actor, &body.name, body.enterprise.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": team.id, "name": team.name}))))
}

/// Body of `PUT /operator/platform/teams/{team}/members`.
#[derive(Debug, Deserialize)]
pub struct SetMember {
    email: String,
    #[serde(default)]
    admin: bool,
}

/// `PUT /operator/platform/teams/{team}/members`
pub async fn set_member(
    State(app): State<App>,
    operator: RequireOperator,
    ApiPath(team): ApiPath<String>,
    ApiJson(body): ApiJson<SetMember>,
) -> Result<StatusCode, ApiError> {
    let person = people::ensure(&app, &operator.actor, &body.email).await?;
    teams::set_member(&app, &operator.actor, &team, &person, body.admin).await?;
    Ok(StatusCode::NO_CONTENT)
}
