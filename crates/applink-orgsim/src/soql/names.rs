//! Names to columns: which field of which table a path means, and whether the caller may know of it.

use rusqlite::types::Value as SqlValue;

use super::ast::{FieldPath, Source};
use super::error::SoqlError;
use crate::rights::{Action, Rights, readable};
use crate::schema::{Field, SObject, Schema};

/// How many parents a path may walk up.
const MOST_PARENTS: usize = 5;
/// How many different parents one query may walk to.
const MOST_JOINS: usize = 55;
/// The sObject that stands for whatever a polymorphic reference points at.
const POLYMORPHIC: &str = "Name";

/// What one SQL statement is built with: whose rights, its parameters, its table aliases.
pub(super) struct Statement<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rights: &'a Rights,
    pub(super) today: jiff::civil::Date,
    /// Whether deleted records count, as `queryAll` has it.
    pub(super) all_rows: bool,
    params: Vec<SqlValue>,
    aliases: usize,
}

/// The tables of one `SELECT`: an sObject and the parents that its paths walk to.
pub(super) struct Frame<'a> {
    pub(super) object: &'a SObject,
    pub(super) alias: String,
    written_alias: Option<String>,
    joins: Vec<Join<'a>>,
}

struct Join<'a> {
    relationships: Vec<&'a str>,
    object: &'a SObject,
    alias: String,
    sql: String,
}

/// The column that a path means.
pub(super) struct Column<'a> {
    pub(super) sql: String,
    pub(super) field: &'a Field,
    /// The parents on the way, in canonical spelling.
    pub(super) parents: Vec<Parent<'a>>,
}

/// One parent on the way to a field.
#[derive(Clone)]
pub(super) struct Parent<'a> {
    pub(super) relationship: &'a str,
    pub(super) object: &'a SObject,
    pub(super) alias: String,
}

impl<'a> Statement<'a> {
    /// Starts a statement; `params` are the first three, which the rights' preamble takes.
    pub(super) fn new(
        schema: &'a Schema,
        rights: &'a Rights,
        today: jiff::civil::Date,
        all_rows: bool,
        params: Vec<SqlValue>,
    ) -> Self {
        Self { schema, rights, today, all_rows, params, aliases: 0 }
    }

    /// Adds a parameter and answers its placeholder.
    pub(super) fn bind(&mut self, value: SqlValue) -> String {
        self.params.push(value);
        format!("?{}", self.params.len())
    }

    pub(super) fn into_params(self) -> Vec<SqlValue> {
        self.params
    }

    fn next_alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// The tables for an sObject that the caller may read.
    pub(super) fn frame(&mut self, object: &'a SObject, source: &Source) -> Frame<'a> {
        Frame { object, alias: self.next_alias(), written_alias: source.alias.clone(), joins: Vec::new() }
    }

    /// The sObject a `FROM` names.
    pub(super) fn object(&self, source: &Source) -> Result<&'a SObject, SoqlError> {
        self.schema
            .object(&source.name)
            .filter(|object| self.rights.may(self.schema, object, Action::Read))
            .ok_or_else(|| SoqlError::no_such_object(source.at, &source.name))
    }

