//! Webhooks: what is told, to whom, how it is signed, how often it is tried, and what a URL may be.

use applink_server::Config;
use applink_server::webhooks::store as endpoints;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fake_org::Reply;
use crate::publish::{named, yaml};
use crate::publishing_stack::Publishing;
use crate::receiver::Receiver;
use crate::scripted_org::Take;
use crate::stack::{Answer, Stack};

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");

pub(crate) struct Hooked {
    pub(crate) stack: Stack,
    pub(crate) receiver: Receiver,
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Hooked {
    pub(crate) async fn start() -> Self {
        Self::with(json!([]), |_| {}).await
    }

    pub(crate) async fn with(event_types: Value, change: impl FnOnce(&mut Config)) -> Self {
        let receiver = Receiver::start().await;
        let stack = Stack::with(|config| {
            config.webhook_origins.push(receiver.url().parse().unwrap());
            change(config);
        })
        .await;
        let body = json!({"url": format!("{}/hook", receiver.url()), "event_types": event_types});
        let made = stack.manager(Method::POST, "/webhooks", Some(&body)).await.expect(201).json();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        Self { receiver, id: text("id"), secret: text("secret"), stack }
    }

    pub(crate) async fn deliver(&self) {
        self.stack.reconcile("webhooks").await;
    }

    async fn manage(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.stack.manager(method, &format!("/webhooks/{}{path}", self.id), body).await
    }

    async fn deliveries(&self) -> Vec<Value> {
        self.manage(Method::GET, "/deliveries", None).await.expect(200).json().as_array().unwrap().clone()
    }

    async fn shown(&self) -> Value {
        self.manage(Method::GET, "", None).await.expect(200).json()
    }

    async fn test(&self) {
        self.manage(Method::POST, "/test", Some(&json!({}))).await.expect(202);
    }

    /// Types that arrive after a delivery run.
    async fn told(&self) -> Vec<String> {
        self.deliver().await;
        self.receiver.kinds()
    }
}

#[tokio::test]
async fn a_change_is_told_signed_and_with_the_record_as_the_api_answers_it() {
    let hooked = Hooked::start().await;
    let shown = hooked.stack.connect("prod").await;
    hooked.deliver().await;
    let received = hooked.receiver.take();
    let kinds: Vec<String> = received.iter().map(|received| received.kind()).collect();
    assert_eq!(kinds, ["connection.created", "connection.connected"]);
    let last = &received[1];
    assert!(last.is_signed_with(&hooked.secret), "{last:?}");
    assert_eq!(last.signatures(), 1);
    assert_eq!(last.header("content-type"), "application/json");
    assert!(last.header("webhook-id").starts_with("msg_"));
    assert_eq!(last.header("webhook-timestamp"), "1767225600");
    let event = last.json();
    assert_eq!(event["data"], shown);
    assert_eq!(event["timestamp"], json!("2026-01-01T00:00:00.000000Z"));
    assert_eq!(event["addon_id"], json!(hooked.stack.tenant.addon));
    assert_eq!([&received[0].json()["version"], &event["version"]], [&json!(1), &json!(2)]);
    let tampered =
        crate::receiver::Received { body: last.body.replace("connected", "failed"), ..last.clone() };
    assert!(!tampered.is_signed_with(&hooked.secret));
}

/// Promise 55: the whole life of both kinds, each transition once, versions without a gap.
#[tokio::test]
async fn every_transition_is_told_once_and_in_versions() {
    let hooked = Hooked::start().await;
    let stack = &hooked.stack;
    stack.org.script().without_permission = true;
    stack.connect("prod").await;
    stack.org.script().without_permission = false;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "expired access/refresh token"));
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(422);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(422);
    stack.authorize("worker").await;
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    stack.reconcile("credentials").await;
    hooked.deliver().await;
    let events: Vec<Value> = hooked.receiver.take().iter().map(|received| received.json()).collect();
    let of = |noun: &str| -> Vec<(String, i64)> {
        let own = events.iter().filter(|event| event["type"].as_str().unwrap().starts_with(noun));
        let pair = |event: &Value| {
            let kind = event["type"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
            (kind, event["version"].as_i64().unwrap())
        };
        let mut pairs: Vec<_> = own.map(pair).collect();
        pairs.sort_by_key(|(_, version)| *version);
        pairs
    };
    let told = |kinds: &[&str]| -> Vec<(String, i64)> {
        kinds.iter().zip(1..).map(|(kind, version)| ((*kind).to_owned(), version)).collect()
    };
    assert_eq!(of("connection"), told(&["created", "failed", "created", "connected"]));
    assert_eq!(
        of("authorization"),
        told(&["created", "authorized", "reauth_required", "created", "recovered", "disconnected"])
    );
}

