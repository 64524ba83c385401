//! A query to SQL: one statement that finds the records, one that fetches a page of them, one per
//! sub-query. All carry the caller's rights as predicates (see [`crate::rights`]).

use rusqlite::types::Value as SqlValue;

use super::ast::{Expression, FieldGroup, FieldPath, Position, Query, Selected};
use super::error::SoqlError;
use super::filter::{Kind, Typed, Use};
use super::names::{Column, Frame, Statement};
use super::shape::{ChildPlan, Entry, Shape};
use crate::rights::{PREAMBLE, Rights};
use crate::schema::{SObject, Schema};

/// The most rows an offset may skip.
const LARGEST_OFFSET: u64 = 2_000;
/// The most rows a query with `FIELDS(ALL)` or `FIELDS(CUSTOM)` may ask for.
const LARGEST_FIELDS_LIMIT: u64 = 200;

/// The most sub-queries of one query.
const MOST_SUBQUERIES: usize = 20;
/// The most items of one `SELECT`.
const MOST_SELECTED: usize = 500;

/// What compiling needs to know besides the query.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rights: &'a Rights,
    pub(super) today: jiff::civil::Date,
    pub(super) all_rows: bool,
    pub(super) preamble: &'a [SqlValue],
}

/// SQL with its parameters.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) params: Vec<SqlValue>,
}

/// SQL whose rows have a shape.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) sql: Sql,
    pub(super) shape: Shape,
}

