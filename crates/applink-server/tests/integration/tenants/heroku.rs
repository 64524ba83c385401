//! The same over the routes that are Heroku's to describe: its Add-on Partner API, and the stand-in for its Platform API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CASES, Seen, made_up, parameters};
use crate::platform::Platform;
use crate::provider::{Provider, RESOURCE, SLUG};

const ROUTER: &str = include_str!("../../../src/router.rs");

/// The routes of a group as the router lists them, so that a new one can't be forgotten here.
fn routes(group: &str) -> Vec<(Method, String)> {
    let (_, after) = ROUTER.split_once(&format!("fn {group}() -> Router<App> {{")).expect("the group");
    let (body, _) = after.split_once("\n}\n").expect("its end");
    let mut found = Vec::new();
    for listed in body.split(".route(").skip(1) {
        let mut parts = listed.splitn(3, '"').skip(1);
        let (path, handlers) = (parts.next().expect("a path"), parts.next().expect("handlers"));
        let handlers = handlers.split(".layer(").next().unwrap_or_default();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if handlers.contains(&format!("{}(", method.as_str().to_lowercase())) {
                found.push((method, path.to_owned()));
            }
        }
    }
    found
}

fn filled(path: &str, mut value: impl FnMut(&str) -> String) -> String {
    let names = parameters(path);
    names.iter().fold(path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), &value(name)))
}

/// Somebody with an app, an add-on on it, its attachment, and a team.
struct Tenant {
    email: &'static str,
    key: String,
    app: Value,
    addon: Value,
    attachment: Value,
    team: &'static str,
}

impl Tenant {
    async fn of(platform: &Platform, email: &'static str, app: &str, team: &'static str) -> Self {
        let key = platform.key(email).await;
        let call = async |method: Method, path: &str, body: Value| {
            let answer = platform.call(&key, method, path, (!body.is_null()).then_some(&body)).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.text);
            answer.json()
        };
        let made = call(Method::POST, "/apps", json!({"name": app})).await;
        let attached = format!("{}_LINK", team.to_uppercase());
        let body = json!({"plan": "heroku-applink", "attachment": {"name": attached}});
        let addon = call(Method::POST, &format!("/apps/{app}/addons"), body).await;
        platform.stack.reconcile("platform add-ons").await;
        let path = format!("/apps/{app}/addon-attachments/{attached}");
        let attachment = call(Method::GET, &path, Value::Null).await;
        let operator = async |method: Method, path: &str, body: Value| {
            let answer = platform.stack.operator(method, path, Some(&body)).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.text);
        };
        operator(Method::POST, "/operator/platform/teams", json!({"name": team})).await;
        let path = format!("/operator/platform/teams/{team}/members");
        operator(Method::PUT, &path, json!({"email": email, "admin": true})).await;
        Self { email, key, app: made, addon, attachment, team }
    }

    /// What a path parameter, or a field of a body, may hold of theirs.
    fn values(&self, parameter: &str) -> Vec<String> {
        let both = |of: &Value| ["id", "name"].map(|key| of[key].as_str().unwrap().to_owned()).to_vec();
        match parameter {
            "app" => both(&self.app),
            "addon" => both(&self.addon),
            "attachment" | "addon_attachment" => both(&self.attachment),
            "email" => vec![self.email.to_owned()],
            "team" => vec![self.team.to_owned()],
            "key" => vec![Uuid::from_u128(1).to_string()],
            other => panic!("say in this test what somebody's `{other}` is"),
        }
    }

    fn value(&self, parameter: &str) -> String {
        self.values(parameter).remove(0)
    }

    async fn all(&self, platform: &Platform) -> Vec<Value> {
        let app = self.value("app");
        let mut all = Vec::new();
        for path in ["addons", "addon-attachments", "config-vars", "collaborators", "releases"] {
            let path = format!("/apps/{app}/{path}");
            all.push(platform.call(&self.key, Method::GET, &path, None).await.expect(200).json());
        }
        for addon in all[1].as_array_mut().unwrap() {
            // A one-time link, another each time.
            addon["web_url"] = Value::Null;
        }
        all
    }
}

/// What these routes want to read.
fn body(method: &Method, path: &str, own: &Tenant) -> Option<Value> {
    match *method {
        Method::GET | Method::DELETE => None,
        _ if path.ends_with("/config-vars") => Some(json!({"A": "1"})),
        _ => Some(json!({
            "addon": own.value("addon"), "addon_attachment": own.value("attachment"), "admin": true,
            "app": own.value("app"), "email": own.email, "permissions": ["view"], "plan": "heroku-applink",
            "user": own.email,
        })),
    }
}

/// Fields of bodies that name something of somebody's: the others are the stranger's own. Not so the app one makes, whose
/// name must be nobody's, and the colleague one adds.
const NAMED_IN_BODIES: [(&str, &[&str], &str); 10] = [
    ("/apps", &[], "team"),
    ("/teams/apps", &[], "team"),
    ("/addon-attachments", &["app"], "addon"),
    ("/addon-attachments", &["addon"], "app"),
    ("/actions/addons/resolve", &[], "addon"),
    ("/actions/addons/resolve", &["app"], "addon"),
    ("/actions/addons/resolve", &["addon"], "app"),
    ("/actions/addon-attachments/resolve", &[], "addon_attachment"),
    ("/actions/addon-attachments/resolve", &["app"], "addon_attachment"),
    ("/actions/addon-attachments/resolve", &["addon_attachment"], "app"),
];

