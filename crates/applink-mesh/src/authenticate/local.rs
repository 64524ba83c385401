//! Verifies with what the mesh knows itself; asks only for what it can't know.
//!
//! 1. The trust bundle decides: org connected, app published, key known, token good. Nobody is asked.
//! 2. An org or publication the bundle does not have may be seconds old: the bundle is polled once more (for all who
//!    wait together), and what it says then holds; a new org with a new key goes on with step 3.
//! 3. A key the bundle does not have may be new: one call per org asks the control plane about its token, which makes
//!    it fetch the org's keys; the others wait for that and look again. At most once in 30 seconds per org.
//! 4. Without a bundle every call is asked about; with one that is too old, nothing passes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::context::RequestContext;
use applink_api::ids::{AppUuid, RecordId};
use applink_api::time::Timestamp;
use secrecy::ExposeSecret as _;

use crate::authenticate::flight::SingleFlight;
use crate::authenticate::token::{TokenProblem, verify};
use crate::authenticate::{Verdict, Verified, Verifier};
use crate::respond::{MeshError, Refusal};
use crate::trust::{Bundle, Knowledge, OrgTrust, Trust};

/// Between two questions about unknown keys of one org.
const PAUSE: Duration = Duration::from_secs(30);
/// The same while not a single key of it is known: its connection is new.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Orgs whose pauses are remembered.
const REMEMBERED: usize = 10_000;

/// The trust bundle is too old, because the control plane has been away.
#[derive(Debug, thiserror::Error)]
#[error("the trust bundle is too old")]
struct Stale;

/// The control plane is away, and what is known here does not decide.
#[derive(Debug, thiserror::Error)]
#[error("the trust bundle does not decide it: {0}")]
struct Undecided(TokenProblem);

/// The [`Verifier`] with the orgs' keys at hand.
pub(crate) struct LocalVerifier<V> {
    trust: Trust,
    clock: Clock,
    ask: V,
    learning: SingleFlight<[u8; 18], ()>,
    asked: Mutex<HashMap<[u8; 18], Timestamp>>,
}

impl<V: Verifier> LocalVerifier<V> {
    /// `ask` is asked when nothing is known here.
    pub(crate) fn new(trust: Trust, clock: Clock, ask: V) -> Self {
        Self { trust, clock, ask, learning: SingleFlight::new(), asked: Mutex::default() }
    }

    fn judge(&self, bundle: &Bundle, context: &RequestContext) -> Result<Verified, TokenProblem> {
        if context.app_uuid.parse::<AppUuid>() != Ok(bundle.app) {
            return Err(TokenProblem::Audience);
        }
        let org = claimed_org(bundle, context).filter(|org| org.connected);
        let org = org.ok_or(TokenProblem::NotConnected)?;
        if !org.published {
            return Err(TokenProblem::NotPublished);
        }
        verify(context.auth.expose_secret(), org, bundle.app, self.clock.now())
    }

    /// Step 1, and what follows from it.
    async fn decide(
        &self,
        bundle: &Bundle,
        context: &RequestContext,
        request_id: &str,
    ) -> Result<Verified, MeshError> {
        match self.judge(bundle, context) {
            Ok(verified) => Ok(verified),
            Err(TokenProblem::NotConnected | TokenProblem::NotPublished) => {
                self.trust.refreshed().await;
                self.decide_anew(context, request_id).await
            }
            Err(TokenProblem::UnknownKey) => self.learn(bundle, context, request_id).await,
            Err(problem) => Err(refused(problem)),
        }
    }

    /// Step 2: an org that is new here may well have keys that are new too.
    async fn decide_anew(&self, context: &RequestContext, request_id: &str) -> Result<Verified, MeshError> {
        let Knowledge::Bundle(bundle) = self.trust.knowledge() else { return Err(away(Stale)) };
        match self.judge(&bundle, context) {
            Err(TokenProblem::UnknownKey) => self.learn(&bundle, context, request_id).await,
            judged => judged.map_err(|problem| self.final_no(problem)),
        }
    }

    /// With what is known now, and for the last time.
    fn look_again(&self, context: &RequestContext) -> Result<Verified, MeshError> {
        match self.trust.knowledge() {
            Knowledge::Bundle(bundle) => {
                self.judge(&bundle, context).map_err(|problem| self.final_no(problem))
            }
            Knowledge::Nothing | Knowledge::Stale => Err(away(Stale)),
        }
    }

    /// A no for want of knowledge is one only when the control plane could have told us.
    fn final_no(&self, problem: TokenProblem) -> MeshError {
        let wanting = is_for_want_of_knowledge(problem);
        if wanting && !self.trust.is_reachable() { away(Undecided(problem)) } else { refused(problem) }
    }

    /// Step 3.
    async fn learn(
        &self,
        bundle: &Bundle,
        context: &RequestContext,
        request_id: &str,
    ) -> Result<Verified, MeshError> {
        let Some(org) = claimed_org(bundle, context) else { return Err(refused(TokenProblem::NotConnected)) };
        let own = Mutex::new(None);
        let question = || async {
            if self.may_ask(org) {
                let said = self.ask.verify(context, request_id).await;
                *own.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
                self.trust.refreshed().await;
            }
        };
        self.learning.ask(flight_key(&org.id), question).await;
        let own = own.into_inner().unwrap_or_else(PoisonError::into_inner);
        own.unwrap_or_else(|| self.look_again(context))
    }

    fn may_ask(&self, org: &OrgTrust) -> bool {
        let now = self.clock.now();
        let pause = if org.keys.is_empty() { FIRST_PAUSE } else { PAUSE };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED {
            asked.clear();
        }
        let key = flight_key(&org.id);
        let may = asked.get(&key).is_none_or(|at| now.since(*at) >= pause);
        if may {
            asked.insert(key, now);
        }
        may
    }
}

fn is_for_want_of_knowledge(problem: TokenProblem) -> bool {
    matches!(problem, TokenProblem::NotConnected | TokenProblem::NotPublished | TokenProblem::UnknownKey)
}

fn claimed_org<'b>(bundle: &'b Bundle, context: &RequestContext) -> Option<&'b OrgTrust> {
    context.org_id.parse::<RecordId>().ok().and_then(|id| bundle.org(&id))
}

fn flight_key(id: &RecordId) -> [u8; 18] {
    let mut key = [0; 18];
    key.iter_mut().zip(id.as_str().bytes()).for_each(|(to, from)| *to = from);
    key
}

fn refused(problem: TokenProblem) -> MeshError {
    MeshError::Refused(Refusal::Token(problem))
}

fn away(error: impl std::error::Error + Send + Sync + 'static) -> MeshError {
    MeshError::ControlPlaneAway(Box::new(error))
}

impl<V: Verifier> Verifier for LocalVerifier<V> {
    fn verify<'a>(&'a self, context: &'a RequestContext, request_id: &'a str) -> Verdict<'a> {
        Box::pin(async move {
            match self.trust.knowledge() {
                Knowledge::Bundle(bundle) => self.decide(&bundle, context, request_id).await,
                Knowledge::Nothing => self.ask.verify(context, request_id).await,
                Knowledge::Stale => Err(away(Stale)),
            }
        })
    }

    fn verify_now(&self, context: &RequestContext) -> Option<Result<Verified, MeshError>> {
        let Knowledge::Bundle(bundle) = self.trust.knowledge() else { return None };
        match self.judge(&bundle, context) {
            // Step 2 or 3 may know better.
            Err(problem) if is_for_want_of_knowledge(problem) => None,
            judged => Some(judged.map_err(refused)),
        }
    }
}
