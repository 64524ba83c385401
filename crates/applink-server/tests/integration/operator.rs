//! `/operator`: apps, add-ons, attachments and keys.

use applink_api::operator::API_KEY_PREFIX;
use reqwest::Method;
use sea_orm::EntityTrait as _;
use serde_json::json;

use crate::stack::{OWNER, Stack};

#[tokio::test]
async fn an_add_on_is_set_up_and_works_at_once() {
    let stack = Stack::start().await;
    let app = stack
        .operator(
            Method::POST,
            "/operator/apps",
            Some(&json!({"name": "quotes", "url": "https://quotes.example/"})),
        )
        .await
        .expect(201)
        .json();
    assert_eq!(app["url"], json!("https://quotes.example"));
    let addon = stack.operator(Method::POST, "/operator/addons", Some(&json!({"app": "quotes"}))).await;
    let addon = addon.expect(201).json();
    let name = addon["name"].as_str().unwrap();
    assert!(name.starts_with("applink-") && name.split('-').count() == 3, "{name}");
    assert_eq!(addon["attachment"], json!("HEROKU_APPLINK"));
    let token = addon["token"].as_str().unwrap();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let path = addon["api_url"].as_str().unwrap().strip_prefix(stack.server.url()).unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::GET, &format!("{path}/connections"), &headers, None).await.expect(200);

    let attach = json!({"app": "my-app", "name": "ATTACHED_APPLINK"});
    let second = format!("/operator/addons/{}/attachments", addon["id"].as_str().unwrap());
    let attached = stack.operator(Method::POST, &second, Some(&attach)).await.expect(201).json();
    assert_ne!(attached["token"], addon["token"], "one token per attachment");
    stack.operator(Method::POST, &second, Some(&attach)).await.expect_error(409, "conflict");
}

