//! Connections: orgs that trust an add-on. How one comes and goes is told in [`crate::credentials`] and
//! [`crate::oauth`]; here are the routes and the official words.

pub mod api;
pub(crate) mod wire;

use applink_api::ids::AddonId;

use crate::app::App;
use crate::credentials::{Credential, Kind, store};
use crate::error::ApiError;
pub use wire::{status, to_wire};

/// The live connection of this name, for publishing and whatever else needs the org.
///
/// # Errors
/// 404 when there is none of this name, 422 when it is not connected.
pub async fn connected(app: &App, addon: AddonId, named: &str) -> Result<Credential, ApiError> {
    let found = store::find(app.store.reader(), addon, Kind::Connection, named).await?;
    let connection = found.ok_or_else(ApiError::not_found)?;
    if connection.live().is_some() {
        return Ok(connection);
    }
    let message = match connection.error() {
        Some(error) => error.message.clone(),
        None => format!(
            "The connection `{}` is not connected: run `applink {}` and log in.",
            connection.name,
            connection.command()
        ),
    };
    Err(ApiError::validation(message))
}
