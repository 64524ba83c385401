//! What the org would say of a user who calls an app, without a published service and without a call.

use http::HeaderMap;
use uuid::Uuid;

use super::{headers, token};
use crate::error::OrgsimError;
use crate::secrets;
use crate::state::OrgState;
use crate::users;

/// The headers of such a call. The session in them was never opened: an app that uses it gets 401 from the org.
pub(crate) fn headers(state: &OrgState, username: &str, app_uuid: &str) -> Result<HeaderMap, OrgsimError> {
    let user = state.db().read(|tx| users::by_username(tx, username))?;
    let user = user.ok_or_else(|| OrgsimError::UnknownUser { username: username.to_owned() })?;
    let request_id = headers::request_id(state, &Uuid::from_bytes(state.entropy().bytes()));
    let auth = token::sign(state, &user.id, app_uuid)?;
    let built = headers::Built {
        request_id: &request_id,
        auth: &auth,
        session_token: &secrets::access_token(state.org_id(), state.entropy()),
        user: &user,
        app_uuid,
        addon_uuid: app_uuid,
        resource: "vouch",
        callbacks_expected: false,
    };
    Ok(headers::build(state, &built))
}
