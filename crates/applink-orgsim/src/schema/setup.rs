//! Users, permissions and sessions: the sObjects that rights are made of.
//!
//! Every profile owns a permission set (`IsOwnedByProfile`) that is assigned to each of its users, as in a
//! real org, so that one query over `PermissionSetAssignment` finds everything that grants a right.

use serde_json::json;

use super::{Access, Declaration, Field, SObject};

/// The user permissions the simulator knows: API name and label.
pub const USER_PERMISSIONS: &[(&str, &str)] = &[
    ("ApiEnabled", "API Enabled"),
    ("AssignPermissionSets", "Assign Permission Sets"),
    ("AuthorApex", "Author Apex"),
    ("BulkApiHardDelete", "Bulk API Hard Delete"),
    ("CustomizeApplication", "Customize Application"),
    ("EditTask", "Edit Tasks"),
    ("ExternalClientAppAdmin", "Manage External Client Apps"),
    ("ExternalClientAppDeveloper", "Create, edit, and delete External Client Apps"),
    ("ExternalClientAppViewer", "View all External Client Apps"),
    ("LightningExperienceUser", "Lightning Experience User"),
    ("ManageCustomPermissions", "Manage Custom Permissions"),
    ("ManageHerokuAppLink", "Manage Heroku AppLink"),
    ("ManageInternalUsers", "Manage Internal Users"),
    ("ManageNamedCredentials", "Manage Named Credentials"),
    ("ManageProfilesPermissionsets", "Manage Profiles and Permission Sets"),
    ("ManageSessionPermissionSets", "Manage Session Permission Set Activations"),
    ("ManageUsers", "Manage Users"),
    ("ModifyAllData", "Modify All Data"),
    ("ModifyMetadata", "Modify Metadata Through Metadata API Functions"),
    ("RunFlow", "Run Flows"),
    ("TransferAnyEntity", "Transfer Record"),
    ("ViewAllData", "View All Data"),
    ("ViewAllUsers", "View All Users"),
    ("ViewRoles", "View Roles and Role Hierarchy"),
    ("ViewSetup", "View Setup and Configuration"),
];

const SEE_SET_UP: &[&str] = &["ViewSetup"];
const EDIT_PERMISSION_SETS: &[&str] = &["ManageProfilesPermissionsets"];
const ASSIGN: &[&str] = &["AssignPermissionSets"];

pub(super) fn objects() -> Vec<SObject> {
    vec![
        organization(),
        user(),
        profile(),
        user_role(),
        permission_set(),
        permission_set_assignment(),
        object_permissions(),
        field_permissions(),
        setup_entity_access(),
        auth_session(),
        session_perm_set_activation(),
        user_permission_access(),
        background_operation(),
        name(),
    ]
}

fn everyone_reads(write: &'static [&'static str]) -> Access {
    Access::Setup { read: &[], own: None, write }
}

fn organization() -> SObject {
    Declaration::new("Organization", "Organization", "Organizations", "00D")
        .access(everyone_reads(&[]))
        .fields(vec![
            Field::text("Name", 80).required(),
            Field::text("Division", 80).system(),
            Field::text("Country", 80).system(),
            Field::email("PrimaryContact").system(),
            Field::text("DefaultLocaleSidKey", 40).system().default_value(json!("en_US")),
            Field::text("TimeZoneSidKey", 40).system().default_value(json!("Europe/Berlin")),
            Field::text("LanguageLocaleKey", 40).system().default_value(json!("en_US")),
            Field::int("FiscalYearStartMonth").system().default_value(json!(1)),
            Field::text("OrganizationType", 40)
                .label("Edition")
                .system()
                .default_value(json!("Developer Edition")),
            Field::text("NamespacePrefix", 15).system(),
            Field::text("InstanceName", 5).system(),
            Field::boolean("IsSandbox").system(),
            Field::boolean("IsReadOnly").system(),
            Field::date_time("TrialExpirationDate").system(),
        ])
}

