//! A query's answer as a table: a line of names, then a line of text per record. What bulk query jobs hand out.
//!
//! Only plain records make a table: no sub-queries, no groups, no files.

use serde_json::{Value, json};

use super::ast::Query;
use super::compile::Context;
use super::error::SoqlError;
use super::names::Column;
use super::run::{context, ids};
use super::{DEFAULT_BATCH, parser};
use crate::db::Tx;
use crate::rest::RestError;
use crate::rights::{Rights, preamble_params};
use crate::schema::FieldType;

/// The canonical name of the sObject whose records a query would list.
///
/// # Errors
/// As for any query; `FEATURENOTENABLED` when its answer is no table.
pub(crate) fn table_of(tx: &Tx<'_>, rights: &Rights, source: &str) -> Result<String, RestError> {
    let refuse = |error: SoqlError| RestError::from_soql(&error, source);
    let query = parser::parse(source).map_err(refuse)?;
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, false, &preamble);
    columns(&context, &query).map_err(refuse)?;
    context.ids(&query).map_err(refuse)?;
    context.page(&query, "[]".to_owned()).map_err(refuse)?;
    let object = tx.schema().object(&query.from.name).ok_or_else(RestError::not_found)?;
    Ok(object.name.clone())
}

/// Hands the names and then every record's values to `line`, in the query's order.
///
/// # Errors
/// As [`table_of`], or whatever `line` answers.
pub(crate) fn table(
    tx: &Tx<'_>,
    rights: &Rights,
    source: &str,
    all_rows: bool,
    mut line: impl FnMut(Vec<String>) -> Result<(), RestError>,
) -> Result<(), RestError> {
    let refuse = |error: SoqlError| RestError::from_soql(&error, source);
    let query = parser::parse(source).map_err(refuse)?;
    let preamble = preamble_params(tx, rights.caller());
    let context = context(tx, rights, all_rows, &preamble);
    let columns = columns(&context, &query).map_err(refuse)?;
    let ids = ids(tx, &context.ids(&query).map_err(refuse)?)?;
    line(columns.iter().map(name).collect())?;
    for some in ids.chunks(DEFAULT_BATCH) {
        let plan = context.page(&query, json!(some).to_string()).map_err(refuse)?;
        let found = plan.records(tx, "")?.into_iter().filter_map(|(id, record)| Some((id?, record)));
        let found: std::collections::HashMap<String, Value> = found.collect();
        for record in some.iter().filter_map(|id| found.get(id)) {
            line(columns.iter().map(|column| text(column, record)).collect())?;
        }
    }
    Ok(())
}

/// The selected fields, in order.
fn columns<'a>(context: &Context<'a>, query: &Query) -> Result<Vec<Column<'a>>, SoqlError> {
    let unsupported = |what: &str| {
        SoqlError::new("FEATURENOTENABLED", query.from.at, format!("{what} not supported in a bulk query"))
    };
    if query.is_aggregate() || query.offset.is_some() {
        return Err(unsupported("Groups, aggregate functions and OFFSET are"));
    }
    let columns =
        context.fields(query)?.ok_or_else(|| unsupported("Only fields can be selected: anything else is"))?;
    match columns.iter().find(|column| column.field.kind == FieldType::Base64) {
        Some(_) => Err(unsupported("Binary fields are")),
        None => Ok(columns),
    }
}

/// `Account.Owner.Name`.
fn name(column: &Column<'_>) -> String {
    let mut name = String::new();
    for parent in &column.parents {
        name.push_str(parent.relationship);
        name.push('.');
    }
    name + &column.field.name
}

/// A value as CSV has it: nothing for null, moments with a `Z`.
fn text(column: &Column<'_>, record: &Value) -> String {
    let parent = column.parents.iter().try_fold(record, |record, parent| record.get(parent.relationship));
    match parent.and_then(|record| record.get(&column.field.name)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(moment)) if column.field.kind == FieldType::DateTime => {
            moment.replace("+0000", "Z")
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
