//! Phase *record*: one line per request in the access log (target `applink_mesh::access`), and counters.
//!
//! A line holds method, path without its query, status, request id, verdict, org and user ids and durations. It
//! never holds a token, a query, a body or any other header.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::time::Timestamp;
use http::{Method, StatusCode, request};

use crate::authenticate::Verified;
use crate::respond::MeshError;

/// A path that is longer is cut in the log.
const LONGEST_PATH: usize = 512;

/// How many requests had which end, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All requests that had an answer.
    pub requests: u64,
    /// Answered by the mesh with a refusal or failure.
    pub refused: u64,
    /// Forwarded without authentication.
    pub open: u64,
    /// Forwarded after verification.
    pub verified: u64,
    /// Token ids forgotten early because too many were alive.
    pub replay_evictions: u64,
    /// Every route is open.
    pub bypass_all: bool,
}

/// Writes the log and counts.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Clock,
    requests: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
    verified: AtomicU64,
}

/// What is known about a request so far.
#[derive(Debug)]
pub(crate) struct Record {
    begin: Timestamp,
    authenticated: Option<Timestamp>,
    method: Method,
    path: String,
    request_id: String,
    verdict: &'static str,
    org_id: String,
    user_id: String,
}

impl Recorder {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            open: AtomicU64::new(0),
            verified: AtomicU64::new(0),
        }
    }

    pub(crate) fn begin(&self, parts: &request::Parts, request_id: &str) -> Record {
        Record {
            begin: self.clock.now(),
            authenticated: None,
            method: parts.method.clone(),
            path: parts.uri.path().chars().take(LONGEST_PATH).collect(),
            request_id: request_id.to_owned(),
            verdict: "own",
            org_id: String::new(),
            user_id: String::new(),
        }
    }

    /// The request may pass: as a stranger's on an open route, or as a verified call.
    pub(crate) fn passed(
        &self,
        record: &mut Record,
        verified: Option<&Verified>,
        data_action_org: Option<&str>,
    ) {
        record.authenticated = Some(self.clock.now());
        record.verdict = match (verified, data_action_org) {
            (Some(_), _) => "verified",
            (None, Some(_)) => "signed",
            (None, None) => "open",
        };
        let counter = if record.verdict == "open" { &self.open } else { &self.verified };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(verified) = verified {
            record.org_id.clone_from(&verified.org_id);
            record.user_id = verified.user_id.clone().unwrap_or_default();
        }
        if let Some(org_id) = data_action_org {
            org_id.clone_into(&mut record.org_id);
        }
    }

    /// Something stood in the way. The caller learns little of it; here is the whole chain.
    pub(crate) fn failed(&self, record: &mut Record, error: &MeshError) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        record.verdict = error.marker();
        let cause = chain(error);
        match error {
            MeshError::ControlPlaneAway(_)
            | MeshError::ControlPlaneAnswer(_)
            | MeshError::AppUnreachable(_)
            | MeshError::AppTimeout => tracing::warn!(request_id = record.request_id, "{cause}"),
            _ => tracing::debug!(request_id = record.request_id, "{cause}"),
        }
    }

    /// The one line, when the head of the answer is there.
    pub(crate) fn end(&self, record: Record, status: StatusCode) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let end = self.clock.now();
        let authenticated = record.authenticated.unwrap_or(end);
        tracing::info!(
            target: "applink_mesh::access",
            method = record.method.as_str(),
            path = record.path,
            status = status.as_u16(),
            verdict = record.verdict,
            request_id = record.request_id,
            org = record.org_id,
            user = record.user_id,
            mesh_us = micros(authenticated.since(record.begin)),
            app_us = micros(end.since(authenticated)),
            "request"
        );
    }

    pub(crate) fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            requests: read(&self.requests),
            refused: read(&self.refused),
            open: read(&self.open),
            verified: read(&self.verified),
            ..Counters::default()
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// An error with all its causes, as one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
