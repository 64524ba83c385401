//! Every route, grouped by who calls it, and the layers around all of them.
//!
//! A handler says its path and method itself (`#[utoipa::path]`), and `routes!` puts it into the router *and* into the
//! [OpenAPI document](crate::openapi). Only what is Heroku's to describe is listed by hand: its Add-on Partner API, and
//! the stand-in for its Platform API.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, patch, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::app::App;
use crate::web::{self, JSON_LIMIT, arrival, limits};
use crate::{
    addons, api_keys, audit, authorizations, connections, dashboard, data_action_targets, invocations, oauth,
    openapi, platform, provider, publications, removals, trust, vault, webhooks,
};

/// The whole router.
pub fn build(app: App) -> Router {
    let limited = axum::middleware::from_fn_with_state(app.clone(), limits::log_ins);
    let (documented, _) = described(browser().route_layer(limited)).split_for_parts();
    let forms = axum::middleware::from_fn_with_state(app.clone(), dashboard::form::settle);
    let documented = documented.merge(dashboard().route_layer(forms));
    #[cfg(feature = "oidc")]
    let documented = documented
        .merge(openid().route_layer(axum::middleware::from_fn_with_state(app.clone(), limits::log_ins)));
    let documented = if app.config.provider.is_some() { documented.merge(heroku()) } else { documented };
    let routes = if app.config.platform.is_some() {
        // A server on a developer's machine: all of it is guarded from the pages of other sites.
        let guard = axum::middleware::from_fn_with_state(app.clone(), platform::guard::layer);
        documented.merge(platform()).route_layer(guard)
    } else {
        documented
    };
    let (probes, _) = probes().split_for_parts();
    routes
        .merge(probes)
        .fallback(web::no_such_path)
        .method_not_allowed_fallback(web::no_such_method)
        // All in one: each call of `layer` costs every request a copy of what is below.
        .layer((
            axum::middleware::from_fn_with_state(app.clone(), arrival::layer),
            // Below the log, so that a panic is a logged 500.
            CatchPanicLayer::custom(web::after_panic),
        ))
        .with_state(app)
}

/// What the handlers say of themselves.
pub fn description() -> utoipa::openapi::OpenApi {
    described(browser()).merge(probes()).into_openapi()
}

fn described(browser: OpenApiRouter<App>) -> OpenApiRouter<App> {
    let groups = OpenApiRouter::with_openapi(openapi::frame()).merge(cli()).merge(app_sdk()).merge(mesh());
    groups.merge(browser).merge(operator()).merge(about())
}

/// The official CLI and ours: management.
fn cli() -> OpenApiRouter<App> {
    use authorizations::api as authorization;
    use connections::api as connection;
    use data_action_targets::api as target;
    use publications::api as publication;
    let small = OpenApiRouter::default()
        .routes(routes!(connection::list_connections))
        .routes(routes!(
            connection::show_connection,
            connection::connect,
            connection::update_connection,
            connection::disconnect_connection
        ))
        .routes(routes!(connection::connect_jwt))
        .routes(routes!(trust::api::set_token_policy))
        .routes(routes!(authorization::list_authorizations))
        .routes(routes!(
            authorization::authorize,
            authorization::update_authorization,
            authorization::disconnect_authorization
        ))
        .routes(routes!(authorization::authorize_jwt))
        .routes(routes!(authorization::authorize_data_cloud_jwt))
        .routes(routes!(target::list_data_action_targets, target::create_data_action_target))
        .routes(routes!(target::show_data_action_target, target::remove_data_action_target))
        .routes(routes!(target::rotate_data_action_key))
        .routes(routes!(publication::list))
        .routes(routes!(publication::remove))
        .routes(routes!(publications::history::list))
        .routes(routes!(publications::history::show))
        .routes(routes!(publications::history::document))
        .routes(routes!(audit::api::list_audit_entries))
        .routes(routes!(invocations::report::list_invocations))
        .routes(routes!(dashboard::links::api::create_sign_in_link))
        .layer(DefaultBodyLimit::max(JSON_LIMIT));
    let large = DefaultBodyLimit::max(publication::BODY_LIMIT);
    small.merge(OpenApiRouter::default().routes(routes!(publication::publish).layer(large))).merge(telling())
}

/// Who is told what happens, and by which keys the add-on is changed.
fn telling() -> OpenApiRouter<App> {
    use webhooks::api as webhook;
    OpenApiRouter::default()
        .routes(routes!(webhook::list_webhooks, webhook::create_webhook))
        .routes(routes!(webhook::show_webhook, webhook::update_webhook, webhook::remove_webhook))
        .routes(routes!(webhook::rotate_secret))
        .routes(routes!(webhook::test_webhook))
        .routes(routes!(webhook::list_deliveries))
        .routes(routes!(api_keys::api::list_own_keys, api_keys::api::create_own_key))
        .routes(routes!(api_keys::api::revoke_own_key))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// App code through an SDK, at run time. (The first path also answers the CLI's polls.)
fn app_sdk() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(authorizations::api::show_authorization))
        .routes(routes!(authorizations::api::refresh_authorization))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// The service mesh beside an app.
fn mesh() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(invocations::api::authenticate_invocation))
        .routes(routes!(invocations::report::report_invocations))
        .routes(routes!(invocations::report::use_token))
        .routes(routes!(trust::api::show_trust_bundle))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .merge(data_actions())
}

