//! Who may do what: add-on tokens, API keys, single sign-on, and other tenants' things.

use applink_server::config::Confirm;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use crate::stack::{Answer, START, Stack, Tenant};

const SALT: &str = "canary-sso-salt";

fn sso(tenant: &Tenant, timestamp: i64) -> String {
    sso_for(&tenant.addon.to_string(), timestamp)
}

/// What Heroku signs for a person, as `x-addon-sso` carries it.
pub(crate) fn sso_for(addon: &str, timestamp: i64) -> String {
    let signed = format!("{addon}:{SALT}:{timestamp}");
    let token: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let blob = json!({"action": "https://a/sso/login", "method": "post", "params": {
        "resource_id": addon, "resource_token": token, "timestamp": timestamp, "email": "person@acme.example"}});
    STANDARD.encode(blob.to_string())
}

async fn post_with(stack: &Stack, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", stack.tenant.token);
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    let body = json!({"connection_name": "prod"});
    stack.send(Method::POST, &stack.path("/connections/salesforce"), &all, Some(&body)).await
}

#[tokio::test]
async fn a_bare_token_reads_and_changes_nothing() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    stack.app(Method::GET, "/connections", None).await.expect(200);
    post_with(&stack, &[]).await.expect_error(401, "unauthorized");
    for (method, path) in [
        (Method::POST, "/authorizations/salesforce"),
        (Method::POST, "/connections/salesforce/jwt"),
        (Method::POST, "/authorizations/salesforce/jwt"),
        (Method::DELETE, "/connections/prod"),
        (Method::DELETE, "/authorizations/worker"),
    ] {
        stack.app(method, path, Some(&json!({}))).await.expect_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_fresh_single_sign_on_makes_the_token_enough() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    let stale = sso(&stack.tenant, START.as_seconds() - 301);
    let message = post_with(&stack, &[("x-addon-sso", &stale)]).await.expect_error(401, "unauthorized");
    assert!(message.contains("five minutes"), "{message}");
    post_with(&stack, &[("x-addon-sso", "nonsense")]).await.expect_error(401, "unauthorized");
    let fresh = sso(&stack.tenant, START.as_seconds());
    let made = post_with(&stack, &[("x-addon-sso", &fresh)]).await.expect(202).json();
    assert_eq!(made["created_by"], json!("person@acme.example"));
}

#[tokio::test]
async fn a_person_who_confirms_reads_whether_the_asker_is_known() {
    let stack = Stack::with(|config| {
        config.access.sso_salt = Some(SALT.into());
        config.oauth.confirm = Confirm::Always;
    })
    .await;
    let claim = "somebody who says they are person@acme.example (not verified)";
    let fresh = sso(&stack.tenant, START.as_seconds());
    let claimed = post_with(&stack, &[("x-addon-sso", &fresh)]).await.expect(202).json();
    let known = stack.begin_connection("other").await;
    for (begun, expected) in [(claimed, claim), (known, "<dd>dev@acme.example</dd>")] {
        let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        let page = stack.browse(&callback, Some(&cookie)).await.expect(200);
        assert!(page.text.contains(expected), "{}", page.text);
    }
}

#[tokio::test]
async fn without_a_salt_single_sign_on_counts_for_nothing() {
    let stack = Stack::start().await;
    let fresh = sso(&stack.tenant, START.as_seconds());
    post_with(&stack, &[("x-addon-sso", &fresh)]).await.expect_error(401, "unauthorized");
}

#[tokio::test]
async fn the_loose_rule_can_be_restored() {
    let stack = Stack::with(|config| config.access.allow_token_management = true).await;
    post_with(&stack, &[]).await.expect(202);
}

