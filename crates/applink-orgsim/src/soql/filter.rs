//! Conditions and expressions to SQL.

use std::borrow::Cow;

use jiff::civil::Date;
use rusqlite::types::Value as SqlValue;

use super::ast::{
    Aggregate, Condition, Expression, FieldPath, Function, Literal, Operator, Position, Query, Set,
};
use super::dates::RelativeDate;
use super::error::SoqlError;
use super::names::{Frame, Statement};
use crate::clock::MICROS_PER_SECOND;
use crate::ids;
use crate::schema::{Field, FieldType};

/// How a value is stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Text,
    Boolean,
    Int,
    Double,
    Date,
    Moment,
    File,
}

/// SQL with its kind.
pub(super) struct Typed {
    pub(super) sql: String,
    pub(super) kind: Kind,
    /// The name it goes by in results and messages.
    pub(super) name: String,
    at: Position,
}

impl Kind {
    pub(super) fn of(field: &Field) -> Self {
        match &field.kind {
            FieldType::Id | FieldType::Reference(_) => Self::Id,
            FieldType::Boolean => Self::Boolean,
            FieldType::Int => Self::Int,
            FieldType::Double { .. } | FieldType::Currency | FieldType::Percent => Self::Double,
            FieldType::Date => Self::Date,
            FieldType::DateTime => Self::Moment,
            FieldType::Base64 => Self::File,
            _ => Self::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Id | Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Double => "double",
            Self::Date => "date",
            Self::Moment => "dateTime",
            Self::File => "base64",
        }
    }
}

/// What a field is about to be used for, which long text areas don't take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Select,
    Filter,
    Sort,
    Group,
}

impl Condition {
    /// `WHERE` is about rows, before there are groups.
    pub(super) fn ensure_no_aggregate(&self) -> Result<(), SoqlError> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().try_for_each(Self::ensure_no_aggregate),
            Self::Not(inner) => inner.ensure_no_aggregate(),
            Self::Compare { left, .. } | Self::In { left, .. } | Self::Includes { left, .. } => {
                if left.is_aggregate() {
                    let message = "Aggregate functions are not allowed in WHERE; use HAVING";
                    return Err(SoqlError::malformed(left.at(), message));
                }
                Ok(())
            }
        }
    }
}

impl<'a> Statement<'a> {
    /// An expression in SQL.
    pub(super) fn expression(
        &mut self,
        frame: &mut Frame<'a>,
        expression: &Expression,
        usage: Use,
    ) -> Result<Typed, SoqlError> {
        match expression {
            Expression::Field(path) => self.field(frame, path, usage),
            Expression::Aggregate(aggregate, argument, at) => {
                self.aggregate(frame, *aggregate, argument.as_ref(), *at)
            }
            Expression::Function(function, inner, at) => {
                let inner = self.expression(frame, inner, usage)?;
                apply(*function, inner, *at)
            }
        }
    }

    fn field(&mut self, frame: &mut Frame<'a>, path: &FieldPath, usage: Use) -> Result<Typed, SoqlError> {
        let column = self.column(frame, path)?;
        let verb = match usage {
            Use::Select => None,
            Use::Filter => Some("filtered"),
            Use::Sort => Some("sorted"),
            Use::Group => Some("grouped"),
        };
        let long = column.field.kind.is_long();
        if let (true, Some(verb)) = (long, verb) {
            let message = format!("field '{}' can not be {verb} in a query call", column.field.name);
            return Err(SoqlError::new("INVALID_FIELD", path.at, message));
        }
        let name = column.field.name.clone();
        Ok(Typed { sql: column.sql, kind: Kind::of(column.field), name, at: path.at })
    }

