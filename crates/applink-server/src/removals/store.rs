//! The table `removals`.

use applink_api::ids::AddonId;
use applink_api::operator::LeftBehind;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel as _, QueryOrder as _};

use super::{AT_ONCE, Report, Stage};
use crate::addons::Addon;
use crate::db::claim::Due;
use crate::db::{RowId, StoreError};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "removals")]
pub struct Model {
    /// The add-on's uuid.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// See `db/claim.rs`.
    pub lease_owner: Option<String>,
    /// See `db/claim.rs`.
    pub lease_until: Option<i64>,
    /// See `db/claim.rs`.
    pub fence: i64,
    /// The add-on's name.
    pub name: String,
    /// See [`Stage`].
    pub stage: String,
    /// Since when, microseconds UTC.
    pub stage_since: i64,
    /// When work on it is due, microseconds UTC.
    pub due_at: Option<i64>,
    /// Who asked for it.
    pub requested_by: String,
    /// Microseconds UTC.
    pub requested_at: i64,
    /// Microseconds UTC.
    pub finished_at: Option<i64>,
    /// JSON of a [`Report`].
    pub report: String,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What the reconciler takes.
pub const DUE: Due =
    Due { table: "removals", condition: "due_at IS NOT NULL AND due_at <= {now}", order_by: "due_at" };

impl Model {
    /// What became of things so far. One that can't be read counts as empty: it must not keep an add-on alive.
    pub fn report(&self) -> Report {
        serde_json::from_str(&self.report).unwrap_or_default()
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn stage(&self) -> Result<Stage, StoreError> {
        Stage::from_word(&self.stage).ok_or_else(|| StoreError::Inconsistent {
            table: "removals",
            column: "stage",
            row: self.id.to_string(),
        })
    }
}

/// Adds a row, due at once.
pub async fn insert(
    connection: &impl ConnectionTrait,
    addon: &Addon,
    requested_by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = Model {
        id: addon.id.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        name: addon.name.clone(),
        stage: Stage::Unpublish.as_str().to_owned(),
        stage_since: now.as_micros(),
        due_at: Some(AT_ONCE.as_micros()),
        requested_by: requested_by.to_owned(),
        requested_at: now.as_micros(),
        finished_at: None,
        report: "{\"unpublished\":[],\"left\":[]}".to_owned(),
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The row of an add-on.
pub async fn find(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(RowId::from(addon)).one(connection).await?)
}

/// Every row, newest first.
pub async fn list(connection: &impl ConnectionTrait) -> Result<Vec<Model>, StoreError> {
    Ok(Entity::find().order_by_desc(Column::RequestedAt).all(connection).await?)
}

/// Writes stage, report and due time; the lease ends.
pub async fn save(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    let id = row.id;
    let mut changed = row.into_active_model().reset_all();
    changed.id = sea_orm::Unchanged(id);
    changed.fence = sea_orm::NotSet;
    changed.lease_owner = sea_orm::Set(None);
    changed.lease_until = sea_orm::Set(None);
    changed.update(connection).await?;
    Ok(())
}

/// Adds a line to the report of an add-on that is being removed; nothing when it is not.
pub async fn add_left_behind(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    left: LeftBehind,
) -> Result<(), StoreError> {
    let Some(row) = find(connection, addon).await? else { return Ok(()) };
    let mut report = row.report();
    report.left.push(left);
    let columns = ActiveModel { report: sea_orm::Set(json(&report)), ..Default::default() };
    Entity::update_many().set(columns).filter(Column::Id.eq(row.id)).exec(connection).await?;
    Ok(())
}

/// As stored.
pub(super) fn json(report: &Report) -> String {
    serde_json::to_string(report).unwrap_or_default()
}
