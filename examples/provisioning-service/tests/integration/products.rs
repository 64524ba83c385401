//! The ingest.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::stage::{ok, page, refused, stage};

const HUB: &str = "01tSB00000VAyPFYA1";
const CAMERA: &str = "01tDS00000yYLD1YAO";

/// HUB-100 is there with a price of 400, CAM-200 is new, BAD-300 is refused.
fn org(request: &str, _body: &Value) -> Response {
    let saved = |status: u16, id: &str, created: bool| {
        let body = json!({"id": id, "success": true, "errors": [], "created": created});
        (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
    };
    if request.contains("FROM Pricebook2") {
        page(vec![json!({"attributes": {"type": "Pricebook2"}, "Id": "01s1"})])
    } else if request.contains("FROM PricebookEntry") {
        page(vec![
            json!({"attributes": {"type": "E"}, "Id": "01uSB00000VAyPFYA1", "Product2Id": HUB, "UnitPrice": 400.0}),
        ])
    } else if request.contains("ProductCode/HUB-100") {
        saved(200, HUB, false)
    } else if request.contains("ProductCode/CAM-200") {
        saved(201, CAMERA, true)
    } else if request.contains("ProductCode/") {
        refused(400, "STRING_TOO_LONG")
    } else if request.starts_with("PATCH") {
        StatusCode::NO_CONTENT.into_response()
    } else if request.starts_with("POST") {
        saved(201, "01uDS00000yYLD1YAO", true)
    } else {
        ok(json!({}))
    }
}

fn product(code: &str, price: f64) -> Value {
    json!({"productCode": code, "name": "Greenhouse", "family": "Hardware", "price": price})
}

#[tokio::test]
async fn each_product_has_its_own_outcome() {
    let stage = stage(org).await;
    let products =
        json!({"products": [product("HUB-100", 420.5), product("CAM-200", 0.0), product("BAD-300", 1.0)]});
    let (status, answer) = stage.post("/api/products/import", &products).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer,
        json!({"created": 1, "updated": 1, "failed": 1, "products": [
            {"productCode": "HUB-100", "status": "updated", "productId": HUB},
            {"productCode": "CAM-200", "status": "created", "productId": CAMERA},
            {"productCode": "BAD-300", "status": "failed", "error": "the org refused the request: STRING_TOO_LONG: the org says no"}]})
    );
    let asked = stage.asked();
    assert!(asked.iter().all(|(token, _, _)| token == "Bearer 00D!portal"));
    let body_of =
        |line: &str| asked.iter().find(|(_, asked, _)| asked.starts_with(line)).map(|(_, _, body)| body);
    let upsert = body_of("PATCH /services/data/v66.0/sobjects/Product2/ProductCode/HUB-100").unwrap();
    assert_eq!(*upsert, json!({"Name": "Greenhouse", "IsActive": true, "Family": "Hardware"}));
    let changed = body_of("PATCH /services/data/v66.0/sobjects/PricebookEntry/01uSB00000VAyPFYA1").unwrap();
    assert_eq!(*changed, json!({"UnitPrice": 420.5}));
    let new = body_of("POST /services/data/v66.0/sobjects/PricebookEntry").unwrap();
    assert_eq!(
        *new,
        json!({"Product2Id": CAMERA, "Pricebook2Id": "01s1", "UnitPrice": 0.0, "IsActive": true})
    );
}

#[tokio::test]
async fn a_price_that_is_right_already_is_left_alone() {
    let stage = stage(org).await;
    let (_, answer) =
        stage.post("/api/products/import", &json!({"products": [product("HUB-100", 400.0)]})).await;
    assert_eq!(answer["updated"], 1);
    assert_eq!(stage.asked().len(), 3, "price book, product, known prices");
}

#[tokio::test]
async fn a_product_without_its_price_counts_as_failed_and_names_the_product() {
    let stage = stage(|request, body| match request.starts_with("POST") {
        true => refused(400, "FIELD_INTEGRITY_EXCEPTION"),
        false => org(request, body),
    })
    .await;
    let (_, answer) =
        stage.post("/api/products/import", &json!({"products": [product("CAM-200", 5.0)]})).await;
    assert_eq!((&answer["failed"], &answer["products"][0]["productId"]), (&json!(1), &json!(CAMERA)));
}

#[tokio::test]
async fn bad_input_is_refused_by_its_place_before_anything_is_written() {
    let stage = stage(org).await;
    let many: Vec<Value> = (0..201).map(|number| product(&format!("P-{number}"), 1.0)).collect();
    let mut nameless = product("A", 1.0);
    nameless["name"] = json!(" ");
    for (body, place) in [
        (json!({"products": []}), "products"),
        (json!({"products": many}), "products"),
        (json!({"products": [{"productCode": "A", "name": "B"}]}), "products[0]"),
        (json!({"products": [product("A", -0.01)]}), "products[0].price"),
        (json!({"products": [{"productCode": "A", "name": "B", "price": "7"}]}), "products[0].price"),
        (json!({"products": [nameless]}), "products[0].name"),
        (json!({"products": [product("", 1.0)]}), "products[0].productCode"),
        (json!({"products": [product("..", 1.0)]}), "products[0].productCode"),
        (json!({"products": [product("a", 1.0), product("A", 2.0)]}), "products[1].productCode"),
    ] {
        let (status, answer) = stage.post("/api/products/import", &body).await;
        assert_eq!((status, answer["place"].as_str()), (StatusCode::BAD_REQUEST, Some(place)), "{answer}");
    }
    assert!(stage.asked().is_empty());
}

#[tokio::test]
async fn an_org_without_a_price_book_is_named() {
    let stage = stage(|_, _| page(Vec::new())).await;
    let (status, answer) =
        stage.post("/api/products/import", &json!({"products": [product("A", 1.0)]})).await;
    assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_GATEWAY, Some("no_price_book")));
}
