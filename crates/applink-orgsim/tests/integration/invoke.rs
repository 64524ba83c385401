//! The org calls an app as a user.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::app::App;
use super::support::package::{ADDON_UUID, APP_UUID, Package};
use super::support::{START_SECONDS, TestOrg, payload};

const PARAMETERS: &str = "SELECT Name__c FROM ProvisioningParameter__mdt";

/// An org with the service published for an app, and sales permitted to call it.
async fn published() -> (TestOrg, App) {
    let (org, app) = (TestOrg::start().await, App::start().await);
    let result = org.deploy("admin", &Package::service(&app.url)).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    org.assign("Provisioning", "sales").await;
    org.assign("ProvisioningPermissions", "sales").await;
    (org, app)
}

fn provision(org: &TestOrg, role: &str) -> Value {
    json!({"service": "Provisioning", "operation": "provision", "as": org.username(role), "body": {"opportunityIds": ["006"]}, "mode": "apex"})
}

#[tokio::test]
async fn an_app_is_called_with_the_three_headers_and_a_token_that_verifies() {
    let (org, app) = published().await;
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    assert_eq!(
        (status, &answer["status"], &answer["body"]),
        (StatusCode::OK, &201.into(), &json!({"jobId": "j1"})),
        "{answer}"
    );
    assert_eq!(
        (&answer["refused"], &answer["state"], &answer["callbacks_expected"]),
        (&Value::Null, &"waiting".into(), &true.into())
    );

    let call = app.last();
    assert_eq!((call.method.as_str(), call.uri.path()), ("POST", "/api/provision"));
    let request_id = call.header("x-request-id");
    assert_eq!(answer["request_id"], request_id);
    assert!(
        request_id.starts_with(&format!("{}-", org.org.org_id()))
            && request_id.ends_with("-2026-09-21T14:13:20.000000Z"),
        "{request_id}"
    );
    let context = call.context("x-request-context");
    for (field, value) in [
        ("id", request_id.as_str()),
        ("orgId", org.org.org_id()),
        ("orgDomainUrl", org.org.url()),
        ("loginUrl", org.org.url()),
        ("appUuid", APP_UUID),
        ("addonUuid", ADDON_UUID),
        ("resource", "Provisioning.provision"),
    ] {
        assert_eq!(context[field], value, "{field}");
    }
    assert!(context["type"].as_str().is_some_and(|kind| !kind.is_empty()));
    let client = call.context("x-client-context");
    assert_eq!(client["requestId"], request_id);
    assert_eq!(client["apiVersion"], "66.0");
    assert_eq!(
        client["userContext"],
        json!({"userId": org.user("sales").user_id, "username": org.username("sales")})
    );
    verify(&org, context["auth"].as_str().unwrap()).await;
}

/// As a mesh would: key by `kid`, RS256, issuer and audience.
async fn verify(org: &TestOrg, token: &str) {
    let keys: JwkSet = org.http.get(org.url("/id/keys")).send().await.unwrap().json().await.unwrap();
    let header = decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[org.org.url()]);
    validation.set_audience(&[APP_UUID]);
    // Expiry is by the org's clock, which these tests hold still.
    validation.validate_exp = false;
    let claims = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims;
    assert_eq!(claims["sub"], format!("uid:{}", org.user("sales").user_id));
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(issued, START_SECONDS);
    assert!(claims["nbf"].as_i64().unwrap() <= issued && expires > issued && expires - issued <= 300);
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() == 36));
}

#[tokio::test]
async fn every_token_is_new() {
    let (org, app) = published().await;
    for _ in 0..2 {
        org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    }
    let token =
        |index: usize| payload(app.calls()[index].context("x-request-context")["auth"].as_str().unwrap());
    assert_ne!(token(0)["jti"], token(1)["jti"]);
    assert_ne!(app.calls()[0].access_token(), app.calls()[1].access_token());
}

#[tokio::test]
async fn users_without_the_permission_sets_are_refused_before_anything_is_sent() {
    let (org, app) = published().await;
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "intern")).await;
    assert_eq!((status, &answer["error"]), (StatusCode::FORBIDDEN, &"credential_access_missing".into()));
    assert!(answer["detail"].as_str().unwrap().contains("Provisioning"), "{answer}");
    org.assign("Provisioning", "intern").await;
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "intern")).await;
    assert_eq!((status, &answer["error"]), (StatusCode::FORBIDDEN, &"permission_set_not_assigned".into()));
    assert!(app.calls().is_empty());
    let open = json!({"service": "provisioning", "operation": "STATUS", "as": org.username("intern"), "parameters": {"job": "a/b", "limit": 3}});
    let (status, answer) = org.sim_post("/_sim/invoke", &open).await;
    assert_eq!(
        (status, &answer["state"]),
        (StatusCode::OK, &"ended".into()),
        "an operation that needs no elevation"
    );
    assert_eq!(app.last().uri.to_string(), "/api/status/a%2Fb?limit=3");
}

