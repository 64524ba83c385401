//! Phase *authenticate*: is this call real?
//!
//! A Salesforce call goes through four steps:
//!
//! 1. What the two context headers say about each other is checked before anybody is asked ([`bind`](crate::bind)).
//! 2. A [`Verifier`] says what the org's signed token proves: the mesh itself with the trust bundle ([`local`],
//!    [`token`]), or the control plane ([`control_plane`]).
//! 3. The client context is bound to what was proven, and the org's address overwritten.
//! 4. A token that carries an id is used up ([`replay`]).
//!
//! A data action is verified by the control plane over its raw body ([`data_action`]).
//! Whatever goes wrong, nothing is passed on unverified: no 200 of the control plane, no call.

use std::pin::Pin;

use applink_api::context::RequestContext;
use applink_api::ids::AppUuid;
use applink_api::time::Timestamp;

use crate::authenticate::replay::Replay;
use crate::bind::{bind, ensure_consistent};
use crate::classify::SalesforceCall;
use crate::client_context::SentClientContext;
use crate::respond::MeshError;

pub(crate) mod cache;
pub(crate) mod control_plane;
pub(crate) mod data_action;
pub(crate) mod deliveries;
pub(crate) mod flight;
pub(crate) mod local;
pub(crate) mod replay;
pub(crate) mod token;

/// What a token proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The org that signed it.
    pub org_id: String,
    /// The user it was issued for; unknown when the control plane only said yes.
    pub user_id: Option<String>,
    /// Where that org is, as stored with its connection.
    pub instance_url: Option<String>,
    /// When it expires, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Its `jti`: it may be used once.
    pub token_id: Option<String>,
}

/// What comes out of [`Verifier::verify`].
pub type Verdict<'a> = Pin<Box<dyn Future<Output = Result<Verified, MeshError>> + Send + 'a>>;

/// Someone who can tell what the token in an `x-request-context` proves.
pub trait Verifier: Send + Sync {
    /// Verifies the token of `context`, in the name of the request `request_id`.
    fn verify<'a>(&'a self, context: &'a RequestContext, request_id: &'a str) -> Verdict<'a>;

    /// The verdict, when nobody has to be asked for it. The usual case, spared a future.
    fn verify_now(&self, _context: &RequestContext) -> Option<Result<Verified, MeshError>> {
        None
    }
}

/// Verifies Salesforce calls.
pub(crate) struct Authenticator {
    pub(crate) verifier: Box<dyn Verifier>,
    pub(crate) app: Option<AppUuid>,
    pub(crate) replay: Replay,
}

impl Authenticator {
    /// Steps 1 to 4. What comes back is what the app may believe.
    pub(crate) async fn authenticate(
        &self,
        call: SalesforceCall,
        request_id: &str,
    ) -> Result<(SentClientContext, Verified), MeshError> {
        ensure_consistent(&call, request_id, self.app).map_err(MeshError::Refused)?;
        let verified = match self.verifier.verify_now(&call.request_context) {
            Some(verdict) => verdict?,
            None => self.verifier.verify(&call.request_context, request_id).await?,
        };
        let context = bind(call.client_context, &verified).map_err(MeshError::Refused)?;
        // Last, so that a call refused for another reason does not use its token up.
        self.replay.use_up(&verified, request_id).await?;
        Ok((context, verified))
    }
}
