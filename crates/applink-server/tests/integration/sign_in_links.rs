//! Links that sign a browser in where nobody else does: whoever has the add-on's credentials gets one.

use applink_server::dashboard::links;
use reqwest::Method;
use sea_orm::EntityTrait as _;
use serde_json::{Value, json};

use crate::stack::{Answer, Stack};

const PATH: &str = "/sign-in-links";

async fn made(stack: &Stack) -> Value {
    stack.manager(Method::POST, PATH, None).await.expect(201).json()
}

fn ticket_of(link: &Value) -> String {
    link["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

async fn press(stack: &Stack, link: &Value, cookie: Option<&str>) -> Answer {
    let open = format!("{}/sso/open", stack.server.url());
    stack.submit(&open, cookie, &[("ticket", &ticket_of(link))]).await
}

async fn look(stack: &Stack, path: &str, cookie: &str) -> Answer {
    stack.browse(&format!("{}{path}", stack.server.url()), Some(cookie)).await
}

/// The hidden fields of the page's first form, and `fields`.
fn filled<'a>(page: &'a str, fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let hidden = ["csrf", "once"].map(|name| {
        let rest = page.split_once(&format!("name=\"{name}\" value=\"")).expect("a form").1;
        (name, rest.split('"').next().unwrap())
    });
    hidden.into_iter().chain(fields.iter().copied()).collect()
}

#[tokio::test]
async fn an_api_key_opens_the_dashboard_and_its_session_ends_with_the_key() {
    let stack = Stack::start().await;
    let link = made(&stack).await;
    assert_eq!(link["may_change"], true);
    assert!(link["url"].as_str().unwrap().starts_with(&format!("{}/sso/open/", stack.server.url())));
    for _ in 0..2 {
        let page = stack.browse(link["url"].as_str().unwrap(), None).await.expect(200).text;
        assert!(page.contains("dev@acme.example") && page.contains(&ticket_of(&link)), "{page}");
    }
    let cookie = press(&stack, &link, None).await.expect(303).cookie();
    let page = look(&stack, "/dashboard", &cookie).await.expect(200).text;
    assert!(page.contains("/dashboard/connections/new") && page.contains("dev@acme.example"), "{page}");
    press(&stack, &link, None).await.expect(403);
    stack.browse(link["url"].as_str().unwrap(), None).await.expect(403);
    let form = look(&stack, "/dashboard/connections/new", &cookie).await.expect(200).text;
    let list = format!("{}/dashboard/connections", stack.server.url());
    stack.submit(&list, Some(&cookie), &filled(&form, &[("name", "prod")])).await.expect(200);
    assert_eq!(stack.count_audited("connection.requested").await, 1);
    assert_eq!(stack.count_audited("sign_in_link.created").await, 1);
    assert_eq!(stack.count_audited("session.begun").await, 1);

    let keys = stack.operator(Method::GET, "/operator/keys", None).await.expect(200).json();
    let own = keys.as_array().unwrap().iter().find(|key| key["addon"] == stack.tenant.addon.to_string());
    let path = format!("/operator/keys/{}", own.unwrap()["id"].as_str().unwrap());
    stack.operator(Method::DELETE, &path, None).await.expect(204);
    look(&stack, "/dashboard", &cookie).await.expect(401);
}

#[tokio::test]
async fn the_add_on_s_token_shows_what_it_may_read_and_no_button() {
    let stack = Stack::start().await;
    stack.connect("prod").await;
    let link = stack.app(Method::POST, PATH, None).await.expect(201).json();
    assert_eq!(link["may_change"], false);
    let page = stack.browse(link["url"].as_str().unwrap(), None).await.expect(200).text;
    assert!(page.contains("to look"), "{page}");
    let cookie = press(&stack, &link, None).await.expect(303).cookie();
    let sections = ["connections", "authorizations", "publications", "data-action-targets", "settings"];
    for section in sections.map(|name| format!("/dashboard/{name}")) {
        let page = look(&stack, &section, &cookie).await.expect(200).text;
        let forms = page.matches("method=\"post\"").count();
        assert_eq!(forms, page.matches("action=\"/dashboard/sign-out\"").count(), "{section}: {page}");
        assert!(!page.contains("/new\"") && !page.contains("/dashboard/activity"), "{section}: {page}");
    }
    let list = look(&stack, "/dashboard/connections", &cookie).await.expect(200).text;
    let one = list.split("href=\"").find(|rest| rest.starts_with("/dashboard/connections/")).unwrap();
    let one = one.split('"').next().unwrap().to_owned();
    let page = look(&stack, &one, &cookie).await.expect(200).text;
    assert!(page.contains("prod") && !page.contains("/delete"), "{page}");
    let closed = ["activity", "activity.csv", "health", "publications/new"];
    for path in closed.map(|name| format!("/dashboard/{name}")) {
        look(&stack, &path, &cookie).await.expect(403);
    }
    let form = look(&stack, "/dashboard/connections/new", &cookie).await.expect(200).text;
    assert!(!form.contains("action=\"/dashboard/connections\""), "{form}");
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let url = format!("{}{path}", stack.server.url());
        stack.submit(&url, Some(&cookie), &filled(&list, fields)).await
    };
    let refused = send("/dashboard/connections", &[("name", "more")]).await.expect(403).text;
    assert!(refused.contains("changes nothing"), "{refused}");
    send(&format!("{one}/delete"), &[("confirm", "prod")]).await.expect(403);
    assert_eq!(stack.count_audited("connection.requested").await, 1, "the first was not the dashboard's");

    let addon = format!("/operator/addons/{}", stack.tenant.addon);
    stack.operator(Method::POST, "/operator/apps", Some(&json!({"name": "second"}))).await.expect(201);
    let more = json!({"app": "second", "name": "SECOND"});
    stack.operator(Method::POST, &format!("{addon}/attachments"), Some(&more)).await.expect(201);
    let shown = stack.operator(Method::GET, &addon, None).await.expect(200).json();
    let all = shown["attachments"].as_array().unwrap();
    let own = all.iter().find(|one| one["app"]["id"] == stack.tenant.app.to_string()).unwrap();
    look(&stack, "/dashboard", &cookie).await.expect(200);
    let path = format!("{addon}/attachments/{}", own["id"].as_str().unwrap());
    stack.operator(Method::DELETE, &path, None).await.expect(204);
    look(&stack, "/dashboard", &cookie).await.expect(401);
}

