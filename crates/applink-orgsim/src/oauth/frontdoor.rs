//! Single access: an API session opens a browser session, once, as `sf org open` does.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use rusqlite::OptionalExtension;
use serde::Deserialize;
use serde_json::json;

use crate::clock::MICROS_PER_SECOND;
use crate::failure::Failure;
use crate::state::{OrgState, bearer};
use crate::{browser, secrets};

/// The one-time link is good for this long.
const LINK_SECONDS: i64 = 60;

#[derive(Deserialize)]
pub(super) struct EnterQuery {
    otp: Option<secrecy::SecretString>,
}

/// `GET /services/oauth2/singleaccess`.
pub(super) async fn single_access(
    State(state): State<OrgState>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    state.call(move |state| new_link(state, &headers)).await
}

fn new_link(state: &OrgState, headers: &HeaderMap) -> Result<Response, Failure> {
    let session = bearer(headers).map(|token| state.use_session(token)).transpose()?.flatten();
    let Some(session) = session.filter(|session| session.has_scope("web") || session.has_scope("full"))
    else {
        return Ok((StatusCode::FORBIDDEN, "Bad_OAuth_Token").into_response());
    };
    let one_time = secrets::handle(state.entropy());
    state.db().write(|tx| {
        tx.execute(
            "INSERT INTO _frontdoor (one_time, user_id, expires_micros) VALUES (?1, ?2, ?3)",
            (
                secrets::fingerprint(&one_time),
                &session.user_id,
                tx.now_micros() + LINK_SECONDS * MICROS_PER_SECOND,
            ),
        )?;
        Ok::<_, Failure>(())
    })?;
    Ok(Json(json!({"frontdoor_uri": format!("{}/secur/frontdoor.jsp?otp={one_time}", state.base())}))
        .into_response())
}

/// `GET /secur/frontdoor.jsp?otp=…`: burns the link, signs the browser in.
pub(super) async fn enter(
    State(state): State<OrgState>,
    Query(query): Query<EnterQuery>,
) -> Result<Response, Failure> {
    use secrecy::ExposeSecret;
    let one_time = query.otp.unwrap_or_default();
    let user_id = state.db().write(|tx| {
        let user_id: Option<String> = tx
            .query_row(
                "DELETE FROM _frontdoor WHERE one_time = ?1 AND expires_micros > ?2 RETURNING user_id",
                (secrets::fingerprint(one_time.expose_secret()), tx.now_micros()),
                |row| row.get(0),
            )
            .optional()?;
        tx.execute("DELETE FROM _frontdoor WHERE expires_micros <= ?1", [tx.now_micros()])?;
        Ok::<_, Failure>(user_id)
    })?;
    match user_id {
        Some(user_id) => Ok(([browser::sign_in(&state, &user_id)?], Redirect::to("/")).into_response()),
        None => Ok(Redirect::to("/login").into_response()),
    }
}
