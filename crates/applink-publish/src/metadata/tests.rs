//! Reviewed packages of our own documents, one per shape, and the rules of precedence.

use std::fmt::Write as _;

use applink_api::publication::PublishRequest;
use uuid::Uuid;

use super::*;
use crate::package::{SpecFile, Upload};
use crate::spec::{self, Format};

const PARAMETERS_ONLY: &str = include_str!("../../tests/fixtures/specs/parameters-only.yaml");
const INLINE_SCHEMAS: &str = include_str!("../../tests/fixtures/specs/inline-schemas.yaml");
const USER_PLUS_ECA: &str = include_str!("../../tests/fixtures/specs/user-plus-eca.yaml");
const CONNECTED_APP: &str = include_str!("../../tests/fixtures/specs/connected-app.yaml");
const CALLBACKS: &str = include_str!("../../tests/fixtures/specs/callbacks.yaml");

const USER_MODE: &str = include_str!("../../tests/fixtures/specs/user-mode.yaml");
const AGENT: &str = include_str!("../../tests/fixtures/specs/agent.yaml");

const SET_XML: &str = "<PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    <label>Given</label>\n</PermissionSet>\n";

fn subject(client: &str) -> Subject {
    Subject {
        publication: PublicationId(Uuid::from_u128(1)),
        addon: AddonId(Uuid::from_u128(2)),
        app: AppUuid(Uuid::from_u128(3)),
        app_name: "sales-tools".to_owned(),
        app_url: "https://sales-tools.example.com/".parse().unwrap(),
        client: client.parse().unwrap(),
        contact_email: "dev@example.com".to_owned(),
    }
}

fn upload(yaml: &str) -> Upload {
    Upload {
        spec: SpecFile { format: Format::Yaml, bytes: yaml.as_bytes().to_vec() },
        connected_app_xml: None,
        permission_set_xml: None,
    }
}

struct Publish {
    upload: Upload,
    request: PublishRequest,
    org: OrgProfile,
}

impl Publish {
    fn of(yaml: &str) -> Self {
        Self {
            upload: upload(yaml),
            request: PublishRequest { client_name: "Tools".to_owned(), ..PublishRequest::default() },
            org: OrgProfile::empty(Release::new(66)),
        }
    }

    fn package(&self) -> Result<Package, Vec<Finding>> {
        let spec = spec::read(self.upload.spec.format, &self.upload.spec.bytes).unwrap();
        let subject = subject(&self.request.client_name);
        let wishes = Wishes::of(&self.request, &self.upload);
        let plan = authorization::plan(&spec, &wishes, subject.client.as_str())?;
        build(&spec, &subject, &plan, &self.org)
    }

    fn files(&self) -> String {
        let package = self.package().unwrap();
        let mut text = String::new();
        for finding in &package.findings {
            writeln!(text, "warning: {finding}").unwrap();
        }
        for file in package.files() {
            writeln!(text, "--- {}\n{}", file.path, file.content).unwrap();
        }
        text
    }

    fn component_names(&self) -> Vec<String> {
        let package = self.package().unwrap();
        package.components.iter().map(|component| format!("{} {}", component.kind, component.name)).collect()
    }

    fn errors(&self) -> String {
        let findings = self.package().unwrap_err();
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    }
}

#[test]
fn a_package_without_an_authorization_block() {
    insta::assert_snapshot!(Publish::of(PARAMETERS_ONLY).files());
}

#[test]
fn a_package_of_inline_schemas() {
    insta::assert_snapshot!(Publish::of(INLINE_SCHEMAS).files());
}

#[test]
fn a_package_with_an_external_client_app() {
    insta::assert_snapshot!(Publish::of(USER_PLUS_ECA).files());
}

#[test]
fn a_package_with_a_connected_app_in_the_document() {
    insta::assert_snapshot!(Publish::of(CONNECTED_APP).files());
}

#[test]
fn a_package_with_callbacks() {
    insta::assert_snapshot!(Publish::of(CALLBACKS).files());
}

#[test]
fn a_package_in_user_mode_with_named_schemas() {
    insta::assert_snapshot!(Publish::of(USER_MODE).files());
}

#[test]
fn a_package_with_an_agent_topic_and_actions() {
    let mut publish = Publish::of(AGENT);
    publish.org.release = Release::new(67);
    insta::assert_snapshot!(publish.files());
}

