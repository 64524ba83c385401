//! Promises 24, 29 and 31: verified with the trust bundle, without asking; a disconnect is seen, and without the control
//! plane it ends in time.

use std::time::Duration;

use applink_mesh::config::{MeshConfig, ReplayRule, VerifyRule};
use serde_json::{Value, json};

use crate::integration::app::App;
use crate::integration::control_plane::{Bundle, Says};
use crate::integration::signer::{ORG_KEY, OTHER_KEY, bundle, claims, header};
use crate::integration::stack::{Call, ORG, Stack, verdict};

const PATIENCE: Duration = Duration::from_secs(10);

/// A mesh that has its trust bundle, and polls often.
pub(crate) async fn verifying(adjust: impl FnOnce(&mut MeshConfig)) -> Stack {
    with_bundle(Bundle::Is(bundle("v1")), adjust).await
}

async fn with_bundle(served: Bundle, adjust: impl FnOnce(&mut MeshConfig)) -> Stack {
    let mut knows = matches!(served, Bundle::Is(_));
    let stack = Stack::beside(App::start().await, served, |config| {
        config.trust.verify = VerifyRule::Local;
        config.trust.poll_every = Duration::from_millis(10);
        adjust(config);
        knows &= config.trust.verify == VerifyRule::Local;
    })
    .await;
    if knows {
        // A second poll begins only when the first is over.
        eventually(|| stack.control_plane.polls().1 > 0).await;
    }
    stack
}

/// Until it is so.
pub(crate) async fn eventually(mut so: impl FnMut() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it never came true");
}

