//! Data Cloud against the simulator: connecting, tenant tokens, data action targets, and what they send.

use applink_orgsim::{Org, OrgConfig, RunningOrg};
use applink_server::config::LoginClient;
use applink_server::tokens::points::Points;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::fake_org::SigningPair;
use crate::orgsim::log_in_as;
use crate::receiver::Receiver;
use crate::stack::{Answer, Stack};
use crate::way::Way;

const LOGIN: &str = "https://login.salesforce.com";
pub(crate) const TARGETS: &str = "/connections/datacloud/lake/data_action_targets";

pub(crate) async fn start() -> (Stack, RunningOrg) {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(adjust: impl FnOnce(&mut OrgConfig)) -> (Stack, RunningOrg) {
    let mut config = OrgConfig::new("Acme", "canary-sim-key".into());
    adjust(&mut config);
    start_on(config, Points::default()).await
}

pub(crate) async fn start_on(config: OrgConfig, points: Points) -> (Stack, RunningOrg) {
    let org = Org::start(config).await.unwrap();
    let (client_id, secret) = org.oauth_client();
    let stack = Stack::with(|config| {
        config.points = points;
        config.org_hosts = config.org_hosts.clone().lead(LOGIN, org.url()).unwrap();
        config.oauth.clients =
            vec![LoginClient { login_host: None, client_id, client_secrets: vec![secret] }];
    })
    .await;
    (stack, org)
}

/// An org to which there is but one way.
pub(crate) async fn start_behind_a_way(adjust: impl FnOnce(&mut OrgConfig)) -> (Stack, RunningOrg, Way) {
    let way = Way::start().await;
    let url = way.url().parse().unwrap();
    let (stack, org) = start_with(|config| {
        config.public_url = Some(url);
        adjust(config);
    })
    .await;
    way.lead_to(org.addr());
    (stack, org, way)
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn sim(org: &RunningOrg, path: &str, body: &Value) -> Value {
    let request = http().post(format!("{}/_sim{path}", org.url())).json(body);
    let answer = request.header("x-sim-key", org.sim_key().expose_secret()).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

pub(crate) async fn looked(org: &RunningOrg, path: &str) -> Value {
    let request = http().get(format!("{}/_sim{path}", org.url()));
    request.header("x-sim-key", org.sim_key().expose_secret()).send().await.unwrap().json().await.unwrap()
}

pub(crate) async fn begin(stack: &Stack, what: &str, name: &str) -> Value {
    let key = if what == "connections" { "connection_name" } else { "developer_name" };
    let path = format!("/{what}/datacloud");
    stack.manager(Method::POST, &path, Some(&json!({key: name}))).await.expect(202).json()
}

pub(crate) async fn connect(stack: &Stack, org: &RunningOrg) {
    let begun = begin(stack, "connections", "lake").await;
    let page = log_in_as(stack, org, "admin", &begun, "allow").await;
    assert!(page.contains("lake is connected"), "{page}");
}

async fn query(token: &str, url: &str) -> u16 {
    let request = http().post(format!("{url}/api/v2/query")).json(&json!({"sql": "SELECT 1"}));
    request.bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// As the CLI of an app that says who it is.
pub(crate) async fn as_app(stack: &Stack, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {}", stack.tenant.api_key);
    let app = stack.tenant.app.to_string();
    let headers = [("authorization", bearer.as_str()), ("x-app-uuid", app.as_str())];
    stack.send(method, &stack.path(path), &headers, body).await
}

pub(crate) async fn set_app_url(stack: &Stack, url: &str) {
    let path = format!("/operator/apps/{}/url", stack.tenant.app);
    stack.operator(Method::PUT, &path, Some(&json!({"url": url}))).await.expect(200);
}

/// A target called `Clicks`, made up to its end.
pub(crate) async fn make_target(stack: &Stack) -> Value {
    let body = json!({"api_name": "Clicks", "label": "Click events", "target_endpoint": "/clicks", "type": "webhook"});
    as_app(stack, Method::POST, TARGETS, Some(&body)).await.expect(202);
    settle(stack, "Clicks").await
}

/// Reconciles until the target is where nothing more happens by itself.
pub(crate) async fn settle(stack: &Stack, name: &str) -> Value {
    for _ in 0..200 {
        stack.reconcile("data action targets").await;
        let shown = stack.manager(Method::GET, &format!("{TARGETS}/{name}"), None).await.expect(200).json();
        if ["created", "creation_failed"].contains(&shown["status"].as_str().unwrap()) {
            return shown;
        }
        // Past every pause; the org's own worker goes on meanwhile.
        stack.advance(3);
        tokio::task::yield_now().await;
    }
    panic!("{name} does not settle");
}

/// An action on clicks, a click, and what the app got of it.
async fn click(stack: &Stack, org: &RunningOrg, app: &Receiver, id: &str) -> (String, String) {
    let actions = looked(org, "/data-cloud/actions").await;
    if actions.as_array().unwrap().is_empty() {
        let action = json!({"developerName": "OnClick", "dataActionTargetNames": ["Clicks"],
            "dataActionSources": [{"sourceName": "ClickEvent__dlm"}]});
        sim(org, "/data-cloud/actions", &action).await;
    }
    let answer = stack.app(Method::GET, "/authorizations/loader", None).await.expect(200).json();
    let (url, token) = (&answer["org"]["instance_url"], &answer["org"]["user_auth"]["access_token"]);
    let row = json!({"eventId": id, "visitor": "v", "page": "/p", "action": "view", "product": null, "quantity": 1,
        "occurredAt": "2026-01-01T00:00:00Z"});
    let url = format!("{}/api/v1/ingest/sources/AcmeWeb/ClickEvent", url.as_str().unwrap());
    let request = http().post(url).bearer_auth(token.as_str().unwrap()).json(&json!({"data": [row]}));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 202);
    sim(org, "/data-cloud/run", &json!({})).await;
    let got = app.take().pop().expect("a webhook");
    (got.header("x-signature").to_owned(), got.body)
}

/// As the mesh asks.
async fn ask(stack: &Stack, org: &RunningOrg, signature: &str, payload: &str) -> Answer {
    let question =
        json!({"api_name": "Clicks", "org_id": org.org_id(), "signature": signature, "payload": payload});
    stack.app(Method::POST, "/data_action_targets/authenticate", Some(&question)).await
}

#[tokio::test]
async fn an_app_gets_the_tenants_url_and_token_which_is_replaced_before_it_ends() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    let shown = stack.manager(Method::GET, "/connections/lake", None).await.expect(200).json();
    assert_eq!((&shown["status"], &shown["org"]["type"]), (&json!("connected"), &json!("DataCloudOrg")));
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;

    let answer = stack.app(Method::GET, "/authorizations/loader", None).await.expect(200).json();
    assert_eq!(answer["org"]["instance_url"], org.url(), "a loopback org keeps its scheme");
    let first = stack.token_of("loader").await;
    assert!(first.starts_with("eyJ"), "not the org's own session");
    assert_eq!(query(&first, org.url()).await, 200);
    assert_eq!(stack.token_of("loader").await, first, "the same while it is good");
    stack.advance(5_000);
    assert_eq!(stack.token_of("loader").await, first);
    stack.advance(500);
    assert_eq!(stack.token_of("loader").await, first, "another one is fetched behind");
    stack.settled().await;
    let second = stack.token_of("loader").await;
    assert_ne!(second, first, "a quarter of its two hours was left");
    assert_eq!(query(&second, org.url()).await, 200);

    stack.advance(10);
    let path = "/authorizations/loader/refresh";
    let third = stack.app(Method::POST, path, None).await.expect(200).json();
    let third = third["org"]["user_auth"]["access_token"].as_str().unwrap().to_owned();
    assert_ne!(third, second, "the client says that it was refused");
    let again = stack.app(Method::POST, path, None).await.expect(200).json();
    assert_eq!(again["org"]["user_auth"]["access_token"], third, "a young one is handed out again");
}

#[tokio::test]
async fn while_the_org_is_away_the_tenants_token_is_handed_out_as_long_as_it_lives() {
    let (stack, org) = start().await;
    // Shorter than the tenant's token lives.
    sim(&org, "/oauth-clients", &json!({"name": "AppLink_Control_Plane", "session_timeout_minutes": 15}))
        .await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    let token = stack.token_of("loader").await;
    stack.settled().await;
    org.stop().await;
    stack.advance(2_000);
    assert_eq!(stack.token_of("loader").await, token);
    stack.advance(5_300);
    let gone = stack.app(Method::GET, "/authorizations/loader", None).await;
    gone.expect_error(503, "unavailable");
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named() {
    let (stack, org) = start().await;
    let client = json!({"name": "AppLink_Control_Plane", "withheld_scopes": ["cdp_ingest_api"]});
    sim(&org, "/oauth-clients", &client).await;
    let begun = begin(&stack, "connections", "lake").await;
    let page = log_in_as(&stack, &org, "admin", &begun, "allow").await;
    assert!(page.contains("cdp_ingest_api") && page.contains("Ingestion API"), "{page}");
    let shown = stack.manager(Method::GET, "/connections/lake", None).await.expect(200).json();
    assert_eq!(shown["status"], "failed");
    let begun = stack.begin_connection("plain").await;
    let page = log_in_as(&stack, &org, "admin", &begun, "allow").await;
    assert!(page.contains("plain is connected"), "a Salesforce org needs none of them: {page}");
}

#[tokio::test]
async fn a_user_is_authorized_by_jwt_too() {
    let (stack, org) = start().await;
    let pair = SigningPair::generate("k");
    org.register_jwt_key(&pair.public_pem).unwrap();
    let username = &org.users().iter().find(|user| user.role == "integration").unwrap().username;
    stack.clock.set(applink_api::clock::Clock::system().now());
    let body = json!({"alias": "applink:loader", "client_id": org.jwt_client(), "developer_name": "loader",
        "jwt_private_key": pair.pem, "username": username});
    let made =
        stack.manager(Method::POST, "/authorizations/datacloud/jwt", Some(&body)).await.expect(202).json();
    assert_eq!((&made["status"], &made["org"]["type"]), (&json!("authorized"), &json!("DataCloudOrg")));
    assert_eq!(query(&stack.token_of("applink:loader").await, org.url()).await, 200);
    // A client that is short of a scope is told, and leaves no row.
    let scopes = json!(["api", "id", "cdp_ingest_api", "cdp_profile_api"]);
    sim(&org, "/oauth-clients", &json!({"name": "AppLink_JWT", "scopes": scopes})).await;
    let mut other = body.clone();
    (other["developer_name"], other["alias"]) = (json!("second"), json!("applink:second"));
    let refused = stack.manager(Method::POST, "/authorizations/datacloud/jwt", Some(&other)).await;
    let message = refused.expect_error(422, "authentication_failed");
    assert!(message.contains("cdp_query_api") && message.contains("ANSI SQL"), "{message}");
    stack.manager(Method::GET, "/authorizations/second", None).await.expect(404);
}

#[tokio::test]
async fn a_target_is_made_in_the_org_and_what_it_sends_is_verified() {
    let (stack, org) = start().await;
    let app = Receiver::start().await;
    set_app_url(&stack, app.url()).await;
    connect(&stack, &org).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;

    let body = json!({"label": "Click events", "api_name": "Clicks", "target_endpoint": "/clicks", "type": "webhook"});
    let message =
        stack.manager(Method::POST, TARGETS, Some(&body)).await.expect_error(422, "validation_failed");
    assert!(message.contains("HEROKU_APP_ID"), "{message}");
    let made = as_app(&stack, Method::POST, TARGETS, Some(&body)).await.expect(202).json();
    assert_eq!((&made["status"], &made["heroku_app"]["name"]), (&json!("pending"), &json!("my-app")));
    let query = format!("apiName=Clicks&orgId={}", org.org_id());
    assert_eq!(made["endpoint_url"], format!("{}/clicks?{query}", app.url()));
    stack.reconcile("data action targets").await;
    let message = ask(&stack, &org, "x", "{}").await.expect_error(403, "signing_key_not_found");
    assert!(message.starts_with("Signing Key Not Found: "), "{message}");
    as_app(&stack, Method::POST, TARGETS, Some(&body)).await.expect_error(409, "conflict");
    assert_eq!(settle(&stack, "Clicks").await["status"], "created");
    let listed = stack.manager(Method::GET, TARGETS, None).await.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(looked(&org, "/data-cloud/targets").await[0]["status"], "Active");

    let (signature, payload) = click(&stack, &org, &app, "e1").await;
    ask(&stack, &org, &signature, &payload).await.expect(200);
    let mut flipped = payload.clone().into_bytes();
    flipped[10] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    ask(&stack, &org, &signature, &flipped).await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_rotated_key_counts_beside_the_new_one_for_an_hour() {
    let (stack, org) = start().await;
    let app = Receiver::start().await;
    set_app_url(&stack, app.url()).await;
    connect(&stack, &org).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    make_target(&stack).await;
    let (old, payload) = click(&stack, &org, &app, "e1").await;
    let rotate = format!("{TARGETS}/Clicks/rotate_signing_key");
    let asked = stack.manager(Method::POST, &rotate, None).await.expect(202).json();
    assert_eq!(asked["status"], "generating_signing_key");
    ask(&stack, &org, &old, &payload).await.expect(200);
    let rotated = settle(&stack, "Clicks").await;
    assert_eq!(rotated["status"], "created");
    let (new, other) = click(&stack, &org, &app, "e2").await;
    ask(&stack, &org, &new, &other).await.expect(200);
    ask(&stack, &org, &old, &payload).await.expect(200);
    stack.advance(3_601);
    ask(&stack, &org, &old, &payload).await.expect_error(403, "forbidden");
    ask(&stack, &org, &new, &other).await.expect(200);
    assert_eq!(stack.count_audited("data_action_target.key_rotated").await, 1);
}

#[tokio::test]
async fn disconnecting_takes_the_targets_out_of_the_org_first() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    let gone = stack.manager(Method::DELETE, "/connections/lake", None).await.expect(202).json();
    assert_eq!(gone["status"], "disconnecting");
    stack.manager(Method::DELETE, "/connections/lake", None).await.expect(202);
    stack.reconcile("grants").await;
    stack.reconcile("credentials").await;
    stack.reconcile("data action targets").await;
    assert_eq!(looked(&org, "/data-cloud/targets").await, json!([]));
    assert_eq!(stack.manager(Method::GET, TARGETS, None).await.expect(200).json(), json!([]));
    stack.reconcile("grants").await;
    stack.reconcile("credentials").await;
    let shown = stack.manager(Method::GET, "/connections/lake", None).await.expect(200).json();
    assert_eq!(shown["status"], "disconnected");
    ask(&stack, &org, "x", "{}").await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn one_target_is_removed_alone_and_one_that_the_org_keeps_stays_and_says_why() {
    let (stack, org) = start_with(|config| config.data_cloud.keeps_used_targets = true).await;
    let app = Receiver::start().await;
    set_app_url(&stack, app.url()).await;
    connect(&stack, &org).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    make_target(&stack).await;
    let (signature, payload) = click(&stack, &org, &app, "e1").await;
    let one = format!("{TARGETS}/Clicks");
    let asked = stack.manager(Method::DELETE, &one, None).await.expect(202).json();
    assert_eq!(asked["status"], "deleting");
    // A data action uses it, so the org keeps it, and goes on calling.
    stack.reconcile("data action targets").await;
    let kept = stack.manager(Method::GET, &one, None).await.expect(200).json();
    assert_eq!(kept["status"], "created");
    let message = kept["error"]["message"].as_str().unwrap();
    assert!(message.contains("used by a data action") && message.contains("remove it again"), "{message}");
    ask(&stack, &org, &signature, &payload).await.expect(200);
    assert_eq!(stack.count_audited("data_action_target.removal_failed").await, 1);

    let action = http().delete(format!("{}/_sim/data-cloud/actions/OnClick", org.url()));
    let gone =
        action.header("x-sim-key", org.sim_key().expose_secret()).json(&json!({})).send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 200);
    let asked = stack.manager(Method::DELETE, &one, None).await.expect(202).json();
    assert_eq!(asked.get("error"), None, "{asked}");
    stack.reconcile("data action targets").await;
    stack.manager(Method::GET, &one, None).await.expect_error(404, "record_not_found");
    assert_eq!(looked(&org, "/data-cloud/targets").await, json!([]));
    ask(&stack, &org, &signature, &payload).await.expect_error(403, "forbidden");
    assert_eq!(stack.count_audited("data_action_target.removed").await, 1);
}

#[tokio::test]
async fn what_an_org_keeps_does_not_keep_its_connection() {
    let (stack, org) = start_with(|config| config.data_cloud.keeps_used_targets = true).await;
    let app = Receiver::start().await;
    set_app_url(&stack, app.url()).await;
    connect(&stack, &org).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    make_target(&stack).await;
    click(&stack, &org, &app, "e1").await;
    stack.manager(Method::DELETE, &format!("{TARGETS}/Clicks"), None).await.expect(202);
    stack.manager(Method::DELETE, "/connections/lake", None).await.expect(202);
    for reconciler in ["data action targets", "grants", "credentials"] {
        stack.reconcile(reconciler).await;
    }
    let shown = stack.manager(Method::GET, "/connections/lake", None).await.expect(200).json();
    assert_eq!(shown["status"], "disconnected");
    assert_eq!(looked(&org, "/data-cloud/targets").await.as_array().unwrap().len(), 1, "left behind");
    assert_eq!(stack.manager(Method::GET, TARGETS, None).await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn two_connections_to_one_org_do_not_share_a_target() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    let begun = begin(&stack, "connections", "lake_two").await;
    log_in_as(&stack, &org, "admin", &begun, "allow").await;
    let body = json!({"label": "Other", "api_name": "clicks", "target_endpoint": "/clicks"});
    let path = TARGETS.replace("lake", "lake_two");
    let message = as_app(&stack, Method::POST, &path, Some(&body)).await.expect_error(409, "conflict");
    assert!(message.contains("`lake`") && message.contains("--api-name"), "{message}");
}

#[tokio::test]
async fn what_the_org_refuses_is_told_and_can_be_tried_again() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    // Another add-on, through another connection to the same org, with the same name.
    let other = stack.another_tenant("other-app").await;
    let bearer = format!("Bearer {}", other.api_key);
    let app = other.app.to_string();
    let headers = [("authorization", bearer.as_str()), ("x-app-uuid", app.as_str())];
    let path = |rest: &str| format!("/addons/{}{rest}", other.addon);
    let begun = stack
        .send(
            Method::POST,
            &path("/connections/datacloud"),
            &headers,
            Some(&json!({"connection_name": "lake"})),
        )
        .await
        .expect(202)
        .json();
    log_in_as(&stack, &org, "admin", &begun, "allow").await;
    let body = json!({"label": "Clicks", "target_endpoint": "/clicks"});
    stack.send(Method::POST, &path(TARGETS), &headers, Some(&body)).await.expect(202);
    for _ in 0..3 {
        stack.reconcile("data action targets").await;
    }
    let shown =
        stack.send(Method::GET, &path(&format!("{TARGETS}/Clicks")), &headers, None).await.expect(200).json();
    assert_eq!(shown["status"], "creation_failed");
    assert!(shown["error"]["message"].as_str().unwrap().contains("calls something else"), "{shown}");
    let moved = json!({"label": "Clicks", "target_endpoint": "/moved"});
    let answer = stack.send(Method::POST, &path(TARGETS), &headers, Some(&moved)).await;
    let message = answer.expect_error(409, "conflict");
    assert!(message.contains("/clicks?apiName=Clicks") && message.contains("remove it first"), "{message}");
    let again = stack.send(Method::POST, &path(TARGETS), &headers, Some(&body)).await.expect(202).json();
    assert_eq!((&again["id"], &again["status"]), (&shown["id"], &json!("pending")));
    for _ in 0..3 {
        stack.reconcile("data action targets").await;
    }
    // Removing what never came about leaves the org's target, which is somebody else's, where it is.
    let one = path(&format!("{TARGETS}/Clicks"));
    stack.send(Method::DELETE, &one, &headers, None).await.expect(202);
    stack.reconcile("data action targets").await;
    stack.send(Method::GET, &one, &headers, None).await.expect(404);
    assert_eq!(looked(&org, "/data-cloud/targets").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_targets_are_named() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    let good =
        json!({"api_name": "Clicks", "label": "Clicks", "target_endpoint": "/clicks", "type": "webhook"});
    for (field, value) in [
        ("api_name", json!("no-hyphens")),
        ("api_name", json!("ab")),
        ("label", json!("")),
        ("target_endpoint", json!("clicks")),
        ("target_endpoint", json!("//evil.example/")),
        ("target_endpoint", json!("/a?b=c")),
        ("type", json!("email")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let answer = as_app(&stack, Method::POST, TARGETS, Some(&bad)).await.expect(422).json();
        assert_eq!(answer["problems"][0]["place"], format!("$.{field}"), "{answer}");
    }
    let begun = stack.begin_connection("plain").await;
    log_in_as(&stack, &org, "admin", &begun, "allow").await;
    let message = as_app(&stack, Method::POST, &TARGETS.replace("lake", "plain"), Some(&good)).await;
    assert!(message.expect_error(422, "validation_failed").contains("datacloud:connect"));
    as_app(&stack, Method::POST, &TARGETS.replace("lake", "nobody"), Some(&good)).await.expect(404);
    let none = stack.manager(Method::GET, &TARGETS.replace("lake", "nobody"), None).await.expect(200).json();
    assert_eq!(none, json!([]), "as the official CLI wants it");
}

#[tokio::test]
async fn a_new_key_that_does_not_come_leaves_the_old_one_and_is_recorded() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    let rotate = format!("{TARGETS}/Clicks/rotate_signing_key");
    stack.manager(Method::POST, &rotate, None).await.expect(202);
    org.stop().await;
    assert_eq!(settle(&stack, "Clicks").await["status"], "created", "with the key it has");
    assert_eq!(stack.count_audited("data_action_target.key_rotation_failed").await, 1);
    assert_eq!(stack.count_audited("data_action_target.key_rotated").await, 0);
}
