//! Signing in with an OpenID provider: a real one, which `cargo xtask test` installs, and a scripted one that says what no
//! real one says.

#[path = "openid/real.rs"]
mod real;
#[path = "openid/scripted.rs"]
mod scripted;

use applink_server::openid::{OpenIdConfig, Rule};
use reqwest::Method;

use crate::stack::{Answer, Stack};
use real::{Browser, Claims, Provider};
use scripted::{Lie, Scripted};

const CLIENT: &str = "applink";
const SECRET: &str = "canary-openid-secret";

fn settings(issuer: &str, access: &[&str]) -> OpenIdConfig {
    OpenIdConfig {
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(SECRET.into()),
        origins: Vec::new(),
        scopes: vec!["email".to_owned(), "profile".to_owned()],
        groups_claim: "groups".to_owned(),
        access: access.iter().map(|text| Rule::parse(text).unwrap()).collect(),
    }
}

/// On the machine's time, as the provider is.
async fn beside(provider: &Provider, access: &[&str]) -> Stack {
    Stack::with(|config| {
        config.openid = Some(settings(&provider.issuer, access));
        config.clock = applink_api::clock::Clock::system();
    })
    .await
}

async fn look(stack: &Stack, path: &str, browser: &Browser) -> Answer {
    stack.browse(&format!("{}{path}", stack.server.url()), Some(&browser.cookies())).await
}

fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let rest = page.split_once(&format!("name=\"{name}\" value=\"")).expect("a field").1;
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn a_person_of_a_group_signs_in_and_manages_wherever_the_claims_are() {
    for claims in [Claims::InToken, Claims::AtUserinfo] {
        let provider = Provider::start(claims).await;
        let stack = beside(&provider, &["group:platform=manage"]).await;
        let mut browser = Browser::default();
        let out = look(&stack, "/dashboard", &browser).await.expect(401).text;
        assert!(out.contains("href=\"/sso/openid\"") && out.contains("Sign in with 127.0.0.1"), "{out}");
        let end = browser.sign_in(&stack, "/sso/openid", "ann").await.expect(303);
        assert_eq!(end.location(), "/dashboard");
        let page = look(&stack, "/dashboard", &browser).await.expect(200).text;
        assert!(page.contains("ann@acme.example") && page.contains("/dashboard/connections/new"), "{page}");
        let form = look(&stack, "/dashboard/connections/new", &browser).await.expect(200).text;
        let fields = [("csrf", hidden(&form, "csrf")), ("once", hidden(&form, "once")), ("name", "prod")];
        let list = format!("{}/dashboard/connections", stack.server.url());
        stack.submit(&list, Some(&browser.cookies()), &fields).await.expect(200);
        assert_eq!(stack.count_audited("session.begun").await, 1);
        let rows = stack.manager(Method::GET, "/audit", None).await.expect(200).text;
        assert!(rows.contains("ann@acme.example") && rows.contains("connection.requested"), "{rows}");
    }
}

#[tokio::test]
async fn rules_say_who_may_look_who_may_change_and_who_may_not_enter() {
    let provider = Provider::start(Claims::InToken).await;
    let stack = beside(&provider, &["group:support=view", "email:ann@acme.example=manage"]).await;
    let mut sam = Browser::default();
    sam.sign_in(&stack, "/sso/openid", "sam").await.expect(303);
    let page = look(&stack, "/dashboard", &sam).await.expect(200).text;
    assert!(page.contains("sam@acme.example") && !page.contains("/new\""), "{page}");
    look(&stack, "/dashboard/activity", &sam).await.expect(403);
    let csrf = [("csrf", hidden(&page, "csrf")), ("once", hidden(&page, "once")), ("name", "prod")];
    let list = format!("{}/dashboard/connections", stack.server.url());
    stack.submit(&list, Some(&sam.cookies()), &csrf).await.expect(403);

    // Eve claims Ann's address, which the provider has not verified.
    let mut eve = Browser::default();
    let refused = eve.sign_in(&stack, "/sso/openid", "eve").await.expect(403);
    for text in ["No add-on is open to you", "everyone", "APPLINK_OIDC_ACCESS", "href=\"/sso/openid\""] {
        assert!(refused.text.contains(text), "{text}: {}", refused.text);
    }
    look(&stack, "/dashboard", &eve).await.expect(401);
    assert_eq!(stack.count_audited("session.begun").await, 1);
}

