//! What sObjects and fields there are, as far as the caller may know of them.

use serde_json::{Map, Value, json};

use super::RestError;
use super::dispatch::Session;
use crate::rights::Action;
use crate::schema::{Access, Field, FieldType, SObject};

/// What no field of the simulator has.
const ALWAYS_FALSE: &[&str] = &[
    "aiPredictionField",
    "caseSensitive",
    "dependentPicklist",
    "deprecatedAndHidden",
    "displayLocationInDecimal",
    "encrypted",
    "formulaTreatNullNumberAsZero",
    "highScaleNumber",
    "htmlFormatted",
    "queryByDistance",
    "restrictedDelete",
    "searchPrefilterable",
    "writeRequiresMasterRead",
];
const ALWAYS_NULL: &[&str] = &[
    "calculatedFormula",
    "compoundFieldName",
    "controllerName",
    "defaultValueFormula",
    "extraTypeInfo",
    "filteredLookupInfo",
    "inlineHelpText",
    "mask",
    "maskType",
    "referenceTargetField",
    "relationshipOrder",
];

/// `GET /sobjects`.
pub(super) fn global(session: &Session<'_>) -> Value {
    let schema = session.tx.schema();
    let rights = session.records.rights();
    let visible = schema.objects().iter().filter(|object| rights.may(schema, object, Action::Read));
    let sobjects: Vec<Value> = visible.map(|object| Value::Object(summary(session, object))).collect();
    json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": sobjects})
}

/// `GET /sobjects/{name}`.
pub(super) fn basic(session: &Session<'_>, name: &str) -> Result<Value, RestError> {
    let object = session.records.object(name)?;
    Ok(json!({"objectDescribe": summary(session, object), "recentItems": []}))
}

/// `GET /sobjects/{name}/describe`.
pub(super) fn describe(session: &Session<'_>, name: &str) -> Result<Value, RestError> {
    let object = session.records.object(name)?;
    let rights = session.records.rights();
    let fields: Vec<Value> = object
        .fields
        .iter()
        .filter(|field| rights.may_read_field(object, field))
        .map(|field| Value::Object(field_description(session, object, field)))
        .collect();
    let mut description = summary(session, object);
    let extra = json!({
        "actionOverrides": [],
        "childRelationships": child_relationships(session, object),
        "compactLayoutable": matches!(object.access, Access::Business(_)),
        "defaultImplementation": null,
        "extendedBy": null,
        "extendsInterfaces": null,
        "fields": fields,
        "implementedBy": null,
        "implementsInterfaces": null,
        "listviewable": null,
        "lookupLayoutable": null,
        "namedLayoutInfos": [],
        "networkScopeFieldName": null,
        "recordTypeInfos": record_types(session, object),
        "searchLayoutable": matches!(object.access, Access::Business(_)),
        "sobjectDescribeOption": "FULL",
        "supportedScopes": scopes(object),
    });
    if let Value::Object(extra) = extra {
        description.extend(extra);
    }
    Ok(Value::Object(description))
}

fn summary(session: &Session<'_>, object: &SObject) -> Map<String, Value> {
    let schema = session.tx.schema();
    let rights = session.records.rights();
    let can = |action| object.is_creatable() && rights.may(schema, object, action);
    let business = matches!(object.access, Access::Business(_));
    let url = format!("{}/sobjects/{}", session.base_url(), object.name);
    let summary = json!({
        "activateable": false,
        "associateEntityType": null,
        "associateParentEntity": null,
        "createable": can(Action::Create),
        "custom": object.is_custom(),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": can(Action::Delete),
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": object.key_prefix,
        "label": object.label,
        "labelPlural": object.label_plural,
        "layoutable": business,
        "mergeable": false,
        "mruEnabled": business,
        "name": object.name,
        "queryable": true,
        "replicateable": business,
        "retrieveable": true,
        "searchable": business,
        "triggerable": business,
        "undeletable": object.recyclable,
        "updateable": can(Action::Edit),
        "urls": {"sobject": url, "describe": format!("{url}/describe"), "rowTemplate": format!("{url}/{{ID}}")},
    });
    match summary {
        Value::Object(summary) => summary,
        _ => Map::new(),
    }
}

fn scopes(object: &SObject) -> Value {
    let mut scopes = vec![json!({"label": format!("All {}", object.label_plural), "name": "everything"})];
    if object.has_owner() {
        scopes.push(json!({"label": format!("My {}", object.label_plural), "name": "mine"}));
    }
    Value::Array(scopes)
}

