//! What happened, once or as it happens.

use serde_json::{Value, json};

use crate::applink::{API_KEY, applink};
use crate::fake::Fake;

fn entry(id: &str, second: u32, action: &str, actor: Value) -> Value {
    json!({"id": id, "at": format!("2025-05-30T18:55:{second}.863808Z"), "action": action, "actor": actor, "actor_kind": "person",
        "subject": "792fb84d-9c0a-4e28-bee9-754bbfe1c100", "detail": "production_org to org 00DSB00000VAyPF2A1"})
}

fn call(verdict: &str, status: u16, user: &str) -> Value {
    json!({"at": "2025-05-30T18:55:43.000001Z", "request_id": "00DSB-1", "org_id": "00DSB00000VAyPF2A1", "user_id": user,
        "operation": "POST /orders", "verdict": verdict, "status": status, "mesh_micros": 85, "app_micros": 1200})
}

fn from(source: &str, mut line: Value) -> Value {
    line["source"] = json!(source);
    line
}

#[test]
fn what_happened_and_what_was_called_in_the_order_of_time() {
    let connected = entry("s:1", 42, "connection.connected", json!("user@example.com"));
    let removed = entry("s:2", 44, "authorization.removed", Value::Null);
    let fake = Fake::start().on("GET /audit", 200, json!([connected, removed])).on(
        "GET /invocations",
        200,
        json!([call("verified", 200, "005SB000001AbCdYAK")]),
    );
    insta::assert_snapshot!(applink("logs").with(&fake).run(), @"
    exit: 0
    --- stdout
    2025-05-30T18:55:42.863808Z applink[audit]: connection.connected by user@example.com: production_org to org 00DSB00000VAyPF2A1
    2025-05-30T18:55:43.000001Z applink[mesh]: POST /orders verified status=200 org=00DSB00000VAyPF2A1 user=005SB000001AbCdYAK request_id=00DSB-1 mesh=85us app=1200us
    2025-05-30T18:55:44.863808Z applink[audit]: authorization.removed by (erased): production_org to org 00DSB00000VAyPF2A1
    --- stderr
    ");
    assert_eq!(
        fake.seen()[0].header("authorization"),
        format!("Bearer {API_KEY}"),
        "an app's token opens no names"
    );
    let json =
        |words: &str| -> Value { serde_json::from_str(&applink(words).with(&fake).run().stdout).unwrap() };
    assert_eq!(json("logs --json --action connection"), json!([from("audit", connected.clone())]));
    assert_eq!(json("logs --json -n 1"), json!([from("audit", removed)]));
    let mesh = json!([from("mesh", call("verified", 200, "005SB000001AbCdYAK"))]);
    assert_eq!(json("logs --json --source mesh"), mesh);
    assert_eq!(json("logs --json --action verified"), mesh);
}

#[test]
fn the_tail_shows_each_line_once() {
    let (first, second) = (entry("s:1", 42, "a.b", json!("x")), entry("s:2", 44, "c.d", json!("x")));
    let fake = Fake::start()
        .on("GET /audit", 200, json!([first]))
        .on("GET /audit", 200, json!([first, second]))
        .on("GET /invocations", 200, json!([]))
        .on("GET /invocations", 200, json!([call("wrong-org", 403, "")]));
    let mut running = applink("logs --tail --json").with(&fake).spawn();
    for expected in [from("audit", first), from("mesh", call("wrong-org", 403, "")), from("audit", second)] {
        assert_eq!(serde_json::from_str::<Value>(&running.first_line()).unwrap(), expected);
    }
    running.interrupt();
    let rest = running.finish();
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), ""), "{rest}");
}

#[test]
fn the_tail_pages_back_to_what_it_has_shown() {
    let numbered = |number: usize| {
        let mut entry = entry(&format!("s:{number}"), 42, "a.b", json!("x"));
        entry["at"] = json!(format!("2025-05-30T18:55:42.{number:06}Z"));
        entry
    };
    let page = |numbers: std::ops::RangeInclusive<usize>| Value::from_iter(numbers.map(numbered));
    let fake = Fake::start()
        .on("GET /audit", 200, page(0..=0))
        .on("GET /audit", 200, page(201..=400))
        .on("GET /audit", 200, page(2..=201))
        .on("GET /audit", 200, page(0..=2))
        .on("GET /audit", 200, page(201..=400))
        .on("GET /invocations", 200, json!([]));
    let mut running = applink("logs --tail --json").with(&fake).spawn();
    for number in 0..=400 {
        let line: Value = serde_json::from_str(&running.first_line()).unwrap();
        assert_eq!(line["id"], format!("s:{number}"));
    }
    running.interrupt();
    let rest = running.finish();
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), ""), "{rest}");
    let asked: Vec<String> = fake.seen().into_iter().map(|seen| seen.line).collect();
    let before = |number: usize| format!("before=2025-05-30T18%3A55%3A42.{number:06}Z");
    for number in [201, 2] {
        assert!(asked.iter().any(|line| line.ends_with(&before(number))), "{asked:?}");
    }
}
