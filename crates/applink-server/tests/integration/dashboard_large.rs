//! The dashboard of an add-on with much in it: pages stay small, say how much there is, and find what is searched for.

use applink_server::audit::{Actor, ActorKind, Entry};
use applink_server::credentials::{self, Kind};
use applink_testkit::many::{Many, Owner};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::stack::Stack;
use crate::visitor::{SALT, Visitor};

const MANY: Many =
    Many { connections: 450, authorizations: 120, publications: 130, events: 2_500, invocations: 300 };
/// A page with all of it would be several times as long.
const SMALL: usize = 90_000;

async fn filled() -> (Stack, Visitor) {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    let visitor = fill(&stack, MANY).await;
    (stack, visitor)
}

async fn fill(stack: &Stack, many: Many) -> Visitor {
    let app = stack.server.app();
    let addon = stack.tenant.addon.to_string();
    let owner = Owner {
        addon: &addon,
        app: &stack.tenant.app.to_string(),
        now: app.clock.now().as_micros(),
        is_postgres: app.store.reader().get_database_backend() == DbBackend::Postgres,
    };
    let tx = app.store.begin().await.unwrap();
    for statement in many.statements(&owner) {
        tx.execute_unprepared(&statement).await.unwrap();
    }
    tx.commit().await.unwrap();
    Visitor::sign_in(stack.server.url(), app, &addon).await
}

#[tokio::test]
async fn lists_are_paged_and_searched_in_the_database() {
    let (_stack, visitor) = filled().await;
    visitor.get("/dashboard/connections").await.expect(200).says(&["1–50 of 450", "conn_00001"]);
    let last = visitor.get("/dashboard/connections?page=9").await.expect(200);
    last.says(&["401–450 of 450", "conn_00450"]).keeps_quiet_of(&["conn_00001"]);

    let first = visitor.get("/dashboard/publications").await.expect(200);
    first.says(&["1–50 of 130", "Client00001", "conn_00050", "published"]).keeps_quiet_of(&["Client00051"]);
    let last = visitor.get("/dashboard/publications?page=3").await.expect(200);
    last.says(&["101–130 of 130", "Client00130"]).keeps_quiet_of(&["Client00100"]);
    visitor.get("/dashboard/publications?page=2").await.expect(200).says(&["Client00100", "disconnected"]);
    for (search, found) in
        [("CLIENT00077", 1), ("conn_00077", 1), ("00DSB0000000077", 1), ("client0010", 10), ("%25", 0)]
    {
        let page = visitor.get(&format!("/dashboard/publications?q={search}")).await.expect(200).text;
        assert_eq!(page.matches("/dashboard/publications/0000").count(), found, "{search}: {page}");
    }
    let of_no_app = "/dashboard/publications?app=6e0a9a4e-1111-4111-8111-111111111111";
    visitor.get(of_no_app).await.expect(200).keeps_quiet_of(&["Client0"]);
}

#[tokio::test]
async fn a_connection_is_typed_where_there_are_too_many_to_choose_from() {
    let (_stack, visitor) = filled().await;
    let new = "/dashboard/publications/new";
    let form = visitor.get(new).await.expect(200).says(&["its connection's name"]);
    assert!(form.text.len() < SMALL, "{}", form.text.len());
    let document = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");
    let send = async |connection, step| {
        let fields =
            [("connection", connection), ("client_name", "Reports"), ("document", document), ("step", step)];
        visitor.send(new, new, &fields).await
    };
    send("nobody", "publish").await.expect(422).says(&["No connection has this name"]);
    send("conn-00002", "check").await.expect(200).says(&["It can be published", "value=\"conn-00002\""]);
}

#[tokio::test]
async fn health_counts_everything_and_shows_some() {
    let (_stack, visitor) = filled().await;
    let page = visitor.get("/dashboard/health").await.expect(200);
    assert!(page.text.len() < SMALL, "{}", page.text.len());
    page.says(&[
        "1 apps and 450 orgs",
        "4 of them do not work",
        "430 orgs more",
        "large-app",
        "101 others",
        "refreshed",
        "disconnected: The org ended the grant: reconnect it.",
    ]);
    let one = visitor.get("/dashboard/health?org=00DSB00000000072AA").await.expect(200);
    one.says(&["00DSB00000000072AA"]).keeps_quiet_of(&["others"]);
    // With so many it is typed: the id, or the name of a connection.
    let far = visitor.get("/dashboard/health?org=+conn-00100+").await.expect(200);
    far.says(&["value=\"00DSB00000001002AA\"", "Tokens handed out, by app"]);
    visitor
        .get("/dashboard/health?org=%3Cb%3Enobody")
        .await
        .expect(200)
        .says(&["value=\"&#60;b&#62;nobody\""]);
}

