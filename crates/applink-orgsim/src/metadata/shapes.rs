//! What each metadata type may contain: element names, kinds and enum values as the Metadata API's WSDL
//! (version 66) declares them. [`check`] compares a file with its shape and words faults as an org does.

use super::xml::{Element, NAMESPACE, Position};

/// What an element may hold.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Boolean,
    Integer,
    /// One of a WSDL enum's values: the enum's name and the values.
    OneOf(&'static str, &'static [&'static str]),
    Group(&'static Shape),
    /// Declared by the WSDL, of no meaning to this simulator: any content is accepted.
    Ignored,
}

/// How often an element occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurs {
    Optional,
    Required,
    Repeated,
}

use Kind::{Boolean, Group, Ignored, Integer, OneOf, Text};
use Occurs::{Optional, Repeated, Required};

/// One allowed element.
#[derive(Debug)]
pub(crate) struct Field(&'static str, Occurs, Kind);

/// A complex type of the WSDL.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    fields: &'static [Field],
}

/// A fault in a component, where it is and what an org would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) text: String,
    pub(crate) at: Option<Position>,
}

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), at: None }
    }

    pub(crate) fn at(text: impl Into<String>, at: Position) -> Self {
        Self { text: text.into(), at: Some(at) }
    }
}

/// Compares an element with its shape.
///
/// # Errors
/// The first unknown, repeated, missing or ill-typed element.
pub(crate) fn check(element: &Element, shape: &Shape) -> Result<(), Problem> {
    for (index, child) in element.children.iter().enumerate() {
        let field = shape.field(&child.name).ok_or_else(|| misplaced(child, shape))?;
        let earlier = element.children.iter().take(index).any(|other| other.name == child.name);
        if earlier && field.1 != Repeated {
            return Err(Problem::at(
                format!("Element {} is duplicated at this location in type {}", child.name, shape.name),
                child.at,
            ));
        }
        check_value(child, &field.2)?;
    }
    shape
        .missing(element)
        .map_or(Ok(()), |name| Err(Problem::at(format!("Required field is missing: {name}"), element.at)))
}

fn misplaced(child: &Element, shape: &Shape) -> Problem {
    let text =
        format!("Element {{{NAMESPACE}}}{} invalid at this location in type {}", child.name, shape.name);
    Problem::at(text, child.at)
}

fn check_value(element: &Element, kind: &Kind) -> Result<(), Problem> {
    if let Group(shape) = kind {
        return check(element, shape);
    }
    if matches!(kind, Ignored) {
        return Ok(());
    }
    if let Some(child) = element.children.first() {
        let text =
            format!("Element {{{NAMESPACE}}}{} invalid at this location in {}", child.name, element.name);
        return Err(Problem::at(text, child.at));
    }
    let text = element.text.trim();
    let fault = match kind {
        Boolean if !matches!(text, "true" | "false" | "1" | "0") => {
            Some(format!("'{text}' is not a valid value for the type xsd:boolean"))
        }
        Integer if text.parse::<i32>().is_err() => {
            Some(format!("'{text}' is not a valid value for the type xsd:int"))
        }
        OneOf(name, values) if !values.contains(&text) => {
            Some(format!("'{text}' is not a valid value for the enum '{name}'"))
        }
        _ => None,
    };
    fault.map_or(Ok(()), |text| Err(Problem::at(text, element.at)))
}

impl Shape {
    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.0 == name)
    }

    fn missing(&self, element: &Element) -> Option<&'static str> {
        let absent = |field: &&Field| {
            field.1 == Required
                && element
                    .child(field.0)
                    .is_none_or(|child| child.children.is_empty() && child.text.trim().is_empty())
        };
        self.fields.iter().find(absent).map(|field| field.0)
    }
}

pub(crate) static PACKAGE: Shape = Shape {
    name: "Package",
    fields: &[
        Field("fullName", Optional, Text),
        Field("types", Repeated, Group(&PACKAGE_TYPE)),
        Field("version", Optional, Text),
        Field("apiAccessLevel", Optional, Text),
        Field("description", Optional, Text),
        Field("namespacePrefix", Optional, Text),
        Field("objectPermissions", Repeated, Ignored),
        Field("packageType", Optional, Text),
        Field("postInstallClass", Optional, Text),
        Field("setupWeblink", Optional, Text),
        Field("uninstallClass", Optional, Text),
    ],
};