/// Every sObject has the master record type and no other.
fn record_types(session: &Session<'_>, object: &SObject) -> Value {
    if !matches!(object.access, Access::Business(_)) {
        return json!([]);
    }
    let id = "012000000000000AAA";
    let layout = format!("{}/sobjects/{}/describe/layouts/{id}", session.base_url(), object.name);
    json!([{
        "active": true, "available": true, "defaultRecordTypeMapping": true, "developerName": "Master", "master": true,
        "name": "Master", "recordTypeId": id, "urls": {"layout": layout},
    }])
}

fn child_relationships(session: &Session<'_>, object: &SObject) -> Vec<Value> {
    let schema = session.tx.schema();
    let rights = session.records.rights();
    schema
        .children(object)
        .into_iter()
        .filter(|child| {
            rights.may(schema, child.child, Action::Read) && rights.may_read_field(child.child, child.field)
        })
        .map(|child| {
            json!({
                "cascadeDelete": child.field.reference().is_some_and(|reference| reference.cascades),
                "childSObject": child.child.name,
                "deprecatedAndHidden": false,
                "field": child.field.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": (!child.name.is_empty()).then_some(child.name),
                "restrictedDelete": false,
            })
        })
        .collect()
}

fn field_description(session: &Session<'_>, object: &SObject, field: &Field) -> Map<String, Value> {
    let rights = session.records.rights();
    let editable = rights.may_edit_field(object, field);
    let long_text = field.kind.is_long();
    let reference = field.reference();
    let length = field.kind.length();
    let mut description: Map<String, Value> =
        ALWAYS_FALSE.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    description.extend(ALWAYS_NULL.iter().map(|key| ((*key).to_owned(), Value::Null)));
    let own = json!({
        "aggregatable": !long_text && field.kind != FieldType::Boolean,
        "autoNumber": field.name == "CaseNumber",
        "byteLength": length * if field.kind.is_text() { 3 } else { 1 },
        "calculated": field.computed.is_some(),
        "cascadeDelete": reference.is_some_and(|reference| reference.cascades),
        "createable": field.createable && editable,
        "custom": field.is_custom(),
        "defaultValue": field.default,
        "defaultedOnCreate": field.default.is_some() || !field.permissionable && !field.required,
        "externalId": field.external_id,
        "filterable": !long_text,
        "groupable": !long_text && !field.kind.is_number() || field.kind == FieldType::Int,
        "idLookup": field.external_id || field.name == "Id",
        "label": field.label,
        "length": length,
        "name": field.name,
        "nameField": object.name_field().is_some_and(|name| name.name == field.name),
        "namePointing": reference.is_some_and(|reference| reference.to.len() > 1),
        "nillable": field.is_nillable(),
        "permissionable": field.permissionable,
        "picklistValues": picklist_values(field),
        "polymorphicForeignKey": reference.is_some_and(|reference| reference.to.len() > 1),
        "referenceTo": reference.map(|reference| reference.to.clone()).unwrap_or_default(),
        "relationshipName": reference.and_then(|reference| reference.parent),
        "restrictedPicklist": matches!(field.kind, FieldType::Picklist { restricted: true, .. }),
        "soapType": soap_type(&field.kind),
        "sortable": !long_text,
        "type": field.kind.describe_name(),
        "unique": field.unique,
        "updateable": field.updateable && editable,
    });
    if let Value::Object(own) = own {
        description.extend(own);
    }
    let (precision, scale, digits) = numbers(&field.kind);
    description.extend(
        [("precision", precision), ("scale", scale), ("digits", digits)]
            .map(|(key, number)| (key.to_owned(), json!(number))),
    );
    description
}

/// Precision, scale and digits.
fn numbers(kind: &FieldType) -> (u8, u8, u8) {
    match kind {
        FieldType::Int => (0, 0, 8),
        FieldType::Double { scale } => (18, *scale, 0),
        FieldType::Currency => (18, 2, 0),
        FieldType::Percent => (5, 2, 0),
        _ => (0, 0, 0),
    }
}

fn soap_type(kind: &FieldType) -> &'static str {
    match kind {
        FieldType::Id | FieldType::Reference(_) => "tns:ID",
        FieldType::Boolean => "xsd:boolean",
        FieldType::Int => "xsd:int",
        FieldType::Double { .. } | FieldType::Currency | FieldType::Percent => "xsd:double",
        FieldType::Date => "xsd:date",
        FieldType::DateTime => "xsd:dateTime",
        FieldType::Base64 => "xsd:base64Binary",
        _ => "xsd:string",
    }
}

fn picklist_values(field: &Field) -> Vec<Value> {
    let FieldType::Picklist { values, .. } = &field.kind else { return Vec::new() };
    let default = field.default.as_ref().and_then(Value::as_str);
    values
        .iter()
        .map(|value| {
            json!({"active": true, "defaultValue": default == Some(*value), "label": value, "validFor": null, "value": value})
        })
        .collect()
}
