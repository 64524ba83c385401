//! What Heroku calls: `/heroku/resources…`.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use axum::extract::State as Shared;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::RequireHeroku;
use super::flow::{GRANT_LIFETIME, State};
use super::store::{self, Held, Model};
use super::sync::free_name;
use crate::addons::{self, Addon, provision};
use crate::app::App;
use crate::audit::Entry;
use crate::error::ApiError;
use crate::removals;
use crate::vault::{SealedToken, ServerPlace};
use crate::web::auth::hash_of;
use crate::web::{ApiJson, ApiPath, Json};

/// Body of `POST /heroku/resources`, as far as we read it.
#[derive(Debug, Deserialize)]
pub struct Provision {
    uuid: Uuid,
    name: String,
    plan: String,
    region: Option<String>,
    oauth_grant: Grant,
}

#[derive(Debug, Deserialize)]
struct Grant {
    #[serde(with = "applink_api::secret::wire")]
    code: SecretString,
    expires_at: Option<Timestamp>,
}

type Answer = Result<(StatusCode, Json<Value>), ApiError>;

/// `POST /heroku/resources`: 202, and the same again for the same uuid. What comes after is the reconciler's.
pub async fn provision_resource(
    Shared(app): Shared<App>,
    heroku: RequireHeroku,
    ApiJson(body): ApiJson<Provision>,
) -> Answer {
    ensure_plan(&app, &body.plan)?;
    let addon = AddonId(body.uuid);
    if is_known(&app, addon).await? {
        asked_again(&app, addon, &body).await?;
    } else {
        let made = create(&app, &heroku, addon, &body).await;
        // The same request may have come twice at once: then the other one made it.
        let is_taken = made.as_ref().is_err_and(|error| error.status() == StatusCode::CONFLICT);
        if !(is_taken && is_known(&app, addon).await?) {
            made?;
        }
    }
    app.nudges.provider.notify_one();
    let message = "Your AppLink add-on is being provisioned; its config vars appear when it is ready.";
    Ok((StatusCode::ACCEPTED, Json(json!({"id": addon, "message": message}))))
}

async fn is_known(app: &App, addon: AddonId) -> Result<bool, ApiError> {
    Ok(store::find(app.store.reader(), addon).await?.is_some())
}

fn ensure_plan(app: &App, plan: &str) -> Result<(), ApiError> {
    match &app.config.provider {
        Some(config) if config.has_plan(plan) => Ok(()),
        _ => Err(ApiError::invalid_field("$.plan", format!("There is no plan `{plan}`."))),
    }
}

async fn create(app: &App, heroku: &RequireHeroku, addon: AddonId, body: &Provision) -> Result<(), ApiError> {
    let now = app.clock.now();
    let token = provision::new_token(app);
    let row = Model {
        id: addon.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        name: body.name.clone(),
        plan: body.plan.clone(),
        region: body.region.clone(),
        state: State::Provisioning.as_str().to_owned(),
        due_at: Some(removals::AT_ONCE.as_micros()),
        attempts: 0,
        trouble: None,
        token_hash: hash_of(&token),
        addon_token: Some(seal(app, addon, "addon_token", &token).await?),
        grant_code: Some(seal(app, addon, "grant_code", &body.oauth_grant.code).await?),
        grant_expires_at: Some(grant_end(app, body).as_micros()),
        access_token: None,
        refresh_token: None,
        token_expires_at: None,
        configured: false,
        created_at: now.as_micros(),
        updated_at: now.as_micros(),
    };
    let mut tx = app.store.begin().await?;
    let tenant = Addon { id: addon, name: free_name(&*tx, &body.name, addon).await? };
    let inserted = addons::store::insert_addon(&*tx, &tenant, now.as_micros()).await;
    if inserted.as_ref().is_err_and(crate::db::StoreError::is_duplicate) {
        return Err(ApiError::conflict("There is already an add-on with this uuid."));
    }
    inserted?;
    app.vault.create_data_key(&tx, addon).await?;
    store::insert(&*tx, row).await?;
    let detail = format!("{}, plan {}", body.name, body.plan);
    tx.audit(Entry::new(&heroku.actor, "addon.created", addon, addon.0).with_detail(detail));
    Ok(tx.commit().await?)
}

fn grant_end(app: &App, body: &Provision) -> Timestamp {
    body.oauth_grant.expires_at.unwrap_or_else(|| app.clock.now().plus(GRANT_LIFETIME))
}

