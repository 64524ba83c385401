//! Who sees what, proved through the SQL that queries become.

use applink_orgsim::records;
use applink_orgsim::rights::{Caller, user_permissions};
use serde_json::json;

use super::data::Data;

const PARAMETERS: &str = "SELECT Name__c, Value__c FROM ProvisioningParameter__mdt";

#[test]
fn opportunities_and_their_items_are_private() {
    let data = Data::new();
    assert_eq!(data.count("admin", "SELECT Id FROM Opportunity"), 8);
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 4);
    assert_eq!(data.count("intern", "SELECT Id FROM Opportunity"), 0);
    let owners = data.column("sales", "SELECT OwnerId FROM Opportunity", "OwnerId");
    assert!(owners.iter().all(|owner| *owner == json!(data.user_id("sales"))));
    let all = data.count("admin", "SELECT Id FROM OpportunityLineItem");
    let own = data.count("sales", "SELECT Id FROM OpportunityLineItem");
    assert!(own > 0 && own < all, "{own} of {all}");
    assert_eq!(data.count("intern", "SELECT Id FROM OpportunityLineItem"), 0);
    assert_eq!(data.query("sales", "SELECT COUNT() FROM Opportunity")["totalSize"], 4);
    assert_eq!(
        data.count("intern", "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity)"),
        0
    );
}

#[test]
fn asking_for_somebody_else_s_ids_answers_only_one_s_own() {
    let data = Data::new();
    let all = data.column("admin", "SELECT Id FROM Opportunity", "Id");
    let ids: Vec<String> = all.iter().map(|id| format!("'{}'", id.as_str().unwrap())).collect();
    let soql = format!("SELECT Id FROM Opportunity WHERE Id IN ({})", ids.join(", "));
    assert_eq!(data.count("sales", &soql), 4);
}

#[test]
fn those_above_in_the_role_hierarchy_see_what_is_below() {
    let data = Data::new();
    let director = data.id_of("UserRole", "DeveloperName", "SalesDirector");
    let intern = data.user_id("intern");
    data.db.write(|tx| records::change(tx, "User", &intern, json!({"UserRoleId": director}))).unwrap();
    assert_eq!(
        data.count("intern", "SELECT Id FROM Opportunity"),
        4,
        "the director sees the representative's"
    );
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 4);
}

#[test]
fn view_all_records_of_a_permission_set_opens_the_object() {
    let data = Data::new();
    let set = data.assigned_set("sales", json!({"Name": "ViewDeals", "Label": "View deals"}));
    data.insert(
        "ObjectPermissions",
        json!({"ParentId": set, "SobjectType": "Opportunity", "PermissionsRead": true, "PermissionsViewAllRecords": true}),
    );
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 8);
}

#[test]
fn an_expired_or_revoked_assignment_grants_nothing() {
    let data = Data::new();
    let set = data.insert(
        "PermissionSet",
        json!({"Name": "ViewAll", "Label": "View all", "PermissionsViewAllData": true}),
    );
    let assignment = data.insert(
        "PermissionSetAssignment",
        json!({"AssigneeId": data.user_id("sales"), "PermissionSetId": set, "ExpirationDate": "2026-03-10T12:00:01Z"}),
    );
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 8);
    let expire = json!({"ExpirationDate": "2026-03-10T11:59:59Z"});
    data.db.write(|tx| records::change(tx, "PermissionSetAssignment", &assignment, expire)).unwrap();
    assert_eq!(data.count("sales", "SELECT Id FROM Opportunity"), 4);
}

#[test]
fn an_object_without_read_permission_does_not_exist() {
    let data = Data::new();
    let missing = data.refused("integration", "SELECT Id FROM Nothing");
    let hidden = data.refused("integration", "SELECT Id FROM Contact");
    assert_eq!(hidden.0, "INVALID_TYPE");
    assert_eq!(hidden.1.replace("Contact", "X"), missing.1.replace("Nothing", "X"), "told apart by nothing");
    assert_eq!(
        data.refused("integration", "SELECT Id, (SELECT Id FROM Contacts) FROM Account").0,
        "INVALID_TYPE"
    );
    assert_eq!(data.refused("integration", "SELECT Contact.Name FROM Case").0, "INVALID_TYPE");
}

#[test]
fn a_field_without_read_permission_does_not_exist() {
    let data = Data::new();
    assert_eq!(data.count("sales", "SELECT AnnualRevenue FROM Account"), 7);
    let hidden = data.refused("intern", "SELECT AnnualRevenue FROM Account");
    let missing = data.refused("intern", "SELECT AnnualNothing FROM Account");
    assert_eq!(hidden.0, "INVALID_FIELD");
    assert_eq!(hidden.1.replace("AnnualRevenue", "X"), missing.1.replace("AnnualNothing", "X"));
    for soql in [
        "SELECT Id FROM Account WHERE AnnualRevenue > 5",
        "SELECT Id FROM Account ORDER BY AnnualRevenue",
        "SELECT MAX(AnnualRevenue) FROM Account",
        "SELECT Id FROM Contact WHERE Account.AnnualRevenue > 5",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE Amount > 1)",
    ] {
        assert_eq!(data.refused("intern", soql).0, "INVALID_FIELD", "{soql}");
    }
    let all = &data.query("intern", "SELECT FIELDS(ALL) FROM Account LIMIT 1")["records"][0];
    assert!(all.get("AnnualRevenue").is_none() && all.get("Industry").is_some());
}

