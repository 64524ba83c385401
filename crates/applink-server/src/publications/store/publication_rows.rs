//! Rows of `publications`.

use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;

use super::super::{Live, Publication};
use super::{from_json, to_json};
use crate::db::{RowId, StoreError};

pub(super) const TABLE: &str = "publications";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "publications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub addon_id: RowId,
    pub connection_id: RowId,
    pub app_id: RowId,
    pub client: String,
    pub client_key: String,
    pub org_id: String,
    pub registration_id: Option<String>,
    pub published_hash: Option<String>,
    pub components: String,
    pub created_at: i64,
    pub created_by: String,
    pub last_modified_at: i64,
    pub last_modified_by: String,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
    pub fence: i64,
    pub check_due_at: Option<i64>,
    pub removed_at: Option<i64>,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Publication> for Model {
    type Error = StoreError;

    fn try_from(publication: &Publication) -> Result<Self, StoreError> {
        let live = publication.live.as_ref();
        let components = live.map(|live| live.components.as_slice()).unwrap_or_default();
        Ok(Self {
            id: publication.id.into(),
            addon_id: publication.addon.into(),
            connection_id: RowId(publication.connection),
            app_id: publication.app.into(),
            client: publication.client.clone(),
            client_key: publication.client.to_ascii_lowercase(),
            org_id: publication.org_id.clone(),
            registration_id: live.map(|live| live.registration_id.clone()),
            published_hash: live.map(|live| live.hash.clone()),
            components: to_json(&components)?,
            created_at: publication.created_at.as_micros(),
            created_by: publication.created_by.clone(),
            last_modified_at: publication.last_modified_at.as_micros(),
            last_modified_by: publication.last_modified_by.clone(),
            lease_owner: None,
            lease_until: None,
            fence: 0,
            check_due_at: None,
            removed_at: publication.removed_at.map(Timestamp::as_micros),
        })
    }
}

impl TryFrom<Model> for Publication {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let components = from_json(&row.components, TABLE, "components", row.id)?;
        let live = row.published_hash.map(|hash| Live {
            hash,
            registration_id: row.registration_id.unwrap_or_default(),
            components,
        });
        Ok(Self {
            id: row.id.into(),
            addon: row.addon_id.into(),
            connection: row.connection_id.0,
            app: row.app_id.into(),
            client: row.client,
            org_id: row.org_id,
            live,
            removed_at: row.removed_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by,
            last_modified_at: Timestamp::from_micros(row.last_modified_at),
            last_modified_by: row.last_modified_by,
        })
    }
}