    fn aggregate(
        &mut self,
        frame: &mut Frame<'a>,
        aggregate: Aggregate,
        argument: Option<&FieldPath>,
        at: Position,
    ) -> Result<Typed, SoqlError> {
        let name = aggregate.keyword().to_lowercase();
        let Some(path) = argument else {
            return Ok(Typed { sql: "count(*)".into(), kind: Kind::Int, name, at });
        };
        let inner = self.field(frame, path, Use::Select)?;
        let numeric = matches!(inner.kind, Kind::Int | Kind::Double);
        let fits = match aggregate {
            Aggregate::Count | Aggregate::CountDistinct => true,
            Aggregate::Sum | Aggregate::Avg => numeric,
            Aggregate::Min | Aggregate::Max => inner.kind != Kind::Boolean,
        };
        if !fits {
            let message =
                format!("field {} does not support aggregate operator {}", inner.name, aggregate.keyword());
            return Err(SoqlError::new("INVALID_FIELD", at, message));
        }
        let (sql, kind) = match aggregate {
            Aggregate::Count => (format!("count({})", inner.sql), Kind::Int),
            Aggregate::CountDistinct => (format!("count(DISTINCT {})", inner.sql), Kind::Int),
            Aggregate::Sum => (format!("sum({})", inner.sql), Kind::Double),
            Aggregate::Avg => (format!("avg({})", inner.sql), Kind::Double),
            Aggregate::Min => (format!("min({})", inner.sql), inner.kind),
            Aggregate::Max => (format!("max({})", inner.sql), inner.kind),
        };
        Ok(Typed { sql, kind, name, at })
    }

    /// A condition in SQL: 1 or 0 for every row, never null, so that `NOT` means what it means in SOQL.
    pub(super) fn condition(
        &mut self,
        frame: &mut Frame<'a>,
        condition: &Condition,
    ) -> Result<String, SoqlError> {
        match condition {
            Condition::And(parts) => self.joined(frame, parts, " AND "),
            Condition::Or(parts) => self.joined(frame, parts, " OR "),
            Condition::Not(inner) => Ok(format!("(NOT {})", self.condition(frame, inner)?)),
            Condition::Compare { left, operator, right } => {
                let left = self.expression(frame, left, Use::Filter)?;
                let sql = self.compare(&left, *operator, right)?;
                Ok(format!("coalesce({sql}, 0)"))
            }
            Condition::In { left, negated, set } => {
                let left = self.expression(frame, left, Use::Filter)?;
                match set {
                    Set::Values(values) => self.in_values(&left, *negated, values),
                    Set::Query(query) => self.in_query(&left, *negated, query),
                }
            }
            Condition::Includes { left, .. } => {
                let left = self.expression(frame, left, Use::Filter)?;
                let message = "includes or excludes operator only valid on multipicklist field";
                Err(SoqlError::new("INVALID_QUERY_FILTER_OPERATOR", left.at, message))
            }
        }
    }

    fn joined(
        &mut self,
        frame: &mut Frame<'a>,
        parts: &[Condition],
        glue: &str,
    ) -> Result<String, SoqlError> {
        let parts: Vec<String> =
            parts.iter().map(|part| self.condition(frame, part)).collect::<Result<_, _>>()?;
        Ok(balanced(&parts, glue))
    }

    fn compare(&mut self, left: &Typed, operator: Operator, right: &Literal) -> Result<String, SoqlError> {
        if operator == Operator::Like {
            return self.like(left, right);
        }
        check_operator(left, operator)?;
        if let (Literal::Relative(relative), Kind::Date | Kind::Moment) = (right, left.kind) {
            return Ok(self.compare_to_range(left, operator, *relative));
        }
        let sql = &left.sql;
        let value = value_of(left, right)?;
        if value == SqlValue::Null {
            return Ok(match operator {
                Operator::Equal => format!("{sql} IS NULL"),
                Operator::NotEqual => format!("{sql} IS NOT NULL"),
                _ => "0".to_owned(),
            });
        }
        let value = self.bind(value);
        Ok(match operator {
            Operator::NotEqual => format!("{sql} IS NOT {value}"),
            _ => format!("{sql} {} {value}", operator.keyword()),
        })
    }

    fn compare_to_range(&mut self, left: &Typed, operator: Operator, relative: RelativeDate) -> String {
        let (first, after) = relative.range(self.today);
        let stored = |day: Date| if left.kind == Kind::Date { day_value(day) } else { midnight_value(day) };
        let sql = &left.sql;
        match operator {
            Operator::Equal => {
                format!("({sql} >= {} AND {sql} < {})", self.bind(stored(first)), self.bind(stored(after)))
            }
            Operator::NotEqual => {
                let (first, after) = (self.bind(stored(first)), self.bind(stored(after)));
                format!("({sql} IS NULL OR {sql} < {first} OR {sql} >= {after})")
            }
            Operator::Less => format!("{sql} < {}", self.bind(stored(first))),
            Operator::LessOrEqual => format!("{sql} < {}", self.bind(stored(after))),
            Operator::Greater => format!("{sql} >= {}", self.bind(stored(after))),
            _ => format!("{sql} >= {}", self.bind(stored(first))),
        }
    }

