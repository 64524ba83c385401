//! The sample company's records.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::SeededUser;
use crate::db::Tx;
use crate::records::{self, RestError};

/// External id, name, kind, industry, city, revenue, owner.
const ACCOUNTS: &[(&str, &str, &str, &str, &str, f64, &str)] = &[
    ("A-001", "Nordwind Energy", "Customer - Direct", "Energy", "Kiel", 84_000_000.0, "sales"),
    ("A-002", "Alpenblick Hotels", "Customer - Direct", "Other", "Innsbruck", 12_500_000.0, "sales"),
    ("A-003", "Hafen Logistik", "Customer - Channel", "Transportation", "Bremen", 230_000_000.0, "sales"),
    ("A-004", "Silberpfad Clinics", "Prospect", "Healthcare", "Leipzig", 41_000_000.0, "admin"),
    ("A-005", "Maple & Stone Foods", "Prospect", "Retail", "Halifax", 9_800_000.0, "admin"),
    ("A-006", "O'Dwyer Instruments", "Customer - Direct", "Manufacturing", "Galway", 67_000_000.0, "sales"),
    ("A-007", "Quellwerk Utilities", "Prospect", "Utilities", "Linz", 152_000_000.0, "integration"),
];

/// First name, last name, title, account.
const CONTACTS: &[(&str, &str, &str, &str)] = &[
    ("Frieda", "Lorenzen", "Head of Operations", "A-001"),
    ("Jonas", "Petersen", "Plant Engineer", "A-001"),
    ("Theresa", "Moser", "General Manager", "A-002"),
    ("Karim", "Haddad", "Fleet Director", "A-003"),
    ("Lena", "Vogt", "Chief Nursing Officer", "A-004"),
    ("Noah", "MacLeod", "Buyer", "A-005"),
    ("Aoife", "O'Dwyer", "Managing Director", "A-006"),
    ("Bernd", "Huber", "Network Planner", "A-007"),
];

/// Code, name, family, list price.
const PRODUCTS: &[(&str, &str, &str, f64)] = &[
    ("CLD-NODE-S", "Compute Node, small", "Services", 180.0),
    ("CLD-NODE-L", "Compute Node, large", "Services", 720.0),
    ("CLD-STORE-TB", "Object Storage, per terabyte", "Services", 24.0),
    ("EDGE-GW-100", "Edge Gateway 100", "Hardware", 1_450.0),
    ("EDGE-SENSOR", "Vibration Sensor", "Hardware", 89.5),
    ("SUP-GOLD", "Gold Support, yearly", "Services", 5_000.0),
];

/// An opportunity and its line items (product code, quantity).
struct Deal {
    name: &'static str,
    account: &'static str,
    owner: &'static str,
    stage: &'static str,
    closes_in_days: i64,
    items: &'static [(&'static str, f64)],
}

const DEALS: &[Deal] = &[
    Deal {
        name: "Nordwind turbine monitoring",
        account: "A-001",
        owner: "sales",
        stage: "Closed Won",
        closes_in_days: -12,
        items: &[("EDGE-GW-100", 4.0), ("EDGE-SENSOR", 160.0), ("SUP-GOLD", 1.0)],
    },
    Deal {
        name: "Alpenblick booking platform",
        account: "A-002",
        owner: "sales",
        stage: "Closed Won",
        closes_in_days: -3,
        items: &[("CLD-NODE-S", 6.0), ("CLD-STORE-TB", 10.0)],
    },
    Deal {
        name: "Hafen container tracking",
        account: "A-003",
        owner: "sales",
        stage: "Negotiation/Review",
        closes_in_days: 21,
        items: &[("CLD-NODE-L", 3.0), ("EDGE-GW-100", 12.0)],
    },
    Deal {
        name: "O'Dwyer calibration cloud",
        account: "A-006",
        owner: "sales",
        stage: "Proposal/Price Quote",
        closes_in_days: 45,
        items: &[("CLD-NODE-S", 2.0)],
    },
    Deal {
        name: "Silberpfad patient portal",
        account: "A-004",
        owner: "admin",
        stage: "Closed Won",
        closes_in_days: -20,
        items: &[("CLD-NODE-L", 2.0), ("SUP-GOLD", 2.0)],
    },
    Deal {
        name: "Maple & Stone shelf sensors",
        account: "A-005",
        owner: "admin",
        stage: "Qualification",
        closes_in_days: 90,
        items: &[("EDGE-SENSOR", 300.0)],
    },
    Deal {
        name: "Nordwind archive storage",
        account: "A-001",
        owner: "admin",
        stage: "Closed Lost",
        closes_in_days: -60,
        items: &[("CLD-STORE-TB", 500.0)],
    },
    Deal {
        name: "Quellwerk pump telemetry",
        account: "A-007",
        owner: "integration",
        stage: "Prospecting",
        closes_in_days: 120,
        items: &[("EDGE-GW-100", 2.0), ("EDGE-SENSOR", 40.0)],
    },
];

