//! Checks a JSON value against the schema subset of OpenAPI 3.0: types, `required`, `enum`, ranges and
//! lengths, arrays, nested objects, `$ref`, `allOf`/`oneOf`/`anyOf`, `nullable`. A fault names the path.

use std::cell::Cell;

use serde_json::Value;

/// Schemas that refer to each other in circles stop here.
const MAX_DEPTH: usize = 64;
/// A check that compares more schemas with values than this is given up: alternatives inside alternatives would
/// make it endless.
const MAX_STEPS: u32 = 100_000;

/// What is wrong with a value, and where: `body.opportunityIds[1]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) problem: String,
}

/// How properties the schema doesn't name are taken when it doesn't say so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// Refused, as the generated types of Flow and Apex have no such field.
    Refused,
    /// Taken, as OpenAPI does.
    Taken,
}

/// Follows a `$ref` chain to what it stands for.
///
/// # Errors
/// One sentence that quotes a reference that leads nowhere, in circles or out of the document.
pub(crate) fn resolve<'a>(document: &'a Value, mut node: &'a Value) -> Result<&'a Value, String> {
    for _ in 0..MAX_DEPTH {
        let Some(reference) = node.get("$ref").and_then(Value::as_str) else { return Ok(node) };
        let pointer = reference
            .strip_prefix('#')
            .ok_or_else(|| format!("the reference {reference} leads out of the document"))?;
        node = document.pointer(pointer).ok_or_else(|| format!("the reference {reference} leads nowhere"))?;
    }
    Err("a reference leads back to itself".to_owned())
}

/// Checks that every reference below `schema` leads somewhere (references behind references are theirs to check).
///
/// # Errors
/// As [`resolve`].
pub(crate) fn check_references(document: &Value, schema: &Value) -> Result<(), String> {
    match schema {
        Value::Object(fields) => {
            resolve(document, schema)?;
            fields.values().try_for_each(|field| check_references(document, field))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_references(document, item)),
        _ => Ok(()),
    }
}

/// Checks `value`, found at `path`, against `schema`.
///
/// # Errors
/// The first [`Fault`].
pub(crate) fn check(
    document: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
    unnamed: Unnamed,
) -> Result<(), Fault> {
    let steps_left = Cell::new(MAX_STEPS);
    let checked = Checker { document, unnamed, steps_left: &steps_left }.check(schema, value, path, 0);
    if steps_left.get() == 0 {
        // Whatever was found by then may come from alternatives that were not looked at.
        return Err(fault(
            path,
            "checking it takes too long; pass less, or simplify the schema's alternatives",
        ));
    }
    checked
}

struct Checker<'a> {
    document: &'a Value,
    unnamed: Unnamed,
    /// Shared by all parts of one check; at zero nothing more is looked at.
    steps_left: &'a Cell<u32>,
}