/// What the legends of the charts of tokens say.
fn legends(page: &str) -> Vec<&str> {
    let charts = page.split("<figure class=\"chart\">").filter(|chart| {
        ["tokens-by-app", "tokens-by-org", "refreshes"]
            .iter()
            .any(|id| chart.contains(&format!("id=\"{id}-caption\"")))
    });
    charts
        .flat_map(|chart| chart.split("</svg> ").skip(1).map(|rest| rest.split("</li>").next().unwrap()))
        .collect()
}

/// The same, with `others …` for `101 others …`.
fn told(page: &str) -> Vec<&str> {
    let short = |legend: &'_ str| legend.find("others ").unwrap_or_default();
    legends(page).into_iter().map(|legend| &legend[short(legend)..]).collect()
}

#[tokio::test]
async fn counting_ahead_changes_no_chart_and_nothing_is_counted_twice() {
    let (stack, visitor) = filled().await;
    let addon = stack.tenant.addon;
    let pages = ["", "?window=week", "?app=APP", "?org=ORG", "?org=ORG&app=APP", "?org=ORG&window=hour"].map(
        |query| query.replace("APP", &stack.tenant.app.to_string()).replace("ORG", "00DSB00000000072AA"),
    );
    let all = async || {
        let mut texts = Vec::new();
        for query in &pages {
            texts.push(visitor.get(&format!("/dashboard/health{query}")).await.expect(200).text);
        }
        texts
    };
    let before = all().await;
    assert!(legends(&before[0]).contains(&"large-app <b>2250</b> tokens"), "{:?}", legends(&before[0]));
    for _ in 0..3 {
        stack.reconcile("activity counts").await;
        for (before, now) in before.iter().zip(all().await) {
            // Of orgs that were put together nobody knows any more how many they are.
            assert_eq!(told(before), told(&now));
        }
    }
    // What comes later, or is written late, is there at once, and once.
    let record = async |action: &'static str| {
        let app = stack.server.app();
        let mut tx = app.store.begin().await.unwrap();
        let actor = applink_server::audit::Actor::system();
        tx.audit(applink_server::audit::Entry::new(&actor, action, addon, uuid::Uuid::nil()));
        tx.commit().await.unwrap();
    };
    record("grant.dead").await;
    for _ in 0..2 {
        visitor.get("/dashboard/health").await.expect(200).says(&["ended by the org <b>1</b> times"]);
        stack.reconcile("activity counts").await;
    }
    record("grant.dead").await;
    visitor.get("/dashboard/health").await.expect(200).says(&["ended by the org <b>2</b> times"]);
}

#[tokio::test]
async fn of_a_half_hour_that_is_over_a_hundred_orgs_are_told_apart_and_no_token_is_lost() {
    let (stack, visitor) = filled().await;
    stack.reconcile("activity counts").await;
    stack.advance(3 * 3600);
    stack.reconcile("activity counts").await;
    let page = visitor.get("/dashboard/health").await.expect(200);
    let by_org: u64 = legends(&page.text)
        .iter()
        .filter(|text| text.starts_with("00DSB") || text.contains("others"))
        .map(|text| text.split("<b>").nth(1).unwrap().split('<').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(by_org, 2_250, "{:?}", legends(&page.text));
    let others = legends(&page.text).into_iter().find(|text| text.contains("others")).unwrap();
    assert!(others.starts_with("others <b>"), "nobody counted how many they are: {others}");
    // One org alone is never put together with others.
    let one = visitor.get("/dashboard/health?org=00DSB00000000072AA").await.expect(200);
    let legends = legends(&one.text);
    for text in ["large-app <b>21</b> tokens", "00DSB00000000072AA <b>21</b> tokens"] {
        assert!(legends.contains(&text), "{text}: {legends:?}");
    }
}

#[tokio::test]
async fn an_org_is_chosen_as_long_as_there_are_few_however_many_use_it() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    stack.authorize("worker").await;
    stack.copy_authorization("worker", 110).await;
    let few = Many { connections: 0, authorizations: 99, publications: 0, events: 0, invocations: 0 };
    let visitor = fill(&stack, few).await;
    let chosen = "<select id=\"org\"";
    visitor.get("/dashboard/health").await.expect(200).says(&[chosen, "00DSB00000000992AA"]);
    // The 101st.
    let app = stack.server.app();
    let more = "UPDATE credentials SET org_id = '00DSB00000999992AA' WHERE name = 'worker1'";
    let tx = app.store.begin().await.unwrap();
    tx.execute_unprepared(more).await.unwrap();
    tx.commit().await.unwrap();
    visitor
        .get("/dashboard/health")
        .await
        .expect(200)
        .says(&["<input type=\"text\" id=\"org\""])
        .keeps_quiet_of(&[chosen]);
}

