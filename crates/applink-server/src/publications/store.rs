//! The tables `publications` and `publication_deploys`. Every query but the reconciler's takes the add-on first.

mod deploy_rows;
pub mod lists;
mod publication_rows;

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_api::publication::Component;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, Iterable as _, QueryOrder as _, QuerySelect as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::deploy_rows as deploys;
use self::publication_rows as publications;
use super::flow::DeployState;
use super::{Deploy, DeployKind, Live, Publication};
use crate::db::claim::{Claim, Due};
use crate::db::{Database, RowId, StoreError};

/// Deploys whose turn it is: due, and the oldest unfinished one of their connection.
pub const DUE: Due = Due {
    table: deploys::TABLE,
    condition: "due_at <= {now} AND NOT EXISTS (SELECT 1 FROM publication_deploys earlier \
        WHERE earlier.connection_id = publication_deploys.connection_id \
        AND earlier.number < publication_deploys.number AND earlier.due_at IS NOT NULL)",
    order_by: "requested_at",
};

/// The publication of a client name through a connection to an org. Letter case does not count, as in the org.
pub async fn find_by_client(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (through, org_id): (Uuid, &str),
    client: &str,
) -> Result<Option<Publication>, StoreError> {
    let row = publications::Entity::find()
        .filter(publications::Column::AddonId.eq(RowId::from(addon)))
        .filter(publications::Column::ConnectionId.eq(RowId(through)))
        .filter(publications::Column::OrgId.eq(org_id))
        .filter(publications::Column::ClientKey.eq(client.to_ascii_lowercase()))
        .one(connection)
        .await?;
    row.map(Publication::try_from).transpose()
}

/// The publication with this id.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: PublicationId,
) -> Result<Option<Publication>, StoreError> {
    let query = publications::Entity::find_by_id(RowId::from(id))
        .filter(publications::Column::AddonId.eq(RowId::from(addon)));
    query.one(connection).await?.map(Publication::try_from).transpose()
}

/// What is live of an app in an org, through one connection, by client name.
pub async fn list_of_app(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (through, org_id): (Uuid, &str),
    app: AppUuid,
) -> Result<Vec<Publication>, StoreError> {
    let rows = live(addon)
        .filter(publications::Column::ConnectionId.eq(RowId(through)))
        .filter(publications::Column::OrgId.eq(org_id))
        .filter(publications::Column::AppId.eq(RowId::from(app)))
        .order_by_asc(publications::Column::ClientKey)
        .all(connection)
        .await?;
    rows.into_iter().map(Publication::try_from).collect()
}

/// Everything that is live of an app, in all orgs.
pub async fn list_live_of_app(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    app: AppUuid,
) -> Result<Vec<Publication>, StoreError> {
    let rows = live(addon)
        .filter(publications::Column::AppId.eq(RowId::from(app)))
        .order_by_asc(publications::Column::OrgId)
        .order_by_asc(publications::Column::ClientKey)
        .all(connection)
        .await?;
    rows.into_iter().map(Publication::try_from).collect()
}

