//! API keys that people make for an add-on, where we are the platform too: what they may do, and when they end.

use applink_server::audit::{self, Actor};
use applink_server::platform::{people, store};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::Platform;
use super::sign_on::sign_on;
use crate::stack::Answer;

const DEV: &str = "dev@acme.example";

/// An add-on of the owner's, a person who may deploy its app, and their key.
struct OwnKey {
    platform: Platform,
    api: String,
    token: String,
    key: String,
    id: String,
    addon: Value,
}

impl OwnKey {
    async fn made() -> Self {
        let platform = Platform::start().await;
        let addon = platform.addon("platform-app").await;
        let theirs = platform.key(DEV).await;
        let own = Self {
            platform,
            api: String::new(),
            token: String::new(),
            key: String::new(),
            id: String::new(),
            addon,
        };
        own.may("platform-app", &["deploy"]).await;
        let signed = sign_on(&own.platform, &theirs).await;
        let (bearer, sso) = (format!("Bearer {}", signed.token), STANDARD.encode(signed.blob.to_string()));
        let headers = [("authorization", bearer.as_str()), ("x-addon-sso", sso.as_str())];
        let path = format!("{}/keys", signed.api);
        let made =
            own.platform.stack.send(Method::POST, &path, &headers, Some(&json!({}))).await.expect(201).json();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { api: signed.api, token: signed.token, key: text("key"), id: text("id"), ..own }
    }

    async fn may(&self, on: &str, permissions: &[&str]) {
        let body = json!({"user": DEV, "permissions": permissions});
        self.platform.post(&format!("/apps/{on}/collaborators"), body).await;
    }

    async fn with(&self, secret: &str, method: Method, path: &str, app: Option<&str>) -> Answer {
        let bearer = format!("Bearer {secret}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(app.map(|app| ("x-app-uuid", app)));
        let body = match (&method, path) {
            (&Method::POST, "/connections/salesforce") => Some(json!({"connection_name": "prod"})),
            _ => None,
        };
        self.platform.stack.send(method, &format!("{}{path}", self.api), &headers, body.as_ref()).await
    }

    async fn look(&self) -> Answer {
        self.with(&self.key, Method::GET, "/connections", None).await
    }

    async fn connect(&self, through: Option<&str>) -> Answer {
        self.with(&self.key, Method::POST, "/connections/salesforce", through).await
    }

    /// As a manager of the add-on sees it; none when it is listed no more.
    async fn listed(&self) -> Option<Value> {
        let signed = sign_on(&self.platform, &self.platform.owner).await;
        let (bearer, sso) = (format!("Bearer {}", self.token), STANDARD.encode(signed.blob.to_string()));
        let headers = [("authorization", bearer.as_str()), ("x-addon-sso", sso.as_str())];
        let path = format!("{}/keys", self.api);
        let all = self.platform.stack.send(Method::GET, &path, &headers, None).await.expect(200).json();
        all.as_array().unwrap().iter().find(|one| one["id"] == self.id.as_str()).cloned()
    }

    async fn app(&self, name: &str) -> String {
        self.platform.get(&format!("/apps/{name}")).await["id"].as_str().unwrap().to_owned()
    }

    async fn attach_to(&self, name: &str) {
        self.platform.owner(Method::POST, "/apps", Some(&json!({"name": name}))).await.expect(201);
        let body = json!({"addon": self.addon["name"], "app": name, "name": "HEROKU_APPLINK"});
        self.platform.post("/addon-attachments", body).await;
    }
}

#[tokio::test]
async fn it_works_through_no_other_app_than_its_maker() {
    let own = OwnKey::made().await;
    own.attach_to("other-app").await;
    let (theirs, other) = (own.app("platform-app").await, own.app("other-app").await);
    let message = own.connect(Some(&other)).await.expect_error(403, "forbidden");
    assert!(message.contains("x-app-uuid"), "{message}");
    let made = own.connect(Some(&theirs)).await.expect(202).json();
    assert_eq!(made["created_by"], json!(DEV));
    // Without one that is named it is the only app of theirs.
    own.connect(None).await.expect(202);
    own.may("other-app", &["operate"]).await;
    own.connect(Some(&other)).await.expect(202);
}

#[tokio::test]
async fn it_ends_with_its_maker_s_right_and_does_not_come_back() {
    for taken in ["view only", "taken off"] {
        let own = OwnKey::made().await;
        own.attach_to("other-app").await;
        own.may("other-app", &["operate"]).await;
        own.look().await.expect(200);
        let of = |app: &str| format!("/teams/apps/{app}/collaborators/{DEV}");
        // One right is left, which is enough.
        own.platform.owner(Method::DELETE, &of("other-app"), None).await.expect(200);
        own.look().await.expect(200);
        assert_eq!(own.listed().await.unwrap()["follows_owner"], json!(true));
        match taken {
            "view only" => {
                let body = json!({"permissions": ["view"]});
                own.platform.owner(Method::PATCH, &of("platform-app"), Some(&body)).await.expect(200);
            }
            _ => {
                own.platform.owner(Method::DELETE, &of("platform-app"), None).await.expect(200);
            }
        }
        own.look().await.expect_error(401, "unauthorized");
        own.connect(None).await.expect_error(401, "unauthorized");
        assert_eq!(own.listed().await, None, "{taken}");
        own.may("platform-app", &["deploy"]).await;
        own.look().await.expect_error(401, "unauthorized");
        let addon = own.addon["id"].as_str().unwrap().parse().unwrap();
        let reader = own.platform.stack.server.app().store.reader();
        let rows = audit::store::rows_of_addon(reader, addon, 1_000_000).await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.action == "api_key.revoked").count(), 1, "{taken}");
    }
}

