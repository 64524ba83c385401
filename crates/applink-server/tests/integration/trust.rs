//! What a mesh polls so that it can verify by itself, and what it reports.

use applink_api::ids::AddonId;
use applink_server::invocations::store;
use reqwest::Method;
use serde_json::{Value, json};

use crate::fake_org::{ORG_ID, USER_ID};
use crate::invocations::mark_published;
use crate::stack::{Answer, START, Stack};

async fn bundle(stack: &Stack) -> Answer {
    stack.app(Method::GET, "/trust-bundle", None).await.expect(200)
}

async fn poll(stack: &Stack, etag: &str) -> Answer {
    let bearer = format!("Bearer {}", stack.tenant.token);
    let headers = [("authorization", bearer.as_str()), ("if-none-match", etag)];
    stack.send(Method::GET, &stack.path("/trust-bundle"), &headers, None).await
}

fn etag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_bundle_holds_connected_orgs_with_their_keys_and_where_the_app_is_published() {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    mark_published(&stack, &connected, ORG_ID).await;
    let before = bundle(&stack).await.json();
    assert_eq!(before["orgs"][0]["keys"], json!([]), "fetched beside the request, not in it");
    assert_eq!(stack.org.count("keys"), 0);

    stack.reconcile("org keys").await;
    let answer = bundle(&stack).await;
    let version = answer.json()["version"].clone();
    assert_eq!(etag(&answer), format!("\"{}\"", version.as_str().unwrap()));
    let jwk = stack.org.key().jwk();
    assert_eq!(
        answer.json(),
        json!({"version": version, "issued_at": START.to_string(), "app_uuid": stack.tenant.app,
            "orgs": [{"org_id": ORG_ID, "instance_url": stack.org.url(), "connection_name": "prod",
                "state": "connected", "policy": "strict",
                "keys": [{"kid": jwk["kid"], "n": jwk["n"], "e": jwk["e"]}], "keys_fetched_at": START.to_string()}],
            "publications": [{"org_id": ORG_ID, "client_name": "Quotes"}]})
    );
    stack.reconcile("org keys").await;
    assert_eq!(stack.org.count("keys"), 1, "keys are kept for an hour");
    stack.advance(3601);
    stack.reconcile("org keys").await;
    assert_eq!(stack.org.count("keys"), 2);
}

#[tokio::test]
async fn an_unchanged_bundle_is_304_and_a_disconnect_is_in_the_next_answer() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.reconcile("org keys").await;
    let tag = etag(&bundle(&stack).await);
    stack.advance(2);
    let same = poll(&stack, &tag).await.expect(304);
    assert_eq!((same.text.as_str(), etag(&same).as_str()), ("", tag.as_str()));
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    let changed = poll(&stack, &tag).await.expect(200).json();
    assert_ne!(changed["orgs"][0]["state"], json!("connected"));
    assert_eq!(changed["orgs"][0]["keys"], json!([]));
}

#[tokio::test]
async fn only_the_add_ons_own_token_gets_a_bundle() {
    let stack = Stack::start().await;
    stack.manager(Method::GET, "/trust-bundle", None).await.expect_error(401, "unauthorized");
    let other = stack.another_tenant("other-app").await;
    let bearer = format!("Bearer {}", other.token);
    let foreign = [("authorization", bearer.as_str())];
    stack.send(Method::GET, &stack.path("/trust-bundle"), &foreign, None).await.expect(404);
    stack.send(Method::GET, &stack.path("/trust-bundle"), &[], None).await.expect(401);
}

#[tokio::test]
async fn an_org_that_can_not_be_asked_keeps_its_old_keys_and_holds_up_nobody() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.reconcile("org keys").await;
    let known = bundle(&stack).await.json()["orgs"][0]["keys"].clone();
    stack.advance(3601);
    stack.org.script().keys_refused = true;
    stack.reconcile("org keys").await;
    assert_eq!(bundle(&stack).await.json()["orgs"][0]["keys"], known);
    stack.reconcile("org keys").await;
    assert_eq!(stack.org.count("keys"), 2, "asked again after a pause only");
    stack.org.script().keys_refused = false;
    stack.advance(31);
    stack.reconcile("org keys").await;
    assert_eq!(stack.org.count("keys"), 3);
}

