//! The pipelines of the cookbook, taken out of its page and run step by step against a stack: the real program, real keys, no key
//! in a file, an argument or what is printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use applink_publish::spec::yaml;
use applink_testkit::dev_stack::{DevStack, STEPS_FOR_OWN_APP};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::APPLINK;
use super::doctor::{Sim, key};

const COOKBOOK: &str = include_str!("../../../../docs/cookbook.md");
/// How each service starts the script of a step.
const GITHUB: &[&str] = &["-e"];
const CIRCLE: &[&str] = &["-eo", "pipefail"];

/// What a step runs, and with which variables.
struct Step {
    name: String,
    script: String,
    variables: BTreeMap<String, String>,
}

/// The first YAML block below the heading.
fn pipeline(heading: &str) -> Value {
    let (_, below) = COOKBOOK.split_once(&format!("### {heading}\n")).unwrap();
    let (_, block) = below.split_once("```yaml\n").unwrap();
    let (text, _) = block.split_once("\n```").unwrap();
    yaml::read(text).unwrap_or_else(|error| panic!("{heading}: {error:?}")).to_json()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The variables of an `env`, with `${{ secrets.… }}` filled in as the service does.
fn env(value: &Value, secrets: &BTreeMap<&str, String>) -> BTreeMap<String, String> {
    let filled = |value: &Value| {
        let value = text(value);
        match value.strip_prefix("${{ secrets.").and_then(|rest| rest.strip_suffix(" }}")) {
            Some(name) => secrets.get(name).unwrap_or_else(|| panic!("no secret {name}")).clone(),
            None => value,
        }
    };
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), filled(value))).collect()
}

fn github_steps(secrets: &BTreeMap<&str, String>) -> Vec<Step> {
    let job = &pipeline("GitHub Actions")["jobs"]["deploy"];
    let of_job = env(&job["env"], secrets);
    let steps = job["steps"].as_array().unwrap().iter().filter(|step| step["uses"].is_null());
    let steps = steps.map(|step| {
        let mut variables = of_job.clone();
        variables.extend(env(&step["env"], secrets));
        Step { name: text(&step["name"]), script: text(&step["run"]), variables }
    });
    steps.collect()
}

fn circle_steps(context: &BTreeMap<&str, String>) -> Vec<Step> {
    let job = &pipeline("CircleCI")["jobs"]["deploy"];
    let mut variables: BTreeMap<String, String> =
        context.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    variables.extend(env(&job["environment"], context));
    let runs =
        job["steps"].as_array().unwrap().iter().filter(|step| **step != "checkout").map(|step| &step["run"]);
    let steps = runs.map(|run| Step {
        name: text(&run["name"]),
        script: text(&run["command"]),
        variables: variables.clone(),
    });
    steps.collect()
}

/// A machine of the service: a checkout of an app, and programs that note their arguments.
struct Machine {
    job: TempDir,
    /// What the job does not see.
    beside: TempDir,
    secrets: Vec<String>,
}

impl Machine {
    fn new(secrets: Vec<String>) -> Self {
        let machine =
            Self { job: tempfile::tempdir().unwrap(), beside: tempfile::tempdir().unwrap(), secrets };
        std::fs::create_dir(machine.beside.path().join("bin")).unwrap();
        machine.program("applink", &format!("exec {APPLINK} \"$@\""));
        machine.program("cargo", ":");
        // Git asks the helper of `-c credential.helper=!…` in a shell, when the server wants to know who pushes.
        machine.program(
            "git",
            &format!(
                "test \"$1\" = -c; sh -c \"${{2#credential.helper=!}} get\" > {}",
                machine.beside.path().join("pushed").display()
            ),
        );
        std::fs::create_dir(machine.job.path().join("tmp")).unwrap();
        let made = std::process::Command::new(APPLINK)
            .args(["init", "app"])
            .current_dir(machine.job.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        machine
    }

    fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.beside.path().join("bin").join(name);
        let arguments = self.beside.path().join("arguments");
        let script =
            format!("#!/bin/sh\nset -e\nprintf '%s\\n' {name} \"$@\" >> {}\n{script}\n", arguments.display());
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs a step to its end: what it printed. No secret is in that, in an argument or in a file.
    async fn run(&self, shell: &[&str], step: &Step, host: &str) -> String {
        assert!(!step.script.contains("${{"), "{}: what is filled into a script is run", step.name);
        let path = format!("{}:/usr/bin:/bin", self.beside.path().join("bin").display());
        let script = self.job.path().join("step.sh");
        std::fs::write(&script, format!("exec 2>&1\n{}", step.script)).unwrap();
        let output = tokio::process::Command::new("bash")
            .args(shell)
            .arg(&script)
            .env_clear()
            .envs(&step.variables)
            .env("PATH", path)
            .env("HOME", self.job.path())
            .env("TMPDIR", self.job.path().join("tmp"))
            .env("HEROKU_HOST", host)
            .current_dir(self.job.path().join("app"))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {}\n{told}", step.name, output.status);
        self.ensure_secret(&step.name, &told);
        for file in files(self.job.path()).into_iter().chain([self.beside.path().join("arguments")]) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            self.ensure_secret(
                &format!("{} in {}", step.name, file.display()),
                &String::from_utf8_lossy(&bytes),
            );
        }
        told
    }

