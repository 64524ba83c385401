//! Setup's Login History.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;

use super::frame::{Frame, Moment, PAGE_SIZE, Paging};
use super::visit;
use crate::failure::Failure;
use crate::logins::{self, Login};
use crate::state::OrgState;

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/setup/login-history", get(show))
}

#[derive(Deserialize)]
struct Shown {
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "setup/login_history.html")]
struct LoginsPage {
    frame: Frame,
    logins: Vec<(Moment, Login)>,
    paging: Paging,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(query): Query<Shown>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/login-history", move |tx, visit| {
        let paging = Paging::new(query.page.unwrap_or(1), logins::count(tx)?, "/setup/login-history", "");
        let lines = logins::newest(tx, PAGE_SIZE, paging.offset())?;
        let logins = lines.into_iter().map(|login| (Moment(login.micros), login)).collect();
        Ok(Some(LoginsPage { frame: visit.frame, logins, paging }))
    })
    .await
}
