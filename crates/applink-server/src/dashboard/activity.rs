//! Activity: the add-on's part of the audit log, filtered, page by page, and as a file.

use std::collections::{HashMap, HashSet};

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::parts::Time;
use super::session::RequireSession;
use super::shell::{Section, Shell};
use crate::app::App;
use crate::audit::browse::{self, Cursor, Filter, Row};
use crate::credentials::overview;
use crate::db::{RowId, StoreError};
use crate::error::ApiError;
use crate::publications;

/// Rows on a page.
const SIZE: u64 = 100;
/// Rows in a file, at most.
const EXPORTED: u64 = 50_000;
/// Rows of a file that are read and sent together.
const AT_ONCE: u64 = 1_000;
/// Characters of a filter.
const LONGEST: usize = 200;

/// Kinds of actions to choose from, with what they are for people.
const KINDS: [(&str, &str); 10] = [
    ("connection.", "Connections"),
    ("authorization.", "Authorizations"),
    ("authorization.handed_out", "Tokens handed out"),
    ("grant.", "Grants at the org"),
    ("publication.", "Publications"),
    ("data_action_target.", "Data action targets"),
    ("webhook.", "Webhooks"),
    ("attachment.", "Attached apps"),
    ("api_key.", "Tokens"),
    ("session.", "Sign-ins"),
];

/// The address: filters, and behind which row the page begins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    who: String,
    action: String,
    what: String,
    since: String,
    until: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> Filter {
        let text =
            |text: &str| -> String { text.trim().chars().filter(|c| *c != '\0').take(LONGEST).collect() };
        Filter {
            who: text(&self.who),
            action: text(&self.action),
            what: text(&self.what),
            since: day(&self.since, 0),
            until: day(&self.until, 1),
        }
    }

    /// `at.segment.seq`; the first page when it is garbled.
    fn cursor(&self) -> Option<Cursor> {
        let mut parts = self.after.split('.');
        let (at, segment, seq) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Cursor { at: at.parse().ok()?, segment: segment.parse::<RowId>().ok()?, seq: seq.parse().ok()? })
    }

    /// The filters as a query.
    fn query(&self, after: Option<&Cursor>) -> String {
        let after = after.map(|at| format!("{}.{}.{}", at.at, at.segment, at.seq)).unwrap_or_default();
        let pairs = [
            ("who", &self.who),
            ("action", &self.action),
            ("what", &self.what),
            ("since", &self.since),
            ("until", &self.until),
            ("after", &after),
        ];
        let given: Vec<(&str, &String)> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        serde_urlencoded::to_string(given).unwrap_or_default()
    }
}

/// The beginning of a day in UTC, so many days later; what is no day is no limit.
fn day(text: &str, later: i64) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.trim().parse().ok()?;
    let begin = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_seconds(begin.as_second().checked_add(later * 86_400)?))
}

/// A row of the page.
struct Shown {
    at: Time,
    who: String,
    kind: String,
    action: String,
    subject: String,
    subject_id: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "dashboard/activity.html")]
struct Page {
    shell: Shell,
    asked: Asked,
    kinds: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<Shown>,
    next: Option<String>,
    query: String,
    is_filtered: bool,
}

/// What was done in the add-on, the newest first.
pub async fn show(State(app): State<App>, found: RequireSession, Query(asked): Query<Asked>) -> Response {
    let shell = found.shell(&app, Section::Activity);
    shell.answer(load(&app, &found, shell.clone(), asked).await)
}

async fn load(app: &App, found: &RequireSession, shell: Shell, asked: Asked) -> Result<Page, ApiError> {
    // As in the API: reading the log needs the right to change.
    found.manager()?;
    let (filter, cursor) = (asked.filter(), asked.cursor());
    let reader = app.store.reader();
    let mut rows = browse::page(reader, found.addon.id, &filter, cursor.as_ref(), SIZE + 1).await?;
    let size = usize::try_from(SIZE).unwrap_or_default();
    let is_more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| is_more).map(Row::cursor);
    let names = names(app, found, &rows).await?;
    Ok(Page {
        kinds: KINDS.map(|(value, label)| (value, label, value == asked.action)).to_vec(),
        next: last.map(|last| format!("/dashboard/activity?{}", asked.query(Some(&last)))),
        query: asked.query(None),
        is_filtered: filter != Filter::default() || cursor.is_some(),
        rows: rows.into_iter().map(|row| shown(row, &names)).collect(),
        shell,
        asked,
    })
}

