//! Step 2: what was sold, as far as the calling user may see it.

use applink_sdk::{Error, Org, Page, Record, RecordId, soql};

/// An opportunity with what it sold.
#[derive(Debug)]
pub(super) struct Opportunity {
    pub(super) id: String,
    pub(super) line_items: Vec<LineItem>,
}

/// One thing that was sold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LineItem {
    pub(super) id: String,
    /// The product's name, its id when it has none.
    pub(super) product: String,
    pub(super) quantity: f64,
}

pub(super) async fn read(org: &Org, ids: &[RecordId]) -> Result<Vec<Opportunity>, Error> {
    let query = format!(
        "SELECT Id, Name, AccountId, CloseDate, StageName, Amount, \
           (SELECT Id, Product2Id, Product2.Name, Quantity, UnitPrice, PricebookEntryId FROM OpportunityLineItems) \
         FROM Opportunity WHERE Id IN {} ORDER BY Name",
        soql::ids(ids)
    );
    let mut opportunities = Vec::new();
    let mut records = org.data().query(query).all();
    while let Some(record) = records.next().await? {
        let line_items = line_items(org, record.children("OpportunityLineItems")).await?;
        opportunities.push(Opportunity { id: record.id().unwrap_or_default().to_owned(), line_items });
    }
    Ok(opportunities)
}

/// The children on every page.
async fn line_items(org: &Org, first: Option<&Page>) -> Result<Vec<LineItem>, Error> {
    let Some(first) = first else { return Ok(Vec::new()) };
    let mut items: Vec<LineItem> = first.records.iter().map(LineItem::of).collect();
    let mut page = first.clone();
    while !page.done {
        page = org.data().query_more(&page).await?;
        items.extend(page.records.iter().map(LineItem::of));
    }
    Ok(items)
}

impl LineItem {
    fn of(record: &Record) -> Self {
        let name = record.record("Product2").and_then(|product| product.text("Name"));
        let product = name.or_else(|| record.text("Product2Id")).unwrap_or("unknown product");
        Self {
            id: record.id().unwrap_or_default().to_owned(),
            product: product.to_owned(),
            quantity: record.number("Quantity").unwrap_or(0.0),
        }
    }
}
