//! Bulk API 2.0 as its clients drive it: create, upload, close, wait, fetch.

use applink_orgsim::db::DbError;
use applink_orgsim::rest::step_bulk_jobs;
use reqwest::Body;
use serde_json::{Value, json};

use super::data::{Answer, BASE, Data, Server};
use super::support::TestOrg;

struct Bulk {
    data: Data,
    server: Server,
}

/// Status, headers and text of a CSV answer.
struct Text {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Bulk {
    async fn start() -> Self {
        let data = Data::new();
        let server = data.serve().await;
        Self { data, server }
    }

    async fn create(&self, role: &str, kind: &str, body: Value) -> String {
        let made = self.server.call(role, "POST", &format!("{BASE}/jobs/{kind}"), Some(body)).await;
        assert_eq!(made.status, 200, "{}", made.json);
        made.json["id"].as_str().unwrap().to_owned()
    }

    async fn put(&self, role: &str, id: &str, csv: impl Into<Body>) -> Answer {
        let url = format!("{}{BASE}/jobs/ingest/{id}/batches", self.server.url);
        let request = self.server.client.put(url).bearer_auth(role).header("content-type", "text/csv");
        super::data::answer(request.body(csv).send().await.unwrap()).await
    }

    async fn set_state(&self, role: &str, kind: &str, id: &str, state: &str) -> Answer {
        let path = format!("{BASE}/jobs/{kind}/{id}");
        self.server.call(role, "PATCH", &path, Some(json!({"state": state}))).await
    }

    async fn info(&self, role: &str, kind: &str, id: &str) -> Value {
        self.server.get(role, &format!("{BASE}/jobs/{kind}/{id}")).await.json
    }

    async fn text(&self, role: &str, path: &str) -> Text {
        let url = format!("{}{BASE}/jobs/{path}", self.server.url);
        let response = self.server.client.get(url).bearer_auth(role).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Text { status, headers, text: response.text().await.unwrap() }
    }

    async fn results(&self, role: &str, id: &str, which: &str) -> String {
        let answer = self.text(role, &format!("ingest/{id}/{which}")).await;
        assert_eq!((answer.status, &answer.headers["content-type"]), (200, &"text/csv".parse().unwrap()));
        answer.text
    }

    fn run(&self) {
        while step_bulk_jobs(&self.data).unwrap() {}
    }

    /// A job from its creation to its end.
    async fn ingest(&self, role: &str, job: Value, csv: &str) -> String {
        let id = self.create(role, "ingest", job).await;
        assert_eq!(self.put(role, &id, csv.to_owned()).await.status, 201);
        assert_eq!(self.set_state(role, "ingest", &id, "UploadComplete").await.status, 200);
        self.run();
        id
    }

    async fn failure(&self, role: &str, job: Value, csv: &str) -> String {
        let id = self.ingest(role, job, csv).await;
        let info = self.info(role, "ingest", &id).await;
        assert_eq!(info["state"], "Failed", "{info}");
        info["errorMessage"].as_str().unwrap().to_owned()
    }

