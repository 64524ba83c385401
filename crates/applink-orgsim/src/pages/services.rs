//! Setup's three views of registered services: Heroku Apps, API Catalog, External Services.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, Moment, href};
use super::lists::{Looked, Paging};
use super::visit::{self, Sent, Visit};
use crate::db::Tx;
use crate::failure::Failure;
use crate::metadata::component::{ComponentType, Definition, ExternalServiceRegistration};
use crate::metadata::{self, Removal, components};
use crate::pages;
use crate::services::{Operation, Place, Service, schema};
use crate::state::OrgState;
use crate::stretch;

/// What registrations of AppLink say of where they come from.
const HEROKU: &str = "Heroku";

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/setup/heroku-apps", get(heroku_apps))
        .route("/setup/heroku-apps/{name}", get(heroku_app))
        .route("/setup/api-catalog", get(api_catalog))
        .route("/setup/external-services", get(external_services))
        .route("/setup/external-services/{name}", get(external_service))
        .route("/setup/external-services/{name}/delete", get(confirm).post(delete))
}

/// The query of a page that a form may have led to.
#[derive(Deserialize)]
pub(super) struct Done {
    pub(super) done: Option<String>,
}

/// A registered service.
pub(super) struct Registered {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) description: String,
    /// `Heroku`, or what else the registration says.
    pub(super) source: String,
    pub(super) status: String,
    pub(super) schema_type: String,
    pub(super) credential: String,
    pub(super) endpoint: String,
    pub(super) app_uuid: String,
    pub(super) addon_uuid: String,
    pub(super) modified: Moment,
    pub(super) operations: Vec<Offered>,
    /// Why the operations can't be read, when they can't.
    pub(super) trouble: Option<String>,
}

/// An operation as the pages show it.
pub(super) struct Offered {
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) active: bool,
    pub(super) invoke: String,
    pub(super) permission_set: Option<String>,
    pub(super) inputs: Vec<Slot>,
    pub(super) outputs: Vec<Slot>,
    pub(super) callbacks: Vec<String>,
}

/// An input or output.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) place: &'static str,
    pub(super) required: bool,
}

impl Registered {
    pub(super) fn setup_href(&self) -> String {
        href(&["setup", "external-services", &self.name])
    }

    pub(super) fn app_href(&self) -> String {
        href(&["setup", "heroku-apps", &self.name])
    }

    fn is_heroku(&self) -> bool {
        self.source == HEROKU
    }

    fn read(tx: &Tx<'_>, name: String, registration: &ExternalServiceRegistration) -> Result<Self, Failure> {
        let credential = registration.named_credential.clone().unwrap_or_default();
        let endpoint = components::named_credential(tx, &credential)?.and_then(|credential| credential.url);
        let (operations, trouble) = match registration.schema.as_deref().map(Service::read) {
            None => (Vec::new(), Some("The registration has no schema.".to_owned())),
            Some(Err(error)) => (Vec::new(), Some(error.to_string())),
            Some(Ok(service)) => (offered(&name, registration, &service), None),
        };
        let modified = components::modified_micros(tx, ComponentType::ExternalServiceRegistration, &name)?;
        Ok(Self {
            label: registration.label.clone(),
            description: registration.description.clone().unwrap_or_default(),
            source: registration.provider_type.clone().unwrap_or_else(|| "Custom".to_owned()),
            status: registration.status.clone(),
            schema_type: registration.schema_type.clone().unwrap_or_default(),
            credential,
            endpoint: endpoint.unwrap_or_default(),
            app_uuid: registration.provider_asset.clone().unwrap_or_default(),
            addon_uuid: registration.provider.clone().unwrap_or_default(),
            modified: Moment(modified),
            operations,
            trouble,
            name,
        })
    }
}

