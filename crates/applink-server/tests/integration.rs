//! The control plane over real HTTP, against scripted orgs on loopback. Runs on SQLite, or on PostgreSQL when
//! `APPLINK_TEST_POSTGRES` names a server.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can not go on fails"
)]

#[path = "integration/access.rs"]
mod access;
#[path = "integration/audit_list.rs"]
mod audit_list;
#[path = "integration/backends.rs"]
mod backends;
#[path = "integration/bad_input.rs"]
mod bad_input;
#[cfg(test)]
#[path = "integration/client_app.rs"]
mod client_app;
#[path = "integration/connect.rs"]
mod connect;
#[path = "integration/dashboard.rs"]
mod dashboard;
#[path = "integration/dashboard_large.rs"]
mod dashboard_large;
#[path = "integration/dashboard_pages.rs"]
mod dashboard_pages;
#[cfg(test)]
#[path = "integration/data_action_steps.rs"]
mod data_action_steps;
#[path = "integration/data_action_targets.rs"]
mod data_action_targets;
#[path = "integration/data_actions.rs"]
mod data_actions;
#[cfg(test)]
#[path = "integration/data_cloud.rs"]
mod data_cloud;
#[path = "integration/data_cloud_apps.rs"]
mod data_cloud_apps;
#[cfg(test)]
#[path = "integration/data_cloud_tokens.rs"]
mod data_cloud_tokens;
#[path = "integration/described.rs"]
mod described;
#[path = "integration/disconnect.rs"]
mod disconnect;
#[path = "integration/fake_org.rs"]
mod fake_org;
#[path = "integration/hand_out.rs"]
mod hand_out;
#[path = "integration/health_checks.rs"]
mod health_checks;
#[path = "integration/history.rs"]
mod history;
#[path = "integration/input.rs"]
mod input;
#[path = "integration/invocations.rs"]
mod invocations;
#[path = "integration/jwt.rs"]
mod jwt;
#[path = "integration/limits.rs"]
mod limits;
#[path = "integration/logs.rs"]
mod logs;
#[path = "integration/oauth_client.rs"]
mod oauth_client;
#[path = "integration/openapi.rs"]
mod openapi;
#[cfg(feature = "oidc")]
#[path = "integration/openid.rs"]
mod openid;
#[path = "integration/operator.rs"]
mod operator;
#[cfg(test)]
#[path = "integration/orgsim.rs"]
mod orgsim;
#[path = "integration/outages.rs"]
mod outages;
#[path = "integration/own_postgres.rs"]
mod own_postgres;
#[path = "integration/platform.rs"]
mod platform;
#[path = "integration/processes.rs"]
mod processes;
#[path = "integration/provider.rs"]
mod provider;
#[path = "integration/publish.rs"]
mod publish;
#[cfg(test)]
#[path = "integration/publish_to_orgsim.rs"]
mod publish_to_orgsim;
#[cfg(test)]
#[path = "integration/publishing_stack.rs"]
mod publishing_stack;
#[path = "integration/receiver.rs"]
mod receiver;
#[path = "integration/reconnect.rs"]
mod reconnect;
#[path = "integration/refresh.rs"]
mod refresh;
#[path = "integration/removals.rs"]
mod removals;
#[path = "integration/remove.rs"]
mod remove;
#[path = "integration/rotation.rs"]
mod rotation;
#[cfg(test)]
#[path = "integration/round_trip.rs"]
mod round_trip;
#[cfg(test)]
#[path = "integration/scripted_org.rs"]
mod scripted_org;
#[path = "integration/secrets.rs"]
mod secrets;
#[path = "integration/sign_in_links.rs"]
mod sign_in_links;
#[path = "integration/stack.rs"]
mod stack;
#[path = "integration/startup.rs"]
mod startup;
#[path = "integration/tenants.rs"]
mod tenants;
#[cfg(feature = "vault")]
#[path = "integration/transit.rs"]
mod transit;
#[path = "integration/trust.rs"]
mod trust;
#[cfg(test)]
#[path = "integration/visitor.rs"]
mod visitor;
#[cfg(test)]
#[path = "integration/way.rs"]
mod way;
#[path = "integration/webhooks.rs"]
mod webhooks;
