//! The org's front page, and the one of Setup with its search.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::frame::{self, Frame, Moment, SetupPage, href};
use super::visit::{self, Visit};
use crate::browser;
use crate::control::permission_sets;
use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::store;
use crate::metadata::component::{ComponentType, Definition, ExternalServiceRegistration};
use crate::metadata::{components, deployment};
use crate::pages;
use crate::services::Service;
use crate::state::OrgState;
use crate::stretch::{self, Stretch};
use crate::users;

/// How many lines of each list the front page has.
const FEW: usize = 10;

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/setup", get(setup))
}

/// What the front page says to everybody.
#[derive(Debug)]
struct Doors {
    org_id: String,
    base: String,
    api_version: String,
}

/// The front page of who is not logged in.
#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    org: String,
    kind: &'static str,
    doors: Doors,
}

/// The front page of who is.
#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    doors: Doors,
    users: Vec<UserLine>,
    services: Vec<ServiceLine>,
    deployments: Vec<DeploymentLine>,
    invocations: Vec<InvocationLine>,
}

struct UserLine {
    href: String,
    name: String,
    username: String,
    profile: String,
    permission_sets: String,
}

struct ServiceLine {
    href: String,
    name: String,
    endpoint: String,
    operations: String,
}

struct DeploymentLine {
    href: String,
    id: String,
    created: Moment,
    summary: String,
}

/// An invocation in a list.
pub(super) struct InvocationLine {
    pub(super) href: String,
    pub(super) id: String,
    pub(super) what: String,
    pub(super) username: String,
    pub(super) state: String,
    pub(super) status: String,
    pub(super) created: Moment,
}

impl InvocationLine {
    pub(super) fn of(invocation: store::Invocation) -> Self {
        Self {
            href: href(&["arrivals", &invocation.id]),
            what: format!("{}.{}", invocation.service, invocation.operation),
            status: invocation.answer_status.map(|status| status.to_string()).unwrap_or_default(),
            created: Moment(invocation.created_micros),
            id: invocation.id,
            username: invocation.username,
            state: invocation.state,
        }
    }
}

pub(super) async fn show(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    let doors = Doors {
        org_id: state.org_id().to_owned(),
        base: state.base().to_owned(),
        api_version: state.api_version(),
    };
    let looked = state.clone();
    let of = headers.clone();
    if looked.call(move |state| browser::current(state, &of)).await?.is_none() {
        let identity = state.identity();
        let page = StatusPage { org: identity.name.clone(), kind: identity.kind.label(), doors };
        return pages::respond(StatusCode::OK, &page, None);
    }
    visit::show(state, headers, "/", move |tx, visit| home(tx, visit, doors).map(Some)).await
}

/// Everyone sees the invocations made in their own name; the rest needs the permission that set-up data needs.
fn home(tx: &Tx<'_>, visit: Visit, doors: Doors) -> Result<HomePage, Failure> {
    let whose = if visit.frame.sees_setup { None } else { Some(visit.user.id.as_str()) };
    let invocations =
        store::newest(tx, whose, Stretch::first(FEW))?.into_iter().map(InvocationLine::of).collect();
    let mut page = HomePage {
        frame: visit.frame,
        doors,
        users: Vec::new(),
        services: Vec::new(),
        deployments: Vec::new(),
        invocations,
    };
    if page.frame.sees_setup {
        fill_setup(tx, &mut page)?;
    }
    Ok(page)
}

fn fill_setup(tx: &Tx<'_>, page: &mut HomePage) -> Result<(), Failure> {
    for user in users::some(tx, Stretch::first(FEW))? {
        let permission_sets = permission_sets::held_by(tx, &user.id)?.join(", ");
        page.users.push(UserLine {
            href: href(&["setup", "users", &user.id]),
            name: user.name,
            username: user.username,
            profile: user.profile,
            permission_sets,
        });
    }
    let services = components::definitions(tx, ComponentType::ExternalServiceRegistration)?;
    for (name, definition) in services.into_iter().take(FEW) {
        if let Definition::ExternalServiceRegistration(registration) = definition {
            page.services.push(service_line(tx, name, &registration)?);
        }
    }
    let deployments = deployment::newest(tx, Stretch::first(FEW))?;
    page.deployments = deployments
        .iter()
        .map(|each| DeploymentLine {
            href: href(&["setup", "deployment-status", &each.id]),
            id: each.id.clone(),
            created: Moment(each.created_micros),
            summary: each.summary(),
        })
        .collect();
    Ok(())
}

fn service_line(
    tx: &Tx<'_>,
    name: String,
    registration: &ExternalServiceRegistration,
) -> Result<ServiceLine, Failure> {
    let credential = registration.named_credential.as_deref().unwrap_or_default();
    let endpoint = components::named_credential(tx, credential)?
        .and_then(|credential| credential.url)
        .unwrap_or_default();
    let service = registration.schema.as_deref().and_then(|schema| Service::read(schema).ok());
    let operations: Vec<String> =
        service.into_iter().flat_map(|service| service.operations).map(|operation| operation.name).collect();
    Ok(ServiceLine {
        href: href(&["setup", "external-services", &name]),
        name,
        endpoint,
        operations: operations.join(", "),
    })
}

#[derive(Deserialize)]
struct Find {
    #[serde(default, deserialize_with = "stretch::find")]
    find: String,
}

/// Setup's front page.
#[derive(Template)]
#[template(path = "setup/home.html")]
struct SetupHome {
    frame: Frame,
    find: String,
    found: Vec<SetupPage>,
}

/// `GET /setup?find=…`.
async fn setup(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<Find>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup", move |_, visit| {
        let found = frame::search(&query.find);
        Ok(Some(SetupHome { frame: visit.frame, find: query.find, found }))
    })
    .await
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, plain_frame, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let doors = || Doors { org_id: evil(), base: evil(), api_version: evil() };
        let status = StatusPage { org: evil(), kind: "Sandbox", doors: doors() };
        let user = UserLine {
            href: evil(),
            name: evil(),
            username: evil(),
            profile: evil(),
            permission_sets: evil(),
        };
        let service = ServiceLine { href: evil(), name: evil(), endpoint: evil(), operations: evil() };
        let deployment = DeploymentLine { href: evil(), id: evil(), created: when(), summary: evil() };
        let full = HomePage {
            frame: frame(),
            doors: doors(),
            users: vec![user],
            services: vec![service],
            deployments: vec![deployment],
            invocations: vec![invocation()],
        };
        let empty = |frame| HomePage {
            frame,
            doors: doors(),
            users: Vec::new(),
            services: Vec::new(),
            deployments: Vec::new(),
            invocations: Vec::new(),
        };
        let setup = |found| SetupHome { frame: frame(), find: evil(), found };
        vec![
            Sample::new("status.html", status),
            Sample::new("home.html", full),
            Sample::new("home.html", empty(frame())),
            Sample::new("home.html", empty(plain_frame())),
            Sample::new("setup/home.html", setup(frame::search(""))),
            Sample::new("setup/home.html", setup(Vec::new())),
        ]
    }

    pub(in crate::pages) fn invocation() -> InvocationLine {
        InvocationLine {
            href: evil(),
            id: evil(),
            what: evil(),
            username: evil(),
            state: evil(),
            status: evil(),
            created: when(),
        }
    }
}
