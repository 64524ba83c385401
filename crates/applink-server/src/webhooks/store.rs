//! The tables `webhook_…`. Every query but the reconciler's takes the add-on first.

mod delivery_rows;
mod endpoint_rows;
pub mod subject_rows;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

pub use self::delivery_rows::{Delivery, attempts, deliveries, events};
use self::endpoint_rows as endpoints;
use self::subject_rows as subjects;
use super::Endpoint;
use crate::db::claim::{Claim, Due};
use crate::db::{Database, RowId, StoreError};

/// Part of every sealed value's associated data.
pub const ENDPOINTS: &str = "webhook_endpoints";
/// `webhook_events`
pub const EVENTS: &str = "webhook_events";

/// Deliveries that are due, of endpoints to which nothing is under way: a slow one holds up itself only.
const DUE: Due = Due {
    table: "webhook_deliveries",
    condition: "due_at <= {now} AND NOT EXISTS (SELECT 1 FROM webhook_deliveries busy \
        WHERE busy.endpoint_id = webhook_deliveries.endpoint_id AND busy.id <> webhook_deliveries.id \
        AND busy.lease_until > {now})",
    order_by: "due_at, created_at",
};

/// States of a delivery, as stored.
pub mod state {
    /// An attempt is due.
    pub const PENDING: &str = "pending";
    /// It arrived.
    pub const DELIVERED: &str = "delivered";
    /// Given up.
    pub const FAILED: &str = "failed";
}

/// The next version of a thing, from 1, and whether it fails though it is there.
pub async fn next_version(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    subject: Uuid,
    failing: bool,
) -> Result<i64, StoreError> {
    let row = subjects::Model { id: RowId(subject), addon_id: addon.into(), version: 1, failing };
    let grown = Expr::col((subjects::Entity, subjects::Column::Version)).add(1);
    let again = OnConflict::column(subjects::Column::Id)
        .update_column(subjects::Column::Failing)
        .value(subjects::Column::Version, grown)
        .to_owned();
    let insert = subjects::Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(insert.exec_with_returning(connection).await?.version)
}

/// Whether the last thing told was that it fails though it is there.
pub async fn is_failing(connection: &impl ConnectionTrait, subject: Uuid) -> Result<bool, StoreError> {
    let row = subjects::Entity::find_by_id(RowId(subject)).one(connection).await?;
    Ok(row.is_some_and(|row| row.failing))
}

/// Forgets the version of a thing that is gone.
pub async fn forget_subject(connection: &impl ConnectionTrait, subject: Uuid) -> Result<(), StoreError> {
    subjects::Entity::delete_by_id(RowId(subject)).exec(connection).await?;
    Ok(())
}

