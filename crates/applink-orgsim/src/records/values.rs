//! JSON values to stored values, and the rows made of them.

use std::collections::BTreeMap;

use base64::Engine;
use jiff::civil::Date;
use rusqlite::types::Value as SqlValue;
use rusqlite::{OptionalExtension, params_from_iter};
use serde_json::Value;

use super::RestError;
use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::ids;
use crate::schema::{Field, FieldType, SObject};
use crate::soql::parse_moment;

/// The largest whole number an int field takes, either side of zero.
const LARGEST_INT: f64 = 2_147_483_647.0;

/// Stored values by field name. A field that isn't there is null.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row(BTreeMap<String, SqlValue>);

impl Row {
    /// The stored row with that id.
    pub(super) fn load(tx: &Tx<'_>, object: &SObject, id: &str) -> Result<Option<Self>, DbError> {
        let names: Vec<&str> = stored_fields(object).map(|field| field.name.as_str()).collect();
        let columns: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let sql = format!("SELECT {} FROM \"{}\" WHERE \"Id\" = ?1", columns.join(", "), object.name);
        let row = tx.prepare_cached(&sql)?.query_row([id], |row| {
            let mut values = BTreeMap::new();
            for (index, name) in names.iter().enumerate() {
                values.insert((*name).to_owned(), row.get(index)?);
            }
            Ok(Self(values))
        });
        Ok(row.optional()?)
    }

    pub(super) fn set(&mut self, name: &str, value: SqlValue) {
        self.0.insert(name.to_owned(), value);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn get(&self, name: &str) -> &SqlValue {
        self.0.get(name).unwrap_or(&SqlValue::Null)
    }

    pub(super) fn is_null(&self, name: &str) -> bool {
        *self.get(name) == SqlValue::Null
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            SqlValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            SqlValue::Integer(number) => Some(*number as f64),
            SqlValue::Real(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        *self.get(name) == SqlValue::Integer(1)
    }

    pub(super) fn insert_into(&self, tx: &Tx<'_>, object: &SObject) -> Result<(), DbError> {
        let (mut columns, mut places, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for field in stored_fields(object) {
            let value = self.get(&field.name);
            if *value == SqlValue::Null {
                continue; // The column's own default, which is 0 for flags.
            }
            columns.push(format!("\"{}\"", field.name));
            values.push(value);
            places.push(format!("?{}", values.len()));
        }
        let (columns, places) = (columns.join(", "), places.join(", "));
        let sql = format!("INSERT INTO \"{}\" ({columns}) VALUES ({places})", object.name);
        tx.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }

    pub(super) fn update_in(
        &self,
        tx: &Tx<'_>,
        object: &SObject,
        id: &str,
        before: &Self,
    ) -> Result<(), DbError> {
        let (mut assignments, mut values) = (Vec::new(), vec![SqlValue::Text(id.to_owned())]);
        for field in stored_fields(object) {
            let value = self.get(&field.name);
            if value == before.get(&field.name) {
                continue;
            }
            values.push(value.clone());
            assignments.push(format!("\"{}\" = ?{}", field.name, values.len()));
        }
        if assignments.is_empty() {
            return Ok(());
        }
        let sql = format!("UPDATE \"{}\" SET {} WHERE \"Id\" = ?1", object.name, assignments.join(", "));
        tx.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }
}

fn stored_fields(object: &SObject) -> impl Iterator<Item = &Field> {
    object.fields.iter().filter(|field| field.computed.is_none())
}

/// A JSON value as a field stores it.
pub(super) fn stored(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    if value.is_null() {
        let is_flag = field.kind == FieldType::Boolean;
        return Ok(if is_flag { SqlValue::Integer(0) } else { SqlValue::Null });
    }
    match &field.kind {
        FieldType::Id | FieldType::Reference(_) => id_value(field, value),
        FieldType::Boolean => boolean_value(value),
        FieldType::Int => int_value(field, value),
        FieldType::Double { scale } => number_value(field, value, *scale),
        FieldType::Currency | FieldType::Percent => number_value(field, value, 2),
        FieldType::Date => date_value(value),
        FieldType::DateTime => moment_value(value),
        FieldType::Picklist { values, restricted } => picklist_value(field, value, values, *restricted),
        FieldType::Email => email_value(field, value),
        FieldType::Base64 => file_value(field, value),
        FieldType::Text { .. } | FieldType::TextArea { .. } | FieldType::Phone | FieldType::Url => {
            text_value(field, value)
        }
    }
}

/// The value of an external id as it stands in a URL.
pub(super) fn external_value(field: &Field, text: &str) -> Result<SqlValue, RestError> {
    let value = stored(field, &Value::String(text.to_owned()))?;
    if value == SqlValue::Null { Err(RestError::not_found()) } else { Ok(value) }
}

fn id_value(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    let text = value.as_str().ok_or_else(|| cannot_read("string", value))?.trim();
    if text.is_empty() {
        return Ok(SqlValue::Null);
    }
    ids::normalize(text).map(SqlValue::Text).ok_or_else(|| malformed_id(field, text))
}

pub(super) fn malformed_id(field: &Field, text: &str) -> RestError {
    let message = format!("{}: id value of incorrect type: {text}", field.label);
    RestError::new(400, "MALFORMED_ID", message).about([field.name.as_str()])
}

fn boolean_value(value: &Value) -> Result<SqlValue, RestError> {
    let flag = match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    flag.map(|flag| SqlValue::Integer(i64::from(flag))).ok_or_else(|| cannot_read("boolean", value))
}

/// Base64 with or without padding and line breaks, as clients write it.
fn file_value(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    let text = value.as_str().ok_or_else(|| cannot_read("base64Binary", value))?;
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::general_purpose::PAD
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    )
    .decode(letters)
    .map(SqlValue::Blob)
    .map_err(|error| {
        let message = format!("{}: the value is not Base64: {error}", field.label);
        RestError::bad_json(message)
    })
}

fn number_of(kind: &str, value: &Value) -> Result<Option<f64>, RestError> {
    match value {
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Some).ok_or_else(|| cannot_read(kind, value))
        }
        _ => Err(cannot_read(kind, value)),
    }
}

