//! Starting, stopping, restarting.

use std::os::unix::fs::PermissionsExt;

use applink_orgsim::{DeployMode, Org, OrgKind, OrgsimError};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

use super::support::app::App;
use super::support::browser::Browser;
use super::support::package::Package;
use super::support::{TestOrg, config, http_client};

#[tokio::test]
async fn a_taken_port_is_named() {
    let first = TestOrg::start().await;
    let (mut config, _) = config();
    config.bind = first.org.addr();
    let error = Org::start(config).await.unwrap_err();
    assert!(matches!(error, OrgsimError::AddressInUse { address } if address == first.org.addr()));
    assert!(error.to_string().contains(&first.org.addr().to_string()));
}

#[tokio::test]
async fn other_machines_are_let_in_only_on_purpose() {
    let (mut config, _) = config();
    config.bind = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Org::start(config).await, Err(OrgsimError::NotLoopback { .. })));
}

#[tokio::test]
async fn an_exposed_org_says_where_it_is_reached_and_keeps_its_key_long() {
    let exposed = |public_url: Option<&str>, sim_key: &str| {
        let (mut config, _) = config();
        config.bind = "0.0.0.0:0".parse().unwrap();
        config.expose = true;
        config.public_url = public_url.map(|url| url.parse().unwrap());
        config.sim_key = sim_key.to_owned().into();
        Org::start(config)
    };
    let long = "0123456789abcdef0123456789abcdef";
    assert!(matches!(exposed(None, long).await, Err(OrgsimError::NoPublicUrl { .. })));
    let short = exposed(Some("http://org.example"), &long[1..]).await;
    assert!(matches!(short, Err(OrgsimError::WeakSimKey)));
    for no_origin in ["ftp://org.example", "http://org.example/path", "http://user@org.example"] {
        let refused = exposed(Some(no_origin), long).await;
        assert!(matches!(refused, Err(OrgsimError::BadPublicUrl { .. })), "{no_origin}");
    }
}

#[tokio::test]
async fn an_org_with_a_public_url_answers_to_that_host_and_to_no_other() {
    let org = TestOrg::start_with(|config| {
        config.expose = true;
        config.public_url = Some("http://org.example:7701".parse().unwrap());
        config.sim_key = "0123456789abcdef0123456789abcdef".to_owned().into();
    })
    .await;
    assert_eq!(org.org.url(), "http://org.example:7701");
    let as_host = async |host: &str| {
        let url = format!("http://{}/services/data", org.org.addr());
        org.http.get(url).header("host", host).send().await.unwrap().status()
    };
    assert_eq!(as_host("org.example:7701").await, StatusCode::OK);
    assert_eq!(as_host("evil.example:7701").await, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn several_orgs_run_side_by_side() {
    let production = TestOrg::start().await;
    let sandbox = TestOrg::start_with(|config| {
        config.kind = OrgKind::Sandbox;
        config.name = "Acme Test".to_owned();
    })
    .await;
    assert_ne!(production.org.org_id(), sandbox.org.org_id());
    let token = production.access_token_of("sales").await;
    assert_eq!(sandbox.get("/services/oauth2/userinfo", &token).await.status(), StatusCode::FORBIDDEN);
    let (_, found) = sandbox
        .probe(json!({"username": sandbox.username("admin")}), "SELECT IsSandbox, Name FROM Organization")
        .await;
    assert_eq!(
        (&found["records"][0]["IsSandbox"], &found["records"][0]["Name"]),
        (&true.into(), &"Acme Test".into())
    );
}

#[tokio::test]
async fn an_org_keeps_its_keys_users_tokens_and_services_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("org");
    let first = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    let (id, key) = (first.org.org_id().to_owned(), first.sim("/_sim/org").await["key_id"].clone());
    let password = first.user("sales").password.clone();
    let token = first.access_token_of("sales").await;
    first.deploy("admin", &Package::new().permission_set("Kept", "")).await;
    first.org.stop().await;

    let second = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    assert_eq!((second.org.org_id(), &second.sim("/_sim/org").await["key_id"]), (id.as_str(), &key));
    assert_eq!(second.user("sales").password.expose_secret(), password.expose_secret());
    assert_eq!(second.get("/services/oauth2/userinfo", &token).await.status(), StatusCode::OK);
    assert_eq!(second.sim("/_sim/permission-sets").await[0]["name"], "Kept");
}

#[tokio::test]
async fn an_elevation_ends_although_its_process_died() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("org");
    let app = App::start().await;
    let first = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    first.deploy("admin", &Package::service(&app.url)).await;
    first.assign("Provisioning", "sales").await;
    first.assign("ProvisioningPermissions", "sales").await;
    let call = json!({"service": "Provisioning", "operation": "provision", "as": first.username("sales"), "body": {"opportunityIds": []}});
    first.sim_post("/_sim/invoke", &call).await;
    first.org.stop().await;
    let activations = "SELECT Id FROM SessionPermSetActivation";
    let second = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    let admin = json!({"username": second.username("admin")});
    assert_eq!(second.probe(admin.clone(), activations).await.1["totalSize"], 1, "its time is not over");
    second.org.stop().await;
    let (mut config, clock) = config();
    config.state_dir = Some(path);
    clock.advance_seconds(60 * 60 + 1);
    let third = TestOrg { org: Org::start(config).await.unwrap(), clock, http: http_client() };
    assert_eq!(third.probe(admin, activations).await.1["totalSize"], 0);
}

