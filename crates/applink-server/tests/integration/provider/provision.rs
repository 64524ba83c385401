//! From Heroku's request to config vars on an app.

use reqwest::Method;
use serde_json::json;

use super::fake_heroku::{APP, OTHER_APP, attachment};
use super::{Provider, RESOURCE, SLUG, request};
use crate::logs;

#[tokio::test]
async fn it_is_asynchronous_and_ends_with_config_vars_that_work() {
    let provider = Provider::start().await;
    let made = provider.post("code-1").await.expect(202).json();
    assert_eq!(
        made["id"],
        json!(RESOURCE),
        "the add-on has Heroku's own id, which the CLI puts into its paths"
    );
    assert!(made["message"].as_str().is_some_and(|text| !text.is_empty()));
    assert!(provider.heroku.script().calls.is_empty(), "nothing is waited for");
    let expected = [vec!["token"], vec!["attachments", "app"], vec!["config"], vec!["action"], vec![]];
    for calls in expected {
        provider.heroku.script().calls.clear();
        provider.step().await;
        assert_eq!(provider.heroku.script().calls, calls, "one step at a time");
    }
    let config = provider.heroku.script().config.clone();
    assert_eq!(config.as_object().unwrap().len(), 2);
    let url = config["HEROKU_APPLINK_API_URL"].as_str().unwrap();
    assert_eq!(url, format!("{}/addons/{RESOURCE}", provider.stack.server.url()));
    let token = config["HEROKU_APPLINK_TOKEN"].as_str().unwrap();
    assert_eq!(token.len(), 64);
    provider.app(token, APP, "/connections").await.expect(200);
    let apps = provider.stack.operator(Method::GET, "/operator/apps", None).await.expect(200).json();
    let app = apps.as_array().unwrap().iter().find(|app| app["id"] == json!(APP)).unwrap().clone();
    assert_eq!(app["url"], json!("https://my-herokuapp-0123.herokuapp.com"), "orgs call it there");
}

#[tokio::test]
async fn a_repeated_request_makes_nothing_twice() {
    let provider = Provider::start().await;
    let first = provider.post("code-1").await.expect(202).json();
    for steps in 0..6 {
        let again = provider.post("code-1").await.expect(202).json();
        assert_eq!(again, first, "after {steps} steps");
        provider.step().await;
    }
    assert_eq!(provider.heroku.script().spent.len(), 1);
    assert_eq!(provider.heroku.script().provisioned, 1);
    let addons = provider.stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    let of_heroku = addons.as_array().unwrap().iter().filter(|addon| addon["id"] == json!(RESOURCE)).count();
    assert_eq!(of_heroku, 1);
}

#[tokio::test]
async fn requests_at_once_are_one_resource() {
    let provider = Provider::start().await;
    let both = futures_util::future::join_all((0..4).map(|_| provider.post("code-1"))).await;
    for answer in both {
        assert_eq!(answer.expect(202).json()["id"], json!(RESOURCE));
    }
    let addons = provider.stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    assert_eq!(addons.as_array().unwrap().len(), 2, "the stack's own, and Heroku's");
}

#[tokio::test]
async fn every_step_that_fails_is_tried_again_until_it_works() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    for what in ["token", "token", "attachments", "app", "config", "action"] {
        provider.heroku.fail_next(what, 503);
    }
    // Pauses double within a step: nothing is asked before they are over.
    for _ in 0..24 {
        provider.step().await;
        provider.stack.advance(2);
    }
    let script = provider.heroku.script();
    assert!(script.failures.is_empty(), "{:?}", script.failures);
    assert_eq!((script.provisioned, script.spent.len()), (1, 1));
    assert!(script.config["HEROKU_APPLINK_TOKEN"].is_string());
}

#[tokio::test]
async fn a_grant_that_is_refused_at_first_is_exchanged_later() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    provider.heroku.fail_next("token", 401);
    provider.step().await;
    provider.step().await;
    assert_eq!(provider.heroku.script().calls, ["token"], "not before the pause is over");
    provider.stack.advance(2);
    for _ in 0..4 {
        provider.step().await;
    }
    assert_eq!(provider.heroku.script().provisioned, 1);
}

#[tokio::test]
async fn a_grant_that_was_spent_in_vain_is_replaced_by_the_next_request_s() {
    let provider = Provider::start().await;
    provider.heroku.script().spent.push("code-1".to_owned());
    provider.post("code-1").await.expect(202);
    provider.step().await;
    provider.stack.advance(400);
    provider.step().await;
    provider.stack.advance(400);
    provider.step().await;
    assert_eq!(provider.heroku.script().calls, ["token", "token"], "after five minutes it is hopeless");
    provider.post("code-2").await.expect(202);
    for _ in 0..4 {
        provider.step().await;
    }
    assert_eq!(provider.heroku.script().provisioned, 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_last_step_does_no_harm() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    for _ in 0..3 {
        provider.step().await;
    }
    // Heroku did it, and we were killed before we knew.
    provider.heroku.script().provisioned = 1;
    provider.step().await;
    provider.stack.advance(2);
    provider.step().await;
    let calls = provider.heroku.script().calls.clone();
    assert_eq!(calls.last(), Some(&"addon"), "asked what it is, and content: {calls:?}");
}

#[tokio::test]
async fn what_takes_twelve_hours_is_given_up_and_heroku_told() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    provider.step().await;
    provider.heroku.fail_next("attachments", 503);
    provider.step().await;
    provider.stack.advance(12 * 3600);
    provider.step().await;
    assert_eq!(provider.heroku.script().given_up, 1);
    assert_eq!(provider.heroku.script().refreshes, 1, "the access token was dead by then");
    provider.step().await;
    assert_eq!(provider.heroku.script().given_up, 1);
}