/// Name, type, status, first and last day from today, description.
const CAMPAIGNS: &[(&str, &str, &str, i64, i64, &str)] = &[
    (
        "Spring Edge Tour",
        "Conference",
        "In Progress",
        -20,
        25,
        "Five cities, live demos of the edge gateway.",
    ),
    ("Sensor Starter Webinar", "Webinar", "Planned", 14, 14, "How to monitor a pump in an afternoon."),
    ("Partner Launch Week", "Partners", "Planned", 40, 47, "Co-marketing with channel partners."),
    ("Cloud Cost Check", "Email", "Completed", -90, -60, "A mailing that offers a free look at cloud bills."),
    (
        "Makers and Machines",
        "Advertisement",
        "In Progress",
        -5,
        60,
        "Influencer videos from customers' workshops.",
    ),
];

/// Developer name, label, name, value.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("Default_Region", "Default Region", "defaultRegion", "eu-central"),
    ("Node_Image", "Node Image", "nodeImage", "machine-os-24.2"),
    ("Max_Nodes_Per_Order", "Max Nodes Per Order", "maxNodesPerOrder", "50"),
    ("Gateway_Firmware", "Gateway Firmware", "gatewayFirmware", "7.3.1"),
];

/// Inserts everything.
pub(super) fn insert(tx: &Tx<'_>, users: &[SeededUser]) -> Result<(), RestError> {
    let sample = Sample { tx, users, today: today(tx) };
    sample.accounts_and_contacts()?;
    let standard = sample.price_book()?;
    sample.deals(&standard)?;
    sample.campaigns()?;
    sample.leads_cases_and_tasks()?;
    for (developer_name, label, name, value) in PARAMETERS {
        let row = json!({"DeveloperName": developer_name, "MasterLabel": label, "Name__c": name, "Value__c": value});
        records::insert(tx, "ProvisioningParameter__mdt", row)?;
    }
    Ok(())
}

fn today(tx: &Tx<'_>) -> Date {
    let now = jiff::Timestamp::from_microsecond(tx.now_micros()).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

struct Sample<'s> {
    tx: &'s Tx<'s>,
    users: &'s [SeededUser],
    today: Date,
}