static PACKAGE_TYPE: Shape = Shape {
    name: "PackageTypeMembers",
    fields: &[Field("members", Repeated, Text), Field("name", Required, Text)],
};

pub(crate) static EXTERNAL_SERVICE_REGISTRATION: Shape = Shape {
    name: "ExternalServiceRegistration",
    fields: &[
        Field("fullName", Optional, Text),
        Field("catalogedApiVersion", Optional, Text),
        Field("description", Optional, Text),
        Field("label", Required, Text),
        Field("namedCredential", Optional, Text),
        Field("namedCredentialReference", Optional, Text),
        Field("operations", Repeated, Group(&EXTERNAL_SERVICE_OPERATION)),
        Field("providerAssetEndpoint", Optional, Text),
        Field("registrationProvider", Optional, Text),
        Field("registrationProviderAsset", Optional, Text),
        Field(
            "registrationProviderType",
            Optional,
            OneOf("ExternalServiceRegistrationProviderType", PROVIDER_TYPES),
        ),
        Field("schema", Optional, Text),
        Field("schemaAbsoluteUrl", Optional, Text),
        Field("schemaType", Optional, Text),
        Field("schemaUploadFileExtension", Optional, Text),
        Field("schemaUploadFileName", Optional, Text),
        Field("schemaUrl", Optional, Text),
        Field("serviceBinding", Optional, Text),
        Field("serviceDescriptor", Optional, Text),
        Field("status", Required, Text),
        Field("systemVersion", Optional, Integer),
    ],
};

static EXTERNAL_SERVICE_OPERATION: Shape = Shape {
    name: "ExternalServiceOperation",
    fields: &[Field("active", Required, Boolean), Field("name", Required, Text)],
};

const PROVIDER_TYPES: &[&str] = &[
    "MuleSoft",
    "Custom",
    "SchemaInferred",
    "Standard",
    "ExternalConnector",
    "CustomExternalConnector",
    "Heroku",
    "Anypoint",
    "ApexRest",
    "AgentActionOutputs",
    "IntegProcd",
    "DocumentProcessing",
    "NamedQuery",
    "ModelContextProtocol",
    "AuraEnabled",
    "ContextDef",
    "AgentToAgent",
    "AnypointPublic",
    "CodeExtension",
];

const AUTHENTICATION_PROTOCOLS: &[&str] =
    &["NoAuthentication", "Oauth", "Password", "AwsSv4", "Jwt", "JwtExchange", "Custom", "Basic"];

pub(crate) static NAMED_CREDENTIAL: Shape = Shape {
    name: "NamedCredential",
    fields: &[
        Field("fullName", Optional, Text),
        Field("allowMergeFieldsInBody", Optional, Boolean),
        Field("allowMergeFieldsInHeader", Optional, Boolean),
        Field("authProvider", Optional, Text),
        Field("authTokenEndpointUrl", Optional, Text),
        Field("awsAccessKey", Optional, Text),
        Field("awsAccessSecret", Optional, Text),
        Field("awsRegion", Optional, Text),
        Field("awsService", Optional, Text),
        Field("calloutStatus", Optional, OneOf("CalloutStatus", &["Enabled", "Disabled"])),
        Field("certificate", Optional, Text),
        Field("description", Optional, Text),
        Field("endpoint", Optional, Text),
        Field("generateAuthorizationHeader", Optional, Boolean),
        Field("jwtAudience", Optional, Text),
        Field("jwtFormulaSubject", Optional, Text),
        Field("jwtIssuer", Optional, Text),
        Field("jwtSigningCertificate", Optional, Text),
        Field("jwtTextSubject", Optional, Text),
        Field("jwtValidityPeriodSeconds", Optional, Integer),
        Field("label", Required, Text),
        Field("namedCredentialParameters", Repeated, Group(&NAMED_CREDENTIAL_PARAMETER)),
        Field(
            "namedCredentialType",
            Optional,
            OneOf("NamedCredentialType", &["Legacy", "SecuredEndpoint", "PrivateEndpoint", "Standard"]),
        ),
        Field("oauthRefreshToken", Optional, Text),
        Field("oauthScope", Optional, Text),
        Field("oauthToken", Optional, Text),
        Field("outboundNetworkConnection", Optional, Text),
        Field("password", Optional, Text),
        Field(
            "principalType",
            Optional,
            OneOf("ExternalPrincipalType", &["Anonymous", "PerUser", "NamedUser", "NamedCustomPrincipal"]),
        ),
        Field("protocol", Optional, OneOf("AuthenticationProtocol", AUTHENTICATION_PROTOCOLS)),
        Field("username", Optional, Text),
    ],
};

