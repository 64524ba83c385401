//! Deliveries that are due: one POST each, and what became of it.

use std::time::Duration;

use applink_api::time::Timestamp;
use applink_api::webhook::{ID, SIGNATURE, TIMESTAMP};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::flow::{self, Verdict};
use super::store::{self, attempts, deliveries, events, state};
use super::{Endpoint, sign};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::claim::Claim;
use crate::db::{RowId, StoreError};
use crate::egress::TenantEgressError;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::vault::VaultError;

/// Longer than [`crate::egress::TENANT_DEADLINE`] and the writing together.
const LEASE: Duration = Duration::from_secs(60);
/// What became of an attempt that was not made. Why it does not open is for the operator's log.
const NOT_SIGNED: &str = "not sent: the endpoint's secret can't be opened, so it can't be signed; give it another with `webhooks:rotate-secret`";
/// Deliveries under way at a time, to as many endpoints.
const SIDE_BY_SIDE: usize = 32;

/// Delivers what is due, one at a time to each endpoint; what becomes due meanwhile, too.
///
/// A failure ends no other delivery: those under way are finished, and nothing more is claimed. Each is a task of its
/// own: one that has a transaction open must go on while this one waits for a connection.
///
/// # Errors
/// The first [`StoreError`]; what was claimed is due again when its lease is over.
pub async fn deliver_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: 1 };
    let mut under_way = JoinSet::new();
    let (mut status, mut failure) = (Status::default(), None);
    loop {
        while failure.is_none() && under_way.len() < SIDE_BY_SIDE {
            match store::claim(app.store.database(), claim).await {
                Ok(Some(delivery)) => drop(under_way.spawn(deliver(app.clone(), delivery))),
                Ok(None) => break,
                Err(error) => failure = Some(error),
            }
        }
        if under_way.is_empty() {
            return failure.map_or(Ok(status), |error| Err(error.into()));
        }
        tokio::select! {
            Some(done) = under_way.join_next() => match done {
                Ok(Ok(())) => status.done += 1,
                Ok(Err(error)) => failure = failure.or(Some(error)),
                // Due again when its lease is over.
                Err(error) => tracing::error!(%error, "a delivery panicked"),
            },
            // Something was told: it may be for an endpoint that nothing is under way to.
            () = app.nudges.webhooks.notified() => {}
        }
    }
}

/// Forgets what is older than [`flow::KEPT`].
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn forget_old(app: &App) -> Result<Status, StepError> {
    let tx = app.store.begin().await?;
    let done = store::forget_before(&*tx, app.clock.now().minus(flow::KEPT)).await?;
    tx.commit().await?;
    Ok(Status { done })
}

/// What came of an attempt.
struct Attempt {
    at: Timestamp,
    status: Option<StatusCode>,
    outcome: String,
    took: Duration,
}

async fn deliver(app: App, delivery: deliveries::Model) -> Result<(), StoreError> {
    let app = &app;
    let reader = app.store.reader();
    let endpoint = store::find(reader, delivery.addon_id.into(), delivery.endpoint_id.0).await?;
    let event = store::find_event(reader, delivery.event_id).await?;
    // They go together with the delivery: it is gone by now too.
    let (Some(endpoint), Some(event)) = (endpoint, event) else { return Ok(()) };
    let at = app.clock.now();
    let attempt = match signed(app, &endpoint, &event, at).await {
        Ok(headers) => attempt(app, &endpoint, headers, event.body, at).await,
        Err(VaultError::Store(error)) => return Err(error),
        Err(error) => {
            tracing::error!(webhook = %endpoint.id, error = %chain(&error), "a webhook can't be signed");
            Attempt { at, status: None, outcome: NOT_SIGNED.to_owned(), took: Duration::ZERO }
        }
    };
    record(app, &delivery, &endpoint, attempt).await
}

async fn attempt(app: &App, endpoint: &Endpoint, headers: HeaderMap, body: String, at: Timestamp) -> Attempt {
    let started = Instant::now();
    let answer = post(app, endpoint, headers, body).await;
    let took = started.elapsed();
    match answer {
        Ok(status) => Attempt { at, status: Some(status), outcome: outcome(status), took },
        Err(error) => {
            tracing::info!(webhook = %endpoint.id, error = %chain(&error), "a webhook was not delivered");
            Attempt { at, status: None, outcome: error.to_string(), took }
        }
    }
}

