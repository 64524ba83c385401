//! Files: in as Base64, out as bytes, in queries as the path to them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::data::{BASE, Data, Server};

/// Every byte there is, so that no text encoding gets away with it.
fn bytes() -> Vec<u8> {
    (0..=255).collect()
}

async fn upload(server: &Server, role: &str, fields: Value) -> String {
    let made = server.call(role, "POST", &format!("{BASE}/sobjects/ContentVersion"), Some(fields)).await;
    assert_eq!(made.status, 201, "{}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

fn picture() -> Value {
    json!({"Title": "Logo", "PathOnClient": "pictures/logo.png", "VersionData": STANDARD.encode(bytes())})
}

#[tokio::test]
async fn a_file_comes_back_byte_for_byte() {
    let server = Data::new().serve().await;
    let id = upload(&server, "sales", picture()).await;
    let soql = "SELECT VersionData, FileType, FileExtension, ContentSize, IsLatest FROM ContentVersion";
    let found = &server.query("sales", soql).await["records"][0];
    let path = format!("{BASE}/sobjects/ContentVersion/{id}/VersionData");
    assert_eq!(found["VersionData"], path);
    assert_eq!(
        (&found["FileType"], &found["FileExtension"], &found["ContentSize"], &found["IsLatest"]),
        (&json!("PNG"), &json!("png"), &json!(256), &json!(true))
    );
    let read = server.get("sales", &format!("{BASE}/sobjects/ContentVersion/{id}?fields=VersionData")).await;
    assert_eq!(read.json["VersionData"], path);
    let url = format!("{}{path}", server.url);
    let file = server.client.get(url).bearer_auth("sales").send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(file.headers()["content-type"], "application/octetstream");
    assert_eq!(file.bytes().await.unwrap(), bytes());
}

#[tokio::test]
async fn a_version_can_be_changed_and_followed_by_another() {
    let server = Data::new().serve().await;
    let first = upload(&server, "sales", picture()).await;
    let path = format!("{BASE}/sobjects/ContentVersion/{first}");
    let change = json!({"VersionData": STANDARD.encode(b"short"), "Description": "smaller"});
    assert_eq!(server.call("sales", "PATCH", &path, Some(change)).await.status, 204);
    let changed = server.get("sales", &path).await.json;
    assert_eq!((&changed["ContentSize"], &changed["VersionNumber"]), (&json!(5), &json!("1")));

    let mut next = picture();
    next["ContentDocumentId"] = changed["ContentDocumentId"].clone();
    let second = upload(&server, "sales", next).await;
    let soql = "SELECT Id, IsLatest, VersionNumber, ContentDocument.LatestPublishedVersionId FROM ContentVersion ORDER BY VersionNumber";
    let versions = server.query("sales", soql).await;
    assert_eq!(versions["records"][0]["IsLatest"], false);
    assert_eq!(versions["records"][1]["VersionNumber"], "2");
    assert_eq!(versions["records"][0]["ContentDocument"]["LatestPublishedVersionId"], second);
    let document = changed["ContentDocumentId"].as_str().unwrap();
    let gone =
        server.call("sales", "DELETE", &format!("{BASE}/sobjects/ContentDocument/{document}"), None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(server.query("sales", soql).await["totalSize"], 0);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let server = Data::new().serve().await;
    let post = |body| {
        let server = &server;
        async move {
            server.call("sales", "POST", &format!("{BASE}/sobjects/ContentVersion"), Some(body)).await.json
        }
    };
    let bad = post(json!({"Title": "Bad", "VersionData": "not base64!"})).await;
    assert_eq!(bad[0]["errorCode"], "JSON_PARSER_ERROR");
    let none = post(json!({"Title": "None", "PathOnClient": "a.txt"})).await;
    assert_eq!(
        (&none[0]["errorCode"], &none[0]["fields"]),
        (&json!("REQUIRED_FIELD_MISSING"), &json!(["VersionData"]))
    );
    let filtered = server.query("sales", "SELECT Id FROM ContentVersion WHERE VersionData = 'x'").await;
    assert_eq!(filtered[0]["errorCode"], "INVALID_FIELD");
    let described = server.get("sales", &format!("{BASE}/sobjects/ContentVersion/describe")).await.json;
    let fields = described["fields"].as_array().unwrap();
    let data = fields.iter().find(|field| field["name"] == "VersionData").unwrap();
    assert_eq!(
        (&data["type"], &data["soapType"], &data["filterable"]),
        (&json!("base64"), &json!("xsd:base64Binary"), &json!(false))
    );
}

#[tokio::test]
async fn a_file_is_its_owner_s_alone() {
    let server = Data::new().serve().await;
    let id = upload(&server, "sales", picture()).await;
    let path = format!("{BASE}/sobjects/ContentVersion/{id}/VersionData");
    assert_eq!(server.get("intern", &path).await.status, 404);
    assert_eq!(server.query("intern", "SELECT Id FROM ContentVersion").await["totalSize"], 0);
    let change = json!({"VersionData": STANDARD.encode(b"mine now")});
    let path = format!("{BASE}/sobjects/ContentVersion/{id}");
    assert_eq!(server.call("intern", "PATCH", &path, Some(change)).await.status, 404);
    let url = format!("{}{path}/VersionData", server.url);
    let seen = server.client.get(url).bearer_auth("admin").send().await.unwrap();
    assert_eq!(seen.bytes().await.unwrap(), bytes(), "who views all data sees it");
    let missing =
        server.get("sales", &format!("{BASE}/sobjects/Account/001000000000000AAA/VersionData")).await;
    assert_eq!(missing.status, 404);
}
