//! `cargo xtask figures credentials`: each promise about credentials with its measured figure.
//!
//! A figure is measured by a test, the same one that `cargo xtask test` runs in its short form: here it runs in the
//! tier `figures`, in a release build, and prints a line (`applink_testkit::figures::Figure`) that is read here.
//!
//! **To add a row**: let the test print a `Figure` and add the test to [`ROWS`]. A test without a line of its own is
//! shown as passed or failed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Build;
use crate::postgres::Postgres;

/// The tests that are compiled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Binary {
    /// `crates/applink-server/tests/integration.rs`
    Server,
    /// Unit tests of `applink-server`.
    ServerUnits,
    /// Unit tests of `applink-salesforce`.
    SalesforceUnits,
    /// `crates/applink-salesforce/tests/integration.rs`
    Salesforce,
    /// `crates/applink-sdk/tests/integration.rs`
    Sdk,
}

impl Binary {
    const ALL: [Self; 5] =
        [Self::Server, Self::ServerUnits, Self::SalesforceUnits, Self::Salesforce, Self::Sdk];

    fn package(self) -> &'static str {
        match self {
            Self::Server | Self::ServerUnits => "applink-server",
            Self::SalesforceUnits | Self::Salesforce => "applink-salesforce",
            Self::Sdk => "applink-sdk",
        }
    }

    /// As cargo calls its target.
    fn kind(self) -> &'static str {
        match self {
            Self::ServerUnits | Self::SalesforceUnits => "lib",
            Self::Server | Self::Salesforce | Self::Sdk => "test",
        }
    }
}

/// Where a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// SQLite, or no database at all.
    Sqlite,
    /// A PostgreSQL server of our own.
    Postgres,
}

/// One line of the table, or several when its test prints several figures.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The promise's number.
    promise: &'static str,
    /// The test that measures it, by its full name.
    test: &'static str,
    binary: Binary,
    engine: Engine,
}

const fn row(promise: &'static str, test: &'static str, binary: Binary, engine: Engine) -> Row {
    Row { promise, test, binary, engine }
}