    async fn count(&self, soql: &str) -> Value {
        self.server.query("admin", soql).await["totalSize"].clone()
    }
}

fn insert(object: &str) -> Value {
    json!({"object": object, "operation": "insert"})
}

#[tokio::test]
async fn an_insert_goes_through_its_states() {
    let bulk = Bulk::start().await;
    let job = json!({"object": "account", "operation": "insert", "dataTable": [{}, {}]});
    let made = bulk.server.call("sales", "POST", &format!("{BASE}/jobs/ingest"), Some(job)).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!(
        made.json,
        json!({
            "id": id, "operation": "insert", "object": "Account", "createdById": bulk.data.user_id("sales"),
            "createdDate": "2026-03-10T12:00:00.000+0000", "systemModstamp": "2026-03-10T12:00:00.000+0000",
            "state": "Open", "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": 66.0,
            "lineEnding": "LF", "columnDelimiter": "COMMA",
            "contentUrl": format!("services/data/v66.0/jobs/ingest/{id}/batches"),
        })
    );
    assert!(id.starts_with("750") && made.headers.contains_key("sforce-limit-info"));
    assert_eq!(bulk.put("sales", &id, "Name,NumberOfEmployees\nBulk \"A\",5\nBulk B,\n").await.status, 201);
    let closed = bulk.set_state("sales", "ingest", &id, "UploadComplete").await;
    assert_eq!((closed.status, &closed.json["state"]), (200, &json!("UploadComplete")));
    let early = bulk.text("sales", &format!("ingest/{id}/successfulResults")).await;
    assert!(early.status == 400 && early.text.contains("INVALIDJOBSTATE"), "{}", early.text);
    step_bulk_jobs(&bulk.data).unwrap();
    assert_eq!(bulk.info("sales", "ingest", &id).await["state"], "InProgress");
    bulk.run();
    let info = bulk.info("sales", "ingest", &id).await;
    for (key, value) in [
        ("state", json!("JobComplete")),
        ("jobType", json!("V2Ingest")),
        ("numberRecordsProcessed", json!(2)),
        ("numberRecordsFailed", json!(0)),
        ("retries", json!(0)),
        ("totalProcessingTime", json!(0)),
        ("apiActiveProcessingTime", json!(0)),
        ("apexProcessingTime", json!(0)),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    let first = bulk.data.id_of("Account", "Name", "Bulk \"A\"");
    let second = bulk.data.id_of("Account", "Name", "Bulk B");
    assert_eq!(
        bulk.results("sales", &id, "successfulResults").await,
        format!(
            "\"sf__Id\",\"sf__Created\",\"Name\",\"NumberOfEmployees\"\n\"{first}\",\"true\",\"Bulk \"\"A\"\"\",\"5\"\n\"{second}\",\"true\",\"Bulk B\",\"\"\n"
        )
    );
    assert_eq!(
        bulk.results("sales", &id, "failedResults").await,
        "\"sf__Id\",\"sf__Error\",\"Name\",\"NumberOfEmployees\"\n"
    );
    for spelling in ["unprocessedrecords", "unprocessedRecords"] {
        assert_eq!(bulk.results("sales", &id, spelling).await, "\"Name\",\"NumberOfEmployees\"\n");
    }
}

#[tokio::test]
async fn a_refused_row_tells_why_and_holds_no_other_up() {
    let bulk = Bulk::start().await;
    let csv = "Name,NumberOfEmployees,Rating\n,5,Hot\nGood,1,Warm\nMany,many,\nPicky,,Terrible\n";
    let id = bulk.ingest("sales", insert("Account"), csv).await;
    let info = bulk.info("sales", "ingest", &id).await;
    assert_eq!(
        (&info["state"], &info["numberRecordsProcessed"], &info["numberRecordsFailed"]),
        (&json!("JobComplete"), &json!(4), &json!(3))
    );
    let failed = bulk.results("sales", &id, "failedResults").await;
    let lines: Vec<&str> = failed.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "\"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --\",\"\",\"5\",\"Hot\"",
            "\"\",\"INVALID_TYPE_ON_FIELD_IN_RECORD:Employees: value not of required type: many:NumberOfEmployees --\",\"Many\",\"many\",\"\"",
            "\"\",\"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Account Rating: bad value for restricted picklist field: Terrible:Rating --\",\"Picky\",\"\",\"Terrible\"",
        ]
    );
    assert_eq!(bulk.results("sales", &id, "successfulResults").await.lines().count(), 2);
}

#[tokio::test]
async fn without_the_right_to_create_every_row_fails() {
    let bulk = Bulk::start().await;
    let id = bulk.ingest("intern", insert("Account"), "Name\nOne\nTwo\n").await;
    let info = bulk.info("intern", "ingest", &id).await;
    assert_eq!((&info["state"], &info["numberRecordsFailed"]), (&json!("JobComplete"), &json!(2)));
    let failed = bulk.results("intern", &id, "failedResults").await;
    for line in failed.lines().skip(1) {
        assert!(
            line.contains("INSUFFICIENT_ACCESS_OR_READONLY:insufficient access rights on object id:--"),
            "{line}"
        );
    }
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name IN ('One', 'Two')").await, 0);
}

