//! The org's signed word about who calls: `auth` of `x-request-context`.
//!
//! The claims of a real org's token are not public. These follow its published core tokens (header `tnk`,
//! `ver`, `tty`; `iss` the My Domain URL; `sub` as `uid:…`) and bind the token to one app and one call.

use serde_json::json;
use uuid::Uuid;

use crate::keys::KeyError;
use crate::state::OrgState;

/// Seconds a token is good for.
const LIFETIME_SECONDS: i64 = 120;
/// How far back `nbf` lies, for clocks that are a little behind.
const BACKDATED_SECONDS: i64 = 15;

/// Signs the token for a call to an app as a user.
pub(super) fn sign(state: &OrgState, user_id: &str, app_uuid: &str) -> Result<String, KeyError> {
    let now = state.clock().now_seconds();
    let key = state.signing_key();
    let header = json!({
        "tnk": format!("core/prod/{}", state.org_id()),
        "ver": "1.0",
        "kid": key.kid(),
        "tty": "sfdc-core-token",
        "typ": "JWT",
        "alg": "RS256",
    });
    let claims = json!({
        "iss": state.base(),
        "sub": format!("uid:{user_id}"),
        "aud": [state.base(), app_uuid],
        "iat": now,
        "nbf": now - BACKDATED_SECONDS,
        "exp": now + LIFETIME_SECONDS,
        "jti": Uuid::from_bytes(state.entropy().bytes()).to_string(),
        "scp": "api",
        "mty": "callout",
        "hsc": false,
        "roles": [],
    });
    key.sign(&header, &claims)
}
