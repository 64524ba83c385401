//! The org's own pages: what an admin finds in Setup, records, calling apps, what comes back.

use applink_orgsim::db::{Database, DbError};
use applink_orgsim::{Clock, Entropy};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_SECURITY_POLICY, ORIGIN};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::support::TestOrg;
use super::support::app::App;
use super::support::browser::{Browser, field, location};
use super::support::package::{ADDON_UUID, APP_UUID, Package, schema};

const INVOKE: &str = "/invoke/Provisioning/provision";

/// An org in which the provisioning service is published.
async fn published() -> (TestOrg, App) {
    let (org, app) = (TestOrg::start().await, App::start().await);
    org.deploy("admin", &Package::service(&app.url)).await;
    (org, app)
}

/// The id of a permission set, as its page's address has it.
async fn set_id(org: &TestOrg, name: &str) -> String {
    let sets = org.sim("/_sim/permission-sets").await;
    let set = sets.as_array().unwrap().iter().find(|set| set["name"] == name).unwrap();
    set["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn setup_shows_what_was_deployed() {
    let (org, app) = published().await;
    org.assign("Provisioning", "sales").await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let set = format!("/setup/permission-sets/{}", set_id(&org, "ProvisioningPermissions").await);
    let user = format!("/setup/users/{}", org.user("sales").user_id);
    let cases: [(&str, &[&str]); 18] = [
        ("/setup", &["Quick Find", "Heroku Apps", "Login History", "/setup/external-services"]),
        ("/setup?find=client+app", &["External Client Apps"]),
        ("/setup/heroku-apps", &["Provisioning", "Complete"]),
        (
            "/setup/heroku-apps/Provisioning",
            &[APP_UUID, ADDON_UUID, "provision", "opportunityIds", "string[]", "progress"],
        ),
        ("/setup/api-catalog", &["Provisioning", "provision, status"]),
        ("/setup/api-catalog?tab=heroku", &["Provisioning", "Heroku"]),
        ("/setup/external-services", &["Provisioning", "Heroku", "Delete Provisioning"]),
        ("/setup/external-services/Provisioning", &["OpenApi3", &app.url, "ProvisioningPermissions"]),
        ("/setup/named-credentials", &[&app.url, "SecuredEndpoint", "Custom", "Provisioning"]),
        ("/setup/permission-sets", &["Provisioning", "session-based", "1 user"]),
        (&set, &["ProvisioningParameter__mdt", "sales@acme.example", "only while an app runs"]),
        ("/setup/users", &["sales@acme.example", "Intern", "Provisioning"]),
        (&user, &["Sales User", "Provisioning", "checked"]),
        ("/setup/external-client-apps", &["AppLink Control Plane", "refresh_token"]),
        (
            "/setup/external-client-apps/AppLink_Control_Plane",
            &["/oauth/callback", "required", "Valid until revoked"],
        ),
        ("/setup/deployment-status", &["Succeeded", "2026-09-21T14:13:20.000000Z"]),
        (
            "/setup/login-history",
            &["AppLink Control Plane", "Remote Access 2.0", "Browser", "admin@acme.example"],
        ),
        ("/setup/objects/Account", &["API name", "AnnualRevenue"]),
    ];
    for (path, texts) in cases {
        let page = admin.page(path).await;
        for text in texts {
            assert!(page.contains(text), "{path} lacks {text}: {page}");
        }
        assert!(page.contains("<main id=\"main\"") && page.contains("<nav class=\"side\""), "{path}");
    }
    assert!(!admin.page("/setup?find=client+app").await.contains("<li><a href=\"/setup/heroku-apps\""));
}

#[tokio::test]
async fn setup_is_for_those_who_may_see_it_and_its_pages_run_no_foreign_script() {
    let (org, _app) = published().await;
    let paths = ["/setup", "/setup/users", "/setup/external-services/Provisioning", "/setup/login-history"];
    for path in paths {
        let answer = Browser::new(&org).get(&org.url(path)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(location(&answer).starts_with("/login?next=/setup"), "{}", location(&answer));
        let answer = Browser::logged_in(&org, "sales").await.get(&org.url(path)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text().await.unwrap().contains("Provisioning"));
        let answer = Browser::logged_in(&org, "admin").await.get(&org.url(path)).await;
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert!(
            !page.contains("<script>") && !page.contains(" style=") && !page.contains(" onclick="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_log_in_leads_back_to_the_page_that_asked_for_it_and_nowhere_else() {
    let org = TestOrg::start().await;
    let user = org.user("admin").clone();
    for (next, leads) in [("/setup/users", "/setup/users"), ("//evil.example", "/"), ("/id/keys", "/")] {
        let mut browser = Browser::new(&org);
        let asked = field(&browser.page(&format!("/login?next={next}")).await, "next");
        assert_eq!(asked, if leads == "/" { "" } else { leads });
        let form =
            [("next", next), ("username", &user.username), ("password", user.password.expose_secret())];
        assert_eq!(location(&browser.post("/login", &form).await), leads);
    }
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (org, _app) = published().await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    for path in [
        "/setup/nothing",
        "/setup/heroku-apps/Nobody",
        "/setup/external-services/Nobody",
        "/setup/external-services/Nobody/delete",
        "/setup/permission-sets/0PS000000000000AAA",
        "/setup/users/005000000000000AAA",
        "/setup/external-client-apps/Nobody",
        "/setup/connected-apps-oauth-usage/Nobody",
        "/setup/deployment-status/0Af000000000000AAA",
        "/setup/objects/Nothing",
        "/records/Nothing",
        "/records/Account/001000000000000AAA",
        "/records/Account/%3Cscript%3E",
        "/invoke/Nobody/provision",
        "/invoke/Provisioning/nothing",
        "/arrivals/08P000000000000AAA",
    ] {
        assert_eq!(admin.get(&org.url(path)).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for (form, action) in [
        ("/invoke/Provisioning/status", "/invoke/Provisioning/nothing"),
        ("/invoke/Provisioning/status", "/setup/users/005000000000000AAA"),
        ("/invoke/Provisioning/status", "/setup/external-services/Nobody/delete"),
        ("/invoke/Provisioning/status", "/setup/permission-sets/0PS000000000000AAA"),
        ("/invoke/Provisioning/status", "/setup/connected-apps-oauth-usage/AppLink_JWT/revoke"),
        ("/invoke/Provisioning/status", "/arrivals/08P000000000000AAA/end"),
    ] {
        assert_eq!(admin.fill_in(form, action, &[]).await.status(), StatusCode::NOT_FOUND, "{action}");
    }
}

#[tokio::test]
async fn an_external_service_is_deleted_only_from_the_orgs_own_form() {
    let (org, app) = published().await;
    let page = "/setup/external-services/Provisioning/delete";
    let mut admin = Browser::logged_in(&org, "admin").await;
    let html = admin.page(page).await;
    assert!(html.contains("named credential Provisioning and the permission sets stay"), "{html}");
    for form in [&[][..], &[("token", "")], &[("token", "guessed")]] {
        let refused = admin.post(page, form).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{form:?}");
        assert!(refused.text().await.unwrap().contains("wrong_form_token"));
    }
    let token = field(&html, "token");
    let cookie = admin.cookie.clone().unwrap();
    let foreign =
        org.http.post(org.url(page)).header("cookie", &cookie).header(ORIGIN, "http://evil.example");
    let foreign = foreign.form(&[("token", &token)]).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "{}", foreign.text().await.unwrap());
    let anonymous = Browser::new(&org).post(page, &[("token", &token)]).await;
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    let other = Browser::logged_in(&org, "integration").await.post(page, &[("token", &token)]).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        org.sim("/_sim/services").await.as_array().unwrap().len(),
        1,
        "nothing was deleted by all that"
    );

    let done = admin.fill_in(page, page, &[]).await;
    assert_eq!(location(&done), "/setup/external-services?done=deleted");
    let list = admin.page(&location(&done)).await;
    assert!(
        list.contains("The external service is deleted.")
            && list.contains("No external service is registered")
    );
    assert_eq!(org.sim("/_sim/services").await, json!([]));
    assert!(admin.page("/setup/named-credentials").await.contains(&app.url));
    assert_eq!(org.sim("/_sim/permission-sets").await.as_array().unwrap().len(), 2);
    assert_eq!(admin.get(&org.url(page)).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_ticked_right_changes_what_a_call_does() {
    let (org, app) = published().await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let sales = org.username("sales");
    let call = [("as", sales.as_str()), ("body:/opportunityIds", "a\nb"), ("mode", "apex"), ("minutes", "5")];
    let refused = admin.fill_in(INVOKE, INVOKE, &call).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let user = format!("/setup/users/{}", org.user("sales").user_id);
    let html = refused.text().await.unwrap();
    assert!(html.contains("Assign one of these permission sets") && html.contains(&user), "{html}");
    assert!(html.contains(">a\nb</textarea>"), "what was typed is kept: {html}");
    assert!(app.calls().is_empty());

    let mut ticks = Vec::new();
    let (open, elevated) =
        (set_id(&org, "Provisioning").await, set_id(&org, "ProvisioningPermissions").await);
    for set in [&open, &elevated] {
        ticks.extend([("shown", set.as_str()), ("has", set.as_str())]);
    }
    let saved = admin.fill_in(&user, &user, &ticks).await;
    assert_eq!(location(&saved), format!("{user}?page=1&done=saved"));
    assert!(admin.page(&location(&saved)).await.contains("role=\"status\">Saved."));

    let answered = admin.fill_in(INVOKE, INVOKE, &call).await;
    assert_eq!(answered.status(), StatusCode::OK);
    let html = answered.text().await.unwrap();
    let received = app.last();
    assert_eq!(received.body["opportunityIds"], json!(["a", "b"]));
    assert_eq!(received.context("x-client-context")["userContext"]["username"], sales.as_str());
    for text in ["201", "jobId", "x-client-context", "accessToken", "•••", &received.header("x-request-id")]
    {
        assert!(html.contains(text), "lacks {text}: {html}");
    }
    let callback = received.body["callbackUrl"].as_str().unwrap().to_owned();
    let handle = callback.rsplit('/').next().unwrap();
    let auth = received.context("x-request-context")["auth"].as_str().unwrap().to_owned();
    for secret in [received.access_token().as_str(), auth.as_str(), handle] {
        assert!(!html.contains(secret), "a secret is on the page");
    }

    let untick = [("shown", open.as_str()), ("was", open.as_str())];
    assert_eq!(admin.fill_in(&user, &user, &untick).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(admin.fill_in(INVOKE, INVOKE, &call).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn ticks_from_a_page_of_a_while_ago_undo_nothing() {
    let (org, _app) = published().await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let (open, elevated) =
        (set_id(&org, "Provisioning").await, set_id(&org, "ProvisioningPermissions").await);
    // The page was opened before this; on it only the other one gets ticked.
    org.assign("Provisioning", "intern").await;
    let page = format!("/setup/users/{}", org.user("intern").user_id);
    let form = [("shown", open.as_str()), ("shown", elevated.as_str()), ("has", elevated.as_str())];
    admin.fill_in(&page, &page, &form).await;
    let intern = org.username("intern");
    for set in org.sim("/_sim/permission-sets").await.as_array().unwrap() {
        assert_eq!(set["assigned_to"], json!([intern]), "{set}");
    }
    let page = format!("/setup/permission-sets/{open}");
    let (intern, sales) = (org.user("intern").user_id.clone(), org.user("sales").user_id.clone());
    let form =
        [("shown", intern.as_str()), ("was", &intern), ("shown", &sales), ("has", &sales), ("page", "1")];
    let saved = admin.fill_in(&page, &page, &form).await;
    assert_eq!(location(&saved), format!("{page}?page=1&done=saved"));
    let sets = org.sim("/_sim/permission-sets").await;
    assert_eq!(sets[0]["assigned_to"], json!([org.username("sales")]));
}

#[tokio::test]
async fn everybody_calls_as_themselves_and_only_who_manages_users_as_others() {
    let (org, app) = published().await;
    org.assign("Provisioning", "sales").await;
    let mut sales = Browser::logged_in(&org, "sales").await;
    let form = "/invoke/Provisioning/status";
    let html = sales.page(form).await;
    assert!(html.contains("Called as") && !html.contains("<datalist") && !html.contains("admin@"), "{html}");
    let admin = org.username("admin");
    let fields = [("as", admin.as_str()), ("parameter:job", "a/b ü"), ("parameter:limit", "3")];
    assert_eq!(sales.fill_in(form, form, &fields).await.status(), StatusCode::OK);
    let received = app.last();
    assert_eq!(
        received.context("x-client-context")["userContext"]["username"],
        org.username("sales").as_str()
    );
    assert_eq!(received.uri.to_string(), "/api/status/a%2Fb%20%C3%BC?limit=3");

    for (fields, status, problem) in [
        ([("parameter:job", "j"), ("parameter:limit", "three")], 422, "no whole number"),
        ([("parameter:job", "j"), ("parameter:limit", "11")], 400, "limit"),
        ([("parameter:job", ""), ("parameter:limit", "1")], 400, "job"),
    ] {
        let answer = sales.fill_in(form, form, &fields).await;
        assert_eq!(answer.status(), status, "{fields:?}");
        assert!(answer.text().await.unwrap().contains(problem), "{fields:?}");
    }
    assert_eq!(app.calls().len(), 1);

    // Another's invocation is not there for them, neither to see nor to end.
    let id = org.sim("/_sim/invocations").await[0]["invocation_id"].as_str().unwrap().to_owned();
    let mut intern = Browser::logged_in(&org, "intern").await;
    assert!(!intern.page("/arrivals").await.contains("Provisioning.status"));
    assert_eq!(intern.get(&org.url(&format!("/arrivals/{id}"))).await.status(), StatusCode::NOT_FOUND);
    let end = format!("/arrivals/{id}/end");
    assert_eq!(intern.fill_in(form, &end, &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn callbacks_show_as_they_arrive_and_an_invocation_can_be_ended() {
    let (org, app) = published().await;
    for set in ["Provisioning", "ProvisioningPermissions"] {
        org.assign(set, "sales").await;
    }
    let mut sales = Browser::logged_in(&org, "sales").await;
    let empty = sales.page("/arrivals").await;
    assert!(empty.contains("None yet.") && !empty.contains("Data Cloud"), "{empty}");
    sales.fill_in(INVOKE, INVOKE, &[("body:/opportunityIds", "a")]).await;
    let received = app.last();
    let callback = received.body["callbackUrl"].as_str().unwrap();
    for (token, body) in
        [(received.access_token(), json!({"jobId": "<b>7"})), ("x".into(), json!({"wrong": 1}))]
    {
        org.http.post(callback).bearer_auth(token).json(&body).send().await.unwrap();
    }
    let page = sales.page("/arrivals").await;
    assert_ne!(version(&empty), version(&page), "what is live is told to have changed");
    for text in [
        "&#60;b&#62;7",
        "as sales@acme.example",
        "refused: not the invocation",
        "body.jobId: the property is required",
    ] {
        assert!(page.contains(text), "lacks {text}: {page}");
    }
    let invocation = org.sim("/_sim/invocations").await[0]["invocation_id"].as_str().unwrap().to_owned();
    let page = format!("/arrivals/{invocation}");
    assert!(sales.page(&page).await.contains("waiting, for callbacks until"));
    let ended = sales.fill_in(&page, &format!("{page}/end"), &[]).await;
    assert_eq!(location(&ended), format!("{page}?done=ended"));
    assert!(sales.page(&page).await.contains("<dd>ended</dd>"));
    assert_eq!(org.get("/services/data/v66.0/limits", &received.access_token()).await.status(), 401);
}

fn version(page: &str) -> String {
    page.split("data-live=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn access_is_seen_and_taken_back_and_failed_log_ins_are_kept() {
    let org = TestOrg::start().await;
    let tokens = org.tokens_of("sales").await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let wrong = [("username", "<i>nobody"), ("password", "x")];
    assert_eq!(Browser::new(&org).post("/login", &wrong).await.status(), StatusCode::UNAUTHORIZED);
    let history = admin.page("/setup/login-history").await;
    assert!(
        history.contains("&#60;i&#62;nobody") && history.contains("Invalid username or password"),
        "{history}"
    );
    let page = "/setup/connected-apps-oauth-usage/AppLink_Control_Plane";
    let html = admin.page(page).await;
    assert!(html.contains("sales@acme.example") && html.contains("refresh_token"), "{html}");
    let grant = field(&html, "grant");
    let revoke = format!("{page}/revoke");
    let refused = Browser::logged_in(&org, "sales").await.post(&revoke, &[("grant", &grant)]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let done = admin.fill_in(page, &revoke, &[("grant", &grant)]).await;
    assert_eq!(location(&done), format!("{page}?done=revoked"));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, answer) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    let user = format!("/setup/users/{}", org.user("sales").user_id);
    // There is no permission set yet, so the page has no form; the token is the same on all of them.
    assert!(admin.page(&user).await.contains("The org has none to give"));
    let token = field(&html, "token");
    let again = admin.post(&revoke, &[("token", &token), ("grant", &grant)]).await;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_failed_deployment_says_which_component_and_where() {
    let org = TestOrg::start().await;
    let package = Package::new().permission_set("Odd", "<colour>red</colour>");
    let result = org.deploy("admin", &package).await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let page = format!("/setup/deployment-status/{}", result["id"].as_str().unwrap());
    assert!(admin.page("/setup/deployment-status").await.contains(&page));
    let html = admin.page(&page).await;
    for text in
        ["Failed", "PermissionSet", "Odd", "colour invalid at this location", "line 4", "badge bad\">failed"]
    {
        assert!(html.contains(text), "lacks {text}: {html}");
    }
}

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    let org = TestOrg::start().await;
    let nasty = "<script>alert(1)</script> 東京 \"quoted\" ÄÖÜ";
    let escaped = nasty.replace('&', "&amp;").replace('<', "&lt;");
    let mut document = schema();
    document["paths"]["/api/provision"]["post"]["summary"] = nasty.into();
    document["components"]["schemas"]["Request"]["properties"]["<img src=x>"] =
        json!({"type": "string", "description": nasty, "enum": [nasty]});
    let mut package = Package::service("http://127.0.0.1:9").registration(
        "N123456789012345678901234567890",
        &document.to_string(),
        &["provision"],
    );
    package = package
        .named_credential("N123456789012345678901234567890", "http://127.0.0.1:9")
        .external_credential("N123456789012345678901234567890");
    let package = package.permission_set("Odd", &format!("<description>{escaped}</description>"));
    let result = org.deploy("admin", &package).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    let token = org.access_token_of("admin").await;
    let account = org.http.post(org.url("/services/data/v66.0/sobjects/Account")).bearer_auth(&token);
    let account: Value = account.json(&json!({"Name": nasty})).send().await.unwrap().json().await.unwrap();
    let mut admin = Browser::logged_in(&org, "admin").await;
    let record = format!("/records/Account/{}", account["id"].as_str().unwrap());
    let set = format!("/setup/permission-sets/{}", set_id(&org, "Odd").await);
    for path in [
        "/setup/heroku-apps/N123456789012345678901234567890",
        "/setup/external-services/N123456789012345678901234567890",
        "/invoke/N123456789012345678901234567890/provision",
        "/invoke",
        "/records/Account?find=%3Cscript%3E",
        &record,
        &set,
    ] {
        let page = admin.page(path).await;
        assert!(page.contains("東京") && page.contains("&#60;script&#62;"), "{path}: {page}");
        assert!(!page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
    }
}

#[tokio::test]
async fn records_are_those_one_may_read_and_ten_thousand_come_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    let org = TestOrg::start_with(|config| config.state_dir = Some(directory.path().to_owned())).await;
    let path = directory.path().join("org.db");
    let database = Database::open(Some(&path), Clock::fixed(0), Entropy::seeded(1), "Sm1").unwrap();
    let many = "INSERT INTO \"Account\" (\"Id\", \"Name\", \"IsDeleted\", \"OwnerId\", \"CreatedDate\", \"LastModifiedDate\", \"SystemModstamp\") \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
        SELECT '001zz' || printf('%010d', i) || 'AAA', 'Row ' || i || ' 100%', 0, (SELECT \"Id\" FROM \"User\" LIMIT 1), 0, 0, 0 FROM n";
    database.write(|tx| Ok::<_, DbError>(tx.execute(many, [])?)).unwrap();
    let mut intern = Browser::logged_in(&org, "intern").await;
    let found = intern.page("/records/Account?find=100%25&page=200").await;
    assert!(found.contains("9951–10000 of 10000") && found.contains("Row 10000 100%"), "{found}");
    assert!(found.contains("page=199&#38;find=100%25") && !found.contains("rel=\"next\""), "{found}");
    assert!(intern.page("/records/Account?find=100%25&page=9999").await.contains("9951–10000 of 10000"));
    assert!(intern.page("/records/Account?find=nobody%27s").await.contains("No record is named like"));
    // Interns have no leads, and see no revenue.
    assert_eq!(intern.get(&org.url("/records/Lead")).await.status(), StatusCode::NOT_FOUND);
    let page = intern.page("/records/Account").await;
    assert!(!page.contains("Annual Revenue") && page.contains("rel=\"next\""), "{page}");
    let mut admin = Browser::logged_in(&org, "admin").await;
    assert!(admin.page("/records").await.contains("/records/Lead"));
}