#[tokio::test]
async fn what_the_caller_may_not_know_of_can_t_be_written() {
    let bulk = Bulk::start().await;
    let hidden = bulk
        .server
        .call("integration", "POST", &format!("{BASE}/jobs/ingest"), Some(insert("Contact")))
        .await;
    let missing = bulk
        .server
        .call("integration", "POST", &format!("{BASE}/jobs/ingest"), Some(insert("Nothing")))
        .await;
    assert_eq!((hidden.status, &hidden.json[0]["errorCode"]), (400, &json!("INVALIDJOB")));
    assert_eq!(
        hidden.json.to_string().replace("Contact", "X"),
        missing.json.to_string().replace("Nothing", "X")
    );
    let message = bulk.failure("intern", insert("Account"), "Name,AnnualRevenue\nA,5\n").await;
    assert_eq!(message, "InvalidBatch : Field name not found : AnnualRevenue");
    let other = bulk.data.id_of("Opportunity", "Name", "Silberpfad patient portal");
    let update = json!({"object": "Opportunity", "operation": "update"});
    let id = bulk.ingest("sales", update, &format!("Id,Description\n{other},taken\n")).await;
    let failed = bulk.results("sales", &id, "failedResults").await;
    assert!(
        failed
            .contains(&format!("\"{other}\",\"INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--\"")),
        "{failed}"
    );
}

#[tokio::test]
async fn rights_that_end_before_the_run_count_no_more() {
    let bulk = Bulk::start().await;
    let set = bulk.data.assigned_set("intern", json!({"Name": "Makers", "Label": "Makers"}));
    bulk.data.insert(
        "ObjectPermissions",
        json!({"ParentId": set, "SobjectType": "Account", "PermissionsCreate": true, "PermissionsRead": true}),
    );
    let id = bulk.create("intern", "ingest", insert("Account")).await;
    bulk.put("intern", &id, "Name\nLate\n").await;
    bulk.set_state("intern", "ingest", &id, "UploadComplete").await;
    bulk.data
        .db
        .write(|tx| {
            let soql = "PermissionSetAssignment";
            let assignment = applink_orgsim::records::find(tx, soql, "PermissionSetId", &set)?.unwrap();
            applink_orgsim::records::remove(tx, soql, &assignment)
        })
        .unwrap();
    bulk.run();
    assert_eq!(bulk.info("intern", "ingest", &id).await["numberRecordsFailed"], 1);
}

#[tokio::test]
async fn records_are_updated_upserted_and_deleted() {
    let bulk = Bulk::start().await;
    let upsert = json!({"object": "Account", "operation": "upsert", "externalIdFieldName": "externalid__c"});
    let csv = "Name,ExternalId__c,Description\nFirst,K-1,text\nSecond,K-2,text\n";
    let id = bulk.ingest("admin", upsert.clone(), csv).await;
    assert_eq!(bulk.results("admin", &id, "successfulResults").await.matches("\"true\"").count(), 2);
    let csv = "Name,ExternalId__c,Description\nFirst again,K-1,\nThird,K-3,#N/A\nNobody,,\n";
    let id = bulk.ingest("admin", upsert, csv).await;
    let done = bulk.results("admin", &id, "successfulResults").await;
    assert_eq!((done.matches("\"false\"").count(), done.matches("\"true\"").count()), (1, 1));
    let failed = bulk.results("admin", &id, "failedResults").await;
    assert!(failed.contains("MISSING_ARGUMENT:ExternalId__c not specified:--"), "{failed}");
    let first = bulk.data.id_of("Account", "ExternalId__c", "K-1");
    let soql = format!("SELECT Name, Description FROM Account WHERE Id = '{first}'");
    let found = &bulk.server.query("admin", &soql).await["records"][0];
    assert_eq!(
        (&found["Name"], &found["Description"]),
        (&json!("First again"), &json!("text")),
        "empty leaves alone"
    );

    let update = json!({"object": "Account", "operation": "update"});
    let csv = format!("Id,Description\n{},#N/A\n001000000000000AAA,x\n,y\n", &first[..15]);
    let id = bulk.ingest("admin", update, &csv).await;
    assert_eq!(bulk.server.query("admin", &soql).await["records"][0]["Description"], Value::Null);
    assert!(bulk.results("admin", &id, "successfulResults").await.contains(&first));
    let failed = bulk.results("admin", &id, "failedResults").await;
    assert!(failed.contains("MISSING_ARGUMENT:Id not specified in an update call:--"), "{failed}");

    let delete = json!({"object": "Account", "operation": "delete"});
    bulk.ingest("admin", delete.clone(), &format!("Id\n{first}\n")).await;
    let all = format!("{BASE}/queryAll?q=SELECT+IsDeleted+FROM+Account+WHERE+Id='{first}'");
    assert_eq!(bulk.server.get("admin", &all).await.json["records"][0]["IsDeleted"], true);
    let id = bulk.ingest("admin", delete, &format!("Id\n{first}\n")).await;
    assert!(
        bulk.results("admin", &id, "failedResults").await.contains("ENTITY_IS_DELETED:entity is deleted:--")
    );
    let second = bulk.data.id_of("Account", "ExternalId__c", "K-2");
    let hard = json!({"object": "Account", "operation": "hardDelete"});
    bulk.ingest("admin", hard.clone(), &format!("Id\n{second}\n")).await;
    assert_eq!(bulk.server.get("admin", &all.replace(&first, &second)).await.json["totalSize"], 0);
    let refused = bulk.server.call("sales", "POST", &format!("{BASE}/jobs/ingest"), Some(hard)).await;
    assert_eq!(refused.json[0]["errorCode"], "FEATURENOTENABLED");
}

