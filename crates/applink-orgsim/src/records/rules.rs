//! What follows from other fields, sObject by sObject: names, stages, prices, the sets a user's profile brings.

use rusqlite::types::Value as SqlValue;
use serde_json::json;

use super::values::{Row, rounded};
use super::{Records, RestError, checks, files};
use crate::invoke::store as invocations;
use crate::schema::{SObject, STAGES};

/// Works out a row's dependent fields before it is written.
pub(super) fn before_write(
    records: &Records<'_>,
    object: &SObject,
    before: Option<&Row>,
    row: &mut Row,
) -> Result<(), RestError> {
    match object.name.as_str() {
        "Contact" | "Lead" | "User" => {
            row.set("Name", full_name(row));
            Ok(())
        }
        "Opportunity" => opportunity(records, before, row),
        "OpportunityLineItem" => line_item(records, before, row),
        "PricebookEntry" => price_book_entry(records, before, row),
        "Case" => case(records, before, row),
        "Task" => {
            let closed = row.text("Status") == Some("Completed");
            row.set("IsClosed", flag(closed));
            Ok(())
        }
        "SessionPermSetActivation" => session_activation(records, row),
        "ContentVersion" => files::before_write(records, before, row),
        _ => Ok(()),
    }
}

/// What else changes once a row is written.
pub(super) fn after_write(
    records: &Records<'_>,
    object: &SObject,
    id: &str,
    row: &Row,
) -> Result<(), RestError> {
    match object.name.as_str() {
        "OpportunityLineItem" => total_opportunity(records, row),
        "Profile" => own_permission_set(records, id, row),
        "User" => {
            assign_profile(records, id, row)?;
            end_what_an_inactive_user_left_open(records, id, row)
        }
        "ContentVersion" => files::after_write(records, id, row),
        _ => Ok(()),
    }
}

/// What else changes once a row is deleted.
pub(super) fn after_delete(
    records: &Records<'_>,
    object: &SObject,
    id: &str,
    row: &Row,
) -> Result<(), RestError> {
    match object.name.as_str() {
        "OpportunityLineItem" => total_opportunity(records, row),
        "AuthSession" => Ok(invocations::end_of_session(records.tx, id)?),
        _ => Ok(()),
    }
}

fn flag(value: bool) -> SqlValue {
    SqlValue::Integer(i64::from(value))
}

fn full_name(row: &Row) -> SqlValue {
    let parts: Vec<&str> = ["FirstName", "LastName"].into_iter().filter_map(|name| row.text(name)).collect();
    if parts.is_empty() { SqlValue::Null } else { SqlValue::Text(parts.join(" ")) }
}

/// The stage decides probability (unless given), forecast category and whether the deal is closed or won.
fn opportunity(records: &Records<'_>, before: Option<&Row>, row: &mut Row) -> Result<(), RestError> {
    if let Some(before) = before
        && before.flag("HasOpportunityLineItem")
        && before.get("Amount") != row.get("Amount")
        && !records.is_system()
    {
        // With products the amount is their sum; Salesforce ignores what an update says.
        row.set("Amount", before.get("Amount").clone());
    }
    let stage_changed = before.is_none_or(|before| before.get("StageName") != row.get("StageName"));
    if let Some((name, probability, category, closed, won)) = row.text("StageName").and_then(stage)
        && stage_changed
    {
        let given = before.map_or(!row.is_null("Probability"), |before| {
            before.get("Probability") != row.get("Probability")
        });
        if !given {
            row.set("Probability", SqlValue::Real(*probability));
        }
        row.set("StageName", SqlValue::Text((*name).to_owned()));
        row.set("ForecastCategory", SqlValue::Text((*category).to_owned()));
        row.set("ForecastCategoryName", SqlValue::Text((*category).to_owned()));
        row.set("IsClosed", flag(*closed));
        row.set("IsWon", flag(*won));
    }
    let expected = row.number("Amount").zip(row.number("Probability"));
    let expected = expected.map(|(amount, probability)| rounded(amount * probability / 100.0, 2));
    row.set("ExpectedRevenue", expected.map_or(SqlValue::Null, SqlValue::Real));
    fiscal_period(row);
    Ok(())
}

fn stage(name: &str) -> Option<&'static (&'static str, f64, &'static str, bool, bool)> {
    STAGES.iter().find(|stage| stage.0.eq_ignore_ascii_case(name))
}

fn fiscal_period(row: &mut Row) {
    let Some(day) = row.text("CloseDate").and_then(|day| day.parse::<jiff::civil::Date>().ok()) else {
        return;
    };
    let quarter = i64::from((day.month() - 1) / 3 + 1);
    row.set("FiscalYear", SqlValue::Integer(i64::from(day.year())));
    row.set("FiscalQuarter", SqlValue::Integer(quarter));
    row.set("Fiscal", SqlValue::Text(format!("{} {quarter}", day.year())));
}

