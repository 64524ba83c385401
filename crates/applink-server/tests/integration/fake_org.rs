//! A scripted org: the OAuth endpoints, who-am-I, the permission query and the key set, with their JSON written out
//! here. What it does next can be scripted, and what it was sent can be read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use applink_api::clock::MockClock;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub(crate) const ORG_ID: &str = "00DSB00000VAyPF2A1";
pub(crate) const USER_ID: &str = "005DS00000yYLD1YAO";
pub(crate) const USERNAME: &str = "admin@acme.example";
pub(crate) const CONSUMER_KEY: &str = "3MVG9consumer";
pub(crate) const CONSUMER_SECRET: &str = "canary-consumer-secret";

/// What the token endpoint does next, once, instead of answering.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 400 with an OAuth error.
    Refuse(&'static str, &'static str),
    /// A bare 500.
    Fail,
    /// Waits until told, then answers as usual.
    Wait(Arc<Notify>),
    /// Waits until told, then 400 with an OAuth error.
    WaitAndRefuse(Arc<Notify>, &'static str, &'static str),
    /// Does its part, and the connection ends before the answer.
    LoseAnswer,
    /// Does its part, and answers when told.
    AnswerLate(Arc<Notify>),
}

#[derive(Default)]
pub(crate) struct Script {
    /// What the token endpoint does next.
    pub(crate) replies: VecDeque<Reply>,
    /// Whether refresh tokens are replaced as they are used.
    pub(crate) rotate: bool,
    /// Whether the user lacks Manage Heroku AppLink.
    pub(crate) without_permission: bool,
    /// Whether token answers leave out the refresh token.
    pub(crate) without_refresh_token: bool,
    /// Whether an assertion is answered with the session the last one got.
    pub(crate) same_session: bool,
    session: Option<Value>,
    /// Another host or org in the identity URL.
    pub(crate) identity: Option<String>,
    /// Another org.
    pub(crate) org_id: Option<&'static str>,
    /// Another user.
    pub(crate) user_id: Option<&'static str>,
    /// Requests that were served, by what they were.
    pub(crate) counts: HashMap<&'static str, u32>,
    /// Every secret that was given out or received.
    pub(crate) secrets: Vec<String>,
    /// Tokens that were revoked.
    pub(crate) revoked: Vec<String>,
    /// Forms of the token endpoint, without the secrets.
    pub(crate) assertions: Vec<Value>,
    /// `/id/keys` answers 500.
    pub(crate) keys_refused: bool,
    /// Whether it says of no refresh token how it is.
    pub(crate) without_introspection: bool,
    /// How long its sessions last; without that it does not introspect access tokens.
    pub(crate) session_seconds: Option<i64>,
    /// Its time; stands still at the tests' start without one.
    pub(crate) clock: Option<MockClock>,
    /// How far its clock is ahead.
    pub(crate) skew_seconds: i64,
    /// Another instance URL in token answers.
    pub(crate) instance_url: Option<String>,
    /// Used refresh tokens that came again although an access token given out before still worked.
    pub(crate) harmful_replays: u32,
    /// Used refresh tokens that came again after that.
    pub(crate) late_replays: u32,
    challenges: HashMap<String, (String, String)>,
    /// The grants, by their living refresh token.
    refresh_tokens: HashMap<String, Family>,
    /// Used refresh tokens, and until when a token that was given out before they were used works.
    spent: HashMap<String, (u32, i64)>,
    /// When sessions end, by the org's clock.
    sessions: HashMap<String, i64>,
    serial: u32,
}

/// A grant: every refresh token that came of one log-in.
#[derive(Clone, Copy)]
struct Family {
    id: u32,
    /// Until when its newest access token works.
    alive_until: i64,
}

impl Script {
    /// Its time, in seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let now = self.clock.as_ref().map_or(crate::stack::START, MockClock::now);
        now.as_micros() / 1_000_000 + self.skew_seconds
    }

    /// Whether it gives new tokens for this refresh token.
    pub(crate) fn takes_refresh_token(&self, token: &str) -> bool {
        self.refresh_tokens.contains_key(token)
    }

    /// Whether an access token is good at this moment.
    pub(crate) fn accepts(&self, access_token: &str) -> bool {
        self.sessions.get(access_token).is_some_and(|ends| self.now() < *ends)
    }
}

struct Inner {
    url: String,
    key: SigningPair,
    script: Mutex<Script>,
    served: Notify,
}

/// The org.
#[derive(Clone)]
pub(crate) struct FakeOrg(Arc<Inner>);