/// Every row, by promise.
const ROWS: &[Row] = &[
    row(
        "1",
        "refresh::processes::a_thousand_requests_over_four_processes_cause_one_refresh",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "1",
        "refresh::processes::who_waits_in_another_process_gets_the_token_soon_after",
        Binary::Server,
        Engine::Postgres,
    ),
    row("1", "hand_out::fifty_requests_for_a_dead_token_cause_one_refresh", Binary::Server, Engine::Sqlite),
    row(
        "2",
        "refresh::processes::a_process_killed_while_it_refreshes_costs_no_grant_that_still_works",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "3",
        "refresh::schedules::no_schedule_loses_an_update_or_replays_what_still_works",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "3",
        "refresh::replay::the_database_follows_the_model_move_by_move",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "6",
        "orgsim::what_a_rotating_org_loses_costs_no_grant_that_still_works",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "6",
        "tokens::lease::tests::in_doubt_nothing_is_sent_while_the_token_lives_and_one_last_chance_after",
        Binary::ServerUnits,
        Engine::Sqlite,
    ),
    row(
        "6",
        "oauth::refusal::tests::every_documented_error_has_its_class",
        Binary::SalesforceUnits,
        Engine::Sqlite,
    ),
    row(
        "7",
        "refresh::limits::a_dead_credential_costs_at_most_one_call_an_hour",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "7",
        "refresh::limits::a_dead_credential_costs_at_most_one_call_an_hour",
        Binary::Server,
        Engine::Postgres,
    ),
    row("7", "refresh::limits::a_dead_credential_does_not_delay_others", Binary::Server, Engine::Postgres),
    row("8", "refresh::age::an_app_sees_no_401_in_a_day", Binary::Server, Engine::Sqlite),
    row("8", "refresh::age::an_app_sees_no_401_in_a_day", Binary::Server, Engine::Postgres),
    row(
        "8",
        "tokens::a_refused_token_is_refreshed_once_and_the_call_sent_again",
        Binary::Sdk,
        Engine::Sqlite,
    ),
    row(
        "9",
        "hand_out::rotated_refresh_tokens_are_kept_and_unrotated_ones_too",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "9",
        "hand_out::rotated_refresh_tokens_are_kept_and_unrotated_ones_too",
        Binary::Server,
        Engine::Postgres,
    ),
    row("10", "refresh::keep_alive::no_grant_idles_out_in_a_year", Binary::Server, Engine::Sqlite),
    row(
        "11",
        "refresh::grants::the_fourth_grant_of_a_user_is_warned_about_and_the_fifth_needs_force",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "11",
        "reconnect::a_live_row_logs_in_again_while_its_old_grant_works",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "12",
        "refresh::moved::a_new_instance_url_is_followed_within_the_org_and_the_old_host_never_called_again",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "13",
        "refresh::age::five_minutes_of_skew_make_no_token_look_dead_or_alive",
        Binary::Server,
        Engine::Sqlite,
    ),
    row("13", "invocations::every_claim_is_demanded_and_checked", Binary::Server, Engine::Sqlite),
    row(
        "13",
        "jwt::an_org_whose_clock_is_five_minutes_off_gets_an_assertion_by_its_own_clock",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "14",
        "oauth::authorize::tests::a_verifier_is_long_enough_and_does_not_print",
        Binary::SalesforceUnits,
        Engine::Sqlite,
    ),
    row("14", "round_trip::what_the_org_is_asked", Binary::Server, Engine::Sqlite),
    row("15", "connect::a_link_opens_once_and_a_state_is_used_once", Binary::Server, Engine::Sqlite),
    row(
        "15",
        "connect::another_browser_can_not_finish_a_log_in_and_does_not_spoil_it",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "15",
        "oauth_client::a_state_is_good_in_its_own_tenants_browser_only",
        Binary::Server,
        Engine::Sqlite,
    ),
    row("15", "connect::a_person_confirms_before_any_token_is_exchanged", Binary::Server, Engine::Sqlite),
    row("15", "round_trip::a_state_lives_ten_minutes", Binary::Server, Engine::Sqlite),
    row("16", "connect::an_identity_at_another_host_is_refused", Binary::Server, Engine::Sqlite),
    row("16", "round_trip::a_code_goes_only_to_the_host_its_log_in_was_at", Binary::Server, Engine::Sqlite),
    row("17", "oauth_client::no_parameter_leads_a_browser_elsewhere", Binary::Server, Engine::Sqlite),
    row(
        "18",
        "hosts::tests::everything_else_is_refused_with_its_reason",
        Binary::SalesforceUnits,
        Engine::Sqlite,
    ),
    row(
        "18",
        "round_trip::a_login_url_elsewhere_is_refused_before_anything_happens",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "19",
        "oauth_client::the_wrong_org_or_user_for_an_existing_name_is_refused_with_both_ids",
        Binary::Server,
        Engine::Sqlite,
    ),
    row("20", "jwt::the_eight_common_errors_each_name_their_fix", Binary::Server, Engine::Sqlite),
    row(
        "20",
        "jwt::a_my_domain_that_wants_its_login_host_as_audience_gets_it",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "20",
        "refresh::age::a_hundred_hand_outs_of_a_jwt_authorization_take_one_assertion",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "20",
        "oauth::an_assertion_goes_to_its_audience_and_lives_three_minutes",
        Binary::Salesforce,
        Engine::Sqlite,
    ),
    row("21", "egress::an_endless_answer_is_cut_at_the_limit", Binary::Salesforce, Engine::Sqlite),
    row("21", "egress::a_redirect_is_an_answer_and_is_not_followed", Binary::Salesforce, Engine::Sqlite),
    row(
        "36",
        "startup::another_master_key_is_refused_with_both_ids_and_nothing_is_written",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "37",
        "rotation::every_row_is_sealed_anew_under_load_and_no_hand_out_fails",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "37",
        "rotation::every_row_is_sealed_anew_under_load_and_no_hand_out_fails",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "37",
        "rotation::a_new_master_key_takes_over_and_the_old_one_can_be_removed",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "37",
        "rotation::a_rotation_waits_for_every_process_and_they_agree",
        Binary::Server,
        Engine::Postgres,
    ),
    row("39", "secrets::no_secret_is_in_the_logs_or_in_the_database", Binary::Server, Engine::Sqlite),
    row(
        "47",
        "hand_out::every_hand_out_is_in_the_audit_log_and_the_log_is_whole",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "50",
        "outages::hand_outs_go_on_into_the_spool_while_the_database_takes_no_writes",
        Binary::Server,
        Engine::Sqlite,
    ),
    row(
        "50",
        "outages::a_spool_is_replayed_at_the_next_start_before_anything_else",
        Binary::Server,
        Engine::Sqlite,
    ),
    row("50", "outages::postgres_is_stopped_and_started_again", Binary::Server, Engine::Postgres),
    row("50", "outages::postgres_becomes_read_only_for_a_while", Binary::Server, Engine::Postgres),
    row(
        "50",
        "outages::tokens_that_postgres_could_not_take_are_handed_out_from_the_spool_and_committed_later",
        Binary::Server,
        Engine::Postgres,
    ),
    row("56", "secrets::what_is_deleted_is_gone_from_the_files_too", Binary::Server, Engine::Sqlite),
    row(
        "43",
        "egress::tenant::tests::every_spelling_of_a_private_address_is_refused",
        Binary::ServerUnits,
        Engine::Sqlite,
    ),
    row(
        "43",
        "egress::tenant::tests::no_number_hides_a_private_address",
        Binary::ServerUnits,
        Engine::Sqlite,
    ),
    row(
        "43",
        "egress::tenant::tests::a_name_is_looked_up_once_and_the_connection_goes_where_it_led",
        Binary::ServerUnits,
        Engine::Sqlite,
    ),
    row("55", "webhooks::every_transition_is_told_once_and_in_versions", Binary::Server, Engine::Sqlite),
    row(
        "55",
        "webhooks::what_fails_is_tried_again_on_the_documented_schedule_and_then_given_up",
        Binary::Server,
        Engine::Postgres,
    ),
    row("55", "webhooks::while_a_secret_is_rotated_both_sign", Binary::Server, Engine::Sqlite),
    row(
        "55",
        "webhooks::a_refused_renewal_is_told_once_and_recovers_only_with_new_tokens",
        Binary::Server,
        Engine::Postgres,
    ),
    row(
        "56",
        "disconnect::a_disconnect_leaves_no_secret_in_the_database_file",
        Binary::Server,
        Engine::Sqlite,
    ),
];

