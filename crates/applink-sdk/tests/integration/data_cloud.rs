//! Results of Data Cloud that come in batches.

use serde_json::json;

use crate::stub::{ORG_ID, Stub, applink, authorization, json as answer};

/// A tenant whose result has a row per batch; after the first, batches are named by `id`.
async fn tenant(id: &'static str) -> Stub {
    Stub::start(move |asked| {
        let first = asked.line == "POST /api/v2/query";
        let body = json!({
            "data": [[if first { "e1" } else { "e2" }]], "done": !first, "nextBatchId": first.then_some(id),
            "metadata": {"id__c": {"type": "VARCHAR", "placeInOrder": 0}},
        });
        answer(200, body.to_string())
    })
    .await
}

async fn org_of(tenant: &Stub) -> applink_sdk::Org {
    let known = authorization(tenant, "eyJ.tenant").replace("SalesforceOrg", "DataCloudOrg");
    assert!(known.contains(ORG_ID));
    let api = Stub::start(move |_| answer(200, known.clone())).await;
    applink(&api).authorization("lake").await.unwrap().org()
}

#[tokio::test]
async fn a_batch_is_asked_for_by_whatever_id_the_org_gave_it() {
    for (id, path) in [
        ("9b1d_2-000.1", "9b1d_2-000.1"),
        ("a/b+c==", "a%2Fb%2Bc%3D%3D"),
        ("q:7?x=1#y&z", "q%3A7%3Fx%3D1%23y%26z"),
        ("%2e%2e", "%252e%252e"),
        (".hidden", ".hidden"),
        ("../../oauth", "..%2F..%2Foauth"),
    ] {
        let tenant = tenant(id).await;
        let org = org_of(&tenant).await;
        let first = org.data_cloud().query("SELECT 1").send().await.unwrap();
        let second = org.data_cloud().next(&first).await.unwrap();
        assert_eq!(
            (first.done, second.done, second.rows[0].text("id__c")),
            (false, true, Some("e2")),
            "{id}"
        );
        assert_eq!(tenant.lines()[1], format!("GET /api/v2/query/{path}"), "{id}");
        let rows = org.data_cloud().query("SELECT 1").rows().collect().await.unwrap();
        assert_eq!(rows.len(), 2, "{id}");
    }
}

#[tokio::test]
async fn an_id_that_would_lead_elsewhere_is_an_error_and_not_the_end() {
    for id in [".", ".."] {
        let tenant = tenant(id).await;
        let org = org_of(&tenant).await;
        let first = org.data_cloud().query("SELECT 1").send().await.unwrap();
        assert!(!first.done);
        let error = org.data_cloud().next(&first).await.unwrap_err();
        assert!(error.to_string().contains("the id of a batch"), "{error}");
        org.data_cloud().query("SELECT 1").rows().collect().await.unwrap_err();
        assert_eq!(tenant.lines().len(), 2, "nothing else was asked for");
    }
}
