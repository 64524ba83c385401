//! The deploy request over HTTP.

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::archive::MAX_ZIP_BYTES;
use super::deployment::{self, Deployment, Options};
use crate::failure::Failure;
use crate::org::DeployMode;
use crate::rights::{self, Caller};
use crate::sessions::Session;
use crate::state::{OrgState, bearer};

/// Why a deploy request was refused: the REST API's error array.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeployError {
    #[error("{code}: {message}")]
    Refused { status: StatusCode, code: &'static str, message: String },
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<crate::db::DbError> for DeployError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for DeployError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused { status, code, message } => {
                (status, Json(json!([{"errorCode": code, "message": message}]))).into_response()
            }
            Self::Failed(failure) => failure.into_response(),
        }
    }
}

fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> DeployError {
    DeployError::Refused { status, code, message: message.into() }
}

pub(super) fn invalid_input(message: impl Into<String>) -> DeployError {
    refused(StatusCode::BAD_REQUEST, "INVALID_INPUT", message)
}

fn not_found() -> DeployError {
    refused(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
}

/// The JSON part of a deploy request.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DeployRequest {
    deploy_options: Options,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusQuery {
    #[serde(default)]
    include_details: bool,
}

/// Step 1: takes the package in.
pub(super) async fn deploy(
    State(state): State<OrgState>,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, DeployError> {
    deployer(&state, &headers).await?;
    let multipart = multipart
        .map_err(|rejection| invalid_input(format!("The request is not multipart/form-data: {rejection}")))?;
    let (package, request) = read_parts(multipart).await?;
    let deployment = take_in(&state, &headers, package, request.deploy_options).await?;
    Ok((StatusCode::CREATED, Json(deployment::answer(&deployment, false, true))).into_response())
}

/// Keeps a package for the worker, for whoever the session belongs to.
pub(super) async fn take_in(
    state: &OrgState,
    headers: &HeaderMap,
    package: Bytes,
    options: Options,
) -> Result<Deployment, DeployError> {
    let session = deployer(state, headers).await?;
    if package.len() > MAX_ZIP_BYTES {
        let message = "The package is larger than 39 MB";
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "LIMIT_EXCEEDED", message));
    }
    let deployment = state
        .call(move |state| {
            let id = state.db().write(|tx| deployment::insert(tx, &package, &options, &session.user_id))?;
            load(state, &id)
        })
        .await?;
    if state.limits().deploy_mode == DeployMode::Automatic {
        state.deploy_nudge().notify_one();
    }
    Ok(deployment)
}

/// A deployment, for whoever may deploy.
pub(super) async fn find(
    state: &OrgState,
    headers: &HeaderMap,
    id: String,
) -> Result<Deployment, DeployError> {
    deployer(state, headers).await?;
    state.call(move |state| load(state, &id)).await
}

/// Step 4: where a deployment is.
pub(super) async fn status(
    State(state): State<OrgState>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<StatusQuery>,
    headers: HeaderMap,
) -> Result<Json<Value>, DeployError> {
    let deployment = find(&state, &headers, id).await?;
    Ok(Json(deployment::answer(&deployment, query.include_details, false)))
}

/// Step 4: cancels a deployment that has not begun.
pub(super) async fn cancel(
    State(state): State<OrgState>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, DeployError> {
    deployer(&state, &headers).await?;
    if body.pointer("/deployResult/status").and_then(Value::as_str) != Some("Canceling") {
        return Err(invalid_input("deployResult.status: expected \"Canceling\""));
    }
    let deployment = state.call(move |state| cancelled(state, &id)).await?;
    Ok((StatusCode::ACCEPTED, Json(deployment::answer(&deployment, false, true))).into_response())
}

fn cancelled(state: &OrgState, id: &str) -> Result<Deployment, DeployError> {
    let deployment = load(state, id)?;
    if !state.db().write(|tx| deployment::cancel(tx, &deployment.id))? {
        let message = "Deployment already completed or in progress";
        return Err(refused(StatusCode::BAD_REQUEST, "INVALID_ID_FIELD", message));
    }
    load(state, id)
}

fn load(state: &OrgState, id: &str) -> Result<Deployment, DeployError> {
    let id = crate::ids::normalize(id).ok_or_else(not_found)?;
    state.db().read(|tx| deployment::find(tx, &id))?.ok_or_else(not_found)
}

/// The session of a user who may deploy. Packages and their failures are nobody else's to see.
async fn deployer(state: &OrgState, headers: &HeaderMap) -> Result<Session, DeployError> {
    let headers = headers.clone();
    state.call(move |state| check_deployer(state, &headers)).await
}

fn check_deployer(state: &OrgState, headers: &HeaderMap) -> Result<Session, DeployError> {
    let expired = || refused(StatusCode::UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid");
    let session = state.use_session(bearer(headers).ok_or_else(expired)?)?.ok_or_else(expired)?;
    if !(session.has_scope("api") || session.has_scope("full")) {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
        ));
    }
    let caller = Caller::user(session.user_id.clone(), session.id.clone());
    let permissions = state.db().read(|tx| rights::user_permissions(tx, &caller))?;
    if !permissions.has("ApiEnabled") {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "API_CURRENTLY_DISABLED",
            "API is not enabled for this Organization or Partner",
        ));
    }
    if !(permissions.has("ModifyMetadata") || permissions.has("ModifyAllData")) {
        let message = "You don't have access to the Metadata API: the user needs Modify Metadata Through Metadata API Functions or Modify All Data";
        return Err(refused(StatusCode::FORBIDDEN, "INSUFFICIENT_ACCESS", message));
    }
    Ok(session)
}

/// Zip and options come as parts of any name and in any order; the content type tells them apart.
async fn read_parts(mut multipart: Multipart) -> Result<(Bytes, DeployRequest), DeployError> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        invalid_input(format!("The multipart body is broken: {}", error.body_text()))
    };
    let (mut package, mut request) = (None, None);
    while let Some(field) = multipart.next_field().await.map_err(broken)? {
        let is_json = is_json(&field);
        let name = field.name().unwrap_or_default().to_owned();
        let content = field.bytes().await.map_err(broken)?;
        if is_json {
            request = Some(read_request(&name, &content)?);
        } else if content.starts_with(b"PK") || !content.is_empty() {
            package = Some(content);
        }
    }
    let package =
        package.ok_or_else(|| invalid_input("The request has no part with the package (application/zip)"))?;
    Ok((package, request.unwrap_or_default()))
}

fn is_json(field: &Field<'_>) -> bool {
    field.content_type().is_some_and(|kind| kind.starts_with("application/json"))
        || (field.content_type().is_none() && field.file_name().is_none())
}

fn read_request(part: &str, content: &[u8]) -> Result<DeployRequest, DeployError> {
    serde_json::from_slice(content).map_err(|error| {
        let message = format!("part {part:?}, line {}, column {}: {error}", error.line(), error.column());
        refused(StatusCode::BAD_REQUEST, "JSON_PARSER_ERROR", message)
    })
}
