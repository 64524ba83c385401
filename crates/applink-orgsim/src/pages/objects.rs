//! Records to browse, with the rights of who looks: what they may not read isn't there. And Setup's Object Manager.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::frame::{Frame, href};
use super::lists::{Looked, PAGE_SIZE, Paging};
use super::visit::{self, Visit};
use crate::db::Tx;
use crate::failure::Failure;
use crate::records::Records;
use crate::rest::RestError;
use crate::rights::{Action, Rights};
use crate::schema::{Access, Field, FieldType, SObject};
use crate::soql;
use crate::state::OrgState;
use crate::stretch;

/// How many columns a list has besides the name.
const COLUMNS: usize = 4;

pub(super) fn routes() -> Router<OrgState> {
    Router::new()
        .route("/records", get(objects))
        .route("/records/{object}", get(list))
        .route("/records/{object}/{id}", get(show))
        .route("/setup/objects", get(manager))
        .route("/setup/objects/{object}", get(definition))
}

/// An object in a list.
struct ObjectLine {
    href: String,
    label: String,
    name: String,
    count: i64,
}

#[derive(Template)]
#[template(path = "records/objects.html")]
struct ObjectsPage {
    frame: Frame,
    business: Vec<ObjectLine>,
    other: Vec<ObjectLine>,
}

async fn objects(State(state): State<OrgState>, headers: HeaderMap) -> Result<Response, Failure> {
    visit::show(state, headers, "/records", |tx, visit| {
        let rights = Rights::load(tx, &visit.caller)?;
        let (mut business, mut other) = (Vec::new(), Vec::new());
        for object in tx.schema().objects() {
            if !is_listed(object) || !rights.may(tx.schema(), object, Action::Read) {
                continue;
            }
            let line = ObjectLine {
                href: href(&["records", &object.name]),
                label: object.label_plural.clone(),
                name: object.name.clone(),
                count: count(tx, &rights, object)?,
            };
            if matches!(object.access, Access::Business(_)) { business.push(line) } else { other.push(line) }
        }
        Ok(Some(ObjectsPage { frame: visit.frame, business, other }))
    })
    .await
}

/// Those that are worked out and have no rows of their own are left out.
fn is_listed(object: &SObject) -> bool {
    object.view.is_none()
}

fn count(tx: &Tx<'_>, rights: &Rights, object: &SObject) -> Result<i64, Failure> {
    let options = soql::QueryOptions { base_url: "", batch_size: soql::SMALLEST_BATCH, all_rows: false };
    let counted = soql::run(tx, rights, &format!("SELECT COUNT() FROM {}", object.name), options);
    // An object that can't be counted with these rights has nothing to show.
    Ok(counted.ok().and_then(|answer| answer["totalSize"].as_i64()).unwrap_or_default())
}

#[derive(Deserialize)]
struct Listed {
    page: Option<usize>,
    #[serde(default, deserialize_with = "stretch::find")]
    find: String,
}

/// A record in a list.
struct RecordLine {
    href: String,
    name: String,
    cells: Vec<String>,
}

#[derive(Template)]
#[template(path = "records/list.html")]
struct ListPage {
    frame: Frame,
    href: String,
    label: String,
    find: String,
    searchable: bool,
    name_label: String,
    columns: Vec<String>,
    records: Vec<RecordLine>,
    paging: Paging,
}

async fn list(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(object): Path<String>,
    Query(query): Query<Listed>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/records", move |tx, visit| {
        let rights = Rights::load(tx, &visit.caller)?;
        let schema = tx.schema();
        let object = schema.object(&object).filter(|object| is_listed(object));
        match object.filter(|object| rights.may(schema, object, Action::Read)) {
            Some(object) => list_page(tx, visit, &rights, object, query).map(Some),
            None => Ok(None),
        }
    })
    .await
}

