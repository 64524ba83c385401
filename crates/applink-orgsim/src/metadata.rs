//! Metadata deploys through the REST API; what the SOAP API has of it is in [`soap`].
//!
//! 1. `POST /services/data/vXX.0/metadata/deployRequest` takes a zip and options and answers `Pending`
//!    ([`api`]).
//! 2. A background worker takes the deployment to `InProgress` and runs it ([`worker`], [`run`]): the package
//!    is unpacked ([`archive`]), matched with its manifest ([`package`]), every component read
//!    ([`component`]) and put into the org ([`apply`]), component by component, all in one transaction.
//! 3. Any failure with `rollbackOnError` (or `checkOnly`) undoes it all; the deployment is `Succeeded`,
//!    `SucceededPartial` or `Failed`, with one message per component ([`message`]).
//! 4. `GET …/deployRequest/{id}?includeDetails=true` shows where it is; `PATCH` with status `Canceling` stops
//!    one that has not begun.

pub(crate) mod component;
pub(crate) mod components;
pub(crate) mod deployment;
pub(crate) mod worker;

mod api;
mod apply;
mod archive;
pub(crate) mod message;
mod package;
mod run;
mod shapes;
mod soap;
mod xml;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use self::component::ComponentType;
use self::run::ApplyError;
use crate::failure::Failure;
use crate::rights::UserPermissions;
use crate::state::OrgState;

/// The zip, the options and the multipart framing around them.
const MAX_REQUEST_BYTES: usize = archive::MAX_ZIP_BYTES + 1024 * 1024;

/// The deploy routes below `/services/data/{version}`.
pub(crate) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/services/data/{version}/metadata/deployRequest", post(api::deploy))
        .route("/services/data/{version}/metadata/deployRequest/{id}", get(api::status).patch(api::cancel))
        .route("/services/Soap/m/{version}", post(soap::call))
        // Base64 makes a package a third larger.
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES * 4 / 3))
}

/// What came of removing a component by hand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Removed,
    /// There is none of that name.
    Unknown,
    /// As the org words it.
    Refused(String),
}

/// Removes a component as somebody with these permissions, as a package of deletions does.
pub(crate) fn remove_component(
    state: &OrgState,
    permissions: UserPermissions,
    component_type: ComponentType,
    name: &str,
) -> Result<Removal, Failure> {
    let removed =
        state.db().write(|tx| apply::Applier::new(state, tx, permissions).remove(component_type, name));
    match removed {
        Ok(Some(_)) => Ok(Removal::Removed),
        Ok(None) => Ok(Removal::Unknown),
        Err(ApplyError::Problem(problem)) => Ok(Removal::Refused(problem.text)),
        Err(ApplyError::Failure(failure)) => Err(failure),
    }
}