#[tokio::test]
async fn who_may_enter_several_add_ons_chooses_or_names_one() {
    let provider = Provider::start(Claims::InToken).await;
    let stack = beside(&provider, &["group:platform=view"]).await;
    let other = stack.another_tenant("other-app").await;
    let mut browser = Browser::default();
    let offer = browser.sign_in(&stack, "/sso/openid", "ann").await.expect(200).text;
    assert_eq!(offer.matches("name=\"ticket\"").count(), 2, "{offer}");
    let ticket = hidden(&offer, "ticket").to_owned();
    let open = format!("{}/sso/open", stack.server.url());
    let entered = stack.submit(&open, Some(&browser.cookies()), &[("ticket", &ticket)]).await.expect(303);
    browser.keep(&entered);
    look(&stack, "/dashboard", &browser).await.expect(200);
    stack.submit(&open, None, &[("ticket", &ticket)]).await.expect(403);

    let mut named = Browser::default();
    named.sign_in(&stack, &format!("/sso/openid?addon={}", other.addon), "ann").await.expect(303);
    look(&stack, "/dashboard", &named).await.expect(200);
    let mut nowhere = Browser::default();
    nowhere.sign_in(&stack, "/sso/openid?addon=nothing-here", "ann").await.expect(403);
    look(&stack, "/sso/openid?addon=%22%3Cb%3E", &nowhere).await.expect(400);
}

#[tokio::test]
async fn only_the_browser_that_began_ends_it_and_once() {
    let provider = Provider::start(Claims::InToken).await;
    let stack = beside(&provider, &["group:platform=manage"]).await;
    let mut ann = Browser::default();
    let callback = ann.go_through(&stack, "/sso/openid", "ann").await;
    // Another browser, one that began another sign-in, a changed state, another issuer, none of them.
    let mut other = Browser::default();
    other.get(&stack, &format!("{}/sso/openid", stack.server.url())).await.expect(303);
    let changed = callback.replace("state=", "state=x");
    let foreign = callback.replace("iss=http", "iss=https");
    for (browser, url) in
        [(&Browser::default(), &callback), (&other, &callback), (&ann, &changed), (&ann, &foreign)]
    {
        let refused = stack.browse(url, Some(&browser.cookies())).await.expect(403);
        assert!(
            refused.text.contains("doesn") && refused.text.contains("href=\"/sso/openid\""),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains("code="), "nothing of the address is shown");
    }
    let cookies = ann.cookies();
    stack.browse(&callback, Some(&cookies)).await.expect(303);
    // The code is used at the provider; and what was begun is over even where it would not be.
    stack.browse(&callback, Some(&cookies)).await.expect(403);
    assert_eq!(stack.count_audited("session.begun").await, 1);
}

#[tokio::test]
async fn who_declines_is_told_and_nobody_is_signed_in() {
    let provider = Provider::start(Claims::InToken).await;
    let stack = beside(&provider, &["group:platform=manage"]).await;
    let mut browser = Browser::default();
    let end = browser.decline(&stack).await.expect(403);
    assert!(end.text.contains("or you declined"), "{}", end.text);
    look(&stack, "/dashboard", &browser).await.expect(401);
}

