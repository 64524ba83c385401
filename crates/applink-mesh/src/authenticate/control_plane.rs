//! Asks the control plane whether a call is real: `POST {API_URL}/invocations/authentication`.
//!
//! 1. A verdict of the last seconds about the very same claim is used again (tokens without an id only).
//! 2. Otherwise one question per claim is on its way at a time; who asks the same waits for the same answer.
//! 3. Only a 200 of the control plane itself, holding a verdict, is a yes. 401 and 403 are a no. Redirects are
//!    never followed. Anything else is no answer, and no call passes without one.

use applink_api::clock::Clock;
use applink_api::context::RequestContext;
use applink_api::invocation::{InvocationAuthRequest, InvocationVerdict};
use bytes::Bytes;
use http::StatusCode;

use crate::authenticate::cache::{ClaimKey, VerdictCache, claim_key};
use crate::authenticate::flight::SingleFlight;
use crate::authenticate::{Verdict, Verified, Verifier};
use crate::config::VerdictRule;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::respond::{MeshError, Refusal};

const PATH: &str = "/invocations/authentication";

/// What the control plane said, in a form that several waiters can share.
type Said = Result<Verified, No>;

#[derive(Clone, Debug)]
enum No {
    Refused,
    Unclear(StatusCode),
    Away(ControlPlaneError),
}

/// The [`Verifier`] that asks the control plane.
pub(crate) struct ControlPlaneVerifier {
    control_plane: ControlPlane,
    rule: VerdictRule,
    cache: VerdictCache,
    flight: SingleFlight<ClaimKey, Said>,
}

impl ControlPlaneVerifier {
    pub(crate) fn new(control_plane: ControlPlane, rule: VerdictRule, clock: Clock) -> Self {
        Self { control_plane, rule, cache: VerdictCache::new(clock), flight: SingleFlight::new() }
    }

    async fn ask(&self, context: &RequestContext, request_id: &str) -> Said {
        let question = InvocationAuthRequest {
            org_domain_url: context.org_domain_url.clone(),
            core_jwt_token: context.auth.clone(),
            org_id: context.org_id.clone(),
            app_uuid: context.app_uuid.clone(),
        };
        let (status, body) = self.control_plane.post(PATH, request_id, &question).await.map_err(No::Away)?;
        match status {
            StatusCode::OK => self.read_verdict(&body, context),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(No::Refused),
            status if is_overload(status) => Err(No::Away(ControlPlaneError::Overloaded(status))),
            status => Err(No::Unclear(status)),
        }
    }

    /// A 200 without a verdict may be a proxy's page; it counts only when the operator said that this control plane
    /// answers so, and then proves no more than the org.
    fn read_verdict(&self, body: &Bytes, context: &RequestContext) -> Said {
        match serde_json::from_slice::<InvocationVerdict>(body) {
            Ok(verdict) => Ok(verdict.into()),
            Err(_) if self.rule == VerdictRule::AcceptBare => Ok(Verified {
                org_id: context.org_id.clone(),
                user_id: None,
                instance_url: Some(context.org_domain_url.clone()),
                expires_at: None,
                token_id: None,
            }),
            Err(_) => Err(No::Unclear(StatusCode::OK)),
        }
    }
}

/// The control plane is there but can't answer now: trying again helps.
pub(crate) fn is_overload(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

impl Verifier for ControlPlaneVerifier {
    fn verify<'a>(&'a self, context: &'a RequestContext, request_id: &'a str) -> Verdict<'a> {
        Box::pin(async move {
            let key = claim_key(context);
            if let Some(verified) = self.cache.get(&key) {
                return Ok(verified);
            }
            let said = self.flight.ask(key, || self.ask(context, request_id)).await;
            if let Ok(verified) = &said {
                self.cache.put(key, verified);
            }
            said.map_err(MeshError::from)
        })
    }
}

impl From<No> for MeshError {
    fn from(no: No) -> Self {
        match no {
            No::Refused => Self::Refused(Refusal::NotVouchedFor),
            No::Unclear(status) => Self::ControlPlaneAnswer(status),
            No::Away(error) => Self::ControlPlaneAway(Box::new(error)),
        }
    }
}

impl From<InvocationVerdict> for Verified {
    fn from(verdict: InvocationVerdict) -> Self {
        Self {
            org_id: verdict.org_id,
            user_id: Some(verdict.user_id),
            instance_url: Some(verdict.instance_url),
            expires_at: Some(verdict.expires_at),
            token_id: verdict.token_id,
        }
    }
}
