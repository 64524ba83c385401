//! Sessions: what an access token stands for.
//!
//! A session is a row of `_session` (with the token's fingerprint) and an `AuthSession` row that SOQL sees.
//! It expires after its timeout without use, by the org's clock. Ending it removes both rows and every
//! permission-set activation that counted for it.

use rusqlite::{OptionalExtension, Row};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::{logins, secrets};

/// What a session may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A browser's `sid` cookie.
    Browser,
    /// An OAuth client's access token.
    Client,
    /// The token an invoked app gets, for this one invocation.
    Invocation,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Client => "client",
            Self::Invocation => "invocation",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "browser" => Self::Browser,
            "invocation" => Self::Invocation,
            _ => Self::Client,
        }
    }

    /// `LoginType` and `SessionType` of the `AuthSession` row.
    const fn auth_session_types(self) -> (&'static str, &'static str) {
        match self {
            Self::Browser => ("Application", "UI"),
            Self::Client => ("Remote Access 2.0", "Oauth2"),
            Self::Invocation => ("Application", "API"),
        }
    }
}

/// A session to be opened.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) kind: Kind,
    pub(crate) org_id: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) consumer_key: Option<&'a str>,
    /// Space separated.
    pub(crate) scopes: &'a str,
    /// The grant whose revocation ends the session.
    pub(crate) grant_id: Option<&'a str>,
    /// Seconds without use after which it ends.
    pub(crate) timeout_seconds: i64,
}

/// A live session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) user_id: String,
    pub(crate) consumer_key: Option<String>,
    pub(crate) scopes: String,
    pub(crate) created_micros: i64,
    pub(crate) expires_micros: i64,
    timeout_seconds: i64,
}

/// Opens a session; the token is shown this once.
pub(crate) fn open(tx: &Tx<'_>, new: &NewSession<'_>) -> Result<(String, SecretString), DbError> {
    let id = tx.new_id("0Ak")?;
    let token = secrets::access_token(new.org_id, tx.entropy());
    let expires = tx.now_micros() + new.timeout_seconds * MICROS_PER_SECOND;
    tx.execute(
        "INSERT INTO _session (id, token, kind, user_id, consumer_key, scopes, grant_id, timeout_seconds, \
         created_micros, expires_micros) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            &id,
            secrets::fingerprint(token.expose_secret()),
            new.kind.name(),
            new.user_id,
            new.consumer_key,
            new.scopes,
            new.grant_id,
            new.timeout_seconds,
            tx.now_micros(),
            expires,
        ),
    )?;
    insert_auth_session(tx, &id, new)?;
    logins::opened(tx, new.kind, new.user_id, new.consumer_key)?;
    Ok((id, token))
}

fn insert_auth_session(tx: &Tx<'_>, id: &str, new: &NewSession<'_>) -> Result<(), DbError> {
    let (login_type, session_type) = new.kind.auth_session_types();
    tx.execute(
        "INSERT INTO \"AuthSession\" (\"Id\", \"UsersId\", \"CreatedDate\", \"LastModifiedDate\", \
         \"NumSecondsValid\", \"UserType\", \"SourceIp\", \"LoginType\", \"SessionType\", \
         \"SessionSecurityLevel\") VALUES (?1, ?2, ?3, ?3, ?4, 'Standard', '127.0.0.1', ?5, ?6, 'STANDARD')",
        (id, new.user_id, tx.now_row_micros(), new.timeout_seconds, login_type, session_type),
    )?;
    Ok(())
}

/// Sessions whose time is not over, of users who may still sign in. Parameter `?2` is now.
const LIVE: &str = "SELECT s.id, s.kind, s.user_id, s.consumer_key, s.scopes, s.created_micros, s.expires_micros, \
    s.timeout_seconds FROM _session s JOIN \"User\" u ON u.\"Id\" = s.user_id \
    WHERE s.expires_micros > ?2 AND u.\"IsActive\"";

/// The live session of a token.
pub(crate) fn find(tx: &Tx<'_>, token: &str) -> Result<Option<Session>, DbError> {
    let found = tx
        .prepare_cached(&format!("{LIVE} AND s.token = ?1"))?
        .query_row((secrets::fingerprint(token), tx.now_micros()), from_row)
        .optional()?;
    Ok(found)
}

