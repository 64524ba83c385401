//! What there is of an add-on's connections, cut and counted in SQL for pages that show some of ten thousand.

use std::collections::HashMap;

use applink_api::ids::AddonId;
use applink_api::org::OrgType;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Func;
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _, QuerySelect as _};

use super::store::{Column, Entity, LIVE, contains, of};
use super::{Credential, Kind};
use crate::db::{RowId, StoreError};

/// States in which a connection does not work.
const BAD: [&str; 3] = ["dead", "failed", "disconnected"];

/// Those with these ids, of either kind. Callers have a page of them.
pub async fn by_ids(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Credential>, StoreError> {
    let ids: Vec<RowId> = ids.into_iter().map(RowId).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let query = Entity::find().filter(Column::AddonId.eq(RowId::from(addon))).filter(Column::Id.is_in(ids));
    let found = query.all(connection).await?.into_iter().map(Credential::try_from);
    found.map(|one| one.map(|one| (one.id, one))).collect()
}

/// The first `limit` connections that work, by name; of one kind of org, when it is given.
pub async fn live(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    org_type: Option<OrgType>,
    limit: u64,
) -> Result<Vec<Credential>, StoreError> {
    let mut query = of(addon, Kind::Connection).filter(Column::State.eq(LIVE));
    if let Some(org_type) = org_type {
        query = query.filter(Column::OrgType.eq(org_type.as_str()));
    }
    let rows = query.order_by_asc(Column::NameKey).limit(limit).all(connection).await?;
    rows.into_iter().map(Credential::try_from).collect()
}

/// The first `limit` connections: what does not work before what does, then by name.
pub async fn troubled_first(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    limit: u64,
) -> Result<Vec<Credential>, StoreError> {
    let named = |is_bad: bool| {
        let state = Column::State.is_in(BAD);
        let state = if is_bad { state } else { state.not() };
        of(addon, Kind::Connection).filter(state).order_by_asc(Column::NameKey)
    };
    let mut rows = named(true).limit(limit).all(connection).await?;
    // By name there is an index, which ends with the last that is wanted.
    rows.extend(named(false).limit(limit - rows.len() as u64).all(connection).await?);
    rows.into_iter().map(Credential::try_from).collect()
}

/// How many connections there are, and how many of them do not work.
pub async fn counts(connection: &impl ConnectionTrait, addon: AddonId) -> Result<(u64, u64), StoreError> {
    let all = of(addon, Kind::Connection).count(connection).await?;
    let bad = of(addon, Kind::Connection).filter(Column::State.is_in(BAD)).count(connection).await?;
    Ok((all, bad))
}

/// Every org, by id, each with the name of one of its connections or authorizations; none when there are more than
/// `most` orgs, which nobody wants to look through.
pub async fn few_orgs(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    most: u64,
) -> Result<Option<Vec<(String, String)>>, StoreError> {
    let query = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .select_only()
        .column(Column::OrgId)
        .column_as(Column::Name.min(), "name")
        .filter(Column::OrgId.is_not_null())
        .group_by(Column::OrgId)
        .order_by_asc(Column::OrgId)
        .limit(most + 1);
    let orgs: Vec<(String, String)> = query.into_tuple().all(connection).await?;
    Ok((orgs.len() as u64 <= most).then_some(orgs))
}

/// The ids of connections whose name has `search` in it, as a condition on a column of another table.
pub(crate) fn named_like(column: impl ColumnTrait, addon: AddonId, search: &str) -> Condition {
    use sea_orm::QueryTrait as _;
    let named = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Expr::expr(Func::lower(Expr::col(Column::Name))).like(contains(&search.to_lowercase())))
        .into_query();
    Condition::all().add(column.in_subquery(named))
}
