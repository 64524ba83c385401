//! What comes back: invocations and their callbacks, and Data Cloud's notifications to apps, as they arrive.
//!
//! Everybody sees what was called in their own name; who may see Setup sees all, and what Data Cloud sends.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, Moment, href};
use super::home::InvocationLine;
use super::lists::Paging;
use super::services::Done;
use super::visit::{self, Visit};
use crate::callbacks::{self, Received};
use crate::data_cloud;
use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::store::{self, Invocation};
use crate::state::OrgState;
use crate::stretch::{self, Stretch};
use crate::{pages, secrets};

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/arrivals", get(list))
        .route("/arrivals/{id}", get(show))
        .route("/arrivals/{id}/end", post(end))
}

/// A callback that came.
struct CallbackLine {
    href: String,
    name: String,
    /// Whose session it came with.
    username: String,
    session_ok: bool,
    received: Moment,
    finding: Option<String>,
    body: String,
}

impl CallbackLine {
    fn of(received: Received) -> Self {
        Self {
            href: href(&["arrivals", &received.invocation_id]),
            name: received.callback,
            username: received.username.unwrap_or_default(),
            session_ok: received.session_ok,
            received: Moment(received.received_micros),
            finding: received.finding,
            body: serde_json::to_string_pretty(&received.body).unwrap_or_default(),
        }
    }
}

/// A webhook of a data action.
struct DeliveryLine {
    id: i64,
    target: String,
    events: i64,
    state: String,
    attempts: i64,
    status: Option<i64>,
    trouble: Option<String>,
    created: Moment,
    body: String,
}

#[derive(Template)]
#[template(path = "invoke/arrivals.html")]
struct ArrivalsPage {
    frame: Frame,
    /// Changes whenever one of the lists does.
    version: String,
    /// What is searched for in all of them.
    find: String,
    is_searchable: bool,
    callbacks: Vec<CallbackLine>,
    callbacks_paging: Paging,
    deliveries: Vec<DeliveryLine>,
    deliveries_paging: Paging,
    invocations: Vec<InvocationLine>,
    invocations_paging: Paging,
}

/// Which page of each list, and what is searched for in all of them.
#[derive(Deserialize)]
struct Asked {
    callbacks: Option<usize>,
    notifications: Option<usize>,
    invocations: Option<usize>,
    #[serde(default, deserialize_with = "stretch::find")]
    find: String,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/arrivals", move |tx, visit| page(tx, visit, &asked).map(Some)).await
}

fn page(tx: &Tx<'_>, visit: Visit, asked: &Asked) -> Result<ArrivalsPage, Failure> {
    let whose = whose(&visit);
    let (whose, of) = (whose.as_deref(), ("/arrivals", asked.find.as_str()));
    let count = store::count(tx, whose, &asked.find)?;
    let invocations_paging = Paging::keyed("invocations", asked.invocations, count, of);
    let invocations = store::newest(tx, whose, invocations_paging.stretch())?;
    let invocations: Vec<_> = invocations.into_iter().map(InvocationLine::of).collect();
    let count = callbacks::count(tx, whose, &asked.find)?;
    let callbacks_paging = Paging::keyed("callbacks", asked.callbacks, count, of);
    let callbacks = callbacks::newest(tx, whose, callbacks_paging.stretch())?;
    let callbacks: Vec<_> = callbacks.into_iter().map(CallbackLine::of).collect();
    let count = if visit.frame.sees_setup { data_cloud::count_deliveries(tx, &asked.find)? } else { 0 };
    let deliveries_paging = Paging::keyed("notifications", asked.notifications, count, of);
    let deliveries = if count > 0 { deliveries(tx, deliveries_paging.stretch())? } else { Vec::new() };
    let version = version(&invocations, &callbacks, &deliveries);
    let pagings = [&callbacks_paging, &deliveries_paging, &invocations_paging];
    Ok(ArrivalsPage {
        frame: visit.frame,
        version,
        find: callbacks_paging.find.clone(),
        is_searchable: pagings.iter().any(|paging| paging.is_searchable()),
        callbacks,
        callbacks_paging,
        deliveries,
        deliveries_paging,
        invocations,
        invocations_paging,
    })
}

