//! The sObjects a sales team works with.

use serde_json::json;

use super::{Access, Declaration, Field, SObject, Sharing};

const INDUSTRIES: &[&str] = &[
    "Agriculture",
    "Apparel",
    "Banking",
    "Biotechnology",
    "Communications",
    "Construction",
    "Education",
    "Electronics",
    "Energy",
    "Engineering",
    "Finance",
    "Healthcare",
    "Manufacturing",
    "Retail",
    "Technology",
    "Transportation",
    "Utilities",
    "Other",
];
const LEAD_SOURCES: &[&str] = &["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"];
const RATINGS: &[&str] = &["Hot", "Warm", "Cold"];
const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."];

/// The stages of an opportunity: name, probability in percent, forecast category, closed, won.
pub(crate) const STAGES: &[(&str, f64, &str, bool, bool)] = &[
    ("Prospecting", 10.0, "Pipeline", false, false),
    ("Qualification", 10.0, "Pipeline", false, false),
    ("Needs Analysis", 20.0, "Pipeline", false, false),
    ("Value Proposition", 50.0, "Pipeline", false, false),
    ("Id. Decision Makers", 60.0, "Pipeline", false, false),
    ("Perception Analysis", 70.0, "Pipeline", false, false),
    ("Proposal/Price Quote", 75.0, "Pipeline", false, false),
    ("Negotiation/Review", 90.0, "Pipeline", false, false),
    ("Closed Won", 100.0, "Closed", true, true),
    ("Closed Lost", 0.0, "Omitted", true, false),
];

pub(super) fn objects() -> Vec<SObject> {
    vec![
        account(),
        contact(),
        opportunity(),
        opportunity_line_item(),
        product(),
        price_book(),
        price_book_entry(),
        case(),
        task(),
    ]
}

fn account() -> SObject {
    let kinds =
        ["Prospect", "Customer - Direct", "Customer - Channel", "Channel Partner / Reseller", "Other"];
    let mut fields = vec![
        Field::text("Name", 255).label("Account Name").required(),
        Field::picklist("Type", &kinds).label("Account Type"),
        Field::lookup("ParentId", &["Account"], "Parent")
            .label("Parent Account ID")
            .children("ChildAccounts"),
    ];
    fields.extend(address("Billing"));
    fields.extend(address("Shipping"));
    fields.extend([
        Field::phone("Phone").label("Account Phone"),
        Field::phone("Fax").label("Account Fax"),
        Field::text("AccountNumber", 40),
        Field::url("Website"),
        Field::text("Sic", 20).label("SIC Code"),
        Field::picklist("Industry", INDUSTRIES),
        Field::currency("AnnualRevenue"),
        Field::int("NumberOfEmployees").label("Employees"),
        Field::text_area("Description", 32_000).label("Account Description"),
        Field::restricted_picklist("Rating", RATINGS).label("Account Rating"),
        Field::text("Site", 80).label("Account Site"),
        Field::text("ExternalId__c", 64).label("External Id").external_id().unique(),
    ]);
    Declaration::new("Account", "Account", "Accounts", "001").owned().fields(fields)
}

fn address(kind: &str) -> Vec<Field> {
    [("Street", 255), ("City", 40), ("State", 80), ("PostalCode", 20), ("Country", 80)]
        .into_iter()
        .map(|(part, length)| Field::text(&format!("{kind}{part}"), length))
        .collect()
}

fn contact() -> SObject {
    let mut fields = vec![
        Field::lookup("AccountId", &["Account"], "Account").children("Contacts").cascades(),
        Field::text("LastName", 80).required(),
        Field::text("FirstName", 40),
        Field::restricted_picklist("Salutation", SALUTATIONS),
        Field::text("Name", 121).label("Full Name").read_only().system(),
    ];
    fields.extend(address("Mailing"));
    fields.extend([
        Field::phone("Phone").label("Business Phone"),
        Field::phone("MobilePhone"),
        Field::lookup("ReportsToId", &["Contact"], "ReportsTo"),
        Field::email("Email"),
        Field::text("Title", 128),
        Field::text("Department", 80),
        Field::picklist("LeadSource", LEAD_SOURCES),
        Field::date("Birthdate"),
        Field::text_area("Description", 32_000).label("Contact Description"),
    ]);
    Declaration::new("Contact", "Contact", "Contacts", "003").owned().fields(fields)
}