    fn like(&mut self, left: &Typed, right: &Literal) -> Result<String, SoqlError> {
        let code = "INVALID_QUERY_FILTER_OPERATOR";
        match (left.kind, right) {
            (Kind::Id, _) => Err(SoqlError::new(code, left.at, "invalid operator on id field")),
            (Kind::Text, Literal::Text(pattern)) => {
                let pattern = self.bind(SqlValue::Text(like_pattern(pattern)));
                Ok(format!("{} LIKE {pattern} ESCAPE '\\'", left.sql))
            }
            (Kind::Text, _) => Err(wrong_type(left)),
            (kind, _) => {
                let message = format!("LIKE is not a valid operator for a field of type {}", kind.name());
                Err(SoqlError::new(code, left.at, message))
            }
        }
    }

    fn in_values(&mut self, left: &Typed, negated: bool, values: &[Literal]) -> Result<String, SoqlError> {
        let sql = &left.sql;
        let mut wanted = Vec::new();
        let mut alternatives = Vec::new();
        for value in values {
            if let (Literal::Relative(relative), Kind::Date | Kind::Moment) = (value, left.kind) {
                alternatives.push(self.compare_to_range(left, Operator::Equal, *relative));
                continue;
            }
            match value_of(left, value)? {
                SqlValue::Null => alternatives.push(format!("{sql} IS NULL")),
                value => wanted.push(json_of(value)),
            }
        }
        if !wanted.is_empty() {
            // One parameter however long the list: SQLite limits their number.
            let list = self.bind(SqlValue::Text(serde_json::Value::Array(wanted).to_string()));
            alternatives.push(format!("{sql} IN (SELECT value FROM json_each({list}))"));
        }
        let found = format!("coalesce({}, 0)", balanced(&alternatives, " OR "));
        Ok(if negated { format!("(NOT {found})") } else { found })
    }

    fn in_query(&mut self, left: &Typed, negated: bool, query: &Query) -> Result<String, SoqlError> {
        if left.kind != Kind::Id {
            let message =
                format!("semi join sub-selects can only be used with id fields, not '{}'", left.name);
            return Err(SoqlError::new("MALFORMED_QUERY", left.at, message));
        }
        let inner = self.id_query(query)?;
        let found = format!("coalesce({} IN ({inner}), 0)", left.sql);
        Ok(if negated { format!("(NOT {found})") } else { found })
    }
}

/// `((a AND b) AND (c AND d))`: SQLite limits how deep an expression nests, and a plain chain nests once per part.
fn balanced(parts: &[String], glue: &str) -> String {
    match parts {
        [only] => only.clone(),
        _ => {
            let (left, right) = parts.split_at(parts.len() / 2);
            format!("({}{glue}{})", balanced(left, glue), balanced(right, glue))
        }
    }
}

fn check_operator(left: &Typed, operator: Operator) -> Result<(), SoqlError> {
    let only_equality = left.kind == Kind::Boolean;
    if only_equality && !matches!(operator, Operator::Equal | Operator::NotEqual) {
        let message = format!("invalid operator on {} field: {}", left.kind.name(), operator.keyword());
        return Err(SoqlError::new("INVALID_QUERY_FILTER_OPERATOR", left.at, message));
    }
    Ok(())
}

/// A literal as the column stores it.
fn value_of(left: &Typed, literal: &Literal) -> Result<SqlValue, SoqlError> {
    match (left.kind, literal) {
        (_, Literal::Null) => Ok(SqlValue::Null),
        // The empty string is how SOQL writes null for text.
        (Kind::Text | Kind::Id, Literal::Text(text)) if text.is_empty() => Ok(SqlValue::Null),
        (Kind::Text, Literal::Text(text)) => Ok(SqlValue::Text(plain_text(text).into_owned())),
        (Kind::Id, Literal::Text(text)) => ids::normalize(text).map(SqlValue::Text).ok_or_else(|| {
            let message = format!("invalid ID field: {text}");
            SoqlError::new("INVALID_QUERY_FILTER_OPERATOR", left.at, message)
        }),
        (Kind::Boolean, Literal::Boolean(value)) => Ok(SqlValue::Integer(i64::from(*value))),
        (Kind::Int | Kind::Double, Literal::Number(number)) => {
            number_value(number).ok_or_else(|| wrong_type(left))
        }
        (Kind::Date, Literal::Day(day)) => Ok(day_value(*day)),
        (Kind::Moment, Literal::Moment(micros)) => {
            Ok(SqlValue::Integer(micros - micros.rem_euclid(MICROS_PER_SECOND)))
        }
        _ => Err(wrong_type(left)),
    }
}

