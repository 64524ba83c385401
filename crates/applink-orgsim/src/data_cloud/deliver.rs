//! Sending events to their target, signed, until it takes them.
//!
//! 2xx: taken. 409: the app has it already (a lost answer), so taken too. Anything else, and no answer: tried again
//! after 1, 2, 4, … seconds, eight times in all. Without a signing key nothing is sent.
//!
//! To a target one delivery is sent at a time ([`Sending`]); one target keeps no other waiting. Of those that have ended
//! the newest are kept.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use rusqlite::{OptionalExtension, Row};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::problem::TenantError;
use super::targets;
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::state::OrgState;
use crate::stretch::Stretch;
use crate::times;

const TRIES: i64 = 8;
const LONGEST_PAUSE_SECONDS: i64 = 60;
/// How long an app may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many deliveries that have ended are kept.
const KEPT: i64 = 1_000;

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

/// Those to a target that nothing is being sent to; `?1` are the others, as JSON.
const FREE: &str = "state = 'pending' AND lower(target) NOT IN (SELECT value FROM json_each(?1))";

/// The delivery that has waited longest of those whose time has come and whose target is free.
fn next_due(tx: &Tx<'_>, busy: &BTreeSet<String>) -> Result<Option<Delivery>, DbError> {
    let sql = format!("{SELECT} WHERE {FREE} AND next_micros <= ?2 ORDER BY next_micros, id LIMIT 1");
    Ok(tx.query_row(&sql, (json!(busy).to_string(), tx.now_micros()), from_row).optional()?)
}

/// When the next try of any delivery to a free target is due.
fn next_time(tx: &Tx<'_>, busy: &BTreeSet<String>) -> Result<Option<i64>, DbError> {
    let sql = format!("SELECT MIN(next_micros) FROM _dc_delivery WHERE {FREE}");
    Ok(tx.query_row(&sql, [json!(busy).to_string()], |row| row.get(0))?)
}

/// Which targets something is being sent to, in small letters.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    busy: Mutex<BTreeSet<String>>,
    /// Held while it is chosen what is sent next.
    choosing: tokio::sync::Mutex<()>,
    /// Told when a target is free again.
    freed: Notify,
}

/// A delivery that is being sent; its target is busy until this is gone.
#[derive(Debug)]
pub(super) struct Begun {
    state: OrgState,
    delivery: Delivery,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let sending = &self.state.data_cloud().sending;
        sending.busy().remove(&self.delivery.target.to_ascii_lowercase());
        sending.freed.notify_waiters();
    }
}

