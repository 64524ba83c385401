//! Promises 14 to 18: what the org is asked, for how long, and to whom the code goes.

use applink_salesforce::oauth::PkceVerifier;
use reqwest::Method;
use serde_json::json;
use url::Url;

use crate::fake_org::FakeOrg;
use crate::stack::Stack;

fn query(url: &str) -> Vec<(String, String)> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn field(url: &str, name: &str) -> String {
    query(url).into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

/// Promise 14, 15 and 17: S256, 256 bits of state, our one callback, no scope too many.
#[tokio::test]
async fn what_the_org_is_asked() {
    let stack = Stack::start().await;
    let mut states = Vec::new();
    for name in ["one", "two"] {
        let begun = stack.begin_connection(name).await;
        let start = stack.browse(begun["redirect_uri"].as_str().unwrap(), None).await.expect(303);
        let url = start.location().to_owned();
        assert!(url.starts_with(&format!("{}/services/oauth2/authorize?", stack.org.url())), "{url}");
        assert_eq!(field(&url, "code_challenge_method"), "S256");
        assert_eq!(field(&url, "code_challenge").len(), 43);
        assert_eq!(field(&url, "redirect_uri"), format!("{}/oauth/callback", stack.server.url()));
        assert_eq!(field(&url, "scope"), "api id refresh_token");
        assert_eq!(field(&url, "response_type"), "code");
        let state = field(&url, "state");
        assert_eq!(state.len(), 43, "256 bits in base64");
        states.push(state);
    }
    assert_ne!(states[0], states[1]);
    let verifier = PkceVerifier::from_random([7; 32]);
    assert!(secrecy::ExposeSecret::expose_secret(verifier.secret()).len() >= 43);
    assert!(!format!("{verifier:?}").contains(secrecy::ExposeSecret::expose_secret(verifier.secret())));
}

/// Promise 15: ten minutes, to the second.
#[tokio::test]
async fn a_state_lives_ten_minutes() {
    for (seconds, status) in [(599, 200), (600, 400)] {
        let stack = Stack::start().await;
        let begun = stack.begin_connection("prod").await;
        let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        stack.advance(seconds);
        stack.browse(&callback, Some(&cookie)).await.expect(status);
        assert_eq!(stack.org.count("exchange"), u32::from(status == 200));
    }
}

/// Promise 16: whatever a callback says, the code goes to the host of the log-in and nowhere else.
#[tokio::test]
async fn a_code_goes_only_to_the_host_its_log_in_was_at() {
    let evil = FakeOrg::start().await;
    let stack = Stack::with(|config| {
        config.org_hosts = config.org_hosts.clone().list(evil.url()).unwrap();
    })
    .await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let evil_url = evil.url();
    let mixed_up = format!(
        "{callback}&iss={evil_url}&instance_url={evil_url}&login_url={evil_url}&sfdc_community_url={evil_url}&id={evil_url}/id/x/y"
    );
    stack.browse(&mixed_up, Some(&cookie)).await.expect(200);
    assert_eq!(stack.org.count("exchange"), 1);
    assert_eq!(evil.script().counts.values().sum::<u32>(), 0, "the other org heard nothing");
}

/// Promise 18: a login URL is a Salesforce host over https or one the operator listed.
#[tokio::test]
async fn a_login_url_elsewhere_is_refused_before_anything_happens() {
    let stack = Stack::start().await;
    for url in [
        "http://login.salesforce.com",
        "https://login.salesforce.com.evil.example",
        "https://evil.example/login.salesforce.com",
        "https://salesforce.com.evil.example",
        "https://evil-salesforce.com",
        "https://login.salesforce.com@evil.example",
        "https://user:pw@login.salesforce.com",
        "https://login.salesforce.com:8443",
        "https://127.0.0.1",
        "https://169.254.169.254",
        "javascript:alert(1)",
        "//evil.example",
    ] {
        for path in ["/connections/salesforce", "/authorizations/salesforce"] {
            let body = json!({"connection_name": "prod", "developer_name": "prod", "login_url": url});
            let answer = stack.manager(Method::POST, path, Some(&body)).await;
            let problems = answer.json()["problems"].clone();
            answer.expect_error(422, "validation_failed");
            assert_eq!(problems[0]["place"], json!("$.login_url"), "{url}");
        }
    }
    let listed = stack.manager(Method::GET, "/connections", None).await.expect(200).json();
    assert_eq!(listed, json!([]));
}
