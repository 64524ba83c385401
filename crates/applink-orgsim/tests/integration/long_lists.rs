//! Lists with hundreds of lines: every one of them can be reached page by page, and found.

use applink_orgsim::db::{Database, DbError, Tx};
use applink_orgsim::{Clock, Entropy};

use super::support::TestOrg;
use super::support::app::App;
use super::support::browser::Browser;
use super::support::package::Package;

/// More than five pages.
const MANY: usize = 260;

/// Makes many of the first row that is like this, each changed.
fn copy(tx: &Tx<'_>, table: &str, which: &str, change: impl Fn(usize) -> String) -> Result<(), DbError> {
    tx.execute_batch(&format!("CREATE TEMP TABLE one AS SELECT * FROM {table} WHERE {which} LIMIT 1"))?;
    for number in 1..=MANY {
        tx.execute_batch(&format!(
            "UPDATE one SET {}; INSERT INTO {table} SELECT * FROM one",
            change(number)
        ))?;
    }
    Ok(tx.execute_batch("DROP TABLE one")?)
}

fn fill(tx: &Tx<'_>) -> Result<(), DbError> {
    let components = [
        ("ExternalServiceRegistration", "Many"),
        ("NamedCredential", "Named"),
        ("ExternalCredential", "Opener"),
    ];
    for (kind, name) in components {
        copy(tx, "_component", &format!("type = '{kind}'"), |number| {
            format!("full_name = '{name}{number:05}', id = '{kind}{number}'")
        })?;
    }
    copy(tx, "_deployment", "1", |number| {
        format!("id = '0Afmany{number:05}AAA', created_micros = {number}")
    })?;
    copy(tx, "\"PermissionSet\"", "\"Name\" = 'Provisioning'", |number| {
        format!("\"Id\" = '0PSmany{number:05}AAAA', \"Name\" = 'Many{number:05}'")
    })?;
    copy(tx, "_oauth_client", "1", |number| {
        let set =
            format!("json_set(definition, '$.name', 'Many{number:05}', '$.label', 'Client {number:05}')");
        format!("consumer_key = 'key{number}', name = 'Many{number:05}', definition = {set}")
    })?;
    copy(tx, "_grant", "1", |number| format!("id = 'grant{number}', refresh_token = NULL"))?;
    copy(tx, "_login", "1", |number| {
        format!("id = 1000 + {number}, username = 'many{number:05}@acme.example', micros = {number}")
    })?;
    copy(tx, "\"User\"", "\"Username\" LIKE 'intern@%'", |number| {
        format!("\"Id\" = '005many{number:05}AAAA', \"Username\" = 'many{number:05}@acme.example'")
    })?;
    let row = "INSERT INTO _invocation VALUES ('08Pone', 'r', 'Provisioning', 'status', \
        (SELECT \"Id\" FROM \"User\" WHERE \"Username\" LIKE 'sales@%'), 'apex', 's', 'ended', 0, 0, 200, 0)";
    tx.execute_batch(row)?;
    copy(tx, "_invocation", "1", |number| format!("id = '08Pmany{number:05}', created_micros = {number}"))?;
    let row = "INSERT INTO _callback SELECT 1, id, 'progress', user_id, 1, 0, '{}', NULL FROM _invocation WHERE id = '08Pone'";
    tx.execute_batch(row)?;
    copy(tx, "_callback", "1", |number| {
        format!("id = {number} + 1, invocation_id = '08Pmany{number:05}', body = '{{\"number\": {number}}}'")
    })
}

async fn filled(directory: &tempfile::TempDir) -> (TestOrg, App) {
    let org = TestOrg::start_with(|config| config.state_dir = Some(directory.path().to_owned())).await;
    let app = App::start().await;
    org.deploy("admin", &Package::service(&app.url)).await;
    org.tokens_of("sales").await;
    let path = directory.path().join("org.db");
    let database = Database::open(Some(&path), Clock::fixed(0), Entropy::seeded(1), "Sm1").unwrap();
    database.write(fill).unwrap();
    (org, app)
}

