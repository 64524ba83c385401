//! Step 6: ends what is over. Nothing a caller does depends on it having run (expiry is part of every look-up),
//! but rows must not outlive their time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::store;
use crate::db::{Database, DbError};
use crate::sessions;
use crate::state::OrgState;

/// How often the sweeper looks.
const PERIOD: Duration = Duration::from_millis(500);

/// Sweeps until the org stops.
pub(crate) async fn work(state: OrgState, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = state.db().call(|db| sweep(db, false)).await {
            tracing::error!(error = &error as &dyn std::error::Error, "sweeping failed");
        }
    }
}

/// Ends invocations, elevations and sessions whose time is over. `at_start` also ends invocations that the
/// previous process was in the middle of: nobody will read their answers.
pub(crate) fn sweep(db: &Database, at_start: bool) -> Result<(), DbError> {
    if !at_start && !db.read(anything_due)? {
        return Ok(());
    }
    db.write(|tx| {
        for id in store::overdue(tx, at_start)? {
            store::end(tx, &id)?;
        }
        store::drop_expired_elevations(tx)?;
        sessions::sweep(tx)?;
        Ok(())
    })
}

/// A look before the write lock: most ticks find nothing.
fn anything_due(tx: &crate::db::Tx<'_>) -> Result<bool, DbError> {
    let due = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM _session WHERE expires_micros <= ?1) \
             OR EXISTS (SELECT 1 FROM _elevation WHERE expires_micros <= ?1) \
             OR EXISTS (SELECT 1 FROM _invocation WHERE state <> 'ended' AND expires_micros <= ?1)",
        )?
        .query_row([tx.now_micros()], |row| row.get(0))?;
    Ok(due)
}
