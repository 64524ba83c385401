//! Fields and their types.

use serde_json::{Value, json};

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldType {
    /// The record's own id.
    Id,
    /// The id of another record.
    Reference(Reference),
    /// One line of text of at most `length` characters.
    Text { length: usize },
    /// Several lines of text of at most `length` characters.
    TextArea { length: usize },
    /// One of a list of values; when `restricted`, nothing else is accepted.
    Picklist { values: Vec<&'static str>, restricted: bool },
    /// `true` or `false`, never null.
    Boolean,
    /// A whole number.
    Int,
    /// A number with `scale` digits after the point.
    Double { scale: u8 },
    /// An amount of money with two digits after the point.
    Currency,
    /// A percentage, 0 to 100.
    Percent,
    /// A calendar day.
    Date,
    /// A moment, to the second.
    DateTime,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A web address.
    Url,
    /// The bytes of a file, sent as Base64.
    Base64,
}

/// Where a reference field points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The sObjects it may point at; more than one when polymorphic.
    pub to: Vec<&'static str>,
    /// The name by which SOQL walks to the parent, such as `Account` for `AccountId`.
    pub parent: Option<&'static str>,
    /// The name by which a parent's sub-query reaches these records, such as `Contacts`.
    pub children: Option<&'static str>,
    /// Whether deleting the parent deletes these records.
    pub cascades: bool,
}

/// One field of an sObject.
#[derive(Debug, Clone)]
pub struct Field {
    /// API name in its canonical casing.
    pub name: String,
    /// Label.
    pub label: String,
    /// What it holds.
    pub kind: FieldType,
    /// Whether a create without it is refused.
    pub required: bool,
    /// Whether an API create may set it.
    pub createable: bool,
    /// Whether an API update may set it.
    pub updateable: bool,
    /// Whether field-level security applies; required and system fields are always visible with the object.
    pub permissionable: bool,
    /// Whether records can be addressed by it in an upsert.
    pub external_id: bool,
    /// Whether its values occur once only.
    pub unique: bool,
    /// What a create without it stores.
    pub default: Option<Value>,
    /// SQL for a value that is worked out and not stored; `{t}` stands for the row's table.
    pub computed: Option<&'static str>,
}

impl Field {
    fn new(name: &str, kind: FieldType) -> Self {
        Self {
            name: name.into(),
            label: label_of(name),
            kind,
            required: false,
            createable: true,
            updateable: true,
            permissionable: true,
            external_id: false,
            unique: false,
            default: None,
            computed: None,
        }
    }

    pub(super) fn id() -> Self {
        Self::new("Id", FieldType::Id).read_only().system()
    }

    pub(super) fn text(name: &str, length: usize) -> Self {
        Self::new(name, FieldType::Text { length })
    }

    pub(super) fn text_area(name: &str, length: usize) -> Self {
        Self::new(name, FieldType::TextArea { length })
    }