/// List, the parameter that counts its pages, what is searched for, and what the one line that is found says.
const LISTS: [(&str, &str, &str, &str); 13] = [
    ("/setup/external-services", "page", "many00259", "Delete Many00259"),
    ("/setup/heroku-apps", "page", "many00001", "/setup/heroku-apps/Many00001"),
    ("/setup/api-catalog", "page", "many00002", "/setup/external-services/Many00002"),
    ("/invoke", "page", "many00003", "/invoke/Many00003/"),
    ("/setup/named-credentials", "named", "named00004", "<th scope=\"row\">Named00004</th>"),
    ("/setup/named-credentials", "external", "opener00005", "<th scope=\"row\">Opener00005</th>"),
    ("/setup/permission-sets", "page", "MANY00006", ">Many00006</a>"),
    ("/setup/external-client-apps", "page", "client 00007", ">Client 00007</a>"),
    ("/setup/connected-apps-oauth-usage", "page", "many00008", ">Client 00008</a>"),
    ("/setup/deployment-status", "page", "0AFmany00009", "0Afmany00009AAA"),
    ("/setup/login-history", "page", "many00010@", "many00010@acme.example"),
    ("/setup/users", "page", "MANY00011", "many00011@acme.example"),
    ("/arrivals", "invocations", "08pmany00012", "/arrivals/08Pmany00012"),
];

#[tokio::test]
async fn every_line_of_a_long_list_is_on_some_page_and_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (org, _app) = filled(&directory).await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    for (path, key, find, line) in LISTS {
        let first = admin.page(path).await;
        assert!(first.contains(" of 26") && first.contains("rel=\"next\""), "{path} is cut: {first}");
        let pages = ["1", "2", "3", "4", "5", "6"];
        let mut on = Vec::new();
        for number in pages {
            let page = admin.page(&format!("{path}?{key}={number}")).await;
            if page.contains(line) {
                on.push(number);
            }
        }
        assert_eq!(on.len(), 1, "{path}: `{line}` is on pages {on:?}");
        let far = admin.page(&format!("{path}?{key}=999999999999")).await;
        assert!(far.contains("rel=\"prev\""), "{path}: behind the last page is the last: {far}");
        let query = find.replace(' ', "+").replace('@', "%40");
        let found = admin.page(&format!("{path}?find={query}")).await;
        assert!(found.contains(line) && !found.contains("rel=\"next\""), "{path} finds {find}: {found}");
        let nothing = admin.page(&format!("{path}?find=%25%3Cb%3E")).await;
        assert!(!nothing.contains(line) && nothing.contains("value=\"%&#60;b&#62;\""), "{path}: {nothing}");
        assert!(nothing.contains("Show all."), "{path} leads back: {nothing}");
    }
}

#[tokio::test]
async fn parts_of_pages_are_paged_too_and_a_tab_stays_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let (org, _app) = filled(&directory).await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let catalog = admin.page("/setup/api-catalog?tab=heroku&page=2&find=many").await;
    assert!(catalog.contains("/setup/api-catalog?page=3&#38;find=many&#38;tab=heroku"), "{catalog}");
    assert!(catalog.contains("name=\"tab\" value=\"heroku\""), "{catalog}");
    let callbacks = admin.page("/arrivals?callbacks=6").await;
    assert!(
        callbacks.contains("251–261 of 261") && callbacks.contains("&#34;number&#34;: 9\n"),
        "{callbacks}"
    );
    let user = format!("/setup/users/{}", org.user("intern").user_id);
    let page = admin.page(&format!("{user}?page=6&find=many")).await;
    assert!(page.contains("251–260 of 260") && page.contains("Many00260"), "{page}");
    let saved =
        admin.fill_in(&user, &user, &[("shown", "0PSmany00260AAAA"), ("has", "0PSmany00260AAAA")]).await;
    assert_eq!(saved.status(), 303);
    assert!(admin.page("/setup/permission-sets?find=many00260").await.contains("1 user"), "it was ticked");
    let grants = admin.page("/setup/connected-apps-oauth-usage/AppLink_Control_Plane?page=6").await;
    assert!(grants.contains(" of 26"), "{grants}");
    // Whoever may not see Setup has their own only.
    let mut sales = Browser::logged_in(&org, "sales").await;
    assert!(sales.page("/arrivals?invocations=6").await.contains("251–261 of 261"));
    let mut intern = Browser::logged_in(&org, "intern").await;
    assert!(!intern.page("/arrivals?find=08pmany").await.contains("08Pmany"));
}