#[tokio::test]
async fn elevation_counts_in_the_invocations_session_only_and_ends_with_it() {
    let (org, app) = published().await;
    let sales = json!({"username": org.username("sales")});
    assert_eq!(org.probe(sales.clone(), PARAMETERS).await.0, 400, "not before");
    let (_, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    let session = json!({"session_id": answer["session_id"]});
    assert_eq!(org.probe(session.clone(), PARAMETERS).await.1["totalSize"], 4);
    let path = format!("/services/data/v66.0/query?q={}", PARAMETERS.replace(' ', "+"));
    let token = app.last().access_token();
    assert_eq!(
        org.get(&path, &token).await.status(),
        StatusCode::OK,
        "the app reads it with the token it got"
    );
    assert_eq!(org.probe(sales.clone(), PARAMETERS).await.0, 400, "no other session of the user is elevated");
    assert_eq!(org.get(&path, &org.access_token_of("sales").await).await.status(), StatusCode::BAD_REQUEST);

    let end = format!("/_sim/invocations/{}/end", answer["invocation_id"].as_str().unwrap());
    assert_eq!(org.sim_post(&end, &json!({})).await.1["changed"], true);
    assert_eq!(org.probe(session, PARAMETERS).await.0, 401);
    assert_eq!(org.get(&path, &token).await.status(), StatusCode::UNAUTHORIZED);
    let (_, left) = org
        .probe(json!({"username": org.username("admin")}), "SELECT Id FROM SessionPermSetActivation")
        .await;
    assert_eq!(left["totalSize"], 0);
    assert_eq!(org.sim_post(&end, &json!({})).await.1["changed"], false, "ending twice is no error");
}

#[tokio::test]
async fn without_callbacks_the_session_ends_with_the_answer() {
    let (org, app) = published().await;
    let mut call = provision(&org, "sales");
    call["mode"] = "flow".into();
    let (_, answer) = org.sim_post("/_sim/invoke", &call).await;
    assert_eq!((&answer["state"], &answer["callbacks_expected"]), (&"ended".into(), &false.into()));
    assert_eq!(app.last().body, json!({"opportunityIds": ["006"]}), "a flow has no callback");
    assert_eq!(
        org.get("/services/oauth2/userinfo", &app.last().access_token()).await.status(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_apps_refusal_ends_the_invocation() {
    let (org, app) = published().await;
    app.answer_with(StatusCode::FORBIDDEN);
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    assert_eq!((status, &answer["status"], &answer["state"]), (StatusCode::OK, &403.into(), &"ended".into()));
}

#[tokio::test]
async fn arguments_are_checked_with_the_path_to_the_fault() {
    let (org, app) = published().await;
    let cases = [
        (json!({"body": {}}), "body.opportunityIds: the property is required"),
        (
            json!({"body": {"opportunityIds": ["a", 1]}}),
            "body.opportunityIds[1]: expected string, found a number",
        ),
        (json!({"body": {"opportunityIds": [], "color": 1}}), "body.color: there is no such property"),
        (json!({"parameters": {"x": 1}}), "parameters.x: there is no such parameter"),
        (json!({"operation": "status", "body": null}), "parameters.job: the parameter is required"),
        (
            json!({"operation": "status", "body": null, "parameters": {"job": "a", "limit": 11}}),
            "parameters.limit: expected at most 10",
        ),
        (json!({"operation": "status", "body": {}}), "body: the operation status takes none"),
        (json!({"operation": "status", "body": null, "parameters": {"job": ".."}}), "parameters.job:"),
        (json!({"callback_timeout_minutes": 1441}), "callback_timeout_minutes: expected 1 to 1440"),
    ];
    let modes = ["flow", "apex"].into_iter();
    for ((change, words), mode) in cases.iter().flat_map(|case| modes.clone().map(move |mode| (case, mode))) {
        let mut call = provision(&org, "sales");
        call["mode"] = mode.into();
        for (name, value) in change.as_object().unwrap() {
            call[name] = value.clone();
        }
        let (status, answer) = org.sim_post("/_sim/invoke", &call).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &"invalid_arguments".into()),
            "{change}: {answer}"
        );
        assert!(answer["detail"].as_str().unwrap().starts_with(words), "{change}: {answer}");
    }
    assert!(app.calls().is_empty());
}

#[tokio::test]
async fn unknown_names_and_unreachable_apps_have_their_own_answers() {
    let (org, _app) = published().await;
    for (field, value, error) in [
        ("service", "Nothing", "unknown_service"),
        ("operation", "nothing", "unknown_operation"),
        ("as", "nobody@acme.example", "unknown_user"),
    ] {
        let mut call = provision(&org, "sales");
        call[field] = value.into();
        let (status, answer) = org.sim_post("/_sim/invoke", &call).await;
        assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &error.into()));
    }
    // A port that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    org.deploy("admin", &Package::service(&format!("http://{free}"))).await;
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_GATEWAY, &"app_unreachable".into()), "{answer}");
    let all = org.sim("/_sim/invocations").await;
    assert_eq!(all[0]["state"], "ended", "nothing stays open");
}

#[tokio::test]
async fn rights_of_the_calling_user_hold_for_the_apps_token() {
    let (org, app) = published().await;
    org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    let token = app.last().access_token();
    let path = "/services/data/v66.0/query?q=SELECT+Id,+OwnerId+FROM+Opportunity";
    let seen: Value = org.get(path, &token).await.json().await.unwrap();
    let user_id = &org.user("sales").user_id;
    assert_eq!(seen["totalSize"], 4);
    assert!(seen["records"].as_array().unwrap().iter().all(|record| record["OwnerId"] == user_id.as_str()));
}

#[tokio::test]
async fn a_service_deployed_again_grants_again_what_was_taken_away() {
    let (org, app) = published().await;
    let other = "<authenticationProtocol>Custom</authenticationProtocol><externalCredentialParameters><parameterGroup>Other</parameterGroup>\
         <parameterName>Other</parameterName><parameterType>NamedPrincipal</parameterType><sequenceNumber>1</sequenceNumber>\
         </externalCredentialParameters><label>Provisioning</label>";
    let other = Package::new().component(
        "ExternalCredential",
        "Provisioning",
        "externalCredentials",
        "externalCredential",
        other,
    );
    let result = org.deploy("admin", &other).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    assert_eq!((status, &answer["error"]), (StatusCode::FORBIDDEN, &"credential_access_missing".into()));
    let result = org.deploy("admin", &Package::service(&app.url)).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    let (status, answer) = org.sim_post("/_sim/invoke", &provision(&org, "sales")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}
