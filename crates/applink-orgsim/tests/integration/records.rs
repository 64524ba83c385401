//! Changing records with a caller's rights.

use applink_orgsim::records::{self, RestError};
use serde_json::{Map, Value, json};

use super::data::{BASE, Data};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn create(data: &Data, role: &str, sobject: &str, fields: Value) -> Result<String, RestError> {
    data.db.write(|tx| records::create(tx, &data.caller(role), sobject, &object(fields)))
}

fn update(data: &Data, role: &str, sobject: &str, id: &str, fields: Value) -> Result<(), RestError> {
    data.db.write(|tx| records::update(tx, &data.caller(role), sobject, id, &object(fields)))
}

fn delete(data: &Data, role: &str, sobject: &str, id: &str) -> Result<(), RestError> {
    data.db.write(|tx| records::delete(tx, &data.caller(role), sobject, id))
}

fn read(data: &Data, role: &str, sobject: &str, id: &str) -> Result<Value, RestError> {
    data.db.read(|tx| records::read(tx, &data.caller(role), sobject, id, None, BASE))
}

#[test]
fn a_record_is_made_with_its_owner_and_dates() {
    let data = Data::new();
    let id = create(
        &data,
        "sales",
        "Opportunity",
        json!({"Name": "New", "StageName": "Prospecting", "CloseDate": "2026-05-01"}),
    )
    .unwrap();
    let record = read(&data, "sales", "Opportunity", &id).unwrap();
    assert_eq!(record["OwnerId"], json!(data.user_id("sales")));
    assert_eq!(record["CreatedById"], json!(data.user_id("sales")));
    assert_eq!(record["CreatedDate"], "2026-03-10T12:00:00.000+0000");
    assert_eq!(
        (&record["Probability"], &record["IsClosed"], &record["FiscalQuarter"]),
        (&json!(10.0), &json!(false), &json!(2))
    );
    update(&data, "sales", "Opportunity", &id, json!({"StageName": "closed won", "Amount": 1000})).unwrap();
    let record = read(&data, "sales", "Opportunity", &id).unwrap();
    assert_eq!((&record["StageName"], &record["IsWon"]), (&json!("Closed Won"), &json!(true)));
    assert_eq!((&record["Probability"], &record["ExpectedRevenue"]), (&json!(100.0), &json!(1000.0)));
}

