//! OpenBao itself, in its development mode; only where `APPLINK_TEST_OPENBAO` names the program.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the documentation has an operator write.
const POLICY: &str = r#"
path "transit/encrypt/applink" { capabilities = ["update"] }
path "transit/decrypt/applink" { capabilities = ["update"] }
"#;
const ROOT: &str = "canary-root-token";

/// A server with a transit engine and a key; dropping it ends it.
pub(super) struct OpenBao {
    pub(super) url: String,
    server: Child,
    http: reqwest::Client,
    _home: TempDir,
}

impl OpenBao {
    pub(super) async fn start() -> Option<Self> {
        let program = std::env::var_os("APPLINK_TEST_OPENBAO")?;
        let home = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id", ROOT])
            .arg(format!("-dev-listen-address={address}"))
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenBao starts");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let own = Self { url: format!("http://{address}"), server, http, _home: home };
        own.answers().await;
        own.write("sys/mounts/transit", json!({"type": "transit"})).await;
        own.write("transit/keys/applink", json!({})).await;
        own.write("sys/policies/acl/applink", json!({"policy": POLICY})).await;
        Some(own)
    }

    async fn answers(&self) {
        for _ in 0..600 {
            let health = self.http.get(format!("{}/v1/sys/health", self.url)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("OpenBao does not answer within 30 seconds");
    }

    /// As its operator.
    pub(super) async fn write(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/v1/{path}", self.url)).header("x-vault-token", ROOT);
        let answer = request.json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// A token that may do what the documentation says is needed.
    pub(super) async fn token(&self) -> String {
        let made = self.write("auth/token/create", json!({"policies": ["applink"]})).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
