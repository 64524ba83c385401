//! The named credential with the app's URL, and the external credential whose one principal users need.

use super::xml::Element;
use super::{Component, File, Subject};

/// The external credential's only principal. A permission set names it `<Client>-Principal`.
pub(super) const PRINCIPAL: &str = "Principal";

pub(super) fn build(subject: &Subject) -> Vec<Component> {
    vec![external(subject), named(subject)]
}

fn external(subject: &Subject) -> Component {
    let name = subject.client.as_str();
    let principal = Element::of(
        "externalCredentialParameters",
        vec![
            Element::text("parameterGroup", PRINCIPAL),
            Element::text("parameterName", PRINCIPAL),
            Element::text("parameterType", "NamedPrincipal"),
            Element::text("sequenceNumber", "1"),
        ],
    );
    let root = Element::of(
        "ExternalCredential",
        vec![Element::text("authenticationProtocol", "Custom"), principal, Element::text("label", name)],
    );
    Component {
        kind: "ExternalCredential",
        name: name.to_owned(),
        file: File {
            path: format!("externalCredentials/{name}.externalCredential"),
            content: root.to_document(),
        },
        origin: None,
    }
}

fn named(subject: &Subject) -> Component {
    let name = subject.client.as_str();
    let url = Element::of(
        "namedCredentialParameters",
        vec![
            Element::text("parameterName", "Url"),
            Element::text("parameterType", "Url"),
            Element::text("parameterValue", subject.app_url.as_str().trim_end_matches('/')),
        ],
    );
    let authentication = Element::of(
        "namedCredentialParameters",
        vec![
            Element::text("externalCredential", name),
            Element::text("parameterName", "ExternalCredential"),
            Element::text("parameterType", "Authentication"),
        ],
    );
    let root = Element::of(
        "NamedCredential",
        vec![
            Element::flag("allowMergeFieldsInBody", false),
            Element::flag("allowMergeFieldsInHeader", false),
            Element::text("calloutStatus", "Enabled"),
            // The org signs every call in headers of its own; no `Authorization` is wanted.
            Element::flag("generateAuthorizationHeader", false),
            Element::text("label", name),
            url,
            authentication,
            Element::text("namedCredentialType", "SecuredEndpoint"),
        ],
    );
    Component {
        kind: "NamedCredential",
        name: name.to_owned(),
        file: File { path: format!("namedCredentials/{name}.namedCredential"), content: root.to_document() },
        origin: None,
    }
}
