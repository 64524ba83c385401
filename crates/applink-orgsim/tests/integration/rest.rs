//! The REST API over HTTP.

use serde_json::{Value, json};

use super::data::{BASE, Data, answer};

#[tokio::test]
async fn versions_need_no_session_and_everything_else_does() {
    let server = Data::new().serve().await;
    let versions =
        answer(server.client.get(format!("{}/services/data/", server.url)).send().await.unwrap()).await;
    assert_eq!(
        versions.json[8],
        json!({"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"})
    );
    for (header, code) in [
        (None, "INVALID_SESSION_ID"),
        (Some("Bearer nobody"), "INVALID_SESSION_ID"),
        (Some("Basic eA=="), "INVALID_AUTH_HEADER"),
    ] {
        let mut request = server.client.get(format!("{}{BASE}/limits", server.url));
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        let refused = answer(request.send().await.unwrap()).await;
        assert_eq!((refused.status, &refused.json[0]["errorCode"]), (401, &json!(code)));
        assert_eq!(refused.headers["www-authenticate"], "Token");
    }
    let root = server.get("sales", BASE).await;
    assert!(root.json["identity"].as_str().unwrap().starts_with("http://127.0.0.1/id/00D"), "{}", root.json);
    assert_eq!(root.json["sobjects"], format!("{BASE}/sobjects"));
    assert_eq!(
        server.get("sales", "/services/data/v51.0").await.status,
        200,
        "older clients ask older versions"
    );
    for path in [
        "/services/data/v67.0/limits",
        "/services/data/viAmABadVersion/limits",
        "/services/data/v66.0/nothing",
    ] {
        let missing = server.get("sales", path).await;
        assert_eq!(
            missing.json,
            json!([{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}])
        );
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn a_user_without_api_enabled_is_refused() {
    let data = Data::new();
    let set = data.id_of("PermissionSet", "ProfileId", &data.id_of("Profile", "Name", "Intern"));
    data.db
        .write(|tx| {
            applink_orgsim::records::change(
                tx,
                "PermissionSet",
                &set,
                json!({"PermissionsApiEnabled": false}),
            )
        })
        .unwrap();
    let refused = data.serve().await.get("intern", BASE).await;
    assert_eq!((refused.status, &refused.json[0]["errorCode"]), (403, &json!("API_CURRENTLY_DISABLED")));
}

#[tokio::test]
async fn a_record_s_life() {
    let server = Data::new().serve().await;
    // With the trailing slash that simple-salesforce sends.
    let made = server
        .call("sales", "POST", "/services/data/v66.0/sobjects/Account/", Some(json!({"name": "Neu"})))
        .await;
    assert_eq!(made.status, 201);
    let id = made.json["id"].as_str().unwrap();
    assert_eq!(made.json, json!({"id": id, "success": true, "errors": []}));
    assert_eq!(made.headers["location"], format!("{BASE}/sobjects/Account/{id}"));
    assert_eq!(made.headers["content-type"], "application/json;charset=UTF-8");
    assert!(made.headers["sforce-limit-info"].to_str().unwrap().starts_with("api-usage="));

    let path = format!("{BASE}/sobjects/account/{id}");
    let read = server.get("sales", &format!("{path}?fields=Name,Owner.Username")).await;
    assert_eq!(read.json["Name"], "Neu");
    assert_eq!(read.json["Owner"]["Username"], "sales@acme.example");
    let changed = server.call("sales", "PATCH", &path, Some(json!({"Site": "HQ"}))).await;
    assert_eq!((changed.status, changed.json), (204, Value::Null));
    let overridden =
        server.call("sales", "POST", &format!("{path}?_HttpMethod=PATCH"), Some(json!({"Site": "B"}))).await;
    assert_eq!(overridden.status, 204);
    assert_eq!(server.call("admin", "DELETE", &path, None).await.status, 204);
    let gone = server.get("sales", &path).await;
    assert_eq!(
        (gone.status, gone.json),
        (404, json!([{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}]))
    );
    let not_allowed = server.call("sales", "PUT", &path, Some(json!({}))).await;
    assert_eq!((not_allowed.status, &not_allowed.json[0]["errorCode"]), (405, &json!("METHOD_NOT_ALLOWED")));
}

#[tokio::test]
async fn bad_bodies_are_told() {
    let server = Data::new().serve().await;
    let url = format!("{}{BASE}/sobjects/Account", server.url);
    let post = |kind: &'static str, body: &'static str| {
        let request = server.client.post(&url).bearer_auth("sales").header("Content-Type", kind).body(body);
        async move { answer(request.send().await.unwrap()).await }
    };
    for (body, code) in
        [("{\"Name\":", "JSON_PARSER_ERROR"), ("[]", "JSON_PARSER_ERROR"), ("", "JSON_PARSER_ERROR")]
    {
        let refused = post("application/json", body).await;
        assert_eq!((refused.status, &refused.json[0]["errorCode"]), (400, &json!(code)), "{body}");
    }
    assert_eq!(post("text/plain", "Name=x").await.status, 415);
}

#[tokio::test]
async fn upsert_by_external_id() {
    let server = Data::new().serve().await;
    let path = format!("{BASE}/sobjects/Product2/ProductCode/CAT%2D1001");
    let body = json!({"Name": "Node", "Family": "Hardware", "IsActive": true});
    let only =
        server.call("integration", "PATCH", &format!("{path}?updateOnly=true"), Some(body.clone())).await;
    assert_eq!(only.status, 404);
    let made = server.call("integration", "PATCH", &path, Some(body.clone())).await;
    assert_eq!((made.status, &made.json["created"]), (201, &json!(true)));
    let again = server.call("integration", "PATCH", &path, Some(json!({"Name": "Node 2"}))).await;
    assert_eq!((again.status, &again.json["created"]), (200, &json!(false)));
    assert_eq!(made.json["id"], again.json["id"]);
    let read = server.get("integration", &path).await;
    assert_eq!((&read.json["Name"], &read.json["ProductCode"]), (&json!("Node 2"), &json!("CAT-1001")));
    let twice = server.call("integration", "PATCH", &path, Some(json!({"ProductCode": "CAT-1001"}))).await;
    assert_eq!(
        twice.json[0]["message"],
        "The ProductCode field should not be specified in the sobject data."
    );
    let by_id = format!("{BASE}/sobjects/Product2/Id/01t000000000000AAA");
    let unknown = server.call("integration", "PATCH", &by_id, Some(json!({"Name": "x"}))).await;
    assert_eq!((unknown.status, &unknown.json[0]["errorCode"]), (404, &json!("NOT_FOUND")));
    let no_key =
        server.call("integration", "PATCH", &format!("{BASE}/sobjects/Product2/Family/x"), Some(body)).await;
    assert_eq!((no_key.status, &no_key.json[0]["errorCode"]), (404, &json!("NOT_FOUND")));
    assert_eq!(
        server.call("integration", "DELETE", &path, None).await.json[0]["errorCode"],
        "INSUFFICIENT_ACCESS_OR_READONLY"
    );
}

#[tokio::test]
async fn several_matches_are_choices() {
    let data = Data::new();
    for name in ["A", "B"] {
        data.insert("Product2", json!({"Name": name, "ExternalId": "same"}));
    }
    let server = data.serve().await;
    let many = server
        .call(
            "integration",
            "PATCH",
            &format!("{BASE}/sobjects/Product2/ExternalId/same"),
            Some(json!({"Name": "x"})),
        )
        .await;
    assert_eq!((many.status, many.json.as_array().unwrap().len()), (300, 2));
    assert!(many.json[0].as_str().unwrap().starts_with("/services/data/v66.0/sobjects/Product2/01t"));
}

#[tokio::test]
async fn a_query_s_text_is_decoded_as_clients_encode_it() {
    let server = Data::new().serve().await;
    for query in [
        "SELECT%20Id%2C%20Name%20FROM%20Account%20WHERE%20Name%20%3D%20%27Maple%20%26%20Stone%20Foods%27",
        "SELECT+Id,+Name+FROM+Account+WHERE+Name+%3D+'Maple+%26+Stone+Foods'",
    ] {
        for path in ["query", "query/"] {
            let found = server.get("sales", &format!("{BASE}/{path}?q={query}")).await;
            assert_eq!(found.json["totalSize"], 1, "{path} {query} {}", found.json);
        }
    }
    let refused = server.get("sales", &format!("{BASE}/query?q=SELEKT")).await;
    assert_eq!(
        (refused.status, refused.json),
        (400, json!([{"message": "unexpected token: SELEKT", "errorCode": "MALFORMED_QUERY"}]))
    );
    assert_eq!(server.get("sales", &format!("{BASE}/query")).await.status, 400);
}

#[tokio::test]
async fn long_results_come_in_batches() {
    let data = Data::new();
    let owner = data.user_id("sales");
    data.db
        .write(|tx| {
            for number in 0..450 {
                applink_orgsim::records::insert(
                    tx,
                    "Lead",
                    json!({"LastName": format!("L{number:04}"), "Company": "Bulk", "OwnerId": owner}),
                )?;
            }
            Ok::<(), applink_orgsim::records::RestError>(())
        })
        .unwrap();
    let server = data.serve().await;
    let page = |path: String, role: &'static str| {
        let request = server
            .client
            .get(format!("{}{path}", server.url))
            .bearer_auth(role)
            .header("Sforce-Query-Options", "batchSize=200");
        async move { answer(request.send().await.unwrap()).await.json }
    };
    let first = page(
        format!("{BASE}/query?q=SELECT+LastName+FROM+Lead+WHERE+Company='Bulk'+ORDER+BY+LastName"),
        "sales",
    )
    .await;
    assert_eq!((first["totalSize"].as_u64(), first["done"].as_bool()), (Some(450), Some(false)));
    assert_eq!(first["records"].as_array().unwrap().len(), 200);
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    assert!(next.starts_with("/services/data/v66.0/query/01g") && next.ends_with("-200"), "{next}");
    assert_eq!(page(next.clone(), "admin").await[0]["errorCode"], "INVALID_QUERY_LOCATOR", "somebody else's");
    let second = page(next, "sales").await;
    assert_eq!(second["totalSize"], 450);
    let third = page(second["nextRecordsUrl"].as_str().unwrap().to_owned(), "sales").await;
    assert_eq!(third["done"], true);
    assert!(third.get("nextRecordsUrl").is_none());
    let names: Vec<&Value> = [&first, &second, &third]
        .into_iter()
        .flat_map(|page| page["records"].as_array().unwrap())
        .map(|record| &record["LastName"])
        .collect();
    let expected: Vec<Value> = (0..450).map(|number| json!(format!("L{number:04}"))).collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn query_all_sees_what_was_deleted() {
    let data = Data::new();
    let id = data.id_of("Account", "ExternalId__c", "A-005");
    let server = data.serve().await;
    server.call("admin", "DELETE", &format!("{BASE}/sobjects/Account/{id}"), None).await;
    let all = server
        .get("admin", &format!("{BASE}/queryAll?q=SELECT+IsDeleted+FROM+Account+WHERE+Id='{id}'"))
        .await;
    assert_eq!(all.json["records"][0]["IsDeleted"], true);
    assert_eq!(server.query("admin", "SELECT Id FROM Account").await["totalSize"], 6);
}

#[tokio::test]
async fn the_import_s_composite_upserts_products_and_prices() {
    let data = Data::new();
    let book = data.id_of("Pricebook2", "Name", "Standard Price Book");
    let server = data.serve().await;
    let request = |number: u32, name: &str| {
        json!([
            {"method": "PATCH", "url": format!("/services/data/v66.0/sobjects/Product2/ProductCode/CAT-{number}"),
             "referenceId": format!("product{number}"), "body": {"Name": name, "IsActive": true}},
            {"method": "POST", "url": "/services/data/v66.0/sobjects/PricebookEntry", "referenceId": format!("price{number}"),
             "body": {"Pricebook2Id": book, "Product2Id": format!("@{{product{number}.id}}"), "UnitPrice": 5, "IsActive": true}},
        ])
    };
    let parts: Vec<Value> = [request(1, "Node"), request(2, "Camera")]
        .iter()
        .flat_map(|parts| parts.as_array().unwrap().clone())
        .collect();
    let body = json!({"allOrNone": false, "compositeRequest": parts});
    // The double slash of a client that puts a path with a slash behind an instance URL with one.
    let done = server.call("integration", "POST", &format!("{BASE}//composite"), Some(body.clone())).await;
    let statuses = |answer: &Value| -> Vec<u64> {
        answer["compositeResponse"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["httpStatusCode"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(done.status, 200);
    assert_eq!(statuses(&done.json), [201, 201, 201, 201], "{}", done.json);
    assert_eq!(done.json["compositeResponse"][0]["referenceId"], "product1");
    assert!(
        done.json["compositeResponse"][0]["httpHeaders"]["Location"]
            .as_str()
            .unwrap()
            .contains("/sobjects/Product2/01t")
    );
    let again = server.call("integration", "POST", &format!("{BASE}/composite/"), Some(body)).await;
    assert_eq!(statuses(&again.json), [200, 400, 200, 400], "products updated, prices there already");
    assert_eq!(again.json["compositeResponse"][1]["body"][0]["errorCode"], "DUPLICATE_VALUE");
}

#[tokio::test]
async fn all_or_none_undoes_everything_and_says_why_once() {
    let server = Data::new().serve().await;
    let parts = json!([
        {"method": "POST", "url": "/services/data/v66.0/sobjects/Account", "referenceId": "a", "body": {"Name": "Undone"}},
        {"method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "referenceId": "b", "body": {"AccountId": "@{a.id}"}},
        {"method": "GET", "url": "/services/data/v66.0/query?q=SELECT+Id+FROM+Account", "referenceId": "c"},
    ]);
    let failed = server
        .call(
            "sales",
            "POST",
            &format!("{BASE}/composite"),
            Some(json!({"allOrNone": true, "compositeRequest": parts})),
        )
        .await;
    let codes: Vec<&Value> = failed.json["compositeResponse"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["body"][0]["errorCode"])
        .collect();
    assert_eq!(codes, ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING", "PROCESSING_HALTED"]);
    assert_eq!(server.query("sales", "SELECT Id FROM Account WHERE Name = 'Undone'").await["totalSize"], 0);

    let graph = json!({"graphs": [{"graphId": "graph0", "compositeRequest": parts}]});
    let failed = server.call("sales", "POST", &format!("{BASE}/composite/graph"), Some(graph)).await;
    assert_eq!(failed.json["graphs"][0]["isSuccessful"], false);
    assert_eq!(
        failed.json["graphs"][0]["graphResponse"]["compositeResponse"][0]["body"][0]["errorCode"],
        "PROCESSING_HALTED"
    );

    let half = json!([
        {"method": "POST", "url": "/services/data/v66.0/sobjects/Account", "referenceId": "a", "body": {}},
        {"method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "referenceId": "b", "body": {"LastName": "x", "AccountId": "@{a.id}"}},
        {"method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "referenceId": "c", "body": {"LastName": "Kept"}},
    ]);
    let done = server
        .call("sales", "POST", &format!("{BASE}/composite"), Some(json!({"compositeRequest": half})))
        .await;
    assert_eq!(
        done.json["compositeResponse"][1]["body"][0]["errorCode"], "PROCESSING_HALTED",
        "depends on what failed"
    );
    assert_eq!(done.json["compositeResponse"][2]["httpStatusCode"], 201);
}

#[tokio::test]
async fn a_unit_of_work_s_graph_succeeds() {
    let server = Data::new().serve().await;
    let graph = json!({"graphs": [{"graphId": "graph0", "compositeRequest": [
        {"referenceId": "referenceId0", "method": "POST", "url": "/services/data/v66.0/sobjects/Account", "body": {"Name": "Example"}},
        {"referenceId": "referenceId1", "method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "body": {"LastName": "Smith", "AccountId": "@{referenceId0.id}"}},
    ]}]});
    let done = server.call("sales", "POST", &format!("{BASE}/composite/graph"), Some(graph)).await;
    assert_eq!(done.json["graphs"][0]["isSuccessful"], true);
    let smith = server.query("sales", "SELECT Account.Name FROM Contact WHERE LastName = 'Smith'").await;
    assert_eq!(smith["records"][0]["Account"]["Name"], "Example");
}

#[tokio::test]
async fn collections_trees_and_batches() {
    let data = Data::new();
    let server = data.serve().await;
    let records = json!([
        {"attributes": {"type": "Account"}, "Name": "One"},
        {"attributes": {"type": "Account"}},
        {"attributes": {"type": "Contact"}, "LastName": "Two"},
    ]);
    let path = format!("{BASE}/composite/sobjects");
    let undone =
        server.call("sales", "POST", &path, Some(json!({"allOrNone": true, "records": records}))).await;
    let codes: Vec<&Value> =
        undone.json.as_array().unwrap().iter().map(|one| &one["errors"][0]["statusCode"]).collect();
    assert_eq!(
        codes,
        ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING", "ALL_OR_NONE_OPERATION_ROLLED_BACK"]
    );
    let half =
        server.call("sales", "POST", &path, Some(json!({"allOrNone": false, "records": records}))).await;
    let made: Vec<bool> = half.json.as_array().unwrap().iter().map(|one| one["success"] == true).collect();
    assert_eq!(made, [true, false, true]);
    let id = half.json[2]["id"].as_str().unwrap();
    let changed = json!({"records": [{"attributes": {"type": "Contact"}, "id": id, "FirstName": "Nr"}]});
    assert_eq!(server.call("sales", "PATCH", &path, Some(changed)).await.json[0]["success"], true);
    let read = server.get("sales", &format!("{path}/Contact?ids={id},003000000000000AAA&fields=Name")).await;
    assert_eq!((&read.json[0]["Name"], &read.json[1]), (&json!("Nr Two"), &Value::Null));
    let gone = server.call("sales", "DELETE", &format!("{path}?ids={id}"), None).await;
    assert_eq!(gone.json, json!([{"id": id, "success": true, "errors": []}]));
    let upsert = json!({"records": [{"attributes": {"type": "Product2"}, "ProductCode": "EDGE-SENSOR", "Family": "Hardware"}]});
    let upserted =
        server.call("integration", "PATCH", &format!("{path}/Product2/ProductCode"), Some(upsert)).await;
    assert_eq!(upserted.json[0]["created"], false);

    let tree = json!({"records": [{"attributes": {"type": "Account", "referenceId": "r1"}, "Name": "Tree",
        "Contacts": {"records": [{"attributes": {"type": "Contact", "referenceId": "r2"}, "LastName": "Leaf"}]}}]});
    let grown = server.call("sales", "POST", &format!("{BASE}/composite/tree/Account/"), Some(tree)).await;
    assert_eq!(
        (grown.status, &grown.json["hasErrors"], &grown.json["results"][1]["referenceId"]),
        (201, &json!(false), &json!("r2"))
    );
    let batch = json!({"batchRequests": [{"method": "GET", "url": "v66.0/limits"}, {"method": "GET", "url": "v66.0/nothing"}]});
    let batch = server.call("sales", "POST", &format!("{BASE}/composite/batch"), Some(batch)).await;
    assert_eq!(
        (&batch.json["hasErrors"], &batch.json["results"][0]["statusCode"]),
        (&json!(true), &json!(200))
    );
}

#[tokio::test]
async fn limits_count_requests() {
    let server = Data::new().serve().await;
    let remaining = |answer: Value| answer["DailyApiRequests"]["Remaining"].as_u64().unwrap();
    let first = remaining(server.get("sales", &format!("{BASE}/limits/")).await.json);
    let second = remaining(server.get("sales", &format!("{BASE}/limits")).await.json);
    assert_eq!(first - 1, second);
}
