//! What is wrong is said with the place and what to do, and nothing is left half-done.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use applink_testkit::dev_stack::command;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::APPLINK;

/// Runs `applink dev --once` with `arguments` in `folder`: exit code and standard error.
async fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command(APPLINK, folder);
    let output = command.env_remove("APPLINK_LOG").arg("--once").args(arguments).output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn a_taken_port_names_the_flag_that_changes_it() {
    for (flag, part) in [
        ("--port", "control plane"),
        ("--org-port", "org"),
        ("--sandbox-port", "sandbox org"),
        ("--mesh-port", "mesh"),
        ("--app-port", "app"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let mut command = tokio::process::Command::new(APPLINK);
        command.args(["dev", "--once", "--state-dir", "state"]).current_dir(folder.path());
        for other in ["--port", "--org-port", "--sandbox-port", "--mesh-port", "--app-port"] {
            command.args([other, if other == flag { &port } else { "0" }]);
        }
        let output = command.output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag}: {text}");
        assert!(text.contains(&format!("port {port} of the {part} is taken")), "{flag}: {text}");
        assert!(text.contains(&format!("choose another with {flag}")), "{flag}: {text}");
    }
}

#[tokio::test]
async fn an_org_that_would_move_away_from_its_connections_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = command(APPLINK, folder.path()).arg("--once").output().await.unwrap();
    assert_eq!(first.status.code(), Some(0));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = taken.local_addr().unwrap().port().to_string();
    let mut command = tokio::process::Command::new(APPLINK);
    command
        .args(["dev", "--once", "--state-dir", "state", "--org-port", &elsewhere])
        .current_dir(folder.path());
    let output = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("the org of this folder lives at port") && text.contains("--fresh"), "{text}");
}

#[tokio::test]
async fn a_state_folder_of_a_newer_applink_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("state.json"), r#"{"schema": 2}"#).unwrap();
    let (code, text) = refused(folder.path(), &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("newer AppLink (schema 2") && text.contains("--fresh"), "{text}");
    assert_eq!(std::fs::read_to_string(state.join("state.json")).unwrap(), r#"{"schema": 2}"#);
}

#[tokio::test]
async fn a_command_that_does_not_exist_or_ends_at_once_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = refused(folder.path(), &["--", "no-such-program-anywhere"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("no-such-program-anywhere"), "{text}");
    let (code, text) = refused(folder.path(), &["--fresh", "--", "false"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("ended before it listened"), "{text}");
}

#[tokio::test]
async fn an_unknown_key_in_the_mesh_file_of_the_app_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "mesh:\n  authentication:\n    bypassRouts: [/public]\n";
    std::fs::write(folder.path().join("heroku-applink-service-mesh.yaml"), yaml).unwrap();
    let (code, text) = refused(folder.path(), &["--", "sh"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("bypassRouts") && text.contains('3'), "{text}");
}

#[tokio::test]
async fn an_unknown_step_lists_the_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = refused(folder.path(), &["--break", "everything"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("callbacks"), "{text}");
}

#[tokio::test]
async fn a_second_start_on_the_same_folder_is_refused_by_name() {
    let stack = applink_testkit::dev_stack::DevStack::start(APPLINK, &[]).await;
    let folder = stack.state_dir();
    let output = tokio::process::Command::new(APPLINK)
        .args(["dev", "--once", "--port", "0", "--org-port", "0", "--sandbox-port", "0", "--mesh-port", "0"])
        .args(["--app-port", "0", "--state-dir"])
        .arg(&folder)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("used by another `applink dev`"), "{text}");
}

#[tokio::test]
async fn ctrl_c_while_the_app_does_not_listen_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("app.pid");
    let script = format!("echo $$ > {}; exec sleep 600", mark.display());
    let mut dev = command(APPLINK, folder.path())
        .args(["--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let app = wait_for_pid(&mark).await;
    kill(Pid::from_raw(i32::try_from(dev.id().unwrap()).unwrap()), Signal::SIGINT).unwrap();
    let status = tokio::time::timeout(Duration::from_secs(60), dev.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    let gone = async {
        while kill(Pid::from_raw(app), None).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the app ends with the stack");
}

/// The app writes its process id as its first act.
async fn wait_for_pid(mark: &Path) -> i32 {
    let written = async {
        loop {
            if let Some(pid) = std::fs::read_to_string(mark).ok().and_then(|text| text.trim().parse().ok()) {
                return pid;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written).await.expect("the app starts")
}
#[tokio::test]
async fn a_proxy_in_the_environment_is_not_for_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(APPLINK, folder.path());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command.arg("--once").output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn the_sample_does_not_outlive_a_stack_that_was_killed() {
    let stack = applink_testkit::dev_stack::DevStack::start(APPLINK, &[]).await;
    let app = i32::try_from(stack.app_process()).unwrap();
    drop(stack);
    let gone = async {
        while kill(Pid::from_raw(app), None).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the sample ends by itself");
}
