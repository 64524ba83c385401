//! Data Cloud: rows in, SQL over them, and webhooks out.
//!
//! 1. A client trades a session of the org for a token of its *tenant* at `/services/a360/token` ([`token`]); a tenant
//!    takes no other token, and an org takes none of its tenant's.
//! 2. Rows come in through a *data stream* ([`streams`]): a few at a time ([`ingest`]) or as CSV ([`jobs`]). Both are
//!    answered at once and applied later, by the one [`worker`].
//! 3. Applied, they are rows of a *data lake object* (`…__dll`, a table) and of the *data model object* over it
//!    (`…__dlm`, a view), and answer SQL ([`query`]).
//! 4. Whatever a row's change is, [`rows`] tells; the *data actions* that listen to it ([`actions`]) make events of it
//!    ([`events`]) in the same transaction.
//! 5. Events are signed with the key of their *data action target* ([`targets`]) and sent until the app takes them
//!    ([`deliver`]).
//!
//! Steps 1 to 3 are under `/services/a360` and, on the tenant's host, `/api`; a simulated org is its own tenant's host.
//! Streams, actions and targets are the org's own, under `/services/data/{version}/ssot`. All of it is to be seen below
//! `/_sim/data-cloud`.
//!
//! Not simulated: identity resolution, segments, calculated insights, data spaces but the default one, and mappings of
//! more than one lake object to a model object.

pub(crate) mod views;

mod actions;
mod caller;
mod deliver;
mod events;
mod ingest;
mod jobs;
mod problem;
mod query;
mod rejected;
mod rows;
mod seed;
mod ssot;
mod streams;
mod targets;
mod token;
mod worker;

use std::sync::Mutex;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tokio::sync::Notify;

use crate::state::OrgState;
use caller::OrgRefusal;
use problem::TenantError;

pub(crate) use deliver::{count as count_deliveries, newest as newest_deliveries};
pub(crate) use seed::seed;
pub(crate) use worker::work;

/// A CSV of a bulk job may have this many bytes.
const LARGEST_CSV: usize = 150 * 1024 * 1024;

