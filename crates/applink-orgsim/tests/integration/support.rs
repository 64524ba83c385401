//! An org, a browser, an OAuth client and a package builder.

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod package;

use applink_orgsim::{Clock, DeployMode, Entropy, MockClock, Org, OrgConfig, RunningOrg};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use browser::Browser;

pub(crate) const SIM_KEY: &str = "the key of these tests";
/// 2026-09-21T14:13:20Z.
pub(crate) const START_SECONDS: i64 = 1_790_000_000;
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:7700/oauth/callback";

pub(crate) struct TestOrg {
    pub(crate) org: RunningOrg,
    pub(crate) clock: MockClock,
    pub(crate) http: Client,
}

pub(crate) fn config() -> (OrgConfig, MockClock) {
    let (clock, handle) = Clock::mock(START_SECONDS * 1_000_000);
    let mut config = OrgConfig::new("Acme", SIM_KEY.to_owned().into());
    config.clock = clock;
    config.entropy = Entropy::seeded(7);
    (config, handle)
}

pub(crate) fn http_client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

impl TestOrg {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With deployments that move only when told.
    pub(crate) async fn start_stepped() -> Self {
        Self::start_with(|config| config.deploy_mode = DeployMode::Stepped).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut OrgConfig)) -> Self {
        let (mut config, clock) = config();
        adjust(&mut config);
        Self { org: Org::start(config).await.unwrap(), clock, http: http_client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.org.url())
    }

    pub(crate) fn username(&self, role: &str) -> String {
        self.user(role).username.clone()
    }

    pub(crate) fn user(&self, role: &str) -> &applink_orgsim::SampleUser {
        self.org.users().iter().find(|user| user.role == role).unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }

    /// A control call that must work.
    pub(crate) async fn sim(&self, path: &str) -> Value {
        let response = self.http.get(self.url(path)).header("x-sim-key", SIM_KEY).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn sim_post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let response =
            self.http.post(self.url(path)).header("x-sim-key", SIM_KEY).json(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn assign(&self, permission_set: &str, role: &str) {
        let body = json!({"permission_set": permission_set, "username": self.username(role)});
        let (status, answer) = self.sim_post("/_sim/permission-sets/assign", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// Runs a query as a fresh session of a user, or as an open one.
    pub(crate) async fn probe(&self, who: Value, soql: &str) -> (u64, Value) {
        let mut body = who;
        body["soql"] = soql.into();
        let (status, answer) = self.sim_post("/_sim/sessions/probe", &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        (answer["status"].as_u64().unwrap(), answer["body"].clone())
    }

    /// The authorize URL of the control plane's client.
    pub(crate) fn authorize_url(&self, extra: &[(&str, &str)]) -> String {
        let mut url = Url::parse(&self.url("/services/oauth2/authorize")).unwrap();
        let (consumer_key, _) = self.org.oauth_client();
        let defaults = [
            ("response_type", "code"),
            ("client_id", consumer_key.as_str()),
            ("redirect_uri", CALLBACK),
            ("state", "s1"),
            ("code_challenge", CHALLENGE),
        ];
        for (name, value) in
            defaults.iter().filter(|(name, _)| !extra.iter().any(|(other, _)| other == name)).chain(extra)
        {
            if !value.is_empty() {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        url.to_string()
    }

    /// Asks the token endpoint as the control plane's client.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let (key, secret) = self.org.oauth_client();
        let mut form = vec![("client_id", key.as_str()), ("client_secret", secret.expose_secret())];
        form.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
        form.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
        let response = self.http.post(self.url("/services/oauth2/token")).form(&form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn exchange(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// Signs a user in, allows, and exchanges the code.
    pub(crate) async fn tokens_of(&self, role: &str) -> Value {
        let mut browser = Browser::new(self);
        let code = browser.authorize_and_allow(&self.authorize_url(&[]), role).await;
        let (status, answer) = self.exchange(&code, VERIFIER).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    pub(crate) async fn access_token_of(&self, role: &str) -> String {
        self.tokens_of(role).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Deploys a package as a user and answers the finished result with its details.
    pub(crate) async fn deploy(&self, role: &str, package: &package::Package) -> Value {
        let token = self.access_token_of(role).await;
        let id = self.request_deploy(&token, package).await;
        self.wait_for_deploy(&token, &id).await
    }

    pub(crate) async fn request_deploy(&self, token: &str, package: &package::Package) -> String {
        let response = self
            .http
            .post(self.url("/services/data/v66.0/metadata/deployRequest"))
            .bearer_auth(token)
            .multipart(package.form())
            .send()
            .await
            .unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert_eq!(answer["deployResult"]["status"], "Pending");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Polls until the worker is done; bounded by the test runner's own patience.
    pub(crate) async fn wait_for_deploy(&self, token: &str, id: &str) -> Value {
        loop {
            let path = format!("/services/data/v66.0/metadata/deployRequest/{id}?includeDetails=true");
            let answer: Value = self.get(&path, token).await.json().await.unwrap();
            if answer["deployResult"]["done"] == true {
                return answer["deployResult"].clone();
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The decoded payload of a signed token.
pub(crate) fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
