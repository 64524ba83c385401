//! New apps: their documents can be published, their tests pass, and nothing that exists is written over.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::applink::applink;

/// Makes an app of `template`, checks its document, and runs `test` in it.
fn made(template: &str, test: &[&str]) {
    let started = applink(&format!("init my-app --template {template}"));
    let (mut command, folder) = started.into_command();
    assert!(command.status().unwrap().success());
    let app = folder.path().join("my-app");
    for file in ["api-spec.yaml", "Procfile", "README.md", ".gitignore"] {
        let text = std::fs::read_to_string(app.join(file)).unwrap();
        assert!(!text.contains('@') || text.contains("@heroku"), "{template}/{file}: {text}");
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_applink"))
        .args(["spec:check", "api-spec.yaml", "--json"])
        .current_dir(&app)
        .output()
        .unwrap();
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{report}");
    let procfile = std::fs::read_to_string(app.join("Procfile")).unwrap();
    assert!(procfile.starts_with("web: applink-mesh -- "), "{procfile}");
    if let Some((program, arguments)) = test.split_first() {
        ran(program, arguments, &app);
    }
}

fn ran(program: &str, arguments: &[&str], app: &Path) {
    let output = Command::new(program).args(arguments).current_dir(app).output();
    let output = output.map_err(|error| format!("{program}: {error}; the tests need it")).unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_node_app() {
    made("node", &["node", "--test"]);
}

#[test]
fn a_python_app() {
    made("python", &["python3", "-m", "unittest"]);
}

/// Its code is compiled into these tests (see `cli.rs`) and its own tests run among them. Cargo only says here that the
/// manifest and what it asks of the SDK go together.
#[test]
fn a_rust_app() {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../applink-sdk");
    let (mut command, folder) =
        applink("init my-app --template rust").arg("--sdk-path").arg(sdk).into_command();
    assert!(command.status().unwrap().success());
    let app = folder.path().join("my-app");
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    std::fs::copy(lock, app.join("Cargo.lock")).unwrap();
    ran(env!("CARGO"), &["metadata", "--offline", "--format-version", "1"], &app);
    made("rust", &[]);
}

#[test]
fn what_it_says() {
    insta::assert_snapshot!(applink("init my-app").run(), @"
    exit: 0
    --- stdout
    my-app/api-spec.yaml
    my-app/Procfile
    my-app/README.md
    my-app/app.js
    my-app/server.js
    my-app/package.json
    my-app/test/app.test.js
    my-app/.gitignore
    --- stderr

    Next: cd my-app, `npm install`, then `applink dev -- node server.js`; README.md has the rest.
    ");
}

#[test]
fn nothing_that_exists_is_written_over() {
    insta::assert_snapshot!(applink("init my-app").file("my-app/mine", "").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: my-app is there already; nothing was written

    hint: name a directory that doesn't exist yet
    ");
    insta::assert_snapshot!(applink("init My_App").run(), @"
    exit: 1
    --- stdout
    --- stderr
    error: `My_App` can't be the name of an app

    hint: 3 to 30 lower-case letters, digits and `-`, a letter first: my-app
    ");
}

/// Runs `init` with a limit to the size of files that its first file, the document, is over.
fn with_too_little_space(folder: &Path, directory: &str) -> String {
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" init \"$1\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_applink"), directory])
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), [].as_slice()), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_can_t_be_written_whole_is_not_there_at_all() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(with_too_little_space(folder.path(), "apps/my-app"), @"
    error: can't write apps/my-app/api-spec.yaml; nothing was left behind
      caused by: File too large (os error 27)
    ");
    assert_eq!(entries(folder.path()), 0);

    // A directory that was there and empty is so afterwards.
    std::fs::create_dir(folder.path().join("my-app")).unwrap();
    with_too_little_space(folder.path(), "my-app");
    assert_eq!((entries(folder.path()), entries(&folder.path().join("my-app"))), (1, 0));
}

#[test]
fn an_empty_directory_is_filled_and_stays_the_same_directory() {
    use std::os::unix::fs::MetadataExt as _;
    let (mut command, folder) = applink("init .").inside("my-app").into_command();
    let app = folder.path().join("my-app");
    let before = std::fs::metadata(&app).unwrap().ino();
    assert!(command.status().unwrap().success());
    assert_eq!((entries(&app), std::fs::metadata(&app).unwrap().ino()), (8, before));
}

/// Whenever Ctrl-C comes, the app is there whole or not at all, and nothing else is.
#[test]
fn ctrl_c_leaves_no_part_of_an_app() {
    for moment in 0..30 {
        let running = applink("init my-app").spawn();
        // At any moment; the assertions hold at each.
        std::thread::sleep(Duration::from_micros(moment * 700));
        running.interrupt();
        let (ran, folder) = running.finish_and_keep();
        let there = folder.path().join("my-app").exists();
        assert_eq!(entries(folder.path()), usize::from(there), "{ran}");
        assert!(!there || entries(&folder.path().join("my-app")) == 8, "{ran}");
        assert!(there || ran.code != Some(0), "{ran}");
    }
}
