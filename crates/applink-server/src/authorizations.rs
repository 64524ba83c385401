//! Authorizations: one org user's credentials under a developer name, handed out to app code. How one comes and goes
//! is told in [`crate::credentials`] and [`crate::oauth`]; here are the routes, the hand-out and the official words.

pub mod api;
pub(crate) mod grouped_reads;
mod hand_out;
mod handed_out;
mod store;
pub(crate) mod wire;

pub use handed_out::HandedOut;
pub(crate) use store::Reads;
pub use wire::to_wire;