fn opportunity() -> SObject {
    let stages: Vec<&str> = STAGES.iter().map(|stage| stage.0).collect();
    let kinds = ["Existing Customer - Upgrade", "Existing Customer - Replacement", "New Customer"];
    Declaration::new("Opportunity", "Opportunity", "Opportunities", "006")
        .access(Access::Business(Sharing::Private))
        .owned()
        .fields(vec![
            Field::lookup("AccountId", &["Account"], "Account").children("Opportunities").cascades(),
            Field::boolean("IsPrivate").label("Private"),
            Field::text("Name", 120).required(),
            Field::text_area("Description", 32_000),
            Field::picklist("StageName", &stages).label("Stage").required(),
            Field::currency("Amount"),
            Field::percent("Probability").label("Probability (%)"),
            Field::currency("ExpectedRevenue").label("Expected Amount").read_only(),
            Field::double("TotalOpportunityQuantity", 2).label("Quantity"),
            Field::date("CloseDate").required(),
            Field::picklist("Type", &kinds).label("Opportunity Type"),
            Field::text("NextStep", 255),
            Field::picklist("LeadSource", LEAD_SOURCES),
            Field::boolean("IsClosed").label("Closed").read_only().system(),
            Field::boolean("IsWon").label("Won").read_only().system(),
            Field::text("ForecastCategory", 40).read_only().system(),
            Field::text("ForecastCategoryName", 40).label("Forecast Category").read_only(),
            Field::lookup("CampaignId", &["Campaign"], "Campaign").children("Opportunities"),
            Field::boolean("HasOpportunityLineItem").label("Has Line Item").read_only().system(),
            Field::lookup("Pricebook2Id", &["Pricebook2"], "Pricebook2").label("Price Book ID"),
            Field::int("FiscalQuarter").read_only().system(),
            Field::int("FiscalYear").read_only().system(),
            Field::text("Fiscal", 6).label("Fiscal Period").read_only().system(),
        ])
}

fn opportunity_line_item() -> SObject {
    Declaration::new("OpportunityLineItem", "Opportunity Product", "Opportunity Products", "00k")
        .access(Access::Business(Sharing::ControlledByParent("OpportunityId")))
        .governed_by("Opportunity")
        .fields(vec![
            Field::lookup("OpportunityId", &["Opportunity"], "Opportunity")
                .children("OpportunityLineItems")
                .cascades()
                .required()
                .not_updateable(),
            Field::int("SortOrder").system(),
            Field::lookup("PricebookEntryId", &["PricebookEntry"], "PricebookEntry")
                .label("Price Book Entry ID")
                .system()
                .not_updateable(),
            Field::lookup("Product2Id", &["Product2"], "Product2")
                .label("Product ID")
                .children("OpportunityLineItems")
                .system()
                .not_updateable(),
            Field::text("ProductCode", 255).read_only().system(),
            Field::text("Name", 376).label("Opportunity Product Name").read_only().system(),
            Field::double("Quantity", 2).required(),
            Field::percent("Discount"),
            Field::currency("TotalPrice"),
            Field::currency("UnitPrice").label("Sales Price"),
            Field::currency("ListPrice").read_only(),
            Field::date("ServiceDate").label("Date"),
            Field::text("Description", 255).label("Line Description"),
        ])
}