fn user() -> SObject {
    Declaration::new("User", "User", "Users", "005").access(everyone_reads(&["ManageInternalUsers"])).fields(
        vec![
            Field::text("Username", 80).required().unique(),
            Field::text("LastName", 80).required(),
            Field::text("FirstName", 40).system(),
            Field::text("Name", 121).label("Full Name").read_only().system(),
            Field::text("CompanyName", 80).system(),
            Field::text("Title", 80).system(),
            Field::text("Department", 80).system(),
            Field::email("Email").required(),
            Field::text("Alias", 8).required(),
            Field::text("CommunityNickname", 40).label("Nickname").system(),
            Field::boolean("IsActive").label("Active").default_value(json!(true)).system(),
            Field::text("TimeZoneSidKey", 40).system().default_value(json!("Europe/Berlin")),
            Field::lookup("UserRoleId", &["UserRole"], "UserRole")
                .label("Role ID")
                .children("Users")
                .system(),
            Field::text("LocaleSidKey", 40).system().default_value(json!("en_US")),
            Field::text("LanguageLocaleKey", 40).system().default_value(json!("en_US")),
            Field::text("EmailEncodingKey", 40).system().default_value(json!("UTF-8")),
            Field::lookup("ProfileId", &["Profile"], "Profile").children("Users").required(),
            Field::restricted_picklist(
                "UserType",
                &["Standard", "PowerPartner", "Guest", "AutomatedProcess"],
            )
            .read_only()
            .system()
            .default_value(json!("Standard")),
            Field::lookup("ManagerId", &["User"], "Manager").system(),
            Field::text("FederationIdentifier", 512).label("SAML Federation ID").system(),
            Field::date_time("LastLoginDate").read_only().system(),
        ],
    )
}

fn user_permission_fields() -> impl Iterator<Item = Field> {
    USER_PERMISSIONS
        .iter()
        .map(|(name, label)| Field::boolean(&format!("Permissions{name}")).label(label).system())
}

fn profile() -> SObject {
    let mut fields = vec![Field::text("Name", 255).required(), Field::text_area("Description", 255).system()];
    fields.extend(user_permission_fields().map(|field| {
        // A profile's permissions are those of the permission set it owns.
        field.read_only()
    }));
    fields.push(
        Field::picklist("UserType", &["Standard", "Guest"])
            .read_only()
            .system()
            .default_value(json!("Standard")),
    );
    Declaration::new("Profile", "Profile", "Profiles", "00e").access(everyone_reads(&[])).fields(fields)
}

fn user_role() -> SObject {
    Declaration::new("UserRole", "Role", "Roles", "00E")
        .access(Access::Setup {
            read: &["ViewRoles", "ViewSetup"],
            own: None,
            write: &["ManageInternalUsers"],
        })
        .fields(vec![
            Field::text("Name", 80).required(),
            Field::text("DeveloperName", 80).system().unique(),
            Field::lookup("ParentRoleId", &["UserRole"], "").label("Parent Role ID").system(),
        ])
}

fn permission_set() -> SObject {
    let mut fields = vec![
        Field::text("Name", 80).label("Permission Set Name").required(),
        Field::text("Label", 80).label("Permission Set Label").required(),
        Field::text("Description", 255).system(),
        Field::text("NamespacePrefix", 15).read_only().system(),
        Field::boolean("HasActivationRequired").label("Session Activation Required").system(),
        Field::boolean("IsOwnedByProfile").read_only().system(),
        Field::boolean("IsCustom").read_only().system().default_value(json!(true)),
        Field::lookup("ProfileId", &["Profile"], "Profile").read_only().system(),
        Field::restricted_picklist("Type", &["Regular", "Standard", "Session", "Group", "Profile"])
            .read_only()
            .system()
            .computed(
                "CASE WHEN {t}.\"IsOwnedByProfile\" THEN 'Profile' WHEN {t}.\"HasActivationRequired\" THEN 'Session' \
                 ELSE 'Regular' END",
            ),
    ];
    fields.extend(user_permission_fields());
    Declaration::new("PermissionSet", "Permission Set", "Permission Sets", "0PS")
        .access(Access::Setup {
            read: &["ViewSetup", "AssignPermissionSets", "ManageProfilesPermissionsets"],
            own: None,
            write: EDIT_PERMISSION_SETS,
        })
        .unique_together(&["NamespacePrefix", "Name"])
        .fields(fields)
}