#[tokio::test]
async fn every_delimiter_both_endings_and_parents_by_external_id() {
    let bulk = Bulk::start().await;
    let acme = bulk.data.insert("Account", json!({"Name": "Parent", "ExternalId__c": "P-1"}));
    let delimiters = [
        ("BACKQUOTE", '`'),
        ("CARET", '^'),
        ("COMMA", ','),
        ("PIPE", '|'),
        ("SEMICOLON", ';'),
        ("TAB", '\t'),
    ];
    for (index, (name, delimiter)) in delimiters.into_iter().enumerate() {
        let (ending, end) = if index % 2 == 0 { ("LF", "\n") } else { ("CRLF", "\r\n") };
        let job = json!({"object": "Contact", "operation": "insert", "columnDelimiter": name, "lineEnding": ending});
        let csv = format!(
            "LastName{delimiter}Account.ExternalId__c{end}\"Del,i`^|;\t\n{index}\"{delimiter}P-1{end}Lost{delimiter}P-9{end}"
        );
        let id = bulk.ingest("admin", job, &csv).await;
        let done = bulk.results("admin", &id, "successfulResults").await;
        assert!(
            done.ends_with(&format!("\"Del,i`^|;\t\n{index}\"{delimiter}\"P-1\"{end}")),
            "{name}: {done:?}"
        );
        let failed = bulk.results("admin", &id, "failedResults").await;
        assert!(failed.contains("INVALID_FIELD:Foreign key external ID: P-9 not found"), "{name}: {failed}");
    }
    assert_eq!(bulk.count(&format!("SELECT Id FROM Contact WHERE AccountId = '{acme}'")).await, 6);
}

