//! `/addons/{addon}/connections/salesforce/{connection}/apps`: publish, what is published, and its removal.

use std::time::Duration;

use applink_api::error::{ErrorBody, error_id};
use applink_api::publication::{
    PART_APP_REQUEST, PART_METADATA, Publication as Wire, PublishRequest, Removal,
};
use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use http::StatusCode;

use super::flow::{DeployState, Failure};
use super::package::MAX_ARCHIVE_BYTES;
use super::publish::{self, Asked};
use super::{Publication, remove, store};
use crate::app::App;
use crate::credentials::{self, Credential, Kind};
use crate::error::ApiError;
use crate::web::auth::{RequireManager, RequireReader};
use crate::web::{ApiPath, JSON_LIMIT, Json, parse_json};

/// Bytes of a whole publish request: the archive, the JSON part and the multipart framing.
pub const BODY_LIMIT: usize = MAX_ARCHIVE_BYTES + JSON_LIMIT + 64 * 1024;

/// The parts of a publish, for the API's description; they are read one by one.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct PublishForm {
    /// A zip with `api-spec.yaml` or `api-spec.json`, and optionally `connectedapp-meta.xml` and
    /// `permissionset-meta.xml`.
    #[schema(value_type = String, format = Binary)]
    metadata: Vec<u8>,
    /// What to call it.
    app_request: PublishRequest,
}

/// How long a request waits for the org. Routers in front of us end requests after 30 s.
const PATIENCE: Duration = Duration::from_secs(25);

/// Publishes the app's OpenAPI document into the org under a client name.
///
/// `x-app-uuid` names the app. A zip of at most 10 files, 20 MB together uncompressed; YAML up to 3 MB, JSON up to 10 MB.
#[utoipa::path(
    post,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps",
    tag = "publications",
    request_body(content = PublishForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Everything is in the org", body = Vec<Wire>), (status = 202, description = "The org takes longer than 25 seconds; asking for the same again joins in", body = Vec<Wire>), (status = 409, description = "Not connected, or the client name is another app's", body = ErrorBody), (status = 413, description = "Over the documented sizes", body = ErrorBody), (status = 422, description = "The document can't be published, or the org refuses: `problems` says where", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn publish(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_, connection)): ApiPath<(String, String)>,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Json<Vec<Wire>>), ApiError> {
    let parts = Parts::read(multipart.map_err(not_multipart)?).await?;
    let connection = find_connection(&app, &manager.addon, &connection).await?;
    let asked = Asked {
        addon: manager.addon.id,
        app: manager.app.ok_or_else(which_app)?,
        actor: manager.actor,
        connection,
        request: parts.request,
        archive: parts.archive,
    };
    let connection_name = asked.connection.name.clone();
    let deploy = publish::begin(&app, asked).await?;
    app.nudges.publications.notify_one();
    let deploy = publish::wait(&app, deploy.addon, deploy.id, PATIENCE).await?;
    let publication = store::find(app.store.reader(), deploy.addon, deploy.publication).await?;
    let publication = publication.ok_or_else(ApiError::not_found)?;
    let answer = Json(vec![wire(publication, &connection_name, None)]);
    match deploy.state {
        DeployState::Published { .. } => Ok((StatusCode::CREATED, answer)),
        DeployState::Failed(failure) => Err(failed(failure)),
        _ => Ok((StatusCode::ACCEPTED, answer)),
    }
}

/// What is published of an app through a connection.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps/{app}",
    tag = "publications",
    operation_id = "list_publications",
    responses((status = 200, description = "By client name", body = Vec<Wire>)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn list(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_, connection, app_uuid)): ApiPath<(String, String, String)>,
) -> Result<Json<Vec<Wire>>, ApiError> {
    let connection = find_connection(&app, &reader.addon, &connection).await?;
    let app_uuid = app_uuid.parse().map_err(|_| ApiError::not_found())?;
    let Some(org) = connection.org() else { return Ok(Json(Vec::new())) };
    let through = (connection.id, org.org_id.as_str());
    let found = store::list_of_app(app.store.reader(), reader.addon.id, through, app_uuid).await?;
    let mut listed = Vec::new();
    for publication in found {
        let newest = store::newest(app.store.reader(), publication.addon, publication.id).await?;
        let removal = newest.as_ref().and_then(remove::to_wire);
        listed.push(wire(publication, &connection.name, removal));
    }
    Ok(Json(listed))
}