#[tokio::test]
async fn keys_are_shown_once_limited_to_two_and_void_when_revoked() {
    let stack = Stack::start().await;
    let body = json!({"owner": "ci@acme.example", "scope": "manage", "addon": stack.tenant.addon});
    let first = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect_error(409, "conflict");
    let bearer = format!("Bearer {}", first["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let path = stack.path("/connections");
    stack.send(Method::GET, &path, &headers, None).await.expect(200);
    let revoke = format!("/operator/keys/{}", first["id"].as_str().unwrap());
    stack.operator(Method::DELETE, &revoke, None).await.expect(204);
    stack.operator(Method::DELETE, &revoke, None).await.expect_error(404, "record_not_found");
    stack.send(Method::GET, &path, &headers, None).await.expect_error(401, "unauthorized");
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
}

/// Promise 41: 256 bits, of which the database has a hash and a visible prefix.
#[tokio::test]
async fn a_key_has_256_bits_and_is_stored_as_a_hash() {
    use base64::Engine as _;
    let stack = Stack::start().await;
    let body = json!({"owner": "ci@acme.example", "scope": "manage", "addon": stack.tenant.addon});
    let made = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    let key = made["key"].as_str().unwrap();
    let random = key.strip_prefix(API_KEY_PREFIX).expect("a visible prefix");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(random).unwrap();
    assert_eq!(bytes.len() * 8, 256);
    let reader = stack.server.app().store.reader();
    let rows = applink_server::api_keys::store::Entity::find().all(reader).await.unwrap();
    let row = rows.iter().find(|row| row.id.to_string() == made["id"].as_str().unwrap()).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(row.key_hash, hash);
    assert!(key.starts_with(&row.shown_prefix) && row.shown_prefix.len() < 12, "{row:?}");
    assert!(!format!("{rows:?}").contains(random), "the key itself is nowhere");
}

#[tokio::test]
async fn only_operators_get_in() {
    let stack = Stack::start().await;
    for credential in [&stack.tenant.token, &stack.tenant.api_key] {
        let bearer = format!("Bearer {credential}");
        let headers = [("authorization", bearer.as_str())];
        stack.send(Method::GET, "/operator/apps", &headers, None).await.expect_error(401, "unauthorized");
    }
    let body = json!({"owner": "ops@acme.example", "scope": "operate"});
    let key = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::GET, "/operator/apps", &headers, None).await.expect(200);
    stack
        .send(Method::GET, &stack.path("/connections"), &headers, None)
        .await
        .expect_error(404, "record_not_found");
}

#[tokio::test]
async fn bad_set_up_is_refused_with_the_field() {
    let stack = Stack::start().await;
    for (path, body, place) in [
        ("/operator/apps", json!({"name": "Quotes"}), "$.name"),
        ("/operator/apps", json!({"name": "quotes", "url": "nonsense"}), "$.url"),
        ("/operator/addons", json!({"app": "my-app", "attachment": "lower"}), "$.attachment"),
        ("/operator/keys", json!({"owner": "x", "scope": "manage"}), "$.addon"),
        ("/operator/keys", json!({"owner": " ", "scope": "operate"}), "$.owner"),
    ] {
        let answer = stack.operator(Method::POST, path, Some(&body)).await.expect(422).json();
        assert_eq!(answer["problems"][0]["place"], json!(place), "{answer}");
    }
    stack
        .operator(Method::POST, "/operator/apps", Some(&json!({"name": "my-app"})))
        .await
        .expect_error(409, "conflict");
    let unknown = stack.operator(Method::POST, "/operator/addons", Some(&json!({"app": "nothing"}))).await;
    unknown.expect_error(404, "record_not_found");
    let set = stack
        .operator(Method::PUT, "/operator/apps/my-app/url", Some(&json!({"url": "http://127.0.0.1:8070"})))
        .await;
    assert_eq!(set.expect(200).json()["url"], json!("http://127.0.0.1:8070"));
}

#[tokio::test]
async fn a_key_that_ends_by_itself_is_void_then_and_makes_room_for_another() {
    let stack = Stack::start().await;
    let body = json!({"owner": "ci@acme.example", "scope": "manage", "addon": stack.tenant.addon,
        "expires_in_days": 30});
    let key = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201).json();
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect_error(409, "conflict");
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let (headers, path) = ([("authorization", bearer.as_str())], stack.path("/connections"));
    stack.advance(30 * 86_400 - 1);
    stack.send(Method::GET, &path, &headers, None).await.expect(200);
    stack.advance(1);
    stack.send(Method::GET, &path, &headers, None).await.expect_error(401, "unauthorized");
    stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(201);
    let body = json!({"owner": "x", "scope": "operate", "expires_in_days": 0});
    let refused = stack.operator(Method::POST, "/operator/keys", Some(&body)).await.expect(422).json();
    assert_eq!(refused["problems"][0]["place"], json!("$.expires_in_days"));
}

#[tokio::test]
async fn a_name_is_erased_from_the_audit_log_and_the_log_stays_whole() {
    let stack = Stack::start().await;
    stack.begin_connection("one").await;
    let names = async || {
        let all = applink_server::audit::store::actors::Entity::find()
            .all(stack.server.app().store.reader())
            .await
            .unwrap();
        all.into_iter().filter_map(|actor| actor.name).collect::<Vec<_>>()
    };
    assert!(names().await.contains(&OWNER.to_owned()), "{:?}", names().await);
    let body = json!({"name": OWNER});
    let erased = stack.operator(Method::POST, "/operator/audit/erase-name", Some(&body)).await.expect(200);
    assert_eq!(erased.json()["erased"], json!(1));
    assert!(!names().await.contains(&OWNER.to_owned()));
    let app = stack.server.app();
    let report =
        applink_server::audit::verify::verify(app.store.reader(), app.store.journal().keys(), None).await;
    assert_eq!(report.unwrap().findings, []);
}