/// Product, code, list price and name come from the price book entry, the total from quantity and price.
fn line_item(records: &Records<'_>, before: Option<&Row>, row: &mut Row) -> Result<(), RestError> {
    if before.is_none() {
        describe_line_item(records, row)?;
    }
    let quantity = row.number("Quantity").unwrap_or_default();
    let was = |name: &str| before.map_or(SqlValue::Null, |before| before.get(name).clone());
    let total_given = *row.get("TotalPrice") != was("TotalPrice") && !row.is_null("TotalPrice");
    let price_given = *row.get("UnitPrice") != was("UnitPrice") && !row.is_null("UnitPrice");
    let factor = 1.0 - row.number("Discount").unwrap_or_default() / 100.0;
    if total_given && !price_given && quantity * factor != 0.0 {
        let price = row.number("TotalPrice").unwrap_or_default() / quantity / factor;
        row.set("UnitPrice", SqlValue::Real(rounded(price, 2)));
        return Ok(());
    }
    if row.is_null("UnitPrice") {
        row.set("UnitPrice", row.get("ListPrice").clone());
    }
    let Some(price) = row.number("UnitPrice") else {
        let message = "Required fields are missing: [UnitPrice]";
        return Err(RestError::new(400, "REQUIRED_FIELD_MISSING", message).about(["UnitPrice"]));
    };
    row.set("TotalPrice", SqlValue::Real(rounded(quantity * price * factor, 2)));
    Ok(())
}

fn describe_line_item(records: &Records<'_>, row: &mut Row) -> Result<(), RestError> {
    if let Some(entry) = load(records, "PricebookEntry", row.text("PricebookEntryId"))? {
        row.set("Product2Id", entry.get("Product2Id").clone());
        row.set("ListPrice", entry.get("UnitPrice").clone());
    }
    let Some(product) = load(records, "Product2", row.text("Product2Id"))? else {
        let message = "Required fields are missing: [PricebookEntryId]";
        return Err(RestError::new(400, "REQUIRED_FIELD_MISSING", message).about(["PricebookEntryId"]));
    };
    row.set("ProductCode", product.get("ProductCode").clone());
    let opportunity = load(records, "Opportunity", row.text("OpportunityId"))?.unwrap_or_default();
    let names = [opportunity.text("Name"), product.text("Name")];
    let name: Vec<&str> = names.into_iter().flatten().collect();
    row.set("Name", SqlValue::Text(name.join(" ")));
    Ok(())
}

/// An opportunity with products has their sum as its amount.
fn total_opportunity(records: &Records<'_>, line_item: &Row) -> Result<(), RestError> {
    let Some(id) = line_item.text("OpportunityId") else { return Ok(()) };
    let (count, amount, quantity): (i64, Option<f64>, Option<f64>) = records
        .tx
        .prepare_cached(
            "SELECT count(*), sum(\"TotalPrice\"), sum(\"Quantity\") FROM \"OpportunityLineItem\" \
             WHERE \"OpportunityId\" = ?1 AND NOT \"IsDeleted\"",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let has_items = count > 0;
    records
        .tx
        .prepare_cached(
            "UPDATE \"Opportunity\" SET \"HasOpportunityLineItem\" = ?2, \
             \"Amount\" = CASE WHEN ?2 THEN ?3 ELSE \"Amount\" END, \
             \"ExpectedRevenue\" = round(CASE WHEN ?2 THEN ?3 ELSE \"Amount\" END * \"Probability\" / 100, 2), \
             \"TotalOpportunityQuantity\" = CASE WHEN ?2 THEN ?4 ELSE \"TotalOpportunityQuantity\" END \
             WHERE \"Id\" = ?1",
        )?
        .execute((id, has_items, amount.map(|amount| rounded(amount, 2)), quantity))?;
    Ok(())
}

/// A product needs a standard price before any other.
fn price_book_entry(records: &Records<'_>, before: Option<&Row>, row: &mut Row) -> Result<(), RestError> {
    let Some(product) = load(records, "Product2", row.text("Product2Id"))? else { return Ok(()) };
    row.set("Name", product.get("Name").clone());
    row.set("ProductCode", product.get("ProductCode").clone());
    let standard =
        load(records, "Pricebook2", row.text("Pricebook2Id"))?.is_some_and(|book| book.flag("IsStandard"));
    if before.is_some() || standard {
        return Ok(());
    }
    let has_standard: bool = records
        .tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM \"PricebookEntry\" e JOIN \"Pricebook2\" b ON b.\"Id\" = e.\"Pricebook2Id\" \
             WHERE e.\"Product2Id\" IS ?1 AND b.\"IsStandard\" AND NOT e.\"IsDeleted\")",
        )?
        .query_row([row.text("Product2Id")], |found| found.get(0))?;
    if has_standard {
        return Ok(());
    }
    let message = "Before creating a custom price, create a standard price.";
    Err(RestError::new(400, "STANDARD_PRICE_NOT_DEFINED", message).about(Vec::<String>::new()))
}

