//! The tables in the documentation: what each official client was seen to do, written by a run and checked by every
//! later one. Each client has a block of its own in both pages, so that a run without the plugin leaves the plugin's.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::steps::{Step, Steps};
use super::{Client, root};

/// The page with every step.
const DETAILS: &str = "docs/reference/client-conformance.md";
/// The page whose end is the table of results.
const RESULTS: &str = "docs/compatibility.md";
/// What the generated part of that page starts with.
const RESULTS_HEAD: &str = "<!-- From here on `cargo xtask conformance-table` writes. -->\n";

const DETAILS_HEAD: &str = "\
# The official clients against this server

Written by `cargo xtask conformance-table` from a run of the SDKs and the Heroku CLI as their registries have them, unmodified,
against `applink dev`; `cargo xtask test` runs them again and checks that this page still says what came out. Every step
compares values and texts of errors, not only that nothing was thrown. The drivers are in [conformance/](../../conformance).

*Run for real* is the client itself; *replayed* is what it sends, from cases of our own; *not yet* has no counterpart in the
local org.
";

/// One client's part of a page.
struct Block {
    /// The line it starts with, up to the version.
    start: String,
    text: String,
}

/// Demands that both pages have what the run said.
pub(super) fn check(client: Client, steps: &Steps) -> Result<()> {
    for (file, block) in [(DETAILS, details(client, steps)), (RESULTS, results(client, steps))] {
        let page = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        if !page.contains(&block.text) {
            bail!("every step passed, but {file} says something else; run `cargo xtask conformance-table`");
        }
    }
    Ok(())
}

/// Writes both pages. A client without steps keeps its blocks.
pub(super) fn write(runs: &[(Client, Option<Steps>)]) -> Result<Vec<PathBuf>> {
    let old = read(DETAILS)?;
    let mut page = DETAILS_HEAD.to_owned();
    for (client, steps) in runs {
        page.push_str(&block_or_old(*client, steps.as_ref(), details, &old));
    }
    let old = read(RESULTS)?;
    let by_hand = old.split(RESULTS_HEAD).next().unwrap_or_default();
    let mut results_page = format!("{}\n\n{RESULTS_HEAD}", by_hand.trim_end());
    for (client, steps) in runs {
        results_page.push_str(&block_or_old(*client, steps.as_ref(), results, &old));
    }
    [(DETAILS, page), (RESULTS, results_page)].into_iter().map(|(file, page)| save(file, &page)).collect()
}

fn read(file: &str) -> Result<String> {
    match std::fs::read_to_string(root().join(file)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("reading {file}")),
    }
}

fn save(file: &str, page: &str) -> Result<PathBuf> {
    let path = root().join(file);
    std::fs::write(&path, page).with_context(|| format!("writing {file}"))?;
    Ok(path)
}

fn block_or_old(
    client: Client,
    steps: Option<&Steps>,
    block: impl Fn(Client, &Steps) -> Block,
    old: &str,
) -> String {
    match steps {
        Some(steps) => block(client, steps).text,
        None => old_block(old, &block(client, &Steps::default()).start).unwrap_or_default().to_owned(),
    }
}

/// From the line that starts so to the next heading.
fn old_block<'a>(page: &'a str, start: &str) -> Option<&'a str> {
    let from = page.find(&format!("\n{start}"))?;
    let block = page.get(from..)?;
    let end = block.get(1..)?.find("\n#").map_or(block.len(), |end| end + 1);
    block.get(..end)
}

fn details(client: Client, steps: &Steps) -> Block {
    let (name, version) = &steps.client;
    let start = format!("## {}: ", client.kind());
    let mut text = format!("\n{start}{name} {version}\n\n| what | steps | result |\n|---|---|---|\n");
    for method in steps.methods() {
        let (names, result) = row(client, &steps.of(method));
        let _ = writeln!(text, "| `{method}` | {names} | {result} |");
    }
    Block { start, text }
}

fn results(client: Client, steps: &Steps) -> Block {
    let (name, version) = &steps.client;
    let what = if client.app().is_some() { "method" } else { "command" };
    let start = format!("### {}\n", client.kind());
    let mut text = format!("\n{start}\n| client | version | {what} | result |\n|---|---|---|---|\n");
    for method in steps.methods() {
        let (_, result) = row(client, &steps.of(method));
        let _ = writeln!(text, "| {name} | {version} | `{method}` | {result} |");
    }
    Block { start, text }
}

/// What was done, and what that shows.
fn row(client: Client, steps: &[&Step]) -> (String, &'static str) {
    if let Some(missing) = steps.iter().find(|step| step.ok.is_none()) {
        return (missing.detail.clone(), "not yet");
    }
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    (names.join("; "), client.result())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"client":"c","version":"1","method":"a","step":"x","ok":true,"detail":""}
{"client":"c","version":"1","method":"b","step":"not yet","ok":null,"detail":"no b"}
{"client":"c","version":"1","method":"a","step":"y","ok":true,"detail":""}"#;

    #[test]
    fn a_method_has_one_row() {
        let steps = Steps::read(LINES).unwrap();
        let details = details(Client::Node, &steps).text;
        assert!(details.starts_with("\n## Node SDK: c 1\n"), "{details}");
        assert!(details.ends_with("| `a` | x; y | run for real |\n| `b` | no b | not yet |\n"), "{details}");
        let results = results(Client::PluginRequests, &steps).text;
        assert!(results.ends_with("| c | 1 | `a` | replayed |\n| c | 1 | `b` | not yet |\n"), "{results}");
    }

    #[test]
    fn a_client_that_did_not_run_keeps_its_block() {
        let steps = Steps::read(LINES).unwrap();
        for block in [details, results] {
            let plugin = block(Client::Plugin, &steps).text;
            for page in [
                format!("head\n{}{plugin}", block(Client::PluginRequests, &steps).text),
                format!("head\n{plugin}{}", block(Client::Node, &steps).text),
            ] {
                assert_eq!(block_or_old(Client::Plugin, None, block, &page), plugin);
            }
            assert_eq!(block_or_old(Client::Plugin, None, block, "head\n"), "");
        }
    }
}
