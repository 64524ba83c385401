//! Names in the org: identifiers of at most 80 characters, where letter case does not count.

use std::collections::HashMap;

use super::super::code::Code;
use super::super::finding::Finding;
use super::super::operations::{MAX_NAME, Operation, Place, operation_name};
use super::super::tree::Position;

/// Names of operations and of component schemas.
pub(super) fn check(root: &Place<'_>, operations: &[Operation], findings: &mut Vec<Finding>) {
    for operation in operations {
        changed(operation, findings);
    }
    let schemas = root.get("components").and_then(|components| components.get("schemas"));
    let entries = schemas.iter().flat_map(Place::entries);
    let named = entries.map(|(name, at, schema)| (name, at, schema.path)).collect::<Vec<_>>();
    let all = named.iter().map(|(name, at, path)| (*name, *at, path.as_str()));
    collisions(Code::TypeNameCollision, "schemas", all, findings);
}

fn changed(operation: &Operation, findings: &mut Vec<Finding>) {
    let (code, message) = if operation.id.chars().count() > MAX_NAME {
        let shown: String = operation.id.chars().take(40).collect();
        (Code::NameCut, format!("the operationId `{shown}…` is cut to 80 characters: `{}`", operation.name))
    } else if operation.name != operation.id {
        let shown = operation.id.escape_debug();
        (
            Code::OperationNameChanged,
            format!("the operation `{shown}` is called `{}` in the org", operation.name),
        )
    } else {
        return;
    };
    findings.push(Finding::new(code, &operation.json_path, operation.at, message));
}

/// Different names that become the same one.
pub(super) fn collisions<'a>(
    code: Code,
    what: &str,
    names: impl Iterator<Item = (&'a str, Position, &'a str)>,
    findings: &mut Vec<Finding>,
) {
    let mut seen: HashMap<String, (&str, Position)> = HashMap::new();
    for (name, at, path) in names {
        let key = operation_name(name).to_ascii_lowercase();
        match seen.get(&key) {
            Some((first, first_at)) => {
                let message = format!(
                    "the {what} `{first}` (line {}) and `{name}` both become `{}` in the org, where letter case does \
                     not count",
                    first_at.line,
                    operation_name(name)
                );
                findings.push(Finding::new(code, path, at, message));
            }
            None => {
                seen.insert(key, (name, at));
            }
        }
    }
}
