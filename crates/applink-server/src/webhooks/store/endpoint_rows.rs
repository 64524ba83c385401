//! Rows of `webhook_endpoints`.

use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;

use super::ENDPOINTS;
use crate::db::{RowId, StoreError};
use crate::vault::SealedToken;
use crate::webhooks::Endpoint;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_endpoints")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub addon_id: RowId,
    pub url: String,
    /// A JSON array.
    pub event_types: String,
    pub description: Option<String>,
    pub secret: SealedToken,
    pub former_secret: Option<SealedToken>,
    pub former_secret_until: Option<i64>,
    pub enabled: bool,
    pub disabled_reason: Option<String>,
    pub failing_since: Option<i64>,
    pub created_at: i64,
    pub created_by: String,
    pub last_modified_at: i64,
    pub last_modified_by: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn impossible(column: &'static str, row: &impl ToString) -> StoreError {
    StoreError::Inconsistent { table: ENDPOINTS, column, row: row.to_string() }
}

impl TryFrom<&Endpoint> for Model {
    type Error = StoreError;

    fn try_from(endpoint: &Endpoint) -> Result<Self, StoreError> {
        let event_types = serde_json::to_string(&endpoint.event_types);
        let (former_secret, former_secret_until) = endpoint.former_secret.clone().unzip();
        Ok(Self {
            id: endpoint.id.into(),
            addon_id: endpoint.addon.into(),
            url: endpoint.url.clone(),
            event_types: event_types.map_err(|_| impossible("event_types", &endpoint.id))?,
            description: endpoint.description.clone(),
            secret: endpoint.secret.clone(),
            former_secret,
            former_secret_until: former_secret_until.map(Timestamp::as_micros),
            enabled: endpoint.enabled,
            disabled_reason: endpoint.disabled_reason.clone(),
            failing_since: endpoint.failing_since.map(Timestamp::as_micros),
            created_at: endpoint.created_at.as_micros(),
            created_by: endpoint.created_by.clone(),
            last_modified_at: endpoint.last_modified_at.as_micros(),
            last_modified_by: endpoint.last_modified_by.clone(),
        })
    }
}

impl TryFrom<Model> for Endpoint {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let event_types = serde_json::from_str(&row.event_types);
        Ok(Self {
            id: row.id.0,
            addon: row.addon_id.into(),
            event_types: event_types.map_err(|_| impossible("event_types", &row.id))?,
            url: row.url,
            description: row.description,
            secret: row.secret,
            former_secret: row.former_secret.zip(row.former_secret_until.map(Timestamp::from_micros)),
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            failing_since: row.failing_since.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by,
            last_modified_at: Timestamp::from_micros(row.last_modified_at),
            last_modified_by: row.last_modified_by,
        })
    }
}
