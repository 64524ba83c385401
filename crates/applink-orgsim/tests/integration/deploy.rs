//! Metadata deploys, component by component.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::package::Package;
use super::support::{SIM_KEY, TestOrg};

fn names(rows: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(row, "componentType"), text(row, "fullName"))).collect()
}

fn failure<'a>(result: &'a Value, name: &str) -> &'a Value {
    let failures = result["details"]["componentFailures"].as_array().unwrap();
    failures
        .iter()
        .find(|row| row["fullName"] == name)
        .unwrap_or_else(|| panic!("no failure of {name} in {result}"))
}

#[tokio::test]
async fn a_whole_service_is_deployed_and_again_without_change() {
    let org = TestOrg::start().await;
    let package = Package::service("http://127.0.0.1:9/base");
    let result = org.deploy("admin", &package).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    assert_eq!(
        (&result["numberComponentsDeployed"], &result["numberComponentErrors"]),
        (&5.into(), &0.into())
    );
    assert_eq!(
        names(&result["details"]["componentSuccesses"]).first(),
        Some(&(String::new(), "package.xml".to_owned()))
    );
    let services = org.sim("/_sim/services").await;
    assert_eq!(
        (&services[0]["name"], &services[0]["endpoint"]),
        (&"Provisioning".into(), &"http://127.0.0.1:9/base".into())
    );
    assert_eq!(services[0]["operations"][0]["callbacks"], json!(["progress"]));
    let again = org.deploy("admin", &package).await;
    for row in again["details"]["componentSuccesses"].as_array().unwrap().iter().skip(1) {
        assert_eq!((&row["created"], &row["changed"]), (&false.into(), &false.into()), "{row}");
    }
}

#[tokio::test]
async fn one_failure_rolls_everything_back_and_says_where() {
    let org = TestOrg::start().await;
    let package = Package::service("http://127.0.0.1:9").permission_set(
        "Broken",
        "<objectPermissions>\n<allowCreate>false</allowCreate><allowDelete>false</allowDelete><allowEdit>false</allowEdit>\
         <allowRead>true</allowRead><modifyAllRecords>false</modifyAllRecords>\n<object>Nothing__c</object><viewAllRecords>false</viewAllRecords></objectPermissions>",
    );
    let result = org.deploy("admin", &package).await;
    assert_eq!((&result["status"], &result["success"]), (&"Failed".into(), &false.into()));
    let row = failure(&result, "Broken");
    assert_eq!(row["problem"], "In field: object - no CustomObject named Nothing__c found");
    assert_eq!(
        (&row["problemType"], &row["lineNumber"], &row["fileName"]),
        (&"Error".into(), &6.into(), &"permissionsets/Broken.permissionset".into())
    );
    assert_eq!(org.sim("/_sim/services").await, json!([]));
    assert_eq!(org.sim("/_sim/permission-sets").await, json!([]));
}

#[tokio::test]
async fn without_rollback_the_good_components_stay() {
    let org = TestOrg::start().await;
    let package = Package::new()
        .permission_set("Good", "")
        .permission_set(
            "Bad",
            "<userPermissions><enabled>true</enabled><name>FlyToTheMoon</name></userPermissions>",
        )
        .option("rollbackOnError", false.into());
    let result = org.deploy("admin", &package).await;
    assert_eq!((&result["status"], &result["success"]), (&"SucceededPartial".into(), &true.into()));
    assert_eq!(failure(&result, "Bad")["problem"], "Unknown user permission: FlyToTheMoon");
    assert_eq!(org.sim("/_sim/permission-sets").await[0]["name"], "Good");
}

#[tokio::test]
async fn a_check_only_deploy_leaves_nothing() {
    let org = TestOrg::start().await;
    let package = Package::new().permission_set("Good", "").option("checkOnly", true.into());
    let result = org.deploy("admin", &package).await;
    assert_eq!((&result["status"], &result["checkOnly"]), (&"Succeeded".into(), &true.into()));
    assert_eq!(org.sim("/_sim/permission-sets").await, json!([]));
}