static NAMED_CREDENTIAL_PARAMETER: Shape = Shape {
    name: "NamedCredentialParameter",
    fields: &[
        Field("certificate", Optional, Text),
        Field("description", Optional, Text),
        Field("externalCredential", Optional, Text),
        Field("globalNamedPrincipalCredential", Optional, Boolean),
        Field("managedFeatureEnabledCallout", Optional, Boolean),
        Field("outboundNetworkConnection", Optional, Text),
        Field("parameterName", Required, Text),
        Field(
            "parameterType",
            Required,
            OneOf(
                "NamedCredentialParamType",
                &[
                    "Url",
                    "HttpHeader",
                    "ClientCertificate",
                    "Authentication",
                    "OutboundNetworkConnection",
                    "AllowedManagedPackageNamespaces",
                    "CreatedByNamespace",
                    "CustomParameter",
                    "StandardNamedCredentialType",
                    "ManagedByFeature",
                    "ManagedByComponent",
                    "ConnectionStatus",
                    "SfHttpRequestExtensionName",
                    "NamedCredentialOptions",
                    "ManagedByNamespace",
                ],
            ),
        ),
        Field("parameterValue", Optional, Text),
        Field("readOnlyNamedCredential", Optional, Boolean),
        Field("sequenceNumber", Optional, Integer),
        Field("systemUserNamedCredential", Optional, Boolean),
    ],
};

pub(crate) static EXTERNAL_CREDENTIAL: Shape = Shape {
    name: "ExternalCredential",
    fields: &[
        Field("fullName", Optional, Text),
        Field("authenticationProtocol", Required, OneOf("AuthenticationProtocol", AUTHENTICATION_PROTOCOLS)),
        Field("description", Optional, Text),
        Field("externalCredentialParameters", Repeated, Group(&EXTERNAL_CREDENTIAL_PARAMETER)),
        Field("label", Required, Text),
    ],
};

static EXTERNAL_CREDENTIAL_PARAMETER: Shape = Shape {
    name: "ExternalCredentialParameter",
    fields: &[
        Field("authProvider", Optional, Text),
        Field("certificate", Optional, Text),
        Field("description", Optional, Text),
        Field("externalAuthIdentityProvider", Optional, Text),
        Field("parameterGroup", Optional, Text),
        Field("parameterName", Required, Text),
        Field(
            "parameterType",
            Required,
            OneOf(
                "ExternalCredentialParamType",
                &[
                    "ExternalAuthIdentityProvider",
                    "AuthProvider",
                    "AuthProviderUrl",
                    "AuthProviderUrlQueryParameter",
                    "SigningCertificate",
                    "AuthParameter",
                    "NamedPrincipal",
                    "PerUserPrincipal",
                    "AwsStsPrincipal",
                    "GlobalNamedPrincipal",
                    "SystemUserPrincipal",
                    "CustomPrincipal",
                    "PrincipalIdentityAlias",
                    "AuthHeader",
                    "AuthProtocolVariant",
                    "JwtBodyClaim",
                    "JwtHeaderClaim",
                    "CreatedByNamespace",
                    "AdditionalRefreshStatusCode",
                    "ManagedByFeature",
                    "ManagedByComponent",
                    "SfHttpRequestExtensionName",
                ],
            ),
        ),
        Field("parameterValue", Optional, Text),
        Field("sequenceNumber", Optional, Integer),
    ],
};

