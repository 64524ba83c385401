//! What cargo built, as it says itself (`--message-format json`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// One message for each thing that was built.
pub(crate) struct Artifacts(Vec<Value>);

/// A program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestProgram {
    /// `lib` for unit tests, `bin`, or `test`.
    pub(crate) kind: String,
    /// Its target, as `integration`.
    pub(crate) target: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Where its tests expect to run.
    pub(crate) folder: PathBuf,
}

impl Artifacts {
    /// Runs cargo, which tells its progress on the terminal when `aloud`, and reads what it built.
    pub(crate) fn of(arguments: &[&str], aloud: bool) -> Result<Self> {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).args(["--message-format", "json-render-diagnostics"]).stdin(Stdio::null());
        if aloud {
            command.stderr(Stdio::inherit());
        }
        let output = command.output().context("running cargo")?;
        if !output.status.success() {
            bail!("the build failed\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Self::read(&String::from_utf8_lossy(&output.stdout)))
    }

    fn read(text: &str) -> Self {
        Self(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The programs that test a package of ours.
    pub(crate) fn tests_of(&self, package: &str) -> Vec<TestProgram> {
        let id = format!("/{package}#");
        let ours = self.0.iter().filter(|built| {
            built["profile"]["test"] == true
                && built["package_id"].as_str().is_some_and(|found| found.contains(&id))
        });
        ours.filter_map(TestProgram::read).collect()
    }

    /// Where an example is.
    pub(crate) fn example(&self, name: &str) -> Option<PathBuf> {
        let found = self
            .0
            .iter()
            .find(|built| built["target"]["kind"][0] == "example" && built["target"]["name"] == name)?;
        found["executable"].as_str().map(PathBuf::from)
    }
}

impl TestProgram {
    fn read(built: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            kind: text(&built["target"]["kind"][0])?,
            target: text(&built["target"]["name"])?,
            path: text(&built["executable"])?.into(),
            folder: Path::new(built["manifest_path"].as_str()?).parent()?.to_owned(),
        })
    }

    /// Runs it as `cargo test` would.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder).stdin(Stdio::null());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(package: &str, kind: &str, target: &str, is_test: bool) -> String {
        serde_json::json!({"package_id": format!("path+file:///x/crates/{package}#0.1.0"),
            "manifest_path": format!("/x/crates/{package}/Cargo.toml"),
            "target": {"kind": [kind], "name": target}, "profile": {"test": is_test},
            "executable": format!("/x/target/{package}-{target}")})
        .to_string()
    }

    #[test]
    fn the_test_programs_of_one_package_are_found_with_their_folder() {
        let text = [
            built("applink-server", "lib", "applink_server", true),
            "not json".to_owned(),
            built("applink-server", "test", "store", true),
            built("applink-server", "example", "fresh_token_read", false),
            built("applink", "test", "cli", true),
        ]
        .join("\n");
        let artifacts = Artifacts::read(&text);
        let found = artifacts.tests_of("applink-server");
        let targets: Vec<_> = found.iter().map(|one| (one.kind.as_str(), one.target.as_str())).collect();
        assert_eq!(targets, [("lib", "applink_server"), ("test", "store")]);
        assert_eq!(found[1].path, Path::new("/x/target/applink-server-store"));
        assert_eq!(found[1].folder, Path::new("/x/crates/applink-server"));
        assert!(artifacts.tests_of("applink-sdk").is_empty());
        assert!(artifacts.example("fresh_token_read").is_some());
    }
}