impl Sending {
    fn busy(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_any(&self) -> bool {
        !self.busy().is_empty()
    }

    /// The next time a target is free again, from this call on.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }
}

/// Begins what is due longest and may be sent.
pub(super) async fn begin(state: &OrgState) -> Result<Option<Begun>, Failure> {
    let sending = &state.data_cloud().sending;
    let _one_at_a_time = sending.choosing.lock().await;
    let busy = sending.busy().clone();
    let due = state.call(move |state| state.db().read(|tx| next_due(tx, &busy))).await?;
    Ok(due.map(|delivery| {
        sending.busy().insert(delivery.target.to_ascii_lowercase());
        Begun { state: state.clone(), delivery }
    }))
}

/// How long until something may be sent; none when nothing waits for a free target.
pub(super) async fn wait(state: &OrgState) -> Option<Duration> {
    let busy = state.data_cloud().sending.busy().clone();
    let next = state.call(move |state| state.db().read(|tx| next_time(tx, &busy))).await.ok().flatten()?;
    Some(Duration::from_micros(u64::try_from(next - state.clock().now_micros()).unwrap_or_default()))
}

/// Sends it once more, whatever became of it; the events keep their replay ids. `false` when there is none.
pub(super) fn again(tx: &Tx<'_>, id: i64) -> Result<bool, DbError> {
    let sql = "UPDATE _dc_delivery SET state = 'pending', attempts = 0, next_micros = ?2, trouble = NULL, \
        ended_micros = NULL WHERE id = ?1";
    Ok(tx.execute(sql, (id, tx.now_micros()))? > 0)
}

/// Tries one.
pub(super) async fn deliver(begun: Begun) -> Result<(), TenantError> {
    let (state, delivery) = (&begun.state, begun.delivery.clone());
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

/// What became of it meanwhile, whoever decided, stays.
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
         WHERE id = ?1 AND state = 'pending'",
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
    if ended.is_some() {
        forget_old(tx)?;
    }
    tracing::info!(delivery = delivery.id, target = delivery.target, state, attempts, "data action tried");
    Ok(())
}

/// All but the newest of those that have ended.
fn forget_old(tx: &Tx<'_>) -> Result<(), DbError> {
    const ENDED: &str = "state IN ('delivered', 'failed')";
    let sql = format!(
        "DELETE FROM _dc_delivery WHERE {ENDED} AND id <= \
         (SELECT id FROM _dc_delivery WHERE {ENDED} ORDER BY id DESC LIMIT 1 OFFSET ?1)"
    );
    tx.prepare_cached(&sql)?.execute([KEPT])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;
    use crate::{Clock, Entropy};

    fn insert(tx: &Tx<'_>, state: &str) -> Result<Delivery, DbError> {
        tx.execute(
            "INSERT INTO _dc_delivery (target, body, events, state, next_micros, created_micros) \
             VALUES ('Clicks', '{}', 1, ?1, 0, 0)",
            [state],
        )?;
        Ok(tx.query_row(&format!("{SELECT} ORDER BY id DESC LIMIT 1"), [], from_row)?)
    }

    fn states(tx: &Tx<'_>) -> Result<Vec<(i64, String)>, DbError> {
        let mut all = tx.prepare_cached("SELECT id, state FROM _dc_delivery ORDER BY id")?;
        let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(all.collect::<rusqlite::Result<_>>()?)
    }

    fn database() -> Database {
        Database::open(None, Clock::fixed(1_773_144_000_000_000), Entropy::seeded(1), "Sm1").unwrap()
    }

    #[test]
    fn what_has_ended_otherwise_meanwhile_stays() {
        let left = database().write(|tx| {
            let ended = insert(tx, "failed")?;
            record(tx, &ended, &Outcome::Taken(StatusCode::OK))?;
            Ok::<_, TenantError>(states(tx)?)
        });
        assert_eq!(left.unwrap(), [(1, "failed".to_owned())]);
    }

    #[test]
    fn the_newest_of_those_that_have_ended_are_kept_and_all_that_wait() {
        let left = database().write(|tx| {
            let waits = insert(tx, "pending")?;
            for _ in 0..KEPT {
                insert(tx, "delivered")?;
            }
            let last = insert(tx, "pending")?;
            record(tx, &last, &Outcome::Taken(StatusCode::OK))?;
            Ok::<_, TenantError>((waits.id, last.id, states(tx)?))
        });
        let (waits, last, left) = left.unwrap();
        assert_eq!(left.len(), 1_001);
        assert_eq!((left[0].0, left[1].0), (waits, waits + 2), "the oldest that had ended is gone");
        assert_eq!(left.last().unwrap(), &(last, "delivered".to_owned()));
    }

    #[test]
    fn a_busy_target_keeps_no_other_from_being_next() {
        let next = database().write(|tx| {
            insert(tx, "pending")?;
            tx.execute(
                "INSERT INTO _dc_delivery (target, body, events, state, next_micros, created_micros) \
                 VALUES ('Other', '{}', 1, 'pending', 7, 0)",
                [],
            )?;
            let with = |busy: &[&str]| {
                let busy = busy.iter().map(|name| (*name).to_owned()).collect();
                let due = next_due(tx, &busy)?.map(|due| due.target);
                Ok::<_, DbError>((due, next_time(tx, &busy)?))
            };
            Ok::<_, DbError>([with(&[])?, with(&["clicks"])?, with(&["clicks", "other"])?])
        });
        let due = |name: &str, at| (Some(name.to_owned()), Some(at));
        assert_eq!(next.unwrap(), [due("Clicks", 0), due("Other", 7), (None, None)]);
    }
}
