//! The operation the org calls.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::stage::{DEALS, client, ok, page, refused, sent, stage};

fn deal(id: &str, lines: Value) -> Value {
    json!({"attributes": {"type": "Opportunity"}, "Id": id, "Name": "Deal", "OpportunityLineItems": lines})
}

fn line(id: &str, quantity: f64) -> Value {
    json!({"attributes": {"type": "OpportunityLineItem"}, "Id": id, "Product2Id": "01t", "Quantity": quantity,
        "Product2": {"attributes": {"type": "Product2"}, "Name": "Edge Gateway"}})
}

fn parameters() -> axum::response::Response {
    let row =
        |name: &str, value: &str| json!({"attributes": {"type": "P"}, "Name__c": name, "Value__c": value});
    page(vec![row("defaultRegion", "eu-west-1"), row("maxNodesPerOrder", "10")])
}

/// One visible deal with two line items, the second on a page of its own.
fn org(request: &str, _body: &Value) -> axum::response::Response {
    if request.contains("ProvisioningParameter__mdt") {
        parameters()
    } else if request.contains("FROM Opportunity ") {
        let lines = json!({"totalSize": 2, "done": false, "nextRecordsUrl": "/services/data/v66.0/query/01g-1", "records": [line("00k1", 2.0)]});
        page(vec![deal(DEALS[0], lines)])
    } else if request.contains("query/01g-1") {
        page(vec![line("00k2", 11.0)])
    } else {
        ok(json!({}))
    }
}

#[tokio::test]
async fn answers_at_once_and_reports_as_the_caller() {
    let stage = stage(org).await;
    let callback = format!("{}/services/data/v66.0/externalServices/callbacks/abc", stage.org_url);
    let (status, answer) = stage.invoke(&json!({"opportunityIds": DEALS, "callbackUrl": callback})).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let job = answer["jobId"].clone();
    assert_eq!(
        answer,
        json!({"jobId": job, "opportunitiesRequested": 2, "opportunitiesVisible": 1, "lineItems": 2, "parametersRead": 2})
    );
    stage.asked_times(5).await;
    let asked = stage.asked();
    assert!(asked.iter().all(|(token, _, _)| token == "Bearer 00D!sales"), "{asked:?}");
    assert!(asked[0].1.contains(&format!("WHERE Id IN ('{}', '{}')", DEALS[0], DEALS[1])), "{}", asked[0].1);
    let reports: Vec<&Value> = asked
        .iter()
        .filter(|(_, line, _)| line.ends_with("callbacks/abc"))
        .map(|(_, _, body)| body)
        .collect();
    let statuses: Vec<&Value> = reports.iter().map(|report| &report["status"]).collect();
    assert_eq!(statuses, ["started", "completed"]);
    assert!(reports.iter().all(|report| report["jobId"] == job));
    assert_eq!(
        *reports[1],
        json!({"jobId": job, "status": "completed", "opportunityIds": [DEALS[0]],
            "services": [
                {"serviceId": "svc-00k1", "opportunityId": DEALS[0], "lineItemId": "00k1", "productReference": "Edge Gateway",
                 "status": "provisioned", "message": "2 × Edge Gateway runs in eu-west-1."},
                {"opportunityId": DEALS[0], "lineItemId": "00k2", "productReference": "Edge Gateway",
                 "status": "failed", "message": "Edge Gateway can't be provisioned: more than 10 at once."}],
            "summary": {"total": 2, "succeeded": 1, "failed": 1},
            "errors": ["Edge Gateway can't be provisioned: more than 10 at once."]})
    );
    stage.app.stop().await.unwrap();
}

#[tokio::test]
async fn many_opportunities_are_reported_in_between() {
    let stage = stage(|request, _| {
        if request.contains("ProvisioningParameter__mdt") {
            return parameters();
        }
        let deals = (0..21).map(|_| deal(DEALS[0], Value::Null)).collect();
        if request.starts_with("GET") { page(deals) } else { ok(json!({})) }
    })
    .await;
    let callback = format!("{}/callback", stage.org_url);
    let (status, _) = stage.invoke(&json!({"opportunityIds": DEALS, "callbackUrl": callback})).await;
    assert_eq!(status, StatusCode::CREATED);
    stage.asked_times(6).await;
    let statuses: Vec<Value> =
        stage.asked().into_iter().skip(2).map(|(_, _, body)| body["status"].clone()).collect();
    assert_eq!(statuses, ["started", "provisioning", "provisioning", "completed"]);
}

