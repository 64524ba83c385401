//! Who logged in, how, and what failed: what Login History shows.

use crate::db::{DbError, Tx};
use crate::sessions::Kind;
use crate::stretch::Stretch;

/// The newest this many are kept.
const MOST: i64 = 20_000;

/// A log-in, or a try at one.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) micros: i64,
    /// As it was typed, when there is no such user.
    pub(crate) username: String,
    /// `Application` for a browser, `Remote Access 2.0` for OAuth.
    pub(crate) kind: String,
    pub(crate) application: String,
    /// `Success`, or why not.
    pub(crate) status: String,
}

/// Notes a session that was opened for a person or a client; a call to an app is no log-in.
pub(crate) fn opened(
    tx: &Tx<'_>,
    kind: Kind,
    user_id: &str,
    consumer_key: Option<&str>,
) -> Result<(), DbError> {
    let kind = match kind {
        Kind::Browser => "Application",
        Kind::Client => "Remote Access 2.0",
        Kind::Invocation => return Ok(()),
    };
    let sql = "INSERT INTO _login (micros, username, kind, consumer_key, status) \
         SELECT ?1, \"Username\", ?2, ?3, 'Success' FROM \"User\" WHERE \"Id\" = ?4";
    let noted = tx.prepare_cached(sql)?.execute((tx.now_micros(), kind, consumer_key, user_id))?;
    if noted == 0 { Ok(()) } else { forget_old(tx) }
}

/// Notes a log-in form that was refused.
pub(crate) fn refused(tx: &Tx<'_>, username: &str) -> Result<(), DbError> {
    const LONGEST: usize = 80;
    let username: String = username.chars().take(LONGEST).collect();
    tx.execute(
        "INSERT INTO _login (micros, username, kind, status) VALUES (?1, ?2, 'Application', 'Invalid username or password')",
        (tx.now_micros(), username),
    )?;
    forget_old(tx)
}

/// After a line was written. Ids count up, so the oldest is found without looking at the others.
fn forget_old(tx: &Tx<'_>) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM _login WHERE id <= ?1")?.execute([tx.last_insert_rowid() - MOST])?;
    Ok(())
}

/// The application, for people.
const APPLICATION: &str = "coalesce(json_extract(c.definition, '$.label'), l.consumer_key, 'Browser')";

/// Lines in which what is searched for is in the username, the application or the status.
fn found() -> String {
    let found = format!("has_words(?1, l.username, l.status, {APPLICATION})");
    format!("FROM _login l LEFT JOIN _oauth_client c ON c.consumer_key = l.consumer_key WHERE {found}")
}

/// How many are found.
pub(crate) fn count(tx: &Tx<'_>, find: &str) -> Result<usize, DbError> {
    let sql = format!("SELECT count(*) {}", found());
    let count: i64 = tx.prepare_cached(&sql)?.query_row([find], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The newest log-ins, newest first.
pub(crate) fn newest(tx: &Tx<'_>, stretch: Stretch<'_>) -> Result<Vec<Login>, DbError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT l.micros, l.username, l.kind, {APPLICATION}, l.status {} ORDER BY l.id DESC {}",
        found(),
        stretch.limit()
    ))?;
    let rows = statement.query_map([stretch.find], |row| {
        Ok(Login {
            micros: row.get(0)?,
            username: row.get(1)?,
            kind: row.get(2)?,
            application: row.get(3)?,
            status: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