/// Every publication of an add-on, live or not.
pub async fn list(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Vec<Publication>, StoreError> {
    let rows = publications::Entity::find()
        .filter(publications::Column::AddonId.eq(RowId::from(addon)))
        .order_by_asc(publications::Column::OrgId)
        .order_by_asc(publications::Column::ClientKey)
        .all(connection)
        .await?;
    rows.into_iter().map(Publication::try_from).collect()
}

/// Publications whose time to be looked for has come.
const CHECK_DUE: Due = Due {
    table: publications::TABLE,
    condition: "published_hash IS NOT NULL AND removed_at IS NULL \
        AND (check_due_at IS NULL OR check_due_at <= {now})",
    order_by: "check_due_at",
};

/// Claims publications to be looked for in their orgs, each with its fence.
pub async fn claim_for_check(
    database: &Database,
    claim: Claim<'_>,
) -> Result<Vec<(Publication, i64)>, StoreError> {
    let rows: Vec<publications::Model> = database.claim_due(CHECK_DUE, claim).await?;
    rows.into_iter().map(|row| (row.fence, row)).map(|(fence, row)| Ok((row.try_into()?, fence))).collect()
}

/// Writes what a look found, when the lease is still this fence's and nothing was published meanwhile.
pub async fn save_check(
    connection: &impl ConnectionTrait,
    publication: &Publication,
    fence: i64,
    now: Timestamp,
    is_gone: bool,
) -> Result<bool, StoreError> {
    let next = now.plus(super::presence::EVERY);
    let removed_at = is_gone.then(|| now.as_micros());
    let written = publications::Entity::update_many()
        .col_expr(publications::Column::CheckDueAt, Expr::value(Some(next.as_micros())))
        .col_expr(publications::Column::RemovedAt, Expr::value(removed_at))
        .col_expr(publications::Column::LeaseUntil, Expr::value(Option::<i64>::None))
        .filter(publications::Column::Id.eq(RowId::from(publication.id)))
        .filter(publications::Column::Fence.eq(fence))
        .filter(publications::Column::LastModifiedAt.eq(publication.last_modified_at.as_micros()))
        .exec(connection)
        .await?;
    Ok(written.rows_affected == 1)
}

/// Whether an app is published into an org.
pub async fn is_published(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    app: AppUuid,
    org_id: &str,
) -> Result<bool, StoreError> {
    let query = live(addon)
        .filter(publications::Column::AppId.eq(RowId::from(app)))
        .filter(publications::Column::OrgId.eq(org_id));
    Ok(query.one(connection).await?.is_some())
}

fn live(addon: AddonId) -> Select<publications::Entity> {
    publications::Entity::find()
        .filter(publications::Column::AddonId.eq(RowId::from(addon)))
        .filter(publications::Column::PublishedHash.is_not_null())
}

/// Adds a publication.
pub async fn insert(connection: &impl ConnectionTrait, publication: &Publication) -> Result<(), StoreError> {
    let row = publications::Model::try_from(publication)?;
    publications::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Writes what a successful deploy left in the org.
pub async fn set_live(
    connection: &impl ConnectionTrait,
    deploy: &Deploy,
    live: &Live,
    now: Timestamp,
) -> Result<(), StoreError> {
    let components = to_json(&live.components)?;
    publications::Entity::update_many()
        .col_expr(publications::Column::RegistrationId, Expr::value(live.registration_id.clone()))
        .col_expr(publications::Column::PublishedHash, Expr::value(live.hash.clone()))
        .col_expr(publications::Column::Components, Expr::value(components))
        .col_expr(publications::Column::LastModifiedAt, Expr::value(now.as_micros()))
        .col_expr(publications::Column::RemovedAt, Expr::value(Option::<i64>::None))
        .col_expr(publications::Column::LastModifiedBy, Expr::value(deploy.requested_by.clone()))
        .filter(publications::Column::Id.eq(RowId::from(deploy.publication)))
        .filter(publications::Column::AddonId.eq(RowId::from(deploy.addon)))
        .exec(connection)
        .await?;
    Ok(())
}

/// The deploy with this id.
pub async fn find_deploy(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Option<Deploy>, StoreError> {
    let query =
        deploys::Entity::find_by_id(RowId(id)).filter(deploys::Column::AddonId.eq(RowId::from(addon)));
    query.one(connection).await?.map(Deploy::try_from).transpose()
}

/// The newest deploy of a publication that isn't final.
pub async fn unfinished(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
) -> Result<Option<Deploy>, StoreError> {
    let row = deploys::Entity::find()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .filter(deploys::Column::DueAt.is_not_null())
        .order_by_desc(deploys::Column::Number)
        .one(connection)
        .await?;
    row.map(Deploy::try_from).transpose()
}

/// Every deploy of a publication, the newest first.
pub async fn deploys_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
) -> Result<Vec<Deploy>, StoreError> {
    let rows = deploys::Entity::find()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .order_by_desc(deploys::Column::Number)
        .all(connection)
        .await?;
    rows.into_iter().map(Deploy::try_from).collect()
}

/// The newest deploys of a publication, the newest first, without their documents and packages: those are large.
pub async fn history(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
    limit: u64,
) -> Result<Vec<Deploy>, StoreError> {
    let rows = light()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .order_by_desc(deploys::Column::Number)
        .limit(limit)
        .all(connection)
        .await?;
    rows.into_iter().map(Deploy::try_from).collect()
}

/// Deploys without what is large in them.
fn light() -> Select<deploys::Entity> {
    let mut query = deploys::Entity::find().select_only();
    for column in deploys::Column::iter() {
        query = match column {
            deploys::Column::Document => query.column_as(Expr::value(Vec::<u8>::new()), "document"),
            deploys::Column::Package => query.column_as(Expr::value(Option::<Vec<u8>>::None), "package"),
            column => query.column(column),
        };
    }
    query
}

/// One deploy of a publication, by its number.
pub async fn numbered(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
    number: i64,
) -> Result<Option<Deploy>, StoreError> {
    let row = deploys::Entity::find()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .filter(deploys::Column::Number.eq(number))
        .one(connection)
        .await?;
    row.map(Deploy::try_from).transpose()
}

/// The deploy that made what is live.
pub async fn last_published(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
) -> Result<Option<Deploy>, StoreError> {
    let row = deploys::Entity::find()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .filter(deploys::Column::Kind.eq(deploys::kind_word(DeployKind::Publish)))
        .filter(deploys::Column::State.eq("published"))
        .order_by_desc(deploys::Column::Number)
        .one(connection)
        .await?;
    row.map(Deploy::try_from).transpose()
}

/// The newest deploy of a publication.
pub async fn newest(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publication: PublicationId,
) -> Result<Option<Deploy>, StoreError> {
    let row = deploys::Entity::find()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.eq(RowId::from(publication)))
        .order_by_desc(deploys::Column::Number)
        .one(connection)
        .await?;
    row.map(Deploy::try_from).transpose()
}

/// The other publications in an org, of whatever add-on: what they rely on stays when one of them goes. For the
/// reconciler only.
pub async fn others_in_org(
    connection: &impl ConnectionTrait,
    org_id: &str,
    except: PublicationId,
) -> Result<Vec<Publication>, StoreError> {
    let rows = publications::Entity::find()
        .filter(publications::Column::OrgId.eq(org_id))
        .filter(publications::Column::Id.ne(RowId::from(except)))
        .all(connection)
        .await?;
    rows.into_iter().map(Publication::try_from).collect()
}

/// Adds to what a published deploy is known to have left in the org.
pub async fn add_components(
    connection: &impl ConnectionTrait,
    deploy: &Deploy,
    more: Vec<Component>,
) -> Result<(), StoreError> {
    let DeployState::Published { components } = &deploy.state else { return Ok(()) };
    if more.is_empty() {
        return Ok(());
    }
    let components = components.iter().cloned().chain(more).collect();
    let outcome = to_json(&StoredOutcome { components, ..StoredOutcome::default() })?;
    deploys::Entity::update_many()
        .col_expr(deploys::Column::Outcome, Expr::value(outcome))
        .filter(deploys::Column::Id.eq(RowId(deploy.id)))
        .exec(connection)
        .await?;
    Ok(())
}

/// Removes a publication with all its deploys.
pub async fn delete(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: PublicationId,
) -> Result<(), StoreError> {
    publications::Entity::delete_many()
        .filter(publications::Column::Id.eq(RowId::from(id)))
        .filter(publications::Column::AddonId.eq(RowId::from(addon)))
        .exec(connection)
        .await?;
    Ok(())
}

/// The turn of the next deploy of a connection. Callers hold the add-on's lock.
pub async fn next_number(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    through: Uuid,
) -> Result<i64, StoreError> {
    let last: Option<Option<i64>> = deploys::Entity::find()
        .select_only()
        .column_as(deploys::Column::Number.max(), "last")
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::ConnectionId.eq(RowId(through)))
        .into_tuple()
        .one(connection)
        .await?;
    Ok(last.flatten().unwrap_or(0).saturating_add(1))
}

