//! Looking at live grants before an app needs them, so that a dead one is known in time.
//!
//! 1. [`reconcile`] enlists every live grant that is not on the list yet, its first look somewhere in the first period.
//! 2. A look is one cheap call: the org is asked whether the refresh token is good (introspection), which uses nothing
//!    up, rotating or not. Where the org won't say, a token that is due anyway is renewed.
//! 3. Only a renewal decides: one is tried when the org says that the refresh token is not good. It goes through
//!    [`crate::tokens`] like any other, so it happens once among all processes, and what it finds is the row's.
//! 4. Nothing is asked while a renewal is under way, in doubt, or paused after failures: a dead or refused grant costs
//!    no more calls than its back-off allows, at most one an hour.

pub mod flow;
pub mod reconcile;
pub mod store;
