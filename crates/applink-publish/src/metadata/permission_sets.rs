//! The permission set that lets users call the app, and the session-based ones of user-plus mode.

use super::authorization::{Choice, Plan};
use super::credentials::PRINCIPAL;
use super::xml::Element;
use super::{Component, File, OrgProfile, Subject};
use crate::spec::{Code, Finding};

/// `<Client>`: access to the external credential's principal.
pub(super) fn credential_access(subject: &Subject) -> Component {
    let client = subject.client.as_str();
    let access = Element::of(
        "externalCredentialPrincipalAccesses",
        vec![
            Element::flag("enabled", true),
            Element::text("externalCredentialPrincipal", format!("{client}-{PRINCIPAL}")),
        ],
    );
    let root = Element::of(
        "PermissionSet",
        vec![
            Element::text("description", format!("Lets its users call {client} through AppLink.")),
            access,
            Element::flag("hasActivationRequired", false),
            Element::text("label", client),
        ],
    );
    component(client, root.to_document(), None)
}

/// The session-based sets the plan names, where the org does not have them yet or their XML was uploaded.
pub(super) fn session_based(
    subject: &Subject,
    plan: &Plan,
    org: &OrgProfile,
    findings: &mut Vec<Finding>,
) -> Vec<Component> {
    plan.permission_sets()
        .into_iter()
        .filter_map(|choice| session_set(subject, plan, org, choice, findings))
        .collect()
}

fn session_set(
    subject: &Subject,
    plan: &Plan,
    org: &OrgProfile,
    choice: &Choice,
    findings: &mut Vec<Finding>,
) -> Option<Component> {
    let name = choice.name.as_str();
    if name.eq_ignore_ascii_case(subject.client.as_str()) {
        let message = format!(
            "`{name}` is the permission set that lets users call; give the session-based one another name"
        );
        findings.push(choice.finding(Code::PermissionSetNameTaken, message));
        return None;
    }
    let existing = org.permission_sets.iter().find(|existing| existing.name.eq_ignore_ascii_case(name));
    if existing.is_some_and(|existing| !existing.session_based) {
        let message = format!(
            "the org has a permission set `{name}` that is not session-based; tick \"Session Activation Required\" \
             on it, or use another name"
        );
        findings.push(choice.finding(Code::PermissionSetNotSession, message));
        return None;
    }
    match (&plan.permission_set_xml, existing) {
        (Some(xml), _) => Some(component(name, xml.clone(), choice.origin.clone())),
        (None, Some(_)) => None,
        (None, None) => Some(component(name, generated(subject, name), choice.origin.clone())),
    }
}

fn generated(subject: &Subject, name: &str) -> String {
    let client = subject.client.as_str();
    let description = format!(
        "Rights that calls to {client} have on top of their caller's (user-plus mode). Assign it to those who call."
    );
    Element::of(
        "PermissionSet",
        vec![
            Element::text("description", description),
            Element::flag("hasActivationRequired", true),
            Element::text("label", split_words(name)),
        ],
    )
    .to_document()
}

fn component(name: &str, content: String, origin: super::authorization::Origin) -> Component {
    Component {
        kind: "PermissionSet",
        name: name.to_owned(),
        file: File { path: format!("permissionsets/{name}.permissionset"), content },
        origin,
    }
}

/// `ProvisioningServicePermissions` → `Provisioning Service Permissions`, for labels (at most 80 characters).
fn split_words(name: &str) -> String {
    let mut label = String::new();
    let mut previous_is_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_ascii_uppercase() && previous_is_lower) {
            label.push(' ');
        }
        if c != '_' {
            label.push(c);
        }
        previous_is_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    label.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_split_names() {
        assert_eq!(split_words("ProvisioningServicePermissions"), "Provisioning Service Permissions");
        assert_eq!(split_words("My_API_Set2Go"), "My API Set2 Go");
    }
}
