//! The table `data_action_targets`. Every query but the reconciler's takes the add-on first.

use applink_api::error::ResourceError;
use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{Condition, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use super::flow::{State, Target};
use crate::db::claim::Due;
use crate::db::{RowId, StoreError};

/// The table's name.
pub const TABLE: &str = "data_action_targets";

/// Targets the reconciler is to move on.
pub const DUE: Due = Due { table: TABLE, condition: "due_at <= {now}", order_by: "due_at" };

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_action_targets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub addon_id: RowId,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
    pub fence: i64,
    pub connection_id: RowId,
    pub app_id: RowId,
    pub app_name: String,
    pub app_url: Option<String>,
    pub org_id: String,
    pub api_name: String,
    pub name_key: String,
    pub label: String,
    pub path: String,
    pub endpoint: String,
    pub state: String,
    pub error_id: Option<String>,
    pub error_message: Option<String>,
    pub key_made_at: Option<i64>,
    pub failures: i64,
    pub due_at: Option<i64>,
    pub state_since: i64,
    pub created_at: i64,
    pub created_by: String,
    pub last_modified_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Orgs don't tell names apart by their letters' case.
pub fn name_key(api_name: &str) -> String {
    api_name.to_ascii_lowercase()
}

/// The targets of a connection, by name.
pub async fn list(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    of: Uuid,
) -> Result<Vec<Target>, StoreError> {
    let rows = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::ConnectionId.eq(RowId(of)))
        .order_by_asc(Column::NameKey)
        .all(connection)
        .await?;
    rows.into_iter().map(Target::try_from).collect()
}

/// Some targets of an add-on, by name, from `offset` on.
pub async fn page(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (offset, limit): (u64, u64),
) -> Result<Vec<Target>, StoreError> {
    let query = Entity::find().filter(Column::AddonId.eq(RowId::from(addon)));
    let query = query.order_by_asc(Column::NameKey).order_by_asc(Column::Id).offset(offset).limit(limit);
    query.all(connection).await?.into_iter().map(Target::try_from).collect()
}

/// How many an add-on has.
pub async fn count(connection: &impl ConnectionTrait, addon: AddonId) -> Result<u64, StoreError> {
    Ok(Entity::find().filter(Column::AddonId.eq(RowId::from(addon))).count(connection).await?)
}

/// The target of a connection that a path names.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    of: Uuid,
    named: &str,
) -> Result<Option<Target>, StoreError> {
    let mut names = Condition::any().add(Column::NameKey.eq(name_key(named)));
    if let Ok(id) = named.parse::<RowId>() {
        names = names.add(Column::Id.eq(id));
    }
    let row = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::ConnectionId.eq(RowId(of)))
        .filter(names)
        .one(connection)
        .await?;
    row.map(Target::try_from).transpose()
}

/// A target by its id.
pub async fn find_by_id(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Option<Target>, StoreError> {
    let query = Entity::find_by_id(RowId(id)).filter(Column::AddonId.eq(RowId::from(addon)));
    query.one(connection).await?.map(Target::try_from).transpose()
}

/// A target by its id, as long as it was not claimed again since this fence.
pub async fn find_claimed(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
    fence: i64,
) -> Result<Option<Target>, StoreError> {
    let query = Entity::find_by_id(RowId(id)).filter(Column::AddonId.eq(RowId::from(addon)));
    query.filter(Column::Fence.eq(fence)).one(connection).await?.map(Target::try_from).transpose()
}

/// The add-on's targets of a name in an org, through whichever connection.
pub async fn in_org(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    (org_id, api_name): (&str, &str),
) -> Result<Vec<Target>, StoreError> {
    let query = Entity::find()
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::NameKey.eq(name_key(api_name)));
    query.all(connection).await?.into_iter().map(Target::try_from).collect()
}

/// Whether an org was asked for a target of this name that is still on its way, for the error of a call that comes early.
pub async fn is_on_its_way(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    org_id: &str,
    api_name: &str,
) -> Result<bool, StoreError> {
    let comes =
        |state: &State| matches!(state, State::Pending | State::Creating | State::GeneratingSigningKey);
    let all = in_org(connection, addon, (org_id, api_name)).await?;
    Ok(all.iter().any(|target| target.key_made_at.is_none() && comes(&target.state)))
}

