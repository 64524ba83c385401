//! Setup's external client apps, and which apps hold access for whom.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::HeaderMap;

use super::frame::{Frame, Moment, href};
use super::lists::{Looked, Paging};
use super::visit;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::oauth::clients::{self, Client, Permitted};
use crate::oauth::grants;
use crate::pages;
use crate::state::OrgState;
use crate::stretch::Stretch;

const USAGE: &str = "/setup/connected-apps-oauth-usage";

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/setup/external-client-apps", get(list))
        .route("/setup/external-client-apps/{name}", get(show))
        .route("/setup/connected-apps-oauth-usage", get(usage))
        .route("/setup/connected-apps-oauth-usage/{name}", get(usage_of))
        .route("/setup/connected-apps-oauth-usage/{name}/revoke", post(revoke))
}

#[derive(Template)]
#[template(path = "setup/client_apps.html")]
struct AppsPage {
    frame: Frame,
    apps: Vec<(String, Client)>,
    paging: Paging,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/external-client-apps", move |tx, visit| {
        let (found, paging) = found(tx, &looked, "/setup/external-client-apps")?;
        let linked = |client: Client| (href(&["setup", "external-client-apps", &client.name]), client);
        let apps = found.into_iter().map(linked).collect();
        Ok(Some(AppsPage { frame: visit.frame, apps, paging }))
    })
    .await
}

/// Clients by their label or name.
fn found(tx: &Tx<'_>, looked: &Looked, path: &str) -> Result<(Vec<Client>, Paging), Failure> {
    let is_found = |client: &Client| looked.finds(&[&client.label, &client.name]);
    Ok(looked.cut(path, clients::all(tx)?, is_found))
}

#[derive(Template)]
#[template(path = "setup/client_app.html")]
struct AppPage {
    frame: Frame,
    client: Client,
    usage: String,
}

impl AppPage {
    fn permitted(&self) -> String {
        match &self.client.permitted {
            Permitted::SelfAuthorized => "All users may self-authorize".to_owned(),
            Permitted::AdminApproved { profiles, permission_sets } => {
                let names: Vec<&str> = profiles.iter().chain(permission_sets).map(String::as_str).collect();
                format!("Admin approved users are pre-authorized: {}", names.join(", "))
            }
        }
    }

    fn refresh_policy(&self) -> String {
        match self.client.refresh_tokens_last_seconds {
            None => "Valid until revoked".to_owned(),
            Some(0) => "Immediately expired".to_owned(),
            Some(seconds) => format!("Expires {seconds} seconds after consent"),
        }
    }
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/external-client-apps", move |tx, visit| {
        let client = clients::find_by_name(tx, &name)?;
        let usage = href(&["setup", "connected-apps-oauth-usage", &name]);
        Ok(client.map(|client| AppPage { frame: visit.frame, client, usage }))
    })
    .await
}

/// An app's use.
struct UsageLine {
    href: String,
    label: String,
    name: String,
    enabled: bool,
    users: usize,
    grants: usize,
}

#[derive(Template)]
#[template(path = "setup/oauth_usage.html")]
struct UsagePage {
    frame: Frame,
    apps: Vec<UsageLine>,
    paging: Paging,
}

async fn usage(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, USAGE, move |tx, visit| {
        let (found, paging) = found(tx, &looked, USAGE)?;
        let mut apps = Vec::new();
        for client in found {
            let sql = "SELECT count(DISTINCT user_id), count(*) FROM _grant WHERE consumer_key = ?1";
            let count = tx.query_row(sql, [&client.consumer_key], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            apps.push(UsageLine {
                href: href(&["setup", "connected-apps-oauth-usage", &client.name]),
                label: client.label,
                name: client.name,
                enabled: client.enabled,
                users: usize::try_from(count.0).unwrap_or_default(),
                grants: usize::try_from(count.1).unwrap_or_default(),
            });
        }
        Ok(Some(UsagePage { frame: visit.frame, apps, paging }))
    })
    .await
}

/// What a user has granted an app.
struct GrantLine {
    id: String,
    username: String,
    scopes: String,
    lasting: bool,
    created: Moment,
}

#[derive(Template)]
#[template(path = "setup/oauth_usage_of.html")]
struct UsageOfPage {
    frame: Frame,
    client: Client,
    href: String,
    grants: Vec<GrantLine>,
    paging: Paging,
}

