//! The database takes no writes, or is gone: what was received is not lost, what was answered is in the ledger, no
//! refresh starts, and after a while the answer is 503.

#[path = "outages/damaged.rs"]
mod damaged;

use std::sync::Arc;

use applink_server::audit::recorder::Reads;
use applink_server::audit::verify::verify;
use applink_server::{Config, Server};
use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use tokio::sync::Notify;

use crate::backends::Backend;
use crate::fake_org::Reply;
use crate::own_postgres::OwnPostgres;
use crate::stack::{Stack, Tenant, seeded};

/// How the one writing connection of SQLite is kept from writing.
const READ_ONLY: (&str, &str) = ("PRAGMA query_only = ON", "PRAGMA query_only = OFF");
/// No page more than there are: what the disk being full looks like.
const FULL: (&str, &str) = ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823");

async fn pragma(stack: &Stack, sql: &str) {
    stack.server.app().store.database().writer().execute_unprepared(sql).await.unwrap();
}

async fn handed_out(stack: &Stack) -> usize {
    let app = stack.server.app();
    let rows =
        applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 10_000).await;
    rows.unwrap().iter().filter(|row| row.action == "authorization.handed_out").count()
}

async fn ledger_is_whole(stack: &Stack) {
    let app = stack.server.app();
    let report = verify(app.store.reader(), app.store.journal().keys(), None).await.unwrap();
    assert_eq!(report.findings, []);
}

/// Hands out until the spool has something; how often that was.
async fn hand_out_into_the_spool(stack: &Stack) -> usize {
    for count in 1..2000 {
        stack.token_of("worker").await;
        if !stack.server.app().spool.is_empty() {
            return count;
        }
    }
    panic!("the database still takes rows");
}

#[tokio::test]
async fn hand_outs_go_on_into_the_spool_while_the_database_takes_no_writes() {
    for (fails, works) in [READ_ONLY, FULL] {
        let stack = Stack::with(|config| config.limits.run_time_per_second = 0).await;
        if !stack.backend.is_sqlite {
            return;
        }
        stack.authorize("worker").await;
        pragma(&stack, fails).await;
        let count = hand_out_into_the_spool(&stack).await;
        for _ in 0..300 {
            stack.token_of("worker").await;
        }
        assert!(stack.server.app().spool.outage().is_on());
        let before = handed_out(&stack).await;
        assert!(before < count, "{before} of {count} are in the database");
        pragma(&stack, works).await;
        stack.reconcile("spool").await;
        assert_eq!(handed_out(&stack).await, count + 300, "each once");
        assert!(stack.server.app().spool.is_empty() && !stack.server.app().spool.outage().is_on());
        ledger_is_whole(&stack).await;
    }
}

#[tokio::test]
async fn reads_that_can_not_be_counted_are_counted_the_next_time() {
    let stack = Stack::with(|config| {
        config.audit_reads = Reads::PerMinute;
        config.spool.folder = None;
    })
    .await;
    if !stack.backend.is_sqlite {
        return;
    }
    let names = ["one", "two", "three"];
    for name in names {
        stack.authorize(name).await;
        for _ in 0..3 {
            stack.token_of(name).await;
        }
    }
    stack.advance(60);
    let app = stack.server.app();
    let settle = async || app.recorder.settle_reads(Some(app.clock.now())).await;
    pragma(&stack, READ_ONLY.0).await;
    settle().await.unwrap_err();
    pragma(&stack, READ_ONLY.1).await;
    // One of them is read again before they are counted.
    stack.token_of("one").await;
    stack.token_of("one").await;
    stack.advance(60);
    assert_eq!(settle().await.unwrap(), 3);
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 1000);
    let rows = rows.await.unwrap();
    let followed = |name: &str, count: usize| {
        let told = format!("{name} (and {count} more since the row before)");
        rows.iter().any(|row| row.action == "authorization.handed_out" && row.detail == told)
    };
    assert!(followed("two", 2) && followed("three", 2), "{rows:?}");
    assert!(followed("one", 1), "{rows:?}");
}

