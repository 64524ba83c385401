use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::applink::{Running, SIM_KEY, applink};
use crate::fake::Fake;

const INVOKE: &str = "invoke ProvisioningAPI.provisionServices --as sales@acme.example";

fn answered(status: u16, body: Value, callbacks_expected: bool) -> Value {
    json!({
        "invocation_id": "inv-1", "request_id": "req-1", "status": status, "headers": {}, "body": body, "refused": null,
        "session_id": "0Ak000000000001AAA", "callbacks_expected": callbacks_expected, "state": "ended",
    })
}

#[test]
fn invoke_prints_the_apps_answer() {
    let fake = Fake::start().on("POST /_sim/invoke", 200, answered(201, json!({"jobId": "job-1"}), false));
    let ran = applink(INVOKE)
        .arg("--body")
        .arg(r#"{"opportunityIds": ["006"]}"#)
        .arg("--parameter")
        .arg("limit=5")
        .arg("-p")
        .arg("region=eu")
        .with_org(&fake)
        .run();
    insta::assert_snapshot!(ran, @r#"
    exit: 0
    --- stdout
    {
      "jobId": "job-1"
    }
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... 201
    "#);
    let seen = fake.only();
    assert_eq!(seen.header("x-sim-key"), SIM_KEY);
    assert_eq!(
        seen.json(),
        json!({"service": "ProvisioningAPI", "operation": "provisionServices", "as": "sales@acme.example",
            "parameters": {"limit": 5, "region": "eu"}, "mode": "apex", "body": {"opportunityIds": ["006"]}})
    );
}

#[test]
fn invoke_with_a_body_from_a_file_or_standard_input() {
    let fake = Fake::start().on("POST /_sim/invoke", 200, answered(200, json!("plain"), false));
    let ran = applink(INVOKE)
        .arg("--body")
        .arg("@body.json")
        .arg("--mode")
        .arg("flow")
        .file("body.json", "{\"a\":1}")
        .with_org(&fake)
        .run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "plain\n"));
    applink(INVOKE).arg("--body").arg("@-").stdin("[2]").with_org(&fake).run();
    assert_eq!(
        (&fake.seen()[0].json()["body"], &fake.seen()[0].json()["mode"]),
        (&json!({"a": 1}), &json!("flow"))
    );
    assert_eq!(fake.seen()[1].json()["body"], json!([2]));
}

#[test]
fn invoke_json_is_all_the_org_knows() {
    let fake = Fake::start().on("POST /_sim/invoke", 200, answered(200, json!(null), false));
    let ran = applink(INVOKE).arg("--json").with_org(&fake).run();
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["session_id"], "0Ak000000000001AAA");
}

