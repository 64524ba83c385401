//! Secrets planted everywhere are found nowhere: not in logs at trace level, not in the database or its WAL, not in
//! answers that should not hold them.

use applink_api::clock::Clock;
use applink_server::audit::{Actor, store as ledger};
use applink_server::config::Confirm;
use applink_server::platform::{PlatformConfig, people};
use applink_server::vault::{MasterKey, MasterKeys};
use applink_server::{Config, Server};
use applink_testkit::figures::Figure;
use base64::Engine as _;
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::fake_org::{CONSUMER_KEY, CONSUMER_SECRET, Reply, SigningPair, USERNAME};
use crate::logs;
use crate::platform::SALT;
use crate::stack::{MASTER_KEY, OPERATOR_KEY, START, Stack};

/// Users whose grants are stored, each with secrets of its own.
const USERS: usize = 8;

/// What people who manage see of everything, none of which may hold a secret.
async fn look_at_everything(stack: &Stack) -> String {
    let mut seen = String::new();
    for path in
        ["/connections", "/authorizations", "/connections/prod", "/authorizations/worker", "/webhooks"]
    {
        seen.push_str(&stack.manager(Method::GET, path, None).await.text);
    }
    for path in
        ["/operator/apps", "/operator/addons", "/operator/keys", "/operator/vault", "/metrics", "/health"]
    {
        seen.push_str(&stack.operator(Method::GET, path, None).await.text);
    }
    seen
}

/// Requests with secrets where none belong: paths, queries, headers, bodies that can't be read. Returns what was answered.
async fn misplace(stack: &Stack, secrets: &[String]) -> String {
    let mut answered = String::new();
    for secret in secrets.iter().filter(|secret| !secret.contains([' ', '\n', '%', '/', '"'])) {
        for path in [format!("/addons/{secret}"), format!("/oauth/callback?state={secret}&code={secret}")] {
            answered.push_str(&stack.send(Method::GET, &path, &[], None).await.text);
        }
        let bearer = format!("Bearer {secret}x");
        let headers = [("authorization", bearer.as_str()), ("x-addon-sso", secret.as_str())];
        answered.push_str(&stack.send(Method::GET, "/operator/apps", &headers, None).await.text);
        let path = format!("/authorizations/{secret}");
        answered.push_str(&stack.app(Method::GET, &path, None).await.text);
        let body = json!({"developer_name": {"deep": secret}, "jwt_private_key": [secret]});
        answered
            .push_str(&stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.text);
    }
    answered
}