#[tokio::test]
async fn csv_that_can_t_be_used_fails_the_job() {
    let bulk = Bulk::start().await;
    for (csv, expected) in [
        ("Name,Bacon__c\nA,B\n", "InvalidBatch : Field name not found : Bacon__c"),
        ("Name,name\nA,B\n", "InvalidBatch : Duplicate field name : name"),
        (
            "Name\r\nA\r\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
        ("Name,VersionData\nA,B\n", "InvalidBatch : Field name not found : VersionData"),
        ("", "InvalidBatch : The first line has to name 1 to 5000 fields"),
    ] {
        assert_eq!(bulk.failure("sales", insert("Account"), csv).await, expected);
    }
    let update = json!({"object": "Account", "operation": "update"});
    assert_eq!(bulk.failure("sales", update, "Name\nA\n").await, "InvalidBatch : Field name not found : Id");

    let id = bulk.ingest("sales", insert("Account"), "Name,Site\nFine,S\nOdd\nNever,T\n").await;
    let info = bulk.info("sales", "ingest", &id).await;
    assert_eq!(info["errorMessage"], "InvalidBatch : line 3 has 1 values where the header line has 2 names");
    assert_eq!(info["numberRecordsProcessed"], 1);
    assert_eq!(bulk.results("sales", &id, "successfulResults").await.lines().count(), 2);
    assert_eq!(
        bulk.results("sales", &id, "unprocessedrecords").await,
        "\"Name\",\"Site\"\n\"Odd\"\n\"Never\",\"T\"\n"
    );
    let id = bulk.create("sales", "ingest", insert("Account")).await;
    bulk.put("sales", &id, b"Name\nGood\n\xff\xfe\n".to_vec()).await;
    bulk.set_state("sales", "ingest", &id, "UploadComplete").await;
    bulk.run();
    assert_eq!(
        bulk.info("sales", "ingest", &id).await["numberRecordsFailed"],
        1,
        "the row that is not UTF-8"
    );
}

#[tokio::test]
async fn an_aborted_job_keeps_its_rows_unprocessed() {
    let bulk = Bulk::start().await;
    let id = bulk.create("sales", "ingest", insert("Account")).await;
    bulk.put("sales", &id, "Name\nA\nB\n").await;
    bulk.set_state("sales", "ingest", &id, "UploadComplete").await;
    step_bulk_jobs(&bulk.data).unwrap();
    assert_eq!(bulk.set_state("sales", "ingest", &id, "Aborted").await.json["state"], "Aborted");
    assert!(!step_bulk_jobs(&bulk.data).unwrap(), "nothing is due");
    assert_eq!(bulk.results("sales", &id, "unprocessedrecords").await, "\"Name\"\n\"A\"\n\"B\"\n");
    assert_eq!(
        bulk.results("sales", &id, "successfulResults").await,
        "\"sf__Id\",\"sf__Created\",\"Name\"\n"
    );
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name IN ('A', 'B')").await, 0);
}

#[tokio::test]
async fn states_that_don_t_fit_are_refused() {
    let bulk = Bulk::start().await;
    let id = bulk.ingest("sales", insert("Account"), "Name\nA\n").await;
    let path = format!("{BASE}/jobs/ingest/{id}");
    for (state, message) in [
        ("Aborted", "Aborting already Completed Job not allowed"),
        ("UploadComplete", "Closing already Completed Job not allowed"),
    ] {
        let refused = bulk.set_state("sales", "ingest", &id, state).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json, json!([{"message": message, "errorCode": "INVALIDJOBSTATE"}]));
    }
    assert_eq!(bulk.set_state("sales", "ingest", &id, "Open").await.json[0]["errorCode"], "INVALIDJOB");
    assert_eq!(bulk.put("sales", &id, "Name\nB\n").await.json[0]["errorCode"], "INVALIDJOBSTATE");
    let open = bulk.create("sales", "ingest", insert("Account")).await;
    bulk.put("sales", &open, "Name\nOnce\n").await;
    let twice = bulk.put("sales", &open, "Name\nTwice\n").await;
    assert!(twice.json[0]["message"].as_str().unwrap().starts_with("Found multiple contents for job"));
    let early = bulk.server.call("sales", "DELETE", &format!("{BASE}/jobs/ingest/{open}"), None).await;
    assert_eq!((early.status, &early.json[0]["errorCode"]), (400, &json!("INVALIDJOBSTATE")));
    assert_eq!(bulk.server.call("sales", "DELETE", &path, None).await.status, 204);
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/failedResults"))]
    {
        let gone = bulk.server.call("sales", method, &path, None).await;
        assert_eq!(
            (gone.status, gone.json),
            (404, json!([{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]))
        );
    }
    bulk.set_state("sales", "ingest", &open, "UploadComplete").await;
    bulk.run();
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name = 'Once'").await, 1);
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name = 'Twice'").await, 0);
}

#[tokio::test]
async fn a_job_is_its_creator_s() {
    let bulk = Bulk::start().await;
    let id = bulk.ingest("sales", insert("Account"), "Name\nMine\n").await;
    for path in [id.clone(), format!("{id}/successfulResults")] {
        assert_eq!(bulk.text("intern", &format!("ingest/{path}")).await.status, 404);
        assert_eq!(bulk.text("admin", &format!("ingest/{path}")).await.status, 200, "who views all data");
    }
    assert_eq!(bulk.set_state("intern", "ingest", &id, "Aborted").await.status, 404);
    assert_eq!(bulk.info("sales", "query", &id).await[0]["errorCode"], "NOT_FOUND", "it is no query");
    let listed = |list: Value| list["records"].as_array().unwrap().len();
    for (role, count) in [("sales", 1), ("intern", 0), ("admin", 1)] {
        let list = bulk.server.get(role, &format!("{BASE}/jobs/ingest")).await.json;
        assert_eq!(list["done"], true);
        assert_eq!(listed(list), count, "{role}");
    }
    assert_eq!(listed(bulk.server.get("admin", &format!("{BASE}/jobs/query")).await.json), 0);
    assert_eq!(
        listed(bulk.server.get("admin", &format!("{BASE}/jobs/ingest?jobType=Classic")).await.json),
        0
    );
    assert_eq!(bulk.text("nobody", &format!("ingest/{id}")).await.status, 401);
}

#[tokio::test]
async fn bad_requests_name_the_place() {
    let bulk = Bulk::start().await;
    let post = |kind: &'static str, body: Value| {
        let server = &bulk.server;
        async move { server.call("sales", "POST", &format!("{BASE}/jobs/{kind}"), Some(body)).await.json }
    };
    for (kind, body, code, place) in [
        ("ingest", json!({"object": "Account"}), "INVALIDJOB", "operation"),
        (
            "ingest",
            json!({"object": "Account", "operation": "query"}),
            "INVALIDJOB",
            "'query' is none of insert",
        ),
        ("ingest", json!({"object": 5, "operation": "insert"}), "API_ERROR", "line:1"),
        (
            "ingest",
            json!({"object": "Account", "operation": "insert", "lineEnding": "CR"}),
            "INVALIDJOB",
            "lineEnding",
        ),
        (
            "ingest",
            json!({"object": "Account", "operation": "insert", "columnDelimiter": ","}),
            "INVALIDJOB",
            "columnDelimiter",
        ),
        (
            "ingest",
            json!({"object": "Account", "operation": "upsert", "externalIdFieldName": "Name"}),
            "INVALIDJOB",
            "Name does not match an External ID",
        ),
        ("query", json!({"operation": "query"}), "INVALIDJOB", "query"),
        ("query", json!({"operation": "query", "query": "SELEKT Id"}), "MALFORMED_QUERY", "SELEKT"),
        (
            "query",
            json!({"operation": "query", "query": "SELECT Id, Id FROM Account"}),
            "MALFORMED_QUERY",
            "duplicate",
        ),
        (
            "query",
            json!({"operation": "query", "query": "SELECT Bacon__c FROM Account"}),
            "INVALID_FIELD",
            "Bacon__c",
        ),
        (
            "query",
            json!({"operation": "query", "query": "SELECT COUNT(Id) FROM Account"}),
            "FEATURENOTENABLED",
            "aggregate",
        ),
        (
            "query",
            json!({"operation": "query", "query": "SELECT Id, (SELECT Id FROM Contacts) FROM Account"}),
            "FEATURENOTENABLED",
            "Only fields",
        ),
        (
            "query",
            json!({"operation": "query", "query": "SELECT VersionData FROM ContentVersion"}),
            "FEATURENOTENABLED",
            "Binary",
        ),
    ] {
        let refused = post(kind, body.clone()).await;
        assert_eq!(refused[0]["errorCode"], code, "{body}: {refused}");
        assert!(refused[0]["message"].as_str().unwrap().contains(place), "{body}: {refused}");
    }
    let id = bulk.create("sales", "ingest", insert("Account")).await;
    let batches = format!("{BASE}/jobs/ingest/{id}/batches");
    let json_body = bulk.server.call("sales", "PUT", &batches, Some(json!([]))).await;
    assert_eq!((json_body.status, &json_body.json[0]["errorCode"]), (415, &json!("UNSUPPORTED_MEDIA_TYPE")));
    assert_eq!(bulk.server.get("sales", &batches).await.status, 405);
    assert_eq!(bulk.server.get("sales", &format!("{BASE}/jobs/ingest/{id}/other")).await.status, 404);
    assert_eq!(bulk.server.get("sales", &format!("{BASE}/jobs/other")).await.status, 404);
}