/// The tables behind Data Cloud; the rows themselves are in tables of their streams.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _dc_token (
        token BLOB PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        scopes TEXT NOT NULL,
        expires_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _dc_stream (
        connector TEXT NOT NULL COLLATE NOCASE,
        object TEXT NOT NULL COLLATE NOCASE,
        definition TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        PRIMARY KEY (connector, object)
    );
    CREATE UNIQUE INDEX IF NOT EXISTS _dc_stream_object ON _dc_stream (object);
    CREATE TABLE IF NOT EXISTS _dc_batch (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        object TEXT NOT NULL,
        operation TEXT NOT NULL,
        rows TEXT NOT NULL,
        created_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _dc_job (
        id TEXT PRIMARY KEY NOT NULL,
        connector TEXT NOT NULL,
        object TEXT NOT NULL,
        operation TEXT NOT NULL,
        state TEXT NOT NULL,
        created_by TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        changed_micros INTEGER NOT NULL,
        part INTEGER NOT NULL DEFAULT 0,
        rows INTEGER NOT NULL DEFAULT 0,
        applied INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        message TEXT
    );
    CREATE TABLE IF NOT EXISTS _dc_job_part (
        job_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (job_id, number)
    );
    CREATE TABLE IF NOT EXISTS _dc_result (
        id TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        body TEXT NOT NULL,
        expires_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _dc_target (
        api_name TEXT PRIMARY KEY NOT NULL COLLATE NOCASE,
        label TEXT NOT NULL,
        type TEXT NOT NULL,
        sub_type TEXT,
        endpoint TEXT NOT NULL,
        status TEXT NOT NULL,
        signing_key TEXT,
        created_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _dc_action (
        developer_name TEXT PRIMARY KEY NOT NULL COLLATE NOCASE,
        definition TEXT NOT NULL,
        created_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _dc_event_counter (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS _dc_delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL COLLATE NOCASE,
        body TEXT NOT NULL,
        events INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_micros INTEGER NOT NULL,
        status INTEGER,
        trouble TEXT,
        created_micros INTEGER NOT NULL,
        ended_micros INTEGER
    );
    CREATE INDEX IF NOT EXISTS _dc_delivery_due ON _dc_delivery (state, next_micros);";

/// What requests and the worker of one org share.
#[derive(Debug, Default)]
pub(crate) struct DataCloudWork {
    /// Wakes the worker.
    pub(crate) due: Notify,
    /// Wakes its other half, which sends.
    pub(crate) to_send: Notify,
    /// Held while something is moved on, so that no two steps do the same.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Which targets something is being sent to.
    pub(crate) sending: deliver::Sending,
    /// Results of queries are thrown away now and then; when last.
    swept_micros: Mutex<i64>,
}

/// Every route of Data Cloud but those below `/_sim`.
pub(crate) fn routes() -> Router<OrgState> {
    let tenant = Router::new()
        .route("/services/a360/token", post(token::exchange))
        .route("/api/v1/query", post(query::version_1))
        .route("/api/v2/query", post(query::version_2))
        .route("/api/v2/query/{batch}", get(query::next_batch).post(query::next_batch))
        .route("/api/v1/metadata", get(query::metadata))
        .route("/api/v1/ingest/sources/{connector}/{object}", post(ingest::upsert).delete(ingest::delete))
        .route("/api/v1/ingest/sources/{connector}/{object}/actions/test", post(ingest::test))
        .route("/api/v1/ingest/jobs", get(jobs::list).post(jobs::create))
        .route("/api/v1/ingest/jobs/{id}", get(jobs::show).patch(jobs::change).delete(jobs::remove))
        .layer(DefaultBodyLimit::max(ingest::LARGEST_BODY * 4));
    let large = Router::new()
        .route("/api/v1/ingest/jobs/{id}/batches", put(jobs::upload))
        .layer(DefaultBodyLimit::max(LARGEST_CSV));
    let tenant = tenant.merge(large).layer(map_response(async |response: Response| {
        rejected::in_form(response, |status, why| TenantError::new(status, why).into_response()).await
    }));
    tenant.merge(of_the_org())
}

/// Connect REST, with a session of the org.
fn of_the_org() -> Router<OrgState> {
    const SSOT: &str = "/services/data/{version}/ssot";
    let at = |path: &str| format!("{SSOT}{path}");
    Router::new()
        .route(&at("/data-streams"), get(ssot::list_streams).post(ssot::create_stream))
        .route(&at("/data-streams/{name}"), get(ssot::show_stream))
        .route(&at("/data-lake-objects"), get(ssot::list_lake_objects))
        .route(&at("/data-lake-objects/{name}"), get(ssot::show_lake_object))
        .route(&at("/data-model-objects"), get(ssot::list_model_objects))
        .route(&at("/data-model-objects/{name}"), get(ssot::show_model_object))
        .route(&at("/queryv2"), post(ssot::query))
        .route(&at("/queryv2/{batch}"), get(ssot::next_batch))
        .route(&at("/data-actions"), get(actions::list).post(actions::create))
        .route(&at("/data-actions/{name}"), get(actions::show).delete(actions::remove))
        .route(&at("/data-action-targets"), get(targets::list).post(targets::create))
        .route(&at("/data-action-targets/{name}"), get(targets::show))
        .route(&at("/data-action-targets/{name}"), delete(targets::remove))
        .route(&at("/data-action-targets/{name}/signing-key"), post(targets::new_key))
        .layer(DefaultBodyLimit::max(ingest::LARGEST_BODY * 4))
        .layer(map_response(async |response: Response| {
            rejected::in_form(response, |status, why| OrgRefusal::new(status, why).into_response()).await
        }))
}