/// The lines of *Used by* on an authorization's page.
async fn used_by(visitor: &Visitor, name: &str) -> Vec<String> {
    let page = visitor.get(&format!("/dashboard/authorizations/{name}")).await.expect(200).text;
    let section = page.split("Used by").nth(1).unwrap().split("</section>").next().unwrap();
    section.split("<dt>").skip(1).map(|line| line.split("\" title").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_uses_an_authorization_is_told_from_the_whole_log() {
    let stack = Stack::with(|config| config.access.sso_salt = Some(SALT.into())).await;
    stack.authorize("worker").await;
    stack.token_of("worker").await;
    // Longer ago than charts reach, and more than twenty thousand rows ago.
    stack.advance(40 * 86_400);
    let busy = Many { connections: 0, authorizations: 3, publications: 0, events: 20_500, invocations: 0 };
    let visitor = fill(&stack, busy).await;
    let before = (used_by(&visitor, "worker").await, used_by(&visitor, "auth_00001").await);
    assert!(before.0.len() == 1 && before.1.len() == 1, "{before:?}");
    assert!(before.0[0].contains("my-app") && before.0[0].contains("datetime=\"2026-01-01T"), "{before:?}");
    assert!(before.1[0].contains("datetime=\"2026-02-09T23:59:57"), "{before:?}");
    for _ in 0..2 {
        stack.reconcile("uses of authorizations").await;
        assert_eq!(before, (used_by(&visitor, "worker").await, used_by(&visitor, "auth_00001").await));
    }
    // All of it was read ahead.
    let app = stack.server.app();
    let reader = app.store.reader();
    let found = credentials::store::find(reader, stack.tenant.addon, Kind::Authorization, "worker").await;
    let id = found.unwrap().unwrap().id;
    let unread = "SELECT 1 AS one FROM audit_rows r LEFT JOIN audit_use_progress p ON p.segment = r.segment \
                  WHERE r.seq > COALESCE(p.upto, -1)";
    let unread = Statement::from_string(reader.get_database_backend(), unread);
    assert!(reader.query_all_raw(unread).await.unwrap().is_empty());
    // Another app, and then the first one again, long after.
    let fetch = async |who: &str| {
        stack.advance(60);
        let mut tx = app.store.begin().await.unwrap();
        let actor = Actor::new(ActorKind::App, who);
        tx.audit(Entry::new(&actor, "authorization.handed_out", stack.tenant.addon, id));
        tx.commit().await.unwrap();
    };
    fetch("other-app (X)").await;
    let first = before.0[0].split('<').next().unwrap();
    fetch(first).await;
    for _ in 0..2 {
        let now = used_by(&visitor, "worker").await;
        assert!(now[0].starts_with(first) && now[1].starts_with("other-app (X)"), "{now:?}");
        assert!(now.len() == 2 && now[0].contains("2026-02-10T00:02:00"), "{now:?}");
        stack.reconcile("uses of authorizations").await;
    }
    assert_eq!(used_by(&visitor, "auth_00001").await, before.1);
}

#[tokio::test]
async fn a_long_log_is_sent_as_a_file_row_by_row() {
    let (_stack, visitor) = filled().await;
    visitor.get("/dashboard/activity?what=event+2400").await.expect(200).says(&["authorization auth_00001"]);
    let csv = visitor.get("/dashboard/activity.csv?action=authorization.handed_out").await.expect(200).text;
    assert_eq!(csv.lines().count(), 1 + 2_250);
    assert!(csv.ends_with("\r\n") && csv.contains("\"'=event 1\""), "{}", &csv[..300]);
    let mut distinct: Vec<&str> = csv.lines().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 1 + 2_250, "no row is sent twice");
    let json = visitor.get("/dashboard/activity.json?action=grant.").await.expect(200).text;
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 250);
    for none in ["activity.json?who=nobody", "activity.csv?who=nobody"] {
        let file = visitor.get(&format!("/dashboard/{none}")).await.expect(200).text;
        assert!(file == "[]" || file == "at,who,kind,action,subject,detail\r\n", "{file}");
    }
}
