//! A person removes a connection or an authorization.

use super::{Credential, Kind, flow, store, write};
use crate::addons;
use crate::app::App;
use crate::audit::Entry;
use crate::data_action_targets;
use crate::error::ApiError;
use crate::oauth;
use crate::tokens;
use crate::web::auth::RequireManager;

/// Takes it out of use at once; its grants are revoked at the org by the reconciler.
///
/// # Errors
/// 404 when there is none of this name.
pub async fn disconnect(
    app: &App,
    manager: &RequireManager,
    kind: Kind,
    named: &str,
) -> Result<Credential, ApiError> {
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    let found = store::find(&*tx, manager.addon.id, kind, named).await?;
    let mut credential = found.ok_or_else(ApiError::not_found)?;
    flow::disconnect(&mut credential, &manager.actor.name, app.clock.now());
    oauth::store::forget(&*tx, credential.id).await?;
    // Only its grant can take its data action targets out of the org: they go first.
    let now = app.clock.now();
    if !data_action_targets::manage::start_removing(&*tx, credential.addon, credential.id, now).await? {
        tokens::store::start_revoking(&*tx, credential.id).await?;
    }
    write::save(&tx, &credential).await?;
    let action = match kind {
        Kind::Connection => "connection.disconnect",
        Kind::Authorization => "authorization.disconnect",
    };
    tx.audit(
        Entry::new(&manager.actor, action, credential.addon, credential.id).with_detail(&credential.name),
    );
    app.commit_change(tx, credential.id).await?;
    app.nudges.data_action_targets.notify_one();
    Ok(credential)
}
