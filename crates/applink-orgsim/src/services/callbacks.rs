//! OpenAPI `callbacks`: which request field carries the URL the app calls back, and what it posts there.

use serde_json::{Map, Value};

use super::{ServiceError, invalid, schema};

/// A callback an operation declares.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    /// The name under `callbacks`: the method of the Apex handler.
    pub(crate) name: String,
    /// Which part of the request the org fills with the callback URL.
    pub(crate) target: Target,
    /// What the app posts; an empty schema when the document says nothing.
    pub(crate) schema: Value,
}

/// The part of a request a runtime expression points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A property of the body, by the segments of its JSON pointer.
    Body(Vec<String>),
    Query(String),
    Header(String),
}

/// Reads the callbacks of an operation; `place` is where the operation stands in the document.
pub(super) fn read(document: &Value, operation: &Value, place: &str) -> Result<Vec<Callback>, ServiceError> {
    let mut callbacks = Vec::new();
    for (name, source) in operation.get("callbacks").and_then(Value::as_object).into_iter().flatten() {
        let place = format!("{place}.callbacks.{name}");
        let source = schema::resolve(document, source).map_err(|problem| invalid(place.clone(), problem))?;
        for (expression, item) in source.as_object().into_iter().flatten() {
            let target = Target::parse(expression).map_err(|problem| invalid(place.clone(), problem))?;
            callbacks.push(Callback { name: name.clone(), target, schema: posted_schema(document, item) });
        }
    }
    Ok(callbacks)
}

fn posted_schema(document: &Value, item: &Value) -> Value {
    let body = item.pointer("/post/requestBody").and_then(|body| schema::resolve(document, body).ok());
    let schema = body.and_then(|body| body.pointer("/content/application~1json/schema"));
    schema.cloned().unwrap_or_else(|| Value::Object(Map::new()))
}

impl Target {
    /// Parses a runtime expression: `{$request.body#/callbackUrl}`, `{$request.query.url}`,
    /// `{$request.header.X-Url}`.
    ///
    /// # Errors
    /// One sentence that quotes the expression.
    pub(crate) fn parse(expression: &str) -> Result<Self, String> {
        let unsupported = || {
            format!(
                "the callback expression {expression:?} is not supported, \
                 use {{$request.body#/…}}, {{$request.query.…}} or {{$request.header.…}}"
            )
        };
        let inner = expression
            .trim()
            .strip_prefix("{$request.")
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or_else(unsupported)?;
        if let Some(pointer) = inner.strip_prefix("body#/").filter(|pointer| !pointer.is_empty()) {
            return Ok(Self::Body(pointer.split('/').map(unescape).collect()));
        }
        if let Some(name) = inner.strip_prefix("query.").filter(|name| !name.is_empty()) {
            return Ok(Self::Query(name.to_owned()));
        }
        inner
            .strip_prefix("header.")
            .filter(|name| !name.is_empty())
            .map(|name| Self::Header(name.to_owned()))
            .ok_or_else(unsupported)
    }
}

/// JSON pointer escapes (RFC 6901 §4).
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// Puts `url` where the segments point in a body, making the objects on the way.
///
/// # Errors
/// One sentence when something on the way is no object.
pub(crate) fn place_in_body(body: &mut Value, segments: &[String], url: &str) -> Result<(), String> {
    if body.is_null() {
        *body = Value::Object(Map::new());
    }
    let object = body
        .as_object_mut()
        .ok_or_else(|| "the callback URL can't be placed: its parent is not an object".to_owned())?;
    match segments {
        [] => Ok(()),
        [last] => {
            object.insert(last.clone(), Value::String(url.to_owned()));
            Ok(())
        }
        [first, rest @ ..] => place_in_body(object.entry(first.clone()).or_insert(Value::Null), rest, url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn runtime_expressions_point_into_the_request() {
        assert_eq!(
            Target::parse("{$request.body#/data/callbackUrl}"),
            Ok(Target::Body(vec!["data".into(), "callbackUrl".into()]))
        );
        assert_eq!(Target::parse("{$request.body#/a~1b}"), Ok(Target::Body(vec!["a/b".into()])));
        assert_eq!(Target::parse("{$request.query.url}"), Ok(Target::Query("url".into())));
        assert_eq!(Target::parse("{$request.header.X-Url}"), Ok(Target::Header("X-Url".into())));
        for expression in ["", "{$response.body#/x}", "{$request.body}", "{$request.query.}", "http://fixed"]
        {
            assert!(Target::parse(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn the_url_is_placed_where_the_pointer_says() {
        let mut body = json!({"ids": ["1"]});
        place_in_body(&mut body, &["data".into(), "url".into()], "http://x").unwrap();
        assert_eq!(body, json!({"ids": ["1"], "data": {"url": "http://x"}}));
        assert!(place_in_body(&mut json!([1]), &["url".into()], "http://x").is_err());
    }

    proptest! {
        #[test]
        fn any_expression_is_a_target_or_an_error(expression in "\\PC{0,40}") {
            let _ = Target::parse(&expression);
        }
    }
}
