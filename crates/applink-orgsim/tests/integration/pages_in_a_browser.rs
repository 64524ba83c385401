//! The org's pages in a real browser: at two widths, and live.

use applink_testkit::browser::Browser;
use secrecy::ExposeSecret;
use serde_json::json;

use super::support::TestOrg;
use super::support::app::App;
use super::support::package::Package;

async fn log_in(browser: &Browser, org: &TestOrg, role: &str) {
    let user = org.user(role);
    browser.type_into("#username", &user.username).await;
    browser.type_into("#password", user.password.expose_secret()).await;
    browser.click("#Login").await;
}

/// A page as somebody with this width sees it: nothing sticks out, every field has a label, no id is there twice.
async fn look(browser: &Browser, org: &TestOrg, path: &str, name: &str) {
    browser.open(&org.url(path)).await;
    browser.screenshot(name).await;
    let script = "const ids = [...document.querySelectorAll('[id]')].map((each) => each.id); \
        const fields = [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]; \
        return { sticksOut: document.documentElement.scrollWidth - document.documentElement.clientWidth, \
            twice: ids.filter((id, index) => ids.indexOf(id) !== index), \
            unlabelled: fields.filter((each) => each.labels.length === 0).map((each) => each.name), \
            headings: document.querySelectorAll('h1').length, local: document.querySelector('time')?.textContent ?? '' };";
    let found = browser.client().execute(script, Vec::new()).await.unwrap();
    assert_eq!(found["sticksOut"], 0, "{path} {found}");
    assert_eq!((&found["twice"], &found["unlabelled"]), (&json!([]), &json!([])), "{path}");
    assert_eq!(found["headings"], 1, "{path}");
    assert!(
        !found["local"].as_str().unwrap().contains("UTC"),
        "times are in the viewer's zone: {path} {found}"
    );
}

#[tokio::test]
async fn an_admin_goes_through_the_org() {
    let (org, app) = (TestOrg::start().await, App::start().await);
    org.deploy("admin", &Package::service(&app.url)).await;
    let browser = Browser::start().await;
    browser.open(&org.url("/login")).await;
    browser.screenshot("org-login").await;
    log_in(&browser, &org, "admin").await;
    browser.wait_for_text("External services").await;
    let user = format!("/setup/users/{}", org.user("sales").user_id);

    browser.open(&org.url(&user)).await;
    for position in [1, 2] {
        let css = format!("label.tick:nth-of-type({position}) input");
        browser.click(&css).await;
    }
    browser.click("main form button").await;
    browser.wait_for_text("Saved.").await;

    browser.open(&org.url("/invoke/Provisioning/provision")).await;
    browser.type_into("#as", &org.username("sales")).await;
    browser.type_into("textarea[name='body:/opportunityIds']", "006A").await;
    browser.click("main form button").await;
    browser.wait_for_text("The app answered").await;
    browser.screenshot("org-invoke-answer").await;

    // It arrives on the page that is open.
    browser.open(&org.url("/arrivals")).await;
    browser.wait_for_text("None yet").await;
    let received = app.last();
    let callback = received.body["callbackUrl"].as_str().unwrap();
    let body = json!({"jobId": "job-of-the-browser"});
    org.http.post(callback).bearer_auth(received.access_token()).json(&body).send().await.unwrap();
    browser.wait_for_text("job-of-the-browser").await;

    let deployment = org.sim("/_sim/deployments").await[0]["id"].as_str().unwrap().to_owned();
    for (width, size) in [(1280, "wide"), (390, "narrow")] {
        browser.resize(width, 900).await;
        for (path, name) in [
            ("/", "home"),
            ("/setup", "setup"),
            ("/setup/heroku-apps/Provisioning", "heroku-app"),
            ("/setup/external-services", "external-services"),
            ("/setup/external-services/Provisioning/delete", "delete-service"),
            ("/setup/permission-sets", "permission-sets"),
            (&user, "user"),
            ("/setup/external-client-apps/AppLink_Control_Plane", "client-app"),
            ("/setup/login-history", "login-history"),
            (&format!("/setup/deployment-status/{deployment}"), "deployment"),
            ("/records/Account", "records"),
            ("/invoke/Provisioning/provision", "invoke"),
            ("/arrivals", "arrivals"),
        ] {
            look(&browser, &org, path, &format!("org-{name}-{size}")).await;
        }
    }

    browser.open(&org.url("/setup/external-services/Provisioning/delete")).await;
    browser.click("main form button").await;
    browser.wait_for_text("The external service is deleted.").await;
    assert_eq!(org.sim("/_sim/services").await, json!([]));
}
