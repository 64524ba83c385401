//! What a deployment says about each component.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::Problem;

/// One row of a deployment's details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the Metadata API's DeployMessage")]
pub(crate) struct Message {
    pub(crate) component_type: String,
    pub(crate) full_name: String,
    pub(crate) file_name: String,
    pub(crate) id: Option<String>,
    pub(crate) success: bool,
    pub(crate) created: bool,
    pub(crate) changed: bool,
    pub(crate) deleted: bool,
    pub(crate) problem: Option<String>,
    /// `Error` or `Warning`.
    pub(crate) problem_type: Option<String>,
    pub(crate) line_number: Option<u32>,
    pub(crate) column_number: Option<u32>,
}

impl Message {
    fn about(component_type: &str, full_name: &str, file_name: &str) -> Self {
        Self {
            component_type: component_type.to_owned(),
            full_name: full_name.to_owned(),
            file_name: file_name.to_owned(),
            id: None,
            success: true,
            created: false,
            changed: false,
            deleted: false,
            problem: None,
            problem_type: None,
            line_number: None,
            column_number: None,
        }
    }

    /// A component that was put into the org (or would be).
    pub(crate) fn applied(
        component_type: &str,
        full_name: &str,
        file_name: &str,
        id: String,
        created: bool,
        changed: bool,
    ) -> Self {
        Self { id: Some(id), created, changed, ..Self::about(component_type, full_name, file_name) }
    }

    /// A component that was removed.
    pub(crate) fn deleted(component_type: &str, full_name: &str, file_name: &str, id: String) -> Self {
        Self {
            id: Some(id),
            changed: true,
            deleted: true,
            ..Self::about(component_type, full_name, file_name)
        }
    }

    /// The row about the manifest itself.
    pub(crate) fn manifest() -> Self {
        Self { changed: true, ..Self::about("", "package.xml", "package.xml") }
    }

    /// A component that failed.
    pub(crate) fn failed(component_type: &str, full_name: &str, file_name: &str, problem: &Problem) -> Self {
        Self {
            success: false,
            problem: Some(problem.text.clone()),
            problem_type: Some("Error".to_owned()),
            line_number: problem.at.map(|at| at.line),
            column_number: problem.at.map(|at| at.column),
            ..Self::about(component_type, full_name, file_name)
        }
    }

    /// The row with something the deployer should know.
    pub(crate) fn with_warning(mut self, warning: Option<String>) -> Self {
        if warning.is_some() {
            self.problem = warning;
            self.problem_type = Some("Warning".to_owned());
        }
        self
    }

    /// A success about something that was not there.
    pub(crate) fn nothing_to_delete(component_type: &str, full_name: &str, file_name: &str) -> Self {
        let warning = format!("No {component_type} named: {full_name} found");
        Self::about(component_type, full_name, file_name).with_warning(Some(warning))
    }

    /// The row as `DeployMessage`; absent facts are left out.
    pub(crate) fn to_json(&self, created_date: &str) -> Value {
        let mut row =
            serde_json::to_value(self).ok().and_then(|row| row.as_object().cloned()).unwrap_or_default();
        row.retain(|_, value| !value.is_null());
        row.insert("createdDate".to_owned(), created_date.into());
        Value::Object(row)
    }
}
