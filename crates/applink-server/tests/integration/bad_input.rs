//! Bad input, over every route that reads a body: a 4xx with id, message and place, the server unharmed, and nothing
//! stored.

use std::io::{Cursor, Write as _};

use applink_server::openapi;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::described::{Operation, least_body, operations, resolved};
use crate::publish::{named, yaml, zip_of};
use crate::publishing_stack::Publishing;
use crate::stack::{OPERATOR_KEY, Stack};

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

struct Sender {
    stack: Stack,
    client: reqwest::Client,
    document: Value,
}

impl Sender {
    async fn start() -> Self {
        let stack = Stack::start().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { stack, client, document: openapi::document() }
    }

    /// Those that read JSON, with the schema.
    fn json_operations(&self) -> Vec<(Operation, Value)> {
        let all = operations(&self.document).into_iter();
        let found: Vec<_> = all
            .filter_map(|operation| {
                let schema = operation.json_body(&self.document)?;
                Some((operation, schema))
            })
            .collect();
        assert!(found.len() >= 12, "{}", found.len());
        found
    }

    /// With credentials that are good for it.
    fn request(&self, operation: &Operation) -> RequestBuilder {
        let path = operation.filled(|name| match name {
            "addon" => self.stack.tenant.addon.to_string(),
            _ => "something".to_owned(),
        });
        let secret = if operation.takes("operator_key") {
            OPERATOR_KEY
        } else if operation.takes("api_key") {
            &self.stack.tenant.api_key
        } else {
            &self.stack.tenant.token
        };
        let url = format!("{}{path}", self.stack.server.url());
        self.client.request(operation.method.clone(), url).bearer_auth(secret)
    }

    async fn refused(&self, request: RequestBuilder, statuses: &[u16], at: &str) -> Value {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert!(statuses.contains(&status), "{at}: {status} {text}");
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{at}: {text}"));
        for key in ["id", "message"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{at}: {key} in {text}");
        }
        assert!(body["problems"][0]["place"].as_str().is_some_and(|place| !place.is_empty()), "{at}: {text}");
        assert!(!text.contains("canary"), "{at}: {text}");
        body
    }

    /// Everything somebody could have stored.
    async fn stored(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for path in ["/connections", "/authorizations", "/webhooks"] {
            all.push(self.stack.manager(Method::GET, path, None).await.expect(200).json());
        }
        for path in ["/operator/apps", "/operator/addons", "/operator/keys"] {
            all.push(self.stack.operator(Method::GET, path, None).await.expect(200).json());
        }
        let vault = self.stack.operator(Method::GET, "/operator/vault", None).await.expect(200).json();
        all.push(vault["rotations"].clone());
        all
    }
}

#[tokio::test]
async fn what_is_not_json_is_refused_on_every_route_with_its_line_and_column() {
    let sender = Sender::start().await;
    let before = sender.stored().await;
    for (operation, _) in sender.json_operations() {
        let at = format!("{} {}", operation.method, operation.path);
        for body in [
            &b"{"[..],
            b"{\"a\": }",
            b"{\"connection_name\": \"\xff\xfe\"}",
            b"\x00",
            b"{} canary",
            b"nonsense",
        ] {
            let request =
                sender.request(&operation).header("content-type", "application/json").body(body.to_vec());
            let refused = sender.refused(request, &[400, 422], &at).await;
            assert!(refused["problems"][0]["line"].is_u64(), "{at}: {refused}");
        }
    }
    assert_eq!(sender.stored().await, before);
}

#[tokio::test]
async fn wrong_types_are_refused_on_every_route_with_the_field() {
    let sender = Sender::start().await;
    let before = sender.stored().await;
    let mut tried = 0;
    for (operation, schema) in sender.json_operations() {
        let good = least_body(&sender.document, &schema);
        for (field, of) in schema["properties"].as_object().into_iter().flatten() {
            for wrong in wrong_values(&resolved(&sender.document, of)) {
                let at = format!("{} {} {field}={wrong}", operation.method, operation.path);
                let mut body = good.clone();
                body.insert(field.clone(), wrong);
                let refused = sender.refused(sender.request(&operation).json(&body), &[422], &at).await;
                let place = refused["problems"][0]["place"].as_str().unwrap_or_default();
                assert!(place == format!("$.{field}") || place == "$", "{at}: {place}");
                tried += 1;
            }
        }
        for field in good.keys() {
            let mut body = good.clone();
            body.remove(field);
            let at = format!("{} {} without {field}", operation.method, operation.path);
            let refused = sender.refused(sender.request(&operation).json(&body), &[422], &at).await;
            assert!(
                refused["message"].as_str().unwrap_or_default().contains(field.as_str()),
                "{at}: {refused}"
            );
        }
        for whole in [json!([]), json!("canary"), json!(7), Value::Null] {
            let at = format!("{} {} as {whole}", operation.method, operation.path);
            sender.refused(sender.request(&operation).json(&whole), &[422], &at).await;
        }
    }
    assert!(tried > 40, "{tried}");
    assert_eq!(sender.stored().await, before);
}