fn list_page(
    tx: &Tx<'_>,
    visit: Visit,
    rights: &Rights,
    object: &SObject,
    query: Listed,
) -> Result<ListPage, Failure> {
    let readable = |field: &&Field| rights.may_read_field(object, field);
    let name = object.name_field().filter(readable);
    let searched =
        name.filter(|field| matches!(field.kind, FieldType::Text { .. } | FieldType::TextArea { .. }));
    let columns: Vec<&Field> = object
        .fields
        .iter()
        .filter(readable)
        .filter(|field| is_column(field) && name.is_none_or(|name| name.name != field.name))
        .take(COLUMNS)
        .collect();
    let mut selected = vec!["Id"];
    selected
        .extend(name.iter().chain(&columns).map(|field| field.name.as_str()).filter(|name| *name != "Id"));
    let condition = searched.map(|field| condition(field, &query.find)).unwrap_or_default();
    let source = format!("SELECT {} FROM {}{condition} ORDER BY Id", selected.join(", "), object.name);
    let path = href(&["records", &object.name]);
    let wanted = query.page.unwrap_or(1).clamp(1, usize::MAX / PAGE_SIZE);
    let stretch = |page: usize| soql::stretch(tx, rights, &source, ((page - 1) * PAGE_SIZE, PAGE_SIZE));
    let (total, mut found) = stretch(wanted).map_err(refused)?;
    let paging = Paging::keyed("page", Some(wanted), total, (&path, &query.find));
    if paging.page != wanted {
        found = stretch(paging.page).map_err(refused)?.1;
    }
    let line = |record: &Value| {
        let id = text(record.get("Id"));
        let shown = name.map(|name| text(record.get(&name.name))).filter(|name| !name.is_empty());
        RecordLine {
            href: href(&["records", &object.name, &id]),
            name: shown.unwrap_or(id),
            cells: columns.iter().map(|field| text(record.get(&field.name))).collect(),
        }
    };
    Ok(ListPage {
        frame: visit.frame,
        href: path,
        label: object.label_plural.clone(),
        find: query.find,
        searchable: searched.is_some(),
        name_label: name.map_or_else(|| "Id".to_owned(), |field| field.label.clone()),
        columns: columns.iter().map(|field| field.label.clone()).collect(),
        records: found.iter().map(line).collect(),
        paging,
    })
}

/// What tells records apart at a glance.
fn is_column(field: &Field) -> bool {
    let system = ["IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp"];
    !matches!(field.kind, FieldType::Id | FieldType::Reference(_) | FieldType::Base64)
        && !field.name.starts_with("Permissions")
        && !system.contains(&field.name.as_str())
}

/// That each word which is searched for is in the field.
fn condition(field: &Field, find: &str) -> String {
    let has = |word: &str| format!("{} LIKE '%{}%'", field.name, soql_pattern(word));
    match find.split_whitespace().map(has).collect::<Vec<_>>() {
        words if words.is_empty() => String::new(),
        words => format!(" WHERE {}", words.join(" AND ")),
    }
}

/// A text inside quotes and `LIKE`, meaning itself.
fn soql_pattern(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '\'' | '%' | '_' => {
                pattern.push('\\');
                pattern.push(letter);
            }
            letter if letter.is_control() => pattern.push(' '),
            letter => pattern.push(letter),
        }
    }
    pattern
}

/// The pages ask only for what they know to be there, so a refusal is the org's own fault.
fn refused(error: RestError) -> Failure {
    Failure::Unexpected(Box::new(error))
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A field of a record.
struct FieldLine {
    label: String,
    name: String,
    value: String,
    /// To the record it points at.
    href: Option<String>,
}

#[derive(Template)]
#[template(path = "records/record.html")]
struct RecordPage {
    frame: Frame,
    list: String,
    label_plural: String,
    title: String,
    fields: Vec<FieldLine>,
}

async fn show(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path((object, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/records", move |tx, visit| {
        let Some(object) = tx.schema().object(&object).filter(|object| is_listed(object)) else {
            return Ok(None);
        };
        let records = Records::new(tx, &visit.caller).map_err(refused)?;
        // Whatever the reason, a record that can't be read is not there.
        let record = records.read(&object.name, &id, None, "").ok();
        Ok(record.map(|record| record_page(tx, visit, object, &record)))
    })
    .await
}

fn record_page(tx: &Tx<'_>, visit: Visit, object: &SObject, record: &Value) -> RecordPage {
    let shown = |field: &&Field| record.get(&field.name).is_some() && field.kind != FieldType::Base64;
    let line = |field: &Field| {
        let value = text(record.get(&field.name));
        let points = matches!(field.kind, FieldType::Reference(_)).then(|| tx.schema().object_of_id(&value));
        let href = points.flatten().map(|target| href(&["records", &target.name, &value]));
        FieldLine { label: field.label.clone(), name: field.name.clone(), value, href }
    };
    let name = object.name_field().map(|field| text(record.get(&field.name))).unwrap_or_default();
    RecordPage {
        frame: visit.frame,
        list: href(&["records", &object.name]),
        label_plural: object.label_plural.clone(),
        title: if name.is_empty() { text(record.get("Id")) } else { name },
        fields: object.fields.iter().filter(shown).map(line).collect(),
    }
}

#[derive(Template)]
#[template(path = "setup/objects.html")]
struct ManagerPage {
    frame: Frame,
    objects: Vec<ObjectLine>,
    paging: Paging,
}

async fn manager(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Query(looked): Query<Looked>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/objects", move |tx, visit| {
        let rights = Rights::load(tx, &visit.caller)?;
        let mut all: Vec<&SObject> = tx.schema().objects().iter().collect();
        all.sort_by(|one, other| one.label.cmp(&other.label));
        let is_found = |object: &&SObject| is_listed(object) && looked.finds(&[&object.label, &object.name]);
        let (found, paging) = looked.cut("/setup/objects", all, is_found);
        let mut objects = Vec::new();
        for object in found {
            objects.push(ObjectLine {
                href: href(&["setup", "objects", &object.name]),
                label: object.label.clone(),
                name: object.name.clone(),
                count: count(tx, &rights, object)?,
            });
        }
        Ok(Some(ManagerPage { frame: visit.frame, objects, paging }))
    })
    .await
}