/// Everything a stack does with secrets. Returns them all.
async fn use_every_secret(stack: &Stack) -> Vec<String> {
    for user in 0..USERS {
        // An org keeps five grants of a user for one client; this is one user.
        let body = json!({"developer_name": format!("user{user}"), "force": true});
        let begun = stack.manager(Method::POST, "/authorizations/salesforce", Some(&body)).await.expect(202);
        let link = begun.json()["redirect_uri"].as_str().unwrap().to_owned();
        let (callback, cookie) = stack.log_in(&link).await;
        confirm(stack, &callback, &cookie).await;
        stack.token_of(&format!("user{user}")).await;
    }
    let body = json!({"connection_name": "prod", "force": true});
    let begun = stack.manager(Method::POST, "/connections/salesforce", Some(&body)).await.expect(202).json();
    let link = begun["redirect_uri"].as_str().unwrap().to_owned();
    let (callback, cookie) = stack.log_in(&link).await;
    let ticket = confirm(stack, &callback, &cookie).await;

    let key = SigningPair::generate("k");
    let body = json!({"client_id": CONSUMER_KEY, "developer_name": "worker", "username": USERNAME,
        "jwt_private_key": key.pem});
    stack.manager(Method::POST, "/authorizations/salesforce/jwt", Some(&body)).await.expect(202);
    stack.token_of("worker").await;
    stack.advance(3600);
    stack.token_of("worker").await;
    stack.advance(3600);
    stack.org.script().replies.push_back(Reply::Refuse("invalid_grant", "canary described"));
    stack.app(Method::GET, "/authorizations/worker", None).await.expect(503);
    stack
        .manager(Method::POST, "/connections/salesforce/jwt", Some(&json!({"jwt_private_key": 7})))
        .await
        .expect(422);
    stack.manager(Method::DELETE, "/connections/prod", None).await.expect(202);
    stack.reconcile("grants").await;

    let mut secrets = stack.org.script().secrets.clone();
    let pem_line = key.pem.lines().nth(3).unwrap().trim().to_owned();
    let state = callback.split("state=").nth(1).unwrap().to_owned();
    let cookie = cookie.split('=').nth(1).unwrap().to_owned();
    let one_time = link.rsplit('/').next().unwrap().to_owned();
    secrets.extend([pem_line, state, cookie, one_time, ticket]);
    secrets.extend([stack.tenant.token.clone(), stack.tenant.api_key.clone()]);
    secrets.extend([CONSUMER_SECRET.to_owned(), OPERATOR_KEY.to_owned(), SALT.to_owned()]);
    secrets.push(base64::engine::general_purpose::STANDARD.encode(MASTER_KEY));
    secrets.extend(platform_secrets(stack).await);
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// The person at the browser says yes. Returns the ticket of the form.
async fn confirm(stack: &Stack, callback: &str, cookie: &str) -> String {
    let page = stack.browse(callback, Some(cookie)).await.expect(200);
    let ticket =
        page.text.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let confirm = format!("{}/oauth/confirm", stack.server.url());
    stack.submit(&confirm, Some(cookie), &[("ticket", &ticket), ("decision", "connect")]).await.expect(200);
    ticket
}

/// The stand-in for the Platform API: a person's key, a config var, a token it keeps, a single sign-on.
async fn platform_secrets(stack: &Stack) -> Vec<String> {
    let app = stack.server.app();
    let name = format!("platform-{}", app.entropy.hex::<4>());
    let person = people::ensure(app, &Actor::system(), &format!("{name}@acme.example")).await.unwrap();
    let key = people::create_key(app, &Actor::system(), &person).await.unwrap();
    let key = key.key.expose_secret().to_owned();
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let call = async |method, path: &str, body: Value| {
        let body = (!body.is_null()).then_some(body);
        stack.send(method, path, &headers, body.as_ref()).await.json()
    };
    call(Method::POST, "/apps", json!({"name": name})).await;
    let vars = json!({"DATABASE_PASSWORD": format!("canary-config-var-{name}")});
    call(Method::PATCH, &format!("/apps/{name}/config-vars"), vars).await;
    let plan = json!({"plan": {"name": "heroku-applink"}});
    let addon = call(Method::POST, &format!("/apps/{name}/addons"), plan).await;
    stack.reconcile("platform add-ons").await;
    let vars = call(Method::GET, &format!("/apps/{name}/config-vars"), Value::Null).await;
    let sso = format!("/apps/{name}/addons/{}/sso", addon["id"].as_str().unwrap());
    let sso = call(Method::GET, &sso, Value::Null).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vec![
        key,
        format!("canary-config-var-{name}"),
        text(&vars["HEROKU_APPLINK_TOKEN"]),
        text(&sso["params"]["token"]),
        text(&sso["params"]["applink_person_mac"]),
    ]
}

#[tokio::test]
async fn no_secret_is_in_the_logs_or_in_the_database() {
    logs::record();
    let mut settings = String::new();
    let stack = Stack::with(|config| {
        config.oauth.confirm = Confirm::Always;
        config.platform = Some(PlatformConfig::default());
        config.access.sso_salt = Some(SALT.into());
        settings = format!("{config:?}");
    })
    .await;
    let secrets = use_every_secret(&stack).await;
    assert!(secrets.len() >= 50, "{} secrets are planted", secrets.len());
    let answered = misplace(&stack, &secrets).await + &look_at_everything(&stack).await;
    let debug = format!("{settings} {:?} {:?}", stack.server, stack.server.app().vault);
    for secret in &secrets {
        for (where_to, text) in [("an answer", &answered), ("what is printed for developers", &debug)] {
            assert!(!text.contains(secret.as_str()), "{} is in {where_to}", kind(secret));
        }
    }
    app_code_gets_only_its_access_token(&stack, &secrets).await;
    the_ledger_holds_none(&stack, &secrets).await;
    let folder = stack.backend.folder().to_owned();
    let (while_running, is_sqlite) = (files(&folder), stack.backend.is_sqlite);
    let backup = backup(&stack).await;
    let (org, backend) = (stack.org.clone(), stack.backend);
    stack.server.stop().await;
    a_backup_is_useless(backup, &secrets, Stack::config(&backend, &org, Clock::mock(START).0)).await;

    let logs = logs::recorded();
    assert!(
        logs.contains("request") && logs.lines().count() > 1000,
        "{} lines were captured",
        logs.lines().count()
    );
    // Other tests of this process log too, and what reconcilers do is behind no request.
    let mut deep = logs.lines().filter(|line| line.contains("a token refresh failed"));
    let says = deep.any(|line| line.contains("request_id="));
    assert!(says, "a line from a task behind a request says which");
    for secret in &secrets {
        assert!(secret.len() >= 8);
        assert!(
            !logs.contains(secret.as_str()),
            "{} is in the logs: {}",
            kind(secret),
            line_with(&logs, secret)
        );
    }
    if is_sqlite {
        assert!(while_running.iter().any(|(name, _)| name.ends_with("-wal")), "{:?}", names(&while_running));
    }
    let mut searched = 0;
    for (name, content) in while_running.into_iter().chain(files(&folder)) {
        searched += 1;
        for secret in &secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} is in {name}", kind(secret));
        }
    }
    Figure {
        promise: "39",
        what: format!(
            "{} planted secrets through every path: {} log lines at trace level, {searched} files of database, WAL and spool, every answer and error",
            secrets.len(),
            logs.lines().count(),
        ),
        measured: "0 found".to_owned(),
        promised: "0 of 50".to_owned(),
        kept: secrets.len() >= 50,
        seed: None,
    }
    .report();
}

