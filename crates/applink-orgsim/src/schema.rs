//! What the org knows about its data: sObjects, their fields, how they relate and who may see them.
//!
//! Every sObject is one SQLite table of the same name with one column per field (see [`crate::db`]), and
//! everything else reads this description: SOQL resolves names with it, records are checked against it,
//! `describe` prints it, rights follow its [`Access`].
//!
//! Org-wide sharing defaults of the simulator: Account, Contact, Lead, Case and the price books are public
//! read/write, Campaign is public read-only, Opportunity and Task are private to their owner and to those
//! above the owner in the role hierarchy, OpportunityLineItem follows its Opportunity.

mod deployed;
mod field;
mod files;
mod marketing;
mod sales;
mod setup;

use std::collections::HashMap;

pub use field::{Field, FieldType, Reference};
pub(crate) use sales::STAGES;
pub use setup::USER_PERMISSIONS;

/// Who may read and change an sObject's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Business data: `ObjectPermissions`, `FieldPermissions` and the sharing default decide.
    Business(Sharing),
    /// Set-up data, such as users and permission sets.
    Setup {
        /// The user permissions of which one is needed to read rows; empty when everyone may.
        read: &'static [&'static str],
        /// The column that names a user whose own rows need no permission.
        own: Option<&'static str>,
        /// The user permissions of which one is needed to change rows; empty when no API call can.
        write: &'static [&'static str],
    },
    /// Custom metadata: read with a `SetupEntityAccess` row or "Customize Application", never written
    /// through the data API.
    CustomMetadata,
}

/// An org-wide sharing default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Only the owner, those above in the role hierarchy, and holders of view-all or modify-all.
    Private,
    /// Everyone with the object permission reads, the owner and those above change.
    PublicRead,
    /// Everyone with the object permission reads and changes.
    PublicReadWrite,
    /// As the record that this reference field points at.
    ControlledByParent(&'static str),
}

/// One kind of record.
#[derive(Debug, Clone)]
pub struct SObject {
    /// API name in its canonical casing.
    pub name: String,
    /// Label of one record.
    pub label: String,
    /// Label of several.
    pub label_plural: String,
    /// The first three characters of its ids.
    pub key_prefix: String,
    /// Its fields, `Id` first.
    pub fields: Vec<Field>,
    /// Who may read and change rows.
    pub access: Access,
    /// The sObject whose object permissions govern this one, which has none of its own: reading needs its read
    /// permission, any change its edit permission.
    pub governed_by: Option<&'static str>,
    /// Whether a deleted row stays in the recycle bin (`IsDeleted`), where `queryAll` sees it.
    pub recyclable: bool,
    /// Sets of fields that together occur only once.
    pub unique_together: Vec<Vec<&'static str>>,
    /// Set when there is no table: the SQL that answers the rows instead. It may use the parameters and
    /// tables that [`crate::rights::PREAMBLE`] declares.
    pub view: Option<String>,
}

/// A parent-to-child relationship, as sub-queries and `describe` name it.
#[derive(Debug, Clone, Copy)]
pub struct ChildRelationship<'s> {
    /// The name a sub-query uses in `FROM`, such as `OpportunityLineItems`.
    pub name: &'s str,
    /// The child sObject.
    pub child: &'s SObject,
    /// The child's reference field.
    pub field: &'s Field,
}

/// All sObjects of an org.
#[derive(Debug, Clone)]
pub struct Schema {
    objects: Vec<SObject>,
    by_name: HashMap<String, usize>,
}

impl Schema {
    /// The sObjects every simulated org has.
    pub fn standard() -> Self {
        let mut objects = sales::objects();
        objects.extend(marketing::objects());
        objects.extend(files::objects());
        objects.extend(setup::objects());
        objects.extend(deployed::objects());
        let by_name =
            objects.iter().enumerate().map(|(index, object)| (object.name.to_lowercase(), index)).collect();
        Self { objects, by_name }
    }

    /// All sObjects, in the order they were declared.
    pub fn objects(&self) -> &[SObject] {
        &self.objects
    }

