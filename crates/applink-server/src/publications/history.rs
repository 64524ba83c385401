//! What was published under a name, when, by whom and with which result, and the documents themselves.

use applink_api::publication::{HistoryEntry, HistoryKind, HistoryStatus, PublishedDocument};
use applink_publish::spec::Format;
use axum::extract::State;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::flow::DeployState;
use super::{Deploy, DeployKind, Publication, store};
use crate::app::App;
use crate::credentials::{self, Kind};
use crate::error::ApiError;
use crate::web::auth::RequireReader;
use crate::web::{ApiPath, Json};

/// As many of the newest deploys are listed.
pub const LISTED: u64 = 100;

type OneDeploy = ApiPath<(String, String, String, String, i64)>;

/// What was published under a name, when, by whom and with which result.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history",
    tag = "publications",
    operation_id = "list_publication_history",
    responses((status = 200, description = "The newest first", body = Vec<HistoryEntry>)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn list(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_, connection, app_uuid, client)): ApiPath<(String, String, String, String)>,
) -> Result<Json<Vec<HistoryEntry>>, ApiError> {
    let publication = find(&app, &reader, (&connection, &app_uuid, &client)).await?;
    let deploys = store::history(app.store.reader(), publication.addon, publication.id, LISTED).await?;
    Ok(Json(deploys.iter().map(entry).collect()))
}

/// One deploy of a publication, with its document.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history/{number}",
    tag = "publications",
    operation_id = "show_published_document",
    responses((status = 200, description = "The deploy", body = PublishedDocument)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn show(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_, connection, app_uuid, client, number)): OneDeploy,
) -> Result<Json<PublishedDocument>, ApiError> {
    let deploy = find_deploy(&app, &reader, (&connection, &app_uuid, &client), number).await?;
    Ok(Json(PublishedDocument {
        entry: entry(&deploy),
        file_name: deploy.format.file_name().to_owned(),
        document: String::from_utf8_lossy(&deploy.document).into_owned(),
    }))
}

/// The document of one deploy, as it was uploaded.
#[utoipa::path(
    get,
    path = "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history/{number}/document",
    tag = "publications",
    operation_id = "download_published_document",
    responses((status = 200, description = "The document", body = String, content_type = "application/yaml")),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn document(
    State(app): State<App>,
    reader: RequireReader,
    ApiPath((_, connection, app_uuid, client, number)): OneDeploy,
) -> Result<([(http::HeaderName, String); 2], Vec<u8>), ApiError> {
    let deploy = find_deploy(&app, &reader, (&connection, &app_uuid, &client), number).await?;
    Ok(file(deploy))
}

/// The document of a deploy, to be kept as a file.
pub(crate) fn file(deploy: Deploy) -> ([(http::HeaderName, String); 2], Vec<u8>) {
    let kind = match deploy.format {
        Format::Yaml => "application/yaml",
        Format::Json => "application/json",
    };
    let disposition = format!("attachment; filename=\"{}\"", deploy.format.file_name());
    ([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, disposition)], deploy.document)
}

async fn find(
    app: &App,
    reader: &RequireReader,
    (connection, app_uuid, client): (&str, &str, &str),
) -> Result<Publication, ApiError> {
    let addon = reader.addon.id;
    let found = credentials::store::find(app.store.reader(), addon, Kind::Connection, connection).await?;
    let connection = found.ok_or_else(ApiError::not_found)?;
    let org = connection.org().ok_or_else(ApiError::not_found)?;
    let through = (connection.id, org.org_id.as_str());
    let found = store::find_by_client(app.store.reader(), addon, through, client).await?;
    found.filter(|publication| publication.app.to_string() == app_uuid).ok_or_else(ApiError::not_found)
}

async fn find_deploy(
    app: &App,
    reader: &RequireReader,
    publication: (&str, &str, &str),
    number: i64,
) -> Result<Deploy, ApiError> {
    let publication = find(app, reader, publication).await?;
    let found = store::numbered(app.store.reader(), publication.addon, publication.id, number).await?;
    found.ok_or_else(ApiError::not_found)
}

/// A deploy as listed.
pub(crate) fn entry(deploy: &Deploy) -> HistoryEntry {
    let (status, error, problems) = match &deploy.state {
        DeployState::Published { .. } => (HistoryStatus::Done, None, Vec::new()),
        DeployState::Failed(failure) => {
            (HistoryStatus::Failed, Some(failure.message.clone()), failure.problems.clone())
        }
        _ => (HistoryStatus::Running, None, Vec::new()),
    };
    HistoryEntry {
        number: deploy.number,
        kind: match deploy.kind {
            DeployKind::Publish => HistoryKind::Publish,
            DeployKind::Remove => HistoryKind::Remove,
        },
        status,
        hash: deploy.hash.clone(),
        requested_at: deploy.requested_at,
        requested_by: deploy.requested_by.clone(),
        finished_at: deploy.finished_at,
        error,
        problems,
    }
}
