//! Every route, grouped by who calls it, and the layers around all of them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, patch, post, put};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::web::{self, JSON_LIMIT, Json, access_log, limits, request_id};
use crate::{
    addons, api_keys, audit, authorizations, connections, dashboard, data_action_targets, invocations, oauth,
    platform, provider, publications, removals, trust, vault, webhooks,
};

/// The whole router.
pub fn build(app: App) -> Router {
    let routes =
        Router::new().merge(cli()).merge(app_sdk()).merge(mesh()).merge(browser(&app)).merge(operator());
    let routes = if app.config.provider.is_some() { routes.merge(heroku()) } else { routes };
    let routes = if app.config.platform.is_some() {
        // A server on a developer's machine: all of it is guarded from the pages of other sites.
        let guard = axum::middleware::from_fn_with_state(app.clone(), platform::guard::layer);
        routes.merge(platform()).route_layer(guard)
    } else {
        routes
    };
    routes
        .merge(probes())
        .fallback(web::no_such_path)
        .method_not_allowed_fallback(web::no_such_method)
        .layer(axum::middleware::from_fn(limits::layer))
        // Below the log, so that a panic is a logged 500.
        .layer(CatchPanicLayer::custom(web::after_panic))
        // Below the request id, which it logs.
        .layer(axum::middleware::from_fn(access_log::layer))
        .layer(axum::middleware::from_fn_with_state(app.clone(), request_id::layer))
        .with_state(app)
}

/// The official CLI and ours: management.
fn cli() -> Router<App> {
    use authorizations::api as authorization;
    use connections::api as connection;
    let small = Router::new()
        .route("/addons/{addon}/connections", get(connection::list_connections))
        .route(
            "/addons/{addon}/connections/{connection}",
            get(connection::show_connection)
                .post(connection::connect)
                .patch(connection::update_connection)
                .delete(connection::disconnect_connection),
        )
        .route("/addons/{addon}/connections/salesforce/jwt", post(connection::connect_jwt))
        .route("/addons/{addon}/connections/{connection}/token-policy", put(trust::api::set_token_policy))
        .route("/addons/{addon}/authorizations", get(authorization::list_authorizations))
        .route(
            "/addons/{addon}/authorizations/{authorization}",
            post(authorization::authorize)
                .patch(authorization::update_authorization)
                .delete(authorization::disconnect_authorization),
        )
        .route("/addons/{addon}/authorizations/salesforce/jwt", post(authorization::authorize_jwt))
        .layer(DefaultBodyLimit::max(JSON_LIMIT));
    let publishing = Router::new()
        .route(
            "/addons/{addon}/connections/salesforce/{connection}/apps",
            post(publications::api::publish).layer(DefaultBodyLimit::max(publications::api::BODY_LIMIT)),
        )
        .route("/addons/{addon}/connections/salesforce/{connection}/apps/{app}", get(publications::api::list))
        .route(
            "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}",
            delete(publications::api::remove),
        )
        .route(
            "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history",
            get(publications::history::list),
        )
        .route(
            "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history/{number}",
            get(publications::history::show),
        )
        .route(
            "/addons/{addon}/connections/salesforce/{connection}/apps/{app}/{client}/history/{number}/document",
            get(publications::history::document),
        );
    small.merge(publishing).merge(telling())
}

