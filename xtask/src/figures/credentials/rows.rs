//! What is measured: every row of the table, by promise.

use super::Binary::{self, Cli, Salesforce, SalesforceUnits, Sdk, Server, ServerUnits, Store};
use super::Databases::{self, Both, Postgres, Sqlite};

/// A test that measures, on one database or on both; several lines when it prints several figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The promise's number.
    pub(super) promise: &'static str,
    pub(super) binary: Binary,
    pub(super) databases: Databases,
    /// By its full name.
    pub(super) test: &'static str,
}

const fn row(promise: &'static str, binary: Binary, databases: Databases, test: &'static str) -> Row {
    Row { promise, binary, databases, test }
}

/// Promises whose figures the rows of another print too: one test measures both.
pub(super) const PRINTED_WITH: &[(&str, &str)] =
    &[("4", "2"), ("5", "2"), ("38", "39"), ("40", "39"), ("48", "39")];

/// Every row, by promise.
pub(super) const ROWS: &[Row] = &[
    row(
        "1",
        Server,
        Postgres,
        "refresh::processes::a_thousand_requests_over_four_processes_cause_one_refresh",
    ),
    row("1", Server, Postgres, "refresh::processes::who_waits_in_another_process_gets_the_token_soon_after"),
    row("1", Server, Sqlite, "hand_out::fifty_requests_for_a_dead_token_cause_one_refresh"),
    row("1", Server, Both, "hand_out::who_waits_in_the_same_process_gets_the_token_at_once"),
    row(
        "2",
        Server,
        Postgres,
        "refresh::processes::a_process_killed_while_it_refreshes_costs_no_grant_that_still_works",
    ),
    row("3", Server, Sqlite, "refresh::schedules::no_schedule_loses_an_update_or_replays_what_still_works"),
    row("3", Server, Postgres, "refresh::replay::the_database_follows_the_model_move_by_move"),
    row("6", Server, Sqlite, "orgsim::what_a_rotating_org_loses_costs_no_grant_that_still_works"),
    row(
        "6",
        ServerUnits,
        Sqlite,
        "tokens::lease::tests::in_doubt_nothing_is_sent_while_the_token_lives_and_one_last_chance_after",
    ),
    row("6", SalesforceUnits, Sqlite, "oauth::refusal::tests::every_documented_error_has_its_class"),
    row("7", Server, Both, "refresh::limits::a_dead_credential_costs_at_most_one_call_an_hour"),
    row("7", Server, Postgres, "refresh::limits::a_dead_credential_does_not_delay_others"),
    row("8", Server, Both, "refresh::age::an_app_sees_no_401_in_a_day"),
    row("8", Sdk, Sqlite, "tokens::a_refused_token_is_refreshed_once_and_the_call_sent_again"),
    row("9", Server, Both, "hand_out::rotated_refresh_tokens_are_kept_and_unrotated_ones_too"),
    row("10", Server, Sqlite, "refresh::keep_alive::no_grant_idles_out_in_a_year"),
    row(
        "11",
        Server,
        Sqlite,
        "refresh::grants::the_fourth_grant_of_a_user_is_warned_about_and_the_fifth_needs_force",
    ),
    row("11", Server, Postgres, "reconnect::a_live_row_logs_in_again_while_its_old_grant_works"),
    row(
        "12",
        Server,
        Sqlite,
        "refresh::moved::a_new_instance_url_is_followed_within_the_org_and_the_old_host_never_called_again",
    ),
    row("13", Server, Sqlite, "refresh::age::five_minutes_of_skew_make_no_token_look_dead_or_alive"),
    row("13", Server, Sqlite, "invocations::every_claim_is_demanded_and_checked"),
    row(
        "13",
        Server,
        Sqlite,
        "jwt::an_org_whose_clock_is_five_minutes_off_gets_an_assertion_by_its_own_clock",
    ),
    row(
        "14",
        SalesforceUnits,
        Sqlite,
        "oauth::authorize::tests::a_verifier_is_long_enough_and_does_not_print",
    ),
    row("14", Server, Sqlite, "round_trip::what_the_org_is_asked"),
    row("15", Server, Sqlite, "connect::a_link_opens_once_and_a_state_is_used_once"),
    row("15", Server, Sqlite, "connect::another_browser_can_not_finish_a_log_in_and_does_not_spoil_it"),
    row("15", Server, Sqlite, "oauth_client::a_state_is_good_in_its_own_tenants_browser_only"),
    row("15", Server, Sqlite, "connect::a_person_confirms_before_any_token_is_exchanged"),
    row("15", Server, Sqlite, "round_trip::a_state_lives_ten_minutes"),
    row("16", Server, Sqlite, "connect::an_identity_at_another_host_is_refused"),
    row("16", Server, Sqlite, "round_trip::a_code_goes_only_to_the_host_its_log_in_was_at"),
    row("17", Server, Sqlite, "oauth_client::no_parameter_leads_a_browser_elsewhere"),
    row("18", SalesforceUnits, Sqlite, "hosts::tests::everything_else_is_refused_with_its_reason"),
    row("18", Server, Sqlite, "round_trip::a_login_url_elsewhere_is_refused_before_anything_happens"),
    row(
        "19",
        Server,
        Sqlite,
        "oauth_client::the_wrong_org_or_user_for_an_existing_name_is_refused_with_both_ids",
    ),
    row("20", Server, Sqlite, "jwt::the_eight_common_errors_each_name_their_fix"),
    row("20", Server, Sqlite, "jwt::a_my_domain_that_wants_its_login_host_as_audience_gets_it"),
    row("20", Server, Sqlite, "refresh::age::a_hundred_hand_outs_of_a_jwt_authorization_take_one_assertion"),
    row("20", Salesforce, Sqlite, "oauth::an_assertion_goes_to_its_audience_and_lives_three_minutes"),
    row("21", Salesforce, Sqlite, "egress::an_endless_answer_is_cut_at_the_limit"),
    row("21", Salesforce, Sqlite, "egress::a_redirect_is_an_answer_and_is_not_followed"),
    row("21", Salesforce, Sqlite, "egress::a_server_of_an_older_tls_is_refused_before_anything_is_sent"),
    row("21", Salesforce, Sqlite, "egress::the_token_endpoint_has_ten_seconds"),
    row("36", Server, Sqlite, "startup::another_master_key_is_refused_with_both_ids_and_nothing_is_written"),
    row("36", Store, Sqlite, "sealing::a_sealed_secret_opens_in_its_place_and_nowhere_else"),
    row("37", Server, Both, "rotation::every_row_is_sealed_anew_under_load_and_no_hand_out_fails"),
    row("37", Server, Postgres, "rotation::a_new_master_key_takes_over_and_the_old_one_can_be_removed"),
    row("37", Server, Postgres, "rotation::a_rotation_waits_for_every_process_and_they_agree"),
    row(
        "37",
        Store,
        Postgres,
        "rotation::a_rotation_settles_by_the_databases_time_whatever_the_clocks_of_processes_say",
    ),
    row(
        "37",
        Server,
        Postgres,
        "rotation::keys_are_rotated_under_load_without_an_error_and_resumed_by_another_process",
    ),
    row("39", Server, Both, "secrets::no_secret_is_in_the_logs_or_in_the_database"),
    row("39", Cli, Sqlite, "serve::a_server_that_crashes_leaves_no_core_and_its_arguments_hold_no_secret"),
    row("40", Server, Sqlite, "hand_out::a_management_client_gets_the_record_without_the_token"),
    row("40", Server, Sqlite, "access::an_api_key_hands_out_no_tokens_and_reaches_no_run_time_route"),
    row("41", Server, Sqlite, "operator::a_key_has_256_bits_and_is_stored_as_a_hash"),
    row("41", Server, Sqlite, "operator::keys_are_shown_once_limited_to_two_and_void_when_revoked"),
    row("41", Server, Sqlite, "operator::a_key_that_ends_by_itself_is_void_then_and_makes_room_for_another"),
    row("42", Cli, Sqlite, "connect::a_key_that_others_can_read_is_refused"),
    row("42", Cli, Sqlite, "connect::connect_jwt"),
    row("43", ServerUnits, Sqlite, "egress::tenant::tests::every_spelling_of_a_private_address_is_refused"),
    row("43", ServerUnits, Sqlite, "egress::tenant::tests::no_number_hides_a_private_address"),
    row(
        "43",
        ServerUnits,
        Sqlite,
        "egress::tenant::tests::a_name_is_looked_up_once_and_the_connection_goes_where_it_led",
    ),
    row("47", Server, Sqlite, "hand_out::every_hand_out_is_in_the_audit_log_and_the_log_is_whole"),
    row("47", Store, Sqlite, "ledger::an_edit_is_found"),
    row("47", Store, Sqlite, "ledger::a_gap_is_found"),
    row("47", Store, Sqlite, "ledger::a_truncation_is_found_by_an_anchor_in_the_database_or_outside"),
    row("47", Store, Postgres, "ledger::what_a_killed_process_wrote_last_is_anchored_by_one_that_lives"),
    row("47", Server, Sqlite, "outages::after_a_while_or_with_a_full_spool_nothing_is_handed_out"),
    row("50", Server, Sqlite, "outages::hand_outs_go_on_into_the_spool_while_the_database_takes_no_writes"),
    row("50", Server, Sqlite, "outages::a_spool_is_replayed_at_the_next_start_before_anything_else"),
    row("50", Server, Postgres, "outages::postgres_is_stopped_and_started_again"),
    row("50", Server, Postgres, "outages::postgres_becomes_read_only_for_a_while"),
    row("50", Server, Postgres, "outages::postgres_answers_reads_while_its_commits_hang"),
    row(
        "50",
        Server,
        Postgres,
        "outages::tokens_that_postgres_could_not_take_are_handed_out_from_the_spool_and_committed_later",
    ),
    row("55", Server, Sqlite, "webhooks::every_transition_is_told_once_and_in_versions"),
    row(
        "55",
        Server,
        Postgres,
        "webhooks::what_fails_is_tried_again_on_the_documented_schedule_and_then_given_up",
    ),
    row("55", Server, Sqlite, "webhooks::while_a_secret_is_rotated_both_sign"),
    row("55", Server, Postgres, "webhooks::a_refused_renewal_is_told_once_and_recovers_only_with_new_tokens"),
    row("55", Server, Sqlite, "webhooks::what_becomes_of_a_publication_is_told_in_versions"),
    row("55", Server, Sqlite, "webhooks::a_rename_is_told_with_the_record_under_its_new_name"),
    row(
        "55",
        Server,
        Postgres,
        "webhooks::a_secret_that_does_not_open_fails_its_own_deliveries_and_nobody_elses",
    ),
    row("56", Server, Sqlite, "secrets::what_is_deleted_is_gone_from_the_files_too"),
    row("56", Server, Sqlite, "disconnect::a_disconnect_leaves_no_secret_in_the_database_file"),
];