#[tokio::test]
async fn at_the_stand_in_what_is_anothers_answers_byte_for_byte_as_what_does_not_exist() {
    let platform = Platform::start().await;
    let victim = Tenant::of(&platform, "victim@acme.example", "victim-app", "victim").await;
    let stranger = Tenant::of(&platform, "stranger@acme.example", "their-app", "their").await;
    let before = (victim.all(&platform).await, stranger.all(&platform).await);
    let random = &mut ChaCha20Rng::seed_from_u64(47);
    let call = async |method: &Method, path: &str, body: Option<&Value>| {
        Seen::from(platform.call(&stranger.key, method.clone(), path, body).await)
    };
    let mut compared = 0;
    let all = routes("platform");
    assert!(all.len() > 30, "{all:?}");
    for (method, path) in &all {
        let body = body(method, path, &stranger);
        let expected = if path.starts_with("/operator/") { 401 } else { 404 };
        for foreign in &parameters(path) {
            let fill = |value: &str| {
                filled(path, |name| if name == foreign { value.to_owned() } else { stranger.value(name) })
            };
            for value in victim.values(foreign) {
                let seen = call(method, &fill(&value), body.as_ref()).await;
                assert_eq!(seen.status, expected, "{method} {path} with {foreign} {value}: {seen:?}");
                for _ in 0..CASES {
                    let missing = call(method, &fill(&made_up(random, &value)), body.as_ref()).await;
                    assert_eq!(missing, seen, "{method} {path} with {foreign} {value}");
                    compared += 1;
                }
            }
        }
        if *method == Method::GET && parameters(path).is_empty() {
            let seen = call(method, path, None).await;
            for name in ["app", "addon", "attachment", "email", "team"] {
                for value in victim.values(name) {
                    assert!(!seen.body.contains(&value), "{path} tells {name} {value}: {seen:?}");
                }
            }
        }
    }
    for (path, own, foreign) in NAMED_IN_BODIES {
        assert!(all.contains(&(Method::POST, path.to_owned())), "{path}");
        let filled = |value: &str| {
            let own = own.iter().map(|name| ((*name).to_owned(), json!(stranger.value(name))));
            Value::Object(own.chain([(foreign.to_owned(), json!(value))]).collect())
        };
        for value in victim.values(foreign) {
            let seen = call(&Method::POST, path, Some(&filled(&value))).await;
            assert_eq!(seen.status, 404, "{path} with {foreign} {value}: {seen:?}");
            let missing = call(&Method::POST, path, Some(&filled(&made_up(random, &value)))).await;
            assert_eq!(missing, seen, "{path} with {foreign} {value}");
            compared += 1;
        }
    }
    for (path, field) in
        [("/actions/addons/resolve", "addon"), ("/actions/addon-attachments/resolve", "addon_attachment")]
    {
        let named = async |app: &str| {
            let attachment = victim.attachment["name"].as_str().unwrap();
            call(&Method::POST, path, Some(&json!({field: format!("{app}::{attachment}")}))).await
        };
        let seen = named("victim-app").await;
        assert_eq!(seen.status, 404, "{seen:?}");
        assert_eq!(named("missing-app").await, seen, "{path}");
    }
    assert!(compared > 150, "{compared}");
    assert_eq!((victim.all(&platform).await, stranger.all(&platform).await), before);
}

#[tokio::test]
async fn at_the_partner_api_only_heroku_finds_what_heroku_made_and_nothing_else() {
    let provider = Provider::start().await;
    provider.provision().await;
    let random = &mut ChaCha20Rng::seed_from_u64(48);
    let tenant = provider.stack.tenant.clone();
    let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{SLUG}:{secret}")));
    let bearer = |secret: &str| format!("Bearer {secret}");
    let all = routes("heroku");
    assert_eq!(all.len(), 3, "{all:?}");
    for (method, path) in &all {
        let body = (*method != Method::DELETE).then(|| json!({"plan": "team"}));
        let as_heroku = async |resource: &str| {
            let path = filled(path, |_| resource.to_owned());
            Seen::from(provider.heroku(method.clone(), &path, body.as_ref()).await)
        };
        let as_somebody = async |authorization: &str, resource: &str| {
            let headers = [("authorization", authorization)];
            let path = filled(path, |_| resource.to_owned());
            Seen::from(provider.stack.send(method.clone(), &path, &headers, body.as_ref()).await)
        };
        // An add-on of this server that is none of Heroku's.
        let foreign = tenant.addon.to_string();
        let seen = as_heroku(&foreign).await;
        if !parameters(path).is_empty() {
            assert_eq!(seen.status, 404, "{method} {path}: {seen:?}");
        }
        for _ in 0..CASES {
            assert_eq!(as_heroku(&made_up(random, &foreign)).await, seen, "{method} {path}");
        }
        for authorization in
            [bearer(&tenant.token), bearer(&tenant.api_key), basic(&tenant.token), basic(&tenant.api_key)]
        {
            let seen = as_somebody(&authorization, RESOURCE).await;
            assert_eq!(seen.status, 401, "{method} {path}: {seen:?}");
            assert_eq!(as_somebody(&authorization, &made_up(random, RESOURCE)).await, seen);
        }
    }
    provider.stack.manager(Method::GET, "/connections", None).await.expect(200);
    let plan = json!({"plan": "team"});
    provider.heroku(Method::PUT, &provider.resource(), Some(&plan)).await.expect(200);
}
