//! Phase *record*: one line per request in the access log (target `applink_mesh::access`), and counters.
//!
//! A line holds method, path without its query, status, request id, verdict, org and user ids and durations. It
//! never holds a token, a query, a body or any other header. The same goes to the control plane, as counts of all
//! requests and a sample of them ([`report`]), and as numbers to whoever asks for metrics ([`metrics`]).

use std::sync::{Mutex, MutexGuard, PoisonError};

use applink_api::clock::Clock;
use applink_api::mesh_report::InvocationRecord;
use applink_api::time::Timestamp;
use http::uri::PathAndQuery;
use http::{Method, StatusCode, request};

use crate::authenticate::Verified;
use crate::config::MeshConfig;
use crate::record::access::AccessLog;
use crate::record::report::cut;
use crate::record::tally::{Ending, Pending, Tally, micros};
use crate::respond::MeshError;

pub(crate) mod access;
pub(crate) mod metrics;
pub(crate) mod report;
pub(crate) mod tally;

/// A path that is longer is cut in the log.
const LONGEST_PATH: usize = 512;
/// So is a method: any word may come as one, of any length.
const LONGEST_METHOD: usize = 32;

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
    access: AccessLog,
    tally: Mutex<Tally>,
    #[cfg(feature = "otel")]
    pub(crate) traces: Option<std::sync::Arc<crate::traces::Traces>>,
}

/// What is known about a request so far.
#[derive(Debug)]
pub(crate) struct Record {
    begin: Timestamp,
    authenticated: Option<Timestamp>,
    method: Method,
    target: Option<PathAndQuery>,
    verdict: &'static str,
    caller: Caller,
    #[cfg(feature = "otel")]
    pub(crate) span: Option<crate::traces::Span>,
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A stranger's, on an open route.
    Unknown,
    /// Of an org's user.
    User(Verified),
    /// Of an org itself: a data action.
    Org(String),
}

impl Record {
    fn org_id(&self) -> &str {
        match &self.caller {
            Caller::Unknown => "",
            Caller::User(verified) => &verified.org_id,
            Caller::Org(org_id) => org_id,
        }
    }

    fn user_id(&self) -> &str {
        match &self.caller {
            Caller::User(Verified { user_id: Some(user_id), .. }) => user_id,
            _ => "",
        }
    }

    /// A token, and so of one-byte characters.
    fn method(&self) -> &str {
        let method = self.method.as_str();
        method.get(..LONGEST_METHOD).unwrap_or(method)
    }

    /// Without the query.
    fn path(&self) -> &str {
        let path = self.target.as_ref().map_or("/", PathAndQuery::path);
        path.get(..path.floor_char_boundary(LONGEST_PATH)).unwrap_or_default()
    }
}

impl Recorder {
    pub(crate) fn new(config: &MeshConfig) -> Self {
        Self {
            clock: config.clock.clone(),
            access: config.access_log.clone(),
            tally: Mutex::default(),
            #[cfg(feature = "otel")]
            traces: config.traces.as_ref().map(|_| crate::traces::Traces::new(config.entropy.clone())),
        }
    }

    pub(crate) fn begin(&self, parts: &request::Parts) -> Record {
        Record {
            begin: self.clock.now(),
            authenticated: None,
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
            verdict: "own",
            caller: Caller::Unknown,
            #[cfg(feature = "otel")]
            span: self.traces.as_ref().map(|traces| traces.begin(&parts.headers)),
        }
    }

    /// The request may pass.
    pub(crate) fn passed(&self, record: &mut Record, caller: Caller) {
        record.authenticated = Some(self.clock.now());
        record.verdict = match caller {
            Caller::User(_) => "verified",
            Caller::Org(_) => "signed",
            Caller::Unknown => "open",
        };
        record.caller = caller;
    }

    /// Something stood in the way. The caller learns little of it; here is the whole chain.
    pub(crate) fn failed(&self, record: &mut Record, request_id: &str, error: &MeshError) {
        record.verdict = error.marker();
        match error {
            MeshError::ControlPlaneAway(_)
            | MeshError::ControlPlaneAnswer(_)
            | MeshError::AppUnreachable(_)
            | MeshError::AppTimeout => tracing::warn!(request_id, "{}", chain(error)),
            _ => tracing::debug!(request_id, "{}", chain(error)),
        }
    }

    /// The one line, when the head of the answer is there.
    pub(crate) fn end(&self, record: Record, request_id: &str, status: StatusCode) {
        let end = self.clock.now();
        let authenticated = record.authenticated.unwrap_or(end);
        let ending = Ending {
            at: record.begin,
            verdict: record.verdict,
            status: status.as_u16(),
            mesh_micros: micros(authenticated.since(record.begin)),
            app_micros: record.authenticated.map(|at| micros(end.since(at))),
        };
        self.lock().add(ending, || invocation(&record, request_id, ending));
        #[cfg(feature = "otel")]
        self.end_span(&record, request_id, (end, status.as_u16()));
        self.access.write(&access::Line {
            at: end,
            method: record.method(),
            path: record.path(),
            status: ending.status,
            verdict: record.verdict,
            request_id,
            org: record.org_id(),
            user: record.user_id(),
            mesh_us: ending.mesh_micros,
            app_us: ending.app_micros.unwrap_or_default(),
        });
    }

    #[cfg(feature = "otel")]
    fn end_span(&self, record: &Record, request_id: &str, (end, status): (Timestamp, u16)) {
        if let (Some(traces), Some(span)) = (&self.traces, &record.span) {
            traces.end(crate::traces::Ended {
                span: span.clone(),
                begin: record.begin,
                end,
                method: record.method().to_owned(),
                path: record.path().to_owned(),
                status,
                verdict: record.verdict,
                org_id: record.org_id().to_owned(),
                request_id: cut(request_id),
            });
        }
    }

    /// What happened since this was last asked, for a report.
    pub(crate) fn take_pending(&self) -> Pending {
        self.lock().take_pending()
    }

    /// Reads the numbers.
    pub(crate) fn look<T>(&self, read: impl FnOnce(&Tally) -> T) -> T {
        read(&self.lock())
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for ((verdict, _), count) in &self.lock().totals {
            counters.requests += count;
            match *verdict {
                "open" => counters.open += count,
                "verified" | "signed" => counters.verified += count,
                "own" | "info" | "health" => {}
                _ => counters.refused += count,
            }
        }
        counters
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invocation(record: &Record, request_id: &str, ending: Ending) -> InvocationRecord {
    InvocationRecord {
        at: ending.at,
        request_id: cut(request_id),
        org_id: cut(record.org_id()),
        user_id: record.user_id().to_owned(),
        operation: cut(&format!("{} {}", record.method(), record.path())),
        verdict: ending.verdict.to_owned(),
        status: ending.status,
        mesh_micros: ending.mesh_micros,
        app_micros: ending.app_micros.unwrap_or_default(),
    }
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
