//! Several calls in one: `composite`, `composite/graph`, `composite/batch`.
//!
//! 1. Sub-requests run in the order given. Before each, `@{reference.path}` in its URL and body is replaced by what
//!    an earlier sub-request answered.
//! 2. Each runs in a savepoint of its own. Where all have to succeed (`allOrNone`, every graph) the first failure
//!    undoes the earlier ones, and all others are answered as halted.
//! 3. The whole call answers 200; each part has its own status.

use std::collections::HashMap;

use ::http::Method;
use serde_json::{Map, Value, json};

use super::dispatch::{Call, Reply, Session, dispatch};
use super::{ApiVersion, RestError};
use crate::db::DbError;
use crate::records::Records;

const MOST_SUBREQUESTS: usize = 25;
const MOST_GRAPHS: usize = 75;
const MOST_NODES: usize = 500;
const ROLLED_BACK: &str =
    "The transaction was rolled back since another operation in the same transaction failed.";

/// One sub-request as sent.
struct Part<'b> {
    method: Method,
    url: &'b str,
    reference: &'b str,
    body: Option<&'b Value>,
}

/// What the parts answered, in order.
type Answers = Vec<Reply>;

enum Undone {
    /// The part with this index failed and everything was undone.
    Failed(usize, Answers),
    Broken(RestError),
}

impl From<DbError> for Undone {
    fn from(error: DbError) -> Self {
        Self::Broken(error.into())
    }
}

pub(super) fn resources(session: &Session<'_>) -> Value {
    let base = session.base_url();
    json!({
        "tree": format!("{base}/composite/tree"), "batch": format!("{base}/composite/batch"),
        "sobjects": format!("{base}/composite/sobjects"), "graph": format!("{base}/composite/graph"),
    })
}

pub(super) fn composite(session: &Session<'_>, body: &Map<String, Value>) -> Result<Reply, RestError> {
    let parts = parts_of(body, "compositeRequest", MOST_SUBREQUESTS)?;
    let all_or_none = body.get("allOrNone") == Some(&json!(true));
    let (answers, _) = run_parts(session, &parts, all_or_none)?;
    Ok(Reply::ok(json!({"compositeResponse": shown(&parts, &answers)})))
}

pub(super) fn graphs(session: &Session<'_>, body: &Map<String, Value>) -> Result<Reply, RestError> {
    let Some(Value::Array(graphs)) = body.get("graphs") else {
        return Err(RestError::bad_json("graphs: a list of graphs is required"));
    };
    if graphs.len() > MOST_GRAPHS {
        return Err(limit_exceeded(format!("the number of graphs cannot exceed {MOST_GRAPHS}")));
    }
    let mut answers = Vec::new();
    for (index, graph) in graphs.iter().enumerate() {
        let place =
            || RestError::bad_json(format!("graphs[{index}]: graphId and compositeRequest are required"));
        let (Some(object), Some(id)) = (graph.as_object(), graph.get("graphId").and_then(Value::as_str))
        else {
            return Err(place());
        };
        let parts = parts_of(object, "compositeRequest", MOST_NODES)?;
        let (replies, succeeded) = run_parts(session, &parts, true)?;
        answers.push(json!({
            "graphId": id, "graphResponse": {"compositeResponse": shown(&parts, &replies)}, "isSuccessful": succeeded,
        }));
    }
    Ok(Reply::ok(json!({"graphs": answers})))
}

/// Independent calls; `haltOnError` skips those after a failure.
pub(super) fn batch(session: &Session<'_>, body: &Map<String, Value>) -> Result<Reply, RestError> {
    let Some(Value::Array(requests)) = body.get("batchRequests") else {
        return Err(RestError::bad_json("batchRequests: a list of requests is required"));
    };
    if requests.len() > MOST_SUBREQUESTS {
        return Err(limit_exceeded(format!("the number of requests cannot exceed {MOST_SUBREQUESTS}")));
    }
    let halts = body.get("haltOnError") == Some(&json!(true));
    let (mut results, mut failed) = (Vec::new(), false);
    for request in requests {
        let reply = if failed && halts {
            failure(&RestError::new(412, "BATCH_PROCESSING_HALTED", "Batch processing halted by request"))
        } else {
            batch_part(session, request)?
        };
        failed |= !reply.is_success();
        results.push(json!({"statusCode": reply.status, "result": reply.body}));
    }
    Ok(Reply::ok(json!({"hasErrors": failed, "results": results})))
}

fn batch_part(session: &Session<'_>, request: &Value) -> Result<Reply, RestError> {
    let url = request.get("url").and_then(Value::as_str).unwrap_or_default();
    let url = url.trim_start_matches('/').trim_start_matches("services/data/");
    let method = method_of(request.get("method"))?;
    run_call(session, method, &format!("/services/data/{url}"), request.get("richInput").cloned())
}

