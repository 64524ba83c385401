//! A provider that says what a real one would not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use url::Url;

use super::{CLIENT, SECRET};
use crate::fake_org::SigningPair;
use crate::stack::START;

pub(super) const CODE: &str = "canary-code";
pub(super) const ACCESS_TOKEN: &str = "canary-openid-access-token";

/// What is wrong with its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lie {
    /// Nothing.
    None,
    Audience,
    Issuer,
    Nonce,
    Expired,
    OtherKey,
    /// Signed with the client's secret, which is no key of the provider's.
    SharedSecret,
    Unsigned,
    AccessTokenHash,
    NoToken,
    /// The code counts for nothing.
    RefusedCode,
    /// The token endpoint is at a host that nobody configured.
    OtherHost,
}

impl Lie {
    pub(super) const ALL: [Self; 12] = [
        Self::None,
        Self::Audience,
        Self::Issuer,
        Self::Nonce,
        Self::Expired,
        Self::OtherKey,
        Self::SharedSecret,
        Self::Unsigned,
        Self::AccessTokenHash,
        Self::NoToken,
        Self::RefusedCode,
        Self::OtherHost,
    ];

    pub(super) fn status(self) -> u16 {
        match self {
            Self::OtherHost => 502,
            _ => 403,
        }
    }
}

struct Inner {
    lie: Lie,
    issuer: String,
    key: SigningPair,
    nonce: Mutex<String>,
}

pub(super) struct Scripted {
    pub(super) issuer: String,
    inner: Arc<Inner>,
}

impl Scripted {
    pub(super) async fn start(lie: Lie) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = SigningPair::generate("k1");
        let inner = Arc::new(Inner { lie, issuer: issuer.clone(), key, nonce: Mutex::default() });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(async |State(own): State<Arc<Inner>>| Json(json!({"keys": [own.key.jwk()]}))))
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { issuer, inner }
    }

    /// Where it sends the browser back.
    pub(super) fn answer(&self, asked: &str, base: &str) -> String {
        let asked: HashMap<String, String> = Url::parse(asked).unwrap().query_pairs().into_owned().collect();
        self.inner.nonce.lock().unwrap().clone_from(&asked["nonce"]);
        format!("{base}/sso/openid/callback?code={CODE}&state={}", asked["state"])
    }
}

async fn discovery(State(own): State<Arc<Inner>>) -> Json<Value> {
    let issuer = &own.issuer;
    let token = if own.lie == Lie::OtherHost {
        "http://127.0.0.2:1/token".to_owned()
    } else {
        format!("{issuer}/token")
    };
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": token,
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
    }))
}

async fn token(State(own): State<Arc<Inner>>) -> (http::StatusCode, Json<Value>) {
    if own.lie == Lie::RefusedCode {
        let error = json!({"error": "invalid_grant", "error_description": CODE});
        return (http::StatusCode::BAD_REQUEST, Json(error));
    }
    let mut answer = json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 60});
    if own.lie != Lie::NoToken {
        answer["id_token"] = json!(id_token(&own));
    }
    (http::StatusCode::OK, Json(answer))
}

fn id_token(own: &Inner) -> String {
    let now = START.as_seconds();
    let mut claims = json!({
        "iss": own.issuer, "aud": CLIENT, "sub": "ann", "iat": now, "exp": now + 300,
        "nonce": *own.nonce.lock().unwrap(), "email": "ann@acme.example", "email_verified": true,
        "groups": ["platform"],
    });
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("k1".to_owned());
    let rsa = |pair: &SigningPair| EncodingKey::from_rsa_pem(pair.pem.as_bytes()).unwrap();
    let mut key = rsa(&own.key);
    match own.lie {
        Lie::Audience => claims["aud"] = json!("another-client"),
        Lie::Issuer => claims["iss"] = json!("https://id.evil.example"),
        Lie::Nonce => claims["nonce"] = json!("another"),
        Lie::Expired => claims["exp"] = json!(now - 1),
        Lie::OtherKey => key = rsa(&SigningPair::generate("k1")),
        Lie::AccessTokenHash => claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA"),
        Lie::SharedSecret => {
            header = Header::new(Algorithm::HS256);
            key = EncodingKey::from_secret(SECRET.as_bytes());
        }
        Lie::Unsigned => {
            use base64::Engine as _;
            use base64::engine::general_purpose::URL_SAFE_NO_PAD;
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
            return format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
        }
        _ => {}
    }
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
