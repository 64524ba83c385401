//! Names as callers write them, over documents of our own.

use std::fmt::Write as _;

use super::*;
use crate::spec::{self, Format};

fn preview(yaml: &str, client: &str) -> Preview {
    let spec = spec::read(Format::Yaml, yaml.as_bytes()).unwrap();
    Preview::of(&spec, client, None)
}

const CALLBACKS: &str = include_str!("../../tests/fixtures/specs/callbacks.yaml");
const PROVISIONING: &str = include_str!("../../tests/fixtures/specs/provisioning.yaml");

#[test]
fn a_service_with_callbacks() {
    insta::assert_json_snapshot!(preview(CALLBACKS, "Reports"));
}

/// The names the samples of the original's own articles use, for the same kind of service.
#[test]
fn names_agree_with_public_apex() {
    let preview = preview(PROVISIONING, "ProvisioningService");
    for name in [
        "ProvisioningService",
        "ProvisioningService.provisionServices_Request",
        "ProvisioningService.provisionServices_Response",
        "ProvisioningService.provisionServices_ResponseException",
        "ProvisioningService.provisionServices_Callback",
        "ProvisioningService.provisionServices_provisioningStatus_Callback",
        "ProvisioningService_ProvisionServicesRequest",
        "ProvisioningService_provisioningStatusCallback_IN_body",
        "ProvisioningService_provisioningStatusCallback_IN_body_services",
    ] {
        let names: Vec<&str> = preview.apex.iter().map(|class| class.name.as_str()).collect();
        assert!(preview.class(name).is_some(), "{name} is not among {names:#?}");
    }
    let members = |class: &str| -> Vec<(String, String)> {
        let members = preview.class(class).unwrap().members.iter();
        members.map(|member| (member.name.clone(), qualified(&member.apex_type, &preview.client))).collect()
    };
    let request = members("ProvisioningService.provisionServices_Request");
    let body = "HerokuAppLink.ProvisioningService_ProvisionServicesRequest".to_owned();
    assert!(request.contains(&("body".to_owned(), body)), "{request:?}");
    let callback = members("ProvisioningService_provisioningStatusCallback_IN_body");
    let services =
        "List<HerokuAppLink.ProvisioningService_provisioningStatusCallback_IN_body_services>".to_owned();
    assert!(callback.contains(&("services".to_owned(), services)), "{callback:?}");
}

#[test]
fn stubs_for_editors() {
    let mut text = String::new();
    for file in stubs(&preview(CALLBACKS, "Reports")) {
        writeln!(text, "--- {}\n{}", file.path, file.content).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn types_that_lead_only_to_each_other_come_to_an_end() {
    let yaml = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      operationId: a\n      responses:\n        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}\n\
        components:\n  schemas:\n    A: {type: array, items: {$ref: '#/components/schemas/A'}}\n    B: {allOf: [{$ref: '#/components/schemas/B'}, {$ref: '#/components/schemas/C'}]}\n    C: {properties: {b: {$ref: '#/components/schemas/B'}}}\n";
    let preview = preview(yaml, "Loops");
    assert!(preview.class("Loops.a_Response").unwrap().members[0].apex_type.starts_with("List<List<"));
    assert_eq!(preview.class("Loops_B").unwrap().members[0].apex_type, "Loops_B");
}
