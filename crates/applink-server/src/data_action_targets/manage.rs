//! Making, rotating and removing targets: what is checked and written; the reconciler does the rest.

use applink_api::data_action_target::{CreateDataActionTarget, DataActionTarget, HerokuApp};
use applink_api::headers::APP_UUID;
use applink_api::ids::AddonId;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use http::HeaderMap;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::flow::{self, State, Target};
use super::targets;
use crate::addons::{self, AttachedApp};
use crate::app::App;
use crate::audit::Entry;
use crate::connections;
use crate::credentials::{self, Credential, Kind};
use crate::db::StoreError;
use crate::error::ApiError;
use crate::removals;
use crate::web::auth::RequireManager;

/// A label may have this many characters.
const LONGEST_LABEL: usize = 80;

/// The app a target is to point at: the one that is named, and no guess.
///
/// # Errors
/// 422 naming `HEROKU_APP_ID`.
pub(super) fn named_app<'a>(
    manager: &'a RequireManager,
    headers: &HeaderMap,
) -> Result<&'a AttachedApp, ApiError> {
    let named = manager.app.as_ref().filter(|_| headers.contains_key(APP_UUID));
    named.ok_or_else(|| {
        ApiError::validation(
            "Which app is to be called? Set HEROKU_APP_ID to the app's id (it is sent as x-app-uuid), for example with \
             heroku config:set HEROKU_APP_ID=\"$(heroku apps:info --json | jq -r '.app.id')\", then try again.",
        )
    })
}

/// Writes the row of a new target.
///
/// # Errors
/// 404 when there is no such connection, 422 when it is none of Data Cloud, is not connected, or a field won't do, 409
/// when it has a target of this name.
pub(crate) async fn create(
    app: &App,
    manager: &RequireManager,
    pointed_at: &AttachedApp,
    named: &str,
    request: CreateDataActionTarget,
) -> Result<(Target, Credential), ApiError> {
    let connection = connections::connected(app, manager.addon.id, named).await?;
    let mut target = checked(app, manager, pointed_at, &connection, request)?;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, manager.addon.id).await?;
    removals::refuse_if_begun(&tx, manager.addon.id).await?;
    // It may have been disconnected meanwhile.
    let current = credentials::store::find_by_id(&*tx, manager.addon.id, connection.id).await?;
    let current = current.filter(|current| current.live().is_some()).ok_or_else(ApiError::not_found)?;
    refuse_a_second(&tx, &target).await?;
    let existing = targets::find(&*tx, manager.addon.id, current.id, &target.api_name).await?;
    match existing.as_ref().map(|existing| &existing.state) {
        None => targets::insert(&*tx, &target).await?,
        // What failed is tried again under its id.
        Some(State::CreationFailed(_)) => {
            target.id = existing.as_ref().map_or(target.id, |existing| existing.id);
            ensure_same_endpoint(existing.as_ref(), &target)?;
            targets::save(&*tx, &target).await?;
        }
        Some(_) => {
            return Err(ApiError::conflict(format!(
                "The connection `{}` has a data action target `{}` already: choose another API name with --api-name.",
                current.name, target.api_name
            )));
        }
    }
    audit(&mut tx, manager, "data_action_target.requested", &target);
    tx.commit().await?;
    app.nudges.data_action_targets.notify_one();
    Ok((target, current))
}

/// The org may have what failed here, and only by its URL is that known as ours: it is to be removed first.
fn ensure_same_endpoint(failed: Option<&Target>, target: &Target) -> Result<(), ApiError> {
    match failed {
        Some(failed) if failed.endpoint != target.endpoint => Err(ApiError::conflict(format!(
            "The data action target `{}` failed before, and was to call {}: remove it first (datacloud:data-action-target:remove), or choose another API name with --api-name.",
            target.api_name, failed.endpoint
        ))),
        _ => Ok(()),
    }
}

/// An org has one target of a name, so another connection of the add-on to it can't have it too.
async fn refuse_a_second(tx: &crate::db::Tx, target: &Target) -> Result<(), ApiError> {
    let all = targets::in_org(&**tx, target.addon, (&target.org_id, &target.api_name)).await?;
    let Some(other) = all.iter().find(|other| other.connection != target.connection) else { return Ok(()) };
    let through = credentials::store::find_by_id(&**tx, target.addon, other.connection).await?;
    Err(ApiError::conflict(format!(
        "There is a data action target `{}` in this org already, through the connection `{}`: choose another API name with --api-name, or remove that one.",
        target.api_name,
        through.map_or_else(String::new, |connection| connection.name)
    )))
}