fn case(records: &Records<'_>, before: Option<&Row>, row: &mut Row) -> Result<(), RestError> {
    let closed = row.text("Status") == Some("Closed");
    row.set("IsClosed", flag(closed));
    if before.is_none() {
        let count: i64 = records.tx.query_row("SELECT count(*) FROM \"Case\"", [], |found| found.get(0))?;
        row.set("CaseNumber", SqlValue::Text(format!("{:08}", 1_001 + count)));
    }
    Ok(())
}

/// Only a session-based set that the session's user is assigned can be activated.
fn session_activation(records: &Records<'_>, row: &mut Row) -> Result<(), RestError> {
    let session = load(records, "AuthSession", row.text("AuthSessionId"))?.unwrap_or_default();
    let user = session.get("UsersId").clone();
    let assigned: bool = records
        .tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM \"PermissionSetAssignment\" a \
             JOIN \"PermissionSet\" p ON p.\"Id\" = a.\"PermissionSetId\" \
             WHERE a.\"AssigneeId\" IS ?1 AND p.\"Id\" IS ?2 AND p.\"HasActivationRequired\")",
        )?
        .query_row((&user, row.text("PermissionSetId")), |found| found.get(0))?;
    if !assigned {
        let message = "The permission set must be session-based and assigned to the user of the session.";
        return Err(RestError::new(400, "FIELD_INTEGRITY_EXCEPTION", message).about(["PermissionSetId"]));
    }
    row.set("UserId", user);
    Ok(())
}

/// A new profile gets the permission set it owns, with the same user permissions.
fn own_permission_set(records: &Records<'_>, profile_id: &str, profile: &Row) -> Result<(), RestError> {
    if records.find_one("PermissionSet", "ProfileId", profile_id)?.is_some() {
        return Ok(());
    }
    let mut set = json!({
        "Name": format!("X{profile_id}"), "Label": profile.text("Name"), "ProfileId": profile_id,
        "IsOwnedByProfile": true, "IsCustom": false,
    });
    for (permission, _) in crate::schema::USER_PERMISSIONS {
        let column = format!("Permissions{permission}");
        set[column.as_str()] = json!(profile.flag(&column));
    }
    super::insert(records.tx, "PermissionSet", set).map(|_| ())
}

/// A user holds exactly one profile's permission set.
fn assign_profile(records: &Records<'_>, user_id: &str, user: &Row) -> Result<(), RestError> {
    let Some(profile_id) = user.text("ProfileId") else { return Ok(()) };
    let Some(set_id) = records.find_one("PermissionSet", "ProfileId", profile_id)? else { return Ok(()) };
    records
        .tx
        .prepare_cached(
            "DELETE FROM \"PermissionSetAssignment\" WHERE \"AssigneeId\" = ?1 AND \"PermissionSetId\" <> ?2 \
             AND \"PermissionSetId\" IN (SELECT \"Id\" FROM \"PermissionSet\" WHERE \"IsOwnedByProfile\")",
        )?
        .execute((user_id, &set_id))?;
    let assigned: bool = records
        .tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM \"PermissionSetAssignment\" WHERE \"AssigneeId\" = ?1 AND \"PermissionSetId\" = ?2)",
        )?
        .query_row((user_id, &set_id), |found| found.get(0))?;
    if assigned {
        return Ok(());
    }
    let assignment = json!({"AssigneeId": user_id, "PermissionSetId": set_id});
    super::insert(records.tx, "PermissionSetAssignment", assignment).map(|_| ())
}

/// Whoever may not sign in any more loses what is signed in.
fn end_what_an_inactive_user_left_open(
    records: &Records<'_>,
    user_id: &str,
    user: &Row,
) -> Result<(), RestError> {
    if user.flag("IsActive") { Ok(()) } else { Ok(invocations::end_of_user(records.tx, user_id)?) }
}

fn load(records: &Records<'_>, object: &str, id: Option<&str>) -> Result<Option<Row>, RestError> {
    let (Some(object), Some(id)) = (records.tx.schema().object(object), id) else { return Ok(None) };
    Ok(Row::load(records.tx, object, id)?)
}

impl Records<'_> {
    fn find_one(&self, object: &str, field: &str, value: &str) -> Result<Option<String>, RestError> {
        let Some(object) = self.tx.schema().object(object) else { return Ok(None) };
        let Some(field) = object.field(field) else { return Ok(None) };
        let wanted = SqlValue::Text(value.to_owned());
        Ok(checks::rows_with(self.tx, object, field, &wanted)?.into_iter().next())
    }
}
