//! Another tenant's ids: over every route of the API, what belongs to somebody else answers byte for byte as what does
//! not exist.

#[path = "tenants/heroku.rs"]
mod heroku;

use std::collections::BTreeMap;

use applink_server::openapi;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::described::{Operation, least_body, operations};
use crate::fake_org::ORG_ID;
use crate::publish::{named, yaml};
use crate::stack::{Answer, OPERATOR_KEY, Stack, Tenant};

/// How many made-up ids each foreign one is compared with.
const CASES: u32 = 4;

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

/// Everything of an answer that says something about what was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

struct Caller {
    client: reqwest::Client,
    url: String,
    document: Value,
    app: Option<Uuid>,
}

impl Caller {
    async fn call(&self, operation: &Operation, path: &str, secret: &str) -> Seen {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(operation.method.clone(), url).bearer_auth(secret);
        if let Some(app) = self.app {
            request = request.header("x-app-uuid", app.to_string());
        }
        if let Some(schema) = operation.json_body(&self.document) {
            let mut body = least_body(&self.document, &schema);
            if operation.method == reqwest::Method::PATCH {
                body.insert("reconnect".to_owned(), json!(true));
            }
            request = request.json(&body);
        } else if !operation.whole["requestBody"].is_null() {
            request = request.multipart(form());
        }
        let answer = request.send().await.unwrap();
        let headers = telling(answer.headers());
        Seen { status: answer.status().as_u16(), headers, body: answer.text().await.unwrap() }
    }
}