#[test]
fn invoke_waits_for_callbacks() {
    let callback = |name: &str| {
        json!({"invocation_id": "inv-1", "callback": name, "user_id": "005000000000001AAA", "username": "sales@acme.example",
            "received_at": "2025-05-30T18:55:42.863808Z", "session_ok": true, "body": {"step": name}})
    };
    let fake = Fake::start()
        .on("POST /_sim/invoke", 200, answered(201, json!({"jobId": "job-1"}), true))
        .on("GET /_sim/callbacks", 200, json!([callback("onStarted")]))
        .on("GET /_sim/callbacks", 200, json!([callback("onStarted"), callback("onCompleted")]));
    let ran = applink(INVOKE).arg("--wait-callbacks").arg("2").with_org(&fake).run();
    insta::assert_snapshot!(ran, @r#"
    exit: 0
    --- stdout
    {
      "jobId": "job-1"
    }
    {"invocation_id":"inv-1","callback":"onStarted","user_id":"005000000000001AAA","username":"sales@acme.example","received_at":"2025-05-30T18:55:42.863808Z","session_ok":true,"body":{"step":"onStarted"}}
    {"invocation_id":"inv-1","callback":"onCompleted","user_id":"005000000000001AAA","username":"sales@acme.example","received_at":"2025-05-30T18:55:42.863808Z","session_ok":true,"body":{"step":"onCompleted"}}
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... 201
    "#);
    assert_eq!(fake.seen()[2].line, "GET /_sim/callbacks?invocation=inv-1&at_least=2&wait_ms=5000");
}

#[test]
fn invoke_gives_up_on_callbacks_that_never_come() {
    let fake = Fake::start()
        .on("POST /_sim/invoke", 200, answered(201, json!(null), true))
        .silent_on("GET /_sim/callbacks");
    let ran = applink(INVOKE).arg("--wait-callbacks").arg("--timeout").arg("0").with_org(&fake).run();
    insta::assert_snapshot!(ran, @"
    exit: 1
    --- stdout
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... 201
    error: only 0 of 1 callbacks arrived within 0 s

    hint: wait longer with --timeout
    ");
}

#[test]
fn invoke_that_the_app_refuses() {
    let fake = Fake::start().on(
        "POST /_sim/invoke",
        200,
        answered(422, json!({"problem": "no such opportunity"}), false),
    );
    insta::assert_snapshot!(applink(INVOKE).with_org(&fake).run(), @r#"
    exit: 1
    --- stdout
    {
      "problem": "no such opportunity"
    }
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... 422
    error: the app answered 422
    "#);
}

#[test]
fn invoke_that_the_org_refuses() {
    let refusal = json!({"error": "forbidden", "message": "intern@acme.example may not call ProvisioningAPI",
        "detail": "the permission set ProvisioningAPI is not assigned"});
    let fake = Fake::start().on("POST /_sim/invoke", 403, refusal);
    insta::assert_snapshot!(applink(INVOKE).with_org(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... !
    error: intern@acme.example may not call ProvisioningAPI: the permission set ProvisioningAPI is not assigned
    ");
}

#[test]
fn invoke_with_bad_arguments_sends_nothing() {
    let fake = Fake::start();
    let run = |line: &str| applink(line).with_org(&fake).run().to_string();
    insta::assert_snapshot!(run("invoke provisionServices --as me"), @"
    exit: 1
    --- stdout
    --- stderr
    error: `provisionServices` names no operation

    hint: write the client name and the operation id, joined by a dot: ProvisioningAPI.provisionServices
    ");
    insta::assert_snapshot!(run("invoke A.b --as me --body {oops"), @"
    exit: 2
    --- stdout
    --- stderr
    error: --body is not JSON: key must be a string at line 1 column 2
    ");
    insta::assert_snapshot!(run("invoke A.b --as me --body @missing.json"), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't read missing.json
      caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(run("invoke A.b --as me --parameter oops"), @"
    exit: 1
    --- stdout
    --- stderr
    error: `oops` is no parameter

    hint: write NAME=VALUE
    ");
    assert!(fake.seen().is_empty());
}

#[test]
fn invoke_without_an_org() {
    insta::assert_snapshot!(applink(INVOKE).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: APPLINK_SIM_KEY isn't set, so no local org is known

    hint: run this below a directory with a running `applink dev`, or set what `applink org:serve` prints
    ");
    let ran =
        applink(INVOKE).env("APPLINK_SIM_KEY", SIM_KEY).env("APPLINK_ORG_URL", "http://127.0.0.1:1").run();
    insta::assert_snapshot!(ran, @"
    exit: 2
    --- stdout
    --- stderr
    Invoking ProvisioningAPI.provisionServices as sales@acme.example... !
    error: the org at 127.0.0.1:1 can't be reached
      caused by: Connection refused (os error 111)
      the address comes from the environment

    hint: is `applink dev` or `applink org:serve` still running?
    ");
}

#[test]
fn assign_a_permission_set() {
    let fake = Fake::start().on("POST /_sim/permission-sets/assign", 200, json!({"assigned": true}));
    let ran = applink("org permsets assign ProvisioningAPI --on-behalf-of sales@acme.example")
        .with_org(&fake)
        .run();
    insta::assert_snapshot!(ran, @"
    exit: 0
    --- stdout
    --- stderr
    Assigning ProvisioningAPI to sales@acme.example... done
    ");
    assert_eq!(
        fake.only().json(),
        json!({"permission_set": "ProvisioningAPI", "username": "sales@acme.example"})
    );
}

#[test]
fn assign_an_unknown_permission_set() {
    let refusal = json!({"error": "not_found", "message": "there is no permission set Nope", "detail": null});
    let fake = Fake::start().on("POST /_sim/permission-sets/assign", 404, refusal);
    insta::assert_snapshot!(applink("org:permsets:assign Nope -b sales@acme.example").with_org(&fake).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Assigning Nope to sales@acme.example... !
    error: there is no permission set Nope
    ");
}

/// A real local org on a free port, and the JSON line it starts with.
fn org() -> (Running, Value) {
    let mut running = applink("org --port 0 --kind sandbox --json").spawn();
    let ready = serde_json::from_str(&running.first_line()).unwrap();
    (running, ready)
}

#[test]
fn org_runs_until_it_is_told_to_stop() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (running, ready) = org();
        assert_eq!(ready["kind"], "sandbox");
        let roles: Vec<_> =
            ready["users"].as_array().unwrap().iter().map(|user| user["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["admin", "sales", "intern", "integration"]);
        running.signal(signal);
        let ran = running.finish();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran}");
        assert!(ran.stderr.ends_with("The org has stopped.\n"), "{ran}");
    }
}

#[test]
fn a_running_org_takes_commands() {
    let (running, ready) = org();
    let sales = ready["users"][1]["username"].as_str().unwrap();
    let command = |line: &str| {
        let url = ready["org_url"].as_str().unwrap();
        applink(line)
            .env("APPLINK_ORG_URL", url)
            .env("APPLINK_SIM_KEY", ready["sim_key"].as_str().unwrap())
            .run()
    };
    let unknown = command(&format!("org permsets assign NoSuchSet --on-behalf-of {sales}"));
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert!(unknown.stderr.contains("NoSuchSet"), "{unknown}");
    let unpublished = command(&format!("invoke NoSuchService.run --as {sales}"));
    assert_eq!(unpublished.code, Some(1), "{unpublished}");
    assert!(unpublished.stderr.contains("NoSuchService"), "{unpublished}");
    running.interrupt();
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn org_prints_what_another_shell_needs() {
    let mut running = applink("org --port 0").spawn();
    let title = running.first_line();
    assert!(
        title.starts_with("=== production org 00D") && title.contains(" at http://127.0.0.1:"),
        "{title}"
    );
    running.interrupt();
    let ran = running.finish();
    for line in [
        "APPLINK_ORG_URL='http://127.0.0.1:",
        "APPLINK_SIM_KEY='",
        "APPLINK_LOGIN_HOST_MAP='https://login.salesforce.com=",
    ] {
        assert!(ran.stdout.contains(line), "{ran}");
    }
}

#[test]
fn org_names_the_flag_when_the_port_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = applink(&format!("org --port {port}")).hide(&port.to_string()).run();
    insta::assert_snapshot!(ran, @"
    exit: 2
    --- stdout
    --- stderr
    error: port [HOST] is already in use

    hint: choose another one with --port; 0 picks a free one
    ");
}

#[test]
fn an_org_is_exposed_by_a_url_and_with_a_long_key() {
    let without = applink("org --expose").run();
    assert_eq!(without.code, Some(2), "{without}");
    assert!(without.stderr.contains("--expose <URL>"), "{without}");
    let weak = applink("org --port 0 --expose http://org.example").env("APPLINK_SIM_KEY", "short").run();
    assert_eq!(weak.code, Some(2), "{weak}");
    assert!(weak.stderr.contains("32 characters") && weak.stderr.contains("APPLINK_SIM_KEY"), "{weak}");
}