fn fault(path: &str, problem: impl Into<String>) -> Fault {
    Fault { path: path.to_owned(), problem: problem.into() }
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(fault(path, "the value or its schema is nested too deeply"));
        }
        self.steps_left.set(self.steps_left.get().saturating_sub(1));
        if self.steps_left.get() == 0 {
            return Err(fault(path, "too many steps"));
        }
        let schema = resolve(self.document, schema).map_err(|problem| fault(path, problem))?;
        if value.is_null() && allows_null(schema) {
            return Ok(());
        }
        check_type(schema, value, path)?;
        check_enum(schema, value, path)?;
        check_bounds(schema, value, path)?;
        self.check_items(schema, value, path, depth)?;
        self.check_properties(schema, value, path, depth)?;
        self.check_combinations(schema, value, path, depth)
    }

    fn check_items(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Result<(), Fault> {
        let (Some(items), Some(item_schema)) = (value.as_array(), schema.get("items")) else { return Ok(()) };
        for (index, item) in items.iter().enumerate() {
            self.check(item_schema, item, &format!("{path}[{index}]"), depth + 1)?;
        }
        Ok(())
    }

    fn check_properties(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Result<(), Fault> {
        let Some(fields) = value.as_object() else { return Ok(()) };
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                return Err(fault(&format!("{path}.{name}"), "the property is required"));
            }
        }
        for (name, field) in fields {
            let place = format!("{path}.{name}");
            match schema.get("properties").and_then(|properties| properties.get(name)) {
                Some(property) => self.check(property, field, &place, depth + 1)?,
                None => self.check_unnamed(schema, field, &place, depth)?,
            }
        }
        Ok(())
    }

    fn check_unnamed(&self, schema: &Value, field: &Value, place: &str, depth: usize) -> Result<(), Fault> {
        match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Ok(()),
            Some(extra @ Value::Object(_)) => self.check(extra, field, place, depth + 1),
            Some(Value::Bool(false)) => Err(unknown_property(schema, place)),
            _ if self.unnamed == Unnamed::Refused
                && schema.get("properties").is_some()
                && !is_combined(schema) =>
            {
                Err(unknown_property(schema, place))
            }
            _ => Ok(()),
        }
    }

    fn check_combinations(
        &self,
        schema: &Value,
        value: &Value,
        path: &str,
        depth: usize,
    ) -> Result<(), Fault> {
        // The parts of a combination each know only some of the properties.
        let parts = Checker { unnamed: Unnamed::Taken, ..*self };
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            parts.check(part, value, path, depth + 1)?;
        }
        for keyword in ["oneOf", "anyOf"] {
            let Some(choices) = schema.get(keyword).and_then(Value::as_array) else { continue };
            let fitting =
                choices.iter().filter(|choice| parts.check(choice, value, path, depth + 1).is_ok()).count();
            if fitting == 0 || (keyword == "oneOf" && fitting > 1) {
                return Err(fault(
                    path,
                    format!("{fitting} of the {} alternatives in {keyword} fit", choices.len()),
                ));
            }
        }
        Ok(())
    }
}

fn is_combined(schema: &Value) -> bool {
    ["allOf", "oneOf", "anyOf"].iter().any(|keyword| schema.get(keyword).is_some())
}

fn unknown_property(schema: &Value, place: &str) -> Fault {
    let known = schema.get("properties").and_then(Value::as_object);
    let known: Vec<_> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    fault(place, format!("there is no such property, the schema has: {}", known.join(", ")))
}

/// `nullable` of 3.0, or `null` among the types of 3.1.
fn allows_null(schema: &Value) -> bool {
    let nullable = schema.get("nullable").and_then(Value::as_bool).unwrap_or_default();
    nullable || types(schema).is_some_and(|types| types.contains(&"null"))
}

fn types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn check_type(schema: &Value, value: &Value, path: &str) -> Result<(), Fault> {
    let Some(types) = types(schema) else { return Ok(()) };
    let fits = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "null" => value.is_null(),
        _ => true,
    };
    if types.iter().any(fits) {
        return Ok(());
    }
    Err(fault(path, format!("expected {}, found {}", types.join(" or "), kind_of(value))))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn check_enum(schema: &Value, value: &Value, path: &str) -> Result<(), Fault> {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return Ok(()) };
    if allowed.contains(value) {
        return Ok(());
    }
    let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
    Err(fault(path, format!("expected one of {}", allowed.join(", "))))
}

