//! One add-on's part of the ledger, for people: filtered, page by page, and counted over time.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::db::{RowId, StoreError};

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of the actor's name.
    pub who: String,
    /// The beginning of the action: `connection.` for all of a kind.
    pub action: String,
    /// A part of the details, or the id of what it was done to.
    pub what: String,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Where a page ends: the next one begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When.
    pub at: i64,
    /// Among rows of the same time.
    pub segment: RowId,
    /// Among rows of the same segment.
    pub seq: i64,
}

/// A row as people read it.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Row {
    /// See [`Cursor`].
    pub segment: RowId,
    /// See [`Cursor`].
    pub seq: i64,
    /// Microseconds UTC.
    pub at: i64,
    /// What happened.
    pub action: String,
    /// To what.
    pub subject: Option<String>,
    /// More.
    pub detail: String,
    /// What kind of caller it was.
    pub kind: Option<String>,
    /// Who; none once the name is erased.
    pub name: Option<String>,
}

impl Row {
    /// The place behind it.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, segment: self.segment, seq: self.seq }
    }
}

/// Grows a statement with its values.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// So many placeholders, from this number on.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

impl Query {
    /// The number of a new value.
    pub(super) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// New values, between commas.
    pub(super) fn list(&mut self, texts: &[&str]) -> String {
        let first = self.values.len() + 1;
        self.values.extend(texts.iter().map(|text| Value::from(*text)));
        placeholders(first, texts.len())
    }

    /// That the actor `a` is an app, which the log has as `name (prefix)`.
    pub(super) fn of_app(&mut self, app: &str) -> String {
        let (name, prefixed) = (self.value(app), self.value(format!("{} (%", escaped(app))));
        format!(" AND (a.name = {name} OR a.name LIKE {prefixed} ESCAPE '!')")
    }

    fn filter(&mut self, filter: &Filter) {
        if !filter.who.is_empty() {
            let who = self.value(format!("%{}%", escaped(&filter.who)));
            self.sql.push_str(&format!(" AND LOWER(a.name) LIKE LOWER({who}) ESCAPE '!'"));
        }
        if !filter.action.is_empty() {
            let action = self.value(format!("{}%", escaped(&filter.action)));
            self.sql.push_str(&format!(" AND r.action LIKE {action} ESCAPE '!'"));
        }
        if !filter.what.is_empty() {
            let detail = self.value(format!("%{}%", escaped(&filter.what)));
            let subject = self.value(filter.what.trim().to_ascii_lowercase());
            let condition =
                format!(" AND (LOWER(r.detail) LIKE LOWER({detail}) ESCAPE '!' OR r.subject = {subject})");
            self.sql.push_str(&condition);
        }
        if let Some(since) = filter.since {
            let since = self.value(since.as_micros());
            self.sql.push_str(&format!(" AND r.at >= {since}"));
        }
        if let Some(until) = filter.until {
            let until = self.value(until.as_micros());
            self.sql.push_str(&format!(" AND r.at < {until}"));
        }
    }

    fn behind(&mut self, cursor: &Cursor) {
        let (at, segment) = (self.value(cursor.at), self.value(cursor.segment.to_string()));
        let seq = self.value(cursor.seq);
        self.sql.push_str(&format!(
            " AND (r.at < {at} OR (r.at = {at} AND (r.segment < {segment} OR (r.segment = {segment} AND r.seq < {seq}))))"
        ));
    }
}

/// What a person typed is text, not a pattern.
fn escaped(text: &str) -> String {
    text.trim().replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// The newest rows that match, behind `after`.
///
/// # Errors
/// [`StoreError`].
pub async fn page(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let mut query = Query {
        sql:
            "SELECT r.segment, r.seq, r.at, r.action, r.subject, r.detail, a.kind, a.name FROM audit_rows r \
              LEFT JOIN audit_actors a ON a.id = r.actor WHERE r.addon_id = $1"
                .to_owned(),
        values: vec![addon.to_string().into()],
    };
    query.filter(filter);
    if let Some(after) = after {
        query.behind(after);
    }
    let limit = query.value(i64::try_from(limit).unwrap_or(i64::MAX));
    query.sql.push_str(&format!(" ORDER BY r.at DESC, r.segment DESC, r.seq DESC LIMIT {limit}"));
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), query.sql, query.values);
    Ok(Row::find_by_statement(statement).all(connection).await?)
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// What was done.
    Action,
    /// Who did it.
    Name,
    /// The org of the connection or authorization it was done to; empty when that is gone.
    Org,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// Together with what.
    pub by: By,
    /// Only these actions.
    pub actions: &'a [&'a str],
    /// Not before.
    pub since: Timestamp,
    /// In slices of so many microseconds.
    pub length: i64,
    /// Only of one org; empty for all.
    pub org: &'a str,
    /// Only by one app, which the log has as `name (prefix)`.
    pub app: Option<&'a str>,
    /// So many with the highest counts are told apart.
    pub most: i64,
}

/// How often, within a slice of time.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Count {
    /// The slice's number: its beginning divided by its length.
    pub slice: i64,
    /// Of what; none for all that are not told apart.
    pub label: Option<String>,
    /// How often.
    pub number: i64,
    /// How many labels there are in all.
    pub labels: i64,
}

/// Counts in slices of time. However much there is to count, the answer is small.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    counted: &Counted<'_>,
) -> Result<Vec<Count>, StoreError> {
    let query = counting(addon, counted);
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), query.sql, query.values);
    Ok(Count::find_by_statement(statement).all(connection).await?)
}

fn counting(addon: AddonId, counted: &Counted<'_>) -> Query {
    let Counted { by, actions, since, length, org, app, most } = *counted;
    let mut query = Query {
        sql: String::new(),
        values: vec![length.into(), addon.to_string().into(), since.as_micros().into(), most.into()],
    };
    let label = match by {
        By::Action => "r.action",
        By::Name => "COALESCE(a.name, '(name erased)')",
        By::Org => "COALESCE(c.org_id, '')",
    };
    let mut joins = String::new();
    if by == By::Name || app.is_some() {
        joins.push_str(" LEFT JOIN audit_actors a ON a.id = r.actor");
    }
    if by == By::Org {
        joins.push_str(" LEFT JOIN credentials c ON c.id = r.subject AND c.addon_id = r.addon_id");
    }
    let named = query.list(actions);
    let mut conditions = format!("r.addon_id = $2 AND r.at >= $3 AND r.action IN ({named})");
    if !org.is_empty() {
        let org = query.value(org);
        let condition =
            format!(" AND r.subject IN (SELECT id FROM credentials WHERE addon_id = $2 AND org_id = {org})");
        conditions.push_str(&condition);
    }
    if let Some(app) = app {
        let condition = query.of_app(app);
        conditions.push_str(&condition);
    }
    query.sql = format!(
        "WITH counted AS (SELECT r.at / $1 AS slice, {label} AS label, COUNT(*) AS number \
           FROM audit_rows r{joins} WHERE {conditions} GROUP BY 1, 2), \
         ranked AS (SELECT label, ROW_NUMBER() OVER (ORDER BY SUM(number) DESC, label) AS place \
           FROM counted GROUP BY label) \
         SELECT counted.slice AS slice, CASE WHEN ranked.place <= $4 THEN counted.label END AS label, \
           CAST(SUM(counted.number) AS BIGINT) AS number, (SELECT COUNT(*) FROM ranked) AS labels \
         FROM counted JOIN ranked ON ranked.label = counted.label GROUP BY 1, 2"
    );
    query
}
