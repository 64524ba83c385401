//! The two documents that are published.

use provisioning_service::{API_SPEC, PERMISSION_SET_XML};
use serde_json::Value;

fn spec() -> Value {
    serde_saphyr::from_str(API_SPEC).unwrap()
}

#[test]
fn the_operation_names_its_callback_and_its_permission_set() {
    let spec = spec();
    assert_eq!(spec["openapi"], "3.0.3");
    let operation = &spec["paths"]["/api/provisionServices"]["post"];
    assert_eq!(operation["operationId"], "provisionServices");
    let authorization = &operation["x-sfdc"]["heroku"]["authorization"];
    assert_eq!(authorization["permissionSet"], "ProvisioningServicePermissions");
    assert_eq!(authorization["externalClientApp"], "ProvisioningServiceClientApp");
    let callback = &operation["callbacks"]["provisioningStatus"]["{$request.body#/callbackUrl}"]["post"];
    assert_eq!(callback["operationId"], "provisioningStatusCallback");
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (spec, mut found) = (spec(), Vec::new());
    references(&spec, &mut found);
    assert!(found.len() > 5);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(spec.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_permission_set_counts_only_while_activated() {
    assert!(PERMISSION_SET_XML.contains("<hasActivationRequired>true</hasActivationRequired>"));
    assert!(PERMISSION_SET_XML.contains("<name>ProvisioningParameter__mdt</name>"));
}
