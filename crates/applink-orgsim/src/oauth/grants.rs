//! What users have granted to clients: approvals, authorization codes, refresh tokens.

use rusqlite::OptionalExtension;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::{secrets, sessions};

/// An authorization code lives this long.
const CODE_SECONDS: i64 = 15 * 60;
/// A sign-in that isn't finished is forgotten after this time.
const REQUEST_SECONDS: i64 = 15 * 60;
/// An org keeps this many grants per client and user; a further one kills the oldest.
const MAX_GRANTS: i64 = 5;

/// What a client asked for at the authorize endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AuthorizationRequest {
    pub(crate) consumer_key: String,
    pub(crate) redirect_uri: String,
    /// Space separated.
    pub(crate) scopes: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) login_hint: Option<String>,
    /// Whether the user has to sign in although there is a browser session.
    pub(crate) must_sign_in: bool,
}

/// What became of an authorization code.
#[derive(Debug)]
pub(crate) enum Redeemed {
    /// It is used up now; whose it was and what for.
    Fresh {
        request: AuthorizationRequest,
        user_id: String,
    },
    /// It was redeemed before; the grant made from it is revoked.
    Reused,
    Expired,
    Unknown,
}

/// A grant with a refresh token.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) consumer_key: String,
    pub(crate) user_id: String,
    pub(crate) scopes: String,
    pub(crate) created_micros: i64,
}

/// Keeps a request; the answer is the handle that login and consent page carry.
pub(crate) fn save_request(tx: &Tx<'_>, request: &AuthorizationRequest) -> Result<String, Failure> {
    tx.execute("DELETE FROM _authorization_request WHERE expires_micros <= ?1", [tx.now_micros()])?;
    let handle = secrets::handle(tx.entropy());
    tx.execute(
        "INSERT INTO _authorization_request (handle, request, expires_micros) VALUES (?1, ?2, ?3)",
        (
            secrets::fingerprint(&handle),
            serde_json::to_string(request)?,
            tx.now_micros() + REQUEST_SECONDS * MICROS_PER_SECOND,
        ),
    )?;
    Ok(handle)
}

pub(crate) fn find_request(tx: &Tx<'_>, handle: &str) -> Result<Option<AuthorizationRequest>, Failure> {
    let request: Option<String> = tx
        .query_row(
            "SELECT request FROM _authorization_request WHERE handle = ?1 AND expires_micros > ?2",
            (secrets::fingerprint(handle), tx.now_micros()),
            |row| row.get(0),
        )
        .optional()?;
    Ok(request.map(|request| serde_json::from_str(&request)).transpose()?)
}

/// Notes that the user has signed in for this request.
pub(crate) fn mark_signed_in(tx: &Tx<'_>, handle: &str) -> Result<(), Failure> {
    let Some(mut request) = find_request(tx, handle)? else { return Ok(()) };
    request.must_sign_in = false;
    tx.execute(
        "UPDATE _authorization_request SET request = ?2 WHERE handle = ?1",
        (secrets::fingerprint(handle), serde_json::to_string(&request)?),
    )?;
    Ok(())
}

/// Makes the value that the consent form of this browser session must bring back.
pub(crate) fn new_confirmation(tx: &Tx<'_>, handle: &str, session_id: &str) -> Result<String, Failure> {
    let confirmation = secrets::handle(tx.entropy());
    tx.execute(
        "UPDATE _authorization_request SET confirmation = ?2 WHERE handle = ?1",
        (secrets::fingerprint(handle), confirmation_fingerprint(&confirmation, session_id)),
    )?;
    Ok(confirmation)
}

/// Takes a request out when the consent form's value fits this browser session.
pub(crate) fn take_confirmed(
    tx: &Tx<'_>,
    handle: &str,
    confirmation: &str,
    session_id: &str,
) -> Result<Option<AuthorizationRequest>, Failure> {
    let Some(request) = find_request(tx, handle)? else { return Ok(None) };
    let taken = tx.execute(
        "DELETE FROM _authorization_request WHERE handle = ?1 AND confirmation = ?2",
        (secrets::fingerprint(handle), confirmation_fingerprint(confirmation, session_id)),
    )?;
    Ok((taken == 1 && !request.must_sign_in).then_some(request))
}