/// Values of every other type.
fn wrong_values(schema: &Value) -> Vec<Value> {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let all = [
        ("string", json!("canary")),
        ("integer", json!(7)),
        ("boolean", json!(true)),
        ("object", json!({"a": 1})),
    ];
    let mut wrong: Vec<Value> =
        all.into_iter().filter(|(kind, _)| !kinds.contains(kind)).map(|(_, value)| value).collect();
    if kinds.is_empty() {
        wrong.clear();
    }
    wrong
}

#[tokio::test]
async fn other_content_types_and_too_much_are_refused_on_every_route() {
    let sender = Sender::start().await;
    let before = sender.stored().await;
    for (operation, _) in sender.json_operations() {
        let at = format!("{} {}", operation.method, operation.path);
        let may_be_left_out = operation.whole["requestBody"]["required"] != true;
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"] {
            let request = sender.request(&operation).header("content-type", kind).body("canary");
            let statuses: &[u16] = if may_be_left_out { &[400] } else { &[415] };
            sender.refused(request, statuses, &at).await;
        }
        let limit =
            if operation.path.contains("/data_action_targets/") { 4 * 1024 * 1024 } else { 256 * 1024 };
        let large = vec![b' '; limit + 1];
        let request = sender.request(&operation).header("content-type", "application/json").body(large);
        let refused = sender.refused(request, &[413], &at).await;
        assert!(refused["message"].as_str().unwrap_or_default().contains("256 KiB"), "{at}: {refused}");
    }
    assert_eq!(sender.stored().await, before);
    sender.stack.send(Method::GET, "/health", &[], None).await.expect(200);
}

#[tokio::test]
async fn unknown_fields_are_ignored_on_every_route() {
    let sender = Sender::start().await;
    for (operation, schema) in sender.json_operations() {
        let plain = least_body(&sender.document, &schema);
        let mut more: Map<String, Value> = plain.clone();
        more.insert("unknown_field".to_owned(), json!({"deep": ["er", null]}));
        let status = async |body: &Map<String, Value>| {
            sender.request(&operation).json(body).send().await.unwrap().status().as_u16()
        };
        // The first may have made something; what matters is that the field makes no difference to what is read.
        let (first, second) = (status(&more).await, status(&plain).await);
        let at = format!("{} {}: {first} {second}", operation.method, operation.path);
        assert!(first < 500 && second < 500, "{at}");
        assert!(first == second || (first < 300 && [409, 422].contains(&second)), "{at}");
    }
}

#[tokio::test]
async fn odd_paths_name_nothing() {
    let sender = Sender::start().await;
    let long = "a".repeat(8 * 1024);
    for operation in operations(&sender.document).iter().filter(|operation| operation.has("addon")) {
        for odd in ["%FF", "%00", "..%2F..", "%E2%80%8B", "a%20b", &long] {
            let path = operation.filled(|name| match name {
                "addon" => sender.stack.tenant.addon.to_string(),
                _ => odd.to_owned(),
            });
            if !path.contains(odd) {
                continue;
            }
            let secret = if operation.takes("api_key") {
                &sender.stack.tenant.api_key
            } else {
                &sender.stack.tenant.token
            };
            let bearer = format!("Bearer {secret}");
            let headers = [("authorization", bearer.as_str())];
            let body = json!({"reconnect": true});
            let sends = !operation.whole["requestBody"].is_null();
            let answer =
                sender.stack.send(operation.method.clone(), &path, &headers, sends.then_some(&body)).await;
            assert!(
                (400..500).contains(&answer.status.as_u16()),
                "{} {path}: {}",
                operation.method,
                answer.text
            );
        }
    }
}

