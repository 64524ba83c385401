//! Teams, the enterprise accounts above them, and who works on which app.

use uuid::Uuid;

use super::access::Permissions;
use super::apps::PlatformApp;
use super::people::{Person, entry};
use super::store::teams as store;
use crate::api_keys;
use crate::app::App;
use crate::audit::Actor;
use crate::error::ApiError;

/// A team. An enterprise account is a team that other teams belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its uuid.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The enterprise account it belongs to.
    pub parent: Option<Uuid>,
}

/// Makes a team.
///
/// # Errors
/// 409 when the name is taken, 422 when it is empty, 404 when there is no such enterprise account.
pub async fn create(
    app: &App,
    actor: &Actor,
    name: &str,
    enterprise: Option<&str>,
) -> Result<Team, ApiError> {
    if name.trim().is_empty() || name.len() > 64 {
        return Err(ApiError::invalid_field("$.name", "Give the team a name of at most 64 bytes."));
    }
    let mut tx = app.store.begin().await?;
    let parent = match enterprise {
        Some(name) => Some(store::find_by_name(&*tx, name).await?.ok_or_else(ApiError::not_found)?.id),
        None => None,
    };
    if store::find_by_name(&*tx, name).await?.is_some() {
        return Err(ApiError::conflict(format!("There is already a team named `{name}`.")));
    }
    let team = Team { id: app.entropy.uuid(), name: name.to_owned(), parent };
    store::insert(&*tx, &team, app.clock.now()).await?;
    tx.audit(entry(actor, "platform.team_created", team.id));
    tx.commit().await?;
    Ok(team)
}

/// Puts a person into a team, or changes what they are there.
///
/// # Errors
/// 404 when there is no such team.
pub async fn set_member(
    app: &App,
    actor: &Actor,
    team: &str,
    person: &Person,
    admin: bool,
) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    let team = store::find_by_name(&*tx, team).await?.ok_or_else(ApiError::not_found)?;
    store::set_member(&*tx, app.entropy.uuid(), team.id, person.id, admin, app.clock.now()).await?;
    tx.audit(entry(actor, "platform.member_set", team.id));
    api_keys::end_of_person(app, &mut tx, actor, person.id).await?;
    Ok(tx.commit().await?)
}

/// Lets a person work on an app, or changes what they may do there.
///
/// # Errors
/// Those of the database.
pub async fn set_collaborator(
    app: &App,
    actor: &Actor,
    on: &PlatformApp,
    person: &Person,
    permissions: Permissions,
) -> Result<(), ApiError> {
    let mut tx = app.store.begin().await?;
    let (row, now) = (app.entropy.uuid(), app.clock.now());
    store::set_collaborator(&*tx, row, on.app.id, person.id, permissions, now).await?;
    let detail = format!("{} on {}", permissions.words().join(", "), on.app.name);
    let mut what = entry(actor, "platform.collaborator_set", person.id);
    what.detail = detail;
    tx.audit(what);
    api_keys::end_of_person(app, &mut tx, actor, person.id).await?;
    Ok(tx.commit().await?)
}

/// Takes a person off an app; `false` when they were not on it.
///
/// # Errors
/// Those of the database.
pub async fn remove_collaborator(
    app: &App,
    actor: &Actor,
    on: &PlatformApp,
    person: &Person,
) -> Result<bool, ApiError> {
    let mut tx = app.store.begin().await?;
    let removed = store::remove_collaborator(&*tx, on.app.id, person.id).await?;
    let mut what = entry(actor, "platform.collaborator_removed", person.id);
    what.detail.clone_from(&on.app.name);
    tx.audit(what);
    api_keys::end_of_person(app, &mut tx, actor, person.id).await?;
    tx.commit().await?;
    Ok(removed)
}
