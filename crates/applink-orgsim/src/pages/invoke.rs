//! Calling a published app as Flow or Apex would, from a form ([`inputs`]) made from its document.
//!
//! Everybody calls as themselves; who may manage users calls as anybody.

mod inputs;

use std::ops::ControlFlow;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use self::inputs::{Input, Widget};
use super::frame::{Frame, href};
use super::lists::{Looked, Paging};
use super::services;
use super::visit::{self, Sent, Visit};
use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::{self, Answer, Call, Mode, Refusal, Shown};
use crate::metadata::components;
use crate::pages;
use crate::services::{Operation, Service};
use crate::state::OrgState;
use crate::stretch::Stretch;
use crate::users;

/// Whoever has it may call as somebody else.
const AS_OTHERS: &str = "ManageUsers";
/// So many users are proposed; any other can be typed.
const PROPOSED: usize = 200;

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/invoke", get(list)).route("/invoke/{service}/{operation}", get(form).post(submit))
}

struct ServiceLine {
    name: String,
    label: String,
    operations: Vec<OperationLine>,
}

struct OperationLine {
    href: String,
    name: String,
    summary: String,
    active: bool,
}

#[derive(Template)]
#[template(path = "invoke/list.html")]
struct ListPage {
    frame: Frame,
    services: Vec<ServiceLine>,
    paging: Paging,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/invoke", move |tx, visit| {
        let (found, paging) = services::found(tx, &looked, "/invoke", |_| true)?;
        let mut services = Vec::new();
        for (name, registration) in found {
            let service = registration.schema.as_deref().and_then(|schema| Service::read(schema).ok());
            let line = |operation: Operation| OperationLine {
                href: href(&["invoke", &name, &operation.name]),
                active: registration.is_active(&operation.name),
                summary: operation.summary.unwrap_or_default(),
                name: operation.name,
            };
            let operations = service.into_iter().flat_map(|service| service.operations).map(line).collect();
            services.push(ServiceLine { label: registration.label.clone(), operations, name });
        }
        Ok(Some(ListPage { frame: visit.frame, services, paging }))
    })
    .await
}

/// What came of a call.
struct Outcome {
    status: u16,
    good: bool,
    waiting: bool,
    href: String,
    request_id: String,
    headers: Vec<(String, String)>,
    body: String,
    sent: Shown,
}

/// Why there was none.
struct Problem {
    message: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "invoke/operation.html")]
struct FormPage {
    frame: Frame,
    href: String,
    service: String,
    operation: String,
    summary: String,
    request: String,
    permission_set: Option<String>,
    callbacks: Vec<String>,
    has_body: bool,
    body_required: bool,
    inputs: Vec<Input>,
    /// Usernames to choose from; none for who may only call as themselves.
    people: Vec<String>,
    caller: String,
    /// The chosen user's page of Setup.
    caller_href: Option<String>,
    flow: bool,
    minutes: String,
    raw: String,
    problem: Option<Problem>,
    outcome: Option<Outcome>,
}