fn offered(
    service_name: &str,
    registration: &ExternalServiceRegistration,
    service: &Service,
) -> Vec<Offered> {
    let offered = |operation: &Operation| Offered {
        name: operation.name.clone(),
        summary: operation.summary.clone().unwrap_or_default(),
        method: operation.method.to_string(),
        path: operation.path.clone(),
        active: registration.is_active(&operation.name),
        invoke: href(&["invoke", service_name, &operation.name]),
        permission_set: operation.authorization.permission_set.clone(),
        inputs: inputs(&service.document, operation),
        outputs: outputs(&service.document, operation),
        callbacks: operation.callbacks.iter().map(|callback| callback.name.clone()).collect(),
    };
    service.operations.iter().map(offered).collect()
}

fn inputs(document: &Value, operation: &Operation) -> Vec<Slot> {
    let parameters = operation.parameters.iter().map(|parameter| Slot {
        name: parameter.name.clone(),
        kind: kind_of(document, &parameter.schema),
        place: match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        },
        required: parameter.required,
    });
    let body = operation.body.iter().flat_map(|body| slots(document, &body.schema, "body"));
    parameters.chain(body).collect()
}

/// The properties of the first successful response.
fn outputs(document: &Value, operation: &Operation) -> Vec<Slot> {
    let method = operation.method.as_str().to_ascii_lowercase();
    let source = document.get("paths").and_then(|paths| paths.get(&operation.path)?.get(&method));
    let responses = source.and_then(|source| source.get("responses")?.as_object());
    let success =
        responses.into_iter().flatten().find(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
    let answer = success.and_then(|answer| schema::resolve(document, answer).ok());
    let content = answer.and_then(|answer| answer.get("content")?.as_object());
    let schema = content.and_then(|content| content.values().next()?.get("schema"));
    schema.map(|schema| slots(document, schema, "answer")).unwrap_or_default()
}

/// The properties of an object; anything else as one.
fn slots(document: &Value, source: &Value, place: &'static str) -> Vec<Slot> {
    let resolved = schema::resolve(document, source).unwrap_or(source);
    let Some(properties) = resolved.get("properties").and_then(Value::as_object) else {
        let kind = kind_of(document, resolved);
        return vec![Slot { name: place.to_owned(), kind, place, required: true }];
    };
    let required: Vec<&str> = resolved
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let slot = |(name, property): (&String, &Value)| Slot {
        kind: kind_of(document, property),
        place,
        required: required.contains(&name.as_str()),
        name: name.clone(),
    };
    properties.iter().map(slot).collect()
}

/// `string`, `integer (int64)`, `string[]`, `object`.
fn kind_of(document: &Value, source: &Value) -> String {
    let resolved = schema::resolve(document, source).unwrap_or(source);
    let text = |key: &str| resolved.get(key).and_then(Value::as_str);
    match (text("type"), text("format")) {
        (Some("array"), _) => {
            format!("{}[]", kind_of_item(document, resolved.get("items").unwrap_or(&Value::Null)))
        }
        (Some(kind), Some(format)) => format!("{kind} ({format})"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => "object".to_owned(),
    }
}

/// Of an array inside an array only that it is one: schemas may refer back to themselves.
fn kind_of_item(document: &Value, source: &Value) -> String {
    let resolved = schema::resolve(document, source).unwrap_or(source);
    resolved.get("type").and_then(Value::as_str).unwrap_or("object").to_owned()
}

/// A page of the registered services, by name.
pub(super) fn found(
    tx: &Tx<'_>,
    looked: &Looked,
    path: &str,
    is_wanted: impl Fn(&ExternalServiceRegistration) -> bool,
) -> Result<(Vec<(String, ExternalServiceRegistration)>, Paging), Failure> {
    let all = components::definitions(tx, ComponentType::ExternalServiceRegistration)?;
    let all = all.into_iter().filter_map(|(name, definition)| match definition {
        Definition::ExternalServiceRegistration(registration) => Some((name, *registration)),
        _ => None,
    });
    let is_found = |(name, registration): &(String, ExternalServiceRegistration)| {
        let about = registration.description.as_deref().unwrap_or_default();
        is_wanted(registration) && looked.finds(&[name, &registration.label, about])
    };
    Ok(looked.cut(path, all, is_found))
}

/// The same, read: only of what is shown the document is.
fn read(
    tx: &Tx<'_>,
    looked: &Looked,
    path: &str,
    is_heroku: bool,
) -> Result<(Vec<Registered>, Paging), Failure> {
    let is_wanted = |registration: &ExternalServiceRegistration| {
        !is_heroku || registration.provider_type.as_deref() == Some(HEROKU)
    };
    let (found, paging) = found(tx, looked, path, is_wanted)?;
    let read = |(name, registration)| Registered::read(tx, name, &registration);
    Ok((found.into_iter().map(read).collect::<Result<_, _>>()?, paging))
}

fn one(tx: &Tx<'_>, name: &str) -> Result<Option<Registered>, Failure> {
    let definition = components::definition(tx, ComponentType::ExternalServiceRegistration, name)?;
    match definition {
        Some(Definition::ExternalServiceRegistration(registration)) => {
            Registered::read(tx, name.to_owned(), &registration).map(Some)
        }
        _ => Ok(None),
    }
}

#[derive(Template)]
#[template(path = "setup/heroku_apps.html")]
struct HerokuApps {
    frame: Frame,
    services: Vec<Registered>,
    paging: Paging,
}

async fn heroku_apps(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/heroku-apps", move |tx, visit| {
        let (services, paging) = read(tx, &looked, "/setup/heroku-apps", true)?;
        Ok(Some(HerokuApps { frame: visit.frame, services, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/heroku_app.html")]
struct HerokuApp {
    frame: Frame,
    service: Registered,
}

async fn heroku_app(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/heroku-apps", move |tx, visit| {
        let service = one(tx, &name)?.filter(Registered::is_heroku);
        Ok(service.map(|service| HerokuApp { frame: visit.frame, service }))
    })
    .await
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    tab: String,
    page: Option<usize>,
    #[serde(default, deserialize_with = "stretch::find")]
    find: String,
}

#[derive(Template)]
#[template(path = "setup/api_catalog.html")]
struct ApiCatalog {
    frame: Frame,
    is_heroku: bool,
    services: Vec<Registered>,
    paging: Paging,
}

/// `GET /setup/api-catalog?tab=heroku`, or all without.
async fn api_catalog(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<Catalog>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/api-catalog", move |tx, visit| {
        let is_heroku = query.tab == "heroku";
        let looked = Looked { page: query.page, find: query.find, done: None };
        let (services, paging) = read(tx, &looked, "/setup/api-catalog", is_heroku)?;
        let paging = if is_heroku { paging.with("tab", "heroku") } else { paging };
        Ok(Some(ApiCatalog { frame: visit.frame, is_heroku, services, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/external_services.html")]
struct ExternalServices {
    frame: Frame,
    services: Vec<Registered>,
    paging: Paging,
}

async fn external_services(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/external-services", move |tx, visit| {
        let frame = visit.frame.with_notice(looked.done.as_deref());
        let (services, paging) = read(tx, &looked, "/setup/external-services", false)?;
        Ok(Some(ExternalServices { frame, services, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/external_service.html")]
struct ExternalService {
    frame: Frame,
    service: Registered,
    schema: String,
}

async fn external_service(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/external-services", move |tx, visit| {
        let schema = components::registration(tx, &name)?.and_then(|(_, registration)| registration.schema);
        let service = one(tx, &name)?;
        Ok(service.map(|service| ExternalService {
            frame: visit.frame,
            service,
            schema: schema.unwrap_or_default(),
        }))
    })
    .await
}

/// Asks before an external service is deleted.
#[derive(Template)]
#[template(path = "setup/delete_service.html")]
struct DeleteService {
    frame: Frame,
    service: Registered,
    problem: Option<String>,
}

async fn confirm(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/external-services", move |tx, visit| {
        let service = one(tx, &name)?;
        Ok(service.map(|service| DeleteService { frame: visit.frame, service, problem: None }))
    })
    .await
}

/// Deletes the registration alone, as a package of deletions would; credential and permission sets stay.
async fn delete(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    visit::submit(state, headers, body, "/setup/external-services", move |state, visit, _: Sent| {
        delete_now(state, visit, &name)
    })
    .await
}

fn delete_now(state: &OrgState, visit: Visit, name: &str) -> Result<Response, Failure> {
    let kind = ComponentType::ExternalServiceRegistration;
    match metadata::remove_component(state, visit.permissions, kind, name)? {
        Removal::Removed => Ok(Redirect::to("/setup/external-services?done=deleted").into_response()),
        Removal::Unknown => pages::nothing_here(state),
        Removal::Refused(problem) => {
            let Some(service) = state.db().read(|tx| one(tx, name))? else {
                return pages::nothing_here(state);
            };
            let page = DeleteService { frame: visit.frame, service, problem: Some(problem) };
            pages::respond_framed(StatusCode::FORBIDDEN, &page)
        }
    }
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let apps = |services, paging| HerokuApps { frame: frame(), services, paging };
        let catalog =
            |is_heroku, services, paging| ApiCatalog { frame: frame(), is_heroku, services, paging };
        let external = |services, paging| ExternalServices { frame: frame(), services, paging };
        let two = || vec![service("Complete", true), service("<b>", false)];
        let delete = |source: &str, problem| DeleteService {
            frame: frame(),
            service: Registered { source: source.to_owned(), ..service("Complete", true) },
            problem,
        };
        let one = |is_full| ExternalService {
            frame: frame(),
            service: service("Complete", is_full),
            schema: evil(),
        };
        let app = |is_full| HerokuApp { frame: frame(), service: service("Complete", is_full) };
        vec![
            Sample::new("setup/heroku_apps.html", apps(two(), long())),
            Sample::new("setup/heroku_apps.html", apps(Vec::new(), none())),
            Sample::new("setup/api_catalog.html", catalog(true, two(), long())),
            Sample::new("setup/api_catalog.html", catalog(false, Vec::new(), none())),
            Sample::new("setup/external_services.html", external(two(), long())),
            Sample::new("setup/external_services.html", external(Vec::new(), none())),
            Sample::new("setup/delete_service.html", delete("Heroku", Some(evil()))),
            Sample::new("setup/delete_service.html", delete("Custom", None)),
            Sample::new("setup/external_service.html", one(true)),
            Sample::new("setup/external_service.html", one(false)),
            Sample::new("setup/heroku_app.html", app(true)),
            Sample::new("setup/heroku_app.html", app(false)),
        ]
    }

    fn operation(is_full: bool) -> Offered {
        let slot = |required| Slot { name: evil(), kind: evil(), place: "body", required };
        let slots = || if is_full { vec![slot(true), slot(false)] } else { Vec::new() };
        Offered {
            name: evil(),
            summary: if is_full { evil() } else { String::new() },
            method: evil(),
            path: evil(),
            active: is_full,
            invoke: evil(),
            permission_set: is_full.then(evil),
            inputs: slots(),
            outputs: slots(),
            callbacks: if is_full { vec![evil()] } else { Vec::new() },
        }
    }

    fn service(status: &str, is_full: bool) -> Registered {
        Registered {
            name: evil(),
            label: evil(),
            description: evil(),
            source: evil(),
            status: status.to_owned(),
            schema_type: evil(),
            credential: evil(),
            endpoint: evil(),
            app_uuid: evil(),
            addon_uuid: evil(),
            modified: when(),
            operations: vec![operation(is_full), operation(!is_full)],
            trouble: (!is_full).then(evil),
        }
    }
}
