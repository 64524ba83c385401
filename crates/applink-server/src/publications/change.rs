//! Telling webhooks what became of a publication.

use applink_api::webhook::EventType;
use serde_json::{Value, json};

use super::flow::{DeployState, Failure};
use super::{Deploy, DeployKind, Publication, api, store};
use crate::credentials;
use crate::db::{StoreError, Tx};
use crate::webhooks;
use crate::webhooks::events::{self, Event};

/// Tells how a deploy ended, in the transaction in which it does; nothing while it has not.
///
/// # Errors
/// [`StoreError`].
pub async fn tell(tx: &Tx, deploy: &Deploy) -> Result<(), StoreError> {
    let (kind, failure) = match (deploy.kind, &deploy.state) {
        (DeployKind::Publish, DeployState::Published { .. }) => (EventType::PublicationPublished, None),
        (DeployKind::Publish, DeployState::Failed(failure)) => (EventType::PublicationFailed, Some(failure)),
        (DeployKind::Remove, DeployState::Published { .. }) => (EventType::PublicationDeleted, None),
        (DeployKind::Remove, DeployState::Failed(failure)) => {
            (EventType::PublicationDeleteFailed, Some(failure))
        }
        _ => return Ok(()),
    };
    let Some(publication) = store::find(&**tx, deploy.addon, deploy.publication).await? else {
        return Ok(());
    };
    let data = as_listed(tx, publication, failure).await?;
    let subject = deploy.publication.0;
    events::tell(tx, Event { kind, addon: deploy.addon, subject, failing: false, data }).await?;
    if kind == EventType::PublicationDeleted {
        webhooks::store::forget_subject(&**tx, subject).await?;
    }
    Ok(())
}

/// Tells that somebody deleted a publication in its org, in the transaction that notes it.
///
/// # Errors
/// [`StoreError`].
pub async fn tell_deleted_in_org(tx: &Tx, publication: Publication) -> Result<(), StoreError> {
    let (addon, subject) = (publication.addon, publication.id.0);
    let data = as_listed(tx, publication, None).await?;
    let kind = EventType::PublicationDeletedInOrg;
    events::tell(tx, Event { kind, addon, subject, failing: false, data }).await
}

/// The publication as the API lists it, with its id; and the error when it failed.
async fn as_listed(
    tx: &Tx,
    publication: Publication,
    failure: Option<&Failure>,
) -> Result<Value, StoreError> {
    let (id, addon) = (publication.id, publication.addon);
    let found = credentials::store::find_by_id(&**tx, addon, publication.connection).await?;
    let name = found.map(|connection| connection.name).unwrap_or_default();
    let listed = serde_json::to_value(api::wire(publication, &name, None));
    let mut data = listed.map_err(|_| StoreError::Inconsistent {
        table: "publications",
        column: "components",
        row: id.to_string(),
    })?;
    data["id"] = json!(id);
    if let Some(failure) = failure {
        data["error"] = json!({"id": failure.id, "message": failure.message, "problems": failure.problems});
    }
    Ok(data)
}
