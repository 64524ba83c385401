//! Sending events to their target, signed, until it takes them.
//!
//! 2xx: taken. 409: the app has it already (a lost answer), so taken too. Anything else, and no answer: tried again
//! after 1, 2, 4, … seconds, eight times in all. Without a signing key nothing is sent.

use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};

use super::problem::TenantError;
use super::targets;
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::state::OrgState;
use crate::stretch::Stretch;
use crate::times;

const TRIES: i64 = 8;
const LONGEST_PAUSE_SECONDS: i64 = 60;
/// How long an app may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request to a target.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: i64,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) events: i64,
    pub(crate) state: String,
    pub(crate) attempts: i64,
    next_micros: i64,
    pub(crate) status: Option<i64>,
    pub(crate) trouble: Option<String>,
    pub(crate) created_micros: i64,
    ended_micros: Option<i64>,
}

/// How a try ended.
enum Outcome {
    Taken(StatusCode),
    NotTaken(Option<StatusCode>, String),
    NoKey,
}

impl Delivery {
    pub(super) fn to_json(&self) -> Value {
        let body = serde_json::from_str::<Value>(&self.body).unwrap_or_default();
        json!({
            "id": self.id,
            "target": self.target,
            "state": self.state,
            "events": self.events,
            "attempts": self.attempts,
            "answer_status": self.status,
            "trouble": self.trouble,
            "created_at": times::rfc3339(self.created_micros),
            "next_try_at": (self.state == "pending").then(|| times::rfc3339(self.next_micros)),
            "ended_at": self.ended_micros.map(times::rfc3339),
            "body": body,
        })
    }
}

const SELECT: &str = "SELECT id, target, body, events, state, attempts, next_micros, status, trouble, created_micros, \
    ended_micros FROM _dc_delivery";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        target: row.get(1)?,
        body: row.get(2)?,
        events: row.get(3)?,
        state: row.get(4)?,
        attempts: row.get(5)?,
        next_micros: row.get(6)?,
        status: row.get(7)?,
        trouble: row.get(8)?,
        created_micros: row.get(9)?,
        ended_micros: row.get(10)?,
    })
}

/// Those with what is searched for in the target's name, the state or what went wrong.
const FOUND: &str = "WHERE has_words(?1, target, state, trouble)";

/// How many are found.
pub(crate) fn count(tx: &Tx<'_>, find: &str) -> Result<usize, DbError> {
    let sql = format!("SELECT count(*) FROM _dc_delivery {FOUND}");
    let count: i64 = tx.prepare_cached(&sql)?.query_row([find], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The newest deliveries, the newest first.
pub(crate) fn newest(tx: &Tx<'_>, stretch: Stretch<'_>) -> Result<Vec<Delivery>, DbError> {
    let mut statement =
        tx.prepare_cached(&format!("{SELECT} {FOUND} ORDER BY id DESC {}", stretch.limit()))?;
    let deliveries = statement.query_map([stretch.find], from_row)?;
    Ok(deliveries.collect::<rusqlite::Result<_>>()?)
}

/// The delivery that has waited longest of those whose time has come.
pub(super) fn next_due(tx: &Tx<'_>) -> Result<Option<Delivery>, DbError> {
    let sql =
        format!("{SELECT} WHERE state = 'pending' AND next_micros <= ?1 ORDER BY next_micros, id LIMIT 1");
    Ok(tx.query_row(&sql, [tx.now_micros()], from_row).optional()?)
}

/// When the next try of any delivery is due.
pub(super) fn next_time(tx: &Tx<'_>) -> Result<Option<i64>, DbError> {
    let sql = "SELECT MIN(next_micros) FROM _dc_delivery WHERE state = 'pending'";
    Ok(tx.query_row(sql, [], |row| row.get(0))?)
}

/// Sends it once more, whatever became of it; the events keep their replay ids. `false` when there is none.
pub(super) fn again(tx: &Tx<'_>, id: i64) -> Result<bool, DbError> {
    let sql = "UPDATE _dc_delivery SET state = 'pending', attempts = 0, next_micros = ?2, trouble = NULL, \
        ended_micros = NULL WHERE id = ?1";
    Ok(tx.execute(sql, (id, tx.now_micros()))? > 0)
}

/// Tries one.
pub(super) async fn deliver(state: &OrgState, delivery: Delivery) -> Result<(), TenantError> {
    let name = delivery.target.clone();
    let target = state.call(move |state| state.db().read(|tx| targets::find(tx, &name))).await?;
    let outcome = match target {
        None => Outcome::NotTaken(None, "The target was deleted".to_owned()),
        Some(target) => match &target.signing_key {
            None => Outcome::NoKey,
            Some(key) => {
                let signature = targets::sign(key, delivery.body.as_bytes());
                send(state, &target.endpoint, &delivery.body, &signature).await
            }
        },
    };
    state.call(move |state| state.db().write(|tx| record(tx, &delivery, &outcome))).await
}

async fn send(state: &OrgState, endpoint: &str, body: &str, signature: &str) -> Outcome {
    let request = state
        .http()
        .post(endpoint)
        .timeout(PATIENCE)
        .header(CONTENT_TYPE, "application/json")
        .header("x-signature", signature)
        .body(body.to_owned());
    match request.send().await {
        Ok(answer) if answer.status().is_success() || answer.status() == StatusCode::CONFLICT => {
            Outcome::Taken(answer.status())
        }
        Ok(answer) => {
            Outcome::NotTaken(Some(answer.status()), format!("The app answered {}", answer.status()))
        }
        Err(error) if error.is_timeout() => {
            Outcome::NotTaken(None, "The app did not answer in time".to_owned())
        }
        Err(_) => Outcome::NotTaken(None, "The app could not be reached".to_owned()),
    }
}

fn record(tx: &Tx<'_>, delivery: &Delivery, outcome: &Outcome) -> Result<(), TenantError> {
    let attempts = delivery.attempts + 1;
    let (state, status, trouble) = match outcome {
        Outcome::Taken(status) => ("delivered", Some(*status), None),
        Outcome::NoKey => ("failed", None, Some("Signing Key Not Found")),
        Outcome::NotTaken(status, why) if attempts < TRIES => ("pending", *status, Some(why.as_str())),
        Outcome::NotTaken(status, why) => ("failed", *status, Some(why.as_str())),
    };
    let pause = 2_i64.saturating_pow(u32::try_from(attempts - 1).unwrap_or(30)).min(LONGEST_PAUSE_SECONDS);
    let ended = (state != "pending").then(|| tx.now_micros());
    tx.execute(
        "UPDATE _dc_delivery SET state = ?2, attempts = ?3, next_micros = ?4, status = ?5, trouble = ?6, ended_micros = ?7 \
         WHERE id = ?1",
        (
            delivery.id,
            state,
            attempts,
            tx.now_micros() + pause * MICROS_PER_SECOND,
            status.map(|status| i64::from(status.as_u16())),
            trouble,
            ended,
        ),
    )?;
    tracing::info!(delivery = delivery.id, target = delivery.target, state, attempts, "data action tried");
    Ok(())
}
