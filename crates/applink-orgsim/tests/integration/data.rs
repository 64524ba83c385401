//! A seeded database with a session per sample user, and the REST API over it on a port of its own.

use std::collections::HashMap;
use std::sync::Arc;

use applink_orgsim::db::Database;
use applink_orgsim::records::{self, RestError};
use applink_orgsim::rest::{self, ApiVersion, BulkWork, RestHost};
use applink_orgsim::rights::{Caller, Rights};
use applink_orgsim::seed::{OrgFacts, SeededOrg, seed};
use applink_orgsim::soql::{self, DEFAULT_BATCH, QueryOptions};
use applink_orgsim::{Clock, Entropy};
use serde_json::{Value, json};

/// 2026-03-10T12:00:00Z.
pub(crate) const NOW: i64 = 1_773_144_000_000_000;
pub(crate) const BASE: &str = "/services/data/v66.0";

#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) db: Database,
    pub(crate) org: SeededOrg,
    sessions: Arc<HashMap<String, Caller>>,
    versions: Arc<Vec<ApiVersion>>,
    bulk_work: Arc<BulkWork>,
}

impl Data {
    /// Users `admin`, `sales`, `intern` and `integration`, each with a session whose token is the role's name.
    pub(crate) fn new() -> Self {
        let db = Database::open(None, Clock::fixed(NOW), Entropy::seeded(7), "Sm1").unwrap();
        let facts =
            OrgFacts { name: "Acme".into(), is_sandbox: false, username_domain: "acme.example".into() };
        let org = seed(&db, &facts).unwrap();
        let mut sessions = HashMap::new();
        for user in &org.users {
            let session =
                db.write(|tx| records::insert(tx, "AuthSession", json!({"UsersId": user.user_id}))).unwrap();
            sessions.insert(user.role.to_owned(), Caller::user(&user.user_id, session));
        }
        let versions = Arc::new(ApiVersion::range(58, 66));
        Self { db, org, sessions: Arc::new(sessions), versions, bulk_work: Arc::default() }
    }

    pub(crate) fn caller(&self, role: &str) -> Caller {
        self.sessions.get(role).unwrap().clone()
    }

    pub(crate) fn user_id(&self, role: &str) -> String {
        self.caller(role).user_id().unwrap().to_owned()
    }

    /// A second session of the same user.
    pub(crate) fn another_session(&self, role: &str) -> Caller {
        let user = self.user_id(role);
        let session = self.insert("AuthSession", json!({"UsersId": user}));
        Caller::user(user, session)
    }

    /// Makes a record as the org itself.
    pub(crate) fn insert(&self, object: &str, fields: Value) -> String {
        self.db.write(|tx| records::insert(tx, object, fields)).unwrap()
    }

    pub(crate) fn id_of(&self, object: &str, field: &str, value: &str) -> String {
        self.db.read(|tx| records::find(tx, object, field, value)).unwrap().unwrap()
    }

    /// A permission set, assigned to that user.
    pub(crate) fn assigned_set(&self, role: &str, set: Value) -> String {
        let set = self.insert("PermissionSet", set);
        self.insert(
            "PermissionSetAssignment",
            json!({"AssigneeId": self.user_id(role), "PermissionSetId": set}),
        );
        set
    }

    pub(crate) fn query_as(&self, caller: &Caller, soql: &str) -> Result<Value, RestError> {
        self.db.write(|tx| {
            let rights = Rights::load(tx, caller)?;
            let options = QueryOptions { base_url: BASE, batch_size: DEFAULT_BATCH, all_rows: false };
            soql::run(tx, &rights, soql, options)
        })
    }

    pub(crate) fn query(&self, role: &str, soql: &str) -> Value {
        self.query_as(&self.caller(role), soql).unwrap_or_else(|error| panic!("{soql}: {error}"))
    }

    /// Code and message of a refused query.
    pub(crate) fn refused(&self, role: &str, soql: &str) -> (String, String) {
        let error = self.query_as(&self.caller(role), soql).expect_err(soql);
        (error.code.to_owned(), error.message)
    }

    /// One field of every record found.
    pub(crate) fn column(&self, role: &str, soql: &str, field: &str) -> Vec<Value> {
        let answer = self.query(role, soql);
        let records = answer["records"].as_array().unwrap();
        records
            .iter()
            .map(|record| record.get(field).cloned().unwrap_or_else(|| panic!("{record}")))
            .collect()
    }

    pub(crate) fn count(&self, role: &str, soql: &str) -> u64 {
        self.query(role, soql)["totalSize"].as_u64().unwrap()
    }

    /// The REST API on a free port.
    pub(crate) async fn serve(&self) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = rest::routes().with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Server { url, client }
    }
}

impl RestHost for Data {
    fn database(&self) -> &Database {
        &self.db
    }

    fn authenticate(&self, bearer: &str) -> Option<Caller> {
        self.sessions.get(bearer).cloned()
    }

    fn identity_url(&self, user_id: &str) -> String {
        format!("http://127.0.0.1/id/{}/{user_id}", self.org.org_id)
    }

    fn api_versions(&self) -> &[ApiVersion] {
        &self.versions
    }

    fn bulk_work(&self) -> &BulkWork {
        &self.bulk_work
    }
}

/// The running REST API.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
}

/// Status, headers and JSON of an answer; null when there was no body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

impl Server {
    pub(crate) async fn call(&self, role: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method.parse().unwrap(), url).bearer_auth(role);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, role: &str, path: &str) -> Answer {
        self.call(role, "GET", path, None).await
    }

    pub(crate) async fn query(&self, role: &str, soql: &str) -> Value {
        let url = format!("{}{BASE}/query", self.url);
        let request = self.client.get(url).query(&[("q", soql)]).bearer_auth(role);
        answer(request.send().await.unwrap()).await.json
    }
}

pub(crate) async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let json = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Answer { status, headers, json }
}
