//! The whole connect story against the org simulator: its login and consent pages, its rights, its keys.

use std::collections::BTreeMap;

use applink_api::clock::Clock;
use applink_api::context::RequestContext;
use applink_orgsim::{Org, OrgConfig, RunningOrg, TokenFault};
use applink_server::config::LoginClient;
use reqwest::Method;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::invocations::mark_published;
use crate::stack::Stack;

const LOGIN: &str = "https://login.salesforce.com";

pub(crate) async fn start() -> (Stack, RunningOrg) {
    let org = Org::start(OrgConfig::new("Acme", "canary-sim-key".into())).await.unwrap();
    let (client_id, secret) = org.oauth_client();
    let stack = Stack::with(|config| {
        config.org_hosts = config.org_hosts.clone().lead(LOGIN, org.url()).unwrap();
        config.oauth.clients =
            vec![LoginClient { login_host: None, client_id, client_secrets: vec![secret] }];
    })
    .await;
    (stack, org)
}

/// A browser with cookies that fills in whatever form it meets.
struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { http, cookies: BTreeMap::new() }
    }

    /// Follows redirects and forms to the last page; its text.
    async fn visit(&mut self, url: &str, answers: &[(&str, &str)]) -> String {
        let mut request = self.http.get(url);
        let mut at: url::Url = url.parse().unwrap();
        for _ in 0..20 {
            let jar: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = request.header(COOKIE, jar.join("; ")).send().await.unwrap();
            for set in answer.headers().get_all(SET_COOKIE) {
                let pair = set.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            if let Some(location) = answer.headers().get(LOCATION) {
                at = at.join(location.to_str().unwrap()).unwrap();
                request = self.http.get(at.clone());
                continue;
            }
            let html = answer.text().await.unwrap();
            let Some(action) = attribute(&html, "<form", "action") else { return html };
            let mut fields = hidden_fields(&html);
            fields.extend(answers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let origin = at.origin().ascii_serialization();
            at = at.join(&action).unwrap();
            request = self.http.post(at.clone()).header("origin", origin).form(&fields);
        }
        panic!("no end of pages at {at}");
    }
}

fn attribute(html: &str, tag: &str, name: &str) -> Option<String> {
    let tag = html.split(tag).nth(1)?.split('>').next()?;
    Some(tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?.to_owned())
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let inputs = html.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
    inputs
        .filter_map(|input| {
            let tag = format!("<input{input}");
            Some((attribute(&tag, "<input", "name")?, attribute(&tag, "<input", "value")?))
        })
        .collect()
}

fn user<'a>(org: &'a RunningOrg, role: &str) -> &'a applink_orgsim::SampleUser {
    org.users().iter().find(|user| user.role == role).expect("a sample user")
}

pub(crate) async fn log_in_as(
    stack: &Stack,
    org: &RunningOrg,
    role: &str,
    begun: &Value,
    decision: &str,
) -> String {
    let person = user(org, role);
    let answers = [
        ("username", person.username.as_str()),
        ("password", person.password.expose_secret()),
        ("decision", decision),
    ];
    let link = begun["redirect_uri"].as_str().expect("a link");
    assert!(link.starts_with(stack.server.url()));
    Browser::new().visit(link, &answers).await
}