#[test]
fn wrong_requests_get_salesforce_s_errors() {
    let data = Data::new();
    let account = data.id_of("Account", "ExternalId__c", "A-001");
    for (sobject, fields, code, message) in [
        (
            "Account",
            json!({"FavoritePet__c": "Dog"}),
            "INVALID_FIELD",
            "No such column 'FavoritePet__c' on sobject of type Account",
        ),
        ("Account", json!({}), "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]"),
        (
            "Account",
            json!({"Name": "x", "Rating": "Terrible"}),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Account Rating: bad value for restricted picklist field: Terrible",
        ),
        (
            "Account",
            json!({"Name": "x", "ExternalId__c": "a-001"}),
            "DUPLICATE_VALUE",
            &format!("duplicate value found: ExternalId__c duplicates value on record with id: {account}"),
        ),
        (
            "Account",
            json!({"Name": "x", "Id": account}),
            "INVALID_FIELD",
            "The Id field should not be specified in the sobject data.",
        ),
        (
            "Account",
            json!({"Name": "x", "CreatedDate": "2020-01-01T00:00:00Z"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "Unable to create/update fields: CreatedDate. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "003000000000001AAA"}),
            "MALFORMED_ID",
            "Account ID: id value of incorrect type: 003000000000001AAA",
        ),
        (
            "Contact",
            json!({"LastName": "x", "AccountId": "001000000000000AAA"}),
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        ),
        ("Nothing", json!({"Name": "x"}), "NOT_FOUND", "The requested resource does not exist"),
        (
            "Profile",
            json!({"Name": "x"}),
            "INVALID_TYPE_FOR_OPERATION",
            "entity type cannot be inserted: Profile",
        ),
    ] {
        let error = create(&data, "admin", sobject, fields.clone()).expect_err(&fields.to_string());
        assert_eq!((error.code, error.message.as_str()), (code, message));
    }
}

#[test]
fn a_deleted_record_is_gone_but_not_forgotten() {
    let data = Data::new();
    let opportunity = data.id_of("Opportunity", "Name", "O'Dwyer calibration cloud");
    let items = format!("SELECT Id FROM OpportunityLineItem WHERE OpportunityId = '{opportunity}'");
    assert_eq!(data.count("sales", &items), 1);
    delete(&data, "sales", "Opportunity", &opportunity).unwrap();
    assert_eq!(data.count("sales", &items), 0, "items go with their opportunity");
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 3);
    for error in [
        read(&data, "sales", "Opportunity", &opportunity).unwrap_err(),
        update(&data, "sales", "Opportunity", &opportunity, json!({"Name": "x"})).unwrap_err(),
        delete(&data, "sales", "Opportunity", &opportunity).unwrap_err(),
    ] {
        assert_eq!((error.status, error.code), (404, "ENTITY_IS_DELETED"));
    }
}

#[test]
fn ids_of_the_wrong_kind_are_malformed() {
    let data = Data::new();
    let account = data.id_of("Account", "ExternalId__c", "A-001");
    for id in ["nonsense", account.as_str()] {
        let error = update(&data, "admin", "Contact", id, json!({})).unwrap_err();
        assert_eq!((error.status, error.code, error.fields), (400, "MALFORMED_ID", vec!["Id".to_owned()]));
    }
    assert_eq!(read(&data, "admin", "Contact", "003000000000000AAA").unwrap_err().code, "NOT_FOUND");
}

#[test]
fn rights_decide_about_changes() {
    let data = Data::new();
    let foreign = data.id_of("Opportunity", "Name", "Silberpfad patient portal");
    assert_eq!(read(&data, "sales", "Opportunity", &foreign).unwrap_err().code, "NOT_FOUND", "not shared");
    assert_eq!(
        update(&data, "sales", "Opportunity", &foreign, json!({"Name": "x"})).unwrap_err().code,
        "NOT_FOUND"
    );
    update(&data, "admin", "Opportunity", &foreign, json!({"NextStep": "call"})).unwrap();

    let account = data.id_of("Account", "ExternalId__c", "A-004");
    update(&data, "sales", "Account", &account, json!({"Site": "HQ"})).unwrap();
    for error in [
        update(&data, "intern", "Account", &account, json!({"Site": "x"})).unwrap_err(),
        delete(&data, "sales", "Account", &account).unwrap_err(),
        create(&data, "intern", "Account", json!({"Name": "x"})).unwrap_err(),
        create(&data, "integration", "Campaign", json!({"Name": "x"})).unwrap_err(),
    ] {
        assert_eq!((error.status, error.code), (403, "INSUFFICIENT_ACCESS_OR_READONLY"));
    }
    assert_eq!(
        create(&data, "integration", "Contact", json!({"LastName": "x"})).unwrap_err().code,
        "NOT_FOUND"
    );
    assert_eq!(
        update(&data, "admin", "Account", &account, json!({"Name": null})).unwrap_err().code,
        "REQUIRED_FIELD_MISSING"
    );
}

#[test]
fn field_level_security_decides_about_fields() {
    let data = Data::new();
    let set = data.assigned_set("intern", json!({"Name": "EditAccounts", "Label": "Edit accounts"}));
    data.insert(
        "ObjectPermissions",
        json!({"ParentId": set, "SobjectType": "Account", "PermissionsRead": true, "PermissionsEdit": true}),
    );
    let account = data.id_of("Account", "ExternalId__c", "A-001");
    let error = update(&data, "intern", "Account", &account, json!({"Site": "x"})).unwrap_err();
    assert_eq!((error.code, error.fields), ("INVALID_FIELD_FOR_INSERT_UPDATE", vec!["Site".to_owned()]));
    let error = update(&data, "intern", "Account", &account, json!({"AnnualRevenue": 5})).unwrap_err();
    assert_eq!(error.message, "No such column 'AnnualRevenue' on sobject of type Account");
    data.insert(
        "FieldPermissions",
        json!({"ParentId": set, "SobjectType": "Account", "Field": "Account.Site", "PermissionsRead": true, "PermissionsEdit": true}),
    );
    update(&data, "intern", "Account", &account, json!({"Site": "x"})).unwrap();
}

#[test]
fn line_items_price_themselves_and_total_their_opportunity() {
    let data = Data::new();
    let opportunity = create(
        &data,
        "sales",
        "Opportunity",
        json!({"Name": "New", "StageName": "Prospecting", "CloseDate": "2026-05-01", "Amount": 5}),
    )
    .unwrap();
    let entry = data.id_of("PricebookEntry", "ExternalId__c", "STD-EDGE-SENSOR");
    let item = create(
        &data,
        "sales",
        "OpportunityLineItem",
        json!({"OpportunityId": opportunity, "PricebookEntryId": entry, "Quantity": 10}),
    )
    .unwrap();
    let record = read(&data, "sales", "OpportunityLineItem", &item).unwrap();
    assert_eq!(
        (&record["UnitPrice"], &record["TotalPrice"], &record["ProductCode"]),
        (&json!(89.5), &json!(895.0), &json!("EDGE-SENSOR"))
    );
    assert_eq!(record["Name"], "New Vibration Sensor");
    let amount = || read(&data, "sales", "Opportunity", &opportunity).unwrap()["Amount"].clone();
    assert_eq!(amount(), json!(895.0));
    update(&data, "sales", "OpportunityLineItem", &item, json!({"Quantity": 2, "UnitPrice": 80})).unwrap();
    assert_eq!(amount(), json!(160.0));
    delete(&data, "sales", "OpportunityLineItem", &item).unwrap();
    assert_eq!(read(&data, "sales", "Opportunity", &opportunity).unwrap()["HasOpportunityLineItem"], false);

    let foreign = data.id_of("Opportunity", "Name", "Silberpfad patient portal");
    let error = create(
        &data,
        "sales",
        "OpportunityLineItem",
        json!({"OpportunityId": foreign, "PricebookEntryId": entry, "Quantity": 1}),
    )
    .unwrap_err();
    assert_eq!(error.code, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY");
}

#[test]
fn a_custom_price_needs_a_standard_price() {
    let data = Data::new();
    let product =
        create(&data, "integration", "Product2", json!({"Name": "Widget", "ProductCode": "W-1"})).unwrap();
    let book = create(&data, "integration", "Pricebook2", json!({"Name": "Partners"})).unwrap();
    let custom = json!({"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 5});
    let error = create(&data, "integration", "PricebookEntry", custom.clone()).unwrap_err();
    assert_eq!(error.code, "STANDARD_PRICE_NOT_DEFINED");
    let standard = data.id_of("Pricebook2", "Name", "Standard Price Book");
    let entry = json!({"Pricebook2Id": standard, "Product2": {"ProductCode": "W-1"}, "UnitPrice": 6, "IsActive": true});
    let entry = create(&data, "integration", "PricebookEntry", entry).unwrap();
    assert_eq!(read(&data, "integration", "PricebookEntry", &entry).unwrap()["Name"], "Widget");
    create(&data, "integration", "PricebookEntry", custom.clone()).unwrap();
    assert_eq!(create(&data, "integration", "PricebookEntry", custom).unwrap_err().code, "DUPLICATE_VALUE");
}

#[test]
fn assignments_are_made_once_and_told_in_salesforce_s_words() {
    let data = Data::new();
    let set = data.assigned_set("sales", json!({"Name": "Extra", "Label": "Extra"}));
    let assignment = json!({"AssigneeId": data.user_id("sales"), "PermissionSetId": set});
    let error = create(&data, "admin", "PermissionSetAssignment", assignment.clone()).unwrap_err();
    assert_eq!(error.code, "DUPLICATE_VALUE");
    assert_eq!(
        error.message,
        format!(
            "Duplicate PermissionSetAssignment. Assignee: {}; Permission Set: {set}",
            data.user_id("sales")
        )
    );
    let error = create(&data, "sales", "PermissionSetAssignment", assignment).unwrap_err();
    assert_eq!(error.code, "INSUFFICIENT_ACCESS_OR_READONLY", "a user assigns itself nothing");
    let error =
        create(&data, "sales", "PermissionSet", json!({"Name": "Mine", "Label": "Mine"})).unwrap_err();
    assert_eq!(error.code, "NOT_FOUND");
}

#[test]
fn a_user_holds_the_set_of_one_profile() {
    let data = Data::new();
    let intern = data.user_id("intern");
    let admin_profile = data.id_of("Profile", "Name", "System Administrator");
    assert_eq!(data.count("intern", "SELECT Id FROM Opportunity"), 0);
    data.db.write(|tx| records::change(tx, "User", &intern, json!({"ProfileId": admin_profile}))).unwrap();
    assert_eq!(data.count("intern", "SELECT Id FROM Opportunity"), 8);
    let sets = format!("SELECT Id FROM PermissionSetAssignment WHERE AssigneeId = '{intern}'");
    assert_eq!(data.count("admin", &sets), 1);
}

#[test]
fn a_record_is_given_away_only_by_its_owner_or_who_may_transfer() {
    let data = Data::new();
    let (sales, admin) = (data.user_id("sales"), data.user_id("admin"));
    let account = data.insert("Account", json!({"Name": "Admin's", "OwnerId": admin}));
    update(&data, "sales", "Account", &account, json!({"Site": "x", "OwnerId": admin})).unwrap();
    let take = || update(&data, "sales", "Account", &account, json!({"OwnerId": sales}));
    assert_eq!(take().unwrap_err().code, "INSUFFICIENT_ACCESS_OR_READONLY", "edit alone");
    assert_eq!(read(&data, "admin", "Account", &account).unwrap()["OwnerId"], json!(admin));
    update(&data, "admin", "Account", &account, json!({"OwnerId": sales})).unwrap();
    update(&data, "sales", "Account", &account, json!({"OwnerId": admin})).unwrap();
    data.assigned_set(
        "sales",
        json!({"Name": "Transfer", "Label": "Transfer", "PermissionsTransferAnyEntity": true}),
    );
    take().unwrap();
}
