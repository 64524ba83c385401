//! The OAuth calls as an org sees them.

use applink_salesforce::RecordId;
use applink_salesforce::oauth::{OAuth, OAuthClient, PkceVerifier, RefusalClass, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::keys::{pkcs8_pem, verify};
use crate::stub::{Stub, egress, json};

fn tokens(origin: &str, more: &str) -> String {
    format!(
        r#"{{"access_token":"00DSB00000VAyPF!AQcanary","signature":"c2ln","scope":"refresh_token api id",
            "instance_url":"{origin}","id":"{origin}/id/00DSB00000VAyPF2A1/005SB0000001abcYAA",
            "token_type":"Bearer","issued_at":"1767225600000"{more}}}"#
    )
}

fn client(secret: Option<&str>) -> OAuthClient {
    OAuthClient { consumer_key: "3MVG9&x".to_owned(), consumer_secret: secret.map(SecretString::from) }
}

/// A stub whose answers name its own origin.
async fn org(more: &[&str]) -> Stub {
    // The origin is only known once the stub listens: claim a Salesforce one, as a led login would.
    let body = |more: &&str| json(200, tokens("https://acme.my.salesforce.com", more));
    Stub::answering(more.iter().map(body)).await
}

#[tokio::test]
async fn a_code_becomes_tokens_at_the_login_host() {
    let stub = org(&[r#","refresh_token":"5Aepcanary""#]).await;
    let login = stub.hosts().login(None).unwrap();
    let verifier = PkceVerifier::from_random([1; 32]);
    let tokens = OAuth::new(egress())
        .exchange_code(&login, &client(Some("s3cret")), "https://x.example/cb", &"aPrx".into(), &verifier)
        .await
        .unwrap();
    let asked = &stub.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/services/oauth2/token"));
    assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
    assert!(asked.headers["user-agent"].to_str().unwrap().starts_with("applink-salesforce/"));
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "aPrx"),
        ("redirect_uri", "https://x.example/cb"),
        ("client_id", "3MVG9&x"),
        ("client_secret", "s3cret"),
        ("code_verifier", verifier.secret().expose_secret()),
    ] {
        assert_eq!(asked.form(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(tokens.access_token.expose_secret(), "00DSB00000VAyPF!AQcanary");
    assert_eq!(tokens.refresh_token.as_ref().unwrap().expose_secret(), "5Aepcanary");
    assert_eq!(tokens.scopes, ["refresh_token", "api", "id"]);
    assert_eq!(tokens.issued_at, Some(Timestamp::from_second(1_767_225_600).unwrap()));
    assert_eq!(tokens.instance(&stub.hosts()).unwrap().as_str(), "https://acme.my.salesforce.com");
    let expected: RecordId = "005SB0000001abcYAA".parse().unwrap();
    assert_eq!(tokens.identity(&stub.hosts()).unwrap().user_id, expected);
    assert!(!format!("{tokens:?}").contains("canary"));
}

#[tokio::test]
async fn an_answer_that_points_elsewhere_still_gives_its_refresh_token() {
    let body = tokens("https://evil.example", r#","refresh_token":"5Aeprotated""#);
    let stub = Stub::answering([json(200, body)]).await;
    let tokens = OAuth::new(egress()).refresh(&stub.origin, &client(None), &"5Aepold".into()).await.unwrap();
    assert_eq!(tokens.refresh_token.as_ref().unwrap().expose_secret(), "5Aeprotated");
    assert!(tokens.instance(&stub.hosts()).is_err());
    assert!(tokens.identity(&stub.hosts()).is_err());
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_says_so() {
    let stub = org(&["", r#","refresh_token":"""#, r#","refresh_token":null"#]).await;
    let oauth = OAuth::new(egress());
    for _ in 0..3 {
        let tokens = oauth.refresh(&stub.origin, &client(None), &"5Aepold".into()).await.unwrap();
        assert!(tokens.refresh_token.is_none());
    }
    let asked = &stub.asked()[0];
    assert_eq!(asked.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(asked.form("refresh_token").as_deref(), Some("5Aepold"));
    assert_eq!(asked.form("client_secret"), None);
}

#[tokio::test]
async fn an_assertion_goes_to_its_audience_and_lives_three_minutes() {
    let stub = org(&["", ""]).await;
    let login = stub.hosts().login(None).unwrap();
    let (pem, public) = pkcs8_pem();
    let key = SigningKey::from_pem(&pem).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    for jti in ["j1", "j2"] {
        let assertion = key.assert("3MVG9", "admin@acme.example", &login, now, jti).unwrap();
        OAuth::new(egress()).jwt_bearer(&assertion).await.unwrap();
    }
    let asked = stub.asked();
    assert_eq!(asked[0].form("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    let jwts: Vec<String> = asked.iter().map(|asked| asked.form("assertion").unwrap()).collect();
    assert_ne!(jwts[0], jwts[1]);
    let parts: Vec<&str> = jwts[0].split('.').collect();
    verify(&public, parts[0], parts[1], parts[2]);
    let decode = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(decode(parts[0])["alg"], "RS256");
    let claims = decode(parts[1]);
    assert_eq!(claims["aud"], stub.origin.as_str(), "the led login host is the audience too");
    assert_eq!(claims["iss"], "3MVG9");
    assert_eq!(claims["sub"], "admin@acme.example");
    assert_eq!(claims["jti"], "j1");
    assert_eq!(claims["exp"].as_i64().unwrap() - 1_800_000_000, 180);
}

#[tokio::test]
async fn refusals_come_with_their_sentence() {
    let stub = Stub::answering([json(
        400,
        r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
    )])
    .await;
    let failure =
        OAuth::new(egress()).refresh(&stub.origin, &client(None), &"5Aep".into()).await.unwrap_err();
    assert_eq!(failure.refusal().unwrap().class, RefusalClass::NotApproved);
    assert!(failure.hint().contains("Pre-authorize"), "{}", failure.hint());
    assert!(failure.to_string().ends_with("refused: invalid_grant: user hasn't approved this consumer"));
}

#[tokio::test]
async fn revoking_what_is_gone_is_fine() {
    let stub = Stub::answering([
        json(200, ""),
        json(400, "error=invalid_token&error_description=invalid+token"),
        json(400, "error=unsupported_token_type&error_description=this+token+type+is+not+supported"),
        json(400, "error=invalid_client"),
        json(500, ""),
    ])
    .await;
    let oauth = OAuth::new(egress());
    let mut fine = Vec::new();
    for _ in 0..5 {
        fine.push(oauth.revoke(&stub.origin, &"5Aep".into()).await.is_ok());
    }
    assert_eq!(fine, [true, true, true, false, false]);
    let asked = &stub.asked()[0];
    assert_eq!(asked.target, "/services/oauth2/revoke");
    assert_eq!(asked.form("token").as_deref(), Some("5Aep"));
}

#[tokio::test]
async fn introspection_tells_when_a_token_ends() {
    let stub = Stub::answering([
        json(200, r#"{"active":true,"scope":"api","exp":1800000900,"iat":1800000000,"username":"a@b.c"}"#),
        json(200, r#"{"active":false}"#),
    ])
    .await;
    let oauth = OAuth::new(egress());
    let known = oauth.introspect(&stub.origin, &client(Some("s")), &"00D!x".into()).await.unwrap();
    assert!(known.active);
    assert_eq!(known.expires_at, Some(Timestamp::from_second(1_800_000_900).unwrap()));
    assert_eq!(stub.asked()[0].form("token_type_hint").as_deref(), Some("access_token"));
    let gone = oauth.introspect(&stub.origin, &client(Some("s")), &"00D!x".into()).await.unwrap();
    assert_eq!((gone.active, gone.expires_at), (false, None));
}