/// All but what differs from call to call.
fn telling(headers: &HeaderMap) -> BTreeMap<String, String> {
    let passing = ["date", "x-request-id", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    let headers = headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

impl From<Answer> for Seen {
    fn from(answer: Answer) -> Self {
        let headers = telling(&answer.headers);
        Self { status: answer.status.as_u16(), headers, body: answer.text }
    }
}

fn form() -> reqwest::multipart::Form {
    let json = serde_json::to_vec(&named("Reports")).unwrap();
    let part = |bytes, kind| reqwest::multipart::Part::bytes(bytes).mime_str(kind).unwrap();
    reqwest::multipart::Form::new()
        .part("metadata", part(yaml(SPEC), "application/zip"))
        .part("app_request", part(json, "application/json"))
}

async fn stack() -> Stack {
    Stack::with(|config| config.webhook_origins.push("http://127.0.0.1:9".parse().unwrap())).await
}

/// A publication of the stack's tenant, as a deploy leaves it.
async fn publish(stack: &Stack, connection: &Value, client: &str, id: u128) {
    let app = stack.server.app();
    let live = applink_server::publications::Live {
        registration_id: "x".to_owned(),
        hash: "x".to_owned(),
        components: Vec::new(),
    };
    let publication = applink_server::publications::Publication {
        id: Uuid::from_u128(id).into(),
        addon: stack.tenant.addon,
        connection: connection["id"].as_str().unwrap().parse().unwrap(),
        app: stack.tenant.app,
        client: client.to_owned(),
        org_id: ORG_ID.to_owned(),
        live: Some(live),
        removed_at: None,
        created_at: app.clock.now(),
        created_by: "x".to_owned(),
        last_modified_at: app.clock.now(),
        last_modified_by: "x".to_owned(),
    };
    let tx = app.store.begin().await.unwrap();
    applink_server::publications::store::insert(&*tx, &publication).await.unwrap();
    tx.commit().await.unwrap();
}

/// A stranger with a connection to the same org, a user and a publication of its own: what is nested below them is
/// really looked up.
async fn stranger(stack: &mut Stack) -> Tenant {
    let stranger = stack.another_tenant("their-app").await;
    let victim = std::mem::replace(&mut stack.tenant, stranger.clone());
    let connection = stack.connect("their-own").await;
    stack.authorize("their_user").await;
    publish(stack, &connection, "TheirClient", 8).await;
    stack.tenant = victim;
    stranger
}

/// The victim: connected, authorized, published.
struct Victim {
    tenant: Tenant,
    connection: Value,
    authorization: Value,
    webhook: Value,
}

impl Victim {
    async fn of(stack: &Stack) -> Self {
        let connection = stack.connect("victim-org").await;
        let authorization = stack.authorize("victim_worker").await;
        let body = json!({"url": "http://127.0.0.1:9/applink"});
        let webhook = stack.manager(reqwest::Method::POST, "/webhooks", Some(&body)).await.expect(201).json();
        publish(stack, &connection, "VictimClient", 7).await;
        Self { tenant: stack.tenant.clone(), connection, authorization, webhook }
    }

    /// Values of the victim's for a path parameter.
    fn values(&self, parameter: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        match parameter {
            "addon" => vec![self.tenant.addon.to_string()],
            "connection" => {
                vec![text(&self.connection["id"]), "victim-org".to_owned(), "victim_org".to_owned()]
            }
            "authorization" => vec![
                text(&self.authorization["id"]),
                "victim_worker".to_owned(),
                "applink:victim_worker".to_owned(),
            ],
            "app" => vec![self.tenant.app.to_string()],
            "client" => vec!["VictimClient".to_owned()],
            "webhook" => vec![text(&self.webhook["id"])],
            "target" => vec!["Clicks".to_owned()],
            "number" => vec!["1".to_owned()],
            "attachment" => vec![Uuid::from_u128(2).to_string()],
            "key" => vec![Uuid::from_u128(1).to_string()],
            other => panic!("say in this test what a victim's `{other}` is"),
        }
    }
}

fn made_up(random: &mut ChaCha20Rng, like: &str) -> String {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let name = format!("m{}", &uuid.simple().to_string()[..20]);
    match like.split_once('@') {
        _ if like.parse::<Uuid>().is_ok() => uuid.to_string(),
        Some((_, domain)) => format!("{name}@{domain}"),
        None => name,
    }
}

fn parameters(path: &str) -> Vec<String> {
    let segments = path.split('/');
    segments.filter_map(|one| one.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_anothers_answers_byte_for_byte_as_what_does_not_exist() {
    let mut stack = stack().await;
    let victim = Victim::of(&stack).await;
    let stranger = stranger(&mut stack).await;
    let random = &mut ChaCha20Rng::seed_from_u64(44);
    let document = openapi::document();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = stack.server.url().to_owned();
    let caller = Caller { client, url, document: document.clone(), app: None };
    let mut compared = 0;
    for operation in operations(&document).iter().filter(|operation| !operation.is_open()) {
        let names = parameters(&operation.path);
        for secret in [&stranger.token, &stranger.api_key] {
            for foreign in names.iter().filter(|name| operation.has(name)) {
                // All the others are the stranger's own, or at least nobody else's.
                let fill = |value: &str| {
                    operation.filled(|name| match name {
                        name if name == foreign => value.to_owned(),
                        "addon" => stranger.addon.to_string(),
                        "app" => stranger.app.to_string(),
                        "client" => "TheirClient".to_owned(),
                        _ => "their-own".to_owned(),
                    })
                };
                for value in victim.values(foreign) {
                    let seen = caller.call(operation, &fill(&value), secret).await;
                    let at = format!("{} {} with {foreign} {value}", operation.method, operation.path);
                    // A list of what an app has in an org is empty for an app that is nobody's here.
                    let is_nothing =
                        [401, 404].contains(&seen.status) || (seen.status == 200 && seen.body == "[]");
                    assert!(is_nothing, "{at}: {seen:?}");
                    for _ in 0..CASES {
                        let missing = fill(&made_up(random, &value));
                        assert_eq!(caller.call(operation, &missing, secret).await, seen, "{at}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 200, "{compared}");
    // The victim has what it had.
    for (path, name) in
        [("/connections/victim-org", "connected"), ("/authorizations/victim_worker", "authorized")]
    {
        let shown = stack.manager(reqwest::Method::GET, path, None).await.expect(200).json();
        assert_eq!(shown["status"], json!(name));
    }
}

#[tokio::test]
async fn a_foreign_app_uuid_says_no_more_than_a_made_up_one() {
    let stack = Stack::start().await;
    let stranger = stack.another_tenant("their-app").await;
    let random = &mut ChaCha20Rng::seed_from_u64(45);
    let document = openapi::document();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut caller =
        Caller { client, url: stack.server.url().to_owned(), document: document.clone(), app: None };
    for operation in operations(&document).iter().filter(|operation| operation.has("addon")) {
        let path = operation.filled(|name| match name {
            "addon" => stranger.addon.to_string(),
            _ => "their-own".to_owned(),
        });
        for secret in [&stranger.token, &stranger.api_key] {
            caller.app = Some(stack.tenant.app.0);
            let seen = caller.call(operation, &path, secret).await;
            caller.app = made_up(random, &stack.tenant.app.to_string()).parse().ok();
            let again = caller.call(operation, &path, secret).await;
            // A link differs from the next.
            if path.ends_with("/sign-in-links") {
                assert_eq!(again.status, seen.status, "{path}");
            } else {
                assert_eq!(again, seen, "{} {path}", operation.method);
            }
        }
    }
}

#[tokio::test]
async fn wrong_credentials_learn_nothing_from_any_route() {
    let stack = stack().await;
    let victim = Victim::of(&stack).await;
    let random = &mut ChaCha20Rng::seed_from_u64(46);
    let document = openapi::document();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = stack.server.url().to_owned();
    let caller = Caller { client, url, document: document.clone(), app: None };
    for operation in operations(&document).iter().filter(|operation| !operation.is_open()) {
        let there = operation.filled(|name| victim.values(name).remove(0));
        let missing = operation.filled(|name| made_up(random, &victim.values(name).remove(0)));
        for secret in ["wrong", "alk_wrong", ""] {
            let seen = caller.call(operation, &there, secret).await;
            assert_eq!(seen.status, 401, "{} {there}: {seen:?}", operation.method);
            assert!(seen.headers.contains_key(CONTENT_TYPE.as_str()));
            assert_eq!(caller.call(operation, &missing, secret).await, seen, "{} {there}", operation.method);
        }
        assert_ne!(OPERATOR_KEY, "wrong");
    }
}
