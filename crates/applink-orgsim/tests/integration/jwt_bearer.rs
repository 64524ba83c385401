//! JWT bearer: what is accepted, and the words of every refusal.

use applink_orgsim::OrgKind;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{START_SECONDS, TestOrg};

const CERTIFICATE: &str = include_str!("support/certificate.pem");

struct Signer(RsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        let lines: Vec<String> = STANDARD
            .encode(der.as_ref())
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

struct Jwt {
    org: TestOrg,
    signer: Signer,
}

impl Jwt {
    async fn start_with(kind: OrgKind) -> Self {
        let org = TestOrg::start_with(|config| config.kind = kind).await;
        let signer = Signer::new();
        org.org.register_jwt_key(&signer.public_pem()).unwrap();
        Self { org, signer }
    }

    async fn start() -> Self {
        Self::start_with(OrgKind::Production).await
    }

    fn claims(&self) -> Value {
        json!({"iss": self.org.org.jwt_client(), "sub": self.org.username("admin"), "aud": self.org.org.url(), "exp": START_SECONDS + 180})
    }

    async fn ask(&self, assertion: &str) -> (StatusCode, Value) {
        self.org
            .token(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion),
                ("client_id", ""),
                ("client_secret", ""),
            ])
            .await
    }

    async fn ask_with(&self, claims: &Value) -> (StatusCode, Value) {
        self.ask(&self.signer.sign(&json!({"alg": "RS256", "typ": "JWT"}), claims)).await
    }

    async fn refused(&self, claims: &Value) -> String {
        let (status, answer) = self.ask_with(claims).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        format!("{}: {}", answer["error"].as_str().unwrap(), answer["error_description"].as_str().unwrap())
    }
}

#[tokio::test]
async fn an_assertion_gives_an_access_token_that_works() {
    let jwt = Jwt::start().await;
    let (status, answer) = jwt.ask_with(&jwt.claims()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((answer.get("refresh_token"), &answer["instance_url"]), (None, &jwt.org.org.url().into()));
    assert_eq!(answer["scope"], "api id profile email cdp_query_api cdp_ingest_api cdp_profile_api");
    let me: Value = jwt
        .org
        .get("/services/oauth2/userinfo", answer["access_token"].as_str().unwrap())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(me["preferred_username"], jwt.org.username("admin"));
}

#[tokio::test]
async fn audience_and_expiry_come_in_the_forms_that_real_clients_send() {
    let jwt = Jwt::start().await;
    let slash = format!("{}/", jwt.org.org.url());
    for (aud, exp) in [
        (slash.as_str(), START_SECONDS * 1000 + 300),
        ("https://login.salesforce.com", START_SECONDS + 60),
        ("https://login.salesforce.com/", START_SECONDS + 60),
        ("login.salesforce.com", START_SECONDS + 60),
    ] {
        let mut claims = jwt.claims();
        claims["aud"] = aud.into();
        // Milliseconds as Salesforce's own CLI sends them lie less than a second ahead.
        claims["exp"] = (if exp > 10_000_000_000 { exp + 1_000 } else { exp }).into();
        let (status, answer) = jwt.ask_with(&claims).await;
        assert_eq!(status, StatusCode::OK, "{aud}: {answer}");
    }
    let sandbox = Jwt::start_with(OrgKind::Sandbox).await;
    let mut claims = sandbox.claims();
    claims["aud"] = "https://test.salesforce.com".into();
    assert_eq!(sandbox.ask_with(&claims).await.0, StatusCode::OK);
    claims["aud"] = "https://login.salesforce.com".into();
    assert_eq!(sandbox.refused(&claims).await, "invalid_grant: audience is invalid");
}

#[tokio::test]
async fn refusals_have_the_words_of_an_org() {
    let jwt = Jwt::start().await;
    let with = |name: &str, value: Value| {
        let mut claims = jwt.claims();
        claims[name] = value;
        claims
    };
    let cases = [
        (with("iss", "3MVG9nobody".into()), "invalid_client_id: client identifier invalid"),
        (with("sub", "nobody@acme.example".into()), "invalid_grant: user hasn't approved this consumer"),
        (
            with("sub", jwt.org.username("sales").into()),
            "invalid_app_access: user is not admin approved to access this app",
        ),
        (with("aud", "https://evil.example".into()), "invalid_grant: audience is invalid"),
        (with("exp", (START_SECONDS - 1).into()), "invalid_grant: expired authorization code"),
        (with("exp", ((START_SECONDS - 301) * 1000).into()), "invalid_grant: expired authorization code"),
        (with("exp", "soon".into()), "invalid_grant: invalid assertion"),
    ];
    for (claims, words) in cases {
        assert_eq!(jwt.refused(&claims).await, words, "{claims}");
    }
}

#[tokio::test]
async fn only_the_registered_key_and_rs256_count() {
    let jwt = Jwt::start().await;
    let stranger = Signer::new().sign(&json!({"alg": "RS256"}), &jwt.claims());
    let none = jwt.signer.sign(&json!({"alg": "none"}), &jwt.claims());
    let symmetric = jwt.signer.sign(&json!({"alg": "HS256"}), &jwt.claims());
    for assertion in [stranger.as_str(), &none, &symmetric, "not.a.token", "x"] {
        let (status, answer) = jwt.ask(assertion).await;
        assert_eq!(
            (status, &answer["error_description"]),
            (StatusCode::BAD_REQUEST, &"invalid assertion".into())
        );
    }
}

#[tokio::test]
async fn a_self_authorized_client_needs_the_users_approval() {
    let jwt = Jwt::start().await;
    let form = json!({"name": "Self_Service", "public_key_pem": jwt.signer.public_pem(), "self_authorized": true,
        "callbacks": [super::support::CALLBACK], "scopes": ["api", "refresh_token"]});
    let (status, client) = jwt.org.sim_post("/_sim/oauth-clients", &form).await;
    assert_eq!(status, StatusCode::CREATED);
    let key = client["consumer_key"].as_str().unwrap();
    let mut claims = jwt.claims();
    claims["iss"] = key.into();
    claims["sub"] = jwt.org.username("sales").into();
    assert_eq!(jwt.refused(&claims).await, "invalid_grant: user hasn't approved this consumer");
    let authorize = jwt.org.authorize_url(&[("client_id", key)]);
    super::support::browser::Browser::new(&jwt.org).authorize_and_allow(&authorize, "sales").await;
    let (status, answer) = jwt.ask_with(&claims).await;
    assert_eq!((status, &answer["scope"]), (StatusCode::OK, &"api".into()));
}

#[tokio::test]
async fn a_certificate_is_taken_and_other_text_refused_by_field() {
    let org = TestOrg::start().await;
    let (status, answer) = org
        .sim_post("/_sim/oauth-clients", &json!({"name": "AppLink JWT", "certificate_pem": CERTIFICATE}))
        .await;
    assert_eq!((status, &answer["has_public_key"]), (StatusCode::OK, &true.into()));
    let (status, answer) =
        org.sim_post("/_sim/oauth-clients", &json!({"name": "AppLink JWT", "certificate_pem": "x"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["message"].as_str().unwrap().starts_with("certificate_pem: expected a PEM certificate"));
}