/// Promise 40: what app code is answered holds the access token it asked for, and no other secret.
async fn app_code_gets_only_its_access_token(stack: &Stack, secrets: &[String]) {
    let mut found = 0;
    for user in 0..USERS {
        let path = format!("/authorizations/user{user}");
        let answer = stack.app(Method::GET, &path, None).await.expect(200);
        let token = answer.json()["org"]["user_auth"]["access_token"].as_str().unwrap().to_owned();
        let others = secrets.iter().filter(|secret| **secret != token);
        found += others.filter(|secret| answer.text.contains(secret.as_str())).count();
    }
    Figure {
        promise: "40",
        what: format!("refresh tokens, private keys, client secrets and foreign access tokens in {USERS} hand-outs and in every view of people who manage"),
        measured: format!("{found} found of {}", secrets.len()),
        promised: "0".to_owned(),
        kept: found == 0,
        seed: None,
    }
    .report();
}

/// Promise 48: the rows of the ledger, and the names beside them.
async fn the_ledger_holds_none(stack: &Stack, secrets: &[String]) {
    let reader = stack.server.app().store.reader();
    let rows = ledger::rows::Entity::find().all(reader).await.unwrap();
    let actors = ledger::actors::Entity::find().all(reader).await.unwrap();
    let text = format!("{rows:?} {actors:?}");
    let found: Vec<_> = secrets.iter().filter(|secret| text.contains(secret.as_str())).collect();
    Figure {
        promise: "48",
        what: format!("secrets in {} audit rows and {} names of actors", rows.len(), actors.len()),
        measured: format!("{} found of {}", found.len(), secrets.len()),
        promised: "0".to_owned(),
        kept: found.is_empty() && rows.len() > 50,
        seed: None,
    }
    .report();
}

