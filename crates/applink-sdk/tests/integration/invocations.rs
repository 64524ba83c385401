//! The extractor, in a router.

use applink_sdk::Invocation;
use applink_sdk::invocation::InvocationSettings;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tower::ServiceExt as _;

use crate::stub::{ORG_ID, Stub, expired, rows};

fn settings(secret: Option<&str>) -> InvocationSettings {
    let env = secret.map(|secret| ("APPLINK_MESH_SECRET".to_owned(), secret.to_owned()));
    InvocationSettings::from_env(&Vec::from_iter(env)).unwrap()
}

fn context(org_url: &str) -> String {
    STANDARD.encode(format!(
        r#"{{"requestId":"r-1","accessToken":"00D!caller","apiVersion":"v66.0","namespace":null,"orgId":"{ORG_ID}",
            "orgDomainUrl":"{org_url}","userContext":{{"userId":"005DS00000yYLD1YAO","username":"sales@acme.example"}}}}"#
    ))
}

fn app(secret: Option<&str>) -> Router {
    async fn who(invocation: Invocation) -> Result<String, String> {
        let page = invocation.org().data().query("SELECT Id FROM Account").send().await;
        let page = page.map_err(|error| error.to_string())?;
        Ok(format!("{} {} {}", invocation.user().username, invocation.org_id(), page.total_size))
    }
    async fn maybe(invocation: Option<Invocation>) -> String {
        invocation.map_or("nobody".to_owned(), |invocation| invocation.user().username.clone())
    }
    Router::new().route("/who", get(who)).route("/maybe", get(maybe)).layer(Extension(settings(secret)))
}

async fn call(app: Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_app_acts_as_the_caller_under_the_calls_id() {
    let org = Stub::start(|_| rows("")).await;
    let answer = call(app(None), "/who", &[("X-Client-Context", &context(&org.url))]).await;
    assert_eq!(answer, (StatusCode::OK, format!("sales@acme.example {ORG_ID} 1")));
    let asked = &org.asked()[0];
    assert_eq!(asked.bearer(), "00D!caller");
    assert_eq!(asked.headers["x-request-id"], "r-1");
}

#[tokio::test]
async fn an_ended_session_is_the_end() {
    let org = Stub::start(|_| expired()).await;
    let (_, body) = call(app(None), "/who", &[("x-client-context", &context(&org.url))]).await;
    assert_eq!(body, "the org refused the session: Session expired or invalid");
    assert_eq!(org.asked().len(), 1);
}

#[tokio::test]
async fn only_the_mesh_is_believed() {
    let org = Stub::start(|_| rows("")).await;
    let context = context(&org.url);
    let given = ("x-client-context", context.as_str());
    for (secret, expected) in [
        (None, StatusCode::FORBIDDEN),
        (Some(""), StatusCode::FORBIDDEN),
        (Some("s3cre"), StatusCode::FORBIDDEN),
        (Some("s3cret2"), StatusCode::FORBIDDEN),
        (Some("s3cret"), StatusCode::OK),
    ] {
        let headers: Vec<(&str, &str)> =
            [given].into_iter().chain(secret.map(|secret| ("x-applink-mesh-secret", secret))).collect();
        let (status, body) = call(app(Some("s3cret")), "/who", &headers).await;
        assert_eq!(status, expected, "{secret:?}");
        assert!(!body.contains("s3cret") && !body.contains("00D!caller"), "{body}");
    }
    assert_eq!(org.asked().len(), 1);
}

#[tokio::test]
async fn what_is_no_context_is_refused_with_a_reason() {
    let good = context("https://acme.my.salesforce.com");
    let elsewhere = context("http://acme.example");
    let no_user = STANDARD.encode(
        r#"{"requestId":"r","accessToken":"canary","apiVersion":"66.0","orgId":"x","orgDomainUrl":"y"}"#,
    );
    for (headers, status) in [
        (vec![], StatusCode::UNAUTHORIZED),
        (vec![("x-client-context", "%%%")], StatusCode::BAD_REQUEST),
        (vec![("x-client-context", no_user.as_str())], StatusCode::BAD_REQUEST),
        (vec![("x-client-context", elsewhere.as_str())], StatusCode::BAD_REQUEST),
        (
            vec![("x-client-context", good.as_str()), ("x-client-context", good.as_str())],
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let (answered, body) = call(app(None), "/who", &headers).await;
        assert_eq!(answered, status, "{headers:?}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], status.as_u16());
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty() && !text.contains("canary")));
    }
}

#[tokio::test]
async fn an_optional_context_may_be_missing_but_not_wrong() {
    let good = context("https://acme.my.salesforce.com");
    assert_eq!(call(app(None), "/maybe", &[]).await, (StatusCode::OK, "nobody".to_owned()));
    assert_eq!(call(app(None), "/maybe", &[("x-client-context", &good)]).await.1, "sales@acme.example");
    assert_eq!(call(app(None), "/maybe", &[("x-client-context", "?")]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(call(app(Some("s")), "/maybe", &[("x-client-context", &good)]).await.0, StatusCode::FORBIDDEN);
}

#[test]
fn an_empty_mesh_secret_is_a_mistake() {
    let env = vec![("APPLINK_MESH_SECRET".to_owned(), String::new())];
    assert!(InvocationSettings::from_env(&env).unwrap_err().to_string().contains("APPLINK_MESH_SECRET"));
    assert!(!format!("{:?}", settings(Some("s3cret"))).contains("s3cret"));
}
