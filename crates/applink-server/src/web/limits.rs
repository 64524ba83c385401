//! Rate limits at the door: who is counted where, and the headers that tell.
//!
//! Extractors count ([`count`]), because they know who calls; [`Counted`] carries what they read to the layer around all
//! of them, which puts it into `ratelimit-limit`, `ratelimit-remaining` and `ratelimit-reset` (seconds).

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Extensions;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::app::App;
use crate::error::ApiError;
use crate::limits::{Reading, Who};
use crate::oauth;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where an extractor leaves what it read, for the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted(Arc<OnceLock<Reading>>);

impl Counted {
    /// A place within the request.
    pub(super) fn within(request: &mut Request) -> Self {
        let counted = Self::default();
        request.extensions_mut().insert(counted.clone());
        counted
    }

    /// Puts what was counted into the answer.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(reading) = self.0.get() {
            tell(headers, reading);
        }
    }
}

fn tell(headers: &mut HeaderMap, reading: &Reading) {
    headers.insert(LIMIT, HeaderValue::from(reading.limit));
    headers.insert(REMAINING, HeaderValue::from(reading.remaining));
    let seconds = reading.reset.as_micros().div_ceil(1_000_000);
    headers.insert(RESET, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    if let Some(after) = reading.retry_after {
        // Rounded up: who comes back then is let in.
        let seconds = after.as_micros().div_ceil(1_000_000);
        headers.insert(RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
}

/// Counts a call whose credentials are good.
///
/// # Errors
/// 429 when it is one too many.
pub(crate) fn count(app: &App, extensions: &Extensions, who: Who) -> Result<(), ApiError> {
    let message = match who {
        Who::RunTime(_) => "This add-on's apps call too often; wait as long as Retry-After says.",
        _ => "Too many calls; wait as long as Retry-After says.",
    };
    let Some(reading) = app.limiter.count(&app.config.limits, who, app.clock.now()) else { return Ok(()) };
    if let Some(counted) = extensions.get::<Counted>() {
        // Whoever counted first has said it.
        let _already = counted.0.set(reading);
    }
    match reading.retry_after {
        Some(after) => Err(ApiError::rate_limited(message, after)),
        None => Ok(()),
    }
}

/// Counts the steps of a browser's way to an org and back, which need no credentials, by network address.
pub async fn log_ins(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(address) = address(&app, &request) else { return next.run(request).await };
    match count(&app, request.extensions(), Who::log_in(address)) {
        Ok(()) => next.run(request).await,
        Err(error) => oauth::trouble(error).into_response(),
    }
}

/// The peer's address; behind a router that appends it, the last one of `x-forwarded-for`.
fn address(app: &App, request: &Request) -> Option<IpAddr> {
    let forwarded = request.headers().get_all(FORWARDED_FOR).iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if app.config.limits.forwarded_for { last.or(peer) } else { peer }
}