async fn seal(
    app: &App,
    addon: AddonId,
    column: &'static str,
    secret: &SecretString,
) -> Result<SealedToken, ApiError> {
    let place = ServerPlace { table: store::TABLE, row: addon.0, column };
    Ok(app.vault.seal_for_server(place, secret).await?)
}

/// Heroku delivers at least once. A grant that came with the repetition is of use while there are no tokens yet: the
/// first one may have been spent in vain. Whoever is at a step at this moment is left alone.
async fn asked_again(app: &App, addon: AddonId, body: &Provision) -> Result<(), ApiError> {
    let tx = app.store.begin().await?;
    let Some(found) = store::find(&*tx, addon).await? else { return Ok(()) };
    let mut known = Held::from(found);
    let now = app.store.database().lease_now(&*tx).await?;
    if known.lease_until.is_some_and(|until| until > now) {
        return Ok(());
    }
    let state = known.state()?;
    match state {
        State::Deprovisioned => {
            let message = "This resource was deprovisioned: ask for a new one.";
            return Err(ApiError::new(StatusCode::GONE, "gone", message));
        }
        State::Provisioning if known.attempts == 0 => return Ok(()),
        // It was told that it is ready; perhaps that was lost, so it is told again.
        State::Provisioned => {}
        State::Provisioning | State::Failed if known.refresh_token.is_none() => {
            known.grant_code = Some(seal(app, addon, "grant_code", &body.oauth_grant.code).await?);
            known.grant_expires_at = Some(grant_end(app, body).as_micros());
        }
        State::Provisioning | State::Failed => {}
    }
    if state != State::Provisioning {
        State::Provisioning.as_str().clone_into(&mut known.state);
        known.created_at = app.clock.now().as_micros();
    }
    known.due_at = Some(removals::AT_ONCE.as_micros());
    known.attempts = 0;
    known.updated_at = app.clock.now().as_micros();
    store::save(&*tx, &known).await?;
    Ok(tx.commit().await?)
}

/// Body of `PUT /heroku/resources/{id}`.
#[derive(Debug, Deserialize)]
pub struct ChangePlan {
    plan: String,
}

/// `PUT /heroku/resources/{id}`
pub async fn change_plan(
    Shared(app): Shared<App>,
    heroku: RequireHeroku,
    ApiPath(id): ApiPath<String>,
    ApiJson(body): ApiJson<ChangePlan>,
) -> Answer {
    let row = live(&app, &id).await?;
    ensure_plan(&app, &body.plan)?;
    let mut tx = app.store.begin().await?;
    let detail = format!("{} to {}", row.plan, body.plan);
    store::set_plan(&*tx, row.addon(), &body.plan, app.clock.now()).await?;
    tx.audit(Entry::new(&heroku.actor, "addon.plan_changed", row.addon(), row.id.0).with_detail(detail));
    tx.commit().await?;
    let message = format!("The plan is {} now; nothing restarts.", body.plan);
    Ok((StatusCode::OK, Json(json!({"id": row.addon(), "message": message}))))
}

/// The resource of a path. 404 for one that never was, 410 for one that is gone.
async fn live(app: &App, id: &str) -> Result<Model, ApiError> {
    let id: AddonId = id.parse().map_err(|_| ApiError::not_found())?;
    let row = store::find(app.store.reader(), id).await?.ok_or_else(ApiError::not_found)?;
    if row.state()? == State::Deprovisioned {
        return Err(ApiError::new(StatusCode::GONE, "gone", "This resource was deprovisioned already."));
    }
    Ok(row)
}

/// `DELETE /heroku/resources/{id}`: out of use when this is answered. Orgs are cleared up in the background, and what
/// could not be is told under `/operator/removals/{id}`.
pub async fn deprovision_resource(
    Shared(app): Shared<App>,
    heroku: RequireHeroku,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let row = live(&app, &id).await?;
    let mut tx = app.store.begin().await?;
    store::deprovision(&*tx, row.addon(), app.clock.now()).await?;
    if let Some(addon) = addons::store::find_addon(&*tx, row.addon()).await? {
        removals::begin(&app, &mut tx, &heroku.actor, &addon).await?;
    }
    tx.commit().await?;
    app.nudges.removals.notify_one();
    Ok(StatusCode::NO_CONTENT)
}
