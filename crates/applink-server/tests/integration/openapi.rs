//! The API's own description: complete, true, and the same in the repository as from the server.

use std::path::Path;

use applink_server::openapi;
use reqwest::Method;
use serde_json::Value;

use crate::described::operations;
use crate::stack::Stack;

const ROUTER: &str = include_str!("../../src/router.rs");

/// Routes reach the description through `routes!`; one that is listed by hand does not. Heroku's Add-on Partner API
/// and the stand-in for its Platform API are not ours to describe; an OpenID provider's way is not in every build
/// (`openid` goes through it); the dashboard's pages are for people, and
/// `dashboard::no_page_is_shown_to_who_is_not_signed_in` goes through them instead.
#[test]
fn no_route_is_missing_from_the_description() {
    let mut described_part = ROUTER.to_owned();
    for group in ["heroku", "platform", "openid", "dashboard", "dashboard_publications", "dashboard_settings"]
    {
        let start = described_part.find(&format!("\nfn {group}()")).expect("the group");
        let end = described_part[start..].find("\n}\n").expect("its end");
        described_part.replace_range(start..start + end, "");
    }
    let by_hand: Vec<&str> = described_part.lines().filter(|line| line.contains(".route(")).collect();
    assert!(
        by_hand.is_empty(),
        "describe these with #[utoipa::path] and add them with routes!: {by_hand:#?}"
    );
    let described = operations(&openapi::document()).len();
    let handlers = ROUTER.split("routes!(").skip(1).map(|rest| {
        let list = rest.split(')').next().unwrap_or_default();
        list.split(',').filter(|handler| handler.contains("::")).count()
    });
    assert_eq!(described, handlers.sum::<usize>());
}

/// Whoever opens a route to everybody writes it here too.
#[test]
fn only_these_ask_nobody_who_they_are() {
    let open: Vec<String> = operations(&openapi::document())
        .iter()
        .filter(|operation| operation.is_open())
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert_eq!(
        open,
        [
            "GET /dashboard",
            "POST /dashboard/sign-out",
            "GET /docs",
            "GET /health",
            "GET /oauth/callback",
            "POST /oauth/confirm",
            "GET /oauth/start/{link}",
            "GET /openapi.json",
            "POST /sso/login",
            "POST /sso/open",
            "GET /sso/open/{ticket}",
        ]
    );
}

#[test]
fn every_operation_says_what_it_does_who_may_call_and_what_comes_back() {
    let document = openapi::document();
    let mut ids = Vec::new();
    for operation in operations(&document) {
        let (whole, at) = (&operation.whole, format!("{} {}", operation.method, operation.path));
        assert!(whole["summary"].as_str().is_some_and(|text| text.len() > 4), "{at}");
        assert!(!whole["tags"][0].as_str().unwrap_or_default().is_empty(), "{at}");
        assert!(whole["responses"].as_object().is_some_and(|answers| !answers.is_empty()), "{at}");
        for parameter in whole["parameters"].as_array().into_iter().flatten() {
            let about = parameter["description"].as_str().unwrap_or_default();
            assert!(!about.is_empty(), "{at}: say in openapi.rs what {} is", parameter["name"]);
        }
        let id = whole["operationId"].as_str().expect("an id").to_owned();
        assert!(!ids.contains(&id), "{id} twice");
        ids.push(id);
    }
    // No reference leads nowhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap_or_default();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// `APPLINK_UPDATE_DOCS=1 cargo test -p applink-server --test integration openapi` writes them anew.
#[test]
fn the_copies_in_the_repository_are_up_to_date() {
    let document = openapi::document();
    let pretty = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    let markdown = openapi::markdown(&document);
    for (name, current) in [("openapi.json", pretty), ("api.md", markdown)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
        if std::env::var_os("APPLINK_UPDATE_DOCS").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == current,
            "docs/reference/{name} is out of date: run APPLINK_UPDATE_DOCS=1 cargo test -p applink-server --test \
             integration openapi, and read the difference"
        );
    }
}

#[tokio::test]
async fn the_server_shows_it_to_programs_and_people() {
    let stack = Stack::start().await;
    let served = stack.send(Method::GET, "/openapi.json", &[], None).await.expect(200);
    assert_eq!(served.headers["content-type"], "application/json");
    assert_eq!(served.json(), openapi::document());
    let page = stack.send(Method::GET, "/docs", &[], None).await.expect(200);
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    for operation in operations(&served.json()) {
        assert!(page.text.contains(&operation.path), "{}", operation.path);
    }
    for outside in ["<script", "src=", "url(", "@import", "href=\"http"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn every_operation_is_there_and_asks_who_calls() {
    let stack = Stack::start().await;
    let document = openapi::document();
    for operation in operations(&document) {
        let path = operation.filled(|name| match name {
            "addon" => stack.tenant.addon.to_string(),
            _ => "something".to_owned(),
        });
        let answer = stack.send(operation.method.clone(), &path, &[], None).await;
        let at = format!("{} {path}: {} {}", operation.method, answer.status, answer.text);
        assert_ne!(answer.status.as_u16(), 405, "{at}");
        assert!(answer.status.as_u16() < 500, "{at}");
        if operation.is_open() {
            let is_ours = !answer.text.contains("record not found");
            assert!(is_ours, "{at}");
        } else {
            let body: Value = serde_json::from_str(&answer.text).unwrap();
            assert_eq!((answer.status.as_u16(), body["id"].as_str()), (401, Some("unauthorized")), "{at}");
        }
    }
}
