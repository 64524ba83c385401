//! Steps 2 to 5 of publishing: from an upload to a deploy that is due. Nothing is written, in the org or here,
//! before everything that can be known to be wrong has been said.

use std::time::Duration;

use applink_api::error::{Problem, error_id};
use applink_api::ids::{AddonId, PublicationId};
use applink_api::names::ClientName;
use applink_api::publication::PublishRequest;
use applink_api::time::Timestamp;
use applink_salesforce::OrgError;
use http::StatusCode;
use url::Url;
use uuid::Uuid;

use super::flow::DeployState;
use super::metadata::{self, OrgProfile, Package, Plan, Subject, Wishes, archive, authorization};
use super::org::{self, PublishingOrg, Registration};
use super::package::{self, PackageError, Upload};
use super::spec::{self, Code, Finding, Format, Spec, SpecError};
use super::{Deploy, DeployKind, Named, Publication, breaking, places, store};
use crate::addons::{self, AttachedApp};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, Credential, OrgUser};
use crate::db::Tx;
use crate::error::ApiError;

/// Who publishes what, and through which connection.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The tenant.
    pub addon: AddonId,
    /// Who asks.
    pub actor: Actor,
    /// The app.
    pub app: AttachedApp,
    /// The connection.
    pub connection: Credential,
    /// The part `app_request`.
    pub request: PublishRequest,
    /// The part `metadata`: a zip.
    pub archive: Vec<u8>,
}

/// Checks the upload against document, org and what is published already, and writes a deploy that is due. The same
/// package asked for twice at a time is one deploy.
///
/// # Errors
/// 422 with every problem and its place; 409 when the connection is not connected or the client name is another
/// app's; 502 and 503 when the org can't be asked.
pub async fn begin(app: &App, asked: Asked) -> Result<Deploy, ApiError> {
    let client = client_name(&asked.request)?;
    let app_url = app_url(&asked.app)?;
    let org_user = connected(&asked.connection)?.clone();
    let (upload, spec) = read_upload(asked.archive.clone()).await?;
    let through = (asked.connection.id, org_user.org_id.as_str());
    let known = store::find_by_client(app.store.reader(), asked.addon, through, client.as_str()).await?;
    ensure_same_app(known.as_ref(), &asked.app)?;
    let breaking = breaking::changes(app, known.as_ref(), &spec).await?;
    breaking::ensure_allowed(client.as_str(), &breaking, asked.request.allow_breaking)?;
    let subject = Subject {
        publication: known.as_ref().map_or_else(|| PublicationId(app.entropy.uuid()), |known| known.id),
        addon: asked.addon,
        app: asked.app.id,
        app_name: asked.app.name.clone(),
        app_url,
        client,
        contact_email: contact(&asked.actor, &org_user),
    };
    let package = build(app, &asked, &upload, &spec, &subject, known.as_ref()).await?;
    write(app, &asked, &org_user, &upload, &subject, (&package, breaking.len())).await
}

/// The package cut to this org: step 3 asks it, step 4 builds.
async fn build(
    app: &App,
    asked: &Asked,
    upload: &Upload,
    spec: &Spec,
    subject: &Subject,
    known: Option<&Publication>,
) -> Result<Package, ApiError> {
    let format = upload.spec.format;
    let refused = |findings: Vec<Finding>| spec_invalid(format, &findings);
    let wishes = Wishes::of(&asked.request, upload);
    let plan = authorization::plan(spec, &wishes, subject.client.as_str()).map_err(refused)?;
    let (registration, profile) = ask_org(app, &asked.connection, &subject.client, &plan).await?;
    if let Some(finding) = registration.and_then(|found| name_taken(subject, known, &found)) {
        return Err(spec_invalid(format, &[finding]));
    }
    metadata::build(spec, subject, &plan, &profile).map_err(refused)
}

/// Step 3. A session the org refuses is replaced once.
async fn ask_org(
    app: &App,
    connection: &Credential,
    client: &ClientName,
    plan: &Plan,
) -> Result<(Option<Registration>, OrgProfile), ApiError> {
    let ask = async |org: &PublishingOrg| Ok((org.registration(client).await?, org.profile(plan).await?));
    let org = org::connect(app, connection).await?;
    let asked = match ask(&org).await {
        Err(OrgError::SessionExpired { .. }) => {
            let org = org::reconnect(app, connection, org.token_version()).await?;
            ask(&org).await
        }
        asked => asked,
    };
    asked.map_err(org_failed)
}

