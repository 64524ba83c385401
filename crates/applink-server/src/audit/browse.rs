//! One add-on's part of the ledger, for people: filtered, page by page, and counted over time.

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use uuid::Uuid;

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
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    /// The number of a new value.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
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

/// How often something was done to something by somebody, within a slice of time.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Count {
    /// The slice's number: its beginning divided by its length.
    pub slice: i64,
    /// What.
    pub action: String,
    /// To what.
    pub subject: Option<String>,
    /// By whom.
    pub name: Option<String>,
    /// How often.
    pub number: i64,
}

impl Count {
    /// The id of what it was done to.
    pub fn subject_id(&self) -> Option<Uuid> {
        self.subject.as_deref()?.parse().ok()
    }
}

/// Counts `actions` since a time, in slices of `length` microseconds.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    actions: &[&str],
    since: Timestamp,
    length: i64,
) -> Result<Vec<Count>, StoreError> {
    let mut query = Query {
        sql: String::new(),
        values: vec![length.into(), addon.to_string().into(), since.as_micros().into()],
    };
    let named: Vec<String> = actions.iter().map(|action| query.value(*action)).collect();
    let sql = format!(
        "SELECT r.at / $1 AS slice, r.action, r.subject, a.name, COUNT(*) AS number FROM audit_rows r \
         LEFT JOIN audit_actors a ON a.id = r.actor WHERE r.addon_id = $2 AND r.at >= $3 AND r.action IN ({}) \
         GROUP BY 1, 2, 3, 4",
        named.join(", ")
    );
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, query.values);
    Ok(Count::find_by_statement(statement).all(connection).await?)
}