async fn post(
    app: &App,
    endpoint: &Endpoint,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, TenantEgressError> {
    let url = Url::parse(&endpoint.url).map_err(|_| TenantEgressError::Form)?;
    app.tenant.post(&url, headers, body.into_bytes()).await
}

fn outcome(status: StatusCode) -> String {
    match status {
        status if status.is_success() => "delivered".to_owned(),
        status if status.is_redirection() => "the endpoint redirects, which is not followed".to_owned(),
        status => format!("the endpoint answered {}", status.as_u16()),
    }
}

/// The three headers; two signatures while the secret is being rotated.
async fn signed(
    app: &App,
    endpoint: &Endpoint,
    event: &events::Model,
    at: Timestamp,
) -> Result<HeaderMap, VaultError> {
    let id = event_id(event.id);
    let message = sign::Message { id: &id, timestamp: at.as_seconds(), body: &event.body };
    let secret = app.vault.open_sealed(endpoint.place("secret"), &endpoint.secret).await?;
    let mut signatures: Vec<String> = sign::signature(&secret, message).into_iter().collect();
    if let Some((former, until)) = &endpoint.former_secret
        && at < *until
    {
        match app.vault.open_sealed(endpoint.place("former_secret"), former).await {
            Ok(former) => signatures.extend(sign::signature(&former, message)),
            Err(VaultError::Store(error)) => return Err(error.into()),
            // The one in use is enough.
            Err(error) => {
                tracing::error!(webhook = %endpoint.id, error = %chain(&error), "a former secret can't be opened");
            }
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in
        [(ID, id.clone()), (TIMESTAMP, at.as_seconds().to_string()), (SIGNATURE, signatures.join(" "))]
    {
        headers
            .extend(HeaderValue::from_str(&value).map(|value| (http::HeaderName::from_static(name), value)));
    }
    Ok(headers)
}

/// An event's id on the wire.
pub(super) fn event_id(id: RowId) -> String {
    format!("msg_{}", id.0.simple())
}

/// One transaction: the delivery, the attempt, and how the endpoint stands.
async fn record(
    app: &App,
    delivery: &deliveries::Model,
    endpoint: &Endpoint,
    attempt: Attempt,
) -> Result<(), StoreError> {
    let now = app.clock.now();
    let number = delivery.attempts.saturating_add(1);
    let verdict = flow::verdict(u32::try_from(number).unwrap_or(u32::MAX), attempt.status, now);
    let (state, due_at) = match verdict {
        Verdict::Delivered => (state::DELIVERED, None),
        Verdict::Again(at) => (state::PENDING, Some(at)),
        Verdict::GivenUp => (state::FAILED, None),
    };
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, endpoint.addon).await?;
    if !store::save_delivery(&*tx, delivery, state, due_at).await? {
        return Ok(());
    }
    let status = attempt.status;
    store::insert_attempt(&*tx, row(app, delivery, number, attempt)).await?;
    let current = store::find(&*tx, endpoint.addon, endpoint.id).await?;
    if let Some(mut current) = current
        && let Some(entry) = stands(&mut current, verdict, status, now)
    {
        store::save(&*tx, &current).await?;
        if !current.enabled {
            store::give_up(&*tx, current.id).await?;
        }
        entry.into_iter().for_each(|entry| tx.audit(entry));
    }
    tx.commit().await
}

fn row(app: &App, delivery: &deliveries::Model, number: i32, attempt: Attempt) -> attempts::Model {
    attempts::Model {
        id: RowId(app.entropy.uuid()),
        addon_id: delivery.addon_id,
        delivery_id: delivery.id,
        number,
        at: attempt.at.as_micros(),
        status: attempt.status.map(|status| i32::from(status.as_u16())),
        outcome: attempt.outcome,
        milliseconds: i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX),
    }
}

/// How the endpoint stands after an attempt: none when nothing changed, else the audit entry if there is one.
fn stands(
    endpoint: &mut Endpoint,
    verdict: Verdict,
    status: Option<StatusCode>,
    now: Timestamp,
) -> Option<Option<Entry>> {
    if verdict == Verdict::Delivered {
        return endpoint.failing_since.take().map(|_| None);
    }
    let is_first = endpoint.failing_since.is_none();
    let since = *endpoint.failing_since.get_or_insert(now);
    let Some(reason) = flow::switched_off(verdict, status, since, now) else {
        return is_first.then_some(None);
    };
    tracing::warn!(webhook = %endpoint.id, %reason, "a webhook is switched off");
    endpoint.enabled = false;
    let entry = Entry::new(&Actor::system(), "webhook.switched_off", endpoint.addon, endpoint.id);
    let entry = entry.with_detail(&reason);
    endpoint.disabled_reason = Some(reason);
    Some(Some(entry))
}