impl<'a> Context<'a> {
    fn statement(&self) -> Statement<'a> {
        Statement::new(self.schema, self.rights, self.today, self.all_rows, self.preamble.to_vec())
    }

    /// The ids of the records a query finds, in its order.
    pub(super) fn ids(&self, query: &Query) -> Result<Sql, SoqlError> {
        check_clauses(query)?;
        let mut statement = self.statement();
        let object = statement.object(&query.from)?;
        let mut frame = statement.frame(object, &query.from);
        let filter = statement.filter(&mut frame, query)?;
        let order = statement.order(&mut frame, query)?;
        let from = statement.tables_sql(&frame);
        let alias = &frame.alias;
        let limits = limits(query);
        let text = format!("{PREAMBLE} SELECT {alias}.\"Id\" FROM {from} WHERE {filter}{order}{limits}");
        Ok(Sql { text, params: statement.into_params() })
    }

    /// How many records `SELECT COUNT()` finds.
    pub(super) fn count(&self, query: &Query) -> Result<Sql, SoqlError> {
        let Sql { text, params } = self.ids(query)?;
        let inner = text.strip_prefix(PREAMBLE).unwrap_or(&text);
        Ok(Sql { text: format!("{PREAMBLE} SELECT count(*) FROM ({inner})"), params })
    }

    /// The selected fields of the records with these ids, given as a JSON array; in no order.
    pub(super) fn page(&self, query: &Query, ids: String) -> Result<Plan, SoqlError> {
        let mut statement = self.statement();
        let object = statement.object(&query.from)?;
        let mut frame = statement.frame(object, &query.from);
        let (columns, shape) = self.select(&mut statement, &mut frame, query)?;
        let visible = statement.visible_sql(&frame);
        let ids = statement.bind(SqlValue::Text(ids));
        let from = statement.tables_sql(&frame);
        let text = format!(
            "{PREAMBLE} SELECT {} FROM {from} WHERE {}.\"Id\" IN (SELECT value FROM json_each({ids})) AND {visible}",
            columns.join(", "),
            frame.alias
        );
        Ok(Plan { sql: Sql { text, params: statement.into_params() }, shape })
    }

    /// The selected fields in order, when fields are all that is selected.
    pub(super) fn fields(&self, query: &Query) -> Result<Option<Vec<Column<'a>>>, SoqlError> {
        check_size(query)?;
        let mut statement = self.statement();
        let object = statement.object(&query.from)?;
        let mut frame = statement.frame(object, &query.from);
        let mut columns = Vec::new();
        for item in &query.select {
            let paths = match item {
                Selected::Expression { expression: Expression::Field(path), alias: None } => {
                    vec![path.clone()]
                }
                Selected::Fields(group, at) => {
                    check_field_group(*group, *at, query)?;
                    field_group(object, *group, *at, self.rights)
                }
                _ => return Ok(None),
            };
            for path in paths {
                columns.push(statement.column(&mut frame, &path)?);
            }
        }
        Ok(Some(columns))
    }

    /// The groups an aggregate query answers.
    pub(super) fn groups(&self, query: &Query) -> Result<Plan, SoqlError> {
        check_clauses(query)?;
        let mut statement = self.statement();
        let object = statement.object(&query.from)?;
        let mut frame = statement.frame(object, &query.from);
        let (columns, shape) = statement.grouped_select(&mut frame, query)?;
        let filter = statement.filter(&mut frame, query)?;
        let groups = statement.group_by(&mut frame, query)?;
        let having = match &query.having {
            Some(having) => format!(" HAVING {}", statement.condition(&mut frame, having)?),
            None => String::new(),
        };
        let order = statement.order(&mut frame, query)?;
        let from = statement.tables_sql(&frame);
        let limits = limits(query);
        let text = format!(
            "{PREAMBLE} SELECT {} FROM {from} WHERE {filter}{groups}{having}{order}{limits}",
            columns.join(", ")
        );
        Ok(Plan { sql: Sql { text, params: statement.into_params() }, shape })
    }

    /// A sub-query, run once per parent record.
    fn children(&self, parent: &SObject, query: &Query) -> Result<(String, ChildPlan), SoqlError> {
        check_clauses(query)?;
        let from = &query.from;
        let unknown = || {
            SoqlError::no_such_relationship(from.at, "INVALID_TYPE", &from.name, "FROM part of query call")
        };
        let child = self.schema.child(parent, &from.name).ok_or_else(unknown)?;
        let known = self.rights.may(self.schema, child.child, crate::rights::Action::Read)
            && self.rights.may_read_field(child.child, child.field);
        if !known {
            return Err(unknown());
        }
        if query.is_aggregate() || query.select.iter().any(|item| matches!(item, Selected::CountRows(_))) {
            let message = "aggregate functions are not allowed in sub-queries";
            return Err(SoqlError::malformed(from.at, message));
        }
        let mut statement = self.statement();
        let mut frame = statement.frame(child.child, from);
        let (columns, shape) = self.select(&mut statement, &mut frame, query)?;
        let filter = statement.filter(&mut frame, query)?;
        let order = statement.order(&mut frame, query)?;
        let parent_id = statement.bind(SqlValue::Null);
        let tables = statement.tables_sql(&frame);
        let limits = limits(query);
        let text = format!(
            "{PREAMBLE} SELECT {} FROM {tables} WHERE {}.\"{}\" = {parent_id} AND {filter}{order}{limits}",
            columns.join(", "),
            frame.alias,
            child.field.name,
        );
        let sql = Sql { text, params: statement.into_params() };
        Ok((child.name.to_owned(), ChildPlan { plan: Plan { sql, shape } }))
    }

    /// The columns of a `SELECT` over records, and how a row becomes a record.
    fn select(
        &self,
        statement: &mut Statement<'a>,
        frame: &mut Frame<'a>,
        query: &Query,
    ) -> Result<(Vec<String>, Shape), SoqlError> {
        check_size(query)?;
        let mut columns = vec![format!("{}.\"Id\"", frame.alias)];
        let mut shape = Shape::record(&frame.object.name, 0);
        for item in &query.select {
            match item {
                Selected::Expression { alias: Some(alias), expression } => {
                    let message = format!("only aggregate expressions use field aliasing: {alias}");
                    return Err(SoqlError::malformed(expression.at(), message));
                }
                Selected::Expression { expression: Expression::Field(path), .. } => {
                    let column = statement.column(frame, path)?;
                    add_column(&mut columns, &mut shape, &column, path)?;
                }
                Selected::Expression { expression, .. } => {
                    let typed = statement.expression(frame, expression, Use::Select)?;
                    columns.push(typed.sql);
                    let entry = Entry::Value { column: columns.len() - 1, kind: typed.kind };
                    shape.add(&typed.name, entry, expression.at())?;
                }
                Selected::Fields(group, at) => {
                    check_field_group(*group, *at, query)?;
                    for path in field_group(frame.object, *group, *at, self.rights) {
                        let column = statement.column(frame, &path)?;
                        add_column(&mut columns, &mut shape, &column, &path)?;
                    }
                }
                Selected::Children(children) => {
                    let (name, plan) = self.children(frame.object, children)?;
                    shape.add(&name, Entry::Children(Box::new(plan)), children.from.at)?;
                }
                Selected::CountRows(at) => {
                    return Err(SoqlError::malformed(*at, "unexpected token: 'COUNT'"));
                }
            }
        }
        Ok((columns, shape))
    }
}

