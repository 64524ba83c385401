//! The org's users, as sign-in and invocations need them.

use rusqlite::OptionalExtension;
use secrecy::SecretString;

use crate::db::{DbError, Tx};
use crate::secrets;
use crate::stretch::Stretch;

/// A user of the org.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// 18 characters, `005…`.
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) name: String,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: String,
    pub(crate) nickname: Option<String>,
    pub(crate) email: String,
    pub(crate) time_zone: String,
    pub(crate) locale: String,
    pub(crate) language: String,
    pub(crate) profile: String,
    pub(crate) is_active: bool,
    pub(crate) modified_micros: i64,
}

const SELECT: &str = "SELECT u.\"Id\", u.\"Username\", u.\"Name\", u.\"FirstName\", u.\"LastName\", \
    u.\"CommunityNickname\", u.\"Email\", u.\"TimeZoneSidKey\", u.\"LocaleSidKey\", u.\"LanguageLocaleKey\", \
    p.\"Name\", u.\"IsActive\", u.\"LastModifiedDate\" \
    FROM \"User\" u LEFT JOIN \"Profile\" p ON p.\"Id\" = u.\"ProfileId\"";

/// The user of a username; case does not matter.
pub(crate) fn by_username(tx: &Tx<'_>, username: &str) -> Result<Option<User>, DbError> {
    one(tx, "u.\"Username\" = ?1", username)
}

/// The user of an 18-character id.
pub(crate) fn by_id(tx: &Tx<'_>, id: &str) -> Result<Option<User>, DbError> {
    one(tx, "u.\"Id\" = ?1", id)
}

/// All users, by username.
pub(crate) fn all(tx: &Tx<'_>) -> Result<Vec<User>, DbError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} ORDER BY u.\"Username\""))?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What is searched for is in the username or the name.
const FOUND: &str = "has_words(?1, u.\"Username\", u.\"Name\")";

/// Some users, by username.
pub(crate) fn some(tx: &Tx<'_>, stretch: Stretch<'_>) -> Result<Vec<User>, DbError> {
    let sql = format!("{SELECT} WHERE {FOUND} ORDER BY u.\"Username\" {}", stretch.limit());
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map([stretch.find], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many users are found.
pub(crate) fn count(tx: &Tx<'_>, find: &str) -> Result<usize, DbError> {
    let sql = format!("SELECT count(*) FROM \"User\" u WHERE {FOUND}");
    let count: i64 = tx.query_row(&sql, [find], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

fn one(tx: &Tx<'_>, condition: &str, value: &str) -> Result<Option<User>, DbError> {
    let mut statement = tx.prepare_cached(&format!("{SELECT} WHERE {condition}"))?;
    Ok(statement.query_row([value], from_row).optional()?)
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    let text = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        name: text(2)?,
        first_name: row.get(3)?,
        last_name: text(4)?,
        nickname: row.get(5)?,
        email: text(6)?,
        time_zone: text(7)?,
        locale: text(8)?,
        language: text(9)?,
        profile: text(10)?,
        is_active: row.get(11)?,
        modified_micros: row.get::<_, Option<i64>>(12)?.unwrap_or_default(),
    })
}

/// Keeps a user's password, hashed.
pub(crate) fn set_password(tx: &Tx<'_>, user_id: &str, hash: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO _password (user_id, hash) VALUES (?1, ?2) \
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash",
        (user_id, hash),
    )?;
    Ok(())
}

/// The stored hash of a user's password.
pub(crate) fn password_hash(tx: &Tx<'_>, user_id: &str) -> Result<Option<String>, DbError> {
    let hash = tx.query_row("SELECT hash FROM _password WHERE user_id = ?1", [user_id], |row| row.get(0));
    Ok(hash.optional()?)
}

/// Whether a password fits, taking as long for an unknown user as for a wrong password. Slow on purpose:
/// not for an async thread.
pub(crate) fn password_fits(password: &SecretString, stored: Option<&str>) -> bool {
    const NOBODY: &str = "argon2id$AAAAAAAAAAAAAAAAAAAAAA==$AAAA";
    secrets::verify_password(password, stored.unwrap_or(NOBODY)) && stored.is_some()
}
