//! Setup's Login History.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;

use super::frame::{Frame, Moment};
use super::lists::{Looked, Paging};
use super::visit;
use crate::failure::Failure;
use crate::logins::{self, Login};
use crate::state::OrgState;

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/setup/login-history", get(show))
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
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/login-history", move |tx, visit| {
        let paging = looked.paging(logins::count(tx, &looked.find)?, "/setup/login-history");
        let lines = logins::newest(tx, paging.stretch())?;
        let logins = lines.into_iter().map(|login| (Moment(login.micros), login)).collect();
        Ok(Some(LoginsPage { frame: visit.frame, logins, paging }))
    })
    .await
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let login = |status: &str| {
            let (username, kind, application) = (evil(), evil(), evil());
            (when(), Login { micros: 0, username, kind, application, status: status.to_owned() })
        };
        let full =
            LoginsPage { frame: frame(), logins: vec![login("Success"), login("<b>")], paging: long() };
        let empty = LoginsPage { frame: frame(), logins: Vec::new(), paging: none() };
        [full, empty].map(|page| Sample::new("setup/login_history.html", page)).to_vec()
    }
}
