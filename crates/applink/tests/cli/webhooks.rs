use serde_json::{Value, json};

use crate::applink::{API_KEY, applink};
use crate::fake::{Fake, not_found};

const ID: &str = "5d2c3c26-4c9c-4e39-8c7e-8f7f0f1d2a3b";

fn webhook() -> Value {
    json!({"id": ID, "url": "https://hooks.example/applink", "event_types": ["connection.*", "publication.failed"],
        "description": "pager", "enabled": true, "disabled_reason": null, "failing_since": null,
        "former_secret_until": null, "created_at": "2026-01-01T00:00:00.000000Z", "created_by": "user@example.com",
        "last_modified_at": "2026-01-01T00:00:00.000000Z", "last_modified_by": "user@example.com"})
}

fn with_secret() -> Value {
    let mut webhook = webhook();
    webhook["secret"] = json!("whsec_canary");
    webhook
}

#[test]
fn making_one_shows_its_secret_once_and_needs_the_api_key() {
    let fake = Fake::start().on("POST /webhooks", 201, with_secret());
    let made = "webhooks create https://hooks.example/applink --events connection.*,publication.failed --description pager";
    let ran = applink(made).with(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("Secret: whsec_canary") && ran.stderr.contains("shown only now"), "{ran}");
    let seen = fake.only();
    assert_eq!(seen.header("authorization"), format!("Bearer {API_KEY}"));
    let expected = json!({"url": "https://hooks.example/applink",
        "event_types": ["connection.*", "publication.failed"], "description": "pager"});
    assert_eq!(seen.json(), expected);
    let ran = applink("webhooks:create https://hooks.example/applink --json").with(&fake).run();
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), with_secret());
}

#[test]
fn the_list_tells_how_each_stands() {
    let mut failing = webhook();
    failing["failing_since"] = json!("2026-01-01T00:00:00.000000Z");
    let mut off = webhook();
    off["enabled"] = json!(false);
    off["event_types"] = json!([]);
    let fake = Fake::start().on("GET /webhooks", 200, json!([webhook(), failing, off]));
    for spelling in ["webhooks", "applink webhooks", "webhooks list", "applink:webhooks:list"] {
        let ran = applink(spelling).with(&fake).run();
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert!(lines[0].contains("applink-regular-78506"), "{spelling}: {ran}");
        let ends: Vec<&str> = lines.iter().skip(4).map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(ends, ["On", "Failing", "Off"], "{spelling}: {ran}");
    }
    assert!(fake.seen().iter().all(|seen| seen.header("authorization") == format!("Bearer {API_KEY}")));
    let none = Fake::start().on("GET /webhooks", 200, json!([]));
    assert!(applink("webhooks").with(&none).run().stdout.contains("There are no webhooks"));
}

#[test]
fn one_that_was_switched_off_says_why_and_how_to_switch_it_on() {
    let mut off = webhook();
    off["enabled"] = json!(false);
    off["disabled_reason"] = json!("The endpoint answered 410 Gone.");
    let fake = Fake::start().on(&format!("GET /webhooks/{ID}"), 200, off);
    let ran = applink(&format!("webhooks show {ID}")).with(&fake).run();
    assert!(ran.stderr.contains("410 Gone") && ran.stderr.contains("--enable"), "{ran}");
    let fake = Fake::start().on(&format!("PATCH /webhooks/{ID}"), 200, webhook());
    applink(&format!("webhooks update {ID} --enable --events all")).with(&fake).run();
    assert_eq!(fake.only().json(), json!({"enabled": true, "event_types": []}));
    let both = applink(&format!("webhooks update {ID} --enable --disable")).with(&fake).run();
    assert_eq!(both.code, Some(2), "{both}");
}

#[test]
fn rotating_testing_and_looking_at_deliveries() {
    let delivery = json!({"id": ID, "event_id": "msg_1", "event_type": "webhook.test", "status": "pending",
        "created_at": "2026-01-01T00:00:00.000000Z", "next_attempt_at": null,
        "attempts": [{"at": "2026-01-01T00:00:00.000000Z", "status": 500, "outcome": "the endpoint answered 500",
            "milliseconds": 12}]});
    let fake = Fake::start()
        .on(&format!("POST /webhooks/{ID}/rotate-secret"), 200, with_secret())
        .on(&format!("POST /webhooks/{ID}/test"), 202, delivery.clone())
        .on(&format!("GET /webhooks/{ID}/deliveries"), 200, json!([delivery]));
    let ran = applink(&format!("webhooks rotate-secret {ID} --overlap 2")).with(&fake).run();
    assert!(ran.stdout.contains("whsec_canary"), "{ran}");
    assert_eq!(fake.only().json(), json!({"overlap_hours": 2}));
    let ran = applink(&format!("webhooks test {ID}")).with(&fake).run();
    assert!(
        ran.stdout.contains("msg_1") && ran.stderr.contains(&format!("webhooks:deliveries {ID}")),
        "{ran}"
    );
    let ran = applink(&format!("webhooks deliveries {ID}")).with(&fake).run();
    assert!(ran.stdout.contains("the endpoint answered 500") && ran.stdout.contains("Pending"), "{ran}");
}

#[test]
fn removing_one_asks_first_and_an_unknown_one_is_named() {
    let fake = Fake::start().on(&format!("DELETE /webhooks/{ID}"), 200, webhook());
    let unasked = applink(&format!("webhooks remove {ID}")).with(&fake).run();
    assert_ne!(unasked.code, Some(0), "{unasked}");
    assert!(fake.seen().is_empty());
    let ran = applink(&format!("webhooks remove {ID} --confirm {ID}")).with(&fake).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    let fake = Fake::start().on(&format!("GET /webhooks/{ID}"), 404, not_found());
    let ran = applink(&format!("webhooks show {ID}")).with(&fake).run();
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("there is no webhook") && ran.stderr.contains("applink webhooks"), "{ran}");
}