#[tokio::test]
async fn each_component_fails_as_in_an_org() {
    let org = TestOrg::start().await;
    let schema = super::support::package::schema();
    let mut with_app = schema.clone();
    with_app["paths"]["/api/provision"]["post"]["x-sfdc"] =
        json!({"heroku": {"authorization": {"externalClientApp": "myapp"}}});
    let access = "<externalCredentialPrincipalAccesses><enabled>true</enabled><externalCredentialPrincipal>No-One</externalCredentialPrincipal></externalCredentialPrincipalAccesses>";
    let read_name = "<fieldPermissions><editable>false</editable><field>Opportunity.Name</field><readable>true</readable></fieldPermissions>";
    let edit_only = "<objectPermissions><allowCreate>false</allowCreate><allowDelete>false</allowDelete><allowEdit>true</allowEdit>\
        <allowRead>false</allowRead><modifyAllRecords>false</modifyAllRecords><object>Account</object><viewAllRecords>false</viewAllRecords></objectPermissions>";
    let eca = "<contactEmail>a@b.example</contactEmail><distributionState>Local</distributionState><label>MyApp</label>";
    let package = Package::new()
        .named_credential("Lonely", "http://127.0.0.1:9")
        .registration("NoCredential", &schema.to_string(), &[])
        .external_credential("Fine")
        .named_credential("Fine", "http://127.0.0.1:9")
        .registration("Fine", "{\"openapi\": \"3.0.0\", \"paths\": {", &[])
        .component("ExternalClientApplication", "MyApp", "externalClientApps", "eca", eca)
        .component(
            "ConnectedApp",
            "Old",
            "connectedApps",
            "connectedApp",
            "<label>Old</label><contactEmail>a@b.example</contactEmail>",
        )
        .permission_set("NoPrincipal", access)
        .permission_set("RequiredField", read_name)
        .permission_set("EditWithoutRead", edit_only)
        .permission_set("Odd", "<colour>red</colour>")
        .file("permissionsets/Unlisted.permissionset", "<x/>");
    let result = org.deploy("admin", &package).await;
    let problem = |name: &str| failure(&result, name)["problem"].as_str().unwrap().to_owned();
    assert_eq!(problem("Lonely"), "In field: externalCredential - no ExternalCredential named Lonely found");
    assert_eq!(
        problem("NoCredential"),
        "In field: namedCredentialReference - no NamedCredential named NoCredential found"
    );
    assert!(
        problem("Fine").contains("neither JSON nor YAML") && problem("Fine").contains("line 1"),
        "{}",
        problem("Fine")
    );
    assert!(problem("Old").contains("Since Spring '26"), "{}", problem("Old"));
    assert_eq!(
        problem("NoPrincipal"),
        "In field: externalCredentialPrincipal - no ExternalCredentialParameter named No-One found"
    );
    assert_eq!(problem("RequiredField"), "You cannot deploy to a required field: Opportunity.Name");
    assert_eq!(problem("EditWithoutRead"), "Permission Edit Account depends on permission(s): Read Account");
    assert_eq!(
        problem("Odd"),
        "Element {http://soap.sforce.com/2006/04/metadata}colour invalid at this location in type PermissionSet"
    );
    assert_eq!(failure(&result, "Odd")["lineNumber"], 4);
    assert_eq!(problem("Unlisted"), "Not in package.xml");

    let package = Package::new()
        .component("ExternalClientApplication", "MyApp", "externalClientApps", "eca", eca)
        .external_credential("Fine")
        .named_credential("Fine", "http://127.0.0.1:9")
        .registration("Fine", &with_app.to_string(), &[]);
    let result = org.deploy("admin", &package).await;
    let words = failure(&result, "Fine")["problem"].as_str().unwrap();
    assert!(words.ends_with("names are case-sensitive, did you mean MyApp?"), "{words}");
}

