//! The job routes over HTTP.

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State as Host};
use axum::routing::any;
use serde_json::{Value, json};

use super::job::{Job, JobRequest, Kind, Operation, State, invalid_job, invalid_state, json_error};
use super::query::{self, Page};
use super::results::{self, Wanted};
use super::{store, upload};
use crate::db::{DbError, Tx};
use crate::records::Records;
use crate::rest::http::{
    LARGEST_BODY, authenticate, ensure_api_enabled, ensure_json, error_response, json_response,
    served_version, with_usage,
};
use crate::rest::{ApiVersion, RestError, RestHost};
use crate::rights::Caller;
use crate::soql;

/// The prefix of job ids.
const JOB_PREFIX: &str = "750";
/// Jobs per page of a list.
const LISTED_AT_ONCE: u32 = 1_000;

/// The routes below `/services/data/{version}/jobs`.
pub(crate) fn routes<H: RestHost>() -> Router<H> {
    Router::new()
        .route("/services/data/{version}/jobs/{kind}", any(jobs::<H>))
        .route("/services/data/{version}/jobs/{kind}/{id}", any(one_job::<H>))
        .route("/services/data/{version}/jobs/{kind}/{id}/{part}", any(part_of_job::<H>))
}

async fn jobs<H: RestHost>(
    Host(host): Host<H>,
    Path((version, kind)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    serve(host, &version, &[&kind], request).await
}

async fn one_job<H: RestHost>(
    Host(host): Host<H>,
    Path((version, kind, id)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    serve(host, &version, &[&kind, &id], request).await
}

async fn part_of_job<H: RestHost>(
    Host(host): Host<H>,
    Path((version, kind, id, part)): Path<(String, String, String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    serve(host, &version, &[&kind, &id, &part], request).await
}

async fn serve<H: RestHost>(host: H, version: &str, path: &[&str], request: Request<Body>) -> Response<Body> {
    let calls = host.database().count_api_call();
    let answer = answer(&host, version, path, request).await;
    with_usage(answer.unwrap_or_else(|error| error_response(&error)), calls)
}

/// Who calls, and with which version.
struct Session<'h, H> {
    host: &'h H,
    caller: Caller,
    version: ApiVersion,
    query: Vec<(String, String)>,
}

async fn answer<H: RestHost>(
    host: &H,
    version: &str,
    path: &[&str],
    request: Request<Body>,
) -> Result<Response<Body>, RestError> {
    let version = served_version(host, version)?;
    let (parts, body) = request.into_parts();
    let (asked, headers) = (host.clone(), parts.headers.clone());
    let caller = host.database().call(move |_| authenticate(&asked, &headers)).await?;
    let query = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let session = Session { host, caller, version, query };
    let kind = path.first().and_then(|kind| Kind::from_segment(kind)).ok_or_else(RestError::not_found)?;
    match (kind, path.get(1..).unwrap_or_default()) {
        (_, []) => session.jobs(kind, &parts, body).await,
        (_, [id]) => session.job(kind, id, &parts, body).await,
        (Kind::Ingest, [id, "batches"]) => session.upload(id, &parts, body).await,
        (Kind::Query, [id, "results"]) => session.page(id, &parts).await,
        (Kind::Ingest, [id, part]) => {
            let wanted = Wanted::from_segment(part).ok_or_else(RestError::not_found)?;
            session.results(id, wanted, &parts).await
        }
        _ => Err(RestError::not_found()),
    }
}

impl<H: RestHost> Session<'_, H> {
    async fn jobs(&self, kind: Kind, parts: &Parts, body: Body) -> Result<Response<Body>, RestError> {
        match parts.method {
            Method::GET => self.list(kind).await,
            Method::POST => self.create(kind, parts, body).await,
            _ => Err(not_allowed(parts, "GET,POST")),
        }
    }

    async fn job(
        &self,
        kind: Kind,
        id: &str,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, RestError> {
        match parts.method {
            Method::GET => {
                let info = self.with_job(kind, id, false, |tx, job| Ok(job.info(tx.now_micros()))).await?;
                Ok(json_response(StatusCode::OK, &info))
            }
            Method::PATCH => self.change(kind, id, parts, body).await,
            Method::DELETE => self.delete(kind, id).await,
            _ => Err(not_allowed(parts, "DELETE,GET,PATCH")),
        }
    }

    /// Step 1.
    async fn create(&self, kind: Kind, parts: &Parts, body: Body) -> Result<Response<Body>, RestError> {
        ensure_json(&parts.headers)?;
        let request = JobRequest::read(&whole(body).await?)?;
        let (caller, version) = (self.caller.clone(), self.version);
        let job = self.in_tx(move |tx| {
            let job = new_job(tx, &caller, version, kind, &request)?;
            store::insert(tx, &job)?;
            Ok(job)
        });
        let job = job.await?;
        self.wake(&job);
        Ok(json_response(StatusCode::OK, &job.summary()))
    }

    /// Step 2.
    async fn upload(&self, id: &str, parts: &Parts, body: Body) -> Result<Response<Body>, RestError> {
        if parts.method != Method::PUT {
            return Err(not_allowed(parts, "PUT"));
        }
        ensure_csv(&parts.headers)?;
        let job = self.with_job(Kind::Ingest, id, true, |_, job| Ok(job)).await?;
        // A task of its own also tidies up when the client goes away and nobody waits here any more.
        let received = tokio::spawn(upload::receive(self.host.database().clone(), job, body)).await;
        received.map_err(DbError::Interrupted)??;
        Ok(empty(StatusCode::CREATED))
    }

    /// Step 3.
    async fn change(
        &self,
        kind: Kind,
        id: &str,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, RestError> {
        ensure_json(&parts.headers)?;
        let change: Value =
            serde_json::from_slice(&whole(body).await?).map_err(|error| json_error(&error))?;
        let wanted = change.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
        let change = move |tx: &Tx<'_>, job: Job| {
            store::set_state(tx, &job.id, job.next_state(&wanted)?)?;
            store::find(tx, &job.id)?.ok_or_else(RestError::not_found)
        };
        let job = self.with_job(kind, id, true, change).await?;
        self.wake(&job);
        Ok(json_response(StatusCode::OK, &job.summary()))
    }

    /// Step 5 of an ingest.
    async fn results(&self, id: &str, wanted: Wanted, parts: &Parts) -> Result<Response<Body>, RestError> {
        ensure_get(parts)?;
        let job = self.with_job(Kind::Ingest, id, false, |_, job| Ok(job)).await?;
        Ok(csv(results::stream(self.host.database(), job, wanted)?))
    }

    /// Step 5 of a query.
    async fn page(&self, id: &str, parts: &Parts) -> Result<Response<Body>, RestError> {
        ensure_get(parts)?;
        let (locator, most) = (self.parameter("locator"), self.parameter("maxRecords"));
        let page = move |tx: &Tx<'_>, job: Job| query::page(tx, &job, locator.as_deref(), most.as_deref());
        let Page { csv: text, records, locator } = self.with_job(Kind::Query, id, false, page).await?;
        let mut response = csv(Body::from(text));
        let locator = locator.and_then(|locator| HeaderValue::from_str(&locator).ok());
        let headers = response.headers_mut();
        headers.insert("Sforce-Locator", locator.unwrap_or(HeaderValue::from_static("null")));
        headers.insert("Sforce-NumberOfRecords", HeaderValue::from(records));
        Ok(response)
    }

    /// Step 6.
    async fn delete(&self, kind: Kind, id: &str) -> Result<Response<Body>, RestError> {
        let delete = |tx: &Tx<'_>, job: Job| {
            if matches!(job.state, State::Open | State::InProgress) {
                let message = format!("Deleting {} Job not allowed", job.state.name());
                return Err(invalid_state(message));
            }
            Ok(store::delete(tx, &job)?)
        };
        self.with_job(kind, id, true, delete).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn list(&self, kind: Kind) -> Result<Response<Body>, RestError> {
        let skip =
            self.parameter("queryLocator").and_then(|skip| skip.parse::<u32>().ok()).unwrap_or_default();
        let other = self.parameter("jobType").is_some_and(|wanted| wanted != kind.job_type());
        let (caller, base) = (self.caller.clone(), self.version.base_url());
        let list = self.in_tx(move |tx| {
            let records = api_records(tx, &caller)?;
            let all = records.rights().permissions().has("ViewAllData");
            let user = caller.user_id().filter(|_| !all);
            let mut jobs = store::list(tx, kind, user, skip, if other { 0 } else { LISTED_AT_ONCE + 1 })?;
            let done = jobs.len() as u32 <= LISTED_AT_ONCE;
            jobs.truncate(LISTED_AT_ONCE as usize);
            let next = format!("{base}/jobs/{}?queryLocator={}", kind.segment(), skip + LISTED_AT_ONCE);
            let records: Vec<Value> = jobs.iter().map(listed).collect();
            Ok(json!({"done": done, "records": records, "nextRecordsUrl": (!done).then_some(next)}))
        });
        Ok(json_response(StatusCode::OK, &list.await?))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn wake(&self, job: &Job) {
        if job.state == State::UploadComplete {
            self.host.bulk_work().due.notify_one();
        }
    }

    /// Runs `work` with a job that the caller may see, or change.
    async fn with_job<R: Send + 'static>(
        &self,
        kind: Kind,
        id: &str,
        changes: bool,
        work: impl FnOnce(&Tx<'_>, Job) -> Result<R, RestError> + Send + 'static,
    ) -> Result<R, RestError> {
        let (caller, id) = (self.caller.clone(), id.to_owned());
        self.in_tx(move |tx| work(tx, find(tx, &caller, kind, &id, changes)?)).await
    }

    async fn in_tx<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<R, RestError> + Send + 'static,
    ) -> Result<R, RestError> {
        self.host.database().call(|db| db.write(work)).await
    }
}

/// The records of a caller who may use the API at all.
fn api_records<'t>(tx: &'t Tx<'t>, caller: &Caller) -> Result<Records<'t>, RestError> {
    let records = Records::new(tx, caller)?;
    ensure_api_enabled(&records)?;
    Ok(records)
}

/// A job of the caller's own, or anybody's for who may see (or change) all data.
fn find(tx: &Tx<'_>, caller: &Caller, kind: Kind, id: &str, changes: bool) -> Result<Job, RestError> {
    let records = api_records(tx, caller)?;
    let all = if changes { "ModifyAllData" } else { "ViewAllData" };
    let id = crate::ids::normalize(id).ok_or_else(RestError::not_found)?;
    store::find(tx, &id)?
        .filter(|job| job.kind == kind)
        .filter(|job| caller.user_id() == Some(&job.user_id) || records.rights().permissions().has(all))
        .ok_or_else(RestError::not_found)
}

fn new_job(
    tx: &Tx<'_>,
    caller: &Caller,
    version: ApiVersion,
    kind: Kind,
    request: &JobRequest,
) -> Result<Job, RestError> {
    let records = api_records(tx, caller)?;
    let operation = request.operation(kind)?;
    let object = match kind {
        Kind::Ingest => ingest_object(&records, operation, request)?,
        Kind::Query => soql::table_of(tx, records.rights(), query_of(request)?)?,
    };
    let (user_id, session_id) = match caller {
        Caller::User { user_id, session_id } => (user_id.clone(), session_id.clone()),
        Caller::System => return Err(RestError::session_expired()),
    };
    let external_id = request.external_id_field_name.clone();
    Ok(Job {
        id: tx.new_id(JOB_PREFIX)?,
        kind,
        operation,
        object,
        external_id: external_id.filter(|_| operation == Operation::Upsert),
        query: request.query.clone().filter(|_| kind == Kind::Query),
        assignment_rule: request.assignment_rule_id.clone(),
        dialect: request.dialect()?,
        version,
        state: if kind == Kind::Query { State::UploadComplete } else { State::Open },
        error: None,
        user_id,
        session_id,
        created_micros: tx.now_micros(),
        modified_micros: tx.now_micros(),
        started_micros: None,
        completed_micros: None,
        upload: None,
        processed: 0,
        failed: 0,
    })
}

/// The canonical name of the sObject that an ingest is about, which can be worked on in that way.
fn ingest_object(
    records: &Records<'_>,
    operation: Operation,
    request: &JobRequest,
) -> Result<String, RestError> {
    let name = request.object.as_deref().unwrap_or_default();
    let object = records.object(name).map_err(|_| invalid_job(format!("Unable to find object: {name}")))?;
    if operation == Operation::HardDelete && !records.rights().permissions().has("BulkApiHardDelete") {
        let message = "hardDelete operation requires special user profile permission, please contact your system administrator";
        return Err(RestError::new(400, "FEATURENOTENABLED", message));
    }
    if operation == Operation::Upsert {
        let key = request.external_id_field_name.as_deref().unwrap_or_default();
        let field = object.field(key).filter(|field| records.rights().may_read_field(object, field));
        if !field.is_some_and(|field| field.external_id || field.name == "Id") {
            return Err(invalid_job(format!(
                "Field name provided, {key} does not match an External ID, Salesforce Id, or indexed field for {}",
                object.name
            )));
        }
    }
    Ok(object.name.clone())
}

fn query_of(request: &JobRequest) -> Result<&str, RestError> {
    request.query.as_deref().ok_or_else(|| invalid_job("query: the SOQL query of the job is missing"))
}

/// A job in a list tells less than by itself.
fn listed(job: &Job) -> Value {
    let mut listed = job.summary();
    listed["jobType"] = json!(job.kind.job_type());
    listed
}

async fn whole(body: Body) -> Result<axum::body::Bytes, RestError> {
    to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| RestError::new(413, "REQUEST_TOO_LARGE", "The request body is too large"))
}

fn ensure_get(parts: &Parts) -> Result<(), RestError> {
    if parts.method == Method::GET { Ok(()) } else { Err(not_allowed(parts, "GET")) }
}

/// CSV, and as it is: nothing here unpacks an encoding.
fn ensure_csv(headers: &HeaderMap) -> Result<(), RestError> {
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let (kind, encoding) = (text(CONTENT_TYPE), text(CONTENT_ENCODING));
    let is_csv = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv");
    let message = match (is_csv, encoding) {
        (true, "" | "identity") => return Ok(()),
        (true, _) => format!("Content-Encoding {encoding} is not supported for a job's CSV"),
        (false, _) => format!("A job's CSV is sent as text/csv, not as '{kind}'"),
    };
    Err(RestError::new(415, "UNSUPPORTED_MEDIA_TYPE", message))
}

fn not_allowed(parts: &Parts, allowed: &str) -> RestError {
    RestError::method_not_allowed(parts.method.as_str(), allowed)
}

fn csv(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/csv"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
