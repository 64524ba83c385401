//! The metadata types this org deploys, read from their files into typed definitions.
//!
//! Reading checks what one file can tell by itself: its shape, its values. Whether it fits into the org is
//! [`apply`](super::apply)'s question.

use serde::{Deserialize, Serialize};

use super::shapes::{self, Problem, Shape};
use super::xml::{self, Element};
use crate::secrets;

/// A deployable type, declared in the order in which an org applies them: what is referred to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ComponentType {
    ExternalCredential,
    NamedCredential,
    ConnectedApp,
    ExternalClientApplication,
    ClientAppOauth,
    ClientAppGlobalOauth,
    ClientAppPolicies,
    PermissionSet,
    ClientAppOauthPolicies,
    ExternalServiceRegistration,
}

impl ComponentType {
    pub(crate) const ALL: [Self; 10] = [
        Self::ExternalCredential,
        Self::NamedCredential,
        Self::ConnectedApp,
        Self::ExternalClientApplication,
        Self::ClientAppOauth,
        Self::ClientAppGlobalOauth,
        Self::ClientAppPolicies,
        Self::PermissionSet,
        Self::ClientAppOauthPolicies,
        Self::ExternalServiceRegistration,
    ];

    /// Metadata API name, directory and file suffix.
    const fn layout(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ExternalCredential => ("ExternalCredential", "externalCredentials", "externalCredential"),
            Self::NamedCredential => ("NamedCredential", "namedCredentials", "namedCredential"),
            Self::ConnectedApp => ("ConnectedApp", "connectedApps", "connectedApp"),
            Self::ExternalClientApplication => ("ExternalClientApplication", "externalClientApps", "eca"),
            Self::ClientAppOauth => ("ExtlClntAppOauthSettings", "extlClntAppOauthSettings", "ecaOauth"),
            Self::ClientAppGlobalOauth => {
                ("ExtlClntAppGlobalOauthSettings", "extlClntAppGlobalOauthSets", "ecaGlblOauth")
            }
            Self::ClientAppPolicies => ("ExtlClntAppConfigurablePolicies", "extlClntAppPolicies", "ecaPlcy"),
            Self::PermissionSet => ("PermissionSet", "permissionsets", "permissionset"),
            Self::ClientAppOauthPolicies => {
                ("ExtlClntAppOauthConfigurablePolicies", "extlClntAppOauthPolicies", "ecaOauthPlcy")
            }
            Self::ExternalServiceRegistration => {
                ("ExternalServiceRegistration", "externalServiceRegistrations", "externalServiceRegistration")
            }
        }
    }

    /// The Metadata API's name of the type.
    pub(crate) const fn name(self) -> &'static str {
        self.layout().0
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.name() == name)
    }

    /// The type and full name a path stands for; a source-format `-meta.xml` ending is accepted.
    pub(crate) fn of_path(path: &str) -> Option<(Self, String)> {
        let (directory, file) = path.split_once('/')?;
        let file = file.strip_suffix("-meta.xml").unwrap_or(file);
        let (full_name, suffix) = file.rsplit_once('.')?;
        let matches = |candidate: &Self| candidate.layout().1 == directory && candidate.layout().2 == suffix;
        let component_type = Self::ALL.into_iter().find(matches)?;
        (!full_name.is_empty() && !full_name.contains('/')).then(|| (component_type, full_name.to_owned()))
    }

    pub(crate) fn path_of(self, full_name: &str) -> String {
        let (_, directory, suffix) = self.layout();
        format!("{directory}/{full_name}.{suffix}")
    }

    fn shape(self) -> &'static Shape {
        match self {
            Self::ExternalCredential => &shapes::EXTERNAL_CREDENTIAL,
            Self::NamedCredential => &shapes::NAMED_CREDENTIAL,
            Self::ConnectedApp => &shapes::CONNECTED_APP,
            Self::ExternalClientApplication => &shapes::EXTERNAL_CLIENT_APPLICATION,
            Self::ClientAppOauth => &shapes::CLIENT_APP_OAUTH,
            Self::ClientAppGlobalOauth => &shapes::CLIENT_APP_GLOBAL_OAUTH,
            Self::ClientAppPolicies => &shapes::CLIENT_APP_POLICIES,
            Self::PermissionSet => &shapes::PERMISSION_SET,
            Self::ClientAppOauthPolicies => &shapes::CLIENT_APP_OAUTH_POLICIES,
            Self::ExternalServiceRegistration => &shapes::EXTERNAL_SERVICE_REGISTRATION,
        }
    }
}

