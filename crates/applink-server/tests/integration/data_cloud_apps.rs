//! Data Cloud as an app has it: through the SDK, and through the mesh in front of it. Control plane, org and mesh are the
//! real ones.

use applink_mesh::config::{AppAddress, MeshConfig};
use applink_mesh::{Mesh, RunningMesh};
use applink_orgsim::{Clock, RunningOrg};
use applink_sdk::{AppLink, Org};
use applink_server::data_action_targets::store;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::TryStreamExt as _;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::data_cloud::{TARGETS, as_app, begin, connect, looked, set_app_url, settle, sim, start_with};
use crate::orgsim::log_in_as;
use crate::receiver::{Received, Receiver};
use crate::stack::Stack;

/// The org's time stands still: it tries nothing again by itself.
async fn connected() -> (Stack, RunningOrg) {
    let (stack, org) = start_with(|config| config.clock = Clock::mock(1_790_000_000_000_000).0).await;
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
    let streamed: Vec<String> = lake
        .query(all)
        .rows()
        .into_stream()
        .map_ok(|row| row.text("eventId__c").unwrap_or_default().to_owned())
        .try_collect()
        .await
        .unwrap();
    assert_eq!((streamed.len(), streamed[4_499].as_str()), (4_500, "e4499"));
    let failed = lake.query("nonsense").rows().into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(failed.to_string().contains("SELECT"), "{failed}");
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
    config.clock = stack.server.app().clock.clone();
    Mesh::start(config).await.unwrap()
}

/// What a mesh answers: status, text, and its reason.
type Said = (u16, String, String);

fn said(status: u16, text: &str, reason: &str) -> Said {
    (status, text.to_owned(), reason.to_owned())
}

/// As an org sends to the mesh.
async fn send(mesh: &RunningMesh, org: &RunningOrg, signature: &str, body: &[u8]) -> Said {
    send_for(mesh, org, "Clicks", signature, body).await
}

async fn send_for(mesh: &RunningMesh, org: &RunningOrg, name: &str, signature: &str, body: &[u8]) -> Said {
    let url = format!("{}/clicks?apiName={name}&orgId={}", mesh.url(), org.org_id());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("x-signature", signature).body(body.to_vec());
    let answer = request.send().await.unwrap();
    let reason = answer.headers().get("x-applink-mesh").map_or("", |value| value.to_str().unwrap());
    let (status, reason) = (answer.status().as_u16(), reason.to_owned());
    (status, answer.text().await.unwrap(), reason)
}

async fn ask_for_target(stack: &Stack) {
    let target =
        json!({"api_name": "Clicks", "label": "Clicks", "target_endpoint": "/clicks", "type": "webhook"});
    as_app(stack, Method::POST, TARGETS, Some(&target)).await.expect(202);
}

async fn listen(org: &RunningOrg) {
    let action = json!({"developerName": "OnClick", "dataActionTargetNames": ["Clicks"],
        "dataActionSources": [{"sourceName": "ClickEvent__dlm"}]});
    sim(org, "/data-cloud/actions", &action).await;
}

/// New clicks, and what the org does about them.
async fn click(stack: &Stack, org: &RunningOrg, numbers: std::ops::Range<u32>) {
    tenant(stack)
        .await
        .data_cloud()
        .upsert("AcmeWeb", "ClickEvent")
        .rows(clicks(numbers))
        .send()
        .await
        .unwrap();
    sim(org, "/data-cloud/run", &json!({})).await;
}

async fn newest_delivery(org: &RunningOrg) -> Value {
    looked(org, "/data-cloud/deliveries").await[0].clone()
}

/// Has the org try its newest delivery again, without waiting for its time.
async fn again(org: &RunningOrg) -> Value {
    let id = newest_delivery(org).await["id"].clone();
    sim(org, &format!("/data-cloud/deliveries/{id}/again"), &json!({})).await;
    sim(org, "/data-cloud/run", &json!({})).await;
    newest_delivery(org).await
}

