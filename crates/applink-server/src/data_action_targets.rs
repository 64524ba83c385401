//! Data action targets: webhooks of a Data Cloud org that point at an app, and whether what comes is really signed.
//!
//! **Making one.** A POST writes a row ([`api`], [`manage`]); the reconciler takes it through its states ([`reconcile`]),
//! each a step that may be repeated:
//!
//! ```text
//! pending ──▶ creating ──▶ generating_signing_key ──▶ created
//!                │                   │      ▲            │
//!                └───────┬───────────┘      └── rotate ──┘
//!                        ▼
//!                 creation_failed              DELETE, or its connection goes: deleting ──▶ (gone)
//! ```
//!
//! The org calls the app's URL and path with `apiName` and `orgId` behind it: by these the mesh says what it asks about.
//!
//! **Verifying.**
//! 1. Data Cloud calls the app's URL with `apiName` and `orgId` in the query and `x-signature` in the headers.
//! 2. The mesh, which never has the signing keys, sends signature and raw body here ([`api`]).
//! 3. The keys of that target are opened ([`store`]; sealed at rest, several while one is being rotated), and each is
//!    tried over the raw bytes ([`flow`]).

pub mod api;
pub mod flow;
pub mod manage;
pub mod reconcile;
pub mod store;
pub mod targets;