/// A component's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Definition {
    ExternalCredential(ExternalCredential),
    NamedCredential(NamedCredential),
    ConnectedApp(ConnectedApp),
    ExternalClientApplication(ExternalClientApplication),
    ClientAppOauth(ClientAppOauth),
    ClientAppGlobalOauth(ClientAppGlobalOauth),
    ClientAppPolicies(ClientAppPolicies),
    PermissionSet(PermissionSet),
    ClientAppOauthPolicies(ClientAppOauthPolicies),
    ExternalServiceRegistration(Box<ExternalServiceRegistration>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExternalServiceRegistration {
    pub(crate) label: String,
    pub(crate) description: Option<String>,
    pub(crate) named_credential: Option<String>,
    pub(crate) provider_type: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) provider_asset: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) schema_type: Option<String>,
    pub(crate) service_binding: Option<String>,
    pub(crate) status: String,
    pub(crate) operations: Vec<RegisteredOperation>,
}

impl ExternalServiceRegistration {
    /// Whether an operation of the schema can be called: the registration lists it as active, or lists none at all.
    pub(crate) fn is_active(&self, operation: &str) -> bool {
        let listed = self.operations.iter().find(|listed| listed.name.eq_ignore_ascii_case(operation));
        self.operations.is_empty() || listed.is_some_and(|listed| listed.active)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegisteredOperation {
    pub(crate) name: String,
    pub(crate) active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedCredential {
    pub(crate) label: String,
    pub(crate) kind: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) external_credential: Option<String>,
    pub(crate) callouts_enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExternalCredential {
    pub(crate) label: String,
    pub(crate) protocol: String,
    pub(crate) principals: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConnectedApp {
    pub(crate) label: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExternalClientApplication {
    pub(crate) label: Option<String>,
    pub(crate) contact_email: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientAppOauth {
    pub(crate) application: String,
    /// As the metadata spells them: `Api`, `RefreshToken`, …
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the independent checkboxes of an external client app")]
pub(crate) struct ClientAppGlobalOauth {
    pub(crate) application: String,
    pub(crate) callback_urls: Vec<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) consumer_key: Option<String>,
    /// The secret itself is never kept.
    pub(crate) consumer_secret_fingerprint: Option<String>,
    pub(crate) pkce_required: bool,
    pub(crate) secret_optional: bool,
    pub(crate) secret_required_for_refresh: bool,
    pub(crate) rotates_refresh_tokens: bool,
    pub(crate) introspects_all_tokens: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientAppPolicies {
    pub(crate) application: String,
    pub(crate) enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientAppOauthPolicies {
    pub(crate) application: String,
    pub(crate) admin_approved: bool,
    pub(crate) permission_sets: Vec<String>,
    pub(crate) profiles: Vec<String>,
    pub(crate) session_timeout_minutes: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PermissionSet {
    pub(crate) label: String,
    pub(crate) description: Option<String>,
    pub(crate) session_based: bool,
    /// `<external credential>-<principal>`.
    pub(crate) credential_principals: Vec<Placed>,
    pub(crate) user_permissions: Vec<Placed>,
    pub(crate) custom_metadata_types: Vec<Placed>,
    pub(crate) objects: Vec<ObjectAccess>,
    pub(crate) fields: Vec<FieldAccess>,
}

/// A name with its place in the file, so that a refusal can point at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the six independent checkboxes of an object permission")]
pub(crate) struct ObjectAccess {
    pub(crate) object: Placed,
    pub(crate) create: bool,
    pub(crate) read: bool,
    pub(crate) edit: bool,
    pub(crate) delete: bool,
    pub(crate) view_all: bool,
    pub(crate) modify_all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldAccess {
    /// `Object.Field`.
    pub(crate) field: Placed,
    pub(crate) readable: bool,
    pub(crate) editable: bool,
}

impl Placed {
    pub(crate) fn at(&self) -> xml::Position {
        xml::Position { line: self.line, column: self.column }
    }
}

/// Reads one component file.
///
/// # Errors
/// The first fault with its place, worded as an org words it.
pub(crate) fn read(component_type: ComponentType, source: &[u8]) -> Result<Definition, Problem> {
    let root = xml::parse(source).map_err(|error| Problem::at(error.problem, error.at))?;
    if root.name != component_type.name() {
        let text = format!("the root element is {}, expected {}", root.name, component_type.name());
        return Err(Problem::at(text, root.at));
    }
    shapes::check(&root, component_type.shape())?;
    Ok(definition(component_type, &root))
}

fn definition(component_type: ComponentType, root: &Element) -> Definition {
    match component_type {
        ComponentType::ExternalCredential => Definition::ExternalCredential(external_credential(root)),
        ComponentType::NamedCredential => Definition::NamedCredential(named_credential(root)),
        ComponentType::ConnectedApp => {
            Definition::ConnectedApp(ConnectedApp { label: required(root, "label") })
        }
        ComponentType::ExternalClientApplication => {
            Definition::ExternalClientApplication(ExternalClientApplication {
                label: root.text_of("label"),
                contact_email: root.text_of("contactEmail"),
            })
        }
        ComponentType::ClientAppOauth => Definition::ClientAppOauth(ClientAppOauth {
            application: required(root, "externalClientApplication"),
            scopes: comma_separated(root, "commaSeparatedOauthScopes"),
        }),
        ComponentType::ClientAppGlobalOauth => Definition::ClientAppGlobalOauth(global_oauth(root)),
        ComponentType::ClientAppPolicies => Definition::ClientAppPolicies(ClientAppPolicies {
            application: required(root, "externalClientApplication"),
            enabled: root.flag("isEnabled"),
        }),
        ComponentType::PermissionSet => Definition::PermissionSet(permission_set(root)),
        ComponentType::ClientAppOauthPolicies => Definition::ClientAppOauthPolicies(oauth_policies(root)),
        ComponentType::ExternalServiceRegistration => {
            Definition::ExternalServiceRegistration(Box::new(external_service_registration(root)))
        }
    }
}

/// The text of an element that the shape made sure of.
fn required(root: &Element, name: &str) -> String {
    root.text_of(name).unwrap_or_default()
}

fn comma_separated(root: &Element, name: &str) -> Vec<String> {
    let list = root.text_of(name).unwrap_or_default();
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn external_service_registration(root: &Element) -> ExternalServiceRegistration {
    let operation = |element: &Element| RegisteredOperation {
        name: required(element, "name"),
        active: element.flag("active"),
    };
    ExternalServiceRegistration {
        label: required(root, "label"),
        description: root.text_of("description"),
        named_credential: root
            .text_of("namedCredentialReference")
            .or_else(|| root.text_of("namedCredential")),
        provider_type: root.text_of("registrationProviderType"),
        provider: root.text_of("registrationProvider"),
        provider_asset: root.text_of("registrationProviderAsset"),
        schema: root.text_of("schema"),
        schema_type: root.text_of("schemaType"),
        service_binding: root.text_of("serviceBinding"),
        status: required(root, "status"),
        operations: root.all("operations").map(operation).collect(),
    }
}

fn named_credential(root: &Element) -> NamedCredential {
    let parameter = |kind: &str| {
        root.all("namedCredentialParameters")
            .find(|parameter| parameter.text_of("parameterType").as_deref() == Some(kind))
    };
    NamedCredential {
        label: required(root, "label"),
        kind: root.text_of("namedCredentialType"),
        url: parameter("Url")
            .and_then(|url| url.text_of("parameterValue"))
            .or_else(|| root.text_of("endpoint")),
        external_credential: parameter("Authentication").and_then(|link| link.text_of("externalCredential")),
        callouts_enabled: root.text_of("calloutStatus").as_deref() != Some("Disabled"),
    }
}

fn external_credential(root: &Element) -> ExternalCredential {
    let principal = |parameter: &Element| {
        let kind = parameter.text_of("parameterType").unwrap_or_default();
        kind.ends_with("Principal").then(|| required(parameter, "parameterName"))
    };
    ExternalCredential {
        label: required(root, "label"),
        protocol: required(root, "authenticationProtocol"),
        principals: root.all("externalCredentialParameters").filter_map(principal).collect(),
    }
}

fn global_oauth(root: &Element) -> ClientAppGlobalOauth {
    let callbacks = root.text_of("callbackUrl").unwrap_or_default();
    ClientAppGlobalOauth {
        application: required(root, "externalClientApplication"),
        callback_urls: callbacks.split_whitespace().map(str::to_owned).collect(),
        certificate: root.text_of("certificate"),
        consumer_key: root.text_of("consumerKey"),
        consumer_secret_fingerprint: root
            .text_of("consumerSecret")
            .map(|secret| secrets::fingerprint_text(&secret)),
        pkce_required: root.flag("isPkceRequired"),
        secret_optional: root.flag("isConsumerSecretOptional"),
        secret_required_for_refresh: root.flag("isSecretRequiredForRefreshToken"),
        rotates_refresh_tokens: root.flag("isRefreshTokenRotationEnabled"),
        introspects_all_tokens: root.flag("isIntrospectAllTokens"),
    }
}

fn oauth_policies(root: &Element) -> ClientAppOauthPolicies {
    ClientAppOauthPolicies {
        application: required(root, "externalClientApplication"),
        admin_approved: root.text_of("permittedUsersPolicyType").as_deref()
            == Some("AdminApprovedPreAuthorized"),
        permission_sets: comma_separated(root, "commaSeparatedPermissionSet"),
        profiles: comma_separated(root, "commaSeparatedProfile"),
        session_timeout_minutes: root
            .text_of("sessionTimeoutInMinutes")
            .and_then(|minutes| minutes.parse().ok()),
    }
}

fn permission_set(root: &Element) -> PermissionSet {
    PermissionSet {
        label: required(root, "label"),
        description: root.text_of("description"),
        session_based: root.flag("hasActivationRequired"),
        credential_principals: granted(
            root,
            "externalCredentialPrincipalAccesses",
            "externalCredentialPrincipal",
        ),
        user_permissions: granted(root, "userPermissions", "name"),
        custom_metadata_types: granted(root, "customMetadataTypeAccesses", "name"),
        objects: root.all("objectPermissions").map(object_access).collect(),
        fields: root.all("fieldPermissions").map(field_access).collect(),
    }
}

/// The names of the enabled accesses of one kind.
fn granted(root: &Element, group: &str, name: &str) -> Vec<Placed> {
    root.all(group).filter(|access| access.flag("enabled")).map(|access| placed(access, name)).collect()
}

fn placed(parent: &Element, name: &str) -> Placed {
    let at = parent.child(name).map_or(parent.at, |child| child.at);
    Placed { name: required(parent, name), line: at.line, column: at.column }
}

fn object_access(element: &Element) -> ObjectAccess {
    ObjectAccess {
        object: placed(element, "object"),
        create: element.flag("allowCreate"),
        read: element.flag("allowRead"),
        edit: element.flag("allowEdit"),
        delete: element.flag("allowDelete"),
        view_all: element.flag("viewAllRecords"),
        modify_all: element.flag("modifyAllRecords"),
    }
}

fn field_access(element: &Element) -> FieldAccess {
    FieldAccess {
        field: placed(element, "field"),
        readable: element.flag("readable"),
        editable: element.flag("editable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_component() {
        for component_type in ComponentType::ALL {
            let path = component_type.path_of("A.b");
            assert_eq!(ComponentType::of_path(&path), Some((component_type, "A.b".to_owned())));
            assert_eq!(
                ComponentType::of_path(&format!("{path}-meta.xml")),
                Some((component_type, "A.b".to_owned()))
            );
        }
        for path in [
            "permissionsets/A.namedCredential",
            "A.permissionset",
            "permissionsets/.permissionset",
            "permissionsets/x/A.permissionset",
        ] {
            assert_eq!(ComponentType::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_permission_set_is_read_with_the_places_of_its_names() {
        let source = format!(
            "<PermissionSet xmlns=\"{}\">\n  <label>L</label>\n  <hasActivationRequired>true</hasActivationRequired>\n  \
             <userPermissions><enabled>false</enabled><name>ApiEnabled</name></userPermissions>\n  \
             <fieldPermissions><editable>false</editable><field>Opportunity.Amount</field><readable>true</readable></fieldPermissions>\n\
             </PermissionSet>",
            xml::NAMESPACE
        );
        let Definition::PermissionSet(set) = read(ComponentType::PermissionSet, source.as_bytes()).unwrap()
        else {
            panic!("not a permission set");
        };
        assert!(set.session_based && set.user_permissions.is_empty());
        assert_eq!(set.fields[0].field, Placed { name: "Opportunity.Amount".into(), line: 5, column: 47 });
    }

    #[test]
    fn another_root_is_refused() {
        let source = format!("<Profile xmlns=\"{}\"/>", xml::NAMESPACE);
        let problem = read(ComponentType::PermissionSet, source.as_bytes()).unwrap_err();
        assert!(problem.text.contains("Profile") && problem.at.is_some());
    }
}