/// Takes a request out without a form: for clients that an admin has approved.
pub(crate) fn take_request(tx: &Tx<'_>, handle: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM _authorization_request WHERE handle = ?1", [secrets::fingerprint(handle)])?;
    Ok(())
}

fn confirmation_fingerprint(confirmation: &str, session_id: &str) -> Vec<u8> {
    secrets::fingerprint(&format!("{confirmation}.{session_id}"))
}

/// Remembers that a user approved a client.
pub(crate) fn approve(tx: &Tx<'_>, consumer_key: &str, user_id: &str, scopes: &str) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO _approval (consumer_key, user_id, scopes) VALUES (?1, ?2, ?3) \
         ON CONFLICT (consumer_key, user_id) DO UPDATE SET scopes = excluded.scopes",
        (consumer_key, user_id, scopes),
    )?;
    Ok(())
}

/// The scopes a user approved for a client.
pub(crate) fn approved_scopes(
    tx: &Tx<'_>,
    consumer_key: &str,
    user_id: &str,
) -> Result<Option<String>, DbError> {
    let scopes = tx.query_row(
        "SELECT scopes FROM _approval WHERE consumer_key = ?1 AND user_id = ?2",
        (consumer_key, user_id),
        |row| row.get(0),
    );
    Ok(scopes.optional()?)
}

/// Makes an authorization code.
pub(crate) fn new_code(
    tx: &Tx<'_>,
    request: &AuthorizationRequest,
    user_id: &str,
) -> Result<SecretString, Failure> {
    // Used codes stay for a while so that a second use is recognised.
    tx.execute(
        "DELETE FROM _authorization_code WHERE expires_micros <= ?1",
        [tx.now_micros() - CODE_SECONDS * MICROS_PER_SECOND],
    )?;
    let code = secrets::authorization_code(tx.entropy());
    tx.execute(
        "INSERT INTO _authorization_code (code, request, user_id, expires_micros) VALUES (?1, ?2, ?3, ?4)",
        (
            secrets::fingerprint(code.expose_secret()),
            serde_json::to_string(request)?,
            user_id,
            tx.now_micros() + CODE_SECONDS * MICROS_PER_SECOND,
        ),
    )?;
    Ok(code)
}