pub(crate) static PERMISSION_SET: Shape = Shape {
    name: "PermissionSet",
    fields: &[
        Field("fullName", Optional, Text),
        Field("agentAccesses", Repeated, Ignored),
        Field("applicationVisibilities", Repeated, Ignored),
        Field("classAccesses", Repeated, Ignored),
        Field("customMetadataTypeAccesses", Repeated, Group(&NAMED_ACCESS)),
        Field("customPermissions", Repeated, Ignored),
        Field("customSettingAccesses", Repeated, Ignored),
        Field("description", Optional, Text),
        Field("emailRoutingAddressAccesses", Repeated, Ignored),
        Field("externalCredentialPrincipalAccesses", Repeated, Group(&PRINCIPAL_ACCESS)),
        Field("externalDataSourceAccesses", Repeated, Ignored),
        Field("fieldPermissions", Repeated, Group(&FIELD_PERMISSIONS)),
        Field("flowAccesses", Repeated, Ignored),
        Field("genComputingSummaryDefAccesses", Repeated, Ignored),
        Field("hasActivationRequired", Optional, Boolean),
        Field("label", Required, Text),
        Field("license", Optional, Text),
        Field("objectPermissions", Repeated, Group(&OBJECT_PERMISSIONS)),
        Field("pageAccesses", Repeated, Ignored),
        Field("recordTypeVisibilities", Repeated, Ignored),
        Field("servicePresenceStatusAccesses", Repeated, Ignored),
        Field("tabSettings", Repeated, Ignored),
        Field("userPermissions", Repeated, Group(&NAMED_ACCESS)),
    ],
};

static NAMED_ACCESS: Shape = Shape {
    name: "PermissionSetAccess",
    fields: &[Field("enabled", Required, Boolean), Field("name", Required, Text)],
};

static PRINCIPAL_ACCESS: Shape = Shape {
    name: "PermissionSetExternalCredentialPrincipalAccess",
    fields: &[Field("enabled", Required, Boolean), Field("externalCredentialPrincipal", Required, Text)],
};

static FIELD_PERMISSIONS: Shape = Shape {
    name: "PermissionSetFieldPermissions",
    fields: &[
        Field("editable", Required, Boolean),
        Field("field", Required, Text),
        Field("readable", Optional, Boolean),
    ],
};

static OBJECT_PERMISSIONS: Shape = Shape {
    name: "PermissionSetObjectPermissions",
    fields: &[
        Field("allowCreate", Required, Boolean),
        Field("allowDelete", Required, Boolean),
        Field("allowEdit", Required, Boolean),
        Field("allowRead", Required, Boolean),
        Field("modifyAllRecords", Required, Boolean),
        Field("object", Required, Text),
        Field("viewAllFields", Optional, Boolean),
        Field("viewAllRecords", Required, Boolean),
    ],
};

pub(crate) static EXTERNAL_CLIENT_APPLICATION: Shape = Shape {
    name: "ExternalClientApplication",
    fields: &[
        Field("fullName", Optional, Text),
        Field("contactEmail", Optional, Text),
        Field("contactPhone", Optional, Text),
        Field("description", Optional, Text),
        Field(
            "distributionState",
            Optional,
            OneOf("ExtlClntAppDistState", &["Local", "Packaged", "Managed", "AutoInstalled"]),
        ),
        Field("iconUrl", Optional, Text),
        Field("infoUrl", Optional, Text),
        Field("isProtected", Optional, Boolean),
        Field("label", Optional, Text),
        Field("logoUrl", Optional, Text),
        Field("managedType", Optional, OneOf("ExtlClntAppManagedType", &["Local", "Global"])),
        Field("orgScopedExternalApp", Optional, Text),
    ],
};