impl<'a> Statement<'a> {
    /// `WHERE`: the row is visible and meets the query's own condition.
    fn filter(&mut self, frame: &mut Frame<'a>, query: &Query) -> Result<String, SoqlError> {
        let mut sql = self.visible_sql(frame);
        if let Some(scope) = &query.scope {
            sql.push_str(&scope_sql(frame, scope, query.from.at)?);
        }
        if let Some(filter) = &query.filter {
            filter.ensure_no_aggregate()?;
            sql.push_str(" AND ");
            sql.push_str(&self.condition(frame, filter)?);
        }
        Ok(sql)
    }

    /// The ids that a semi-join's query answers; null matches nothing and is left out.
    pub(super) fn id_query(&mut self, query: &Query) -> Result<String, SoqlError> {
        let [Selected::Expression { expression, alias: None }] = query.select.as_slice() else {
            let message = "semi join sub-selects must select exactly one field";
            return Err(SoqlError::malformed(query.from.at, message));
        };
        if query.is_aggregate() {
            let message = "aggregate functions are not allowed in semi join sub-selects";
            return Err(SoqlError::malformed(query.from.at, message));
        }
        check_clauses(query)?;
        let object = self.object(&query.from)?;
        let mut frame = self.frame(object, &query.from);
        let column = self.expression(&mut frame, expression, Use::Select)?;
        if column.kind != Kind::Id {
            let message = format!("semi join sub-selects must select an id field, not '{}'", column.name);
            return Err(SoqlError::malformed(expression.at(), message));
        }
        let filter = self.filter(&mut frame, query)?;
        let order = self.order(&mut frame, query)?;
        let from = self.tables_sql(&frame);
        let limits = limits(query);
        let sql = column.sql;
        Ok(format!("SELECT {sql} FROM {from} WHERE {filter} AND {sql} IS NOT NULL{order}{limits}"))
    }

    /// `ORDER BY`; records are told apart by their id in the end, so that the same query answers the same order.
    fn order(&mut self, frame: &mut Frame<'a>, query: &Query) -> Result<String, SoqlError> {
        let mut items = Vec::new();
        for ordering in &query.order_by {
            ensure_grouped(query, &ordering.expression)?;
            let typed = self.expression(frame, &ordering.expression, Use::Sort)?;
            let direction = if ordering.descending { "DESC" } else { "ASC" };
            let nulls = if ordering.nulls_last { "LAST" } else { "FIRST" };
            items.push(format!("{} {direction} NULLS {nulls}", typed.sql));
        }
        if !query.is_aggregate() {
            items.push(format!("{}.\"Id\"", frame.alias));
        }
        Ok(if items.is_empty() { String::new() } else { format!(" ORDER BY {}", items.join(", ")) })
    }

    fn group_by(&mut self, frame: &mut Frame<'a>, query: &Query) -> Result<String, SoqlError> {
        let mut items = Vec::new();
        for expression in &query.group_by {
            if expression.is_aggregate() {
                return Err(SoqlError::malformed(
                    expression.at(),
                    "aggregate functions cannot be grouped by",
                ));
            }
            items.push(self.expression(frame, expression, Use::Group)?.sql);
        }
        Ok(if items.is_empty() { String::new() } else { format!(" GROUP BY {}", items.join(", ")) })
    }

    fn grouped_select(
        &mut self,
        frame: &mut Frame<'a>,
        query: &Query,
    ) -> Result<(Vec<String>, Shape), SoqlError> {
        check_size(query)?;
        let mut columns = Vec::new();
        let mut shape = Shape::aggregate();
        let mut unnamed = 0;
        for item in &query.select {
            let Selected::Expression { expression, alias } = item else {
                let message = "only fields and aggregate functions can be selected together with aggregates";
                return Err(SoqlError::malformed(query.from.at, message));
            };
            let Typed { sql, kind, name, .. } = self.expression(frame, expression, Use::Select)?;
            ensure_grouped(query, expression)?;
            let name = match (alias, expression) {
                (Some(alias), _) => alias.clone(),
                (None, Expression::Field(_)) => name,
                (None, _) => {
                    unnamed += 1;
                    format!("expr{}", unnamed - 1)
                }
            };
            columns.push(sql);
            shape.add(&name, Entry::Value { column: columns.len() - 1, kind }, expression.at())?;
        }
        Ok((columns, shape))
    }
}