    /// The sObject of a name in any casing.
    pub fn object(&self, name: &str) -> Option<&SObject> {
        self.by_name.get(&name.to_lowercase()).and_then(|index| self.objects.get(*index))
    }

    /// The sObject an id belongs to, by its key prefix.
    pub fn object_of_id(&self, id: &str) -> Option<&SObject> {
        let prefix = crate::ids::key_prefix(id);
        self.objects.iter().find(|object| object.key_prefix == prefix)
    }

    /// The child relationships of a parent sObject, named or not.
    pub fn children<'s>(&'s self, parent: &SObject) -> Vec<ChildRelationship<'s>> {
        let mut children = Vec::new();
        for child in &self.objects {
            for field in &child.fields {
                let Some(reference) = field.reference() else { continue };
                if !reference.to.contains(&parent.name.as_str()) {
                    continue;
                }
                children.push(ChildRelationship {
                    name: reference.children.unwrap_or_default(),
                    child,
                    field,
                });
            }
        }
        children
    }

    /// The child relationship of that name in any casing.
    pub fn child<'s>(&'s self, parent: &SObject, name: &str) -> Option<ChildRelationship<'s>> {
        self.children(parent)
            .into_iter()
            .find(|child| !child.name.is_empty() && child.name.eq_ignore_ascii_case(name))
    }

    /// The id of a custom metadata type's definition, which `SetupEntityAccess.SetupEntityId` names.
    /// `None` for any other sObject.
    pub fn definition_id(&self, name: &str) -> Option<String> {
        let index = *self.by_name.get(&name.to_lowercase())?;
        let object = self.objects.get(index)?;
        let number = u64::from_str_radix(&hex_digest(&object.name), 16).ok()?;
        (object.access == Access::CustomMetadata).then(|| crate::ids::mint("01I", "Sim", number))
    }

    /// The `PermissionSet` column of a user permission such as `ApiEnabled`; `None` when the simulator
    /// doesn't know the permission.
    pub fn user_permission_column(&self, permission: &str) -> Option<String> {
        USER_PERMISSIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(permission))
            .map(|(name, _)| format!("Permissions{name}"))
    }
}

