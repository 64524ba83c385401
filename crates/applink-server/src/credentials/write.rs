//! Every change of a row: saved, and told to whoever wants to know, in one transaction. What is told follows from what
//! the row was and what it is, so that no transition is forgotten and none is told twice.

use applink_api::error::{ResourceError, error_id};
use applink_api::ids::AddonId;
use applink_api::webhook::EventType;
use serde_json::Value;
use uuid::Uuid;

use super::{Credential, Kind, State, flow, store};
use crate::db::{StoreError, Tx};
use crate::webhooks::events::{self, Event};
use crate::{authorizations, connections, webhooks};

/// What a change of a row is, to somebody outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It waits for a log-in.
    Created,
    /// It is usable.
    Connected,
    /// It is usable again: its grant had died.
    Recovered,
    /// It did not come about, or its tokens can't be renewed.
    Failed,
    /// Its grant died.
    ReauthRequired,
    /// It is removed.
    Disconnected,
    /// It has another name or alias.
    Renamed,
}

/// What became of a row; none when nothing did that anybody outside sees.
pub fn change(before: Option<&Credential>, after: &Credential) -> Option<Change> {
    let same_state = before
        .is_some_and(|before| std::mem::discriminant(&before.state) == std::mem::discriminant(&after.state));
    if same_state {
        let renamed = before.is_some_and(|before| before.name != after.name || before.alias != after.alias);
        return renamed.then_some(Change::Renamed);
    }
    match after.state {
        State::Pending { .. } => Some(Change::Created),
        State::Live(_) if before.and_then(flow::remembered).is_some() => Some(Change::Recovered),
        State::Live(_) => Some(Change::Connected),
        State::Dead { .. } => Some(Change::ReauthRequired),
        State::Failed { .. } => Some(Change::Failed),
        State::Disconnecting(_) => None,
        State::Disconnected { .. } => Some(Change::Disconnected),
    }
}

impl Change {
    /// The event of a kind of row.
    fn event(self, kind: Kind) -> EventType {
        match (kind, self) {
            (Kind::Connection, Self::Created) => EventType::ConnectionCreated,
            (Kind::Connection, Self::Connected) => EventType::ConnectionConnected,
            (Kind::Connection, Self::Recovered) => EventType::ConnectionRecovered,
            (Kind::Connection, Self::Failed) => EventType::ConnectionFailed,
            (Kind::Connection, Self::ReauthRequired) => EventType::ConnectionReauthRequired,
            (Kind::Connection, Self::Disconnected) => EventType::ConnectionDisconnected,
            (Kind::Connection, Self::Renamed) => EventType::ConnectionRenamed,
            (Kind::Authorization, Self::Created) => EventType::AuthorizationCreated,
            (Kind::Authorization, Self::Connected) => EventType::AuthorizationAuthorized,
            (Kind::Authorization, Self::Recovered) => EventType::AuthorizationRecovered,
            (Kind::Authorization, Self::Failed) => EventType::AuthorizationFailed,
            (Kind::Authorization, Self::ReauthRequired) => EventType::AuthorizationReauthRequired,
            (Kind::Authorization, Self::Disconnected) => EventType::AuthorizationDisconnected,
            (Kind::Authorization, Self::Renamed) => EventType::AuthorizationRenamed,
        }
    }
}

/// Adds a row and tells it.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(tx: &Tx, credential: &Credential) -> Result<(), StoreError> {
    store::insert(&**tx, credential).await?;
    tell_difference(tx, None, credential).await
}

/// Writes a row and tells what became of it. Under the add-on's lock, so that what it was is what was told last.
///
/// # Errors
/// [`StoreError`].
pub async fn save(tx: &Tx, credential: &Credential) -> Result<(), StoreError> {
    let before = store::find_by_id(&**tx, credential.addon, credential.id).await?;
    store::save(&**tx, credential).await?;
    tell_difference(tx, before.as_ref(), credential).await
}

/// Removes a row that was listed long enough; nobody is told.
///
/// # Errors
/// [`StoreError`].
pub async fn delete(tx: &Tx, credential: &Credential) -> Result<(), StoreError> {
    webhooks::store::forget_subject(&**tx, credential.id).await?;
    store::delete(&**tx, credential.addon, credential.id).await
}

/// Tells, once, that the org refuses to renew the tokens of a live row for a reason somebody can mend.
///
/// # Errors
/// [`StoreError`].
pub async fn tell_refused(tx: &Tx, addon: AddonId, id: Uuid, message: String) -> Result<(), StoreError> {
    if webhooks::store::is_failing(&**tx, id).await? {
        return Ok(());
    }
    let error = ResourceError { id: error_id::AUTHENTICATION_FAILED.into(), message };
    tell_of_live(tx, addon, id, Change::Failed, Some(&error)).await
}

/// Tells that the org renewed the tokens of a live row, if it was last told that it doesn't.
///
/// # Errors
/// [`StoreError`].
pub async fn tell_renewed(tx: &Tx, addon: AddonId, id: Uuid) -> Result<(), StoreError> {
    if !webhooks::store::is_failing(&**tx, id).await? {
        return Ok(());
    }
    tell_of_live(tx, addon, id, Change::Recovered, None).await
}

async fn tell_of_live(
    tx: &Tx,
    addon: AddonId,
    id: Uuid,
    change: Change,
    error: Option<&ResourceError>,
) -> Result<(), StoreError> {
    match store::find_by_id(&**tx, addon, id).await? {
        Some(credential) if credential.live().is_some() => tell(tx, &credential, change, error).await,
        _ => Ok(()),
    }
}

async fn tell_difference(tx: &Tx, before: Option<&Credential>, after: &Credential) -> Result<(), StoreError> {
    match change(before, after) {
        Some(change) => tell(tx, after, change, None).await,
        None => Ok(()),
    }
}

async fn tell(
    tx: &Tx,
    credential: &Credential,
    change: Change,
    error: Option<&ResourceError>,
) -> Result<(), StoreError> {
    let event = Event {
        kind: change.event(credential.kind),
        addon: credential.addon,
        subject: credential.id,
        failing: change == Change::Failed && credential.live().is_some(),
        data: as_answered(credential, error)?,
    };
    events::tell(tx, event).await
}

/// The row as the API answers it; never with a token.
fn as_answered(credential: &Credential, error: Option<&ResourceError>) -> Result<Value, StoreError> {
    let written = match credential.kind {
        Kind::Connection => {
            let mut wire = connections::to_wire(credential, None);
            wire.error = error.cloned().or(wire.error);
            serde_json::to_value(wire)
        }
        Kind::Authorization => {
            let mut wire = authorizations::to_wire(credential, None);
            wire.error = error.cloned().or(wire.error);
            serde_json::to_value(wire)
        }
    };
    written.map_err(|_| StoreError::Inconsistent {
        table: store::TABLE,
        column: "state",
        row: credential.id.to_string(),
    })
}
