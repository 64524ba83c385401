//! Data Cloud over HTTP: tokens, rows, SQL, bulk jobs, and signed webhooks.

use applink_orgsim::{DeployMode, OrgConfig};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::TestOrg;
use super::support::app::App;

const CLICKS: &str = "/api/v1/ingest/sources/AcmeWeb/ClickEvent";
const SSOT: &str = "/services/data/v66.0/ssot";

/// An org whose Data Cloud moves by hand, with a tenant token and a session of the admin.
struct Lake {
    org: TestOrg,
    tenant: String,
    session: String,
}

impl Lake {
    async fn start() -> Self {
        Self::with_batches(2_000).await
    }

    async fn with_batches(rows: usize) -> Self {
        Self::start_with(|config| config.data_cloud.batch_rows = rows).await
    }

    async fn start_with(adjust: impl FnOnce(&mut OrgConfig)) -> Self {
        let org = TestOrg::start_with(|config| {
            config.deploy_mode = DeployMode::Stepped;
            adjust(config);
        })
        .await;
        let session = org.access_token_of("admin").await;
        let (status, answer) = exchange(&org, &session).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let tenant = answer["access_token"].as_str().unwrap().to_owned();
        Self { org, tenant, session }
    }

    async fn call(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.org.http.request(method, self.org.url(path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    async fn tenant(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(&self.tenant, method, path, Some(body)).await
    }

    async fn ingest(&self, rows: Value) {
        let (status, answer) = self.tenant(Method::POST, CLICKS, &json!({"data": rows})).await;
        assert_eq!((status, &answer), (StatusCode::ACCEPTED, &json!({"accepted": true})));
    }

    async fn run(&self) -> u64 {
        let (status, answer) = self.org.sim_post("/_sim/data-cloud/run", &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["steps"].as_u64().unwrap()
    }

    async fn query(&self, sql: &str) -> Value {
        let (status, answer) = self.tenant(Method::POST, "/api/v2/query", &json!({"sql": sql})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn refused(&self, sql: &str) -> String {
        let (status, answer) = self.tenant(Method::POST, "/api/v2/query", &json!({"sql": sql})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{sql}: {answer}");
        answer["message"].as_str().unwrap().to_owned()
    }

    /// A target at the app, with its key, and an action on clicks.
    async fn listen(&self, app: &App, prompts: Value) -> String {
        self.listen_at(&app.url, prompts).await
    }

    async fn listen_at(&self, url: &str, prompts: Value) -> String {
        let target = json!({"apiName": "Clicks", "label": "Clicks", "type": "WebHook",
            "config": {"targetEndpoint": format!("{url}/clicks?apiName=Clicks&orgId=x")}});
        let targets = format!("{SSOT}/data-action-targets");
        let (status, made) = self.call(&self.session, Method::POST, &targets, Some(&target)).await;
        assert_eq!((status, &made["status"]), (StatusCode::OK, &json!("Processing")), "{made}");
        self.run().await;
        let (_, shown) = self.call(&self.session, Method::GET, &format!("{targets}/Clicks"), None).await;
        assert_eq!(shown["status"], "Active");
        let (_, key) =
            self.call(&self.session, Method::POST, &format!("{targets}/clicks/signing-key"), None).await;
        assert_eq!(key["signingAlgorithm"], "HMACSHA256");
        self.act(prompts).await;
        key["signingKey"].as_str().unwrap().to_owned()
    }

    async fn act(&self, prompts: Value) {
        let action = json!({"developerName": "OnClick", "dataActionName": "OnClick", "masterLabel": "On click",
            "dataspace": "default", "dataActionTargetNames": ["Clicks"], "dataActionSources":
            [{"sourceName": "ClickEvent__dlm", "sourceType": "DataModelObject", "sourceCdcSubscriptions": prompts}]});
        let (status, made) =
            self.call(&self.session, Method::POST, &format!("{SSOT}/data-actions"), Some(&action)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }

    async fn deliveries(&self) -> Vec<Value> {
        self.org.sim("/_sim/data-cloud/deliveries").await.as_array().unwrap().clone()
    }
}

async fn exchange(org: &TestOrg, session: &str) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "urn:salesforce:grant-type:external:cdp"),
        ("subject_token", session),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let answer = org.http.post(org.url("/services/a360/token")).form(&form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn click(id: &str, page: &str) -> Value {
    json!({"eventId": id, "visitor": "v1", "page": page, "action": "view", "product": null, "quantity": 1,
        "occurredAt": "2026-09-21T14:00:00Z"})
}

fn sign(key: &str, body: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body))
}

#[tokio::test]
async fn a_session_becomes_a_token_that_is_good_for_the_tenant_alone() {
    let lake = Lake::start().await;
    let (_, answer) = exchange(&lake.org, &lake.session).await;
    assert_eq!(answer["instance_url"], lake.org.org.addr().to_string(), "without a scheme");
    assert_eq!(answer["expires_in"], 7_200);
    let sql = json!({"sql": "SELECT 1"});
    let query = async |token: &str| lake.call(token, Method::POST, "/api/v2/query", Some(&sql)).await.0;
    assert_eq!(query(&lake.tenant).await, StatusCode::OK);
    assert_eq!(query(&lake.session).await, StatusCode::UNAUTHORIZED, "the org's own session is not");
    assert_eq!(query("nonsense").await, StatusCode::UNAUTHORIZED);
    let core = lake.org.get("/services/data/v66.0/limits", &lake.tenant).await;
    assert_eq!(core.status(), StatusCode::UNAUTHORIZED, "nor the tenant's token for the org");
    lake.org.clock.advance_seconds(7_200);
    assert_eq!(query(&lake.tenant).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_exchange_says_what_is_wrong() {
    let lake = Lake::start().await;
    let (status, answer) = exchange(&lake.org, "nonsense").await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    let url = lake.org.authorize_url(&[("scope", "api id refresh_token")]);
    let code = super::support::browser::Browser::new(&lake.org).authorize_and_allow(&url, "admin").await;
    let (_, tokens) = lake.org.exchange(&code, super::support::VERIFIER).await;
    let (status, answer) = exchange(&lake.org, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_scope")));
}

#[tokio::test]
async fn rows_come_in_are_queried_and_go() {
    let lake = Lake::start().await;
    lake.ingest(json!([click("e1", "/a"), click("e2", "/b")])).await;
    assert_eq!(lake.query("SELECT COUNT(*) FROM ClickEvent__dlm").await["data"], json!([[0]]), "not yet");
    lake.run().await;
    let sql = "select eventId__c, quantity__c, occurredAt__c from ClickEvent__dlm order by eventId__c";
    let answer = lake.query(sql).await;
    assert_eq!(
        answer["data"],
        json!([["e1", 1, "2026-09-21T14:00:00.000Z"], ["e2", 1, "2026-09-21T14:00:00.000Z"]])
    );
    assert_eq!((&answer["rowCount"], &answer["done"]), (&json!(2), &json!(true)));
    assert_eq!(
        answer["metadata"]["eventId__c"],
        json!({"type": "VARCHAR", "placeInOrder": 0, "typeCode": 12})
    );
    assert_eq!(answer["metadata"]["quantity__c"]["type"], "DECIMAL");
    let (status, _) = lake.tenant(Method::DELETE, CLICKS, &json!({"ids": ["e1"]})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    lake.run().await;
    assert_eq!(lake.query("SELECT COUNT(*) n FROM AcmeWeb_ClickEvent__dll").await["data"], json!([[1]]));
}

#[tokio::test]
async fn a_result_comes_in_batches_by_get_and_by_post_and_only_to_its_user() {
    let lake = Lake::with_batches(2).await;
    lake.ingest((0..5).map(|n| click(&format!("e{n}"), "/")).collect()).await;
    lake.run().await;
    // As one of the official SDKs writes it.
    let sql = json!({"sql": {"sql": "SELECT eventId__c FROM ClickEvent__dlm ORDER BY 1"}});
    let (_, first) = lake.tenant(Method::POST, "/api/v2/query", &sql).await;
    assert_eq!((&first["data"], &first["done"]), (&json!([["e0"], ["e1"]]), &json!(false)));
    let next = format!("/api/v2/query/{}", first["nextBatchId"].as_str().unwrap());
    let (_, second) = lake.call(&lake.tenant, Method::POST, &next, None).await;
    assert_eq!(second["data"], json!([["e2"], ["e3"]]));
    let (_, again) = lake.call(&lake.tenant, Method::GET, &next, None).await;
    assert_eq!(again, second);
    let last = format!("/api/v2/query/{}", second["nextBatchId"].as_str().unwrap());
    let (_, third) = lake.call(&lake.tenant, Method::GET, &last, None).await;
    assert_eq!(
        (&third["data"], &third["done"], &third["nextBatchId"]),
        (&json!([["e4"]]), &json!(true), &Value::Null)
    );
    let other = lake.org.access_token_of("integration").await;
    let other = exchange(&lake.org, &other).await.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(lake.call(&other, Method::GET, &next, None).await.0, StatusCode::NOT_FOUND);
    let (_, page) = lake
        .tenant(
            Method::POST,
            "/api/v1/query?limit=2&offset=1&orderby=eventId__c%20desc",
            &json!({"sql": "SELECT eventId__c FROM ClickEvent__dlm"}),
        )
        .await;
    assert_eq!(page["data"], json!([{"eventId__c": "e3"}, {"eventId__c": "e2"}]));
}

#[tokio::test]
async fn nothing_else_of_the_database_can_be_queried_or_changed() {
    let lake = Lake::start().await;
    for sql in [
        "SELECT * FROM _dc_token",
        "SELECT * FROM \"User\"",
        "SELECT * FROM sqlite_master",
        "WITH x AS (SELECT token FROM _session) SELECT * FROM x",
        "SELECT (SELECT hash FROM _password LIMIT 1) FROM ClickEvent__dlm",
        "DELETE FROM ClickEvent__dlm",
        "PRAGMA user_version",
        "ATTACH DATABASE 'x' AS y",
        "WITH x AS (SELECT 1) DELETE FROM AcmeWeb_ClickEvent__dll",
        "SELECT randomblob(1000000000)",
        "nonsense",
        "",
    ] {
        lake.refused(sql).await;
    }
    assert!(lake.refused("SELECT nothing FROM ClickEvent__dlm").await.contains("nothing"));
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let told = lake.refused(endless).await;
    assert!(told.contains("too long"), "{told}");
    for hidden in [
        "SELECT COUNT(*) FROM \"User\"",
        "SELECT COUNT(*) FROM SQLITE_MASTER",
        "SELECT 1 FROM pragma_table_list",
    ] {
        lake.refused(hidden).await;
    }
    assert_eq!(
        lake.query("WITH x AS (SELECT * FROM ClickEvent__dlm) SELECT COUNT(*) FROM x").await["data"],
        json!([[0]])
    );
    // The fence is gone again.
    assert_eq!(lake.org.sim("/_sim/users").await.as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_bad_row_is_named_and_nothing_is_taken() {
    let lake = Lake::start().await;
    let mut bad = click("e2", "/");
    bad["quantity"] = json!("many");
    let (status, answer) = lake.tenant(Method::POST, CLICKS, &json!({"data": [click("e1", "/"), bad]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["message"], "data[1].quantity: expected a number");
    let (status, _) =
        lake.tenant(Method::POST, &format!("{CLICKS}/actions/test"), &json!({"data": [{}]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) =
        lake.tenant(Method::POST, "/api/v1/ingest/sources/Nobody/ClickEvent", &json!({"data": []})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let large = json!({"data": [click("e", &"x".repeat(250_000))]});
    assert_eq!(lake.tenant(Method::POST, CLICKS, &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(lake.run().await, 0, "nothing was queued");
}

#[tokio::test]
async fn whatever_is_sent_is_refused_in_the_form_of_whoever_is_asked() {
    let lake = Lake::start().await;
    let told = async |method: Method, path: &str, body: &str| {
        let request = lake.org.http.request(method, lake.org.url(path)).bearer_auth(&lake.tenant);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        (status, body["message"].as_str().unwrap_or_else(|| panic!("{path}: {text}")).to_owned())
    };
    let large = format!("{{\"data\": [\"{}\"]}}", "x".repeat(900 * 1024));
    for (method, path, body, status, sentence) in [
        (Method::POST, "/api/v2/query", "", 400, "EOF while parsing a value (line 1, column 0)"),
        (Method::POST, "/api/v2/query", "{\"sql\": 7}", 400, "sql: expected a text"),
        (Method::POST, "/api/v2/query", "{\"sql\": {\"no\": 1}}", 400, "sql: expected a text"),
        (Method::POST, "/api/v2/query", "{}", 400, "missing field `sql`"),
        (Method::GET, "/api/v2/query", "", 405, "does not take this method"),
        (Method::GET, "/api/v2/query/nobody", "", 404, "run the query again"),
        (Method::POST, "/api/v1/query?limit=some", "{\"sql\": \"SELECT 1\"}", 400, "limit: invalid digit"),
        (Method::POST, "/api/v1/query?orderby=nothing", "{\"sql\": \"SELECT 1 one\"}", 400, "no such column"),
        (Method::POST, "/api/v1/query?orderby=a;b", "{\"sql\": \"SELECT 1 a\"}", 400, "orderby: expected"),
        (Method::POST, CLICKS, "[]", 400, "line 1, column"),
        (Method::POST, CLICKS, "{\"data\": {}}", 400, "expected a sequence"),
        (Method::POST, CLICKS, "{\"data\": [7]}", 400, "data[0]: a row is a JSON object"),
        (Method::POST, CLICKS, &large, 413, "use a bulk job"),
        (Method::DELETE, CLICKS, "{\"ids\": [{}]}", 400, "ids[0]: expected a text or a number"),
        (Method::PUT, CLICKS, "", 405, "does not take this method"),
        (
            Method::POST,
            "/api/v1/ingest/jobs",
            "{\"object\": \"ClickEvent\"}",
            400,
            "missing field `sourceName`",
        ),
        (Method::PATCH, "/api/v1/ingest/jobs/nobody", "{\"state\": \"UploadComplete\"}", 404, "no such job"),
    ] {
        let (answered, said) = told(method.clone(), path, body).await;
        assert_eq!(answered, status, "{method} {path}: {said}");
        assert!(said.contains(sentence), "{method} {path}: {said}");
    }
    let (status, told) = lake.call("nonsense", Method::GET, "/api/v1/metadata", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(told["message"].as_str().unwrap().contains("/services/a360/token"), "{told}");
    // The org's own routes have the org's form, and `/_sim` its own.
    let targets = format!("{SSOT}/data-action-targets");
    for (method, path, status) in [
        (Method::PUT, targets.clone(), StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, format!("{targets}?batchSize=many"), StatusCode::BAD_REQUEST),
    ] {
        let (answered, body) = lake.call(&lake.session, method, &path, None).await;
        assert_eq!(answered, status, "{body}");
        assert_eq!(body[0]["errorCode"], "INVALID_INPUT", "{body}");
    }
    let (status, body) = lake.org.sim_post("/_sim/data-cloud/deliveries/some/again", &json!({})).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("refused")), "{body}");
}

#[tokio::test]
async fn bad_targets_and_actions_are_named_with_what_there_is() {
    let lake = Lake::start().await;
    let target = |name: &str, url: &str| json!({"apiName": name, "label": "L", "type": "WebHook", "config": {"targetEndpoint": url}});
    let mut core = target("Clicks", "https://a.example/");
    core["type"] = json!("Core");
    for (body, sentence) in [
        (target("no-hyphens", "https://a.example/"), "a letter, then letters"),
        (target("Clicks", "ftp://a.example/"), "http or https URL"),
        (target("Clicks", "nonsense"), "http or https URL"),
        (core, "only WebHook"),
        (json!({"apiName": "Clicks"}), "missing field `label`"),
    ] {
        let path = format!("{SSOT}/data-action-targets");
        let (status, answer) = lake.call(&lake.session, Method::POST, &path, Some(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer[0]["message"].as_str().unwrap().contains(sentence), "{answer}");
    }
    let action = |source: &str, prompt: &str, target: &str| {
        json!({"developerName": "OnClick", "dataActionTargetNames": [target],
            "dataActionSources": [{"sourceName": source, "sourceCdcSubscriptions": [prompt]}]})
    };
    for (body, sentence) in [
        (action("Nothing__dlm", "INSERT", "Clicks"), "there are ClickEvent__dlm"),
        (action("ClickEvent__dlm", "MERGE", "Clicks"), "none of INSERT, UPDATE, DELETE"),
        (action("ClickEvent__dlm", "INSERT", "Nobody"), "there is no target \"Nobody\"; make it first"),
        (
            json!({"developerName": "1", "dataActionTargetNames": [], "dataActionSources": []}),
            "a letter, then letters",
        ),
        (
            json!({"developerName": "A", "dataActionTargetNames": [], "dataActionSources": []}),
            "each needs one at least",
        ),
    ] {
        let (status, answer) = lake.org.sim_post("/_sim/data-cloud/actions", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(sentence), "{answer}");
    }
}

#[tokio::test]
async fn a_job_fails_at_its_first_row_that_is_none_and_says_which() {
    let lake = Lake::start().await;
    let jobs = "/api/v1/ingest/jobs";
    let header = "eventId,visitor,page,action,product,quantity,occurredAt\n";
    let good = "a,v,/p,view,,1,2026-09-21T14:00:00Z\n";
    for (csv, sentence) in [
        (
            format!("{header}{good}b,v,/p,view,,many,2026-09-21T14:00:00Z\n"),
            "row 2.quantity: expected a number",
        ),
        (format!("{header}{good}b,v\n"), "The CSV can't be read"),
        (format!("{header}a,v,/p,view,,1,yesterday\n"), "row 1.occurredAt: expected a time"),
        ("eventId,more\nx,y\n".to_owned(), "row 1.more: the schema of ClickEvent has no such field"),
        ("eventId\nx\n".to_owned(), "row 1.visitor: the field is missing"),
    ] {
        let new = json!({"object": "ClickEvent", "sourceName": "AcmeWeb", "operation": "upsert"});
        let (_, job) = lake.tenant(Method::POST, jobs, &new).await;
        let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
        let sent =
            lake.org.http.put(lake.org.url(&format!("{job}/batches"))).bearer_auth(&lake.tenant).body(csv);
        assert_eq!(sent.send().await.unwrap().status(), StatusCode::ACCEPTED);
        lake.tenant(Method::PATCH, &job, &json!({"state": "UploadComplete"})).await;
        lake.run().await;
        let (_, ended) = lake.call(&lake.tenant, Method::GET, &job, None).await;
        assert_eq!(
            (&ended["state"], &ended["numberRecordsFailed"]),
            (&json!("Failed"), &json!(1)),
            "{ended}"
        );
        assert!(ended["errorMessage"].as_str().unwrap().contains(sentence), "{ended}");
        let (status, told) = lake.tenant(Method::PATCH, &job, &json!({"state": "Aborted"})).await;
        assert_eq!(
            (status, &told["message"]),
            (StatusCode::BAD_REQUEST, &json!("The job is Failed already"))
        );
    }
}

#[tokio::test]
async fn no_query_takes_all_memory() {
    let lake = Lake::start().await;
    for sql in [
        "SELECT replace(printf('%.*c', 9000000, 'x'), 'x', 'xxxx')",
        "WITH RECURSIVE n(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM n) SELECT length(t) FROM n",
    ] {
        assert!(lake.refused(sql).await.contains("16 MiB"), "{sql}");
    }
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
        SELECT i, printf('%.*c', 1000000, 'x') FROM n";
    assert!(lake.refused(many).await.contains("256 MiB"));
}

#[tokio::test]
async fn a_bulk_job_takes_csv_through_its_states() {
    let lake = Lake::start().await;
    let jobs = "/api/v1/ingest/jobs";
    let new = json!({"object": "ClickEvent", "sourceName": "AcmeWeb", "operation": "upsert"});
    let (status, job) = lake.tenant(Method::POST, jobs, &new).await;
    assert_eq!((status, &job["state"]), (StatusCode::CREATED, &json!("Open")));
    let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
    let header = "eventId,visitor,page,action,product,quantity,occurredAt\n";
    for part in 0..2 {
        let rows: String =
            (0..600).map(|n| format!("p{part}-{n},v,/p,view,,{n},2026-09-21T14:00:00Z\n")).collect();
        let sent = lake.org.http.put(lake.org.url(&format!("{job}/batches"))).bearer_auth(&lake.tenant);
        let sent =
            sent.header("content-type", "text/csv").body(format!("{header}{rows}")).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
    }
    let (_, closed) = lake.tenant(Method::PATCH, &job, &json!({"state": "UploadComplete"})).await;
    assert_eq!(closed["state"], "UploadComplete");
    lake.org.sim_post("/_sim/data-cloud/step", &json!({})).await;
    assert_eq!(lake.call(&lake.tenant, Method::GET, &job, None).await.1["state"], "InProgress");
    lake.run().await;
    let (_, done) = lake.call(&lake.tenant, Method::GET, &job, None).await;
    assert_eq!((&done["state"], &done["numberRecordsProcessed"]), (&json!("JobComplete"), &json!(1200)));
    assert_eq!(lake.query("SELECT COUNT(*) FROM ClickEvent__dlm").await["data"], json!([[1200]]));
    assert_eq!(lake.call(&lake.tenant, Method::DELETE, &job, None).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_change_fires_a_signed_webhook_with_what_was_and_what_is() {
    let (lake, app) = (Lake::start().await, App::start().await);
    let key = lake.listen(&app, json!(["INSERT", "UPDATE"])).await;
    lake.ingest(json!([click("e1", "/a")])).await;
    lake.run().await;
    let call = app.last();
    assert_eq!(call.uri.query(), Some("apiName=Clicks&orgId=x"));
    assert_eq!(call.header("x-signature"), sign(&key, &call.raw), "of the very bytes");
    let event = &call.body["events"][0];
    assert_eq!((&event["EventPrompt"], &event["EventType"]), (&json!("INSERT"), &json!("CDCEvent")));
    assert_eq!(
        (&event["ActionDeveloperName"], &event["SourceObjectDeveloperName"]),
        (&json!("OnClick"), &json!("ClickEvent__dlm"))
    );
    let current: Value = serde_json::from_str(event["PayloadCurrentValue"].as_str().unwrap()).unwrap();
    assert_eq!((&current["page__c"], &event["PayloadPrevValue"]), (&json!("/a"), &json!("")));
    assert_eq!(call.body["schemas"][0]["schemaId"], event["EventSchemaVersion"]);
    lake.ingest(json!([click("e1", "/a")])).await;
    lake.run().await;
    assert_eq!(app.calls().len(), 1, "what did not change is not told");
    lake.ingest(json!([click("e1", "/b")])).await;
    lake.run().await;
    let update = app.last().body["events"][0].clone();
    let before: Value = serde_json::from_str(update["PayloadPrevValue"].as_str().unwrap()).unwrap();
    assert_eq!((&update["EventPrompt"], &before["page__c"]), (&json!("UPDATE"), &json!("/a")));
    let number = |event: &Value| event["ReplayId"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&update) > number(event));
    lake.tenant(Method::DELETE, CLICKS, &json!({"ids": ["e1"]})).await;
    lake.run().await;
    assert_eq!(app.calls().len(), 2, "nobody listens to deletions");
}

#[tokio::test]
async fn a_webhook_is_sent_until_it_is_taken_and_again_on_request() {
    let (lake, app) = (Lake::start().await, App::start().await);
    lake.listen(&app, json!([])).await;
    app.answer_with(StatusCode::SERVICE_UNAVAILABLE);
    lake.ingest(json!([click("e1", "/a"), click("e2", "/a")])).await;
    lake.run().await;
    assert_eq!(app.calls().len(), 1, "both in one request, and not yet again");
    let waiting = &lake.deliveries().await[0];
    assert_eq!(
        (&waiting["state"], &waiting["events"], &waiting["answer_status"]),
        (&json!("pending"), &json!(2), &json!(503))
    );
    lake.org.clock.advance_seconds(1);
    app.answer_with(StatusCode::OK);
    lake.run().await;
    let calls = app.calls();
    assert_eq!((calls.len(), &calls[0].raw), (2, &calls[1].raw), "the very same bytes");
    let taken = lake.deliveries().await[0].clone();
    assert_eq!((&taken["state"], &taken["attempts"]), (&json!("delivered"), &json!(2)));
    lake.org.sim_post(&format!("/_sim/data-cloud/deliveries/{}/again", taken["id"]), &json!({})).await;
    lake.run().await;
    assert_eq!(app.last().raw, calls[0].raw, "the same replay ids");
    app.answer_with(StatusCode::FORBIDDEN);
    lake.ingest(json!([click("e3", "/a")])).await;
    for _ in 0..8 {
        lake.run().await;
        lake.org.clock.advance_seconds(60);
    }
    let failed = &lake.deliveries().await[0];
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("failed"), &json!(8)));
}

#[tokio::test]
async fn an_app_that_takes_its_time_keeps_no_rows_waiting() {
    let lake = Lake::start().await;
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    lake.listen_at(&format!("http://{}", slow.local_addr().unwrap()), json!([])).await;
    lake.ingest(json!([click("e1", "/a")])).await;
    let meanwhile = async {
        let called = slow.accept().await.unwrap();
        lake.ingest(json!([click("e2", "/a")])).await;
        let (_, stepped) = lake.org.sim_post("/_sim/data-cloud/step", &json!({})).await;
        assert_eq!(stepped["moved"], true);
        assert_eq!(lake.query("SELECT COUNT(*) FROM ClickEvent__dlm").await["data"], json!([[2]]));
        drop((called, slow));
    };
    tokio::join!(lake.run(), meanwhile);
    let deliveries = lake.deliveries().await;
    assert_eq!(deliveries.len(), 2);
    assert!(deliveries.iter().all(|one| one["state"] == "pending"), "{deliveries:?}");
}

#[tokio::test]
async fn an_app_that_takes_its_time_keeps_no_other_target_waiting() {
    let lake = Lake::start_with(|config| config.deploy_mode = DeployMode::Automatic).await;
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = App::start().await;
    lake.listen_at(&format!("http://{}", slow.local_addr().unwrap()), json!([])).await;
    let targets = format!("{SSOT}/data-action-targets");
    let other = json!({"apiName": "Other", "label": "Other", "type": "WebHook", "config": {"targetEndpoint": app.url}});
    lake.call(&lake.session, Method::POST, &targets, Some(&other)).await;
    lake.run().await;
    lake.call(&lake.session, Method::POST, &format!("{targets}/Other/signing-key"), None).await;
    let action = json!({"developerName": "ToOther", "dataActionTargetNames": ["Other"],
        "dataActionSources": [{"sourceName": "ClickEvent__dlm"}]});
    lake.org.sim_post("/_sim/data-cloud/actions", &action).await;
    let delivered = async |count: usize| {
        let all = lake.deliveries().await;
        all.iter().filter(|one| one["target"] == "Other" && one["state"] == "delivered").count() == count
    };
    // The slow one has twenty seconds for each.
    let both = async {
        lake.ingest(json!([click("e1", "/a")])).await;
        let called = slow.accept().await.unwrap();
        while !delivered(1).await {}
        lake.ingest(json!([click("e2", "/a")])).await;
        while !delivered(2).await {}
        called
    };
    let called = tokio::time::timeout(std::time::Duration::from_secs(15), both).await.expect("no wait");
    let second = tokio::time::timeout(std::time::Duration::ZERO, slow.accept()).await;
    assert!(second.is_err(), "one at a time");
    drop(called);
}

#[tokio::test]
async fn a_job_that_is_aborted_while_its_rows_are_applied_stays_aborted() {
    let lake = Lake::start().await;
    let jobs = "/api/v1/ingest/jobs";
    let new = json!({"object": "ClickEvent", "sourceName": "AcmeWeb", "operation": "upsert"});
    let (_, job) = lake.tenant(Method::POST, jobs, &new).await;
    let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
    let mut csv = "eventId,visitor,page,action,product,quantity,occurredAt\n".to_owned();
    csv.extend((0..40_000).map(|n| format!("b{n},v,/p,view,,{n},2026-09-21T14:00:00Z\n")));
    csv.push_str("last,v,/p,view,,many,2026-09-21T14:00:00Z\n");
    let sent = lake.org.http.put(lake.org.url(&format!("{job}/batches"))).bearer_auth(&lake.tenant).body(csv);
    assert_eq!(sent.send().await.unwrap().status(), StatusCode::ACCEPTED);
    lake.tenant(Method::PATCH, &job, &json!({"state": "UploadComplete"})).await;
    let abort = async {
        let is_at_it = async || {
            let (_, shown) = lake.call(&lake.tenant, Method::GET, &job, None).await;
            shown["numberRecordsProcessed"].as_u64() > Some(0)
        };
        while !is_at_it().await {}
        let (status, told) = lake.tenant(Method::PATCH, &job, &json!({"state": "Aborted"})).await;
        assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("Aborted")), "{told}");
    };
    tokio::join!(lake.run(), abort);
    let (_, ended) = lake.call(&lake.tenant, Method::GET, &job, None).await;
    assert_eq!((&ended["state"], &ended["numberRecordsFailed"]), (&json!("Aborted"), &json!(0)), "{ended}");
    let applied = ended["numberRecordsProcessed"].as_u64().unwrap();
    assert!(applied < 40_000, "{applied}");
    assert_eq!(lake.query("SELECT COUNT(*) FROM ClickEvent__dlm").await["data"], json!([[applied]]));
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_an_org_may_keep_a_used_target() {
    let lake = Lake::start_with(|config| config.data_cloud.keeps_used_targets = true).await;
    let app = App::start().await;
    let target = json!({"apiName": "Clicks", "label": "Clicks", "type": "WebHook",
        "config": {"targetEndpoint": app.url}});
    let targets = format!("{SSOT}/data-action-targets");
    lake.call(&lake.session, Method::POST, &targets, Some(&target)).await;
    let (status, twice) = lake.call(&lake.session, Method::POST, &targets, Some(&target)).await;
    assert_eq!((status, &twice[0]["errorCode"]), (StatusCode::BAD_REQUEST, &json!("DUPLICATE_VALUE")));
    lake.act(json!([])).await;
    lake.ingest(json!([click("e1", "/a")])).await;
    lake.run().await;
    assert_eq!(lake.deliveries().await[0]["trouble"], "Signing Key Not Found");
    assert_eq!(app.calls().len(), 0);
    let one = format!("{targets}/Clicks");
    assert_eq!(lake.call(&lake.session, Method::DELETE, &one, None).await.0, StatusCode::BAD_REQUEST);
    lake.call(&lake.session, Method::DELETE, &format!("{SSOT}/data-actions/OnClick"), None).await;
    assert_eq!(lake.call(&lake.session, Method::DELETE, &one, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(lake.call(&lake.session, Method::GET, &one, None).await.0, StatusCode::NOT_FOUND);
    let (_, listed) = lake.call(&lake.session, Method::GET, &targets, None).await;
    assert_eq!(listed["dataActionTargets"], json!([]));
}

#[tokio::test]
async fn a_target_that_is_deleted_leaves_its_data_actions_which_go_without_any() {
    let (lake, app) = (Lake::start().await, App::start().await);
    lake.listen(&app, json!([])).await;
    let targets = format!("{SSOT}/data-action-targets");
    let other = json!({"apiName": "Other", "label": "Other", "type": "WebHook", "config": {"targetEndpoint": app.url}});
    lake.call(&lake.session, Method::POST, &targets, Some(&other)).await;
    let both = json!({"developerName": "Both", "dataActionTargetNames": ["other", "Clicks"],
        "dataActionSources": [{"sourceName": "ClickEvent__dlm"}]});
    lake.org.sim_post("/_sim/data-cloud/actions", &both).await;
    let gone = lake.call(&lake.session, Method::DELETE, &format!("{targets}/clicks"), None).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    let actions = lake.org.sim("/_sim/data-cloud/actions").await;
    let left: Vec<_> = actions.as_array().unwrap().iter().map(|one| &one["dataActionTargetNames"]).collect();
    assert_eq!(left, [&json!(["other"])], "{actions}");
    lake.ingest(json!([click("e1", "/a")])).await;
    lake.run().await;
    assert!(app.calls().is_empty(), "the one that is left has no key");
}

#[tokio::test]
async fn a_stream_of_ones_own_is_made_and_shown() {
    let lake = Lake::start().await;
    let stream = json!({"connector": "Shop", "object": "Order", "category": "Profile", "primaryKey": "id",
        "fields": [{"name": "id", "dataType": "Number"}, {"name": "open", "dataType": "Boolean"}]});
    let (status, made) =
        lake.call(&lake.session, Method::POST, &format!("{SSOT}/data-streams"), Some(&stream)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    lake.tenant(
        Method::POST,
        "/api/v1/ingest/sources/Shop/Order",
        &json!({"data": [{"id": 7, "open": true}]}),
    )
    .await;
    lake.run().await;
    let wrapped = json!({"sql": "SELECT id__c, open__c FROM Order__dlm"});
    let (_, answer) =
        lake.call(&lake.session, Method::POST, &format!("{SSOT}/queryv2"), Some(&wrapped)).await;
    assert_eq!(answer["data"], json!([{"rowData": [7, true]}]));
    let (_, lakes) = lake.call(&lake.session, Method::GET, &format!("{SSOT}/data-lake-objects"), None).await;
    assert_eq!(lakes["totalSize"], 2);
    for bad in ["fields", "primaryKey"] {
        let mut broken = stream.clone();
        broken["object"] = json!("Other");
        broken[bad] = if bad == "fields" { json!([]) } else { json!("nothing") };
        let (status, answer) =
            lake.call(&lake.session, Method::POST, &format!("{SSOT}/data-streams"), Some(&broken)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer[0]["message"].as_str().unwrap().starts_with(bad), "{answer}");
    }
}
