//! Data action targets: webhooks, each with a signing key that is made on request and shown that once.
//!
//! A new target is `Processing` until the worker has set it up, `Active` from then on. It has no key at first, and until
//! it has one nothing is sent to it.

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rusqlite::{OptionalExtension, Row};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::caller::{OrgRefusal, json_body, of_org};
use super::streams::{API_NAME, is_api_name};
use super::{actions, problem::TenantError};
use crate::db::{DbError, Tx};
use crate::state::OrgState;
use crate::{secrets, times};

/// Targets of one page.
const PAGE: usize = 25;
const LONGEST_LABEL: usize = 80;

/// A target.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) api_name: String,
    label: String,
    kind: String,
    sub_type: Option<String>,
    pub(super) endpoint: String,
    pub(super) status: String,
    /// It signs what is sent, so it is kept as it is.
    pub(super) signing_key: Option<SecretString>,
    created_micros: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewTarget {
    api_name: String,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    sub_type: Option<String>,
    config: NewConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewConfig {
    target_endpoint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paging {
    batch_size: Option<usize>,
    offset: Option<usize>,
}

impl NewTarget {
    fn check(&self) -> Result<(), OrgRefusal> {
        if !is_api_name(&self.api_name) {
            let name = &self.api_name;
            return Err(OrgRefusal::invalid(format!("apiName: {name:?} is no API name ({API_NAME})")));
        }
        if self.label.is_empty() || self.label.chars().count() > LONGEST_LABEL {
            return Err(OrgRefusal::invalid("label: a label has 1 to 80 characters"));
        }
        if !self.kind.eq_ignore_ascii_case("WebHook") {
            return Err(OrgRefusal::invalid("type: only WebHook targets are simulated"));
        }
        let url = Url::parse(&self.config.target_endpoint).ok().filter(|url| url.has_host());
        match url.map(|url| url.scheme().to_owned()).as_deref() {
            Some("http" | "https") => Ok(()),
            _ => Err(OrgRefusal::invalid("config.targetEndpoint: expected an http or https URL")),
        }
    }
}

/// `POST …/ssot/data-action-targets`.
pub(super) async fn create(
    State(state): State<OrgState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let new: NewTarget = json_body(&body)?;
            new.check()?;
            let made = state.db().write(|tx| {
                if find(tx, &new.api_name)?.is_some() {
                    return Err(OrgRefusal::duplicate(format!(
                        "apiName: there is a data action target {:?} already",
                        new.api_name
                    )));
                }
                tx.execute(
                    "INSERT INTO _dc_target (api_name, label, type, sub_type, endpoint, status, created_micros) \
                     VALUES (?1, ?2, 'WEBHOOK', ?3, ?4, 'Processing', ?5)",
                    (&new.api_name, &new.label, &new.sub_type, &new.config.target_endpoint, tx.now_micros()),
                )?;
                Ok(find(tx, &new.api_name)?)
            })?;
            state.data_cloud().due.notify_one();
            Ok(Json(made.map(|target| target.to_json()).unwrap_or_default()))
        })
        .await
}

/// `GET …/ssot/data-action-targets`.
pub(super) async fn list(
    State(state): State<OrgState>,
    Path(version): Path<String>,
    Query(paging): Query<Paging>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let targets = state.db().read(all)?;
            let (size, offset) =
                (paging.batch_size.unwrap_or(PAGE).clamp(1, 200), paging.offset.unwrap_or(0));
            let url = |offset| {
                format!("/services/data/{version}/ssot/data-action-targets?batchSize={size}&offset={offset}")
            };
            let next = (targets.len() > offset.saturating_add(size)).then(|| url(offset + size));
            let shown: Vec<Value> = targets.iter().skip(offset).take(size).map(Target::to_json).collect();
            Ok(Json(json!({"currentPageUrl": url(offset), "dataActionTargets": shown, "nextPageUrl": next})))
        })
        .await
}

/// `GET …/ssot/data-action-targets/{name}`.
pub(super) async fn show(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let found = state.db().read(|tx| find(tx, &name))?;
            Ok(Json(found.ok_or_else(no_such_target)?.to_json()))
        })
        .await
}

