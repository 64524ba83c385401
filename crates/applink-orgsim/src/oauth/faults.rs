//! A token endpoint that misbehaves on request: requests and answers get lost, come late or twice. What clients make of
//! that decides whether a rotating refresh token survives.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// What happens to a request for tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum TokenFault {
    /// The connection ends before the org has done anything.
    LoseRequest,
    /// The org does its part, and the connection ends before the answer.
    LoseAnswer,
    /// The org does its part and answers this much later.
    Delay {
        /// How much later.
        millis: u64,
    },
    /// The request arrives twice, as behind a proxy that tries again; the first answer counts.
    Repeat,
    /// A server error without a word, after the org has done its part.
    ServerError,
    /// An error of OAuth's, and the org does nothing.
    Refuse {
        /// OAuth's code.
        error: String,
        /// The sentence.
        description: String,
    },
}

/// What the token endpoint was asked and did, since the org started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TokenCounts {
    /// Requests with a refresh token.
    pub refreshes: u64,
    /// Those whose refresh token had been used and replaced before.
    pub replays: u64,
    /// Grants that were ended because of that.
    pub families_revoked: u64,
    /// Requests with an assertion.
    pub assertions: u64,
    /// Introspections.
    pub introspections: u64,
}

/// The faults to come, and the counts.
#[derive(Debug, Default)]
pub(crate) struct TokenDesk {
    faults: Mutex<VecDeque<TokenFault>>,
    counts: Mutex<TokenCounts>,
}

impl TokenDesk {
    /// The next request with a refresh token or an assertion suffers this, after those before it.
    pub(crate) fn push(&self, fault: TokenFault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    pub(crate) fn pending(&self) -> Vec<TokenFault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn next(&self) -> Option<TokenFault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(crate) fn counts(&self) -> TokenCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut TokenCounts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets a request suffer a fault. `answer` does the org's part, each time it is called.
pub(super) async fn suffer(fault: TokenFault, answer: impl Fn() -> BoxFuture<'static, Response>) -> Response {
    match fault {
        TokenFault::LoseRequest => cut(),
        TokenFault::LoseAnswer => {
            answer().await;
            cut()
        }
        TokenFault::Delay { millis } => {
            let answer = answer().await;
            tokio::time::sleep(Duration::from_millis(millis)).await;
            answer
        }
        TokenFault::Repeat => {
            let first = answer().await;
            answer().await;
            first
        }
        TokenFault::ServerError => {
            answer().await;
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        TokenFault::Refuse { error, description } => {
            let body = serde_json::json!({"error": error, "error_description": description});
            (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
        }
    }
}

/// An answer that ends before it began.
fn cut() -> Response {
    let broken = stream::once(std::future::ready(Err::<Vec<u8>, _>(std::io::Error::other("cut on request"))));
    Body::from_stream(broken).into_response()
}
