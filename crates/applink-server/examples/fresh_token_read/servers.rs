//! The two servers that are compared.

use std::path::Path;
use std::time::Duration;

use applink_api::connection::ConnectionMethod;
use applink_api::operator::{CreateAddon, CreateApp};
use applink_api::org::OrgType;
use applink_server::audit::Actor;
use applink_server::credentials::{Credential, Kind, OrgUser, State, store as credentials};
use applink_server::db::{Database, DatabaseUrl, RowId};
use applink_server::tokens::store::{self as grants, NewGrant};
use applink_server::vault::{MasterKey, Place};
use applink_server::{Config, RunningServer, Server, addons};
use axum::Json;
use axum::Router;
use axum::extract::{Path as UrlPath, State as AppState};
use axum::routing::get;
use sea_orm::{DatabaseConnection, EntityTrait as _};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::Result;

/// Runs until killed.
pub(super) fn run(server: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server)
}

/// The control plane with a live authorization for each connection. Prints URL, path and token.
pub(super) async fn control_plane(folder: &str) -> Result<()> {
    let server = start(folder).await?;
    let app = server.app();
    let actor = Actor::system();
    let create = CreateApp { name: "figure".to_owned(), url: None };
    addons::create_app(app, &actor, create, None).await?;
    let create = CreateAddon { app: "figure".to_owned(), attachment: None, name: None };
    let made = addons::provision(app, &actor, create).await?;
    for number in 0..super::CONNECTIONS {
        authorize(&server, made.id, &format!("worker-{number}")).await?;
    }
    let path = format!("/addons/{}/authorizations/worker-{{}}", made.id);
    println!("{} {path} {}", server.addr(), made.token.expose_secret());
    std::future::pending().await
}

async fn start(folder: &str) -> Result<RunningServer> {
    let url = DatabaseUrl::sqlite(&Path::new(folder).join("applink.db"));
    let mut config = Config::local(url, MasterKey::from_bytes([7; 32]));
    // Counted all the same, only higher than anybody gets.
    config.limits.run_time_per_second = 1_000_000;
    config.token_lifetime = Duration::from_secs(86_400);
    Ok(Server::start(config).await?)
}

async fn authorize(server: &RunningServer, addon: applink_api::ids::AddonId, name: &str) -> Result<()> {
    let app = server.app();
    let (now, id) = (app.clock.now(), app.entropy.uuid());
    let org = OrgUser {
        org_id: "00DSB000000DGEIr2A".to_owned(),
        instance_url: "https://acme.my.salesforce.com".to_owned(),
        user_id: "005SB000000DGEIr2A".to_owned(),
        username: "worker@acme.example".to_owned(),
        api_version: "66.0".to_owned(),
    };
    let credential = Credential {
        id,
        addon,
        kind: Kind::Authorization,
        name: name.to_owned(),
        alias: None,
        org_type: OrgType::SalesforceOrg,
        state: State::Live(org.clone()),
        method: ConnectionMethod::OAuth,
        login_url: "https://login.salesforce.com".to_owned(),
        app_name: None,
        created_at: now,
        created_by: "dev@acme.example".to_owned(),
        last_modified_at: now,
        last_modified_by: "dev@acme.example".to_owned(),
    };
    let grant = RowId(app.entropy.uuid());
    let place = |column| Place { addon, table: grants::TABLE, row: grant.0, column };
    let token = format!("00D!{}", "x".repeat(108));
    let new = NewGrant {
        id: grant,
        addon,
        credential: RowId(id),
        method: ConnectionMethod::OAuth,
        login_origin: "https://login.salesforce.com".to_owned(),
        client_id: "figure".to_owned(),
        org,
        access_token: app.vault.seal(place("access_token"), &token.into()).await?,
        refresh_token: Some(app.vault.seal(place("refresh_token"), &"5Aep".repeat(20).into()).await?),
        private_key: None,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(86_400)),
    };
    let tx = app.store.begin().await?;
    credentials::insert(&*tx, &credential).await?;
    grants::insert(&*tx, new).await?;
    tx.commit().await?;
    Ok(())
}

/// One SeaORM read of a row by its key, as JSON. Prints URL and path.
pub(super) async fn bare(folder: &str) -> Result<()> {
    let url = DatabaseUrl::sqlite(&Path::new(folder).join("bare.db"));
    let database = Database::open(&url, applink_api::clock::Clock::system()).await?;
    let app = addons::AttachedApp {
        id: uuid::Uuid::from_u128(7).into(),
        name: "figure".to_owned(),
        url: Some("https://figure.example".to_owned()),
    };
    let tx = database.begin().await?;
    addons::store::insert_app(&tx, &app, 0).await?;
    tx.commit().await?;
    let routes = Router::new().route("/apps/{app}", get(show_app)).with_state(database.reader().clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{} /apps/{} none", listener.local_addr()?, app.id);
    Ok(axum::serve(listener, routes).await?)
}

async fn show_app(
    AppState(database): AppState<DatabaseConnection>,
    UrlPath(id): UrlPath<uuid::Uuid>,
) -> Json<serde_json::Value> {
    let found = addons::store::apps::Entity::find_by_id(RowId(id)).one(&database).await;
    Json(match found {
        Ok(Some(app)) => json!({"id": app.id.0, "name": app.name, "url": app.url}),
        _ => json!(null),
    })
}
