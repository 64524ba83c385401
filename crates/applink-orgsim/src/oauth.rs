//! Signing in, for people and for clients.
//!
//! **The web server flow** (RFC 6749 §4.1 with PKCE, RFC 7636):
//! 1. A client sends the browser to `GET /services/oauth2/authorize`: client and callback are checked, the
//!    request is kept under a random handle ([`authorize`]).
//! 2. `GET /login` asks for username and password, unless the browser has a session ([`login`]).
//! 3. `GET /consent` lists what the client asks for; *Allow* or *Deny* posts to `/consent` ([`consent`]).
//! 4. The browser returns to the client with a code (or `access_denied`).
//! 5. The client posts code and verifier to `/services/oauth2/token` ([`token`]) and gets tokens.
//! 6. Later it posts the refresh token there, and revokes at `/services/oauth2/revoke` ([`tokens_admin`]).
//!
//! **JWT bearer** (RFC 7523): the client posts an assertion signed with the key it registered ([`jwt_bearer`]).
//!
//! Facts about answers and error texts are those of the public Salesforce documentation; where an org's own
//! wording is not public, it is close to what its clients expect.

pub(crate) mod clients;
pub(crate) mod faults;
pub(crate) mod grants;
pub(crate) mod identity;
pub(crate) mod scopes;

mod authorize;
mod consent;
mod frontdoor;
mod jwt_bearer;
mod login;
mod token;
pub(crate) mod token_error;
mod tokens_admin;

use axum::Router;
use axum::routing::{get, post};

use crate::state::OrgState;

/// Every route of signing in.
pub(crate) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/services/oauth2/authorize", get(authorize::get).post(authorize::post))
        .route("/login", get(login::page).post(login::submit))
        .route("/logout", post(login::sign_out))
        .route("/consent", get(consent::page).post(consent::submit))
        .route("/services/oauth2/token", post(token::post))
        .route("/services/oauth2/revoke", get(tokens_admin::revoke_get).post(tokens_admin::revoke_post))
        .route("/services/oauth2/introspect", post(tokens_admin::introspect))
        .route("/services/oauth2/userinfo", get(identity::userinfo).post(identity::userinfo))
        .route("/services/oauth2/singleaccess", get(frontdoor::single_access).post(frontdoor::single_access))
        .route("/secur/frontdoor.jsp", get(frontdoor::enter))
        .route("/id/keys", get(identity::keys))
        .route("/id/{org_id}/{user_id}", get(identity::identity))
        .route("/.well-known/openid-configuration", get(identity::discovery))
}