/// The key the control plane keeps, to sign as the org does.
async fn sign(stack: &Stack, org: &RunningOrg, body: &str) -> String {
    let app = stack.server.app();
    let keys = store::keys(app.store.reader(), stack.tenant.addon, org.org_id(), "Clicks", app.clock.now());
    let row = keys.await.unwrap().pop().unwrap();
    let key = app.vault.open_sealed(row.place(), &row.signing_key).await.unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
    STANDARD.encode(hmac::sign(&key, body.as_bytes()))
}

#[tokio::test]
async fn promise_28_a_signed_webhook_passes_the_mesh_and_one_flipped_bit_does_not() {
    let (stack, org) = connected().await;
    let app = Receiver::start().await;
    // What the org sends is caught on its way, to be changed.
    let caught = Receiver::start().await;
    set_app_url(&stack, caught.url()).await;
    let mesh = mesh(&stack, &app).await;
    ask_for_target(&stack).await;
    settle(&stack, "Clicks").await;
    listen(&org).await;
    click(&stack, &org, 0..1).await;
    let Received { headers, body } = caught.take().pop().expect("a webhook");
    let signature = headers["x-signature"].to_str().unwrap();

    let forbidden = said(403, "Forbidden\n", "refused");
    for bit in [0, 7, 80, body.len() * 8 - 1] {
        let mut flipped = body.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(send(&mesh, &org, signature, &flipped).await, forbidden, "bit {bit} of the body");
    }
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let wrong = format!("{other}{}", &signature[1..]);
    assert_eq!(send(&mesh, &org, &wrong, body.as_bytes()).await, forbidden);
    assert_eq!(send_for(&mesh, &org, "Others", signature, body.as_bytes()).await, forbidden);
    assert!(app.take().is_empty(), "the app hears of none of them");
    assert_eq!(send(&mesh, &org, signature, body.as_bytes()).await.0, 204);
    assert_eq!(app.take().pop().expect("the app has it").body, body);

    stack.manager(Method::DELETE, "/connections/lake", None).await.expect(202);
    let (signature, body) = (sign(&stack, &org, "{}").await, b"{}");
    assert_eq!(send(&mesh, &org, &signature, body).await, forbidden, "not once it is disconnected");
    mesh.stop().await;
}

#[tokio::test]
async fn before_there_is_a_signing_key_the_mesh_says_so_and_what_was_sent_comes_later() {
    let (stack, org) = connected().await;
    let app = Receiver::start().await;
    let mesh = mesh(&stack, &app).await;
    set_app_url(&stack, &mesh.url()).await;
    ask_for_target(&stack).await;
    let not_yet = said(403, "403 Signing Key Not Found\n", "signing-key-not-found");
    for expected in ["pending", "creating", "creating"] {
        let shown = stack.manager(Method::GET, &format!("{TARGETS}/Clicks"), None).await.expect(200).json();
        assert_eq!(shown["status"], expected);
        assert_eq!(send(&mesh, &org, "c2ln", b"{}").await, not_yet, "{expected}");
        assert_eq!(send_for(&mesh, &org, "Others", "c2ln", b"{}").await.1, "Forbidden\n", "never asked for");
        stack.reconcile("data action targets").await;
    }
    // The org has its key before the control plane has it.
    listen(&org).await;
    sim(&org, "/data-cloud/targets/Clicks/key", &json!({})).await;
    click(&stack, &org, 0..1).await;
    let early = newest_delivery(&org).await;
    assert_eq!((&early["state"], &early["answer_status"]), (&json!("pending"), &json!(403)), "{early}");
    assert_eq!(send(&mesh, &org, "c2ln", b"{}").await, not_yet);
    assert_eq!(settle(&stack, "Clicks").await["status"], "created");
    assert_eq!(send(&mesh, &org, "c2ln", b"{}").await, said(403, "Forbidden\n", "refused"));
    assert!(app.take().is_empty());
    let later = again(&org).await;
    assert_eq!((&later["state"], &later["answer_status"]), (&json!("delivered"), &json!(204)), "{later}");
    assert_eq!(app.take().pop().expect("the app has it").json(), later["body"]);
    mesh.stop().await;
}

