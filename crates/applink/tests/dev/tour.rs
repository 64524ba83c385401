//! The tour passes, and each of its steps is able to fail.

use applink_testkit::dev_stack::command;

use super::APPLINK;

/// Runs `applink dev --once` with `arguments`: exit code, and the tour as it was printed.
async fn tour(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = command(APPLINK, folder.path()).arg("--once").args(arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    if text.is_empty() {
        panic!("{}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.code(), text)
}

fn lines_with(mark: char, text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with(mark)).collect()
}

#[tokio::test]
async fn every_step_passes() {
    let (code, text) = tour(&[]).await;
    assert_eq!((lines_with('✓', &text).len(), lines_with('✗', &text).len()), (8, 0), "{text}");
    assert_eq!(code, Some(0));
    for seen in [
        "0 connections",
        "who logged in and agreed to",
        "5 campaigns read by the app in authorized-user mode",
        "ExternalServiceRegistration ProvisioningService",
        "4 of 8 opportunities seen: only the user's own",
        "4 custom metadata rows read in user-plus mode",
        "and refused again after the call",
        "started, completed for job",
        "intern@acme.example might not have the required permissions",
        "without headers: 401",
        "with a forged token: 403",
        "with a token of an org that isn't connected: 403",
    ] {
        assert!(text.contains(seen), "`{seen}` is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_one_made() {
    let folder = tempfile::tempdir().unwrap();
    for expected in ["who logged in and agreed to", "since an earlier start"] {
        let output = command(APPLINK, folder.path()).arg("--once").output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn with_json_standard_output_is_one_line_and_the_tour_is_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(APPLINK, folder.path()).args(["--once", "--json"]).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    assert_eq!(lines_with('✓', &String::from_utf8_lossy(&output.stderr)).len(), 8);
}

/// Breaks `step`: its line is a ✗ for `reason`, `others` more are not tried because of it, and the rest pass.
async fn breaks(step: &str, title: &str, reason: &str, others: usize) {
    let (code, text) = tour(&["--break", step]).await;
    assert_eq!(code, Some(1), "{text}");
    let failed = lines_with('✗', &text);
    assert!(failed.first().is_some_and(|line| line.contains(title)), "{text}");
    assert_eq!(failed.len(), 1 + others, "{text}");
    assert_eq!(text.matches("not tried").count(), others, "{text}");
    assert!(text.contains(reason), "`{reason}` is not in:\n{text}");
}

#[tokio::test]
async fn breaking_the_add_on() {
    breaks("addon", "add-on provisioned", "with the add-on's token", 7).await;
}

#[tokio::test]
async fn breaking_the_connection() {
    breaks("connect", "org connected", "Manage Heroku AppLink", 5).await;
}

#[tokio::test]
async fn breaking_the_authorization() {
    breaks("authorize", "authorization added", "denied", 0).await;
}

#[tokio::test]
async fn breaking_the_publication() {
    breaks("publish", "service published", "operationId", 3).await;
}

#[tokio::test]
async fn breaking_the_invocation() {
    breaks("invoke", "invoked as sales", "ProvisioningServicePermissions", 1).await;
}

#[tokio::test]
async fn breaking_the_callbacks() {
    breaks("callbacks", "callbacks received as sales", "made as Flow", 0).await;
}

#[tokio::test]
async fn breaking_the_refusal_of_the_intern() {
    breaks("intern", "invoked as intern", "let the intern through", 0).await;
}

#[tokio::test]
async fn breaking_the_mesh() {
    breaks("mesh", "refused by the mesh", "but not by the mesh", 0).await;
}

#[tokio::test]
async fn clicks_go_through_data_cloud_and_come_back_signed() {
    let (code, text) = tour(&["--data-cloud"]).await;
    assert_eq!((lines_with('✓', &text).len(), lines_with('✗', &text).len()), (3, 0), "{text}");
    assert_eq!(code, Some(0));
    for seen in [
        "lake is the Data Cloud of 00D",
        "looked 3 times at EDGE-GW-100",
        "a call with a wrong signature is refused: 403",
    ] {
        assert!(text.contains(seen), "`{seen}` is not in:\n{text}");
    }
}

#[tokio::test]
async fn breaking_data_cloud() {
    let (code, text) = tour(&["--data-cloud", "--break", "lake"]).await;
    assert_eq!((code, lines_with('✗', &text).len()), (Some(1), 2), "{text}");
    let (code, text) = tour(&["--data-cloud", "--break", "clicks"]).await;
    assert_eq!((code, lines_with('✗', &text).len()), (Some(1), 1), "{text}");
    assert!(
        text.contains("the app was not told of the clicks by Data Cloud: its newest call is pending"),
        "{text}"
    );
    assert!(text.contains("The app answered 403"), "{text}");
}

#[tokio::test]
async fn a_persons_own_app_runs_behind_the_mesh() {
    let (code, text) = tour(&["--", APPLINK, "sample"]).await;
    assert_eq!((code, lines_with('✓', &text).len()), (Some(0), 2), "{text}");
}