#[tokio::test]
async fn where_a_bare_token_may_change_things_its_session_may_too() {
    let stack = Stack::with(|config| config.access.allow_token_management = true).await;
    let link = stack.app(Method::POST, PATH, None).await.expect(201).json();
    assert_eq!(link["may_change"], true);
    let cookie = press(&stack, &link, None).await.expect(303).cookie();
    let form = look(&stack, "/dashboard/connections/new", &cookie).await.expect(200).text;
    let list = format!("{}/dashboard/connections", stack.server.url());
    stack.submit(&list, Some(&cookie), &filled(&form, &[("name", "prod")])).await.expect(200);
}

#[tokio::test]
async fn a_link_is_stored_hashed_and_ends_after_a_minute() {
    let stack = Stack::start().await;
    let link = made(&stack).await;
    let rows = links::store::Entity::find().all(stack.server.app().store.reader()).await.unwrap();
    let stored = format!("{rows:?}");
    assert!(rows.len() == 1 && !stored.contains(&ticket_of(&link)), "{stored}");
    assert!(ticket_of(&link).len() >= 43, "256 bits");
    stack.advance(59);
    stack.browse(link["url"].as_str().unwrap(), None).await.expect(200);
    stack.advance(1);
    stack.browse(link["url"].as_str().unwrap(), None).await.expect(403);
    press(&stack, &link, None).await.expect(403);
    stack.reconcile("expired log-ins").await;
    let rows = links::store::Entity::find().all(stack.server.app().store.reader()).await.unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    for garbled in ["x", "%00", "..%2f", &"a".repeat(4000)] {
        let url = format!("{}/sso/open/{garbled}", stack.server.url());
        let status = stack.browse(&url, None).await.status.as_u16();
        assert!((400..=404).contains(&status), "{garbled}: {status}");
    }
}

#[tokio::test]
async fn of_two_who_press_at_once_one_is_signed_in() {
    let stack = Stack::start().await;
    let link = made(&stack).await;
    let (one, two) = tokio::join!(press(&stack, &link, None), press(&stack, &link, None));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 403]);
}

#[tokio::test]
async fn credentials_of_others_and_none_make_no_link() {
    let stack = Stack::start().await;
    let other = stack.another_tenant("other-app").await;
    let path = stack.path(PATH);
    stack.send(Method::POST, &path, &[], None).await.expect(401);
    for secret in [&other.api_key, &other.token] {
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", bearer.as_str())];
        stack.send(Method::POST, &path, &headers, None).await.expect(404);
    }
    let operator = format!("Bearer {}", crate::stack::OPERATOR_KEY);
    stack.send(Method::POST, &path, &[("authorization", &operator)], None).await.expect(401);
}

#[tokio::test]
async fn what_was_typed_survives_signing_in_again_by_a_link() {
    let stack = Stack::start().await;
    let cookie = press(&stack, &made(&stack).await, None).await.expect(303).cookie();
    let form = look(&stack, "/dashboard/connections/new", &cookie).await.expect(200).text;
    let list = format!("{}/dashboard/connections", stack.server.url());
    let typed = [("name", "prod"), ("where", "sandbox")];
    stack.advance(8 * 3600);
    let kept = stack.submit(&list, Some(&cookie), &filled(&form, &typed)).await.expect(401).text;
    assert!(kept.contains("prod") && kept.contains("sandbox") && kept.contains("applink open"), "{kept}");
    // Signed in again in another tab of the same browser; the page that kept it is sent as it stands.
    let fresh = press(&stack, &made(&stack).await, Some(&cookie)).await.expect(303).cookie();
    assert_ne!(cookie, fresh, "another session");
    let asked = stack.submit(&list, Some(&fresh), &typed).await.expect(403).text;
    assert!(asked.contains("prod") && asked.contains("sandbox"), "{asked}");
    stack.submit(&list, Some(&fresh), &filled(&asked, &typed)).await.expect(200);
    assert_eq!(stack.count_audited("connection.requested").await, 1);
}
