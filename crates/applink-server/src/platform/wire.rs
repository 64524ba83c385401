//! Resources as the Platform API writes them (Heroku, "Platform API Reference"), as far as the CLI reads them.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::addons::{PLAN, PlatformAddon, SERVICE, names_of};
use super::apps::PlatformApp;
use super::people::Person;
use super::store::releases;
use super::store::teams::Collaborator;
use crate::addons::{AttachedApp, Attachment};
use applink_api::time::Timestamp;

/// Made up once: the service and its plan have no rows.
const SERVICE_ID: &str = "6a0f5ce4-6f3e-4f3c-9d3c-7b8e2f0a4d11";
const PLAN_ID: &str = "d2c1b6a8-3a52-4a35-8a5f-1f0e9c7b6d22";
const STACK_ID: &str = "f9f9cbd7-2970-41ef-8db5-3df7123b041f";
const REGION_ID: &str = "59accabd-516d-4f0e-83e6-6e3757701145";

fn named(app: &AttachedApp) -> Value {
    json!({"id": app.id, "name": app.name})
}

fn price() -> Value {
    json!({"cents": 0, "contract": false, "metered": false, "unit": "month"})
}

pub(super) fn account(person: &Person) -> Value {
    json!({
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "two_factor_authentication": false,
        "verified": true,
        "delinquent_at": null,
        "suspended_at": null,
    })
}

pub(super) fn app(found: &PlatformApp, base: &str) -> Value {
    let PlatformApp { app, owner, team, created_at } = found;
    let stack = json!({"id": STACK_ID, "name": "container"});
    let team = team.as_ref().map(|team| json!({"id": team.id, "name": team.name}));
    json!({
        "id": app.id,
        "name": app.name,
        "owner": {"id": team.as_ref().map_or(json!(owner.id), |team| team["id"].clone()), "email": found.owner_email()},
        "team": team,
        "organization": team,
        "web_url": app.url.as_ref().map(|url| format!("{url}/")),
        "git_url": format!("{base}/{}.git", app.name),
        "region": {"id": REGION_ID, "name": "local"},
        "stack": stack,
        "build_stack": stack,
        "buildpack_provided_description": null,
        "acm": false,
        "internal_routing": null,
        "maintenance": false,
        "space": null,
        "repo_size": 0,
        "slug_size": null,
        "archived_at": null,
        "released_at": created_at,
        "created_at": created_at,
        "updated_at": created_at,
    })
}

pub(super) fn addon(found: &PlatformAddon) -> Value {
    let PlatformAddon { addon, app, state, created_at, updated_at, .. } = found;
    json!({
        "id": addon.id,
        "name": addon.name,
        "provider_id": addon.id,
        "state": state.as_str(),
        "app": named(app),
        "addon_service": {"id": SERVICE_ID, "name": SERVICE, "human_name": "Heroku AppLink", "state": "ga"},
        "plan": {
            "id": PLAN_ID,
            "name": PLAN,
            "human_name": "Local",
            "description": "AppLink, run by yourself",
            "price": price(),
        },
        "billed_price": price(),
        "billing_entity": {"id": app.id, "name": app.name, "type": "app"},
        "config_vars": found.config_vars(),
        "actions": [],
        "provision_message": null,
        "web_url": null,
        "created_at": created_at,
        "updated_at": updated_at,
    })
}

pub(super) fn attachment(
    found: &Attachment,
    owner: &AttachedApp,
    created_at: Option<Timestamp>,
    web_url: &SecretString,
) -> Value {
    let plan = json!({"id": PLAN_ID, "name": PLAN});
    json!({
        "id": found.id,
        "name": found.prefix,
        "namespace": null,
        "addon": {"id": found.addon.id, "name": found.addon.name, "app": named(owner), "plan": plan},
        "app": named(&found.app),
        "config_vars": names_of(&found.prefix),
        "log_input_url": null,
        "web_url": web_url.expose_secret(),
        "created_at": created_at,
        "updated_at": created_at,
    })
}

pub(super) fn release(row: &releases::Model, of: &AttachedApp, is_current: bool) -> Value {
    let at = Timestamp::from_micros(row.created_at);
    json!({
        "id": row.id.to_string(),
        "version": row.version,
        "status": "succeeded",
        "current": is_current,
        "description": row.description,
        "user": {"email": row.by_email},
        "app": named(of),
        "created_at": at,
        "updated_at": at,
    })
}

pub(super) fn owner(of: &PlatformApp) -> Value {
    json!({
        "id": of.owner.id,
        "app": named(&of.app),
        "user": {"id": of.owner.id, "email": of.owner_email()},
        "role": "owner",
        "permissions": [],
        "created_at": of.created_at,
        "updated_at": of.created_at,
    })
}

pub(super) fn collaborator(found: &Collaborator, of: &AttachedApp) -> Value {
    let permissions: Vec<Value> =
        found.permissions.words().into_iter().map(|word| json!({"name": word, "description": ""})).collect();
    json!({
        "id": found.id,
        "app": named(of),
        "user": {"id": found.person.id, "email": found.person.email},
        "role": "collaborator",
        "permissions": permissions,
        "created_at": found.created_at,
        "updated_at": found.created_at,
    })
}
