//! Rows of `publication_deploys`.

use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;

use super::super::flow::{DeployState, Failure};
use super::super::spec::Format;
use super::super::{Deploy, DeployKind};
use super::{StoredError, StoredOutcome, from_json, to_json};
use crate::db::{RowId, StoreError};

pub(super) const TABLE: &str = "publication_deploys";

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "publication_deploys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub addon_id: RowId,
    pub publication_id: RowId,
    pub connection_id: RowId,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
    pub fence: i64,
    pub number: i64,
    pub state: String,
    pub due_at: Option<i64>,
    pub attempts: i64,
    pub trying_since: Option<i64>,
    pub intent_at: Option<i64>,
    pub deploy_id: Option<String>,
    pub hash: String,
    pub package: Option<Vec<u8>>,
    pub document_format: String,
    pub document: Vec<u8>,
    pub origins: String,
    pub outcome: String,
    pub requested_at: i64,
    pub requested_by: String,
    pub finished_at: Option<i64>,
    pub kind: String,
    pub uses: String,
    pub authorization_names: Option<String>,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(super) fn kind_word(kind: DeployKind) -> &'static str {
    match kind {
        DeployKind::Publish => "publish",
        DeployKind::Remove => "remove",
    }
}

fn state_word(state: &DeployState) -> &'static str {
    match state {
        DeployState::Pending => "pending",
        DeployState::Intended { .. } => "intended",
        DeployState::Deploying { .. } => "deploying",
        DeployState::Published { .. } => "published",
        DeployState::Failed(_) => "failed",
    }
}

fn format_word(format: Format) -> &'static str {
    match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
    }
}

fn outcome(deploy: &Deploy) -> StoredOutcome {
    StoredOutcome { unassigned: deploy.unassigned.clone(), ..outcome_of(&deploy.state) }
}

fn outcome_of(state: &DeployState) -> StoredOutcome {
    match state {
        DeployState::Published { components } => {
            StoredOutcome { components: components.clone(), ..StoredOutcome::default() }
        }
        DeployState::Failed(failure) => StoredOutcome {
            components: failure.components.clone(),
            error: Some(StoredError { id: failure.id.clone(), message: failure.message.clone() }),
            problems: failure.problems.clone(),
            ..StoredOutcome::default()
        },
        _ => StoredOutcome::default(),
    }
}

impl TryFrom<&Deploy> for Model {
    type Error = StoreError;

    fn try_from(deploy: &Deploy) -> Result<Self, StoreError> {
        let (intent_at, deploy_id) = match &deploy.state {
            DeployState::Intended { since } => (Some(since.as_micros()), None),
            DeployState::Deploying { deploy_id } => (None, Some(deploy_id.clone())),
            _ => (None, None),
        };
        Ok(Self {
            id: RowId(deploy.id),
            addon_id: deploy.addon.into(),
            publication_id: deploy.publication.into(),
            connection_id: RowId(deploy.connection),
            lease_owner: None,
            lease_until: None,
            fence: deploy.fence,
            number: deploy.number,
            state: state_word(&deploy.state).to_owned(),
            due_at: deploy.due_at.map(Timestamp::as_micros),
            attempts: deploy.attempts.into(),
            trying_since: deploy.trying_since.map(Timestamp::as_micros),
            intent_at,
            deploy_id,
            hash: deploy.hash.clone(),
            package: deploy.package.clone(),
            document_format: format_word(deploy.format).to_owned(),
            document: deploy.document.clone(),
            origins: to_json(&deploy.origins)?,
            outcome: to_json(&outcome(deploy))?,
            requested_at: deploy.requested_at.as_micros(),
            requested_by: deploy.requested_by.clone(),
            finished_at: deploy.finished_at.map(Timestamp::as_micros),
            kind: kind_word(deploy.kind).to_owned(),
            uses: to_json(&deploy.uses)?,
            authorization_names: deploy.named.as_ref().map(to_json).transpose()?,
        })
    }
}

impl Model {
    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: TABLE, column, row: self.id.to_string() }
    }

    fn outcome(&self) -> Result<StoredOutcome, StoreError> {
        from_json(&self.outcome, TABLE, "outcome", self.id)
    }

    fn state(&self) -> Result<DeployState, StoreError> {
        let outcome = || self.outcome();
        Ok(match self.state.as_str() {
            "pending" => DeployState::Pending,
            "intended" => DeployState::Intended {
                since: self
                    .intent_at
                    .map(Timestamp::from_micros)
                    .ok_or_else(|| self.impossible("intent_at"))?,
            },
            "deploying" => DeployState::Deploying {
                deploy_id: self.deploy_id.clone().ok_or_else(|| self.impossible("deploy_id"))?,
            },
            "published" => DeployState::Published { components: outcome()?.components },
            "failed" => {
                let outcome = outcome()?;
                let error = outcome.error.ok_or_else(|| self.impossible("outcome"))?;
                DeployState::Failed(Failure {
                    id: error.id,
                    message: error.message,
                    components: outcome.components,
                    problems: outcome.problems,
                })
            }
            _ => return Err(self.impossible("state")),
        })
    }
}

impl TryFrom<Model> for Deploy {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let format = match row.document_format.as_str() {
            "yaml" => Format::Yaml,
            "json" => Format::Json,
            _ => return Err(row.impossible("document_format")),
        };
        let kind = match row.kind.as_str() {
            "publish" => DeployKind::Publish,
            "remove" => DeployKind::Remove,
            _ => return Err(row.impossible("kind")),
        };
        let named = row.authorization_names.as_deref();
        let named = named.map(|json| from_json(json, TABLE, "authorization_names", row.id)).transpose()?;
        Ok(Self {
            kind,
            named,
            uses: from_json(&row.uses, TABLE, "uses", row.id)?,
            state: row.state()?,
            unassigned: row.outcome()?.unassigned,
            origins: from_json(&row.origins, TABLE, "origins", row.id)?,
            id: row.id.0,
            addon: row.addon_id.into(),
            publication: row.publication_id.into(),
            connection: row.connection_id.0,
            number: row.number,
            due_at: row.due_at.map(Timestamp::from_micros),
            trying_since: row.trying_since.map(Timestamp::from_micros),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            hash: row.hash,
            package: row.package,
            format,
            document: row.document,
            requested_at: Timestamp::from_micros(row.requested_at),
            requested_by: row.requested_by,
            finished_at: row.finished_at.map(Timestamp::from_micros),
            fence: row.fence,
        })
    }
}
