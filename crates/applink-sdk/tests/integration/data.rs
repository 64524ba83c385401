//! Queries and records, as the org sees them.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json as value};

use crate::stub::{Stub, json, rows, stored_user};

#[tokio::test]
async fn records_are_read_page_by_page() {
    let org = Stub::start(|asked| {
        let page = |body: &str| json(200, body);
        match asked.line.rsplit('/').next() {
            Some("01gB000003OCxSPIA1-2000") => page(r#"{"totalSize":3,"done":true,"records":[{"attributes":{"type":"A"},"N":3}]}"#),
            _ => page(
                r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01gB000003OCxSPIA1-2000",
                    "records":[{"attributes":{"type":"A"},"N":1},{"attributes":{"type":"A"},"N":2}]}"#,
            ),
        }
    })
    .await;
    let user = stored_user(&org).await;
    let records = user.data().query("SELECT N FROM A").all().collect().await.unwrap();
    let numbers: Vec<f64> = records.iter().filter_map(|record| record.number("n")).collect();
    assert_eq!(numbers, [1.0, 2.0, 3.0]);
    let page = user.data().query("SELECT N FROM A").page_size(7).with_deleted().send().await.unwrap();
    let last = user.data().query_more(&page).await.unwrap();
    let nothing = user.data().query_more(&last).await.unwrap();
    assert_eq!((last.done, last.records.len(), nothing.records.len(), nothing.total_size), (true, 1, 0, 3));
    let asked = org.asked();
    assert_eq!(asked.len(), 4, "the page after the last one is not asked for");
    assert!(asked[2].line.starts_with("GET /services/data/v66.0/queryAll?q="));
    assert_eq!(asked[2].headers["sforce-query-options"], "batchSize=200");
}

#[tokio::test]
async fn records_are_written_with_what_was_set() {
    let id = "001B000001Lp1FxIAJ";
    let org = Stub::start(move |asked| match asked.line.split(' ').next() {
        Some("POST") => json(201, format!(r#"{{"id":"{id}","success":true,"errors":[]}}"#)),
        Some("PATCH") if asked.line.contains("ProductCode") => {
            json(200, format!(r#"{{"id":"{id}","success":true,"errors":[],"created":false}}"#))
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    })
    .await;
    let user = stored_user(&org).await.with_request_id("r-7");
    let data = user.data();
    let saved = data.create("Account").field("Name", "Acme").field("Employees", 0).send().await.unwrap();
    assert_eq!((saved.id.as_str(), saved.created), (id, true));
    data.update("Account", id).field("Phone", Value::Null).send().await.unwrap();
    let upserted =
        data.upsert("Product2", "ProductCode", "C 1").fields(value!({"Name": "Hub"})).only_update();
    assert!(!upserted.send().await.unwrap().created);
    data.delete("Account", id).send().await.unwrap();
    let asked = org.asked();
    let seen: Vec<(&str, &str)> =
        asked.iter().map(|asked| (asked.line.as_str(), asked.body.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("POST /services/data/v66.0/sobjects/Account", r#"{"Name":"Acme","Employees":0}"#),
            ("PATCH /services/data/v66.0/sobjects/Account/001B000001Lp1FxIAJ", r#"{"Phone":null}"#),
            (
                "PATCH /services/data/v66.0/sobjects/Product2/ProductCode/C%201?updateOnly=true",
                r#"{"Name":"Hub"}"#
            ),
            ("DELETE /services/data/v66.0/sobjects/Account/001B000001Lp1FxIAJ", ""),
        ]
    );
    assert!(asked.iter().all(|asked| asked.headers["x-request-id"] == "r-7"));
}

#[tokio::test]
async fn what_can_not_be_written_is_named_before_sending() {
    let org = Stub::start(|_| rows("")).await;
    let user = stored_user(&org).await;
    let odd: std::collections::HashMap<(u8, u8), u8> = [((1, 2), 3)].into();
    let error = user.data().create("Account").field("Odd__c", odd).send().await.unwrap_err();
    assert_eq!(error.to_string(), "the value of Odd__c can't be written as JSON");
    let error = user.data().create("Account").fields("not a map").send().await.unwrap_err();
    assert_eq!(error.to_string(), "the value of fields can't be written as JSON");
    assert!(org.asked().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_shape_is_named_by_its_place() {
    let org = Stub::start(|_| json(200, r#"{"limits":[{"max":"many"}]}"#)).await;
    let user = stored_user(&org).await;
    #[derive(Debug, serde::Deserialize)]
    struct Limits {
        #[expect(dead_code, reason = "only its decoding matters")]
        limits: Vec<Limit>,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Limit {
        #[expect(dead_code, reason = "only its decoding matters")]
        max: u32,
    }
    let answer =
        user.request(axum::http::Method::GET, "services/limits").query("a", "b c").send().await.unwrap();
    let error = answer.json::<Limits>().unwrap_err();
    assert_eq!(error.to_string(), "limits[0].max is not what was expected");
    assert_eq!(org.lines(), ["GET /services/limits?a=b+c"]);
}

#[tokio::test]
async fn the_orgs_codes_are_at_hand() {
    let org = Stub::start(|_| json(400, r#"[{"message":"nope","errorCode":"INVALID_TYPE"}]"#)).await;
    let error = stored_user(&org).await.data().query("SELECT Id FROM X__mdt").send().await.unwrap_err();
    assert_eq!(error.codes(), ["INVALID_TYPE"]);
    assert!(!error.is_transient());
}