fn entries(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// What a publish must refuse: the archive, and what the answer names.
fn bad_archives() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let names: Vec<String> = (0..11).map(|number| format!("file-{number}.yaml")).collect();
    let eleven: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"a: 1"[..])).collect();
    let large_json = format!("{{\"openapi\": \"3.0.3\", \"x\": \"{}\"}}", "a".repeat(10 * 1024 * 1024));
    let large_yaml = format!("{SPEC}\n# {}\n", "a".repeat(3 * 1024 * 1024));
    let mut truncated = yaml(SPEC);
    truncated.truncate(60);
    vec![
        ("a zip bomb", entries(&[("api-spec.yaml", &vec![0; 64 * 1024 * 1024])]), "api-spec.yaml"),
        ("11 files", entries(&eleven), "11 files"),
        ("a name that leaves", zip_of(&[("../api-spec.yaml", SPEC)]), "../api-spec.yaml"),
        ("a name that leaves on Windows", zip_of(&[("..\\api-spec.yaml", SPEC)]), "api-spec.yaml"),
        ("an absolute name", zip_of(&[("/etc/api-spec.yaml", SPEC)]), "/etc/api-spec.yaml"),
        ("YAML over 3 MB", zip_of(&[("api-spec.yaml", &large_yaml)]), "api-spec.yaml"),
        ("JSON over 10 MB", zip_of(&[("api-spec.json", &large_json)]), "api-spec.json"),
        ("no document", zip_of(&[("connectedapp-meta.xml", "<a/>")]), "OpenAPI document"),
        ("two documents", zip_of(&[("api-spec.yaml", SPEC), ("api-spec.json", "{}")]), "keep one"),
        ("bad UTF-8", entries(&[("api-spec.yaml", b"openapi: 3.0.3\ninfo: \xff\xfe\n")]), "UTF-8"),
        ("half a zip", truncated, "zip archive"),
        ("nothing", Vec::new(), "zip archive"),
        (
            "XML that is none",
            zip_of(&[("api-spec.yaml", SPEC), ("permissionset-meta.xml", "<canary")]),
            "permissionset-meta.xml",
        ),
    ]
}

#[tokio::test]
async fn a_bad_upload_is_refused_by_name_and_nothing_is_stored() {
    let stack = Publishing::start().await;
    let before = stack.audited().await.len();
    for (what, archive, expected) in bad_archives() {
        let answer = stack.publish(archive, &named("Reports")).await;
        assert!([413, 422].contains(&answer.status), "{what}: {} {}", answer.status, answer.body);
        let message = answer.body["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected), "{what}: {message}");
        assert!(answer.body["problems"][0]["place"].is_string(), "{what}: {}", answer.body);
        assert!(answer.body["id"].is_string(), "{what}: {}", answer.body);
    }
    assert_eq!(stack.publications().await.body, json!([]));
    assert_eq!(stack.audited().await.len(), before, "nobody asked for a publish");
    assert!(stack.org.sent().is_empty());
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201, "the server is unharmed");
}

#[tokio::test]
async fn a_multipart_without_its_parts_is_refused_with_the_part() {
    let stack = Publishing::start().await;
    let request = || serde_json::to_vec(&named("Reports")).unwrap();
    let metadata = ("metadata", "application/zip", yaml(SPEC));
    let cases = vec![
        (vec![], "body"),
        (vec![metadata.clone()], "app_request"),
        (vec![("app_request", "application/json", request())], "metadata"),
        (vec![metadata.clone(), metadata.clone()], "metadata"),
        (vec![("other", "text/plain", b"x".to_vec())], "other"),
        (vec![metadata.clone(), ("app_request", "application/json", b"{".to_vec())], "$"),
        (
            vec![metadata.clone(), ("app_request", "application/json", b"{\"client_name\": 1}".to_vec())],
            "$.client_name",
        ),
        (
            vec![metadata, ("app_request", "application/json", b"{\"client_name\": \"9\"}".to_vec())],
            "$.client_name",
        ),
    ];
    for (parts, place) in cases {
        let answer = stack.post_parts(parts).await;
        assert!([400, 422].contains(&answer.status), "{place}: {}", answer.body);
        assert_eq!(answer.body["problems"][0]["place"], json!(place), "{}", answer.body);
    }
    for (kind, body, status) in [
        ("application/json", b"{}".to_vec(), 415),
        ("multipart/form-data", b"no boundary".to_vec(), 415),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken".to_vec(), 400),
    ] {
        let answer = stack.post_raw(kind, body).await;
        assert_eq!(answer.status, status, "{kind}: {}", answer.body);
        assert!(answer.body["problems"][0]["place"].is_string(), "{kind}: {}", answer.body);
    }
    assert_eq!(stack.publications().await.body, json!([]));
    assert!(stack.org.sent().is_empty());
}