#[tokio::test]
async fn an_upload_that_is_too_large_or_breaks_off_leaves_nothing() {
    let bulk = Bulk::start().await;
    let id = bulk.create("sales", "ingest", insert("Account")).await;
    let chunk = vec![b'x'; 1024 * 1024];
    let whole = chunk.clone();
    let breaks_off =
        (0..4).map(move |at| if at < 3 { Ok(whole.clone()) } else { Err(std::io::Error::other("gone")) });
    let broken = futures_util::stream::iter(breaks_off);
    let url = format!("{}{BASE}/jobs/ingest/{id}/batches", bulk.server.url);
    let request = bulk.server.client.put(url).bearer_auth("sales").header("content-type", "text/csv");
    assert!(request.body(Body::wrap_stream(broken)).send().await.is_err());
    let large = futures_util::stream::iter((0..151).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let refused = bulk.put("sales", &id, Body::wrap_stream(large)).await;
    assert_eq!((refused.status, &refused.json[0]["errorCode"]), (413, &json!("REQUEST_TOO_LARGE")));
    let parts = || {
        bulk.data
            .db
            .read(|tx| {
                Ok::<i64, DbError>(tx.query_row("SELECT count(*) FROM _bulk_part", [], |row| row.get(0))?)
            })
            .unwrap()
    };
    while parts() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bulk.put("sales", &id, "Name\nB\n").await.status, 201, "the job takes a whole upload");
}