fn check_bounds(schema: &Value, value: &Value, path: &str) -> Result<(), Fault> {
    let size = match value {
        Value::String(text) => Some(("minLength", "maxLength", text.chars().count(), "characters")),
        Value::Array(items) => Some(("minItems", "maxItems", items.len(), "items")),
        Value::Object(fields) => Some(("minProperties", "maxProperties", fields.len(), "properties")),
        _ => None,
    };
    if let Some((least, most, size, unit)) = size {
        let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        if let Some(limit) = limit(least).filter(|limit| (size as u64) < *limit) {
            return Err(fault(path, format!("expected at least {limit} {unit}, found {size}")));
        }
        if let Some(limit) = limit(most).filter(|limit| (size as u64) > *limit) {
            return Err(fault(path, format!("expected at most {limit} {unit}, found {size}")));
        }
    }
    let Some(number) = value.as_f64() else { return Ok(()) };
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    if let Some(limit) = limit("minimum").filter(|limit| number < *limit) {
        return Err(fault(path, format!("expected at least {limit}, found {number}")));
    }
    if let Some(limit) = limit("maximum").filter(|limit| number > *limit) {
        return Err(fault(path, format!("expected at most {limit}, found {number}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn document() -> Value {
        json!({"components": {"schemas": {
            "Loop": {"$ref": "#/components/schemas/Loop"},
            "Item": {"type": "object", "required": ["code"], "properties": {
                "code": {"type": "string", "enum": ["a", "b"]}, "count": {"type": "integer", "minimum": 1},
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}}, "note": {"type": "string", "nullable": true}}},
        }}})
    }

    fn outcome(value: &Value) -> Result<(), String> {
        let document = document();
        let schema = json!({"$ref": "#/components/schemas/Item"});
        check(&document, &schema, value, "body", Unnamed::Refused).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_fault_names_the_path() {
        let cases = [
            (json!([]), "body: expected object, found an array"),
            (json!({}), "body.code: the property is required"),
            (json!({"code": "c"}), "body.code: expected one of \"a\", \"b\""),
            (json!({"code": "a", "count": 1.5}), "body.count: expected integer, found a number"),
            (json!({"code": "a", "count": 0}), "body.count: expected at least 1, found 0"),
            (
                json!({"code": "a", "cuont": 1}),
                "body.cuont: there is no such property, the schema has: code, count, parts, note",
            ),
            (
                json!({"code": "a", "parts": [{"code": "b"}, {"code": 1}]}),
                "body.parts[1].code: expected string, found a number",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(outcome(&value), Err(expected.to_owned()), "{value}");
        }
    }

    #[test]
    fn what_fits_passes() {
        let value = json!({"code": "a", "count": 2.0, "note": null, "parts": [{"code": "b", "parts": []}]});
        assert_eq!(outcome(&value), Ok(()));
    }

    #[test]
    fn references_must_lead_somewhere() {
        let document = document();
        assert!(
            resolve(&document, &json!({"$ref": "#/components/schemas/Loop"})).unwrap_err().contains("itself")
        );
        assert!(check_references(&document, &json!({"items": {"$ref": "#/x"}})).unwrap_err().contains("#/x"));
        assert!(
            check_references(&document, &json!({"$ref": "other.yaml#/x"}))
                .unwrap_err()
                .contains("out of the document")
        );
    }

    #[test]
    fn combinations_are_checked_part_by_part() {
        let schema = json!({"allOf": [{"required": ["a"], "properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "integer"}}}]});
        let check = |value: Value| check(&json!({}), &schema, &value, "body", Unnamed::Refused).is_ok();
        assert!(check(json!({"a": "x", "b": 1})));
        assert!(!check(json!({"b": 1})) && !check(json!({"a": "x", "b": "y"})));
    }

    #[test]
    fn alternatives_inside_alternatives_end() {
        let node = json!({"$ref": "#/components/schemas/Node"});
        for keyword in ["anyOf", "oneOf"] {
            let document = json!({"components": {"schemas": {"Node": {
                "type": "object", "properties": {"n": {keyword: [&node, &node]}}}}}});
            let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"n": inner}));
            let check = |depth| check(&document, &node, &nested(depth), "body", Unnamed::Refused);
            let fault = check(30).unwrap_err();
            assert!(fault.to_string().starts_with("body: checking it takes too long"), "{fault}");
            assert_eq!(check(5).is_ok(), keyword == "anyOf");
        }
    }

    proptest! {
        #[test]
        fn any_pair_ends(depth in 0_usize..200) {
            let value = (0..depth).fold(json!({"code": "a"}), |inner, _| json!({"code": "a", "parts": [inner]}));
            let _ = outcome(&value);
        }
    }
}
