//! A web page for people without a Salesforce user: the org is read as a stored one.

use applink_sdk::{Error, Org, Record};
use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use axum::response::{Html, IntoResponse};
use serde::Serialize;

use crate::problem::Problem;
use crate::service::App;

const CAMPAIGNS: &str = "SELECT Id, Name, Status, Type, StartDate, EndDate, Description \
                         FROM Campaign ORDER BY StartDate DESC LIMIT 200";
/// No script, nothing from elsewhere.
const POLICY: [(HeaderName, &str); 1] =
    [(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")];

/// A campaign, as the page shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Campaign {
    /// `701…`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// `Planned`, `In Progress`, ….
    pub status: Option<String>,
    /// `Webinar`, `Email`, ….
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// First day, `2026-11-21`.
    pub start_date: Option<String>,
    /// Last day.
    pub end_date: Option<String>,
    /// What it is about.
    pub description: Option<String>,
}

impl Campaign {
    fn of(record: &Record) -> Self {
        let text = |field: &str| record.text(field).map(str::to_owned);
        Self {
            id: text("Id").unwrap_or_default(),
            name: text("Name").unwrap_or_default(),
            status: text("Status"),
            kind: text("Type"),
            start_date: text("StartDate"),
            end_date: text("EndDate"),
            description: text("Description"),
        }
    }

    /// Kind, status and days on one line, without what is unknown.
    fn facts(&self) -> String {
        let days = match (&self.start_date, &self.end_date) {
            (Some(start), Some(end)) => Some(format!("{start} to {end}")),
            (Some(start), None) => Some(format!("from {start}")),
            (None, Some(end)) => Some(format!("until {end}")),
            (None, None) => None,
        };
        let known: Vec<String> =
            [self.kind.clone(), self.status.clone(), days].into_iter().flatten().collect();
        known.join(" · ")
    }
}

#[derive(Template)]
#[template(path = "campaigns.html")]
struct Page<'a> {
    campaigns: &'a [Campaign],
}

/// `GET /api/campaigns`.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// The stored user they were read as.
    user: String,
    campaigns: Vec<Campaign>,
}

/// `GET /`.
pub(crate) async fn page(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let campaigns = read(&app.portal().await?.org()).await?;
    let html =
        Page { campaigns: &campaigns }.render().unwrap_or_else(|_| "The page can't be shown.".to_owned());
    Ok((POLICY, Html(html)))
}

/// `GET /api/campaigns`.
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Listed>, Problem> {
    let org = app.portal().await?.org();
    let campaigns = read(&org).await?;
    Ok(Json(Listed { user: org.user().username, campaigns }))
}

async fn read(org: &Org) -> Result<Vec<Campaign>, Error> {
    let records = org.data().query(CAMPAIGNS).all().collect().await?;
    Ok(records.iter().map(Campaign::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(name: &str, days: (Option<&str>, Option<&str>)) -> Campaign {
        Campaign {
            id: "701".to_owned(),
            name: name.to_owned(),
            status: None,
            kind: Some("Email".to_owned()),
            start_date: days.0.map(str::to_owned),
            end_date: days.1.map(str::to_owned),
            description: Some("<b>\"&'".to_owned()),
        }
    }

    #[test]
    fn the_orgs_text_can_not_become_markup() {
        let campaigns = [campaign("<script>alert(1)</script>", (None, None))];
        let html = Page { campaigns: &campaigns }.render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(html.contains("alert(1)"));
    }

    #[test]
    fn facts_leave_out_what_is_unknown() {
        assert_eq!(campaign("a", (Some("2026-01-01"), None)).facts(), "Email · from 2026-01-01");
        assert_eq!(
            campaign("a", (Some("2026-01-01"), Some("2026-02-01"))).facts(),
            "Email · 2026-01-01 to 2026-02-01"
        );
        assert_eq!(campaign("a", (None, None)).facts(), "Email");
    }
}
