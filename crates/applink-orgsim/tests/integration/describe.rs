//! What describes tell, and to whom.

use serde_json::Value;

use super::data::{BASE, Data};

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array().unwrap().iter().find(|item| item["name"] == name)
}

#[tokio::test]
async fn describes_follow_the_caller_s_rights() {
    let server = Data::new().serve().await;
    let described = server.get("admin", &format!("{BASE}/sobjects/account/describe")).await.json;
    assert_eq!(
        (&described["name"], &described["keyPrefix"], &described["createable"]),
        (&"Account".into(), &"001".into(), &true.into())
    );
    let revenue = named(&described["fields"], "AnnualRevenue").unwrap();
    assert_eq!(
        (&revenue["type"], &revenue["soapType"], &revenue["updateable"]),
        (&"currency".into(), &"xsd:double".into(), &true.into())
    );
    let owner = named(&described["fields"], "OwnerId").unwrap();
    assert_eq!((&owner["referenceTo"][0], &owner["relationshipName"]), (&"User".into(), &"Owner".into()));
    let children = described["childRelationships"].as_array().unwrap();
    assert!(
        children
            .iter()
            .any(|child| child["relationshipName"] == "Contacts" && child["childSObject"] == "Contact")
    );

    let for_intern = server.get("intern", &format!("{BASE}/sobjects/Account/describe/")).await.json;
    assert_eq!(for_intern["createable"], false);
    assert!(named(&for_intern["fields"], "AnnualRevenue").is_none());
    assert_eq!(named(&for_intern["fields"], "Site").unwrap()["updateable"], false);
    assert_eq!(server.get("integration", &format!("{BASE}/sobjects/Contact/describe")).await.status, 404);
}

#[tokio::test]
async fn the_global_describe_lists_what_one_may_read() {
    let server = Data::new().serve().await;
    let all = server.get("admin", &format!("{BASE}/sobjects/")).await.json;
    assert_eq!((&all["encoding"], &all["maxBatchSize"]), (&"UTF-8".into(), &200.into()));
    assert!(named(&all["sobjects"], "ProvisioningParameter__mdt").is_some());
    assert!(named(&all["sobjects"], "Contact").is_some());
    let some = server.get("integration", &format!("{BASE}/sobjects")).await.json;
    assert!(named(&some["sobjects"], "Contact").is_none());
    assert!(named(&some["sobjects"], "ProvisioningParameter__mdt").is_none());
    assert!(named(&some["sobjects"], "Campaign").is_some());
    let basic = server.get("integration", &format!("{BASE}/sobjects/Campaign")).await.json;
    assert_eq!(basic["objectDescribe"]["label"], "Campaign");
}
