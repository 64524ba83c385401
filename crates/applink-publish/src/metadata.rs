//! The metadata package: a pure function of the document, the request and what the org already has.
//!
//! 1. [`authorization::plan`] decides which client app and which session-based permission set each operation uses.
//!    **Precedence**: an XML file of the metadata directory wins over a flag, a flag over the document. The same
//!    thing by file *and* flag is an error, as in the official CLI. A name from a file or a flag takes the place of
//!    every name of its kind in the document.
//! 2. [`build`] writes the files: the registration with the document, the named and the external credential that
//!    hold the app's URL, the permission set that lets users call, the session-based ones, and a client app family
//!    where one is named that does not exist yet.
//!
//! | component | name |
//! |---|---|
//! | `ExternalServiceRegistration`, `NamedCredential`, `ExternalCredential` | the client name |
//! | `PermissionSet`, credential access | the client name |
//! | `PermissionSet`, session-based | as planned |
//! | `ExternalClientApplication` and its three settings, or `ConnectedApp` | as planned |
//!
//! A session-based set that exists in the org is left as it is (its admin may have added rights to it), unless its
//! XML was uploaded. An existing client app is referenced, never changed.
//!
//! The registration's description carries the **marker** `applink:<publication>:<hash>`, by which an interrupted
//! deploy recognises its own work. The hash covers every file of the package without the marker.

pub mod archive;
pub mod authorization;
mod client_apps;
mod credentials;
mod permission_sets;
mod registration;
pub mod uploaded;
pub mod xml;

use crate::release::Release;
use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_api::names::ClientName;
use sha2::{Digest, Sha256};
use url::Url;

pub use self::authorization::{Choice, Plan, Wishes};
use super::spec::{Code, Finding, Position, Spec};

/// The newest API version this builder writes packages for.
pub const NEWEST: Release = Release::new(66);
/// `externalCredentialPrincipalAccesses` on permission sets exists since 59.0.
const OLDEST: Release = Release::new(59);

/// What is published, by whom, and where the app answers.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The publication's row.
    pub publication: PublicationId,
    /// The add-on.
    pub addon: AddonId,
    /// The app.
    pub app: AppUuid,
    /// The app's name, for descriptions.
    pub app_name: String,
    /// Where the org calls the app.
    pub app_url: Url,
    /// What the app is called in the org.
    pub client: ClientName,
    /// The address a created client app names as its contact.
    pub contact_email: String,
}

/// What the org offers and already has. *Native* publishing only (registrations of type `Heroku`).
#[derive(Clone, Debug)]
pub struct OrgProfile {
    /// Its release, by API version (`66.0` is Spring '26, `67.0` Summer '26).
    pub release: Release,
    /// External client apps of the planned names, as spelled in the org.
    pub external_client_apps: Vec<String>,
    /// Connected apps of the planned names.
    pub connected_apps: Vec<String>,
    /// Permission sets of the planned names.
    pub permission_sets: Vec<ExistingPermissionSet>,
    /// What the connection's user may do there.
    pub rights: Rights,
}

/// Rights of the user who deploys, as far as the org tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Manage Heroku AppLink.
    pub manage_applink: Option<bool>,
    /// Customize Application.
    pub customize_application: Option<bool>,
    /// Modify All Data.
    pub modify_all_data: Option<bool>,
    /// Manage External Client Apps.
    pub manage_external_client_apps: Option<bool>,
}

impl Rights {
    /// The rights the package needs and the user certainly lacks.
    fn missing(self, makes_client_app: bool) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.manage_applink == Some(false) {
            missing.push("Manage Heroku AppLink");
        }
        if self.customize_application == Some(false) {
            missing.push("Customize Application");
        }
        let either = [self.modify_all_data, self.manage_external_client_apps];
        if makes_client_app && either.iter().all(|right| *right == Some(false)) {
            missing.push("Modify All Data or Manage External Client Apps");
        }
        missing
    }
}