/// An RSA key pair, as PEM and as JWK.
pub(crate) struct SigningPair {
    pub(crate) pem: String,
    pub(crate) public_pem: String,
    pub(crate) kid: String,
}

impl SigningPair {
    pub(crate) fn generate(kid: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("PKCS#8");
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref().to_vec()));
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).expect("X.509");
        let public_pem = pem::encode(&pem::Pem::new("PUBLIC KEY", public.as_ref().to_vec()));
        Self { pem, public_pem, kid: kid.to_owned() }
    }

    fn encoding_key(&self) -> EncodingKey {
        EncodingKey::from_rsa_pem(self.pem.as_bytes()).expect("the key reads")
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.encoding_key(), Algorithm::RS256).expect("a JWK");
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    /// Signs claims as an org does.
    pub(crate) fn sign(&self, org_id: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.extras.insert("tnk", format!("core/prod/{org_id}"));
        jsonwebtoken::encode(&header, claims, &self.encoding_key()).expect("a token")
    }
}

impl FakeOrg {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = SigningPair::generate("org-key-1");
        let org = Self(Arc::new(Inner { url, key, script: Mutex::default(), served: Notify::new() }));
        let routes = Router::new()
            .route("/services/oauth2/authorize", get(authorize))
            .route("/services/oauth2/token", post(token))
            .route("/services/oauth2/revoke", post(revoke))
            .route("/services/oauth2/introspect", post(introspect))
            .route("/services/oauth2/userinfo", get(userinfo))
            .route("/services/data", get(versions))
            .route("/services/data/{version}/query", get(query))
            .route("/id/keys", get(keys))
            .with_state(org.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        org
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn key(&self) -> &SigningPair {
        &self.0.key
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, what: &'static str) -> u32 {
        self.script().counts.get(what).copied().unwrap_or_default()
    }

    fn org_id(&self) -> &'static str {
        self.script().org_id.unwrap_or(ORG_ID)
    }

    fn user_id(&self) -> &'static str {
        self.script().user_id.unwrap_or(USER_ID)
    }

    fn served(&self, what: &'static str) {
        *self.script().counts.entry(what).or_default() += 1;
        self.0.served.notify_waiters();
    }

    /// Waits until the org was asked this often.
    pub(crate) async fn asked(&self, what: &'static str, times: u32) {
        loop {
            let next = self.0.served.notified();
            if self.count(what) >= times {
                return;
            }
            next.await;
        }
    }

    /// Takes over the grants of another address of the same org.
    pub(crate) fn adopt(&self, other: &FakeOrg) {
        let known = other.script().refresh_tokens.clone();
        self.script().refresh_tokens = known;
    }

    /// A token that can be found again wherever it leaks to.
    fn secret(&self, kind: &str) -> String {
        let mut script = self.script();
        script.serial += 1;
        let secret = format!("canary-{kind}-{:04}", script.serial);
        script.secrets.push(secret.clone());
        secret
    }

    fn tokens(&self, refresh_token: Option<String>) -> Value {
        let (org_id, user_id) = (self.org_id(), self.user_id());
        let access_token = self.secret("access");
        let mut script = self.script();
        let now = script.now();
        let ends = now + script.session_seconds.unwrap_or(900);
        script.sessions.insert(access_token.clone(), ends);
        let identity = script.identity.clone();
        let identity = identity.unwrap_or_else(|| format!("{}/id/{org_id}/{user_id}", self.url()));
        let instance = script.instance_url.clone().unwrap_or_else(|| self.url().to_owned());
        let mut answer = json!({
            "access_token": access_token, "instance_url": instance, "id": identity,
            "scope": "refresh_token api id", "token_type": "Bearer", "issued_at": (now * 1000).to_string(),
        });
        if let Some(refresh_token) = refresh_token {
            answer["refresh_token"] = json!(refresh_token);
        }
        answer
    }

    /// An admin revokes every refresh token.
    pub(crate) fn revoke_all(&self) {
        self.script().refresh_tokens.clear();
    }

    /// A refresh token of a grant; of a new one without `family`.
    fn new_refresh_token(&self, family: Option<u32>) -> String {
        let token = self.secret("refresh");
        let mut script = self.script();
        let alive_until = script.now() + script.session_seconds.unwrap_or(900);
        let id = family.unwrap_or(script.serial);
        script.refresh_tokens.insert(token.clone(), Family { id, alive_until });
        token
    }
}

/// An answer that ends before it began.
fn cut() -> Response {
    let broken =
        futures_util::stream::once(std::future::ready(Err::<Vec<u8>, _>(std::io::Error::other("cut"))));
    axum::body::Body::from_stream(broken).into_response()
}

