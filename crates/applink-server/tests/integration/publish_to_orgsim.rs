//! Publishing into the simulator: a real package, really unpacked and checked.

use applink_api::publication::PublishRequest;
use applink_api::secret::ExposeSecret;
use applink_orgsim::{Org, OrgConfig, RunningOrg};
use serde_json::Value;

use crate::publish::{named, yaml, zip_of};
use crate::publishing_stack::{KeyPair, Login, Publishing, key_pair};

const USER_PLUS: &str = include_str!("../../../applink-publish/tests/fixtures/specs/user-plus-eca.yaml");

fn config() -> OrgConfig {
    OrgConfig::new("Acme", "a key for tests only".to_owned().into())
}

async fn org_with_key() -> (RunningOrg, KeyPair) {
    let org = Org::start(config()).await.unwrap();
    let pair = key_pair();
    org.register_jwt_key(&pair.public).unwrap();
    (org, pair)
}

fn login(org: &RunningOrg, pair: &KeyPair) -> Login {
    Login {
        url: org.url().to_owned(),
        client_id: org.jwt_client(),
        username: "admin@acme.example".to_owned(),
        private_key: pair.private.clone(),
    }
}

async fn connected() -> Publishing<RunningOrg> {
    let (org, pair) = org_with_key().await;
    let login = login(&org, &pair);
    Publishing::connected_to(org, login, Some("https://discounts.example.com")).await
}

async fn sim(org: &RunningOrg, path: &str) -> Value {
    let client = reqwest::Client::builder().build().unwrap();
    let request =
        client.get(format!("{}/_sim/{path}", org.url())).header("x-sim-key", org.sim_key().expose_secret());
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_document_with_an_external_client_app_becomes_a_service_of_the_org() {
    let stack = connected().await;
    let first = stack.publish(yaml(USER_PLUS), &named("Discounts")).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let kinds: Vec<&str> = first.body[0]["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ExternalClientApplication",
            "ExternalCredential",
            "ExternalServiceRegistration",
            "ExtlClntAppGlobalOauthSettings",
            "ExtlClntAppOauthConfigurablePolicies",
            "ExtlClntAppOauthSettings",
            "NamedCredential",
            "PermissionSet",
            "PermissionSet",
        ]
    );
    let services = sim(&stack.org, "services").await.to_string();
    assert!(services.contains("computeDiscount") && services.contains("removeDiscount"), "{services}");

    // The app and the session-based set exist by now: they are referenced, not made again.
    let second =
        stack.publish(yaml(&USER_PLUS.replace("Compute a", "Work out a")), &named("Discounts")).await;
    assert_eq!(second.status, 201, "{}", second.body);
    assert_eq!(second.body[0]["components"].as_array().unwrap().len(), 4);
    assert_eq!(second.body[0]["esr_id"], first.body[0]["esr_id"]);
}

#[tokio::test]
async fn what_the_org_refuses_is_said_component_by_component() {
    let stack = connected().await;
    let set = "<PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\"><label>Set</label>\
        <objectPermissions><allowCreate>false</allowCreate><allowDelete>false</allowDelete><allowEdit>false</allowEdit>\
        <allowRead>true</allowRead><modifyAllRecords>false</modifyAllRecords><object>Nothing__c</object>\
        <viewAllRecords>false</viewAllRecords></objectPermissions></PermissionSet>";
    let archive = zip_of(&[("api-spec.yaml", USER_PLUS), ("permissionset-meta.xml", set)]);
    let answer = stack.publish(archive, &named("Discounts")).await;
    assert_eq!((answer.status, answer.body["id"].as_str()), (422, Some("deploy_failed")), "{}", answer.body);
    let problems = answer.body["problems"].to_string();
    assert!(
        problems.contains("PermissionSet DiscountsPermissions") && problems.contains("Nothing__c"),
        "{problems}"
    );
    // Nothing of it is left.
    assert!(!sim(&stack.org, "services").await.to_string().contains("computeDiscount"));
}