    /// The column a path means, joining the parents it walks to.
    pub(super) fn column(
        &mut self,
        frame: &mut Frame<'a>,
        path: &FieldPath,
    ) -> Result<Column<'a>, SoqlError> {
        let (name, parts) = frame.own_parts(path);
        if parts.len() > MOST_PARENTS {
            let message = format!(
                "only {MOST_PARENTS} levels of parent relationships can be walked: {}",
                path.written()
            );
            return Err(SoqlError::malformed(path.at, message));
        }
        let (mut object, mut alias) = (frame.object, frame.alias.clone());
        let mut parents: Vec<Parent<'a>> = Vec::new();
        for part in parts {
            let parent = self.parent(frame, object, &alias, &parents, part).ok_or_else(|| {
                SoqlError::no_such_relationship(path.at, "INVALID_FIELD", part, "field path")
            })?;
            (object, alias) = (parent.object, parent.alias.clone());
            parents.push(parent);
        }
        let field = object
            .field(name)
            .filter(|field| self.rights.may_read_field(object, field))
            .ok_or_else(|| SoqlError::no_such_column(path.at, name, &object.name))?;
        Ok(Column { sql: column_sql(field, &alias), field, parents })
    }

    /// One step up, as a join that is made once.
    fn parent(
        &mut self,
        frame: &mut Frame<'a>,
        child: &'a SObject,
        child_alias: &str,
        walked: &[Parent<'a>],
        relationship: &str,
    ) -> Option<Parent<'a>> {
        let (field, reference) = child.parent(relationship)?;
        let relationship = reference.parent?;
        let object = match reference.to.as_slice() {
            [target] => self.schema.object(target)?,
            _ => self.schema.object(POLYMORPHIC)?,
        };
        let known =
            self.rights.may(self.schema, object, Action::Read) && self.rights.may_read_field(child, field);
        if !known {
            return None;
        }
        let relationships: Vec<&str> =
            walked.iter().map(|parent| parent.relationship).chain([relationship]).collect();
        if frame.joins.len() >= MOST_JOINS {
            return None;
        }
        if let Some(join) = frame.joins.iter().find(|join| join.relationships == relationships) {
            return Some(Parent { relationship, object: join.object, alias: join.alias.clone() });
        }
        let alias = self.next_alias();
        let (table, visible) = match object.name.as_str() {
            POLYMORPHIC => (self.names_sql(&reference.to), "1".to_owned()),
            _ => (table_sql(object), readable(self.schema, self.rights.caller(), object, &alias)),
        };
        let sql = format!(
            " LEFT JOIN {table} {alias} ON {alias}.\"Id\" = {child_alias}.\"{}\" AND {visible}",
            field.name
        );
        frame.joins.push(Join { relationships, object, alias: alias.clone(), sql });
        Some(Parent { relationship, object, alias })
    }

    /// Id, name and type of the records that a polymorphic reference may point at, as far as the caller sees them.
    fn names_sql(&self, targets: &[&str]) -> String {
        let mut branches = vec![r#"SELECT NULL AS "Id", NULL AS "Name", NULL AS "Type" WHERE 0"#.to_owned()];
        for object in targets.iter().filter_map(|name| self.schema.object(name)) {
            if let Some(name) = object.name_field() {
                let visible = readable(self.schema, self.rights.caller(), object, "n");
                branches.push(format!(
                    "SELECT n.\"Id\", n.\"{}\", '{}' FROM \"{}\" n WHERE {visible}",
                    name.name, object.name, object.name
                ));
            }
        }
        format!("({})", branches.join(" UNION ALL "))
    }

    /// `FROM` with its joins.
    pub(super) fn tables_sql(&self, frame: &Frame<'a>) -> String {
        let joins: String = frame.joins.iter().map(|join| join.sql.as_str()).collect();
        format!("{} {}{joins}", table_sql(frame.object), frame.alias)
    }

    /// What every row has to meet, whatever the query says: the caller may read it, and it isn't deleted.
    pub(super) fn visible_sql(&self, frame: &Frame<'a>) -> String {
        let mut sql = readable(self.schema, self.rights.caller(), frame.object, &frame.alias);
        if frame.object.recyclable && !self.all_rows {
            sql.push_str(&format!(" AND NOT {}.\"IsDeleted\"", frame.alias));
        }
        sql
    }
}

impl Frame<'_> {
    /// The field's name and the relationships before it, without the frame's own alias or name in front.
    fn own_parts<'p>(&self, path: &'p FieldPath) -> (&'p str, &'p [String]) {
        let Some((name, parts)) = path.parts.split_last() else { return ("", &[]) };
        let names_frame = |part: &String| {
            let alias = self.written_alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(part));
            alias || (self.object.name.eq_ignore_ascii_case(part) && self.object.parent(part).is_none())
        };
        match parts.split_first() {
            Some((first, rest)) if names_frame(first) => (name, rest),
            _ => (name, parts),
        }
    }
}

/// A field's value in SQL.
pub(super) fn column_sql(field: &Field, alias: &str) -> String {
    match field.computed {
        Some(sql) => sql.replace("{t}", alias),
        None => format!("{alias}.\"{}\"", field.name),
    }
}

fn table_sql(object: &SObject) -> String {
    match &object.view {
        Some(view) => view.clone(),
        None => format!("\"{}\"", object.name),
    }
}
