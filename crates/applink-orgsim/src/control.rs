//! `/_sim`: what a test, a tour or a person can do to the org from outside of it.
//!
//! Every call carries `X-Sim-Key`, speaks JSON and comes from no web page ([`guard`]). Errors are
//! `{"error", "message", "detail"}`.

mod agents;
mod grants;
mod guard;
mod invocations;
mod oauth_clients;
mod people;
pub(crate) mod permission_sets;
mod probe;
mod problem;
mod services;
mod tokens;
mod views;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::data_cloud;
use crate::state::OrgState;

/// A body of an invocation may be as large as what an org sends.
const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;

/// Every route, relative to `/_sim`.
pub(crate) fn routes(state: &OrgState) -> Router<OrgState> {
    Router::new()
        .route("/org", get(views::org))
        .route("/users", get(views::users).post(people::save_user))
        .route("/profiles", post(people::save_profile))
        .route("/services", get(views::services))
        .route("/services/remove", post(services::remove))
        .route("/deployments", get(views::deployments))
        .route("/deployments/step", post(views::step_deployment))
        .route("/jobs/step", post(views::step_job))
        .route("/permission-sets", get(permission_sets::list))
        .route("/permission-sets/assign", post(permission_sets::assign))
        .route("/permission-sets/unassign", post(permission_sets::unassign))
        .route("/oauth-clients", get(oauth_clients::list).post(oauth_clients::save))
        .route("/grants/revoke", post(grants::revoke))
        .route("/agents", get(agents::list))
        .route("/agents/run", post(agents::run))
        .route("/invoke", post(invocations::invoke))
        .route("/invocations", get(invocations::list))
        .route("/invocations/{id}", get(invocations::show))
        .route("/invocations/{id}/end", post(invocations::end))
        .route("/callbacks", get(invocations::callbacks))
        .route("/sessions/probe", post(probe::probe))
        .route("/sweep", post(views::sweep))
        .route("/token-faults", get(tokens::faults).post(tokens::add_fault).delete(tokens::clear_faults))
        .route("/token-counts", get(tokens::counts))
        .nest("/data-cloud", data_cloud::views::routes())
        .fallback(problem::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(state.clone(), guard::check))
}
