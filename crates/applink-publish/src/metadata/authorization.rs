//! Which client app and which session-based permission set each operation uses, from the document, the flags and
//! the uploaded XML.

use std::collections::BTreeMap;

use applink_api::publication::{CONNECTED_APP_XML, PERMISSION_SET_XML, PublishRequest};

use super::uploaded::{self, UploadedXml};
use crate::package::Upload;
use crate::spec::extension::api_name_rule;
use crate::spec::{Code, Finding, Named, Operation, Position, Spec};

/// JSON path and place of a name in the document.
pub(crate) type Origin = Option<(String, Position)>;

/// A name, and where the document gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The API name.
    pub name: String,
    /// Where the document names it; `None` when a flag or a file does.
    pub origin: Origin,
}

impl Choice {
    pub(super) fn finding(&self, code: Code, message: String) -> Finding {
        match &self.origin {
            Some((path, at)) => Finding::new(code, path, *at, message),
            None => Finding::without_place(code, &self.name, message),
        }
    }

    fn of(named: &Named) -> Self {
        Self { name: named.name.clone(), origin: Some((named.path.clone(), named.at)) }
    }
}

/// What was asked for besides the document.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// `--authorization-connected-app-name`
    pub connected_app: Option<String>,
    /// `--authorization-external-client-app-name`
    pub external_client_app: Option<String>,
    /// `--authorization-permission-set-name`
    pub permission_set: Option<String>,
    /// Content of `connectedapp-meta.xml`.
    pub connected_app_xml: Option<String>,
    /// Content of `permissionset-meta.xml`.
    pub permission_set_xml: Option<String>,
}

impl Wishes {
    /// From the two parts of the upload. Empty names count as absent.
    pub fn of(request: &PublishRequest, upload: &Upload) -> Self {
        let given = |name: &Option<String>| name.as_ref().filter(|name| !name.is_empty()).cloned();
        Self {
            connected_app: given(&request.authorization_connected_app_name),
            external_client_app: given(&request.authorization_external_client_app_name),
            permission_set: given(&request.authorization_permission_set_name),
            connected_app_xml: upload.connected_app_xml.clone(),
            permission_set_xml: upload.permission_set_xml.clone(),
        }
    }
}

/// What every operation will use.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In place of every connected app of the document.
    connected_app: Option<Choice>,
    /// In place of every client app of the document.
    external_client_app: Option<Choice>,
    /// In place of every permission set of the document.
    permission_set: Option<Choice>,
    /// The names the document gives, by name, where nothing takes their place.
    named: Vec<Authorizations>,
    /// The file to deploy for the connected app.
    pub(super) connected_app_xml: Option<String>,
    /// The file to deploy for the permission set.
    pub(super) permission_set_xml: Option<String>,
    /// Warnings.
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug)]
struct Authorizations {
    connected_app: Option<Choice>,
    external_client_app: Option<Choice>,
    permission_set: Option<Choice>,
}

/// The names one operation ends up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// A connected app.
    pub connected_app: Option<&'a str>,
    /// An external client app.
    pub external_client_app: Option<&'a str>,
    /// A session-based permission set.
    pub permission_set: Option<&'a str>,
}

/// Joins document, flags and files.
///
/// # Errors
/// Every [`Finding`] when one of them is an error.
pub fn plan(spec: &Spec, wishes: &Wishes, client: &str) -> Result<Plan, Vec<Finding>> {
    let mut findings = conflicts(wishes);
    let connected_app_xml =
        read_xml("ConnectedApp", CONNECTED_APP_XML, wishes.connected_app_xml.as_deref(), &mut findings);
    let permission_set_xml =
        read_xml("PermissionSet", PERMISSION_SET_XML, wishes.permission_set_xml.as_deref(), &mut findings);
    let all: Vec<Authorizations> = spec.operations.iter().map(authorizations).collect();
    let named_in = |pick: fn(&Authorizations) -> Option<&Choice>| distinct(all.iter().filter_map(pick));
    let connected_app = connected_app_xml
        .as_ref()
        .map(|xml| {
            xml_name(xml, &named_in(|one| one.connected_app.as_ref()), format!("{client}ConnectedApp"))
        })
        .or_else(|| flag(wishes.connected_app.as_deref(), &mut findings));
    let permission_set = permission_set_xml
        .as_ref()
        .map(|xml| {
            xml_name(xml, &named_in(|one| one.permission_set.as_ref()), format!("{client}Permissions"))
        })
        .or_else(|| flag(wishes.permission_set.as_deref(), &mut findings));
    let external_client_app = flag(wishes.external_client_app.as_deref(), &mut findings);
    for (choice, file) in [(&connected_app, CONNECTED_APP_XML), (&permission_set, PERMISSION_SET_XML)] {
        findings.extend(choice.as_ref().and_then(|choice| check_name(&choice.name, file)));
    }
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    Ok(Plan {
        connected_app,
        external_client_app,
        permission_set,
        named: all,
        connected_app_xml: connected_app_xml.map(|xml| xml.content),
        permission_set_xml: permission_set_xml.map(|xml| xml.content),
        findings,
    })
}

