//! Setup's named and external credentials.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;

use super::frame::Frame;
use super::lists::{Looked, Paging};
use super::visit;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::metadata::component::{ComponentType, Definition, ExternalCredential, NamedCredential};
use crate::metadata::components::{self, PRINCIPAL};
use crate::state::OrgState;
use crate::stretch;

const PATH: &str = "/setup/named-credentials";

pub(super) fn routes() -> Router<OrgState> {
    Router::new().route(PATH, get(show))
}

#[derive(Template)]
#[template(path = "setup/named_credentials.html")]
struct CredentialsPage {
    frame: Frame,
    named: Vec<(String, NamedCredential)>,
    named_paging: Paging,
    external: Vec<ExternalLine>,
    external_paging: Paging,
}

/// Which page of either list, and what is searched for in both.
#[derive(Deserialize)]
struct Both {
    named: Option<usize>,
    external: Option<usize>,
    #[serde(default, deserialize_with = "stretch::find")]
    find: String,
}

struct ExternalLine {
    name: String,
    credential: ExternalCredential,
    /// The permission sets that open it.
    opened_by: Vec<String>,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(both): Query<Both>,
) -> Result<Response, Failure> {
    visit::show(state, headers, PATH, move |tx, visit| {
        let looked = Looked { page: None, find: both.find, done: None };
        let (mut named, mut external) = (Vec::new(), Vec::new());
        for (name, definition) in components::definitions(tx, ComponentType::NamedCredential)? {
            if let Definition::NamedCredential(credential) = definition {
                named.push((name, credential));
            }
        }
        for (name, definition) in components::definitions(tx, ComponentType::ExternalCredential)? {
            if let Definition::ExternalCredential(credential) = definition {
                external.push((name, credential));
            }
        }
        named.retain(|(name, one)| looked.finds(&[name, &one.label, one.url.as_deref().unwrap_or_default()]));
        external.retain(|(name, one)| looked.finds(&[name, &one.label]));
        let of = (PATH, looked.find.as_str());
        let named_paging = Paging::keyed("named", both.named, named.len(), of);
        let external_paging = Paging::keyed("external", both.external, external.len(), of);
        let line = |(name, credential): (String, ExternalCredential)| {
            let opened_by = opened_by(tx, &name)?;
            Ok::<_, DbError>(ExternalLine { name, credential, opened_by })
        };
        let external = external_paging.page_of(external).map(line).collect::<Result<_, _>>()?;
        let named = named_paging.page_of(named).collect();
        let frame = visit.frame;
        Ok(Some(CredentialsPage { frame, named, named_paging, external, external_paging }))
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

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let named = |is_full: bool| NamedCredential {
            label: evil(),
            kind: is_full.then(evil),
            url: is_full.then(evil),
            external_credential: is_full.then(evil),
            callouts_enabled: is_full,
        };
        let external = |opened_by| ExternalLine {
            name: evil(),
            credential: ExternalCredential { label: evil(), protocol: evil(), principals: vec![evil()] },
            opened_by,
        };
        let full = CredentialsPage {
            frame: frame(),
            named: [true, false].map(|is_full| (evil(), named(is_full))).into(),
            named_paging: long(),
            external: vec![external(vec![evil()]), external(Vec::new())],
            external_paging: long(),
        };
        let empty = CredentialsPage {
            frame: frame(),
            named: Vec::new(),
            named_paging: none(),
            external: Vec::new(),
            external_paging: none(),
        };
        [full, empty].map(|page| Sample::new("setup/named_credentials.html", page)).to_vec()
    }
}
