//! Promises 14 to 19: the browser round trip with whatever somebody makes of its links, and names that belong to somebody.

use applink_testkit::figures::{Figure, Tier, seed};
use reqwest::Method;
use reqwest::header::LOCATION;
use serde_json::json;

use crate::fake_org::{ORG_ID, Reply, USER_ID};
use crate::stack::{Stack, seeded};

/// Lets a credential's grant die.
async fn die(stack: &Stack, name: &str) {
    stack.advance(3600);
    let dead = Reply::Refuse("invalid_grant", "expired access/refresh token");
    stack.org.script().replies.push_back(dead);
    stack
        .app(Method::GET, &format!("/authorizations/{name}"), None)
        .await
        .expect_error(422, "reauth_required");
}

#[tokio::test]
async fn a_state_is_good_in_its_own_tenants_browser_only() {
    let stack = Stack::start().await;
    let other = stack.another_tenant("their-app").await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let bearer = format!("Bearer {}", other.api_key);
    let path = format!("/addons/{}/connections/salesforce", other.addon);
    let body = json!({"connection_name": "prod"});
    let theirs =
        stack.send(Method::POST, &path, &[("authorization", bearer.as_str())], Some(&body)).await.expect(202);
    let (their_callback, their_cookie) = stack.log_in(theirs.json()["redirect_uri"].as_str().unwrap()).await;
    stack.browse(&callback, Some(&their_cookie)).await.expect(400);
    stack.browse(&their_callback, Some(&cookie)).await.expect(400);
    assert_eq!(stack.org.count("exchange"), 0);
    stack.browse(&callback, Some(&cookie)).await.expect(200);
}

#[tokio::test]
async fn no_parameter_leads_a_browser_elsewhere() {
    let stack = Stack::with(|config| config.limits.log_in_per_minute = 0).await;
    let begun = stack.begin_connection("prod").await;
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    let chance = seeded(seed());
    let names =
        ["redirect_uri", "return_to", "next", "state", "code", "error", "url", "RelayState", "success_url"];
    let values = [
        "https://evil.example",
        "//evil.example",
        "%2f%2fevil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
    ];
    let cases = Tier::current().pick(300, 5000);
    let mut led = 0;
    for _ in 0..cases {
        let pick = |from: &[&'static str]| from[usize::try_from(chance.below(from.len() as u64)).unwrap()];
        let query = format!("{}={}&{}={}", pick(&names), pick(&values), pick(&names), pick(&values));
        let base = stack.server.url();
        let path = ["/oauth/callback", "/oauth/start/guess", "/oauth/confirm"];
        let page = stack.browse(&format!("{base}{}?{query}", pick(&path)), Some(&cookie)).await;
        let location = page.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        led += u32::from(page.status.is_redirection() || location.contains("evil"));
    }
    Figure {
        promise: "17",
        what: format!("{cases} requests to the round trip's pages with links elsewhere in their parameters"),
        measured: format!("{led} led elsewhere"),
        promised: "0".to_owned(),
        kept: led == 0,
        seed: Some(seed()),
    }
    .report();
    stack.browse(&callback, Some(&cookie)).await.expect(200);
}

#[tokio::test]
async fn the_wrong_org_or_user_for_an_existing_name_is_refused_with_both_ids() {
    const OTHER_ORG: &str = "00DSG00000DGEIr2AP";
    const OTHER_USER: &str = "005SG00000JzFnTYAV";
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    die(&stack, "worker").await;
    for (org_id, user_id, both) in
        [(Some(OTHER_ORG), None, [ORG_ID, OTHER_ORG]), (None, Some(OTHER_USER), [USER_ID, OTHER_USER])]
    {
        {
            let mut script = stack.org.script();
            (script.org_id, script.user_id) = (org_id, user_id);
        }
        let begun = stack.begin_authorization("worker").await;
        let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
        let page = stack.browse(&callback, Some(&cookie)).await.expect(200).text;
        assert!(both.iter().all(|id| page.contains(id)), "{page}");
    }
    {
        let mut script = stack.org.script();
        (script.org_id, script.user_id) = (None, None);
    }
    stack.authorize("worker").await;
    stack.token_of("worker").await;
}
