//! What is published: is it still there, may somebody call it, and is it what the document says.

use applink_api::client::Client;
use applink_api::connection::{Connection, ConnectionStatus};
use applink_api::ids::AppUuid;
use applink_api::org::OrgType;
use applink_api::publication::Publication;
use applink_salesforce::rest::OrgCall;
use reqwest::Method;
use serde_json::Value;

use super::Report;
use super::service::Rows;
use crate::commands::salesforce::publish::diff;
use crate::document::Document;
use crate::org_access::Access;
use crate::printer::{Printer, printable};
use crate::settings::Addon;

const PERMISSION_SETS: &str = "permission sets";

/// Looks at every publication of the app.
pub(crate) async fn look(
    addon: &Addon,
    rows: &Rows,
    document: Option<&Document>,
    user: Option<&str>,
    printer: Printer,
    report: &mut Report,
) {
    let (Ok(client), Ok(app)) = (addon.client(printer), addon.app_id()) else {
        report.skipped("publications", "the app's id is not known");
        return;
    };
    report.checked("publications");
    let mut all = Vec::new();
    for connection in rows.connections.iter().filter(|connection| can_publish(connection)) {
        let name = connection.org.connection_name.clone().unwrap_or_default();
        match client.publications().list(&name, app).await {
            Ok(publications) => all.extend(publications),
            Err(error) => report.error("publications-unreadable", name, &addon.explain(error)),
        }
    }
    for publication in &mut all {
        let users = users_of(addon, rows, publication, printer).await;
        if !still_there(publication, &users, report).await {
            publication.removed_at = publication.removed_at.or(Some(publication.last_modified_at));
            continue;
        }
        callable(publication, &users, user, report).await;
    }
    if let Some(user) = user.filter(|_| !report.checked.contains(&PERMISSION_SETS)) {
        let user = printable(user);
        let cause = match all.is_empty() {
            true => format!("nothing is published, so {user} can call nothing"),
            false => format!(
                "whether {user} may call it is not known: no stored user of the org may see who has permission sets"
            ),
        };
        report.fault(
            "user-not-looked-at",
            user,
            cause,
            "publish first, then authorize somebody who may see permission sets, an admin: `applink salesforce:authorizations:add NAME`",
        );
    }
    if let Some(document) = document {
        same_document(&client, app, &all, document, report).await;
    }
}

fn can_publish(connection: &Connection) -> bool {
    connection.org.kind == OrgType::SalesforceOrg && connection.status == ConnectionStatus::Connected
}

/// Whether its registration is in the org: the service has looked lately, and a stored user who may see it looks now.
async fn still_there(publication: &Publication, users: &[Access], report: &mut Report) -> bool {
    let mut is_gone = publication.removed_at.is_some();
    for access in users {
        if let Some(present) = is_registered(access, &publication.esr_name).await {
            is_gone = !present;
            break;
        }
    }
    if is_gone {
        let name = printable(&publication.esr_name);
        report.fault(
            "publication-removed",
            format!("publication {name}"),
            format!("somebody deleted it in the org of {}", printable(&publication.connection_name)),
            "publish it again, or take it off the list with `applink unpublish`",
        );
    }
    !is_gone
}

/// Nothing when the user may not see registrations.
async fn is_registered(access: &Access, name: &str) -> Option<bool> {
    let soql = format!("SELECT Id FROM ExternalServiceRegistration WHERE DeveloperName = {}", quoted(name));
    let call = OrgCall::data(Method::GET, "tooling/query").query_param("q", &soql);
    let page: Value = access.org().send(&call).await.ok()?.json().ok()?;
    page["records"].as_array().map(|records| !records.is_empty())
}

/// Somebody must have the permission set; the user, when one is named.
async fn callable(publication: &Publication, users: &[Access], user: Option<&str>, report: &mut Report) {
    let mut assigned = None;
    for access in users {
        assigned = self::assigned(access, &publication.esr_name, user).await;
        if assigned.is_some() {
            break;
        }
    }
    let Some(assigned) = assigned else {
        report.skipped(
            PERMISSION_SETS,
            format!("no stored user of org {} may see who has them", printable(&publication.org_id)),
        );
        return;
    };
    report.checked(PERMISSION_SETS);
    if !assigned {
        let set = printable(&publication.esr_name);
        let who = user.map_or_else(|| "nobody".to_owned(), |user| format!("{} doesn't", printable(user)));
        let cause = match user {
            Some(_) => format!("{who} have the permission set {set}, so the org refuses the call"),
            None => format!("{who} has the permission set {set}, so the org refuses every call"),
        };
        report.fault(
            "permission-set-unassigned",
            format!("publication {set}"),
            cause,
            format!("assign it: `sf org assign permset --name {set}`, or in Setup > Permission Sets"),
        );
    }
}

/// The stored users of the publication's org whose tokens can be had.
async fn users_of(addon: &Addon, rows: &Rows, publication: &Publication, printer: Printer) -> Vec<Access> {
    let Ok(client) = addon.app_client(printer) else { return Vec::new() };
    let mut users = Vec::new();
    let in_org = rows.authorizations.iter().filter(|row| row.org.id == publication.org_id);
    for name in in_org.filter_map(|row| row.org.developer_name.as_deref()) {
        users.extend(client.authorizations().get(name).await.ok().and_then(|row| Access::of(row).ok()));
    }
    users
}

/// A SOQL text literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

async fn assigned(access: &Access, set: &str, user: Option<&str>) -> Option<bool> {
    let mut soql =
        format!("SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name = {}", quoted(set));
    if let Some(user) = user {
        soql.push_str(&format!(" AND Assignee.Username = {}", quoted(user)));
    }
    let page = access.org().query(&format!("{soql} LIMIT 1")).await.ok()?;
    Some(!page.records.is_empty())
}

/// The document must be what one of the publications was made of.
async fn same_document(
    client: &Client,
    app: AppUuid,
    publications: &[Publication],
    document: &Document,
    report: &mut Report,
) {
    let mut others = Vec::new();
    for publication in publications.iter().filter(|one| one.removed_at.is_none()) {
        match live_document(client, app, publication).await {
            Some(live) if same_text(&live, &document.bytes) => return,
            Some(_) => others.push(printable(&publication.esr_name)),
            None => {}
        }
    }
    if !others.is_empty() {
        let client_name = others.join(" or ");
        report.fault(
            "spec-outdated",
            document.name(),
            format!("it is not the document that is published as {client_name}: orgs call by the older one"),
            format!("publish it again: `applink publish {} --client-name {client_name} …`", document.name()),
        );
    }
}

async fn live_document(client: &Client, app: AppUuid, publication: &Publication) -> Option<String> {
    let live = diff::live(client, app, &publication.connection_name, &publication.esr_name).await;
    live.ok().flatten().map(|live| live.document)
}

fn same_text(live: &str, local: &[u8]) -> bool {
    live.trim_end().as_bytes() == local.trim_ascii_end()
}