/// What the ids on the page stand for.
async fn names(app: &App, found: &RequireSession, rows: &[Row]) -> Result<HashMap<String, String>, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let ids: HashSet<Uuid> = rows.iter().filter_map(|row| row.subject.as_deref()?.parse().ok()).collect();
    let credentials = overview::by_ids(reader, addon, ids.iter().copied()).await?;
    let credentials = credentials
        .into_values()
        .map(|one| (one.id.to_string(), format!("{} {}", one.kind.as_str(), one.name)));
    let published = publications::store::lists::by_ids(reader, addon, ids).await?;
    let published =
        published.into_iter().map(|one| (one.id.to_string(), format!("publication {}", one.client)));
    Ok(credentials.chain(published).collect())
}

fn shown(row: Row, names: &HashMap<String, String>) -> Shown {
    let subject_id = row.subject.unwrap_or_default();
    Shown {
        at: Time(Timestamp::from_micros(row.at)),
        who: row.name.unwrap_or_else(|| "(name erased)".to_owned()),
        kind: match row.kind.as_deref() {
            Some("system") => "the server",
            Some("app") => "an app",
            Some("api_key") => "an API key",
            Some("person") => "signed in",
            Some("operator") => "an operator",
            Some("browser") => "at the org",
            _ => "so they say",
        }
        .to_owned(),
        action: row.action,
        subject: names.get(&subject_id).cloned().unwrap_or_default(),
        subject_id,
        detail: row.detail,
    }
}

/// The same rows for a spreadsheet.
pub async fn csv(State(app): State<App>, found: RequireSession, Query(asked): Query<Asked>) -> Response {
    export(&app, &found, &asked, &CSV).await
}

/// The same rows for a program.
pub async fn json(State(app): State<App>, found: RequireSession, Query(asked): Query<Asked>) -> Response {
    export(&app, &found, &asked, &JSON).await
}

/// A kind of file.
struct File {
    name: &'static str,
    kind: &'static str,
    head: &'static str,
    row: fn(&Row) -> String,
    between: &'static str,
    tail: &'static str,
}

const CSV: File = File {
    name: "activity.csv",
    kind: "text/csv; charset=utf-8",
    head: "at,who,kind,action,subject,detail\r\n",
    row: csv_row,
    between: "",
    tail: "",
};

const JSON: File = File {
    name: "activity.json",
    kind: "application/json",
    head: "[",
    row: json_row,
    between: ",\n",
    tail: "]",
};

fn csv_row(row: &Row) -> String {
    let at = Timestamp::from_micros(row.at).to_string();
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let (who, kind, subject) = (optional(&row.name), optional(&row.kind), optional(&row.subject));
    let cells = [&at, &who, &kind, &row.action, &subject, &row.detail].map(|text| cell(text));
    format!("{}\r\n", cells.join(","))
}

/// Always in quotes. What a spreadsheet would take for a formula is made text.
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

fn json_row(row: &Row) -> String {
    json!({"at": Timestamp::from_micros(row.at), "who": row.name, "kind": row.kind,
        "action": row.action, "subject": row.subject, "detail": row.detail})
    .to_string()
}