fn parts_of<'b>(body: &'b Map<String, Value>, key: &str, most: usize) -> Result<Vec<Part<'b>>, RestError> {
    let Some(Value::Array(requests)) = body.get(key) else {
        return Err(RestError::bad_json(format!("{key}: a list of sub-requests is required")));
    };
    if requests.len() > most {
        return Err(limit_exceeded(format!("the number of sub-requests cannot exceed {most}")));
    }
    let mut parts: Vec<Part<'b>> = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let text = |name: &str| request.get(name).and_then(Value::as_str);
        let (Some(url), Some(reference)) = (text("url"), text("referenceId")) else {
            let message = format!("{key}[{index}]: url and referenceId are required");
            return Err(RestError::bad_json(message));
        };
        ensure_reference(reference, &parts)?;
        let method = method_of(request.get("method"))?;
        parts.push(Part { method, url, reference, body: request.get("body") });
    }
    Ok(parts)
}

fn ensure_reference(reference: &str, earlier: &[Part<'_>]) -> Result<(), RestError> {
    let well_formed = reference.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && reference.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !well_formed {
        let message = format!(
            "Provided referenceId ('{reference}') must start with a letter or a number, and only \
                               contain letters, numbers and underscores ('_')."
        );
        return Err(RestError::new(400, "INVALID_INPUT", message));
    }
    if earlier.iter().any(|part| part.reference == reference) {
        let message = format!("Reference ids are unique within a request: {reference}");
        return Err(RestError::new(400, "INVALID_INPUT", message));
    }
    Ok(())
}

fn method_of(method: Option<&Value>) -> Result<Method, RestError> {
    match method.and_then(Value::as_str) {
        Some("GET") => Ok(Method::GET),
        Some("POST") => Ok(Method::POST),
        Some("PATCH") => Ok(Method::PATCH),
        Some("PUT") => Ok(Method::PUT),
        Some("DELETE") => Ok(Method::DELETE),
        Some("HEAD") => Ok(Method::HEAD),
        other => {
            let message = format!("unknown HTTP method: {}", other.unwrap_or("none given"));
            Err(RestError::new(400, "INVALID_INPUT", message))
        }
    }
}

fn limit_exceeded(message: String) -> RestError {
    RestError::new(400, "LIMIT_EXCEEDED", message)
}

/// Step 2: the parts in order; answers what each said and whether all succeeded.
fn run_parts(
    session: &Session<'_>,
    parts: &[Part<'_>],
    all_or_none: bool,
) -> Result<(Answers, bool), RestError> {
    let outcome: Result<Answers, Undone> = session.tx.savepoint(|| {
        let mut answers = Answers::new();
        let mut known = HashMap::new();
        for (index, part) in parts.iter().enumerate() {
            let reply = run_part(session, part, &known).map_err(Undone::Broken)?;
            let succeeded = reply.is_success();
            if let (true, Some(body)) = (succeeded, &reply.body) {
                known.insert(part.reference, body.clone());
            }
            answers.push(reply);
            if all_or_none && !succeeded {
                return Err(Undone::Failed(index, answers));
            }
        }
        Ok(answers)
    });
    match outcome {
        Ok(answers) => {
            let succeeded = answers.iter().all(Reply::is_success);
            Ok((answers, succeeded))
        }
        Err(Undone::Failed(index, answers)) => Ok((halted(parts.len(), index, answers), false)),
        Err(Undone::Broken(error)) => Err(error),
    }
}

/// All but the failed part are answered as halted.
fn halted(number: usize, failed: usize, mut answers: Answers) -> Answers {
    let halt = failure(&RestError::new(400, "PROCESSING_HALTED", ROLLED_BACK));
    answers.resize(number, halt.clone());
    for (index, answer) in answers.iter_mut().enumerate() {
        if index != failed {
            *answer = halt.clone();
        }
    }
    answers
}

/// Step 1: one part, with its references filled in.
fn run_part(
    session: &Session<'_>,
    part: &Part<'_>,
    known: &HashMap<&str, Value>,
) -> Result<Reply, RestError> {
    let filled = fill_text(part.url, known, true).and_then(|url| {
        let body = part.body.map(|body| fill_value(body, known)).transpose()?;
        Ok((url, body))
    });
    match filled {
        Ok((url, body)) => run_call(session, part.method.clone(), &url, body),
        Err(missing) => {
            let message = format!("Invalid reference specified. No value for {missing} found.");
            Ok(failure(&RestError::new(400, "PROCESSING_HALTED", message)))
        }
    }
}

/// Runs one call in a savepoint. Its errors are answers; only a broken database ends the whole.
fn run_call(
    session: &Session<'_>,
    method: Method,
    url: &str,
    body: Option<Value>,
) -> Result<Reply, RestError> {
    let result = match call_of(session, method, url, body) {
        Ok((version, call)) => session.tx.savepoint(|| {
            let records = Records::new(session.tx, session.records.rights().caller())?;
            let inner = Session {
                tx: session.tx,
                records,
                version,
                newest: session.newest,
                identity_url: session.identity_url.clone(),
                api_calls: session.api_calls,
            };
            dispatch(&inner, &call)
        }),
        Err(error) => Err(error),
    };
    match result {
        Ok(reply) => Ok(reply),
        Err(error) if error.status >= 500 => Err(error),
        Err(error) => Ok(failure(&error)),
    }
}

fn call_of(
    session: &Session<'_>,
    method: Method,
    url: &str,
    body: Option<Value>,
) -> Result<(ApiVersion, Call), RestError> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let rest = path.strip_prefix("/services/data/").ok_or_else(RestError::not_found)?;
    let (version, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let version = ApiVersion::from_segment(version)
        .filter(|version| (super::OLDEST_VERSION..=session.newest.number()).contains(&version.number()))
        .ok_or_else(RestError::not_found)?;
    let nests =
        ["composite/graph", "composite/batch", "composite/tree"].iter().any(|inner| rest.starts_with(inner));
    if nests || rest.trim_end_matches('/') == "composite" {
        let message = "Composite requests cannot be nested";
        return Err(RestError::new(400, "INVALID_INPUT", message));
    }
    let mut call = Call::new(method, rest, query);
    call.body = body;
    Ok((version, call))
}

fn failure(error: &RestError) -> Reply {
    Reply { status: error.status, body: Some(json!([error.body()])), location: None }
}

fn shown(parts: &[Part<'_>], answers: &[Reply]) -> Vec<Value> {
    let show = |(part, reply): (&Part<'_>, &Reply)| {
        let mut headers = Map::new();
        if let Some(location) = &reply.location {
            headers.insert("Location".into(), json!(location));
        }
        json!({
            "body": reply.body, "httpHeaders": headers, "httpStatusCode": reply.status, "referenceId": part.reference,
        })
    };
    parts.iter().zip(answers).map(show).collect()
}

/// Replaces every `@{reference.path}`; the error is the first that names nothing.
fn fill_text(text: &str, known: &HashMap<&str, Value>, in_url: bool) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let Some((path, behind)) = after.split_once('}') else { break };
        let value = look_up(path, known).ok_or_else(|| path.to_owned())?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        filled.push_str(before);
        if in_url {
            filled.extend(percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC));
        } else {
            filled.push_str(&value);
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn fill_value(value: &Value, known: &HashMap<&str, Value>) -> Result<Value, String> {
    match value {
        Value::String(text) => fill_text(text, known, false).map(Value::String),
        Value::Array(items) => items.iter().map(|item| fill_value(item, known)).collect(),
        Value::Object(entries) => {
            let filled: Result<Map<String, Value>, String> =
                entries.iter().map(|(key, value)| Ok((key.clone(), fill_value(value, known)?))).collect();
            filled.map(Value::Object)
        }
        other => Ok(other.clone()),
    }
}

/// `ref.records[0].Id` in what was answered; names are case-sensitive.
fn look_up<'v>(path: &str, known: &'v HashMap<&str, Value>) -> Option<&'v Value> {
    let mut parts = path.split('.');
    let (name, indexes) = split_indexes(parts.next()?)?;
    let mut value = step(known.get(name)?, &indexes)?;
    for part in parts {
        let (name, indexes) = split_indexes(part)?;
        value = step(value.get(name)?, &indexes)?;
    }
    (!value.is_null()).then_some(value)
}

fn step<'v>(value: &'v Value, indexes: &[usize]) -> Option<&'v Value> {
    indexes.iter().try_fold(value, |value, index| value.get(index))
}