#[tokio::test]
async fn many_rows_survive_a_stop_in_the_middle() {
    let bulk = Bulk::start().await;
    let rows: String = (0..450).map(|row| format!("Row {row:03}\n")).collect();
    let csv = format!("Name\n{rows}").into_bytes();
    let chunks: Vec<_> = csv.chunks(7).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let id = bulk.create("sales", "ingest", insert("Account")).await;
    let uploaded = bulk.put("sales", &id, Body::wrap_stream(futures_util::stream::iter(chunks))).await;
    assert_eq!(uploaded.status, 201);
    bulk.set_state("sales", "ingest", &id, "UploadComplete").await;
    bulk.run();
    // What a stop after the second transaction would have left.
    let undo = "UPDATE _bulk_job SET state = 'InProgress', processed = 400;
        DELETE FROM _bulk_outcome WHERE number >= 400;
        DELETE FROM \"Account\" WHERE \"Name\" BETWEEN 'Row 400' AND 'Row 449'";
    bulk.data.db.write(|tx| Ok::<_, DbError>(tx.execute_batch(undo)?)).unwrap();
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name LIKE 'Row %'").await, 400);
    bulk.run();
    assert_eq!(bulk.count("SELECT Id FROM Account WHERE Name LIKE 'Row %'").await, 450);
    let done = bulk.results("sales", &id, "successfulResults").await;
    assert_eq!(done.lines().count(), 451);
    assert!(done.lines().last().unwrap().ends_with("\"Row 449\""));
}

#[tokio::test]
async fn long_values_come_back_whole() {
    let bulk = Bulk::start().await;
    // Three megabytes: values lie across the parts that an upload is kept in.
    let long = "0123456789\"\"ü\n".repeat(1_500);
    let rows: String = (0..140).map(|row| format!("Long {row:03},\"{long}\"\n")).collect();
    let csv = format!("Name,Description\n{rows}");
    assert!(csv.len() > 2 * 1024 * 1024);
    let id = bulk.ingest("sales", insert("Account"), &csv).await;
    assert_eq!(bulk.info("sales", "ingest", &id).await["numberRecordsFailed"], 0);
    let soql = "SELECT Description FROM Account WHERE Name LIKE 'Long %'";
    let long = long.replace("\"\"", "\"");
    for record in bulk.server.query("admin", soql).await["records"].as_array().unwrap() {
        assert_eq!(record["Description"].as_str().unwrap(), long.trim_end());
    }
    let results = bulk.results("sales", &id, "successfulResults").await;
    assert!(results.ends_with(&csv[csv.rfind("Long").unwrap()..].replacen("Long 139", "\"Long 139\"", 1)));
    assert_eq!(results.matches("\"true\"").count(), 140);
}