fn refused(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": description}))).into_response()
}

/// Nobody needs to log in: consent is at once.
async fn authorize(State(org): State<FakeOrg>, Query(query): Query<HashMap<String, String>>) -> Response {
    org.served("authorize");
    let code = org.secret("code");
    let field = |name: &str| query.get(name).cloned().unwrap_or_default();
    assert_eq!(field("code_challenge_method"), "S256");
    assert_eq!(field("client_id"), CONSUMER_KEY);
    org.script().challenges.insert(code.clone(), (field("code_challenge"), field("redirect_uri")));
    let back = format!("{}?code={code}&state={}", field("redirect_uri"), field("state"));
    (StatusCode::FOUND, [(header::LOCATION, back)]).into_response()
}

async fn token(State(org): State<FakeOrg>, Form(form): Form<HashMap<String, String>>) -> Response {
    let grant = form.get("grant_type").cloned().unwrap_or_default();
    let what = match grant.as_str() {
        "authorization_code" => "exchange",
        "refresh_token" => "refresh",
        _ => "assertion",
    };
    org.served(what);
    let reply = org.script().replies.pop_front();
    match reply {
        Some(Reply::Refuse(error, description)) => return refused(error, description),
        Some(Reply::Fail) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Reply::Wait(told)) => told.notified().await,
        Some(Reply::WaitAndRefuse(told, error, description)) => {
            told.notified().await;
            return refused(error, description);
        }
        Some(Reply::LoseAnswer) => {
            answer(&org, what, &form);
            return cut();
        }
        Some(Reply::AnswerLate(told)) => {
            let late = answer(&org, what, &form);
            org.served("answer");
            told.notified().await;
            return late;
        }
        None => {}
    }
    answer(&org, what, &form)
}

fn answer(org: &FakeOrg, what: &str, form: &HashMap<String, String>) -> Response {
    match what {
        "exchange" => exchange(org, form),
        "refresh" => refresh(org, form),
        _ => bearer(org, form),
    }
}

fn exchange(org: &FakeOrg, form: &HashMap<String, String>) -> Response {
    if form.get("client_secret").map(String::as_str) != Some(CONSUMER_SECRET) {
        return refused("invalid_client", "invalid client credentials");
    }
    let code = form.get("code").cloned().unwrap_or_default();
    let Some((challenge, redirect_uri)) = org.script().challenges.remove(&code) else {
        return refused("invalid_grant", "expired authorization code");
    };
    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
    org.script().secrets.push(verifier.clone());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    if URL_SAFE_NO_PAD.encode(hash) != challenge || form.get("redirect_uri") != Some(&redirect_uri) {
        return refused("invalid_grant", "invalid code verifier");
    }
    let without = org.script().without_refresh_token;
    let refresh_token = if without { None } else { Some(org.new_refresh_token(None)) };
    Json(org.tokens(refresh_token)).into_response()
}

fn refresh(org: &FakeOrg, form: &HashMap<String, String>) -> Response {
    if form.get("client_secret").map(String::as_str) != Some(CONSUMER_SECRET) {
        return refused("invalid_client", "invalid client credentials");
    }
    let sent = form.get("refresh_token").cloned().unwrap_or_default();
    let known = org.script().refresh_tokens.get(&sent).copied();
    let Some(family) = known else {
        replayed(&mut org.script(), &sent);
        return refused("invalid_grant", "expired access/refresh token");
    };
    let rotate = org.script().rotate;
    if !rotate {
        return Json(org.tokens(None)).into_response();
    }
    org.script().refresh_tokens.remove(&sent);
    org.script().spent.insert(sent, (family.id, family.alive_until));
    let next = org.new_refresh_token(Some(family.id));
    Json(org.tokens(Some(next))).into_response()
}

/// A used refresh token ends its whole grant when it comes again.
fn replayed(script: &mut Script, sent: &str) {
    let Some((family, alive_until)) = script.spent.get(sent).copied() else { return };
    if script.now() < alive_until {
        script.harmful_replays += 1;
    } else {
        script.late_replays += 1;
    }
    script.refresh_tokens.retain(|_, known| known.id != family);
}

/// How a refresh token is.
fn asked_of(org: &FakeOrg, form: &HashMap<String, String>) -> Response {
    org.served("asked of refresh token");
    let script = org.script();
    if script.without_introspection {
        return StatusCode::NOT_FOUND.into_response();
    }
    if form.get("client_secret").map(String::as_str) != Some(CONSUMER_SECRET) {
        return refused("invalid_client", "invalid client credentials");
    }
    let token = form.get("token").cloned().unwrap_or_default();
    Json(json!({"active": script.refresh_tokens.contains_key(&token)})).into_response()
}

