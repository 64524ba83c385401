//! What a fresh org holds: four users with their profiles, and the data of a small company that sells and
//! provisions connected machines.
//!
//! | user | profile | may |
//! |---|---|---|
//! | admin | System Administrator | everything, `ManageHerokuAppLink` among it |
//! | sales | Sales User | work with accounts, contacts, leads, cases and own opportunities |
//! | intern | Intern | read, nothing of anybody's opportunities |
//! | integration | Integration User | read campaigns, write products and price books, `ManageHerokuAppLink` |

mod data;

use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::db::{Database, DbError, Tx};
use crate::records::{self, RestError};
use crate::schema::{Access, SObject, USER_PERMISSIONS};

/// What the org is called and what kind it is.
#[derive(Debug, Clone)]
pub struct OrgFacts {
    /// `Organization.Name`.
    pub name: String,
    /// Whether it says it is a sandbox.
    pub is_sandbox: bool,
    /// What the user names end in, behind `@`.
    pub username_domain: String,
}

/// What a seeded org is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededOrg {
    /// 18-character id of the org (`00D…`).
    pub org_id: String,
    /// Its four users: admin, sales, intern, integration.
    pub users: Vec<SeededUser>,
}

/// One of the sample users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededUser {
    /// `admin`, `sales`, `intern` or `integration`.
    pub role: &'static str,
    /// User name.
    pub username: String,
    /// 18-character id (`005…`).
    pub user_id: String,
}

/// A sample user's name, profile and place in the role hierarchy.
struct Person {
    role: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    title: &'static str,
    profile: &'static str,
    user_role: Option<&'static str>,
}

/// A profile: its user permissions and, per sObject, which of create, read, edit, delete it has (`CRED`), with
/// `*` for all records.
struct ProfilePlan {
    name: &'static str,
    permissions: &'static [&'static str],
    objects: &'static [(&'static str, &'static str)],
    hidden_fields: &'static [&'static str],
}

const PEOPLE: [Person; 4] = [
    Person {
        role: "admin",
        first_name: "Ada",
        last_name: "Admin",
        title: "Salesforce Administrator",
        profile: "System Administrator",
        user_role: Some("ChiefExecutive"),
    },
    Person {
        role: "sales",
        first_name: "Sam",
        last_name: "Seller",
        title: "Account Executive",
        profile: "Sales User",
        user_role: Some("SalesRepresentative"),
    },
    Person {
        role: "intern",
        first_name: "Ines",
        last_name: "Intern",
        title: "Sales Intern",
        profile: "Intern",
        user_role: Some("SalesIntern"),
    },
    Person {
        role: "integration",
        first_name: "Ingo",
        last_name: "Integration",
        title: "Integration User",
        profile: "Integration User",
        user_role: None,
    },
];

/// Role, label, and the role above.
const USER_ROLES: [(&str, &str, Option<&str>); 4] = [
    ("ChiefExecutive", "Chief Executive", None),
    ("SalesDirector", "Sales Director", Some("ChiefExecutive")),
    ("SalesRepresentative", "Sales Representative", Some("SalesDirector")),
    ("SalesIntern", "Sales Intern", Some("SalesDirector")),
];

