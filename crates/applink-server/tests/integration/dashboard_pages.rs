//! The dashboard's pages that publish, tell what went on, and set things up.

use applink_api::mesh_report::{InvocationCount, InvocationRecord};
use applink_server::invocations::store as invocations;
use reqwest::Method;
use serde_json::json;

use crate::publishing_stack::{CONNECTION, Publishing};
use crate::receiver::Receiver;
use crate::stack::Stack;
use crate::visitor::{SALT, Visitor};

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");
const NEW: &str = "/dashboard/publications/new";

async fn visited(stack: &Stack) -> Visitor {
    let addon = stack.tenant.addon.to_string();
    Visitor::sign_in(stack.server.url(), stack.server.app(), &addon).await
}

/// The value of the connection in the form.
async fn connection_of(visitor: &Visitor) -> String {
    let form = visitor.get(NEW).await.expect(200).says(&[CONNECTION]);
    let choice = form.text.split("name=\"connection\"><option value=\"").nth(1).expect("a choice");
    choice.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_app_is_checked_published_compared_and_unpublished_in_the_browser() {
    let stack = Publishing::start().await;
    let visitor = Visitor::sign_in(&stack.origin(), stack.app(), &stack.addon.to_string()).await;
    visitor.get("/dashboard/publications").await.expect(200).says(&["No app is published yet"]);
    let connection = connection_of(&visitor).await;
    let fields = |step: &'static str, document: &str| {
        let pairs = [
            ("connection", connection.as_str()),
            ("client_name", "Reports"),
            ("document", document),
            ("step", step),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = async |step, document: &str, more: &[(&str, &str)]| {
        let form = fields(step, document);
        let mut form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.extend(more);
        visitor.send(NEW, NEW, &form).await
    };

    let broken = SPEC.replace("paths:", "paths: [");
    let refused = send("publish", &broken, &[]).await.expect(422);
    refused.says(&["It can't be published yet", "finding error", "paths: ["]);
    assert!(stack.org.sent().is_empty(), "nothing was sent");
    let checked = send("check", SPEC, &[]).await.expect(200);
    checked.says(&["It can be published", "Reports.buildReport", "Permission sets"]);
    assert!(stack.org.sent().is_empty(), "to check sends nothing");

    let form = visitor
        .fill(NEW, &fields("publish", SPEC).each_ref().map(|(name, value)| (name.as_str(), value.as_str())))
        .await;
    let begun = visitor.post(NEW, &form).await.expect(303);
    assert!(begun.location.starts_with("/dashboard/publications/"), "{}", begun.location);
    let again = visitor.post(NEW, &form).await.expect(303);
    assert_eq!(again.location, "/dashboard/publications", "a second press does nothing");
    let path = begun.location;
    let done = visitor.wait_for(&path, ">published<").await;
    done.says(&["ExternalServiceRegistration", "created", "person@acme.example"]).keeps_quiet_of(&["hx-get"]);
    let listed = visitor.get("/dashboard/publications?q=repo").await.expect(200);
    listed.says(&[CONNECTION, "connected", "Reports", "report-tools"]);
    visitor.get("/dashboard/publications?q=nothing").await.expect(200).says(&["Nothing found"]);

    let renamed = SPEC.replace("jobId: {type: string}", "job: {type: string}");
    let refused = send("publish", &renamed, &[]).await.expect(409);
    refused.says(&["will break", "Reports_buildReport_OUT_202.jobId", "allow_breaking"]);
    send("publish", &renamed, &[("allow_breaking", "yes")]).await.expect(303);
    let settled = visitor.wait_for(&path, "Compare with 1").await;
    assert!(settled.text.contains("versions/2"), "{}", settled.text);
    visitor.wait_for(&path, ">published<").await;
    let compared = visitor.get(&format!("{path}/diff?from=1&to=2")).await.expect(200);
    compared.says(&["breaks callers", "- ", "jobId: {type: string}", "class=\"added\""]);
    let kept = visitor.get(&format!("{path}/versions/1")).await.expect(200);
    assert_eq!(kept.text.trim(), SPEC.trim());

    for path in ["/dashboard/publications/6e0a9a4e-1111-4111-8111-111111111111", "/dashboard/publications/x"]
    {
        visitor.get(path).await.expect(404);
        visitor.get(&format!("{path}/diff?from=1&to=2")).await.expect(404);
        visitor.get(&format!("{path}/versions/1")).await.expect(404);
        visitor.send(NEW, &format!("{path}/unpublish"), &[("confirm", "Reports")]).await.expect(404);
    }
    let unpublish = format!("{path}/unpublish");
    visitor
        .send(&path, &unpublish, &[("confirm", "reports")])
        .await
        .expect(422)
        .says(&["not the client name"]);
    visitor.send(&path, &unpublish, &[("confirm", "Reports")]).await.expect(303);
    visitor.wait_for("/dashboard/publications", "No app is published yet").await;
}

/// What a field of the page holds, as a browser would send it.
fn held(page: &str, name: &str) -> String {
    let field =
        page.split(&format!(" name=\"{name}\"")).nth(1).unwrap_or_else(|| panic!("no {name} in {page}"));
    let tag = field.split('>').next().unwrap();
    let value = match tag.split("value=\"").nth(1) {
        Some(value) => value.split('"').next().unwrap(),
        None => field.split_once('>').unwrap().1.split("</textarea>").next().unwrap(),
    };
    value
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

#[tokio::test]
async fn publish_again_has_what_was_published_and_publishes_it_anew() {
    let stack = Publishing::start().await;
    let visitor = Visitor::sign_in(&stack.origin(), stack.app(), &stack.addon.to_string()).await;
    let connection = connection_of(&visitor).await;
    // A browser must be able to send it back as it is, whatever it has in it.
    let document = SPEC.replace("description: Builds", "description: '</textarea><b>' # \"&amp;\" was ");
    assert_ne!(document, SPEC);
    let fields = [
        ("connection", connection.as_str()),
        ("client_name", "Reports"),
        ("document", document.as_str()),
        ("permission_set", "Reports_Users"),
        ("step", "publish"),
    ];
    let path = visitor.send(NEW, NEW, &fields).await.expect(303).location;
    visitor.wait_for(&path, ">published<").await.says(&["Publish again"]);
    let again = format!("{NEW}?again={}", path.rsplit('/').next().unwrap());

    let page = visitor.get(&again).await.expect(200);
    page.says(&[&format!("<option value=\"{connection}\" selected>")]).keeps_quiet_of(&["</textarea><b>"]);
    let page = visitor.get(&again).await.text;
    let shown = ["client_name", "document", "permission_set"].map(|name| held(&page, name));
    assert_eq!(
        [shown[0].as_str(), shown[1].trim(), &shown[2]],
        ["Reports", document.trim(), "Reports_Users"]
    );
    let changed = shown[1].replace("buildReport", "makeReport");
    let mut fields =
        vec![("connection", connection.as_str()), ("allow_breaking", "yes"), ("step", "publish")];
    fields.extend([
        ("client_name", shown[0].as_str()),
        ("permission_set", &shown[2]),
        ("document", &changed),
    ]);
    let second = visitor.send(&again, NEW, &fields).await.expect(303).location;
    assert_eq!(second, path, "it is the same publication");
    visitor.wait_for(&path, "Compare with 1").await;
    visitor.wait_for(&path, ">published<").await;
    let page = visitor.get(&again).await.expect(200).text;
    assert_eq!(
        held(&page, "document").trim(),
        changed.trim(),
        "from now on it begins with what is there now"
    );
    assert_eq!(stack.org.sent().len(), 2);

    for nobody_s in ["6e0a9a4e-1111-4111-8111-111111111111", "x"] {
        visitor.get(&format!("{NEW}?again={nobody_s}")).await.expect(404);
    }
}

#[tokio::test]
async fn what_was_done_is_listed_filtered_and_exported() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    stack.connect("prod").await;
    stack.authorize("worker").await;
    for _ in 0..3 {
        stack.token_of("worker").await;
    }
    let visitor = visited(&stack).await;
    let all = visitor.get("/dashboard/activity").await.expect(200);
    all.says(&["connection.connected", "connection prod", "authorization.handed_out", "person@acme.example"])
        .keeps_quiet_of(&["canary"]);
    let some =
        visitor.get("/dashboard/activity?action=authorization.handed_out&who=MY-APP").await.expect(200);
    assert_eq!(some.text.matches("<code>authorization.handed_out</code>").count(), 3, "{}", some.text);
    some.keeps_quiet_of(&["<code>connection.connected"]);
    for none in ["who=%25", "what=%27%20OR%201%3D1", "until=2001-01-01", "since=2090-01-01"] {
        visitor.get(&format!("/dashboard/activity?{none}")).await.expect(200).says(&["Nothing matches"]);
    }
    for garbled in ["after=x", "since=x", "after=1.2.3"] {
        visitor.get(&format!("/dashboard/activity?{garbled}")).await.expect(200).says(&["session.begun"]);
    }
    let csv = visitor.get("/dashboard/activity.csv?action=authorization.handed_out").await.expect(200).text;
    assert_eq!(csv.lines().count(), 4, "{csv}");
    let json = visitor.get("/dashboard/activity.json").await.expect(200).text;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.as_array().unwrap().iter().any(|row| row["action"] == "connection.connected"), "{json}");
}

#[tokio::test]
async fn a_long_log_is_read_page_by_page_and_no_row_is_lost() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    let tx = {
        let mut tx = stack.server.app().store.begin().await.unwrap();
        for number in 0..230 {
            let actor = applink_server::audit::Actor::system();
            let id = stack.server.app().entropy.uuid();
            let entry = applink_server::audit::Entry::new(&actor, "grant.refreshed", stack.tenant.addon, id);
            tx.audit(entry.with_detail(format!("number {number}.")));
        }
        tx
    };
    tx.commit().await.unwrap();
    let other = stack.another_tenant("other-app").await;
    let visitor = visited(&stack).await;
    let mut path = "/dashboard/activity?action=grant.".to_owned();
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = visitor.get(&path).await.expect(200);
        seen.extend((0..230).filter(|number| page.text.contains(&format!("number {number}."))));
        pages += 1;
        let Some(next) = page.text.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
    seen.sort_unstable();
    assert_eq!((pages, seen), (3, (0..230).collect::<Vec<_>>()));
    let addon = other.addon.to_string();
    let foreign = Visitor::sign_in(stack.server.url(), stack.server.app(), &addon).await;
    foreign.get("/dashboard/activity").await.expect(200).keeps_quiet_of(&["grant.refreshed"]);
}