#[tokio::test]
async fn what_was_typed_survives_signing_in_again() {
    let provider = Provider::start(Claims::InToken).await;
    let stack = beside(&provider, &["group:platform=manage"]).await;
    let mut browser = Browser::default();
    browser.sign_in(&stack, "/sso/openid", "ann").await.expect(303);
    let form = look(&stack, "/dashboard/connections/new", &browser).await.expect(200).text;
    let out = format!("{}/dashboard/sign-out", stack.server.url());
    stack.submit(&out, Some(&browser.cookies()), &[("csrf", hidden(&form, "csrf"))]).await.expect(303);
    let typed = [("name", "prod"), ("where", "sandbox")];
    let list = format!("{}/dashboard/connections", stack.server.url());
    let sent =
        [typed.as_slice(), &[("csrf", hidden(&form, "csrf")), ("once", hidden(&form, "once"))]].concat();
    let kept = stack.submit(&list, Some(&browser.cookies()), &sent).await.expect(401).text;
    for text in ["prod", "sandbox", "href=\"/sso/openid\" target=\"_blank\""] {
        assert!(kept.contains(text), "{text}: {kept}");
    }
    // The provider still knows the browser: no password again.
    browser.sign_in(&stack, "/sso/openid", "ann").await.expect(303);
    let asked = stack.submit(&list, Some(&browser.cookies()), &typed).await.expect(403).text;
    assert!(asked.contains("sandbox") && asked.contains("It will be done in the add-on"), "{asked}");
    let again =
        [typed.as_slice(), &[("csrf", hidden(&asked, "csrf")), ("once", hidden(&asked, "once"))]].concat();
    stack.submit(&list, Some(&browser.cookies()), &again).await.expect(200);
    assert_eq!(stack.count_audited("connection.requested").await, 1);
}

#[tokio::test]
async fn a_token_that_lies_signs_nobody_in() {
    for lie in Lie::ALL {
        let scripted = Scripted::start(lie).await;
        let stack = Stack::with(|config| {
            config.openid = Some(settings(&scripted.issuer, &["group:platform=manage"]));
        })
        .await;
        let mut browser = Browser::default();
        let start = browser.get(&stack, &format!("{}/sso/openid", stack.server.url())).await.expect(303);
        let back = scripted.answer(start.location(), stack.server.url());
        let end = browser.get(&stack, &back).await;
        let expected = if lie == Lie::None { 303 } else { lie.status() };
        assert_eq!(end.status.as_u16(), expected, "{lie:?}: {}", end.text);
        assert_eq!(stack.count_audited("session.begun").await, usize::from(lie == Lie::None), "{lie:?}");
        for secret in [SECRET, scripted::CODE, scripted::ACCESS_TOKEN] {
            assert!(!end.text.contains(secret), "{lie:?}");
        }
    }
}

#[tokio::test]
async fn a_sign_in_ends_after_ten_minutes_and_a_provider_that_is_away_is_named() {
    let scripted = Scripted::start(Lie::None).await;
    let stack = Stack::with(|config| {
        config.openid = Some(settings(&scripted.issuer, &["group:platform=manage"]));
    })
    .await;
    let mut browser = Browser::default();
    let start = browser.get(&stack, &format!("{}/sso/openid", stack.server.url())).await.expect(303);
    let back = scripted.answer(start.location(), stack.server.url());
    stack.advance(600);
    browser.get(&stack, &back).await.expect(403);

    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let stack = Stack::with(|config| config.openid = Some(settings(&issuer, &["group:x=view"]))).await;
    let away = look(&stack, "/sso/openid", &Browser::default()).await.expect(502);
    assert!(away.text.contains("can&#39;t be asked"), "{}", away.text);
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_to_one() {
    let stack = Stack::start().await;
    look(&stack, "/sso/openid", &Browser::default()).await.expect(404);
    look(&stack, "/sso/openid/callback?state=x&code=y", &Browser::default()).await.expect(404);
    let out = look(&stack, "/dashboard", &Browser::default()).await.expect(401).text;
    assert!(!out.contains("/sso/openid"), "{out}");
}