/// In a query of groups everything is a group's; in one of records nothing is.
fn ensure_grouped(query: &Query, expression: &Expression) -> Result<(), SoqlError> {
    let written = expression.to_string();
    let is_group = || query.group_by.iter().any(|group| group.to_string().eq_ignore_ascii_case(&written));
    let message = match (query.is_aggregate(), expression.is_aggregate()) {
        (true, true) | (false, false) => return Ok(()),
        (true, false) if is_group() => return Ok(()),
        (true, false) => {
            format!("Field must be grouped or aggregated: {}", written.rsplit('.').next().unwrap_or(&written))
        }
        (false, true) => "Ordering by an aggregate function needs a query that is grouped".to_owned(),
    };
    Err(SoqlError::malformed(expression.at(), message))
}

fn scope_sql(frame: &Frame<'_>, scope: &str, at: Position) -> Result<String, SoqlError> {
    match scope.to_ascii_lowercase().as_str() {
        "everything" => Ok(String::new()),
        "mine" if frame.object.has_owner() => Ok(format!(" AND {}.\"OwnerId\" = ?1", frame.alias)),
        _ => {
            Err(SoqlError::malformed(at, format!("filter scope '{scope}' is not supported for this entity")))
        }
    }
}

fn add_column(
    columns: &mut Vec<String>,
    shape: &mut Shape,
    column: &Column<'_>,
    path: &FieldPath,
) -> Result<(), SoqlError> {
    let kind = Kind::of(column.field);
    // A file's bytes are fetched by themselves; a record holds only where.
    columns.push(if kind == Kind::File { format!("{} IS NOT NULL", column.sql) } else { column.sql.clone() });
    let entry = Entry::Value { column: columns.len() - 1, kind };
    shape.add_under(&column.parents, columns, &column.field.name, entry, path.at)
}

fn field_group(object: &SObject, group: FieldGroup, at: Position, rights: &Rights) -> Vec<FieldPath> {
    object
        .fields
        .iter()
        .filter(|field| match group {
            FieldGroup::All => true,
            FieldGroup::Standard => !field.is_custom(),
            FieldGroup::Custom => field.is_custom() || field.name == "Id",
        })
        .filter(|field| rights.may_read_field(object, field))
        .map(|field| FieldPath { parts: vec![field.name.clone()], at })
        .collect()
}

fn check_field_group(group: FieldGroup, at: Position, query: &Query) -> Result<(), SoqlError> {
    let bounded = query.limit.is_some_and(|limit| limit <= LARGEST_FIELDS_LIMIT);
    if group == FieldGroup::Standard || bounded {
        return Ok(());
    }
    let message = format!("The SOQL FIELDS function must have a LIMIT of at most {LARGEST_FIELDS_LIMIT}");
    Err(SoqlError::malformed(at, message))
}

fn check_clauses(query: &Query) -> Result<(), SoqlError> {
    if query.having.is_some() && query.group_by.is_empty() {
        return Err(SoqlError::malformed(query.from.at, "HAVING needs GROUP BY"));
    }
    match query.offset {
        Some(offset) if offset > LARGEST_OFFSET => {
            let message = format!("Maximum SOQL offset allowed is {LARGEST_OFFSET}");
            Err(SoqlError::whole("NUMBER_OUTSIDE_VALID_RANGE", message))
        }
        _ => Ok(()),
    }
}

fn check_size(query: &Query) -> Result<(), SoqlError> {
    let children = query.select.iter().filter(|item| matches!(item, Selected::Children(_))).count();
    if children > MOST_SUBQUERIES || query.select.len() > MOST_SELECTED {
        let message =
            format!("at most {MOST_SELECTED} fields and {MOST_SUBQUERIES} sub-queries can be selected");
        return Err(SoqlError::malformed(query.from.at, message));
    }
    Ok(())
}

/// SQLite takes an offset only after a limit; -1 is no limit.
fn limits(query: &Query) -> String {
    let limit = query.limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
    match (query.limit, query.offset) {
        (None, None) => String::new(),
        (_, offset) => format!(" LIMIT {limit} OFFSET {}", offset.unwrap_or_default()),
    }
}
