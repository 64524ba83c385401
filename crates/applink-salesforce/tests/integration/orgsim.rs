//! Against the simulator: two readings of the same documents meet here.

use std::io::Write as _;

use applink_orgsim::{OrgConfig, OrgKind, RunningOrg};
use applink_salesforce::hosts::PRODUCTION_LOGIN;
use applink_salesforce::metadata::{DeployOptions, DeployStatus, Patience};
use applink_salesforce::oauth::{
    AuthorizeRequest, OAuth, OAuthClient, Outcome, PkceVerifier, Refusal, RefusalClass, SigningKey,
    TokenFailure, Tokens, authorize_url,
};
use applink_salesforce::rest::OrgCall;
use applink_salesforce::{Org, OrgError, OrgHosts};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::keys::{pkcs8_pem, public_pem};
use crate::stub::egress;
use crate::visitor::Visitor;

const CALLBACK: &str = "http://127.0.0.1:7700/oauth/callback";
const ROUND_TRIP: &str =
    "SELECT Id, Name, NumberOfEmployees, Website FROM Account WHERE Name LIKE 'Round trip%'";

struct Sim {
    org: RunningOrg,
    key: SigningKey,
}

impl Sim {
    async fn start(kind: OrgKind) -> Self {
        let config = OrgConfig { kind, ..OrgConfig::new("Acme", "a key of this test".to_owned().into()) };
        let org = applink_orgsim::Org::start(config).await.unwrap();
        let (private, public) = pkcs8_pem();
        org.register_jwt_key(&public_pem(&public)).unwrap();
        Self { org, key: SigningKey::from_pem(&private).unwrap() }
    }

    fn oauth_client(&self) -> OAuthClient {
        let (consumer_key, secret) = self.org.oauth_client();
        OAuthClient { consumer_key, consumer_secret: Some(secret) }
    }

    fn hosts(&self) -> OrgHosts {
        OrgHosts::salesforce().lead(PRODUCTION_LOGIN, self.org.url()).unwrap()
    }

    async fn assert(&self, consumer_key: &str, username: &str) -> Result<Tokens, TokenFailure> {
        let login = self.hosts().login(None).unwrap();
        let now = Timestamp::from_millisecond(applink_orgsim::Clock::system().now_millis()).unwrap();
        let jti = format!("{username}-{}", now.as_microsecond());
        let assertion = self.key.assert(consumer_key, username, &login, now, &jti).unwrap();
        OAuth::new(egress()).jwt_bearer(&assertion).await
    }

    /// The org as this user.
    async fn user(&self, role: &str) -> Org {
        let username = &self.org.users().iter().find(|user| user.role == role).unwrap().username;
        let tokens = self.assert(&self.org.jwt_client(), username).await.unwrap();
        let instance = tokens.instance(&self.hosts()).unwrap();
        let identity = tokens.identity(&self.hosts()).unwrap();
        identity.ensure_from(&self.hosts().login(None).unwrap(), &instance).unwrap();
        assert_eq!(identity.org_id.as_str(), self.org.org_id());
        let org = Org::new(egress(), instance, "66.0".parse().unwrap(), tokens.access_token);
        assert_eq!(&org.who_am_i().await.unwrap().username, username);
        org
    }
}

/// Logs in and answers the consent page; what comes back to `redirect_uri`.
async fn answer_consent(sim: &Sim, role: &str, challenge: &str, decision: &str) -> Url {
    let (consumer_key, _) = sim.org.oauth_client();
    let request = AuthorizeRequest {
        consumer_key: &consumer_key,
        redirect_uri: CALLBACK,
        scopes: &["api", "id", "refresh_token"],
        state: "a state",
        challenge,
        prompt: Some("login"),
    };
    let user = sim.org.users().iter().find(|user| user.role == role).unwrap();
    let mut visitor = Visitor::new();
    let login = visitor.open(authorize_url(&sim.hosts().login(None).unwrap(), &request)).await;
    let password = user.password.expose_secret();
    let consent = visitor.submit(login, &[("username", &user.username), ("password", password)]).await;
    visitor.submit(consent, &[("decision", decision)]).await.elsewhere()
}

fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_person_connects_in_the_browser_and_the_grant_is_refreshed() {
    let sim = Sim::start(OrgKind::Production).await;
    let verifier = PkceVerifier::from_random([9; 32]);
    let back = answer_consent(&sim, "sales", &verifier.challenge(), "allow").await;
    assert_eq!(param(&back, "state").as_deref(), Some("a state"));
    let code = SecretString::from(param(&back, "code").unwrap());
    let login = sim.hosts().login(None).unwrap();
    let (oauth, client) = (OAuth::new(egress()), sim.oauth_client());
    let wrong = PkceVerifier::from_random([1; 32]);
    let refused = oauth.exchange_code(&login, &client, CALLBACK, &code, &wrong).await.unwrap_err();
    assert!(matches!(refused.outcome(), Outcome::Answered(_)), "{refused:?}");

    let back = answer_consent(&sim, "sales", &verifier.challenge(), "allow").await;
    let code = SecretString::from(param(&back, "code").unwrap());
    let tokens = oauth.exchange_code(&login, &client, CALLBACK, &code, &verifier).await.unwrap();
    assert!(tokens.scopes.iter().any(|scope| scope == "refresh_token"), "{:?}", tokens.scopes);
    assert!(tokens.issued_at.is_some());
    let known = oauth.introspect(&login, &client, &tokens.access_token).await.unwrap();
    assert!(known.active && known.expires_at.is_some(), "{known:?}");
    assert_eq!(known.username.as_deref(), Some("sales@acme.example"));

    let refresh_token = tokens.refresh_token.unwrap();
    let fresh = oauth.refresh(&login, &client, &refresh_token).await.unwrap();
    let org = Org::new(egress(), login.clone(), "66.0".parse().unwrap(), fresh.access_token);
    assert!(!org.may_manage_applink().await.unwrap());
    oauth.revoke(&login, &refresh_token).await.unwrap();
    let dead = oauth.refresh(&login, &client, &refresh_token).await.unwrap_err();
    assert_eq!(dead.outcome(), Outcome::Answered(RefusalClass::DeadGrant));
    assert!(dead.refusal().unwrap().ends_grant());
    let again = oauth.exchange_code(&login, &client, CALLBACK, &code, &verifier).await.unwrap_err();
    assert_eq!(again.outcome(), Outcome::Answered(RefusalClass::SpentCode));
}

#[tokio::test]
async fn a_person_may_say_no() {
    let sim = Sim::start(OrgKind::Production).await;
    let back = answer_consent(&sim, "admin", &PkceVerifier::from_random([9; 32]).challenge(), "deny").await;
    let error = param(&back, "error").unwrap();
    let refusal = Refusal::at_authorize(&error, param(&back, "error_description").as_deref());
    assert_eq!(refusal.class, RefusalClass::Denied);
}

#[tokio::test]
async fn a_user_is_known_with_what_it_may_do() {
    let sim = Sim::start(OrgKind::Production).await;
    for role in ["admin", "integration"] {
        assert!(sim.user(role).await.may_manage_applink().await.unwrap(), "{role}");
    }
    let admin = sim.user("admin").await;
    assert!(!admin.is_sandbox().await.unwrap());
    assert_eq!(admin.newest_version().await.unwrap().to_string(), "66.0");
    let sandbox = Sim::start(OrgKind::Sandbox).await;
    assert!(sandbox.user("admin").await.is_sandbox().await.unwrap());
}

#[tokio::test]
async fn refused_assertions_come_with_their_class() {
    let sim = Sim::start(OrgKind::Production).await;
    let class = async |consumer_key: &str, username: &str| {
        let failure = sim.assert(consumer_key, username).await.unwrap_err();
        failure.refusal().unwrap_or_else(|| panic!("{failure:?}")).class
    };
    assert_eq!(class("3MVGnobody", "admin@acme.example").await, RefusalClass::UnknownApp);
    assert_eq!(class(&sim.org.jwt_client(), "nobody@acme.example").await, RefusalClass::NotApproved);
    assert_eq!(class(&sim.org.jwt_client(), "sales@acme.example").await, RefusalClass::NotAdminApproved);
    let other = pkcs8_pem().1;
    sim.org.register_jwt_key(&public_pem(&other)).unwrap();
    assert_eq!(class(&sim.org.jwt_client(), "admin@acme.example").await, RefusalClass::BadAssertion);
}