#[tokio::test]
async fn without_the_permission_set_the_parameters_are_missing_and_said_to_be() {
    let stage = stage(|request, body| match request.contains("ProvisioningParameter__mdt") {
        true => refused(400, "INVALID_TYPE"),
        false => org(request, body),
    })
    .await;
    let (status, answer) = stage.invoke(&json!({"opportunityIds": DEALS, "callbackUrl": ""})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        (&answer["parametersRead"], &answer["parametersRefused"]),
        (&json!(0), &json!("INVALID_TYPE"))
    );
}

#[tokio::test]
async fn a_job_outlives_a_callback_that_fails() {
    let stage = stage(|request, body| match request.starts_with("POST") {
        true => refused(401, "INVALID_SESSION_ID"),
        false => org(request, body),
    })
    .await;
    let callback = format!("{}/callback", stage.org_url);
    let (status, _) = stage.invoke(&json!({"opportunityIds": DEALS, "callbackUrl": callback})).await;
    assert_eq!(status, StatusCode::CREATED);
    stage.asked_times(5).await;
    assert_eq!(stage.asked().len(), 5, "both callbacks were tried once");
}

#[tokio::test]
async fn opportunities_nobody_may_see_are_no_job() {
    let stage = stage(|_, _| page(Vec::new())).await;
    let (status, answer) = stage.invoke(&json!({"opportunityIds": DEALS})).await;
    assert_eq!((status, answer["error"].as_str()), (StatusCode::NOT_FOUND, Some("no_opportunities")));
}

#[tokio::test]
async fn what_the_org_refuses_is_passed_on_as_such() {
    for (code, org_status, status, error) in [
        ("INVALID_SESSION_ID", 401, StatusCode::BAD_GATEWAY, "session_ended"),
        ("REQUEST_LIMIT_EXCEEDED", 403, StatusCode::SERVICE_UNAVAILABLE, "org_unavailable"),
        ("MALFORMED_QUERY", 400, StatusCode::BAD_GATEWAY, "org_refused"),
    ] {
        let stage = stage(move |_, _| refused(org_status, code)).await;
        let (answered, answer) = stage.invoke(&json!({"opportunityIds": DEALS})).await;
        assert_eq!((answered, answer["error"].as_str()), (status, Some(error)), "{answer}");
    }
}

#[tokio::test]
async fn bad_input_is_refused_by_its_place_before_the_org_is_asked() {
    let stage = stage(org).await;
    let many: Vec<&str> = (0..201).map(|_| DEALS[0]).collect();
    for (body, place) in [
        (json!({}), "$"),
        (json!([]), "$"),
        (json!({"opportunityIds": "x"}), "opportunityIds"),
        (json!({"opportunityIds": [7]}), "opportunityIds[0]"),
        (json!({"opportunityIds": []}), "opportunityIds"),
        (json!({"opportunityIds": many}), "opportunityIds"),
        (json!({"opportunityIds": [DEALS[0], "006'"]}), "opportunityIds[1]"),
        (json!({"opportunityIds": ["001DS00000yYLD1"]}), "opportunityIds[0]"),
        (json!({"opportunityIds": DEALS, "callbackUrl": "https://evil.example/x"}), "callbackUrl"),
        (json!({"opportunityIds": DEALS, "callbackUrl": "services/x"}), "callbackUrl"),
    ] {
        let (status, answer) = stage.invoke(&body).await;
        assert_eq!(
            (status, answer["place"].as_str()),
            (StatusCode::BAD_REQUEST, Some(place)),
            "{body}: {answer}"
        );
        assert!(answer["message"].as_str().unwrap().ends_with('.'), "{answer}");
    }
    assert!(stage.asked().is_empty());
}

#[tokio::test]
async fn a_call_without_a_context_is_refused() {
    let stage = stage(org).await;
    let (status, _) = stage.post("/api/provisionServices", &json!({"opportunityIds": DEALS})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(stage.asked().is_empty());
}

#[tokio::test]
async fn only_json_is_read() {
    let stage = stage(|_, _| ().into_response()).await;
    let import = client().post(stage.url("/api/products/import"));
    let (status, _) = sent(import.body("{}")).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let import = client().post(stage.url("/api/products/import")).header("content-type", "application/json");
    let (status, body) = sent(import.body("{\"products\": [}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("line 1 column 15"), "{body}");
    let import = client().post(stage.url("/api/products/import")).header("content-type", "application/json");
    let (status, _) = sent(import.body(" ".repeat(1024 * 1024 + 1))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}
