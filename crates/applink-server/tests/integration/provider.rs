//! Being a Heroku add-on, towards a fake Heroku whose JSON is written out here.

#[path = "provider/deprovision.rs"]
mod deprovision;
#[path = "provider/fake_heroku.rs"]
mod fake_heroku;
#[path = "provider/provision.rs"]
mod provision;

use applink_server::provider::ProviderConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Answer, Stack};
use fake_heroku::FakeHeroku;

pub(crate) const SLUG: &str = "heroku-applink";
pub(crate) const PASSWORD: &str = "canary-manifest-password";
pub(crate) const SALT: &str = "canary-sso-salt";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";
pub(crate) const RESOURCE: &str = "01234567-89ab-4def-8123-456789abcdef";

/// A server that is an add-on of a fake Heroku.
pub(crate) struct Provider {
    pub(crate) stack: Stack,
    pub(crate) heroku: FakeHeroku,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let heroku = FakeHeroku::start().await;
        let url: url::Url = heroku.url().parse().unwrap();
        let stack = Stack::with(|config| {
            config.access.sso_salt = Some(SALT.into());
            config.provider = Some(ProviderConfig {
                slug: SLUG.to_owned(),
                password: PASSWORD.into(),
                client_secret: CLIENT_SECRET.into(),
                api_url: url.clone(),
                id_url: url,
                config_vars_prefix: ProviderConfig::derived_prefix(SLUG),
                plans: vec!["free".to_owned(), "team".to_owned()],
            });
        })
        .await;
        Self { stack, heroku }
    }

    /// Heroku calls.
    pub(crate) async fn heroku(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call(method, path, body, SLUG, PASSWORD).await
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        user: &str,
        password: &str,
    ) -> Answer {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        self.stack.send(method, path, &[("authorization", basic.as_str())], body).await
    }

    pub(crate) async fn post(&self, code: &str) -> Answer {
        self.heroku(Method::POST, "/heroku/resources", Some(&request(code))).await
    }

    /// One step of whatever is due.
    pub(crate) async fn step(&self) {
        self.stack.reconcile("provider resources").await;
    }

    /// Provisions to the end; the config vars Heroku has then.
    pub(crate) async fn provision(&self) -> Value {
        self.post("code-1").await.expect(202);
        for _ in 0..4 {
            self.step().await;
        }
        assert_eq!(self.heroku.script().provisioned, 1);
        self.heroku.script().config.clone()
    }

    pub(crate) fn resource(&self) -> String {
        format!("/heroku/resources/{RESOURCE}")
    }

    /// An app of the add-on, at run time.
    pub(crate) async fn app(&self, token: &str, app: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("x-app-uuid", app)];
        self.stack.send(Method::GET, &format!("/addons/{RESOURCE}{path}"), &headers, None).await
    }
}

/// What Heroku sends, the parts we don't read included.
pub(crate) fn request(code: &str) -> Value {
    json!({
        "callback_url": format!("https://api.heroku.com/addons/{RESOURCE}"),
        "name": "applink-regular-78506",
        "oauth_grant": {"code": code, "expires_at": "2026-01-01T00:05:00Z", "type": "authorization_code"},
        "options": {},
        "plan": "free",
        "region": "amazon-web-services::us-east-1",
        "uuid": RESOURCE,
        "log_input_url": null,
    })
}
