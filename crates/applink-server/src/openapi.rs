//! One description of our own API, made from the handlers: [`document`] for programs, [`page`] and
//! `docs/reference/api.md` for people. The copies under `docs/` are checked by the tests.
//!
//! 1. Each handler has an `#[utoipa::path]`, and [`crate::router`] puts it into the router and the document at once.
//! 2. [`document`] adds what all of them have in common: path parameters, the error answers, who may call.

pub mod api;
mod page;
#[cfg(test)]
pub(crate) use page::samples;

use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use crate::router;

pub use page::{html, markdown};

/// What the document begins with.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "AppLink",
        description = "The API of an AppLink control plane. Wire formats are those of the official service; \
            docs/compatibility.md lists what we change on purpose.\n\n\
            Every answer carries `x-request-id`, and where calls are counted `ratelimit-limit`, \
            `ratelimit-remaining` and `ratelimit-reset` (seconds). Times are UTC with microseconds. JSON bodies \
            have at most 256 KiB; unknown fields are ignored. What belongs to somebody else answers 404, byte for \
            byte as what does not exist.",
    ),
    components(schemas(applink_api::error::ErrorBody)),
    tags(
        (name = "connections", description = "Orgs that trust the add-on."),
        (name = "authorizations", description = "Org users' credentials, and their tokens for app code."),
        (name = "publications", description = "Apps in orgs."),
        (name = "webhooks", description = "Who is told what happens. Event types and signatures: docs/webhooks.md."),
        (name = "keys", description = "API keys of the add-on, for its people and pipelines."),
        (name = "audit", description = "What happened, and who did it."),
        (name = "sign-in links", description = "A browser's way into the dashboard: docs/dashboard.md."),
        (name = "mesh", description = "What the service mesh beside an app asks."),
        (name = "browser", description = "A person's way to an org and back. These answer pages."),
        (name = "operator", description = "Whoever runs this server."),
        (name = "about", description = "This description."),
    )
)]
struct Frame;

/// What the router's groups are merged into.
pub(crate) fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// The whole document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(router::description()).unwrap_or_default();
    if let Some(info) = document.get_mut("info").and_then(Value::as_object_mut) {
        info.retain(|key, _| matches!(key.as_str(), "title" | "description" | "version" | "license"));
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for kind in ["connections", "authorizations"] {
            spell_out_org_kind(paths, kind);
        }
        for (path, item) in paths {
            let Some(operations) = item.as_object_mut() else { continue };
            for operation in operations.values_mut().filter_map(Value::as_object_mut) {
                complete(path, operation);
            }
        }
    }
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("securitySchemes".to_owned(), security_schemes());
        components.insert("responses".to_owned(), error_answers());
    }
    document
}

/// A POST's last segment is the kind of org. It shares its place with names, so that a connection may be called
/// `salesforce`; to a reader it is a path of its own.
fn spell_out_org_kind(paths: &mut Map<String, Value>, kind: &str) {
    let named = paths.keys().find(|path| {
        path.starts_with(&format!("/addons/{{addon}}/{kind}/{{")) && {
            path.matches('{').count() == 2 && path.ends_with('}')
        }
    });
    let Some(named) = named.cloned() else { return };
    let post =
        paths.get_mut(&named).and_then(Value::as_object_mut).and_then(|item| item.shift_remove("post"));
    if let Some(post) = post {
        paths.insert(format!("/addons/{{addon}}/{kind}/salesforce"), json!({"post": post}));
        paths.sort_keys();
    }
}

/// What operations have in common.
fn complete(path: &str, operation: &mut Map<String, Value>) {
    let parameters: Vec<Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "description": parameter(name),
                "schema": {"type": "string"}})
        })
        .collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    let is_open = operation.get("security") == Some(&json!([{}]));
    let answers = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(answers) = answers.as_object_mut() else { return };
    let mut common = vec![("429", "TooManyCalls")];
    if !is_open {
        common.push(("401", "Unauthorized"));
        if path.contains('{') {
            common.push(("404", "NotFound"));
        }
        common.push(("default", "Error"));
    }
    for (status, name) in common {
        let reference = json!({"$ref": format!("#/components/responses/{name}")});
        if !(is_open && matches!(path, "/health" | "/openapi.json" | "/docs")) {
            answers.entry(status).or_insert(reference);
        }
    }
    answers.sort_keys();
}

fn parameter(name: &str) -> &'static str {
    match name {
        "addon" => "The add-on's uuid.",
        "connection" => "The connection's name or uuid; `-` and `_` are the same character.",
        "authorization" => "Developer name, alias or uuid; `-` and `_` are the same character.",
        "app" => "The app's uuid; for operators its name too.",
        "client" => "The client name it is published under.",
        "attachment" => "The attachment's uuid.",
        "ticket" => "Signed, and good for a minute.",
        "number" => "The deploy's number among those of the connection.",
        "target" => "API name or uuid of the data action target.",
        "webhook" => "The endpoint's uuid.",
        "key" => "The key's uuid.",
        "link" => "Random, and good for one use.",
        _ => "",
    }
}

fn security_schemes() -> Value {
    json!({
        "addon_token": {"type": "http", "scheme": "bearer", "description":
            "The add-on's token, `<PREFIX>_TOKEN`. It is in every dyno, so by itself it reads and hands out tokens and \
             changes nothing. With `x-app-uuid`, that must be the token's own app."},
        "addon_sso": {"type": "apiKey", "in": "header", "name": "x-addon-sso", "description":
            "Heroku's single sign-on answer, base64, at most five minutes old: with the add-on token it names a person \
             who may change things."},
        "api_key": {"type": "http", "scheme": "bearer", "description":
            "An API key with scope `manage`, of this add-on. It changes things, and is handed no tokens."},
        "operator_key": {"type": "http", "scheme": "bearer", "description":
            "An API key with scope `operate`, or the configured operator key."},
    })
}

fn error_answers() -> Value {
    let answer = |description: &str| {
        json!({"description": description, "content": {"application/json":
            {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}})
    };
    json!({
        "Unauthorized": answer("No credentials, or wrong ones."),
        "NotFound": answer("There is no such thing here, or it belongs to somebody else."),
        "TooManyCalls": answer("Too many calls: wait as long as `Retry-After` says."),
        "Error": answer("Any other refusal: `id` is stable, `message` says what to do next, `problems` says where."),
    })
}
