//! A control plane with one app, one add-on and one connection to an org: a [`ScriptedOrg`], or the simulator. The
//! server runs in a runtime of its own, so that a test can kill it.

use applink_api::clock::{Clock, MockClock};
use applink_api::entropy::Entropy;
use applink_api::ids::{AddonId, AppUuid};
use applink_api::operator::{CreateAddon, CreateApiKey, CreateApp, Scope};
use applink_api::publication::PublishRequest;
use applink_api::secret::{ExposeSecret, SecretString};
use applink_salesforce::OrgHosts;
use applink_server::audit::{Actor, ActorKind};
use applink_server::config::Reconciling;
use applink_server::vault::MasterKey;
use applink_server::{Config, RunningServer, Server, addons, api_keys, reconcilers};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::backends::Backend;
use crate::receiver::Receiver;
use crate::scripted_org::ScriptedOrg;

pub(crate) const CONNECTION: &str = "production-org";

/// An answer of the control plane.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// How the connection's user logs in.
pub(crate) struct Login {
    pub(crate) url: String,
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) private_key: String,
}

/// The whole arrangement.
pub(crate) struct Publishing<O = ScriptedOrg> {
    pub(crate) org: O,
    pub(crate) addon: AddonId,
    pub(crate) app: AppUuid,
    pub(crate) clock: MockClock,
    config: Config,
    server: Option<(Runtime, RunningServer)>,
    key: SecretString,
    login: Login,
    client: reqwest::Client,
    _backend: Backend,
}

impl Publishing {
    pub(crate) async fn start() -> Self {
        Self::with_app_url(Some("https://reports.example.com")).await
    }

    pub(crate) async fn without_app_url() -> Self {
        Self::with_app_url(None).await
    }

    async fn with_app_url(url: Option<&str>) -> Self {
        let org = ScriptedOrg::start().await;
        let login = Login {
            url: org.url().to_owned(),
            client_id: "3MVG9".to_owned(),
            username: "admin@acme.example".to_owned(),
            private_key: key_pair().private,
        };
        Self::connected_to(org, login, url).await
    }

    /// Sends a publish, and kills the server when the org has the package.
    pub(crate) async fn publish_and_kill(&mut self, archive: Vec<u8>, request: &PublishRequest) {
        let org = self.org.clone();
        tokio::select! {
            answer = self.publish(archive, request) => panic!("answered: {answer:?}"),
            () = org.package_arrived() => {}
        }
        self.kill().await;
    }

    /// Asks for a removal, and kills the server when the org has the package.
    pub(crate) async fn remove_and_kill(&mut self, client: &str) {
        let answer = self.remove(client).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        self.org.package_arrived().await;
        self.kill().await;
    }

