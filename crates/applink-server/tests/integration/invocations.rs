//! Is this call real? Only with a token of a connected org's own key, for this app, now.

use applink_api::ids::PublicationId;
use applink_server::publications::{self, Live, Publication};
use reqwest::Method;
use serde_json::{Value, json};

use crate::fake_org::{ORG_ID, SigningPair, USER_ID};
use crate::stack::{Answer, START, Stack};

fn claims(stack: &Stack) -> Value {
    let now = START.as_seconds();
    json!({"iss": stack.org.url(), "sub": format!("uid:{USER_ID}"), "aud": [stack.tenant.app],
        "iat": now, "nbf": now, "exp": now + 120, "jti": "token-1"})
}

async fn ask(stack: &Stack, token: &str) -> Answer {
    ask_about(stack, token, ORG_ID, &stack.tenant.app.to_string()).await
}

async fn ask_about(stack: &Stack, token: &str, org_id: &str, app: &str) -> Answer {
    let body = json!({"org_domain_url": "https://whatever.example", "core_jwt_token": token,
        "org_id": org_id, "app_uuid": app});
    stack.app(Method::POST, "/invocations/authentication", Some(&body)).await
}

/// A connected org with this app published in it.
async fn published() -> Stack {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    mark_published(&stack, &connected, ORG_ID).await;
    stack
}

/// As a publish leaves it.
pub(crate) async fn mark_published(stack: &Stack, connected: &Value, org_id: &str) {
    let app = stack.server.app();
    let now = app.clock.now();
    let live = Live { registration_id: "x".to_owned(), hash: "x".to_owned(), components: Vec::new() };
    let publication = Publication {
        removed_at: None,
        id: PublicationId::from(app.entropy.uuid()),
        addon: stack.tenant.addon,
        connection: connected["id"].as_str().unwrap().parse().unwrap(),
        app: stack.tenant.app,
        client: "Quotes".to_owned(),
        org_id: org_id.to_owned(),
        live: Some(live),
        created_at: now,
        created_by: "x".to_owned(),
        last_modified_at: now,
        last_modified_by: "x".to_owned(),
    };
    let tx = app.store.begin().await.unwrap();
    publications::store::insert(&*tx, &publication).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_good_token_is_told_what_it_proves() {
    let stack = published().await;
    let token = stack.org.key().sign(ORG_ID, &claims(&stack));
    let verdict = ask(&stack, &token).await.expect(200).json();
    assert_eq!(
        verdict,
        json!({"org_id": ORG_ID, "user_id": USER_ID, "instance_url": stack.org.url(), "connection_name": "prod",
            "expires_at": "2026-01-01T00:02:00.000000Z", "token_id": "token-1"})
    );
    for _ in 0..5 {
        ask(&stack, &token).await.expect(200);
    }
    assert_eq!(stack.org.count("keys"), 1, "keys are kept");
}

#[tokio::test]
async fn every_claim_is_demanded_and_checked() {
    let stack = published().await;
    let now = START.as_seconds();
    let cases = [
        ("iss", json!("https://other.my.salesforce.com")),
        ("sub", json!("005DS00000yYLD1YAO")),
        ("sub", json!("uid:00DSB00000VAyPF2A1")),
        ("aud", json!(["00000000-0000-4000-8000-000000000000"])),
        ("exp", json!(now - 61)),
        ("exp", json!(now + 301)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 61)),
        ("iat", json!(now + 61)),
        ("jti", json!("")),
        ("jti", json!(7)),
    ];
    for (claim, value) in cases {
        let mut changed = claims(&stack);
        changed[claim] = value.clone();
        let token = stack.org.key().sign(ORG_ID, &changed);
        let answer = ask(&stack, &token).await;
        assert_eq!(answer.status.as_u16(), 403, "{claim} = {value}: {}", answer.text);
    }
    for claim in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"] {
        let mut without = claims(&stack);
        without.as_object_mut().unwrap().remove(claim);
        let token = stack.org.key().sign(ORG_ID, &without);
        ask(&stack, &token).await.expect_error(403, "forbidden");
    }
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let stack = published().await;
    let mut forger = SigningPair::generate("org-key-1");
    let forged = forger.sign(ORG_ID, &claims(&stack));
    ask(&stack, &forged).await.expect_error(403, "forbidden");
    forger.kid = "unknown".to_owned();
    let unknown = forger.sign(ORG_ID, &claims(&stack));
    for _ in 0..5 {
        ask(&stack, &unknown).await.expect_error(403, "forbidden");
    }
    assert_eq!(stack.org.count("keys"), 1, "an unknown key is asked for at most every 30 seconds");
    stack.advance(31);
    ask(&stack, &unknown).await.expect(403);
    assert_eq!(stack.org.count("keys"), 2);

    let other_org = stack.org.key().sign("00DSG00000DGEIr2AP", &claims(&stack));
    ask(&stack, &other_org).await.expect_error(403, "forbidden");
    for nonsense in ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        ask(&stack, nonsense).await.expect_error(403, "forbidden");
    }
}

#[tokio::test]
async fn an_org_that_is_not_connected_is_refused_and_never_called() {
    let stack = published().await;
    let token = stack.org.key().sign(ORG_ID, &claims(&stack));
    let app = stack.tenant.app.to_string();
    ask_about(&stack, &token, "00DSG00000DGEIr2AP", &app).await.expect_error(403, "forbidden");
    ask_about(&stack, &token, "nonsense", &app).await.expect_error(403, "forbidden");
    assert_eq!(stack.org.count("keys"), 0);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    ask(&stack, &token).await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn another_app_and_an_unpublished_app_are_refused() {
    let stack = published().await;
    let token = stack.org.key().sign(ORG_ID, &claims(&stack));
    let other = "00000000-0000-4000-8000-000000000000";
    ask_about(&stack, &token, ORG_ID, other).await.expect_error(403, "forbidden");

    let unpublished = Stack::start().await;
    unpublished.connect("prod").await;
    let token = unpublished.org.key().sign(ORG_ID, &claims(&unpublished));
    let message = ask(&unpublished, &token).await.expect_error(403, "forbidden");
    assert!(message.contains("not published"), "{message}");
}