    pub(super) fn picklist(name: &str, values: &[&'static str]) -> Self {
        Self::new(name, FieldType::Picklist { values: values.to_vec(), restricted: false })
    }

    pub(super) fn restricted_picklist(name: &str, values: &[&'static str]) -> Self {
        Self::new(name, FieldType::Picklist { values: values.to_vec(), restricted: true })
    }

    pub(super) fn boolean(name: &str) -> Self {
        Self::new(name, FieldType::Boolean).default_value(json!(false))
    }

    pub(super) fn int(name: &str) -> Self {
        Self::new(name, FieldType::Int)
    }

    pub(super) fn double(name: &str, scale: u8) -> Self {
        Self::new(name, FieldType::Double { scale })
    }

    pub(super) fn currency(name: &str) -> Self {
        Self::new(name, FieldType::Currency)
    }

    pub(super) fn percent(name: &str) -> Self {
        Self::new(name, FieldType::Percent)
    }

    pub(super) fn date(name: &str) -> Self {
        Self::new(name, FieldType::Date)
    }

    pub(super) fn date_time(name: &str) -> Self {
        Self::new(name, FieldType::DateTime)
    }

    pub(super) fn email(name: &str) -> Self {
        Self::new(name, FieldType::Email)
    }

    pub(super) fn phone(name: &str) -> Self {
        Self::new(name, FieldType::Phone)
    }

    pub(super) fn url(name: &str) -> Self {
        Self::new(name, FieldType::Url)
    }

    pub(super) fn base64(name: &str) -> Self {
        Self::new(name, FieldType::Base64)
    }

    pub(super) fn lookup(name: &str, to: &[&'static str], parent: &'static str) -> Self {
        let to = to.to_vec();
        let parent = (!parent.is_empty()).then_some(parent);
        Self::new(name, FieldType::Reference(Reference { to, parent, children: None, cascades: false }))
    }

    pub(super) fn children(mut self, name: &'static str) -> Self {
        if let FieldType::Reference(reference) = &mut self.kind {
            reference.children = Some(name);
        }
        self
    }

    pub(super) fn cascades(mut self) -> Self {
        if let FieldType::Reference(reference) = &mut self.kind {
            reference.cascades = true;
        }
        self
    }

    pub(super) fn label(mut self, label: &str) -> Self {
        self.label = label.into();
        self
    }

    /// Must be given; therefore always visible.
    pub(super) fn required(mut self) -> Self {
        self.required = true;
        self.permissionable = false;
        self
    }

    /// Set by the org alone.
    pub(super) fn read_only(mut self) -> Self {
        self.createable = false;
        self.updateable = false;
        self
    }

    pub(super) fn not_updateable(mut self) -> Self {
        self.updateable = false;
        self
    }

    /// Visible to everyone who sees the object.
    pub(super) fn system(mut self) -> Self {
        self.permissionable = false;
        self
    }

    pub(super) fn defaulted(mut self) -> Self {
        self.required = false;
        self
    }

    pub(super) fn default_value(mut self, value: Value) -> Self {
        self.default = Some(value);
        self
    }

    pub(super) fn external_id(mut self) -> Self {
        self.external_id = true;
        self
    }

    pub(super) fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    pub(super) fn computed(mut self, sql: &'static str) -> Self {
        self.computed = Some(sql);
        self.read_only()
    }

    /// The reference, when it is one.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.kind {
            FieldType::Reference(reference) => Some(reference),
            _ => None,
        }
    }

    /// Whether the name ends as a custom field's does.
    pub fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether the value can be null.
    pub fn is_nillable(&self) -> bool {
        !self.required && !matches!(self.kind, FieldType::Boolean | FieldType::Id) && self.default.is_none()
    }
}

impl FieldType {
    /// The type's name in `describe`.
    pub fn describe_name(&self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Reference(_) => "reference",
            Self::Text { .. } => "string",
            Self::TextArea { .. } => "textarea",
            Self::Picklist { .. } => "picklist",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Double { .. } => "double",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Base64 => "base64",
        }
    }

    /// The longest text it takes, in characters; 0 when it holds no text.
    pub fn length(&self) -> usize {
        match self {
            Self::Id | Self::Reference(_) => 18,
            Self::Text { length } | Self::TextArea { length } => *length,
            Self::Picklist { .. } | Self::Url => 255,
            Self::Email => 80,
            Self::Phone => 40,
            _ => 0,
        }
    }

    /// Whether values are numbers.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double { .. } | Self::Currency | Self::Percent)
    }

    /// Whether values are text of any kind but ids.
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::TextArea { .. }
                | Self::Picklist { .. }
                | Self::Email
                | Self::Phone
                | Self::Url
        )
    }

    /// Whether values are too long to be filtered, sorted or grouped by.
    pub fn is_long(&self) -> bool {
        matches!(self, Self::TextArea { length } if *length > 255) || *self == Self::Base64
    }

    /// Whether values are record ids.
    pub fn is_id(&self) -> bool {
        matches!(self, Self::Id | Self::Reference(_))
    }

    /// The column type in SQLite. Text compares without regard to case, as SOQL does; ids exactly.
    pub(crate) fn column_type(&self) -> &'static str {
        match self {
            Self::Id => "TEXT PRIMARY KEY NOT NULL",
            Self::Reference(_) | Self::Date => "TEXT",
            Self::Boolean => "INTEGER NOT NULL DEFAULT 0",
            Self::Int | Self::DateTime => "INTEGER",
            Self::Double { .. } | Self::Currency | Self::Percent => "REAL",
            Self::Base64 => "BLOB",
            _ => "TEXT COLLATE NOCASE",
        }
    }
}

/// `BillingPostalCode` → `Billing Postal Code`, `AccountId` → `Account ID`, `Value__c` → `Value`.
fn label_of(name: &str) -> String {
    let name = name.strip_suffix("__c").unwrap_or(name);
    let mut label = String::with_capacity(name.len() + 4);
    let mut previous_is_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && previous_is_lower {
            label.push(' ');
        }
        previous_is_lower = letter.is_lowercase() || letter.is_ascii_digit();
        label.push(if letter == '_' { ' ' } else { letter });
    }
    match label.strip_suffix(" Id") {
        Some(start) => format!("{start} ID"),
        None => label,
    }
}

#[cfg(test)]
mod tests {
    use super::label_of;

    #[test]
    fn labels_come_from_names() {
        for (name, label) in [
            ("BillingPostalCode", "Billing Postal Code"),
            ("AccountId", "Account ID"),
            ("Value__c", "Value"),
            ("Product2Id", "Product2 ID"),
        ] {
            assert_eq!(label_of(name), label);
        }
    }
}