/// Names beside the many that are not Latin, or look like patterns.
fn name_some(tx: &Tx<'_>) -> Result<(), DbError> {
    tx.execute_batch(
        "UPDATE \"User\" SET \"Name\" = 'Ольга Иванова', \"Username\" = 'olga100%_x@acme.example' WHERE \"Id\" = '005many00011AAAA'; \
         UPDATE _login SET username = 'ΣΊΣΥΦΟΣ@acme.example', status = 'Success' WHERE id = 1010; \
         UPDATE \"Account\" SET \"Name\" = 'Ёлки Палки 100%' WHERE \"Id\" = (SELECT min(\"Id\") FROM \"Account\")",
    )?;
    Ok(())
}

#[tokio::test]
async fn words_are_found_in_any_casing_of_any_alphabet_and_mean_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let (org, _app) = filled(&directory).await;
    let path = directory.path().join("org.db");
    let database = Database::open(Some(&path), Clock::fixed(0), Entropy::seeded(2), "Sm1").unwrap();
    database.write(name_some).unwrap();
    let mut admin = Browser::logged_in(&org, "admin").await;
    for (path, find, found, line) in [
        ("/setup/users", "ИВАНОВА+ольга", 1, "olga100%_x@"),
        ("/setup/users", "иван+@ACME", 1, "olga100%_x@"),
        ("/setup/users", "%25", 1, "olga100%_x@"),
        ("/setup/users", "a_x", 0, "0 found."),
        ("/setup/users", "0%25_X", 1, "olga100%_x@"),
        ("/setup/users", "иванова+nobody", 0, "0 found."),
        ("/setup/login-history", "σίσυφος+success", 1, "ΣΊΣΥΦΟΣ@acme.example"),
        ("/setup/deployment-status", "SUCCEEDED+many00009", 1, "0Afmany00009AAA"),
        ("/arrivals", "PROVISIONING+08pmany00012", 1, "/arrivals/08Pmany00012"),
        ("/records/Account", "ПАЛКИ+ёлки", 1, "Ёлки Палки 100%"),
        ("/records/Account", "100%25", 1, "Ёлки Палки 100%"),
        ("/records/Account", "палки+nobody", 0, "value=\"палки nobody\""),
    ] {
        let page = admin.page(&format!("{path}?find={find}")).await;
        assert!(page.contains(line), "{path} finds {find}: {page}");
        if path.starts_with("/setup/") {
            assert!(
                page.contains(&format!("<p class=\"hint\">{found} found.")),
                "{path} finds {find}: {page}"
            );
        }
    }
}

#[tokio::test]
async fn of_what_is_searched_for_two_hundred_characters_count() {
    let directory = tempfile::tempdir().unwrap();
    let (org, _app) = filled(&directory).await;
    let mut admin = Browser::logged_in(&org, "admin").await;
    let paths = [
        "/setup",
        "/setup/users",
        "/setup/named-credentials",
        "/setup/api-catalog",
        "/arrivals",
        "/records/Account",
    ];
    for path in paths {
        let page = admin.page(&format!("{path}?find={}", "%D0%96".repeat(1_500))).await;
        assert!(page.contains(&format!("value=\"{}\"", "Ж".repeat(200))), "{path}: {page}");
        // As many words as there can be.
        let page = admin.page(&format!("{path}?find={}", "a+".repeat(1_500))).await;
        assert!(page.contains(&format!("value=\"{}", "a ".repeat(99))), "{path}: {page}");
    }
}
