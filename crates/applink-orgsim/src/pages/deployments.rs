//! Setup's Deployment Status.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;

use super::frame::{Frame, Moment, href};
use super::lists::{Looked, Paging};
use super::visit;
use crate::failure::Failure;
use crate::metadata::deployment::{self, Deployment};
use crate::state::OrgState;

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/setup/deployment-status", get(list))
        .route("/setup/deployment-status/{id}", get(show))
}

#[derive(Template)]
#[template(path = "setup/deployments.html")]
struct ListPage {
    frame: Frame,
    /// Changes whenever the list does.
    version: String,
    deployments: Vec<Line>,
    paging: Paging,
}

struct Line {
    href: String,
    id: String,
    status: &'static str,
    summary: String,
    by: String,
    created: Moment,
    completed: Option<Moment>,
}

impl Line {
    fn of(deployment: &Deployment) -> Self {
        Self {
            href: href(&["setup", "deployment-status", &deployment.id]),
            id: deployment.id.clone(),
            status: deployment.status.name(),
            summary: deployment.summary(),
            by: deployment.created_by_name.clone(),
            created: Moment(deployment.created_micros),
            completed: deployment.completed_micros.map(Moment),
        }
    }
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/deployment-status", move |tx, visit| {
        let paging = looked.paging(deployment::count(tx, &looked.find)?, "/setup/deployment-status");
        let deployments: Vec<Line> = deployment::newest(tx, paging.stretch())?.iter().map(Line::of).collect();
        let version = deployments.first().map(|newest| format!("{}-{}", newest.id, newest.status));
        let version = version.unwrap_or_default();
        Ok(Some(ListPage { frame: visit.frame, version, deployments, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/deployment.html")]
struct DeploymentPage {
    frame: Frame,
    line: Line,
    check_only: bool,
    rollback: bool,
    started: Option<Moment>,
    error: Option<String>,
    components: Vec<Component>,
    paging: Paging,
}

struct Component {
    kind: String,
    name: String,
    file: String,
    failed: bool,
    what: &'static str,
    problem: String,
    place: String,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/deployment-status", move |tx, visit| {
        let Some(deployment) = deployment::find(tx, &id)? else { return Ok(None) };
        let line = Line::of(&deployment);
        let is_found = |one: &Component| looked.finds(&[&one.kind, &one.name, one.what, &one.problem]);
        let (components, paging) = looked.cut(&line.href, components(&deployment), is_found);
        Ok(Some(DeploymentPage {
            frame: visit.frame,
            line,
            check_only: deployment.options.check_only,
            rollback: deployment.options.rollback_on_error,
            started: deployment.started_micros.map(Moment),
            error: deployment.outcome.as_ref().and_then(|outcome| outcome.error.clone()),
            components,
            paging,
        }))
    })
    .await
}

/// One line per component; the manifest is none.
fn components(deployment: &Deployment) -> Vec<Component> {
    let messages = deployment.outcome.iter().flat_map(|outcome| &outcome.messages);
    let messages = messages.filter(|message| !message.component_type.is_empty() || !message.success);
    let component = |message: &crate::metadata::message::Message| Component {
        kind: message.component_type.clone(),
        name: message.full_name.clone(),
        file: message.file_name.clone(),
        failed: !message.success,
        what: match message {
            _ if !message.success => "failed",
            _ if message.deleted => "deleted",
            _ if message.created => "created",
            _ if message.changed => "changed",
            _ => "unchanged",
        },
        problem: message.problem.clone().unwrap_or_default(),
        place: match (message.line_number, message.column_number) {
            (Some(line), Some(column)) => format!("line {line}, column {column}"),
            _ => String::new(),
        },
    };
    messages.map(component).collect()
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let line = |completed| Line {
            href: evil(),
            id: evil(),
            status: "Failed",
            summary: evil(),
            by: evil(),
            created: when(),
            completed,
        };
        let list = |deployments, paging| ListPage { frame: frame(), version: evil(), deployments, paging };
        let component = |failed| Component {
            kind: evil(),
            name: evil(),
            file: evil(),
            failed,
            what: "changed",
            problem: evil(),
            place: if failed { evil() } else { String::new() },
        };
        let page = |is_full: bool, components, paging| DeploymentPage {
            frame: frame(),
            line: line(is_full.then(when)),
            check_only: is_full,
            rollback: is_full,
            started: is_full.then(when),
            error: is_full.then(evil),
            components,
            paging,
        };
        vec![
            Sample::new("setup/deployments.html", list(vec![line(Some(when())), line(None)], long())),
            Sample::new("setup/deployments.html", list(Vec::new(), none())),
            Sample::new("setup/deployment.html", page(true, vec![component(true), component(false)], long())),
            Sample::new("setup/deployment.html", page(false, Vec::new(), none())),
        ]
    }
}
