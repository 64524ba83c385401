//! The ways a command may be typed.
//!
//! Commands have the official names (`salesforce:connect:jwt`). A space works as well as `:`, the topic `applink`
//! may be left out, and `help` may come first.

use std::collections::BTreeSet;
use std::ffi::OsString;

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// Arguments whose first word is a command's name, or for clap to complain about.
    Command(Vec<OsString>),
    /// A topic such as `salesforce`: its commands are wanted.
    Topic(String),
}

/// Reads `arguments` (without the program's name), knowing every command's names.
pub(crate) fn read(arguments: Vec<OsString>, known: &BTreeSet<String>) -> Spelled {
    let words: Vec<String> = arguments.iter().map_while(word).collect();
    if words.first().is_some_and(|first| first == "help") && words.len() > 1 {
        return help(arguments, known);
    }
    let longest = (1..=words.len()).rev().find_map(|count| Some((count, command(&words, count, known)?)));
    if let Some((count, name)) = longest {
        return Spelled::Command(replaced(arguments, count, name));
    }
    let Some(topic) = words.first().and_then(|first| topic(first, known)) else {
        return Spelled::Command(arguments);
    };
    let joined = words.join(":");
    if topic_of(&joined, known) {
        return Spelled::Topic(joined);
    }
    // `salesforce conect x`: two words are what was meant as the command.
    let count = words.len().min(if topic == joined_first(&words) { 2 } else { 1 });
    let name = words.get(..count).unwrap_or_default().join(":");
    Spelled::Command(replaced(arguments, count, name))
}

/// `help salesforce connect` is `salesforce connect --help`.
fn help(arguments: Vec<OsString>, known: &BTreeSet<String>) -> Spelled {
    match read(arguments.into_iter().skip(1).collect(), known) {
        Spelled::Command(command) => {
            let name = command.into_iter().next();
            Spelled::Command(name.into_iter().chain([OsString::from("--help")]).collect())
        }
        topic => topic,
    }
}

/// A word that may be part of a command's name.
fn word(argument: &OsString) -> Option<String> {
    let text = argument.to_str()?;
    (!text.is_empty() && !text.starts_with('-')).then(|| text.to_owned())
}

fn command(words: &[String], count: usize, known: &BTreeSet<String>) -> Option<String> {
    let name = words.get(..count)?.join(":");
    if known.contains(&name) {
        return Some(name);
    }
    name.strip_prefix("applink:").filter(|rest| known.contains(*rest)).map(str::to_owned)
}

fn topic<'a>(first: &'a str, known: &BTreeSet<String>) -> Option<&'a str> {
    let first = first.split(':').next().unwrap_or(first);
    topic_of(first, known).then_some(first)
}

fn topic_of(name: &str, known: &BTreeSet<String>) -> bool {
    let start = format!("{name}:");
    known.iter().any(|command| command.starts_with(&start))
}

fn joined_first(words: &[String]) -> &str {
    words.first().map_or("", String::as_str)
}

fn replaced(arguments: Vec<OsString>, count: usize, name: String) -> Vec<OsString> {
    std::iter::once(OsString::from(name)).chain(arguments.into_iter().skip(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(line: &str) -> String {
        let known = [
            "salesforce:connect",
            "salesforce:connect:jwt",
            "salesforce:authorizations:add",
            "salesforce:authorizations:add:jwt",
            "applink:connections",
            "connections",
            "connections:info",
            "invoke",
        ];
        let known = known.map(str::to_owned).into();
        match read(line.split(' ').map(OsString::from).collect(), &known) {
            Spelled::Topic(topic) => format!("topic {topic}"),
            Spelled::Command(arguments) => arguments.join(&OsString::from(" ")).into_string().unwrap(),
        }
    }

    #[test]
    fn a_space_is_as_good_as_a_colon() {
        for (typed, meant) in [
            ("salesforce connect org1 -a x", "salesforce:connect org1 -a x"),
            ("salesforce connect jwt org1", "salesforce:connect:jwt org1"),
            ("salesforce:connect jwt org1", "salesforce:connect:jwt org1"),
            ("salesforce authorizations add jwt a", "salesforce:authorizations:add:jwt a"),
            ("applink connections", "applink:connections"),
            ("connections info org1", "connections:info org1"),
            ("applink invoke S.op --as me", "invoke S.op --as me"),
            ("invoke connections", "invoke connections"),
            ("help salesforce connect", "salesforce:connect --help"),
            ("help", "help"),
            ("--version", "--version"),
            ("salesforce", "topic salesforce"),
            ("salesforce:authorizations --help", "topic salesforce:authorizations"),
            ("salesforce conect org1", "salesforce:conect org1"),
            ("salesforce:conect org1", "salesforce:conect org1"),
            ("nonsense here", "nonsense here"),
        ] {
            assert_eq!(spelled(typed), meant, "{typed}");
        }
    }
}