async fn form(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path((service, operation)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/invoke", move |tx, visit| form_page(tx, visit, &service, &operation)).await
}

fn form_page(tx: &Tx<'_>, visit: Visit, service: &str, operation: &str) -> Result<Option<FormPage>, Failure> {
    let Some((name, registration)) = components::registration(tx, service)? else { return Ok(None) };
    let service = registration.schema.as_deref().and_then(|schema| Service::read(schema).ok());
    let found = service.as_ref().and_then(|service| Some((service, service.operation(operation)?)));
    let Some((service, operation)) = found else { return Ok(None) };
    let people = if visit.permissions.has(AS_OTHERS) {
        let users = users::some(tx, Stretch::first(PROPOSED))?;
        users.into_iter().filter(|user| user.is_active).map(|user| user.username).collect()
    } else {
        Vec::new()
    };
    Ok(Some(FormPage {
        href: href(&["invoke", &name, &operation.name]),
        summary: operation.summary.clone().unwrap_or_default(),
        request: format!("{} {}", operation.method, operation.path),
        permission_set: operation.authorization.permission_set.clone(),
        callbacks: operation.callbacks.iter().map(|callback| callback.name.clone()).collect(),
        has_body: operation.body.is_some(),
        body_required: operation.body.as_ref().is_some_and(|body| body.required),
        inputs: inputs::of(&service.document, operation),
        service: name,
        operation: operation.name.clone(),
        caller: visit.user.username,
        caller_href: None,
        frame: visit.frame,
        people,
        flow: false,
        minutes: String::new(),
        raw: String::new(),
        problem: None,
        outcome: None,
    }))
}

/// What stands between a form and its answer.
struct Ready {
    page: Box<FormPage>,
    /// None when what was typed can't be read; the page says why.
    call: Option<Call>,
}

async fn submit(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path((service, operation)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Failure> {
    let prepared = state.call(move |state| {
        let (visit, sent) = match visit::admit_form(state, &headers, &body, "/invoke")? {
            ControlFlow::Continue(admitted) => admitted,
            ControlFlow::Break(answer) => return Ok::<_, Failure>(ControlFlow::Break(answer)),
        };
        match state.db().read(|tx| ready(tx, visit, &sent, &service, &operation))? {
            Some(ready) => Ok(ControlFlow::Continue(ready)),
            None => pages::nothing_here(state).map(ControlFlow::Break),
        }
    });
    let Ready { mut page, call } = match prepared.await? {
        ControlFlow::Continue(ready) => ready,
        ControlFlow::Break(answer) => return Ok(answer),
    };
    let Some(call) = call else { return pages::respond_framed(StatusCode::UNPROCESSABLE_ENTITY, &*page) };
    // To its end even when the browser goes away: the invocation's session must not stay open.
    let invoked = tokio::spawn(async move { invoke::invoke(&state, call).await });
    let status = match invoked.await? {
        Ok(answer) => {
            page.outcome = Some(outcome(answer));
            StatusCode::OK
        }
        Err(Refusal::Refused { status, message, detail, .. }) => {
            page.problem = Some(Problem { message, detail });
            status
        }
        Err(Refusal::Failed(failure)) => return Err(failure),
    };
    pages::respond_framed(status, &*page)
}

fn ready(
    tx: &Tx<'_>,
    visit: Visit,
    sent: &Sent,
    service: &str,
    operation: &str,
) -> Result<Option<Ready>, Failure> {
    let Some(mut page) = form_page(tx, visit, service, operation)?.map(Box::new) else { return Ok(None) };
    inputs::fill(&mut page.inputs, sent);
    page.flow = sent.one("mode") == Mode::Flow.name();
    sent.one("minutes").clone_into(&mut page.minutes);
    sent.one("raw").clone_into(&mut page.raw);
    // Who may not choose stays who they are, whatever the form says.
    if !page.people.is_empty() && sent.has("as") {
        sent.one("as").trim().clone_into(&mut page.caller);
    }
    if page.frame.sees_setup {
        let user = users::by_username(tx, &page.caller)?;
        page.caller_href = user.map(|user| href(&["setup", "users", &user.id]));
    }
    let call = match call(&page) {
        Ok(call) => Some(call),
        Err(message) => {
            page.problem = Some(Problem { message, detail: "Nothing was sent.".to_owned() });
            None
        }
    };
    Ok(Some(Ready { page, call }))
}

fn call(page: &FormPage) -> Result<Call, String> {
    let typed = inputs::read(&page.inputs, page.body_required)?;
    let body = if page.raw.trim().is_empty() {
        typed.body
    } else {
        serde_json::from_str(&page.raw).map_err(|error| format!("The body is no JSON: {error}"))?
    };
    let minutes = match page.minutes.trim() {
        "" => None,
        minutes => Some(minutes.parse().map_err(|_| format!("Minutes: {minutes:?} is no whole number"))?),
    };
    Ok(Call {
        service: page.service.clone(),
        operation: page.operation.clone(),
        username: page.caller.clone(),
        body,
        parameters: typed.parameters,
        mode: if page.flow { Mode::Flow } else { Mode::Apex },
        callback_timeout_minutes: minutes,
    })
}

fn outcome(answer: Answer) -> Outcome {
    let header = |(name, value): (String, Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name, value)
    };
    Outcome {
        status: answer.status,
        good: answer.status < 400,
        waiting: answer.state == "waiting",
        href: href(&["arrivals", &answer.invocation_id]),
        request_id: answer.request_id,
        headers: answer.headers.into_iter().map(header).collect(),
        body: match answer.body {
            Value::Null => String::new(),
            Value::String(text) => text,
            json => serde_json::to_string_pretty(&json).unwrap_or_default(),
        },
        sent: answer.sent,
    }
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, plain_frame};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let operation = |active| OperationLine { href: evil(), name: evil(), summary: evil(), active };
        let service = |operations| ServiceLine { name: evil(), label: evil(), operations };
        let full = vec![service(vec![operation(true), operation(false)]), service(Vec::new())];
        let list = |services, paging| ListPage { frame: frame(), services, paging };
        let forms = [form(true, Some(outcome(true))), form(true, Some(outcome(false))), form(false, None)];
        let lists = [list(full, long()), list(Vec::new(), none())];
        let lists = lists.map(|page| Sample::new("invoke/list.html", page));
        lists.into_iter().chain(forms.map(|page| Sample::new("invoke/operation.html", page))).collect()
    }

    fn outcome(is_full: bool) -> Outcome {
        Outcome {
            status: 201,
            good: is_full,
            waiting: is_full,
            href: evil(),
            request_id: evil(),
            headers: vec![(evil(), evil())],
            body: if is_full { evil() } else { String::new() },
            sent: Shown {
                method: evil(),
                url: evil(),
                headers: vec![(evil(), evil()), (evil(), format!("{{{}}}", evil()))],
                body: is_full.then(evil),
            },
        }
    }

    fn form(is_full: bool, outcome: Option<Outcome>) -> FormPage {
        FormPage {
            frame: if is_full { frame() } else { plain_frame() },
            href: evil(),
            service: evil(),
            operation: evil(),
            summary: if is_full { evil() } else { String::new() },
            request: evil(),
            permission_set: is_full.then(evil),
            callbacks: if is_full { vec![evil()] } else { Vec::new() },
            has_body: is_full,
            body_required: is_full,
            inputs: if is_full { inputs::samples() } else { Vec::new() },
            people: if is_full { vec![evil()] } else { Vec::new() },
            caller: evil(),
            caller_href: is_full.then(evil),
            flow: is_full,
            minutes: evil(),
            raw: if is_full { evil() } else { String::new() },
            problem: is_full.then(|| Problem { message: evil(), detail: evil() }),
            outcome,
        }
    }
}