fn json_of(value: SqlValue) -> serde_json::Value {
    match value {
        SqlValue::Integer(number) => number.into(),
        SqlValue::Real(number) => number.into(),
        SqlValue::Text(text) => text.into(),
        SqlValue::Null | SqlValue::Blob(_) => serde_json::Value::Null,
    }
}

fn number_value(number: &str) -> Option<SqlValue> {
    match number.parse::<i64>() {
        Ok(whole) => Some(SqlValue::Integer(whole)),
        Err(_) => number.parse::<f64>().ok().map(SqlValue::Real),
    }
}

fn day_value(day: Date) -> SqlValue {
    SqlValue::Text(day.to_string())
}

fn midnight_value(day: Date) -> SqlValue {
    let midnight = day.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    SqlValue::Integer(midnight.map_or(i64::MAX, |moment| moment.timestamp().as_microsecond()))
}

fn wrong_type(left: &Typed) -> SoqlError {
    let quotes = if matches!(left.kind, Kind::Text | Kind::Id) { "should be" } else { "should not be" };
    let message = format!(
        "value of filter criterion for field '{}' must be of type {} and {quotes} enclosed in quotes",
        left.name,
        left.kind.name()
    );
    SoqlError::new("INVALID_FIELD", left.at, message)
}

/// Outside `LIKE`, `\%` and `\_` are just `%` and `_`.
fn plain_text(text: &str) -> Cow<'_, str> {
    if text.contains('\\') {
        Cow::Owned(text.replace("\\%", "%").replace("\\_", "_"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A backslash that doesn't escape a wildcard is a backslash.
fn like_pattern(pattern: &str) -> String {
    let mut sql = String::with_capacity(pattern.len());
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        sql.push(letter);
        if letter == '\\' {
            match letters.next_if(|next| matches!(next, '%' | '_')) {
                Some(wildcard) => sql.push(wildcard),
                None => sql.push('\\'),
            }
        }
    }
    sql
}

/// A function of one value in SQL.
fn apply(function: Function, inner: Typed, at: Position) -> Result<Typed, SoqlError> {
    let wants_date = !matches!(
        function,
        Function::ToLabel | Function::Format | Function::ConvertCurrency | Function::ConvertTimezone
    );
    if wants_date && !matches!(inner.kind, Kind::Date | Kind::Moment) {
        let message =
            format!("{} can only be used with a date or dateTime field: {}", function.keyword(), inner.name);
        return Err(SoqlError::malformed(at, message));
    }
    let x = match inner.kind {
        Kind::Moment if wants_date => format!("datetime({} / 1000000, 'unixepoch')", inner.sql),
        _ => inner.sql,
    };
    let part = |format: &str| format!("CAST(strftime('{format}', {x}) AS INTEGER)");
    let (sql, kind) = match function {
        Function::CalendarMonth | Function::FiscalMonth => (part("%m"), Kind::Int),
        Function::CalendarQuarter | Function::FiscalQuarter => {
            (format!("(({} + 2) / 3)", part("%m")), Kind::Int)
        }
        Function::CalendarYear | Function::FiscalYear => (part("%Y"), Kind::Int),
        Function::DayInMonth => (part("%d"), Kind::Int),
        Function::DayInWeek => (format!("({} + 1)", part("%w")), Kind::Int),
        Function::DayInYear => (part("%j"), Kind::Int),
        Function::DayOnly => (format!("date({x})"), Kind::Date),
        Function::HourInDay => (part("%H"), Kind::Int),
        Function::WeekInMonth => (format!("(({} - 1) / 7 + 1)", part("%d")), Kind::Int),
        Function::WeekInYear => (format!("(({} - 1) / 7 + 1)", part("%j")), Kind::Int),
        Function::ToLabel | Function::Format | Function::ConvertCurrency | Function::ConvertTimezone => {
            (x, inner.kind)
        }
    };
    Ok(Typed { sql, kind, name: inner.name, at })
}
