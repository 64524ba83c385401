//! Step 1: what a supplier sends.

use std::collections::HashMap;

use serde::Deserialize;

use crate::problem::Problem;

const MAX_PRODUCTS: usize = 200;
/// Salesforce's own limits, in characters.
const MAX_NAME: usize = 255;
const MAX_CODE: usize = 255;
const MAX_DESCRIPTION: usize = 4_000;
/// Sixteen digits before the point.
const MAX_PRICE: f64 = 1e16;

/// The body.
#[derive(Debug, Deserialize)]
pub(crate) struct ImportRequest {
    products: Vec<Product>,
}

/// One product.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product {
    pub(super) product_code: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) family: Option<String>,
    pub(super) price: f64,
}

impl ImportRequest {
    /// The products, each with a code of its own.
    pub(super) fn checked(self) -> Result<Vec<Product>, Problem> {
        if self.products.is_empty() {
            return Err(Problem::invalid("products", "Send at least one product."));
        }
        if self.products.len() > MAX_PRODUCTS {
            return Err(Problem::invalid("products", "Send 200 products at most."));
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, product) in self.products.iter().enumerate() {
            product.ensure_good(index)?;
            if let Some(earlier) = seen.insert(product.product_code.to_lowercase(), index) {
                let message = format!("The product code is that of products[{earlier}] too.");
                return Err(Problem::invalid(format!("products[{index}].productCode"), message));
            }
        }
        Ok(self.products)
    }
}

impl Product {
    fn ensure_good(&self, index: usize) -> Result<(), Problem> {
        let refuse = |field: &str, message: &'static str| {
            Err(Problem::invalid(format!("products[{index}].{field}"), message))
        };
        let length = |text: &str| text.chars().count();
        if self.product_code.trim().is_empty() || length(&self.product_code) > MAX_CODE {
            return refuse("productCode", "Give a product code of 1 to 255 characters.");
        }
        if matches!(self.product_code.as_str(), "." | "..") {
            return refuse("productCode", "A product code can't be only dots.");
        }
        if self.name.trim().is_empty() || length(&self.name) > MAX_NAME {
            return refuse("name", "Give a name of 1 to 255 characters.");
        }
        if self.description.as_deref().is_some_and(|text| length(text) > MAX_DESCRIPTION) {
            return refuse("description", "Give a description of 4,000 characters at most.");
        }
        if !(0.0..MAX_PRICE).contains(&self.price) {
            return refuse("price", "Give a price of 0 or more.");
        }
        Ok(())
    }
}