#[tokio::test]
async fn records_come_back_as_they_were_written() {
    let sim = Sim::start(OrgKind::Production).await;
    let org = sim.user("admin").await;
    let saved = org.create("Account", &json!({"Name": "Round trip", "NumberOfEmployees": 0})).await.unwrap();
    org.update("Account", saved.id.as_str(), &json!({"Website": "https://x.example/?a='b'"})).await.unwrap();
    let rows = org.query_all(ROUND_TRIP).await.unwrap();
    assert_eq!(rows[0]["NumberOfEmployees"], json!(0));
    assert_eq!(rows[0]["Website"], "https://x.example/?a='b'");
    org.delete("Account", saved.id.short()).await.unwrap();
    let gone = org.update("Account", saved.id.as_str(), &json!({"Name": "x"})).await.unwrap_err();
    assert!(gone.has_code("ENTITY_IS_DELETED") || gone.has_code("NOT_FOUND"), "{gone}");
    let code = "A/B & C's";
    let first = org.upsert("Product2", "ProductCode", code, &json!({"Name": "Hub"})).await.unwrap();
    let second = org.upsert("Product2", "ProductCode", code, &json!({"Name": "Hub 2"})).await.unwrap();
    assert_eq!((first.created, second.created, second.id), (true, false, first.id));
    let refused = org.query("SELECT Nonsense FROM Account").await.unwrap_err();
    assert!(refused.has_code("INVALID_FIELD"), "{refused}");
}

#[tokio::test]
async fn a_long_result_comes_in_pages() {
    let sim = Sim::start(OrgKind::Production).await;
    let org = sim.user("admin").await;
    for number in 0..201 {
        org.create("Account", &json!({"Name": format!("Round trip {number}")})).await.unwrap();
    }
    let call = OrgCall::query(ROUND_TRIP).batch_size(200);
    let first = org.send(&call).await.unwrap().page(org.origin()).unwrap();
    assert_eq!((first.total_size, first.done, first.records.len()), (201, false, 200));
    let rest = org.query_more(&first.next.unwrap()).await.unwrap();
    assert_eq!((rest.total_size, rest.done, rest.records.len()), (201, true, 1));
}

#[tokio::test]
async fn a_revoked_session_is_expired() {
    let sim = Sim::start(OrgKind::Production).await;
    let org = sim.user("admin").await;
    let oauth = OAuth::new(egress());
    oauth.revoke(org.origin(), org.access_token()).await.unwrap();
    let error = org.query(ROUND_TRIP).await.unwrap_err();
    assert!(matches!(error, OrgError::SessionExpired { .. }), "{error}");
    assert!(matches!(org.who_am_i().await, Err(OrgError::SessionExpired { .. })));
    oauth.revoke(org.origin(), org.access_token()).await.unwrap();
}

fn package(permission_set: &str) -> Vec<u8> {
    let manifest = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Package xmlns=\"http://soap.sforce.com/2006/04/metadata\">\
        <types><members>Elevated</members><name>PermissionSet</name></types><version>66.0</version></Package>";
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("package.xml", manifest), ("permissionsets/Elevated.permissionset", permission_set)]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_package_is_deployed_or_refused_component_by_component() {
    let sim = Sim::start(OrgKind::Production).await;
    let org = sim.user("admin").await;
    let good = "<PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\">\
        <hasActivationRequired>true</hasActivationRequired><label>Elevated</label></PermissionSet>";
    let bad = good.replace("<label>Elevated</label>", "<nonsense>1</nonsense>");
    let deploy = async |permission_set: &str| {
        let id = org.deploy(&package(permission_set), &DeployOptions::default()).await.unwrap();
        org.deploy_outcome(id, Patience::default()).await.unwrap()
    };
    let failed = deploy(&bad).await;
    assert_eq!((failed.status, failed.done, failed.success), (DeployStatus::Failed, true, false));
    assert_eq!(failed.failures[0].component_type, "PermissionSet");
    assert!(failed.failures[0].problem.as_ref().is_some_and(|problem| !problem.is_empty()));
    let done = deploy(good).await;
    assert_eq!((done.status, done.success, done.failures.len()), (DeployStatus::Succeeded, true, 0));
    let rows = org.query_all("SELECT Name FROM PermissionSet WHERE Name = 'Elevated'").await.unwrap();
    assert_eq!(rows.len(), 1);
}
