//! Data Cloud as an app has it: through the SDK, and through the mesh in front of it. Control plane, org and mesh are the
//! real ones.

use applink_mesh::config::{AppAddress, MeshConfig};
use applink_mesh::{Mesh, RunningMesh};
use applink_orgsim::RunningOrg;
use applink_sdk::{AppLink, Org};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::data_cloud::{TARGETS, as_app, begin, connect, set_app_url, settle, sim, start};
use crate::orgsim::log_in_as;
use crate::receiver::{Received, Receiver};
use crate::stack::Stack;

async fn connected() -> (Stack, RunningOrg) {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    let begun = begin(&stack, "authorizations", "loader").await;
    log_in_as(&stack, &org, "integration", &begun, "allow").await;
    (stack, org)
}

fn api_url(stack: &Stack) -> String {
    format!("{}{}", stack.server.url(), stack.path(""))
}

/// The tenant as the SDK finds it.
async fn tenant(stack: &Stack) -> Org {
    let variables = [
        ("HEROKU_APPLINK_API_URL", api_url(stack)),
        ("HEROKU_APPLINK_TOKEN", stack.tenant.token.clone()),
        ("HEROKU_APP_ID", stack.tenant.app.to_string()),
    ];
    let environment: Vec<(String, String)> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    AppLink::from(environment, None).unwrap().authorization("loader").await.unwrap().org()
}

fn clicks(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Value> {
    numbers.map(|number| {
        json!({"eventId": format!("e{number:04}"), "visitor": "v", "page": "/café", "action": "view", "product": null,
            "quantity": number, "occurredAt": "2026-01-01T00:00:00Z"})
    })
}

#[tokio::test]
async fn the_sdk_writes_reads_and_deletes_rows() {
    let (stack, sim_org) = connected().await;
    let org = tenant(&stack).await;
    let lake = org.data_cloud();
    assert_eq!(lake.upsert("AcmeWeb", "ClickEvent").rows(clicks(0..4_500)).send().await.unwrap(), 4_500);
    sim(&sim_org, "/data-cloud/run", &json!({})).await;

    let all = "SELECT eventId__c FROM ClickEvent__dlm WHERE visitor__c = 'v' ORDER BY eventId__c";
    let first = lake.query(all).send().await.unwrap();
    let second = lake.next(&first).await.unwrap();
    let (first, second) = (first.rows.len(), second.rows.len());
    assert!(first > 0 && second > 0, "{first} and {second}");
    let mut rows = lake.query(all).rows();
    let mut count = 0;
    while let Some(row) = rows.next().await.unwrap() {
        assert_eq!(row.text("eventId__c"), Some(format!("e{count:04}").as_str()));
        count += 1;
    }
    assert_eq!(count, 4_500);

    assert_eq!(lake.delete("AcmeWeb", "ClickEvent").keys(["e0000", "e0001"]).send().await.unwrap(), 2);
    sim(&sim_org, "/data-cloud/run", &json!({})).await;
    assert_eq!(lake.query(all).rows().collect().await.unwrap().len(), 4_498);
}

/// A mesh before `app`.
async fn mesh(stack: &Stack, app: &Receiver) -> RunningMesh {
    let mut config = MeshConfig::new(api_url(stack), SecretString::from(stack.tenant.token.clone()));
    config.app = AppAddress::loopback(Url::parse(app.url()).unwrap().port().unwrap());
    config.report_every = None;
    Mesh::start(config).await.unwrap()
}

/// As an org sends to the mesh: the answer's status.
async fn send(mesh: &RunningMesh, org: &RunningOrg, signature: &str, body: &[u8]) -> u16 {
    let url = format!("{}/clicks?apiName=Clicks&orgId={}", mesh.url(), org.org_id());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("x-signature", signature).body(body.to_vec());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn promise_28_a_signed_webhook_passes_the_mesh_and_one_flipped_bit_does_not() {
    let (stack, org) = connected().await;
    let app = Receiver::start().await;
    // What the org sends is caught on its way, to be changed.
    let caught = Receiver::start().await;
    set_app_url(&stack, caught.url()).await;
    let mesh = mesh(&stack, &app).await;

    let target =
        json!({"api_name": "Clicks", "label": "Clicks", "target_endpoint": "/clicks", "type": "webhook"});
    as_app(&stack, Method::POST, TARGETS, Some(&target)).await.expect(202);
    assert_eq!(send(&mesh, &org, "c2ln", b"{}").await, 403, "there is no signing key yet");
    settle(&stack, "Clicks").await;

    let action = json!({"developerName": "OnClick", "dataActionTargetNames": ["Clicks"],
        "dataActionSources": [{"sourceName": "ClickEvent__dlm"}]});
    sim(&org, "/data-cloud/actions", &action).await;
    let tenant = tenant(&stack).await;
    tenant.data_cloud().upsert("AcmeWeb", "ClickEvent").rows(clicks(0..1)).send().await.unwrap();
    sim(&org, "/data-cloud/run", &json!({})).await;
    let Received { headers, body } = caught.take().pop().expect("a webhook");
    let signature = headers["x-signature"].to_str().unwrap();

    let mut flipped = body.clone().into_bytes();
    flipped[10] ^= 1;
    assert_eq!(send(&mesh, &org, signature, &flipped).await, 403);
    let other = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(send(&mesh, &org, &format!("{other}{}", &signature[1..]), body.as_bytes()).await, 403);
    assert!(app.take().is_empty(), "the app hears of neither");
    assert_eq!(send(&mesh, &org, signature, body.as_bytes()).await, 204);
    assert_eq!(app.take().pop().expect("the app has it").body, body);
    mesh.stop().await;
}