/// What a thief of a backup has: the file, or every table as text.
async fn backup(stack: &Stack) -> Vec<u8> {
    let database = stack.server.app().store.database();
    if stack.backend.is_sqlite {
        let path = stack.backend.folder().join("backup.db");
        let sql = format!("VACUUM INTO '{}'", path.display());
        database.writer().execute_unprepared(&sql).await.unwrap();
        return std::fs::read(path).unwrap();
    }
    let rows = async |sql: &str, column: &str| -> Vec<String> {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let rows = database.reader().query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get("", column).unwrap()).collect()
    };
    let tables = "SELECT table_name::text AS name FROM information_schema.tables \
                  WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
    let mut dump = Vec::new();
    for table in rows(tables, "name").await {
        for line in rows(&format!("SELECT t::text AS line FROM {table} t"), "line").await {
            dump.extend(line.into_bytes());
        }
    }
    dump
}

/// Promise 38: nothing in it can be read, and another master key does not open it.
async fn a_backup_is_useless(backup: Vec<u8>, secrets: &[String], mut config: Config) {
    assert!(backup.len() > 10_000, "{} bytes", backup.len());
    let hex = |secret: &str| secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let holds = |text: &str| backup.windows(text.len()).any(|part| part == text.as_bytes());
    let found = secrets.iter().filter(|secret| holds(secret) || holds(&hex(secret))).count();
    config.master_keys = MasterKeys::new(MasterKey::from_bytes([1; 32]), Vec::new());
    let refused = Server::start(config).await.map(drop);
    let named = refused.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let names_both = [[1; 32], MASTER_KEY].iter().all(|key| named.contains(MasterKey::from_bytes(*key).id()));
    Figure {
        promise: "38",
        what: format!(
            "a backup of {} bytes, searched for {} secrets, then opened with another master key",
            backup.len(),
            secrets.len()
        ),
        measured: format!(
            "{found} found; {}",
            if names_both { "refused with both key ids" } else { "NOT refused" }
        ),
        promised: "0 of 50; refused".to_owned(),
        kept: found == 0 && names_both && secrets.len() >= 50,
        seed: None,
    }
    .report();
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_the_files_too() {
    let stack = Stack::start().await;
    stack.authorize("worker").await;
    stack.authorize("stays").await;
    let app = stack.server.app();
    let grants =
        async || applink_server::tokens::store::Entity::find().all(app.store.reader()).await.unwrap();
    let all = grants().await;
    let gone = all.iter().find(|grant| grant.credential_id == all[0].credential_id).unwrap().clone();
    let name = ["worker", "stays"];
    let mut ciphertexts = Vec::new();
    for sealed in [&gone.access_token, &gone.refresh_token] {
        let value: sea_orm::Value = sealed.clone().unwrap().into();
        let sea_orm::Value::Bytes(Some(bytes)) = value else { panic!("bytes") };
        ciphertexts.push(bytes);
    }
    let find = |ciphertext: &[u8]| {
        files(stack.backend.folder())
            .into_iter()
            .any(|(_, content)| content.windows(ciphertext.len()).any(|window| window == ciphertext))
    };
    if stack.backend.is_sqlite {
        assert!(ciphertexts.iter().all(|ciphertext| find(ciphertext)), "they are there before");
    }
    let mut kept = 0;
    for name in name {
        let record = stack.manager(Method::GET, &format!("/authorizations/{name}"), None).await.json();
        if record["id"].as_str().unwrap() == gone.credential_id.to_string() {
            stack.manager(Method::DELETE, &format!("/authorizations/{name}"), None).await.expect(200);
        } else {
            kept += 1;
        }
    }
    assert_eq!(kept, 1);
    stack.reconcile("grants").await;
    assert!(!stack.org.script().revoked.is_empty(), "revoked at the org");
    assert!(grants().await.iter().all(|grant| grant.id != gone.id));
    app.store.database().vacuum().await.unwrap();
    assert!(!ciphertexts.iter().any(|ciphertext| find(ciphertext)), "the ciphertext is still in a file");
    let rows = applink_server::audit::store::rows_of_addon(app.store.reader(), stack.tenant.addon, 100).await;
    assert!(rows.unwrap().iter().any(|row| row.action.contains("disconnect")), "the ledger knows");
}

fn kind(secret: &str) -> &str {
    secret.split('-').nth(1).unwrap_or("a secret")
}

fn line_with(logs: &str, secret: &str) -> String {
    logs.lines().find(|line| line.contains(secret)).unwrap_or_default().chars().take(200).collect()
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

fn files(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    found
}
