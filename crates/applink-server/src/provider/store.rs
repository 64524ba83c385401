//! The table `provider_resources`.

use std::ops::{Deref, DerefMut};

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::IntoActiveModel as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _};

use super::flow::{Facts, State};
use crate::db::claim::Due;
use crate::db::{RowId, StoreError};
use crate::vault::{SealedToken, ServerPlace};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "provider_resources";

/// What the reconciler takes.
pub const DUE: Due =
    Due { table: TABLE, condition: "due_at IS NOT NULL AND due_at <= {now}", order_by: "due_at" };

/// A resource that Heroku asked for.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_resources")]
pub struct Model {
    /// Heroku's uuid of it, which is the add-on's.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// See `db/claim.rs`.
    pub lease_owner: Option<String>,
    /// See `db/claim.rs`.
    pub lease_until: Option<i64>,
    /// See `db/claim.rs`.
    pub fence: i64,
    /// Its name at Heroku.
    pub name: String,
    /// The plan.
    pub plan: String,
    /// Where Heroku runs the app.
    pub region: Option<String>,
    /// See [`State`].
    pub state: String,
    /// When a step is due, microseconds UTC.
    pub due_at: Option<i64>,
    /// Failed tries of this step in a row.
    pub attempts: i64,
    /// Why the last try failed.
    pub trouble: Option<String>,
    /// SHA-256 of the add-on token.
    pub token_hash: String,
    /// The add-on token itself, sealed, until Heroku has it as a config var.
    pub addon_token: Option<SealedToken>,
    /// The code of Heroku's grant, sealed, until it is exchanged.
    pub grant_code: Option<SealedToken>,
    /// Until when, microseconds UTC.
    pub grant_expires_at: Option<i64>,
    /// For the Platform API, sealed.
    pub access_token: Option<SealedToken>,
    /// For the next one, sealed.
    pub refresh_token: Option<SealedToken>,
    /// When the access token ends, microseconds UTC.
    pub token_expires_at: Option<i64>,
    /// Whether the config vars were set.
    pub configured: bool,
    /// Microseconds UTC.
    pub created_at: i64,
    /// Microseconds UTC.
    pub updated_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The tenant.
    pub fn addon(&self) -> AddonId {
        self.id.into()
    }

    /// Where a sealed column lives.
    pub fn place(&self, column: &'static str) -> ServerPlace {
        ServerPlace { table: TABLE, row: self.id.0, column }
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn state(&self) -> Result<State, StoreError> {
        State::from_word(&self.state).ok_or_else(|| StoreError::Inconsistent {
            table: TABLE,
            column: "state",
            row: self.id.to_string(),
        })
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn facts(&self, is_attached: bool) -> Result<Facts, StoreError> {
        Ok(Facts {
            state: self.state()?,
            created_at: Timestamp::from_micros(self.created_at),
            has_grant: self.grant_code.is_some(),
            has_tokens: self.refresh_token.is_some(),
            is_attached,
            is_configured: self.configured,
        })
    }
}

/// A row as it was read, and as it is to be written. What did not change of its secrets is not written: they may be
/// sealed anew meanwhile.
#[derive(Clone, Debug)]
pub struct Held {
    was: Model,
    row: Model,
}

impl From<Model> for Held {
    fn from(row: Model) -> Self {
        Self { was: row.clone(), row }
    }
}

impl Deref for Held {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.row
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.row
    }
}

impl Held {
    fn columns(&self) -> ActiveModel {
        let Self { was, row } = self;
        let changed = |was: &Option<SealedToken>, now: &Option<SealedToken>| {
            if was == now { sea_orm::NotSet } else { sea_orm::Set(now.clone()) }
        };
        let mut columns = row.clone().into_active_model().reset_all();
        columns.id = sea_orm::NotSet;
        columns.addon_token = changed(&was.addon_token, &row.addon_token);
        columns.grant_code = changed(&was.grant_code, &row.grant_code);
        columns.access_token = changed(&was.access_token, &row.access_token);
        columns.refresh_token = changed(&was.refresh_token, &row.refresh_token);
        columns
    }
}

/// Adds a row.
pub async fn insert(connection: &impl ConnectionTrait, row: Model) -> Result<(), StoreError> {
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The row of an add-on.
pub async fn find(connection: &impl ConnectionTrait, addon: AddonId) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find_by_id(RowId::from(addon)).one(connection).await?)
}

/// Writes the row when nobody else did since it was read; its lease ends. `false` when somebody did.
pub async fn save(connection: &impl ConnectionTrait, row: &Held) -> Result<bool, StoreError> {
    let mut columns = row.columns();
    columns.lease_owner = sea_orm::Set(None);
    columns.lease_until = sea_orm::Set(None);
    columns.fence = sea_orm::Set(row.fence + 1);
    let update =
        Entity::update_many().set(columns).filter(Column::Id.eq(row.id)).filter(Column::Fence.eq(row.fence));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Writes the row in the middle of a step; the lease stays. `false` when somebody else has it.
pub async fn save_progress(connection: &impl ConnectionTrait, row: &mut Held) -> Result<bool, StoreError> {
    let mut columns = row.columns();
    columns.lease_owner = sea_orm::NotSet;
    columns.lease_until = sea_orm::NotSet;
    columns.fence = sea_orm::NotSet;
    let update =
        Entity::update_many().set(columns).filter(Column::Id.eq(row.id)).filter(Column::Fence.eq(row.fence));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Makes a provisioned add-on's attachments be looked at now, unless they were after `since`.
pub async fn look_now(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    since: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel { due_at: sea_orm::Set(Some(0)), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(RowId::from(addon)))
        .filter(Column::UpdatedAt.lte(since.as_micros()))
        .filter(Column::State.eq(State::Provisioned.as_str()));
    update.exec(connection).await?;
    Ok(())
}

/// Writes a plan.
pub async fn set_plan(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    plan: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel {
        plan: sea_orm::Set(plan.to_owned()),
        updated_at: sea_orm::Set(now.as_micros()),
        ..Default::default()
    };
    Entity::update_many().set(columns).filter(Column::Id.eq(RowId::from(addon))).exec(connection).await?;
    Ok(())
}

/// Erases every secret; what remains tells that it was there. Whoever is at a step can't write any more.
pub async fn deprovision(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel {
        state: sea_orm::Set(State::Deprovisioned.as_str().to_owned()),
        due_at: sea_orm::Set(None),
        addon_token: sea_orm::Set(None),
        grant_code: sea_orm::Set(None),
        access_token: sea_orm::Set(None),
        refresh_token: sea_orm::Set(None),
        updated_at: sea_orm::Set(now.as_micros()),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(columns)
        .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
        .filter(Column::Id.eq(RowId::from(addon)));
    update.exec(connection).await?;
    Ok(())
}