#[tokio::test]
async fn a_query_is_answered_in_pages() {
    let bulk = Bulk::start().await;
    let soql = "select name, account.name, closedate, createddate, amount from Opportunity order by Name";
    let id = bulk.create("sales", "query", json!({"operation": "query", "query": soql})).await;
    let early = bulk.text("sales", &format!("query/{id}/results")).await;
    assert!(early.status == 400 && early.text.contains("INVALIDJOBSTATE"));
    bulk.run();
    let info = bulk.info("sales", "query", &id).await;
    assert_eq!(
        (&info["state"], &info["jobType"], &info["numberRecordsProcessed"], &info["object"]),
        (&json!("JobComplete"), &json!("V2Query"), &json!(4), &json!("Opportunity"))
    );
    assert!(info.get("contentUrl").is_none() && info.get("numberRecordsFailed").is_none());
    let whole = bulk.text("sales", &format!("query/{id}/results")).await;
    let header = "\"Name\",\"Account.Name\",\"CloseDate\",\"CreatedDate\",\"Amount\"\n";
    assert!(whole.text.starts_with(header), "{}", whole.text);
    assert!(whole.text.contains("\"2026-03-10T12:00:00.000Z\""), "{}", whole.text);
    assert_eq!(
        (&whole.headers["sforce-locator"], &whole.headers["sforce-numberofrecords"]),
        (&"null".parse().unwrap(), &"4".parse().unwrap())
    );

    let mut text = header.to_owned();
    let mut path = format!("query/{id}/results?maxRecords=3");
    for (records, last) in [("3", false), ("1", true)] {
        let page = bulk.text("sales", &path).await;
        assert_eq!((page.status, &page.headers["content-type"]), (200, &"text/csv".parse().unwrap()));
        assert_eq!(page.headers["sforce-numberofrecords"], records);
        text.push_str(page.text.strip_prefix(header).unwrap());
        let locator = page.headers["sforce-locator"].to_str().unwrap();
        assert_eq!(locator == "null", last);
        path = format!("query/{id}/results?locator={locator}&maxRecords=3");
    }
    assert_eq!(text, whole.text);
    for wrong in ["locator=MTAwMDA", "locator=!", "maxRecords=0", "maxRecords=x"] {
        assert_eq!(bulk.text("sales", &format!("query/{id}/results?{wrong}")).await.status, 400, "{wrong}");
    }
    assert_eq!(
        bulk.server.call("sales", "DELETE", &format!("{BASE}/jobs/query/{id}"), None).await.status,
        204
    );
}

#[tokio::test]
async fn a_query_sees_what_its_caller_may_see() {
    let bulk = Bulk::start().await;
    for (role, count) in [("admin", 8), ("sales", 4), ("intern", 0)] {
        let id = bulk
            .create(role, "query", json!({"operation": "query", "query": "SELECT Id FROM Opportunity"}))
            .await;
        bulk.run();
        let page = bulk.text(role, &format!("query/{id}/results")).await;
        assert_eq!(page.text.lines().count(), count + 1, "{role}");
        assert!(page.text.starts_with("\"Id\"\n"));
    }
    let gone = bulk.data.id_of("Opportunity", "Name", "O'Dwyer calibration cloud");
    bulk.server.call("admin", "DELETE", &format!("{BASE}/sobjects/Opportunity/{gone}"), None).await;
    for (operation, count) in [("query", 7), ("queryAll", 8)] {
        let id = bulk
            .create("admin", "query", json!({"operation": operation, "query": "SELECT Id FROM Opportunity"}))
            .await;
        bulk.run();
        assert_eq!(bulk.info("admin", "query", &id).await["numberRecordsProcessed"], count, "{operation}");
    }
    let id =
        bulk.create("admin", "query", json!({"operation": "query", "query": "SELECT Id FROM Account"})).await;
    assert_eq!(bulk.set_state("admin", "query", &id, "Aborted").await.json["state"], "Aborted");
    bulk.run();
    assert_eq!(bulk.info("admin", "query", &id).await["state"], "Aborted");
}

#[tokio::test]
async fn an_org_s_worker_runs_jobs_by_itself_or_when_told() {
    for stepped in [false, true] {
        let org = if stepped { TestOrg::start_stepped().await } else { TestOrg::start().await };
        let token = org.access_token_of("admin").await;
        let jobs = org.url("/services/data/v66.0/jobs/query");
        let body = json!({"operation": "query", "query": "SELECT Id FROM Account"});
        let made = org.http.post(&jobs).bearer_auth(&token).json(&body).send().await.unwrap();
        let id = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        loop {
            let job: Value = org
                .get(&format!("/services/data/v66.0/jobs/query/{id}/"), &token)
                .await
                .json()
                .await
                .unwrap();
            if job["state"] == "JobComplete" {
                break;
            }
            if stepped {
                let (_, answer) = org.sim_post("/_sim/jobs/step", &json!({})).await;
                assert_eq!(answer, json!({"moved": true}));
            }
            tokio::task::yield_now().await;
        }
    }
}
