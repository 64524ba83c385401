//! Ending sessions through the data API ends what their tokens can do.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::TestOrg;
use super::support::app::App;
use super::support::browser::Browser;
use super::support::package::Package;

const BASE: &str = "/services/data/v66.0";

async fn status_of(org: &TestOrg, token: &str) -> StatusCode {
    org.get(&format!("{BASE}/limits"), token).await.status()
}

async fn change_user(org: &TestOrg, admin: &str, role: &str, fields: Value) {
    let url = org.url(&format!("{BASE}/sobjects/User/{}", org.user(role).user_id));
    let changed = org.http.patch(url).bearer_auth(admin).json(&fields).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::NO_CONTENT, "{}", changed.text().await.unwrap());
}

#[tokio::test]
async fn a_deleted_session_s_token_is_dead() {
    let org = TestOrg::start().await;
    let (admin, sales) = (org.access_token_of("admin").await, org.access_token_of("sales").await);
    let soql = format!(
        "SELECT Id FROM AuthSession WHERE SessionType = 'Oauth2' AND UsersId = '{}'",
        org.user("sales").user_id
    );
    let (_, found) = org.probe(json!({"username": org.username("admin")}), &soql).await;
    assert_eq!(found["totalSize"], 1, "{found}");
    assert_eq!(status_of(&org, &sales).await, StatusCode::OK);
    let session = format!("{BASE}/sobjects/AuthSession/{}", found["records"][0]["Id"].as_str().unwrap());
    let deleted = org.http.delete(org.url(&session)).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(status_of(&org, &sales).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status_of(&org, &admin).await, StatusCode::OK, "others go on");
}

#[tokio::test]
async fn a_deactivated_user_s_tokens_are_dead_and_stay_so() {
    let (org, app) = (TestOrg::start().await, App::start().await);
    assert_eq!(org.deploy("admin", &Package::service(&app.url)).await["status"], "Succeeded");
    org.assign("Provisioning", "sales").await;
    org.assign("ProvisioningPermissions", "sales").await;
    let call = json!({"service": "Provisioning", "operation": "provision", "as": org.username("sales"), "body": {"opportunityIds": ["006"]}, "mode": "apex"});
    let (_, answer) = org.sim_post("/_sim/invoke", &call).await;
    assert_eq!(answer["state"], "waiting", "{answer}");
    let admin = org.access_token_of("admin").await;
    let mut browser = Browser::new(&org);
    let code = browser.authorize_and_allow(&org.authorize_url(&[]), "sales").await;
    let (_, tokens) = org.exchange(&code, super::support::VERIFIER).await;
    let tokens = [tokens["access_token"].as_str().unwrap().to_owned(), app.last().access_token()];
    for token in &tokens {
        assert_eq!(status_of(&org, token).await, StatusCode::OK);
    }

    change_user(&org, &admin, "sales", json!({"IsActive": false})).await;
    let invocation =
        org.sim(&format!("/_sim/invocations/{}", answer["invocation_id"].as_str().unwrap())).await;
    assert_eq!(invocation["state"], "ended");
    change_user(&org, &admin, "sales", json!({"IsActive": true})).await;
    for token in &tokens {
        assert_eq!(status_of(&org, token).await, StatusCode::UNAUTHORIZED);
    }
    let (_, path) = browser.open(&org.authorize_url(&[])).await;
    assert_eq!(path, "/login", "the browser is signed out as well");
}