/// `DELETE …/ssot/data-action-targets/{name}`. One that a data action names is kept by it, or taken out of it, as the org is
/// set up.
pub(super) async fn remove(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            state.db().write(|tx| {
                let target = find(tx, &name)?.ok_or_else(no_such_target)?;
                if state.limits().data_cloud.keeps_used_targets && actions::is_used(tx, &target.api_name)? {
                    return Err(OrgRefusal::invalid(format!(
                        "The target {} is used by a data action; delete that first",
                        target.api_name
                    )));
                }
                actions::take_out(tx, &target.api_name)?;
                tx.execute("DELETE FROM _dc_target WHERE api_name = ?1", [&target.api_name])?;
                tx.execute(
                    "UPDATE _dc_delivery SET state = 'failed', trouble = 'The target was deleted', ended_micros = ?2 \
                     WHERE target = ?1 AND state = 'pending'",
                    (&target.api_name, tx.now_micros()),
                )?;
                Ok(StatusCode::NO_CONTENT)
            })
        })
        .await
}

/// `POST …/ssot/data-action-targets/{name}/signing-key`: makes one, in the place of the one there was.
pub(super) async fn new_key(
    State(state): State<OrgState>,
    Path((_, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, OrgRefusal> {
    state
        .call(move |state| {
            of_org(state, &headers)?;
            let key = replace_key(state, &name)?;
            Ok(Json(json!({"signingAlgorithm": "HMACSHA256", "signingKey": key.expose_secret()})))
        })
        .await
}

pub(super) fn replace_key(state: &OrgState, name: &str) -> Result<SecretString, OrgRefusal> {
    let key = secrets::handle(state.entropy());
    let changed = state.db().write(|tx| {
        let sql = "UPDATE _dc_target SET signing_key = ?2 WHERE api_name = ?1";
        Ok::<_, OrgRefusal>(tx.execute(sql, (name, &key))?)
    })?;
    if changed == 0 { Err(no_such_target()) } else { Ok(key.into()) }
}

fn no_such_target() -> OrgRefusal {
    OrgRefusal::not_found("There is no such data action target")
}

impl Target {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "apiName": self.api_name,
            "label": self.label,
            "type": self.kind,
            "subType": self.sub_type,
            "status": self.status,
            "config": {"targetEndpoint": self.endpoint},
            "createdDate": times::rfc3339(self.created_micros),
        })
    }
}

const SELECT: &str =
    "SELECT api_name, label, type, sub_type, endpoint, status, signing_key, created_micros FROM _dc_target";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Target> {
    let key: Option<String> = row.get(6)?;
    Ok(Target {
        api_name: row.get(0)?,
        label: row.get(1)?,
        kind: row.get(2)?,
        sub_type: row.get(3)?,
        endpoint: row.get(4)?,
        status: row.get(5)?,
        signing_key: key.map(SecretString::from),
        created_micros: row.get(7)?,
    })
}

/// All targets, by name.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Target>, DbError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY api_name"))?;
    let targets = statement.query_map([], from_row)?;
    Ok(targets.collect::<rusqlite::Result<_>>()?)
}

/// The target of a name.
pub(super) fn find(tx: &Tx<'_>, name: &str) -> Result<Option<Target>, TenantError> {
    let found = tx.query_row(&format!("{SELECT} WHERE api_name = ?1"), [name], from_row).optional()?;
    Ok(found)
}

/// Sets one new target up; `false` when there is none.
pub(super) fn set_up(tx: &Tx<'_>) -> Result<bool, TenantError> {
    let changed = tx.execute(
        "UPDATE _dc_target SET status = 'Active' WHERE api_name = \
         (SELECT api_name FROM _dc_target WHERE status = 'Processing' ORDER BY created_micros LIMIT 1)",
        [],
    )?;
    Ok(changed > 0)
}

/// The base64 of the HMAC-SHA256 of these very bytes.
pub(super) fn sign(key: &SecretString, body: &[u8]) -> String {
    secrets::hmac_base64(key.expose_secret(), body)
}