/// Uses an authorization code up. `grant_id` names the grant that is about to be made from it.
pub(crate) fn redeem_code(tx: &Tx<'_>, code: &str, grant_id: &str) -> Result<Redeemed, Failure> {
    let row: Option<(String, String, Option<String>, i64)> = tx
        .query_row(
            "SELECT request, user_id, grant_id, expires_micros FROM _authorization_code WHERE code = ?1",
            [secrets::fingerprint(code)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((request, user_id, used_for, expires)) = row else { return Ok(Redeemed::Unknown) };
    if let Some(earlier) = used_for {
        // RFC 6749 §4.1.2: a code used twice was stolen by one of the two.
        revoke(tx, &earlier)?;
        return Ok(Redeemed::Reused);
    }
    if expires <= tx.now_micros() {
        return Ok(Redeemed::Expired);
    }
    tx.execute(
        "UPDATE _authorization_code SET grant_id = ?2 WHERE code = ?1",
        (secrets::fingerprint(code), grant_id),
    )?;
    Ok(Redeemed::Fresh { request: serde_json::from_str(&request)?, user_id })
}

/// Makes a grant, killing the oldest when there are five already. Without `lasting` it has no refresh token
/// and exists so that its sessions can be revoked together.
pub(crate) fn create(tx: &Tx<'_>, grant: &Grant, lasting: bool) -> Result<Option<SecretString>, DbError> {
    let refresh = lasting.then(|| secrets::refresh_token(tx.entropy()));
    tx.execute(
        "INSERT INTO _grant (id, refresh_token, consumer_key, user_id, scopes, created_micros) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &grant.id,
            refresh.as_ref().map(|token| secrets::fingerprint(token.expose_secret())),
            &grant.consumer_key,
            &grant.user_id,
            &grant.scopes,
            grant.created_micros,
        ),
    )?;
    let surplus = grant_ids(
        tx,
        "SELECT id FROM _grant WHERE consumer_key = ?1 AND user_id = ?2 AND refresh_token IS NOT NULL \
         ORDER BY created_micros DESC, rowid DESC LIMIT -1 OFFSET ?3",
        (&grant.consumer_key, &grant.user_id, MAX_GRANTS),
    )?;
    for id in surplus {
        revoke(tx, &id)?;
    }
    Ok(refresh)
}

/// The grant of a refresh token.
pub(crate) fn of_refresh_token(tx: &Tx<'_>, token: &str) -> Result<Option<Grant>, DbError> {
    let grant = tx.query_row(
        "SELECT id, consumer_key, user_id, scopes, created_micros FROM _grant WHERE refresh_token = ?1",
        [secrets::fingerprint(token)],
        |row| {
            Ok(Grant {
                id: row.get(0)?,
                consumer_key: row.get(1)?,
                user_id: row.get(2)?,
                scopes: row.get(3)?,
                created_micros: row.get(4)?,
            })
        },
    );
    Ok(grant.optional()?)
}

/// Whether a grant is still there.
pub(crate) fn exists(tx: &Tx<'_>, grant_id: &str) -> Result<bool, DbError> {
    let found = tx.query_row("SELECT 1 FROM _grant WHERE id = ?1", [grant_id], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// The grant a refresh token belonged to before it was used and replaced.
pub(crate) fn of_spent_token(tx: &Tx<'_>, token: &str) -> Result<Option<String>, DbError> {
    let grant = tx.query_row(
        "SELECT grant_id FROM _spent_refresh_token WHERE token = ?1",
        [secrets::fingerprint(token)],
        |row| row.get(0),
    );
    Ok(grant.optional()?)
}

/// Gives a grant a new refresh token; the old one is dead at once, and remembered.
pub(crate) fn rotate(tx: &Tx<'_>, grant_id: &str) -> Result<SecretString, DbError> {
    tx.execute(
        "INSERT OR IGNORE INTO _spent_refresh_token (token, grant_id) \
         SELECT refresh_token, id FROM _grant WHERE id = ?1 AND refresh_token IS NOT NULL",
        [grant_id],
    )?;
    let token = secrets::refresh_token(tx.entropy());
    tx.execute(
        "UPDATE _grant SET refresh_token = ?2 WHERE id = ?1",
        (grant_id, secrets::fingerprint(token.expose_secret())),
    )?;
    Ok(token)
}

/// Revokes a grant and ends its sessions.
pub(crate) fn revoke(tx: &Tx<'_>, grant_id: &str) -> Result<(), DbError> {
    sessions::end_of_grant(tx, grant_id)?;
    tx.execute("DELETE FROM _grant WHERE id = ?1", [grant_id])?;
    Ok(())
}

/// Revokes a user's newest grants with a refresh token; answers how many there were.
pub(crate) fn revoke_newest_of_user(tx: &Tx<'_>, user_id: &str, most: usize) -> Result<usize, DbError> {
    let mut ids = grant_ids(
        tx,
        "SELECT id FROM _grant WHERE user_id = ?1 AND refresh_token IS NOT NULL \
         ORDER BY created_micros DESC, rowid DESC",
        [user_id],
    )?;
    ids.truncate(most);
    for id in &ids {
        revoke(tx, id)?;
    }
    Ok(ids.len())
}

pub(crate) fn revoke_all_of_client(tx: &Tx<'_>, consumer_key: &str) -> Result<(), DbError> {
    for id in grant_ids(tx, "SELECT id FROM _grant WHERE consumer_key = ?1", [consumer_key])? {
        revoke(tx, &id)?;
    }
    tx.execute("DELETE FROM _approval WHERE consumer_key = ?1", [consumer_key])?;
    Ok(())
}

fn grant_ids(tx: &Tx<'_>, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