#[tokio::test]
async fn add_ons_and_keys_are_listed_and_found_by_name() {
    let stack = Stack::start().await;
    let all = stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    let addon = all[0].clone();
    assert_eq!(addon["id"], json!(stack.tenant.addon));
    assert_eq!(addon["attachments"][0]["name"], json!("HEROKU_APPLINK"));
    assert_eq!(addon["attachments"][0]["app"]["name"], json!("my-app"));
    let by_name = format!("/operator/addons/{}", addon["name"].as_str().unwrap());
    assert_eq!(stack.operator(Method::GET, &by_name, None).await.expect(200).json(), addon);
    stack.operator(Method::GET, "/operator/addons/nothing", None).await.expect_error(404, "record_not_found");
    let keys = stack.operator(Method::GET, "/operator/keys", None).await.expect(200);
    assert!(!keys.text.contains(&stack.tenant.api_key));
    let key = keys.json()[0].clone();
    assert_eq!((&key["owner"], &key["scope"]), (&json!(crate::stack::OWNER), &json!("manage")));
    assert!(stack.tenant.api_key.starts_with(key["shown_prefix"].as_str().unwrap()));
}

#[tokio::test]
async fn an_attachment_is_removed_with_its_token_but_not_the_last_one() {
    let stack = Stack::start().await;
    stack.another_tenant("other-app").await;
    let addon = format!("/operator/addons/{}", stack.tenant.addon);
    let body = json!({"app": "other-app", "name": "ATTACHED"});
    let made =
        stack.operator(Method::POST, &format!("{addon}/attachments"), Some(&body)).await.expect(201).json();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    stack.send(Method::GET, &stack.path("/connections"), &headers, None).await.expect(200);
    let shown = stack.operator(Method::GET, &addon, None).await.expect(200).json();
    let id = |name: &str| {
        let all = shown["attachments"].as_array().unwrap();
        let found = all.iter().find(|attachment| attachment["name"] == json!(name)).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let attached = format!("{addon}/attachments/{}", id("ATTACHED"));
    stack.operator(Method::DELETE, &attached, None).await.expect(204);
    stack.operator(Method::DELETE, &attached, None).await.expect_error(404, "record_not_found");
    stack.send(Method::GET, &stack.path("/connections"), &headers, None).await.expect(401);
    let last = format!("{addon}/attachments/{}", id("HEROKU_APPLINK"));
    let message = stack.operator(Method::DELETE, &last, None).await.expect_error(422, "validation_failed");
    assert!(message.contains("admin:addons:destroy"), "{message}");
    stack.app(Method::GET, "/connections", None).await.expect(200);
}

#[tokio::test]
async fn a_destroyed_add_on_is_out_of_use_revoked_and_erased() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    let path = format!("/operator/addons/{}", stack.tenant.addon);
    let begun = stack.operator(Method::DELETE, &path, None).await.expect(202).json();
    assert_eq!((&begun["stage"], &begun["finished_at"]), (&json!("unpublish"), &json!(null)));
    stack.app(Method::GET, "/connections", None).await.expect_error(401, "unauthorized");
    stack.manager(Method::GET, "/connections", None).await.expect_error(401, "unauthorized");
    let again = stack.operator(Method::DELETE, &path, None).await.expect(202).json();
    assert_eq!(again["requested_at"], begun["requested_at"], "asked twice is asked once");
    stack.reconcile("removals").await;
    stack.reconcile("grants").await;
    assert_eq!(stack.org.script().revoked.len(), 2);
    stack.reconcile("removals").await;
    let report = format!("/operator/removals/{}", stack.tenant.addon);
    let report = stack.operator(Method::GET, &report, None).await.expect(200).json();
    assert_eq!((&report["stage"], &report["left"]), (&json!("done"), &json!([])), "{report}");
    stack.operator(Method::GET, &path, None).await.expect_error(404, "record_not_found");
    let token = stack.tenant.token.as_str();
    for entry in std::fs::read_dir(stack.backend.folder()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains(token));
    }
}