#[tokio::test]
async fn a_dead_or_refused_access_token_is_replaced() {
    let provider = Provider::start().await;
    provider.provision().await;
    provider.stack.advance(310);
    provider.heroku.script().access_token = "another".to_owned();
    provider.step().await;
    assert_eq!(provider.heroku.script().refreshes, 1, "it was refused");
    provider.stack.advance(9 * 3600);
    provider.step().await;
    assert_eq!(provider.heroku.script().refreshes, 2, "its time was over");
}

#[tokio::test]
async fn without_a_refresh_token_the_access_token_s_end_is_a_refusal_and_not_a_broken_row() {
    let provider = Provider::start().await;
    provider.heroku.script().without_refresh_token = true;
    provider.provision().await;
    provider.stack.advance(9 * 3600);
    provider.heroku.script().calls.clear();
    provider.step().await;
    assert_eq!(provider.heroku.script().calls, ["token"], "what stands for it can be read");
    provider.step().await;
    assert_eq!(provider.heroku.script().calls, ["token"], "and the next try waits");
    provider.stack.advance(2);
    provider.step().await;
    assert_eq!(provider.heroku.script().calls, ["token", "token"]);
}

#[tokio::test]
async fn apps_it_is_attached_to_later_share_its_token() {
    let provider = Provider::start().await;
    let config = provider.provision().await;
    let token = config["HEROKU_APPLINK_TOKEN"].as_str().unwrap();
    provider.stack.advance(20);
    provider.app(token, OTHER_APP, "/connections").await.expect_error(403, "forbidden");
    provider.heroku.script().attachments.push(attachment(OTHER_APP, "my-app", "ATTACHED_APPLINK"));
    provider.app(token, OTHER_APP, "/connections").await.expect_error(403, "forbidden");
    provider.step().await;
    provider.app(token, OTHER_APP, "/connections").await.expect(200);
    provider.app(token, APP, "/connections").await.expect(200);

    let first = provider.heroku.script().attachments.remove(0);
    provider.stack.advance(310);
    provider.step().await;
    provider.app(token, OTHER_APP, "/connections").await.expect(200);
    provider.app(token, APP, "/connections").await.expect_error(403, "forbidden");
    assert_eq!(first["name"], json!("HEROKU_APPLINK"));
}

#[tokio::test]
async fn only_heroku_with_the_manifest_s_credentials_gets_in() {
    let provider = Provider::start().await;
    let body = request("code-1");
    for (user, password) in [(SLUG, "wrong"), ("other", super::PASSWORD), ("", ""), (SLUG, "")] {
        for (method, path) in [
            (Method::POST, "/heroku/resources".to_owned()),
            (Method::PUT, provider.resource()),
            (Method::DELETE, provider.resource()),
        ] {
            let refused = provider.call(method, &path, Some(&body), user, password).await;
            refused.expect_error(401, "unauthorized");
        }
    }
    let none = provider.stack.send(Method::POST, "/heroku/resources", &[], Some(&body)).await;
    none.expect_error(401, "unauthorized");
    assert!(provider.heroku.script().calls.is_empty());
}

#[tokio::test]
async fn bad_input_is_refused_and_stores_nothing() {
    let provider = Provider::start().await;
    let mut plan = request("code-1");
    plan["plan"] = json!("premium");
    let refused = provider.heroku(Method::POST, "/heroku/resources", Some(&plan)).await;
    let message = refused.expect_error(422, "validation_failed");
    assert!(message.contains("`premium`"), "{message}");
    for field in ["uuid", "name", "plan", "oauth_grant"] {
        let mut body = request("code-1");
        body.as_object_mut().unwrap().remove(field);
        provider.heroku(Method::POST, "/heroku/resources", Some(&body)).await.expect(422);
    }
    let mut uuid = request("code-1");
    uuid["uuid"] = json!("not-a-uuid");
    provider.heroku(Method::POST, "/heroku/resources", Some(&uuid)).await.expect(422);
    provider
        .heroku(Method::PUT, "/heroku/resources/nothing", Some(&json!({"plan": "free"})))
        .await
        .expect(404);
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect_error(404, "record_not_found");
    let addons = provider.stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    assert_eq!(addons.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_plan_is_changed() {
    let provider = Provider::start().await;
    provider.provision().await;
    let body = json!({"plan": "team"});
    let changed = provider.heroku(Method::PUT, &provider.resource(), Some(&body)).await.expect(200).json();
    assert!(changed["message"].as_str().unwrap().contains("team"));
    let body = json!({"plan": "premium"});
    provider.heroku(Method::PUT, &provider.resource(), Some(&body)).await.expect(422);
}

#[tokio::test]
async fn no_secret_of_heroku_s_gets_into_logs_or_rows() {
    logs::record();
    let provider = Provider::start().await;
    let config = provider.provision().await;
    provider.stack.advance(9 * 3600);
    provider.step().await;
    let token = config["HEROKU_APPLINK_TOKEN"].as_str().unwrap().to_owned();
    let logged = logs::recorded();
    let canaries = [super::PASSWORD, super::CLIENT_SECRET, super::SALT, "code-1", "canary-heroku"];
    for secret in canaries.into_iter().chain([token.as_str()]) {
        assert!(!logged.contains(secret), "a secret was logged");
    }
    if provider.stack.backend.is_sqlite {
        let mut rows = Vec::new();
        for entry in std::fs::read_dir(provider.stack.backend.folder()).unwrap() {
            rows.extend(std::fs::read(entry.unwrap().path()).unwrap_or_default());
        }
        let rows = String::from_utf8_lossy(&rows).into_owned();
        for secret in ["canary-heroku", token.as_str(), "code-1"] {
            assert!(!rows.contains(secret), "a secret is in the clear in the database");
        }
    }
}