/// Adds a deploy.
pub async fn insert_deploy(connection: &impl ConnectionTrait, deploy: &Deploy) -> Result<(), StoreError> {
    let row = deploys::Model::try_from(deploy)?;
    deploys::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Claims one deploy whose turn it is.
pub async fn claim(database: &Database, claim: Claim<'_>) -> Result<Option<Deploy>, StoreError> {
    let rows: Vec<deploys::Model> = database.claim_due(DUE, Claim { limit: 1, ..claim }).await?;
    rows.into_iter().next().map(Deploy::try_from).transpose()
}

/// Whether the lease is kept after a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lease {
    /// There is more to do at once.
    Keep,
    /// Whoever comes next may have it.
    Release,
}

/// Writes what changed, when the lease is still this fence's. `false` when somebody else took over: then nothing is
/// written.
pub async fn save_deploy(
    connection: &impl ConnectionTrait,
    deploy: &Deploy,
    lease: Lease,
) -> Result<bool, StoreError> {
    let row = deploys::Model::try_from(deploy)?;
    let mut update = deploys::Entity::update_many()
        .col_expr(deploys::Column::State, Expr::value(row.state))
        .col_expr(deploys::Column::DueAt, Expr::value(row.due_at))
        .col_expr(deploys::Column::Attempts, Expr::value(row.attempts))
        .col_expr(deploys::Column::TryingSince, Expr::value(row.trying_since))
        .col_expr(deploys::Column::IntentAt, Expr::value(row.intent_at))
        .col_expr(deploys::Column::DeployId, Expr::value(row.deploy_id))
        .col_expr(deploys::Column::Outcome, Expr::value(row.outcome))
        .col_expr(deploys::Column::FinishedAt, Expr::value(row.finished_at));
    if deploy.package.is_none() {
        update = update.col_expr(deploys::Column::Package, Expr::value(Option::<Vec<u8>>::None));
    }
    if lease == Lease::Release {
        update = update.col_expr(deploys::Column::LeaseUntil, Expr::value(Option::<i64>::None));
    }
    let written = update
        .filter(deploys::Column::Id.eq(RowId(deploy.id)))
        .filter(deploys::Column::Fence.eq(deploy.fence))
        .exec(connection)
        .await?;
    Ok(written.rows_affected == 1)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Db(DbErr::Json(error.to_string())))
}

fn from_json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
    column: &'static str,
    row: RowId,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Inconsistent { table, column, row: row.to_string() })
}

/// What became of a deploy, as stored.
#[derive(Default, serde::Serialize, Deserialize)]
struct StoredOutcome {
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<StoredError>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    problems: Vec<applink_api::error::Problem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unassigned: Vec<super::org::Assignment>,
}

#[derive(serde::Serialize, Deserialize)]
struct StoredError {
    id: String,
    message: String,
}