#[tokio::test]
async fn a_log_in_that_expires_is_told_and_so_is_its_removal() {
    let hooked = Hooked::start().await;
    let stack = &hooked.stack;
    stack.begin_connection("prod").await;
    stack.begin_connection("prod").await;
    stack.advance(601);
    stack.reconcile("credentials").await;
    stack.reconcile("credentials").await;
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    assert_eq!(hooked.told().await, ["connection.created", "connection.failed", "connection.disconnected"]);
    stack.advance(31 * 24 * 3600);
    stack.reconcile("credentials").await;
    assert!(hooked.told().await.is_empty(), "the end of the listing is nobody's business");
}

/// Alerts must not lie: a refusal somebody can mend is told once, its end only after the org gave new tokens.
#[tokio::test]
async fn a_refused_renewal_is_told_once_and_recovers_only_with_new_tokens() {
    let hooked = Hooked::with(json!(["authorization.*"]), |_| {}).await;
    let stack = &hooked.stack;
    stack.authorize("worker").await;
    hooked.told().await;
    let refuse = || stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "ip restricted"));
    stack.advance(86_400);
    for _ in 0..3 {
        refuse();
        stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
        stack.advance(86_400);
    }
    hooked.deliver().await;
    let received = hooked.receiver.take();
    assert_eq!(received.len(), 1, "{received:?}");
    let event = received[0].json();
    assert_eq!(event["type"], json!("authorization.failed"));
    assert_eq!(event["data"]["status"], json!("authorized"), "the grant lives");
    assert!(event["data"]["error"]["message"].as_str().unwrap().contains("IP"), "{event}");
    stack.org.script().replies.push_back(Reply::Fail);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    assert!(hooked.told().await.is_empty(), "an answer that did not come is no recovery");
    stack.advance(86_400);
    stack.token_of("worker").await;
    stack.advance(86_400);
    stack.token_of("worker").await;
    assert_eq!(hooked.told().await, ["authorization.recovered"]);
}

#[tokio::test]
async fn what_fails_is_tried_again_on_the_documented_schedule_and_then_given_up() {
    let hooked = Hooked::with(json!(["webhook.test"]), |_| {}).await;
    hooked.receiver.always(Some(500));
    hooked.test().await;
    hooked.deliver().await;
    let first = hooked.receiver.take();
    for pause in [5, 300, 1800, 7200, 18_000, 36_000, 36_000] {
        hooked.stack.advance(pause - 2);
        hooked.deliver().await;
        assert!(hooked.receiver.take().is_empty(), "not before {pause} s");
        hooked.stack.advance(3);
        hooked.deliver().await;
        let again = hooked.receiver.take();
        assert_eq!(again.len(), 1, "after {pause} s");
        assert_eq!(again[0].header("webhook-id"), first[0].header("webhook-id"));
        assert_ne!(again[0].header("webhook-timestamp"), first[0].header("webhook-timestamp"));
        assert!(again[0].is_signed_with(&hooked.secret));
        assert_eq!(again[0].body, first[0].body);
    }
    hooked.stack.advance(100_000);
    hooked.deliver().await;
    assert!(hooked.receiver.take().is_empty());
    let delivery = &hooked.deliveries().await[0];
    assert_eq!(delivery["status"], json!("failed"));
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 8);
    assert_eq!(delivery["attempts"][0]["status"], json!(500));
    assert_eq!(delivery["next_attempt_at"], json!(null));
    assert!(!delivery.to_string().contains("canary-answer-body"), "an answer's body is never shown");
    assert_eq!(hooked.shown().await["enabled"], json!(true), "a day of failures is not five");
}

