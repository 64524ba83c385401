//! Start, stop, and what belongs to no route.

use axum::http::StatusCode;
use provisioning_service::{Service, Settings, StartError};
use serde_json::Value;

use crate::stage::{client, page, sent, stage};

#[tokio::test]
async fn a_taken_port_is_named_with_the_variable_that_changes_it() {
    let stage = stage(|_, _| page(Vec::new())).await;
    let port = stage.app.address().port().to_string();
    let settings = Settings::from_env(vec![("APP_PORT".to_owned(), port.clone())]).unwrap();
    let error = Service::start(settings).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    assert_eq!(
        error.to_string(),
        format!("can't listen on 127.0.0.1:{port}: set APP_PORT to a free port (0 picks one)")
    );
}

#[tokio::test]
async fn without_an_add_on_it_runs_and_says_what_is_missing() {
    let settings = Settings::from_env(vec![("APP_PORT".to_owned(), "0".to_owned())]).unwrap();
    let app = Service::start(settings).await.unwrap();
    let get = async |path: &str| sent(client().get(format!("http://{}{path}", app.address()))).await;
    assert_eq!(get("/healthcheck").await, (StatusCode::OK, "ok".to_owned()));
    let (status, body) = get("/api/campaigns").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("HEROKU_APP_ID"), "{body}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn unknown_paths_and_methods_answer_json() {
    let stage = stage(|_, _| page(Vec::new())).await;
    let (status, body) = stage.get("/nothing").await;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&body).unwrap()["error"].as_str()),
        (StatusCode::NOT_FOUND, Some("not_found"))
    );
    let (status, _) = stage.get("/api/provisionServices").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
