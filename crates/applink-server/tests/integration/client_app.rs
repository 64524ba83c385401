//! What an external client app's settings do to a log-in, played by the org simulator: every refusal is told with the
//! step of `docs/external-client-app.md` that mends it, and mending it helps.

use applink_orgsim::RunningOrg;
use reqwest::Method;
use serde_json::{Value, json};

use crate::orgsim::{log_in_as, start};
use crate::stack::Stack;

const SIM_KEY: &str = "canary-sim-key";
/// Longer than any session and any pause.
const DAY: u64 = 86_400;

struct Sim {
    org: RunningOrg,
    client: String,
}

impl Sim {
    /// The service's own client in the org.
    async fn of(org: RunningOrg) -> Self {
        let listed = call(&org, Method::GET, "/_sim/oauth-clients", None).await;
        let key = org.oauth_client().0;
        let own = listed.as_array().unwrap().iter().find(|client| client["consumer_key"] == json!(key));
        let client = own.unwrap()["name"].as_str().unwrap().to_owned();
        Self { org, client }
    }

    /// Changes policies of the client.
    async fn set(&self, mut policies: Value) {
        policies["name"] = json!(self.client);
        call(&self.org, Method::POST, "/_sim/oauth-clients", Some(&policies)).await;
    }
}

async fn call(org: &RunningOrg, method: Method, path: &str, body: Option<&Value>) -> Value {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.request(method, format!("{}{path}", org.url())).header("x-sim-key", SIM_KEY);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Connects as the admin; status and sentence.
async fn connect(stack: &Stack, sim: &Sim, role: &str) -> (String, String) {
    let begun = stack.begin_connection("prod").await;
    log_in_as(stack, &sim.org, role, &begun, "allow").await;
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    let message = shown["error"]["message"].as_str().unwrap_or_default().to_owned();
    (shown["status"].as_str().unwrap().to_owned(), message)
}

/// What mends it, and what the sentence must say.
struct Case {
    what: &'static str,
    broken: Value,
    mended: Value,
    says: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let case = |what, broken, mended, says| Case { what, broken, mended, says };
    let all = json!({"scopes": ["api", "id", "refresh_token"], "withheld_scopes": []});
    vec![
        case("a client without a scope", json!({"scopes": ["api", "id"]}), all.clone(), &["scope", "step 2"]),
        case("no api", json!({"withheld_scopes": ["api"]}), all.clone(), &["`api`", "step 2"]),
        case("no identity", json!({"withheld_scopes": ["id"]}), all.clone(), &["`id`", "step 2"]),
        case(
            "no refresh",
            json!({"withheld_scopes": ["refresh_token"]}),
            all,
            &["`refresh_token`", "step 2"],
        ),
        case(
            "refresh tokens that expire at once",
            json!({"refresh_tokens_last_seconds": 0}),
            json!({"refresh_tokens_last_seconds": 100_000}),
            &["Refresh Token Policy", "step 3"],
        ),
        case(
            "an address that is not trusted",
            json!({"ip_restricted": true}),
            json!({"ip_restricted": false}),
            &["IP", "step 3"],
        ),
        case(
            "users an admin has to choose",
            json!({"admin_approved_profiles": ["Nobody"]}),
            json!({"self_authorized": true}),
            &["permission set", "step 4"],
        ),
        case(
            "a client that is switched off",
            json!({"enabled": false}),
            json!({"enabled": true}),
            &["blocked", "step 4"],
        ),
        case(
            "another callback",
            json!({"callbacks": ["https://elsewhere.example/oauth/callback"]}),
            json!({"callbacks": ["http://127.0.0.1:*/oauth/callback"]}),
            &[],
        ),
    ]
}

#[tokio::test]
async fn every_refusal_is_told_with_its_step_and_mending_it_helps() {
    let (stack, org) = start().await;
    let sim = Sim::of(org).await;
    for Case { what, broken, mended, says } in cases() {
        sim.set(broken).await;
        let (status, message) = connect(&stack, &sim, "admin").await;
        // Of a wrong callback the org tells the person and nobody else.
        let expected = if says.is_empty() { "connecting" } else { "failed" };
        assert_eq!(status, expected, "{what}: {message}");
        for word in says {
            assert!(message.contains(word), "{what}: `{word}` is missing in: {message}");
        }
        sim.set(mended).await;
        assert_eq!(connect(&stack, &sim, "admin").await.0, "connected", "{what}");
        stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
        stack.reconcile("grants").await;
    }
}

#[tokio::test]
async fn the_permission_is_named_and_the_step_that_gives_it() {
    let (stack, org) = start().await;
    let sim = Sim::of(org).await;
    let (status, message) = connect(&stack, &sim, "intern").await;
    assert_eq!(status, "failed");
    assert!(message.contains("Manage Heroku AppLink") && message.contains("step 4"), "{message}");
}

/// The address is refused only later, at a refresh: the grant lives, and the sentence reaches the app.
#[tokio::test]
async fn what_is_refused_at_a_refresh_is_told_to_the_app_and_passes_when_it_is_mended() {
    let (stack, org) = start().await;
    let sim = Sim::of(org).await;
    let begun = stack.begin_authorization("worker").await;
    log_in_as(&stack, &sim.org, "admin", &begun, "allow").await;
    for (broken, mended, step) in [
        (json!({"ip_restricted": true}), json!({"ip_restricted": false}), "step 3"),
        (json!({"enabled": false}), json!({"enabled": true}), "step 4"),
        (json!({"admin_approved_profiles": ["Nobody"]}), json!({"self_authorized": true}), "step 4"),
    ] {
        sim.set(broken).await;
        stack.advance(DAY);
        let refused = stack.app(Method::GET, "/authorizations/worker", None).await;
        let message = refused.expect_error(503, "unavailable");
        assert!(message.contains(step), "{message}");
        sim.set(mended).await;
        stack.advance(DAY);
        stack.token_of("worker").await;
    }
}

/// A grant that dies before its first refresh points at the policy.
#[tokio::test]
async fn a_refresh_token_that_expires_is_a_dead_grant_with_the_command() {
    let (stack, org) = start().await;
    let sim = Sim::of(org).await;
    let begun = stack.begin_authorization("worker").await;
    log_in_as(&stack, &sim.org, "admin", &begun, "allow").await;
    stack.token_of("worker").await;
    sim.set(json!({"refresh_tokens_last_seconds": 0})).await;
    stack.advance(DAY);
    let refused = stack.app(Method::GET, "/authorizations/worker", None).await;
    let message = refused.expect_error(422, "reauth_required");
    assert!(message.contains("salesforce:authorizations:add worker"), "{message}");
    assert!(message.contains("step 3"), "{message}");
}