fn checked(
    app: &App,
    manager: &RequireManager,
    pointed_at: &AttachedApp,
    connection: &Credential,
    request: CreateDataActionTarget,
) -> Result<Target, ApiError> {
    let Some(org) = connection.live().filter(|_| connection.org_type == OrgType::DataCloudOrg) else {
        return Err(ApiError::validation(format!(
            "The connection `{}` is to a Salesforce org; data action targets are Data Cloud's: connect it with `applink datacloud:connect`.",
            connection.name
        )));
    };
    if request.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("webhook")) {
        return Err(ApiError::invalid_field("$.type", "The only type of data action target is `webhook`."));
    }
    let label = request.label.trim();
    if label.is_empty() || label.chars().count() > LONGEST_LABEL || label.contains(char::is_control) {
        return Err(ApiError::invalid_field("$.label", "A label has 1 to 80 characters."));
    }
    let api_name = request.api_name.unwrap_or_else(|| flow::api_name_of(label));
    if let Some(rule) = flow::broken_name_rule(&api_name) {
        let shown: String = api_name.chars().take(40).collect();
        let message = format!("`{shown}` is not a valid API name: {rule}. Choose another with --api-name.");
        return Err(ApiError::invalid_field("$.api_name", message));
    }
    let url = pointed_at.url.as_deref().ok_or_else(|| {
        ApiError::validation(format!(
            "The app `{}` has no URL yet, so nothing can call it: set it with `applink admin:apps:set-url`.",
            pointed_at.name
        ))
    })?;
    let endpoint = flow::endpoint(url, &request.target_endpoint, &api_name, &org.org_id);
    let endpoint = endpoint.map_err(|rule| {
        ApiError::invalid_field("$.target_endpoint", format!("The path can't be called: {rule}."))
    })?;
    let now = app.clock.now();
    Ok(Target {
        id: app.entropy.uuid(),
        addon: manager.addon.id,
        connection: connection.id,
        app: pointed_at.id,
        app_name: pointed_at.name.clone(),
        app_url: pointed_at.url.clone(),
        org_id: org.org_id.clone(),
        api_name,
        label: label.to_owned(),
        path: request.target_endpoint,
        endpoint,
        state: State::Pending,
        kept: None,
        key_made_at: None,
        failures: 0,
        due_at: Some(flow::AT_ONCE),
        state_since: now,
        created_at: now,
        created_by: manager.actor.name.clone(),
        last_modified_at: now,
    })
}

/// Asks for another signing key; the present one counts on for a while.
///
/// # Errors
/// 404 when there is no such target, 409 when it has no key yet, or is going.
pub(crate) async fn rotate(
    app: &App,
    manager: &RequireManager,
    named: (&str, &str),
) -> Result<(Target, Credential), ApiError> {
    change(app, manager, named, "data_action_target.key_rotation_requested", |target, now| {
        match target.state {
            State::Created => {
                flow::enter(target, State::GeneratingSigningKey, now);
                Ok(true)
            }
            // It is at it.
            State::GeneratingSigningKey if target.key_made_at.is_some() => Ok(false),
            _ => Err(ApiError::conflict(format!(
                "The data action target `{}` is {}: its key can be rotated once it is created.",
                target.api_name,
                target.state.word()
            ))),
        }
    })
    .await
}

/// Takes it out of the org, and then out of here.
///
/// # Errors
/// 404 when there is no such target.
pub(crate) async fn remove(
    app: &App,
    manager: &RequireManager,
    named: (&str, &str),
) -> Result<(Target, Credential), ApiError> {
    change(app, manager, named, "data_action_target.removal_requested", |target, now| {
        // One that is going is hurried along: its pauses are over.
        flow::enter(target, State::Deleting, now);
        Ok(true)
    })
    .await
}

/// `transition` says whether it changed anything. What a worker is in the middle of is not taken from it: it finds the
/// new state, and leaves the row to whoever comes next.
async fn change(
    app: &App,
    manager: &RequireManager,
    (connection, named): (&str, &str),
    action: &'static str,
    transition: impl FnOnce(&mut Target, Timestamp) -> Result<bool, ApiError>,
) -> Result<(Target, Credential), ApiError> {
    let addon = manager.addon.id;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, addon).await?;
    let (mut target, connection) =
        find(&*tx, addon, connection, named).await?.ok_or_else(ApiError::not_found)?;
    if transition(&mut target, app.clock.now())? {
        targets::save(&*tx, &target).await?;
    }
    audit(&mut tx, manager, action, &target);
    tx.commit().await?;
    app.nudges.data_action_targets.notify_one();
    Ok((target, connection))
}

fn audit(tx: &mut crate::db::Tx, manager: &RequireManager, action: &'static str, target: &Target) {
    let detail = format!("{} at {}", target.api_name, target.app_name);
    tx.audit(Entry::new(&manager.actor, action, target.addon, target.id).with_detail(detail));
}

/// A target by the names of its connection and itself.
pub(super) async fn find(
    reader: &impl ConnectionTrait,
    addon: AddonId,
    connection: &str,
    named: &str,
) -> Result<Option<(Target, Credential)>, StoreError> {
    let found = credentials::store::find(reader, addon, Kind::Connection, connection).await?;
    let Some(connection) = found else { return Ok(None) };
    let target = targets::find(reader, addon, connection.id, named).await?;
    Ok(target.map(|target| (target, connection)))
}

/// A connection goes: its targets go first, since only its grant can take them out of the org. Whether there are any.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn start_removing(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    of: Uuid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let all = targets::list(connection, addon, of).await?;
    for target in &all {
        if target.state != State::Deleting {
            let mut target = target.clone();
            flow::enter(&mut target, State::Deleting, now);
            targets::save(connection, &target).await?;
        }
    }
    Ok(!all.is_empty())
}

/// The official words for a target.
pub(super) fn to_wire(target: &Target, connection: &Credential) -> DataActionTarget {
    DataActionTarget {
        id: target.id,
        api_name: target.api_name.clone(),
        label: target.label.clone(),
        kind: "webhook".to_owned(),
        target_endpoint: target.path.clone(),
        endpoint_url: Some(target.endpoint.clone()),
        status: target.state.status(),
        connection_id: target.connection.into(),
        app_id: target.app,
        heroku_app: HerokuApp { id: target.app, name: target.app_name.clone(), url: target.app_url.clone() },
        org: connections::to_wire(connection, None).org,
        error: target.error().cloned(),
        signing_key_created_at: target.key_made_at,
        created_at: target.created_at,
        created_by: target.created_by.clone(),
        last_modified_at: target.last_modified_at,
    }
}
