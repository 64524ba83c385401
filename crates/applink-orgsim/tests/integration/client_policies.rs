//! Who may use a deployed OAuth client, and when nobody may.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::browser::{Browser, query};
use super::support::package::{Package, manifest};
use super::support::{CALLBACK, TestOrg, VERIFIER};
use url::Url;

const KEY: &str = "3MVGportal";

/// The application with its OAuth settings.
fn portal() -> Package {
    let global = format!(
        "<callbackUrl>{CALLBACK}</callbackUrl><consumerKey>{KEY}</consumerKey>\
         <externalClientApplication>Portal</externalClientApplication><isConsumerSecretOptional>true</isConsumerSecretOptional><label>p</label>"
    );
    let settings = "<commaSeparatedOauthScopes>Api, RefreshToken</commaSeparatedOauthScopes><externalClientApplication>Portal</externalClientApplication>";
    Package::new()
        .component(
            "ExternalClientApplication",
            "Portal",
            "externalClientApps",
            "eca",
            "<label>Portal</label>",
        )
        .component(
            "ExtlClntAppGlobalOauthSettings",
            "Portal_g",
            "extlClntAppGlobalOauthSets",
            "ecaGlblOauth",
            &global,
        )
        .component("ExtlClntAppOauthSettings", "Portal_o", "extlClntAppOauthSettings", "ecaOauth", settings)
}

/// Only users of that permission set.
fn approved_for(set: &str) -> Package {
    let inner = format!(
        "<commaSeparatedPermissionSet>{set}</commaSeparatedPermissionSet><externalClientApplication>Portal</externalClientApplication>\
         <label>p</label><permittedUsersPolicyType>AdminApprovedPreAuthorized</permittedUsersPolicyType>"
    );
    Package::new().component(
        "ExtlClntAppOauthConfigurablePolicies",
        "Portal_p",
        "extlClntAppOauthPolicies",
        "ecaOauthPlcy",
        &inner,
    )
}

fn switched(on: bool) -> Package {
    let inner =
        format!("<externalClientApplication>Portal</externalClientApplication><isEnabled>{on}</isEnabled>");
    Package::new().component(
        "ExtlClntAppConfigurablePolicies",
        "Portal_c",
        "extlClntAppPolicies",
        "ecaPlcy",
        &inner,
    )
}

fn without(kind: &str, name: &str) -> Package {
    let members = [(kind.to_owned(), name.to_owned())];
    Package::new().file("destructiveChanges.xml", manifest(&members))
}

async fn deploy(org: &TestOrg, package: &Package) {
    let result = org.deploy("admin", package).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
}

async fn org_with_portal() -> TestOrg {
    let org = TestOrg::start().await;
    deploy(&org, &portal()).await;
    org
}

/// What the client is told when sales, signed in, comes to it: the callback's query.
async fn come(org: &TestOrg, browser: &mut Browser<'_>) -> Url {
    let (request, path) = browser.open(&org.authorize_url(&[("client_id", KEY)])).await;
    if path == "/login" {
        browser.log_in(&request, "sales").await;
    }
    let page = browser.get(&org.url(&format!("/consent?request={request}"))).await;
    match page.status() {
        StatusCode::OK => browser.decide(&request, "allow").await,
        _ => Url::parse(&super::support::browser::location(&page)).unwrap(),
    }
}

async fn ask(org: &TestOrg, fields: &[(&str, &str)]) -> (StatusCode, Value) {
    let mut fields = fields.to_vec();
    fields.extend([("client_id", KEY), ("client_secret", "")]);
    org.token(&fields).await
}

async fn redeem(org: &TestOrg, code: &str) -> (StatusCode, Value) {
    let code = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    ask(org, &code).await
}