/// Measures every row and prints the table.
pub(super) fn measure(build: Build) -> Result<bool> {
    let programs = compile(build)?;
    let postgres = Postgres::start()?;
    println!("credentials, {build} build, commit {}, {}", commit(), host());
    println!("{:<5} {:<10} {:<8} {:<6} {:>6}  what was measured", "no.", "database", "tier", "", "seed");
    let mut all_kept = true;
    for row in ROWS {
        let started = Instant::now();
        let binary =
            programs.tests.get(&row.binary).with_context(|| format!("{:?} was not built", row.binary))?;
        let outcome = run(row, binary, &postgres)?;
        for figure in outcome.figures(row) {
            all_kept &= figure.kept;
            println!("{figure}");
        }
        if !outcome.passed {
            all_kept = false;
            println!("{}", outcome.output);
        }
        println!("{:>40} s", format!("{:.1}", started.elapsed().as_secs_f32()));
    }
    all_kept &= fresh_token_read(&programs)?;
    println!("{}", if all_kept { "every promise is kept" } else { "NOT every promise is kept" });
    Ok(all_kept)
}

/// A control plane pinned to one core, a load on the other, and a bare handler beside it.
fn fresh_token_read(programs: &Programs) -> Result<bool> {
    let program = programs.fresh_token_read.as_ref().context("the example fresh_token_read was not built")?;
    let status = Command::new(program).stdin(Stdio::null()).status();
    Ok(status.context("running the example fresh_token_read")?.success())
}

/// Where everything is that measures.
struct Programs {
    tests: HashMap<Binary, PathBuf>,
    fresh_token_read: Option<PathBuf>,
}

/// Builds everything for the same packages, so that dependencies are built once.
fn compile(build: Build) -> Result<Programs> {
    let tests = cargo(build, &["test", "--no-run", "--lib", "--test", "integration"])?;
    let examples = cargo(build, &["build", "--example", FRESH_TOKEN_READ])?;
    let found = |binary| Some((binary, executable(binary, &tests)?));
    Ok(Programs {
        tests: Binary::ALL.into_iter().filter_map(found).collect(),
        fresh_token_read: example(&examples),
    })
}

