//! The simulator as the org: real rights, real records. Only the AppLink API is scripted.

use applink_orgsim::{Clock, OrgConfig, RunningOrg};
use applink_salesforce::oauth::{OAuth, SigningKey};
use applink_salesforce::{Org, OrgEgress, OrgHosts};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::stage::{ADDON, Caller, Stage, client, sent, stage_with};

struct Sim {
    org: RunningOrg,
    key: SigningKey,
}

fn pem(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der.to_vec()))
}

impl Sim {
    async fn start() -> Self {
        let config = OrgConfig::new("Acme", "a key of this test".to_owned().into());
        let org = applink_orgsim::Org::start(config).await.unwrap();
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        org.register_jwt_key(&pem("PUBLIC KEY", public.as_ref())).unwrap();
        let key = SigningKey::from_pem(&pem("PRIVATE KEY", private.as_ref()).into()).unwrap();
        let sim = Self { org, key };
        sim.approve_everyone().await;
        sim
    }

    /// Lets every user sign in by assertion; out of the box only admins and the integration user may.
    async fn approve_everyone(&self) {
        let profiles = self.user("admin").await.query_all("SELECT Name FROM Profile").await.unwrap();
        let names: Vec<&Value> = profiles.iter().map(|profile| &profile["Name"]).collect();
        let request = client().post(format!("{}/_sim/oauth-clients", self.org.url()));
        let request = request.header("x-sim-key", self.org.sim_key().expose_secret());
        let body = json!({"name": "AppLink JWT", "admin_approved_profiles": names});
        assert_eq!(sent(request.json(&body)).await.0, StatusCode::OK);
    }

    /// The org as this user, by a session of its own.
    async fn user(&self, role: &str) -> Org {
        let username = &self.org.users().iter().find(|user| user.role == role).unwrap().username;
        let hosts = OrgHosts::salesforce().list(self.org.url()).unwrap();
        let login = hosts.instance(self.org.url()).unwrap();
        let now = jiff::Timestamp::from_millisecond(Clock::system().now_millis()).unwrap();
        let jti = format!("{role}-{}", now.as_microsecond());
        let assertion = self.key.assert(&self.org.jwt_client(), username, &login, now, &jti).unwrap();
        let egress = OrgEgress::new(applink_salesforce::egress::EgressSettings::default()).unwrap();
        let tokens = OAuth::new(egress.clone()).jwt_bearer(&assertion).await.unwrap();
        Org::new(egress, login, "66.0".parse().unwrap(), tokens.access_token)
    }

    /// The app, whose stored user is the integration user.
    async fn stage(&self) -> Stage {
        let (url, org_id) = (self.org.url().to_owned(), self.org.org_id().to_owned());
        let portal = self.user("integration").await;
        let authorization = json!({"id": "b8bc7bcb-89c3-45c0-b7b7-4fb4427e598a", "status": "authorized",
            "org": {"id": org_id, "developer_name": "influencerPortal", "instance_url": url, "type": "SalesforceOrg",
                "api_version": "66.0", "user_auth": {"username": "integration@acme.example",
                    "user_id": "005DS00000yYLD1YAO", "access_token": portal.access_token().expose_secret()}},
            "created_at": "2025-03-06T18:20:42.226577Z", "created_by": "a@b.c",
            "last_modified_at": "2025-03-06T18:20:42.226577Z"});
        stage_with(authorization, |line, _| panic!("{line} is no request of {ADDON}")).await
    }
}

#[tokio::test]
async fn products_are_created_then_updated_with_their_price() {
    let sim = Sim::start().await;
    let stage = sim.stage().await;
    let product = |code: &str, price: f64| json!({"productCode": code, "name": "Greenhouse", "family": "Hardware", "price": price});
    let first = json!({"products": [product("HUB/100", 420.5), product("CAM-200", 99.0)]});
    let (status, answer) = stage.post("/api/products/import", &first).await;
    assert_eq!(
        (status, &answer["created"], &answer["failed"]),
        (StatusCode::OK, &json!(2), &json!(0)),
        "{answer}"
    );
    let second = json!({"products": [product("HUB/100", 430.0), product("CAM-200", 99.0)]});
    let (_, answer) = stage.post("/api/products/import", &second).await;
    assert_eq!((&answer["updated"], &answer["failed"]), (&json!(2), &json!(0)), "{answer}");
    let entries = sim.user("admin").await;
    let soql = "SELECT UnitPrice FROM PricebookEntry WHERE Product2.ProductCode = 'HUB/100'";
    let prices: Vec<Value> =
        entries.query_all(soql).await.unwrap().into_iter().map(|row| row["UnitPrice"].clone()).collect();
    assert_eq!(prices, [json!(430.0)], "one entry, with the new price");
}

#[tokio::test]
async fn the_portal_shows_the_orgs_campaigns() {
    let sim = Sim::start().await;
    let stage = sim.stage().await;
    let (status, body) = stage.get("/api/campaigns").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let campaigns = body["campaigns"].as_array().unwrap();
    assert!(!campaigns.is_empty());
    let (_, html) = stage.get("/").await;
    assert!(html.contains(campaigns[0]["name"].as_str().unwrap()), "{html}");
}

#[tokio::test]
async fn a_caller_sees_its_own_opportunities_and_no_custom_metadata_by_itself() {
    let sim = Sim::start().await;
    let stage = sim.stage().await;
    let ids = async |role: &str| -> Vec<Value> {
        let rows = sim.user(role).await.query_all("SELECT Id FROM Opportunity ORDER BY Name").await.unwrap();
        rows.into_iter().map(|row| row["Id"].clone()).collect()
    };
    let (all, own) = (ids("admin").await, ids("sales").await);
    assert!(own.len() < all.len() && !own.is_empty());
    let sales = sim.user("sales").await;
    let caller = Caller {
        token: sales.access_token().expose_secret(),
        org_url: sim.org.url(),
        username: "sales@acme.example",
    };
    let (status, answer) = stage.invoke_as(&caller, &json!({"opportunityIds": all})).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(answer["opportunitiesRequested"], all.len());
    assert_eq!(answer["opportunitiesVisible"], own.len());
    assert!(answer["lineItems"].as_u64().is_some_and(|count| count > 0), "{answer}");
    assert_eq!(answer["parametersRefused"], "INVALID_TYPE", "no elevation without an invocation");
}
