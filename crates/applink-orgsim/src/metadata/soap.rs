//! The two calls of the SOAP Metadata API that deploying needs: `deploy` and `checkDeployStatus`. Salesforce's CLI
//! deploys this way unless told otherwise. They do what the REST calls do.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use serde_json::{Map, Value, json};

use super::api::{self, DeployError};
use crate::state::OrgState;

/// Elements of a call that are read at most; the package is one of them.
const MAX_ELEMENTS: usize = 200;

/// A call: its name, and the text of every element by local name.
struct Call {
    name: String,
    texts: Map<String, Value>,
}

/// `POST /services/Soap/m/{version}`.
pub(super) async fn call(State(state): State<OrgState>, Path(_): Path<String>, body: Bytes) -> Response {
    let Some(call) = read(&body) else {
        return fault("INVALID_SOAP", "The request is not a SOAP envelope with a call");
    };
    match answer(&state, &call).await {
        Ok(result) => {
            let name = format!("{}Response", call.name);
            respond(StatusCode::OK, &element(&name, &json!({"result": result})))
        }
        Err(DeployError::Refused { code, message, .. }) => fault(code, &message),
        Err(DeployError::Failed(failure)) => failure.into_response(),
    }
}

async fn answer(state: &OrgState, call: &Call) -> Result<Value, DeployError> {
    let mut headers = HeaderMap::new();
    let session = HeaderValue::try_from(format!("Bearer {}", call.text("sessionId")));
    headers.extend(session.ok().map(|session| (AUTHORIZATION, session)));
    match call.name.as_str() {
        "deploy" => {
            let package = STANDARD.decode(call.text("ZipFile").trim());
            let package = package.map_err(|_| api::invalid_input("ZipFile is not base64"))?;
            let deployment = api::take_in(state, &headers, package.into(), call.options()?).await?;
            Ok(json!({"done": false, "id": deployment.id, "state": "Queued"}))
        }
        "checkDeployStatus" => {
            let with_details = call.text("includeDetails") == "true";
            let deployment = api::find(state, &headers, call.text("asyncProcessId").to_owned()).await?;
            Ok(deployment.to_json(with_details))
        }
        other => Err(api::invalid_input(format!("The call {other} is not simulated"))),
    }
}

impl Call {
    fn text(&self, name: &str) -> &str {
        self.texts.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn options(&self) -> Result<super::deployment::Options, DeployError> {
        let flags = [
            "allowMissingFiles",
            "checkOnly",
            "ignoreWarnings",
            "purgeOnDelete",
            "rollbackOnError",
            "singlePackage",
        ];
        let given: Map<String, Value> = flags
            .iter()
            .filter(|name| self.texts.contains_key(**name))
            .map(|name| ((*name).to_owned(), Value::Bool(self.text(name) == "true")))
            .collect();
        serde_json::from_value(Value::Object(given)).map_err(|error| api::invalid_input(error.to_string()))
    }
}

/// The element right below the body is the call.
fn read(body: &[u8]) -> Option<Call> {
    let mut reader = Reader::from_reader(body);
    let (mut path, mut name, mut texts) = (Vec::new(), None, Map::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let local = start.local_name().as_ref().to_owned();
                if path.last().is_some_and(|parent| parent == "Body") {
                    name = name.or(Some(local.clone()));
                }
                path.push(local);
                if path.len() > 16 || texts.len() > MAX_ELEMENTS {
                    return None;
                }
            }
            Event::End(_) => drop(path.pop()?),
            Event::Text(text) => {
                let element = path.last().cloned();
                let text = text.xml10_content().into_owned();
                if let Some(element) = element.filter(|_| !text.trim().is_empty()) {
                    texts.insert(element, Value::String(text));
                }
            }
            Event::DocType(_) => return None,
            Event::Eof => return Some(Call { name: name?, texts }),
            _ => {}
        }
    }
}

fn fault(code: &str, message: &str) -> Response {
    let inner = format!(
        "<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {}</faultstring></soapenv:Fault>",
        escape(message)
    );
    respond(StatusCode::INTERNAL_SERVER_ERROR, &inner)
}

fn respond(status: StatusCode, inner: &str) -> Response {
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"{}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>",
        super::xml::NAMESPACE
    );
    (status, [(CONTENT_TYPE, "text/xml;charset=UTF-8")], envelope).into_response()
}

/// JSON as XML: a list is its element repeated, nothing is no element.
fn element(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(|item| element(name, item)).collect(),
        Value::Object(fields) => {
            let inner: String = fields.iter().map(|(name, value)| element(name, value)).collect();
            format!("<{name}>{inner}</{name}>")
        }
        Value::String(text) => format!("<{name}>{}</{name}>", escape(text.as_str())),
        plain => format!("<{name}>{plain}</{name}>"),
    }
}