#[tokio::test]
async fn an_external_client_app_becomes_an_oauth_client() {
    let org = TestOrg::start().await;
    let global = "<callbackUrl>http://127.0.0.1:7700/oauth/callback</callbackUrl><consumerKey>3MVGdeployed</consumerKey>\
        <externalClientApplication>Portal</externalClientApplication><isConsumerSecretOptional>true</isConsumerSecretOptional><label>p</label>";
    let settings = "<commaSeparatedOauthScopes>Api, RefreshToken</commaSeparatedOauthScopes><externalClientApplication>Portal</externalClientApplication>";
    let package = Package::new()
        .component(
            "ExternalClientApplication",
            "Portal",
            "externalClientApps",
            "eca",
            "<label>The Portal</label>",
        )
        .component(
            "ExtlClntAppGlobalOauthSettings",
            "Portal_g",
            "extlClntAppGlobalOauthSets",
            "ecaGlblOauth",
            global,
        )
        .component("ExtlClntAppOauthSettings", "Portal_o", "extlClntAppOauthSettings", "ecaOauth", settings);
    let result = org.deploy("admin", &package).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    let authorize = org.authorize_url(&[("client_id", "3MVGdeployed")]);
    let code = super::support::browser::Browser::new(&org).authorize_and_allow(&authorize, "sales").await;
    let (status, answer) = org
        .token(&[
            ("grant_type", "authorization_code"),
            ("client_id", "3MVGdeployed"),
            ("client_secret", ""),
            ("code", &code),
            ("redirect_uri", super::support::CALLBACK),
            ("code_verifier", super::support::VERIFIER),
        ])
        .await;
    assert_eq!((status, &answer["scope"]), (StatusCode::OK, &"api refresh_token".into()), "{answer}");
}