#[tokio::test]
async fn webhooks_are_made_changed_rotated_tried_and_removed_and_a_secret_is_shown_once() {
    let receiver = Receiver::start().await;
    let stack = Stack::with(|config| {
        config.access.sso_salt = Some(SALT.into());
        config.webhook_origins.push(receiver.url().parse().unwrap());
    })
    .await;
    let visitor = visited(&stack).await;
    let settings = "/dashboard/settings";
    visitor.get(settings).await.expect(200).says(&["No webhook yet", "my-app", "Tokens", "HEROKU_APPLINK"]);
    let url = format!("{}/hook", receiver.url());
    let add = "/dashboard/settings/webhooks";
    let wrong = [("url", url.as_str()), ("events", "nonsense.*"), ("description", "<b>kept</b>")];
    let again = visitor.send(settings, add, &wrong).await.expect(422);
    again.says(&["There is no event type", "&#60;b&#62;kept"]);
    let right = [("url", url.as_str()), ("events", "connection.*, webhook.test")];
    let made = visitor.send(settings, add, &right).await.expect(200).says(&["only time"]);
    let secret_of = |text: &str| -> String {
        let rest = text.split("id=\"secret\">").nth(1).expect("a secret");
        rest.split('<').next().unwrap().to_owned()
    };
    let secret = secret_of(&made.text);
    assert!(secret.starts_with("whsec_"), "{secret}");
    let listed = visitor.get(settings).await.expect(200).keeps_quiet_of(&["whsec_"]).says(&[&url]);
    let rest = listed.text.split("href=\"/dashboard/settings/webhooks/").nth(1).unwrap();
    let path = format!("{add}/{}", rest.split('"').next().unwrap());
    visitor.get(&path).await.expect(200).keeps_quiet_of(&["whsec_"]).says(&["Nothing was sent yet"]);

    let rotate = format!("{path}/rotate");
    let rotated = visitor.send(&path, &rotate, &[("overlap_hours", "24")]).await.expect(200);
    assert_ne!(secret_of(&rotated.text), secret);
    visitor.send(&path, &rotate, &[("overlap_hours", "9999")]).await.expect(422);
    let shown = visitor.get(&path).await.expect(200).keeps_quiet_of(&["whsec_"]);
    shown.says(&["The former secret signs too until"]);
    visitor.send(&path, &format!("{path}/test"), &[]).await.expect(303);
    visitor.get(&path).await.expect(200).says(&["webhook.test", "under way"]);
    stack.reconcile("webhooks").await;
    visitor.get(&path).await.expect(200).says(&["delivered"]);
    let changed = [("url", url.as_str()), ("events", ""), ("description", "on call"), ("enabled", "yes")];
    visitor.send(&path, &path, &changed).await.expect(303);
    visitor.get(settings).await.expect(200).says(&["on call", "everything"]);

    let other = stack.another_tenant("other-app").await.addon.to_string();
    let foreign = Visitor::sign_in(stack.server.url(), stack.server.app(), &other).await;
    foreign.get(&path).await.expect(404);
    for verb in ["", "/rotate", "/test", "/delete"] {
        let fields = [("url", url.as_str()), ("confirm", "delete")];
        foreign.send(settings, &format!("{path}{verb}"), &fields).await.expect(404);
    }
    let remove = format!("{path}/delete");
    visitor.send(&path, &remove, &[("confirm", "no")]).await.expect(422);
    visitor.send(&path, &remove, &[("confirm", "delete")]).await.expect(303);
    visitor.get(&path).await.expect(404);
}

