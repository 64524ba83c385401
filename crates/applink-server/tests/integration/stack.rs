//! A control plane of one's own, a scripted org, one add-on, and the people who call.

use std::time::Duration;

use applink_api::clock::{Clock, MockClock};
use applink_api::entropy::Entropy;
use applink_api::ids::{AddonId, AppUuid};
use applink_api::operator::{CreateAddon, CreateApiKey, CreateApp, ProvisionedAddon, Scope};
use applink_api::time::Timestamp;
use applink_server::audit::{self, Actor};
use applink_server::config::{LoginClient, Reconciling};
use applink_server::credentials::Kind;
use applink_server::db::{DatabaseUrl, RowId};
use applink_server::tokens::store::NewGrant;
use applink_server::vault::{MasterKey, Place, SealedToken};
use applink_server::{Config, RunningServer, Server, addons, api_keys, credentials, reconcilers, tokens};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use sea_orm::{EntityTrait as _, QueryOrder as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::backends::Backend;
use crate::fake_org::{CONSUMER_KEY, CONSUMER_SECRET, FakeOrg};

/// 2026-01-01T00:00:00Z
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_767_225_600);
pub(crate) const MASTER_KEY: [u8; 32] = [42; 32];
pub(crate) const OPERATOR_KEY: &str = "canary-operator-key-0123456789abcdef";
pub(crate) const OWNER: &str = "dev@acme.example";

pub(crate) struct Stack {
    pub(crate) server: RunningServer,
    pub(crate) org: FakeOrg,
    pub(crate) clock: MockClock,
    pub(crate) tenant: Tenant,
    pub(crate) backend: Backend,
    http: reqwest::Client,
}