async fn usage_of(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, USAGE, move |tx, visit| {
        let Some(client) = clients::find_by_name(tx, &name)? else { return Ok(None) };
        let href = href(&["setup", "connected-apps-oauth-usage", &name]);
        let sql = format!("SELECT count(*) {GRANTED}");
        let of = (&client.consumer_key, &looked.find);
        let total: i64 = tx.prepare_cached(&sql)?.query_row(of, |row| row.get(0))?;
        let paging = looked.paging(usize::try_from(total).unwrap_or_default(), &href);
        let grants = granted(tx, &client.consumer_key, paging.stretch())?;
        let frame = visit.frame.with_notice(looked.done.as_deref());
        Ok(Some(UsageOfPage { frame, client, href, grants, paging }))
    })
    .await
}

/// Grants to an app, with what is searched for in the username.
const GRANTED: &str = "FROM _grant g LEFT JOIN \"User\" u ON u.\"Id\" = g.user_id WHERE g.consumer_key = ?1 \
    AND has_words(?2, u.\"Username\")";

fn granted(tx: &Tx<'_>, consumer_key: &str, stretch: Stretch<'_>) -> Result<Vec<GrantLine>, DbError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT g.id, u.\"Username\", g.scopes, g.refresh_token IS NOT NULL, g.created_micros {GRANTED} \
         ORDER BY g.created_micros DESC, g.rowid DESC {}",
        stretch.limit()
    ))?;
    let rows = statement.query_map((consumer_key, stretch.find), |row| {
        Ok(GrantLine {
            id: row.get(0)?,
            username: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            scopes: row.get(2)?,
            lasting: row.get(3)?,
            created: Moment(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Takes one grant from an app: its refresh token and sessions are dead at once.
async fn revoke(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    visit::submit(state, headers, body, USAGE, move |state, visit, sent| {
        if !visit.permissions.has("ManageUsers") {
            return visit::lacking(state, "Manage Users");
        }
        let known = state.db().write(|tx| {
            let known = clients::find_by_name(tx, &name)?.is_some() && grants::exists(tx, sent.one("grant"))?;
            if known {
                grants::revoke(tx, sent.one("grant"))?;
            }
            Ok::<_, Failure>(known)
        })?;
        if !known {
            return pages::nothing_here(state);
        }
        let back = href(&["setup", "connected-apps-oauth-usage", &name]);
        Ok(Redirect::to(&format!("{back}?done=revoked")).into_response())
    })
    .await
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, when};

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let list = |apps, paging| AppsPage { frame: frame(), apps, paging };
        let app = |client: Client| AppPage { frame: frame(), client, usage: evil() };
        let used =
            |enabled| UsageLine { href: evil(), label: evil(), name: evil(), enabled, users: 2, grants: 3 };
        let usage = UsagePage { frame: frame(), apps: vec![used(true), used(false)], paging: long() };
        let grant = |lasting| {
            let (id, username, scopes) = (evil(), evil(), evil());
            GrantLine { id, username, scopes, lasting, created: when() }
        };
        let usage_of = |grants, paging| UsageOfPage {
            frame: frame(),
            client: client(true),
            href: evil(),
            grants,
            paging,
        };
        let clients = || [true, false].map(|enabled| (evil(), client(enabled))).into();
        vec![
            Sample::new("setup/client_apps.html", list(clients(), long())),
            Sample::new("setup/client_apps.html", list(Vec::new(), none())),
            Sample::new("setup/client_app.html", app(client(true))),
            Sample::new("setup/client_app.html", app(client(false))),
            Sample::new("setup/oauth_usage.html", usage),
            Sample::new("setup/oauth_usage_of.html", usage_of(vec![grant(true), grant(false)], long())),
            Sample::new("setup/oauth_usage_of.html", usage_of(Vec::new(), none())),
        ]
    }

    fn client(is_full: bool) -> Client {
        let given = || is_full.then(evil);
        Client {
            name: evil(),
            label: evil(),
            consumer_key: evil(),
            secret_fingerprint: given(),
            callbacks: vec![evil(), evil()],
            scopes: vec![evil()],
            enabled: is_full,
            pkce_required: is_full,
            secret_required: is_full,
            secret_required_for_refresh: is_full,
            rotates_refresh_tokens: is_full,
            keeps_grant_on_replay: is_full,
            introspects_all_tokens: is_full,
            public_key: given(),
            permitted: match is_full {
                true => Permitted::AdminApproved { profiles: vec![evil()], permission_sets: vec![evil()] },
                false => Permitted::SelfAuthorized,
            },
            session_timeout_minutes: None,
            client_credentials_user: given(),
            refresh_tokens_last_seconds: is_full.then_some(60),
            ip_restricted: is_full,
            withheld_scopes: Vec::new(),
        }
    }
}