#[tokio::test]
async fn wrong_credentials_get_the_same_words() {
    let stack = Stack::start().await;
    let path = stack.path("/connections");
    let mut texts = Vec::new();
    for headers in [
        vec![],
        vec![("authorization", "Bearer wrong")],
        vec![("authorization", "Bearer alk_wrong")],
        vec![("authorization", "Basic d3Jvbmc=")],
        vec![("authorization", "Bearer ")],
    ] {
        let answer = stack.send(Method::GET, &path, &headers, None).await.expect(401);
        texts.push(answer.text);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[tokio::test]
async fn another_tenants_things_are_as_if_they_were_not_there() {
    let stack = Stack::start().await;
    let connected = stack.connect("prod").await;
    stack.authorize("worker").await;
    let stranger = stack.another_tenant("their-app").await;
    let id = connected["id"].as_str().unwrap();
    let missing = "00000000-0000-4000-8000-000000000000";
    for credential in [&stranger.token, &stranger.api_key] {
        let bearer = format!("Bearer {credential}");
        let headers = [("authorization", bearer.as_str())];
        for (method, rest) in [
            (Method::GET, "/connections"),
            (Method::GET, "/connections/prod"),
            (Method::GET, "/authorizations"),
            (Method::GET, "/authorizations/worker"),
            (Method::DELETE, "/connections/prod"),
            (Method::DELETE, "/authorizations/worker"),
        ] {
            let mut answers = Vec::new();
            for addon in [stack.tenant.addon.to_string(), missing.to_owned(), "not-a-uuid".to_owned()] {
                let path = format!("/addons/{addon}{rest}");
                answers.push(stack.send(method.clone(), &path, &headers, None).await.expect(404).text);
            }
            assert!(answers.iter().all(|text| *text == answers[0]), "{method} {rest}: {answers:?}");
        }
        let theirs = |named: &str| format!("/addons/{}/connections/{named}", stranger.addon);
        let foreign = stack.send(Method::GET, &theirs(id), &headers, None).await.expect(404).text;
        assert_eq!(stack.send(Method::GET, &theirs(missing), &headers, None).await.expect(404).text, foreign);
    }
    stack.manager(Method::GET, "/connections/prod", None).await.expect(200);
}

#[tokio::test]
async fn the_app_named_must_be_the_tokens_own() {
    let stack = Stack::start().await;
    let stranger = stack.another_tenant("their-app").await;
    let bearer = format!("Bearer {}", stack.tenant.token);
    let other = stranger.app.to_string();
    let headers = [("authorization", bearer.as_str()), ("x-app-uuid", other.as_str())];
    let answer = stack.send(Method::GET, &stack.path("/connections"), &headers, None).await;
    let message = answer.expect_error(403, "forbidden");
    assert!(
        message.contains("HEROKU_APP_ID") && message.contains(&stack.tenant.app.to_string()),
        "{message}"
    );
    let headers = [("authorization", bearer.as_str()), ("x-app-uuid", "nonsense")];
    stack
        .send(Method::GET, &stack.path("/connections"), &headers, None)
        .await
        .expect_error(400, "bad_request");
}

#[tokio::test]
async fn an_api_key_hands_out_no_tokens_and_reaches_no_run_time_route() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack
        .manager(Method::POST, "/authorizations/worker/refresh", None)
        .await
        .expect_error(401, "unauthorized");
    let body = json!({"org_domain_url": "x", "core_jwt_token": "x", "org_id": "x", "app_uuid": "x"});
    stack
        .manager(Method::POST, "/invocations/authentication", Some(&body))
        .await
        .expect_error(401, "unauthorized");
}

#[tokio::test]
async fn a_key_that_is_revoked_here_is_void_at_once_and_in_another_process_within_a_second() {
    let stack = Stack::start().await;
    let body = json!({"owner": "ci@acme.example", "scope": "manage", "addon": stack.tenant.addon});
    let made = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
    let path = stack.path("/connections");
    let headers = [("authorization", bearer.as_str())];
    let second = if stack.backend.is_sqlite {
        None
    } else {
        let (clock, _hand) = applink_api::clock::Clock::mock(stack.clock.now());
        let mut config = Stack::config(&stack.backend, &stack.org, clock);
        config.entropy = crate::stack::seeded(55);
        Some(applink_server::Server::start(config).await.unwrap())
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let elsewhere = async |url: &str| {
        let request = client.get(format!("{url}{path}")).header("authorization", &bearer);
        request.send().await.unwrap().status().as_u16()
    };
    for _ in 0..3 {
        stack.send(Method::GET, &path, &headers, None).await.expect(200);
        if let Some(second) = &second {
            assert_eq!(elsewhere(second.url()).await, 200);
        }
    }
    let revoke = format!("/operator/keys/{}", made["id"].as_str().unwrap());
    stack.operator(Method::DELETE, &revoke, None).await.expect(204);
    stack.send(Method::GET, &path, &headers, None).await.expect(401);
    if let Some(second) = second {
        let started = std::time::Duration::from_millis(1500);
        let void = async { while elsewhere(second.url()).await != 401 {} };
        tokio::time::timeout(started, void).await.expect("void within about a second");
        second.stop().await;
    }
}

#[tokio::test]
async fn a_token_of_an_attachment_that_went_is_void_at_once() {
    let stack = Stack::start().await;
    stack.app(Method::GET, "/connections", None).await.expect(200);
    let app = stack.server.app();
    let tx = app.store.begin().await.unwrap();
    applink_server::addons::store::delete_addon(&*tx, stack.tenant.addon).await.unwrap();
    tx.commit().await.unwrap();
    stack.app(Method::GET, "/connections", None).await.expect(401);
}