#[tokio::test]
async fn promise_28_what_the_app_took_is_not_passed_on_again_at_any_mesh_and_what_it_did_not_take_is() {
    let (stack, org) = connected().await;
    let app = Receiver::start().await;
    let (mesh, another) = (mesh(&stack, &app).await, mesh(&stack, &app).await);
    set_app_url(&stack, &mesh.url()).await;
    ask_for_target(&stack).await;
    settle(&stack, "Clicks").await;
    listen(&org).await;

    app.answer(&[503]);
    click(&stack, &org, 0..2).await;
    let failed = newest_delivery(&org).await;
    assert_eq!((&failed["state"], &failed["answer_status"]), (&json!("pending"), &json!(503)), "{failed}");
    let retried = again(&org).await;
    assert_eq!(
        (&retried["state"], &retried["answer_status"]),
        (&json!("delivered"), &json!(204)),
        "{retried}"
    );
    let got = app.take();
    assert_eq!((got.len(), &got[0].body), (2, &got[1].body), "the very same, with its replay ids");

    // The org's answer got lost, say: it sends once more.
    let repeated = again(&org).await;
    assert_eq!(
        (&repeated["state"], &repeated["answer_status"]),
        (&json!("delivered"), &json!(409)),
        "{repeated}"
    );
    let (signature, body) = (got[1].header("x-signature"), got[1].body.as_bytes());
    let known = said(409, "409 Already delivered\n", "already-delivered");
    assert_eq!(send(&mesh, &org, signature, body).await, known);
    assert_eq!(send(&another, &org, signature, body).await, known, "whichever mesh");
    // The same events, written and signed anew.
    let mut anew = got[1].json();
    anew["creationDateTime"] = json!("2026-01-01T00:00:00.000Z");
    let anew = anew.to_string();
    assert_eq!(send(&mesh, &org, &sign(&stack, &org, &anew).await, anew.as_bytes()).await, known);
    assert!(app.take().is_empty());

    stack.advance(301);
    assert_eq!(send(&another, &org, signature, body).await.0, 204, "five minutes are over");
    assert_eq!(send(&mesh, &org, signature, body).await, known);
    for mesh in [mesh, another] {
        mesh.stop().await;
    }
}

#[tokio::test]
async fn json_that_was_escaped_before_it_was_signed_passes_once_in_whichever_form() {
    let (stack, org) = connected().await;
    let app = Receiver::start().await;
    let mesh = mesh(&stack, &app).await;
    set_app_url(&stack, &mesh.url()).await;
    ask_for_target(&stack).await;
    settle(&stack, "Clicks").await;
    let plain = r#"{"at":"/café","events":[]}"#;
    let escaped = r#"{"at":"\/caf\u00e9","events":[]}"#;
    let signature = sign(&stack, &org, escaped).await;
    assert_eq!(send(&mesh, &org, &signature, plain.as_bytes()).await.0, 204);
    assert_eq!(app.take().pop().expect("the app has it").body, plain, "as it came");
    for form in [escaped, plain, r#"{"at":"/caf\u00e9","events":[]}"#, r#"{"at":"\/café","events":[]}"#] {
        assert_eq!(send(&mesh, &org, &signature, form.as_bytes()).await.0, 409, "{form}");
    }
    let other = r#"{"at":"\/cafe","events":[]}"#;
    assert_eq!(send(&mesh, &org, &signature, other.as_bytes()).await.0, 403);
    assert!(app.take().is_empty());
    mesh.stop().await;
}