/// Eight hexadecimal digits that depend on the text only (FNV-1a), so that a definition keeps its id.
fn hex_digest(text: &str) -> String {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

impl SObject {
    /// The field of a name in any casing.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The reference field whose parent relationship has that name (`Account` for `AccountId`).
    pub fn parent(&self, relationship: &str) -> Option<(&Field, &Reference)> {
        self.fields.iter().find_map(|field| {
            let reference = field.reference()?;
            let named = reference.parent.is_some_and(|name| name.eq_ignore_ascii_case(relationship));
            named.then_some((field, reference))
        })
    }

    /// The field that names a record to people.
    pub fn name_field(&self) -> Option<&Field> {
        let name = match self.name.as_str() {
            "Case" => "CaseNumber",
            "Task" => "Subject",
            _ => "Name",
        };
        self.field(name)
    }

    /// Whether rows have an owner.
    pub fn has_owner(&self) -> bool {
        self.field("OwnerId").is_some()
    }

    /// Whether the name ends as a custom object's or custom metadata type's does.
    pub fn is_custom(&self) -> bool {
        self.name.ends_with("__c") || self.name.ends_with("__mdt")
    }

    /// Whether records can be created through the API at all.
    pub fn is_creatable(&self) -> bool {
        self.fields.iter().any(|field| field.createable)
            && match self.access {
                Access::Business(_) => true,
                Access::Setup { write, .. } => !write.is_empty(),
                Access::CustomMetadata => false,
            }
    }
}

/// What the builder in the sub-modules starts from: a recyclable, publicly shared business object with the
/// system fields all of them have.
struct Declaration {
    object: SObject,
    owned: bool,
}

impl Declaration {
    fn new(name: &str, label: &str, label_plural: &str, key_prefix: &str) -> Self {
        Self {
            object: SObject {
                name: name.into(),
                label: label.into(),
                label_plural: label_plural.into(),
                key_prefix: key_prefix.into(),
                fields: Vec::new(),
                access: Access::Business(Sharing::PublicReadWrite),
                governed_by: None,
                recyclable: true,
                unique_together: Vec::new(),
                view: None,
            },
            owned: false,
        }
    }

    fn access(mut self, access: Access) -> Self {
        self.object.recyclable = matches!(access, Access::Business(_));
        self.object.access = access;
        self
    }

    fn governed_by(mut self, object: &'static str) -> Self {
        self.object.governed_by = Some(object);
        self
    }

    fn owned(mut self) -> Self {
        self.owned = true;
        self
    }

    fn unique_together(mut self, fields: &[&'static str]) -> Self {
        self.object.unique_together.push(fields.to_vec());
        self
    }

    fn view(mut self, sql: String) -> Self {
        self.object.view = Some(sql);
        self
    }

    /// Finishes with these fields and nothing else but `Id`.
    fn bare_fields(mut self, fields: Vec<Field>) -> SObject {
        self.object.fields = std::iter::once(Field::id()).chain(fields).collect();
        self.object
    }

    /// Finishes with these fields between `Id` and the audit fields.
    fn fields(mut self, fields: Vec<Field>) -> SObject {
        let mut all = vec![Field::id()];
        if self.object.recyclable {
            all.push(Field::boolean("IsDeleted").label("Deleted").read_only().system());
        }
        all.extend(fields);
        if self.owned {
            let owner = Field::lookup("OwnerId", &["User"], "Owner").label("Owner ID");
            all.push(owner.system().defaulted());
        }
        all.extend(audit_fields());
        self.object.fields = all;
        self.object
    }
}

fn audit_fields() -> Vec<Field> {
    vec![
        Field::date_time("CreatedDate").read_only().system(),
        Field::lookup("CreatedById", &["User"], "CreatedBy").label("Created By ID").read_only().system(),
        Field::date_time("LastModifiedDate").read_only().system(),
        Field::lookup("LastModifiedById", &["User"], "LastModifiedBy")
            .label("Last Modified By ID")
            .read_only()
            .system(),
        Field::date_time("SystemModstamp").label("System Modstamp").read_only().system(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reference_points_at_an_object_and_names_are_unique() {
        let schema = Schema::standard();
        let mut prefixes = HashSet::new();
        for object in schema.objects() {
            assert!(prefixes.insert(object.key_prefix.clone()), "{} repeats a key prefix", object.name);
            assert_eq!(object.key_prefix.len(), 3, "{}", object.name);
            let mut names = HashSet::new();
            for field in &object.fields {
                assert!(names.insert(field.name.to_lowercase()), "{}.{} twice", object.name, field.name);
                for target in field.reference().map(|reference| reference.to.as_slice()).unwrap_or_default() {
                    assert!(schema.object(target).is_some(), "{}.{} -> {target}", object.name, field.name);
                }
            }
        }
    }

    #[test]
    fn child_relationship_names_are_unique_per_parent() {
        let schema = Schema::standard();
        for parent in schema.objects() {
            let mut names = HashSet::new();
            for child in schema.children(parent).iter().filter(|child| !child.name.is_empty()) {
                assert!(names.insert(child.name.to_lowercase()), "{}.{}", parent.name, child.name);
            }
        }
    }

    #[test]
    fn names_are_found_in_any_casing() {
        let schema = Schema::standard();
        let opportunity = schema.object("OPPORTUNITY").unwrap();
        assert_eq!(opportunity.name, "Opportunity");
        assert_eq!(opportunity.field("stagename").unwrap().name, "StageName");
        assert_eq!(opportunity.parent("account").unwrap().0.name, "AccountId");
        assert_eq!(
            schema.child(opportunity, "opportunitylineitems").unwrap().child.name,
            "OpportunityLineItem"
        );
        assert!(schema.definition_id("ProvisioningParameter__mdt").is_some());
        assert_eq!(schema.definition_id("Account"), None);
    }
}