#[derive(Template)]
#[template(path = "setup/object.html")]
struct DefinitionPage {
    frame: Frame,
    records: String,
    object: SObject,
}

impl DefinitionPage {
    fn kind(field: &Field) -> String {
        match &field.kind {
            FieldType::Reference(reference) => format!("Lookup({})", reference.to.join(", ")),
            FieldType::Text { length } => format!("Text({length})"),
            FieldType::TextArea { length } => format!("Long Text({length})"),
            FieldType::Picklist { values, .. } => format!("Picklist: {}", values.join(", ")),
            other => format!("{other:?}"),
        }
    }
}

async fn definition(
    State(state): State<OrgState>,
    headers: HeaderMap,
    Path(object): Path<String>,
) -> Result<Response, Failure> {
    visit::show(state, headers, "/setup/objects", move |tx, visit| {
        let object = tx.schema().object(&object).filter(|object| is_listed(object)).cloned();
        Ok(object.map(|object| DefinitionPage {
            frame: visit.frame,
            records: href(&["records", &object.name]),
            object,
        }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_means_itself() {
        assert_eq!(soql_pattern("100%_of 'O\\H'\n"), "100\\%\\_of \\'O\\\\H\\' ");
        assert_eq!(soql_pattern("Grüße 東京"), "Grüße 東京");
    }
}

#[cfg(test)]
pub(super) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::pages::samples::{evil, frame, long, none, plain_frame};
    use crate::schema::Schema;

    pub(in crate::pages) fn all() -> Vec<Sample> {
        let line = || ObjectLine { href: evil(), label: evil(), name: evil(), count: 3 };
        let objects = |frame, business, other| ObjectsPage { frame, business, other };
        let field = |href| FieldLine { label: evil(), name: evil(), value: evil(), href };
        let record = RecordPage {
            frame: frame(),
            list: evil(),
            label_plural: evil(),
            title: evil(),
            fields: vec![field(Some(evil())), field(None)],
        };
        let manager = ManagerPage { frame: frame(), objects: vec![line()], paging: long() };
        vec![
            Sample::new("records/objects.html", objects(frame(), vec![line()], vec![line()])),
            Sample::new("records/objects.html", objects(plain_frame(), Vec::new(), Vec::new())),
            Sample::new("records/list.html", list(long(), true, 120)),
            Sample::new("records/list.html", list(long(), true, 1)),
            Sample::new("records/list.html", list(none(), true, 0)),
            Sample::new("records/list.html", list(none(), false, 0)),
            Sample::new("records/record.html", record),
            Sample::new("setup/objects.html", manager),
            Sample::new("setup/object.html", definition()),
        ]
    }

    fn list(paging: Paging, is_searched: bool, total: usize) -> ListPage {
        let record = || RecordLine { href: evil(), name: evil(), cells: vec![evil()] };
        ListPage {
            frame: frame(),
            href: evil(),
            label: evil(),
            find: if is_searched { evil() } else { String::new() },
            searchable: is_searched,
            name_label: evil(),
            columns: vec![evil()],
            records: (0..total.min(2)).map(|_| record()).collect(),
            paging: Paging { total, ..paging },
        }
    }

    fn definition() -> DefinitionPage {
        let mut object = Schema::standard().object("Opportunity").unwrap().clone();
        (object.name, object.label, object.key_prefix) = (evil(), evil(), evil());
        for field in &mut object.fields {
            (field.name, field.label) = (evil(), evil());
        }
        DefinitionPage { frame: frame(), records: evil(), object }
    }
}
