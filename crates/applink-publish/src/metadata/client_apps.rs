//! The client app an operation's authorization names: an external client app, or the older connected app.
//!
//! An existing one is referenced and never changed. Which kind an org can still create depends on its release.

use crate::release::Release;

use super::authorization::{Choice, Plan};
use super::xml::Element;
use super::{Component, File, OrgProfile, Subject};
use crate::spec::{Code, Finding};

/// External client apps can be deployed since 59.0.
const CREATES_EXTERNAL: Release = Release::new(59);
/// Heroku's own service publishes with external client apps from Summer '26.
const OFFICIAL_EXTERNAL: Release = Release::new(67);
/// From Spring '26 no new connected apps can be created.
const ENDS_CONNECTED: Release = Release::new(66);

pub(super) fn build(
    subject: &Subject,
    plan: &Plan,
    org: &OrgProfile,
    findings: &mut Vec<Finding>,
) -> Vec<Component> {
    let mut components = Vec::new();
    for choice in plan.external_client_apps() {
        components.extend(external(subject, plan, org, choice, findings));
    }
    for choice in plan.connected_apps() {
        components.extend(connected(subject, plan, org, choice, findings));
    }
    components
}

fn external(
    subject: &Subject,
    plan: &Plan,
    org: &OrgProfile,
    choice: &Choice,
    findings: &mut Vec<Finding>,
) -> Vec<Component> {
    let name = choice.name.as_str();
    if org.external_client_apps.iter().any(|existing| existing == name) {
        return Vec::new();
    }
    if let Some(other) = org.external_client_apps.iter().find(|other| other.eq_ignore_ascii_case(name)) {
        let message =
            format!("the org's external client app is spelled `{other}`; letter case counts, write it so");
        findings.push(choice.finding(Code::ExternalClientAppCase, message));
        return Vec::new();
    }
    if org.release < CREATES_EXTERNAL {
        let message = format!("the org (API {}) can't create external client apps", org.release);
        findings.push(choice.finding(Code::ExternalClientAppUnavailable, message));
        return Vec::new();
    }
    if org.release < OFFICIAL_EXTERNAL {
        let message = format!(
            "external client apps are made for orgs on Summer '26 (API {OFFICIAL_EXTERNAL}) or later; this one is on {}",
            org.release
        );
        findings.push(choice.finding(Code::ExternalClientAppRelease, message));
    }
    external_family(subject, plan, choice)
}

/// The app and its three settings: local, secrets required, scopes for the API, identity and refresh, refresh tokens
/// that stay valid, and only users of the publication's permission sets admitted.
fn external_family(subject: &Subject, plan: &Plan, choice: &Choice) -> Vec<Component> {
    let app = choice.name.as_str();
    let part = |kind, suffix: &str, folder: &str, extension: &str, elements| {
        let name = format!("{app}{suffix}");
        let path = format!("{folder}/{name}.{extension}");
        let content = Element::of(kind, elements).to_document();
        Component { kind, name, file: File { path, content }, origin: choice.origin.clone() }
    };
    vec![
        part("ExternalClientApplication", "", "externalClientApps", "eca", application(subject, app)),
        part(
            "ExtlClntAppGlobalOauthSettings",
            "_glbloauth",
            "extlClntAppGlobalOauthSets",
            "ecaGlblOauth",
            global_settings(app),
        ),
        part("ExtlClntAppOauthSettings", "_oauth", "extlClntAppOauthSettings", "ecaOauth", settings(app)),
        part(
            "ExtlClntAppOauthConfigurablePolicies",
            "_plcy",
            "extlClntAppOauthPolicies",
            "ecaOauthPlcy",
            policies(subject, plan, app),
        ),
    ]
}

fn application(subject: &Subject, app: &str) -> Vec<Element> {
    vec![
        Element::text("contactEmail", &subject.contact_email),
        Element::text("description", format!("Lets AppLink publish {}.", subject.client)),
        Element::text("distributionState", "Local"),
        Element::flag("isProtected", false),
        Element::text("label", app),
    ]
}