/// Removes a publication from its org.
#[utoipa::path(
    delete,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}",
    tag = "publications",
    operation_id = "remove_publication",
    responses((status = 202, description = "The org is asked to delete what publishing made; the record is gone when it has", body = Wire), (status = 409, description = "Not connected", body = ErrorBody)),
    security(("addon_token" = [], "addon_sso" = []), ("api_key" = []))
)]
pub async fn remove(
    State(app): State<App>,
    manager: RequireManager,
    ApiPath((_, connection, app_uuid, client)): ApiPath<(String, String, String, String)>,
) -> Result<(StatusCode, Json<Wire>), ApiError> {
    let connection = find_connection(&app, &manager.addon, &connection).await?;
    let app_uuid = app_uuid.parse().map_err(|_| ApiError::not_found())?;
    let (publication, deploy) = remove::begin(&app, &manager, &connection, app_uuid, &client).await?;
    app.nudges.publications.notify_one();
    let removal = remove::to_wire(&deploy);
    Ok((StatusCode::ACCEPTED, Json(wire(publication, &connection.name, removal))))
}

async fn find_connection(
    app: &App,
    addon: &crate::addons::Addon,
    named: &str,
) -> Result<Credential, ApiError> {
    let found = credentials::store::find(app.store.reader(), addon.id, Kind::Connection, named).await?;
    found.ok_or_else(ApiError::not_found)
}

fn which_app() -> ApiError {
    let message = "The add-on is attached to several apps: send the header x-app-uuid with the id of the one to publish.";
    ApiError::validation(message)
}

pub(super) fn wire(publication: Publication, connection_name: &str, removal: Option<Removal>) -> Wire {
    let (registration_id, components) = match publication.live {
        Some(live) => (live.registration_id, live.components),
        None => (String::new(), Vec::new()),
    };
    Wire {
        app_uuid: publication.app,
        connection_name: connection_name.to_owned(),
        org_id: publication.org_id,
        esr_name: publication.client,
        esr_id: registration_id,
        heroku_applink_id: publication.addon,
        created_at: publication.created_at,
        created_by: publication.created_by,
        last_modified_at: publication.last_modified_at,
        last_modified_by: publication.last_modified_by,
        components,
        removed_at: publication.removed_at,
        removal,
    }
}

fn failed(failure: Failure) -> ApiError {
    let (status, id) = match failure.id.as_str() {
        error_id::CONFLICT => (StatusCode::CONFLICT, error_id::CONFLICT),
        error_id::REAUTH_REQUIRED => (StatusCode::UNPROCESSABLE_ENTITY, error_id::REAUTH_REQUIRED),
        error_id::SERVER_ERROR => (StatusCode::INTERNAL_SERVER_ERROR, error_id::SERVER_ERROR),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, error_id::DEPLOY_FAILED),
    };
    ApiError::new(status, id, failure.message).with_problems(failure.problems)
}

/// The two parts of a publish, in any order, with or without a file name.
struct Parts {
    archive: Vec<u8>,
    request: PublishRequest,
}

impl Parts {
    async fn read(mut multipart: Multipart) -> Result<Self, ApiError> {
        let (mut archive, mut request) = (None, None);
        while let Some(field) = multipart.next_field().await.map_err(broken)? {
            let (slot, limit) = match field.name() {
                Some(PART_METADATA) => (&mut archive, MAX_ARCHIVE_BYTES),
                Some(PART_APP_REQUEST) => (&mut request, JSON_LIMIT),
                _ => return Err(unknown_part(field.name())),
            };
            let name = field.name().unwrap_or_default().to_owned();
            if slot.is_some() {
                return Err(ApiError::validation("The body has the same part twice.").at(&name));
            }
            *slot = Some(read_part(field, &name, limit).await?);
        }
        let archive =
            archive.ok_or_else(|| missing_part(PART_METADATA, "a zip with the OpenAPI document"))?;
        let request = request.ok_or_else(|| missing_part(PART_APP_REQUEST, "JSON with `client_name`"))?;
        Ok(Self { archive, request: parse_json(&request)? })
    }
}

/// Reads a part up to its limit; what a part says of its own length is not asked.
async fn read_part(mut field: Field<'_>, name: &str, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit).at(name));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("A part of the body is larger than {limit} bytes.");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error_id::PAYLOAD_TOO_LARGE, message)
}

fn not_multipart(rejection: MultipartRejection) -> ApiError {
    let message =
        "Send the body as multipart/form-data with the parts `metadata` (a zip) and `app_request` (JSON).";
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    ApiError::new(status, error_id::UNSUPPORTED_MEDIA_TYPE, message).at("content-type").caused_by(rejection)
}

fn broken(error: MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(BODY_LIMIT).at("body");
    }
    ApiError::bad_request("The multipart body could not be read to its end.").at("body").caused_by(error)
}

fn missing_part(name: &'static str, what: &str) -> ApiError {
    ApiError::invalid_field(name, format!("The part `{name}` ({what}) is missing."))
}

fn unknown_part(name: Option<&str>) -> ApiError {
    let shown: String =
        name.unwrap_or_default().chars().take(40).collect::<String>().escape_debug().to_string();
    ApiError::validation(format!(
        "The body has a part `{shown}`; publishing reads `{PART_METADATA}` and `{PART_APP_REQUEST}`."
    ))
    .at(&shown)
}
