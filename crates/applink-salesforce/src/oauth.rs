//! OAuth 2.0 with an org, in two ways.
//!
//! **Web-server flow with PKCE** (RFC 6749 §4.1, RFC 7636), a person in a browser:
//!
//! 1. Make a [`PkceVerifier`] from random bytes and keep it with the state.
//! 2. [`authorize_url`]: where the browser goes; only the verifier's S256 challenge travels.
//! 3. The person logs in and consents; the org sends the browser back with `code` and `state`, or with an
//!    error that [`Refusal::at_authorize`] reads.
//! 4. [`OAuth::exchange_code`]: code and verifier become [`Tokens`], at the very host of step 2.
//! 5. [`Tokens::identity`] and [`Tokens::instance`]: nothing in the answer is used before its host is checked.
//!
//! **JWT bearer** (RFC 7523), no person:
//!
//! 1. [`SigningKey::from_pem`]: the private key whose certificate the org's external client app holds.
//! 2. [`SigningKey::assert`]: an [`Assertion`] that lives three minutes, for one audience.
//! 3. [`OAuth::jwt_bearer`]: sends it to the host its audience names, and nowhere else. There is no refresh
//!    token; when the access token ends, start again at 2.
//!
//! **Data Cloud**: [`OAuth::exchange_for_tenant`].
//!
//! **Afterwards**: [`OAuth::refresh`], [`OAuth::introspect`] (how long does it live?), [`OAuth::revoke`].
//!
//! An org may rotate refresh tokens, and then a refresh whose answer got lost must not simply be sent again.
//! So every failure says what is known: see [`TokenFailure`] and [`Outcome`].

mod assertion;
mod authorize;
mod client;
mod failure;
mod key;
mod refusal;
mod tenant;
mod tokens;

pub use assertion::{ASSERTION_LIFETIME, Assertion};
pub use authorize::{AuthorizeRequest, PkceVerifier, authorize_url};
pub use client::{Introspection, OAuth, OAuthClient};
pub use failure::{Outcome, TokenFailure};
pub use key::{KeyError, SigningKey};
pub use refusal::{Refusal, RefusalClass};
pub use tenant::TenantToken;
pub use tokens::Tokens;
