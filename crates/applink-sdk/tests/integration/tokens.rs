//! Whose token goes where, and what happens when the org refuses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use applink_sdk::{Error, OrgError};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;

use crate::stub::{Stub, applink, authorization, authorization_of, expired, json, rows, stored_user};

/// An org that takes only this token.
async fn org_taking(token: &'static str) -> Stub {
    Stub::start(move |asked| if asked.bearer() == token { rows("") } else { expired() }).await
}

#[tokio::test]
async fn a_refused_token_is_refreshed_once_and_the_call_sent_again() {
    let org = org_taking("00D!fresh").await;
    let (stale, fresh) = (authorization(&org, "00D!stale"), authorization(&org, "00D!fresh"));
    let api = Stub::start(move |asked| {
        json(200, if asked.line.starts_with("POST") { fresh.clone() } else { stale.clone() })
    })
    .await;
    let portal = applink(&api).authorization("portal").await.unwrap().org();
    let created = portal.data().query("SELECT Id FROM Account").send().await;
    assert_eq!(created.unwrap().total_size, 1);
    portal.data().query("SELECT Id FROM Account").send().await.unwrap();
    let tokens: Vec<String> = org.asked().iter().map(|asked| asked.bearer().to_owned()).collect();
    assert_eq!(tokens, ["00D!stale", "00D!fresh", "00D!fresh"]);
    let asked = api.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[1].line,
        "POST /addons/1530f4b5-c63a-4221-b28c-bc9602119605/authorizations/portal/refresh"
    );
    assert_eq!(asked[1].bearer(), "tok-default");
    assert!(
        asked[1].body.contains("stale_token") && !asked[1].body.contains("00D!stale"),
        "{}",
        asked[1].body
    );
}

#[tokio::test]
async fn many_callers_with_one_dead_token_cause_one_refresh() {
    let org = org_taking("00D!fresh").await;
    let (stale, fresh) = (authorization(&org, "00D!stale"), authorization(&org, "00D!fresh"));
    let api = Stub::start(move |asked| {
        json(200, if asked.line.starts_with("POST") { fresh.clone() } else { stale.clone() })
    })
    .await;
    let portal = applink(&api).authorization("portal").await.unwrap().org();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let portal = portal.clone();
            tokio::spawn(async move { portal.data().query("SELECT Id FROM Account").send().await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    let refreshes = api.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(refreshes, 1);
}

#[tokio::test]
async fn a_service_without_the_refresh_route_is_asked_again() {
    let org = org_taking("00D!fresh").await;
    let answers = [authorization(&org, "00D!stale"), authorization(&org, "00D!fresh")];
    let gets = Arc::new(AtomicUsize::new(0));
    let api = Stub::start(move |asked| {
        if asked.line.starts_with("POST") {
            return (StatusCode::NOT_FOUND, "<html>").into_response();
        }
        json(200, answers[gets.fetch_add(1, Ordering::SeqCst)].clone())
    })
    .await;
    let portal = applink(&api).authorization("portal").await.unwrap().org();
    portal.data().query("SELECT Id FROM Account").send().await.unwrap();
    assert_eq!(org.asked().len(), 2);
}

#[tokio::test]
async fn a_token_that_does_not_change_is_not_tried_again() {
    let org = org_taking("00D!other").await;
    let answer = authorization(&org, "00D!stale");
    let api = Stub::start(move |_| json(200, answer.clone())).await;
    let portal = applink(&api).authorization("portal").await.unwrap().org();
    let error = portal.data().query("SELECT Id FROM Account").send().await.unwrap_err();
    assert_eq!(error.codes(), ["INVALID_SESSION_ID"]);
    assert_eq!(org.asked().len(), 1);
    assert!(!format!("{error} {error:?} {portal:?}").contains("00D!stale"));
}

#[tokio::test]
async fn when_the_api_renews_no_more_the_orgs_own_error_is_told() {
    let org = org_taking("00D!other").await;
    let answer = authorization(&org, "00D!stale");
    let api = Stub::start(move |asked| {
        if asked.line.starts_with("POST") {
            return json(429, r#"{"id":"rate_limited","message":"too often"}"#);
        }
        json(200, answer.clone())
    })
    .await;
    let portal = applink(&api).authorization("portal").await.unwrap().org();
    let error = portal.data().query("SELECT Id FROM Account").send().await.unwrap_err();
    assert_eq!(error.codes(), ["INVALID_SESSION_ID"]);
}

#[tokio::test]
async fn a_name_that_moved_to_another_org_is_refused() {
    let org = org_taking("00D!fresh").await;
    let stale = authorization(&org, "00D!stale");
    let moved = authorization_of(&org.url, "00DSG00000DGEIr2AP", "00D!fresh");
    let asked_before = AtomicUsize::new(0);
    let api = Stub::start(move |_| {
        let first = asked_before.fetch_add(1, Ordering::SeqCst) == 0;
        json(200, if first { stale.clone() } else { moved.clone() })
    })
    .await;
    let applink = applink(&api);
    let portal = applink.authorization("portal").await.unwrap().org();
    let error = portal.data().query("SELECT Id FROM Account").send().await.unwrap_err();
    assert!(matches!(error, Error::OtherOrg { .. }), "{error:?}");
    assert_eq!(org.asked().len(), 1, "nothing is sent to the other org");
    assert_eq!(applink.authorization("portal").await.unwrap().org().id(), "00DSG00000DGEIr2AP");
}

#[tokio::test]
async fn the_token_stays_with_its_org() {
    let (org, other) = (Stub::start(|_| rows("")).await, Stub::start(|_| rows("")).await);
    let portal = stored_user(&org).await;
    for url in
        [format!("{}/x", other.url), "https://evil.example/x".to_owned(), org.url.replace("http:", "https:")]
    {
        let error = portal.request(Method::GET, &url).send().await.unwrap_err();
        assert!(matches!(error, Error::Org(OrgError::ForeignOrigin { .. })), "{url}: {error:?}");
        let callback = portal.callback(&url).send(&serde_json::json!({})).await.unwrap_err();
        assert!(matches!(callback, Error::Org(OrgError::ForeignOrigin { .. })), "{url}: {callback:?}");
    }
    assert!(portal.callback("services/x").check().is_err(), "a callback URL is absolute");
    assert_eq!((org.asked().len(), other.asked().len()), (0, 0));
    for own in [format!("{}/services/x", org.url), "services/x".to_owned(), "//services/x".to_owned()] {
        portal.request(Method::GET, own).send().await.unwrap();
    }
    assert_eq!(org.lines(), ["GET /services/x"; 3]);
}

#[tokio::test]
async fn the_token_follows_no_redirect() {
    let other = Stub::start(|_| rows("")).await;
    let location = format!("{}/elsewhere", other.url);
    let org =
        Stub::start(move |_| (StatusCode::FOUND, [("location", location.clone())]).into_response()).await;
    let portal = stored_user(&org).await;
    let error = portal.request(Method::GET, "services/data").send().await.unwrap_err();
    assert!(matches!(error, Error::Org(OrgError::Redirected { .. })), "{error:?}");
    assert_eq!((org.asked().len(), other.asked().len()), (1, 0));
}
