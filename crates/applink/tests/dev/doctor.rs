//! `applink doctor` against a running stack: nothing is wrong, then one thing at a time is, and it is named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use applink_testkit::dev_stack::{DevStack, STEPS};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::visitor::{Decision, Person, Visitor};
use super::{APPLINK, http};

/// The control plane's client in the org, and the sample's service.
const CLIENT: &str = "AppLink_Control_Plane";
const SERVICE: &str = "ProvisioningService";
const NOWHERE: &str = "http://127.0.0.1:1";

/// Everything that is seeded below, each of which has to be named with its cause and its fix.
const FAULTS: [&str; 48] = [
    "addon-unknown",
    "api-key-refused",
    "api-not-enabled",
    "app-address",
    "app-id-invalid",
    "app-id-missing",
    "app-on-wrong-port",
    "app-unreachable",
    "callback-not-registered",
    "client-app-blocked",
    "client-app-not-installed",
    "client-secret-wrong",
    "clock-skew",
    "credentials-incomplete",
    "flow-not-enabled",
    "grant-dead",
    "ip-refused",
    "key-file-open",
    "key-mismatch",
    "key-unusable",
    "log-in-unfinished",
    "login-url",
    "mesh-bypassed",
    "mesh-not-in-procfile",
    "no-addon",
    "not-connected",
    "nothing-connected",
    "org-address",
    "org-inactive",
    "org-refused",
    "org-unreachable",
    "permission-missing",
    "permission-set-unassigned",
    "publication-removed",
    "publications-unreadable",
    "refresh-policy",
    "scope-missing",
    "service-address",
    "service-trouble",
    "service-unreachable",
    "spec-invalid",
    "spec-outdated",
    "token-refused",
    "user-inactive",
    "user-not-approved",
    "user-not-looked-at",
    "wrong-attachment",
    "wrong-audience",
];

/// A folder of an app as it should be, and what its shell has.
struct Patient {
    folder: TempDir,
    variables: BTreeMap<&'static str, String>,
    arguments: Vec<String>,
}

impl Patient {
    fn of(stack: &DevStack, spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = |field: &str| stack.text(field).to_owned();
        let variables = [
            ("HEROKU_APPLINK_API_URL", text("applink_api_url")),
            ("HEROKU_APPLINK_TOKEN", text("applink_token")),
            ("APPLINK_API_KEY", text("applink_api_key")),
            ("HEROKU_APP_ID", text("app_id")),
            ("HEROKU_APP_NAME", text("app_name")),
        ];
        let patient = Self {
            folder,
            variables: variables.into(),
            arguments: vec!["--app-url".to_owned(), text("mesh_url")],
        };
        patient.file("Procfile", "web: applink-mesh -- node server.js\n").file("api-spec.yaml", spec)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    fn app_at(mut self, url: &str) -> Self {
        self.arguments = vec!["--app-url".to_owned(), url.to_owned()];
        self
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The report. Its exit status says whether there are faults, and no secret is in it.
    async fn examined(&self) -> Value {
        let output = tokio::process::Command::new(APPLINK)
            .args(["doctor", "--json"])
            .args(&self.arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .envs(&self.variables)
            .current_dir(self.folder.path())
            .output()
            .await
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{error}: {stdout}{}", String::from_utf8_lossy(&output.stderr)));
        let token = self.variables.get("HEROKU_APPLINK_TOKEN");
        assert!(token.is_none_or(|token| !stdout.contains(token.as_str())), "{stdout}");
        let faults = report["faults"].as_array().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!faults.is_empty())), "{report:#}");
        assert_eq!(report["ok"], faults.is_empty());
        report
    }
}

/// Faults that were seeded and named.
#[derive(Default)]
struct Chart(Vec<&'static str>);

impl Chart {
    /// `id` is among the faults, with a cause and a fix, and about what it should be.
    async fn named(&mut self, id: &'static str, about: &str, patient: Patient) {
        let report = patient.examined().await;
        let faults = report["faults"].as_array().unwrap();
        let fault = faults.iter().find(|fault| fault["id"] == id);
        let fault = fault.unwrap_or_else(|| panic!("{id} was not named: {report:#}"));
        let text = |key: &str| fault[key].as_str().unwrap();
        assert!(text("about").contains(about), "{fault:#}");
        assert!(text("cause").len() > 20 && text("fix").len() > 20, "{fault:#}");
        assert_eq!(faults.len(), 1, "nothing else is wrong: {report:#}");
        self.0.push(id);
    }
}

/// The org's control interface.
pub(super) struct Sim<'a>(pub(super) &'a DevStack);

