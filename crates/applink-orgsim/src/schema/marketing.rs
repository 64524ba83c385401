//! Campaigns, leads, and the custom metadata type of the provisioning story.

use serde_json::json;

use super::{Access, Declaration, Field, SObject, Sharing};

pub(super) fn objects() -> Vec<SObject> {
    vec![campaign(), lead(), provisioning_parameter()]
}

fn campaign() -> SObject {
    let kinds = ["Conference", "Webinar", "Trade Show", "Partners", "Advertisement", "Email", "Other"];
    let statuses = ["Planned", "In Progress", "Completed", "Aborted"];
    Declaration::new("Campaign", "Campaign", "Campaigns", "701")
        .access(Access::Business(Sharing::PublicRead))
        .owned()
        .fields(vec![
            Field::text("Name", 80).required(),
            Field::lookup("ParentId", &["Campaign"], "Parent")
                .label("Parent Campaign ID")
                .children("ChildCampaigns"),
            Field::picklist("Type", &kinds),
            Field::picklist("Status", &statuses).default_value(json!("Planned")),
            Field::date("StartDate"),
            Field::date("EndDate"),
            Field::currency("ExpectedRevenue").label("Expected Revenue in Campaign"),
            Field::currency("BudgetedCost").label("Budgeted Cost in Campaign"),
            Field::currency("ActualCost").label("Actual Cost in Campaign"),
            Field::percent("ExpectedResponse").label("Expected Response (%)"),
            Field::double("NumberSent", 0).label("Num Sent in Campaign"),
            Field::boolean("IsActive").label("Active"),
            Field::text_area("Description", 32_000),
        ])
}

fn lead() -> SObject {
    let statuses =
        ["Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted"];
    Declaration::new("Lead", "Lead", "Leads", "00Q").owned().fields(vec![
        Field::text("LastName", 80).required(),
        Field::text("FirstName", 40),
        Field::text("Name", 121).label("Full Name").read_only().system(),
        Field::text("Title", 128),
        Field::text("Company", 255).required(),
        Field::text("Street", 255),
        Field::text("City", 40),
        Field::text("State", 80).label("State/Province"),
        Field::text("PostalCode", 20).label("Zip/Postal Code"),
        Field::text("Country", 80),
        Field::phone("Phone"),
        Field::email("Email"),
        Field::url("Website"),
        Field::text_area("Description", 32_000),
        Field::picklist(
            "LeadSource",
            &["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"],
        ),
        Field::picklist("Status", &statuses).system().default_value(json!("Open - Not Contacted")),
        Field::restricted_picklist("Rating", &["Hot", "Warm", "Cold"]),
        Field::currency("AnnualRevenue"),
        Field::int("NumberOfEmployees").label("Employees"),
        Field::boolean("IsConverted").label("Converted").read_only().system(),
    ])
}

fn provisioning_parameter() -> SObject {
    Declaration::new("ProvisioningParameter__mdt", "Provisioning Parameter", "Provisioning Parameters", "m00")
        .access(Access::CustomMetadata)
        .bare_fields(vec![
            Field::text("DeveloperName", 40).label("Custom Metadata Record Name").required().unique(),
            Field::text("MasterLabel", 40).label("Label").required(),
            Field::text("Language", 40).label("Master Language").system().default_value(json!("en_US")),
            Field::text("NamespacePrefix", 15).system(),
            Field::text("Label", 40).system().computed("{t}.\"MasterLabel\""),
            Field::text("QualifiedApiName", 70).system().computed("{t}.\"DeveloperName\""),
            Field::date_time("SystemModstamp").label("System Modstamp").read_only().system(),
            Field::text("Name__c", 80).system(),
            Field::text("Value__c", 255).system(),
        ])
}
