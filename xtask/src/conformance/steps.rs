//! What a driver printed: one JSON line per step.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Every step of one run.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// The package's name and version.
    pub(super) client: (String, String),
    pub(super) all: Vec<Step>,
    /// What else is worth reading when it did not go well.
    explanation: Option<String>,
}

/// One step of one method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) method: String,
    pub(super) name: String,
    /// None when the stack has no counterpart yet.
    pub(super) ok: Option<bool>,
    pub(super) detail: String,
}

impl Steps {
    /// Reads the lines.
    ///
    /// # Errors
    /// Quotes a line that is none of ours: a driver prints nothing else.
    pub(super) fn read(output: &str) -> Result<Self> {
        let mut steps = Self::default();
        for line in output.lines() {
            let value: Value =
                serde_json::from_str(line).with_context(|| format!("the driver printed {line:?}"))?;
            let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
            steps.client = (text("client"), text("version"));
            let ok = value["ok"].as_bool();
            steps.all.push(Step { method: text("method"), name: text("step"), ok, detail: text("detail") });
        }
        Ok(steps)
    }

    /// The same, with more to read: something went wrong, even if no step tells what.
    pub(super) fn explained(self, explanation: String) -> Self {
        Self { explanation: Some(explanation), ..self }
    }

    pub(crate) fn passed(&self) -> usize {
        self.count(Some(true))
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(Some(false))
    }

    pub(crate) fn all_passed(&self) -> bool {
        self.failed() == 0 && self.passed() > 0 && self.explanation.is_none()
    }

    /// Client, version and how much of it was gone through.
    pub(crate) fn summary(&self, what: &str) -> String {
        let (done, not_yet): (Vec<_>, Vec<_>) = self
            .methods()
            .into_iter()
            .partition(|method| self.of(method).iter().all(|step| step.ok.is_some()));
        let (name, version) = &self.client;
        let missing = if not_yet.is_empty() { String::new() } else { format!(", {} not yet", not_yet.len()) };
        format!("{name} {version}: {} {what}{missing}", done.len())
    }

    /// Methods or commands, in the order of their first steps.
    pub(super) fn methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = Vec::new();
        for step in &self.all {
            if !methods.contains(&step.method.as_str()) {
                methods.push(&step.method);
            }
        }
        methods
    }

    /// The steps of one of them.
    pub(super) fn of(&self, method: &str) -> Vec<&Step> {
        self.all.iter().filter(|step| step.method == method).collect()
    }

    fn count(&self, ok: Option<bool>) -> usize {
        self.all.iter().filter(|step| step.ok == ok).count()
    }

    /// The failed steps, one line each, and what else there is to read.
    pub(crate) fn failures(&self) -> String {
        let failed = self.all.iter().filter(|step| step.ok == Some(false));
        let lines = failed.map(|step| format!("{}, {}: {}", step.method, step.name, step.detail));
        lines.chain(self.explanation.clone()).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"client":"c","version":"1","method":"a","step":"x","ok":true,"detail":""}
{"client":"c","version":"1","method":"a","step":"y","ok":false,"detail":"no"}
{"client":"c","version":"1","method":"b","step":"not yet","ok":null,"detail":"none"}"#;

    #[test]
    fn steps_are_counted_by_how_they_went() {
        let steps = Steps::read(LINES).unwrap();
        assert_eq!((steps.passed(), steps.failed(), steps.all.len()), (1, 1, 3));
        assert!(!steps.all_passed());
        assert_eq!(steps.failures(), "a, y: no");
        assert_eq!(steps.summary("methods"), "c 1: 1 methods, 1 not yet");
    }

    #[test]
    fn a_run_without_steps_or_with_an_explanation_has_not_passed() {
        assert!(!Steps::read("").unwrap().all_passed());
        let passed = LINES.lines().next().unwrap();
        assert!(Steps::read(passed).unwrap().all_passed());
        assert!(!Steps::read(passed).unwrap().explained("it crashed".to_owned()).all_passed());
    }

    #[test]
    fn anything_else_is_quoted() {
        assert!(Steps::read("oops").unwrap_err().to_string().contains("oops"));
    }
}
