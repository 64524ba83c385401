//! Every rule: an example that breaks it and one that keeps it, and its page in `docs/spec/`.
//!
//! The pages are written from the code: `APPLINK_WRITE_PAGES=1 cargo test -p applink-publish --test rules`.
#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use applink_publish::spec::{self, Code, Format};

/// `### code`, `--- wrong`, a document, `--- right`, a document. A document that starts with `@` is whole; to the others
/// the first two lines of an OpenAPI 3.0.3 document are added.
const EXAMPLES: &str = include_str!("fixtures/rules.txt");

struct Example {
    code: Code,
    wrong: &'static str,
    right: &'static str,
}

fn examples() -> Vec<Example> {
    let sections = EXAMPLES.split("### ").skip(1);
    sections
        .map(|section| {
            let (name, rest) = section.split_once("\n--- wrong\n").unwrap();
            let (wrong, right) = rest.split_once("--- right\n").unwrap();
            let code = Code::ALL.iter().find(|code| code.as_str() == name).unwrap();
            Example { code: *code, wrong, right: right.trim_end_matches('\n') }
        })
        .collect()
}

fn document(example: &str) -> String {
    match example.strip_prefix('@') {
        Some(whole) => whole.to_owned(),
        None => format!("openapi: 3.0.3\ninfo: {{title: Shop, version: 1.0.0}}\n{example}"),
    }
}

fn codes(example: &str) -> Vec<Code> {
    let found = spec::findings(Format::Yaml, document(example).as_bytes());
    found.iter().map(|finding| finding.code).collect()
}

/// Rules about what an org has, flags, files or sizes: no document alone shows them. The tests of the package and of
/// the limits do.
const WITHOUT_EXAMPLE: [Code; 15] = [
    Code::TooManyOperations,
    Code::TooManyObjects,
    Code::TooManyProperties,
    Code::DocumentTooLarge,
    Code::ConnectedAppUnavailable,
    Code::ExternalClientAppCase,
    Code::ExternalClientAppUnavailable,
    Code::ExternalClientAppRelease,
    Code::AuthorizationTwice,
    Code::PermissionSetNotSession,
    Code::PermissionSetNameTaken,
    Code::MetadataFile,
    Code::ClientNameTaken,
    Code::RightMissing,
    Code::ReleaseTooOld,
];

#[test]
fn every_rule_has_an_example_that_breaks_it_and_one_that_keeps_it() {
    let examples = examples();
    for Example { code, wrong, right } in &examples {
        assert!(codes(wrong).contains(code), "{}: {:?}\n{}", code.as_str(), codes(wrong), document(wrong));
        assert!(!codes(right).contains(code), "{}: {:?}\n{}", code.as_str(), codes(right), document(right));
        let errors = spec::findings(Format::Yaml, document(right).as_bytes());
        let errors: Vec<String> =
            errors.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{}", code.as_str(), document(right));
    }
    for code in Code::ALL {
        let has_example = examples.iter().any(|example| example.code == *code);
        assert!(has_example || WITHOUT_EXAMPLE.contains(code), "{} has no example", code.as_str());
    }
}

#[test]
fn codes_are_told_apart() {
    let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), Code::ALL.len());
}

fn page(code: Code) -> String {
    let mut text = format!(
        "<!-- Written from the code by the test `rules` of applink-publish. -->\n# {}\n\n`{}`, {}.\n\n{}\n",
        code.title(),
        code.as_str(),
        code.severity().as_str(),
        code.fix()
    );
    if let Some(Example { wrong, right, .. }) = examples().into_iter().find(|example| example.code == code) {
        for (title, example) in [("Found in", wrong), ("Not found in", right)] {
            write!(text, "\n## {title}\n\n```yaml\n{}\n```\n", document(example).trim_end()).unwrap();
        }
    }
    text.push_str("\n[All rules](README.md)\n");
    text
}

fn index() -> String {
    let mut text = String::from(
        "<!-- Written from the code by the test `rules` of applink-publish. -->\n# What a document is checked for\n\n\
         `applink spec:check FILE` and every publish hold an OpenAPI document against these rules. An error refuses the \
         publish, before anything is sent; a warning or a note does not.\n\n| code | severity | what |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let name = code.as_str();
        writeln!(text, "| [`{name}`]({name}.md) | {} | {} |", code.severity().as_str(), code.title())
            .unwrap();
    }
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec")
}

#[test]
fn the_pages_are_those_of_the_code() {
    let mut pages: Vec<(String, String)> =
        Code::ALL.iter().map(|code| (format!("{}.md", code.as_str()), page(*code))).collect();
    pages.push(("README.md".to_owned(), index()));
    if std::env::var_os("APPLINK_WRITE_PAGES").is_some() {
        fs::create_dir_all(folder()).unwrap();
        pages.iter().for_each(|(name, text)| fs::write(folder().join(name), text).unwrap());
    }
    for (name, text) in &pages {
        let written = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert_eq!(&written, text, "docs/spec/{name} is not up to date: see the head of this test");
    }
    let known: BTreeSet<String> = pages.into_iter().map(|(name, _)| name).collect();
    let found: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, known, "a page without a rule");
}