const PROFILES: [ProfilePlan; 4] = [
    ProfilePlan {
        name: "System Administrator",
        permissions: &[], // All of them, see `permissions_of`.
        objects: &[
            ("Account", "CRED*"),
            ("Contact", "CRED*"),
            ("Opportunity", "CRED*"),
            ("Product2", "CRED*"),
            ("Pricebook2", "CRED*"),
            ("Campaign", "CRED*"),
            ("Lead", "CRED*"),
            ("Case", "CRED*"),
            ("Task", "CRED*"),
        ],
        hidden_fields: &[],
    },
    ProfilePlan {
        name: "Sales User",
        permissions: &["ApiEnabled", "EditTask", "LightningExperienceUser", "RunFlow", "ViewRoles"],
        objects: &[
            ("Account", "CRE"),
            ("Contact", "CRED"),
            ("Opportunity", "CRED"),
            ("Product2", "R"),
            ("Pricebook2", "R"),
            ("Campaign", "R"),
            ("Lead", "CRE"),
            ("Case", "CRE"),
            ("Task", "CRED"),
        ],
        hidden_fields: &[],
    },
    ProfilePlan {
        name: "Intern",
        permissions: &["ApiEnabled", "LightningExperienceUser", "RunFlow"],
        objects: &[
            ("Account", "R"),
            ("Contact", "R"),
            ("Opportunity", "R"),
            ("Product2", "R"),
            ("Pricebook2", "R"),
            ("Campaign", "R"),
        ],
        hidden_fields: &["Account.AnnualRevenue", "Opportunity.Amount"],
    },
    ProfilePlan {
        name: "Integration User",
        permissions: &["ApiEnabled", "ManageHerokuAppLink"],
        objects: &[("Account", "R"), ("Campaign", "R"), ("Product2", "CRE"), ("Pricebook2", "CRE")],
        hidden_fields: &[],
    },
];

/// Fills an empty org, or finds again what an earlier start has filled.
///
/// # Errors
/// When SQLite refuses.
pub fn seed(database: &Database, facts: &OrgFacts) -> Result<SeededOrg, RestError> {
    database.write(|tx| match existing_org(tx)? {
        Some(org_id) => Ok(SeededOrg { org_id, users: existing_users(tx, facts)? }),
        None => fill(tx, facts),
    })
}

fn existing_org(tx: &Tx<'_>) -> Result<Option<String>, DbError> {
    Ok(tx.query_row("SELECT \"Id\" FROM \"Organization\"", [], |row| row.get(0)).optional()?)
}

/// A sample user whom somebody renamed or deleted is left out.
fn existing_users(tx: &Tx<'_>, facts: &OrgFacts) -> Result<Vec<SeededUser>, RestError> {
    let mut users = Vec::new();
    for person in &PEOPLE {
        let username = person.username(facts);
        if let Some(user_id) = records::find(tx, "User", "Username", &username)? {
            users.push(SeededUser { role: person.role, username, user_id });
        }
    }
    Ok(users)
}

fn fill(tx: &Tx<'_>, facts: &OrgFacts) -> Result<SeededOrg, RestError> {
    let org_id = insert_organization(tx, facts)?;
    insert_roles(tx)?;
    for plan in &PROFILES {
        insert_profile(tx, plan)?;
    }
    let mut users = Vec::new();
    for person in &PEOPLE {
        let user_id = insert_person(tx, person, facts)?;
        users.push(SeededUser { role: person.role, username: person.username(facts), user_id });
    }
    data::insert(tx, &users)?;
    Ok(SeededOrg { org_id, users })
}

fn insert_organization(tx: &Tx<'_>, facts: &OrgFacts) -> Result<String, RestError> {
    let edition = if facts.is_sandbox { "Enterprise Edition" } else { "Developer Edition" };
    let organization = json!({
        "Name": facts.name, "IsSandbox": facts.is_sandbox, "OrganizationType": edition, "InstanceName": "SIM1",
        "Country": "DE",
    });
    records::insert(tx, "Organization", organization)
}

fn insert_roles(tx: &Tx<'_>) -> Result<(), RestError> {
    for (name, label, above) in USER_ROLES {
        let parent = match above {
            Some(above) => records::find(tx, "UserRole", "DeveloperName", above)?,
            None => None,
        };
        records::insert(
            tx,
            "UserRole",
            json!({"Name": label, "DeveloperName": name, "ParentRoleId": parent}),
        )?;
    }
    Ok(())
}