/// Sends what is read while it is read. The first rows are there before the answer begins, so that what fails then is
/// still told as a page; what fails later breaks the answer off, and the browser says so.
async fn export(app: &App, found: &RequireSession, asked: &Asked, file: &'static File) -> Response {
    let first = async {
        found.manager()?;
        let mut rest = Rest {
            app: app.clone(),
            addon: found.addon.id,
            filter: asked.filter(),
            after: None,
            left: EXPORTED,
        };
        let rows = rest.next(file).await?.unwrap_or_default();
        Ok::<_, ApiError>((rows, rest))
    };
    let (first, rest) = match first.await {
        Ok(begun) => begun,
        Err(error) => return refused(app, found, &error),
    };
    let rest = stream::try_unfold(rest, move |mut rest| async move {
        let next = rest.next(file).await.map_err(std::io::Error::other)?;
        Ok(next.map(|rows| (rows, rest)))
    });
    let head = stream::iter([Ok(file.head.to_owned()), Ok(first)]);
    let body = head.chain(rest).chain(stream::iter([Ok::<_, std::io::Error>(file.tail.to_owned())]));
    let headers = [
        (CONTENT_TYPE, file.kind.to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
        (CACHE_CONTROL, "no-store".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Body::from_stream(body)).into_response()
}

/// What of an export is still to be read.
struct Rest {
    app: App,
    addon: AddonId,
    filter: Filter,
    after: Option<Cursor>,
    left: u64,
}

impl Rest {
    /// The next rows as the file has them; none at the end.
    async fn next(&mut self, file: &File) -> Result<Option<String>, StoreError> {
        let size = self.left.min(AT_ONCE);
        if size == 0 {
            return Ok(None);
        }
        let reader = self.app.store.reader();
        let rows = browse::page(reader, self.addon, &self.filter, self.after.as_ref(), size).await?;
        let is_first = self.after.is_none();
        let Some(last) = rows.last() else { return Ok(None) };
        self.after = Some(last.cursor());
        let is_last = rows.len() < usize::try_from(size).unwrap_or_default();
        self.left = if is_last { 0 } else { self.left - size };
        let rows: Vec<String> = rows.iter().map(file.row).collect();
        let before = if is_first { "" } else { file.between };
        Ok(Some(format!("{before}{}", rows.join(file.between))))
    }
}

fn refused(app: &App, found: &RequireSession, error: &ApiError) -> Response {
    found.shell(app, Section::Activity).refused(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_in_utc() {
        assert_eq!(day("2026-11-27", 0).unwrap().to_string(), "2026-11-27T00:00:00.000000Z");
        assert_eq!(day("2026-11-27", 1).unwrap().to_string(), "2026-11-28T00:00:00.000000Z");
        assert_eq!((day("", 0), day("27.11.", 1)), (None, None));
    }

    #[test]
    fn the_address_leads_to_the_same_filters_and_place() {
        let asked = Asked { who: "a&b".to_owned(), since: "2026-11-01".to_owned(), ..Asked::default() };
        let cursor = Cursor { at: 7, segment: RowId(uuid::Uuid::from_u128(5)), seq: 3 };
        let read: Asked = serde_urlencoded::from_str(&asked.query(Some(&cursor))).unwrap();
        assert_eq!((read.filter(), read.cursor()), (asked.filter(), Some(cursor)));
        for garbled in ["", "x", "1.2.3", "1", "..", "9.00000000-0000-0000-0000-000000000005.x"] {
            assert_eq!(Asked { after: garbled.to_owned(), ..Asked::default() }.cursor(), None);
        }
    }

    #[test]
    fn a_spreadsheet_runs_nothing() {
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("say \"hi\", twice"), "\"say \"\"hi\"\", twice\"");
    }

    #[test]
    fn rows_are_text() {
        let row = Row {
            segment: RowId(uuid::Uuid::nil()),
            seq: 0,
            at: 0,
            action: "<script>".to_owned(),
            subject: None,
            detail: "<script>".to_owned(),
            kind: None,
            name: Some("<script>".to_owned()),
        };
        let page = Page {
            shell: Shell::sample(),
            asked: Asked { who: "\"><script>".to_owned(), ..Asked::default() },
            kinds: vec![("a.", "A", true)],
            rows: vec![shown(row, &HashMap::new())],
            next: Some("/dashboard/activity?after=1".to_owned()),
            query: String::new(),
            is_filtered: true,
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("style="), "{html}");
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::{evil, when};

    pub(crate) fn all() -> Vec<Sample> {
        let row = Shown {
            at: when(),
            who: evil(),
            kind: evil(),
            action: evil(),
            subject: evil(),
            subject_id: evil(),
            detail: evil(),
        };
        let page = |rows, asked, is_filtered, next: Option<String>| Page {
            shell: Shell::sample(),
            asked,
            kinds: vec![("grant.", "Grants", true), ("session.", "Sign-ins", false)],
            rows,
            next,
            query: "who=x".to_owned(),
            is_filtered,
        };
        let asked =
            Asked { who: evil(), action: evil(), what: evil(), since: evil(), until: evil(), after: evil() };
        let pages = [
            page(Vec::new(), Asked::default(), false, None),
            page(Vec::new(), asked.clone(), true, None),
            page(vec![row], asked, true, Some(evil())),
        ];
        pages.map(|page| Sample::new("dashboard/activity.html", page)).to_vec()
    }
}