fn permission_set_assignment() -> SObject {
    Declaration::new(
        "PermissionSetAssignment",
        "Permission Set Assignment",
        "Permission Set Assignments",
        "0Pa",
    )
    .access(Access::Setup {
        read: &["ViewSetup", "AssignPermissionSets"],
        own: Some("AssigneeId"),
        write: ASSIGN,
    })
    .unique_together(&["AssigneeId", "PermissionSetId"])
    .bare_fields(vec![
        Field::lookup("PermissionSetId", &["PermissionSet"], "PermissionSet")
            .children("Assignments")
            .cascades()
            .required()
            .not_updateable(),
        Field::lookup("AssigneeId", &["User"], "Assignee")
            .children("PermissionSetAssignments")
            .required()
            .not_updateable(),
        Field::date_time("ExpirationDate").system(),
        Field::boolean("IsActive").read_only().system().default_value(json!(true)),
        Field::boolean("IsRevoked").system(),
        Field::date_time("SystemModstamp").label("System Modstamp").read_only().system(),
    ])
}

fn object_permissions() -> SObject {
    let flags = ["Create", "Read", "Edit", "Delete", "ViewAllRecords", "ModifyAllRecords"];
    let mut fields = vec![
        Field::lookup("ParentId", &["PermissionSet"], "Parent")
            .children("ObjectPerms")
            .cascades()
            .required()
            .not_updateable(),
        Field::text("SobjectType", 80).label("Object Type").required().not_updateable(),
    ];
    fields.extend(flags.map(|flag| Field::boolean(&format!("Permissions{flag}")).system()));
    Declaration::new("ObjectPermissions", "Object Permissions", "Object Permissions", "110")
        .access(Access::Setup { read: SEE_SET_UP, own: None, write: EDIT_PERMISSION_SETS })
        .unique_together(&["ParentId", "SobjectType"])
        .fields(fields)
}

fn field_permissions() -> SObject {
    Declaration::new("FieldPermissions", "Field Permissions", "Field Permissions", "01k")
        .access(Access::Setup { read: SEE_SET_UP, own: None, write: EDIT_PERMISSION_SETS })
        .unique_together(&["ParentId", "Field"])
        .bare_fields(vec![
            Field::lookup("ParentId", &["PermissionSet"], "Parent")
                .children("FieldPerms")
                .cascades()
                .required()
                .not_updateable(),
            Field::text("SobjectType", 80).label("Object Type").required().not_updateable(),
            Field::text("Field", 255).label("Field Name").required().not_updateable(),
            Field::boolean("PermissionsRead").system(),
            Field::boolean("PermissionsEdit").system(),
            Field::date_time("SystemModstamp").label("System Modstamp").read_only().system(),
        ])
}

fn setup_entity_access() -> SObject {
    Declaration::new("SetupEntityAccess", "Setup Entity Access", "Setup Entity Access", "0J0")
        .access(Access::Setup { read: SEE_SET_UP, own: None, write: EDIT_PERMISSION_SETS })
        .unique_together(&["ParentId", "SetupEntityId"])
        .bare_fields(vec![
            Field::lookup("ParentId", &["PermissionSet"], "Parent")
                .children("SetupEntityAccessItems")
                .cascades()
                .required()
                .not_updateable(),
            Field::text("SetupEntityId", 18).label("Setup Entity ID").required().not_updateable(),
            Field::text("SetupEntityType", 40).system().not_updateable(),
            Field::date_time("SystemModstamp").label("System Modstamp").read_only().system(),
        ])
}