async fn introspect(State(org): State<FakeOrg>, Form(form): Form<HashMap<String, String>>) -> Response {
    if form.get("token_type_hint").map(String::as_str) == Some("refresh_token") {
        return asked_of(&org, &form);
    }
    org.served("introspect");
    let script = org.script();
    let Some(session_seconds) = script.session_seconds else { return StatusCode::NOT_FOUND.into_response() };
    if form.get("client_secret").map(String::as_str) != Some(CONSUMER_SECRET) {
        return refused("invalid_client", "invalid client credentials");
    }
    let token = form.get("token").cloned().unwrap_or_default();
    let ends = script.sessions.get(&token).copied().unwrap_or_default();
    let (active, began) = (script.now() < ends, ends - session_seconds);
    Json(json!({"active": active, "exp": ends, "iat": began, "nbf": began, "username": USERNAME,
        "token_type": "access_token"}))
    .into_response()
}

fn bearer(org: &FakeOrg, form: &HashMap<String, String>) -> Response {
    let assertion = form.get("assertion").cloned().unwrap_or_default();
    let claims = assertion.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    org.script().secrets.push(assertion);
    org.script().assertions.push(claims.clone());
    if claims["iss"] != json!(CONSUMER_KEY) {
        return refused("invalid_client_id", "client identifier invalid");
    }
    if claims["sub"] != json!(USERNAME) {
        return refused("invalid_grant", "user hasn't approved this consumer");
    }
    if claims["aud"] != json!(org.url()) {
        return refused("invalid_grant", "audience is invalid");
    }
    let now = org.script().now();
    let exp = claims["exp"].as_i64().unwrap_or_default();
    if org.script().clock.is_some() && !(now..=now + 180).contains(&exp) {
        let mut answer = refused("invalid_grant", "invalid assertion");
        let date = jiff::fmt::rfc2822::to_string(
            &jiff::Timestamp::from_second(now).expect("a time").to_zoned(jiff::tz::TimeZone::UTC),
        );
        let date = date.expect("a date").replace("+0000", "GMT").parse().expect("a header");
        answer.headers_mut().insert(header::DATE, date);
        return answer;
    }
    let again = {
        let script = org.script();
        if script.same_session { script.session.clone() } else { None }
    };
    let answer = again.unwrap_or_else(|| org.tokens(None));
    org.script().session = Some(answer.clone());
    Json(answer).into_response()
}

async fn revoke(State(org): State<FakeOrg>, Form(form): Form<HashMap<String, String>>) -> Response {
    org.served("revoke");
    let fails = matches!(org.script().replies.front(), Some(Reply::Fail));
    if fails {
        org.script().replies.pop_front();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let held = org.script().replies.pop_front_if(|reply| matches!(reply, Reply::Wait(_)));
    if let Some(Reply::Wait(told)) = held {
        told.notified().await;
    }
    org.script().revoked.push(form.get("token").cloned().unwrap_or_default());
    StatusCode::OK.into_response()
}

async fn userinfo(State(org): State<FakeOrg>) -> Json<Value> {
    let (org_id, user_id, url) = (org.org_id(), org.user_id(), org.url());
    Json(json!({
        "sub": format!("{url}/id/{org_id}/{user_id}"), "user_id": user_id, "organization_id": org_id,
        "preferred_username": USERNAME, "name": "Ada Admin", "email": USERNAME, "active": true,
    }))
}

async fn versions() -> Json<Value> {
    Json(json!([
        {"label": "Winter '26", "url": "/services/data/v65.0", "version": "65.0"},
        {"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"},
    ]))
}

async fn query(
    State(org): State<FakeOrg>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    org.served("query");
    assert!(headers.contains_key(header::AUTHORIZATION));
    assert!(query["q"].contains("PermissionsManageHerokuAppLink"));
    let may = !org.script().without_permission;
    Json(json!({"totalSize": 1, "done": true, "records": [{
        "attributes": {"type": "UserPermissionAccess", "url": "/services/data/v66.0/sobjects/UserPermissionAccess/000"},
        "PermissionsManageHerokuAppLink": may}]}))
}

async fn keys(State(org): State<FakeOrg>) -> Response {
    org.served("keys");
    if org.script().keys_refused {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Json(json!({"keys": [org.key().jwk()]})).into_response()
}
