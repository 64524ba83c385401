//! The REST calls as an org sees them.

use applink_salesforce::error::{ErrorKind, OrgError};
use applink_salesforce::rest::{ApiVersion, OrgCall};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::json as value;

use crate::stub::{Stub, TOKEN, json};

#[tokio::test]
async fn a_query_goes_page_by_page() {
    let stub = Stub::answering([
        json(200, r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01gB000003OCxSPIA1-2000",
            "records":[{"attributes":{"type":"Account","url":"/a"},"Name":null},{"attributes":{"type":"Account","url":"/b"},"Name":""}]}"#),
        json(200, r#"{"totalSize":3,"done":true,"records":[{"attributes":{"type":"Account","url":"/c"},"Name":"Acme"}]}"#),
    ])
    .await;
    let records =
        stub.org().with_request_id("r-1").query_all("SELECT Name FROM Account WHERE Name != 'a&b+c'").await;
    let names: Vec<serde_json::Value> = records.unwrap().into_iter().map(|row| row["Name"].clone()).collect();
    assert_eq!(names, [value!(null), value!(""), value!("Acme")]);
    let asked = stub.asked();
    let query = asked[0].target.strip_prefix("/services/data/v66.0/query?").unwrap();
    let soql = url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned();
    assert_eq!(soql, "SELECT Name FROM Account WHERE Name != 'a&b+c'");
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked[0].headers["x-request-id"], "r-1");
    assert_eq!(asked[1].target, "/services/data/v66.0/query/01gB000003OCxSPIA1-2000");
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused() {
    let other = Stub::answering([json(200, "{}")]).await;
    let body = format!(
        r#"{{"totalSize":3,"done":false,"nextRecordsUrl":"{}/services/data/v66.0/query/01g-2000","records":[]}}"#,
        other.origin
    );
    let stub = Stub::answering([json(200, body)]).await;
    let error = stub.org().query_all("SELECT Id FROM Account").await.unwrap_err();
    assert!(matches!(error, OrgError::ForeignOrigin { .. }), "{error:?}");
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn records_are_written_with_the_right_verbs() {
    let id = "001B000001Lp1FxIAJ";
    let stub = Stub::answering([
        json(201, format!(r#"{{"id":"{id}","success":true,"errors":[]}}"#)),
        StatusCode::NO_CONTENT.into_response(),
        json(201, format!(r#"{{"id":"{id}","success":true,"errors":[],"created":true}}"#)),
        json(200, format!(r#"{{"id":"{id}","success":true,"errors":[],"created":false}}"#)),
        StatusCode::NO_CONTENT.into_response(),
    ])
    .await;
    let org = stub.org();
    let fields = value!({"Name": "Acme"});
    let created = org.create("Account", &fields).await.unwrap();
    assert_eq!((created.id.as_str(), created.created), (id, true));
    org.update("Account", "001B000001Lp1Fx", &fields).await.unwrap();
    assert!(org.upsert("Product2", "ProductCode", "A/B 1", &fields).await.unwrap().created);
    assert!(!org.upsert("Product2", "ProductCode", "é?#", &fields).await.unwrap().created);
    org.delete("Account", id).await.unwrap();
    let asked = stub.asked();
    let lines: Vec<String> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect();
    assert_eq!(
        lines,
        [
            "POST /services/data/v66.0/sobjects/Account",
            "PATCH /services/data/v66.0/sobjects/Account/001B000001Lp1FxIAJ",
            "PATCH /services/data/v66.0/sobjects/Product2/ProductCode/A%2FB%201",
            "PATCH /services/data/v66.0/sobjects/Product2/ProductCode/%C3%A9%3F%23",
            "DELETE /services/data/v66.0/sobjects/Account/001B000001Lp1FxIAJ",
        ]
    );
    assert_eq!(asked[0].body, r#"{"Name":"Acme"}"#);
}

#[tokio::test]
async fn names_that_would_change_the_path_are_refused_before_sending() {
    let stub = Stub::answering([json(200, "{}")]).await;
    let org = stub.org();
    let fields = value!({});
    for sobject in ["", "Account/../User", "Account?x", "1Account", "Acc ount"] {
        assert!(matches!(org.create(sobject, &fields).await, Err(OrgError::BadName { .. })), "{sobject}");
    }
    assert!(matches!(org.update("Account", "../x", &fields).await, Err(OrgError::BadId(_))));
    for external in ["", ".", ".."] {
        assert!(matches!(org.upsert("A", "B", external, &fields).await, Err(OrgError::BadName { .. })));
    }
    assert_eq!(stub.asked().len(), 0);
}

#[tokio::test]
async fn refusals_keep_their_code_and_a_401_is_an_expired_session() {
    let stub = Stub::answering([
        json(401, r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#),
        json(400, r#"[{"message":"unexpected token: SELEKT","errorCode":"MALFORMED_QUERY"}]"#),
        (StatusCode::NOT_FOUND, [("content-type", "text/html")], "<!doctype html>").into_response(),
        (StatusCode::OK, [("content-type", "text/html")], "<!doctype html>").into_response(),
        json(200, r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#),
        json(200, r#"{"totalSize":1,"done":true,"records":[{"Id":1},7]}"#),
    ])
    .await;
    let org = stub.org();
    let mut errors = Vec::new();
    for _ in 0..6 {
        errors.push(org.query("SELEKT").await.unwrap_err());
    }
    assert_eq!(errors[0].kind(), ErrorKind::Auth);
    assert!(errors[1].has_code("MALFORMED_QUERY"));
    assert!(matches!(errors[2], OrgError::Unexpected { .. }));
    assert!(matches!(errors[3], OrgError::Unexpected { .. }));
    assert!(matches!(errors[4], OrgError::Shape { .. }));
    let OrgError::Shape { path, .. } = &errors[5] else { panic!("{:?}", errors[5]) };
    assert_eq!(path, "records[1]");
    assert!(errors.iter().all(|error| !format!("{error} {error:?}").contains("canary")));
}

#[tokio::test]
async fn the_token_follows_no_redirect() {
    let other = Stub::answering([json(200, "{}")]).await;
    let location = format!("{}/elsewhere", other.origin);
    let stub = Stub::answering([(StatusCode::FOUND, [("location", location)])]).await;
    let error = stub.org().send(&OrgCall::get("/services/data")).await.unwrap_err();
    assert!(matches!(error, OrgError::Redirected { .. }), "{error:?}");
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn a_call_to_another_origin_sends_nothing() {
    let other = Stub::answering([json(200, "{}")]).await;
    let stub = Stub::answering([json(200, "{}")]).await;
    let call = OrgCall::new(Method::POST, format!("{}/callback", other.origin));
    assert!(matches!(stub.org().send(&call).await, Err(OrgError::ForeignOrigin { .. })));
    assert_eq!((stub.asked().len(), other.asked().len()), (0, 0));
    let own =
        OrgCall::new(Method::POST, format!("{}/callback", stub.origin)).json(&value!({"a": 1})).unwrap();
    stub.org().send(&own).await.unwrap();
    assert_eq!(stub.asked()[0].body, r#"{"a":1}"#);
}

#[tokio::test]
async fn the_newest_version_is_the_highest() {
    let stub = Stub::answering([
        json(200, r#"[{"label":"a","url":"/services/data/v9.0","version":"9.0"},{"version":"66.0"},{"version":"58.0"}]"#),
        json(200, "[]"),
    ])
    .await;
    assert_eq!(stub.org().newest_version().await.unwrap(), ApiVersion::new(66));
    assert!(stub.org().newest_version().await.is_err());
}