#[tokio::test]
async fn a_right_that_goes_in_any_other_way_is_missed_at_the_next_use() {
    let own = OwnKey::made().await;
    let stack = &own.platform.stack;
    let link = own.with(&own.key, Method::POST, "/sign-in-links", None).await.expect(201).json();
    let ticket = link["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let open = format!("{}/sso/open", stack.server.url());
    let cookie = stack.submit(&open, None, &[("ticket", ticket)]).await.expect(303).cookie();
    let settings = format!("{}/dashboard/settings", stack.server.url());
    let seen = stack.browse(&settings, Some(&cookie)).await.expect(200);
    assert!(seen.text.contains("may do what they may"), "{}", seen.text);

    // Past the routes, as a detached app or a lost row would have it.
    let app = stack.server.app();
    let dev = people::ensure(app, &Actor::system(), DEV).await.unwrap();
    let on = own.app("platform-app").await.parse().unwrap();
    let tx = app.store.begin().await.unwrap();
    assert!(store::teams::remove_collaborator(&*tx, on, dev.id).await.unwrap());
    tx.commit().await.unwrap();
    own.look().await.expect_error(403, "forbidden");
    let message = own.connect(None).await.expect_error(403, "forbidden");
    assert!(message.contains("Who made this key"), "{message}");
    own.with(&own.key, Method::POST, "/sign-in-links", None).await.expect_error(403, "forbidden");
    stack.browse(&settings, Some(&cookie)).await.expect(403);
}

#[tokio::test]
async fn one_that_never_reached_its_maker_is_told_by_never_used() {
    let own = OwnKey::made().await;
    let listed = own.listed().await.unwrap();
    assert_eq!((&listed["owner"], &listed["first_used_at"]), (&json!(DEV), &Value::Null));
    own.platform.stack.advance(60);
    own.look().await.expect(200);
    let first = own.listed().await.unwrap()["first_used_at"].clone();
    assert!(first.is_string(), "{first}");
    own.platform.stack.advance(60);
    own.look().await.expect(200);
    assert_eq!(own.listed().await.unwrap()["first_used_at"], first);
}