impl Sim<'_> {
    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/_sim/{path}", self.0.text("org_url"));
        let request = http().post(url).header("x-sim-key", self.0.text("sim_key")).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    async fn get(&self, path: &str) -> Vec<Value> {
        let url = format!("{}/_sim/{path}", self.0.text("org_url"));
        let request = http().get(url).header("x-sim-key", self.0.text("sim_key"));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The control plane's client as it is.
    async fn client_now(&self) -> Value {
        let clients = self.get("oauth-clients").await;
        clients.into_iter().find(|client| client["name"] == CLIENT).unwrap()
    }

    /// Changes the control plane's client.
    async fn client(&self, change: Value) {
        let mut form = change;
        form["name"] = json!(CLIENT);
        self.post("oauth-clients", form).await;
    }
}

/// Starts to connect an org under `name`: where to log in.
async fn begun(stack: &DevStack, name: &str) -> String {
    let url = format!("{}/connections/salesforce", stack.text("applink_api_url"));
    let request = http().post(url).bearer_auth(stack.text("applink_api_key"));
    let answer: Value =
        request.json(&json!({"connection_name": name})).send().await.unwrap().json().await.unwrap();
    answer["redirect_uri"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Has a person connect the org under `name`, in whatever way that ends.
async fn connect(stack: &DevStack, name: &str, role: &str) {
    decide(stack, name, role, Decision::Allow).await;
}

async fn decide(stack: &DevStack, name: &str, role: &str, decision: Decision) {
    let (username, password) = stack.user(role);
    let person = Person { username, password: password.into(), decision };
    let start = begun(stack, name).await.parse().unwrap();
    Visitor::new().unwrap().visit(start, &person).await.unwrap();
}

/// Has a person log in at the org and allow everything: the request with which the browser comes back to us.
async fn consented(stack: &DevStack, name: &str) -> reqwest::RequestBuilder {
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let org = stack.text("org_url");
    let header = |answer: &reqwest::Response, name: &str| {
        answer
            .headers()
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {answer:?}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let first_cookie =
        |answer: &reqwest::Response| header(answer, "set-cookie").split(';').next().unwrap().to_owned();
    let started = http.get(begun(stack, name).await).send().await.unwrap();
    let ours = first_cookie(&started);
    let asked = http.get(header(&started, "location")).send().await.unwrap();
    let request = header(&asked, "location").split("request=").nth(1).unwrap().to_owned();
    let (username, password) = stack.user("admin");
    let form =
        [("request", request.as_str()), ("next", ""), ("username", &username), ("password", &password)];
    let logged_in = http.post(format!("{org}/login")).header("origin", org).form(&form).send().await.unwrap();
    let theirs = first_cookie(&logged_in);
    let page = http.get(format!("{org}/consent?request={request}")).header("cookie", &theirs);
    let page = page.send().await.unwrap().text().await.unwrap();
    let confirmation =
        page.split("name=\"confirmation\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [("request", request.as_str()), ("confirmation", confirmation), ("decision", "allow")];
    let allowed = http.post(format!("{org}/consent")).header("origin", org).header("cookie", &theirs);
    let allowed = allowed.form(&form).send().await.unwrap();
    http.get(header(&allowed, "location")).header("cookie", ours)
}

async fn disconnect(stack: &DevStack, name: &str) {
    let url = format!("{}/connections/{name}", stack.text("applink_api_url"));
    let answer = http().delete(url).bearer_auth(stack.text("applink_api_key")).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

async fn published_document(stack: &DevStack) -> String {
    let url = format!(
        "{}/connections/salesforce/acme/apps/{}/{SERVICE}/history/1",
        stack.text("applink_api_url"),
        stack.text("app_id")
    );
    let answer: Value = http()
        .get(url)
        .bearer_auth(stack.text("applink_api_key"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    answer["document"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// What is wrong with the way to the control plane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It says it is 2001.
    InAnotherTime,
    /// A gateway loses everything below `/addons`.
    Broken,
    /// It loses what is published.
    LosesPublications,
}

/// The control plane behind something that passes on what it does not break.
async fn behind(way: Way, stack: &DevStack) -> SocketAddr {
    async fn pass_on(State((origin, way)): State<(String, Way)>, request: Request) -> Response {
        let path = request.uri().path_and_query().unwrap().as_str();
        let is_lost = match way {
            Way::InAnotherTime => false,
            Way::Broken => path.starts_with("/addons/"),
            Way::LosesPublications => path.contains("/apps/"),
        };
        if is_lost {
            return Response::builder().status(502).body(Body::from("Bad Gateway")).unwrap();
        }
        let answer = http()
            .request(request.method().clone(), format!("{origin}{path}"))
            .headers(request.headers().clone())
            .send()
            .await
            .unwrap();
        let mut response = Response::builder().status(answer.status());
        let kept = answer.headers().iter().filter(|(name, _)| *name == "content-type");
        for (name, value) in kept {
            response = response.header(name, value);
        }
        if way == Way::InAnotherTime {
            response = response.header("date", "Tue, 11 Sep 2001 12:00:00 GMT");
        }
        response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
    }
    let origin = stack.text("platform_api_url").to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(pass_on).with_state((origin, way));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An org whose answer to an assertion names another host as its own: where to log in there.
async fn org_that_leads_elsewhere() -> String {
    async fn token() -> axum::Json<Value> {
        let elsewhere = "https://evil.example";
        axum::Json(
            json!({"access_token": "t", "token_type": "Bearer", "scope": "api", "instance_url": elsewhere,
            "id": format!("{elsewhere}/id/00DSB00000VAyPF2A1/005SB00000VAyPF2A1")}),
        )
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(token);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A fresh RSA key: private and public half.
pub(super) fn key() -> (String, String) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    (pair.serialize_pem(), pair.public_key_pem())
}

fn key_file(folder: &Path, pem: &str, mode: u32) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(format!("server-{mode:o}.key"));
    std::fs::write(&path, pem).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn every_seeded_fault_is_named_with_cause_and_fix() {
    let mut stack = DevStack::start(APPLINK, &[]).await;
    stack.tour_ended(STEPS).await;
    let spec = published_document(&stack).await;
    let patient = || Patient::of(&stack, &spec);
    let healthy = patient().examined().await;
    assert_eq!(healthy["faults"], json!([]), "{healthy:#}");

    let mut chart = Chart::default();
    of_the_folder(&patient, &spec, &mut chart).await;
    of_the_variables(&patient, &stack, &mut chart).await;
    of_the_app(&patient, &stack, &mut chart).await;
    of_log_ins(&patient, &stack, &mut chart).await;
    of_keys(&patient, &stack, &mut chart).await;
    of_the_org(&patient, &stack, &mut chart).await;

    let named: BTreeSet<&str> = chart.0.into_iter().collect();
    let missing: Vec<&&str> = FAULTS.iter().filter(|id| !named.contains(**id)).collect();
    assert!(missing.is_empty(), "{missing:?} were not seeded");
    assert_eq!(named.len(), FAULTS.len(), "only what is listed was named: {named:?}");
    stack.stop().await;
}

async fn of_the_folder(patient: &impl Fn() -> Patient, spec: &str, chart: &mut Chart) {
    let procfile = |text: &str| patient().file("Procfile", text);
    chart.named("mesh-not-in-procfile", "Procfile", procfile("web: node server.js\n")).await;
    chart
        .named("app-on-wrong-port", "Procfile", procfile("web: applink-mesh -- gunicorn -b :$PORT app\n"))
        .await;
    chart
        .named(
            "spec-outdated",
            "api-spec.yaml",
            patient().file("api-spec.yaml", &format!("{spec}\n# newer\n")),
        )
        .await;
    let invalid = "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {}\n";
    let report = patient().file("api-spec.yaml", invalid).examined().await;
    let ids: Vec<&str> =
        report["faults"].as_array().unwrap().iter().filter_map(|fault| fault["id"].as_str()).collect();
    assert_eq!(ids, ["spec-invalid", "spec-outdated"], "it can't be what is published: {report:#}");
    chart.0.push("spec-invalid");
}

async fn of_the_variables(patient: &impl Fn() -> Patient, stack: &DevStack, chart: &mut Chart) {
    let other = "01234567-89ab-cdef-0123-456789abcdef";
    let origin = stack.text("platform_api_url");
    // Without the app's id publications can't be looked at either, which is no second fault.
    chart.named("app-id-missing", "HEROKU_APP_ID", patient().unset("HEROKU_APP_ID")).await;
    chart.named("app-id-invalid", "variables", patient().set("HEROKU_APP_ID", "my-app")).await;
    chart.named("wrong-attachment", "HEROKU_APP_ID", patient().set("HEROKU_APP_ID", other)).await;
    chart.named("api-key-refused", "APPLINK_API_KEY", patient().set("APPLINK_API_KEY", "a-former-key")).await;
    let (sales, _) = stack.user("sales");
    chart.named("user-not-looked-at", &sales, patient().with(&["--user", &sales])).await;
    let without_token = patient().unset("HEROKU_APPLINK_TOKEN").unset("APPLINK_API_KEY");
    chart.named("credentials-incomplete", "variables", without_token).await;
    chart
        .named(
            "token-refused",
            "HEROKU_APPLINK_TOKEN",
            patient().set("HEROKU_APPLINK_TOKEN", "a-former-token"),
        )
        .await;
    let url = format!("{origin}/addons/{other}");
    chart
        .named("addon-unknown", "HEROKU_APPLINK_API_URL", patient().set("HEROKU_APPLINK_API_URL", &url))
        .await;
    let url = format!("{NOWHERE}/addons/{other}");
    chart
        .named("service-unreachable", "HEROKU_APPLINK_API_URL", patient().set("HEROKU_APPLINK_API_URL", &url))
        .await;
    let typo = stack.text("applink_api_url").replace("http:", "htp:");
    chart
        .named(
            "service-address",
            typo.rsplit('/').next().unwrap(),
            patient().set("HEROKU_APPLINK_API_URL", &typo),
        )
        .await;
    for (id, about, way) in [
        ("clock-skew", "clock", Way::InAnotherTime),
        ("service-trouble", "HEROKU_APPLINK_API_URL", Way::Broken),
        ("publications-unreadable", "acme", Way::LosesPublications),
    ] {
        let address = behind(way, stack).await;
        let url = stack.text("applink_api_url").replace(origin, &format!("http://{address}"));
        chart.named(id, about, patient().set("HEROKU_APPLINK_API_URL", &url)).await;
    }
    let nothing = patient().unset("HEROKU_APPLINK_API_URL").unset("HEROKU_APPLINK_TOKEN");
    chart.named("no-addon", "variables", nothing.unset("APPLINK_API_KEY")).await;
}

async fn of_the_app(patient: &impl Fn() -> Patient, stack: &DevStack, chart: &mut Chart) {
    chart.named("app-unreachable", NOWHERE, patient().app_at(NOWHERE)).await;
    chart.named("app-address", "nowhere", patient().app_at("nowhere")).await;
    let app = stack.text("app_url");
    chart.named("mesh-bypassed", app, patient().app_at(app)).await;
}

/// What goes wrong when a person logs in at the org.
async fn of_log_ins(patient: &impl Fn() -> Patient, stack: &DevStack, chart: &mut Chart) {
    let sim = Sim(stack);
    begun(stack, "unfinished").await;
    chart.named("log-in-unfinished", "unfinished", patient()).await;
    disconnect(stack, "unfinished").await;

    decide(stack, "second_org", "admin", Decision::Deny).await;
    chart.named("not-connected", "second_org", patient()).await;
    disconnect(stack, "second_org").await;

    connect(stack, "intern_org", "intern").await;
    chart.named("permission-missing", "intern_org", patient()).await;
    disconnect(stack, "intern_org").await;

    for (id, broken, mended) in [
        ("scope-missing", json!({"withheld_scopes": ["api"]}), json!({"withheld_scopes": []})),
        (
            "refresh-policy",
            json!({"refresh_tokens_last_seconds": 0}),
            json!({"refresh_tokens_last_seconds": 315_360_000}),
        ),
        ("ip-refused", json!({"ip_restricted": true}), json!({"ip_restricted": false})),
        ("client-app-blocked", json!({"enabled": false}), json!({"enabled": true})),
    ] {
        sim.client(broken).await;
        connect(stack, "second_org", "admin").await;
        sim.client(mended).await;
        chart.named(id, "second_org", patient()).await;
        disconnect(stack, "second_org").await;
    }

    // The callback is taken from the client while the person logs in: the org gives no tokens for the code.
    let callbacks = sim.client_now().await["callbacks"].clone();
    let back = consented(stack, "second_org").await;
    sim.client(json!({"callbacks": ["https://elsewhere.example/callback"]})).await;
    back.send().await.unwrap();
    sim.client(json!({"callbacks": callbacks})).await;
    chart.named("callback-not-registered", "second_org", patient()).await;
    disconnect(stack, "second_org").await;
}

/// What goes wrong with a key: the org itself is asked.
async fn of_keys(patient: &impl Fn() -> Patient, stack: &DevStack, chart: &mut Chart) {
    let (private, public) = key();
    let (_, other_public) = key();
    let sim = Sim(stack);
    let made = sim
        .post("oauth-clients", json!({"name": "Pipeline", "public_key_pem": public, "admin_approved_profiles": ["System Administrator"]}))
        .await;
    let client_id = made["consumer_key"].as_str().unwrap();
    let org = stack.text("org_url");
    let (admin, _) = stack.user("admin");
    let tried = |pem: &str, mode: u32, client_id: &str, username: &str, login: &str| {
        let patient = patient();
        let file = key_file(patient.folder.path(), pem, mode);
        let [key, client, user, url] = ["--jwt-key-file", "--client-id", "--username", "--login-url"];
        patient.with(&[key, &file, client, client_id, user, username, url, login])
    };
    let asked = |mode: u32, client_id: &str, login: &str| tried(&private, mode, client_id, &admin, login);
    let healthy = asked(0o600, client_id, org).examined().await;
    assert_eq!(healthy["faults"], json!([]), "{healthy:#}");

    chart.named("key-file-open", "server-644.key", asked(0o644, client_id, org)).await;
    chart.named("client-app-not-installed", &admin, asked(0o600, "3MVG9unknown", org)).await;
    let localhost = org.replace("127.0.0.1", "localhost");
    chart.named("org-unreachable", &admin, asked(0o600, client_id, NOWHERE)).await;
    chart.named("wrong-audience", &admin, asked(0o600, client_id, &localhost)).await;
    chart.named("login-url", "server-600.key", asked(0o600, client_id, "https://evil.example")).await;
    let elsewhere = org_that_leads_elsewhere().await;
    chart.named("org-address", "server-600.key", asked(0o600, client_id, &elsewhere)).await;
    let missing = ["--jwt-key-file", "none.key", "--client-id", client_id, "--username", &admin];
    chart.named("key-unusable", "none.key", patient().with(&missing)).await;
    let no_key = tried(
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        0o600,
        client_id,
        &admin,
        org,
    );
    chart.named("key-unusable", "server-600.key", no_key).await;
    for (id, error, description) in [
        ("org-refused", "something_new", "nobody has ever seen this"),
        ("org-inactive", "inactive_org", "org is inactive"),
        ("flow-not-enabled", "unsupported_grant_type", "grant type not supported"),
    ] {
        sim.post("token-faults", json!({"fault": "refuse", "error": error, "description": description}))
            .await;
        chart.named(id, &admin, asked(0o600, client_id, org)).await;
    }
    let change = async |change: Value| {
        let mut form = change;
        form["name"] = json!("Pipeline");
        sim.post("oauth-clients", form).await;
    };
    let (integration, _) = stack.user("integration");
    let as_integration = || tried(&private, 0o600, client_id, &integration, org);
    change(json!({"admin_approved_profiles": ["System Administrator", "Integration User"]})).await;
    let without_api = json!({"name": "Integration User", "permissions": {"ApiEnabled": false}});
    sim.post("profiles", without_api).await;
    chart.named("api-not-enabled", &integration, as_integration()).await;
    sim.post("users", json!({"username": integration, "active": false})).await;
    chart.named("user-inactive", &integration, as_integration()).await;
    change(json!({"self_authorized": true})).await;
    chart.named("user-not-approved", &admin, asked(0o600, client_id, org)).await;
    change(json!({"admin_approved_profiles": ["System Administrator"], "public_key_pem": other_public}))
        .await;
    chart.named("key-mismatch", &admin, asked(0o600, client_id, org)).await;
}

/// What changes in the org behind everybody's back. Last, since it is not undone.
async fn of_the_org(patient: &impl Fn() -> Patient, stack: &DevStack, chart: &mut Chart) {
    let sim = Sim(stack);
    // A stored user who may see who has which permission set.
    let (private, public) = key();
    let made = sim
        .post("oauth-clients", json!({"name": "Checks", "public_key_pem": public, "admin_approved_profiles": ["System Administrator"]}))
        .await;
    let url = format!("{}/authorizations/salesforce/jwt", stack.text("applink_api_url"));
    let body = json!({"developer_name": "checks", "client_id": made["consumer_key"], "jwt_private_key": private,
        "username": stack.user("admin").0, "login_url": stack.text("org_url")});
    let stored =
        http().post(url).bearer_auth(stack.text("applink_api_key")).json(&body).send().await.unwrap();
    assert!(stored.status().is_success(), "{}", stored.text().await.unwrap());
    let healthy = patient().examined().await;
    assert_eq!((&healthy["faults"], &healthy["skipped"]), (&json!([]), &json!([])), "{healthy:#}");

    let sets = sim.get("permission-sets").await;
    let set = sets.iter().find(|set| set["name"] == SERVICE).unwrap();
    for username in set["assigned_to"].as_array().unwrap() {
        sim.post("permission-sets/unassign", json!({"permission_set": SERVICE, "username": username})).await;
    }
    chart.named("permission-set-unassigned", SERVICE, patient()).await;
    let (sales, _) = stack.user("sales");
    sim.post("permission-sets/assign", json!({"permission_set": SERVICE, "username": sales})).await;
    let (intern, _) = stack.user("intern");
    chart.named("permission-set-unassigned", SERVICE, patient().with(&["--user", &intern])).await;

    // The grant of the stored user ends, and the app reports that its token is refused.
    sim.client(json!({"refresh_tokens_last_seconds": 0})).await;
    let url = format!("{}/authorizations/influencerPortal/refresh", stack.text("applink_api_url"));
    let report =
        http().post(url).bearer_auth(stack.text("applink_token")).json(&json!({})).send().await.unwrap();
    assert!(!report.status().is_success(), "{}", report.status());
    chart.named("grant-dead", "influencerPortal", patient()).await;
    let url = format!("{}/authorizations/influencerPortal", stack.text("applink_api_url"));
    let gone = http().delete(url).bearer_auth(stack.text("applink_api_key")).send().await.unwrap();
    assert!(gone.status().is_success(), "{}", gone.status());

    sim.client(json!({"refresh_tokens_last_seconds": 315_360_000, "consumer_secret": "a newer secret"}))
        .await;
    connect(stack, "second_org", "admin").await;
    chart.named("client-secret-wrong", "second_org", patient()).await;
    disconnect(stack, "second_org").await;

    sim.post("services/remove", json!({"service": SERVICE})).await;
    chart.named("publication-removed", SERVICE, patient()).await;

    for noun in ["connections", "authorizations"] {
        remove_all(stack, noun).await;
    }
    chart.named("nothing-connected", "the add-on", patient()).await;
}

async fn remove_all(stack: &DevStack, noun: &str) {
    let url = format!("{}/{noun}", stack.text("applink_api_url"));
    let with_key = |request: reqwest::RequestBuilder| request.bearer_auth(stack.text("applink_api_key"));
    let rows: Vec<Value> = with_key(http().get(&url)).send().await.unwrap().json().await.unwrap();
    for row in rows {
        let gone = with_key(http().delete(format!("{url}/{}", row["id"].as_str().unwrap())));
        let gone = gone.send().await.unwrap();
        assert!(gone.status().is_success(), "{}", gone.status());
    }
}

/// The cookbook explains every id, and no other.
#[test]
fn the_cookbook_lists_every_fault() {
    let cookbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cookbook.md");
    let text = std::fs::read_to_string(cookbook).unwrap();
    let rows = text.lines().skip_while(|line| *line != "| id | what it is |").skip(2);
    let ids = rows.take_while(|row| row.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let named: BTreeSet<&str> = ids.flat_map(|ids| ids.split('`').skip(1).step_by(2)).collect();
    assert_eq!(named, BTreeSet::from(FAULTS));
}