fn int_value(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    let Some(number) = number_of("int", value)? else { return Ok(SqlValue::Null) };
    if number.fract() != 0.0 {
        return Err(cannot_read("int", value));
    }
    if number.abs() > LARGEST_INT {
        let message = format!("{}: value outside of valid range on numeric field: {value}", field.label);
        return Err(RestError::new(400, "NUMBER_OUTSIDE_VALID_RANGE", message).about([field.name.as_str()]));
    }
    Ok(SqlValue::Integer(number as i64))
}

fn number_value(field: &Field, value: &Value, scale: u8) -> Result<SqlValue, RestError> {
    const LARGEST: f64 = 1e16;
    let Some(number) = number_of("double", value)? else { return Ok(SqlValue::Null) };
    if number.abs() >= LARGEST {
        let message = format!("{}: value outside of valid range on numeric field: {value}", field.label);
        return Err(RestError::new(400, "NUMBER_OUTSIDE_VALID_RANGE", message).about([field.name.as_str()]));
    }
    Ok(SqlValue::Real(rounded(number, scale)))
}

/// Rounded half away from zero to `scale` digits after the point.
pub(super) fn rounded(number: f64, scale: u8) -> f64 {
    let factor = 10_f64.powi(i32::from(scale));
    (number * factor).round() / factor
}

fn date_value(value: &Value) -> Result<SqlValue, RestError> {
    let text = value.as_str().ok_or_else(|| cannot_read("date", value))?.trim();
    if text.is_empty() {
        return Ok(SqlValue::Null);
    }
    let (day, moment) = text.split_at_checked(10).unwrap_or((text, ""));
    let whole = moment.is_empty() || parse_moment(text).is_some();
    let day = day.parse::<Date>().ok().filter(|_| whole);
    day.map(|day| SqlValue::Text(day.to_string())).ok_or_else(|| cannot_read("date", value))
}

fn moment_value(value: &Value) -> Result<SqlValue, RestError> {
    let text = value.as_str().ok_or_else(|| cannot_read("datetime", value))?.trim();
    if text.is_empty() {
        return Ok(SqlValue::Null);
    }
    let micros =
        if text.len() == 10 { parse_moment(&format!("{text}T00:00:00Z")) } else { parse_moment(text) };
    let micros = micros.ok_or_else(|| cannot_read("datetime", value))?;
    Ok(SqlValue::Integer(micros - micros.rem_euclid(MICROS_PER_SECOND)))
}

fn picklist_value(
    field: &Field,
    value: &Value,
    values: &[&str],
    restricted: bool,
) -> Result<SqlValue, RestError> {
    let SqlValue::Text(text) = text_value(field, value)? else { return Ok(SqlValue::Null) };
    match values.iter().find(|known| known.eq_ignore_ascii_case(&text)) {
        Some(known) => Ok(SqlValue::Text((*known).to_owned())),
        None if !restricted => Ok(SqlValue::Text(text)),
        None => {
            let message = format!("{}: bad value for restricted picklist field: {text}", field.label);
            let code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";
            Err(RestError::new(400, code, message).about([field.name.as_str()]))
        }
    }
}

