//! What the reader finds, over small documents of our own.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn findings(yaml: &str) -> String {
    let mut text = String::new();
    match read(Format::Yaml, yaml.as_bytes()) {
        Ok(spec) => spec.findings.iter().for_each(|finding| writeln!(text, "{finding}").unwrap()),
        Err(error) => error.findings.iter().for_each(|finding| writeln!(text, "{finding}").unwrap()),
    }
    text
}

const QUOTES: &str = include_str!("../../tests/fixtures/specs/user-plus-eca.yaml");
const CALLBACKS: &str = include_str!("../../tests/fixtures/specs/callbacks.yaml");

#[test]
fn reads_operations_with_their_names_and_places() {
    let spec = read(Format::Yaml, QUOTES.as_bytes()).unwrap();
    insta::assert_debug_snapshot!(spec.operations);
}

#[test]
fn reads_callbacks() {
    let spec = read(Format::Yaml, CALLBACKS.as_bytes()).unwrap();
    let callbacks: Vec<_> = spec.operations.iter().flat_map(|operation| &operation.callbacks).collect();
    insta::assert_debug_snapshot!(callbacks);
}

#[test]
fn yaml_and_json_give_the_same_operations() {
    let yaml = read(Format::Yaml, CALLBACKS.as_bytes()).unwrap();
    let json = serde_json::to_string_pretty(&yaml.document.to_json()).unwrap();
    let json = read(Format::Json, json.as_bytes()).unwrap();
    let names = |spec: &Spec| -> Vec<_> {
        spec.operations
            .iter()
            .map(|one| (one.name.clone(), one.request.clone(), one.callbacks.len()))
            .collect()
    };
    assert_eq!(names(&yaml), names(&json));
}

#[test]
fn what_is_not_openapi_3_0_is_refused_with_the_place() {
    let documents = [
        "",
        "just a text",
        "- a list",
        "info: {}\n",
        "swagger: '2.0'\n",
        "info: {}\nopenapi: 3.1.0\n",
        "openapi: 4\n",
        "openapi: [3]\n",
        "openapi: 3.0\n",
        "openapi: 3.0.0\npaths: {}\n",
        "openapi: 3.0.0\npaths: [1]\n",
        "openapi: 3.0.0\npaths:\n  /a\n    get:\n",
        "\u{feff}openapi: 3.0.0\npaths: {}\n",
    ];
    insta::assert_snapshot!(documents.map(findings).join(""));
}

#[test]
fn every_problem_is_found_at_once() {
    insta::assert_snapshot!(findings(include_str!("../../tests/fixtures/specs/everything-wrong.yaml")));
}

#[test]
fn text_that_is_not_utf_8_is_refused_with_the_place() {
    let error = read(Format::Yaml, b"openapi: 3.0.0\ntitle: \xff").unwrap_err();
    assert_eq!(error.findings[0].at, Some(Position { line: 2, column: 8 }));
}

#[test]
fn runtime_expressions() {
    use RuntimeExpression::{Body, Header, Query};
    for (text, parsed) in [
        ("{$request.body#/callbackUrl}", Some(Body("/callbackUrl".to_owned()))),
        ("{$request.body#/data/callbackUrl}", Some(Body("/data/callbackUrl".to_owned()))),
        ("{$request.query.url}", Some(Query("url".to_owned()))),
        ("{$request.header.Callback}", Some(Header("Callback".to_owned()))),
        ("$request.body#/callbackUrl", None),
        ("https://example.com/{$request.body#/id}", None),
        ("{$request.body}", None),
        ("{$response.body#/url}", None),
        ("{$request.query.}", None),
    ] {
        assert_eq!(RuntimeExpression::parse(text), parsed, "{text}");
    }
}

#[test]
fn names_are_cut_and_made_identifiers() {
    assert_eq!(operation_name("get-quote.v2"), "get_quote_v2");
    assert_eq!(operation_name(&"x".repeat(100)).len(), 80);
}

/// A valid document with one line replaced, removed, repeated or shortened.
fn mutated() -> impl Strategy<Value = String> {
    let lines: Vec<String> = CALLBACKS.lines().map(str::to_owned).collect();
    let count = lines.len();
    (0..count, 0..5usize, "[ a-z:{}\\[\\]$&*'\"-]{0,20}").prop_map(move |(at, how, text)| {
        let mut lines = lines.clone();
        match how {
            0 => lines[at] = text,
            1 => drop(lines.remove(at)),
            2 => lines.insert(at, lines[at].clone()),
            3 => {
                let half = lines[at].len() / 2;
                lines[at].truncate(half);
            }
            _ => lines[at].insert_str(0, "  "),
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn a_mutated_document_is_read_without_panic(text in mutated()) {
        match read(Format::Yaml, text.as_bytes()) {
            Ok(spec) => prop_assert!(!spec.operations.is_empty()),
            Err(error) => prop_assert!(error.findings.iter().any(Finding::is_error)),
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Yaml, Format::Json] {
            prop_assert!(read(format, &bytes).is_err());
        }
    }
}
