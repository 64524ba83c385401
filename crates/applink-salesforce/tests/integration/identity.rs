//! Who a token belongs to.

use applink_salesforce::OrgError;

use crate::stub::{Stub, json};

#[tokio::test]
async fn userinfo_names_user_and_org() {
    let stub = Stub::answering([json(
        200,
        r#"{"sub":"https://login.salesforce.com/id/00DSB00000VAyPF2A1/005SB0000001abcYAA","user_id":"005SB0000001abcYAA",
            "organization_id":"00DSB00000VAyPF2A1","preferred_username":"admin@acme.example","name":"Ada","email":"ada@acme.example"}"#,
    )])
    .await;
    let user = stub.org().who_am_i().await.unwrap();
    assert_eq!(user.username, "admin@acme.example");
    assert_eq!(user.organization_id.as_str(), "00DSB00000VAyPF2A1");
    assert_eq!(stub.asked()[0].target, "/services/oauth2/userinfo");
}

#[tokio::test]
async fn a_bad_token_at_userinfo_is_an_expired_session() {
    let bad =
        axum::response::IntoResponse::into_response((axum::http::StatusCode::FORBIDDEN, "Bad_OAuth_Token"));
    let stub = Stub::answering([bad]).await;
    assert!(matches!(stub.org().who_am_i().await, Err(OrgError::SessionExpired { .. })));
}

#[tokio::test]
async fn the_permission_is_read_as_the_user_and_missing_means_no() {
    let row = |value: &str| {
        format!(
            r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{"type":"UserPermissionAccess","url":"/x"}},"PermissionsManageHerokuAppLink":{value}}}]}}"#
        )
    };
    let stub = Stub::answering([
        json(200, row("true")),
        json(200, row("false")),
        json(200, r#"{"totalSize":0,"done":true,"records":[]}"#),
        json(400, r#"[{"message":"No such column","errorCode":"INVALID_FIELD"}]"#),
        json(400, r#"[{"message":"sObject type is not supported","errorCode":"INVALID_TYPE"}]"#),
    ])
    .await;
    let org = stub.org();
    assert!(org.may_manage_applink().await.unwrap());
    for _ in 0..3 {
        assert!(!org.may_manage_applink().await.unwrap());
    }
    assert!(org.may_manage_applink().await.is_err(), "an org that can't say is not an org that says no");
    assert!(stub.asked()[0].target.contains("PermissionsManageHerokuAppLink"));
}

#[tokio::test]
async fn a_sandbox_says_so() {
    let body = r#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Organization","url":"/x"},"IsSandbox":true}]}"#;
    assert!(Stub::answering([json(200, body)]).await.org().is_sandbox().await.unwrap());
}
