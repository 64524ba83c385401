//! Somebody who is logged in looks at a page or sends a form.
//!
//! Pages below `/setup` want the permission "View Setup and Configuration". A form is taken only from a page of this
//! org (its `Origin`), and with the token that the org's pages give this user: no other site can read it. The token
//! stays good over a new log-in, so that a form that was being filled in meanwhile can still be sent.

use std::ops::ControlFlow;

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::frame::Frame;
use crate::db::Tx;
use crate::failure::Failure;
use crate::rights::{self, Caller, UserPermissions};
use crate::state::OrgState;
use crate::users::User;
use crate::{browser, guard, pages, secrets};

/// Whose page it is and what they may do.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) user: User,
    pub(super) caller: Caller,
    pub(super) permissions: UserPermissions,
    pub(super) frame: Frame,
}

/// The fields of a form, in the order in which the browser sent them.
#[derive(Debug)]
pub(super) struct Sent(Vec<(String, String)>);

impl Sent {
    /// The first value of a name; empty when there is none.
    pub(super) fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Answers with the page that `work` makes of the org as it is; with 404 when it makes none. `here` is the page's
/// place in the menus.
pub(super) async fn show<P: Template>(
    state: OrgState,
    headers: HeaderMap,
    here: &'static str,
    work: impl FnOnce(&Tx<'_>, Visit) -> Result<Option<P>, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    state
        .call(move |state| {
            let visit = match admit(state, &headers, here)? {
                ControlFlow::Continue(visit) => visit,
                ControlFlow::Break(answer) => return Ok(answer),
            };
            match state.db().read(|tx| work(tx, visit))? {
                Some(page) => pages::respond_framed(StatusCode::OK, &page),
                None => pages::nothing_here(state),
            }
        })
        .await
}

/// Does what a form asks for, once it is known to be the person's own.
pub(super) async fn submit(
    state: OrgState,
    headers: HeaderMap,
    body: bytes::Bytes,
    here: &'static str,
    work: impl FnOnce(&OrgState, Visit, Sent) -> Result<Response, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    state
        .call(move |state| match admit_form(state, &headers, &body, here)? {
            ControlFlow::Continue((visit, sent)) => work(state, visit, sent),
            ControlFlow::Break(answer) => Ok(answer),
        })
        .await
}

/// The visit, or the answer to who may not look.
pub(super) fn admit(
    state: &OrgState,
    headers: &HeaderMap,
    here: &'static str,
) -> Result<ControlFlow<Response, Visit>, Failure> {
    let Some((session, user)) = browser::current(state, headers)? else {
        return Ok(ControlFlow::Break(Redirect::to(&format!("/login?next={here}")).into_response()));
    };
    let caller = Caller::user(&user.id, &session.id);
    let permissions = state.db().read(|tx| rights::user_permissions(tx, &caller))?;
    let sees_setup = permissions.has("ViewSetup");
    if here.starts_with("/setup") && !sees_setup {
        let text = "Setup is for users with the permission “View Setup and Configuration”. Log in as an admin to see it.";
        return Ok(ControlFlow::Break(pages::error(
            state,
            StatusCode::FORBIDDEN,
            "insufficient_access",
            text,
        )?));
    }
    let frame = Frame {
        org: state.identity().name.clone(),
        kind: state.identity().kind.label(),
        user_name: user.name.clone(),
        username: user.username.clone(),
        here,
        sees_setup,
        token: form_token(state, &user.id),
        notice: None,
    };
    Ok(ControlFlow::Continue(Visit { user, caller, permissions, frame }))
}

/// The visit with what was sent, or the answer to a form that is not to be trusted.
pub(super) fn admit_form(
    state: &OrgState,
    headers: &HeaderMap,
    body: &[u8],
    here: &'static str,
) -> Result<ControlFlow<Response, (Visit, Sent)>, Failure> {
    let refuse = |status, error, text| pages::error(state, status, error, text).map(ControlFlow::Break);
    if !guard::origin_is_ours(headers, state.base_url()) {
        return refuse(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "The form was sent from another site's page.",
        );
    }
    let Ok(fields) = serde_urlencoded::from_bytes::<Vec<(String, String)>>(body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "The form could not be read.");
    };
    let sent = Sent(fields);
    if browser::current(state, headers)?.is_none() {
        let text = "Your session has ended. Log in again in another tab, come back here, and send the form once more: what you typed is still in it.";
        return refuse(StatusCode::UNAUTHORIZED, "session_ended", text);
    }
    let visit = match admit(state, headers, here)? {
        ControlFlow::Continue(visit) => visit,
        ControlFlow::Break(answer) => return Ok(ControlFlow::Break(answer)),
    };
    if !bool::from(sent.one("token").as_bytes().ct_eq(visit.frame.token.as_bytes())) {
        let text = "The form did not come from a page that this org gave you. Open the page again and send it from there.";
        return refuse(StatusCode::FORBIDDEN, "wrong_form_token", text);
    }
    Ok(ControlFlow::Continue((visit, sent)))
}

/// Answers a form from somebody who lacks a permission.
pub(super) fn lacking(state: &OrgState, permission: &str) -> Result<Response, Failure> {
    let text = format!("You need the permission “{permission}” for that.");
    pages::error(state, StatusCode::FORBIDDEN, "insufficient_access", &text)
}

/// What a user's forms carry: nobody knows it without the org's key.
fn form_token(state: &OrgState, user_id: &str) -> String {
    secrets::hmac_base64(state.sim_key().expose_secret(), format!("a form of {user_id}").as_bytes())
}
