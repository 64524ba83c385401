//! Step 1: a click becomes a row of Data Cloud.

use applink_sdk::Error;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{AUTHORIZATION, App, SOURCE};

/// A click, as the page posts it: every field of the connector's schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Click {
    /// Unique, made by the page: a click that is posted twice is one row.
    pub event_id: String,
    /// Who clicked.
    pub visitor: String,
    /// Where.
    pub page: String,
    /// What, such as `view`.
    pub action: String,
    /// On which product.
    pub product: Option<String>,
    /// How many of it.
    pub quantity: Option<f64>,
    /// When, RFC 3339.
    pub occurred_at: String,
}

/// `POST /api/clicks`.
pub async fn take(State(app): State<App>, Json(click): Json<Click>) -> Response {
    match send(&app, &click).await {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({"accepted": true}))).into_response(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a click was not taken");
            let status =
                if error.is_transient() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
            (status, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

async fn send(app: &App, click: &Click) -> Result<(), Error> {
    let org = app.applink.authorization(AUTHORIZATION).await?.org();
    org.data_cloud().upsert(SOURCE.0, SOURCE.1).row(click).send().await.map(drop)
}
