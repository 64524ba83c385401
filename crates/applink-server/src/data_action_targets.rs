//! Data actions: Data Cloud signs what it sends to an app, and the mesh asks here whether the signature is right.
//!
//! 1. Data Cloud calls the app's URL with `apiName` and `orgId` in the query and `x-signature` in the headers.
//! 2. The mesh, which never has the signing keys, sends signature and raw body here ([`api`]).
//! 3. The keys of that target are opened ([`store`]; sealed at rest, several while one is being rotated), and each is
//!    tried over the raw bytes ([`flow`]).

pub mod api;
pub mod flow;
pub mod store;