impl Sample<'_> {
    /// Inserts as the org, in the name of one of the users.
    fn insert(&self, object: &str, owner: &str, mut fields: Value) -> Result<String, RestError> {
        let user = self.users.iter().find(|user| user.role == owner).map(|user| user.user_id.clone());
        let owned = self.tx.schema().object(object).is_some_and(crate::schema::SObject::has_owner);
        let names: &[&str] = if owned {
            &["OwnerId", "CreatedById", "LastModifiedById"]
        } else {
            &["CreatedById", "LastModifiedById"]
        };
        for name in names {
            fields[*name] = json!(user);
        }
        records::insert(self.tx, object, fields)
    }

    fn day(&self, from_today: i64) -> String {
        self.today.saturating_add(from_today.days()).to_string()
    }

    fn account(&self, external_id: &str) -> Result<Option<String>, RestError> {
        records::find(self.tx, "Account", "ExternalId__c", external_id)
    }

    fn accounts_and_contacts(&self) -> Result<(), RestError> {
        for (external_id, name, kind, industry, city, revenue, owner) in ACCOUNTS {
            let account = json!({
                "Name": name, "Type": kind, "Industry": industry, "BillingCity": city, "AnnualRevenue": revenue,
                "ExternalId__c": external_id, "Rating": "Warm",
            });
            self.insert("Account", owner, account)?;
        }
        for (first_name, last_name, title, account) in CONTACTS {
            let mailbox: String =
                last_name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
            let contact = json!({
                "FirstName": first_name, "LastName": last_name, "Title": title, "AccountId": self.account(account)?,
                "Email": format!("{}.{mailbox}@customers.example", first_name.to_lowercase()),
            });
            self.insert("Contact", "sales", contact)?;
        }
        Ok(())
    }

    fn price_book(&self) -> Result<String, RestError> {
        let book = json!({"Name": "Standard Price Book", "IsActive": true, "IsStandard": true});
        let standard = self.insert("Pricebook2", "admin", book)?;
        for (code, name, family, price) in PRODUCTS {
            let product = json!({"Name": name, "ProductCode": code, "Family": family, "IsActive": true});
            let product = self.insert("Product2", "admin", product)?;
            let entry = json!({
                "Pricebook2Id": standard, "Product2Id": product, "UnitPrice": price, "IsActive": true,
                "ExternalId__c": format!("STD-{code}"),
            });
            self.insert("PricebookEntry", "admin", entry)?;
        }
        Ok(standard)
    }

    fn deals(&self, price_book: &str) -> Result<(), RestError> {
        for deal in DEALS {
            let opportunity = json!({
                "Name": deal.name, "AccountId": self.account(deal.account)?, "StageName": deal.stage,
                "CloseDate": self.day(deal.closes_in_days), "Pricebook2Id": price_book, "Type": "New Customer",
                "LeadSource": "Web",
            });
            let opportunity = self.insert("Opportunity", deal.owner, opportunity)?;
            for (index, (code, quantity)) in deal.items.iter().enumerate() {
                let entry =
                    records::find(self.tx, "PricebookEntry", "ExternalId__c", &format!("STD-{code}"))?;
                let item = json!({
                    "OpportunityId": opportunity, "PricebookEntryId": entry, "Quantity": quantity,
                    "SortOrder": index + 1,
                });
                self.insert("OpportunityLineItem", deal.owner, item)?;
            }
        }
        Ok(())
    }

    fn campaigns(&self) -> Result<(), RestError> {
        for (name, kind, status, first, last, description) in CAMPAIGNS {
            let campaign = json!({
                "Name": name, "Type": kind, "Status": status, "StartDate": self.day(*first), "EndDate": self.day(*last),
                "Description": description, "IsActive": *status == "In Progress",
            });
            self.insert("Campaign", "admin", campaign)?;
        }
        Ok(())
    }

    fn leads_cases_and_tasks(&self) -> Result<(), RestError> {
        for (first_name, last_name, company) in
            [("Mira", "Sandoval", "Tidewater Pumps"), ("Olek", "Bartosz", "Bartosz Tools")]
        {
            let lead = json!({"FirstName": first_name, "LastName": last_name, "Company": company, "LeadSource": "Web"});
            self.insert("Lead", "sales", lead)?;
        }
        let case = json!({
            "Subject": "Gateway reboots at night", "AccountId": self.account("A-001")?, "Origin": "Email",
            "Priority": "High",
        });
        self.insert("Case", "sales", case)?;
        let task = json!({
            "Subject": "Call about renewal", "WhatId": self.account("A-003")?, "ActivityDate": self.day(2),
        });
        self.insert("Task", "sales", task)?;
        Ok(())
    }
}