/// Adds a row.
pub async fn insert(connection: &impl ConnectionTrait, target: &Target) -> Result<(), StoreError> {
    Entity::insert(model(target).into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Writes everything that may change but the lease: a worker may be inside a step, and another that began one beside it
/// would have the org make another key.
pub async fn save(connection: &impl ConnectionTrait, target: &Target) -> Result<(), StoreError> {
    let mut changed = changed(target);
    changed.lease_owner = sea_orm::NotSet;
    changed.lease_until = sea_orm::NotSet;
    changed.update(connection).await?;
    Ok(())
}

/// A worker's last word on its step: everything that may change, and the lease is free.
pub async fn save_and_free(connection: &impl ConnectionTrait, target: &Target) -> Result<(), StoreError> {
    changed(target).update(connection).await?;
    Ok(())
}

fn changed(target: &Target) -> ActiveModel {
    let row = model(target);
    let id = row.id;
    let mut changed = row.into_active_model().reset_all();
    changed.fence = sea_orm::NotSet;
    changed.id = sea_orm::Unchanged(id);
    changed
}

/// Frees the lease of a worker that has nothing to write, unless the row was claimed again since this fence.
pub async fn free(connection: &impl ConnectionTrait, id: Uuid, fence: i64) -> Result<(), StoreError> {
    claimed(id, fence).col_expr(Column::LeaseUntil, no_time()).exec(connection).await?;
    Ok(())
}

/// A step failed before it could even be judged: its row is tried again after this pause, unless it was claimed again.
pub async fn postpone(
    connection: &impl ConnectionTrait,
    (id, fence): (Uuid, i64),
    (failures, due_at): (u32, Timestamp),
) -> Result<(), StoreError> {
    let update = claimed(id, fence)
        .col_expr(Column::LeaseUntil, no_time())
        .col_expr(Column::Failures, Expr::value(i64::from(failures)))
        .col_expr(Column::DueAt, Expr::value(due_at.as_micros()));
    update.exec(connection).await?;
    Ok(())
}

/// Notes on a row that something is about to happen which may stay in doubt. `false` when it was claimed again.
pub async fn doubt(
    connection: &impl ConnectionTrait,
    (id, fence): (Uuid, i64),
    doubt: &ResourceError,
) -> Result<bool, StoreError> {
    let update = claimed(id, fence)
        .col_expr(Column::ErrorId, Expr::value(doubt.id.to_string()))
        .col_expr(Column::ErrorMessage, Expr::value(doubt.message.clone()));
    Ok(update.exec(connection).await?.rows_affected > 0)
}

fn claimed(id: Uuid, fence: i64) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many().filter(Column::Id.eq(RowId(id))).filter(Column::Fence.eq(fence))
}

fn no_time() -> sea_orm::sea_query::SimpleExpr {
    Expr::value(Option::<i64>::None)
}

/// Removes a row.
pub async fn delete(connection: &impl ConnectionTrait, addon: AddonId, id: Uuid) -> Result<(), StoreError> {
    let query =
        Entity::delete_many().filter(Column::Id.eq(RowId(id))).filter(Column::AddonId.eq(RowId::from(addon)));
    query.exec(connection).await?;
    Ok(())
}

fn model(target: &Target) -> Model {
    let error = target.noted().cloned();
    Model {
        id: RowId(target.id),
        addon_id: target.addon.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        connection_id: RowId(target.connection),
        app_id: target.app.into(),
        app_name: target.app_name.clone(),
        app_url: target.app_url.clone(),
        org_id: target.org_id.clone(),
        api_name: target.api_name.clone(),
        name_key: name_key(&target.api_name),
        label: target.label.clone(),
        path: target.path.clone(),
        endpoint: target.endpoint.clone(),
        state: target.state.word().to_owned(),
        error_id: error.as_ref().map(|error| error.id.to_string()),
        error_message: error.map(|error| error.message),
        key_made_at: target.key_made_at.map(Timestamp::as_micros),
        failures: i64::from(target.failures),
        due_at: target.due_at.map(Timestamp::as_micros),
        state_since: target.state_since.as_micros(),
        created_at: target.created_at.as_micros(),
        created_by: target.created_by.clone(),
        last_modified_at: target.last_modified_at.as_micros(),
    }
}

impl Model {
    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: TABLE, column, row: self.id.to_string() }
    }

    fn error(&self) -> Option<ResourceError> {
        Some(ResourceError { id: self.error_id.clone()?.into(), message: self.error_message.clone()? })
    }

    fn state(&self) -> Option<State> {
        Some(match self.state.as_str() {
            "pending" => State::Pending,
            "creating" => State::Creating,
            "generating_signing_key" => State::GeneratingSigningKey,
            "created" => State::Created,
            "creation_failed" => State::CreationFailed(self.error()?),
            "deleting" => State::Deleting,
            _ => return None,
        })
    }
}

impl TryFrom<Model> for Target {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let state = row.state().ok_or_else(|| row.impossible("state"))?;
        let failures = u32::try_from(row.failures).map_err(|_| row.impossible("failures"))?;
        let kept = row.error().filter(|_| !matches!(state, State::CreationFailed(_)));
        Ok(Self {
            id: row.id.0,
            addon: row.addon_id.into(),
            connection: row.connection_id.0,
            app: AppUuid(row.app_id.0),
            app_name: row.app_name,
            app_url: row.app_url,
            org_id: row.org_id,
            api_name: row.api_name,
            label: row.label,
            path: row.path,
            endpoint: row.endpoint,
            state,
            kept,
            key_made_at: row.key_made_at.map(Timestamp::from_micros),
            failures,
            due_at: row.due_at.map(Timestamp::from_micros),
            state_since: Timestamp::from_micros(row.state_since),
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by,
            last_modified_at: Timestamp::from_micros(row.last_modified_at),
        })
    }
}
