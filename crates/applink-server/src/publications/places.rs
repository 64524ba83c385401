//! From what the org says about a component back to the line of the document it comes from.
//!
//! The org speaks of components and, within a registration, of operations, paths and schemas by their names. A
//! problem is placed at the first of these that finds one:
//!
//! 1. an operation or path the problem's text names;
//! 2. the place where the document names the component (a permission set, a client app);
//! 3. nothing: then only the component is named.

use applink_api::error::Problem;
use applink_api::publication::Component;
use serde::{Deserialize, Serialize};

use super::metadata::Package;
use super::spec::{self, Format, Position};

/// A component of a package, and where the document names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Metadata type.
    pub kind: String,
    /// Full name.
    pub name: String,
    /// JSON path, line and column; none when it follows from the publish itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(String, Position)>,
}

/// Every component of a package.
pub fn origins(package: &Package) -> Vec<Origin> {
    let components = package.components.iter();
    components
        .map(|component| Origin {
            kind: component.kind.to_owned(),
            name: component.name.clone(),
            // The registration is the whole document, which is no place worth naming.
            place: component.origin.clone().filter(|(path, _)| path != "$"),
        })
        .collect()
}

/// The failed components as problems with places.
pub fn problems(
    format: Format,
    document: &[u8],
    origins: &[Origin],
    components: &[Component],
) -> Vec<Problem> {
    let named = names(format, document);
    components
        .iter()
        .filter_map(|component| {
            let text = component.problem.as_deref()?;
            let found = named_in(&named, text).or_else(|| origin_of(origins, component));
            Some(problem(component, text, found))
        })
        .collect()
}

fn problem(component: &Component, text: &str, found: Option<(String, Position)>) -> Problem {
    let message = format!("{} {}: {text}", component.kind, component.name);
    match found {
        Some((place, at)) => Problem { place, message, line: Some(at.line), column: Some(at.column) },
        None => Problem {
            place: format!("{}/{}", component.kind, component.name),
            message,
            line: None,
            column: None,
        },
    }
}

/// The names of a document an org may mention, with their places; the longest first, so that `/quotes/{id}` is
/// found before `/quotes`.
fn names(format: Format, document: &[u8]) -> Vec<(String, String, Position)> {
    let Ok(spec) = spec::read(format, document) else { return Vec::new() };
    let mut names = Vec::new();
    for operation in &spec.operations {
        for name in [&operation.id, &operation.name, &operation.path] {
            names.push((name.clone(), operation.json_path.clone(), operation.at));
        }
    }
    let schemas =
        spec.document.get("components").and_then(|all| all.get("schemas")).and_then(|all| all.as_map());
    for (name, entry) in schemas.into_iter().flatten() {
        names.push((name.clone(), format!("$.components.schemas.{name}"), entry.key_at));
    }
    names.sort_by_key(|(name, ..)| std::cmp::Reverse(name.len()));
    names
}

fn named_in(names: &[(String, String, Position)], text: &str) -> Option<(String, Position)> {
    let (_, path, at) = names.iter().find(|(name, ..)| contains_word(text, name))?;
    Some((path.clone(), *at))
}

/// Whether `word` stands in `text` with no letter, digit or underscore next to it.
fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, rest) = text.split_at(at);
            let after = rest.get(word.len()..).and_then(|after| after.chars().next());
            !before.chars().next_back().is_some_and(is_part) && !after.is_some_and(is_part)
        })
}

fn origin_of(origins: &[Origin], component: &Component) -> Option<(String, Position)> {
    let origin =
        origins.iter().find(|origin| origin.kind == component.kind && origin.name == component.name)?;
    origin.place.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../applink-publish/tests/fixtures/specs/user-plus-eca.yaml");

    fn failed(kind: &str, name: &str, problem: &str) -> Component {
        Component {
            kind: kind.to_owned(),
            name: name.to_owned(),
            success: false,
            created: false,
            problem: Some(problem.to_owned()),
        }
    }

    #[test]
    fn a_problem_is_placed_at_what_it_names() {
        let origins = [Origin {
            kind: "PermissionSet".to_owned(),
            name: "DiscountsPermissions".to_owned(),
            place: Some((
                "$.paths./discounts.post.x-sfdc.heroku.authorization.permissionSet".to_owned(),
                Position { line: 40, column: 28 },
            )),
        }];
        let components = [
            failed(
                "ExternalServiceRegistration",
                "Tools",
                "Operation computeDiscount: unsupported media type",
            ),
            failed("ExternalServiceRegistration", "Tools", "The path '/discounts/{id}' is too long"),
            failed("ExternalServiceRegistration", "Tools", "Schema Discount has no properties"),
            failed("ExternalServiceRegistration", "Tools", "computeDiscounts is not known"),
            failed("PermissionSet", "DiscountsPermissions", "no CustomObject named X found"),
        ];
        let found = problems(Format::Yaml, DOCUMENT.as_bytes(), &origins, &components);
        let lines: Vec<String> =
            found.iter().map(|one| format!("{:?} {} {}", one.line, one.place, one.message)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