#[tokio::test]
async fn a_core_policy_takes_tokens_that_name_no_app() {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    mark_published(&stack, &connected, ORG_ID).await;
    let now = START.as_seconds();
    let claims = json!({"iss": stack.org.url(), "sub": format!("uid:{USER_ID}"), "aud": stack.org.url(),
        "iat": now, "nbf": now, "exp": now + 120, "jti": "token-1"});
    let question = json!({"org_domain_url": "https://x.example", "org_id": ORG_ID, "app_uuid": stack.tenant.app,
        "core_jwt_token": stack.org.key().sign(ORG_ID, &claims)});
    let ask = || stack.app(Method::POST, "/invocations/authentication", Some(&question));
    ask().await.expect_error(403, "forbidden");

    let core = json!({"policy": "core"});
    let path = "/connections/prod/token-policy";
    stack.app(Method::PUT, path, Some(&core)).await.expect_error(401, "unauthorized");
    stack.manager(Method::PUT, path, Some(&json!({"policy": "lax"}))).await.expect(422);
    stack.manager(Method::PUT, "/connections/none/token-policy", Some(&core)).await.expect(404);
    assert_eq!(stack.manager(Method::PUT, path, Some(&core)).await.expect(200).json(), core);
    ask().await.expect(200);
    assert_eq!(bundle(&stack).await.json()["orgs"][0]["policy"], json!("core"));
}

fn report(sequence: u64) -> Value {
    let record = |id: &str| {
        json!({"at": START.to_string(), "request_id": id, "org_id": ORG_ID, "user_id": USER_ID,
            "operation": "POST /quotes", "verdict": "verified", "status": 201, "mesh_micros": 70, "app_micros": 900})
    };
    json!({"mesh": "8a5c2c11-6f0b-4f3b-9d53-222222222222", "sequence": sequence, "version": "0.1.0",
        "bypass_all": false, "left_out": 3, "sample": [record("r-1")],
        "counts": [{"minute": START.to_string(), "verdict": "verified", "status": 201, "count": 4}]})
}

async fn counted(stack: &Stack, addon: AddonId) -> u64 {
    let reader = stack.server.app().store.reader();
    store::counts_since(reader, addon, START).await.unwrap().iter().map(|count| count.count).sum()
}

#[tokio::test]
async fn a_report_is_counted_once_however_often_it_is_sent() {
    let stack = Stack::start().await;
    let addon = stack.tenant.addon;
    for (sequence, total) in [(1, 4), (1, 4), (2, 8), (1, 8), (2, 8)] {
        stack.app(Method::POST, "/invocations/report", Some(&report(sequence))).await.expect(204);
        assert_eq!(counted(&stack, addon).await, total, "after report {sequence}");
    }
    let reader = stack.server.app().store.reader();
    let kept = store::newest_records(reader, addon, None, 10).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].operation.as_str(), kept[0].status), ("POST /quotes", 201));
    let listed = stack.manager(Method::GET, "/invocations", None).await.expect(200).json();
    assert_eq!(listed, json!([report(1)["sample"][0], report(1)["sample"][0]]));
    stack.app(Method::GET, "/invocations", None).await.expect_error(401, "unauthorized");
    stack.advance(8 * 24 * 3600);
    stack.reconcile("mesh reports").await;
    assert_eq!(counted(&stack, addon).await, 0, "a week is kept");
}

#[tokio::test]
async fn reports_are_bounded_and_from_apps_only() {
    let stack = Stack::start().await;
    stack.manager(Method::POST, "/invocations/report", Some(&report(1))).await.expect(401);
    let mut long = report(1);
    long["sample"][0]["operation"] = json!("x".repeat(201));
    let mut many = report(1);
    many["sample"] = json!(vec![report(1)["sample"][0].clone(); 65]);
    let mut nobody = report(1);
    nobody["mesh"] = json!("somebody");
    for wrong in [long, many, nobody] {
        stack
            .app(Method::POST, "/invocations/report", Some(&wrong))
            .await
            .expect_error(422, "validation_failed");
    }
    assert_eq!(counted(&stack, stack.tenant.addon).await, 0);
}

#[tokio::test]
async fn a_token_is_used_once_among_all_meshes_of_an_add_on() {
    let stack = Stack::start().await;
    let token = json!({"org_id": ORG_ID, "token_id": "t-1", "expires_at": START.plus(std::time::Duration::from_secs(120)).to_string()});
    let use_it = || stack.app(Method::POST, "/invocations/tokens", Some(&token));
    use_it().await.expect(204);
    use_it().await.expect(409);
    stack.advance(181);
    stack.reconcile("mesh reports").await;
    use_it().await.expect(204);
}