#[tokio::test]
async fn an_admin_connects_the_org_and_its_tokens_work_and_are_renewed() {
    let (stack, org) = start().await;
    let begun = stack.begin_connection("prod").await;
    let page = log_in_as(&stack, &org, "admin", &begun, "allow").await;
    assert!(page.contains("prod is connected"), "{page}");
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("connected"));
    assert_eq!(shown["org"]["id"], json!(org.org_id()));

    let begun = stack.begin_authorization("influencerPortal").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    let first = stack.token_of("influencerPortal").await;
    let query = format!("{}/services/data/v66.0/query?q=SELECT+Id+FROM+Campaign", org.url());
    let ask = |token: String| {
        reqwest::Client::builder().no_proxy().build().unwrap().get(&query).bearer_auth(token).send()
    };
    assert_eq!(ask(first.clone()).await.unwrap().status().as_u16(), 200);
    // It tells that its sessions last two hours.
    stack.advance(2 * 3600);
    let second = stack.token_of("influencerPortal").await;
    assert_ne!(first, second);
    assert_eq!(ask(second).await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn a_user_without_the_permission_and_one_who_denies_are_told_so() {
    let (stack, org) = start().await;
    let begun = stack.begin_connection("prod").await;
    let page = log_in_as(&stack, &org, "intern", &begun, "allow").await;
    assert!(page.contains("Manage Heroku AppLink"), "{page}");
    let begun = stack.begin_connection("prod").await;
    let page = log_in_as(&stack, &org, "admin", &begun, "deny").await;
    assert!(page.contains("denied"), "{page}");
    let shown = stack.manager(Method::GET, "/connections/prod", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("failed"));
}

#[tokio::test]
async fn a_token_the_org_signs_counts_for_the_app_it_names_and_no_other() {
    let (stack, org) = start().await;
    // The org goes by the machine's clock.
    stack.clock.set(Clock::system().now());
    let begun = stack.begin_connection("prod").await;
    log_in_as(&stack, &org, "admin", &begun, "allow").await;
    mark_published(&stack, &begun, org.org_id()).await;
    let sales = user(&org, "sales");
    let ask = async |app: &str| {
        let headers = org.vouch(&sales.username, app).unwrap();
        let context = RequestContext::decode(headers["x-request-context"].as_bytes()).unwrap();
        let body = json!({"org_domain_url": context.org_domain_url, "org_id": context.org_id,
            "core_jwt_token": context.auth.expose_secret(), "app_uuid": stack.tenant.app});
        stack.app(Method::POST, "/invocations/authentication", Some(&body)).await
    };
    let verdict = ask(&stack.tenant.app.to_string()).await.expect(200).json();
    assert_eq!(verdict["user_id"], json!(sales.user_id));
    assert_eq!(verdict["instance_url"], json!(org.url()));
    ask("00000000-0000-4000-8000-000000000000").await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_disconnect_ends_the_session_in_the_org() {
    let (stack, org) = start().await;
    let begun = stack.begin_authorization("worker").await;
    log_in_as(&stack, &org, "admin", &begun, "allow").await;
    let token = stack.token_of("worker").await;
    stack.manager(Method::DELETE, "/authorizations/worker", None).await.expect(200);
    stack.reconcile("grants").await;
    let shown = stack.manager(Method::GET, "/authorizations/worker", None).await.expect(200).json();
    assert_eq!(shown["status"], json!("disconnected"));
    let url = format!("{}/services/data/v66.0/query?q=SELECT+Id+FROM+Campaign", org.url());
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 401);
}

async fn rotate(org: &RunningOrg) {
    let client = json!({"name": "AppLink_Control_Plane", "rotates_refresh_tokens": true});
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sim_key = org.sim_key().expose_secret().to_owned();
    let url = format!("{}/_sim/oauth-clients", org.url());
    let changed = http.post(url).header("x-sim-key", sim_key).json(&client).send().await.unwrap();
    assert_eq!(changed.status().as_u16(), 200);
}

/// Its sessions last two hours: after this the token is due, after as much again dead.
const DUE: u64 = 5500;

#[tokio::test]
async fn what_a_rotating_org_loses_costs_no_grant_that_still_works() {
    let (stack, org) = start().await;
    rotate(&org).await;
    let begun = stack.begin_authorization("worker").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    stack.settled().await;
    let old = stack.token_of("worker").await;
    org.push_token_fault(TokenFault::LoseRequest);
    stack.advance(DUE);
    for _ in 0..3 {
        assert_eq!(stack.token_of("worker").await, old, "handed out while it lives");
        stack.settled().await;
    }
    assert_eq!(org.token_counts().refreshes, 0, "nothing is sent in doubt");
    stack.advance(DUE);
    assert_ne!(stack.token_of("worker").await, old, "the last chance saves what never arrived");
    stack.settled().await;
    assert_eq!((org.token_counts().refreshes, org.token_counts().replays), (1, 0));

    let old = stack.token_of("worker").await;
    org.push_token_fault(TokenFault::LoseAnswer);
    stack.advance(DUE);
    for _ in 0..3 {
        assert_eq!(stack.token_of("worker").await, old);
        stack.settled().await;
    }
    assert_eq!((org.token_counts().refreshes, org.token_counts().replays), (2, 0));
    stack.advance(DUE);
    for _ in 0..3 {
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await;
        answer.expect_error(422, "reauth_required");
    }
    let counts = org.token_counts();
    assert_eq!(
        (counts.refreshes, counts.replays, counts.families_revoked),
        (3, 1, 1),
        "one last chance, in vain"
    );
}

#[tokio::test]
async fn a_request_that_arrives_twice_ends_the_grant_and_is_told_so_once_it_shows() {
    let (stack, org) = start().await;
    rotate(&org).await;
    let begun = stack.begin_authorization("worker").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    stack.settled().await;
    org.push_token_fault(TokenFault::Repeat);
    stack.advance(2 * DUE);
    stack.token_of("worker").await;
    stack.settled().await;
    stack.advance(2 * DUE);
    for _ in 0..3 {
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await;
        answer.expect_error(422, "reauth_required");
    }
    assert_eq!(org.token_counts().refreshes, 3, "two that were one, and one that told");
}