/// The user whose invocations a visitor sees; none for all.
fn whose(visit: &Visit) -> Option<String> {
    (!visit.frame.sees_setup).then(|| visit.user.id.clone())
}

fn deliveries(tx: &Tx<'_>, stretch: Stretch<'_>) -> Result<Vec<DeliveryLine>, Failure> {
    let lines = data_cloud::newest_deliveries(tx, stretch)?.into_iter().map(|delivery| DeliveryLine {
        id: delivery.id,
        target: delivery.target,
        events: delivery.events,
        state: delivery.state,
        attempts: delivery.attempts,
        status: delivery.status,
        trouble: delivery.trouble,
        created: Moment(delivery.created_micros),
        body: match serde_json::from_str::<Value>(&delivery.body) {
            Ok(body) => serde_json::to_string_pretty(&body).unwrap_or_default(),
            Err(_) => delivery.body,
        },
    });
    Ok(lines.collect())
}

fn version(
    invocations: &[InvocationLine],
    callbacks: &[CallbackLine],
    deliveries: &[DeliveryLine],
) -> String {
    let mut seen = String::new();
    for each in invocations {
        seen += &format!("{} {} {};", each.id, each.state, each.status);
    }
    for each in callbacks {
        seen += &format!("{} {};", each.href, each.received);
    }
    for each in deliveries {
        seen += &format!("{} {} {};", each.id, each.state, each.attempts);
    }
    secrets::fingerprint_text(&seen)
}

#[derive(Template)]
#[template(path = "invoke/invocation.html")]
struct InvocationPage {
    frame: Frame,
    version: String,
    invocation: InvocationLine,
    request_id: String,
    session_id: String,
    mode: String,
    expires: Moment,
    ended: Option<Moment>,
    waits: bool,
    callbacks: Vec<CallbackLine>,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<Done>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/arrivals", move |tx, visit| {
        let Some(invocation) = seen(tx, &visit, &id)? else { return Ok(None) };
        let callbacks: Vec<_> = callbacks::list(tx, Some(&id))?.into_iter().map(CallbackLine::of).collect();
        Ok(Some(invocation_page(visit.frame.with_notice(query.done.as_deref()), invocation, callbacks)))
    })
    .await
}

/// Somebody else's is as if it weren't there.
fn seen(tx: &Tx<'_>, visit: &Visit, id: &str) -> Result<Option<Invocation>, Failure> {
    let whose = whose(visit);
    let found = store::find(tx, id)?;
    Ok(found.filter(|invocation| whose.as_ref().is_none_or(|user_id| *user_id == invocation.user_id)))
}

fn invocation_page(frame: Frame, invocation: Invocation, callbacks: Vec<CallbackLine>) -> InvocationPage {
    let (request_id, session_id) = (invocation.request_id.clone(), invocation.session_id.clone());
    let (mode, ended) = (invocation.mode.clone(), invocation.ended_micros.map(Moment));
    let expires = Moment(invocation.expires_micros);
    let line = InvocationLine::of(invocation);
    InvocationPage {
        frame,
        version: version(std::slice::from_ref(&line), &callbacks, &[]),
        waits: line.state == "waiting",
        invocation: line,
        request_id,
        session_id,
        mode,
        expires,
        ended,
        callbacks,
    }
}

