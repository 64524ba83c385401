//! Who may control the org.

use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::browser::Browser;
use super::support::{CALLBACK, SIM_KEY, TestOrg, VERIFIER};

#[tokio::test]
async fn the_key_is_needed_for_everything() {
    let org = TestOrg::start().await;
    for (method, path) in
        [(Method::GET, "/_sim/org"), (Method::POST, "/_sim/invoke"), (Method::GET, "/_sim/nothing")]
    {
        for key in ["", "wrong", "the key of these test"] {
            let answer = org
                .http
                .request(method.clone(), org.url(path))
                .header("x-sim-key", key)
                .json(&json!({}))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path} with {key:?}");
            assert_eq!(answer.json::<Value>().await.unwrap()["error"], "wrong_key");
        }
    }
    let missing = org.http.get(org.url("/_sim/nothing")).header("x-sim-key", SIM_KEY).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn web_pages_of_other_sites_are_refused_even_with_the_key() {
    let org = TestOrg::start().await;
    for origin in ["http://evil.example", "null", "http://127.0.0.1:3000"] {
        let answer = org
            .http
            .get(org.url("/_sim/org"))
            .header("x-sim-key", SIM_KEY)
            .header(ORIGIN, origin)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    }
    let preflight = org
        .http
        .request(Method::OPTIONS, org.url("/_sim/org"))
        .header(ORIGIN, "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_rebound_host_name_is_refused_everywhere() {
    let org = TestOrg::start().await;
    for path in ["/_sim/org", "/", "/services/data", "/login"] {
        let answer = org
            .http
            .get(org.url(path))
            .header("x-sim-key", SIM_KEY)
            .header(HOST, "evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn bodies_must_be_json_and_faults_are_placed() {
    let org = TestOrg::start().await;
    let post = |kind: &str, body: &'static str| {
        org.http
            .post(org.url("/_sim/invoke"))
            .header("x-sim-key", SIM_KEY)
            .header(CONTENT_TYPE, kind)
            .body(body)
            .send()
    };
    assert_eq!(post("text/plain", "{}").await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = post("application/json; charset=utf-8", "{\n \"service\": }").await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.json::<Value>().await.unwrap()["detail"].as_str().unwrap().starts_with("line 2, column"));
    let (_, answer) =
        org.sim_post("/_sim/invoke", &json!({"service": "a", "operation": "b", "as": "c", "bdoy": {}})).await;
    assert!(answer["detail"].as_str().unwrap().contains("bdoy"), "{answer}");
}

#[tokio::test]
async fn what_the_org_is_and_has_can_be_seen() {
    let org = TestOrg::start().await;
    let about = org.sim("/_sim/org").await;
    assert_eq!(
        (&about["org_id"], &about["kind"], &about["api_version"]),
        (&org.org.org_id().into(), &"production".into(), &"66.0".into())
    );
    assert_eq!(org.sim("/_sim/users").await.as_array().unwrap().len(), 4);
    let clients = org.sim("/_sim/oauth-clients").await;
    assert_eq!(clients[0]["label"], "AppLink Control Plane");
    assert!(!clients.to_string().contains("fingerprint"));
    let (status, answer) =
        org.sim_post("/_sim/permission-sets/assign", &json!({"permission_set": "X", "username": "y"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer["message"].as_str().unwrap().contains("\"X\""));
}

#[tokio::test]
async fn people_are_let_in_or_not_and_profiles_change_for_all_their_users() {
    let org = TestOrg::start().await;
    let intern = org.username("intern");
    let may = async || {
        let (status, rows) = org
            .probe(json!({"username": intern}), "SELECT PermissionsApiEnabled FROM UserPermissionAccess")
            .await;
        assert_eq!(status, 200, "{rows}");
        rows["records"][0]["PermissionsApiEnabled"].clone()
    };
    assert_eq!(may().await, json!(true));
    for on in [false, true] {
        let form = json!({"name": "Intern", "permissions": {"ApiEnabled": on}});
        let (status, answer) = org.sim_post("/_sim/profiles", &form).await;
        assert_eq!((status, may().await), (StatusCode::OK, json!(on)), "{answer}");
    }
    let form = json!({"name": "Intern", "permissions": {"Fly": true}});
    let (status, answer) = org.sim_post("/_sim/profiles", &form).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_permission")));

    let (status, _) = org.sim_post("/_sim/users", &json!({"username": intern, "active": false})).await;
    assert_eq!(status, StatusCode::OK);
    let users = org.sim("/_sim/users").await;
    let shown = users.as_array().unwrap().iter().find(|user| user["username"] == *intern).unwrap();
    assert_eq!(shown["active"], false);
    for (path, form) in [
        ("/_sim/users", json!({"username": "nobody@acme.example", "active": true})),
        ("/_sim/profiles", json!({"name": "Nobody", "permissions": {}})),
        ("/_sim/services/remove", json!({"service": "Nothing"})),
    ] {
        assert_eq!(org.sim_post(path, &form).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_lost_its_secret_or_its_callback_gets_no_tokens() {
    let org = TestOrg::start().await;
    let change = async |change: Value| {
        let mut form = change;
        form["name"] = json!("AppLink_Control_Plane");
        assert_eq!(org.sim_post("/_sim/oauth-clients", &form).await.0, StatusCode::OK);
    };
    let code = async || {
        let mut browser = Browser::new(&org);
        browser.authorize_and_allow(&org.authorize_url(&[]), "sales").await
    };
    let (first, second) = (code().await, code().await);
    change(json!({"callbacks": ["https://elsewhere.example/callback"]})).await;
    let (status, answer) = org.exchange(&first, VERIFIER).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("redirect_uri_mismatch")));
    change(json!({"callbacks": [CALLBACK], "consumer_secret": "another secret"})).await;
    let (status, answer) = org.exchange(&second, VERIFIER).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_client")));
    let clients = org.sim("/_sim/oauth-clients").await;
    assert!(!clients.to_string().contains("another secret"), "{clients}");
}
