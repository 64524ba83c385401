//! The stand-in for the Heroku Platform API: every field the stock CLI reads, and who may do what.

#[path = "platform/access.rs"]
mod access;
#[path = "platform/apps.rs"]
mod apps;
#[path = "platform/lifecycle.rs"]
mod lifecycle;
#[path = "platform/own_keys.rs"]
mod own_keys;
#[path = "platform/sign_on.rs"]
mod sign_on;

use applink_server::audit::Actor;
use applink_server::platform::{PlatformConfig, people};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::stack::{Answer, Stack};

pub(crate) const SALT: &str = "canary-sso-salt";

/// A server with the stand-in, and the owner of `my-app`.
pub(crate) struct Platform {
    pub(crate) stack: Stack,
    pub(crate) owner: String,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let stack = Stack::with(|config| {
            config.platform = Some(PlatformConfig::default());
            config.access.sso_salt = Some(SALT.into());
        })
        .await;
        let owner = key_of(&stack, "owner@acme.example").await;
        let platform = Self { stack, owner };
        platform.owner(Method::POST, "/apps", Some(&json!({"name": "platform-app"}))).await.expect(201);
        platform
    }

    /// A person with the key; `path` is absolute.
    pub(crate) async fn call(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers =
            [("authorization", bearer.as_str()), ("accept", "application/vnd.heroku+json; version=3")];
        self.stack.send(method, path, &headers, body).await
    }

    pub(crate) async fn owner(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call(&self.owner, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.owner(Method::GET, path, None).await.expect(200).json()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.owner(Method::POST, path, Some(&body)).await.expect(201).json()
    }

    /// Somebody else's key.
    pub(crate) async fn key(&self, email: &str) -> String {
        key_of(&self.stack, email).await
    }

    /// Provisions an add-on on an app to the end; the add-on as shown.
    pub(crate) async fn addon(&self, on: &str) -> Value {
        let made =
            self.post(&format!("/apps/{on}/addons"), json!({"plan": {"name": "heroku-applink"}})).await;
        self.stack.reconcile("platform add-ons").await;
        self.get(&format!("/apps/{on}/addons/{}", made["name"].as_str().unwrap())).await
    }
}

async fn key_of(stack: &Stack, email: &str) -> String {
    let app = stack.server.app();
    let person = people::ensure(app, &Actor::system(), email).await.unwrap();
    let made = people::create_key(app, &Actor::system(), &person).await.unwrap();
    made.key.expose_secret().to_owned()
}

/// Each path (`plan.price.cents`) leads to a value of this kind.
#[track_caller]
pub(crate) fn assert_has(value: &Value, texts: &[&str]) {
    for path in texts {
        let found = path.split('.').fold(value, |value, key| &value[key]);
        assert!(found.as_str().is_some_and(|text| !text.is_empty()), "{path} in {value}");
    }
}

#[tokio::test]
async fn it_is_not_there_unless_asked_for() {
    let stack = Stack::start().await;
    let key = key_of(&stack, "owner@acme.example").await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    for path in ["/account", "/apps", "/addon-attachments", "/operator/platform/keys"] {
        stack.send(Method::GET, path, &headers, None).await.expect_error(404, "record_not_found");
    }
}

#[tokio::test]
async fn other_hosts_and_other_sites_are_refused() {
    let platform = Platform::start().await;
    let bearer = format!("Bearer {}", platform.owner);
    let base = platform.stack.server.url().to_owned();
    let port = platform.stack.server.addr().port();
    let localhost = format!("localhost:{port}");
    for (host, origin, status) in [
        (None, None, 200),
        (Some(localhost.as_str()), None, 200),
        (None, Some(base.as_str()), 200),
        (Some("rebound.example"), None, 421),
        (Some("127.0.0.1.rebound.example"), None, 421),
        (None, Some("https://evil.example"), 403),
        (None, Some("null"), 403),
        (None, Some("http://127.0.0.1:1"), 403),
    ] {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(host.map(|host| ("host", host)));
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = platform.stack.send(Method::GET, "/account", &headers, None).await;
        assert_eq!(answer.status.as_u16(), status, "{host:?} {origin:?}: {}", answer.text);
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}
