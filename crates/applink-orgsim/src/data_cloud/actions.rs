//! Data actions: which changes of which objects are told to which targets.

use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::caller::{OrgRefusal, json_body, of_org};
use super::rows::ChangeKind;
use super::streams::{self, API_NAME, Stream, is_api_name};
use super::{problem::TenantError, targets};
use crate::db::Tx;
use crate::state::OrgState;

/// A data action, as it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Action {
    pub(super) developer_name: String,
    #[serde(default)]
    data_action_name: Option<String>,
    #[serde(default)]
    master_label: Option<String>,
    #[serde(default)]
    dataspace: Option<String>,
    #[serde(rename = "dataActionTargetNames")]
    pub(super) target_names: Vec<String>,
    #[serde(rename = "dataActionSources")]
    sources: Vec<Source>,
}

/// An object whose changes it wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    source_name: String,
    #[serde(default)]
    source_type: Option<String>,
    /// `INSERT`, `UPDATE`, `DELETE`; all of them when none is named.
    #[serde(default)]
    source_cdc_subscriptions: Vec<String>,
}

impl Action {
    pub(super) fn listens_to(&self, stream: &Stream) -> bool {
        self.sources.iter().any(|source| stream.is_called(&source.source_name))
    }

    pub(super) fn wants(&self, stream: &Stream, kind: ChangeKind) -> bool {
        self.sources.iter().filter(|source| stream.is_called(&source.source_name)).any(|source| {
            let named = &source.source_cdc_subscriptions;
            named.is_empty() || named.iter().any(|name| name.eq_ignore_ascii_case(kind.name()))
        })
    }

    /// The object's name as the action has it.
    pub(super) fn source_of(&self, stream: &Stream) -> String {
        let found = self.sources.iter().find(|source| stream.is_called(&source.source_name));
        found.map_or_else(|| stream.model_object(), |source| source.source_name.clone())
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), OrgRefusal> {
        if !is_api_name(&self.developer_name) {
            let name = &self.developer_name;
            return Err(OrgRefusal::invalid(format!("developerName: {name:?} is no API name ({API_NAME})")));
        }
        if self.sources.is_empty() || self.target_names.is_empty() {
            return Err(OrgRefusal::invalid(
                "dataActionSources and dataActionTargetNames: each needs one at least",
            ));
        }
        let all = streams::all(tx)?;
        for source in &self.sources {
            if !all.iter().any(|(stream, _)| stream.is_called(&source.source_name)) {
                return Err(OrgRefusal::invalid(format!(
                    "dataActionSources: there is no object {:?}; there are {}",
                    source.source_name,
                    all.iter().map(|(stream, _)| stream.model_object()).collect::<Vec<_>>().join(", ")
                )));
            }
            let known = [ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete].map(ChangeKind::name);
            let is_known = |name: &String| known.iter().any(|known| known.eq_ignore_ascii_case(name));
            if let Some(unknown) = source.source_cdc_subscriptions.iter().find(|name| !is_known(name)) {
                return Err(OrgRefusal::invalid(format!(
                    "sourceCdcSubscriptions: {unknown:?} is none of INSERT, UPDATE, DELETE"
                )));
            }
        }
        for target in &self.target_names {
            targets::find(tx, target)?.ok_or_else(|| {
                OrgRefusal::invalid(format!(
                    "dataActionTargetNames: there is no target {target:?}; make it first (data-action-targets)"
                ))
            })?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        shown["status"] = json!("Active");
        shown
    }
}

/// `POST …/ssot/data-actions`.
pub(super) async fn create(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let action: Action = json_body(&body)?;
            state.db().write(|tx| save(tx, &action))?;
            Ok((StatusCode::CREATED, Json(action.to_json())))
        })
        .await
}

pub(super) fn save(tx: &Tx<'_>, action: &Action) -> Result<(), OrgRefusal> {
    action.check(tx)?;
    if find(tx, &action.developer_name)?.is_some() {
        return Err(OrgRefusal::duplicate(format!(
            "developerName: there is a data action {:?} already",
            action.developer_name
        )));
    }
    tx.execute(
        "INSERT INTO _dc_action (developer_name, definition, created_micros) VALUES (?1, ?2, ?3)",
        (&action.developer_name, serde_json::to_string(action)?, tx.now_micros()),
    )?;
    Ok(())
}

/// `GET …/ssot/data-actions`.
pub(super) async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let actions = state.db().read(all)?;
            Ok(Json(json!({"dataActions": actions.iter().map(Action::to_json).collect::<Vec<_>>()})))
        })
        .await
}

/// `GET …/ssot/data-actions/{name}`.
pub(super) async fn show(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let found = state.db().read(|tx| find(tx, &name))?;
            Ok(Json(found.ok_or_else(|| OrgRefusal::not_found("There is no such data action"))?.to_json()))
        })
        .await
}

/// `DELETE …/ssot/data-actions/{name}`.
pub(super) async fn remove(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            state.db().write(|tx| forget(tx, &name))?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

pub(super) fn forget(tx: &Tx<'_>, name: &str) -> Result<(), OrgRefusal> {
    match tx.execute("DELETE FROM _dc_action WHERE developer_name = ?1", [name])? {
        0 => Err(OrgRefusal::not_found("There is no such data action")),
        _ => Ok(()),
    }
}

/// All data actions, by name.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Action>, TenantError> {
    let mut statement = tx.prepare_cached("SELECT definition FROM _dc_action ORDER BY developer_name")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut actions = Vec::new();
    for definition in rows {
        actions.push(serde_json::from_str(&definition?)?);
    }
    Ok(actions)
}

fn find(tx: &Tx<'_>, name: &str) -> Result<Option<Action>, OrgRefusal> {
    let definition: Option<String> = tx
        .query_row("SELECT definition FROM _dc_action WHERE developer_name = ?1", [name], |row| row.get(0))
        .optional()?;
    Ok(definition.map(|definition| serde_json::from_str(&definition)).transpose()?)
}

impl Action {
    fn uses(&self, target: &str) -> bool {
        self.target_names.iter().any(|name| name.eq_ignore_ascii_case(target))
    }
}

/// Whether a data action names this target.
pub(super) fn is_used(tx: &Tx<'_>, target: &str) -> Result<bool, TenantError> {
    Ok(all(tx)?.iter().any(|action| action.uses(target)))
}

/// Takes a target out of every data action; one that is left without any goes.
pub(super) fn take_out(tx: &Tx<'_>, target: &str) -> Result<(), OrgRefusal> {
    for mut action in all(tx)?.into_iter().filter(|action| action.uses(target)) {
        action.target_names.retain(|name| !name.eq_ignore_ascii_case(target));
        if action.target_names.is_empty() {
            forget(tx, &action.developer_name)?;
        } else {
            tx.execute(
                "UPDATE _dc_action SET definition = ?2 WHERE developer_name = ?1",
                (&action.developer_name, serde_json::to_string(&action)?),
            )?;
        }
    }
    Ok(())
}
