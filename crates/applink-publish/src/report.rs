//! Findings for programs: our own JSON, and SARIF 2.1.0 for code-scanning tools.

use serde::Serialize;
use serde_json::{Value, json};

use crate::spec::{Code, Finding, Severity};

/// Where the pages of the codes are, relative to the repository.
pub const PAGES: &str = "docs/spec";

/// A document's findings.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The file, as the person named it.
    file: &'a str,
    /// Whether it can be published.
    publishable: bool,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    message: &'a str,
    fix: &'static str,
    help: String,
}

impl<'a> Report<'a> {
    /// Of one file.
    pub fn of(file: &'a str, findings: &'a [Finding]) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.code.severity() == severity).count();
        let errors = count(Severity::Error);
        Self {
            file,
            publishable: errors == 0,
            errors,
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            findings: findings.iter().map(Entry::of).collect(),
        }
    }
}

impl<'a> Entry<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.code.severity().as_str(),
            path: &finding.path,
            line: finding.at.map(|at| at.line),
            column: finding.at.map(|at| at.column),
            message: &finding.message,
            fix: finding.code.fix(),
            help: page(finding.code),
        }
    }
}

/// The page of a code.
pub fn page(code: Code) -> String {
    format!("{PAGES}/{}.md", code.as_str())
}

/// The findings of one file as a SARIF 2.1.0 log.
pub fn sarif(file: &str, findings: &[Finding]) -> Value {
    let mut codes: Vec<Code> = Vec::new();
    for finding in findings {
        if !codes.contains(&finding.code) {
            codes.push(finding.code);
        }
    }
    let results: Vec<Value> = findings.iter().map(|finding| result(file, finding, &codes)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "applink",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.title()},
        "help": {"text": code.fix()},
        "defaultConfiguration": {"level": code.severity().as_str()},
    })
}

fn result(file: &str, finding: &Finding, codes: &[Code]) -> Value {
    let mut location = json!({
        "physicalLocation": {"artifactLocation": {"uri": uri(file)}},
        "logicalLocations": [{"fullyQualifiedName": finding.path}],
    });
    if let Some(at) = finding.at {
        location["physicalLocation"]["region"] = json!({"startLine": at.line, "startColumn": at.column});
    }
    json!({
        "ruleId": finding.code.as_str(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": finding.code.severity().as_str(),
        "message": {"text": finding.message},
        "locations": [location],
    })
}

/// A relative URI reference: separators forward, everything special encoded.
fn uri(file: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    utf8_percent_encode(&file.replace('\\', "/"), PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{self, Format};

    const WRONG: &str = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      operationId: a b\n      parameters:\n      - {name: Host, in: header}\n";

    #[test]
    fn findings_as_json_and_sarif() {
        let findings = spec::findings(Format::Yaml, WRONG.as_bytes());
        let report = serde_json::to_value(Report::of("my api.yaml", &findings)).unwrap();
        insta::assert_json_snapshot!("report", report);
        insta::assert_json_snapshot!("sarif", sarif("my api.yaml", &findings), {
            ".runs[0].tool.driver.semanticVersion" => "[version]"
        });
    }
}