fn split_indexes(part: &str) -> Option<(&str, Vec<usize>)> {
    let (name, rest) = part.split_once('[').unwrap_or((part, ""));
    let mut indexes = Vec::new();
    for index in rest.split('[').filter(|index| !index.is_empty()) {
        indexes.push(index.strip_suffix(']')?.parse().ok()?);
    }
    Some((name, indexes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_filled_in_and_missing_ones_named() {
        let known = HashMap::from([("ref1", json!({"id": "001 x", "records": [{"Id": "a"}, {"Id": "b"}]}))]);
        assert_eq!(fill_text("/a/@{ref1.id}/b", &known, true), Ok("/a/001%20x/b".into()));
        let body = json!({"A": "@{ref1.records[1].Id}", "B": ["x", "@{ref1.id}"], "C": 5, "D": "@{open"});
        let filled = json!({"A": "b", "B": ["x", "001 x"], "C": 5, "D": "@{open"});
        assert_eq!(fill_value(&body, &known), Ok(filled));
        assert_eq!(fill_text("@{ref1.Id}", &known, false), Err("ref1.Id".into()), "names are case-sensitive");
        assert_eq!(fill_text("@{ref2.id}", &known, false), Err("ref2.id".into()));
        assert_eq!(fill_text("@{ref1.records[x].Id}", &known, false), Err("ref1.records[x].Id".into()));
    }
}
