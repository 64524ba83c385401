//! Agent topics and actions of the published services, and what an agent does with them.
//!
//! A document declares a topic (`x-sfdc.agent.topic`) and publishes operations as its actions
//! (`x-sfdc.agent.action.publishAsAgentAction`). An agent asks the person only for inputs marked `isUserInput`, shows
//! only outputs marked `isDisplayable`, and masks what is marked `isPii`: a property by itself, an operation in what is
//! kept of the question.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::db::Tx;
use crate::failure::Failure;
use crate::invoke::{self, Call, Mode, Refusal};
use crate::metadata::component::{ComponentType, Definition};
use crate::metadata::components;
use crate::services::{Operation, Service, schema};
use crate::state::OrgState;

/// What stands for a value that is not to be seen.
const MASK: &str = "•••";

/// One published action.
struct Action<'a> {
    operation: &'a Operation,
    inputs: Vec<Input<'a>>,
    outputs: Vec<Output<'a>>,
    is_pii: bool,
}

struct Input<'a> {
    name: &'a str,
    /// A parameter, or else a property of the body.
    is_parameter: bool,
    is_user_input: bool,
}

struct Output<'a> {
    name: &'a str,
    is_displayable: bool,
    is_pii: bool,
}

/// Every topic with its actions.
pub(crate) fn list(tx: &Tx<'_>) -> Result<Vec<Value>, Failure> {
    let all = components::definitions(tx, ComponentType::ExternalServiceRegistration)?;
    let mut found = Vec::new();
    for (name, definition) in &all {
        let Definition::ExternalServiceRegistration(registration) = definition else { continue };
        let service = registration.schema.as_deref().and_then(|schema| Service::read(schema).ok());
        let Some(service) = service else { continue };
        let actions: Vec<Value> = actions(&service).iter().map(|action| action.to_json(name)).collect();
        if !actions.is_empty() {
            let topic = service.document.pointer("/x-sfdc/agent/topic").cloned();
            found.push(json!({"service": name, "topic": topic, "actions": actions}));
        }
    }
    Ok(found)
}

/// An agent uses an action for a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    service: String,
    action: String,
    /// The username of the person, or of the agent's own user.
    #[serde(rename = "as")]
    username: String,
    /// What the person said.
    #[serde(default)]
    person: Map<String, Value>,
    /// What the agent knows by itself.
    #[serde(default)]
    agent: Map<String, Value>,
}

/// Runs an action: the answer is what the person gets to see.
///
/// # Errors
/// A [`Refusal`], also for an input the person is not to give.
pub(crate) async fn run(state: &OrgState, wanted: Use) -> Result<Value, Refusal> {
    let prepared = state.call(move |state| {
        let service = state.db().read(|tx| read(tx, &wanted.service))?;
        let actions = actions(&service);
        let action = actions
            .iter()
            .find(|action| action.operation.name.eq_ignore_ascii_case(&wanted.action))
            .ok_or_else(|| invoke::unknown_action(&wanted.action))?;
        let call = action.call(&wanted)?;
        let asked = action.asked(&wanted.person);
        let shown: Vec<(String, bool, bool)> = action
            .outputs
            .iter()
            .map(|output| (output.name.to_owned(), output.is_displayable, output.is_pii))
            .collect();
        Ok::<_, Refusal>((call, asked, shown))
    });
    let (call, asked, outputs) = prepared.await?;
    let answer = invoke::invoke(state, call).await?;
    let (mut shown, mut withheld) = (Map::new(), Vec::new());
    for (name, value) in answer.body.as_object().into_iter().flatten() {
        match outputs.iter().find(|(known, ..)| known == name) {
            Some((_, true, is_pii)) => {
                let value = if *is_pii { json!(MASK) } else { value.clone() };
                shown.insert(name.clone(), value);
            }
            _ => withheld.push(name.clone()),
        }
    }
    Ok(json!({
        "invocation_id": answer.invocation_id,
        "status": answer.status,
        "asked": asked,
        "shown": shown,
        "withheld": withheld,
    }))
}

fn read(tx: &Tx<'_>, name: &str) -> Result<Service, Refusal> {
    let (name, registration) =
        components::registration(tx, name)?.ok_or_else(|| invoke::unknown_service(name))?;
    invoke::read_service(&name, &registration)
}