/// Ends an invocation that waits for callbacks.
async fn end(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    visit::submit(state, headers, body, "/arrivals", move |state, visit, _| {
        let known = state.db().write(|tx| {
            let known = seen(tx, &visit, &id)?.is_some();
            if known {
                store::end(tx, &id)?;
            }
            Ok::<_, Failure>(known)
        })?;
        if !known {
            return pages::nothing_here(state);
        }
        Ok(Redirect::to(&format!("{}?done=ended", href(&["arrivals", &id]))).into_response())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_cloud_sends_shows_for_who_sees_setup_with_its_trouble() {
        let mut page = ArrivalsPage {
            frame: Frame {
                org: "Acme".into(),
                kind: "Sandbox",
                user_name: "A".into(),
                username: "a@b".into(),
                here: "/arrivals",
                sees_setup: true,
                token: "t".into(),
                notice: None,
            },
            version: "1".into(),
            find: String::new(),
            is_searchable: false,
            callbacks_paging: Paging::keyed("callbacks", None, 0, ("/arrivals", "")),
            deliveries_paging: Paging::keyed("notifications", None, 1, ("/arrivals", "")),
            invocations_paging: Paging::keyed("invocations", None, 0, ("/arrivals", "")),
            callbacks: Vec::new(),
            deliveries: vec![DeliveryLine {
                id: 7,
                target: "MyApp".into(),
                events: 2,
                state: "failed".into(),
                attempts: 8,
                status: Some(503),
                trouble: Some("The app answered <503>".into()),
                created: Moment(1_790_000_000_000_000),
                body: "{\"x\": \"<script>\"}".into(),
            }],
            invocations: Vec::new(),
        };
        let html = page.render().unwrap();
        for text in ["MyApp", "badge bad\">failed", "503 The app answered &#60;503&#62;", "id=\"delivery-7\""]
        {
            assert!(html.contains(text), "lacks {text}: {html}");
        }
        assert!(!html.contains("<script>") && html.contains("<script src=\"/assets/org.js\""), "{html}");
        page.frame.sees_setup = false;
        assert!(!page.render().unwrap().contains("MyApp"));
    }
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, plain_frame, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let callback = |is_good: bool| CallbackLine {
            href: evil(),
            name: evil(),
            username: evil(),
            session_ok: is_good,
            received: when(),
            finding: (!is_good).then(evil),
            body: evil(),
        };
        let callbacks = || vec![callback(true), callback(false)];
        let delivery = |id, state: &str, is_good: bool| DeliveryLine {
            id,
            target: evil(),
            events: 2,
            state: state.to_owned(),
            attempts: 3,
            status: is_good.then_some(503),
            trouble: is_good.then(evil),
            created: when(),
            body: evil(),
        };
        let deliveries =
            vec![delivery(1, "delivered", false), delivery(2, "failed", true), delivery(3, "<b>", false)];
        let full = ArrivalsPage {
            frame: frame(),
            version: evil(),
            find: evil(),
            is_searchable: true,
            callbacks: callbacks(),
            callbacks_paging: long(),
            deliveries,
            deliveries_paging: long(),
            invocations: vec![crate::pages::home::samples::invocation()],
            invocations_paging: long(),
        };
        let empty = |frame, find: String| ArrivalsPage {
            frame,
            version: evil(),
            is_searchable: !find.is_empty(),
            find,
            callbacks: Vec::new(),
            callbacks_paging: none(),
            deliveries: Vec::new(),
            deliveries_paging: none(),
            invocations: Vec::new(),
            invocations_paging: none(),
        };
        let one = |waits, callbacks, ended| InvocationPage {
            frame: frame(),
            version: evil(),
            invocation: crate::pages::home::samples::invocation(),
            request_id: evil(),
            session_id: evil(),
            mode: evil(),
            expires: when(),
            ended,
            waits,
            callbacks,
        };
        let lists = [
            full,
            empty(frame(), String::new()),
            empty(frame(), evil()),
            empty(plain_frame(), String::new()),
        ];
        let ones =
            [one(true, callbacks(), None), one(true, Vec::new(), None), one(false, Vec::new(), Some(when()))];
        let lists = lists.map(|page| Sample::new("invoke/arrivals.html", page));
        lists.into_iter().chain(ones.map(|page| Sample::new("invoke/invocation.html", page))).collect()
    }
}