/// The same for data actions, which carry their payload.
fn data_actions() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(data_action_targets::api::authenticate_data_action))
        .layer(DefaultBodyLimit::max(data_action_targets::api::BODY_LIMIT))
}

/// A person's browser, on the way to an org and back, or looking at an add-on.
fn browser() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(oauth::start::start))
        .routes(routes!(oauth::callback::callback))
        .routes(routes!(oauth::confirm::confirm))
        .routes(routes!(dashboard::login::sso_login))
        .routes(routes!(dashboard::login::show_link))
        .routes(routes!(dashboard::login::use_link))
        .routes(routes!(dashboard::home::show))
        .routes(routes!(dashboard::login::sign_out))
        .layer(DefaultBodyLimit::max(16 * 1024))
}

/// A person's browser on the way to an OpenID provider and back.
#[cfg(feature = "oidc")]
fn openid() -> Router<App> {
    use crate::openid::api;
    Router::new().route("/sso/openid", get(api::start)).route("/sso/openid/callback", get(api::callback))
}

/// The dashboard's pages: for people, so not in the description. Sessions and forms are checked by extractors.
fn dashboard() -> Router<App> {
    use dashboard::credentials;
    use dashboard::credentials::change;
    Router::new()
        .route("/dashboard/connections", get(credentials::list).post(change::create))
        .route("/dashboard/connections/new", get(change::new))
        .route("/dashboard/connections/{connection}", get(credentials::show))
        .route("/dashboard/connections/{connection}/reconnect", post(change::reconnect))
        .route("/dashboard/connections/{connection}/delete", post(change::delete))
        .route("/dashboard/authorizations", get(credentials::list).post(change::create))
        .route("/dashboard/authorizations/new", get(change::new))
        .route("/dashboard/authorizations/{authorization}", get(credentials::show))
        .route("/dashboard/authorizations/{authorization}/reconnect", post(change::reconnect))
        .route("/dashboard/authorizations/{authorization}/refresh", post(change::refresh))
        .route("/dashboard/authorizations/{authorization}/delete", post(change::delete))
        .route("/dashboard/assets/{version}/{file}", get(dashboard::assets::show))
        .merge(dashboard_publications())
        .merge(dashboard_settings())
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// Publications, and targets of data actions. A document may be as large as the API allows.
fn dashboard_publications() -> Router<App> {
    use dashboard::publications::{self as pages, publish, versions};
    use dashboard::targets;
    Router::new()
        .route("/dashboard/publications", get(pages::list))
        .route("/dashboard/publications/{id}", get(pages::show))
        .route("/dashboard/publications/{id}/versions/{number}", get(versions::download))
        .route("/dashboard/publications/{id}/diff", get(versions::difference))
        .route("/dashboard/publications/{id}/unpublish", post(pages::unpublish))
        .route("/dashboard/data-action-targets", get(targets::list).post(targets::create))
        .route("/dashboard/data-action-targets/{id}", get(targets::show))
        .route("/dashboard/data-action-targets/{id}/rotate", post(targets::rotate))
        .route("/dashboard/data-action-targets/{id}/delete", post(targets::remove))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
        .merge(
            Router::new()
                .route("/dashboard/publications/new", get(publish::show).post(publish::send))
                .layer(DefaultBodyLimit::max(publications::api::BODY_LIMIT)),
        )
}

/// What went on, and settings.
fn dashboard_settings() -> Router<App> {
    use dashboard::settings::{tokens, webhooks};
    use dashboard::{activity, health, settings};
    Router::new()
        .route("/dashboard/activity", get(activity::show))
        .route("/dashboard/activity.csv", get(activity::csv))
        .route("/dashboard/activity.json", get(activity::json))
        .route("/dashboard/health", get(health::show))
        .route("/dashboard/settings", get(settings::show))
        .route("/dashboard/settings/webhooks", post(webhooks::add))
        .route("/dashboard/settings/webhooks/{id}", get(webhooks::show).post(webhooks::change))
        .route("/dashboard/settings/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/dashboard/settings/webhooks/{id}/test", post(webhooks::test))
        .route("/dashboard/settings/webhooks/{id}/delete", post(webhooks::remove))
        .route("/dashboard/settings/tokens", post(tokens::create))
        .route("/dashboard/settings/tokens/{id}/revoke", post(tokens::revoke))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// Whoever runs this server.
fn operator() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(addons::api::list_apps, addons::api::create_app))
        .routes(routes!(addons::api::set_app_url))
        .routes(routes!(addons::api::list_addons, addons::api::create_addon))
        .routes(routes!(addons::api::show_addon, addons::api::destroy_addon))
        .routes(routes!(addons::api::create_attachment))
        .routes(routes!(addons::api::remove_attachment))
        .routes(routes!(audit::api::erase_name))
        .routes(routes!(vault::api::show_vault))
        .routes(routes!(vault::api::start_rotation))
        .routes(routes!(api_keys::api::list_keys, api_keys::api::create_key))
        .routes(routes!(api_keys::api::revoke_key))
        .routes(routes!(removals::api::list_removals))
        .routes(routes!(removals::api::show_removal))
        .layer(DefaultBodyLimit::max(JSON_LIMIT))
}

/// Whoever wants to know what there is to call.
fn about() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(openapi::api::document)).routes(routes!(openapi::api::page))
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
fn probes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(web::health))
}