/// Sends calls with fresh tokens until one is answered so.
async fn answered(stack: &Stack, status: u16) {
    let wait = async {
        let mut number = 0;
        while stack.call(&fresh_call(&format!("w-{number}"))).await.status != status {
            number += 1;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never answered {status}"));
}

/// A call with a token of its own.
fn fresh_call(jti: &str) -> Call {
    call_with(&ORG_KEY.sign(&header(), &claims(jti)))
}

fn call_with(token: &str) -> Call {
    let mut call = Call::new("r-1");
    call.request_context["auth"] = json!(token);
    call
}

fn with_kid(kid: &str) -> Value {
    let mut header = header();
    header["kid"] = json!(kid);
    header
}

#[tokio::test]
async fn calls_are_verified_without_asking_anybody() {
    let stack = verifying(|_| {}).await;
    for number in 0..5 {
        assert_eq!(stack.call(&fresh_call(&format!("t-{number}"))).await.status, 200);
    }
    assert_eq!(stack.app.seen().len(), 5);
    assert!(stack.control_plane.asked().is_empty());
    let (full, unchanged) = stack.control_plane.polls();
    assert!(full == 1 && unchanged > 0, "{full} {unchanged}");
}

#[tokio::test]
async fn promise_29_a_disconnect_is_effective_with_the_next_poll() {
    let stack = verifying(|_| {}).await;
    let mut disconnected = bundle("v2");
    disconnected["orgs"][0]["state"] = json!("disconnecting");
    stack.control_plane.serve(Bundle::Is(disconnected));
    answered(&stack, 403).await;
    stack.control_plane.serve(Bundle::Is(bundle("v3")));
    answered(&stack, 200).await;
    assert!(stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn promise_29_without_the_control_plane_calls_go_on_for_the_allowed_time_and_then_get_503() {
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    stack.control_plane.serve(Bundle::Away);
    // An answer that was on its way must not count as one of later.
    eventually(|| stack.control_plane.broken_polls() > 0).await;
    stack.clock.advance(Duration::from_secs(50));
    assert_eq!(stack.call(&fresh_call("t")).await.status, 200);
    stack.clock.advance(Duration::from_secs(251));
    let raw = stack.call(&fresh_call("t")).await;
    assert_eq!((raw.status, raw.header("x-applink-mesh")), (503, Some("control-plane-away")));
    assert!(raw.header("retry-after").is_some());
    assert_eq!(stack.app.seen().len(), 1, "never passed on unverified");
    assert!(stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn an_org_that_was_just_connected_is_found_by_one_more_poll() {
    let mut before = bundle("v0");
    before["orgs"] = json!([]);
    let stack = Stack::beside(App::start().await, Bundle::Is(before), |config| {
        config.trust.verify = VerifyRule::Local;
        config.trust.poll_every = Duration::from_secs(3600);
    })
    .await;
    eventually(|| stack.control_plane.polls().0 == 1).await;
    assert_eq!(stack.call(&fresh_call("t-1")).await.status, 403, "polled again, and still unknown");
    stack.control_plane.serve(Bundle::Is(bundle("v1")));
    assert_eq!(stack.call(&fresh_call("t-2")).await.status, 200);
    // However many strangers come, polls stay few.
    let (full, unchanged) = stack.control_plane.polls();
    let mut stranger = fresh_call("t-3");
    stranger.request_context["orgId"] = json!("00DSG00000DGEIr2AP");
    stranger.client_context["orgId"] = json!("00DSG00000DGEIr2AP");
    let strangers = (0..20).map(|_| stack.call(&stranger));
    let answers = futures_util::future::join_all(strangers).await;
    assert!(answers.iter().all(|raw| raw.status == 403));
    let (full_after, unchanged_after) = stack.control_plane.polls();
    assert!(full_after + unchanged_after - full - unchanged <= 2, "{full_after} {unchanged_after}");
    assert!(stack.control_plane.asked().is_empty());
}

#[tokio::test]
async fn an_org_whose_keys_are_as_new_as_its_publication_is_asked_about() {
    let mut before = bundle("v0");
    before["publications"] = json!([]);
    // Nothing polls by itself: the call has to.
    let stack = with_bundle_polled_every(Duration::from_secs(600), before).await;
    let mut keyless = bundle("v1");
    keyless["orgs"][0]["keys"] = json!([]);
    stack.control_plane.serve(Bundle::Is(keyless));
    stack.control_plane.say(Says::Yes(verdict()));
    assert_eq!(stack.call(&fresh_call("t-1")).await.status, 200);
    assert_eq!(stack.control_plane.asked().len(), 1);
}

async fn with_bundle_polled_every(period: Duration, served: serde_json::Value) -> Stack {
    let stack = Stack::beside(App::start().await, Bundle::Is(served), |config| {
        config.trust.verify = VerifyRule::Local;
        config.trust.poll_every = period;
    })
    .await;
    eventually(|| stack.control_plane.polls().0 > 0).await;
    stack
}

#[tokio::test]
async fn an_app_that_is_not_published_in_the_org_gets_none_of_its_calls() {
    let mut elsewhere = bundle("v1");
    elsewhere["publications"] = json!([]);
    let stack = with_bundle(Bundle::Is(elsewhere), |_| {}).await;
    assert_eq!(stack.call(&fresh_call("t")).await.status, 403);
}

#[tokio::test]
async fn promise_31_a_new_key_is_asked_about_once_and_then_known() {
    let stack = verifying(|_| {}).await;
    stack.control_plane.say(Says::Yes(verdict()));
    let rotated = |jti: &str| call_with(&OTHER_KEY.sign(&with_kid("key-2"), &claims(jti)));
    let mut both = bundle("v2");
    both["orgs"][0]["keys"] = json!([ORG_KEY.public(), OTHER_KEY.public()]);
    stack.control_plane.hold_answers();
    let calls: Vec<Call> = (0..8).map(|number| rotated(&format!("t-{number}"))).collect();
    let together = futures_util::future::join_all(calls.iter().map(|call| stack.call(call)));
    let release = async {
        eventually(|| !stack.control_plane.asked().is_empty()).await;
        // Asked, the control plane fetches the org's keys.
        stack.control_plane.serve(Bundle::Is(both));
        stack.control_plane.release_answers();
    };
    let (answers, ()) = tokio::join!(together, release);
    let statuses: Vec<u16> = answers.iter().map(|raw| raw.status).collect();
    assert_eq!(statuses, [200; 8]);
    assert_eq!(stack.control_plane.asked().len(), 1);
}

#[tokio::test]
async fn promise_31_unknown_keys_are_asked_about_at_most_every_30_seconds() {
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    stack.control_plane.say(Says::Status(403, ""));
    for number in 0..5 {
        let token = OTHER_KEY.sign(&with_kid(&format!("made-up-{number}")), &claims("t"));
        assert_eq!(stack.call(&call_with(&token)).await.status, 403);
    }
    assert_eq!(stack.control_plane.asked().len(), 1);
    stack.clock.advance(Duration::from_secs(31));
    let token = OTHER_KEY.sign(&with_kid("made-up"), &claims("t"));
    assert_eq!(stack.call(&call_with(&token)).await.status, 403);
    assert_eq!(stack.control_plane.asked().len(), 2);
}

#[tokio::test]
async fn a_key_that_can_not_be_asked_about_is_503_not_403() {
    let stack = verifying(|_| {}).await;
    stack.control_plane.say(Says::Nothing);
    stack.control_plane.serve(Bundle::Away);
    let token = OTHER_KEY.sign(&with_kid("made-up"), &claims("t"));
    assert_eq!(stack.call(&call_with(&token)).await.status, 503);
    let again = OTHER_KEY.sign(&with_kid("made-up"), &claims("u"));
    assert_eq!(stack.call(&call_with(&again)).await.status, 503);
    assert_eq!(stack.call(&fresh_call("t-2")).await.status, 200, "known keys go on");
}

#[tokio::test]
async fn promise_24_without_bundles_the_control_plane_is_asked_about_every_call() {
    for served in [Bundle::None, Bundle::Status(403), Bundle::Status(501)] {
        let stack = with_bundle(served.clone(), |config| config.replay = ReplayRule::Off).await;
        stack.control_plane.say(Says::Yes(verdict()));
        assert_eq!(stack.call(&Call::new("r-1")).await.status, 200, "{served:?}");
        assert_eq!(stack.control_plane.asked()[0].body["org_id"], json!(ORG));
        stack.control_plane.say(Says::Nothing);
        let mut other = Call::new("r-1");
        other.request_context["auth"] = json!("another");
        assert_eq!(stack.call(&other).await.status, 503);
    }
}

#[tokio::test]
async fn an_add_on_that_is_gone_takes_its_trust_with_it() {
    let stack = verifying(|_| {}).await;
    stack.control_plane.say(Says::Status(401, ""));
    stack.control_plane.serve(Bundle::Status(401));
    answered(&stack, 403).await;
    assert!(!stack.control_plane.asked().is_empty(), "asked about each call from now on");
}

#[tokio::test]
async fn a_token_is_used_once_here_or_everywhere_or_as_often_as_it_lives() {
    let stack = verifying(|_| {}).await;
    assert_eq!(stack.call(&fresh_call("t")).await.status, 200);
    assert_eq!(stack.call(&fresh_call("t")).await.status, 403);

    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    assert_eq!(stack.call(&fresh_call("t")).await.status, 200);
    assert_eq!(stack.call(&fresh_call("t")).await.status, 200);

    let stack = verifying(|config| config.replay = ReplayRule::Shared).await;
    stack.control_plane.say(Says::Status(204, ""));
    assert_eq!(stack.call(&fresh_call("t")).await.status, 200);
    let told = stack.only_question();
    assert_eq!(told.path, "/addons/a1/invocations/tokens");
    assert_eq!((&told.body["org_id"], &told.body["token_id"]), (&json!(ORG), &json!("t")));
    stack.control_plane.say(Says::Status(409, ""));
    assert_eq!(stack.call(&fresh_call("elsewhere")).await.status, 403, "another mesh had it");
    stack.control_plane.say(Says::Nothing);
    assert_eq!(stack.call(&fresh_call("unknown")).await.status, 503);
}
