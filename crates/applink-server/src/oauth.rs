//! The browser round trip, and JWT bearer without a browser.
//!
//! 1. A client POSTs a connection or authorization: [`begin`] writes the `pending` row and a *flow* (an `offered`
//!    row in `oauth_states` with a sealed PKCE verifier), and answers our own start link.
//! 2. A person opens the link, once: [`start`] makes the state, binds this browser to it by a cookie, and sends the
//!    browser to the org.
//! 3. The person logs in and consents at the org, which sends the browser to [`callback`] with a code.
//! 4. [`callback`] demands state *and* cookie, and takes the flow: a state works once.
//! 5. Unless configured otherwise, the code is sealed and kept while [`confirm`] shows what is about to be
//!    connected, for whom, and who asked. Without this step anyone could send an admin a link and receive that
//!    org's tokens.
//! 6. [`complete`] exchanges the code, at the very host stored with the flow, and asks the org who this is
//!    ([`identify`]): hosts and ids must agree, and the user must have *Manage Heroku AppLink*.
//! 7. Row, sealed grant and audit entry are committed together, if the row still waits for this very flow: whoever
//!    disconnects it or begins another log-in drops the flow. Anything else makes the row `failed`, with a sentence
//!    that names the fix. Tokens that do not become a grant are revoked.
//!
//! [`jwt`] does 6 and 7 with an assertion in place of the code, and writes no row at all when it is refused.
//!
//! [`again`] begins a log-in for a row that exists, in place: a live row stays live and its grant in use until step 7
//! puts the new one in its place; when the log-in fails, nothing has changed.

pub mod again;
pub mod begin;
pub mod callback;
pub mod complete;
pub mod confirm;
pub mod identify;
pub mod jwt;
mod pages;
#[cfg(test)]
pub(crate) use pages::samples;
pub mod secrets;
pub mod start;
pub mod store;

pub(crate) use pages::AllWell;

/// The page a browser gets for an error.
pub(crate) fn trouble(error: crate::error::ApiError) -> impl axum::response::IntoResponse {
    pages::Trouble::of(error)
}

/// What we ask the org for: REST calls, who the user is, and living on without the person.
pub const SCOPES: [&str; 3] = ["api", "id", "refresh_token"];
/// What we ask a Data Cloud org for besides.
pub const DATA_CLOUD_SCOPES: [&str; 3] = ["cdp_query_api", "cdp_ingest_api", "cdp_profile_api"];