fn insert_profile(tx: &Tx<'_>, plan: &ProfilePlan) -> Result<(), RestError> {
    let mut profile = json!({"Name": plan.name});
    for permission in permissions_of(plan) {
        profile[format!("Permissions{permission}").as_str()] = json!(true);
    }
    let profile_id = records::insert(tx, "Profile", profile)?;
    let set_id =
        records::find(tx, "PermissionSet", "ProfileId", &profile_id)?.ok_or_else(RestError::not_found)?;
    for (name, rights) in plan.objects {
        records::insert(tx, "ObjectPermissions", object_permissions(&set_id, name, rights))?;
    }
    let governed = |object: &&SObject| matches!(object.access, Access::Business(_));
    for object in tx.schema().objects().iter().filter(governed) {
        let governing = object.governed_by.unwrap_or(&object.name);
        if let Some((_, rights)) = plan.objects.iter().find(|(name, _)| *name == governing) {
            grant_fields(tx, &set_id, object, rights.contains('E'), plan.hidden_fields)?;
        }
    }
    Ok(())
}

fn permissions_of(plan: &ProfilePlan) -> Vec<&'static str> {
    if plan.permissions.is_empty() {
        USER_PERMISSIONS.iter().map(|(name, _)| *name).collect()
    } else {
        plan.permissions.to_vec()
    }
}

fn object_permissions(set_id: &str, object: &str, rights: &str) -> Value {
    let has = |letter| rights.contains(letter);
    json!({
        "ParentId": set_id, "SobjectType": object, "PermissionsCreate": has('C'), "PermissionsRead": has('R'),
        "PermissionsEdit": has('E'), "PermissionsDelete": has('D'), "PermissionsViewAllRecords": has('*'),
        "PermissionsModifyAllRecords": has('*'),
    })
}

/// One `FieldPermissions` row per field that has field-level security. Written directly: hundreds of rows, all of
/// them known to be right, at every first start.
fn grant_fields(
    tx: &Tx<'_>,
    set_id: &str,
    object: &SObject,
    edit: bool,
    hidden: &[&str],
) -> Result<(), RestError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO \"FieldPermissions\" (\"Id\", \"ParentId\", \"SobjectType\", \"Field\", \"PermissionsRead\", \
         \"PermissionsEdit\", \"SystemModstamp\") VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)",
    )?;
    for field in object.fields.iter().filter(|field| field.permissionable) {
        let name = format!("{}.{}", object.name, field.name);
        if hidden.contains(&name.as_str()) {
            continue;
        }
        let editable = edit && (field.createable || field.updateable);
        let id = tx.new_id("01k")?;
        statement.execute((id, set_id, &object.name, name, editable, tx.now_row_micros()))?;
    }
    Ok(())
}

fn insert_person(tx: &Tx<'_>, person: &Person, facts: &OrgFacts) -> Result<String, RestError> {
    let profile = records::find(tx, "Profile", "Name", person.profile)?;
    let user_role = match person.user_role {
        Some(name) => records::find(tx, "UserRole", "DeveloperName", name)?,
        None => None,
    };
    let username = person.username(facts);
    let user = json!({
        "Username": username, "FirstName": person.first_name, "LastName": person.last_name, "Title": person.title,
        "Email": username, "Alias": person.role.get(..8).unwrap_or(person.role), "CommunityNickname": person.role,
        "ProfileId": profile, "UserRoleId": user_role, "CompanyName": facts.name,
    });
    records::insert(tx, "User", user)
}

impl Person {
    fn username(&self, facts: &OrgFacts) -> String {
        format!("{}@{}", self.role, facts.username_domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Entropy};

    #[test]
    fn a_second_start_finds_the_same_org() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("org.db");
        let facts =
            OrgFacts { name: "Acme".into(), is_sandbox: true, username_domain: "acme.example".into() };
        let start = |seed_of_ids| {
            let clock = Clock::fixed(1_773_144_000_000_000);
            let database = Database::open(Some(&path), clock, Entropy::seeded(seed_of_ids), "Sm1").unwrap();
            let org = seed(&database, &facts).unwrap();
            let accounts: i64 = database
                .read(|tx| {
                    Ok::<_, DbError>(tx.query_row("SELECT count(*) FROM \"Account\"", [], |row| row.get(0))?)
                })
                .unwrap();
            (org, accounts)
        };
        let first = start(1);
        assert_eq!(first, start(2));
        let roles: Vec<&str> = first.0.users.iter().map(|user| user.role).collect();
        assert_eq!(roles, ["admin", "sales", "intern", "integration"]);
    }
}