pub(crate) static CLIENT_APP_GLOBAL_OAUTH: Shape = Shape {
    name: "ExtlClntAppGlobalOauthSettings",
    fields: &[
        Field("fullName", Optional, Text),
        Field("callbackUrl", Optional, Text),
        Field("certificate", Optional, Text),
        Field("consumerKey", Optional, Text),
        Field("consumerSecret", Optional, Text),
        Field("externalClientApplication", Required, Text),
        Field("idTokenConfig", Optional, Ignored),
        Field("isClientCredentialsFlowEnabled", Optional, Boolean),
        Field("isCodeCredFlowEnabled", Optional, Boolean),
        Field("isCodeCredPostOnly", Optional, Boolean),
        Field("isConsumerSecretOptional", Optional, Boolean),
        Field("isDeviceFlowEnabled", Optional, Boolean),
        Field("isEnforceRefreshTokenTTL", Optional, Boolean),
        Field("isIntrospectAllTokens", Optional, Boolean),
        Field("isNamedUserJwtEnabled", Optional, Boolean),
        Field("isPkceRequired", Optional, Boolean),
        Field("isRefreshTokenRotationEnabled", Optional, Boolean),
        Field("isSecretRequiredForRefreshToken", Optional, Boolean),
        Field("isSecretRequiredForTokenExchange", Optional, Boolean),
        Field("isTokenExchangeEnabled", Optional, Boolean),
        Field("label", Optional, Text),
        Field("shouldRotateConsumerKey", Optional, Boolean),
        Field("shouldRotateConsumerSecret", Optional, Boolean),
    ],
};

pub(crate) static CLIENT_APP_OAUTH: Shape = Shape {
    name: "ExtlClntAppOauthSettings",
    fields: &[
        Field("fullName", Optional, Text),
        Field("areAttributesIncludedInAssetToken", Optional, Boolean),
        Field("areCustomPermsIncludedInAssetToken", Optional, Boolean),
        Field("assetTokenAudiences", Optional, Text),
        Field("assetTokenSigningCertificate", Optional, Text),
        Field("assetTokenValidity", Optional, Integer),
        Field("clientAssertionCertificate", Optional, Text),
        Field("commaSeparatedCustomScopes", Optional, Text),
        Field("commaSeparatedOauthScopes", Optional, Text),
        Field("customAttributes", Repeated, Ignored),
        Field("externalClientApplication", Required, Text),
        Field("isFirstPartyAppEnabled", Optional, Boolean),
        Field("label", Optional, Text),
        Field("oauthLink", Optional, Text),
        Field("singleLogoutUrl", Optional, Text),
        Field("trustedIpRanges", Repeated, Ignored),
    ],
};

const SESSION_TIMEOUT_TYPES: &[&str] = &["UserSession", "Custom"];

pub(crate) static CLIENT_APP_OAUTH_POLICIES: Shape = Shape {
    name: "ExtlClntAppOauthConfigurablePolicies",
    fields: &[
        Field("fullName", Optional, Text),
        Field("apexHandler", Optional, Text),
        Field("clientCredentialsFlowUser", Optional, Text),
        Field("commaSeparatedCustomScopes", Optional, Text),
        Field("commaSeparatedPermissionSet", Optional, Text),
        Field("commaSeparatedProfile", Optional, Text),
        Field("customAttributes", Repeated, Ignored),
        Field("executeHandlerAs", Optional, Text),
        Field("externalClientApplication", Required, Text),
        Field("guestJwtSessionTimeoutType", Optional, OneOf("JWTSessionTimeoutType", SESSION_TIMEOUT_TYPES)),
        Field("guestJwtTimeout", Optional, Integer),
        Field(
            "ipRelaxationPolicyType",
            Optional,
            OneOf("IpRelaxationPolicyType", &["Enforce", "Bypass", "Bypass_2factor", "Enforce_RelaxRefresh"]),
        ),
        Field("isClientCredentialsFlowEnabled", Optional, Boolean),
        Field("isGuestCodeCredFlowEnabled", Optional, Boolean),
        Field("isTokenExchangeFlowEnabled", Optional, Boolean),
        Field("label", Optional, Text),
        Field(
            "namedUserJwtSessionTimeoutType",
            Optional,
            OneOf("JWTSessionTimeoutType", SESSION_TIMEOUT_TYPES),
        ),
        Field("namedUserJwtTimeout", Optional, Integer),
        Field(
            "permittedUsersPolicyType",
            Optional,
            OneOf("PermittedUsersPolicyType", &["AllSelfAuthorized", "AdminApprovedPreAuthorized"]),
        ),
        Field("policyAction", Optional, OneOf("PolicyAction", &["Block", "RaiseSessionLevel", "StepUpMFA"])),
        Field(
            "refreshTokenPolicyType",
            Optional,
            OneOf("RefreshTokenPolicyType", &["Infinite", "Zero", "SpecificLifetime", "SpecificInactivity"]),
        ),
        Field("refreshTokenValidityPeriod", Optional, Integer),
        Field("refreshTokenValidityUnit", Optional, Text),
        Field(
            "requiredSessionLevel",
            Optional,
            OneOf("SessionSecurityLevel", &["LOW", "STANDARD", "HIGH_ASSURANCE"]),
        ),
        Field("sessionTimeoutInMinutes", Optional, Integer),
        Field("singleLogoutUrl", Optional, Text),
        Field("startUrl", Optional, Text),
    ],
};