/// An add-on with its credentials.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) addon: AddonId,
    pub(crate) app: AppUuid,
    pub(crate) token: String,
    pub(crate) api_key: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn location(&self) -> &str {
        self.headers[LOCATION].to_str().expect("a URL")
    }

    /// `name=value` of the cookie that was set.
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers[SET_COOKIE].to_str().expect("a cookie");
        set.split(';').next().expect("a pair").to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, id: &str) -> String {
        let body = self.expect(status).json();
        assert_eq!(body["id"], json!(id), "{body}");
        for key in ["message", "title", "detail"] {
            assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key} is missing in {body}");
        }
        assert_eq!(body["status"], json!(status));
        body["message"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn seeded(seed: u64) -> Entropy {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    Entropy::from_fn(move |bytes| random.fill_bytes(bytes))
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Backend::fresh().await, change).await
    }

    /// On a database that is there already.
    pub(crate) async fn on(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let org = FakeOrg::start().await;
        let (clock, hand) = Clock::mock(START);
        let mut config = Self::config(&backend, &org, clock);
        change(&mut config);
        let server = Server::start(config).await.expect("the server starts");
        let tenant = provision(&server, "my-app").await;
        Self { server, org, clock: hand, tenant, backend, http: client() }
    }

    /// Settings of a server on this database that speaks to this org.
    pub(crate) fn config(backend: &Backend, org: &FakeOrg, clock: Clock) -> Config {
        configured(backend.url.clone(), org.url(), clock)
    }

    /// How many audit rows of the tenant tell of this.
    pub(crate) async fn count_audited(&self, action: &str) -> usize {
        let reader = self.server.app().store.reader();
        let rows = audit::store::rows_of_addon(reader, self.tenant.addon, 1_000_000).await.expect("a query");
        rows.iter().filter(|row| row.action == action).count()
    }

    /// Another tenant on the same server.
    pub(crate) async fn another_tenant(&self, app: &str) -> Tenant {
        provision(&self.server, app).await
    }

    /// Runs a reconciler once.
    pub(crate) async fn reconcile(&self, name: &str) {
        let found = reconcilers::ALL.iter().find(|reconciler| reconciler.name == name).expect("a reconciler");
        found.run(self.server.app()).await.expect("a run");
    }

    pub(crate) fn path(&self, path: &str) -> String {
        format!("/addons/{}{path}", self.tenant.addon)
    }

    /// Any request; `path` is absolute.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.server.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answered(request).await
    }

    /// App code, with the add-on's token.
    pub(crate) async fn app(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.tenant.token);
        let app = self.tenant.app.to_string();
        let headers = [("authorization", bearer.as_str()), ("x-app-uuid", app.as_str())];
        self.send(method, &self.path(path), &headers, body).await
    }

    /// A person with an API key.
    pub(crate) async fn manager(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.tenant.api_key);
        self.send(method, &self.path(path), &[("authorization", bearer.as_str())], body).await
    }

    /// An operator.
    pub(crate) async fn operator(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {OPERATOR_KEY}");
        self.send(method, path, &[("authorization", bearer.as_str())], body).await
    }

    /// A browser: any URL, with cookies.
    pub(crate) async fn browse(&self, url: &str, cookie: Option<&str>) -> Answer {
        let mut request = self.http.get(url);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        answered(request).await
    }

    /// A browser that sends a form.
    pub(crate) async fn submit(&self, url: &str, cookie: Option<&str>, form: &[(&str, &str)]) -> Answer {
        let mut request = self.http.post(url).form(form);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        answered(request).await
    }

    /// POSTs a connection; the start link.
    pub(crate) async fn begin_connection(&self, name: &str) -> Value {
        let body = json!({"connection_name": name});
        self.manager(Method::POST, "/connections/salesforce", Some(&body)).await.expect(202).json()
    }

    /// POSTs an authorization; the start link.
    pub(crate) async fn begin_authorization(&self, name: &str) -> Value {
        let body = json!({"developer_name": name});
        self.manager(Method::POST, "/authorizations/salesforce", Some(&body)).await.expect(202).json()
    }

    /// Opens a start link and goes through the org; the callback URL and this browser's cookie.
    pub(crate) async fn log_in(&self, link: &str) -> (String, String) {
        let start = self.browse(link, None).await.expect(303);
        let consent = self.browse(start.location(), None).await.expect(302);
        (consent.location().to_owned(), start.cookie())
    }

    pub(crate) async fn connect(&self, name: &str) -> Value {
        let begun = self.begin_connection(name).await;
        self.finish(&begun).await;
        self.manager(Method::GET, &format!("/connections/{name}"), None).await.expect(200).json()
    }

    pub(crate) async fn authorize(&self, name: &str) -> Value {
        let begun = self.begin_authorization(name).await;
        self.finish(&begun).await;
        self.manager(Method::GET, &format!("/authorizations/{name}"), None).await.expect(200).json()
    }

    async fn finish(&self, begun: &Value) {
        let (callback, cookie) = self.log_in(begun["redirect_uri"].as_str().expect("a link")).await;
        self.browse(&callback, Some(&cookie)).await.expect(200);
    }

    /// The token an app gets.
    pub(crate) async fn token_of(&self, name: &str) -> String {
        let answer = self.app(Method::GET, &format!("/authorizations/{name}"), None).await.expect(200).json();
        answer["org"]["user_auth"]["access_token"].as_str().expect("a token").to_owned()
    }

    /// Waits until nothing goes on behind the requests any more.
    pub(crate) async fn settled(&self) {
        let tasks = &self.server.app().tasks;
        tasks.close();
        tasks.wait().await;
        tasks.reopen();
    }

    /// Copies an authorization, grant and all, until there are `count`. Copies share their ciphertext's row id, so they
    /// are sealed anew.
    pub(crate) async fn copy_authorization(&self, name: &str, count: usize) {
        let app = self.server.app();
        let original =
            credentials::store::find(app.store.reader(), self.tenant.addon, Kind::Authorization, name)
                .await
                .expect("a query")
                .expect("the authorization");
        let grant = tokens::store::live(app.store.reader(), self.tenant.addon, original.id)
            .await
            .expect("a query")
            .expect("its grant");
        for number in 1..count {
            let mut copy = original.clone();
            copy.id = app.entropy.uuid();
            copy.name = format!("{name}{number}");
            copy.alias = None;
            let id = RowId(app.entropy.uuid());
            let (access, refresh) =
                (grant.access_token.as_ref().expect("sealed"), grant.refresh_token.as_ref().expect("sealed"));
            let place = |column| Place { row: id.0, ..grant.place(column) };
            let reseal = async |column, sealed: &SealedToken| {
                let opened = app.vault.open_sealed(grant.place(column), sealed).await.expect("it opens");
                app.vault.seal(place(column), &opened).await.expect("it seals")
            };
            let new = NewGrant {
                id,
                addon: self.tenant.addon,
                credential: RowId(copy.id),
                method: original.method,
                login_origin: grant.login_origin.clone(),
                client_id: grant.client_id.clone(),
                org: original.live().expect("live").clone(),
                access_token: reseal("access_token", access).await,
                refresh_token: Some(reseal("refresh_token", refresh).await),
                private_key: None,
                issued_at: Timestamp::from_micros(grant.issued_at),
                expires_at: Timestamp::from_micros(grant.expires_at),
            };
            let tx = app.store.begin().await.expect("a transaction");
            credentials::store::insert(&*tx, &copy).await.expect("a row");
            tokens::store::insert(&*tx, new).await.expect("a grant");
            tx.commit().await.expect("a commit");
        }
    }

    /// How many days the refresh token that rests longest was not used.
    pub(crate) async fn longest_idle_days(&self) -> i64 {
        let reader = self.server.app().store.reader();
        let oldest = tokens::store::Entity::find()
            .order_by_asc(tokens::store::Column::IssuedAt)
            .one(reader)
            .await
            .expect("a query")
            .expect("a grant");
        (self.clock.now().as_micros() - oldest.issued_at) / (24 * 3600 * 1_000_000)
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Settings of a server on this database that speaks to the org at this address.
pub(crate) fn configured(database: DatabaseUrl, org: &str, clock: Clock) -> Config {
    let mut config = Config::local(database, MasterKey::from_bytes(MASTER_KEY));
    config.clock = clock;
    config.entropy = seeded(7);
    config.reconciling = Reconciling::ByHand;
    config.access.operator_key = Some(OPERATOR_KEY.into());
    config.org_hosts = config.org_hosts.lead("https://login.salesforce.com", org).expect("an origin");
    config.oauth.clients.push(LoginClient {
        login_host: None,
        client_id: CONSUMER_KEY.to_owned(),
        client_secrets: vec![CONSUMER_SECRET.into()],
    });
    config
}

async fn provision(server: &RunningServer, name: &str) -> Tenant {
    let app = server.app();
    let actor = Actor::system();
    let create = CreateApp { name: name.to_owned(), url: Some(format!("https://{name}.example")) };
    let created = addons::create_app(app, &actor, create, None).await.expect("an app");
    let request = CreateAddon { app: created.name, attachment: None, name: None };
    let ProvisionedAddon { id, token, .. } =
        addons::provision(app, &actor, request).await.expect("an add-on");
    let request = CreateApiKey { owner: OWNER.to_owned(), scope: Scope::Manage, addon: Some(id) };
    let key = api_keys::create(app, &actor, request).await.expect("a key");
    Tenant {
        addon: id,
        app: created.id,
        token: token.expose_secret().to_owned(),
        api_key: key.key.expose_secret().to_owned(),
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client")
}

async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a body") }
}
