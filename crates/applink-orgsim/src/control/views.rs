//! What the org is and has.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::sweep as sweeper;
use crate::metadata::component::{ComponentType, Definition, ExternalServiceRegistration};
use crate::metadata::components;
use crate::metadata::{deployment, worker};
use crate::rest;
use crate::services::{Operation, Service};
use crate::state::OrgState;
use crate::stretch::Stretch;
use crate::users;

pub(super) async fn org(State(state): State<OrgState>) -> Json<Value> {
    let identity = state.identity();
    Json(json!({
        "org_id": identity.org_id,
        "name": identity.name,
        "kind": identity.kind.name(),
        "url": state.base(),
        "api_version": state.api_version(),
        "key_id": state.signing_key().kid(),
    }))
}

pub(super) async fn users(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let users = state.db().read(|tx| {
        let mut list = Vec::new();
        for user in users::all(tx)? {
            let sets = super::permission_sets::held_by(tx, &user.id)?;
            list.push(json!({
                "user_id": user.id,
                "username": user.username,
                "name": user.name,
                "profile": user.profile,
                "active": user.is_active,
                "permission_sets": sets,
            }));
        }
        Ok::<_, Failure>(list)
    })?;
    Ok(Json(Value::Array(users)))
}

/// The registered services with their operations.
pub(super) async fn services(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let services = state.db().read(|tx| {
        let all = components::definitions(tx, ComponentType::ExternalServiceRegistration)?;
        all.iter()
            .map(|(name, definition)| service(tx, name, definition))
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    Ok(Json(Value::Array(services)))
}

fn service(tx: &Tx<'_>, name: &str, definition: &Definition) -> Result<Value, Failure> {
    let Definition::ExternalServiceRegistration(registration) = definition else { return Ok(Value::Null) };
    let credential = registration.named_credential.as_deref().unwrap_or_default();
    let endpoint = components::named_credential(tx, credential)?.and_then(|credential| credential.url);
    let service = registration.schema.as_deref().and_then(|schema| Service::read(schema).ok());
    let operations: Vec<Value> = service
        .iter()
        .flat_map(|service| &service.operations)
        .map(|each| operation(registration, each))
        .collect();
    Ok(json!({
        "name": name,
        "label": registration.label,
        "status": registration.status,
        "provider_type": registration.provider_type,
        "addon_uuid": registration.provider,
        "app_uuid": registration.provider_asset,
        "description": registration.description,
        "named_credential": credential,
        "endpoint": endpoint,
        "operations": operations,
    }))
}

fn operation(registration: &ExternalServiceRegistration, operation: &Operation) -> Value {
    json!({
        "name": operation.name,
        "summary": operation.summary,
        "method": operation.method.as_str(),
        "path": operation.path,
        "active": registration.is_active(&operation.name),
        "permission_set": operation.authorization.permission_set,
        "external_client_app": operation.authorization.external_client_app,
        "connected_app": operation.authorization.connected_app,
        "callbacks": operation.callbacks.iter().map(|callback| callback.name.as_str()).collect::<Vec<_>>(),
    })
}

pub(super) async fn deployments(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let all = state.db().read(|tx| deployment::newest(tx, Stretch::first(200)))?;
    Ok(Json(all.iter().map(|deployment| deployment.to_json(true)).collect()))
}

/// Moves the oldest unfinished deployment on by one state; for orgs whose deployments are stepped by hand.
pub(super) async fn step_deployment(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let moved = worker::step(&state).await?;
    Ok(Json(json!({"moved": moved})))
}

/// Moves the oldest unfinished bulk job on by one state, likewise.
pub(super) async fn step_job(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let moved = state.call(rest::step_bulk_jobs).await?;
    Ok(Json(json!({"moved": moved})))
}

/// Ends at once what is over by the org's clock.
pub(super) async fn sweep(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    sweeper::sweep(state.db(), false)?;
    Ok(Json(json!({"swept": true})))
}
