//! The table in the documentation: what each official client was seen to do, written by a run and checked by every
//! later one.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::steps::{Step, Steps};
use super::{Client, root};

const FILE: &str = "docs/reference/sdk-conformance.md";

const HEAD: &str = "\
# The official SDKs against this server

Written by `cargo xtask conformance-table` from a run of the SDKs as their registries have them, unmodified, against
`applink dev`; `cargo xtask test` runs them again and checks that this page still says what came out. Every step compares
values and texts of errors, not only that nothing was thrown. The drivers are in [conformance/](../../conformance).

*Run* is run for real; *not yet* has no counterpart in the local org.
";

/// One client's part of the page.
pub(super) fn section(client: Client, steps: &Steps) -> String {
    let language = match client {
        Client::Node => "Node",
        Client::Python => "Python",
    };
    let (name, version) = &steps.client;
    let mut section =
        format!("\n## {name} {version} ({language})\n\n| method | steps | result |\n|---|---|---|\n");
    for method in methods(steps) {
        let _ = writeln!(section, "| `{method}` | {} |", row(&of_method(steps, method)));
    }
    section
}

/// The methods in the order of their first steps.
fn methods(steps: &Steps) -> Vec<&str> {
    let mut methods: Vec<&str> = Vec::new();
    for step in &steps.all {
        if !methods.contains(&step.method.as_str()) {
            methods.push(&step.method);
        }
    }
    methods
}

fn of_method<'a>(steps: &'a Steps, method: &str) -> Vec<&'a Step> {
    steps.all.iter().filter(|step| step.method == method).collect()
}

fn row(steps: &[&Step]) -> String {
    if let Some(missing) = steps.iter().find(|step| step.ok.is_none()) {
        return format!("{} | not yet", missing.detail);
    }
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    format!("{} | run", names.join("; "))
}

/// Demands that the page has this section.
pub(super) fn check(client: Client, steps: &Steps) -> Result<()> {
    let page = std::fs::read_to_string(root().join(FILE)).unwrap_or_default();
    if !page.contains(&section(client, steps)) {
        bail!("every step passed, but {FILE} says something else; run `cargo xtask conformance-table`");
    }
    Ok(())
}

/// Writes the page.
pub(super) fn write(sections: &[String]) -> Result<PathBuf> {
    let file = root().join(FILE);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).context("making the page's folder")?;
    }
    std::fs::write(&file, format!("{HEAD}{}", sections.concat())).context("writing the page")?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_one_row() {
        let lines = r#"{"client":"c","version":"1","method":"a","step":"x","ok":true,"detail":""}
{"client":"c","version":"1","method":"b","step":"not yet","ok":null,"detail":"no b"}
{"client":"c","version":"1","method":"a","step":"y","ok":true,"detail":""}"#;
        let section = section(Client::Node, &Steps::read(lines).unwrap());
        assert!(section.starts_with("\n## c 1 (Node)\n"), "{section}");
        assert!(section.ends_with("| `a` | x; y | run |\n| `b` | no b | not yet |\n"), "{section}");
    }
}
