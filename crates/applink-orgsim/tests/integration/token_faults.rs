//! A token endpoint that misbehaves on request, and what a replayed refresh token costs.

use applink_orgsim::{TokenCounts, TokenFault};
use http::StatusCode;
use serde_json::{Value, json};

use super::support::{SIM_KEY, TestOrg};

async fn refresh(org: &TestOrg, token: &str) -> (StatusCode, Value) {
    org.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

/// A refresh whose answer may not come; whether one came.
async fn is_answered(org: &TestOrg, token: &str) -> bool {
    use secrecy::ExposeSecret as _;
    let (key, secret) = org.org.oauth_client();
    let form = [
        ("client_id", key.as_str()),
        ("client_secret", secret.expose_secret()),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    ];
    let sent = org.http.post(org.url("/services/oauth2/token")).form(&form).send().await;
    match sent {
        Ok(answer) => answer.bytes().await.is_ok_and(|body| !body.is_empty()),
        Err(_) => false,
    }
}

async fn rotating() -> (TestOrg, String) {
    let org = TestOrg::start().await;
    let client = json!({"name": "AppLink_Control_Plane", "rotates_refresh_tokens": true});
    org.sim_post("/_sim/oauth-clients", &client).await;
    let tokens = org.tokens_of("sales").await;
    (org, tokens["refresh_token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_grant_and_its_access_tokens() {
    let (org, first) = rotating().await;
    let (_, answer) = refresh(&org, &first).await;
    let (second, access) =
        (answer["refresh_token"].as_str().unwrap(), answer["access_token"].as_str().unwrap());
    assert_eq!(org.get("/services/oauth2/userinfo", access).await.status(), StatusCode::OK);
    for dead in [first.as_str(), second, first.as_str()] {
        let (status, answer) = refresh(&org, dead).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    }
    assert_eq!(org.get("/services/oauth2/userinfo", access).await.status(), StatusCode::FORBIDDEN);
    let counts = TokenCounts { refreshes: 4, replays: 2, families_revoked: 1, ..TokenCounts::default() };
    assert_eq!(org.org.token_counts(), counts);
    let shown = org.sim("/_sim/token-counts").await;
    assert_eq!(shown["replays"], json!(2));
}

#[tokio::test]
async fn a_lost_request_changes_nothing_and_a_lost_answer_everything() {
    let (org, first) = rotating().await;
    org.org.push_token_fault(TokenFault::LoseRequest);
    assert!(!is_answered(&org, &first).await);
    let (status, answer) = refresh(&org, &first).await;
    assert_eq!(status, StatusCode::OK, "nothing was used up");
    let second = answer["refresh_token"].as_str().unwrap();
    org.org.push_token_fault(TokenFault::LoseAnswer);
    assert!(!is_answered(&org, second).await);
    assert_eq!(refresh(&org, second).await.0, StatusCode::BAD_REQUEST, "it was used up");
    assert_eq!(org.org.token_counts().replays, 1);
}

#[tokio::test]
async fn a_request_that_arrives_twice_is_a_replay() {
    let (org, first) = rotating().await;
    org.org.push_token_fault(TokenFault::Repeat);
    let (status, answer) = refresh(&org, &first).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(refresh(&org, answer["refresh_token"].as_str().unwrap()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(org.org.token_counts().families_revoked, 1);
}

#[tokio::test]
async fn faults_are_asked_for_listed_and_forgotten_over_http() {
    let (org, first) = rotating().await;
    let fault = json!({"fault": "refuse", "error": "server_error", "description": "later", "times": 2});
    let (_, pending) = org.sim_post("/_sim/token-faults", &fault).await;
    assert_eq!(pending.as_array().unwrap().len(), 2);
    let (status, answer) = refresh(&org, &first).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("server_error")));
    let pending = org.sim("/_sim/token-faults").await;
    assert_eq!(pending.as_array().unwrap().len(), 1);
    let forget = org.http.delete(org.url("/_sim/token-faults")).header("x-sim-key", SIM_KEY);
    let forget = forget.header("content-type", "application/json");
    assert_eq!(forget.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(refresh(&org, &first).await.0, StatusCode::OK);
    let (status, _) = org.sim_post("/_sim/token-faults", &json!({"fault": "explode"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
