//! `x-sfdc.heroku.authorization` of an operation: which client app and which session-based permission set its
//! calls use.
//!
//! ```yaml
//! x-sfdc:
//!   heroku:
//!     authorization:
//!       externalClientApp: MyApp          # or, deprecated, connectedApp
//!       permissionSet: MyPermissions
//! ```

use super::code::Code;
use super::finding::Finding;
use super::operations::Place;
use super::tree::{Node, Position};

/// Key of the block on an operation.
pub const X_SFDC: &str = "x-sfdc";

/// The names an operation asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    /// A connected app (deprecated).
    pub connected_app: Option<Named>,
    /// An external client app, by API name, case-sensitive.
    pub external_client_app: Option<Named>,
    /// The session-based permission set of user-plus mode.
    pub permission_set: Option<Named>,
}

/// An API name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Its JSON path.
    pub path: String,
    /// Its place.
    pub at: Position,
}

/// Reads the block of one operation.
pub fn read(operation: &Place<'_>, findings: &mut Vec<Finding>) -> Authorization {
    let mut authorization = Authorization::default();
    let Some(block) = [X_SFDC, "heroku", "authorization"]
        .iter()
        .try_fold(operation.clone(), |place, key| place.mapping(key, findings))
    else {
        return authorization;
    };
    for (key, key_at, value) in block.entries() {
        let slot = match key {
            "connectedApp" => &mut authorization.connected_app,
            "externalClientApp" => &mut authorization.external_client_app,
            "permissionSet" => &mut authorization.permission_set,
            _ => {
                findings.push(unknown_key(&value, key, key_at));
                continue;
            }
        };
        *slot = named(&value, findings);
    }
    authorization
}

fn unknown_key(value: &Place<'_>, key: &str, at: Position) -> Finding {
    let key: String = key.chars().take(40).collect();
    let message =
        format!("`{key}` means nothing here; known are externalClientApp, permissionSet and connectedApp");
    Finding::new(Code::AuthorizationKey, &value.path, at, message)
}

fn named(value: &Place<'_>, findings: &mut Vec<Finding>) -> Option<Named> {
    let name = value.node.as_text().unwrap_or_default();
    match api_name_rule(name) {
        None => Some(Named { name: name.to_owned(), path: value.path.clone(), at: value.node.at }),
        Some(rule) => {
            let shown = shown(value.node);
            let message = format!("{shown} can't be an API name in an org: {rule}");
            findings.push(Finding::new(Code::AuthorizationName, &value.path, value.node.at, message));
            None
        }
    }
}

fn shown(node: &Node) -> String {
    node.as_text().map_or_else(
        || node.kind().to_owned(),
        |text| format!("`{}`", text.chars().take(60).collect::<String>().escape_debug()),
    )
}

/// The rule an API name (developer name) breaks: a letter first, letters, digits and single underscores, no
/// underscore last, at most 80 characters (Salesforce: "API name").
pub fn api_name_rule(name: &str) -> Option<&'static str> {
    if !(1..=80).contains(&name.len()) {
        Some("it must have 1 to 80 characters")
    } else if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Some("it must start with a letter")
    } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Some("only letters, digits and `_` are allowed")
    } else if name.ends_with('_') || name.contains("__") {
        Some("`_` must not be doubled or last")
    } else {
        None
    }
}
