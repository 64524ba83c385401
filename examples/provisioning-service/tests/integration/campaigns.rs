//! The page.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::stage::{client, page, refused, stage};

fn campaign(name: &str) -> Value {
    json!({"attributes": {"type": "Campaign"}, "Id": "701", "Name": name, "Status": "Planned", "Type": null,
        "StartDate": "2026-01-01", "EndDate": null, "Description": ""})
}

#[tokio::test]
async fn campaigns_are_read_as_the_stored_user() {
    let stage = stage(|_, _| page(vec![campaign("Launch")])).await;
    let (status, body) = stage.get("/api/campaigns").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"user": "integration@acme.example", "campaigns": [{"id": "701", "name": "Launch", "status": "Planned",
            "type": null, "startDate": "2026-01-01", "endDate": null, "description": ""}]})
    );
    let asked = stage.asked();
    assert_eq!(asked[0].0, "Bearer 00D!portal");
    assert!(asked[0].1.contains("FROM Campaign ORDER BY StartDate DESC"), "{}", asked[0].1);
}

#[tokio::test]
async fn the_page_shows_them_escaped_and_runs_nothing() {
    let stage = stage(|_, _| page(vec![campaign("<img src=x onerror=alert(1)>")])).await;
    let response = client().get(stage.url("/")).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let html = response.text().await.unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!html.contains("<img") && html.contains("onerror=alert(1)"), "{html}");
    assert!(html.contains("Planned · from 2026-01-01"), "{html}");
}

#[tokio::test]
async fn an_empty_org_says_so_and_a_refusal_too() {
    let empty = stage(|_, _| page(Vec::new())).await;
    assert!(empty.get("/").await.1.contains("no campaigns yet"));
    let refusing = stage(|_, _| refused(400, "INVALID_TYPE")).await;
    let (status, body) = refusing.get("/api/campaigns").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("INVALID_TYPE"), "{body}");
}
