//! Setup's named and external credentials.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;

use super::frame::Frame;
use super::visit;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::metadata::component::{ComponentType, Definition, ExternalCredential, NamedCredential};
use crate::metadata::components::{self, PRINCIPAL};
use crate::state::OrgState;

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route("/setup/named-credentials", get(show))
}

#[derive(Template)]
#[template(path = "setup/named_credentials.html")]
struct CredentialsPage {
    frame: Frame,
    named: Vec<(String, NamedCredential)>,
    external: Vec<ExternalLine>,
}

struct ExternalLine {
    name: String,
    credential: ExternalCredential,
    /// The permission sets that open it.
    opened_by: Vec<String>,
}

async fn show(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/named-credentials", |tx, visit| {
        let mut page = CredentialsPage { frame: visit.frame, named: Vec::new(), external: Vec::new() };
        for (name, definition) in components::definitions(tx, ComponentType::NamedCredential)? {
            if let Definition::NamedCredential(credential) = definition {
                page.named.push((name, credential));
            }
        }
        for (name, definition) in components::definitions(tx, ComponentType::ExternalCredential)? {
            if let Definition::ExternalCredential(credential) = definition {
                let opened_by = opened_by(tx, &name)?;
                page.external.push(ExternalLine { name, credential, opened_by });
            }
        }
        Ok(Some(page))
    })
    .await
}

fn opened_by(tx: &Tx<'_>, credential: &str) -> Result<Vec<String>, DbError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT DISTINCT s.\"Name\" FROM \"SetupEntityAccess\" a JOIN _component p ON p.id = a.\"SetupEntityId\" \
         JOIN \"PermissionSet\" s ON s.\"Id\" = a.\"ParentId\" \
         WHERE p.type = '{PRINCIPAL}' AND substr(p.full_name, 1, length(?1) + 1) = ?1 || '-' ORDER BY 1",
    ))?;
    let rows = statement.query_map([credential], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
