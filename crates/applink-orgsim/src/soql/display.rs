//! A query written back as SOQL, in one canonical spelling.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::{
    Condition, Expression, FieldGroup, FieldPath, Literal, Ordering, Query, Selected, Set, Source,
    moment_text,
};

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        list(f, &self.select)?;
        write!(f, " FROM {}", self.from)?;
        if let Some(scope) = &self.scope {
            write!(f, " USING SCOPE {scope}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if let Some(with) = self.with {
            write!(f, " WITH {}", with.keyword())?;
        }
        if !self.group_by.is_empty() {
            f.write_str(" GROUP BY ")?;
            list(f, &self.group_by)?;
        }
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        if !self.order_by.is_empty() {
            f.write_str(" ORDER BY ")?;
            list(f, &self.order_by)?;
        }
        if let Some(limit) = self.limit {
            write!(f, " LIMIT {limit}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " OFFSET {offset}")?;
        }
        for purpose in &self.purposes {
            write!(f, " FOR {}", purpose.keyword())?;
        }
        Ok(())
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.alias {
            Some(alias) => write!(f, " {alias}"),
            None => Ok(()),
        }
    }
}

impl Display for Selected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression { expression, alias: None } => expression.fmt(f),
            Self::Expression { expression, alias: Some(alias) } => write!(f, "{expression} {alias}"),
            Self::Fields(group, _) => f.write_str(match group {
                FieldGroup::All => "FIELDS(ALL)",
                FieldGroup::Standard => "FIELDS(STANDARD)",
                FieldGroup::Custom => "FIELDS(CUSTOM)",
            }),
            Self::Children(query) => write!(f, "({query})"),
            Self::CountRows(_) => f.write_str("COUNT()"),
        }
    }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written())
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => path.fmt(f),
            Self::Aggregate(aggregate, Some(path), _) => write!(f, "{}({path})", aggregate.keyword()),
            Self::Aggregate(aggregate, None, _) => write!(f, "{}()", aggregate.keyword()),
            Self::Function(function, inner, _) => write!(f, "{}({inner})", function.keyword()),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => joined(f, parts, " AND "),
            Self::Or(parts) => joined(f, parts, " OR "),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::Compare { left, operator, right } => write!(f, "{left} {} {right}", operator.keyword()),
            Self::In { left, negated, set } => {
                write!(f, "{left} {}IN ({set})", if *negated { "NOT " } else { "" })
            }
            Self::Includes { left, negated, values } => {
                write!(f, "{left} {} (", if *negated { "EXCLUDES" } else { "INCLUDES" })?;
                list(f, values)?;
                f.write_char(')')
            }
        }
    }
}

/// Everything that joins others itself gets parentheses, since SOQL refuses `a AND b OR c`.
fn joined(f: &mut Formatter<'_>, parts: &[Condition], glue: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(glue)?;
        }
        match part {
            Condition::And(_) | Condition::Or(_) => write!(f, "({part})")?,
            _ => part.fmt(f)?,
        }
    }
    Ok(())
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => list(f, values),
            Self::Query(query) => query.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => quoted(f, text),
            Self::Day(day) => day.fmt(f),
            Self::Moment(micros) => f.write_str(&moment_text(*micros)),
            Self::Relative(relative) => relative.fmt(f),
        }
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('\'')?;
    for letter in text.chars() {
        match letter {
            '\'' => f.write_str("\\'")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            _ => f.write_char(letter)?,
        }
    }
    f.write_char('\'')
}

impl Display for Ordering {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let nulls = if self.nulls_last { "LAST" } else { "FIRST" };
        write!(f, "{} {direction} NULLS {nulls}", self.expression)
    }
}
