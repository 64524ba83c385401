//! The storage on its own: claims and fences, migrations, the vault and the ledger. Runs on SQLite, or on PostgreSQL
//! when `APPLINK_TEST_POSTGRES` names a server.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that can not go on fails")]

#[path = "integration/backends.rs"]
#[expect(dead_code, reason = "only the other suite starts processes, which take the URL as text")]
mod backends;
#[path = "store/checkpoints.rs"]
mod checkpoints;
#[path = "store/claims.rs"]
mod claims;
#[path = "store/ledger.rs"]
mod ledger;
#[path = "store/migrations.rs"]
mod migrations;
#[path = "store/rotation.rs"]
mod rotation;
#[path = "store/sealing.rs"]
mod sealing;
#[path = "store/support.rs"]
mod support;