fn conflicts(wishes: &Wishes) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut both = |subject: &str, message: &str| {
        findings.push(Finding::without_place(Code::AuthorizationTwice, subject, message));
    };
    if wishes.connected_app.is_some() && wishes.connected_app_xml.is_some() {
        both(CONNECTED_APP_XML, "the connected app is given by file and by flag; use one of them");
    }
    if wishes.permission_set.is_some() && wishes.permission_set_xml.is_some() {
        both(PERMISSION_SET_XML, "the permission set is given by file and by flag; use one of them");
    }
    if wishes.external_client_app.is_some()
        && (wishes.connected_app.is_some() || wishes.connected_app_xml.is_some())
    {
        both(
            "authorization_external_client_app_name",
            "a connected app and an external client app are given; use the external client app",
        );
    }
    findings
}

fn read_xml(
    kind: &str,
    file: &'static str,
    content: Option<&str>,
    findings: &mut Vec<Finding>,
) -> Option<UploadedXml> {
    match uploaded::read(kind, file, content?) {
        Ok(xml) => Some(xml),
        Err(finding) => {
            findings.push(finding);
            None
        }
    }
}

/// A file names its component by `<fullName>`; else it is meant for the one name the document gives; else it gets
/// the default name.
fn xml_name(xml: &UploadedXml, named: &[&Choice], default: String) -> Choice {
    match (&xml.full_name, named) {
        (Some(name), _) => Choice { name: name.clone(), origin: None },
        (None, [only]) => Choice { name: only.name.clone(), origin: None },
        (None, _) => Choice { name: default, origin: None },
    }
}

fn flag(name: Option<&str>, findings: &mut Vec<Finding>) -> Option<Choice> {
    let name = name?;
    findings.extend(check_name(name, "app_request"));
    Some(Choice { name: name.to_owned(), origin: None })
}

fn check_name(name: &str, subject: &str) -> Option<Finding> {
    let rule = api_name_rule(name)?;
    let shown: String = name.chars().take(60).collect::<String>().escape_debug().to_string();
    let message = format!("`{shown}` can't be an API name in an org: {rule}");
    Some(Finding::without_place(Code::AuthorizationName, subject, message))
}

fn authorizations(operation: &Operation) -> Authorizations {
    let block = &operation.authorization;
    Authorizations {
        // Where both are named the external client app counts: the connected app is there for older services.
        connected_app: block
            .connected_app
            .as_ref()
            .filter(|_| block.external_client_app.is_none())
            .map(Choice::of),
        external_client_app: block.external_client_app.as_ref().map(Choice::of),
        permission_set: block.permission_set.as_ref().map(Choice::of),
    }
}

/// The first choice of each name, by name.
fn distinct<'a>(choices: impl Iterator<Item = &'a Choice>) -> Vec<&'a Choice> {
    let mut by_name: BTreeMap<&str, &Choice> = BTreeMap::new();
    for choice in choices {
        by_name.entry(&choice.name).or_insert(choice);
    }
    by_name.into_values().collect()
}

impl Plan {
    /// Every session-based permission set, by name.
    pub fn permission_sets(&self) -> Vec<&Choice> {
        self.choices(self.permission_set.as_ref(), |one| one.permission_set.as_ref())
    }

    /// Every external client app, by name.
    pub fn external_client_apps(&self) -> Vec<&Choice> {
        if self.connected_app.is_some() {
            return Vec::new();
        }
        self.choices(self.external_client_app.as_ref(), |one| one.external_client_app.as_ref())
    }

    /// Every connected app, by name.
    pub fn connected_apps(&self) -> Vec<&Choice> {
        if self.external_client_app.is_some() {
            return Vec::new();
        }
        self.choices(self.connected_app.as_ref(), |one| one.connected_app.as_ref())
    }

    fn choices<'a>(
        &'a self,
        instead: Option<&'a Choice>,
        pick: fn(&Authorizations) -> Option<&Choice>,
    ) -> Vec<&'a Choice> {
        instead.map_or_else(|| distinct(self.named.iter().filter_map(pick)), |choice| vec![choice])
    }

    /// The names `operation` ends up with.
    pub fn names_for<'a>(&'a self, operation: &'a Operation) -> Names<'a> {
        let block = &operation.authorization;
        let chosen = |instead: &'a Option<Choice>, own: &'a Option<Named>| {
            instead
                .as_ref()
                .map(|choice| choice.name.as_str())
                .or(own.as_ref().map(|named| named.name.as_str()))
        };
        let replaces_app = self.connected_app.is_some() || self.external_client_app.is_some();
        let own_app = |own: &'a Option<Named>| if replaces_app { None } else { own.as_ref() };
        Names {
            connected_app: self
                .connected_app
                .as_ref()
                .map(|choice| choice.name.as_str())
                .or(own_app(&block.connected_app).map(|named| named.name.as_str())),
            external_client_app: self
                .external_client_app
                .as_ref()
                .map(|choice| choice.name.as_str())
                .or(own_app(&block.external_client_app).map(|named| named.name.as_str())),
            permission_set: chosen(&self.permission_set, &block.permission_set),
        }
    }

    /// Whether `operation`'s block in the document says something else.
    pub(super) fn differs_from(&self, operation: &Operation) -> bool {
        let block = &operation.authorization;
        let own = Names {
            connected_app: block.connected_app.as_ref().map(|named| named.name.as_str()),
            external_client_app: block.external_client_app.as_ref().map(|named| named.name.as_str()),
            permission_set: block.permission_set.as_ref().map(|named| named.name.as_str()),
        };
        self.names_for(operation) != own
    }
}
