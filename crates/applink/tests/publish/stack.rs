//! A control plane in a process of its own that can be killed at any call it makes to its org.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use applink_orgsim::{Org, OrgConfig, RunningOrg};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const APPLINK: &str = env!("CARGO_BIN_EXE_applink");
/// 32 bytes, base64.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OPERATOR_KEY: &str = "operator-key-for-tests-0123456789abcdef";
/// How long a slow machine may take over a start or a publish.
const PATIENCE: Duration = Duration::from_secs(120);

/// When the control plane is killed, seen from a call to the org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The org never hears of the call.
    Before,
    /// The org has done what it was asked; the answer is lost.
    After,
}

#[derive(Default)]
struct Script {
    upstream: String,
    victim: Option<Pid>,
    /// The call at which to kill, counted from 1.
    kill_at: Option<(usize, When)>,
    /// Methods and paths since the last arming.
    calls: Vec<String>,
}

/// Stands between control plane and org.
#[derive(Clone)]
struct Proxy {
    script: Arc<Mutex<Script>>,
    client: reqwest::Client,
}

impl Proxy {
    fn script<R>(&self, with: impl FnOnce(&mut Script) -> R) -> R {
        with(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kills(&self, number: usize, when: When) -> bool {
        let victim = self.script(|script| {
            let is_due = script.kill_at == Some((number, when));
            if is_due { script.victim.take() } else { None }
        });
        if let Some(victim) = victim {
            kill(victim, Signal::SIGKILL).unwrap();
        }
        victim.is_some()
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let (number, url) = proxy.script(|script| {
        script.calls.push(format!("{} {path}", parts.method));
        (script.calls.len(), format!("{}{path}", script.upstream))
    });
    if proxy.kills(number, When::Before) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let request = proxy.client.request(parts.method, url).headers(end_to_end(parts.headers)).body(body);
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
    let body = answer.bytes().await.unwrap();
    if proxy.kills(number, When::After) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    (status, headers, Body::from(body)).into_response()
}

/// Without what belongs to one connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers
}

/// The arrangement: org, proxy, and a control plane with one app, one add-on and one connection.
pub(crate) struct Stack {
    org: RunningOrg,
    proxy: Proxy,
    org_url: String,
    server: Option<(Child, String)>,
    folder: TempDir,
    addon: Value,
    key: String,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let proxy = Proxy { script: Arc::default(), client };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let org_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut config = OrgConfig::new("Acme", "a key for tests only".to_owned().into());
        config.public_url = Some(org_url.parse().unwrap());
        let org = Org::start(config).await.unwrap();
        proxy.script(|script| script.upstream = format!("http://{}", org.addr()));
        let folder = tempfile::tempdir().unwrap();
        let mut stack =
            Self { org, proxy, org_url, server: None, folder, addon: Value::Null, key: String::new() };
        stack.start_server().await;
        stack.set_up().await;
        stack
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start_server(&mut self) {
        let mut child = isolated(self.folder.path())
            .args(["serve", "--json"])
            .env("APPLINK_BIND", "127.0.0.1:0")
            .env("DATABASE_URL", "sqlite://applink.db")
            .env("APPLINK_MASTER_KEY", MASTER_KEY)
            .env("APPLINK_OPERATOR_KEY", OPERATOR_KEY)
            .env("APPLINK_ORG_ORIGINS", &self.org_url)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(self.file("serve.log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let ready: Value = serde_json::from_str(&line.expect("the control plane starts")).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        let id = i32::try_from(child.id().unwrap()).unwrap();
        self.proxy.script(|script| {
            script.victim = Some(Pid::from_raw(id));
            script.kill_at = None;
        });
        self.server = Some((child, url));
    }

    /// An app, an add-on, a key for it, and a connection by JWT.
    async fn set_up(&mut self) {
        self.operate("admin apps create my-app --url https://my-app.example").await;
        let created = self.operate("admin addons create --app my-app --json").await;
        self.addon = serde_json::from_str(&created).unwrap();
        let id = self.addon["id"].as_str().unwrap();
        let key = self.operate(&format!("admin keys create --owner me@example.com --addon {id}")).await;
        key.trim().clone_into(&mut self.key);
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
        let encode = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der.to_vec()));
        self.org.register_jwt_key(&encode("PUBLIC KEY", public.as_ref())).unwrap();
        self.write("key.pem", &encode("PRIVATE KEY", private.as_ref()));
        let line = format!(
            "salesforce:connect:jwt acme --client-id {} --jwt-key-file key.pem --username admin@acme.example \
             --login-url {}",
            self.org.jwt_client(),
            self.org_url
        );
        let connected = self.applink(&line).await;
        assert!(connected.status.success(), "{}", self.told(&connected));
    }

    /// A file in the folder, for its owner only.
    pub(crate) fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(self.file(name), text).unwrap();
        std::fs::set_permissions(self.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn url(&self) -> &str {
        &self.server.as_ref().unwrap().1
    }

    async fn operate(&self, line: &str) -> String {
        let ran = isolated(self.folder.path())
            .args(line.split_whitespace())
            .env("APPLINK_SERVER_URL", self.url())
            .env("APPLINK_OPERATOR_KEY", OPERATOR_KEY)
            .output()
            .await
            .unwrap();
        assert!(ran.status.success(), "{line}: {}", self.told(&ran));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs a command of the CLI as the app's developer.
    pub(crate) async fn applink(&self, line: &str) -> Output {
        let text = |pointer: &str| self.addon.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let running = isolated(self.folder.path())
            .args(line.split_whitespace())
            .env("HEROKU_APPLINK_API_URL", format!("{}/addons/{}", self.url(), text("/id")))
            .env("HEROKU_APPLINK_TOKEN", text("/token"))
            .env("HEROKU_APP_ID", text("/app/id"))
            .env("APPLINK_API_KEY", &self.key)
            .output();
        tokio::time::timeout(PATIENCE, running).await.expect("the command ends").unwrap()
    }

    /// What a command said, and the control plane's log, for the person who reads a failure.
    pub(crate) fn told(&self, ran: &Output) -> String {
        let log = std::fs::read_to_string(self.file("serve.log")).unwrap_or_default();
        format!("{}\n{}\nthe log:\n{log}", ran.status, String::from_utf8_lossy(&ran.stderr))
    }

    /// From now on calls are counted, and the control plane is killed at this one.
    pub(crate) fn kill_at(&self, call: usize, when: When) {
        self.proxy.script(|script| {
            script.calls.clear();
            script.kill_at = Some((call, when));
        });
    }

    /// Whether it was killed; then it is started again. The calls it had made by then.
    pub(crate) async fn restarted_if_killed(&mut self) -> Option<Vec<String>> {
        let calls = self.proxy.script(|script| {
            let was_killed = script.victim.is_none();
            script.kill_at = None;
            was_killed.then(|| script.calls.clone())
        })?;
        let (mut child, _) = self.server.take().unwrap();
        let status = child.wait().await.unwrap();
        assert!(!status.success(), "{status}");
        self.start_server().await;
        Some(calls)
    }

    /// What the org says of itself.
    pub(crate) async fn sim(&self, path: &str) -> Value {
        let request = self.proxy.client.get(format!("http://{}/_sim/{path}", self.org.addr()));
        let request = request.header("x-sim-key", self.org.sim_key().expose_secret());
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// The binary, seeing nothing of the developer's own settings.
fn isolated(folder: &Path) -> Command {
    let mut command = Command::new(APPLINK);
    command
        .env_clear()
        .env("HOME", folder)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