#[tokio::test]
async fn an_endpoint_that_nothing_reaches_for_days_is_switched_off_and_can_be_switched_on() {
    let hooked = Hooked::start().await;
    hooked.receiver.always(Some(502));
    let exhaust = async || {
        hooked.test().await;
        for _ in 0..8 {
            hooked.deliver().await;
            hooked.stack.advance(36_001);
        }
        hooked.receiver.take();
    };
    exhaust().await;
    assert_eq!(hooked.shown().await["enabled"], json!(true));
    assert_ne!(hooked.shown().await["failing_since"], json!(null));
    exhaust().await;
    let shown = hooked.shown().await;
    assert_eq!(shown["enabled"], json!(false), "{shown}");
    assert!(shown["disabled_reason"].as_str().unwrap().contains("No delivery succeeded since"), "{shown}");
    hooked.manage(Method::POST, "/test", Some(&json!({}))).await.expect_error(409, "conflict");
    hooked.stack.connect("prod").await;
    assert!(hooked.told().await.is_empty());

    hooked.receiver.always(None);
    let on = hooked.manage(Method::PATCH, "", Some(&json!({"enabled": true}))).await.expect(200).json();
    assert_eq!((&on["enabled"], &on["disabled_reason"]), (&json!(true), &json!(null)));
    hooked.test().await;
    assert_eq!(hooked.told().await, ["webhook.test"]);
}

/// An endpoint whose secret was altered in the database, or is sealed with a key that is gone.
#[tokio::test]
async fn a_secret_that_does_not_open_fails_its_own_deliveries_and_nobody_elses() {
    let hooked = Hooked::start().await;
    let stack = &hooked.stack;
    let body = json!({"url": format!("{}/damaged", hooked.receiver.url())});
    let damaged = stack.manager(Method::POST, "/webhooks", Some(&body)).await.expect(201).json();
    let path = format!("/webhooks/{}", damaged["id"].as_str().unwrap());
    damage(&hooked, damaged["id"].as_str().unwrap()).await;
    // Twice, so that one waits while the other is under way.
    for _ in 0..2 {
        stack.manager(Method::POST, &format!("{path}/test"), Some(&json!({}))).await.expect(202);
        hooked.test().await;
    }
    hooked.deliver().await;
    let received = hooked.receiver.take();
    assert_eq!(received.len(), 2, "the other endpoint got all it should: {received:?}");
    assert!(received.iter().all(|received| received.is_signed_with(&hooked.secret)));
    let deliveries = async || {
        let answer = stack.manager(Method::GET, &format!("{path}/deliveries"), None).await.expect(200);
        answer.json().as_array().unwrap().clone()
    };
    for delivery in deliveries().await {
        let attempts = delivery["attempts"].as_array().unwrap();
        assert_eq!((attempts.len(), &attempts[0]["status"]), (1, &json!(null)), "{delivery}");
        assert!(attempts[0]["outcome"].as_str().unwrap().contains("webhooks:rotate-secret"), "{delivery}");
        assert_ne!(delivery["next_attempt_at"], json!(null), "{delivery}");
    }
    // Another secret is what the outcome says helps.
    let rotated = stack.manager(Method::POST, &format!("{path}/rotate-secret"), Some(&json!({}))).await;
    let rotated = rotated.expect(200).json();
    assert_eq!(rotated["former_secret_until"], json!(null), "there is none that could sign");
    stack.advance(6);
    hooked.deliver().await;
    let received = hooked.receiver.take();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received.iter().all(|received| received.is_signed_with(rotated["secret"].as_str().unwrap())));
    assert!(deliveries().await.iter().all(|delivery| delivery["status"] == json!("delivered")));
}