#[tokio::test]
async fn tokens_are_made_by_a_person_two_at_a_time_and_revoked() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    let visitor = visited(&stack).await;
    let (settings, make) = ("/dashboard/settings", "/dashboard/settings/tokens");
    for wrong in ["0", "366", "soon"] {
        visitor
            .send(settings, make, &[("expires_in_days", wrong)])
            .await
            .expect(422)
            .says(&["role=\"alert\""]);
    }
    let made =
        visitor.send(settings, make, &[("expires_in_days", "7")]).await.expect(200).says(&["only time"]);
    let key = made.text.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(key.starts_with("alk_"), "{key}");
    visitor
        .get(settings)
        .await
        .expect(200)
        .says(&["data-label=\"First used\">never", "can't be asked again"]);
    let bearer = format!("Bearer {key}");
    let call = async |method: Method, path: &str| {
        let path = format!("/addons/{}{path}", stack.tenant.addon);
        stack.send(method, &path, &[("authorization", bearer.as_str())], Some(&json!({}))).await
    };
    call(Method::GET, "/connections").await.expect(200);
    visitor.get(settings).await.expect(200).says(&["data-label=\"First used\"><time"]);
    // A key makes no keys, and sees and revokes them.
    call(Method::POST, "/keys").await.expect_error(403, "forbidden");
    let listed = call(Method::GET, "/keys").await.expect(200).json();
    let own =
        listed.as_array().unwrap().iter().find(|one| one["owner"] == "person@acme.example (so they say)");
    let own = own.unwrap_or_else(|| panic!("{listed}"));
    assert_eq!((&own["scope"], own["expires_at"].is_null()), (&json!("manage"), false));
    let id = own["id"].as_str().unwrap().to_owned();

    visitor.send(settings, make, &[]).await.expect(200);
    visitor
        .send(settings, make, &[])
        .await
        .expect(409)
        .says(&["two live keys of people whom nobody vouches for", "role=\"alert\""]);
    let page = visitor.get(settings).await.expect(200).keeps_quiet_of(&[&key]);
    page.says(&["person@acme.example (so they say)", &format!("{make}/{id}/revoke"), &key[..10]]);
    let other = stack.another_tenant("other-app").await.addon.to_string();
    let foreign = Visitor::sign_in(stack.server.url(), stack.server.app(), &other).await;
    for nobody_s in [id.as_str(), "6e0a9a4e-1111-4111-8111-111111111111", "x"] {
        foreign.send(settings, &format!("{make}/{nobody_s}/revoke"), &[]).await.expect(404);
    }
    call(Method::GET, "/connections").await.expect(200);
    visitor.send(settings, &format!("{make}/{id}/revoke"), &[]).await.expect(303);
    call(Method::GET, "/connections").await.expect(401);
    visitor.send(settings, &format!("{make}/{id}/revoke"), &[]).await.expect(404);
    let made = visitor.send(settings, make, &[("expires_in_days", "1")]).await.expect(200);
    let key = made.text.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    stack.advance(86_401);
    let path = format!("/addons/{}/connections", stack.tenant.addon);
    let bearer = format!("Bearer {key}");
    stack.send(Method::GET, &path, &[("authorization", bearer.as_str())], None).await.expect(401);
    assert_eq!(stack.count_audited("api_key.created").await, 1 + 3, "one is the tenant's");
    assert_eq!(stack.count_audited("api_key.revoked").await, 1);
}