#[tokio::test]
async fn deletions_respect_what_points_at_a_component() {
    let org = TestOrg::start().await;
    assert_eq!(org.deploy("admin", &Package::service("http://127.0.0.1:9")).await["status"], "Succeeded");
    org.assign("Provisioning", "sales").await;
    let destructive = |members: &[(&str, &str)]| {
        let members: Vec<_> =
            members.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect();
        Package::new().file("destructiveChangesPost.xml", super::support::package::manifest(&members))
    };
    let result = org
        .deploy(
            "admin",
            &destructive(&[("NamedCredential", "Provisioning"), ("PermissionSet", "Provisioning")]),
        )
        .await;
    let problems: Vec<_> = result["details"]["componentFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["problem"].as_str().unwrap())
        .collect();
    assert!(
        matches!(problems[..], [assigned, referenced] if assigned.contains("is assigned to 1 user")
            && referenced.contains("ExternalServiceRegistration Provisioning")),
        "{problems:?}"
    );
    let body = json!({"permission_set": "Provisioning", "username": org.username("sales")});
    org.sim_post("/_sim/permission-sets/unassign", &body).await;
    let everything = destructive(&[
        ("ExternalServiceRegistration", "Provisioning"),
        ("PermissionSet", "Provisioning"),
        ("PermissionSet", "Gone"),
        ("NamedCredential", "Provisioning"),
        ("ExternalCredential", "Provisioning"),
    ]);
    let result = org.deploy("admin", &everything).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    let rows = result["details"]["componentSuccesses"].as_array().unwrap();
    let gone = rows.iter().find(|row| row["fullName"] == "Gone").unwrap();
    assert_eq!(
        (&gone["problem"], &gone["problemType"]),
        (&"No PermissionSet named: Gone found".into(), &"Warning".into())
    );
    assert_eq!(org.sim("/_sim/services").await, json!([]));
}

#[tokio::test]
async fn a_deployment_moves_through_its_states_and_can_be_cancelled() {
    let org = TestOrg::start_stepped().await;
    let token = org.access_token_of("admin").await;
    let package = Package::new().permission_set("A", "");
    let id = org.request_deploy(&token, &package).await;
    let status = async |id: &str| -> Value {
        let path = format!("/services/data/v66.0/metadata/deployRequest/{id}");
        org.get(&path, &token).await.json::<Value>().await.unwrap()["deployResult"].clone()
    };
    let mut seen = vec![status(&id).await["status"].clone()];
    for _ in 0..2 {
        org.sim_post("/_sim/deployments/step", &json!({})).await;
        seen.push(status(&id).await["status"].clone());
    }
    assert_eq!(json!(seen), json!(["Pending", "InProgress", "Succeeded"]));
    assert_eq!(status(&id).await.get("details"), None, "only when asked for");

    let other = org.request_deploy(&token, &package).await;
    let cancel = async |id: &str| {
        let url = org.url(&format!("/services/data/v66.0/metadata/deployRequest/{id}"));
        org.http
            .patch(url)
            .bearer_auth(&token)
            .json(&json!({"deployResult": {"status": "Canceling"}}))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(cancel(&other).await, StatusCode::ACCEPTED);
    assert_eq!(status(&other).await["status"], "Canceled");
    assert_eq!(cancel(&id).await, StatusCode::BAD_REQUEST);
    assert_eq!(status("0Af000000000000AAA").await, Value::Null);
}

#[tokio::test]
async fn deploying_needs_rights_a_zip_and_a_session() {
    let org = TestOrg::start().await;
    let package = Package::new().permission_set("A", "");
    let url = org.url("/services/data/v66.0/metadata/deployRequest");
    let sales = org.access_token_of("sales").await;
    let refused = org.http.post(&url).bearer_auth(&sales).multipart(package.form()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(refused.json::<Value>().await.unwrap()[0]["errorCode"], "INSUFFICIENT_ACCESS");
    let nobody = org.http.post(&url).bearer_auth("00D!AQx").multipart(package.form()).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    let admin = org.access_token_of("admin").await;
    let plain = org.http.post(&url).bearer_auth(&admin).json(&json!({})).send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    let options_only = reqwest::multipart::Form::new()
        .part("json", reqwest::multipart::Part::text("{").mime_str("application/json").unwrap());
    let broken: Value = org
        .http
        .post(&url)
        .bearer_auth(&admin)
        .multipart(options_only)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(broken[0]["errorCode"], "JSON_PARSER_ERROR");
    assert!(broken[0]["message"].as_str().unwrap().contains("line 1"), "{broken}");
    let not_zip = reqwest::multipart::Form::new().part(
        "x",
        reqwest::multipart::Part::bytes(b"PK nonsense".to_vec())
            .file_name("x")
            .mime_str("application/zip")
            .unwrap(),
    );
    let taken: Value = org
        .http
        .post(&url)
        .bearer_auth(&admin)
        .multipart(not_zip)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let result = org.wait_for_deploy(&admin, taken["id"].as_str().unwrap()).await;
    assert_eq!(
        (&result["status"], &result["errorMessage"]),
        (&"Failed".into(), &"the package is not a readable zip file".into())
    );
}

#[tokio::test]
async fn only_who_may_deploy_sees_or_cancels_a_deployment() {
    let org = TestOrg::start_stepped().await;
    let admin = org.access_token_of("admin").await;
    let id = org.request_deploy(&admin, &Package::new().permission_set("A", "")).await;
    let path = format!("/services/data/v66.0/metadata/deployRequest/{id}");
    let intern = org.access_token_of("intern").await;
    let seen = org.get(&format!("{path}?includeDetails=true"), &intern).await;
    assert_eq!(seen.status(), StatusCode::FORBIDDEN);
    assert_eq!(seen.json::<Value>().await.unwrap()[0]["errorCode"], "INSUFFICIENT_ACCESS");
    let canceling = json!({"deployResult": {"status": "Canceling"}});
    let cancelled =
        org.http.patch(org.url(&path)).bearer_auth(&intern).json(&canceling).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::FORBIDDEN);
    let untouched: Value = org.get(&path, &admin).await.json().await.unwrap();
    assert_eq!(untouched["deployResult"]["status"], "Pending");
}

#[tokio::test]
async fn a_deploy_needs_the_permission_for_heroku_services() {
    let org = TestOrg::start().await;
    // An admin who may set up everything but Heroku AppLink: the profile's own permission set loses it.
    let admin = org.access_token_of("admin").await;
    let soql = "SELECT Id FROM PermissionSet WHERE IsOwnedByProfile = true AND Profile.Name = 'System Administrator'";
    let (_, found) = org.probe(json!({"username": org.username("admin")}), soql).await;
    let id = found["records"][0]["Id"].as_str().unwrap();
    let url = org.url(&format!("/services/data/v66.0/sobjects/PermissionSet/{id}"));
    let changed = org
        .http
        .patch(url)
        .bearer_auth(&admin)
        .json(&json!({"PermissionsManageHerokuAppLink": false}))
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), StatusCode::NO_CONTENT, "{}", changed.text().await.unwrap());
    let result = org.deploy("admin", &Package::service("http://127.0.0.1:9")).await;
    let row = failure(&result, "Provisioning");
    assert!(row["problem"].as_str().unwrap().contains("ManageHerokuAppLink"), "{row}");
    assert_eq!(row["componentType"], "ExternalServiceRegistration");
    assert_eq!(
        org.http
            .get(org.url("/_sim/services"))
            .header("x-sim-key", SIM_KEY)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap(),
        json!([])
    );
}

