//! The end of an add-on: out of use at once, revoked at the orgs, erased, and what could not be done is told.

use reqwest::Method;
use serde_json::{Value, json};

use super::fake_heroku::APP;
use super::{Provider, RESOURCE};
use crate::fake_org::Reply;
use crate::stack::Answer;

impl Provider {
    /// A person, signed on by Heroku, connects an org.
    async fn connect(&self, token: &str, name: &str) {
        let sso = crate::access::sso_for(RESOURCE, self.stack.clock.now().as_seconds());
        let bearer = format!("Bearer {token}");
        let headers =
            [("authorization", bearer.as_str()), ("x-app-uuid", APP), ("x-addon-sso", sso.as_str())];
        let path = format!("/addons/{RESOURCE}/connections/salesforce");
        let body = json!({"connection_name": name});
        let begun = self.stack.send(Method::POST, &path, &headers, Some(&body)).await.expect(202).json();
        let (callback, cookie) = self.stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        self.stack.browse(&callback, Some(&cookie)).await.expect(200);
    }

    async fn report(&self) -> Answer {
        self.stack.operator(Method::GET, &format!("/operator/removals/{RESOURCE}"), None).await
    }
}

fn token_of(config: &Value) -> String {
    config["HEROKU_APPLINK_TOKEN"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_is_out_of_use_at_once_revoked_and_erased() {
    let provider = Provider::start().await;
    let token = token_of(&provider.provision().await);
    provider.connect(&token, "prod").await;
    provider.report().await.expect(404);
    let gone = provider.heroku(Method::DELETE, &provider.resource(), None).await.expect(204);
    assert_eq!(gone.text, "");
    provider.app(&token, APP, "/connections").await.expect_error(401, "unauthorized");
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect_error(410, "gone");
    provider.post("code-1").await.expect_error(410, "gone");
    let body = json!({"plan": "team"});
    provider.heroku(Method::PUT, &provider.resource(), Some(&body)).await.expect_error(410, "gone");

    provider.stack.reconcile("removals").await;
    assert_eq!(provider.report().await.expect(200).json()["stage"], json!("revoke"));
    provider.stack.reconcile("grants").await;
    assert_eq!(provider.stack.org.script().revoked.len(), 1);
    provider.stack.reconcile("removals").await;
    let report = provider.report().await.expect(200).json();
    assert_eq!((&report["stage"], &report["left"]), (&json!("done"), &json!([])), "{report}");
    assert!(report["finished_at"].is_string());
    assert_eq!(report["requested_by"], json!("Heroku"));
    let addons = provider.stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    assert_eq!(addons.as_array().unwrap().len(), 1, "{addons}");
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect_error(410, "gone");
}

#[tokio::test]
async fn an_org_that_is_away_holds_it_up_for_a_while_and_is_named_in_the_report() {
    let provider = Provider::start().await;
    let token = token_of(&provider.provision().await);
    provider.connect(&token, "prod").await;
    provider.stack.org.script().replies.extend((0..20).map(|_| Reply::Fail));
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect(204);
    provider.stack.reconcile("removals").await;
    provider.stack.reconcile("grants").await;
    provider.stack.advance(6);
    provider.stack.reconcile("removals").await;
    assert_eq!(provider.report().await.expect(200).json()["stage"], json!("revoke"));
    for _ in 0..8 {
        provider.stack.advance(140);
        provider.stack.reconcile("grants").await;
    }
    provider.stack.reconcile("removals").await;
    let report = provider.report().await.expect(200).json();
    assert_eq!(report["stage"], json!("done"));
    let left = &report["left"][0];
    assert_eq!((&left["kind"], &left["name"]), (&json!("connection"), &json!("prod")), "{report}");
    assert!(left["org_id"].as_str().is_some_and(|id| id.starts_with("00D")));
    let all = provider.stack.operator(Method::GET, "/operator/removals", None).await.expect(200).json();
    assert_eq!(all, json!([report]));
}

#[tokio::test]
async fn an_add_on_that_never_came_about_goes_without_a_call() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect(204);
    provider.step().await;
    assert!(provider.heroku.script().calls.is_empty());
    provider.stack.reconcile("removals").await;
    provider.stack.reconcile("removals").await;
    assert_eq!(provider.report().await.expect(200).json()["stage"], json!("done"));
}

#[tokio::test]
async fn the_end_that_comes_in_the_middle_of_a_step_wins() {
    let provider = Provider::start().await;
    provider.post("code-1").await.expect(202);
    for _ in 0..3 {
        provider.step().await;
    }
    provider.heroku(Method::DELETE, &provider.resource(), None).await.expect(204);
    for _ in 0..3 {
        provider.step().await;
        provider.stack.advance(10);
    }
    assert_eq!(provider.heroku.script().provisioned, 0);
    let addons = provider.stack.operator(Method::GET, "/operator/addons", None).await.expect(200).json();
    assert!(addons.as_array().unwrap().len() <= 2);
}