#[tokio::test]
async fn charts_show_tokens_calls_and_durations_per_app_and_org() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    let connection = stack.connect("prod").await;
    let org = connection["org"]["id"].as_str().unwrap().to_owned();
    stack.authorize("worker").await;
    stack.token_of("worker").await;
    let (app, now) = (stack.server.app(), stack.clock.now());
    let place = (stack.tenant.addon, stack.tenant.app);
    let count = |verdict: &str, count| InvocationCount {
        minute: now,
        verdict: verdict.to_owned(),
        status: 200,
        count,
    };
    let record = InvocationRecord {
        at: now,
        request_id: "r".to_owned(),
        org_id: org.clone(),
        user_id: String::new(),
        operation: "POST /x".to_owned(),
        verdict: "verified".to_owned(),
        status: 200,
        mesh_micros: 1_000,
        app_micros: 41_000,
    };
    let tx = app.store.begin().await.unwrap();
    invocations::add_counts(&*tx, place, &[count("verified", 7), count("bad-signature", 2)]).await.unwrap();
    invocations::add_records(&*tx, place, std::slice::from_ref(&record), || app.entropy.uuid())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let visitor = visited(&stack).await;
    for window in ["hour", "day", "week", "nonsense"] {
        let page = visitor.get(&format!("/dashboard/health?window={window}")).await.expect(200);
        page.says(&["verified <b>7</b> calls", "bad-signature <b>2</b> calls", "half (p50) <b>42</b> ms"])
            .says(&["my-app <b>1</b> tokens", &format!("{org} <b>1</b> calls"), "prod: connected", "<desc"])
            .says(&["data-time=\"20", ":00Z\">"])
            .keeps_quiet_of(&[" style="]);
    }
    let of_org = visitor.get(&format!("/dashboard/health?org={org}")).await.expect(200);
    of_org.says(&["verified <b>1</b> calls", "(of the sample)"]).keeps_quiet_of(&["bad-signature"]);
    let other = "/dashboard/health?app=6e0a9a4e-1111-4111-8111-111111111111";
    visitor.get(other).await.expect(200).keeps_quiet_of(&["<b>7</b> calls"]);
    // Nine more of 1 to 9 ms: of ten, five did not take longer than 5 ms, and the slowest is the 95th percentile.
    let faster: Vec<InvocationRecord> = (1..10)
        .map(|millis| InvocationRecord { app_micros: millis * 1_000, mesh_micros: 0, ..record.clone() })
        .collect();
    let tx = app.store.begin().await.unwrap();
    invocations::add_records(&*tx, place, &faster, || app.entropy.uuid()).await.unwrap();
    tx.commit().await.unwrap();
    let by_name = visitor.get("/dashboard/health?org=prod").await.expect(200);
    by_name.says(&["half (p50) <b>5</b> ms", "19 of 20 (p95) <b>42</b> ms", "99 of 100 (p99) <b>42</b> ms"]);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    visitor.get("/dashboard/health").await.expect(200).says(&["map-waiting"]);
    assert_eq!(json!(org), connection["org"]["id"]);
}

#[tokio::test]
async fn data_action_targets_of_others_and_of_nobody_are_not_found() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    stack.connect("prod").await;
    let visitor = visited(&stack).await;
    let list = "/dashboard/data-action-targets";
    visitor.get(list).await.expect(200).says(&["Connect a Data Cloud org first"]);
    let path = format!("{list}/6e0a9a4e-1111-4111-8111-111111111111");
    visitor.get(&path).await.expect(404);
    for verb in ["rotate", "delete"] {
        visitor.send(list, &format!("{path}/{verb}"), &[]).await.expect(404);
    }
    let app = stack.tenant.app.to_string();
    let fields =
        [("connection", "prod"), ("app", app.as_str()), ("label", "Orders"), ("target_endpoint", "/x")];
    visitor.send(list, list, &fields).await.expect(422).says(&["data action targets are Data Cloud"]);
}