    fn ensure_secret(&self, place: &str, text: &str) {
        for secret in &self.secrets {
            // A key may be wrapped in another way: each of its lines counts.
            for line in secret.lines().filter(|line| line.len() > 15 && !line.starts_with('-')) {
                assert!(!text.contains(line), "{place}: a secret is there\n{text}");
            }
        }
    }

    fn arguments(&self) -> String {
        std::fs::read_to_string(self.beside.path().join("arguments")).unwrap()
    }
}

/// Every file below, with links left alone.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let found = entries.flat_map(|entry| {
        if entry.file_type().unwrap().is_dir() { files(&entry.path()) } else { vec![entry.path()] }
    });
    found.collect()
}

/// The command, with the variables that the page names for a control plane of one's own.
async fn applink(stack: &DevStack, line: &str, input: &str) -> String {
    use tokio::io::AsyncWriteExt as _;
    let mut running = tokio::process::Command::new(APPLINK)
        .args(line.split_whitespace())
        .env_clear()
        .env("HEROKU_APPLINK_API_URL", stack.text("applink_api_url"))
        .env("HEROKU_APPLINK_TOKEN", stack.text("applink_token"))
        .env("APPLINK_API_KEY", stack.text("applink_api_key"))
        .env("HEROKU_APP_ID", stack.text("app_id"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = running.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_cookbooks_pipelines_run_as_they_stand_and_again() {
    let mut stack = DevStack::start(APPLINK, &["--", APPLINK, "sample"]).await;
    stack.tour_ended(STEPS_FOR_OWN_APP).await;
    let (private, public) = key();
    let profiles = ["System Administrator", "Integration User"];
    let client = json!({"name": "Pipeline", "public_key_pem": public, "admin_approved_profiles": profiles});
    let client = text(&Sim(&stack).post("oauth-clients", client).await["consumer_key"]);
    let (admin, _) = stack.user("admin");
    let line = format!(
        "salesforce:connect:jwt production-org --client-id {client} --username {admin} --jwt-key-file -"
    );
    applink(&stack, &line, &private).await;

    let heroku_key = stack.text("platform_api_key").to_owned();
    let secrets = BTreeMap::from([
        ("HEROKU_API_KEY", heroku_key.clone()),
        ("HEROKU_APP_NAME", stack.text("app_name").to_owned()),
        ("JWT_PRIVATE_KEY", private.clone()),
        ("SF_CLIENT_ID", client),
        ("SF_USERNAME", stack.user("integration").0),
    ]);
    let machine = Machine::new(vec![private, heroku_key.clone(), stack.text("applink_token").to_owned()]);
    let host = stack.text("platform_api_url").to_owned();

    for first in [true, false] {
        let mut told = String::new();
        for mut step in github_steps(&secrets) {
            assert_eq!(step.variables["HEROKU_APP"], "my-app", "the reader's own stands there");
            step.variables.insert("HEROKU_APP".to_owned(), stack.text("app_name").to_owned());
            told.push_str(&machine.run(GITHUB, &step, &host).await);
        }
        assert!(told.contains("can be published"), "{told}");
        assert_eq!(told.contains("as ci-auth... Authorized"), first, "{told}");
        assert_eq!(told.contains("Changing the key of ci-auth... done"), !first, "{told}");
        assert!(told.contains("to production-org as MyApp... done"), "{told}");
        assert!(told.contains("\"ok\": true"), "{told}");
        let pushed = std::fs::read_to_string(machine.beside.path().join("pushed")).unwrap();
        assert_eq!(pushed, format!("username=heroku\npassword={heroku_key}\n"));
    }

    applink(&stack, "salesforce:authorizations:remove ci-auth --confirm ci-auth", "").await;
    for first in [true, false] {
        let mut told = String::new();
        for step in circle_steps(&secrets) {
            told.push_str(&machine.run(CIRCLE, &step, &host).await);
        }
        assert_eq!(told.contains("as ci-auth... Authorized"), first, "{told}");
        assert_eq!(told.contains("Changing the key of ci-auth... done"), !first, "{told}");
        assert!(told.contains("to production-org as MyApp... done"), "{told}");
    }
    assert!(machine.arguments().contains("cargo\ninstall\n--locked\n--git\n"), "{}", machine.arguments());
    a_person_makes_a_key(&stack).await;
    stack.stop().await;
}

/// A key makes no keys, but whom the stand-in for Heroku knows does, though variables with a key lie beside.
async fn a_person_makes_a_key(stack: &DevStack) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".applink")).unwrap();
    std::fs::copy(stack.state_dir().join("dev.env"), folder.path().join(".applink/dev.env")).unwrap();
    let made = tokio::process::Command::new(APPLINK)
        .args(["tokens:create", "--json"])
        .env_clear()
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(text(&made["key"]).starts_with("alk_"), "{told}");
}
