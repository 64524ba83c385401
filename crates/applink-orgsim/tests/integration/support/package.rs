//! Deploy packages as a publisher writes them.

use std::io::{Cursor, Write};

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const NS: &str = "http://soap.sforce.com/2006/04/metadata";
pub(crate) const APP_UUID: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const ADDON_UUID: &str = "99999999-8888-4777-8666-555555555555";

#[derive(Clone)]
pub(crate) struct Package {
    files: Vec<(String, String)>,
    members: Vec<(String, String)>,
    options: Value,
}

impl Package {
    pub(crate) fn new() -> Self {
        Self {
            files: Vec::new(),
            members: Vec::new(),
            options: json!({"rollbackOnError": true, "singlePackage": true}),
        }
    }

    pub(crate) fn option(mut self, name: &str, value: Value) -> Self {
        self.options[name] = value;
        self
    }

    /// A component: its type, name, directory, suffix and the inside of its root element.
    pub(crate) fn component(
        mut self,
        kind: &str,
        name: &str,
        directory: &str,
        suffix: &str,
        inner: &str,
    ) -> Self {
        self.members.push((kind.to_owned(), name.to_owned()));
        let content = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{kind} xmlns=\"{NS}\">\n{inner}\n</{kind}>\n"
        );
        self.file(&format!("{directory}/{name}.{suffix}"), content)
    }

    pub(crate) fn file(mut self, path: &str, content: impl Into<String>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    pub(crate) fn permission_set(self, name: &str, inner: &str) -> Self {
        self.component(
            "PermissionSet",
            name,
            "permissionsets",
            "permissionset",
            &format!("<label>{name}</label>\n{inner}"),
        )
    }

    pub(crate) fn external_credential(self, name: &str) -> Self {
        let inner = format!(
            "<authenticationProtocol>Custom</authenticationProtocol><externalCredentialParameters><parameterGroup>Principal</parameterGroup>\
             <parameterName>Principal</parameterName><parameterType>NamedPrincipal</parameterType><sequenceNumber>1</sequenceNumber>\
             </externalCredentialParameters><label>{name}</label>"
        );
        self.component("ExternalCredential", name, "externalCredentials", "externalCredential", &inner)
    }

    pub(crate) fn named_credential(self, name: &str, url: &str) -> Self {
        let inner = format!(
            "<label>{name}</label><namedCredentialParameters><parameterName>Url</parameterName><parameterType>Url</parameterType>\
             <parameterValue>{url}</parameterValue></namedCredentialParameters><namedCredentialParameters>\
             <externalCredential>{name}</externalCredential><parameterName>ExternalCredential</parameterName>\
             <parameterType>Authentication</parameterType></namedCredentialParameters><namedCredentialType>SecuredEndpoint</namedCredentialType>"
        );
        self.component("NamedCredential", name, "namedCredentials", "namedCredential", &inner)
    }

    pub(crate) fn registration(self, name: &str, schema: &str, operations: &[&str]) -> Self {
        let operations: String = operations
            .iter()
            .map(|name| format!("<operations><active>true</active><name>{name}</name></operations>"))
            .collect();
        let schema = schema.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let inner = format!(
            "<description>applink:{ADDON_UUID}:abc</description><label>{name}</label>\
             <namedCredentialReference>{name}</namedCredentialReference>{operations}\
             <registrationProvider>{ADDON_UUID}</registrationProvider><registrationProviderAsset>{APP_UUID}</registrationProviderAsset>\
             <registrationProviderType>Heroku</registrationProviderType><schema>{schema}</schema><schemaType>OpenApi3</schemaType>\
             <status>Complete</status>"
        );
        self.component(
            "ExternalServiceRegistration",
            name,
            "externalServiceRegistrations",
            "externalServiceRegistration",
            &inner,
        )
    }

    /// Everything a publish of the provisioning service makes.
    pub(crate) fn service(url: &str) -> Self {
        let elevated = "<hasActivationRequired>true</hasActivationRequired><customMetadataTypeAccesses><enabled>true</enabled>\
             <name>ProvisioningParameter__mdt</name></customMetadataTypeAccesses>";
        let access = "<externalCredentialPrincipalAccesses><enabled>true</enabled>\
             <externalCredentialPrincipal>Provisioning-Principal</externalCredentialPrincipal></externalCredentialPrincipalAccesses>";
        Self::new()
            .external_credential("Provisioning")
            .named_credential("Provisioning", url)
            .permission_set("Provisioning", access)
            .permission_set("ProvisioningPermissions", elevated)
            .registration("Provisioning", &schema().to_string(), &["provision", "status"])
    }

    pub(crate) fn form(&self) -> Form {
        let zip = Part::bytes(self.zip()).file_name("package.zip").mime_str("application/zip").unwrap();
        let options = Part::text(json!({"deployOptions": self.options}).to_string())
            .mime_str("application/json")
            .unwrap();
        Form::new().part("json", options).part("file", zip)
    }

    pub(crate) fn zip(&self) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let mut add = |name: &str, content: &str| {
            writer.start_file(name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        };
        if !self.files.iter().any(|(name, _)| name == "package.xml") {
            add("package.xml", &self.manifest());
        }
        for (name, content) in &self.files {
            add(name, content);
        }
        writer.finish().unwrap().into_inner()
    }

    fn manifest(&self) -> String {
        manifest(&self.members)
    }
}

pub(crate) fn manifest(members: &[(String, String)]) -> String {
    let types: String = members
        .iter()
        .map(|(kind, name)| format!("<types><members>{name}</members><name>{kind}</name></types>"))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Package xmlns=\"{NS}\">{types}<version>66.0</version></Package>"
    )
}

/// The provisioning service's document: one operation with a callback and elevation, one plain.
pub(crate) fn schema() -> Value {
    json!({
        "openapi": "3.0.1",
        "info": {"title": "Provisioning", "version": "1"},
        "components": {"schemas": {
            "Request": {
                "type": "object", "required": ["opportunityIds"],
                "properties": {"opportunityIds": {"type": "array", "items": {"type": "string"}}, "callbackUrl": {"type": "string"}},
            },
            "Progress": {"type": "object", "required": ["jobId"], "properties": {"jobId": {"type": "string"}}},
        }},
        "paths": {
            "/api/provision": {"post": {
                "operationId": "provision",
                "x-sfdc": {"heroku": {"authorization": {"permissionSet": "ProvisioningPermissions"}}},
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}},
                "callbacks": {"progress": {"{$request.body#/callbackUrl}": {"post": {
                    "operationId": "progressCallback",
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Progress"}}}},
                    "responses": {"200": {"description": "ok"}},
                }}}},
                "responses": {"201": {"description": "accepted"}},
            }},
            "/api/status/{job}": {"get": {
                "operationId": "status",
                "parameters": [
                    {"name": "job", "in": "path", "required": true, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 10}},
                ],
                "responses": {"200": {"description": "ok"}},
            }},
        },
    })
}