/// Runs cargo and reads what it built.
fn cargo(build: Build, arguments: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--message-format", "json"]).args(build.arguments());
    for binary in Binary::ALL {
        command.args(["--package", binary.package()]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("running cargo")?;
    if !output.status.success() {
        bail!("what measures could not be built");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The example of `applink-server` that measures how fast a fresh token is read.
const FRESH_TOKEN_READ: &str = "fresh_token_read";

/// Where cargo put it.
fn example(artifacts: &[Value]) -> Option<PathBuf> {
    let found = artifacts.iter().find(|artifact| {
        artifact["target"]["kind"][0] == "example" && artifact["target"]["name"] == FRESH_TOKEN_READ
    })?;
    found["executable"].as_str().map(PathBuf::from)
}

/// Where cargo put a test program.
fn executable(binary: Binary, artifacts: &[Value]) -> Option<PathBuf> {
    let package = format!("/{}#", binary.package());
    let found = artifacts.iter().find(|artifact| {
        artifact["package_id"].as_str().is_some_and(|id| id.contains(&package))
            && artifact["target"]["kind"][0] == binary.kind()
            && artifact["profile"]["test"] == true
    })?;
    found["executable"].as_str().map(PathBuf::from)
}

/// What a test printed, and whether it passed.
struct Outcome {
    passed: bool,
    output: String,
}

fn run(row: &Row, binary: &Path, postgres: &Postgres) -> Result<Outcome> {
    let mut command = Command::new(binary);
    command
        .args(["--exact", row.test, "--nocapture", "--test-threads", "1"])
        .current_dir(Path::new("crates").join(row.binary.package()))
        .env("APPLINK_TIER", "figures")
        .env_remove("APPLINK_TEST_POSTGRES")
        .stdin(Stdio::null());
    if row.engine == Engine::Postgres {
        command.env("APPLINK_TEST_POSTGRES", postgres.url());
    }
    let output = command.output().with_context(|| format!("running {}", row.test))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // A name that fits no test passes nothing, and that must not look like success.
    let passed = output.status.success() && text.contains("test result: ok. 1 passed");
    Ok(Outcome { passed, output: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)) })
}

impl Outcome {
    /// The figures in the output; the test itself when there is none.
    fn figures(&self, row: &Row) -> Vec<Figure> {
        let lines = self.output.lines().filter_map(|line| line.split_once("figure: "));
        let mut figures: Vec<Figure> = lines.filter_map(|(_, json)| Figure::read(json, row)).collect();
        if figures.is_empty() {
            figures.push(Figure::of_test(row, self.passed));
        }
        for figure in &mut figures {
            figure.kept &= self.passed;
        }
        figures
    }
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Figure {
    promise: String,
    engine: Engine,
    tier: String,
    seed: Option<u64>,
    kept: bool,
    text: String,
}

impl Figure {
    fn read(json: &str, row: &Row) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Self {
            promise: field("promise")?,
            engine: row.engine,
            tier: field("tier")?,
            seed: value["seed"].as_u64(),
            kept: value["kept"].as_bool()?,
            text: format!("{}: {} (promised: {})", field("what")?, field("measured")?, field("promised")?),
        })
    }

    fn of_test(row: &Row, passed: bool) -> Self {
        let text = row.test.replace("::", ": ").replace('_', " ");
        Self {
            promise: row.promise.to_owned(),
            engine: row.engine,
            tier: "test".to_owned(),
            seed: None,
            kept: passed,
            text,
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engine = match self.engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        let verdict = if self.kept { "ok" } else { "MISSED" };
        let seed = self.seed.map(|seed| seed.to_string()).unwrap_or_default();
        write!(f, "{:<5} {engine:<10} {:<8} {verdict:<6} {seed:>6}  {}", self.promise, self.tier, self.text)
    }
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn host() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores, {}", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(passed: bool, output: &str) -> Outcome {
        Outcome { passed, output: output.to_owned() }
    }

    #[test]
    fn a_line_of_the_test_becomes_a_row() {
        let line = r#"noise figure: {"promise":"3","what":"schedules","measured":"0 lost","promised":"0","kept":true,"seed":7,"tier":"figures"}"#;
        let figures = outcome(true, line).figures(&ROWS[0]);
        assert_eq!(figures.len(), 1);
        assert_eq!((figures[0].promise.as_str(), figures[0].seed, figures[0].kept), ("3", Some(7), true));
        assert!(figures[0].text.contains("0 lost"), "{}", figures[0].text);
    }

    #[test]
    fn a_test_program_is_found_by_its_package_and_kind() {
        let artifact = |package: &str, kind: &str, path: &str| {
            serde_json::json!({"package_id": format!("path+file:///x/crates/{package}#0.1.0"),
                "target": {"kind": [kind]}, "profile": {"test": true}, "executable": path})
        };
        let artifacts = [artifact("applink-server", "lib", "/a"), artifact("applink-server", "test", "/b")];
        assert_eq!(executable(Binary::Server, &artifacts), Some(PathBuf::from("/b")));
        assert_eq!(executable(Binary::ServerUnits, &artifacts), Some(PathBuf::from("/a")));
        assert_eq!(executable(Binary::Sdk, &artifacts), None);
    }

    #[test]
    fn a_figure_of_a_failed_test_is_not_kept() {
        let line =
            r#"figure: {"promise":"3","what":"a","measured":"b","promised":"c","kept":true,"tier":"ci"}"#;
        assert!(!outcome(false, line).figures(&ROWS[0])[0].kept);
        assert!(!outcome(false, "").figures(&ROWS[0])[0].kept);
        assert!(outcome(true, "").figures(&ROWS[0])[0].kept);
    }
}