fn product() -> SObject {
    Declaration::new("Product2", "Product", "Products", "01t").fields(vec![
        Field::text("Name", 255).label("Product Name").required(),
        Field::text("ProductCode", 255).external_id().unique(),
        Field::text_area("Description", 4_000).label("Product Description"),
        Field::boolean("IsActive").label("Active"),
        Field::picklist("Family", &["Hardware", "Software", "Services", "Other"]).label("Product Family"),
        Field::text("ExternalId", 255).external_id(),
        Field::url("DisplayUrl"),
        Field::text("QuantityUnitOfMeasure", 40),
        Field::text("StockKeepingUnit", 180).label("Product SKU"),
        Field::boolean("IsArchived").label("Archived").read_only().system(),
    ])
}

fn price_book() -> SObject {
    Declaration::new("Pricebook2", "Price Book", "Price Books", "01s").fields(vec![
        Field::text("Name", 255).label("Price Book Name").required(),
        Field::boolean("IsActive").label("Active").system(),
        Field::text("Description", 255),
        Field::boolean("IsStandard").label("Is Standard Price Book").read_only().system(),
        Field::boolean("IsArchived").label("Archived").read_only().system(),
    ])
}

fn price_book_entry() -> SObject {
    Declaration::new("PricebookEntry", "Price Book Entry", "Price Book Entries", "01u")
        .governed_by("Pricebook2")
        .unique_together(&["Pricebook2Id", "Product2Id"])
        .fields(vec![
            Field::text("Name", 255).label("Product Name").read_only().system(),
            Field::lookup("Pricebook2Id", &["Pricebook2"], "Pricebook2")
                .label("Price Book ID")
                .children("PricebookEntries")
                .required()
                .not_updateable(),
            Field::lookup("Product2Id", &["Product2"], "Product2")
                .label("Product ID")
                .children("PricebookEntries")
                .cascades()
                .required()
                .not_updateable(),
            Field::currency("UnitPrice").label("List Price").required(),
            Field::boolean("IsActive").label("Active").system(),
            Field::boolean("UseStandardPrice").system(),
            Field::text("ProductCode", 255).read_only().system(),
            Field::boolean("IsArchived").label("Archived").read_only().system(),
            Field::text("ExternalId__c", 64).label("External Id").external_id().unique(),
        ])
}

fn case() -> SObject {
    Declaration::new("Case", "Case", "Cases", "500").owned().fields(vec![
        Field::text("CaseNumber", 30).read_only().system(),
        Field::lookup("ContactId", &["Contact"], "Contact").children("Cases"),
        Field::lookup("AccountId", &["Account"], "Account").children("Cases"),
        Field::text("SuppliedName", 80).label("Name"),
        Field::email("SuppliedEmail").label("Email Address"),
        Field::picklist("Type", &["Question", "Problem", "Feature Request"]).label("Case Type"),
        Field::picklist("Status", &["New", "Working", "Escalated", "Closed"])
            .system()
            .default_value(json!("New")),
        Field::picklist("Reason", &["Installation", "Performance", "Breakdown", "Other"])
            .label("Case Reason"),
        Field::picklist("Origin", &["Phone", "Email", "Web"]).label("Case Origin"),
        Field::text("Subject", 255),
        Field::picklist("Priority", &["High", "Medium", "Low"]).default_value(json!("Medium")),
        Field::text_area("Description", 32_000),
        Field::boolean("IsClosed").label("Closed").read_only().system(),
    ])
}

fn task() -> SObject {
    let statuses = ["Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"];
    Declaration::new("Task", "Task", "Tasks", "00T")
        .access(Access::Business(Sharing::Private))
        .owned()
        .fields(vec![
            Field::lookup("WhoId", &["Contact", "Lead"], "Who").label("Name ID").children("Tasks"),
            Field::lookup("WhatId", &["Account", "Opportunity", "Campaign", "Case", "Product2"], "What")
                .label("Related To ID")
                .children("Tasks"),
            Field::text("Subject", 255),
            Field::date("ActivityDate").label("Due Date Only"),
            Field::picklist("Status", &statuses).system().default_value(json!("Not Started")),
            Field::picklist("Priority", &["High", "Normal", "Low"]).system().default_value(json!("Normal")),
            Field::text_area("Description", 32_000),
            Field::boolean("IsClosed").label("Closed").read_only().system(),
        ])
}