    /// From now on reconcilers only run when told, and `receiver` is told what happens.
    pub(crate) async fn stop_reconcilers_and_tell(&mut self, receiver: &str) {
        self.config.webhook_origins.push(receiver.parse().unwrap());
        self.stop_reconcilers().await;
        let body = serde_json::json!({"url": format!("{receiver}/hook"), "event_types": []});
        let answer = self.send(self.client.post(self.url("/webhooks")).json(&body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// From now on reconcilers only run when told.
    pub(crate) async fn stop_reconcilers(&mut self) {
        self.kill().await;
        self.restart_by_hand().await;
    }
}

impl<O> Publishing<O> {
    async fn kill(&mut self) {
        let (runtime, server) = self.server.take().expect("the server runs");
        let killed = tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(std::time::Duration::from_secs(10));
            drop(server);
        });
        killed.await.unwrap();
    }

    /// Connected to `org` through `login`.
    pub(crate) async fn connected_to(org: O, login: Login, app_url: Option<&str>) -> Self {
        let backend = Backend::fresh().await;
        let (clock, hand) = Clock::mock(Clock::system().now());
        let mut config = Config::local(backend.url.clone(), MasterKey::from_bytes([7; 32]));
        config.clock = clock;
        config.entropy = Entropy::system();
        config.access.sso_salt = Some(crate::visitor::SALT.into());
        config.org_hosts = OrgHosts::salesforce().list(&login.url).unwrap();
        let server = start(&config).await;
        let (addon, app, key) = provision(&server.1, app_url).await;
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let stack = Self {
            org,
            addon,
            app,
            clock: hand,
            config,
            server: Some(server),
            key,
            login,
            client,
            _backend: backend,
        };
        stack.connect().await;
        stack
    }

    fn url(&self, path: &str) -> String {
        let server = &self.server.as_ref().expect("the server runs").1;
        format!("{}/addons/{}{path}", server.url(), self.addon)
    }

    /// Where the server is.
    pub(crate) fn origin(&self) -> String {
        self.server.as_ref().expect("the server runs").1.url().to_string()
    }

    pub(crate) async fn connect(&self) {
        let answer = self.connect_as(CONNECTION).await;
        assert_eq!(
            (answer.status, answer.body["status"].as_str()),
            (202, Some("connected")),
            "{}",
            answer.body
        );
    }

    /// The answer to a connection by JWT.
    pub(crate) async fn connect_as(&self, name: &str) -> Answer {
        let login = &self.login;
        let body = serde_json::json!({"connection_name": name, "client_id": login.client_id,
            "username": login.username, "login_url": login.url, "jwt_private_key": login.private_key});
        self.send(self.client.post(self.url("/connections/salesforce/jwt")).json(&body)).await
    }

    pub(crate) async fn disconnect(&self) {
        let answer = self.send(self.client.delete(self.url(&format!("/connections/{CONNECTION}")))).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request =
            request.bearer_auth(self.key.expose_secret()).header("x-app-uuid", self.app.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, body: response.json().await.unwrap_or(Value::Null) }
    }

    pub(crate) async fn publish(&self, archive: Vec<u8>, request: &PublishRequest) -> Answer {
        self.publish_through(CONNECTION, archive, request).await
    }

    pub(crate) async fn publish_through(
        &self,
        connection: &str,
        archive: Vec<u8>,
        request: &PublishRequest,
    ) -> Answer {
        let url = self.url(&format!("/connections/salesforce/{connection}/apps"));
        self.send(self.client.post(url).multipart(form(archive, request))).await
    }

    pub(crate) async fn post_parts(&self, parts: Vec<(&'static str, &'static str, Vec<u8>)>) -> Answer {
        let form = parts.into_iter().fold(reqwest::multipart::Form::new(), |form, (name, kind, bytes)| {
            form.part(name, reqwest::multipart::Part::bytes(bytes).mime_str(kind).unwrap())
        });
        let url = self.url(&format!("/connections/salesforce/{CONNECTION}/apps"));
        self.send(self.client.post(url).multipart(form)).await
    }

    /// Any body as a publish.
    pub(crate) async fn post_raw(&self, content_type: &str, body: Vec<u8>) -> Answer {
        let url = self.url(&format!("/connections/salesforce/{CONNECTION}/apps"));
        self.send(self.client.post(url).header("content-type", content_type).body(body)).await
    }

    /// Starts again, with reconcilers that only run when told.
    pub(crate) async fn restart_by_hand(&mut self) {
        self.config.reconciling = Reconciling::ByHand;
        self.restart().await;
    }

    /// What handlers share.
    pub(crate) fn app(&self) -> &applink_server::app::App {
        self.server.as_ref().expect("the server runs").1.app()
    }

    /// Starts again, with reconcilers that run by themselves.
    pub(crate) async fn restart_by_itself(&mut self) {
        self.kill().await;
        self.config.reconciling = Reconciling::Running;
        self.restart().await;
    }

    /// Starts again with a webhook for what becomes of publications; its secret.
    pub(crate) async fn hook(&mut self, receiver: &Receiver) -> String {
        self.config.webhook_origins.push(receiver.url().parse().unwrap());
        self.restart_by_itself().await;
        let body = serde_json::json!({"url": receiver.url(), "event_types": ["publication.*"]});
        let made = self.send(self.client.post(self.url("/webhooks")).json(&body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["secret"].as_str().unwrap().to_owned()
    }

    /// Runs a reconciler once, and the work it started to its end.
    pub(crate) async fn reconcile(&self, name: &str) {
        let app = self.server.as_ref().expect("the server runs").1.app();
        let found = reconcilers::ALL.iter().find(|reconciler| reconciler.name == name).unwrap();
        found.run(app).await.unwrap();
        app.tasks.close();
        app.tasks.wait().await;
        app.tasks.reopen();
    }

    pub(crate) async fn restart(&mut self) {
        self.server = Some(start(&self.config).await);
    }

    pub(crate) async fn publications(&self) -> Answer {
        let path = format!("/connections/salesforce/{CONNECTION}/apps/{}", self.app);
        self.send(self.client.get(self.url(&path))).await
    }

    /// A GET below the add-on.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    /// Content type and bytes of a GET below the add-on.
    pub(crate) async fn get_bytes(&self, path: &str) -> (String, Vec<u8>) {
        let request = self.client.get(self.url(path)).bearer_auth(self.key.expose_secret());
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.bytes().await.unwrap().to_vec())
    }

    /// Asks for a client's removal.
    pub(crate) async fn remove(&self, client: &str) -> Answer {
        let path = format!("/connections/salesforce/{CONNECTION}/apps/{}/{client}", self.app);
        self.send(self.client.delete(self.url(&path))).await
    }

    /// Asks until this many are listed and none is under way: the reconciler works on its own time.
    pub(crate) async fn publications_settled(&self, count: usize) -> Answer {
        for _ in 0..400 {
            let answer = self.publications().await;
            let listed = answer.body.as_array().cloned().unwrap_or_default();
            let is_settled = listed.iter().all(|one| one["removal"]["status"] != "removing");
            if listed.len() == count && is_settled {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("not settled within 20 seconds: {}", self.publications().await.body);
    }

    /// What the audit log says happened, the newest first.
    pub(crate) async fn audited(&self) -> Vec<(String, String)> {
        let app = self.server.as_ref().expect("the server runs").1.app();
        let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), self.addon, 100);
        let rows = rows.await.unwrap().into_iter();
        rows.map(|row| (row.action, row.detail)).collect()
    }

    /// Asks until something is listed: the reconciler works on its own time.
    pub(crate) async fn publications_when_there(&self) -> Answer {
        for _ in 0..400 {
            let answer = self.publications().await;
            if answer.body != Value::Array(Vec::new()) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("nothing was published within 20 seconds");
    }
}

impl<O> Drop for Publishing<O> {
    fn drop(&mut self) {
        if let Some((runtime, server)) = self.server.take() {
            drop(server);
            runtime.shutdown_background();
        }
    }
}

async fn start(config: &Config) -> (Runtime, RunningServer) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.spawn(Server::start(config.clone())).await.unwrap().unwrap();
    (runtime, server)
}

async fn provision(server: &RunningServer, url: Option<&str>) -> (AddonId, AppUuid, SecretString) {
    let actor = Actor::new(ActorKind::Operator, "tests");
    let create = CreateApp { name: "report-tools".to_owned(), url: url.map(str::to_owned) };
    let app = addons::create_app(server.app(), &actor, create, None).await.unwrap();
    let create = CreateAddon { app: app.name.clone(), attachment: None, name: None };
    let addon = addons::provision(server.app(), &actor, create).await.unwrap();
    let create =
        CreateApiKey { owner: "dev@acme.example".to_owned(), scope: Scope::Manage, addon: Some(addon.id) };
    let key = api_keys::create(server.app(), &actor, create).await.unwrap();
    (addon.id, app.id, key.key)
}

fn form(archive: Vec<u8>, request: &PublishRequest) -> reqwest::multipart::Form {
    let json = serde_json::to_vec(request).unwrap();
    reqwest::multipart::Form::new()
        .part(
            "metadata",
            reqwest::multipart::Part::bytes(archive).file_name("blob").mime_str("application/zip").unwrap(),
        )
        .part("app_request", reqwest::multipart::Part::bytes(json).mime_str("application/json").unwrap())
}

/// A fresh RSA key, in PEM.
pub(crate) struct KeyPair {
    pub(crate) private: String,
    pub(crate) public: String,
}

pub(crate) fn key_pair() -> KeyPair {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
    let encode = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der.to_vec()));
    KeyPair {
        private: encode("PRIVATE KEY", private.as_ref()),
        public: encode("PUBLIC KEY", public.as_ref()),
    }
}
