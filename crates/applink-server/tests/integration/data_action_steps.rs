//! Steps of data action targets that go wrong at the org, or here.

use std::sync::Arc;
use std::time::Duration;

use applink_server::data_action_targets::{reconcile, targets};
use reqwest::Method;
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::data_cloud::{TARGETS, as_app, connect, looked, make_target, settle, start, start_behind_a_way};
use crate::stack::Stack;
use crate::way::{Trouble, Way};

const KEY: &str = "/Clicks/signing-key";

async fn with_target() -> (Stack, applink_orgsim::RunningOrg, Way) {
    let (stack, org, way) = start_behind_a_way(|_| {}).await;
    connect(&stack, &org).await;
    make_target(&stack).await;
    (stack, org, way)
}

async fn ask_for(stack: &Stack, name: &str) {
    let body = json!({"api_name": name, "label": name, "target_endpoint": "/clicks", "type": "webhook"});
    as_app(stack, Method::POST, TARGETS, Some(&body)).await.expect(202);
}

async fn rotate(stack: &Stack) -> Value {
    let path = format!("{TARGETS}/Clicks/rotate_signing_key");
    stack.manager(Method::POST, &path, None).await.expect(202).json()
}

async fn row(stack: &Stack, name: &str) -> targets::Model {
    let query = targets::Entity::find().filter(targets::Column::ApiName.eq(name));
    query.one(stack.server.app().store.reader()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_rotation_whose_answer_got_lost_says_that_the_org_may_sign_with_another_key() {
    let (stack, _org, way) = with_target().await;
    // What certainly made nothing leaves nothing to say.
    way.on(KEY, Trouble::Answer(400, json!([{"errorCode": "NOT_NOW", "message": "no"}])));
    rotate(&stack).await;
    let refused = settle(&stack, "Clicks").await;
    assert_eq!((&refused["status"], refused.get("error")), (&json!("created"), None));
    way.clear();
    way.on(KEY, Trouble::LoseAnswer);
    let asked = rotate(&stack).await;
    assert_eq!(asked.get("error"), None);
    stack.reconcile("data action targets").await;
    let during = stack.manager(Method::GET, &format!("{TARGETS}/Clicks"), None).await.expect(200).json();
    assert_eq!((&during["status"], during.get("error")), (&json!("generating_signing_key"), None));
    let lost = settle(&stack, "Clicks").await;
    let message = lost["error"]["message"].as_str().expect("an error");
    assert!(message.contains("may sign with another key now") && message.contains("Rotate"), "{message}");
    assert_eq!(lost["signing_key_created_at"], refused["signing_key_created_at"]);
    assert_eq!(stack.count_audited("data_action_target.key_rotation_failed").await, 2);
    // A refusal that makes nothing does not make it better; a key does.
    way.clear();
    way.on(KEY, Trouble::Answer(400, json!([{"errorCode": "NOT_NOW", "message": "no"}])));
    rotate(&stack).await;
    assert_eq!(settle(&stack, "Clicks").await["error"], lost["error"]);
    way.clear();
    rotate(&stack).await;
    let rotated = settle(&stack, "Clicks").await;
    assert_eq!(rotated.get("error"), None);
    assert_ne!(rotated["signing_key_created_at"], refused["signing_key_created_at"]);
}

#[tokio::test]
async fn what_is_asked_of_a_target_leaves_it_to_the_worker_that_is_at_it() {
    let (stack, org, way) = with_target().await;
    let told = Arc::new(Notify::new());
    way.on(KEY, Trouble::Hold(Arc::clone(&told)));
    rotate(&stack).await;
    let before = way.count(KEY);
    let meanwhile = async {
        way.came(KEY, before + 1).await;
        let held = row(&stack, "Clicks").await;
        rotate(&stack).await;
        let asked =
            stack.manager(Method::DELETE, &format!("{TARGETS}/Clicks"), None).await.expect(202).json();
        assert_eq!(asked["status"], "deleting");
        let still = row(&stack, "Clicks").await;
        assert!(held.lease_until.is_some());
        assert_eq!((held.lease_owner, held.lease_until), (still.lease_owner, still.lease_until));
        let done = reconcile::work_due(stack.server.app()).await.unwrap().done;
        assert_eq!((done, way.count("DELETE")), (0, 0), "nobody works beside it");
        told.notify_one();
    };
    tokio::join!(stack.reconcile("data action targets"), meanwhile);
    assert_eq!(row(&stack, "Clicks").await.lease_until, None);
    stack.reconcile("data action targets").await;
    assert_eq!(looked(&org, "/data-cloud/targets").await, json!([]));
    stack.manager(Method::GET, &format!("{TARGETS}/Clicks"), None).await.expect(404);
}

#[tokio::test]
async fn a_target_whose_org_hangs_keeps_no_other_waiting_and_is_tried_again() {
    let (stack, org, way) = start_behind_a_way(|_| {}).await;
    connect(&stack, &org).await;
    for name in ["SlowOne", "SlowTwo", "SlowThree", "Clicks"] {
        ask_for(&stack, name).await;
    }
    stack.reconcile("data action targets").await;
    way.on("/data-action-targets/Slow", Trouble::Hang);
    let run = reconcile::work_due_within(stack.server.app(), Duration::from_secs(3));
    // One after the other, the three would take nine seconds.
    assert_eq!(tokio::time::timeout(Duration::from_secs(8), run).await.unwrap().unwrap().done, 4);
    assert_eq!(way.count("/ssot/data-action-targets/Slow"), 3);
    let made = looked(&org, "/data-cloud/targets").await;
    assert_eq!(made.as_array().unwrap().len(), 1, "{made}");
    let slow = row(&stack, "SlowOne").await;
    assert_eq!((slow.state.as_str(), slow.failures, slow.lease_until), ("creating", 1, None));
    way.clear();
    for name in ["SlowOne", "SlowTwo", "SlowThree", "Clicks"] {
        assert_eq!(settle(&stack, name).await["status"], "created", "{name}");
    }
}

#[tokio::test]
async fn a_row_that_can_not_be_read_keeps_no_other_waiting() {
    let (stack, org) = start().await;
    connect(&stack, &org).await;
    for name in ["Broken", "Clicks"] {
        ask_for(&stack, name).await;
    }
    let break_it = "UPDATE data_action_targets SET state = 'nonsense' WHERE api_name = 'Broken'";
    let tx = stack.server.app().store.begin().await.unwrap();
    tx.execute_unprepared(break_it).await.unwrap();
    tx.commit().await.unwrap();
    stack.reconcile("data action targets").await;
    assert_eq!(row(&stack, "Clicks").await.state, "creating");
    let broken = row(&stack, "Broken").await;
    assert_eq!((broken.failures, broken.lease_until), (1, None), "it is tried again later");
    assert!(broken.due_at.unwrap() > stack.server.app().clock.now().as_micros());
    stack.reconcile("data action targets").await;
    assert_eq!(looked(&org, "/data-cloud/targets").await.as_array().unwrap().len(), 1);
}