#[tokio::test]
async fn after_a_while_or_with_a_full_spool_nothing_is_handed_out() {
    let stack = Stack::with(|config| config.spool.limit = 4096).await;
    if !stack.backend.is_sqlite {
        return;
    }
    stack.authorize("worker").await;
    pragma(&stack, READ_ONLY.0).await;
    let mut given = 0;
    let refused = loop {
        let answer = stack.app(Method::GET, "/authorizations/worker", None).await;
        if !answer.status.is_success() {
            break answer;
        }
        given += 1;
    };
    assert!((2..40).contains(&given), "{given}");
    assert!(refused.headers.contains_key("retry-after"));
    refused.expect_error(503, "unavailable");
    pragma(&stack, READ_ONLY.1).await;
    stack.reconcile("spool").await;
    stack.token_of("worker").await;
    assert_eq!(handed_out(&stack).await, given + 1);

    pragma(&stack, READ_ONLY.0).await;
    stack.token_of("worker").await;
    stack.advance(600);
    stack.token_of("worker").await;
    stack.advance(299);
    stack.token_of("worker").await;
    stack.advance(1);
    let refused = stack.app(Method::GET, "/authorizations/worker", None).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.expect(503);
}

/// The org answers a refresh while the database takes no writes. The old refresh token is void by then.
async fn lose_the_commit(stack: &Stack) {
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("refresh", 1).await;
        pragma(stack, READ_ONLY.0).await;
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), meanwhile);
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!stack.server.app().spool.is_empty());
}

#[tokio::test]
async fn a_refresh_answer_that_can_not_be_committed_is_not_lost_and_no_refresh_starts_meanwhile() {
    let stack = Stack::start().await;
    if !stack.backend.is_sqlite {
        return;
    }
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.authorize("other").await;
    stack.advance(3600);
    lose_the_commit(&stack).await;
    stack.app(Method::GET, "/authorizations/other", None).await.expect(503);
    assert_eq!(stack.org.count("refresh"), 1, "no refresh starts");
    pragma(&stack, READ_ONLY.1).await;
    stack.token_of("other").await;
    assert!(stack.server.app().spool.is_empty(), "replayed before the refresh of the other");
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 2);
    stack.advance(3600);
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 3, "the rotated refresh token was kept");
    ledger_is_whole(&stack).await;
}

#[tokio::test]
async fn a_spool_is_replayed_at_the_next_start_before_anything_else() {
    let stack = Stack::start().await;
    if !stack.backend.is_sqlite {
        return;
    }
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.advance(3600);
    lose_the_commit(&stack).await;
    let spool = std::fs::read(stack.backend.folder().join("applink.db.spool/0.spool")).unwrap();
    assert!(!spool.windows(6).any(|window| window == b"canary"), "it is sealed");
    let Stack { server, org, clock, tenant, backend, .. } = stack;
    server.stop().await;
    let server = restarted(&backend, &org, clock.now()).await;
    assert!(server.app().spool.is_empty());
    let answer = token(server.url(), &tenant).await;
    assert_eq!(answer, 200);
    assert_eq!(org.count("refresh"), 1);
    server.stop().await;
}

async fn restarted(
    backend: &Backend,
    org: &crate::fake_org::FakeOrg,
    now: applink_api::time::Timestamp,
) -> applink_server::RunningServer {
    let (clock, _hand) = applink_api::clock::Clock::mock(now);
    let mut config: Config = Stack::config(backend, org, clock);
    config.entropy = seeded(1234);
    Server::start(config).await.unwrap()
}

