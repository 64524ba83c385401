//! Deploys as an org sees them.

use std::time::Duration;

use applink_salesforce::OrgError;
use applink_salesforce::metadata::{DeployOptions, DeployStatus, Patience, ZIP_LIMIT};

use crate::stub::{Stub, json};

const ID: &str = "0AfSB000000ABCD0A4";

/// Asks three times, without a pause worth the name.
const PROMPT: Patience = Patience {
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(1),
    give_up_after: Duration::from_millis(2),
};

fn deploy_id() -> String {
    let id: applink_salesforce::RecordId = ID[..15].parse().unwrap();
    id.to_string()
}

fn status(result: &str) -> axum::response::Response {
    json(
        200,
        format!(
            r#"{{"id":"{0}","validatedDeployRequestId":null,"deployResult":{{"id":"{0}",{result}}}}}"#,
            deploy_id()
        ),
    )
}

#[tokio::test]
async fn a_package_goes_up_as_two_parts() {
    let started = format!(
        r#"{{"id":"{0}","deployOptions":{{}},"deployResult":{{"id":"{0}","status":"Pending","done":false}}}}"#,
        deploy_id()
    );
    let stub = Stub::answering([json(201, started)]).await;
    let id = stub.org().deploy(b"PK\x03\x04zip", &DeployOptions::default()).await.unwrap();
    assert_eq!(id.to_string(), deploy_id());
    let asked = &stub.asked()[0];
    assert_eq!(asked.target, "/services/data/v66.0/metadata/deployRequest");
    let content_type = asked.headers["content-type"].to_str().unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let parts: Vec<&str> = asked.body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "", "--\r\n"));
    assert!(parts[1].contains("name=\"json\"") && parts[1].contains("Content-Type: application/json"));
    assert!(parts[1].contains(r#"{"deployOptions":{"checkOnly":false,"rollbackOnError":true"#));
    assert!(
        parts[2].contains("filename=\"package.zip\"") && parts[2].ends_with("\r\n\r\nPK\u{3}\u{4}zip\r\n")
    );
}

#[tokio::test]
async fn a_package_over_the_limit_is_not_sent() {
    let stub = Stub::answering([json(201, "{}")]).await;
    let error = stub.org().deploy(&vec![0; ZIP_LIMIT + 1], &DeployOptions::default()).await.unwrap_err();
    assert!(matches!(error, OrgError::OverLimit { .. }));
    assert_eq!(stub.asked().len(), 0);
}

#[tokio::test]
async fn each_component_has_its_result() {
    let stub = Stub::answering([status(
        r#""status":"Failed","done":true,"success":false,"numberComponentErrors":1,"numberComponentsTotal":2,"runTestsEnabled":false,
           "details":{"componentFailures":[{"changed":false,"columnNumber":3,"componentType":"ExternalServiceRegistration","created":false,
             "createdDate":"2026-01-01T00:00:00.000Z","deleted":false,"fileName":"externalServiceRegistrations/Q.externalServiceRegistration",
             "fullName":"Q","id":"","lineNumber":7,"problem":"The schema is invalid","problemType":"Error","success":false}],
             "componentSuccesses":[{"changed":true,"componentType":"","created":false,"deleted":false,"fileName":"package.xml","fullName":"package.xml","success":true}],
             "runTestResult":{"numFailures":0}}"#,
    )])
    .await;
    let result = stub.org().deploy_status(ID[..15].parse().unwrap()).await.unwrap();
    assert_eq!(result.status, DeployStatus::Failed);
    assert_eq!(
        (result.done, result.success, result.component_errors, result.components),
        (true, false, 1, 2)
    );
    let failure = &result.failures[0];
    assert_eq!(failure.component_type, "ExternalServiceRegistration");
    assert_eq!(failure.problem.as_deref(), Some("The schema is invalid"));
    assert_eq!((failure.line_number, failure.column_number, failure.id.as_deref()), (Some(7), Some(3), None));
    assert_eq!(result.successes[0].full_name, "package.xml");
    assert!(stub.asked()[0].target.ends_with(&format!("deployRequest/{}?includeDetails=true", deploy_id())));
}

#[tokio::test]
async fn asks_until_it_is_done() {
    let stub = Stub::answering([
        status(r#""status":"Pending","done":false"#),
        status(r#""status":"FinalizingDeploy","done":false,"details":null"#),
        status(r#""status":"Succeeded","done":true,"success":true,"details":{"componentFailures":{"fullName":"lone"}}"#),
    ])
    .await;
    let result = stub.org().deploy_outcome(ID[..15].parse().unwrap(), PROMPT).await.unwrap();
    assert!(result.success);
    assert_eq!(result.failures[0].full_name, "lone");
    assert_eq!(stub.asked().len(), 3);
}

#[tokio::test]
async fn gives_the_last_result_when_patience_runs_out() {
    let stub = Stub::answering((0..3).map(|_| status(r#""status":"SomethingNew","done":false"#))).await;
    let result = stub.org().deploy_outcome(ID[..15].parse().unwrap(), PROMPT).await.unwrap();
    assert_eq!((result.done, result.status), (false, DeployStatus::Other("SomethingNew".to_owned())));
    assert_eq!(stub.asked().len(), 3);
}

#[tokio::test]
async fn a_whole_deploy_can_fail() {
    let stub = Stub::answering([status(
        r#""status":"Failed","done":true,"errorMessage":"The zip is damaged","errorStatusCode":"UNKNOWN_EXCEPTION""#,
    )])
    .await;
    let result = stub.org().deploy_status(ID[..15].parse().unwrap()).await.unwrap();
    assert_eq!(result.error.as_deref(), Some("UNKNOWN_EXCEPTION: The zip is damaged"));
    assert!(result.failures.is_empty());
}