fn global_settings(app: &str) -> Vec<Element> {
    vec![
        Element::text("callbackUrl", "https://localhost"),
        Element::text("externalClientApplication", app),
        Element::flag("isConsumerSecretOptional", false),
        Element::flag("isIntrospectAllTokens", false),
        Element::flag("isPkceRequired", true),
        Element::flag("isSecretRequiredForRefreshToken", true),
        Element::text("label", format!("{app}_glbloauth")),
        Element::flag("shouldRotateConsumerKey", false),
        Element::flag("shouldRotateConsumerSecret", false),
    ]
}

fn settings(app: &str) -> Vec<Element> {
    vec![
        Element::text("commaSeparatedOauthScopes", "Api, Basic, RefreshToken"),
        Element::text("externalClientApplication", app),
        Element::text("label", format!("{app}_oauth")),
    ]
}

fn policies(subject: &Subject, plan: &Plan, app: &str) -> Vec<Element> {
    let mut sets = vec![subject.client.as_str()];
    sets.extend(plan.permission_sets().into_iter().map(|choice| choice.name.as_str()));
    vec![
        Element::text("commaSeparatedPermissionSet", sets.join(", ")),
        Element::text("externalClientApplication", app),
        Element::text("ipRelaxationPolicyType", "Enforce"),
        Element::text("label", format!("{app}_plcy")),
        Element::text("permittedUsersPolicyType", "AdminApprovedPreAuthorized"),
        Element::text("refreshTokenPolicyType", "Infinite"),
    ]
}

/// A connected app is made only when a file or a flag asks for it; a name in the document is a reference.
fn connected(
    subject: &Subject,
    plan: &Plan,
    org: &OrgProfile,
    choice: &Choice,
    findings: &mut Vec<Finding>,
) -> Option<Component> {
    let name = choice.name.as_str();
    if choice.origin.is_none() {
        let message = format!(
            "`{name}` is a connected app, which Salesforce retires; name an external client app instead"
        );
        findings.push(choice.finding(Code::ConnectedAppDeprecated, message));
    }
    if choice.origin.is_some() || org.connected_apps.iter().any(|existing| existing == name) {
        return None;
    }
    if org.release >= ENDS_CONNECTED {
        let message = format!(
            "the org has no connected app `{name}` and, from Spring '26 on, makes no new ones; \
             use --authorization-external-client-app-name"
        );
        findings.push(choice.finding(Code::ConnectedAppUnavailable, message));
        return None;
    }
    let content = plan.connected_app_xml.clone().unwrap_or_else(|| generated_connected(subject, plan, name));
    Some(Component {
        kind: "ConnectedApp",
        name: name.to_owned(),
        file: File { path: format!("connectedApps/{name}.connectedApp"), content },
        origin: None,
    })
}

fn generated_connected(subject: &Subject, plan: &Plan, name: &str) -> String {
    let scopes = ["Api", "Basic", "RefreshToken"].map(|scope| Element::text("scopes", scope));
    let mut oauth = vec![
        Element::text("callbackUrl", "https://localhost"),
        Element::flag("isAdminApproved", true),
        Element::flag("isConsumerSecretOptional", false),
        Element::flag("isIntrospectAllTokens", false),
        Element::flag("isSecretRequiredForRefreshToken", true),
    ];
    oauth.extend(scopes);
    let mut elements = vec![
        Element::text("contactEmail", &subject.contact_email),
        Element::text("description", format!("Lets AppLink publish {}.", subject.client)),
        Element::text("label", name),
        Element::of("oauthConfig", oauth),
        Element::of(
            "oauthPolicy",
            vec![Element::text("ipRelaxation", "ENFORCE"), Element::text("refreshTokenPolicy", "infinite")],
        ),
        Element::text("permissionSetName", subject.client.as_str()),
    ];
    let sets = plan.permission_sets().into_iter();
    elements.extend(sets.map(|choice| Element::text("permissionSetName", &choice.name)));
    Element::of("ConnectedApp", elements).to_document()
}