async fn token(url: &str, tenant: &Tenant) -> u16 {
    let url = format!("{url}/addons/{}/authorizations/worker", tenant.addon);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).bearer_auth(&tenant.token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn postgres_is_stopped_and_started_again() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut backend = Backend::fresh().await;
    backend.url = postgres.url().parse().unwrap();
    let stack = Stack::on(backend, |config| config.spool.folder = Some(spool)).await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    stack.authorize("old").await;
    let token = stack.token_of("worker").await;

    postgres.down();
    assert_eq!(stack.token_of("worker").await, token, "from memory, recorded in the spool");
    let started = std::time::Duration::from_secs(5);
    for _ in 0..20 {
        let again = tokio::time::timeout(started, stack.token_of("worker")).await.expect("at once");
        assert_eq!(again, token);
    }
    let never = stack.app(Method::GET, "/authorizations/old", None).await;
    assert!(never.headers.contains_key("retry-after"), "{}", never.text);
    never.expect(503);
    let connect = serde_json::json!({"connection_name": "new"});
    stack.manager(Method::POST, "/connections/salesforce", Some(&connect)).await.expect(503);
    assert_eq!(stack.org.count("refresh"), 0);
    stack.advance(899);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(200);
    stack.advance(2);
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    assert_eq!(stack.org.count("refresh"), 0, "no refresh starts");

    postgres.up();
    stack.reconcile("spool").await;
    assert_eq!(handed_out(&stack).await, 23, "each once");
    ledger_is_whole(&stack).await;
    assert_ne!(stack.token_of("worker").await, token);
    assert_eq!(stack.org.count("refresh"), 1);
}

#[tokio::test]
async fn postgres_becomes_read_only_for_a_while() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut backend = Backend::fresh().await;
    backend.url = postgres.url().parse().unwrap();
    let stack = Stack::on(backend, |config| config.spool.folder = Some(spool)).await;
    stack.authorize("worker").await;
    let admin = sea_orm::Database::connect(postgres.url()).await.unwrap();
    let read_only = async |on: &str| {
        for sql in [
            &format!("ALTER DATABASE postgres SET default_transaction_read_only = {on}"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'applink' AND pid <> pg_backend_pid()",
        ] {
            admin.execute_unprepared(sql).await.unwrap();
        }
    };
    read_only("on").await;
    for _ in 0..10 {
        stack.token_of("worker").await;
    }
    assert!(stack.server.app().spool.outage().is_on());
    assert_eq!(handed_out(&stack).await, 0);
    let connect = serde_json::json!({"connection_name": "new"});
    stack.manager(Method::POST, "/connections/salesforce", Some(&connect)).await.expect(503);
    read_only("off").await;
    stack.reconcile("spool").await;
    assert_eq!(handed_out(&stack).await, 10);
    ledger_is_whole(&stack).await;
}

#[tokio::test]
async fn tokens_that_postgres_could_not_take_are_handed_out_from_the_spool_and_committed_later() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut backend = Backend::fresh().await;
    backend.url = postgres.url().parse().unwrap();
    let stack = Stack::on(backend, |config| config.spool.folder = Some(spool)).await;
    stack.org.script().rotate = true;
    stack.authorize("worker").await;
    let old = stack.token_of("worker").await;
    stack.advance(3600);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("refresh", 1).await;
        postgres.down();
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.app(Method::GET, "/authorizations/worker", None), meanwhile);
    let body = answer.expect(200).json();
    let new = body["org"]["user_auth"]["access_token"].as_str().unwrap().to_owned();
    assert_ne!(new, old, "durable in the spool, so it may be handed out");
    assert_eq!(stack.token_of("worker").await, new);
    postgres.up();
    stack.reconcile("spool").await;
    assert_eq!(stack.token_of("worker").await, new);
    assert_eq!(stack.org.count("refresh"), 1);
    stack.advance(3600);
    assert_ne!(stack.token_of("worker").await, new, "the rotated refresh token works");
    ledger_is_whole(&stack).await;
}

/// A stack on a PostgreSQL of its own, in an org that rotates; what keeps its spool comes with it.
async fn on(postgres: &OwnPostgres) -> (Stack, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let mut backend = Backend::fresh().await;
    backend.url = postgres.url().parse().unwrap();
    let stack = Stack::on(backend, |config| config.spool.folder = Some(spool)).await;
    stack.org.script().rotate = true;
    (stack, folder)
}

