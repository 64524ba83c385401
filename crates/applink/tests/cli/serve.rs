//! The control plane as its own process, set up and used with the other commands.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::applink::{Applink, OPERATOR_KEY, Ran, Running, applink};

/// 32 bytes, base64.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn serve() -> Applink {
    applink("serve --json")
        .env("APPLINK_BIND", "127.0.0.1:0")
        .env("DATABASE_URL", "sqlite://applink.db")
        .env("APPLINK_MASTER_KEY", MASTER_KEY)
        .env("APPLINK_OPERATOR_KEY", OPERATOR_KEY)
}

/// A control plane and its URL.
fn started() -> (Running, String) {
    let mut running = serve().spawn();
    let ready: Value = serde_json::from_str(&running.first_line()).unwrap();
    (running, ready["url"].as_str().unwrap().to_owned())
}

fn operate(url: &str, line: &str) -> Ran {
    let ran = applink(line).env("APPLINK_SERVER_URL", url).env("APPLINK_OPERATOR_KEY", OPERATOR_KEY).run();
    assert_eq!(ran.code, Some(0), "{line}: {ran}");
    ran
}

#[test]
fn an_operator_sets_up_an_app_that_then_finds_its_addon() {
    let (running, url) = started();
    operate(&url, "admin apps create my-app --url https://my-app.example");
    assert!(operate(&url, "admin apps").stdout.contains("https://my-app.example"));
    operate(&url, "admin apps set-url my-app https://moved.example");
    assert!(operate(&url, "admin apps").stdout.contains("https://moved.example"));
    let addon: Value =
        serde_json::from_str(&operate(&url, "admin addons create --app my-app --json").stdout).unwrap();
    let id = addon["id"].as_str().unwrap();
    let key = operate(&url, &format!("admin keys create --owner me@example.com --addon {id}")).stdout;

    let as_app = |line: &str| {
        applink(line)
            .env("HEROKU_APPLINK_API_URL", addon["api_url"].as_str().unwrap())
            .env("HEROKU_APPLINK_TOKEN", addon["token"].as_str().unwrap())
            .env("HEROKU_APP_ID", addon["app"]["id"].as_str().unwrap())
            .env("HEROKU_APP_NAME", "my-app")
    };
    insta::assert_snapshot!(as_app("connections").run(), @"
    exit: 0
    --- stdout
    There are no Heroku AppLink connections for app my-app.
    --- stderr
    ");
    insta::assert_snapshot!(as_app("authorizations:info nobody").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: developer name nobody doesn't exist on app my-app

    hint: `applink authorizations` lists the stored users
    ");
    let change = "salesforce:disconnect nothing --confirm nothing";
    insta::assert_snapshot!(as_app(change).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Disconnecting Salesforce connection nothing from my-app... !
    error: The add-on's token alone changes nothing: send an API key with scope `manage`, or x-addon-sso with it.

    hint: an add-on token can't change things: set APPLINK_API_KEY (`applink admin keys create` makes one)
    ");
    insta::assert_snapshot!(as_app(change).env("APPLINK_API_KEY", key.trim()).run(), @"
    exit: 1
    --- stdout
    --- stderr
    Disconnecting Salesforce connection nothing from my-app... !
    error: Salesforce connection nothing doesn't exist on app my-app

    hint: `applink connections` lists the connections
    ");

    running.signal(Signal::SIGTERM);
    let ran = running.finish();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        !ran.stderr.contains(key.trim()) && !ran.stderr.contains(addon["token"].as_str().unwrap()),
        "{ran}"
    );
}

#[test]
fn an_operator_moves_an_addon_between_apps_and_destroys_it() {
    let (running, url) = started();
    for app in ["my-app", "other-app"] {
        operate(&url, &format!("admin apps create {app}"));
    }
    let created = operate(&url, "admin addons create --app my-app --name applink-mine --json").stdout;
    let created: Value = serde_json::from_str(&created).unwrap();
    operate(&url, "admin addons attach applink-mine --app other-app --as SHARED");
    let listed = operate(&url, "admin addons").stdout;
    assert!(listed.contains("my-app as HEROKU_APPLINK, other-app as SHARED"), "{listed}");
    operate(&url, "admin addons detach applink-mine --app my-app");
    let as_app = || {
        applink("connections")
            .env("HEROKU_APPLINK_API_URL", created["api_url"].as_str().unwrap())
            .env("HEROKU_APPLINK_TOKEN", created["token"].as_str().unwrap())
            .env("HEROKU_APP_ID", created["app"]["id"].as_str().unwrap())
            .run()
    };
    assert_eq!(as_app().code, Some(1), "its token is void");
    let key = operate(&url, "admin keys create --owner ops@example.com --scope operate").stdout;
    let keys: Value = serde_json::from_str(&operate(&url, "admin keys --json").stdout).unwrap();
    assert!(key.starts_with(keys[0]["shown_prefix"].as_str().unwrap()));
    operate(&url, &format!("admin keys revoke {}", keys[0]["id"].as_str().unwrap()));
    assert!(operate(&url, "admin keys").stdout.contains("There are no API keys."));
    operate(&url, "admin addons destroy applink-mine --wait --confirm applink-mine");
    assert!(operate(&url, "admin addons").stdout.contains("There are no add-ons yet."));
    let removals: Value = serde_json::from_str(&operate(&url, "admin removals --json").stdout).unwrap();
    assert_eq!(removals[0]["stage"], "done");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn the_ledger_of_a_server_is_verified_once_it_stopped_with_an_anchor_out_of_its_log() {
    let mut running = serve().spawn();
    let ready: Value = serde_json::from_str(&running.first_line()).unwrap();
    operate(ready["url"].as_str().unwrap(), "admin apps create my-app");
    running.signal(Signal::SIGINT);
    let (ran, directory) = running.finish_and_keep();
    let verify = |line: &str, database: &str| {
        applink(line)
            .env("DATABASE_URL", &format!("sqlite://{}", directory.path().join(database).display()))
            .env("APPLINK_MASTER_KEY", MASTER_KEY)
            .run()
    };
    let whole = verify("audit verify", "applink.db");
    assert_eq!(whole.code, Some(0), "{whole}");
    assert!(whole.stderr.starts_with("walked ") && whole.stderr.contains("--anchor NUMBER:MAC"), "{whole}");

    // As the log has it: the segment was anchored as soon as it began.
    let line = ran.stderr.lines().find(|line| line.contains("audit anchor")).expect("an anchor in the log");
    let field =
        |name: &str| line.split([' ', ',']).find_map(|word| word.strip_prefix(name)).unwrap().to_owned();
    let (number, mac) = (field("number="), field("mac="));
    let whole = verify(&format!("audit verify --anchor {number}:{mac}"), "applink.db");
    assert_eq!(whole.code, Some(0), "{whole}");
    let cut = verify(&format!("audit verify --anchor 9:{mac}"), "applink.db");
    assert_eq!(cut.code, Some(1), "{cut}");
    assert!(cut.stdout.contains("anchor 9, kept outside, is not in the database"), "{cut}");
    for garbled in ["", "9", ":", "nine:abc"] {
        assert_eq!(
            verify(&format!("audit verify --anchor={garbled}"), "applink.db").code,
            Some(2),
            "{garbled}"
        );
    }

    let elsewhere = verify("audit verify", "nowhere.db");
    assert_eq!(elsewhere.code, Some(2), "{elsewhere}");
    assert!(elsewhere.stderr.contains("there is no database"), "{elsewhere}");
    assert!(!directory.path().join("nowhere.db").exists(), "verifying makes nothing");
}

#[test]
fn serve_without_a_master_key() {
    insta::assert_snapshot!(serve().without("APPLINK_MASTER_KEY").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: the settings can't be used
      APPLINK_MASTER_KEY: a master key is needed: make one with `openssl rand -base64 32`, set it as APPLINK_MASTER_KEY (or put it in a file named by APPLINK_MASTER_KEY_FILE), and keep a copy elsewhere: without it the database can't be read
    ");
}

#[test]
fn serve_with_a_key_and_a_key_file_says_that_only_one_can_be_the_key() {
    let ran = serve().env("APPLINK_MASTER_KEY_FILE", "master.key").run();
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(
        ran.stderr.contains("APPLINK_MASTER_KEY: set this or APPLINK_MASTER_KEY_FILE, not both"),
        "{ran}"
    );
}

#[test]
fn a_key_file_that_others_can_read_is_warned_about() {
    for (mode, is_warned_about) in [(0o600, false), (0o644, true)] {
        let mut running = applink("serve --json")
            .env("APPLINK_BIND", "127.0.0.1:0")
            .env("DATABASE_URL", "sqlite://applink.db")
            .env("APPLINK_MASTER_KEY_FILE", "master.key")
            .file_with_mode("master.key", MASTER_KEY, mode)
            .spawn();
        running.first_line();
        running.signal(Signal::SIGTERM);
        let ran = running.finish();
        assert_eq!(
            ran.stderr.contains("others on this machine can read the master key"),
            is_warned_about,
            "{ran}"
        );
    }
}

#[test]
fn serve_with_settings_that_are_wrong_names_each() {
    let ran = serve().env("APPLINK_BIND", "nowhere").env("APPLINK_OAUTH_CONFIRM", "sometimes").run();
    insta::assert_snapshot!(ran, @"
    exit: 2
    --- stdout
    --- stderr
    error: the settings can't be used
      APPLINK_BIND: write an IP address and a port, such as 0.0.0.0:7700
      APPLINK_OAUTH_CONFIRM: write `always` or `never`
    ");
}

#[test]
fn serve_on_a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    insta::assert_snapshot!(serve().env("APPLINK_BIND", &address).hide(&address).run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: [HOST] is in use: stop what listens there, or choose another address with APPLINK_BIND
    ");
}

/// A file of `/proc` about a process.
#[cfg(target_os = "linux")]
fn about(running: &Running, file: &str) -> String {
    let bytes = std::fs::read(format!("/proc/{}/{file}", running.id())).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_crashes_leaves_no_core_and_its_arguments_hold_no_secret() {
    let (running, url) = started();
    let limits = about(&running, "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let limits: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(limits, ["0", "0"], "{core}");
    let arguments = about(&running, "cmdline");
    assert!(arguments.contains("serve") && !arguments.contains(MASTER_KEY), "{arguments}");
    assert!(!arguments.contains(OPERATOR_KEY));
    operate(&url, "admin apps");
    running.signal(Signal::SIGABRT);
    assert!(!running.left_a_core());
}

#[test]
fn keys_are_rotated_by_command_and_the_old_one_may_go() {
    const NEW_KEY: &str = "HxweHRobGBkWFxQVEhMQEQ4PDA0KCwgJBgcEBQIDAAE=";
    let mut running = serve().env("APPLINK_MASTER_KEY", NEW_KEY).spawn();
    running.first_line();
    running.signal(Signal::SIGTERM);
    let directory = running.stop();
    let database = format!("sqlite://{}", directory.path().join("applink.db").display());
    let wrong = serve().env("DATABASE_URL", &database).run();
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("is not the one this database was sealed with"), "{wrong}");
    let mut running =
        serve().env("DATABASE_URL", &database).env("APPLINK_PREVIOUS_MASTER_KEYS", NEW_KEY).spawn();
    let ready: Value = serde_json::from_str(&running.first_line()).unwrap();
    let url = ready["url"].as_str().unwrap();
    let before = operate(url, "admin vault status").stdout;
    assert!(before.contains("in use") && before.contains("`applink admin vault rotate-master`"), "{before}");
    operate(url, "admin vault rotate-master");
    operate(url, "admin apps create my-app");
    let after = operate(url, "admin vault status").stdout;
    assert!(after.contains("rotation of the master key"), "{after}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn serve_with_a_config_file_that_is_missing() {
    insta::assert_snapshot!(serve().arg("--config").arg("nowhere.toml").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: can't read nowhere.toml
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn the_mesh_passes_the_exit_code_of_the_app_on() {
    // Neither mesh nor app takes port 0, so free ones are looked for, both held until both are known.
    let free = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [port, app_port] = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
    drop(free);
    let mesh = |script: &str| {
        applink(&format!("mesh --port {port} -- sh -c"))
            .arg(script)
            .env("APP_PORT", &app_port.to_string())
            .env("HEROKU_APPLINK_API_URL", "http://127.0.0.1:1/addons/01234567-89ab-cdef-0123-456789abcdef")
            .env("HEROKU_APPLINK_TOKEN", crate::applink::TOKEN)
            .env("HEROKU_APP_ID", crate::fake::APP)
            .run()
    };
    assert_eq!(mesh("exit 7").code, Some(7));
    let usage = applink("mesh --port").run();
    assert_eq!(usage.code, Some(2), "{usage}");
    assert!(applink("mesh --help").run().stdout.starts_with("Usage: applink-mesh"));
}