/// Who is told what happens.
fn telling() -> Router<App> {
    use webhooks::api as webhook;
    Router::new()
        .route("/addons/{addon}/webhooks", get(webhook::list_webhooks).post(webhook::create_webhook))
        .route(
            "/addons/{addon}/webhooks/{webhook}",
            get(webhook::show_webhook).patch(webhook::update_webhook).delete(webhook::remove_webhook),
        )
        .route("/addons/{addon}/webhooks/{webhook}/rotate-secret", post(webhook::rotate_secret))
        .route("/addons/{addon}/webhooks/{webhook}/test", post(webhook::test_webhook))
        .route("/addons/{addon}/webhooks/{webhook}/deliveries", get(webhook::list_deliveries))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// App code through an SDK, at run time. (The first path also answers the CLI's polls.)
fn app_sdk() -> Router<App> {
    Router::new()
        .route("/addons/{addon}/authorizations/{authorization}", get(authorizations::api::show_authorization))
        .route(
            "/addons/{addon}/authorizations/{authorization}/refresh",
            post(authorizations::api::refresh_authorization).layer(DefaultBodyLimit::max(JSON_LIMIT)),
        )
}

/// The service mesh beside an app.
fn mesh() -> Router<App> {
    Router::new()
        .route("/addons/{addon}/invocations/authentication", post(invocations::api::authenticate_invocation))
        .route("/addons/{addon}/invocations/report", post(invocations::report::report_invocations))
        .route("/addons/{addon}/invocations/tokens", post(invocations::report::use_token))
        .route(
            "/addons/{addon}/data_action_targets/authenticate",
            post(data_action_targets::api::authenticate_data_action)
                .layer(DefaultBodyLimit::max(data_action_targets::api::BODY_LIMIT)),
        )
        .route("/addons/{addon}/trust-bundle", get(trust::api::show_trust_bundle))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// A person's browser, on the way to an org and back, or looking at an add-on.
fn browser(app: &App) -> Router<App> {
    Router::new()
        .route("/oauth/start/{link}", get(oauth::start::start))
        .route("/oauth/callback", get(oauth::callback::callback))
        .route("/oauth/confirm", post(oauth::confirm::confirm))
        .route("/sso/login", post(dashboard::login::sso_login))
        .route("/sso/open/{ticket}", get(dashboard::login::show_link))
        .route("/sso/open", post(dashboard::login::use_link))
        .route("/dashboard", get(dashboard::home::show))
        .route("/dashboard/sign-out", post(dashboard::login::sign_out))
        .layer(DefaultBodyLimit::max(16 * 1024))
        .route_layer(axum::middleware::from_fn_with_state(app.clone(), limits::log_ins))
}

/// Whoever runs this server.
fn operator() -> Router<App> {
    Router::new()
        .route("/operator/apps", get(addons::api::list_apps).post(addons::api::create_app))
        .route("/operator/apps/{app}/url", put(addons::api::set_app_url))
        .route("/operator/addons", get(addons::api::list_addons).post(addons::api::create_addon))
        .route("/operator/addons/{addon}", get(addons::api::show_addon).delete(addons::api::destroy_addon))
        .route("/operator/addons/{addon}/attachments", post(addons::api::create_attachment))
        .route("/operator/addons/{addon}/attachments/{attachment}", delete(addons::api::remove_attachment))
        .route("/operator/audit/erase-name", post(audit::api::erase_name))
        .route("/operator/vault", get(vault::api::show_vault))
        .route("/operator/vault/rotations", post(vault::api::start_rotation))
        .route("/operator/keys", get(api_keys::api::list_keys).post(api_keys::api::create_key))
        .route("/operator/keys/{key}", delete(api_keys::api::revoke_key))
        .route("/operator/removals", get(removals::api::list_removals))
        .route("/operator/removals/{addon}", get(removals::api::show_removal))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// Heroku, where this server is an add-on of its.
fn heroku() -> Router<App> {
    Router::new()
        .route("/heroku/resources", post(provider::api::provision_resource))
        .route(
            "/heroku/resources/{resource}",
            put(provider::api::change_plan).delete(provider::api::deprovision_resource),
        )
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// The stock `heroku` CLI, where the stand-in for the Platform API is asked for; and who sets it up.
fn platform() -> Router<App> {
    use platform::api::{addons, apps, attachments, operator};
    Router::new()
        .route("/account", get(apps::account))
        .route("/apps", get(apps::list_apps).post(apps::create_app))
        .route("/users/~/apps", get(apps::list_apps))
        .route("/teams/apps", post(apps::create_app))
        .route("/apps/{app}", get(apps::show_app))
        .route("/apps/{app}/dynos", get(apps::list_dynos))
        .route("/apps/{app}/releases", get(apps::list_releases))
        .route("/apps/{app}/pipeline-couplings", get(apps::show_pipeline_coupling))
        .route("/apps/{app}/config-vars", get(apps::list_config_vars).patch(apps::change_config_vars))
        .route("/apps/{app}/collaborators", get(apps::list_collaborators).post(apps::add_collaborator))
        .route("/apps/{app}/collaborators/{email}", delete(apps::remove_collaborator))
        .route("/teams/apps/{app}/collaborators", get(apps::list_collaborators).post(apps::add_collaborator))
        .route(
            "/teams/apps/{app}/collaborators/{email}",
            patch(apps::change_collaborator).delete(apps::remove_collaborator),
        )
        .route("/apps/{app}/addons", get(addons::list_of_app).post(addons::create_addon))
        .route("/apps/{app}/addons/{addon}", get(addons::show_of_app).delete(addons::destroy_addon))
        .route("/apps/{app}/addons/{addon}/sso", get(addons::sign_on))
        .route("/addons/{addon}", get(addons::show_addon))
        .route("/actions/addons/resolve", post(addons::resolve))
        .route("/apps/{app}/addon-attachments", get(attachments::list_of_app))
        .route("/apps/{app}/addon-attachments/{attachment}", get(attachments::show_of_app))
        .route("/addons/{addon}/addon-attachments", get(attachments::list_of_addon))
        .route("/addon-attachments", get(attachments::list_all).post(attachments::create_attachment))
        .route(
            "/addon-attachments/{attachment}",
            get(attachments::show_attachment).delete(attachments::destroy_attachment),
        )
        .route("/actions/addon-attachments/resolve", post(attachments::resolve))
        .route("/operator/platform/keys", post(operator::create_key))
        .route("/operator/platform/keys/{key}", delete(operator::revoke_key))
        .route("/operator/platform/teams", post(operator::create_team))
        .route("/operator/platform/teams/{team}/members", put(operator::set_member))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// Load balancers.
fn probes() -> Router<App> {
    Router::new().route("/health", get(|| async { Json(serde_json::json!({"status": "ok"})) }))
}