/// Step 5: publication, deploy and audit entry in one transaction.
async fn write(
    app: &App,
    asked: &Asked,
    org_user: &OrgUser,
    upload: &Upload,
    subject: &Subject,
    (package, breaking): (&Package, usize),
) -> Result<Deploy, ApiError> {
    let zip = archive::zip(&package.files()).map_err(ApiError::internal)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, asked.addon).await?;
    ensure_still_connected(&tx, asked, org_user).await?;
    let publication = publication_row(&tx, asked, org_user, subject, now).await?;
    if let Some(same) = same_deploy(&tx, &publication, &package.hash).await? {
        return Ok(same);
    }
    let deploy = Deploy {
        id: app.entropy.uuid(),
        addon: asked.addon,
        kind: DeployKind::Publish,
        publication: publication.id,
        connection: asked.connection.id,
        number: store::next_number(&*tx, asked.addon, asked.connection.id).await?,
        state: DeployState::Pending,
        due_at: Some(AT_ONCE),
        trying_since: None,
        attempts: 0,
        hash: package.hash.clone(),
        package: Some(zip),
        format: upload.spec.format,
        document: upload.spec.bytes.clone(),
        origins: places::origins(package),
        uses: package.uses.clone(),
        named: Some(Named::of(&asked.request)),
        unassigned: Vec::new(),
        requested_at: now,
        requested_by: asked.actor.name.clone(),
        finished_at: None,
        fence: 0,
    };
    store::insert_deploy(&*tx, &deploy).await?;
    let mut detail =
        format!("{} through {}, package {}", subject.client, asked.connection.name, package.hash);
    if breaking > 0 {
        detail.push_str(&format!(", breaking changes: {breaking}"));
    }
    tx.audit(
        Entry::new(&asked.actor, "publication.requested", asked.addon, publication.id.0).with_detail(detail),
    );
    tx.commit().await?;
    Ok(deploy)
}

/// The package was cut to an org, which the connection must still lead to. Under the add-on's lock.
async fn ensure_still_connected(tx: &Tx, asked: &Asked, org_user: &OrgUser) -> Result<(), ApiError> {
    let current = credentials::store::find_by_id(&**tx, asked.addon, asked.connection.id).await?;
    let org_id = current.as_ref().and_then(Credential::live).map(|user| user.org_id.as_str());
    if org_id == Some(org_user.org_id.as_str()) {
        return Ok(());
    }
    Err(ApiError::conflict(format!(
        "The connection `{}` was disconnected or connected to another org at this moment; publish again.",
        asked.connection.name
    )))
}

/// The row of the publication, new when it is the first time. Under the add-on's lock.
async fn publication_row(
    tx: &Tx,
    asked: &Asked,
    org_user: &OrgUser,
    subject: &Subject,
    now: Timestamp,
) -> Result<Publication, ApiError> {
    let through = (asked.connection.id, org_user.org_id.as_str());
    let found = store::find_by_client(&**tx, asked.addon, through, subject.client.as_str()).await?;
    match found {
        Some(found) if found.id == subject.publication => Ok(found),
        // Somebody was faster, and the package carries another publication's marker.
        Some(_) => Err(ApiError::conflict(format!(
            "`{}` is being published by somebody else at this moment; try again.",
            subject.client
        ))),
        None => {
            let publication = Publication {
                id: subject.publication,
                addon: asked.addon,
                connection: asked.connection.id,
                app: asked.app.id,
                client: subject.client.to_string(),
                org_id: org_user.org_id.clone(),
                live: None,
                removed_at: None,
                created_at: now,
                created_by: asked.actor.name.clone(),
                last_modified_at: now,
                last_modified_by: asked.actor.name.clone(),
            };
            store::insert(&**tx, &publication).await?;
            Ok(publication)
        }
    }
}

async fn same_deploy(tx: &Tx, publication: &Publication, hash: &str) -> Result<Option<Deploy>, ApiError> {
    let unfinished = store::unfinished(&**tx, publication.addon, publication.id).await?;
    match unfinished {
        // Its row goes with the removal, and this deploy would with it.
        Some(deploy) if deploy.kind == DeployKind::Remove => Err(ApiError::conflict(format!(
            "`{}` is being removed from the org at this moment; try again when it is gone.",
            publication.client
        ))),
        other => Ok(other.filter(|deploy| deploy.hash == hash)),
    }
}