fn email_value(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    let text = text_value(field, value)?;
    if let SqlValue::Text(address) = &text {
        let parts = address.split_once('@');
        let looks_right = parts.is_some_and(|(name, host)| {
            !name.is_empty()
                && host.contains('.')
                && !host.contains('@')
                && !address.contains(char::is_whitespace)
        });
        if !looks_right {
            let message = format!("{}: invalid email address: {address}", field.label);
            return Err(RestError::new(400, "INVALID_EMAIL_ADDRESS", message).about([field.name.as_str()]));
        }
    }
    Ok(text)
}

fn text_value(field: &Field, value: &Value) -> Result<SqlValue, RestError> {
    let text = value.as_str().ok_or_else(|| cannot_read("string", value))?.trim();
    if text.is_empty() {
        return Ok(SqlValue::Null);
    }
    let longest = field.kind.length();
    if text.chars().count() > longest {
        let message = format!("{}: data value too large: {text} (max length={longest})", field.label);
        return Err(RestError::new(400, "STRING_TOO_LONG", message).about([field.name.as_str()]));
    }
    Ok(SqlValue::Text(text.to_owned()))
}

fn cannot_read(kind: &str, value: &Value) -> RestError {
    let (token, shown) = match value {
        Value::String(text) => ("VALUE_STRING", text.clone()),
        Value::Bool(true) => ("VALUE_TRUE", "true".to_owned()),
        Value::Bool(false) => ("VALUE_FALSE", "false".to_owned()),
        Value::Number(number) if number.is_f64() => ("VALUE_NUMBER_FLOAT", number.to_string()),
        Value::Number(number) => ("VALUE_NUMBER_INT", number.to_string()),
        Value::Array(_) => ("START_ARRAY", "[".to_owned()),
        Value::Object(_) => ("START_OBJECT", "{".to_owned()),
        Value::Null => ("VALUE_NULL", "null".to_owned()),
    };
    let message = format!(
        "Cannot deserialize instance of {kind} from {token} value {shown} or request may be missing a required field"
    );
    RestError::bad_json(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Schema;

    fn store(object: &str, field: &str, value: Value) -> Result<SqlValue, &'static str> {
        let schema = Schema::standard();
        let object = schema.object(object).unwrap();
        stored(object.field(field).unwrap(), &value).map_err(|error| error.code)
    }

    #[test]
    fn values_are_stored_in_their_own_form() {
        assert_eq!(store("Account", "Name", json!("  Acme ")), Ok(SqlValue::Text("Acme".into())));
        assert_eq!(store("Account", "Name", json!("")), Ok(SqlValue::Null));
        assert_eq!(store("Account", "Rating", json!("hot")), Ok(SqlValue::Text("Hot".into())));
        assert_eq!(store("Opportunity", "Amount", json!("12.345")), Ok(SqlValue::Real(12.35)));
        assert_eq!(
            store("Opportunity", "CloseDate", json!("2025-03-01T10:00:00Z")),
            Ok(SqlValue::Text("2025-03-01".into()))
        );
        assert_eq!(store("Task", "IsClosed", json!(null)), Ok(SqlValue::Integer(0)));
        assert_eq!(
            store("PermissionSetAssignment", "ExpirationDate", json!("2025-03-01T01:00:00.500+0100")),
            Ok(SqlValue::Integer(1_740_787_200_000_000))
        );
    }

    #[test]
    fn wrong_values_get_salesforce_s_codes() {
        assert_eq!(store("Account", "Name", json!(5)), Err("JSON_PARSER_ERROR"));
        assert_eq!(store("Account", "Name", json!("x".repeat(256))), Err("STRING_TOO_LONG"));
        assert_eq!(
            store("Account", "Rating", json!("Terrible")),
            Err("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
        );
        assert_eq!(store("Account", "ParentId", json!("nobody")), Err("MALFORMED_ID"));
        assert_eq!(store("Account", "NumberOfEmployees", json!(1.5)), Err("JSON_PARSER_ERROR"));
        assert_eq!(store("Account", "NumberOfEmployees", json!(1e12)), Err("NUMBER_OUTSIDE_VALID_RANGE"));
        assert_eq!(store("Contact", "Email", json!("nobody")), Err("INVALID_EMAIL_ADDRESS"));
        assert_eq!(store("Contact", "Birthdate", json!("yesterday")), Err("JSON_PARSER_ERROR"));
    }
}