/// Puts another endpoint's secret in its place, where it does not open.
async fn damage(hooked: &Hooked, id: &str) {
    let (store, addon) = (&hooked.stack.server.app().store, hooked.stack.tenant.addon);
    let find = async |id: &str| {
        endpoints::find(store.reader(), addon, id.parse().unwrap()).await.unwrap().expect("an endpoint")
    };
    let (mut damaged, other) = (find(id).await, find(&hooked.id).await);
    damaged.secret = other.secret;
    let tx = store.begin().await.unwrap();
    endpoints::save(&*tx, &damaged).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_rename_is_told_with_the_record_under_its_new_name() {
    let hooked = Hooked::start().await;
    let stack = &hooked.stack;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    hooked.told().await;
    for (path, change) in [
        ("/connections/prod", json!({"connection_name": "live-org"})),
        ("/authorizations/worker", json!({"developer_name": "robot"})),
        ("/authorizations/robot", json!({"alias": "bot"})),
    ] {
        let renamed = stack.manager(Method::PATCH, path, Some(&change)).await.expect(200).json();
        hooked.deliver().await;
        let received = hooked.receiver.take();
        assert_eq!(received.len(), 1, "{path}: {received:?}");
        let event = received[0].json();
        let noun = path.split('/').nth(1).unwrap().trim_end_matches('s');
        assert_eq!(event["type"], json!(format!("{noun}.renamed")));
        assert_eq!(event["data"], renamed);
        assert!(received[0].is_signed_with(&hooked.secret));
    }
    let same = json!({"connection_name": "live-org"});
    stack.manager(Method::PATCH, "/connections/live-org", Some(&same)).await.expect(200);
    assert!(hooked.told().await.is_empty(), "nothing changed");
}

/// Promise 55: `publication.*`, how each deploy and each removal ends.
#[tokio::test]
async fn what_becomes_of_a_publication_is_told_in_versions() {
    let (mut stack, receiver) = (Publishing::start().await, Receiver::start().await);
    let secret = stack.hook(&receiver).await;
    let refused = || Take::Fail(vec![("PermissionSet", "Reports", "It is referenced by a flow.")]);
    let changed = SPEC.replace("Builds a report", "Makes a report");
    let mut events = Vec::new();
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
    events.extend(receiver.wait_for(1).await);
    stack.org.takes([refused()]);
    assert_eq!(stack.publish(yaml(&changed), &named("Reports")).await.status, 422);
    events.extend(receiver.wait_for(1).await);
    stack.org.takes([refused()]);
    assert_eq!(stack.remove("Reports").await.status, 202);
    events.extend(receiver.wait_for(1).await);
    assert_eq!(stack.remove("Reports").await.status, 202);
    events.extend(receiver.wait_for(1).await);
    assert!(events.iter().all(|event| event.is_signed_with(&secret)));
    let events: Vec<Value> = events.iter().map(crate::receiver::Received::json).collect();
    let told: Vec<_> = events.iter().map(|event| (&event["type"], event["version"].as_i64())).collect();
    let wanted: Vec<Value> = ["published", "failed", "delete_failed", "deleted"]
        .map(|kind| json!(format!("publication.{kind}")))
        .into();
    assert_eq!(told, wanted.iter().zip((1..5).map(Some)).collect::<Vec<_>>());
    for event in &events {
        assert_eq!(
            (&event["data"]["id"], &event["data"]["esr_name"]),
            (&events[0]["data"]["id"], &json!("Reports"))
        );
    }
    assert_eq!(events[0]["data"]["error"], json!(null));
    for failed in [&events[1], &events[2]] {
        assert_eq!(failed["data"]["error"]["id"], json!("deploy_failed"), "{failed}");
        assert!(
            failed["data"]["error"]["message"].as_str().unwrap().contains("referenced by a flow"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off_at_once_and_a_redirect_is_not_followed() {
    let hooked = Hooked::start().await;
    hooked.receiver.answer(&[302, 410]);
    hooked.test().await;
    assert_eq!(hooked.told().await, ["webhook.test"]);
    let attempt = hooked.deliveries().await[0]["attempts"][0].clone();
    assert_eq!(attempt["status"], json!(302));
    assert!(attempt["outcome"].as_str().unwrap().contains("redirects"), "{attempt}");
    hooked.stack.advance(10);
    hooked.deliver().await;
    assert!(hooked.shown().await["disabled_reason"].as_str().unwrap().contains("410"));
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_sign() {
    let hooked = Hooked::start().await;
    let rotated = hooked.manage(Method::POST, "/rotate-secret", Some(&json!({"overlap_hours": 2}))).await;
    let rotated = rotated.expect(200).json();
    let newer = rotated["secret"].as_str().unwrap();
    assert_ne!(newer, hooked.secret);
    assert_eq!(rotated["former_secret_until"], json!("2026-01-01T02:00:00.000000Z"));
    hooked.test().await;
    hooked.deliver().await;
    let received = hooked.receiver.take().remove(0);
    assert_eq!(received.signatures(), 2);
    assert!(received.is_signed_with(newer) && received.is_signed_with(&hooked.secret));
    hooked.stack.advance(2 * 3600);
    hooked.test().await;
    hooked.deliver().await;
    let received = hooked.receiver.take().remove(0);
    assert!(received.is_signed_with(newer) && !received.is_signed_with(&hooked.secret));
    let too_long = hooked.manage(Method::POST, "/rotate-secret", Some(&json!({"overlap_hours": 169}))).await;
    too_long.expect_error(422, "validation_failed");
}

#[tokio::test]
async fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let hooked = Hooked::start().await;
    hooked.test().await;
    assert_eq!(hooked.told().await, ["webhook.test"]);
    for path in ["", "/deliveries"] {
        let text = hooked.manage(Method::GET, path, None).await.expect(200).text;
        assert!(!text.contains("whsec_") && !text.contains(&hooked.secret), "{text}");
    }
    let listed = hooked.stack.manager(Method::GET, "/webhooks", None).await.expect(200);
    assert!(!listed.text.contains("whsec_"), "{}", listed.text);
    let removed = hooked.manage(Method::DELETE, "", None).await.expect(200);
    assert!(!removed.text.contains("whsec_"));
    hooked.manage(Method::GET, "", None).await.expect_error(404, "record_not_found");
    assert!(hooked.told().await.is_empty());
}

#[tokio::test]
async fn only_who_may_change_things_sees_or_changes_webhooks_and_no_other_tenant() {
    let hooked = Hooked::start().await;
    let other = hooked.stack.another_tenant("other").await;
    let bearer = format!("Bearer {}", other.api_key);
    let headers = [("authorization", bearer.as_str())];
    let path = format!("/webhooks/{}", hooked.id);
    for (method, path) in [
        (Method::GET, "/webhooks".to_owned()),
        (Method::POST, "/webhooks".to_owned()),
        (Method::GET, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/rotate-secret")),
        (Method::POST, format!("{path}/test")),
        (Method::GET, format!("{path}/deliveries")),
    ] {
        let refused = hooked.stack.app(method.clone(), &path, Some(&json!({}))).await;
        refused.expect_error(401, "unauthorized");
        let below_other = format!("/addons/{}{path}", other.addon);
        if path != "/webhooks" {
            let foreign = hooked.stack.send(method.clone(), &below_other, &headers, Some(&json!({}))).await;
            foreign.expect_error(404, "record_not_found");
        }
        let below_ours = hooked.stack.path(&path);
        let foreign = hooked.stack.send(method, &below_ours, &headers, Some(&json!({}))).await;
        foreign.expect_error(404, "record_not_found");
    }
}

#[tokio::test]
async fn what_a_webhook_may_not_be_is_refused_with_the_place() {
    let stack = Stack::start().await;
    let refused = async |body: Value| {
        let answer = stack.manager(Method::POST, "/webhooks", Some(&body)).await;
        let problems = answer.json()["problems"][0]["place"].clone();
        (answer.expect_error(422, "validation_failed"), problems)
    };
    for url in [
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
        "https://user:pw@8.8.8.8/",
        "https://10.0.0.1:8443/x",
        "ftp://8.8.8.8/",
        "not a url",
        "",
    ] {
        let (message, place) = refused(json!({"url": url})).await;
        assert_eq!(place, json!("$.url"), "{url}: {message}");
    }
    for types in [json!(["connection.gone"]), json!(["*"]), json!(["connection.*", "x"])] {
        let (_, place) = refused(json!({"url": "https://8.8.8.8/", "event_types": types})).await;
        assert_eq!(place, json!("$.event_types"));
    }
    let (_, place) = refused(json!({"url": "https://8.8.8.8/", "description": "x".repeat(201)})).await;
    assert_eq!(place, json!("$.description"));
    stack.manager(Method::POST, "/webhooks", Some(&json!({"url": 7}))).await.expect(422);
    for _ in 0..20 {
        stack.manager(Method::POST, "/webhooks", Some(&json!({"url": "https://8.8.8.8/"}))).await.expect(201);
    }
    let full = stack.manager(Method::POST, "/webhooks", Some(&json!({"url": "https://8.8.8.8/"}))).await;
    full.expect_error(409, "conflict");
}

#[tokio::test]
async fn a_loopback_receiver_needs_the_operators_word() {
    let receiver = Receiver::start().await;
    let stack = Stack::start().await;
    let body = json!({"url": receiver.url()});
    stack.manager(Method::POST, "/webhooks", Some(&body)).await.expect_error(422, "validation_failed");
}

#[tokio::test]
async fn old_events_are_forgotten() {
    let hooked = Hooked::start().await;
    hooked.test().await;
    hooked.deliver().await;
    hooked.stack.advance(31 * 24 * 3600);
    hooked.test().await;
    hooked.stack.reconcile("old webhook events").await;
    assert_eq!(hooked.deliveries().await.len(), 1);
}