fn actions(service: &Service) -> Vec<Action<'_>> {
    service.operations.iter().filter_map(|operation| Action::read(service, operation)).collect()
}

impl<'a> Action<'a> {
    /// None for an operation that is not published as an action.
    fn read(service: &'a Service, operation: &'a Operation) -> Option<Self> {
        let method = operation.method.as_str().to_ascii_lowercase();
        let source = service.document.get("paths")?.get(&operation.path)?.get(&method)?;
        if !flag(source, "/x-sfdc/agent/action/publishAsAgentAction") {
            return None;
        }
        let parameters = operation.parameters.iter().map(|parameter| Input {
            name: &parameter.name,
            is_parameter: true,
            is_user_input: flag(&parameter.schema, "/x-sfdc/agent/action/isUserInput"),
        });
        let body = operation.body.iter().flat_map(|body| properties(&service.document, &body.schema));
        let body = body.map(|(name, schema)| Input {
            name,
            is_parameter: false,
            is_user_input: flag(schema, "/x-sfdc/agent/action/isUserInput"),
        });
        Some(Self {
            operation,
            inputs: parameters.chain(body).collect(),
            outputs: outputs(&service.document, source),
            is_pii: flag(source, "/x-sfdc/privacy/isPii"),
        })
    }

    fn to_json(&self, service: &str) -> Value {
        let inputs: Vec<Value> = self
            .inputs
            .iter()
            .map(|one| json!({"name": one.name, "is_user_input": one.is_user_input}))
            .collect();
        let outputs: Vec<Value> = self
            .outputs
            .iter()
            .map(|one| json!({"name": one.name, "is_displayable": one.is_displayable, "is_pii": one.is_pii}))
            .collect();
        json!({
            "name": self.operation.name,
            "reference": format!("{service}.{}", self.operation.name),
            "description": self.operation.summary,
            "is_pii": self.is_pii,
            "inputs": inputs,
            "outputs": outputs,
        })
    }

    /// The call Flow would make; callbacks reach Apex only.
    fn call(&self, wanted: &Use) -> Result<Call, Refusal> {
        let (mut parameters, mut body) = (Map::new(), Map::new());
        let said = wanted.person.iter().map(|(name, value)| (name, value, true));
        let known = wanted.agent.iter().map(|(name, value)| (name, value, false));
        for (name, value, by_person) in said.chain(known) {
            let input = self.inputs.iter().find(|input| input.name == name);
            let input = input.ok_or_else(|| invoke::not_an_input(name))?;
            if by_person && !input.is_user_input {
                return Err(invoke::not_for_the_person(name));
            }
            let target = if input.is_parameter { &mut parameters } else { &mut body };
            target.insert(name.clone(), value.clone());
        }
        Ok(Call {
            service: wanted.service.clone(),
            operation: self.operation.name.clone(),
            username: wanted.username.clone(),
            body: if self.operation.body.is_some() { Value::Object(body) } else { Value::Null },
            parameters,
            mode: Mode::Flow,
            callback_timeout_minutes: None,
        })
    }

    /// What is kept of the question.
    fn asked(&self, person: &Map<String, Value>) -> Map<String, Value> {
        let kept = person.iter().map(|(name, value)| {
            let value = if self.is_pii { json!(MASK) } else { value.clone() };
            (name.clone(), value)
        });
        kept.collect()
    }
}

/// The properties of the first successful response.
fn outputs<'a>(document: &'a Value, source: &'a Value) -> Vec<Output<'a>> {
    let responses = source.get("responses").and_then(Value::as_object).into_iter().flatten();
    let success = responses.into_iter().find(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
    let answer = success.and_then(|answer| schema::resolve(document, answer).ok());
    let content = answer.and_then(|answer| answer.get("content")).and_then(Value::as_object);
    let media = content.and_then(|content| content.values().next()).and_then(|media| media.get("schema"));
    media
        .into_iter()
        .flat_map(|schema| properties(document, schema))
        .map(|(name, schema)| Output {
            name,
            is_displayable: flag(schema, "/x-sfdc/agent/action/isDisplayable"),
            is_pii: flag(schema, "/x-sfdc/privacy/isPii"),
        })
        .collect()
}

fn properties<'a>(document: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let resolved = schema::resolve(document, schema).unwrap_or(schema);
    let properties = resolved.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.map(|(name, schema)| (name.as_str(), schema)).collect()
}

fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}
