//! Publications page by page, for people to look at.

use std::collections::HashMap;

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Func;
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _, QuerySelect as _};

use super::deploy_rows as deploys;
use super::publication_rows::{Column, Entity};
use super::{Deploy, Publication, light};
use crate::credentials::overview::named_like;
use crate::credentials::store::contains;
use crate::db::{RowId, StoreError};

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one app.
    pub app: Option<AppUuid>,
    /// A part of the client name, the org's id or the connection's name.
    pub search: String,
}

/// Some, by org and client name, from `offset` on.
pub async fn page(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    filter: &Filter,
    (offset, limit): (u64, u64),
) -> Result<Vec<Publication>, StoreError> {
    let query = of(addon, filter)
        .order_by_asc(Column::OrgId)
        .order_by_asc(Column::ClientKey)
        .order_by_asc(Column::Id)
        .offset(offset)
        .limit(limit);
    query.all(connection).await?.into_iter().map(Publication::try_from).collect()
}

/// How many there are.
pub async fn count(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    filter: &Filter,
) -> Result<u64, StoreError> {
    Ok(of(addon, filter).count(connection).await?)
}

fn of(addon: AddonId, filter: &Filter) -> Select<Entity> {
    let mut query = Entity::find().filter(Column::AddonId.eq(RowId::from(addon)));
    if let Some(app) = filter.app {
        query = query.filter(Column::AppId.eq(RowId::from(app)));
    }
    if filter.search.is_empty() {
        return query;
    }
    let lower = filter.search.to_lowercase();
    let folded = |column: Column| Expr::expr(Func::lower(Expr::col(column))).like(contains(&lower));
    let matching = Condition::any()
        .add(folded(Column::ClientKey))
        .add(folded(Column::OrgId))
        .add(named_like(Column::ConnectionId, addon, &lower));
    query.filter(matching)
}

/// The apps that are published.
pub async fn apps(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Vec<AppUuid>, StoreError> {
    let query = Entity::find()
        .select_only()
        .column(Column::AppId)
        .distinct()
        .filter(Column::AddonId.eq(RowId::from(addon)));
    let ids: Vec<RowId> = query.into_tuple().all(connection).await?;
    Ok(ids.into_iter().map(AppUuid::from).collect())
}

/// Those with these ids. Callers have a page of them.
pub async fn by_ids(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Publication>, StoreError> {
    let ids: Vec<RowId> = ids.into_iter().map(RowId).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = Entity::find().filter(Column::AddonId.eq(RowId::from(addon))).filter(Column::Id.is_in(ids));
    query.all(connection).await?.into_iter().map(Publication::try_from).collect()
}

/// Every publication through a connection.
pub async fn through(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Vec<Publication>, StoreError> {
    let query = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::ConnectionId.eq(RowId(id)))
        .order_by_asc(Column::OrgId)
        .order_by_asc(Column::ClientKey);
    query.all(connection).await?.into_iter().map(Publication::try_from).collect()
}

/// The newest deploy of each of these publications, without documents and packages.
pub async fn newest_of(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    publications: &[PublicationId],
) -> Result<HashMap<PublicationId, Deploy>, StoreError> {
    if publications.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = publications.iter().map(|id| RowId::from(*id));
    let is_newest = "NOT EXISTS (SELECT 1 FROM publication_deploys newer \
        WHERE newer.publication_id = publication_deploys.publication_id \
        AND newer.number > publication_deploys.number)";
    let rows = light()
        .filter(deploys::Column::AddonId.eq(RowId::from(addon)))
        .filter(deploys::Column::PublicationId.is_in(ids))
        .filter(Expr::cust(is_newest))
        .all(connection)
        .await?;
    let deploys = rows.into_iter().map(Deploy::try_from);
    deploys.map(|one| one.map(|one| (one.publication, one))).collect()
}
