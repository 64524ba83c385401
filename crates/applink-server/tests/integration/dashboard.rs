//! Signing on in a browser, from Heroku and from the stand-in, and what is seen then.

use applink_server::platform::PlatformConfig;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify;

use crate::fake_org::{CONSUMER_KEY, Reply, SigningPair, USERNAME};
use crate::platform::Platform;
use crate::stack::{Answer, Stack};

const SALT: &str = "canary-sso-salt";

fn digest_of(addon: &str, timestamp: i64) -> String {
    let signed = format!("{addon}:{SALT}:{timestamp}");
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn start() -> Stack {
    Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await
}

/// The form that Heroku has a browser send.
async fn sign_on(stack: &Stack, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Answer {
    let addon = stack.tenant.addon.to_string();
    let timestamp = stack.clock.now().as_seconds();
    let token = digest_of(&addon, timestamp);
    let mut form = vec![
        ("app", "my-app".to_owned()),
        ("context_app", "my-app".to_owned()),
        ("email", "person@acme.example".to_owned()),
        ("id", addon.clone()),
        ("nav-data", "e30=".to_owned()),
        ("resource_id", addon),
        ("resource_token", token.clone()),
        ("timestamp", timestamp.to_string()),
        ("token", token),
        ("user_id", "11111111-1111-4111-8111-111111111111".to_owned()),
    ];
    change(&mut form);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stack.submit(&format!("{}/sso/login", stack.server.url()), None, &form).await
}

fn set(form: &mut [(&'static str, String)], name: &str, value: &str) {
    form.iter_mut().filter(|(key, _)| *key == name).for_each(|(_, held)| value.clone_into(held));
}

/// The value of a hidden field.
fn csrf_of(page: &str) -> String {
    let rest = page.split("name=\"csrf\" value=\"").nth(1).expect("a form with a token");
    rest.split('"').next().expect("its end").to_owned()
}

async fn dashboard(stack: &Stack, cookie: Option<&str>) -> Answer {
    stack.browse(&format!("{}/dashboard", stack.server.url()), cookie).await
}

#[tokio::test]
async fn heroku_s_form_signs_in_and_the_page_lists_what_there_is() {
    let stack = start().await;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    dashboard(&stack, None).await.expect(401);
    let entered = sign_on(&stack, |_| {}).await.expect(303);
    assert_eq!(entered.location(), "/dashboard");
    let set = entered.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let cookie = entered.cookie();
    let page = dashboard(&stack, Some(&cookie)).await.expect(200).text;
    for text in ["person@acme.example", "prod", "connected"] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let url = format!("{}/dashboard/authorizations", stack.server.url());
    let users = stack.browse(&url, Some(&cookie)).await.expect(200).text;
    for text in ["worker", "authorized", "admin@acme.example"] {
        assert!(users.contains(text), "{text} is missing in {users}");
    }
    assert!(!page.contains("canary"), "no secret is on the page");

    let out = format!("{}/dashboard/sign-out", stack.server.url());
    stack.submit(&out, Some(&cookie), &[]).await.expect(403);
    dashboard(&stack, Some(&cookie)).await.expect(200);
    stack.submit(&out, Some(&cookie), &[("csrf", &csrf_of(&page))]).await.expect(303);
    dashboard(&stack, Some(&cookie)).await.expect(401);
}

#[tokio::test]
async fn a_session_ends_after_eight_hours() {
    let stack = start().await;
    let cookie = sign_on(&stack, |_| {}).await.expect(303).cookie();
    stack.advance(8 * 3600 - 1);
    dashboard(&stack, Some(&cookie)).await.expect(200);
    stack.advance(1);
    dashboard(&stack, Some(&cookie)).await.expect(401);
    stack.reconcile("expired log-ins").await;
    dashboard(&stack, Some("applink-session=nonsense")).await.expect(401);
}

#[tokio::test]
async fn a_sign_on_works_once_whoever_it_claims_to_be() {
    let stack = start().await;
    sign_on(&stack, |_| {}).await.expect(303);
    let again = sign_on(&stack, |_| {}).await.expect(403);
    assert!(!again.headers.contains_key("set-cookie"));
    sign_on(&stack, |form| set(form, "email", "boss@acme.example")).await.expect(403);
    let upper = |form: &mut Vec<(&'static str, String)>| {
        for (name, value) in form.iter_mut().filter(|(name, _)| name.ends_with("token")) {
            *value = value.to_uppercase();
            let _ = name;
        }
    };
    sign_on(&stack, upper).await.expect(403);
    stack.advance(1);
    sign_on(&stack, |_| {}).await.expect(303);
}

#[tokio::test]
async fn wrong_stale_and_garbled_ones_do_not_count() {
    let stack = start().await;
    let other = stack.another_tenant("other-app").await;
    let now = stack.clock.now().as_seconds();
    let wrong: Vec<(&str, String)> = vec![
        ("resource_token", "0".repeat(40)),
        ("resource_token", digest_of(&stack.tenant.addon.to_string(), now - 1)),
        ("resource_id", other.addon.to_string()),
        ("resource_id", "nonsense".to_owned()),
        ("timestamp", (now - 1).to_string()),
        ("timestamp", "nonsense".to_owned()),
    ];
    for (field, value) in wrong {
        sign_on(&stack, |form| set(form, field, &value)).await.expect(403);
    }
    for age in [301, -61] {
        let stale = |form: &mut Vec<(&'static str, String)>| {
            let then = now - age;
            set(form, "timestamp", &then.to_string());
            set(form, "resource_token", &digest_of(&stack.tenant.addon.to_string(), then));
        };
        sign_on(&stack, stale).await.expect(403);
    }
    let url = format!("{}/sso/login", stack.server.url());
    stack.submit(&url, None, &[]).await.expect(403);
    sign_on(&stack, |_| {}).await.expect(303);

    let unsalted = Stack::start().await;
    sign_on(&unsalted, |_| {}).await.expect(403);
}

#[tokio::test]
async fn an_add_on_that_is_gone_ends_its_sessions() {
    let stack = start().await;
    let cookie = sign_on(&stack, |_| {}).await.expect(303).cookie();
    let path = format!("/operator/addons/{}", stack.tenant.addon);
    stack.operator(Method::DELETE, &path, None).await.expect(202);
    stack.reconcile("removals").await;
    stack.reconcile("removals").await;
    dashboard(&stack, Some(&cookie)).await.expect(401);
}

#[tokio::test]
async fn the_stand_in_s_link_has_a_button_and_works_once() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let stack = &platform.stack;
    let link = async || {
        let shown = platform.get("/apps/platform-app/addon-attachments/HEROKU_APPLINK").await;
        shown["web_url"].as_str().unwrap().to_owned()
    };
    let url = link().await;
    let open = format!("{}/sso/open", stack.server.url());
    let ticket = url.rsplit('/').next().unwrap().to_owned();
    for _ in 0..2 {
        let page = stack.browse(&url, None).await.expect(200).text;
        assert!(page.contains("owner@acme.example") && page.contains(&ticket), "looking uses nothing up");
    }
    let entered = stack.submit(&open, None, &[("ticket", &ticket)]).await.expect(303);
    dashboard(stack, Some(&entered.cookie())).await.expect(200);
    stack.submit(&open, None, &[("ticket", &ticket)]).await.expect(403);
    stack.submit(&open, None, &[("ticket", &format!("{ticket}0"))]).await.expect(403);
    let late = link().await;
    stack.advance(61);
    stack.browse(&late, None).await.expect(403);
}

#[tokio::test]
async fn who_loses_the_right_to_an_app_sees_nothing_more_of_its_add_on() {
    let platform = Platform::start().await;
    platform.addon("platform-app").await;
    let stack = &platform.stack;
    let key = platform.key("dev@acme.example").await;
    let body = json!({"user": "dev@acme.example", "permissions": ["deploy"]});
    platform.post("/apps/platform-app/collaborators", body).await;
    let path = "/apps/platform-app/addon-attachments/HEROKU_APPLINK";
    let shown = platform.call(&key, Method::GET, path, None).await.expect(200).json();
    let ticket = shown["web_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let unused = platform.call(&key, Method::GET, path, None).await.expect(200).json();
    let unused = unused["web_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let open = format!("{}/sso/open", stack.server.url());
    let cookie = stack.submit(&open, None, &[("ticket", &ticket)]).await.expect(303).cookie();
    dashboard(stack, Some(&cookie)).await.expect(200);
    let path = "/teams/apps/platform-app/collaborators/dev@acme.example";
    platform.owner(Method::PATCH, path, Some(&json!({"permissions": ["view"]}))).await.expect(200);
    dashboard(stack, Some(&cookie)).await.expect(403);
    stack.submit(&open, None, &[("ticket", &unused)]).await.expect(403);
}

#[tokio::test]
async fn where_we_are_the_platform_heroku_s_bare_digest_is_not_enough() {
    let stack = Stack::with(|config| {
        config.access.sso_salt = Some(SALT.into());
        config.platform = Some(PlatformConfig::default());
    })
    .await;
    sign_on(&stack, |_| {}).await.expect(403);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_the_browser_had() {
    let stack = start().await;
    let first = sign_on(&stack, |_| {}).await.expect(303).cookie();
    stack.advance(1);
    let addon = stack.tenant.addon.to_string();
    let timestamp = stack.clock.now().as_seconds();
    let token = digest_of(&addon, timestamp);
    let form =
        [("resource_id", addon.as_str()), ("resource_token", &token), ("timestamp", &timestamp.to_string())];
    let url = format!("{}/sso/login", stack.server.url());
    let second = stack.submit(&url, Some(&first), &form).await.expect(303).cookie();
    assert_ne!(first, second);
    dashboard(&stack, Some(&first)).await.expect(401);
    dashboard(&stack, Some(&second)).await.expect(200);
}

#[tokio::test]
async fn pages_have_a_strict_policy_and_their_assets_are_kept_by_the_browser() {
    let stack = start().await;
    let cookie = sign_on(&stack, |_| {}).await.expect(303).cookie();
    let page = dashboard(&stack, Some(&cookie)).await.expect(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(!page.text.contains(" style=") && !page.text.contains("<style"), "{}", page.text);
    let mut weight = page.text.len();
    let mut assets = 0;
    for path in page.text.split('"').filter(|text| text.starts_with("/dashboard/assets/")) {
        let asset = stack.browse(&format!("{}{path}", stack.server.url()), None).await.expect(200);
        assert_eq!(asset.headers["cache-control"], "public, max-age=31536000, immutable");
        let kind = asset.headers["content-type"].to_str().unwrap();
        assert!(
            kind == "text/css; charset=utf-8" || kind == "text/javascript; charset=utf-8",
            "{path}: {kind}"
        );
        weight += asset.text.len();
        assets += 1;
    }
    assert_eq!(assets, 3);
    assert!(weight <= 100_000, "the page and all it loads weigh {weight} bytes");
}

/// A browser that is signed in.
struct Visitor {
    stack: Stack,
    cookie: String,
}

impl Visitor {
    async fn start() -> Self {
        let stack = start().await;
        let cookie = sign_on(&stack, |_| {}).await.expect(303).cookie();
        Self { stack, cookie }
    }

    async fn look(&self, path: &str) -> Answer {
        self.stack.browse(&format!("{}{path}", self.stack.server.url()), Some(&self.cookie)).await
    }

    /// Sends a form of the page, with what is hidden in it.
    async fn press(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.look(page).await.expect(200).text;
        self.send(path, &form_of(&page, fields)).await
    }

    async fn send(&self, path: &str, form: &[(String, String)]) -> Answer {
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.stack.submit(&format!("{}{path}", self.stack.server.url()), Some(&self.cookie), &form).await
    }
}

fn form_of(page: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let once =
        page.split("name=\"once\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("once");
    let hidden = [("csrf", csrf_of(page)), ("once", once.to_owned())];
    let hidden = hidden.map(|(name, value)| (name.to_owned(), value)).into_iter();
    hidden.chain(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

const NEW: &str = "/dashboard/connections/new";
const LIST: &str = "/dashboard/connections";

#[tokio::test]
async fn a_connection_is_created_and_the_log_in_comes_back_to_its_page() {
    let visitor = Visitor::start().await;
    let stack = &visitor.stack;
    let form = [("name", "prod"), ("where", "my-domain"), ("login_url", "https://login.salesforce.com")];
    let left = visitor.press(NEW, LIST, &form).await.expect(200);
    let back = left.cookie();
    let link =
        left.text.split("content=\"0;url=").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let (callback, browser) = stack.log_in(link).await;
    let cookies = format!("{browser}; {back}");
    let end = stack.browse(&callback, Some(&cookies)).await.expect(303);
    let page = end.location().to_owned();
    assert!(page.starts_with("/dashboard/connections/"), "{page}");
    let shown = visitor.look(&page).await.expect(200).text;
    assert!(shown.contains(">connected<") && !shown.contains("every 2s"), "{shown}");

    let delete = format!("{page}/delete");
    let refused = visitor.press(&page, &delete, &[("confirm", "prod2")]).await.expect(422).text;
    assert!(refused.contains("Nothing was deleted"), "{refused}");
    visitor.press(&page, &delete, &[("confirm", "prod")]).await.expect(303);
    let shown = visitor.look(&page).await.expect(200).text;
    assert!(shown.contains("disconnect") && !shown.contains("/delete"), "{shown}");
    stack.settled().await;
}

#[tokio::test]
async fn a_form_without_the_session_s_token_changes_nothing_and_keeps_what_was_typed() {
    let visitor = Visitor::start().await;
    let typed = [("name", "prod<b>"), ("secret_private_key", "canary-key")];
    let page = visitor.look(NEW).await.expect(200).text;
    let url = format!("{}{LIST}", visitor.stack.server.url());
    let form = form_of(&page, &typed);
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let out = visitor.stack.submit(&url, None, &pairs).await.expect(401).text;
    let stale = visitor.stack.submit(&url, Some(&visitor.cookie), &typed).await.expect(403).text;
    for answer in [&out, &stale] {
        assert!(answer.contains("prod&#60;b&#62;") && !answer.contains("canary-key"), "{answer}");
    }
    assert!(!out.contains("name=\"csrf\""), "nobody is signed in");
    visitor.send(LIST, &form_of(&stale, &[("name", "prod")])).await.expect(200);
    assert_eq!(visitor.stack.count_audited("connection.requested").await, 1);
}

#[tokio::test]
async fn a_second_press_of_the_button_does_nothing_more() {
    let visitor = Visitor::start().await;
    let page = visitor.look(NEW).await.expect(200).text;
    let form = form_of(&page, &[("name", "prod")]);
    visitor.send(LIST, &form).await.expect(200);
    let again = visitor.send(LIST, &form).await.expect(303);
    assert_eq!(again.location(), LIST);
    assert_eq!(visitor.stack.count_audited("connection.requested").await, 1);
    let said = format!("{}; {}", visitor.cookie, again.cookie());
    let url = format!("{}{LIST}", visitor.stack.server.url());
    assert!(visitor.stack.browse(&url, Some(&said)).await.expect(200).text.contains("sent already"));
    let forged = format!("{}; applink-notice=call+0900", visitor.cookie);
    assert!(!visitor.stack.browse(&url, Some(&forged)).await.expect(200).text.contains("0900"));
}

#[tokio::test]
async fn a_form_that_failed_for_no_fault_of_the_person_may_be_sent_again() {
    let visitor = Visitor::start().await;
    let form = by_jwt(&visitor).await;
    visitor.stack.org.script().replies.push_back(Reply::Fail);
    let failed = visitor.send(LIST, &form).await;
    assert!(failed.status.is_server_error(), "{}: {}", failed.status, failed.text);
    let made = visitor.send(LIST, &form).await.expect(303);
    assert!(made.location().starts_with("/dashboard/connections/"), "{}", made.location());
    assert_eq!(visitor.send(LIST, &form).await.expect(303).location(), LIST, "now it was sent");
}

/// Sends a form that the org keeps waiting, and goes away; what the org then does is up to the caller.
async fn sent_and_left(visitor: &Visitor, form: &[(String, String)], reply: Reply) {
    visitor.stack.org.script().replies.push_back(reply);
    tokio::select! {
        answer = visitor.send(LIST, form) => panic!("it was answered: {}", answer.text),
        () = visitor.stack.org.asked("assertion", 1) => {}
    }
}

async fn by_jwt(visitor: &Visitor) -> Vec<(String, String)> {
    let pem = SigningPair::generate("k").pem;
    let page = visitor.look(NEW).await.expect(200).text;
    let fields = [
        ("name", "prod"),
        ("method", "jwt"),
        ("client_id", CONSUMER_KEY),
        ("username", USERNAME),
        ("secret_private_key", &pem),
    ];
    form_of(&page, &fields)
}

#[tokio::test]
async fn who_goes_away_before_the_answer_finds_what_came_of_the_form() {
    let visitor = Visitor::start().await;
    let form = by_jwt(&visitor).await;
    let told = Arc::new(Notify::new());
    sent_and_left(&visitor, &form, Reply::Wait(Arc::clone(&told))).await;
    told.notify_one();
    while visitor.stack.count_audited("connection.connected").await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(visitor.send(LIST, &form).await.expect(303).location(), LIST, "it was sent already");
    let shown = visitor.look(LIST).await.expect(200).text;
    assert!(shown.contains("prod") && shown.contains(">connected<"), "{shown}");
    assert_eq!(visitor.stack.count_audited("connection.connected").await, 1);
}

#[tokio::test]
async fn who_goes_away_before_a_refusal_may_send_the_form_again() {
    let visitor = Visitor::start().await;
    let form = by_jwt(&visitor).await;
    let told = Arc::new(Notify::new());
    let refusal =
        Reply::WaitAndRefuse(Arc::clone(&told), "invalid_grant", "user hasn't approved this consumer");
    sent_and_left(&visitor, &form, refusal).await;
    told.notify_one();
    // Until the refusal is through, the form counts as sent.
    let made = loop {
        let answer = visitor.send(LIST, &form).await.expect(303);
        if answer.location() != LIST {
            break answer;
        }
    };
    assert!(made.location().starts_with("/dashboard/connections/"), "{}", made.location());
    assert_eq!(visitor.stack.count_audited("connection.connected").await, 1);
    assert_eq!(visitor.send(LIST, &form).await.expect(303).location(), LIST, "now it was sent");
}

#[tokio::test]
async fn a_bad_name_is_shown_again_escaped_with_what_is_wrong() {
    let visitor = Visitor::start().await;
    let form =
        [("name", "<script>alert(1)</script>"), ("where", "sandbox"), ("secret_private_key", "canary-key")];
    let page = visitor.press(NEW, LIST, &form).await.expect(422).text;
    assert!(page.contains("&#60;script&#62;alert(1)") && !page.contains("<script>alert"), "{page}");
    assert!(page.contains("role=\"alert\"") && !page.contains("canary-key"), "{page}");
    assert!(page.contains("value=\"sandbox\" checked"), "{page}");
}

#[tokio::test]
async fn another_add_on_s_rows_are_not_found() {
    let visitor = Visitor::start().await;
    let other = visitor.stack.another_tenant("other-app").await;
    let body = json!({"connection_name": "theirs"});
    let path = format!("/addons/{}/connections/salesforce", other.addon);
    let bearer = format!("Bearer {}", other.api_key);
    let headers = [("authorization", bearer.as_str())];
    let theirs = visitor.stack.send(Method::POST, &path, &headers, Some(&body)).await.expect(202).json();
    let path = format!("{LIST}/{}", theirs["id"].as_str().unwrap());
    visitor.look(&path).await.expect(404);
    visitor.press(NEW, &format!("{path}/delete"), &[("confirm", "theirs")]).await.expect(404);
    visitor.look("/dashboard/connections/nonsense").await.expect(404);
}

#[tokio::test]
async fn many_authorizations_are_paged_searched_and_say_who_uses_them() {
    let visitor = Visitor::start().await;
    visitor.stack.authorize("worker").await;
    visitor.stack.copy_authorization("worker", 120).await;
    visitor.stack.token_of("worker").await;
    let first = visitor.look("/dashboard/authorizations").await.expect(200).text;
    assert!(first.contains("1–50 of 120"), "{first}");
    let last = visitor.look("/dashboard/authorizations?page=3").await.expect(200).text;
    assert!(last.contains("101–120 of 120") && !last.contains("rel=\"next\""), "{last}");
    let none = visitor.look("/dashboard/authorizations?q=100%25").await.expect(200).text;
    assert!(none.contains("Nothing matches"), "{none}");
    let by_user = visitor.look("/dashboard/authorizations?q=ADMIN%40acme").await.expect(200).text;
    assert!(by_user.contains("of 120"), "{by_user}");
    let shown = visitor.look("/dashboard/authorizations/worker").await.expect(200).text;
    let used = shown.split("Used by").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
    assert!(used.contains("my-app"), "{used}");
    assert!(!shown.contains("canary"), "no secret is on the page");
}

const ROUTER: &str = include_str!("../../src/router.rs");

/// Every path of the dashboard that the router has, but the assets.
fn paths() -> Vec<String> {
    let texts = ROUTER.split('"').filter(|text| text.starts_with("/dashboard/"));
    let paths = texts.filter(|path| !path.starts_with("/dashboard/assets/"));
    let id = uuid::Uuid::from_u128(1).to_string();
    let filled = |segment: &str| if segment.starts_with('{') { id.clone() } else { segment.to_owned() };
    paths.map(|path| path.split('/').map(filled).collect::<Vec<_>>().join("/")).collect()
}

#[tokio::test]
async fn no_page_is_shown_to_who_is_not_signed_in() {
    let stack = start().await;
    let paths = paths();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let url = format!("{}{path}", stack.server.url());
        for cookie in [None, Some("applink-session=nonsense")] {
            let (looked, sent) = (stack.browse(&url, cookie).await, stack.submit(&url, cookie, &[]).await);
            // 405: the path can't be looked at, or can't be posted to. One of the two it can.
            let answers = [looked.status.as_u16(), sent.status.as_u16()];
            assert!(answers.iter().all(|status| [401, 405].contains(status)), "{path}: {answers:?}");
            assert!(answers.contains(&401), "{path}: {answers:?}");
        }
    }
}