pub(crate) static CLIENT_APP_POLICIES: Shape = Shape {
    name: "ExtlClntAppConfigurablePolicies",
    fields: &[
        Field("fullName", Optional, Text),
        Field("externalClientApplication", Required, Text),
        Field("isCanvasPluginEnabled", Optional, Boolean),
        Field("isEnabled", Required, Boolean),
        Field("isMobilePluginEnabled", Optional, Boolean),
        Field("isNotificationPluginEnabled", Optional, Boolean),
        Field("isOauthPluginEnabled", Optional, Boolean),
        Field("isPushPluginEnabled", Optional, Boolean),
        Field("isSamlPluginEnabled", Optional, Boolean),
        Field("label", Optional, Text),
        Field("startPage", Optional, OneOf("ExtlClntAppStartPage", &["None", "Custom", "OAuth", "SAML"])),
        Field("startUrl", Optional, Text),
    ],
};

pub(crate) static CONNECTED_APP: Shape = Shape {
    name: "ConnectedApp",
    fields: &[
        Field("fullName", Optional, Text),
        Field("attributes", Repeated, Ignored),
        Field("canvas", Optional, Ignored),
        Field("canvasConfig", Optional, Ignored),
        Field("contactEmail", Required, Text),
        Field("contactPhone", Optional, Text),
        Field("description", Optional, Text),
        Field("iconUrl", Optional, Text),
        Field("infoUrl", Optional, Text),
        Field("ipRanges", Repeated, Ignored),
        Field("label", Required, Text),
        Field("logoUrl", Optional, Text),
        Field("mobileAppConfig", Optional, Ignored),
        Field("mobileStartUrl", Optional, Text),
        Field("oauthConfig", Optional, Ignored),
        Field("oauthPolicy", Optional, Ignored),
        Field("permissionSetName", Repeated, Text),
        Field("plugin", Optional, Text),
        Field("profileName", Repeated, Text),
        Field("samlConfig", Optional, Ignored),
        Field("sessionPolicy", Optional, Ignored),
        Field("startUrl", Optional, Text),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::xml;
    use super::*;

    fn problem(shape: &Shape, body: &str) -> String {
        let source = format!("<X xmlns=\"{NAMESPACE}\">{body}</X>");
        check(&xml::parse(source.as_bytes()).unwrap(), shape).unwrap_err().text
    }

    #[test]
    fn faults_are_worded_as_an_org_words_them() {
        let label = "<label>l</label>";
        assert_eq!(
            problem(&PERMISSION_SET, &format!("{label}<colour>red</colour>")),
            "Element {http://soap.sforce.com/2006/04/metadata}colour invalid at this location in type PermissionSet"
        );
        assert_eq!(problem(&PERMISSION_SET, ""), "Required field is missing: label");
        assert_eq!(
            problem(&PERMISSION_SET, &format!("{label}{label}")),
            "Element label is duplicated at this location in type PermissionSet"
        );
        assert_eq!(
            problem(&PERMISSION_SET, &format!("{label}<hasActivationRequired>yes</hasActivationRequired>")),
            "'yes' is not a valid value for the type xsd:boolean"
        );
        assert_eq!(
            problem(
                &EXTERNAL_CREDENTIAL,
                &format!("{label}<authenticationProtocol>Magic</authenticationProtocol>")
            ),
            "'Magic' is not a valid value for the enum 'AuthenticationProtocol'"
        );
        assert_eq!(
            problem(
                &EXTERNAL_SERVICE_REGISTRATION,
                &format!("{label}<status>Complete</status><operations><name>a</name></operations>")
            ),
            "Required field is missing: active"
        );
    }
}