#[tokio::test]
async fn what_a_removed_part_said_no_longer_counts() {
    let org = org_with_portal().await;
    let mut browser = Browser::new(&org);
    deploy(&org, &Package::new().permission_set("Users", "")).await;
    deploy(&org, &approved_for("Users")).await;
    let refused = come(&org, &mut browser).await;
    assert_eq!(query(&refused, "error").as_deref(), Some("OAUTH_APP_ACCESS_DENIED"), "{refused}");
    deploy(&org, &without("ExtlClntAppOauthConfigurablePolicies", "Portal_p")).await;
    let code = query(&come(&org, &mut browser).await, "code").unwrap();
    let (status, answer) = redeem(&org, &code).await;
    assert_eq!(status, StatusCode::OK, "{answer}");

    deploy(&org, &without("ExtlClntAppGlobalOauthSettings", "Portal_g")).await;
    let gone = browser.get(&org.authorize_url(&[("client_id", KEY)])).await;
    assert_eq!(gone.status(), StatusCode::BAD_REQUEST);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", answer["refresh_token"].as_str().unwrap())];
    assert_eq!(ask(&org, &refresh).await.1["error"], "invalid_client_id");
    let dead = org.get("/services/data/v66.0/limits", answer["access_token"].as_str().unwrap()).await;
    assert_eq!(dead.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_client_that_is_switched_off_lets_nobody_in() {
    let org = org_with_portal().await;
    let mut browser = Browser::new(&org);
    let code = query(&come(&org, &mut browser).await, "code").unwrap();
    let (_, tokens) = redeem(&org, &code).await;
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let (late, _) = browser.open(&org.authorize_url(&[("client_id", KEY)])).await;
    deploy(&org, &switched(false)).await;

    let authorize = browser.get(&org.authorize_url(&[("client_id", KEY)])).await;
    let refused = Url::parse(&super::support::browser::location(&authorize)).unwrap();
    assert_eq!(query(&refused, "error").as_deref(), Some("OAUTH_APP_BLOCKED"), "{refused}");
    let consent = browser.get(&org.url(&format!("/consent?request={late}"))).await;
    assert!(super::support::browser::location(&consent).contains("error=OAUTH_APP_BLOCKED"));
    let (status, answer) = ask(&org, &refresh).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &"OAUTH_APP_BLOCKED".into()));

    deploy(&org, &switched(true)).await;
    assert_eq!(ask(&org, &refresh).await.0, StatusCode::OK);
}

#[tokio::test]
async fn only_an_assignment_in_force_approves() {
    let org = org_with_portal().await;
    let mut browser = Browser::new(&org);
    let session_based = "<hasActivationRequired>true</hasActivationRequired>";
    let sets = Package::new().permission_set("Plain", "").permission_set("Elevated", session_based);
    deploy(&org, &sets).await;
    org.assign("Plain", "sales").await;
    org.assign("Elevated", "sales").await;

    deploy(&org, &approved_for("Elevated")).await;
    let refused = come(&org, &mut browser).await;
    assert_eq!(query(&refused, "error").as_deref(), Some("OAUTH_APP_ACCESS_DENIED"), "not activated");
    deploy(&org, &approved_for("Plain")).await;
    assert!(query(&come(&org, &mut browser).await, "code").is_some());

    let soql = format!(
        "SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name = 'Plain' AND AssigneeId = '{}'",
        org.user("sales").user_id
    );
    let (_, found) = org.probe(json!({"username": org.username("admin")}), &soql).await;
    let id = found["records"][0]["Id"].as_str().unwrap();
    let expired = org
        .http
        .patch(org.url(&format!("/services/data/v66.0/sobjects/PermissionSetAssignment/{id}")))
        .bearer_auth(org.access_token_of("admin").await)
        .json(&json!({"ExpirationDate": "2026-09-21T14:13:19Z"}))
        .send()
        .await
        .unwrap();
    assert_eq!(expired.status(), StatusCode::NO_CONTENT, "{}", expired.text().await.unwrap());
    let refused = come(&org, &mut browser).await;
    assert_eq!(query(&refused, "error").as_deref(), Some("OAUTH_APP_ACCESS_DENIED"), "expired");
}

#[tokio::test]
async fn an_application_can_t_take_over_a_client_that_was_not_deployed() {
    let org = TestOrg::start().await;
    let takeover = Package::new().component(
        "ExternalClientApplication",
        "AppLink_Control_Plane",
        "externalClientApps",
        "eca",
        "<label>Mine</label>",
    );
    let result = org.deploy("admin", &takeover).await;
    assert_eq!(result["status"], "Failed", "{result}");
    org.access_token_of("sales").await;
}
