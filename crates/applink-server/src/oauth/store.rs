//! The table `oauth_states`: flows under way. Links, states, cookies and tickets are stored hashed; verifier and
//! code sealed.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::IntoActiveModel as _;
use sea_orm::entity::prelude::*;

use crate::db::{RowId, StoreError};
use crate::vault::{Place, SealedToken};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "oauth_states";
/// The link was handed out.
pub const OFFERED: &str = "offered";
/// The browser was sent to the org.
pub const STARTED: &str = "started";
/// The browser came back; a person is to confirm.
pub const RETURNED: &str = "returned";
/// Somebody goes on with it: the code is being exchanged. A newer flow or a disconnect voids it even now.
pub const TAKEN: &str = "taken";

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_states")]
pub struct Model {
    /// Its id, which sealed values are tied to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant.
    pub addon_id: RowId,
    /// What is being connected.
    pub credential_id: RowId,
    /// [`OFFERED`], [`STARTED`], [`RETURNED`] or [`TAKEN`].
    pub stage: String,
    /// Of the one-time link.
    pub start_hash: String,
    /// Of the state, once started.
    pub state_hash: Option<String>,
    /// Of the browser's cookie, once started.
    pub cookie_hash: Option<String>,
    /// Of the ticket in the confirmation form.
    pub confirm_hash: Option<String>,
    /// Sealed PKCE verifier.
    pub verifier: SealedToken,
    /// Sealed code, while a person confirms.
    pub code: Option<SealedToken>,
    /// The host the browser is sent to, and the only one the code is sent to.
    pub login_origin: String,
    /// Consumer key of our external client app.
    pub client_id: String,
    /// Who asked for it.
    pub started_by: String,
    /// Whether we know that, or somebody only claims it.
    pub started_by_verified: bool,
    /// Whether one more grant of the user is wanted even when the org may end the oldest for it.
    pub force: bool,
    /// Through which app.
    pub app_name: Option<String>,
    /// Microseconds UTC.
    pub created_at: i64,
    /// Microseconds UTC.
    pub expires_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The tenant.
    pub fn addon(&self) -> AddonId {
        self.addon_id.into()
    }

    /// Where a sealed column lives.
    pub fn place(&self, column: &'static str) -> Place {
        Place { addon: self.addon(), table: TABLE, row: self.id.0, column }
    }
}

/// Adds a flow.
pub async fn insert(connection: &impl ConnectionTrait, flow: Model) -> Result<(), StoreError> {
    Entity::insert(flow.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Step 2: uses the link up. `None` when there is no such link, or it was opened before, or its time is up.
pub async fn start(
    connection: &impl ConnectionTrait,
    start_hash: &str,
    state_hash: String,
    cookie_hash: String,
    now: Timestamp,
) -> Result<Option<Model>, StoreError> {
    let columns = ActiveModel {
        stage: sea_orm::Set(STARTED.to_owned()),
        state_hash: sea_orm::Set(Some(state_hash)),
        cookie_hash: sea_orm::Set(Some(cookie_hash)),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::StartHash.eq(start_hash))
        .filter(Column::Stage.eq(OFFERED))
        .filter(Column::ExpiresAt.gt(now.as_micros()));
    Ok(update.exec_with_returning(connection).await?.into_iter().next())
}

/// Step 4: the flow of a state.
pub async fn by_state(
    connection: &impl ConnectionTrait,
    state_hash: &str,
) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::StateHash.eq(state_hash)).one(connection).await?)
}

/// Step 5: the flow of a confirmation form.
pub async fn by_ticket(
    connection: &impl ConnectionTrait,
    confirm_hash: &str,
) -> Result<Option<Model>, StoreError> {
    Ok(Entity::find().filter(Column::ConfirmHash.eq(confirm_hash)).one(connection).await?)
}

/// Step 5: keeps the code while a person confirms. `false` when the state was used before.
pub async fn hold(
    connection: &impl ConnectionTrait,
    id: RowId,
    code: SealedToken,
    confirm_hash: String,
) -> Result<bool, StoreError> {
    let columns = ActiveModel {
        stage: sea_orm::Set(RETURNED.to_owned()),
        code: sea_orm::Set(Some(code)),
        confirm_hash: sea_orm::Set(Some(confirm_hash)),
        ..Default::default()
    };
    let update =
        Entity::update_many().set(columns).filter(Column::Id.eq(id)).filter(Column::Stage.eq(STARTED));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Takes the flow: whoever does goes on with it, and nobody else. It stays until it is [settled](settle), so that what
/// comes in between can void it.
pub async fn take(
    connection: &impl ConnectionTrait,
    id: RowId,
    stage: &str,
    now: Timestamp,
) -> Result<Option<Model>, StoreError> {
    let columns = ActiveModel { stage: sea_orm::Set(TAKEN.to_owned()), ..Default::default() };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(id))
        .filter(Column::Stage.eq(stage))
        .filter(Column::ExpiresAt.gt(now.as_micros()));
    Ok(update.exec_with_returning(connection).await?.into_iter().next())
}

/// Step 7: uses a taken flow up, under the add-on's lock. `false` when it was voided in the meantime: then its
/// credential stands for something else by now.
pub async fn settle(connection: &impl ConnectionTrait, id: RowId) -> Result<bool, StoreError> {
    let delete = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::Stage.eq(TAKEN));
    Ok(delete.exec(connection).await?.rows_affected == 1)
}

/// Drops every flow of a credential.
pub async fn forget(connection: &impl ConnectionTrait, credential: Uuid) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::CredentialId.eq(RowId(credential))).exec(connection).await?;
    Ok(())
}

/// Drops flows whose time is up.
pub async fn forget_expired(connection: &impl ConnectionTrait, now: Timestamp) -> Result<u64, StoreError> {
    let delete = Entity::delete_many().filter(Column::ExpiresAt.lte(now.as_micros()));
    Ok(delete.exec(connection).await?.rows_affected)
}