/// Waits until a deploy is final, at most `patience`; the deploy as it is then.
///
/// # Errors
/// 503 when the database is away.
pub async fn wait(app: &App, addon: AddonId, deploy: Uuid, patience: Duration) -> Result<Deploy, ApiError> {
    let until = tokio::time::Instant::now() + patience;
    loop {
        let found = store::find_deploy(app.store.reader(), addon, deploy).await?;
        let found = found.ok_or_else(ApiError::not_found)?;
        if found.state.is_final() || tokio::time::Instant::now() >= until {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Due whatever the database's clock says, which need not agree with ours to the millisecond.
pub(super) const AT_ONCE: Timestamp = Timestamp::from_micros(0);

/// How often [`wait`] looks at the row.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn client_name(request: &PublishRequest) -> Result<ClientName, ApiError> {
    let parsed = request.client_name.parse::<ClientName>();
    parsed.map_err(|error| ApiError::invalid_field("$.client_name", error.to_string()))
}

fn app_url(app: &AttachedApp) -> Result<Url, ApiError> {
    let parsed = app.url.as_deref().and_then(|url| Url::parse(url).ok());
    parsed.ok_or_else(|| {
        let message = format!(
            "The app `{name}` has no public URL, so the org would not know where to call it: set one with \
             `applink admin:apps:set-url {name} https://…` and publish again.",
            name = app.name
        );
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error_id::APP_URL_MISSING, message)
    })
}

pub(super) fn connected(connection: &Credential) -> Result<&OrgUser, ApiError> {
    connection.live().ok_or_else(|| match connection.error() {
        Some(error) => ApiError::conflict(error.message.clone()),
        None => ApiError::conflict(format!(
            "The connection `{name}` is not connected: run `salesforce:connect {name}` and try again.",
            name = connection.name
        )),
    })
}

fn ensure_same_app(known: Option<&Publication>, app: &AttachedApp) -> Result<(), ApiError> {
    match known {
        Some(known) if known.app != app.id => Err(ApiError::conflict(format!(
            "`{}` is published by another app through this connection: choose another client name.",
            known.client
        ))),
        _ => Ok(()),
    }
}

/// The address a new client app names: the person who publishes, else the connection's user.
fn contact(actor: &Actor, org_user: &OrgUser) -> String {
    if actor.name.contains('@') { actor.name.clone() } else { org_user.username.clone() }
}

/// Unpacks and reads off the async threads: a large document takes a while.
async fn read_upload(archive: Vec<u8>) -> Result<(Upload, Spec), ApiError> {
    let read = tokio::task::spawn_blocking(move || {
        let upload = package::read(&archive).map_err(ReadError::Package)?;
        let spec = spec::read(upload.spec.format, &upload.spec.bytes);
        let spec = spec.map_err(|error| ReadError::Spec(upload.spec.format, error))?;
        Ok((upload, spec))
    });
    read.await.map_err(ApiError::internal)?.map_err(|error| match error {
        ReadError::Package(error) => package_refused(error),
        ReadError::Spec(format, error) => spec_invalid(format, &error.findings),
    })
}

enum ReadError {
    Package(PackageError),
    Spec(Format, SpecError),
}

fn package_refused(error: PackageError) -> ApiError {
    ApiError::invalid_field("metadata", crate::error::chain(&error))
}

/// 422: the first error with its place in the message, all of them as problems.
fn spec_invalid(format: Format, findings: &[Finding]) -> ApiError {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
    let problems: Vec<Problem> = errors.iter().map(|finding| finding.to_problem()).collect();
    let message = match errors.as_slice() {
        [] => "The document can't be published.".to_owned(),
        [only] => located(format, only),
        [first, rest @ ..] => format!("{} (and {} more)", located(format, first), rest.len()),
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error_id::SPEC_INVALID, message).with_problems(problems)
}

/// `api-spec.yaml:12:5: …` for what stands in the document, the finding itself for what does not.
fn located(format: Format, finding: &Finding) -> String {
    match finding.at {
        Some(at) if finding.path.starts_with('$') => {
            format!("{}:{at}: {} ({})", format.file_name(), finding.message, finding.path)
        }
        _ => finding.to_string(),
    }
}

/// A registration of this name that no publish of ours made is left alone.
fn name_taken(subject: &Subject, known: Option<&Publication>, found: &Registration) -> Option<Finding> {
    let own_marker = metadata::marker(subject.publication, "");
    let same_id = known
        .and_then(|known| known.live.as_ref())
        .is_some_and(|live| !live.registration_id.is_empty() && live.registration_id == found.id);
    if same_id || found.description.contains(&own_marker) {
        return None;
    }
    let client = &subject.client;
    let message = format!(
        "the org already has an external service `{client}` that this publication did not make; choose another \
         --client-name, or delete that one in Setup → External Services"
    );
    Some(Finding::without_place(Code::ClientNameTaken, client.as_str(), message))
}

/// What a failed call to the org means for the person who publishes.
fn org_failed(error: OrgError) -> ApiError {
    use applink_salesforce::error::ErrorKind;
    match error.kind() {
        ErrorKind::Auth | ErrorKind::Rejected => {
            let message = format!("Nothing was published: {error}");
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error_id::DEPLOY_FAILED, message).caused_by(error)
        }
        _ => {
            let message =
                "The org can't be asked at the moment, so nothing was published; try again in a while.";
            ApiError::org_unreachable(message).caused_by(error)
        }
    }
}
