//! Called by the org, through the mesh: everything here runs with the calling user's own rights.

use applink_sdk::Invocation;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// The routes of `api-spec.yaml`.
pub fn app() -> Router {
    Router::new().route("/accounts", get(list_accounts))
}

async fn list_accounts(invocation: Invocation) -> Result<Json<Value>, StatusCode> {
    let org = invocation.org();
    let query = org.data().query("SELECT Id, Name FROM Account ORDER BY Name LIMIT 50");
    let page = query.send().await.map_err(|error| {
        eprintln!("{error}");
        StatusCode::BAD_GATEWAY
    })?;
    let accounts =
        page.records.iter().map(|record| json!({"id": record.text("Id"), "name": record.text("Name")}));
    Ok(Json(json!({"accounts": accounts.collect::<Vec<_>>()})))
}