impl OrgProfile {
    /// An org that has nothing of ours yet.
    pub fn empty(release: Release) -> Self {
        Self {
            release,
            external_client_apps: Vec::new(),
            connected_apps: Vec::new(),
            permission_sets: Vec::new(),
            rights: Rights::default(),
        }
    }
}

/// A permission set of the org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingPermissionSet {
    /// Its API name.
    pub name: String,
    /// Whether it counts only while it is activated.
    pub session_based: bool,
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path within the archive, `/` between folders.
    pub path: String,
    /// UTF-8 XML.
    pub content: String,
}

/// One component of a package, and the place of the document it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Metadata type.
    pub kind: &'static str,
    /// Full name.
    pub name: String,
    /// Its file, without `package.xml`.
    pub(crate) file: File,
    /// Where the document names it; `None` when it follows from the publish itself.
    pub origin: Option<(String, Position)>,
}

impl Component {
    /// Path of its file within the package.
    pub fn path(&self) -> &str {
        &self.file.path
    }
}

/// A metadata package, ready to be deployed.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its API version.
    pub version: Release,
    /// Its components, in the order of `package.xml`.
    pub components: Vec<Component>,
    /// Hash of everything but the marker: 32 hexadecimal digits.
    pub hash: String,
    /// `applink:<publication>:<hash>`.
    pub marker: String,
    /// Client apps and permission sets the document relies on, made by this package or not.
    pub uses: Vec<String>,
    /// Warnings.
    pub findings: Vec<Finding>,
}

impl Package {
    /// Every file, `package.xml` first.
    pub fn files(&self) -> Vec<File> {
        let mut files = vec![archive::manifest(self)];
        files.extend(self.components.iter().map(|component| component.file.clone()));
        files
    }
}

/// The marker of one package of one publication.
pub fn marker(publication: PublicationId, hash: &str) -> String {
    format!("applink:{publication}:{hash}")
}

/// The package. Equal arguments give equal bytes.
///
/// # Errors
/// Every [`Finding`] when one of them is an error.
pub fn build(spec: &Spec, subject: &Subject, plan: &Plan, org: &OrgProfile) -> Result<Package, Vec<Finding>> {
    let mut findings = spec.findings.clone();
    findings.extend(plan.findings.iter().cloned());
    check_release(org.release, &mut findings);
    let mut components = credentials::build(subject);
    components.push(permission_sets::credential_access(subject));
    components.extend(permission_sets::session_based(subject, plan, org, &mut findings));
    components.extend(client_apps::build(subject, plan, org, &mut findings));
    let makes_client_app = components.iter().any(|component| component.kind == "ExternalClientApplication");
    for right in org.rights.missing(makes_client_app) {
        let message = format!("the connection's user lacks \"{right}\" in the org");
        findings.push(Finding::without_place(Code::RightMissing, "org", message));
    }
    let unmarked = registration::build(spec, subject, plan, None, &mut findings);
    let hash = hash(&components, &unmarked);
    let marker = marker(subject.publication, &hash);
    components.push(registration::build(spec, subject, plan, Some(&marker), &mut Vec::new()));
    components.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    Ok(Package { version: org.release.min(NEWEST), components, hash, marker, uses: uses(plan), findings })
}

fn uses(plan: &Plan) -> Vec<String> {
    let apps = plan.external_client_apps().into_iter().chain(plan.connected_apps());
    apps.chain(plan.permission_sets()).map(|choice| choice.name.clone()).collect()
}

fn check_release(release: Release, findings: &mut Vec<Finding>) {
    if release < OLDEST {
        let message = format!("the org speaks API {release}; publishing needs {OLDEST} or newer");
        findings.push(Finding::without_place(Code::ReleaseTooOld, "org", message));
    }
}

/// SHA-256 over length-prefixed paths and contents, cut to 128 bits.
fn hash(components: &[Component], registration: &Component) -> String {
    let mut files: Vec<&File> =
        components.iter().chain([registration]).map(|component| &component.file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Sha256::new();
    for file in files {
        for part in [file.path.as_bytes(), file.content.as_bytes()] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