#[tokio::test]
async fn an_older_org_still_makes_connected_apps() {
    let org = TestOrg::start_with(|config| config.api_version = 65).await;
    let token = org.access_token_of("admin").await;
    let inner = "<label>Old</label><contactEmail>a@b.example</contactEmail>";
    let package = Package::new().component("ConnectedApp", "Old", "connectedApps", "connectedApp", inner);
    let url = org.url("/services/data/v65.0/metadata/deployRequest");
    let taken = org.http.post(url).bearer_auth(&token).multipart(package.form()).send().await.unwrap();
    let taken: Value = taken.json().await.unwrap();
    let result = org.wait_for_deploy(&token, taken["id"].as_str().unwrap()).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
}

#[tokio::test]
async fn the_soap_calls_do_what_the_rest_calls_do() {
    use base64::Engine as _;
    let org = TestOrg::start().await;
    let token = org.access_token_of("admin").await;
    let zip = base64::engine::general_purpose::STANDARD.encode(Package::service("https://app.example").zip());
    let ask = async |token: &str, body: &str| {
        let envelope = format!(
            "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Header>\
             <SessionHeader><sessionId>{token}</sessionId></SessionHeader></soapenv:Header><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
        );
        let request =
            org.http.post(org.url("/services/Soap/m/66.0")).header("content-type", "text/xml").body(envelope);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let deploy = format!(
        "<deploy><ZipFile>{zip}</ZipFile><DeployOptions><rollbackOnError>true</rollbackOnError><singlePackage>true</singlePackage></DeployOptions></deploy>"
    );
    let (status, answer) = ask("nobody", &deploy).await;
    assert!(status == 500 && answer.contains("<faultcode>sf:INVALID_SESSION_ID</faultcode>"), "{answer}");
    let (status, answer) = ask(&token, &deploy).await;
    assert!(status == 200 && answer.contains("<deployResponse><result>"), "{answer}");
    let id = answer.split_once("<id>").unwrap().1.split_once("</id>").unwrap().0.to_owned();
    let look = format!(
        "<checkDeployStatus><asyncProcessId>{id}</asyncProcessId><includeDetails>true</includeDetails></checkDeployStatus>"
    );
    for _ in 0..200 {
        let (_, answer) = ask(&token, &look).await;
        if answer.contains("<done>true</done>") {
            assert!(answer.contains("<status>Succeeded</status>"), "{answer}");
            assert!(
                answer.contains("<componentType>ExternalServiceRegistration</componentType>"),
                "{answer}"
            );
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the deployment did not end");
}
