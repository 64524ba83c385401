//! An ingest API: suppliers send products, the org has them with a price, whether they were new or not.
//!
//! 1. [`supplied`]: every product is checked; one that breaks a rule stops the whole request, by its place.
//! 2. [`import`]: each product is upserted on its product code, as the stored user.
//! 3. Its price in the standard price book is created or changed.
//!
//! Each product has an outcome of its own: the failure of one leaves the others as they are.

mod supplied;
mod write;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::json_body::JsonBody;
use crate::problem::Problem;
use crate::service::App;
use supplied::ImportRequest;

/// What became of an import.
#[derive(Debug, Serialize)]
pub(crate) struct Imported {
    created: usize,
    updated: usize,
    failed: usize,
    products: Vec<ImportedProduct>,
}

/// What became of one product.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportedProduct {
    product_code: String,
    status: ImportStatus,
    /// Also there when only the price failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImportStatus {
    Created,
    Updated,
    Failed,
}

/// `POST /api/products/import`.
pub(crate) async fn import(
    State(app): State<App>,
    JsonBody(body): JsonBody<ImportRequest>,
) -> Result<Json<Imported>, Problem> {
    let supplied = body.checked()?;
    let org = app.portal().await?.org();
    let products = write::all(&org, app.product_key(), supplied).await?;
    let count = |status| products.iter().filter(|product| product.status == status).count();
    Ok(Json(Imported {
        created: count(ImportStatus::Created),
        updated: count(ImportStatus::Updated),
        failed: count(ImportStatus::Failed),
        products,
    }))
}
