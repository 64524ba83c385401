//! Connecting by hand: the pages of control plane and org in a real browser.

use applink_testkit::browser::Browser;
use applink_testkit::dev_stack::{DevStack, STEPS, STEPS_FOR_OWN_APP};
use serde_json::{Value, json};

use super::{APPLINK, http};

/// On the page that asks.
const CONSENT: &str = "Allow access?";
/// On the page after a log-in that worked.
const CONNECTED: &str = "You can close this";

/// Asks for a connection as the CLI does; where the person's browser is to go, and the connection's id.
pub(super) async fn connect(stack: &DevStack, name: &str, login_url: Option<&str>) -> (String, String) {
    let mut body = json!({"connection_name": name});
    if let Some(login_url) = login_url {
        body["login_url"] = login_url.into();
    }
    let answer = http()
        .post(format!("{}/connections/salesforce", stack.text("applink_api_url")))
        .bearer_auth(stack.text("applink_api_key"))
        .header("x-app-uuid", stack.text("app_id"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "connecting");
    let text = |field: &str| answer[field].as_str().unwrap().to_owned();
    (text("redirect_uri"), text("id"))
}

async fn connection(stack: &DevStack, id: &str) -> Value {
    let answer = http()
        .get(format!("{}/connections/{id}", stack.text("applink_api_url")))
        .bearer_auth(stack.text("applink_token"))
        .send()
        .await
        .unwrap();
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_person_logs_in_consents_and_is_remembered() {
    // With an own app the tour leaves the integration user alone, who so has agreed to nothing yet.
    let stack = DevStack::start(APPLINK, &["--", APPLINK, "sample"]).await;
    stack.tour_ended(STEPS_FOR_OWN_APP).await;
    let browser = Browser::start().await;
    let (username, password) = stack.user("integration");

    let (start, id) = connect(&stack, "by_hand", None).await;
    browser.open(&start).await;
    browser.screenshot("org-login").await;
    log_in(&browser, &username, "not the password").await;
    browser.wait_for_text("Please check your username and password").await;
    log_in(&browser, &username, &password).await;
    browser.wait_for_text(CONSENT).await;
    browser.screenshot("org-consent").await;
    let scopes = browser.texts("li").await;
    assert_eq!(
        scopes,
        [
            "Read and change data through the APIs with your rights api",
            "Read who you are: the identity URL with your name and username id",
            "Keep its access while you are away, until you or an admin revoke it refresh_token",
        ],
        "each requested scope is listed"
    );
    browser.click("button[value=allow]").await;
    browser.wait_for_text(CONNECTED).await;
    browser.screenshot("connected").await;
    let connected = connection(&stack, &id).await;
    assert_eq!(connected["status"], "connected", "{}", browser.text().await);
    assert_eq!(connected["org"]["id"], stack.summary["org_id"]);

    let (start, id) = connect(&stack, "once_more", None).await;
    browser.open(&start).await;
    // The live session skips the login.
    browser.wait_for_text(CONSENT).await;
    browser.click("button[value=allow]").await;
    browser.wait_for_text(CONNECTED).await;
    assert_eq!(connection(&stack, &id).await["status"], "connected");
}

pub(super) async fn log_in(browser: &Browser, username: &str, password: &str) {
    browser.type_into("input[name=username]", username).await;
    browser.type_into("input[name=password]", password).await;
    browser.click("form button").await;
}

#[tokio::test]
async fn denying_access_fails_the_connection_with_the_orgs_word() {
    let stack = DevStack::start(APPLINK, &[]).await;
    let browser = Browser::start().await;
    let (username, password) = stack.user("sales");
    let (start, id) = connect(&stack, "denied", Some("https://login.salesforce.com")).await;
    browser.open(&start).await;
    log_in(&browser, &username, &password).await;
    browser.wait_for_text(CONSENT).await;
    browser.click("button[value=deny]").await;
    browser.wait_for_text("denied").await;
    browser.screenshot("denied").await;
    let failed = connection(&stack, &id).await;
    assert_eq!(failed["status"], "failed", "{}", browser.text().await);
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("denied"), "{message}");
}

#[tokio::test]
async fn the_sandbox_is_where_test_salesforce_com_leads() {
    let stack = DevStack::start(APPLINK, &[]).await;
    let browser = Browser::start().await;
    let (start, _id) = connect(&stack, "a_sandbox", Some("https://test.salesforce.com")).await;
    browser.open(&start).await;
    assert!(browser.url().await.starts_with(stack.text("sandbox_url")), "{}", browser.url().await);
}

#[tokio::test]
async fn the_samples_page_lists_campaigns() {
    let stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    let browser = Browser::start().await;
    browser.open(stack.text("mesh_url")).await;
    browser.screenshot("campaigns").await;
    let text = browser.text().await;
    assert!(text.contains("ampaign"), "{text}");
}

/// As `applink open` in a shell that has the stack's environment.
pub(super) async fn sign_in_link(stack: &DevStack) -> String {
    let environment = stack.state_dir().join("dev.env");
    let script = format!(". '{}' && exec '{APPLINK}' open --show-url", environment.display());
    let output = tokio::process::Command::new("sh").args(["-c", &script]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(said.starts_with("http"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test]
async fn the_dashboards_forms_count_in_a_real_browser() {
    let stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    let browser = Browser::start().await;
    browser.open(&sign_in_link(&stack).await).await;
    browser.click("button.main").await;
    browser.wait_for_text("Create Connection").await;
    browser.screenshot("dashboard-connections").await;

    // To the org and back, in the same tab.
    let (username, password) = stack.user("integration");
    browser.open(&format!("{}/connections/new", stack.text("dashboard_url"))).await;
    browser.type_into("#name", "by_hand").await;
    browser.click("main form button.main").await;
    browser.wait_for_text("Password").await;
    log_in(&browser, &username, &password).await;
    browser.wait_for_text(CONSENT).await;
    browser.click("button[value=allow]").await;
    browser.wait_for_text("Delete this connection").await;
    assert!(browser.text().await.contains("by_hand"));
    browser.screenshot("dashboard-connection").await;

    browser.resize(390, 800).await;
    browser.click("main details summary").await;
    browser.type_into("#confirm", "by_hand").await;
    browser.click("button.danger").await;
    browser.wait_for_text("Deleted").await;
    browser.screenshot("dashboard-narrow").await;
}
