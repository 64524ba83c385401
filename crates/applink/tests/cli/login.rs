//! An add-on that is remembered: its key in a keyring or in a file nobody else can read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::applink::{API_KEY, Applink, applink};
use crate::fake::{ADDON, Fake, connection, error};

const KEYRING: &str = "#!/bin/sh\n\
    folder=$HOME/keyring; mkdir -p \"$folder\"; printf '%s\\n' \"$*\" >> \"$folder/asked\"\n\
    case $1 in store) cat > \"$folder/key\";; lookup) cat \"$folder/key\";; clear) rm \"$folder/key\";; esac\n";

fn service() -> Fake {
    Fake::start().on(
        "GET /connections",
        200,
        json!([connection("production_org", "connected", "SalesforceOrg")]),
    )
}

fn login(fake: &Fake, home: &Path) -> Applink {
    let line = format!("login {} --app-name my-app", fake.url(&format!("/addons/{ADDON}")));
    at(&line, fake, home).stdin(&format!("{API_KEY}\n"))
}

fn at(line: &str, fake: &Fake, home: &Path) -> Applink {
    applink(line).env("HOME", home.to_str().unwrap()).hide(&fake.host())
}

#[test]
fn without_a_keyring_a_private_file_has_the_key() {
    let (fake, home) = (service(), tempfile::tempdir().unwrap());
    insta::assert_snapshot!(login(&fake, home.path()).env("PATH", "/nowhere").run(), @"
    exit: 0
    --- stdout
    --- stderr
    Logged in to [HOST]; the key is in a file that only you can read.
    ");
    let file = home.path().join(".config/applink/login.env");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = at("connections", &fake, home.path()).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fake.seen()[1].header("authorization"), format!("Bearer {API_KEY}"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ran = at("connections", &fake, home.path()).run();
    assert_eq!((ran.code, fake.seen().len()), (Some(1), 2), "{ran}");
    assert!(ran.stderr.contains("others can read"), "{ran}");

    let ran = at("logout", &fake, home.path()).run();
    assert_eq!((ran.code, ran.stderr.as_str(), file.exists()), (Some(0), "Logged out.\n", false));
    assert_eq!(at("logout", &fake, home.path()).run().stderr, "Nobody was logged in.\n");
}

#[test]
fn a_keyring_gets_the_key_through_its_standard_input() {
    let (fake, home) = (service(), tempfile::tempdir().unwrap());
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("secret-tool"), KEYRING).unwrap();
    std::fs::set_permissions(bin.join("secret-tool"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    insta::assert_snapshot!(login(&fake, home.path()).env("PATH", &path).run(), @"
    exit: 0
    --- stdout
    --- stderr
    Logged in to [HOST]; the key is in the keyring.
    ");
    let file = std::fs::read_to_string(home.path().join(".config/applink/login.env")).unwrap();
    let asked = std::fs::read_to_string(home.path().join("keyring/asked")).unwrap();
    assert!(!file.contains(API_KEY) && !asked.contains(API_KEY), "{file}{asked}");
    let ran = at("connections", &fake, home.path()).env("PATH", &path).run();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(fake.seen()[1].header("authorization"), format!("Bearer {API_KEY}"));
    at("logout", &fake, home.path()).env("PATH", &path).run();
    assert!(!home.path().join("keyring/key").exists());
}

#[test]
fn a_key_that_does_not_work_is_not_remembered() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::start().on(
        "GET /connections",
        401,
        error("unauthorized", "Send `Authorization: Bearer` with a key."),
    );
    insta::assert_snapshot!(login(&fake, home.path()).run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: Send `Authorization: Bearer` with a key.
      nothing was remembered

    hint: check the add-on token or the API key: it may be of another add-on, or have been replaced
    ");
    assert!(!home.path().join(".config").exists());
    let ran = login(&fake, home.path()).stdin("").run();
    assert_eq!((ran.code, fake.seen().len()), (Some(1), 1), "{ran}");
}
