//! The org's front page: where its doors are, and for people who are logged in what it holds.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use crate::browser;
use crate::control::permission_sets;
use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::store;
use crate::metadata::component::{ComponentType, Definition, ExternalServiceRegistration};
use crate::metadata::{components, deployment};
use crate::pages::{self, InvocationLine, ServiceLine, StatusPage, UserLine};
use crate::rights::{self, Caller};
use crate::services::Service;
use crate::state::OrgState;
use crate::users;

pub(super) async fn show(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    state.call(move |state| page(state, &headers)).await
}

fn page(state: &OrgState, headers: &HeaderMap) -> Result<Response, Failure> {
    let signed_in = browser::current(state, headers)?;
    let mut page = StatusPage {
        org: state.identity().name.clone(),
        kind: state.identity().kind.label(),
        org_id: state.org_id().to_owned(),
        base: state.base().to_owned(),
        api_version: state.api_version(),
        signed_in: signed_in.as_ref().map(|(_, user)| user.username.clone()),
        sees_setup: false,
        users: Vec::new(),
        services: Vec::new(),
        deployments: Vec::new(),
        invocations: Vec::new(),
    };
    if let Some((session, user)) = &signed_in {
        let caller = Caller::user(&user.id, &session.id);
        state.db().read(|tx| fill(tx, &caller, &mut page))?;
    }
    pages::respond(StatusCode::OK, &page, None)
}

/// Everyone sees the invocations made in their own name; the rest needs the permission that set-up data needs.
fn fill(tx: &Tx<'_>, caller: &Caller, page: &mut StatusPage) -> Result<(), Failure> {
    page.sees_setup = rights::user_permissions(tx, caller)?.has("ViewSetup");
    let whose = if page.sees_setup { None } else { caller.user_id() };
    page.invocations = store::newest(tx, whose)?.into_iter().map(invocation_line).collect();
    if page.sees_setup { fill_setup(tx, page) } else { Ok(()) }
}

fn fill_setup(tx: &Tx<'_>, page: &mut StatusPage) -> Result<(), Failure> {
    for user in users::all(tx)? {
        let permission_sets = permission_sets::held_by(tx, &user.id)?.join(", ");
        page.users.push(UserLine {
            name: user.name,
            username: user.username,
            profile: user.profile,
            permission_sets,
        });
    }
    for (name, definition) in components::definitions(tx, ComponentType::ExternalServiceRegistration)? {
        if let Definition::ExternalServiceRegistration(registration) = definition {
            page.services.push(service_line(tx, name, &registration)?);
        }
    }
    let deployments = deployment::all(tx)?;
    page.deployments = deployments
        .iter()
        .map(|each| (each.id.clone(), format!("{} · {}", each.created(), each.summary())))
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
    Ok(ServiceLine { name, endpoint, operations: operations.join(", ") })
}

fn invocation_line(invocation: store::Invocation) -> InvocationLine {
    InvocationLine {
        what: format!("{}.{}", invocation.service, invocation.operation),
        status: invocation.answer_status.map(|status| status.to_string()).unwrap_or_default(),
        id: invocation.id,
        username: invocation.username,
        state: invocation.state,
    }
}
