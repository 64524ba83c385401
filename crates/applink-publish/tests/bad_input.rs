//! Documents made to hurt: each is refused or read, quickly, with a place.
#![expect(clippy::disallowed_methods, reason = "how long it takes is the point")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use applink_publish::spec::{self, Code, Finding, Format};

/// Long for a debug build on a busy machine, far less than any of these would take if something grew.
const PATIENCE: Duration = Duration::from_secs(30);

fn read(format: Format, document: &[u8]) -> Vec<Finding> {
    let started = Instant::now();
    let findings = spec::findings(format, document);
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    findings
}

fn codes(document: &str) -> Vec<Code> {
    read(Format::Yaml, document.as_bytes()).iter().map(|finding| finding.code).collect()
}

fn with_paths(paths: &str) -> String {
    format!("openapi: 3.0.3\ninfo: {{title: Bad, version: 1.0.0}}\n{paths}")
}

#[test]
fn aliases_that_multiply() {
    let mut text = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..30 {
        let previous = level - 1;
        let aliases = vec![format!("*a{previous}"); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert_eq!(codes(&text), [Code::Syntax]);
}

#[test]
fn ten_thousand_levels() {
    for document in ["[".repeat(10_000), "{a: ".repeat(10_000), "- ".repeat(10_000)] {
        assert_eq!(codes(&document), [Code::Syntax]);
    }
    let json = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(read(Format::Json, json.as_bytes())[0].code, Code::Syntax);
}

#[test]
fn references_in_circles() {
    let schemas = "components:\n  schemas:\n    A: {$ref: '#/components/schemas/B'}\n    B: {$ref: '#/components/schemas/A'}\n    \
        C: {properties: {c: {$ref: '#/components/schemas/C'}}}\n";
    let paths =
        "paths:\n  /a:\n    get: {operationId: a, responses: {'200': {$ref: '#/components/responses/R'}}}\n";
    let found = codes(&with_paths(&format!(
        "{paths}{schemas}  responses:\n    R: {{$ref: '#/components/responses/R'}}\n"
    )));
    assert_eq!(found.iter().filter(|code| **code == Code::ReferenceCycle).count(), 4, "{found:?}");
    // A chain of many references is followed only so far.
    let mut chain = String::from(
        "paths:\n  /a:\n    get: {operationId: a, responses: {'200': {description: ok}}}\ncomponents:\n  schemas:\n",
    );
    for index in 0..5_000 {
        writeln!(chain, "    S{index}: {{$ref: '#/components/schemas/S{}'}}", index + 1).unwrap();
    }
    assert!(codes(&with_paths(&chain)).contains(&Code::ReferenceCycle));
}

#[test]
fn a_text_of_a_hundred_megabytes() {
    let text = with_paths(&format!("paths: {{}}\nx: {}\n", "y".repeat(100 * 1024 * 1024)));
    for format in [Format::Yaml, Format::Json] {
        let found = read(format, text.as_bytes());
        assert_eq!(found[0].code, Code::DocumentTooLarge);
    }
    // The largest text that is let in.
    let text = with_paths(&format!("paths: {{}}\nx: {}\n", "y".repeat(3_000_000)));
    assert!(codes(&text).contains(&Code::NoOperations));
}

#[test]
fn what_is_no_text_or_says_a_key_twice() {
    assert_eq!(read(Format::Yaml, b"openapi: 3.0.3\nx: \xc3\x28")[0].code, Code::Syntax);
    assert_eq!(read(Format::Json, b"{\"openapi\": \"3.0.3\", \"openapi\": 1}")[0].code, Code::Syntax);
    for document in [
        "a: 1\na: 2\n",
        "a:\n\tb: 1\n",
        "a: 1e999\n",
        "a: .nan\n",
        "a: 0xffffffffffffffffff\n",
        "? {a: 1}\n: b\n",
        "",
    ] {
        let found = read(Format::Yaml, document.as_bytes());
        assert!(found[0].code == Code::Syntax && found[0].at.is_some(), "{document:?}: {found:?}");
    }
}

/// Short documents that stand for long ones: one path item under many paths, many callbacks by reference.
#[test]
fn references_that_multiply() {
    let mut text = String::from("paths:\n");
    for index in 0..3_000 {
        writeln!(text, "  /p{index}: {{$ref: '#/components/pathItems/One'}}").unwrap();
    }
    text.push_str("components:\n  pathItems:\n    One:\n      get:\n        operationId: one\n        responses: {'200': {description: ok}}\n        parameters:\n");
    for index in 0..20_000 {
        writeln!(text, "        - {{name: p{index}, in: query, schema: {{type: string}}}}").unwrap();
    }
    assert!(codes(&with_paths(&text)).contains(&Code::OperationIdDuplicate));

    let mut text = String::from("paths:\n");
    for index in 0..2_000 {
        writeln!(text, "  /p{index}:\n    post:\n      operationId: o{index}\n      responses: {{'200': {{description: ok}}}}\n      callbacks: {{c: {{$ref: '#/components/callbacks/Many'}}}}").unwrap();
    }
    text.push_str("components:\n  callbacks:\n    Many:\n");
    for index in 0..5_000 {
        writeln!(text, "      '{{$request.query.q{index}}}': {{post: {{operationId: c{index}}}}}").unwrap();
    }
    assert!(!codes(&with_paths(&text)).is_empty());
}

#[test]
fn more_than_an_org_takes() {
    let mut text = String::from("paths:\n");
    for index in 0..3_001 {
        writeln!(
            text,
            "  /p{index}:\n    get: {{operationId: o{index}, responses: {{'200': {{description: ok}}}}}}"
        )
        .unwrap();
    }
    assert!(codes(&with_paths(&text)).contains(&Code::TooManyOperations));
    let mut text = String::from(
        "paths:\n  /a:\n    get: {operationId: a, responses: {'200': {description: ok}}}\ncomponents:\n  schemas:\n",
    );
    for index in 0..3_001 {
        writeln!(text, "    S{index}: {{type: object}}").unwrap();
    }
    assert!(codes(&with_paths(&text)).contains(&Code::TooManyObjects));
}