#[test]
fn a_parent_that_is_not_shared_is_null() {
    let data = Data::new();
    for (subject, deal) in [("foreign", "Silberpfad patient portal"), ("own", "O'Dwyer calibration cloud")] {
        let what = data.id_of("Opportunity", "Name", deal);
        data.insert("Task", json!({"Subject": subject, "WhatId": what, "OwnerId": data.user_id("sales")}));
    }
    let tasks =
        "SELECT WhatId, What.Name, What.Type FROM Task WHERE Subject IN ('own', 'foreign') ORDER BY Subject";
    let seen = data.column("sales", tasks, "What");
    assert_eq!(seen[0], json!(null), "the deal is the administrator's");
    assert_eq!(
        (&seen[1]["Name"], &seen[1]["Type"]),
        (&json!("O'Dwyer calibration cloud"), &json!("Opportunity"))
    );
    assert_eq!(seen[1]["attributes"]["type"], "Name");
    let all = data.column("admin", tasks, "What");
    assert_eq!(all[0]["Name"], "Silberpfad patient portal");
    assert_eq!(
        data.count("sales", "SELECT Id FROM Task WHERE What.Name LIKE 'Silber%'"),
        0,
        "nor guessed by its name"
    );
}

#[test]
fn custom_metadata_is_read_only_in_the_session_that_was_elevated() {
    let data = Data::new();
    assert_eq!(data.count("admin", PARAMETERS), 4, "Customize Application");
    let before = data.refused("sales", PARAMETERS);
    assert_eq!(before.0, "INVALID_TYPE");

    let set = data.assigned_set(
        "sales",
        json!({"Name": "ProvisioningServicePermissions", "Label": "Provisioning", "HasActivationRequired": true}),
    );
    data.db.write(|tx| records::grant_custom_metadata(tx, &set, "ProvisioningParameter__mdt")).unwrap();
    assert_eq!(data.refused("sales", PARAMETERS), before, "assigned is not activated");

    let elevated = data.another_session("sales");
    let Caller::User { session_id, .. } = &elevated else { panic!("a user") };
    let activation =
        data.insert("SessionPermSetActivation", json!({"AuthSessionId": session_id, "PermissionSetId": set}));
    let found = data.query_as(&elevated, PARAMETERS).unwrap();
    assert_eq!(found["totalSize"], 4);
    assert_eq!(found["records"][0]["attributes"]["type"], "ProvisioningParameter__mdt");
    assert_eq!(data.refused("sales", PARAMETERS), before, "another session of the same user");

    data.db.write(|tx| records::remove(tx, "SessionPermSetActivation", &activation)).unwrap();
    assert_eq!(data.query_as(&elevated, PARAMETERS).unwrap_err().code, "INVALID_TYPE", "deactivated");
}

#[test]
fn only_an_assigned_session_based_set_can_be_activated() {
    let data = Data::new();
    let Caller::User { session_id, .. } = data.caller("sales") else { panic!("a user") };
    let plain = data.assigned_set("sales", json!({"Name": "Plain", "Label": "Plain"}));
    let unassigned = data
        .insert("PermissionSet", json!({"Name": "Other", "Label": "Other", "HasActivationRequired": true}));
    for set in [plain, unassigned] {
        let activation = json!({"AuthSessionId": session_id, "PermissionSetId": set});
        let error =
            data.db.write(|tx| records::insert(tx, "SessionPermSetActivation", activation)).unwrap_err();
        assert_eq!(error.code, "FIELD_INTEGRITY_EXCEPTION");
    }
}

#[test]
fn ending_a_session_ends_its_activations() {
    let data = Data::new();
    let set = data.assigned_set("sales", json!({"Name": "S", "Label": "S", "HasActivationRequired": true}));
    let Caller::User { session_id, .. } = data.caller("sales") else { panic!("a user") };
    data.insert("SessionPermSetActivation", json!({"AuthSessionId": session_id, "PermissionSetId": set}));
    data.db.write(|tx| records::remove(tx, "AuthSession", &session_id)).unwrap();
    assert_eq!(data.count("admin", "SELECT Id FROM SessionPermSetActivation"), 0);
}

#[test]
fn user_permissions_are_the_caller_s() {
    let data = Data::new();
    let access = "SELECT PermissionsManageHerokuAppLink, PermissionsApiEnabled FROM UserPermissionAccess";
    for (role, expected) in [("admin", true), ("integration", true), ("sales", false), ("intern", false)] {
        let found = data.query(role, access);
        assert_eq!(found["records"][0]["PermissionsManageHerokuAppLink"], expected, "{role}");
        assert_eq!(found["records"][0]["PermissionsApiEnabled"], true, "{role}");
        let caller = data.caller(role);
        let held = data.db.read(|tx| user_permissions(tx, &caller)).unwrap();
        assert_eq!(held.has("ManageHerokuAppLink"), expected, "{role}");
    }
}

#[test]
fn set_up_data_needs_view_setup_but_one_s_own_rows_don_t() {
    let data = Data::new();
    assert_eq!(data.count("admin", "SELECT Id FROM PermissionSet WHERE IsOwnedByProfile = true"), 4);
    assert_eq!(data.refused("sales", "SELECT Id FROM PermissionSet").0, "INVALID_TYPE");
    assert_eq!(data.count("sales", "SELECT Id FROM User"), 4);
    let assignees = data.column("sales", "SELECT AssigneeId FROM PermissionSetAssignment", "AssigneeId");
    assert_eq!(assignees, [json!(data.user_id("sales"))]);
    let current = data.column("sales", "SELECT IsCurrent FROM AuthSession", "IsCurrent");
    assert_eq!(current, [json!(true)]);
    assert_eq!(data.count("admin", "SELECT Id FROM AuthSession WHERE IsCurrent = false"), 3);
}