#[tokio::test]
async fn the_state_is_private_whole_and_holds_no_token_in_the_clear() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("org");
    let org = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    let tokens = org.tokens_of("sales").await;
    let (_, secret) = org.org.oauth_client();
    let password = org.user("sales").password.clone();
    let (mut other, _) = config();
    other.state_dir = Some(path.clone());
    assert!(matches!(Org::start(other).await, Err(OrgsimError::StateInUse { .. })));
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        if entry.file_name().to_string_lossy().starts_with("org.db") {
            let content = std::fs::read(entry.path()).unwrap();
            let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
            for text in [
                tokens["access_token"].as_str().unwrap(),
                tokens["refresh_token"].as_str().unwrap(),
                secret.expose_secret(),
                password.expose_secret(),
            ] {
                assert!(!holds(text), "{:?} holds a secret", entry.path());
            }
        }
    }
}

#[tokio::test]
async fn the_front_page_shows_doors_to_everyone_and_set_up_to_who_may_see_it() {
    let (org, app) = (TestOrg::start().await, App::start().await);
    org.deploy("admin", &Package::service(&app.url)).await;
    org.assign("Provisioning", "sales").await;
    org.assign("Provisioning", "intern").await;
    let mut ids = Vec::new();
    for role in ["sales", "intern"] {
        let call = json!({"service": "Provisioning", "operation": "status", "as": org.username(role), "parameters": {"job": "j"}});
        let (_, answer) = org.sim_post("/_sim/invoke", &call).await;
        ids.push(answer["invocation_id"].as_str().unwrap().to_owned());
    }
    let set_up = ["intern@acme.example", "Deployments", app.url.as_str(), ids[1].as_str()];
    let mut browser = Browser::new(&org);
    let page = browser.get(&org.url("/")).await.text().await.unwrap();
    assert!(
        page.contains(org.org.org_id()) && page.contains("Log in") && !page.contains("intern@acme.example")
    );
    browser.log_in("", "sales").await;
    let page = browser.get(&org.url("/")).await.text().await.unwrap();
    assert!(page.contains("Log out") && page.contains(&ids[0]), "one's own invocation: {page}");
    assert!(set_up.iter().all(|other| !page.contains(other)), "{page}");
    let mut admin = Browser::new(&org);
    admin.log_in("", "admin").await;
    let page = admin.get(&org.url("/")).await.text().await.unwrap();
    assert!(page.contains(&ids[0]) && set_up.iter().all(|text| page.contains(text)), "{page}");
    browser.post("/logout", &[]).await;
    let page = browser.get(&org.url("/")).await.text().await.unwrap();
    assert!(!page.contains(&ids[0]));
}

#[tokio::test]
async fn doubled_and_trailing_slashes_are_taken() {
    let org = TestOrg::start().await;
    for path in ["/services/data/", "//services/data", "/id//keys/"] {
        assert_eq!(org.http.get(org.url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let token = org.access_token_of("sales").await;
    let answer = org.get("/services/data/v66.0/query/?q=SELECT+Id+FROM+Account", &token).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_deployment_that_was_under_way_is_finished_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("org");
    let first = TestOrg::start_with(|config| {
        config.state_dir = Some(path.clone());
        config.deploy_mode = DeployMode::Stepped;
    })
    .await;
    let token = first.access_token_of("admin").await;
    let id = first.request_deploy(&token, &Package::new().permission_set("Late", "")).await;
    first.sim_post("/_sim/deployments/step", &json!({})).await;
    assert_eq!(first.sim("/_sim/deployments").await[0]["status"], "InProgress");
    first.org.stop().await;
    let second = TestOrg::start_with(|config| config.state_dir = Some(path.clone())).await;
    assert_eq!(second.wait_for_deploy(&token, &id).await["status"], "Succeeded");
    assert_eq!(second.sim("/_sim/permission-sets").await[0]["name"], "Late");
}