fn auth_session() -> SObject {
    Declaration::new("AuthSession", "Auth Session", "Auth Sessions", "0Ak")
        .access(Access::Setup { read: &["ManageUsers"], own: Some("UsersId"), write: &["ManageUsers"] })
        .bare_fields(vec![
            Field::lookup("UsersId", &["User"], "Users").label("User ID").read_only().system(),
            Field::date_time("CreatedDate").label("Created").read_only().system(),
            Field::date_time("LastModifiedDate").label("Updated").read_only().system(),
            Field::int("NumSecondsValid").label("Valid For").read_only().system().default_value(json!(7200)),
            Field::text("UserType", 40).read_only().system().default_value(json!("Standard")),
            Field::text("SourceIp", 39)
                .label("Source IP")
                .read_only()
                .system()
                .default_value(json!("127.0.0.1")),
            Field::text("LoginType", 40).read_only().system().default_value(json!("Application")),
            Field::text("SessionType", 40).read_only().system().default_value(json!("API")),
            Field::text("SessionSecurityLevel", 40).read_only().system().default_value(json!("STANDARD")),
            Field::text("LogoutUrl", 1500).read_only().system(),
            Field::lookup("ParentId", &["AuthSession"], "").label("Auth Session ID").read_only().system(),
            Field::boolean("IsCurrent").system().computed("({t}.\"Id\" = ?2)"),
        ])
}

fn session_perm_set_activation() -> SObject {
    Declaration::new(
        "SessionPermSetActivation",
        "Session Permission Set Activation",
        "Session Permission Set Activations",
        "5Pa",
    )
    .access(Access::Setup {
        read: &["ViewSetup", "ManageSessionPermissionSets"],
        own: None,
        write: &["ManageSessionPermissionSets"],
    })
    .unique_together(&["AuthSessionId", "PermissionSetId"])
    .fields(vec![
        Field::lookup("AuthSessionId", &["AuthSession"], "AuthSession")
            .children("SessionPermSetActivations")
            .cascades()
            .required()
            .not_updateable(),
        Field::lookup("PermissionSetId", &["PermissionSet"], "PermissionSet")
            .children("SessionActivations")
            .cascades()
            .required()
            .not_updateable(),
        Field::lookup("UserId", &["User"], "User").read_only().system(),
        Field::text("Description", 255).system().not_updateable(),
    ])
}

/// One row: what the calling user may do. The row's rights come from the caller's permission sets.
fn user_permission_access() -> SObject {
    let columns: Vec<String> = USER_PERMISSIONS
        .iter()
        .map(|(name, _)| {
            format!("coalesce(max(p.\"Permissions{name}\"), ?1 IS NULL) AS \"Permissions{name}\"")
        })
        .collect();
    let view = format!(
        "(SELECT '0UP000000000000AAA' AS \"Id\", NULL AS \"LastCacheUpdate\", {} FROM \"PermissionSet\" p \
         WHERE p.\"Id\" IN (SELECT \"Id\" FROM granted))",
        columns.join(", ")
    );
    let mut fields = vec![Field::date_time("LastCacheUpdate").read_only().system()];
    fields.extend(user_permission_fields().map(Field::read_only));
    Declaration::new("UserPermissionAccess", "User Permission Access", "User Permission Access", "0UP")
        .access(everyone_reads(&[]))
        .view(view)
        .bare_fields(fields)
}

/// What a polymorphic reference points at, as far as all its targets have it. Rows come only through a reference
/// (see `soql/names.rs`).
fn name() -> SObject {
    Declaration::new("Name", "Name", "Names", "000")
        .access(everyone_reads(&[]))
        .view(r#"(SELECT NULL AS "Id", NULL AS "Name", NULL AS "Type" WHERE 0)"#.into())
        .bare_fields(vec![
            Field::text("Name", 255).read_only().system(),
            Field::text("Type", 40).read_only().system(),
        ])
}

fn background_operation() -> SObject {
    let statuses = ["New", "Scheduled", "Running", "Canceled", "Error", "Complete", "Merged", "Waiting"];
    Declaration::new("BackgroundOperation", "Background Operation", "Background Operations", "08P")
        .access(Access::Setup { read: SEE_SET_UP, own: Some("CreatedById"), write: &[] })
        .fields(vec![
            Field::text("Name", 255).system(),
            Field::restricted_picklist("Status", &statuses).system().default_value(json!("New")),
            Field::text("Error", 255).system(),
            Field::date_time("SubmittedAt").system(),
            Field::date_time("StartedAt").system(),
            Field::date_time("FinishedAt").system(),
            Field::int("RetryCount").system(),
            Field::text("Type", 40).system(),
        ])
}