/// Endpoints of an add-on, oldest first.
pub async fn list(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Vec<Endpoint>, StoreError> {
    let rows = of(addon)
        .order_by_asc(endpoints::Column::CreatedAt)
        .order_by_asc(endpoints::Column::Id)
        .all(connection)
        .await?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// Those that are sent anything.
pub async fn enabled(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Vec<Endpoint>, StoreError> {
    let rows = of(addon).filter(endpoints::Column::Enabled.eq(true)).all(connection).await?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// How many there are.
pub async fn count(connection: &impl ConnectionTrait, addon: AddonId) -> Result<u64, StoreError> {
    Ok(of(addon).count(connection).await?)
}

/// One.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Option<Endpoint>, StoreError> {
    let row = of(addon).filter(endpoints::Column::Id.eq(RowId(id))).one(connection).await?;
    row.map(Endpoint::try_from).transpose()
}

fn of(addon: AddonId) -> Select<endpoints::Entity> {
    endpoints::Entity::find().filter(endpoints::Column::AddonId.eq(RowId::from(addon)))
}

/// Adds one.
pub async fn insert(connection: &impl ConnectionTrait, endpoint: &Endpoint) -> Result<(), StoreError> {
    let row = endpoints::Model::try_from(endpoint)?;
    endpoints::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Writes everything that may change.
pub async fn save(connection: &impl ConnectionTrait, endpoint: &Endpoint) -> Result<(), StoreError> {
    let row = endpoints::Model::try_from(endpoint)?;
    let id = row.id;
    let mut changed = row.into_active_model().reset_all();
    changed.id = sea_orm::Unchanged(id);
    changed.update(connection).await?;
    Ok(())
}

/// Removes one; its deliveries go with it.
pub async fn delete(connection: &impl ConnectionTrait, addon: AddonId, id: Uuid) -> Result<(), StoreError> {
    let delete = endpoints::Entity::delete_many()
        .filter(endpoints::Column::Id.eq(RowId(id)))
        .filter(endpoints::Column::AddonId.eq(RowId::from(addon)));
    delete.exec(connection).await?;
    Ok(())
}

/// An event to be.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id.
    pub id: RowId,
    /// The tenant.
    pub addon: AddonId,
    /// Its type.
    pub kind: &'static str,
    /// What is sent, byte by byte.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Adds an event.
pub async fn insert_event(connection: &impl ConnectionTrait, event: NewEvent) -> Result<(), StoreError> {
    let row = events::Model {
        id: event.id,
        addon_id: event.addon.into(),
        kind: event.kind.to_owned(),
        body: event.body,
        created_at: event.at.as_micros(),
    };
    events::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Adds a delivery that is due at once.
pub async fn insert_delivery(
    connection: &impl ConnectionTrait,
    id: RowId,
    endpoint: &Endpoint,
    (event, kind): (RowId, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = deliveries::Model {
        id,
        addon_id: endpoint.addon.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        endpoint_id: RowId(endpoint.id),
        event_id: event,
        kind: kind.to_owned(),
        state: state::PENDING.to_owned(),
        attempts: 0,
        // Due whatever the database's clock says, which need not agree with ours to the millisecond.
        due_at: Some(0),
        created_at: now.as_micros(),
    };
    deliveries::Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The event of a delivery.
pub async fn find_event(
    connection: &impl ConnectionTrait,
    id: RowId,
) -> Result<Option<events::Model>, StoreError> {
    Ok(events::Entity::find_by_id(id).one(connection).await?)
}

/// Claims one delivery that is due.
pub async fn claim(database: &Database, claim: Claim<'_>) -> Result<Option<deliveries::Model>, StoreError> {
    Ok(database.claim_due::<deliveries::Model>(DUE, claim).await?.pop())
}

/// Writes what became of an attempt, when the lease is still ours. `false` when it is not.
pub async fn save_delivery(
    connection: &impl ConnectionTrait,
    delivery: &deliveries::Model,
    state: &str,
    due_at: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let columns = deliveries::ActiveModel {
        lease_until: sea_orm::Set(None),
        state: sea_orm::Set(state.to_owned()),
        attempts: sea_orm::Set(delivery.attempts.saturating_add(1)),
        due_at: sea_orm::Set(due_at.map(Timestamp::as_micros)),
        ..Default::default()
    };
    let update = deliveries::Entity::update_many()
        .set(columns)
        .filter(deliveries::Column::Id.eq(delivery.id))
        .filter(deliveries::Column::Fence.eq(delivery.fence))
        .filter(deliveries::Column::State.eq(state::PENDING));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Adds an attempt.
pub async fn insert_attempt(
    connection: &impl ConnectionTrait,
    attempt: attempts::Model,
) -> Result<(), StoreError> {
    attempts::Entity::insert(attempt.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Gives up whatever an endpoint was still to be sent.
pub async fn give_up(connection: &impl ConnectionTrait, endpoint: Uuid) -> Result<(), StoreError> {
    let columns = deliveries::ActiveModel {
        state: sea_orm::Set(state::FAILED.to_owned()),
        due_at: sea_orm::Set(None),
        ..Default::default()
    };
    let update = deliveries::Entity::update_many()
        .set(columns)
        .filter(deliveries::Column::EndpointId.eq(RowId(endpoint)))
        .filter(deliveries::Column::State.eq(state::PENDING));
    update.exec(connection).await?;
    Ok(())
}

/// The newest deliveries of an endpoint with their attempts, newest first.
pub async fn newest(
    connection: &impl ConnectionTrait,
    endpoint: &Endpoint,
    limit: u64,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = deliveries::Entity::find()
        .filter(deliveries::Column::AddonId.eq(RowId::from(endpoint.addon)))
        .filter(deliveries::Column::EndpointId.eq(RowId(endpoint.id)))
        .order_by_desc(deliveries::Column::CreatedAt)
        .order_by_desc(deliveries::Column::Id)
        .limit(limit)
        .all(connection)
        .await?;
    with_attempts(connection, rows).await
}

/// One delivery of an endpoint.
pub async fn find_delivery(
    connection: &impl ConnectionTrait,
    endpoint: &Endpoint,
    id: Uuid,
) -> Result<Option<Delivery>, StoreError> {
    let row = deliveries::Entity::find_by_id(RowId(id))
        .filter(deliveries::Column::EndpointId.eq(RowId(endpoint.id)))
        .one(connection)
        .await?;
    Ok(with_attempts(connection, row.into_iter().collect()).await?.pop())
}

async fn with_attempts(
    connection: &impl ConnectionTrait,
    rows: Vec<deliveries::Model>,
) -> Result<Vec<Delivery>, StoreError> {
    let ids: Vec<RowId> = rows.iter().map(|row| row.id).collect();
    let mut found = attempts::Entity::find()
        .filter(attempts::Column::DeliveryId.is_in(ids))
        .order_by_asc(attempts::Column::Number)
        .all(connection)
        .await?;
    let mut told = Vec::with_capacity(rows.len());
    for row in rows {
        let (own, others) = found.into_iter().partition(|attempt| attempt.delivery_id == row.id);
        found = others;
        told.push(Delivery { row, attempts: own });
    }
    Ok(told)
}

/// Forgets events, with their deliveries, that happened before `before` and are not under way.
pub async fn forget_before(connection: &impl ConnectionTrait, before: Timestamp) -> Result<u64, StoreError> {
    let delete = events::Entity::delete_many().filter(events::Column::CreatedAt.lt(before.as_micros()));
    Ok(delete.exec(connection).await?.rows_affected)
}
