//! The simulated org's pages on a large and on a narrow screen, in light and dark.

use applink_testkit::dev_stack::{DevStack, STEPS};

use super::APPLINK;
use super::browser::log_in;
use super::dashboard::Walk;

/// Menus, and the first entry of each list where it leads somewhere.
const PAGES: [(&str, &str, &str); 17] = [
    ("home", "/", ""),
    ("setup", "/setup", ""),
    ("heroku-apps", "/setup/heroku-apps", "main tbody a"),
    ("api-catalog", "/setup/api-catalog", ""),
    ("external-services", "/setup/external-services", "main tbody a"),
    ("named-credentials", "/setup/named-credentials", ""),
    ("users", "/setup/users", "main tbody a"),
    ("permission-sets", "/setup/permission-sets", "main tbody a"),
    ("external-client-apps", "/setup/external-client-apps", "main tbody a"),
    ("oauth-usage", "/setup/connected-apps-oauth-usage", "main tbody a"),
    ("deployment-status", "/setup/deployment-status", "main tbody a"),
    ("login-history", "/setup/login-history", ""),
    ("objects", "/setup/objects", "main tbody a"),
    ("records", "/records", "main tbody a"),
    ("records-of", "/records/Contact", "main tbody a"),
    ("invoke", "/invoke", "main a[href^='/invoke/']"),
    ("arrivals", "/arrivals", "main a[href^='/arrivals/']"),
];

async fn every_page(stack: &DevStack, width: u32) {
    let mut walk = Walk::start("org", width).await;
    let org = stack.text("org_url").trim_end_matches('/').to_owned();
    let (username, password) = stack.user("admin");
    walk.open(&format!("{org}/setup"), "login").await;
    log_in(&walk.browser, &username, &password).await;
    walk.browser.wait_for_text("Setup").await;
    for (name, path, first) in PAGES {
        walk.open(&format!("{org}{path}"), name).await;
        if first.is_empty() {
            continue;
        }
        let script = format!("return document.querySelector(\"{first}\")?.href ?? ''");
        let link = walk.browser.script(&script).await;
        let link = link.as_str().unwrap_or_default();
        assert!(!link.is_empty(), "{path} leads nowhere: {}", walk.browser.text().await);
        walk.open(link, &format!("{name}-one")).await;
    }
    walk.open(&format!("{org}/setup/users/nobody"), "nothing").await;
    walk.end();
}

#[tokio::test]
async fn the_orgs_pages_look_well_on_a_large_screen() {
    let stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    every_page(&stack, 1280).await;
}

#[tokio::test]
async fn the_orgs_pages_look_well_on_a_narrow_screen() {
    let stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    every_page(&stack, 390).await;
}
