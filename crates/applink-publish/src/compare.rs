//! What a new document changes for the Flows and Apex that use the old one.
//!
//! Breaking is what makes code that compiled, or a Flow that ran, stop doing so: an operation, class or member that is
//! gone or has another type, and an input that must be given now.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::preview::{Class, ClassKind, Member, Preview};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whether callers break.
    pub breaking: bool,
    /// What changed: `Tools.getRate`, `Tools_Rate.amount`.
    pub subject: String,
    /// How, in one sentence.
    pub message: String,
}

/// Every change from `old` to `new`, breaking ones first.
pub fn compare(old: &Preview, new: &Preview) -> Vec<Change> {
    let mut comparison = Comparison { old, new, changes: Vec::new() };
    let removed = comparison.operations();
    comparison.classes(&removed);
    comparison.permission_sets();
    let mut changes = comparison.changes;
    changes.sort_by(|a, b| (!a.breaking, &a.subject).cmp(&(!b.breaking, &b.subject)));
    changes
}

struct Comparison<'a> {
    old: &'a Preview,
    new: &'a Preview,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn breaks(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.changes.push(Change { breaking: true, subject: subject.into(), message: message.into() });
    }

    fn adds(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.changes.push(Change { breaking: false, subject: subject.into(), message: message.into() });
    }

    /// The operations that are gone.
    fn operations(&mut self) -> Vec<String> {
        let names = |preview: &'a Preview| -> BTreeSet<&'a str> {
            preview.flow_actions.iter().map(|action| action.name.as_str()).collect()
        };
        let (old, new) = (names(self.old), names(self.new));
        for name in new.difference(&old) {
            self.adds(*name, "the operation is new");
        }
        let removed: Vec<String> = old.difference(&new).map(|name| (*name).to_owned()).collect();
        for name in &removed {
            self.breaks(name, "the operation is gone");
        }
        removed
    }

    fn classes(&mut self, removed: &[String]) {
        let of_removed = |class: &Class| {
            let mut operations = removed.iter();
            operations.any(|operation| {
                class.name.strip_prefix(operation.as_str()).is_some_and(|rest| rest.starts_with('_'))
            })
        };
        let new: HashMap<&str, &Class> =
            self.new.apex.iter().map(|class| (class.name.as_str(), class)).collect();
        let inputs = self.new.inputs();
        for class in
            self.old.apex.iter().filter(|class| class.kind != ClassKind::Service && !of_removed(class))
        {
            match new.get(class.name.as_str()) {
                Some(now) => {
                    self.members(class, now, inputs.contains(class.name.as_str()));
                    self.methods(class, now);
                }
                None => self.breaks(&class.name, "the class is gone"),
            }
        }
    }

    fn members(&mut self, old: &Class, new: &Class, is_input: bool) {
        let before: HashMap<&str, &Member> =
            old.members.iter().map(|member| (member.name.as_str(), member)).collect();
        let after: HashMap<&str, &Member> =
            new.members.iter().map(|member| (member.name.as_str(), member)).collect();
        for member in &old.members {
            let subject = format!("{}.{}", old.name, member.name);
            match after.get(member.name.as_str()) {
                None => self.breaks(subject, "the member is gone"),
                Some(now) if now.apex_type != member.apex_type => {
                    let message = format!("the type was {} and is {} now", member.apex_type, now.apex_type);
                    self.breaks(subject, message);
                }
                Some(now) if is_input && now.required && !member.required => {
                    self.breaks(subject, "the input was optional and must be given now");
                }
                Some(_) => {}
            }
        }
        for member in new.members.iter().filter(|member| !before.contains_key(member.name.as_str())) {
            let subject = format!("{}.{}", new.name, member.name);
            if is_input && member.required {
                self.breaks(subject, "the input is new and must be given");
            } else {
                self.adds(subject, "the member is new");
            }
        }
    }

    /// Callback handlers: code that extends one must have every method.
    fn methods(&mut self, old: &Class, new: &Class) {
        for method in old.methods.iter().filter(|method| !new.methods.contains(method)) {
            self.breaks(
                format!("{}.{}", old.name, method.name),
                "the callback is gone or receives another type",
            );
        }
        for method in new.methods.iter().filter(|method| !old.methods.contains(method)) {
            self.breaks(
                format!("{}.{}", new.name, method.name),
                "the callback is new, and handlers must have it",
            );
        }
    }

    fn permission_sets(&mut self) {
        let (old, new) = (self.old, self.new);
        for set in new.permission_sets.iter().filter(|set| !old.permission_sets.contains(set)) {
            self.adds(set, "users need this permission set now");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{self, Format};

    const CALLBACKS: &str = include_str!("../tests/fixtures/specs/callbacks.yaml");
    const RATES: &str = include_str!("../tests/fixtures/specs/parameters-only.yaml");

    fn preview(yaml: &str) -> Preview {
        Preview::of(&spec::read(Format::Yaml, yaml.as_bytes()).unwrap(), "Tools", None)
    }

    fn changes(old: &str, new: &str) -> String {
        let changes = compare(&preview(old), &preview(new));
        let lines = changes.iter().map(|change| {
            let kind = if change.breaking { "breaking" } else { "added" };
            format!("{kind}: {}: {}", change.subject, change.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_same_document_changes_nothing() {
        assert_eq!(changes(CALLBACKS, CALLBACKS), "");
    }

    #[test]
    fn what_breaks_callers_and_what_does_not() {
        let changed = RATES
            .replace("name: weight", "name: mass")
            .replace("currency: {type: string}", "currency: {type: integer}, tax: {type: number}");
        insta::assert_snapshot!(changes(RATES, &changed));
        insta::assert_snapshot!(changes(RATES, CALLBACKS));
        insta::assert_snapshot!(changes(
            CALLBACKS,
            &CALLBACKS.replace("percent: {type: integer}", "percent: {type: number}")
        ));
        insta::assert_snapshot!(changes(
            CALLBACKS,
            &CALLBACKS.replace("        reportProgress:", "        progress:")
        ));
    }
}
