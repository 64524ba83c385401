//! Bulk API 2.0: jobs that write many records from CSV, or answer a query as CSV.
//!
//! 1. `POST jobs/ingest` or `jobs/query` makes a job ([`job`]): `Open` for ingest, `UploadComplete` for a query.
//! 2. `PUT jobs/ingest/{id}/batches` streams the CSV into the job, once ([`upload`]).
//! 3. `PATCH` with `UploadComplete` closes an ingest job; `Aborted` ends either kind.
//! 4. A worker ([`worker`]) takes a closed job to `InProgress` and runs it with its creator's rights: an ingest row
//!    by row, 200 rows a transaction ([`ingest`], [`row`]), a query in one ([`query`]). Then it is `JobComplete`,
//!    or `Failed` with an `errorMessage` when the CSV as a whole can't be used. After a restart an ingest goes on
//!    behind the last row that was written.
//! 5. `successfulResults`, `failedResults` and `unprocessedrecords` are the uploaded rows again, with what became of
//!    them ([`results`]); a query's `results` come in pages with a locator.
//! 6. `DELETE` forgets a job; so do seven days.
//!
//! CSV is read by the `csv` crate and written with every value quoted ([`dialect`]), as Salesforce does.
//!
//! Not simulated: multipart creation, `resultPages`, and version 1 (`/services/async`).

mod api;
mod dialect;
mod ingest;
mod job;
mod query;
mod results;
mod row;
mod store;
mod upload;
mod worker;

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;

pub(super) use api::routes;
pub(crate) use store::TABLES;
pub use worker::step;
pub(crate) use worker::work;

/// What the API and the worker of one org share.
#[derive(Debug, Default)]
pub struct BulkWork {
    /// Wakes the worker when a job is due.
    due: Notify,
    /// Held while a job is moved on, so that no two steps run the same rows.
    turn: Mutex<()>,
    /// Set when the org stops: a job that is running ends after its transaction, and goes on at the next start.
    stopping: AtomicBool,
}
