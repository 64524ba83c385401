//! What is published: is it still there, may somebody call it, and is it what the document says.

use applink_api::client::Client;
use applink_api::connection::{Connection, ConnectionStatus};
use applink_api::ids::AppUuid;
use applink_api::org::OrgType;
use applink_api::publication::Publication;

use super::Report;
use super::service::Rows;
use crate::commands::salesforce::publish::diff;
use crate::document::Document;
use crate::org_access::Access;
use crate::printer::{Printer, printable};
use crate::settings::Addon;

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
    for publication in &all {
        still_there(publication, report);
        callable(addon, rows, publication, user, printer, report).await;
    }
    if let Some(document) = document {
        same_document(&client, app, &all, document, report).await;
    }
}

fn can_publish(connection: &Connection) -> bool {
    connection.org.kind == OrgType::SalesforceOrg && connection.status == ConnectionStatus::Connected
}

fn still_there(publication: &Publication, report: &mut Report) {
    let (name, connection) = (printable(&publication.esr_name), printable(&publication.connection_name));
    if publication.removed_at.is_some() {
        report.fault(
            "publication-removed",
            format!("publication {name}"),
            format!("somebody deleted it in the org of {connection}"),
            "publish it again, or take it off the list with `applink unpublish`",
        );
    }
}

/// Somebody must have the permission set; the user, when one is named.
async fn callable(
    addon: &Addon,
    rows: &Rows,
    publication: &Publication,
    user: Option<&str>,
    printer: Printer,
    report: &mut Report,
) {
    let in_org = rows.authorizations.iter().filter(|row| row.org.id == publication.org_id);
    let mut assigned = None;
    for name in in_org.filter_map(|row| row.org.developer_name.as_deref()) {
        let Some(access) = access(addon, name, printer).await else { continue };
        assigned = self::assigned(&access, &publication.esr_name, user).await;
        if assigned.is_some() {
            break;
        }
    }
    let Some(assigned) = assigned else {
        report.skipped(
            "permission sets",
            format!("no stored user of org {} may see who has them", printable(&publication.org_id)),
        );
        return;
    };
    report.checked("permission sets");
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

async fn access(addon: &Addon, name: &str, printer: Printer) -> Option<Access> {
    let client = addon.app_client(printer).ok()?;
    Access::of(client.authorizations().get(name).await.ok()?).ok()
}

async fn assigned(access: &Access, set: &str, user: Option<&str>) -> Option<bool> {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
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