/// The live session of an id.
pub(crate) fn find_by_id(tx: &Tx<'_>, id: &str) -> Result<Option<Session>, DbError> {
    let found = tx
        .prepare_cached(&format!("{LIVE} AND s.id = ?1"))?
        .query_row((id, tx.now_micros()), from_row)
        .optional()?;
    Ok(found)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get(0)?,
        kind: Kind::from_name(&row.get::<_, String>(1)?),
        user_id: row.get(2)?,
        consumer_key: row.get(3)?,
        scopes: row.get(4)?,
        created_micros: row.get(5)?,
        expires_micros: row.get(6)?,
        timeout_seconds: row.get(7)?,
    })
}

impl Session {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.split(' ').any(|held| held == scope)
    }

    /// Whether a use now should push the expiry out. Only every tenth of the timeout: a write per request
    /// would make readers wait for each other. An invocation's session never lives longer than declared.
    pub(crate) fn is_due_for_extension(&self, now_micros: i64) -> bool {
        let whole = self.timeout_seconds * MICROS_PER_SECOND;
        self.kind != Kind::Invocation && self.expires_micros - now_micros < whole - whole / 10
    }
}

/// Pushes the expiry out to a whole timeout from now.
pub(crate) fn extend(tx: &Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.execute(
        "UPDATE _session SET expires_micros = ?2 + timeout_seconds * ?3 WHERE id = ?1 AND expires_micros > ?2",
        (id, tx.now_micros(), MICROS_PER_SECOND),
    )?;
    tx.execute(
        "UPDATE \"AuthSession\" SET \"LastModifiedDate\" = ?2 WHERE \"Id\" = ?1",
        (id, tx.now_row_micros()),
    )?;
    Ok(())
}

/// Ends a session and everything that counted only for it.
pub(crate) fn end(tx: &Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM \"SessionPermSetActivation\" WHERE \"AuthSessionId\" = ?1", [id])?;
    tx.execute("DELETE FROM _elevation WHERE session_id = ?1", [id])?;
    tx.execute("DELETE FROM \"AuthSession\" WHERE \"Id\" = ?1", [id])?;
    tx.execute("DELETE FROM _session WHERE id = ?1", [id])?;
    Ok(())
}

/// Ends the sessions a grant opened.
pub(crate) fn end_of_grant(tx: &Tx<'_>, grant_id: &str) -> Result<(), DbError> {
    for id in ids(tx, "SELECT id FROM _session WHERE grant_id = ?1", grant_id)? {
        end(tx, &id)?;
    }
    Ok(())
}

/// Ends the sessions whose time is over; answers how many.
pub(crate) fn sweep(tx: &Tx<'_>) -> Result<usize, DbError> {
    let expired = ids(tx, "SELECT id FROM _session WHERE expires_micros <= ?1", tx.now_micros())?;
    for id in &expired {
        end(tx, id)?;
    }
    Ok(expired.len())
}

fn ids(tx: &Tx<'_>, sql: &str, parameter: impl rusqlite::ToSql) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([parameter], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;
    use crate::seed::{OrgFacts, seed};
    use crate::{Clock, Entropy};

    #[test]
    fn no_session_of_an_inactive_user_is_live() {
        let db =
            Database::open(None, Clock::fixed(1_773_144_000_000_000), Entropy::seeded(1), "Sm1").unwrap();
        let facts = OrgFacts { name: "A".into(), is_sandbox: false, username_domain: "a.example".into() };
        let user_id = seed(&db, &facts).unwrap().users.remove(0).user_id;
        let new = NewSession {
            kind: Kind::Client,
            org_id: "00D000000000001AAA",
            user_id: &user_id,
            consumer_key: None,
            scopes: "api",
            grant_id: None,
            timeout_seconds: 60,
        };
        let (id, token) = db.write(|tx| open(tx, &new)).unwrap();
        let live = || {
            let found =
                db.read(|tx| Ok::<_, DbError>((find(tx, token.expose_secret())?, find_by_id(tx, &id)?)));
            let (by_token, by_id) = found.unwrap();
            (by_token.is_some(), by_id.is_some())
        };
        assert_eq!(live(), (true, true));
        // Behind the back of the records, which would end the session as well.
        let sql = "UPDATE \"User\" SET \"IsActive\" = 0 WHERE \"Id\" = ?1";
        db.write(|tx| Ok::<_, DbError>(tx.execute(sql, [&user_id])?)).unwrap();
        assert_eq!(live(), (false, false));
    }
}
