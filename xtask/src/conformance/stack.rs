//! A running `applink dev` for one client: free ports, a folder and a home of its own, gone afterwards.
//!
//! The stack connects its org by itself. What the drivers need beside it is made here, without a browser: two
//! authorizations by JWT bearer, one of the org's admin and one of its integration user.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::install::run;

/// How long a slow machine may take over the start, a driver or the end. The CLI takes seconds for each command.
const PATIENCE: Duration = Duration::from_secs(900);
/// The authorization of the org's admin, and its alias.
const ADMIN: (&str, &str) = ("operations", "ops:primary");
/// The Data Cloud authorization of the org's admin.
const LAKE: &str = "lake";
/// The authorization that apps of `applink dev` are told of in `PORTAL_AUTHORIZATION`.
const INTEGRATION: &str = "influencerPortal";
/// A program that has to know the stack and nothing else.
const NOTHING_MORE: [(&str, &Path); 0] = [];
/// The connection `applink dev` makes.
const CONNECTION: &str = "acme";

/// The running stack; dropping it stops it and removes its folder.
#[derive(Debug)]
pub(super) struct Stack {
    process: Child,
    folder: PathBuf,
    applink: PathBuf,
    /// The line it printed.
    line: String,
    facts: Value,
}

/// What a program wrote.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Stack {
    /// Starts it with `app` behind its mesh, and waits until it says that it is ready.
    pub(super) fn start(applink: &Path, flags: &[&str], app: &[String]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("applink-conformance-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("making a folder for the stack")?;
        let mut process = isolated(applink, &folder)
            .args(["dev", "--json", "--fresh", "--state-dir", "state"])
            .args(flags)
            .args([
                "--port",
                "0",
                "--org-port",
                "0",
                "--sandbox-port",
                "0",
                "--mesh-port",
                "0",
                "--app-port",
                "0",
                "--",
            ])
            .args(app)
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("stack.log")).context("making a file for the stack's log")?)
            .spawn()
            .context("starting applink dev")?;
        let output = process.stdout.take();
        let mut stack =
            Self { process, folder, applink: applink.to_owned(), line: String::new(), facts: Value::Null };
        let output = output.context("applink dev has no output")?;
        BufReader::new(output).read_line(&mut stack.line).context("reading what applink dev prints")?;
        stack.facts = serde_json::from_str(&stack.line)
            .with_context(|| format!("applink dev did not start:\n{}", stack.log()))?;
        Ok(stack)
    }

    /// Stores the two users, once the stack has connected its org.
    pub(super) fn authorize(&self) -> Result<()> {
        self.wait_until_connected()?;
        let key = self.folder.join("key.pem");
        let key = key.display().to_string();
        run(isolated(Path::new("openssl"), &self.folder).args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
            &key,
        ]))?;
        let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in", &key]))?;
        let client_id = self.oauth_client(&public)?;
        self.store_user("salesforce", ADMIN.0, "admin", &client_id, &key, &["--alias", ADMIN.1])?;
        self.store_user("datacloud", LAKE, "admin", &client_id, &key, &[])?;
        self.store_user("salesforce", INTEGRATION, "integration", &client_id, &key, &[])
    }

    /// Waits until the stack has connected its org.
    pub(super) fn wait_until_connected(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let output =
                self.run(&self.applink, &["connections:info", CONNECTION, "--json"], NOTHING_MORE)?;
            let connection: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
            if connection["status"] == "connected" {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the stack did not connect its org")
    }

    /// An OAuth client of the org that these two profiles may use without being asked: its consumer key.
    fn oauth_client(&self, public_key: &str) -> Result<String> {
        let body = json!({
            "name": "conformance",
            "public_key_pem": public_key,
            "scopes": ["api", "id", "refresh_token", "cdp_query_api", "cdp_ingest_api", "cdp_profile_api"],
            "admin_approved_profiles": ["System Administrator", "Integration User"],
        });
        let url = format!("{}/_sim/oauth-clients", self.fact("org_url")?);
        let key = format!("X-Sim-Key: {}", self.fact("sim_key")?);
        let json_body = "Content-Type: application/json";
        let mut curl = isolated(Path::new("curl"), &self.folder);
        let body = body.to_string();
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            &url,
            "-H",
            &key,
            "-H",
            json_body,
            "-d",
            &body,
        ]);
        let answer: Value = serde_json::from_str(&run(&mut curl)?).context("reading the new OAuth client")?;
        Ok(answer["consumer_key"].as_str().context("the OAuth client has no consumer key")?.to_owned())
    }

    fn store_user(
        &self,
        topic: &str,
        name: &str,
        role: &str,
        client_id: &str,
        key: &str,
        more: &[&str],
    ) -> Result<()> {
        let username = self.username(role)?;
        let login_url = self.fact("org_url")?;
        let command = format!("{topic}:authorizations:add:jwt");
        let mut words = vec![command.as_str(), name, "--client-id", client_id];
        words.extend(["--jwt-key-file", key, "--username", username, "--login-url", login_url]);
        words.extend(more);
        let output = self.run(&self.applink, &words, NOTHING_MORE)?;
        if !output.success {
            bail!("{username} could not be stored as {name}:\n{}", output.stderr);
        }
        Ok(())
    }

    fn fact(&self, name: &str) -> Result<&str> {
        self.facts[name].as_str().with_context(|| format!("applink dev tells no {name}"))
    }

    fn username(&self, role: &str) -> Result<&str> {
        let mut users = self.facts["users"].as_array().into_iter().flatten();
        let user = users.find(|user| user["role"] == role);
        user.and_then(|user| user["username"].as_str()).with_context(|| format!("the org has no {role}"))
    }

    /// Runs a program to its end, with everything it needs to know of the stack in its environment.
    pub(super) fn run<'a>(
        &self,
        program: &Path,
        words: &[&str],
        more: impl IntoIterator<Item = (&'static str, &'a Path)>,
    ) -> Result<Output> {
        let file = |name: &str| self.folder.join(name);
        let create = |name| File::create(file(name)).context("making a file for a program's output");
        let mut process = isolated(program, &self.folder)
            .args(words)
            .envs(self.variables()?)
            .envs(more)
            .stdout(create("stdout")?)
            .stderr(create("stderr")?)
            .spawn()
            .with_context(|| format!("running {}", program.display()))?;
        let success = wait(&mut process)?;
        let read = |name| std::fs::read_to_string(file(name)).context("reading a program's output");
        Ok(Output { success, stdout: read("stdout")?, stderr: read("stderr")? })
    }

    fn variables(&self) -> Result<Vec<(&'static str, &str)>> {
        let fact = |variable, name| Ok::<_, anyhow::Error>((variable, self.fact(name)?));
        Ok(vec![
            fact("HEROKU_APPLINK_API_URL", "applink_api_url")?,
            fact("HEROKU_APPLINK_TOKEN", "applink_token")?,
            fact("HEROKU_APP_ID", "app_id")?,
            fact("APPLINK_API_KEY", "applink_api_key")?,
            fact("APPLINK_ORG_URL", "org_url")?,
            fact("APPLINK_SIM_KEY", "sim_key")?,
            ("APPLINK_DEV", &self.line),
            ("APPLINK_BIN", self.applink.to_str().context("the path of applink is no text")?),
            ("CONFORMANCE_ADMIN", ADMIN.0),
            ("CONFORMANCE_ADMIN_ALIAS", ADMIN.1),
            ("CONFORMANCE_LAKE", LAKE),
        ])
    }

    /// What the stack and its app have logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("stack.log")).unwrap_or_default()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGINT);
        }
        let _ = wait(&mut self.process);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A program that sees nothing of the developer's own settings: the SDKs log to the home folder and obey proxies.
fn isolated(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env_clear().env("HOME", folder).env("LANG", "C.UTF-8");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Waits for the end of a process, but not for ever: whether it succeeded.
fn wait(process: &mut Child) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().context("waiting for a program")? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    process.kill().context("stopping a program that does not end")?;
    process.wait().context("waiting for a program that was stopped")?;
    Ok(false)
}
