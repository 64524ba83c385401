//! A scripted org for publishing: just the calls a publish makes, with faults on demand.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Multipart, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

const ORG_ID: &str = "00DSB00000VAyPF2A1";
const USER_ID: &str = "005DS00000yYLD1YAO";
const DEPLOY_ID: &str = "0AfSB00000VAyPF0A1";

/// What the org does with the next package.
#[derive(Clone, Debug)]
pub(crate) enum Take {
    /// Takes it and deploys it.
    Deploy,
    /// Takes it and fails with these components: type, name, problem.
    Fail(Vec<(&'static str, &'static str, &'static str)>),
    /// Takes it, deploys it, and never answers.
    DeploySilently,
    /// Closes its ears: nothing is taken, nothing is answered.
    LoseSilently,
    /// As [`Take::DeploySilently`], but the connection stays open.
    DeployAndHang,
    /// As [`Take::LoseSilently`], but the connection stays open.
    LoseAndHang,
    /// Refuses the request.
    Refuse(StatusCode, &'static str, &'static str),
}

/// A package the org was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Its files: path and content.
    pub(crate) files: Vec<(String, String)>,
}

impl Sent {
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, content)| content.as_str())
    }

    pub(crate) fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[derive(Default)]
struct Script {
    takes: VecDeque<Take>,
    sent: Vec<Sent>,
    /// Asked this often, a deploy is done.
    looks_until_done: u32,
    looks: u32,
    failing: Option<Vec<(&'static str, &'static str, &'static str)>>,
    registration: Option<(String, String)>,
    refuse_sessions: u32,
    sessions: u32,
    permission_sets: Vec<(&'static str, bool)>,
    /// Who has which permission set: id of the assignment, user, set.
    assignments: Vec<(String, String, String)>,
    /// How many more assignments are not made, and the status that says so.
    unmade: Option<(u32, StatusCode, &'static str)>,
    /// Rights the connection's user does not have.
    lacking: Vec<&'static str>,
    connected: u32,
    org_id: Option<&'static str>,
    hold_questions: Option<Arc<Notify>>,
}

/// The org.
#[derive(Clone)]
pub(crate) struct ScriptedOrg {
    url: String,
    arrived: Arc<Notify>,
    script: Arc<Mutex<Script>>,
}

impl ScriptedOrg {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let org = Self { url, arrived: Arc::default(), script: Arc::default() };
        let router = routes(org.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        org
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn script<R>(&self, with: impl FnOnce(&mut Script) -> R) -> R {
        with(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What to do with the next packages, in order; after them every package is deployed.
    pub(crate) fn takes(&self, takes: impl IntoIterator<Item = Take>) {
        self.script(|script| script.takes.extend(takes));
    }

    /// A deploy is done when it was asked for this often.
    pub(crate) fn done_after(&self, looks: u32) {
        self.script(|script| script.looks_until_done = looks);
    }

    /// Refuses the next calls' sessions.
    pub(crate) fn refuse_sessions(&self, calls: u32) {
        self.script(|script| script.refuse_sessions = calls);
    }

    /// A registration somebody else made.
    pub(crate) fn has_registration(&self, description: &str) {
        self.script(|script| script.registration = Some(("0xSother".to_owned(), description.to_owned())));
    }

    /// Somebody deletes the registration in Setup.
    pub(crate) fn loses_registration(&self) {
        self.script(|script| script.registration = None);
    }

    pub(crate) fn has_permission_set(&self, name: &'static str, session_based: bool) {
        self.script(|script| script.permission_sets.push((name, session_based)));
    }

    /// A user has a permission set.
    pub(crate) fn assigns(&self, user: &str, set: &str) {
        self.script(|script| {
            let id = format!("0Pa{:012}CAA", script.sent.len() * 100 + script.assignments.len());
            script.assignments.push((id, user.to_owned(), set.to_owned()));
        });
    }

    /// Who has which permission set.
    pub(crate) fn assigned(&self) -> Vec<(String, String)> {
        self.script(|script| {
            script.assignments.iter().map(|(_, user, set)| (user.clone(), set.clone())).collect()
        })
    }

    /// The next assignments are not made.
    pub(crate) fn makes_no_assignment(&self, times: u32, status: StatusCode, code: &'static str) {
        self.script(|script| script.unmade = Some((times, status, code)));
    }

    /// The connection's user may not do this.
    pub(crate) fn takes_away(&self, right: &'static str) {
        self.script(|script| script.lacking.push(right));
    }

    /// Waits for a package.
    pub(crate) async fn package_arrived(&self) {
        self.arrived.notified().await;
    }

    /// The packages it was sent, also those it did not answer for.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.script(|script| script.sent.clone())
    }

    /// From now on it is another org.
    pub(crate) fn becomes(&self, org_id: &'static str) {
        self.script(|script| {
            script.org_id = Some(org_id);
            script.registration = None;
        });
    }

    /// The next question after the state of things waits until it is told to go on.
    pub(crate) fn holds_a_question(&self) -> Arc<Notify> {
        let told = Arc::new(Notify::new());
        self.script(|script| script.hold_questions = Some(Arc::clone(&told)));
        told
    }

    fn org_id(&self) -> &'static str {
        self.script(|script| script.org_id.unwrap_or(ORG_ID))
    }

    pub(crate) fn connected(&self) -> u32 {
        self.script(|script| script.connected)
    }
}

fn routes(org: ScriptedOrg) -> Router {
    Router::new()
        .route("/services/oauth2/token", post(token))
        .route("/services/oauth2/userinfo", get(user_info))
        .route("/services/oauth2/introspect", post(async || axum::Json(json!({"active": true}))))
        .route("/services/oauth2/revoke", post(async || StatusCode::OK))
        .route(
            "/services/data",
            get(async || {
                axum::Json(json!([{"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"}]))
            }),
        )
        .route("/services/data/v66.0/query", get(query))
        .route("/services/data/v66.0/tooling/query", get(query))
        .route("/services/data/v66.0/sobjects/PermissionSetAssignment", post(assign))
        .route("/services/data/v66.0/sobjects/PermissionSetAssignment/{id}", delete(unassign))
        .route("/services/data/v66.0/metadata/deployRequest", post(deploy))
        .route("/services/data/v66.0/metadata/deployRequest/{id}", get(deploy_status))
        .with_state(org)
}

async fn token(State(org): State<ScriptedOrg>) -> Response {
    let number = org.script(|script| {
        script.sessions += 1;
        script.sessions
    });
    axum::Json(json!({
        "access_token": format!("00DSB00000VAyPF!session{number}"), "instance_url": org.url,
        "id": format!("{}/id/{}/{USER_ID}", org.url, org.org_id()), "scope": "api id", "token_type": "Bearer",
    }))
    .into_response()
}

async fn user_info(State(org): State<ScriptedOrg>) -> Response {
    org.script(|script| script.connected += 1);
    axum::Json(
        json!({"user_id": USER_ID, "organization_id": org.org_id(), "preferred_username": "admin@acme.example",
        "email": "admin@acme.example"}),
    )
    .into_response()
}

#[derive(serde::Deserialize)]
struct Soql {
    q: String,
}

async fn query(State(org): State<ScriptedOrg>, Query(Soql { q }): Query<Soql>) -> Response {
    if let Some(refused) = org.refused_session() {
        return refused;
    }
    let hold = org.script(|script| script.hold_questions.take());
    if let Some(told) = hold {
        org.arrived.notify_one();
        told.notified().await;
    }
    let records: Vec<Value> = if q.contains("UserPermissionAccess") {
        let lacking = org.script(|script| script.lacking.clone());
        let right = |name: &str| (name.to_owned(), json!(!lacking.contains(&name)));
        let asked = [
            "PermissionsManageHerokuAppLink",
            "PermissionsCustomizeApplication",
            "PermissionsModifyAllData",
            "PermissionsExternalClientAppAdmin",
        ];
        let told = asked.into_iter().filter(|name| q.contains(name)).map(right);
        vec![Value::Object(told.collect())]
    } else if q.contains("FROM Organization") {
        vec![json!({"IsSandbox": false})]
    } else if q.contains("FROM ExternalServiceRegistration") {
        let found = org.script(|script| script.registration.clone());
        found.into_iter().map(|(id, description)| json!({"Id": id, "Description": description})).collect()
    } else if q.contains("FROM PermissionSetAssignment") {
        let assignments = org.script(|script| script.assignments.clone());
        let record = |(id, user, set)| json!({"Id": id, "AssigneeId": user, "PermissionSetId": set});
        assignments.into_iter().map(record).collect()
    } else if q.contains("FROM PermissionSet") {
        let sets = org.script(|script| script.permission_sets.clone());
        sets.iter().map(|(name, session)| json!({"Name": name, "HasActivationRequired": session})).collect()
    } else {
        let body = json!([{"errorCode": "INVALID_TYPE", "message": "sObject type is not supported"}]);
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    };
    axum::Json(json!({"totalSize": records.len(), "done": true, "records": records})).into_response()
}

async fn assign(State(org): State<ScriptedOrg>, axum::Json(body): axum::Json<Value>) -> Response {
    let unmade = org.script(|script| {
        let (left, status, code) = script.unmade?;
        script.unmade = (left > 1).then_some((left - 1, status, code));
        Some((status, code))
    });
    if let Some((status, code)) = unmade {
        return (status, axum::Json(json!([{"errorCode": code, "message": "Not now."}]))).into_response();
    }
    let text = |field: &str| body[field].as_str().unwrap().to_owned();
    org.assigns(&text("AssigneeId"), &text("PermissionSetId"));
    let made = json!({"id": "0Pa000000000001CAA", "success": true, "errors": []});
    (StatusCode::CREATED, axum::Json(made)).into_response()
}

async fn unassign(State(org): State<ScriptedOrg>, Path(id): Path<String>) -> StatusCode {
    org.script(|script| script.assignments.retain(|(own, ..)| *own != id));
    StatusCode::NO_CONTENT
}

impl ScriptedOrg {
    fn refused_session(&self) -> Option<Response> {
        let refuse = self.script(|script| {
            let refuse = script.refuse_sessions > 0;
            script.refuse_sessions = script.refuse_sessions.saturating_sub(1);
            refuse
        });
        refuse.then(|| {
            let body = json!([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]);
            (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
        })
    }

    /// Puts the package's registration into the org.
    fn put_in(&self, package: &Sent) {
        if package
            .file("destructiveChangesPre.xml")
            .is_some_and(|file| file.contains("ExternalServiceRegistration"))
        {
            self.script(|script| script.registration = None);
            return;
        }
        let (_, registration) =
            package.files.iter().find(|(path, _)| path.starts_with("externalServiceRegistrations/")).unwrap();
        let (_, rest) = registration.split_once("<description>").unwrap();
        let description = rest.split_once("</description>").unwrap().0.to_owned();
        self.script(|script| script.registration = Some(("0xSB00000000001".to_owned(), description)));
    }
}

async fn deploy(State(org): State<ScriptedOrg>, multipart: Multipart) -> Response {
    if let Some(refused) = org.refused_session() {
        return refused;
    }
    let package = read_package(multipart).await;
    let take = org.script(|script| {
        script.sent.push(package.clone());
        script.looks = 0;
        script.failing = None;
        script.takes.pop_front().unwrap_or(Take::Deploy)
    });
    match take {
        Take::Deploy => org.put_in(&package),
        Take::Fail(failures) => org.script(|script| script.failing = Some(failures)),
        Take::DeploySilently => {
            org.put_in(&package);
            return cut();
        }
        Take::LoseSilently => {
            org.arrived.notify_one();
            return cut();
        }
        Take::DeployAndHang => {
            org.put_in(&package);
            org.arrived.notify_one();
            std::future::pending::<()>().await;
        }
        Take::LoseAndHang => {
            org.arrived.notify_one();
            std::future::pending::<()>().await;
        }
        Take::Refuse(status, code, message) => {
            return (status, axum::Json(json!([{"errorCode": code, "message": message}]))).into_response();
        }
    }
    let body =
        json!({"id": DEPLOY_ID, "deployResult": {"id": DEPLOY_ID, "status": "Pending", "done": false}});
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

/// An answer that ends before it began: the sender can't know what became of the request.
fn cut() -> Response {
    let broken = futures_util::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("cut"))]);
    Response::builder()
        .status(StatusCode::CREATED)
        .header("content-type", "application/json")
        .header("content-length", "100")
        .body(Body::from_stream(broken))
        .unwrap()
}

async fn read_package(mut multipart: Multipart) -> Sent {
    let mut files = Vec::new();
    while let Some(field) = multipart.next_field().await.unwrap() {
        if field.content_type() != Some("application/zip") {
            continue;
        }
        let bytes = field.bytes().await.unwrap();
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            files.push((entry.name().unwrap().into_owned(), content));
        }
    }
    Sent { files }
}

async fn deploy_status(State(org): State<ScriptedOrg>, Path(id): Path<String>) -> Response {
    assert_eq!(id, DEPLOY_ID);
    let (done, failing) = org.script(|script| {
        script.looks += 1;
        (script.looks > script.looks_until_done, script.failing.clone())
    });
    if !done {
        let body = json!({"id": DEPLOY_ID, "deployResult": {"id": DEPLOY_ID, "status": "InProgress", "done": false}});
        return axum::Json(body).into_response();
    }
    let success = failing.is_none();
    let failures: Vec<Value> = failing
        .into_iter()
        .flatten()
        .map(|(kind, name, problem)| {
            json!({"componentType": kind, "fullName": name, "fileName": "x", "success": false, "problem": problem,
                "problemType": "Error", "created": false, "changed": false, "deleted": false})
        })
        .collect();
    let successes = if success { org.successes() } else { Vec::new() };
    axum::Json(json!({"id": DEPLOY_ID, "deployResult": {
        "id": DEPLOY_ID, "status": if success { "Succeeded" } else { "Failed" }, "done": true, "success": success,
        "numberComponentErrors": failures.len(), "numberComponentsTotal": 4,
        "details": {"componentFailures": failures, "componentSuccesses": successes},
    }}))
    .into_response()
}

impl ScriptedOrg {
    fn successes(&self) -> Vec<Value> {
        let paths = self
            .sent()
            .last()
            .map(|sent| sent.paths().iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        let component = |path: String| {
            let (kind, id) = match path.split('/').next().unwrap_or_default() {
                "externalServiceRegistrations" => ("ExternalServiceRegistration", "0xSB00000000001"),
                "namedCredentials" => ("NamedCredential", "0XA000000000001"),
                "externalCredentials" => ("ExternalCredential", "0pu000000000001"),
                "permissionsets" => ("PermissionSet", "0PS000000000001"),
                _ => ("", ""),
            };
            let name =
                path.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default().to_owned();
            json!({"componentType": kind, "fullName": name, "fileName": path, "success": true, "id": id,
                "created": true, "changed": true, "deleted": false, "problem": null})
        };
        paths.unwrap_or_default().into_iter().map(component).collect()
    }
}
