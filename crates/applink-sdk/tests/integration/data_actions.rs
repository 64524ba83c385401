//! The extractor of data actions, in a router: nothing but a verified body reaches the handler.

use applink_sdk::data_action::DataActions;
use applink_sdk::invocation::InvocationSettings;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stub::{Stub, applink, env, json as answer};

const BODY: &str = r#"{"count":1,"events":[{"EventPrompt":"INSERT","EventUuid":"u-1",
    "PayloadCurrentValue":"{\"page__c\":\"/caf\u00e9\"}","PayloadPrevValue":""}]}"#;
const PATH: &str = "/clicks?apiName=My+Target&orgId=00DSB00000VAyPF2A1";

/// An app before this control plane, behind a mesh when there is a secret. It answers what it saw.
fn app(api: &Stub, secret: Option<&str>) -> Router {
    async fn clicks(actions: DataActions) -> String {
        actions.events.iter().map(|event| event.current["page__c"].as_str().unwrap().to_owned()).collect()
    }
    let mut env = env(api);
    env.extend(secret.map(|secret| ("APPLINK_MESH_SECRET".to_owned(), secret.to_owned())));
    let settings = InvocationSettings::from_env(&env).unwrap();
    Router::new().route("/clicks", post(clicks)).layer(Extension(settings)).layer(Extension(applink(api)))
}

async fn send(app: Router, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String) {
    let mut request = Request::post(PATH);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn without_a_mesh_the_control_plane_is_asked_as_a_mesh_would_ask() {
    let api = Stub::start(|_| answer(200, "{}")).await;
    let seen = send(app(&api, None), &[("x-signature", "c2ln")], BODY).await;
    assert_eq!(seen, (200, "/caf\u{e9}".to_owned()));
    let asked = api.asked().pop().unwrap();
    assert_eq!(
        asked.line,
        "POST /addons/1530f4b5-c63a-4221-b28c-bc9602119605/data_action_targets/authenticate"
    );
    assert_eq!(asked.bearer(), "tok-default");
    let question: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        question,
        json!({"api_name": "My Target", "org_id": "00DSB00000VAyPF2A1", "signature": "c2ln", "payload": BODY})
    );
    let bytes = b"\xff\x00";
    assert_eq!(
        send(app(&api, None), &[("x-signature", "c2ln")], bytes.as_slice()).await.0,
        400,
        "signed, and no JSON"
    );
    let question: Value = serde_json::from_str(&api.asked().pop().unwrap().body).unwrap();
    assert_eq!(question["payload_base64"], STANDARD.encode(bytes));
}

#[tokio::test]
async fn every_no_has_its_status_and_the_handler_hears_of_none() {
    for (said, status, expected, id) in [
        (r#"{"id":"forbidden","message":"no"}"#, 403, 403, "forbidden"),
        (r#"{"id":"signing_key_not_found","message":"wait"}"#, 403, 403, "signing_key_not_found"),
        (r#"{"id":"conflict","message":"again"}"#, 409, 409, "conflict"),
        (r#"{"id":"unauthorized","message":"who?"}"#, 401, 503, "unavailable"),
        (r#"{"id":"server_error","message":"oh"}"#, 500, 503, "unavailable"),
    ] {
        let api = Stub::start(move |_| answer(status, said)).await;
        let (status, body) = send(app(&api, None), &[("x-signature", "c2ln")], BODY).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["id"]), (expected, &json!(id)), "{said}: {body}");
    }
    let api = Stub::start(|_| answer(200, "{}")).await;
    for headers in [&[][..], &[("x-signature", "")], &[("x-signature", "a"), ("x-signature", "b")]] {
        assert_eq!(send(app(&api, None), headers, BODY).await.0, 401, "{headers:?}");
    }
    let large = vec![b' '; 3 * 1024 * 1024];
    assert_eq!(send(app(&api, None), &[("x-signature", "a")], large).await.0, 413);
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn behind_a_mesh_its_word_counts_and_nothing_that_came_past_it() {
    let api = Stub::start(|_| answer(200, "{}")).await;
    let signed = ("x-signature", "c2ln");
    for (secret, expected) in [(None, 403), (Some("s3cre"), 403), (Some("s3cret"), 200)] {
        let headers = Vec::from_iter(
            secret.map(|secret| ("x-applink-mesh-secret", secret)).into_iter().chain([signed]),
        );
        assert_eq!(send(app(&api, Some("s3cret")), &headers, BODY).await.0, expected, "{secret:?}");
    }
    let unsigned = [("x-applink-mesh-secret", "s3cret")];
    assert_eq!(send(app(&api, Some("s3cret")), &unsigned, BODY).await.0, StatusCode::UNAUTHORIZED.as_u16());
    assert!(api.asked().is_empty(), "the mesh has asked");
}