#[tokio::test]
async fn what_was_removed_or_replaced_is_not_handed_out_in_an_outage() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let (stack, _folder) = on(&postgres).await;
    for name in ["gone", "again", "renamed", "stays"] {
        stack.authorize(name).await;
        stack.token_of(name).await;
    }
    stack.manager(Method::DELETE, "/authorizations/gone", None).await.expect(200);
    let reconnect = serde_json::json!({"reconnect": true});
    let begun =
        stack.manager(Method::PATCH, "/authorizations/again", Some(&reconnect)).await.expect(202).json();
    let (callback, cookie) = stack.log_in(begun["redirect_uri"].as_str().unwrap()).await;
    stack.browse(&callback, Some(&cookie)).await.expect(200);
    let rename = serde_json::json!({"developer_name": "another"});
    stack.manager(Method::PATCH, "/authorizations/renamed", Some(&rename)).await.expect(200);
    postgres.down();
    for name in ["gone", "again", "renamed"] {
        stack.app(Method::GET, &format!("/authorizations/{name}"), None).await.expect(503);
    }
    stack.token_of("stays").await;
}

#[tokio::test]
async fn a_spool_left_by_a_process_that_is_gone_is_taken_over_by_one_that_runs() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let (stack, folder) = on(&postgres).await;
    stack.authorize("worker").await;
    let time = stack.clock.clone();
    let clock = applink_api::clock::Clock::from_fn(move || time.now());
    let mut config = Stack::config(&stack.backend, &stack.org, clock);
    config.entropy = seeded(99);
    config.spool.folder = Some(folder.path().join("spool"));
    let second = Server::start(config).await.unwrap();
    stack.advance(3600);
    let told = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&told)));
    let meanwhile = async {
        stack.org.asked("refresh", 1).await;
        postgres.down();
        told.notify_one();
    };
    let (status, ()) = tokio::join!(token(second.url(), &stack.tenant), meanwhile);
    assert_eq!(status, 503, "it never handed one out");
    assert!(!second.app().spool.is_empty());
    second.stop().await;
    postgres.up();
    stack.reconcile("spool").await;
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 1, "what the other received is used");
    stack.advance(3600);
    stack.token_of("worker").await;
    assert_eq!(stack.org.count("refresh"), 2, "and its refresh token works");
    let left = std::fs::read_dir(folder.path().join("spool")).unwrap().count();
    assert_eq!(left, 1, "its file is gone");
    ledger_is_whole(&stack).await;
}

#[tokio::test]
async fn postgres_answers_reads_while_its_commits_hang() {
    let Some(postgres) = crate::backends::server().and_then(|_| OwnPostgres::start()) else { return };
    let (stack, _folder) = on(&postgres).await;
    stack.authorize("worker").await;
    let token = stack.token_of("worker").await;
    let admin = sea_orm::Database::connect(postgres.url()).await.unwrap();
    // A standby that does not exist never confirms.
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let outage = stack.server.app().spool.outage();
    let limit = std::time::Duration::from_secs(10);
    let mut count = 1;
    while !outage.is_on() {
        let again = tokio::time::timeout(limit, stack.token_of("worker")).await.expect("in time");
        assert_eq!(again, token);
        count += 1;
    }
    for _ in 0..20 {
        let again = tokio::time::timeout(limit, stack.token_of("worker")).await.expect("in time");
        assert_eq!(again, token);
        count += 1;
    }
    stack.advance(3600);
    let refused = tokio::time::timeout(limit, stack.app(Method::GET, "/authorizations/worker", None)).await;
    refused.expect("in time").expect(503);
    assert_eq!(stack.org.count("refresh"), 0, "no refresh starts");
    for sql in ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"] {
        admin.execute_unprepared(sql).await.unwrap();
    }
    let spool = applink_server::reconcilers::ALL.iter().find(|one| one.name == "spool").unwrap();
    let replayed = async {
        while spool.run(stack.server.app()).await.is_err() || outage.is_on() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit * 6, replayed).await.expect("the database is back");
    // A row whose commit hung may be there twice, and none is lost.
    assert!((count..=count + 1).contains(&handed_out(&stack).await));
    assert_ne!(stack.token_of("worker").await, token);
    ledger_is_whole(&stack).await;
}