/// Our own documents, one per shape that is found in public.
const SHAPES: [(&str, &str); 7] = [
    ("ConnectedApp", include_str!("../../../applink-publish/tests/fixtures/specs/connected-app.yaml")),
    ("ClientApp", USER_PLUS),
    ("UserMode", include_str!("../../../applink-publish/tests/fixtures/specs/user-mode.yaml")),
    ("Callbacks", include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml")),
    ("Agents", include_str!("../../../applink-publish/tests/fixtures/specs/agent.yaml")),
    ("Inline", include_str!("../../../applink-publish/tests/fixtures/specs/inline-schemas.yaml")),
    ("Parameters", include_str!("../../../applink-publish/tests/fixtures/specs/parameters-only.yaml")),
];

#[tokio::test]
async fn every_shape_of_document_becomes_a_service_with_all_its_operations() {
    let stack = connected().await;
    for (client, document) in SHAPES {
        let answer = stack.publish(yaml(document), &named(client)).await;
        assert_eq!(answer.status, 201, "{client}: {}", answer.body);
    }
    let services = sim(&stack.org, "services").await;
    for (client, document) in SHAPES {
        let service = services.as_array().unwrap().iter().find(|service| service["name"] == client);
        let operations = service.unwrap()["operations"].as_array().unwrap();
        let spec =
            applink_publish::spec::read(applink_publish::spec::Format::Yaml, document.as_bytes()).unwrap();
        let told: Vec<&str> = operations.iter().map(|one| one["name"].as_str().unwrap()).collect();
        let expected: Vec<&str> = spec.operations.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(told, expected, "{client}");
    }
    let agents = sim(&stack.org, "agents").await;
    let with_agents: Vec<&str> =
        agents.as_array().unwrap().iter().map(|one| one["service"].as_str().unwrap()).collect();
    assert_eq!(with_agents, ["Agents"]);
}

#[tokio::test]
async fn the_orgs_release_decides_about_connected_apps() {
    let by_flag = PublishRequest {
        authorization_connected_app_name: Some("OldClientApp".to_owned()),
        ..named("Discounts")
    };
    let connected_app = SHAPES[0].1;
    let (mut config, pair) = (config(), key_pair());
    config.api_version = 65;
    let org = Org::start(config).await.unwrap();
    org.register_jwt_key(&pair.public).unwrap();
    let login = login(&org, &pair);
    let older = Publishing::connected_to(org, login, Some("https://discounts.example.com")).await;
    let answer = older.publish(yaml(connected_app), &by_flag).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(answer.body.to_string().contains("\"ConnectedApp\""), "{}", answer.body);

    let newer = connected().await;
    let answer = newer.publish(yaml(connected_app), &by_flag).await;
    assert_eq!((answer.status, answer.body["id"].as_str()), (422, Some("spec_invalid")), "{}", answer.body);
    assert!(answer.body.to_string().contains("OldClientApp"), "{}", answer.body);
}

async fn assign(org: &RunningOrg, set: &str, username: &str) {
    let client = reqwest::Client::builder().build().unwrap();
    let request = client
        .post(format!("{}/_sim/permission-sets/assign", org.url()))
        .header("x-sim-key", org.sim_key().expose_secret())
        .json(&serde_json::json!({"permission_set": set, "username": username}));
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_removal_takes_everything_out_that_publishing_made_even_what_is_assigned() {
    let stack = connected().await;
    assert_eq!(stack.publish(yaml(USER_PLUS), &named("Discounts")).await.status, 201);
    let anew = yaml(&USER_PLUS.replace("Compute a", "Work out a"));
    assert_eq!(stack.publish(anew, &named("Discounts")).await.status, 201);
    for set in ["Discounts", "DiscountsPermissions"] {
        assign(&stack.org, set, "sales@acme.example").await;
    }
    let asked = stack.remove("Discounts").await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let settled = stack.publications_settled(0).await;
    assert_eq!(settled.body, serde_json::json!([]));
    assert_eq!(sim(&stack.org, "services").await, serde_json::json!([]));
    let sets = sim(&stack.org, "permission-sets").await.to_string();
    assert!(!sets.contains("Discounts"), "{sets}");
    // The name, the client app and the sets are free again: all nine components are made anew.
    let again = stack.publish(yaml(USER_PLUS), &named("Discounts")).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(again.body[0]["components"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn what_another_publication_relies_on_stays() {
    let stack = connected().await;
    assert_eq!(stack.publish(yaml(USER_PLUS), &named("Discounts")).await.status, 201);
    assert_eq!(stack.publish(yaml(USER_PLUS), &named("Rebates")).await.status, 201);
    assert_eq!(stack.remove("Discounts").await.status, 202);
    stack.publications_settled(1).await;
    let sets = sim(&stack.org, "permission-sets").await.to_string();
    assert!(sets.contains("DiscountsPermissions") && sets.contains("Rebates"), "{sets}");
    let removed = stack.audited().await;
    let (_, detail) = removed.iter().find(|(action, _)| action == "publication.removed").unwrap();
    assert!(
        detail.contains("PermissionSet Discounts") && !detail.contains("DiscountsPermissions"),
        "{detail}"
    );
    // What stayed is the other's from then on, and goes with it.
    assert_eq!(stack.remove("Rebates").await.status, 202);
    stack.publications_settled(0).await;
    let sets = sim(&stack.org, "permission-sets").await.to_string();
    assert!(!sets.contains("DiscountsPermissions"), "{sets}");
    let again = stack.publish(yaml(USER_PLUS), &named("Discounts")).await;
    assert_eq!(again.body[0]["components"].as_array().map(Vec::len), Some(9), "{}", again.body);
}

#[tokio::test]
async fn a_service_another_control_plane_made_is_left_alone() {
    let (org, pair) = org_with_key().await;
    let (first_login, second_login) = (login(&org, &pair), login(&org, &pair));
    let url = Some("https://discounts.example.com");
    let first = Publishing::connected_to((), first_login, url).await;
    let second = Publishing::connected_to((), second_login, url).await;
    let request: PublishRequest = named("Discounts");
    assert_eq!(first.publish(yaml(USER_PLUS), &request).await.status, 201);
    let answer = second.publish(yaml(USER_PLUS), &request).await;
    assert_eq!((answer.status, answer.body["id"].as_str()), (422, Some("spec_invalid")), "{}", answer.body);
}
