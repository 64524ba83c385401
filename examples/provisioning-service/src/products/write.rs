//! Steps 2 and 3: products and prices into the org.

use std::collections::HashMap;

use applink_sdk::data::Saved;
use applink_sdk::{Error, Org, soql};
use futures_util::{StreamExt, stream};

use super::supplied::Product;
use super::{ImportStatus, ImportedProduct};
use crate::problem::Problem;

/// How many calls run at the same time: an org limits long ones per user, and shares its locks.
const AT_ONCE: usize = 5;
const STANDARD_PRICE_BOOK: &str = "SELECT Id FROM Pricebook2 WHERE IsStandard = true LIMIT 1";

/// Writes all of them; the outcomes come in the order of the products.
pub(super) async fn all(
    org: &Org,
    key: &str,
    products: Vec<Product>,
) -> Result<Vec<ImportedProduct>, Problem> {
    let price_book = standard_price_book(org).await?;
    let upserts: Vec<_> = products.iter().map(|product| upsert(org, key, product)).collect();
    let saved: Vec<Result<Saved, Error>> = stream::iter(upserts).buffered(AT_ONCE).collect().await;
    let ids = saved.iter().flatten().map(|saved| saved.id.as_str());
    let prices = Prices::read(org, &price_book, ids.collect()).await?;
    let pairs = products.into_iter().zip(saved);
    let outcomes: Vec<_> = pairs.map(|(product, saved)| prices.finish(org, product, saved)).collect();
    Ok(stream::iter(outcomes).buffered(AT_ONCE).collect().await)
}

async fn standard_price_book(org: &Org) -> Result<String, Problem> {
    let page = org.data().query(STANDARD_PRICE_BOOK).send().await?;
    let id = page.records.first().and_then(|record| record.id());
    id.map(str::to_owned).ok_or_else(Problem::no_price_book)
}

/// Step 2. What the supplier leaves out stays as it is in the org.
async fn upsert(org: &Org, key: &str, product: &Product) -> Result<Saved, Error> {
    let mut upsert = org.data().upsert("Product2", key, &product.product_code);
    upsert = upsert.field("Name", &product.name).field("IsActive", true);
    if key != "ProductCode" {
        upsert = upsert.field("ProductCode", &product.product_code);
    }
    if let Some(description) = &product.description {
        upsert = upsert.field("Description", description);
    }
    if let Some(family) = &product.family {
        upsert = upsert.field("Family", family);
    }
    upsert.send().await
}

/// The entries that are there, by product.
struct Prices {
    price_book: String,
    known: HashMap<String, Entry>,
}

struct Entry {
    id: String,
    price: f64,
}

impl Prices {
    async fn read(org: &Org, price_book: &str, products: Vec<&str>) -> Result<Self, Error> {
        let mut known = HashMap::new();
        if !products.is_empty() {
            let query = format!(
                "SELECT Id, Product2Id, UnitPrice FROM PricebookEntry WHERE Pricebook2Id = {} AND Product2Id IN {}",
                soql::text(price_book),
                soql::texts(products)
            );
            for record in org.data().query(query).all().collect().await? {
                let (Some(id), Some(product)) = (record.id(), record.text("Product2Id")) else { continue };
                let price = record.number("UnitPrice").unwrap_or(f64::NAN);
                known.insert(product.to_owned(), Entry { id: id.to_owned(), price });
            }
        }
        Ok(Self { price_book: price_book.to_owned(), known })
    }

    /// Step 3, and the product's outcome.
    async fn finish(&self, org: &Org, product: Product, saved: Result<Saved, Error>) -> ImportedProduct {
        let saved = match saved {
            Ok(saved) => saved,
            Err(error) => return failed(product, None, &error),
        };
        let product_id = Some(saved.id.to_string());
        match self.set(org, &saved, product.price).await {
            Ok(()) => {
                let status = if saved.created { ImportStatus::Created } else { ImportStatus::Updated };
                ImportedProduct { product_code: product.product_code, status, product_id, error: None }
            }
            Err(error) => failed(product, product_id, &error),
        }
    }

    async fn set(&self, org: &Org, product: &Saved, price: f64) -> Result<(), Error> {
        match self.known.get(product.id.as_str()) {
            #[expect(clippy::float_cmp, reason = "the org gives back the very number it was given")]
            Some(entry) if entry.price == price => Ok(()),
            Some(entry) => {
                org.data().update("PricebookEntry", &entry.id).field("UnitPrice", price).send().await
            }
            None => {
                let entry = org.data().create("PricebookEntry").field("Product2Id", product.id);
                let entry = entry.field("Pricebook2Id", &self.price_book).field("UnitPrice", price);
                entry.field("IsActive", true).send().await.map(drop)
            }
        }
    }
}

fn failed(product: Product, product_id: Option<String>, error: &Error) -> ImportedProduct {
    tracing::warn!(error = crate::problem::chain(error), "a product was not imported");
    ImportedProduct {
        product_code: product.product_code,
        status: ImportStatus::Failed,
        product_id,
        error: Some(error.to_string()),
    }
}
