//! The page a person lands on: the connections.

use axum::extract::State;
use axum::response::Response;

use super::credentials::{self, Of};
use super::paging::Paging;
use super::session::RequireSession;
use crate::app::App;
use crate::credentials::Kind;

/// The add-on's connections and authorizations, for people.
#[utoipa::path(
    get,
    path = "/dashboard",
    tag = "browser",
    operation_id = "show_dashboard",
    responses((status = 200, description = "A page, for a browser that is signed in", body = String, content_type = "text/html")),
    security(())
)]
pub async fn show(State(app): State<App>, found: RequireSession, paging: Paging) -> Response {
    credentials::list(State(app), Of(Kind::Connection), found, paging).await
}
