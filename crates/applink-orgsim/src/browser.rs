//! The browser's session: a cookie, named after the org so that several orgs on one host don't sign each
//! other's users out (cookies don't know ports).

use cookie::{Cookie, SameSite};
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;
use crate::ids;
use crate::sessions::{self, Kind, NewSession, Session};
use crate::state::OrgState;
use crate::users::{self, User};

fn cookie_name(state: &OrgState) -> String {
    format!("sid_{}", ids::short(state.org_id()))
}

/// The signed-in user of a request's cookie.
pub(crate) fn current(state: &OrgState, headers: &HeaderMap) -> Result<Option<(Session, User)>, Failure> {
    let name = cookie_name(state);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let token = cookies.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name);
    let Some(token) = token else { return Ok(None) };
    let found = state.db().read(|tx| {
        let session = sessions::find(tx, token.value())?.filter(|session| session.kind == Kind::Browser);
        let Some(session) = session else { return Ok(None) };
        let user = users::by_id(tx, &session.user_id)?.filter(|user| user.is_active);
        Ok::<_, Failure>(user.map(|user| (session, user)))
    })?;
    if let Some((session, _)) = &found {
        state.keep_alive(session)?;
    }
    Ok(found)
}

/// Signs a user in; the answer is the `Set-Cookie` header.
pub(crate) fn sign_in(state: &OrgState, user_id: &str) -> Result<(http::HeaderName, HeaderValue), Failure> {
    let (_, token) = state.db().write(|tx| {
        tx.execute(
            "UPDATE \"User\" SET \"LastLoginDate\" = ?2 WHERE \"Id\" = ?1",
            (user_id, tx.now_row_micros()),
        )?;
        let opened = sessions::open(
            tx,
            &NewSession {
                kind: Kind::Browser,
                org_id: state.org_id(),
                user_id,
                consumer_key: None,
                scopes: "web",
                grant_id: None,
                timeout_seconds: state.session_timeout(None),
            },
        )?;
        Ok::<_, Failure>(opened)
    })?;
    Ok((SET_COOKIE, set_cookie(state, &token)))
}

/// Ends the browser's session; the answer is the `Set-Cookie` header that forgets it.
pub(crate) fn sign_out(
    state: &OrgState,
    headers: &HeaderMap,
) -> Result<(http::HeaderName, HeaderValue), Failure> {
    if let Some((session, _)) = current(state, headers)? {
        state.db().write(|tx| sessions::end(tx, &session.id))?;
    }
    let mut forget = Cookie::new(cookie_name(state), "");
    forget.set_path("/");
    forget.make_removal();
    Ok((SET_COOKIE, header_value(&forget)))
}

fn set_cookie(state: &OrgState, token: &SecretString) -> HeaderValue {
    let mut cookie = Cookie::new(cookie_name(state), token.expose_secret().to_owned());
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_secure(state.base_url().scheme() == "https");
    let mut value = header_value(&cookie);
    value.set_sensitive(true);
    value
}

fn header_value(cookie: &Cookie<'_>) -> HeaderValue {
    // Names and tokens of this org are ASCII without separators, so they always make a header.
    HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}