#[test]
fn a_package_with_a_connected_app_by_flag_in_an_older_org() {
    let mut publish = Publish::of(PARAMETERS_ONLY);
    publish.request.authorization_connected_app_name = Some("RatesApp".to_owned());
    publish.org.release = Release::new(65);
    insta::assert_snapshot!(publish.files());
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_document_another_hash() {
    let publish = Publish::of(CALLBACKS);
    let (one, two) = (publish.package().unwrap(), publish.package().unwrap());
    assert_eq!(archive::zip(&one.files()).unwrap(), archive::zip(&two.files()).unwrap());
    let other = Publish::of(&CALLBACKS.replace("Builds a report", "Makes a report")).package().unwrap();
    assert_ne!(one.hash, other.hash);
    assert_eq!(one.hash.len(), 32);
    assert_eq!(one.marker, format!("applink:{}:{}", PublicationId(Uuid::from_u128(1)), one.hash));
}

#[test]
fn an_existing_client_app_is_referenced_and_its_spelling_counts() {
    let mut publish = Publish::of(USER_PLUS_ECA);
    publish.org.external_client_apps = vec!["DiscountsClientApp".to_owned()];
    assert!(publish.component_names().iter().all(|name| !name.contains("ClientApp")));
    publish.org.external_client_apps = vec!["discountsclientapp".to_owned()];
    insta::assert_snapshot!(publish.errors());
}

#[test]
fn an_existing_session_based_set_is_left_alone_and_another_is_refused() {
    let mut publish = Publish::of(USER_PLUS_ECA);
    let existing = |session_based| {
        vec![ExistingPermissionSet { name: "DiscountsPermissions".to_owned(), session_based }]
    };
    publish.org.permission_sets = existing(true);
    assert!(!publish.component_names().contains(&"PermissionSet DiscountsPermissions".to_owned()));
    publish.upload.permission_set_xml = Some(SET_XML.to_owned());
    assert!(publish.component_names().contains(&"PermissionSet DiscountsPermissions".to_owned()));
    publish.org.permission_sets = existing(false);
    insta::assert_snapshot!(publish.errors());
}

#[test]
fn a_flag_takes_the_place_of_every_name_of_the_document() {
    let mut publish = Publish::of(USER_PLUS_ECA);
    publish.request.authorization_permission_set_name = Some("Elevated".to_owned());
    let package = publish.package().unwrap();
    let registration =
        package.components.iter().find(|one| one.kind == "ExternalServiceRegistration").unwrap();
    assert_eq!(registration.file.content.matches("permissionSet&quot;:&quot;Elevated").count(), 2);
    assert!(!registration.file.content.contains("DiscountsPermissions"));
    assert!(registration.file.content.contains("externalClientApp&quot;:&quot;DiscountsClientApp"));
    assert!(publish.component_names().contains(&"PermissionSet Elevated".to_owned()));
}

#[test]
fn a_file_is_meant_for_the_name_it_gives_else_the_documents_else_the_default() {
    let set_of = |yaml: &str, xml: &str| {
        let mut publish = Publish::of(yaml);
        publish.upload.permission_set_xml = Some(xml.to_owned());
        let names = publish.component_names();
        names
            .into_iter()
            .filter(|name| name.starts_with("PermissionSet") && name != "PermissionSet Tools")
            .collect::<Vec<_>>()
    };
    assert_eq!(set_of(USER_PLUS_ECA, SET_XML), ["PermissionSet DiscountsPermissions"]);
    assert_eq!(set_of(PARAMETERS_ONLY, SET_XML), ["PermissionSet ToolsPermissions"]);
    let named = SET_XML.replace("<label>", "<fullName>Own</fullName><label>");
    assert_eq!(set_of(USER_PLUS_ECA, &named), ["PermissionSet Own"]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut publish = Publish::of(PARAMETERS_ONLY);
    publish.upload.permission_set_xml = Some(SET_XML.to_owned());
    publish.request.authorization_permission_set_name = Some("Elevated".to_owned());
    publish.request.authorization_connected_app_name = Some("One".to_owned());
    publish.request.authorization_external_client_app_name = Some("Other-App".to_owned());
    insta::assert_snapshot!(publish.errors());

    let mut publish = Publish::of(PARAMETERS_ONLY);
    publish.request.authorization_permission_set_name = Some("tools".to_owned());
    publish.request.authorization_connected_app_name = Some("NewApp".to_owned());
    publish.org.release = Release::new(66);
    insta::assert_snapshot!(publish.errors());
}

#[test]
fn a_right_the_user_lacks_is_named_before_anything_is_sent() {
    let mut publish = Publish::of(USER_PLUS_ECA);
    publish.org.rights = Rights {
        manage_applink: Some(true),
        customize_application: Some(true),
        modify_all_data: Some(false),
        manage_external_client_apps: Some(false),
    };
    assert!(publish.errors().contains("lacks \"Modify All Data or Manage External Client Apps\""));
    publish.org.external_client_apps = vec!["DiscountsClientApp".to_owned()];
    publish.package().unwrap();
    publish.org.rights.manage_applink = Some(false);
    publish.org.rights.customize_application = Some(false);
    let errors = publish.errors();
    assert!(
        errors.contains("\"Manage Heroku AppLink\"") && errors.contains("\"Customize Application\""),
        "{errors}"
    );
}

#[test]
fn an_org_of_an_old_release_is_refused() {
    let mut publish = Publish::of(PARAMETERS_ONLY);
    publish.org.release = Release::new(58);
    assert!(publish.errors().contains("publishing needs 59.0 or newer"));
}
